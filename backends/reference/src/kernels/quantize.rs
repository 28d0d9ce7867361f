use crate::kernel::{Call, Done, Types};
use crate::quantized::{Affine, ints, is_quantized, scale, stored};
use crate::register_kernel;
use paring_ir::ops::{Dequantize, Quantize};
use paring_qmath::Multiplier;
use paring_tensor::{DType, Quant, Tensor};

register_kernel!(Quantize, support, run);

register_kernel!(Dequantize, |_, types| super::anything(types), |_, call| {
    let x = &call.inputs[0];
    match &call.types.inputs[0].quant {
        Some(q) if x.dtype().is_integer() => Ok(vec![q.dequantize(x)?]),
        _ => Ok(vec![x.cast(DType::F32)]),
    }
});

fn support(_: &Quantize, types: Types<'_>) -> Result<(), String> {
    let (x, y) = (types.inputs[0], types.outputs[0]);
    if !is_quantized(y) {
        return Err(format!("the output {y} declares no quantization"));
    }
    if is_quantized(x) {
        Affine::of_any("the input", x)?;
        Affine::of_any("the output", y)?;
        return Ok(());
    }
    if x.dtype.is_float() || x.dtype == DType::I32 {
        return Ok(());
    }
    Err(format!("quantization of {} elements", x.dtype))
}

fn run(op: &Quantize, call: &Call<'_>) -> Done {
    let (x, ty) = (call.types.inputs[0], call.types.outputs[0]);
    if is_quantized(x) {
        let (from, to) = (Affine::of_any("the input", x)?, Affine::of_any("the output", ty)?);
        let m = Multiplier::from_real(f64::from(from.scale) / f64::from(to.scale));
        let q = ints(&call.inputs[0])?
            .into_iter()
            .map(|x| {
                let y = scale(m, x.wrapping_sub(from.zero));
                to.cut(y.saturating_add(to.zero))
            })
            .collect();
        return Ok(vec![stored(ty.dtype, call.shape(0), q)?]);
    }
    let Some(quant) = &ty.quant else { return Err("no quantization".to_owned().into()) };
    if op.ties_even {
        return Ok(vec![ties_even(&call.inputs[0], quant, ty.dtype)?]);
    }
    Ok(vec![quant.quantize(&call.inputs[0], ty.dtype)?])
}

/// As [`Quant::quantize`] with ties to the even neighbour: whole numbers of scales are rounded before.
fn ties_even(x: &Tensor, quant: &Quant, dtype: DType) -> Result<Tensor, crate::Fault> {
    // With unit scales, the rounding of what is whole already does nothing.
    let scales = quant.scales();
    let unit = match quant {
        Quant::PerTensor { zero_point, .. } => Quant::per_tensor(1.0, *zero_point),
        Quant::PerAxis { axis, zero_points, .. } => Quant::PerAxis {
            axis: *axis,
            scales: vec![1.0; scales.len()].into(),
            zero_points: zero_points.clone(),
        },
        Quant::PerBlock { axis, block, zero_points, .. } => Quant::PerBlock {
            axis: *axis,
            block: *block,
            scales: vec![1.0; scales.len()].into(),
            zero_points: zero_points.clone(),
        },
    };
    let index = scale_index(quant, x.shape());
    let whole = x
        .to_f32()
        .into_iter()
        .enumerate()
        .map(|(i, x)| (x / scales[index(i)]).round_ties_even())
        .collect();
    Ok(unit.quantize(&Tensor::from_vec(x.shape(), whole)?, dtype)?)
}

/// For each element, the index of its scale.
fn scale_index<'a>(quant: &'a Quant, shape: &'a [usize]) -> Box<dyn Fn(usize) -> usize + 'a> {
    let inner = |axis: usize| shape[axis + 1..].iter().product::<usize>().max(1);
    match quant {
        Quant::PerTensor { .. } => Box::new(|_| 0),
        Quant::PerAxis { axis, .. } => {
            let (inner, n) = (inner(*axis), shape[*axis].max(1));
            Box::new(move |i| (i / inner) % n)
        }
        Quant::PerBlock { axis, block, .. } => {
            let (inner, n, block) = (inner(*axis), shape[*axis].max(1), *block);
            Box::new(move |i| (i / inner / n) * n.div_ceil(block) + (i / inner) % n / block)
        }
    }
}
