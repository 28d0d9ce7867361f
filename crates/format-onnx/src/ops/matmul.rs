//! Matrix products.

use super::{Entry, Outcome};
use crate::cx::{Cx, Step};
use crate::reject::Reject;
use paring_ir::ValueId;
use paring_ir::ops::{Binary, BinaryFn, Dense, Einsum, MatMul};
use paring_tensor::{DType, Tensor};

pub(super) const ENTRIES: &[Entry] =
    &[Entry::new("MatMul", matmul), Entry::new("Gemm", gemm), Entry::new("Einsum", einsum)];

/// The matrix product of two inputs by NumPy's rule, where vectors count as rows or columns.
pub(super) fn product(cx: &mut Cx<'_, '_>, a: ValueId, b: ValueId) -> Result<ValueId, Reject> {
    let (left, right) = (cx.shape(a)?, cx.shape(b)?);
    if left.is_empty() || right.is_empty() {
        return Err(Reject::malformed("the product of a scalar"));
    }
    let a = if let [k] = left[..] { cx.reshape(a, &[1, k])? } else { a };
    let b = if let [k] = right[..] { cx.reshape(b, &[k, 1])? } else { b };
    let y = cx.emit(MatMul {}, &[a, b])?;
    let mut shape = cx.shape(y)?;
    if right.len() == 1 {
        shape.pop();
    }
    if left.len() == 1 {
        shape.remove(shape.len() - usize::from(right.len() != 1) - 1);
    }
    cx.reshape(y, &shape)
}

/// Whether an input is a constant, or one behind a dequantization.
fn is_weight(cx: &Cx<'_, '_>, i: usize) -> bool {
    use crate::build::Val;
    use paring_ir::ops::Dequantize;
    match &cx.inputs[i] {
        Val::Const(_) => true,
        Val::Node(id) => {
            let graph = &cx.build.graph;
            graph
                .producer(*id)
                .is_some_and(|n| n.op.is::<Dequantize>() && graph.constant(n.inputs()[0]).is_some())
        }
        _ => false,
    }
}

pub(super) fn matmul(cx: &mut Cx<'_, '_>) -> Outcome {
    let (left, right) = (cx.input_shape(0)?, cx.input_shape(1)?);
    let float = cx.input_type(0)?.dtype == DType::F32;
    let y = if float && left.len() >= 2 && right.len() == 2 && is_weight(cx, 1) {
        let x = cx.input(0)?;
        let w = cx.rearranged(1, &[Step::Order(vec![1, 0])])?;
        cx.emit(Dense::default(), &[x, w])?
    } else {
        let (a, b) = (cx.input(0)?, cx.input(1)?);
        product(cx, a, b)?
    };
    cx.set(0, y);
    Ok(())
}

fn scaled(tensor: &Tensor, factor: f32) -> Result<Tensor, Reject> {
    if factor == 1.0 {
        return Ok(tensor.clone());
    }
    let data = tensor.to_f32().into_iter().map(|x| x * factor).collect();
    Ok(Tensor::from_vec(tensor.shape(), data)?)
}

fn times(cx: &mut Cx<'_, '_>, x: ValueId, factor: f32) -> Result<ValueId, Reject> {
    if factor == 1.0 {
        return Ok(x);
    }
    let factor = cx.scalar_like(x, f64::from(factor))?;
    cx.aux(Binary::new(BinaryFn::Mul), &[x, factor])
}

