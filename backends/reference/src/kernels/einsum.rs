use crate::kernel::{Call, Done, Fault, Types, room};
use crate::register_kernel;
use crate::walk::strides;
use paring_ir::ops::Einsum;
use paring_tensor::{DType, Tensor};

register_kernel!(Einsum, support, run);

fn support(_: &Einsum, types: Types<'_>) -> Result<(), String> {
    let dtype = types.inputs[0].dtype;
    if super::any_quantized(types) || dtype == DType::Bool {
        return Err(format!("einsum of {}; dequantize or cast first", types.inputs[0]));
    }
    Ok(())
}

/// Counts through all indices of a shape in row-major order.
fn count(index: &mut [usize], shape: &[usize]) -> bool {
    for axis in (0..shape.len()).rev() {
        index[axis] += 1;
        if index[axis] < shape[axis] {
            return true;
        }
        index[axis] = 0;
    }
    false
}

fn run(op: &Einsum, call: &Call<'_>) -> Done {
    let internal = |e: paring_ir::OpError| Fault::Internal(e.to_string());
    let (operands, result) = op.terms().map_err(internal)?;
    let extents = op.extents(call.types.inputs).map_err(internal)?;
    let summed: Vec<char> = extents.keys().copied().filter(|c| !result.contains(c)).collect();
    let letters: Vec<char> = result.iter().chain(&summed).copied().collect();
    let extent = |c: &char| extents.get(c).and_then(|d| d.fixed()).unwrap_or(1);
    let (outer, inner): (Vec<usize>, Vec<usize>) =
        (result.iter().map(extent).collect(), summed.iter().map(extent).collect());
    // Of each operand, how far a step of each letter goes; an axis of extent 1 stays.
    let steps: Vec<Vec<usize>> = operands
        .iter()
        .zip(call.inputs)
        .map(|(own, x)| {
            let strides = strides(x.shape());
            letters
                .iter()
                .map(|c| {
                    let axes = own.iter().enumerate().filter(|(_, o)| *o == c);
                    axes.filter(|(a, _)| x.shape()[*a] > 1).map(|(a, _)| strides[a] as usize).sum()
                })
                .collect()
        })
        .collect();
    let values: Vec<Vec<f64>> = call.inputs.iter().map(Tensor::to_f64).collect();
    let whole: Vec<Vec<i64>> = call.inputs.iter().map(Tensor::to_i64).collect();
    let float = call.dtype(0).is_float();
    let (mut real, mut exact) = (room(outer.iter().product())?, room(outer.iter().product())?);
    if outer.contains(&0) {
        return Ok(vec![Tensor::zeros(call.dtype(0), outer)?]);
    }
    let mut at = vec![0; outer.len()];
    loop {
        let (mut sum, mut int_sum) = (0.0_f64, 0_i64);
        let mut within = vec![0; inner.len()];
        if !inner.contains(&0) {
            loop {
                let offsets = steps.iter().map(|s| {
                    at.iter().chain(&within).zip(s).map(|(i, step)| i * step).sum::<usize>()
                });
                if float {
                    sum += offsets.zip(&values).map(|(o, v)| v[o]).product::<f64>();
                } else {
                    let product = offsets.zip(&whole).fold(1_i64, |p, (o, v)| p.wrapping_mul(v[o]));
                    int_sum = int_sum.wrapping_add(product);
                }
                if !count(&mut within, &inner) {
                    break;
                }
            }
        }
        real.push(sum);
        exact.push(int_sum);
        if !count(&mut at, &outer) {
            break;
        }
    }
    let y = if float { Tensor::from_vec(outer, real)? } else { Tensor::from_vec(outer, exact)? };
    Ok(vec![y.cast(call.dtype(0))])
}
