use crate::kernel::{Call, Done, Types, one, room};
use crate::register_kernel;
use paring_ir::ops::BatchNorm;
use paring_tensor::DType;

register_kernel!(BatchNorm, support, run);

fn support(_: &BatchNorm, types: Types<'_>) -> Result<(), String> {
    if super::any_quantized(types) {
        return Err("batch normalization of quantized numbers; fold it before quantizing".into());
    }
    super::floats_only("batch normalization", types.inputs[0].dtype)
}

fn run(op: &BatchNorm, call: &Call<'_>) -> Done {
    let shape = call.shape(0);
    if call.dtype(0) == DType::F64 {
        let p: Vec<Vec<f64>> = call.inputs[1..].iter().map(|t| t.to_f64()).collect();
        let x = call.view::<f64>(0)?;
        let mut y = room(x.len())?;
        for pixel in x.chunks_exact(p[0].len().max(1)) {
            y.extend(pixel.iter().enumerate().map(|(c, x)| {
                p[0][c] * (x - p[2][c]) / (p[3][c] + f64::from(op.epsilon)).sqrt() + p[1][c]
            }));
        }
        return one(shape, y);
    }
    let p: Vec<Vec<f32>> = call.inputs[1..].iter().map(|t| t.to_f32()).collect();
    let factor: Vec<f32> =
        p[0].iter().zip(&p[3]).map(|(scale, var)| scale / (var + op.epsilon).sqrt()).collect();
    let x = call.inputs[0].to_f32();
    let mut y = room(x.len())?;
    for pixel in x.chunks_exact(factor.len().max(1)) {
        y.extend(pixel.iter().enumerate().map(|(c, x)| (x - p[2][c]) * factor[c] + p[1][c]));
    }
    Ok(super::floats(shape, y, call.dtype(0))?)
}
