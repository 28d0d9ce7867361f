use paring_cortex_m_kernels::{Coding, Conv2d, ConvWide, DepthwiseConv2d};
use paring_ir::ops;

use crate::lower::Site;

pub(crate) fn lower(site: &mut Site<'_, '_>) -> Result<(), String> {
    let op: ops::Conv2d = super::attributes(site)?;
    let (x, w) = (site.input(0)?, site.input(1)?);
    let (input, output) = (site.image(x)?, site.image(site.output()?)?);
    let (_, in_zero) = site.like(x, "the input", x)?;
    site.like(x, "the output", site.output()?)?;
    let shape = site.shape(w)?;
    let &[out_c, k_h, k_w, per_group] = shape.as_slice() else {
        return Err(format!("weights of shape {shape:?}"));
    };
    let weights = site.int8_constant("the weights", w)?;
    let requant = site.channel_requant(out_c, op.activation)?;
    let pad = op.padding([input[0], input[1]], [k_h, k_w]);
    let pad = [pad[0], pad[1]];
    if site.is_wide(x) {
        symmetric(in_zero)?;
        let bias = site.wide_bias(out_c)?;
        return site.call_on_input(&ConvWide {
            input,
            output,
            kernel: [k_h, k_w],
            stride: op.stride,
            dilation: op.dilation,
            pad,
            groups: op.groups,
            weights: &weights,
            bias: &bias,
            requant,
        });
    }
    let bias = site.bias(out_c)?;
    if op.groups == input[2] && per_group == 1 && input[2] > 1 {
        site.call_on_input(&DepthwiseConv2d {
            input,
            output,
            kernel: [k_h, k_w],
            stride: op.stride,
            dilation: op.dilation,
            pad,
            in_zero,
            weights: &weights,
            bias: &bias,
            requant,
            by_rows: false,
            fast: site.fast(),
        })
    } else {
        site.call_weighted(&Conv2d {
            input,
            output,
            kernel: [k_h, k_w],
            stride: op.stride,
            dilation: op.dilation,
            pad,
            groups: op.groups,
            in_zero,
            weights: &weights,
            bias: &bias,
            requant,
            coding: Coding::Plain,
            fast: site.fast(),
        })
    }
}

/// What layers on 16-bit activations ask of the input.
pub(super) fn symmetric(zero: i32) -> Result<(), String> {
    if zero != 0 {
        return Err("the input of 16 bits has a zero point other than 0".into());
    }
    Ok(())
}
