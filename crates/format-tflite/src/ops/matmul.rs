//! Products of computed matrices.

use super::{Read, Write, of, options, real_weights};
use crate::error::{ReadError, Result};
use crate::import::OpCx;
use crate::schema::{BatchMatMulOptions, BuiltinOptions};
use paring_ir::ValueId;
use paring_ir::ops::{MatMul, Transpose};

pub(super) const READERS: &[(&str, Read)] = &[("BATCH_MATMUL", matmul)];

fn matmul(cx: &mut OpCx<'_, '_>) -> Result<()> {
    let given = options!(cx, BatchMatMulOptions);
    let (adj_x, adj_y) = match &given {
        Some(options) => (options.adj_x()?, options.adj_y()?),
        None => (false, false),
    };
    let (x, y) = (cx.input(0)?, cx.input(1)?);
    let y = real_weights(cx, x, y)?;
    let x = if adj_x { transposed(cx, x)? } else { x };
    let y = if adj_y { transposed(cx, y)? } else { y };
    cx.emit(MatMul {}, &[x, y])
}

/// The last two axes exchanged.
fn transposed(cx: &mut OpCx<'_, '_>, value: ValueId) -> Result<ValueId> {
    let mut perm: Vec<usize> = (0..cx.shape(value)?.len()).collect();
    let [.., a, b] = perm.as_mut_slice() else {
        return Err(ReadError::malformed("an operand is no matrix"));
    };
    std::mem::swap(a, b);
    cx.before("transposed", Transpose { perm }, &[value])
}

pub(super) const WRITERS: &[(super::Key, Write)] = &[(of::<MatMul>, |cx| {
    let options = BatchMatMulOptions::default();
    cx.simple("BATCH_MATMUL", Some(BuiltinOptions::BatchMatMulOptions(Box::new(options))))
})];
