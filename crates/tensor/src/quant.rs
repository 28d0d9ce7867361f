use crate::{DType, Shape, Tensor, TensorError};
use std::fmt;
use std::sync::Arc;

/// How stored integers stand for real numbers: `real = scale * (stored - zero_point)`.
#[derive(Clone, Debug, PartialEq)]
pub enum Quant {
    /// One scale for the whole tensor.
    PerTensor {
        /// Positive and finite.
        scale: f32,
        /// In the range of the element type.
        zero_point: i32,
    },
    /// One scale for each index of an axis.
    PerAxis {
        /// The axis.
        axis: usize,
        /// As many as the axis is long.
        scales: Arc<[f32]>,
        /// As many as the axis is long.
        zero_points: Arc<[i32]>,
    },
    /// One scale for each run of `block` indices of an axis and each index of the axes before it,
    /// in row-major order.
    PerBlock {
        /// The axis that is cut into blocks.
        axis: usize,
        /// Indices in a block; the last block of a row may be shorter.
        block: usize,
        /// One a block.
        scales: Arc<[f32]>,
        /// One a block.
        zero_points: Arc<[i32]>,
    },
}

impl Quant {
    /// One scale for the whole tensor.
    #[must_use]
    pub fn per_tensor(scale: f32, zero_point: i32) -> Self {
        Self::PerTensor { scale, zero_point }
    }

    /// One scale for each index of `axis`, all zero points zero.
    #[must_use]
    pub fn symmetric(axis: usize, scales: Vec<f32>) -> Self {
        let zero_points = vec![0; scales.len()].into();
        Self::PerAxis { axis, scales: scales.into(), zero_points }
    }

    /// One scale that covers a range of real numbers, after TFLite's recipe: the range is widened to
    /// hold zero, which is exact, and the zero point is the integer next to where zero falls, seen
    /// from the end that it is nearer to. 16-bit types are symmetric.
    #[must_use]
    pub fn covering(low: f32, high: f32, dtype: DType) -> Self {
        let (low, high) = (f64::from(low.min(0.0)), f64::from(high.max(0.0)));
        let (q_low, q_high) = dtype.int_range().unwrap_or((-128, 127));
        let (q_low, q_high) = (q_low as f64, q_high as f64);
        if dtype == DType::I16 {
            let largest = high.max(-low);
            let scale = if largest > 0.0 { (largest / q_high) as f32 } else { 1.0 };
            return Self::per_tensor(scale.max(f32::MIN_POSITIVE), 0);
        }
        let scale = ((high - low) / (q_high - q_low)) as f32;
        if scale < f32::MIN_POSITIVE {
            return Self::per_tensor(1.0, 0);
        }
        let step = f64::from(scale);
        let (from_low, from_high) = (q_low - low / step, q_high - high / step);
        let error = |end: f64, q: f64| q.abs() + (end / step).abs();
        let zero = if error(low, q_low) < error(high, q_high) { from_low } else { from_high };
        Self::per_tensor(scale, zero.round().clamp(q_low, q_high) as i32)
    }

    /// The scale and zero point, if there is one pair for the whole tensor.
    #[must_use]
    pub fn as_per_tensor(&self) -> Option<(f32, i32)> {
        match self {
            Self::PerTensor { scale, zero_point } => Some((*scale, *zero_point)),
            Self::PerAxis { scales, zero_points, .. }
            | Self::PerBlock { scales, zero_points, .. }
                if scales.len() == 1 && zero_points.len() == 1 =>
            {
                Some((scales[0], zero_points[0]))
            }
            _ => None,
        }
    }

    /// Scales in storage order: one, one an index, or one a block.
    #[must_use]
    pub fn scales(&self) -> &[f32] {
        match self {
            Self::PerTensor { scale, .. } => std::slice::from_ref(scale),
            Self::PerAxis { scales, .. } | Self::PerBlock { scales, .. } => scales,
        }
    }

    /// Zero points in storage order.
    #[must_use]
    pub fn zero_points(&self) -> &[i32] {
        match self {
            Self::PerTensor { zero_point, .. } => std::slice::from_ref(zero_point),
            Self::PerAxis { zero_points, .. } | Self::PerBlock { zero_points, .. } => zero_points,
        }
    }

    /// Whether every zero point is zero.
    #[must_use]
    pub fn is_symmetric(&self) -> bool {
        self.zero_points().iter().all(|&z| z == 0)
    }

