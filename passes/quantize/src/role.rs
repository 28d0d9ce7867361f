use crate::lstm;
use paring_ir::ops::{
    Arg, BatchNorm, Binary, BinaryFn, Concat, Conv2d, ConvTranspose2d, Dense, Dequantize,
    LpNormalize, Lstm, MatMul, Pool, PoolKind, Quantize, Reduce, ReduceFn, Resize, ResizeMethod,
    Softmax, Unary,
};
use paring_ir::{Graph, Node, QuantRule};
use paring_tensor::DType;

/// What a node of real numbers becomes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Role {
    /// A layer with constant weights (operand 1) and maybe a bias (operand 2).
    Layer,
    /// A recurrent layer with constant weights (operands 1 and 2), bias (3), hidden and cell state.
    Lstm,
    /// Operands and results share their scale.
    Shares,
    /// Operands and results have scales of their own.
    Computes,
    /// As `Computes`, and the result's scale and zero point are these (for `i8`; for `i16`).
    Fixed((f32, i32), (f32, i32)),
    /// Reads numbers but computes none.
    Reads,
    /// Already turns numbers into quantized ones.
    Quantizes,
    /// Already turns quantized numbers into real ones.
    Dequantizes,
}

const UNIT: (f32, i32) = (1.0 / 32768.0, 0);

/// What a node becomes; why it cannot be quantized; `None` if it has nothing to do with real numbers.
pub(crate) fn role(graph: &Graph, node: &Node) -> Option<Result<Role, String>> {
    let real = |v: &paring_ir::ValueId| graph.ty(*v).dtype == DType::F32;
    if !node.inputs().iter().chain(node.outputs()).any(real) {
        return None;
    }
    Some(known(graph, node))
}

fn known(graph: &Graph, node: &Node) -> Result<Role, String> {
    if node.op.is::<Conv2d>() || node.op.is::<ConvTranspose2d>() || node.op.is::<Dense>() {
        let constant = |i: usize| match node.inputs().get(i) {
            None => Ok(()),
            Some(v) => match (graph.constant(*v), packed(graph, *v)) {
                (None, None) => Err(format!(
                    "operand `{}` is computed, but integer layers need constant weights and biases",
                    graph.value(*v).name
                )),
                _ => Ok(()),
            },
        };
        constant(1)?;
        constant(2)?;
        return Ok(Role::Layer);
    }
    if let Some(op) = node.op_as::<Lstm>() {
        return lstm::refusal(graph, node, op).map_or(Ok(Role::Lstm), Err);
    }
    if let Some(op) = node.op_as::<Binary>() {
        use BinaryFn::{Add, Div, Max, Min, Mul, Prelu, SquaredDifference, Sub};
        return match op.f {
            Add | Sub | Mul | Div | SquaredDifference | Prelu => Ok(Role::Computes),
            Max | Min => Ok(Role::Shares),
            f if f.compares() => Ok(Role::Reads),
            f => Err(format!("there is no integer form of `{f:?}`")),
        };
    }
    if let Some(op) = node.op_as::<Unary>() {
        return match op {
            Unary::Sigmoid => Ok(Role::Fixed((1.0 / 256.0, -128), UNIT)),
            Unary::Tanh => Ok(Role::Fixed((1.0 / 128.0, 0), UNIT)),
            Unary::Not | Unary::IsNan | Unary::IsInf { .. } => {
                Err("there is no integer form of this function".into())
            }
            _ => Ok(Role::Computes),
        };
    }
    if let Some(op) = node.op_as::<Softmax>() {
        return Ok(if op.log {
            Role::Fixed((16.0 / 256.0, 127), (16.0 / 65536.0, 32767))
        } else {
            Role::Fixed((1.0 / 256.0, -128), UNIT)
        });
    }
    if node.op.is::<LpNormalize>() {
        return Ok(Role::Fixed((1.0 / 128.0, 0), UNIT));
    }
    if let Some(op) = node.op_as::<Pool>() {
        return Ok(match op.kind {
            PoolKind::Max | PoolKind::Average => Role::Shares,
            _ => Role::Computes,
        });
    }
    if let Some(op) = node.op_as::<Reduce>() {
        return match op.f {
            ReduceFn::Mean | ReduceFn::Sum => Ok(Role::Computes),
            ReduceFn::Max | ReduceFn::Min => Ok(Role::Shares),
            f => Err(format!("there is no integer form of `{f:?}`")),
        };
    }
    if let Some(op) = node.op_as::<Resize>() {
        // Cubic weights overshoot the operand's range.
        return Ok(if op.method == ResizeMethod::Cubic { Role::Computes } else { Role::Shares });
    }
    if node.op.is::<Concat>() {
        return Ok(Role::Shares);
    }
    if node.op.is::<MatMul>() {
        return Ok(Role::Computes);
    }
    if node.op.is::<Arg>() {
        return Ok(Role::Reads);
    }
    if node.op.is::<Quantize>() {
        return Ok(Role::Quantizes);
    }
    if node.op.is::<Dequantize>() {
        return match graph.ty(node.inputs()[0]).quant {
            Some(_) => Ok(Role::Dequantizes),
            None => Err("it reads half-precision numbers; fold it with `cleanup`".into()),
        };
    }
    if node.op.is::<BatchNorm>() {
        return Err("batch normalization has no integer form; fold it with `fold-bn`".into());
    }
    if node.op.quant_rule() == QuantRule::Moves {
        return Ok(Role::Shares);
    }
    Err("there is no integer form of this op".into())
}

/// The quantized constant under a `dequantize`, if that is what computes a value.
pub(crate) fn packed(graph: &Graph, v: paring_ir::ValueId) -> Option<paring_ir::ValueId> {
    let node = graph.producer(v).filter(|n| n.op.is::<Dequantize>())?;
    let &stored = node.inputs().first()?;
    graph.constant(stored)?;
    graph.ty(stored).quant.as_ref()?;
    Some(stored)
}
