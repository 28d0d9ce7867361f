//! One file an op.

mod binary;
mod concat;
mod conv2d;
mod dense;
mod dequantize;
mod pad;
mod pool;
mod quantize;
mod reduce;
mod reshape;
mod slice;
mod softmax;
mod transpose;
mod unary;

use crate::lower::Site;

type Lower = fn(&mut Site<'_, '_>) -> Result<(), String>;

/// The lowering of an op by its name.
pub(crate) fn lowering(op: &str) -> Option<Lower> {
    Some(match op {
        "binary" => binary::lower,
        "concat" => concat::lower,
        "conv2d" => conv2d::lower,
        "dense" => dense::lower,
        "dequantize" => dequantize::lower,
        "pad" => pad::lower,
        "pool" => pool::lower,
        "quantize" => quantize::lower,
        "reduce" => reduce::lower,
        "reshape" => reshape::lower,
        "slice" => slice::lower,
        "softmax" => softmax::lower,
        "transpose" => transpose::lower,
        "unary" => unary::lower,
        _ => return None,
    })
}

/// The op as its type; the name decides which lowering is called.
pub(crate) fn attributes<T: paring_ir::Op + Clone>(site: &Site<'_, '_>) -> Result<T, String> {
    site.node.op_as::<T>().cloned().ok_or_else(|| "another op has this op's name".to_string())
}

/// Element steps of a dense row-major tensor.
pub(crate) fn steps(shape: &[usize]) -> Vec<usize> {
    let mut steps = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        steps[axis - 1] = steps[axis] * shape[axis];
    }
    steps
}