pub(super) fn gemm(cx: &mut Cx<'_, '_>) -> Outcome {
    let (alpha, beta) = (cx.float("alpha", 1.0)?, cx.float("beta", 1.0)?);
    let (trans_a, trans_b) = (cx.flag("transA", false)?, cx.flag("transB", false)?);
    let (&[_, _], &[rows, columns]) = (&*cx.input_shape(0)?, &*cx.input_shape(1)?) else {
        return Err(Reject::malformed("the operands are not matrices"));
    };
    let outputs = if trans_b { rows } else { columns };
    let a = cx.input(0)?;
    let a = if trans_a { cx.transpose(a, &[1, 0])? } else { a };
    let float = cx.dtype(a) == DType::F32;
    if !(float && is_weight(cx, 1)) {
        let b = cx.input(1)?;
        let b = if trans_b { cx.transpose(b, &[1, 0])? } else { b };
        let y = cx.emit(MatMul {}, &[a, b])?;
        let y = times(cx, y, alpha)?;
        let y = plus(cx, y, beta)?;
        cx.set(0, y);
        return Ok(());
    }
    let order = Step::Order(if trans_b { vec![0, 1] } else { vec![1, 0] });
    let mut factor = 1.0;
    if let (Some(t), true) = (cx.constant(1).cloned(), alpha != 1.0) {
        let t = scaled(&t, alpha)?;
        cx.inputs[1] = crate::build::Val::constant(format!("{}.weights", cx.name), t);
    } else {
        factor = alpha;
    }
    let weights = cx.rearranged(1, &[order])?;
    let mut operands = vec![a, weights];
    let bias = match cx.constant(2).cloned() {
        Some(t) if beta == 1.0 && t.shape() == [outputs] => Some(cx.input(2)?),
        Some(t)
            if t.shape().iter().product::<usize>() == t.shape().last().copied().unwrap_or(1) =>
        {
            // One number for all, or one for each output.
            let t = scaled(&t, beta)?.reshape([t.len()])?;
            let t = if t.len() == 1 && outputs != 1 {
                let x = t.to_f32();
                Tensor::from_vec([outputs], vec![x.first().copied().unwrap_or(0.0); outputs])?
            } else {
                t
            };
            Some(cx.konst("bias", t)?)
        }
        _ => {
            // A bias that is dequantized, or given, but one for each output.
            match cx.opt_input(2)? {
                Some(b) if beta == 1.0 && cx.shape(b)? == [outputs] => Some(b),
                _ => None,
            }
        }
    };
    if factor == 1.0
        && let Some(bias) = bias
    {
        operands.push(bias);
        let y = cx.emit(Dense::default(), &operands)?;
        cx.set(0, y);
        return Ok(());
    }
    let y = cx.emit(Dense::default(), &operands)?;
    let y = times(cx, y, factor)?;
    let y = plus(cx, y, beta)?;
    cx.set(0, y);
    Ok(())
}

/// Adds `beta` times the third operand of a `Gemm`.
fn plus(cx: &mut Cx<'_, '_>, y: ValueId, beta: f32) -> Result<ValueId, Reject> {
    let Some(c) = cx.opt_input(2)? else { return Ok(y) };
    if beta == 0.0 {
        return Ok(y);
    }
    let c = times(cx, c, beta)?;
    cx.aux(Binary::new(BinaryFn::Add), &[y, c])
}

/// Ellipses are spelled out, and the result is stated.
fn einsum(cx: &mut Cx<'_, '_>) -> Outcome {
    let inputs = cx.all_inputs()?;
    let equation: String =
        cx.text("equation", "")?.chars().filter(|c| !c.is_whitespace()).collect();
    let fail = || Reject::malformed(format!("equation `{equation}`"));
    let (left, right) = match equation.split_once("->") {
        Some((l, r)) => (l.to_owned(), Some(r.to_owned())),
        None => (equation.clone(), None),
    };
    let terms: Vec<&str> = left.split(',').collect();
    if terms.len() != inputs.len() {
        return Err(fail());
    }
    let ascii = |t: &str| t.replace("...", "").chars().all(|c| c.is_ascii_alphabetic());
    if !terms.iter().all(|t| ascii(t)) || !right.as_ref().is_none_or(|r| ascii(r)) {
        return Err(fail());
    }
    let mut hidden = 0;
    for (term, id) in terms.iter().zip(&inputs) {
        let letters = term.replace("...", "").len();
        let spare = cx.shape(*id)?.len().checked_sub(letters).ok_or_else(fail)?;
        if term.contains("...") {
            hidden = hidden.max(spare);
        } else if spare != 0 {
            return Err(fail());
        }
    }
    let free: Vec<char> = ('A'..='Z').chain('a'..='z').filter(|c| !equation.contains(*c)).collect();
    let extra: String = free.iter().take(hidden).collect();
    if extra.len() != hidden {
        return Err(fail());
    }
    let mut operands = Vec::new();
    for (term, id) in terms.iter().zip(&inputs) {
        let own = cx.shape(*id)?.len() - term.replace("...", "").len();
        operands.push(term.replacen("...", &extra[hidden - own..], 1));
    }
    let result = match right {
        Some(r) => r.replacen("...", &extra, 1),
        None => {
            let all: String = terms.concat().replace("...", "");
            let mut once: Vec<char> =
                all.chars().filter(|c| all.matches(*c).count() == 1).collect();
            once.sort_unstable();
            extra.chars().chain(once).collect()
        }
    };
    let equation = format!("{}->{result}", operands.join(","));
    let y = cx.emit(Einsum { equation }, &inputs)?;
    cx.set(0, y);
    Ok(())
}
