use super::conv2d::clamp_f32;
use crate::kernel::{Call, Done, Fault, Types, room};
use crate::quantized::{Affine, ints, scale, stored};
use crate::register_kernel;
use paring_ir::ops::Svdf;
use paring_qmath::Multiplier;
use paring_tensor::{DType, Tensor};

register_kernel!(Svdf, support, run);

fn support(_: &Svdf, types: Types<'_>) -> Result<(), String> {
    if super::any_quantized(types) {
        for ty in [types.inputs[0], types.inputs[1], types.inputs[2], types.inputs[4]] {
            Affine::of("an operand", ty)?;
        }
        Affine::of("the output", types.outputs[0])?;
        let (x, bias) = (types.inputs[0].dtype, types.inputs[3].dtype);
        if x != DType::I8 || bias != DType::I32 {
            return Err(format!("inputs of {x} with a bias of {bias}; i8 and i32 are served"));
        }
        return Ok(());
    }
    match types.inputs.iter().find(|t| t.dtype != DType::F32) {
        Some(ty) => Err(format!("an operand {ty}; f32 is served")),
        None => Ok(()),
    }
}

/// The state with every filter's memory moved by one and its newest answer put at the end.
fn remember<T: Copy>(state: &[T], newest: &[T], memory: usize) -> Result<Vec<T>, Fault> {
    let mut next = room(state.len())?;
    for (old, new) in state.chunks_exact(memory).zip(newest) {
        next.extend_from_slice(&old[1..]);
        next.push(*new);
    }
    Ok(next)
}

fn run(op: &Svdf, call: &Call<'_>) -> Done {
    let (&[batch, inputs], &[filters, memory]) = (call.shape(0), call.shape(2)) else {
        return Err("operands".to_owned().into());
    };
    if super::any_quantized(call.types) {
        return integer(op, call, batch, inputs, filters, memory);
    }
    let (x, feature, time) = (call.view::<f32>(0)?, call.view::<f32>(1)?, call.view::<f32>(2)?);
    let (bias, state) = (call.view::<f32>(3)?, call.view::<f32>(4)?);
    let newest: Vec<f32> = (0..batch * filters)
        .map(|i| {
            let (b, f) = (i / filters, i % filters);
            let (x, w) = (&x[b * inputs..][..inputs], &feature[f * inputs..][..inputs]);
            x.iter().zip(w).map(|(x, w)| x * w).sum()
        })
        .collect();
    let next = remember(&state, &newest, memory)?;
    let clamp = clamp_f32(op.activation);
    let units = filters / op.rank;
    let y = (0..batch * units)
        .map(|i| {
            let (b, u) = (i / units, i % units);
            let mut sum = bias[u];
            for f in u * op.rank..(u + 1) * op.rank {
                let memories = &next[(b * filters + f) * memory..][..memory];
                sum += memories.iter().zip(&time[f * memory..]).map(|(s, w)| s * w).sum::<f32>();
            }
            clamp(sum)
        })
        .collect();
    Ok(vec![Tensor::from_vec([batch, units], y)?, Tensor::from_vec(call.shape(4), next)?])
}

/// TFLite's integer `SVDF`: answers are stored in the state's scale, the units in the output's.
fn integer(
    op: &Svdf,
    call: &Call<'_>,
    batch: usize,
    inputs: usize,
    filters: usize,
    memory: usize,
) -> Done {
    let affine = |i: usize| Affine::of("an operand", call.types.inputs[i]);
    let (from, feature_q, time_q, state_q) = (affine(0)?, affine(1)?, affine(2)?, affine(4)?);
    let to = Affine::of("the output", call.types.outputs[0])?;
    let (x, feature, time) =
        (ints(&call.inputs[0])?, ints(&call.inputs[1])?, ints(&call.inputs[2])?);
    let (bias, state) = (ints(&call.inputs[3])?, ints(&call.inputs[4])?);
    // Both factors are computed in single precision.
    let first = Multiplier::from_real(f64::from(from.scale * feature_q.scale / state_q.scale));
    let second = Multiplier::from_real(f64::from(state_q.scale * time_q.scale / to.scale));
    let newest: Vec<i32> = (0..batch * filters)
        .map(|i| {
            let (b, f) = (i / filters, i % filters);
            let (x, w) = (&x[b * inputs..][..inputs], &feature[f * inputs..][..inputs]);
            let sum = x.iter().zip(w).fold(0_i32, |s, (x, w)| s.wrapping_add((x - from.zero) * w));
            state_q.cut(scale(first, sum).saturating_add(state_q.zero))
        })
        .collect();
    let next = remember(&state, &newest, memory)?;
    let units = filters / op.rank;
    let q = (0..batch * units)
        .map(|i| {
            let (b, u) = (i / units, i % units);
            let mut sum = bias[u];
            for f in u * op.rank..(u + 1) * op.rank {
                let memories = &next[(b * filters + f) * memory..][..memory];
                for (s, w) in memories.iter().zip(&time[f * memory..]) {
                    sum = sum.wrapping_add((s - state_q.zero).wrapping_mul(*w));
                }
            }
            to.cut(scale(second, sum).saturating_add(to.zero))
        })
        .collect();
    let state = stored(state_q.dtype, call.shape(4), next)?;
    Ok(vec![stored(to.dtype, &[batch, units], q)?, state])
}
