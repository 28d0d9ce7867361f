//! Reductions along axes.

use super::{Read, axis, options};
use crate::error::Result;
use crate::import::OpCx;
use paring_ir::ops::{Reduce, ReduceFn};

pub(super) const READERS: &[(&str, Read)] = &[
    ("MEAN", |cx| reduce(cx, ReduceFn::Mean)),
    ("SUM", |cx| reduce(cx, ReduceFn::Sum)),
    ("REDUCE_PROD", |cx| reduce(cx, ReduceFn::Prod)),
    ("REDUCE_MAX", |cx| reduce(cx, ReduceFn::Max)),
    ("REDUCE_MIN", |cx| reduce(cx, ReduceFn::Min)),
    ("REDUCE_ANY", |cx| reduce(cx, ReduceFn::Any)),
    ("REDUCE_ALL", |cx| reduce(cx, ReduceFn::All)),
];

fn reduce(cx: &mut OpCx<'_, '_>, f: ReduceFn) -> Result<()> {
    let keep_dims = options!(cx, ReducerOptions).map_or(Ok(false), |o| o.keep_dims())?;
    let x = cx.input(0)?;
    let rank = cx.shape(x)?.len();
    let axes = cx.ints(1)?;
    let mut axes = axes.into_iter().map(|a| axis(a, rank)).collect::<Result<Vec<_>>>()?;
    axes.sort_unstable();
    axes.dedup();
    cx.emit(Reduce { f, axes, keep_dims }, &[x])
}