    /// What does not fit an element type and shape, if anything.
    ///
    /// # Errors
    /// For float elements, scales that are not positive and finite, zero points out of the element
    /// type's range, and numbers of scales that do not match the shape.
    pub fn check(&self, dtype: DType, shape: &Shape) -> Result<(), TensorError> {
        let fail = |why: String| Err(TensorError::Quant(why));
        let Some((low, high)) = dtype.int_range() else {
            return fail(format!("{dtype} elements cannot be quantized"));
        };
        if let Some(s) = self.scales().iter().find(|s| !(s.is_finite() && **s > 0.0)) {
            return fail(format!("scale {s} is not positive and finite"));
        }
        if let Some(z) = self.zero_points().iter().find(|z| !(low..=high).contains(&i64::from(**z)))
        {
            return fail(format!("zero point {z} is outside {dtype}"));
        }
        if self.scales().len() != self.zero_points().len() {
            return fail(format!(
                "{} scales but {} zero points",
                self.scales().len(),
                self.zero_points().len()
            ));
        }
        let count = |axis: usize| match shape.dims().get(axis) {
            Some(dim) => Ok(dim.fixed()),
            None => Err(TensorError::Quant(format!("axis {axis} is not in {shape}"))),
        };
        let wanted = match self {
            Self::PerTensor { .. } => Some(1),
            Self::PerAxis { axis, .. } => count(*axis)?,
            Self::PerBlock { block: 0, .. } => return fail("blocks of length 0".into()),
            Self::PerBlock { axis, block, .. } => count(*axis)?.and_then(|n| {
                let before = shape.dims()[..*axis]
                    .iter()
                    .try_fold(1_usize, |p, d| p.checked_mul(d.fixed()?))?;
                before.checked_mul(n.div_ceil(*block))
            }),
        };
        match wanted {
            Some(n) if n != self.scales().len() => {
                fail(format!("{} scales where {shape} needs {n}", self.scales().len()))
            }
            _ => Ok(()),
        }
    }

    /// For each element of `shape` in row-major order, the index of its scale.
    fn indices<'a>(&'a self, shape: &'a [usize]) -> Box<dyn Fn(usize) -> usize + 'a> {
        match self {
            Self::PerTensor { .. } => Box::new(|_| 0),
            Self::PerAxis { axis, .. } => {
                let inner: usize = shape[axis + 1..].iter().product();
                let n = shape[*axis];
                Box::new(move |i| (i / inner) % n)
            }
            Self::PerBlock { axis, block, .. } => {
                let inner: usize = shape[axis + 1..].iter().product();
                let n = shape[*axis];
                let blocks = n.div_ceil(*block);
                Box::new(move |i| {
                    let along = i / inner;
                    (along / n) * blocks + (along % n) / block
                })
            }
        }
    }

    /// The real numbers that a tensor of stored integers stands for, as `f32`.
    ///
    /// # Errors
    /// If these parameters do not fit the tensor.
    pub fn dequantize(&self, stored: &Tensor) -> Result<Tensor, TensorError> {
        self.check(stored.dtype(), &stored.shape().into())?;
        let index = self.indices(stored.shape());
        let (scales, zeros) = (self.scales(), self.zero_points());
        let real = stored
            .to_i64()
            .into_iter()
            .enumerate()
            .map(|(i, q)| {
                let k = index(i);
                scales[k] * (q - i64::from(zeros[k])) as f32
            })
            .collect();
        Tensor::from_vec(stored.shape(), real)
    }

    /// Rounds real numbers to the nearest stored integers, ties away from zero, saturating.
    ///
    /// # Errors
    /// If these parameters do not fit the shape or the element type is not an integer.
    pub fn quantize(&self, real: &Tensor, dtype: DType) -> Result<Tensor, TensorError> {
        self.check(dtype, &real.shape().into())?;
        let (low, high) = dtype
            .int_range()
            .ok_or_else(|| TensorError::Quant(format!("{dtype} elements cannot be quantized")))?;
        let index = self.indices(real.shape());
        let (scales, zeros) = (self.scales(), self.zero_points());
        let stored: Vec<i64> = real
            .to_f32()
            .into_iter()
            .enumerate()
            .map(|(i, x)| {
                let k = index(i);
                ((x / scales[k]).round() as i64)
                    .saturating_add(i64::from(zeros[k]))
                    .clamp(low, high)
            })
            .collect();
        Ok(Tensor::from_vec(real.shape(), stored)?.cast(dtype))
    }
}

