//! The kernels, one file an op.

mod batch_norm;
mod binary;
mod concat;
mod conv2d;
mod conv_transpose2d;
mod dense;
mod einsum;
mod gather;
mod layout;
mod lstm_integer;
mod matmul;
mod normalize;
mod order;
mod pad;
mod pool;
mod quantize;
mod recurrent;
mod reduce;
mod resize;
mod softmax;
mod svdf;
mod unary;
mod window;

use crate::kernel::{Call, Done, Fault, Types};
use crate::quantized::is_quantized;
use paring_tensor::half::{bf16, f16};
use paring_tensor::{DType, Tensor, TensorError, TensorType};

/// A tensor of any floating-point type from `f32`.
fn floats(shape: &[usize], x: Vec<f32>, dtype: DType) -> Result<Vec<Tensor>, TensorError> {
    let t = match dtype {
        DType::F32 => Tensor::from_vec(shape, x)?,
        DType::F16 => Tensor::from_vec(shape, x.into_iter().map(f16::from_f32).collect())?,
        DType::BF16 => Tensor::from_vec(shape, x.into_iter().map(bf16::from_f32).collect())?,
        other => Tensor::from_vec(shape, x)?.cast(other),
    };
    Ok(vec![t])
}

/// For ops that are defined on real numbers.
fn floats_only(op: &str, dtype: DType) -> Result<(), String> {
    if dtype.is_float() {
        return Ok(());
    }
    Err(format!("{op} of {dtype} elements; cast them to a floating-point type"))
}

/// For ops that move or compare numbers without looking at quantization.
fn anything(_: Types<'_>) -> Result<(), String> {
    Ok(())
}

/// For ops without an integer kernel of their own: quantized operands are served through real numbers.
fn through_real_support(types: Types<'_>) -> Result<(), String> {
    for ty in types.inputs.iter().chain(types.outputs) {
        if !is_quantized(ty) && ty.dtype != DType::F32 {
            return Err(format!("{ty} among quantized operands; only f32 goes with them"));
        }
    }
    Ok(())
}

/// Runs a kernel of `f32` operands on quantized ones: takes the real numbers that they stand for, and
/// rounds the results to the nearest stored numbers, ties away from zero.
fn through_real(call: &Call<'_>, run: impl Fn(&Call<'_>) -> Done) -> Done {
    let plain = |ty: &TensorType| {
        let dtype = if is_quantized(ty) { DType::F32 } else { ty.dtype };
        TensorType::new(dtype, ty.shape.clone())
    };
    let in_types: Vec<TensorType> = call.types.inputs.iter().map(|t| plain(t)).collect();
    let out_types: Vec<TensorType> = call.types.outputs.iter().map(|t| plain(t)).collect();
    let inputs = call
        .inputs
        .iter()
        .zip(call.types.inputs)
        .map(|(x, ty)| match &ty.quant {
            Some(q) if ty.dtype.is_integer() => q.dequantize(x),
            _ => Ok(x.clone()),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let (in_refs, out_refs): (Vec<_>, Vec<_>) =
        (in_types.iter().collect(), out_types.iter().collect());
    let types = Types { inputs: &in_refs, outputs: &out_refs };
    let outputs = run(&Call { inputs: &inputs, types, rounding: call.rounding })?;
    outputs
        .into_iter()
        .zip(call.types.outputs)
        .map(|(y, ty)| match &ty.quant {
            Some(q) if ty.dtype.is_integer() => Ok(q.quantize(&y, ty.dtype)?),
            _ => Ok(y),
        })
        .collect::<Result<_, Fault>>()
}

/// Whether any operand or result is a quantized integer.
fn any_quantized(types: Types<'_>) -> bool {
    types.inputs.iter().chain(types.outputs).any(|t| is_quantized(t))
}
