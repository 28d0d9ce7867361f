//! Elements in another order.

use super::{Read, Write, axis, of, required};
use crate::error::{ReadError, Result};
use crate::export::{NodeCx, Refused, int};
use crate::import::OpCx;
use crate::model::natural;
use crate::schema::{BuiltinOptions, NoOptions, ReverseSequenceOptions, SpaceToDepthOptions};
use paring_ir::ops::{
    DepthOrder, DepthToSpace, Pad, PadMode, Reshape, Reverse, Slice, SpaceToDepth, Transpose,
};

pub(super) const READERS: &[(&str, Read)] = &[
    ("TRANSPOSE", transpose),
    ("REVERSE_V2", reverse),
    ("REVERSE_SEQUENCE", reverse_sequence),
    ("SPACE_TO_DEPTH", |cx| {
        let block =
            natural("the block", i64::from(required!(cx, SpaceToDepthOptions).block_size()?))?;
        let x = cx.input(0)?;
        cx.emit(SpaceToDepth { block }, &[x])
    }),
    ("DEPTH_TO_SPACE", |cx| {
        let block =
            natural("the block", i64::from(required!(cx, DepthToSpaceOptions).block_size()?))?;
        let x = cx.input(0)?;
        cx.emit(DepthToSpace { block, order: DepthOrder::Dcr }, &[x])
    }),
    ("SPACE_TO_BATCH_ND", space_to_batch),
    ("BATCH_TO_SPACE_ND", batch_to_space),
];

fn transpose(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let x = cx.input(0)?;
    let rank = cx.shape(x)?.len();
    let perm = cx.ints(1)?.into_iter().map(|a| axis(a, rank)).collect::<Result<Vec<_>>>()?;
    cx.emit(Transpose { perm }, &[x])
}

fn reverse(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let mut x = cx.input(0)?;
    let rank = cx.shape(x)?.len();
    let axes = cx.ints(1)?.into_iter().map(|a| axis(a, rank)).collect::<Result<Vec<_>>>()?;
    let Some((last, first)) = axes.split_last() else { return cx.forward(0, x) };
    for axis in first {
        x = cx.before("reverse", Reverse { axis: *axis, batch_axis: None }, &[x])?;
    }
    cx.emit(Reverse { axis: *last, batch_axis: None }, &[x])
}

fn reverse_sequence(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let options = required!(cx, ReverseSequenceOptions);
    let inputs = [cx.input(0)?, cx.input(1)?];
    let rank = cx.shape(inputs[0])?.len();
    let along = axis(i64::from(options.seq_dim()?), rank)?;
    let batch = axis(i64::from(options.batch_dim()?), rank)?;
    cx.emit(Reverse { axis: along, batch_axis: Some(batch) }, &inputs)
}

/// The block of each spatial axis and two numbers for each, `[before, after]`.
fn blocks(cx: &mut OpCx<'_, '_>, rank: usize) -> Result<(Vec<usize>, Vec<[usize; 2]>)> {
    let block = cx.ints(1)?.into_iter().map(|n| natural("a block", n));
    let block = block.collect::<Result<Vec<_>>>()?;
    let edges = cx.ints(2)?.into_iter().map(|n| natural("a padding or crop", n));
    let edges = edges.collect::<Result<Vec<_>>>()?;
    let (pairs, rest) = edges.as_chunks::<2>();
    if pairs.len() != block.len() || !rest.is_empty() || block.len() >= rank || block.contains(&0) {
        return Err(ReadError::malformed(format!(
            "blocks {block:?} and edges {edges:?} for a value of rank {rank}"
        )));
    }
    Ok((block, pairs.to_vec()))
}

/// Pads, cuts the spatial axes into blocks, and moves the positions within a block to the batch.
fn space_to_batch(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let mut x = cx.input(0)?;
    let rank = cx.shape(x)?.len();
    let (block, edges) = blocks(cx, rank)?;
    if edges.as_flattened().iter().any(|n| *n > 0) {
        let mut pads = vec![[0; 2]; rank];
        for (pad, edge) in pads[1..].iter_mut().zip(&edges) {
            *pad = edge.map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        }
        x = cx.before("pad", Pad { pads, mode: PadMode::Constant(0.0) }, &[x])?;
    }
    let shape = cx.shape(x)?;
    let spatial = block.len();
    let fail = || ReadError::malformed(format!("blocks {block:?} of {shape:?}"));
    let mut cut = vec![shape[0]];
    let mut result =
        vec![block.iter().try_fold(shape[0], |n, b| n.checked_mul(*b)).ok_or_else(fail)?];
    for (n, b) in shape[1..=spatial].iter().zip(&block) {
        if n % b != 0 {
            return Err(fail());
        }
        cut.extend([n / b, *b]);
        result.push(n / b);
    }
    cut.extend(&shape[spatial + 1..]);
    result.extend(&shape[spatial + 1..]);
    let mut perm: Vec<usize> = (0..spatial).map(|i| 2 + 2 * i).collect();
    perm.push(0);
    perm.extend((0..spatial).map(|i| 1 + 2 * i));
    perm.extend(1 + 2 * spatial..cut.len());
    let x = cx.before("blocks", Reshape::to(&cut), &[x])?;
    let x = cx.before("moved", Transpose { perm }, &[x])?;
    cx.emit(Reshape::to(&result), &[x])
}

