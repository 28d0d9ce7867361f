//! The same elements in another shape.

use super::{Read, Write, axis, of, options};
use crate::error::{ReadError, Result};
use crate::export::{NodeCx, Refused};
use crate::import::OpCx;
use crate::schema::{BuiltinOptions, ReshapeOptions};
use paring_ir::ops::Reshape;

pub(super) const READERS: &[(&str, Read)] =
    &[("RESHAPE", reshape), ("SQUEEZE", squeeze), ("EXPAND_DIMS", expand_dims)];

/// The shape is an operand, an option, or that of the output.
fn reshape(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let x = cx.input(0)?;
    let shape = if cx.input_info(1).is_some() {
        cx.ints(1)?
    } else if let Some(shape) =
        options!(cx, ReshapeOptions).map(|o| o.new_shape()).transpose()?.flatten()
    {
        cx.import.budget.take(shape.len().saturating_mul(8))?;
        // Old converters wrote a scalar as the vector [0].
        let shape: Vec<i64> = shape.iter().map(i64::from).collect();
        if shape == [0] && !cx.shape(x)?.contains(&0) { Vec::new() } else { shape }
    } else {
        cx.output_info(0)?.shape.iter().map(|n| *n as i64).collect()
    };
    if shape.iter().any(|n| *n < -1) {
        return Err(ReadError::malformed(format!("the new shape is {shape:?}")));
    }
    cx.emit(Reshape { shape }, &[x])
}

/// Without axes it takes out every axis of extent 1.
fn squeeze(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let x = cx.input(0)?;
    let shape = cx.shape(x)?;
    let given = options!(cx, SqueezeOptions).map(|o| o.new_shape()).transpose()?.flatten();
    let mut gone = vec![false; shape.len()];
    match given.filter(|g| !g.is_empty()) {
        Some(axes) => {
            for a in axes.iter() {
                gone[axis(i64::from(a), shape.len())?] = true;
            }
        }
        None => gone = shape.iter().map(|n| *n == 1).collect(),
    }
    let kept = shape.iter().zip(&gone).filter(|(_, gone)| !**gone);
    let kept: Vec<usize> = kept.map(|(n, _)| *n).collect();
    cx.emit(Reshape::to(&kept), &[x])
}

fn expand_dims(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let x = cx.input(0)?;
    let mut shape = cx.shape(x)?;
    let at = axis(cx.int(1)?, shape.len() + 1)?;
    shape.insert(at, 1);
    cx.emit(Reshape::to(&shape), &[x])
}

pub(super) const WRITERS: &[(super::Key, Write)] = &[(of::<Reshape>, write)];

fn write(cx: &mut NodeCx<'_, '_>) -> Result<(), Refused> {
    let op: &Reshape = cx.op()?;
    let shape = op.shape.iter().map(|n| i32::try_from(*n).map_err(|e| e.to_string()));
    let shape = shape.collect::<Result<Vec<_>, _>>()?;
    let inputs = vec![cx.input(0)?, cx.ints(&shape)?];
    let output = cx.output(0)?;
    let options = ReshapeOptions { new_shape: Some(shape) };
    let options = BuiltinOptions::ReshapeOptions(Box::new(options));
    cx.operator("RESHAPE", Some(options), inputs, vec![output])
}
