//! Padding.

use super::{Entry, Outcome};
use crate::cx::Cx;
use crate::reject::Reject;
use paring_ir::ops::{Pad, PadMode};

pub(super) const ENTRIES: &[Entry] = &[Entry::new("Pad", pad)];

fn pad(cx: &mut Cx<'_, '_>) -> Outcome {
    let rank = cx.input_shape(0)?.len();
    // Before set 2 the attribute had another name.
    let name = if cx.opset < 2 { "paddings" } else { "pads" };
    let list = cx.ints_of(name, 1)?.ok_or_else(|| Reject::malformed("the pads are missing"))?;
    let axes: Vec<usize> = match cx.need_const(3, "axes")? {
        Some(t) => t.to_i64().iter().map(|a| cx.axis(*a, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).collect(),
    };
    if list.len() != 2 * axes.len() {
        return Err(Reject::malformed(format!("{} pads for {} axes", list.len(), axes.len())));
    }
    let mut pads = vec![[0, 0]; rank];
    for (i, axis) in axes.iter().enumerate() {
        pads[*axis] = [list[i], list[i + axes.len()]];
    }
    let value = match cx.opt_float("value")? {
        Some(v) => f64::from(v),
        None => match cx.need_const(2, "value")? {
            Some(t) if !t.is_empty() => t.to_f64()[0],
            _ => 0.0,
        },
    };
    // The graph pads quantized values with a real number.
    let value = match cx.input_type(0)?.quant.and_then(|q| q.as_per_tensor()) {
        Some((scale, zero)) => f64::from(scale) * (value - f64::from(zero)),
        None => value,
    };
    let mode = match cx.text("mode", "constant")? {
        "constant" => PadMode::Constant(value),
        "reflect" => PadMode::Reflect,
        "edge" => PadMode::Edge,
        "wrap" => PadMode::Wrap,
        other => return Err(Reject::malformed(format!("mode `{other}`"))),
    };
    if pads.iter().all(|p| *p == [0, 0]) {
        return super::shape::identity(cx);
    }
    let x = cx.input(0)?;
    let y = cx.emit(Pad { pads, mode }, &[x])?;
    cx.set(0, y);
    Ok(())
}