/// The other way, with crops for the padding.
fn batch_to_space(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let x = cx.input(0)?;
    let shape = cx.shape(x)?;
    let (block, edges) = blocks(cx, shape.len())?;
    let spatial = block.len();
    let fail = || ReadError::malformed(format!("blocks {block:?} of {shape:?}"));
    let area = block.iter().try_fold(1_usize, |n, b| n.checked_mul(*b)).ok_or_else(fail)?;
    if shape[0] % area != 0 {
        return Err(fail());
    }
    let mut cut = block.clone();
    cut.push(shape[0] / area);
    cut.extend(&shape[1..]);
    let mut perm = vec![spatial];
    let mut whole = vec![shape[0] / area];
    for i in 0..spatial {
        perm.extend([spatial + 1 + i, i]);
        whole.push(shape[1 + i].checked_mul(block[i]).ok_or_else(fail)?);
    }
    perm.extend(2 * spatial + 1..cut.len());
    whole.extend(&shape[spatial + 1..]);
    let x = cx.before("blocks", Reshape::to(&cut), &[x])?;
    let x = cx.before("moved", Transpose { perm }, &[x])?;
    if edges.as_flattened().iter().all(|n| *n == 0) {
        return cx.emit(Reshape::to(&whole), &[x]);
    }
    let mut op =
        Slice { start: vec![0; whole.len()], len: whole.clone(), step: vec![1; whole.len()] };
    for (i, [before, after]) in edges.iter().enumerate() {
        op.start[1 + i] = *before;
        let left = whole[1 + i].checked_sub(*before).and_then(|n| n.checked_sub(*after));
        op.len[1 + i] = left.ok_or_else(fail)?;
    }
    let x = cx.before("whole", Reshape::to(&whole), &[x])?;
    cx.emit(op, &[x])
}

pub(super) const WRITERS: &[(super::Key, Write)] = &[
    (of::<Transpose>, |cx| {
        let op: &Transpose = cx.op()?;
        let inputs = vec![cx.input(0)?, cx.sizes(&op.perm)?];
        let output = cx.output(0)?;
        let options = BuiltinOptions::TransposeOptions(Box::new(NoOptions {}));
        cx.operator("TRANSPOSE", Some(options), inputs, vec![output])
    }),
    (of::<Reverse>, write_reverse),
    (of::<SpaceToDepth>, |cx| {
        let options = SpaceToDepthOptions { block_size: int(cx.op::<SpaceToDepth>()?.block)? };
        cx.simple("SPACE_TO_DEPTH", Some(BuiltinOptions::SpaceToDepthOptions(Box::new(options))))
    }),
    (of::<DepthToSpace>, |cx| {
        let op: &DepthToSpace = cx.op()?;
        if op.order != DepthOrder::Dcr {
            return Err("the format has another order of channels".to_owned());
        }
        let options = SpaceToDepthOptions { block_size: int(op.block)? };
        cx.simple("DEPTH_TO_SPACE", Some(BuiltinOptions::DepthToSpaceOptions(Box::new(options))))
    }),
];

fn write_reverse(cx: &mut NodeCx<'_, '_>) -> Result<(), Refused> {
    let op: &Reverse = cx.op()?;
    let Some(batch) = op.batch_axis else {
        let inputs = vec![cx.input(0)?, cx.sizes(&[op.axis])?];
        let output = cx.output(0)?;
        let options = BuiltinOptions::ReverseV2Options(Box::new(NoOptions {}));
        return cx.operator("REVERSE_V2", Some(options), inputs, vec![output]);
    };
    let options = ReverseSequenceOptions { seq_dim: int(op.axis)?, batch_dim: int(batch)? };
    let options = BuiltinOptions::ReverseSequenceOptions(Box::new(options));
    cx.simple("REVERSE_SEQUENCE", Some(options))
}
