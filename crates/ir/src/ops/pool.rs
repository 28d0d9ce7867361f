use super::{Activation, Padding, arity, is_false, is_one, nhwc, ones, slide};
use crate::{Op, OpError, register_op};
use paring_tensor::{Dim, TensorType};
use serde::{Deserialize, Serialize};

/// A window that slides over `x[N,H,W,C]`, channel by channel. The quantization of input and output
/// is the same where both are quantized.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pool {
    /// What is computed of a window.
    pub kind: PoolKind,
    /// Extents of the window, `[height, width]`.
    pub kernel: [usize; 2],
    /// Steps of the window, `[height, width]`.
    pub stride: [usize; 2],
    /// Positions around the input; they are no elements unless `count_include_pad`.
    pub pad: Padding,
    /// Distance between taps, `[height, width]`.
    #[serde(default = "ones", skip_serializing_if = "is_one")]
    pub dilation: [usize; 2],
    /// Whether a last window that begins in the input but does not fit is kept.
    #[serde(default, skip_serializing_if = "is_false")]
    pub ceil: bool,
    /// Whether an average counts padded positions (as zeros).
    #[serde(default, skip_serializing_if = "is_false")]
    pub count_include_pad: bool,
    /// Clamp of the result.
    #[serde(default, skip_serializing_if = "Activation::is_none")]
    pub activation: Activation,
}

/// What a pool computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolKind {
    /// The largest element.
    Max,
    /// The mean.
    Average,
    /// The root of the mean of squares over the elements of the input, TFLite's L2 pool.
    L2,
    /// The `p`-th root of the sum of `p`-th powers of magnitudes, ONNX's `LpPool`.
    Lp(u32),
}

register_op!(Pool, "pool", "maximum, average or norm of a sliding window");

impl Op for Pool {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        let (n, size, c) = nhwc("the input", inputs[0])?;
        let out = slide(size, self.kernel, self.stride, self.dilation, self.pad, self.ceil)?;
        let shape = vec![n.clone(), Dim::Fixed(out[0]), Dim::Fixed(out[1]), Dim::Fixed(c)];
        Ok(vec![TensorType::new(inputs[0].dtype, shape)])
    }
}
