//! Functions of each element.

use super::{Read, options, required};
use crate::error::{ReadError, Result};
use crate::import::OpCx;
use paring_ir::ops::Unary;

pub(super) const READERS: &[(&str, Read)] = &[
    ("RELU", |cx| unary(cx, Unary::Relu)),
    ("RELU6", |cx| unary(cx, Unary::Relu6)),
    ("RELU_N1_TO_1", |cx| unary(cx, Unary::ReluN1To1)),
    ("RELU_0_TO_1", |cx| unary(cx, Unary::Clip { min: 0.0, max: 1.0 })),
    ("LEAKY_RELU", |cx| {
        let alpha = required!(cx, LeakyReluOptions).alpha()?;
        if !alpha.is_finite() {
            return Err(ReadError::malformed(format!("alpha is {alpha}")));
        }
        unary(cx, Unary::LeakyRelu { alpha })
    }),
    ("LOGISTIC", |cx| unary(cx, Unary::Sigmoid)),
    ("TANH", |cx| unary(cx, Unary::Tanh)),
    ("HARD_SWISH", |cx| unary(cx, Unary::HardSwish)),
    ("ELU", |cx| unary(cx, Unary::Elu { alpha: 1.0 })),
    ("GELU", |cx| {
        let tanh = options!(cx, GeluOptions).map_or(Ok(false), |o| o.approximate())?;
        unary(cx, Unary::Gelu { tanh })
    }),
    ("ABS", |cx| unary(cx, Unary::Abs)),
    ("NEG", |cx| unary(cx, Unary::Neg)),
    ("SIGN", |cx| unary(cx, Unary::Sign)),
    ("FLOOR", |cx| unary(cx, Unary::Floor)),
    ("CEIL", |cx| unary(cx, Unary::Ceil)),
    ("ROUND", |cx| unary(cx, Unary::Round)),
    ("EXP", |cx| unary(cx, Unary::Exp)),
    ("LOG", |cx| unary(cx, Unary::Log)),
    ("SQRT", |cx| unary(cx, Unary::Sqrt)),
    ("RSQRT", |cx| unary(cx, Unary::Rsqrt)),
    ("SQUARE", |cx| unary(cx, Unary::Square)),
    ("SIN", |cx| unary(cx, Unary::Sin)),
    ("COS", |cx| unary(cx, Unary::Cos)),
    ("LOGICAL_NOT", |cx| unary(cx, Unary::Not)),
];

fn unary(cx: &mut OpCx<'_, '_>, f: Unary) -> Result<()> {
    let x = cx.input(0)?;
    cx.emit(f, &[x])
}
