//! Values put together and taken apart.

use super::{Read, axis, required};
use crate::error::{ReadError, Result};
use crate::import::OpCx;
use paring_ir::ops::Concat;

pub(super) const READERS: &[(&str, Read)] = &[("CONCATENATION", concat)];

fn concat(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let options = required!(cx, ConcatenationOptions);
    if options.fused_activation_function()? != 0 {
        return Err(ReadError::unsupported("a fused activation"));
    }
    let inputs = cx.all_inputs()?;
    let first = inputs.first().ok_or_else(|| ReadError::malformed("has no inputs"))?;
    let axis = axis(i64::from(options.axis()?), cx.shape(*first)?.len())?;
    cx.emit(Concat { axis }, &inputs)
}
