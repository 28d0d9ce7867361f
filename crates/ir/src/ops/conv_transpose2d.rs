use super::{Activation, arity, check_bias, dilated, is_one, nhwc, ones};
use crate::{CostEntry, Op, OpError, register_op};
use paring_tensor::{Dim, TensorType};
use serde::{Deserialize, Serialize};
use std::any::TypeId;

/// Transposed 2-D convolution of `x[N,H,W,C]` with `w[O,KH,KW,C/groups]` and `b[O]`, then the
/// activation: each input element adds its filter taps, scaled, to the output positions
/// `y * stride + tap * dilation - pad`.
///
/// The output is `(in - 1) * stride + window - pad_before - pad_after + output_padding` long. The
/// bias may be left out. Quantized as [`Conv2d`](super::Conv2d) is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvTranspose2d {
    /// Distance between the places of neighbouring input elements, `[height, width]`.
    pub stride: [usize; 2],
    /// Output positions cut off, `[top, left, bottom, right]`.
    pub pad: [usize; 4],
    /// Output positions added at the end, `[height, width]`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub output_padding: [usize; 2],
    /// Distance between taps, `[height, width]`.
    #[serde(default = "ones", skip_serializing_if = "is_one")]
    pub dilation: [usize; 2],
    /// Groups of channels that do not see each other.
    pub groups: usize,
    /// Clamp of the result.
    #[serde(default, skip_serializing_if = "Activation::is_none")]
    pub activation: Activation,
}

fn is_zero(pair: &[usize; 2]) -> bool {
    *pair == [0, 0]
}

register_op!(ConvTranspose2d, "conv_transpose2d", "transposed 2-D convolution");

impl ConvTranspose2d {
    /// The padding and output padding that make an `output` of a stated `[height, width]`, by
    /// TFLite's rule: the smaller half of what is cut off goes to the start.
    #[must_use]
    pub fn for_output(
        input: [usize; 2],
        kernel: [usize; 2],
        stride: [usize; 2],
        output: [usize; 2],
    ) -> ([usize; 4], [usize; 2]) {
        let (mut pad, mut extra) = ([0; 4], [0; 2]);
        for axis in 0..2 {
            let full = input[axis]
                .saturating_sub(1)
                .saturating_mul(stride[axis])
                .saturating_add(kernel[axis]);
            let cut = full.saturating_sub(output[axis]);
            pad[axis] = cut / 2;
            pad[axis + 2] = cut - cut / 2;
            extra[axis] = output[axis].saturating_sub(full);
        }
        (pad, extra)
    }
}

impl Op for ConvTranspose2d {
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
        let mut out = [0; 2];
        for axis in 0..2 {
            let fail = || {
                OpError::new(format!(
                    "kernel {kernel:?}, stride {:?}, dilation {:?} and padding {:?} give no output for an input of {size:?}",
                    self.stride, self.dilation, self.pad
                ))
            };
            if self.stride[axis] == 0 || self.dilation[axis] == 0 || size[axis] == 0 {
                return Err(fail());
            }
            let window = dilated(kernel[axis], self.dilation[axis]).ok_or_else(fail)?;
            out[axis] = (size[axis] - 1)
                .checked_mul(self.stride[axis])
                .and_then(|n| n.checked_add(window)?.checked_add(self.output_padding[axis]))
                .and_then(|n| n.checked_sub(self.pad[axis])?.checked_sub(self.pad[axis + 2]))
                .filter(|n| *n > 0)
                .ok_or_else(fail)?;
        }
        let shape = vec![n.clone(), Dim::Fixed(out[0]), Dim::Fixed(out[1]), Dim::Fixed(o)];
        Ok(vec![TensorType::new(inputs[0].dtype, shape)])
    }
}

inventory::submit! {
    CostEntry {
        key: || TypeId::of::<ConvTranspose2d>(),
        macs: |node, inputs, _| {
            let op = node.op_as::<ConvTranspose2d>()?;
            let w = inputs[1].shape.fixed()?;
            let taps = w[..3].iter().product::<usize>() / op.groups.max(1);
            (inputs[0].shape.elements()? as u64).checked_mul(taps as u64)
        },
    }
}
