use crate::kernel::{Call, Done, Types, room};
use crate::quantized::{Affine, ints, is_quantized, scale, stored};
use crate::register_kernel;
use crate::walk::around;
use paring_ir::ops::Concat;
use paring_qmath::Multiplier;
use paring_tensor::Tensor;

register_kernel!(Concat, support, run);

fn support(_: &Concat, types: Types<'_>) -> Result<(), String> {
    if super::any_quantized(types) {
        Affine::of("the output", types.outputs[0])?;
        for input in types.inputs {
            Affine::of("an input", input)?;
        }
    }
    Ok(())
}

fn run(op: &Concat, call: &Call<'_>) -> Done {
    let ty = call.types.outputs[0];
    let mut inputs = call.inputs.to_vec();
    if is_quantized(ty) {
        let to = Affine::of("the output", ty)?;
        for (x, ty) in inputs.iter_mut().zip(call.types.inputs) {
            let from = Affine::of("an input", ty)?;
            if (from.scale, from.zero, from.dtype) != (to.scale, to.zero, to.dtype) {
                *x = rescale(x, from, to)?;
            }
        }
    }
    let shape = call.out_shape(0)?;
    let (outer, _, inner) = around(&shape, op.axis);
    let size = ty.dtype.size();
    let mut bytes: Vec<u8> = room(shape.iter().product::<usize>() * size)?;
    for o in 0..outer {
        for x in &inputs {
            let run = x.shape()[op.axis] * inner * size;
            bytes.extend_from_slice(&x.bytes()[o * run..(o + 1) * run]);
        }
    }
    Ok(vec![Tensor::new(ty.dtype, shape, bytes.into())?])
}

/// Brings stored numbers to the output's quantization. TFLite has this for unsigned 8-bit numbers only,
/// in single precision; signed ones are requantized in integers as `QUANTIZE` would do it.
fn rescale(x: &Tensor, from: Affine, to: Affine) -> Result<Tensor, crate::Fault> {
    let data = ints(x)?;
    let q = if from.dtype == paring_tensor::DType::U8 && to.dtype == from.dtype {
        let inverse = 1.0 / to.scale;
        let factor = from.scale * inverse;
        let bias = -(from.zero as f32) * factor;
        data.into_iter()
            .map(|x| to.cut((x as f32 * factor + bias).round() as i32 + to.zero))
            .collect()
    } else {
        let m = Multiplier::from_real(f64::from(from.scale) / f64::from(to.scale));
        data.into_iter().map(|x| to.cut(scale(m, x - from.zero).saturating_add(to.zero))).collect()
    };
    stored(to.dtype, x.shape(), q)
}
