use paring_ir::GraphError;
use paring_pass::consts;
use paring_tensor::{ConstData, DType, Quant, Tensor, TensorError};

/// The bias in units of `input * weight`, and the scales.
pub(crate) fn bias(
    bias: &[f32],
    input: f32,
    weights: &[f32],
    dtype: DType,
) -> Result<(Tensor, Quant), GraphError> {
    let scales: Vec<f32> = weights.iter().map(|w| input * w).collect();
    let scale = |o: usize| f64::from(scales[o.min(scales.len() - 1)]);
    let limit = if dtype == DType::I32 { f64::from(i32::MAX) } else { (1_i64 << 47) as f64 };
    let ints: Vec<i64> = bias
        .iter()
        .enumerate()
        .map(|(o, b)| (f64::from(*b) / scale(o)).round().clamp(-limit, limit) as i64)
        .collect();
    let tensor = Tensor::from_vec([bias.len()], ints)
        .map_err(|e| GraphError::Patch { patch: "quantize".into(), why: e.to_string() })?
        .cast(dtype);
    let per_axis = scales.len() > 1 || bias.len() == 1;
    let quant = if per_axis && scales.len() == bias.len() {
        Quant::symmetric(0, scales)
    } else {
        Quant::per_tensor(scales[0], 0)
    };
    Ok((tensor, quant))
}

/// Scales wide enough for every bias to fit `i32` with a factor of two to spare; a scale that has to
/// grow costs weight resolution, which a bias that large does not let matter.
pub(crate) fn widen_for_bias(scales: &mut [f32], bias: &[f32], input: f32) {
    let most = f64::from(1_u32 << 30);
    for (o, b) in bias.iter().enumerate() {
        let at = o.min(scales.len().saturating_sub(1));
        if let Some(scale) = scales.get_mut(at) {
            let needed = (f64::from(b.abs()) / (f64::from(input) * most)) as f32;
            *scale = scale.max(needed);
        }
    }
}

/// Weights of `u8` with one scale and zero point, wide enough for the bias.
pub(crate) fn unsigned(
    data: &ConstData,
    real: &[f32],
    bias: Option<&[f32]>,
    input: f32,
) -> Result<(ConstData, Quant), TensorError> {
    let (low, high) = real.iter().fold((0.0_f32, 0.0_f32), |(l, h), x| (l.min(*x), h.max(*x)));
    let narrow = Quant::covering(low, high, DType::U8);
    let mut scale = narrow.scales().to_vec();
    widen_for_bias(&mut scale, bias.unwrap_or_default(), input);
    let wider = scale[0] / narrow.scales()[0];
    let quant = Quant::covering(low * wider, high * wider, DType::U8);
    let stored = quant.quantize(&Tensor::from_vec(data.shape(), real.to_vec())?, DType::U8)?;
    Ok((consts::with_elements(data, &stored)?, quant))
}