fn list<T: fmt::Debug>(f: &mut fmt::Formatter<'_>, items: &[T]) -> fmt::Result {
    f.write_str("[")?;
    for (i, item) in items.iter().enumerate() {
        write!(f, "{}{item:?}", if i > 0 { ", " } else { "" })?;
    }
    f.write_str("]")
}

impl fmt::Display for Quant {
    /// The text form: `q(scale, zero_point)`, `q(axis=0, [scales], [zero points])`, or
    /// `q(axis=1, block=32, [scales], [zero points])`; zero points that are all zero are left out of
    /// the last two.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PerTensor { scale, zero_point } => {
                return write!(f, "q({scale:?}, {zero_point})");
            }
            Self::PerAxis { axis, .. } => write!(f, "q(axis={axis}, ")?,
            Self::PerBlock { axis, block, .. } => write!(f, "q(axis={axis}, block={block}, ")?,
        }
        list(f, self.scales())?;
        if !self.is_symmetric() {
            f.write_str(", ")?;
            list(f, self.zero_points())?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn per_axis_and_per_block_pick_their_own_scale() {
        let real = Tensor::from_vec([2, 3], vec![1.0_f32, 2.0, 3.0, 1.0, 2.0, 3.0]).unwrap();
        let axis = Quant::symmetric(0, vec![1.0, 0.5]);
        let stored = axis.quantize(&real, DType::I8).unwrap();
        assert_eq!(stored.view::<i8>().unwrap().as_ref(), [1, 2, 3, 2, 4, 6]);
        assert_eq!(axis.dequantize(&stored).unwrap(), real);
        let block = Quant::PerBlock {
            axis: 1,
            block: 2,
            scales: vec![1.0, 0.5, 0.25, 1.0].into(),
            zero_points: vec![0, 1, 0, 0].into(),
        };
        let stored = block.quantize(&real, DType::I8).unwrap();
        assert_eq!(stored.view::<i8>().unwrap().as_ref(), [1, 2, 7, 4, 8, 3]);
        assert_eq!(block.dequantize(&stored).unwrap(), real);
    }

    #[test]
    fn covering_keeps_zero_exact_and_the_range_inside() {
        for (low, high) in [(-1.0, 1.0), (0.0, 6.0), (0.5, 6.0), (-3.0, -1.0), (-0.1, 12.7)] {
            let q = Quant::covering(low, high, DType::I8);
            let (scale, zero) = q.as_per_tensor().unwrap();
            let real = |stored: i32| scale * (stored - zero) as f32;
            assert!(real(-128) <= low + scale / 2.0 && real(127) >= high - scale / 2.0, "{q}");
        }
        assert_eq!(Quant::covering(0.0, 2.55, DType::I8).zero_points(), [-128]);
        assert_eq!(Quant::covering(0.0, 0.0, DType::I8), Quant::per_tensor(1.0, 0));
        let wide = Quant::covering(-2.0, 1.0, DType::I16);
        assert_eq!(wide, Quant::per_tensor(2.0 / 32767.0, 0));
    }

    #[test]
    fn faults_are_named() {
        let shape = Shape::from([2, 3]);
        let check = |q: Quant, d| q.check(d, &shape).unwrap_err().to_string();
        assert!(check(Quant::per_tensor(0.0, 0), DType::I8).contains("not positive"));
        assert!(check(Quant::per_tensor(1.0, 200), DType::I8).contains("outside i8"));
        assert!(check(Quant::per_tensor(1.0, 0), DType::F32).contains("cannot be quantized"));
        assert!(check(Quant::symmetric(1, vec![1.0]), DType::I8).contains("needs 3"));
        assert!(check(Quant::symmetric(5, vec![1.0]), DType::I8).contains("not in"));
    }

    #[test]
    fn rounding_is_away_from_zero_and_saturates() {
        let q = Quant::per_tensor(1.0, 0);
        let real = Tensor::from_vec([4], vec![0.5_f32, -0.5, 1e9, f32::NAN]).unwrap();
        let stored = q.quantize(&real, DType::I8).unwrap();
        assert_eq!(stored.view::<i8>().unwrap().as_ref(), [1, -1, 127, 0]);
    }
}
