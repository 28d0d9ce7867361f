//! Reductions along axes.

use super::{Read, Write, axis, of, options};
use crate::error::Result;
use crate::export::{NodeCx, Refused};
use crate::import::OpCx;
use crate::schema::{BuiltinOptions, ReducerOptions};
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

pub(super) const WRITERS: &[(super::Key, Write)] = &[(of::<Reduce>, write)];

fn write(cx: &mut NodeCx<'_, '_>) -> Result<(), Refused> {
    let op: &Reduce = cx.op()?;
    let name = match op.f {
        ReduceFn::Mean => "MEAN",
        ReduceFn::Sum => "SUM",
        ReduceFn::Prod => "REDUCE_PROD",
        ReduceFn::Max => "REDUCE_MAX",
        ReduceFn::Min => "REDUCE_MIN",
        ReduceFn::Any => "REDUCE_ANY",
        ReduceFn::All => "REDUCE_ALL",
        f => return Err(format!("the format has no {f:?}")),
    };
    let inputs = vec![cx.input(0)?, cx.sizes(&op.axes)?];
    let output = cx.output(0)?;
    let options = ReducerOptions { keep_dims: op.keep_dims };
    let options = BuiltinOptions::ReducerOptions(Box::new(options));
    cx.operator(name, Some(options), inputs, vec![output])
}
