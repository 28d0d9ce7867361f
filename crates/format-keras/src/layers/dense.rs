//! Fully connected layers and tables.

use super::{Read, activation, conv};
use crate::build::{LayerCx, Mask};
use crate::error::Result;
use paring_ir::ValueId;
use paring_ir::ops::{Binary, BinaryFn, Cast, Dense, Einsum, Gather, Reduce, ReduceFn};
use paring_tensor::{DType, Tensor};

pub(super) const READERS: &[(&str, Read)] = &[
    ("Dense", dense),
    ("TimeDistributedDense", dense),
    ("EinsumDense", einsum),
    ("Embedding", |cx| {
        let mut x = cx.x()?;
        let table = cx.weight("embeddings", 0)?;
        let table = cx.constant("embeddings", table)?;
        if cx.ty(x).dtype.is_float() {
            x = cx.side("indices", Cast { to: DType::I32 }, &[x])?;
        }
        if cx.layer.flag("mask_zero", false) {
            let zero = Tensor::scalar(0_i32).cast(cx.ty(x).dtype);
            let zero = cx.constant("zero", zero)?;
            cx.mask = Some(Mask::Steps(differ(cx, x, zero)?));
        }
        cx.node(Gather { axis: 0, batch_dims: 0 }, &[table, x])
    }),
    // Steps of which every element is the value become zeros.
    ("Masking", |cx| {
        let x = cx.x()?;
        let rank = cx.shape(x)?.len();
        let axis = rank.checked_sub(1).ok_or_else(|| cx.layer.bad("a scalar"))?;
        let value = cx.layer.float("mask_value", 0.0)?;
        let value = cx.scalar("value", value)?;
        let differs = differ(cx, x, value)?;
        let any = |keep_dims| Reduce { f: ReduceFn::Any, axes: vec![axis], keep_dims };
        if rank == 3 {
            cx.mask = Some(Mask::Steps(cx.side("steps", any(false), &[differs])?));
        }
        let weights = cx.side("weights", any(true), &[differs])?;
        let weights = cx.side("numbers", Cast { to: DType::F32 }, &[weights])?;
        cx.node(Binary::new(BinaryFn::Mul), &[x, weights])
    }),
];

/// Where two values differ.
fn differ(cx: &mut LayerCx<'_, '_>, a: ValueId, b: ValueId) -> Result<ValueId> {
    cx.side("differ", Binary::new(BinaryFn::NotEqual), &[a, b])
}

fn dense(cx: &mut LayerCx<'_, '_>) -> Result<ValueId> {
    let x = cx.x()?;
    let kernel = cx.weight("kernel", 0)?;
    let kernel = cx.arranged(&kernel, [1, 0])?;
    let mut inputs = vec![x, cx.constant("kernel", kernel)?];
    conv::bias(cx, 1, &mut inputs)?;
    let y = cx.node(Dense::default(), &inputs)?;
    activation::after(cx, y)
}

/// Sums of products with the kernel, in Einstein's notation.
fn einsum(cx: &mut LayerCx<'_, '_>) -> Result<ValueId> {
    let x = cx.x()?;
    let rank = cx.shape(x)?.len();
    let stated: String =
        cx.layer.text("equation").unwrap_or("").chars().filter(|c| !c.is_whitespace()).collect();
    let fail = || cx.layer.bad(format!("equation `{stated}`"));
    let (left, right) = stated.split_once("->").ok_or_else(fail)?;
    let (first, second) = left.split_once(',').ok_or_else(fail)?;
    // Letters stand for the axes that dots leave out.
    let named = first.chars().filter(char::is_ascii_alphabetic).count();
    let free = ('A'..='Z').filter(|c| !stated.contains(*c));
    let dots: String = free.take(rank.saturating_sub(named)).collect();
    let spelled = [first, second, right].map(|t| t.replace("...", &dots));
    let [first, second, right] = spelled;
    let kernel = cx.weight("kernel", 0)?;
    // A product along the last axis is an ordinary layer.
    let plain = match (first.strip_suffix(|c| second.starts_with(c)), second.len()) {
        (Some(lead), 2) => right.strip_prefix(lead) == Some(&second[1..]),
        _ => false,
    };
    let y = if plain {
        let kernel = cx.arranged(&kernel, [1, 0])?;
        let kernel = cx.constant("kernel", kernel)?;
        cx.node(Dense::default(), &[x, kernel])?
    } else {
        let kernel = cx.constant("kernel", kernel)?;
        cx.node(Einsum { equation: format!("{first},{second}->{right}") }, &[x, kernel])?
    };
    let y = match cx.layer.text("bias_axes") {
        None => y,
        Some(_) => {
            let bias = cx.weight("bias", 1)?;
            let bias = cx.constant("bias", bias)?;
            cx.side("biased", Binary::new(BinaryFn::Add), &[y, bias])?
        }
    };
    activation::after(cx, y)
}
