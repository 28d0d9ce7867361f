use super::{Lower, Part};
use paring_ir::Node;
use paring_ir::ops::Softmax;
use paring_runtime::steps::softmax::{I8Rows, Rows};

impl Lower<'_> {
    pub(super) fn softmax(&self, op: &Softmax, node: &Node) -> Option<Part> {
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        let shape = self.shape(x)?;
        if op.axis + 1 != shape.len() {
            return None;
        }
        let len = shape[op.axis];
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
        if !self.is_f32(x) || !self.is_f32(y) {
            return None;
        }
        let step = Rows { len, beta: op.beta, log: op.log };
        Some(Part::unary(step, x))
    }
}
