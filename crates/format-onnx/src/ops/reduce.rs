//! Reductions along axes.

use super::{Entry, Outcome};
use crate::cx::Cx;
use crate::reject::Reject;
use paring_ir::ops::{Arg, ArgFn, Cast, CumSum, Reduce, ReduceFn, TopK};
use paring_tensor::DType;

macro_rules! plain {
    ($($name:literal => $f:ident),* $(,)?) => {
        pub(super) const ENTRIES: &[Entry] = &[
            $(Entry::new($name, |cx| reduce(cx, ReduceFn::$f)),)*
            Entry::new("ArgMax", |cx| arg(cx, ArgFn::Max)),
            Entry::new("ArgMin", |cx| arg(cx, ArgFn::Min)),
            Entry::new("TopK", top_k),
            Entry::new("CumSum", cum_sum),
        ];
    };
}

plain! {
    "ReduceMean" => Mean,
    "ReduceSum" => Sum,
    "ReduceProd" => Prod,
    "ReduceMax" => Max,
    "ReduceMin" => Min,
    "ReduceL1" => L1,
    "ReduceL2" => L2,
    "ReduceLogSum" => LogSum,
    "ReduceLogSumExp" => LogSumExp,
    "ReduceSumSquare" => SumSquare,
}

fn reduce(cx: &mut Cx<'_, '_>, f: ReduceFn) -> Outcome {
    let rank = cx.input_shape(0)?.len();
    let keep_dims = cx.flag("keepdims", true)?;
    let stated = cx.ints_of("axes", 1)?.unwrap_or_default();
    let mut axes: Vec<usize> =
        stated.iter().map(|a| cx.axis(*a, rank)).collect::<Result<_, _>>()?;
    axes.sort_unstable();
    axes.dedup();
    if axes.is_empty() && !cx.flag("noop_with_empty_axes", false)? {
        axes = (0..rank).collect();
    }
    let x = cx.input(0)?;
    // The largest of booleans is whether any is true.
    let f = match (f, cx.dtype(x)) {
        (ReduceFn::Max, DType::Bool) => ReduceFn::Any,
        (ReduceFn::Min, DType::Bool) => ReduceFn::All,
        (f, _) => f,
    };
    let op = Reduce { f, axes, keep_dims };
    let dtype = cx.dtype(x);
    // Logarithms of integers are real numbers, cut to integers again.
    let y = if dtype.is_integer() && matches!(f, ReduceFn::LogSum | ReduceFn::LogSumExp) {
        let x = cx.aux(Cast { to: DType::F64 }, &[x])?;
        let y = cx.emit(op, &[x])?;
        cx.aux(Cast { to: dtype }, &[y])?
    } else {
        cx.emit(op, &[x])?
    };
    cx.set(0, y);
    Ok(())
}

fn arg(cx: &mut Cx<'_, '_>, f: ArgFn) -> Outcome {
    let rank = cx.input_shape(0)?.len();
    let axis = cx.int("axis", 0)?;
    let axis = cx.axis(axis, rank)?;
    let keep_dims = cx.flag("keepdims", true)?;
    let select_last = cx.flag("select_last_index", false)?;
    let x = cx.input(0)?;
    let y = cx.emit(Arg { f, axis, keep_dims, select_last, to: DType::I64 }, &[x])?;
    cx.set(0, y);
    Ok(())
}

fn top_k(cx: &mut Cx<'_, '_>) -> Outcome {
    let shape = cx.input_shape(0)?;
    let k = match cx.opt_int("k")? {
        Some(k) => k,
        None => {
            let k = cx.need_const(1, "k")?.map(|t| t.to_i64()).unwrap_or_default();
            *k.first().ok_or_else(|| Reject::malformed("k is missing"))?
        }
    };
    let k = usize::try_from(k).map_err(|_| Reject::malformed(format!("k = {k}")))?;
    let axis = cx.int("axis", -1)?;
    let axis = cx.axis(axis, shape.len())?;
    // Sorted results are one of the orders that `sorted = 0` allows.
    let largest = cx.flag("largest", true)?;
    let x = cx.input(0)?;
    let outputs = cx.emit_many(TopK { k, axis, largest, to: DType::I64 }, &[x])?;
    for (i, id) in outputs.into_iter().enumerate() {
        cx.set(i, id);
    }
    Ok(())
}

fn cum_sum(cx: &mut Cx<'_, '_>) -> Outcome {
    let rank = cx.input_shape(0)?.len();
    let axis =
        cx.scalar_const(1, "axis")?.ok_or_else(|| Reject::malformed("input 1 is missing"))?;
    let axis = cx.axis(axis as i64, rank)?;
    let (exclusive, reverse) = (cx.flag("exclusive", false)?, cx.flag("reverse", false)?);
    let x = cx.input(0)?;
    let y = cx.emit(CumSum { axis, exclusive, reverse }, &[x])?;
    cx.set(0, y);
    Ok(())
}
