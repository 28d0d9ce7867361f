//! Attention: sums of values, weighed by how well their keys fit a query.

use super::Read;
use crate::build::LayerCx;
use crate::error::Result;
use paring_ir::ValueId;
use paring_ir::ops::{
    Binary, BinaryFn, Dense, MatMul, Reduce, ReduceFn, Reshape, Softmax, Transpose, Unary,
};
use serde_json::Value;

pub(super) const READERS: &[(&str, Read)] =
    &[("Attention", dot), ("AdditiveAttention", additive), ("MultiHeadAttention", heads)];

/// Query, value and key. No step may be masked.
fn operands(cx: &LayerCx<'_, '_>) -> Result<[ValueId; 3]> {
    let asks = |(name, value): (&String, &Value)| {
        name != "training" && value != &Value::Bool(false) && !value.is_null()
    };
    if cx.masks.iter().any(Option::is_some) || cx.keywords.iter().any(asks) {
        return Err(cx.layer.unsupported("a mask, or scores as an output"));
    }
    if cx.named.iter().any(|(n, _)| !matches!(n.as_str(), "query" | "value" | "key")) {
        return Err(cx.layer.unsupported("a mask"));
    }
    let named = |key: &str| {
        let at = cx.named.iter().find(|(n, _)| n == key).map(|(_, i)| *i);
        at.and_then(|i| cx.inputs.get(i)).copied()
    };
    let plain = |i: usize| {
        let taken = cx.named.iter().any(|(_, at)| *at == i);
        cx.inputs.get(i).filter(|_| !taken).copied()
    };
    let missing = || cx.layer.bad("a query or a value is missing");
    let query = named("query").or_else(|| plain(0)).ok_or_else(missing)?;
    let value = named("value").or_else(|| plain(1)).ok_or_else(missing)?;
    let key = named("key").or_else(|| plain(2)).unwrap_or(value);
    for id in [query, value, key] {
        if cx.shape(id)?.len() != 3 {
            return Err(cx.layer.unsupported("other than sequences of vectors"));
        }
    }
    Ok([query, value, key])
}

/// Values weighed by the scores `[.., queries, keys]`.
fn weighed(cx: &mut LayerCx<'_, '_>, scores: ValueId, value: ValueId) -> Result<ValueId> {
    let axis = cx.shape(scores)?.len().saturating_sub(1);
    let weights = cx.side("weights", Softmax { axis, beta: 1.0, log: false }, &[scores])?;
    cx.side("weighed", MatMul {}, &[weights, value])
}

fn dot(cx: &mut LayerCx<'_, '_>) -> Result<ValueId> {
    let [query, value, key] = operands(cx)?;
    if cx.layer.text("score_mode").unwrap_or("dot") != "dot" {
        return Err(cx.layer.unsupported("scores that are not products"));
    }
    let key = cx.side("keys", Transpose { perm: vec![0, 2, 1] }, &[key])?;
    let mut scores = cx.side("scores", MatMul {}, &[query, key])?;
    if cx.layer.flag("use_scale", false) {
        let scale = cx.weight("scale", 0)?;
        let scale = cx.constant("scale", scale)?;
        scores = cx.side("scaled", Binary::new(BinaryFn::Mul), &[scores, scale])?;
    }
    let axis = 2;
    let weights = cx.side("weights", Softmax { axis, beta: 1.0, log: false }, &[scores])?;
    cx.node(MatMul {}, &[weights, value])
}

fn additive(cx: &mut LayerCx<'_, '_>) -> Result<ValueId> {
    let [query, value, key] = operands(cx)?;
    let (q, k) = (cx.shape(query)?, cx.shape(key)?);
    let query = cx.side("queries", Reshape::to(&[q[0], q[1], 1, q[2]]), &[query])?;
    let key = cx.side("keys", Reshape::to(&[k[0], 1, k[1], k[2]]), &[key])?;
    let sum = cx.side("sums", Binary::new(BinaryFn::Add), &[query, key])?;
    let mut bent = cx.side("bent", Unary::Tanh, &[sum])?;
    if cx.layer.flag("use_scale", true) {
        let scale = cx.weight("scale", 0)?;
        let scale = cx.constant("scale", scale)?;
        bent = cx.side("scaled", Binary::new(BinaryFn::Mul), &[bent, scale])?;
    }
    let sum = Reduce { f: ReduceFn::Sum, axes: vec![3], keep_dims: false };
    let scores = cx.side("scores", sum, &[bent])?;
    let weights = cx.side("weights", Softmax { axis: 2, beta: 1.0, log: false }, &[scores])?;
    cx.node(MatMul {}, &[weights, value])
}

