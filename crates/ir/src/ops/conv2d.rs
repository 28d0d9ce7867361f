use super::{Activation, Padding, arity, check_bias, is_one, nhwc, ones, slide};
use crate::{CostEntry, Op, OpError, register_op};
use paring_tensor::{Dim, TensorType};
use serde::{Deserialize, Serialize};
use std::any::TypeId;

/// 2-D convolution: `x[N,H,W,C] * w[O,KH,KW,C/groups] + b[O]`, then the activation.
///
/// `groups == C` with one input channel a filter is the depthwise convolution. The bias may be left
/// out. Quantized: `x` per tensor, `w` per tensor or per axis 0, `b` in `i32` with scale
/// `x_scale * w_scale`; TFLite's int8 convolution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conv2d {
    /// Steps of the window, `[height, width]`.
    pub stride: [usize; 2],
    /// Zeros around the input.
    pub pad: Padding,
    /// Distance between taps, `[height, width]`.
    #[serde(default = "ones", skip_serializing_if = "is_one")]
    pub dilation: [usize; 2],
    /// Groups of channels that do not see each other.
    pub groups: usize,
    /// Clamp of the result.
    #[serde(default, skip_serializing_if = "Activation::is_none")]
    pub activation: Activation,
}

register_op!(Conv2d, "conv2d", "2-D convolution, grouped and depthwise too");

impl Conv2d {
    /// Whether each filter sees one input channel of its own group.
    #[must_use]
    pub fn is_depthwise(&self, weights: &[usize]) -> bool {
        self.groups > 1 && weights.get(3) == Some(&1)
    }

    /// `[top, left, bottom, right]` zeros for an input and kernel of `[height, width]`.
    #[must_use]
    pub fn padding(&self, input: [usize; 2], kernel: [usize; 2]) -> [usize; 4] {
        let window = [0, 1].map(|i| (kernel[i].max(1) - 1) * self.dilation[i] + 1);
        self.pad.resolve(input, window, self.stride)
    }
}

impl Op for Conv2d {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 2..=3)?;
        let (n, size, c) = nhwc("the input", inputs[0])?;
        let (o, kernel, per_group) = nhwc("the weights", inputs[1])?;
        let o = o.fixed().ok_or_else(|| OpError::new("the number of filters is unbound"))?;
        if self.groups == 0 || c % self.groups != 0 || o % self.groups != 0 {
            return Err(OpError::new(format!(
                "{} groups do not divide {c} input and {o} output channels",
                self.groups
            )));
        }
        if c / self.groups != per_group {
            return Err(OpError::new(format!(
                "the weights {} see {per_group} channels where {c} input channels in {} groups are {}",
                inputs[1].shape,
                self.groups,
                c / self.groups
            )));
        }
        check_bias(inputs.get(2), o)?;
        let out = slide(size, kernel, self.stride, self.dilation, self.pad, false)?;
        let shape = vec![n.clone(), Dim::Fixed(out[0]), Dim::Fixed(out[1]), Dim::Fixed(o)];
        Ok(vec![TensorType::new(inputs[0].dtype, shape)])
    }
}

inventory::submit! {
    CostEntry {
        key: || TypeId::of::<Conv2d>(),
        macs: |_, inputs, outputs| {
            let taps = inputs[1].shape.fixed()?[1..].iter().product::<usize>() as u64;
            (outputs[0].shape.elements()? as u64).checked_mul(taps)
        },
    }
}
