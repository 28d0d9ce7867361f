//! Fully connected layers and tables.

use super::{Read, activation};
use paring_ir::ops::{Cast, Dense, Gather};
use paring_tensor::DType;

pub(super) const READERS: &[(&str, Read)] = &[
    ("Dense", |cx| {
        let x = cx.x()?;
        let kernel = cx.weight("kernel", 0)?;
        let kernel = cx.arranged(&kernel, [1, 0])?;
        let mut inputs = vec![x, cx.constant("kernel", kernel)?];
        if cx.layer.flag("use_bias", cx.layer.flag("bias", true)) {
            let bias = cx.weight("bias", 1)?;
            inputs.push(cx.constant("bias", bias)?);
        }
        let y = cx.node(Dense::default(), &inputs)?;
        activation::after(cx, y)
    }),
    ("Embedding", |cx| {
        let mut x = cx.x()?;
        let table = cx.weight("embeddings", 0)?;
        let table = cx.constant("embeddings", table)?;
        if cx.graph.ty(x).dtype.is_float() {
            x = cx.side("indices", Cast { to: DType::I32 }, &[x])?;
        }
        cx.node(Gather { axis: 0, batch_dims: 0 }, &[table, x])
    }),
];
