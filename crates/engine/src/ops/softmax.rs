use super::{Lower, Part};
use paring_ir::Node;
use paring_ir::ops::Softmax;
use paring_runtime::steps::softmax::{I8Rows, I16Lines, Rows};

impl Lower<'_> {
    pub(super) fn softmax(&self, op: &Softmax, node: &Node) -> Option<Part> {
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        let shape = self.shape(x)?;
        let (len, inner) = (shape[op.axis], shape[op.axis + 1..].iter().product());
        let real = self.is_f32(x) && self.is_f32(y);
        if let (Some((scale, _)), Some(to)) = (self.i16_quant(x), self.i16_quant(y)) {
            let wanted = (to.0 * 32768.0 - 1.0).abs() <= 0.001 && to.1 == 0 && !op.log;
            let step = I16Lines::new(len, inner, scale, op.beta);
            return wanted.then(|| Part::unary(step, x));
        }
        if inner != 1 && !real {
            return None;
        }
        if let (Some((scale, _)), Some(to)) = (self.i8_quant(x), self.i8_quant(y)) {
            // The one quantization that the integer function gives.
            if op.log || (to.0 * 256.0 - 1.0).abs() > 0.001 || to.1 != -128 {
                return None;
            }
            let step = I8Rows::new(len, f64::from(op.beta) * f64::from(scale));
            return Some(Part::unary(step, x));
        }
        if let (Some((scale, _)), Some(to)) = (self.u8_quant(x), self.u8_quant(y)) {
            if op.log || (to.0 * 256.0 - 1.0).abs() > 0.001 || to.1 != -128 {
                return None;
            }
            let step = I8Rows::new(len, f64::from(op.beta) * f64::from(scale));
            return self.flipped(x, step, 0);
        }
        let step = Rows { len, inner, beta: op.beta, log: op.log };
        real.then(|| Part::unary(step, x))
    }
}
