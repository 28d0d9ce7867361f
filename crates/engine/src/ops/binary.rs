use super::{Lower, Part};
use paring_ir::Node;
use paring_ir::ops::{Binary, BinaryFn};
use paring_kernels::I8Sum;
use paring_qmath::{Multiplier, Rounding};
use paring_runtime::steps::binary::{Pair, Pairs, Sum};
use paring_runtime::steps::broadcast::Broadcast;
use paring_runtime::steps::half::F16Pairs;
use paring_tensor::DType;

/// Joins the axes of a broadcast: the fewest extents with constant distances.
pub(super) fn collapse(a: &[usize], b: &[usize], out: &[usize]) -> Broadcast {
    let steps = |shape: &[usize]| {
        let missing = out.len() - shape.len();
        let mut step = 1;
        let mut steps = vec![0; out.len()];
        for axis in (0..shape.len()).rev() {
            if shape[axis] > 1 {
                steps[axis + missing] = step;
            }
            step *= shape[axis];
        }
        steps
    };
    let (sa, sb) = (steps(a), steps(b));
    let (mut dims, mut joined): (Vec<usize>, Vec<[usize; 2]>) = (Vec::new(), Vec::new());
    for axis in 0..out.len() {
        let (n, step) = (out[axis], [sa[axis], sb[axis]]);
        if n == 1 {
            continue;
        }
        match (dims.last_mut(), joined.last_mut()) {
            (Some(dim), Some(last)) if *last == [step[0] * n, step[1] * n] => {
                *dim *= n;
                *last = step;
            }
            _ => {
                dims.push(n);
                joined.push(step);
            }
        }
    }
    if dims.is_empty() {
        return Broadcast::none(1);
    }
    Broadcast { dims, steps: joined }
}

impl Lower<'_> {
    pub(super) fn binary(&self, op: &Binary, node: &Node) -> Option<Part> {
        let (&[a, b], y) = (node.inputs(), node.outputs()[0]) else { return None };
        let half = [a, b, y].iter().all(|v| self.is_half(*v));
        if half || (self.is_f32(a) && self.is_f32(b) && self.is_f32(y)) {
            let f = match op.f {
                BinaryFn::Add => Pair::Add,
                BinaryFn::Sub => Pair::Sub,
                BinaryFn::Mul => Pair::Mul,
                BinaryFn::Div => Pair::Div,
                BinaryFn::SquaredDifference => Pair::SquaredDifference,
                BinaryFn::Prelu => Pair::Prelu,
                BinaryFn::Min => Pair::Min,
                BinaryFn::Max => Pair::Max,
                BinaryFn::Pow => Pair::Pow,
                BinaryFn::Fmod => Pair::Fmod,
                BinaryFn::Mod => Pair::Mod,
                BinaryFn::FloorDiv => Pair::FloorDiv,
                BinaryFn::Atan2 => Pair::Atan2,
                _ => return None,
            };
            let places = collapse(&self.shape(a)?, &self.shape(b)?, &self.shape(y)?);
            let clamp = (!op.activation.is_none()).then(|| op.activation.bounds());
            if half {
                let step = F16Pairs::new(f, clamp, places)?;
                return Some(Part { step: step.into(), a, b: Some(b), scratch: 0 });
            }
            let step = Pairs { f, clamp, places };
            return Some(Part { step: step.into(), a, b: Some(b), scratch: 0 });
        }
        let subtract = match op.f {
            BinaryFn::Add => false,
            BinaryFn::Sub => true,
            _ => return self.pair_table(node).or_else(|| self.whole(op, node)),
        };
        let shape = self.shape(y)?;
        let bytes = [a, b, y].iter().all(|v| self.i8_quant(*v).is_some());
        if !bytes || self.shape(a)? != shape || self.shape(b)? != shape {
            return self.pair_table(node).or_else(|| self.whole(op, node));
        }
        let ((a_scale, a_zero), (b_scale, b_zero)) = (self.i8_quant(a)?, self.i8_quant(b)?);
        let (scale, zero_point) = self.i8_quant(y)?;
        // TFLite's constants: both operands are brought to half the larger scale.
        let twice = 2.0 * f64::from(a_scale.max(b_scale));
        let (low, high) = op.activation.quantized_bounds(scale, zero_point, DType::I8);
        let mut sum = I8Sum {
            zeros: [a_zero, b_zero],
            factors: [
                Multiplier::from_real(f64::from(a_scale) / twice),
                Multiplier::from_real(f64::from(b_scale) / twice),
            ],
            subtract,
            factor: Multiplier::from_real(
                twice / (f64::from(1 << I8Sum::SHIFT) * f64::from(scale)),
            ),
            zero_point,
            rounding: Rounding::Double,
            bounds: (low as i8, high as i8),
            quick: None,
        };
        sum.quick = sum.quick();
        Some(Part { step: Sum(sum).into(), a, b: Some(b), scratch: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_joined_where_both_operands_allow_it() {
        let want = |dims: &[usize], steps: &[[usize; 2]]| Broadcast {
            dims: dims.to_vec(),
            steps: steps.to_vec(),
        };
        let same = collapse(&[1, 7, 7, 8], &[1, 7, 7, 8], &[1, 7, 7, 8]);
        assert_eq!(same, want(&[392], &[[1, 1]]));
        let channel = collapse(&[1, 7, 7, 8], &[8], &[1, 7, 7, 8]);
        assert_eq!(channel, want(&[49, 8], &[[8, 0], [1, 1]]));
        let scalar = collapse(&[2, 3], &[], &[2, 3]);
        assert_eq!(scalar, want(&[6], &[[1, 0]]));
        let both = collapse(&[2, 1, 4], &[1, 3, 1], &[2, 3, 4]);
        assert_eq!(both, want(&[2, 3, 4], &[[4, 0], [0, 1], [1, 0]]));
    }
}
