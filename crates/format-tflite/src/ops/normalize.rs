//! Normalizations by neighbouring elements.

use super::{Read, required};
use crate::error::{ReadError, Result};
use crate::import::OpCx;
use crate::model::natural;
use paring_ir::ops::{LpNormalize, Lrn};

pub(super) const READERS: &[(&str, Read)] =
    &[("L2_NORMALIZATION", l2), ("LOCAL_RESPONSE_NORMALIZATION", lrn)];

/// The runtimes bound the norm by 1e-6 from below.
fn l2(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let x = cx.input(0)?;
    let axis = cx.shape(x)?.len().checked_sub(1);
    let axis = axis.ok_or_else(|| ReadError::malformed("the input is a scalar"))?;
    cx.emit(LpNormalize { axis, p: 2, epsilon: 1e-12 }, &[x])
}

/// The weight is of the sum of squares here and of their mean in the graph.
fn lrn(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let options = required!(cx, LocalResponseNormalizationOptions);
    let radius = natural("the radius", i64::from(options.radius()?))?;
    let size = 2 * radius + 1;
    let (alpha, beta, bias) = (options.alpha()?, options.beta()?, options.bias()?);
    if !(alpha.is_finite() && beta.is_finite() && bias.is_finite()) {
        return Err(ReadError::malformed("a parameter is not finite"));
    }
    let x = cx.input(0)?;
    cx.emit(Lrn { size, alpha: alpha * size as f32, beta, bias }, &[x])
}
