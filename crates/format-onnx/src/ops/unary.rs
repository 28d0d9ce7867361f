//! Mathematics on each element.

use super::{Entry, Outcome};
use crate::cx::Cx;
use paring_ir::ops::Unary;

macro_rules! plain {
    ($($name:literal => $op:expr),* $(,)?) => {
        pub(super) const ENTRIES: &[Entry] = &[
            $(Entry::new($name, |cx| apply(cx, $op)),)*
            Entry::new("IsInf", is_inf),
        ];
    };
}

plain! {
    "Abs" => Unary::Abs,
    "Neg" => Unary::Neg,
    "Sign" => Unary::Sign,
    "Floor" => Unary::Floor,
    "Ceil" => Unary::Ceil,
    "Round" => Unary::Round,
    "Exp" => Unary::Exp,
    "Log" => Unary::Log,
    "Sqrt" => Unary::Sqrt,
    "Reciprocal" => Unary::Reciprocal,
    "Erf" => Unary::Erf,
    "Sin" => Unary::Sin,
    "Cos" => Unary::Cos,
    "Tan" => Unary::Tan,
    "Asin" => Unary::Asin,
    "Acos" => Unary::Acos,
    "Atan" => Unary::Atan,
    "Sinh" => Unary::Sinh,
    "Cosh" => Unary::Cosh,
    "Asinh" => Unary::Asinh,
    "Acosh" => Unary::Acosh,
    "Atanh" => Unary::Atanh,
    "Not" => Unary::Not,
    "BitwiseNot" => Unary::BitNot,
    "IsNaN" => Unary::IsNan,
}

/// Adds a function of each element.
pub(super) fn apply(cx: &mut Cx<'_, '_>, op: Unary) -> Outcome {
    let x = cx.input(0)?;
    let y = cx.emit(op, &[x])?;
    cx.set(0, y);
    Ok(())
}

fn is_inf(cx: &mut Cx<'_, '_>) -> Outcome {
    let negative = cx.flag("detect_negative", true)?;
    let positive = cx.flag("detect_positive", true)?;
    apply(cx, Unary::IsInf { negative, positive })
}
