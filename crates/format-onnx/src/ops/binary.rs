//! Arithmetic, comparison and logic of two or more values.

use super::{Entry, Outcome};
use crate::cx::Cx;
use crate::reject::Reject;
use paring_ir::ValueId;
use paring_ir::ops::{Binary, BinaryFn, Select};

macro_rules! plain {
    ($($name:literal => $f:ident),* $(,)?) => {
        pub(super) const ENTRIES: &[Entry] = &[
            $(Entry::new($name, |cx| apply(cx, BinaryFn::$f)),)*
            Entry::new("Mod", modulo),
            Entry::new("BitShift", shift),
            Entry::new("Max", |cx| fold(cx, BinaryFn::Max, false)),
            Entry::new("Min", |cx| fold(cx, BinaryFn::Min, false)),
            Entry::new("Sum", |cx| fold(cx, BinaryFn::Add, false)),
            Entry::new("Mean", |cx| fold(cx, BinaryFn::Add, true)),
            Entry::new("Where", select),
        ];
    };
}

plain! {
    "Add" => Add,
    "Sub" => Sub,
    "Mul" => Mul,
    "Div" => Div,
    "Pow" => Pow,
    "And" => And,
    "Or" => Or,
    "Xor" => Xor,
    "BitwiseAnd" => BitAnd,
    "BitwiseOr" => BitOr,
    "BitwiseXor" => BitXor,
    "Equal" => Equal,
    "Less" => Less,
    "LessOrEqual" => LessEqual,
    "Greater" => Greater,
    "GreaterOrEqual" => GreaterEqual,
}

fn apply(cx: &mut Cx<'_, '_>, f: BinaryFn) -> Outcome {
    let (a, mut b) = (cx.input(0)?, cx.input(1)?);
    // Until set 7 the second operand was broadcast only on request, from a stated axis.
    if cx.opset < 7 && cx.flag("broadcast", false)? {
        let (rank, own) = (cx.shape(a)?.len(), cx.shape(b)?);
        if let Some(axis) = cx.opt_int("axis")? {
            let axis = cx.axis(axis, rank)?;
            let after = rank.checked_sub(axis + own.len()).ok_or_else(|| {
                Reject::malformed(format!("{} axes from axis {axis} of {rank}", own.len()))
            })?;
            let mut shape = own;
            shape.extend(vec![1; after]);
            b = cx.reshape(b, &shape)?;
        }
    }
    let y = cx.emit(Binary::new(f), &[a, b])?;
    cx.set(0, y);
    Ok(())
}

fn modulo(cx: &mut Cx<'_, '_>) -> Outcome {
    let f = if cx.flag("fmod", false)? { BinaryFn::Fmod } else { BinaryFn::Mod };
    apply(cx, f)
}

fn shift(cx: &mut Cx<'_, '_>) -> Outcome {
    match cx.text("direction", "")? {
        "LEFT" => apply(cx, BinaryFn::ShiftLeft),
        "RIGHT" => apply(cx, BinaryFn::ShiftRight),
        other => Err(Reject::malformed(format!("direction `{other}` is not LEFT or RIGHT"))),
    }
}

/// One after another, and divided by their number for a mean.
fn fold(cx: &mut Cx<'_, '_>, f: BinaryFn, mean: bool) -> Outcome {
    let inputs = cx.all_inputs()?;
    let [first, rest @ ..] = inputs.as_slice() else {
        return Err(Reject::malformed("has no inputs"));
    };
    if rest.is_empty() {
        let val = cx.inputs[0].clone();
        cx.set_val(0, val);
        return Ok(());
    }
    let mut y: ValueId = *first;
    for x in rest {
        y = cx.emit(Binary::new(f), &[y, *x])?;
    }
    if mean {
        let count = cx.scalar_like(y, inputs.len() as f64)?;
        y = cx.emit(Binary::new(BinaryFn::Div), &[y, count])?;
    }
    cx.set(0, y);
    Ok(())
}

fn select(cx: &mut Cx<'_, '_>) -> Outcome {
    let inputs = [cx.input(0)?, cx.input(1)?, cx.input(2)?];
    let y = cx.emit(Select {}, &inputs)?;
    cx.set(0, y);
    Ok(())
}
