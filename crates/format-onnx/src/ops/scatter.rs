//! Elements put at indices.

use super::{Entry, Outcome};
use crate::cx::Cx;
use crate::reject::Reject;
use paring_ir::ops::{ScatterElements, ScatterFn, ScatterNd};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("Scatter", elements),
    Entry::new("ScatterElements", elements),
    Entry::new("ScatterND", nd),
];

fn reduction(cx: &Cx<'_, '_>) -> Result<ScatterFn, Reject> {
    Ok(match cx.text("reduction", "none")? {
        "none" => ScatterFn::Replace,
        "add" => ScatterFn::Add,
        "mul" => ScatterFn::Mul,
        "min" => ScatterFn::Min,
        "max" => ScatterFn::Max,
        other => return Err(Reject::malformed(format!("reduction `{other}`"))),
    })
}

fn elements(cx: &mut Cx<'_, '_>) -> Outcome {
    let rank = cx.input_shape(0)?.len();
    let axis = cx.int("axis", 0)?;
    let axis = cx.axis(axis, rank)?;
    let reduction = reduction(cx)?;
    let inputs = [cx.input(0)?, cx.input(1)?, cx.input(2)?];
    let y = cx.emit(ScatterElements { axis, reduction }, &inputs)?;
    cx.set(0, y);
    Ok(())
}

fn nd(cx: &mut Cx<'_, '_>) -> Outcome {
    let reduction = reduction(cx)?;
    let inputs = [cx.input(0)?, cx.input(1)?, cx.input(2)?];
    let y = cx.emit(ScatterNd { reduction }, &inputs)?;
    cx.set(0, y);
    Ok(())
}
