use super::window::{Mac, vector_matrix};
use crate::kernel::{Call, Done, Types, one, room};
use crate::quantized::{Affine, centred, is_quantized, scale, stored};
use crate::register_kernel;
use crate::walk::{broadcast_strides, walk};
use paring_ir::ops::MatMul;
use paring_qmath::Multiplier;
use paring_tensor::DType;

register_kernel!(MatMul, support, run);

fn support(_: &MatMul, types: Types<'_>) -> Result<(), String> {
    let (a, b, y) = (types.inputs[0], types.inputs[1], types.outputs[0]);
    if super::any_quantized(types) {
        for (what, ty) in [("the left operand", a), ("the right operand", b), ("the result", y)] {
            let q = Affine::of(what, ty)?;
            if !is_quantized(ty) || !matches!(q.dtype, DType::I8 | DType::U8 | DType::I16) {
                return Err(format!("{what} of an integer matrix product is {ty}"));
            }
        }
        return Ok(());
    }
    if a.dtype.is_float() || matches!(a.dtype, DType::I32 | DType::I64) {
        return Ok(());
    }
    Err(format!("a matrix product of {}; cast the operands", a.dtype))
}

/// Every product of two matrices that broadcasting brings together.
fn products<T: Mac<A>, A: Copy + Default>(
    call: &Call<'_>,
    a: &[T],
    b: &[T],
    row_times: impl Fn(&[T], &[T], &mut [A]),
) -> Result<Vec<A>, crate::Fault> {
    let shape = call.out_shape(0)?;
    let (sa, sb) = (call.shape(0), call.shape(1));
    let (m, k, n) = (sa[sa.len() - 2], sa[sa.len() - 1], sb[sb.len() - 1]);
    let outer = &shape[..shape.len() - 2];
    let steps_a = broadcast_strides(&sa[..sa.len() - 2], outer);
    let steps_b = broadcast_strides(&sb[..sb.len() - 2], outer);
    let mut y = room(shape.iter().product())?;
    walk(outer, [&steps_a, &steps_b], [0, 0], |[i, j]| {
        let (left, right) = (&a[i * m * k..(i + 1) * m * k], &b[j * k * n..(j + 1) * k * n]);
        for r in 0..m {
            let at = y.len();
            y.resize(at + n, A::default());
            row_times(&left[r * k..(r + 1) * k], right, &mut y[at..]);
        }
    });
    Ok(y)
}

fn real<T: Mac<T>>(row: &[T], right: &[T], out: &mut [T]) {
    if !out.is_empty() {
        vector_matrix(row, right, out);
    }
}

fn run(_: &MatMul, call: &Call<'_>) -> Done {
    let shape = call.out_shape(0)?;
    if super::any_quantized(call.types) {
        return integer(call);
    }
    match call.dtype(0) {
        DType::F64 => one(shape, products(call, &call.view(0)?, &call.view(1)?, real::<f64>)?),
        DType::I32 => one(shape, products(call, &call.view(0)?, &call.view(1)?, real::<i32>)?),
        DType::I64 => one(shape, products(call, &call.view(0)?, &call.view(1)?, real::<i64>)?),
        dtype => {
            let (a, b) = (call.inputs[0].to_f32(), call.inputs[1].to_f32());
            Ok(super::floats(&shape, products(call, &a, &b, real::<f32>)?, dtype)?)
        }
    }
}

/// TFLite's integer `BATCH_MATMUL`.
fn integer(call: &Call<'_>) -> Done {
    let [ta, tb, ..] = call.types.inputs else { return Err("operands".to_owned().into()) };
    let (qa, qb) = (Affine::of("an operand", ta)?, Affine::of("an operand", tb)?);
    let ty = call.types.outputs[0];
    let to = Affine::of("the result", ty)?;
    let (a, b) = (centred(&call.inputs[0], qa.zero)?, centred(&call.inputs[1], qb.zero)?);
    let sums: Vec<i64> = products(call, &a, &b, |row, right, out: &mut [i64]| {
        let n = out.len().max(1);
        for (x, line) in row.iter().zip(right.chunks_exact(n)) {
            for (sum, w) in out.iter_mut().zip(line) {
                *sum += i64::from(i32::from(*x) * i32::from(*w));
            }
        }
    })?;
    // The scales of the operands are multiplied in single precision.
    let m = Multiplier::from_real(f64::from(qa.scale * qb.scale) / f64::from(to.scale));
    let wide = qa.dtype == DType::I16;
    let q = sums
        .into_iter()
        .map(|sum| {
            let y = if wide { m.apply_wide(sum) } else { scale(m, sum as i32) };
            to.cut(y.saturating_add(to.zero))
        })
        .collect();
    Ok(vec![stored(ty.dtype, &call.out_shape(0)?, q)?])
}
