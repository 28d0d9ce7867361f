use paring_cortex_m_kernels::{Pool2d, PoolKind, Wide};
use paring_ir::ops;

use crate::lower::Site;

pub(crate) fn lower(site: &mut Site<'_, '_>) -> Result<(), String> {
    let op: ops::Pool = super::attributes(site)?;
    let (x, y) = (site.input(0)?, site.output()?);
    let (input, output) = (site.image(x)?, site.image(y)?);
    let quant = site.like(x, "the input", x)?;
    let (scale, zero) = site.like(x, "the output", y)?;
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
            return Err("there is no integer kernel for pools of norms".into());
        }
    };
    let pad = op.pad.resolve([input[0], input[1]], op.kernel, op.stride);
    if kind == PoolKind::Average && op.count_include_pad && pad != [0; 4] {
        return Err("the average counts padded positions".into());
    }
    let (low, high) = op.activation.quantized_bounds(scale, zero, site.ty(y).dtype);
    let layer = Pool2d {
        kind,
        input,
        output: [output[0], output[1]],
        kernel: op.kernel,
        stride: op.stride,
        pad: [pad[0], pad[1]],
        clamp: [low, high],
    };
    if site.is_wide(x) { site.call_on_input(&Wide(layer)) } else { site.call_on_input(&layer) }
}