/// Several heads, each with projections of its own.
fn heads(cx: &mut LayerCx<'_, '_>) -> Result<ValueId> {
    let [query, value, key] = operands(cx)?;
    let count = cx.layer.count("num_heads")?;
    let per = if cx.layer.flag("use_bias", true) { 2 } else { 1 };
    let one = cx.layer.list("attention_axes")?.is_none_or(|a| a == [1]);
    if !one {
        return Err(cx.layer.unsupported("other than one axis of steps"));
    }
    let mut parts = Vec::new();
    for (i, (name, x)) in [("query", query), ("key", key), ("value", value)].iter().enumerate() {
        let weights = cx.at.weights.part(&format!("{name}_dense"), i * per, per);
        let kernel = cx.weight_of(&weights, "kernel", 0)?;
        let (&[depth, n, size], &[batch, time, _]) = (kernel.shape(), cx.shape(*x)?.as_slice())
        else {
            return Err(cx.layer.bad("a projection is no kernel of heads"));
        };
        if n != count {
            return Err(cx.layer.bad(format!("{n} projections for {count} heads")));
        }
        let Some(wide) = n.checked_mul(size) else { return Err(cx.layer.bad("too many heads")) };
        let mut kernel = kernel.reshape([depth, wide])?.transpose(&[1, 0])?;
        let mut bias = match per {
            2 => Some(cx.weight_of(&weights, "bias", 1)?.reshape([wide])?),
            _ => None,
        };
        if i == 0 {
            // The scale of the scores goes into the queries.
            let by = 1.0 / (size.max(1) as f32).sqrt();
            let scaled = |t: &paring_tensor::Tensor| {
                let numbers = t.to_f32().into_iter().map(|x| x * by).collect();
                paring_tensor::Tensor::from_vec(t.shape(), numbers)
            };
            kernel = scaled(&kernel)?;
            bias = bias.as_ref().map(scaled).transpose()?;
        }
        let mut inputs = vec![*x, cx.constant(&format!("{name}/kernel"), kernel)?];
        if let Some(bias) = bias {
            inputs.push(cx.constant(&format!("{name}/bias"), bias)?);
        }
        let y = cx.side(name, Dense::default(), &inputs)?;
        let y = cx.side("heads", Reshape::to(&[batch, time, n, size]), &[y])?;
        let perm = if i == 1 { vec![0, 2, 3, 1] } else { vec![0, 2, 1, 3] };
        parts.push(cx.side("by_head", Transpose { perm }, &[y])?);
    }
    let scores = cx.side("scores", MatMul {}, &parts[..2])?;
    let y = weighed(cx, scores, parts[2])?;
    let y = cx.side("by_step", Transpose { perm: vec![0, 2, 1, 3] }, &[y])?;
    let &[batch, time, n, size] = cx.shape(y)?.as_slice() else {
        return Err(cx.layer.bad("its heads have no values"));
    };
    let wide = n * size;
    let y = cx.side("joined", Reshape::to(&[batch, time, wide]), &[y])?;
    let weights = cx.at.weights.part("output_dense", 3 * per, per);
    let kernel = cx.weight_of(&weights, "kernel", 0)?;
    let Some(&outputs) = kernel.shape().last().filter(|_| kernel.shape().len() == 3) else {
        return Err(cx.layer.unsupported("an output of several axes"));
    };
    let kernel = kernel.reshape([wide, outputs])?.transpose(&[1, 0])?;
    let mut inputs = vec![y, cx.constant("output/kernel", kernel)?];
    if per == 2 {
        let bias = cx.weight_of(&weights, "bias", 1)?;
        inputs.push(cx.constant("output/bias", bias)?);
    }
    cx.node(Dense::default(), &inputs)
}
