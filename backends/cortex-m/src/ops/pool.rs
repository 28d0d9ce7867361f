use paring_cortex_m_kernels::{Pool2d, PoolKind};
use paring_ir::ops;
use paring_tensor::DType;

use crate::lower::Site;

pub(crate) fn lower(site: &mut Site<'_, '_>) -> Result<(), String> {
    let op: ops::Pool = super::attributes(site)?;
    let (x, y) = (site.input(0)?, site.output()?);
    let (input, output) = (site.image(x)?, site.image(y)?);
    let quant = site.int8("the input", x)?;
    let (scale, zero) = site.int8("the output", y)?;
    if quant != (scale, zero) {
        return Err("input and output are quantized differently".into());
    }
    if op.dilation != [1, 1] {
        return Err("the window is dilated".into());
    }
    let kind = match op.kind {
        ops::PoolKind::Max => PoolKind::Max,
        ops::PoolKind::Average => PoolKind::Average,
        ops::PoolKind::L2 | ops::PoolKind::Lp(_) => {
            return Err("there is no int8 kernel for pools of norms".into());
        }
    };
    let pad = op.pad.resolve([input[0], input[1]], op.kernel, op.stride);
    if kind == PoolKind::Average && op.count_include_pad && pad != [0; 4] {
        return Err("the average counts padded positions".into());
    }
    let (low, high) = op.activation.quantized_bounds(scale, zero, DType::I8);
    site.call_on_input(&Pool2d {
        kind,
        input,
        output: [output[0], output[1]],
        kernel: op.kernel,
        stride: op.stride,
        pad: [pad[0], pad[1]],
        clamp: [low, high],
    })
}
