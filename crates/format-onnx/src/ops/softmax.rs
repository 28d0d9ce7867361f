//! Normalized exponentials and the like.

use super::{Entry, Outcome};
use crate::cx::Cx;
use crate::reject::Reject;
use paring_ir::ValueId;
use paring_ir::ops::{Hardmax, Softmax};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("Softmax", softmax),
    Entry::new("LogSoftmax", |cx| {
        along(cx, |cx, x, axis| cx.emit(Softmax { axis, beta: 1.0, log: true }, &[x]))
    }),
    Entry::new("Hardmax", |cx| along(cx, |cx, x, axis| cx.emit(Hardmax { axis }, &[x]))),
];

pub(super) fn softmax(cx: &mut Cx<'_, '_>) -> Outcome {
    along(cx, |cx, x, axis| cx.emit(Softmax { axis, beta: 1.0, log: false }, &[x]))
}

/// Until set 13 the input was taken as a matrix: the axes before the stated one, and the rest.
fn along(
    cx: &mut Cx<'_, '_>,
    f: impl FnOnce(&mut Cx<'_, '_>, ValueId, usize) -> Result<ValueId, Reject>,
) -> Outcome {
    let x = cx.input(0)?;
    let shape = cx.shape(x)?;
    let old = cx.opset < 13;
    let axis = cx.int("axis", if old { 1 } else { -1 })?;
    if old && axis == shape.len() as i64 {
        // Rows of one element each.
        let x = cx.reshape(x, &[shape.iter().product(), 1])?;
        let y = f(cx, x, 1)?;
        let y = cx.reshape(y, &shape)?;
        cx.set(0, y);
        return Ok(());
    }
    let axis = cx.axis(axis, shape.len())?;
    let y = if old && shape[axis + 1..].iter().any(|n| *n != 1) {
        let x = cx.reshape(x, &[shape[..axis].iter().product(), shape[axis..].iter().product()])?;
        let y = f(cx, x, 1)?;
        cx.reshape(y, &shape)?
    } else {
        f(cx, x, axis)?
    };
    cx.set(0, y);
    Ok(())
}
