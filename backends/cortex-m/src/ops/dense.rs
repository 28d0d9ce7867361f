use paring_cortex_m_kernels::{Coding, Conv2d, ConvWide, FullyConnected};
use paring_ir::ops;

use crate::lower::Site;

pub(crate) fn lower(site: &mut Site<'_, '_>) -> Result<(), String> {
    let op: ops::Dense = super::attributes(site)?;
    let (x, w) = (site.input(0)?, site.input(1)?);
    let (_, in_zero) = site.like(x, "the input", x)?;
    site.like(x, "the output", site.output()?)?;
    let shape = site.shape(w)?;
    let &[outputs, inputs] = shape.as_slice() else {
        return Err(format!("weights of shape {shape:?}"));
    };
    let rows = site.shape(x)?.iter().product::<usize>().checked_div(inputs).unwrap_or(0);
    let weights = site.int8_constant("the weights", w)?;
    let requant = site.channel_requant(outputs, op.activation)?;
    if site.is_wide(x) {
        super::conv2d::symmetric(in_zero)?;
        let bias = site.wide_bias(outputs)?;
        return site.call_on_input(&ConvWide {
            input: [1, rows, inputs],
            output: [1, rows, outputs],
            kernel: [1, 1],
            stride: [1, 1],
            dilation: [1, 1],
            pad: [0, 0],
            groups: 1,
            weights: &weights,
            bias: &bias,
            requant,
        });
    }
    let bias = site.bias(outputs)?;
    if rows == 1 {
        let layer = FullyConnected {
            inputs,
            outputs,
            in_zero,
            weights: &weights,
            bias: &bias,
            requant,
            coding: Coding::Plain,
        };
        return site.call_weighted(&layer);
    }
    // Several rows are the pixels of a 1x1 convolution.
    site.call_weighted(&Conv2d {
        input: [1, rows, inputs],
        output: [1, rows, outputs],
        kernel: [1, 1],
        stride: [1, 1],
        dilation: [1, 1],
        pad: [0, 0],
        groups: 1,
        in_zero,
        weights: &weights,
        bias: &bias,
        requant,
        coding: Coding::Plain,
        fast: site.fast(),
    })
}
