//! Arithmetic, activations, matrix products, reductions and normalizations.

use super::{Layout, Refused, Writer, Written, float, int, text, writers};
use paring_ir::ops::{
    Arg, ArgFn, Binary, BinaryFn, Cast, Conv2d, CumSum, Dense, Dequantize, DynamicQuantize, Einsum,
    Hardmax, LpNormalize, MatMul, Normalize, Quantize, Reduce, ReduceFn, Select, Softmax, Unary,
};
use paring_ir::{Node, NodeId};
use paring_tensor::{DType, Quant, Tensor};

writers! {
    Unary => unary,
    Binary => binary,
    Select => select,
    Cast => cast,
    Quantize => quantize,
    Dequantize => dequantize,
    DynamicQuantize => dynamic_quantize,
    Dense => dense,
    MatMul => matmul,
    Einsum => einsum,
    Reduce => reduce,
    Arg => arg,
    CumSum => cum_sum,
    Softmax => softmax,
    Hardmax => hardmax,
    LpNormalize => lp_normalize,
    Normalize => normalize,
}

fn unary(w: &mut Writer<'_>, op: &Unary, node: &Node) -> Written {
    let layout = w.common(node);
    let x = w.real(node.inputs()[0], layout)?;
    let dtype = w.real_dtype(node.inputs()[0]);
    let base = w.value(node.outputs()[0]).name.clone();
    let base = if layout == Layout::Own { base } else { format!("{base}.planar") };
    let base = base.as_str();
    let a = Vec::new;
    let y = match op {
        Unary::Relu => w.op(base, "Relu", &[&x], a()),
        Unary::Relu6 | Unary::ReluN1To1 | Unary::Clip { .. } => {
            let (min, max) = match op {
                Unary::Relu6 => (0.0, 6.0),
                Unary::Clip { min, max } => (*min, *max),
                _ => (-1.0, 1.0),
            };
            let bound = |w: &mut Writer<'_>, what: &str, x: f32| {
                if x.is_infinite() { String::new() } else { w.scalar(what, f64::from(x), dtype) }
            };
            let (min, max) = (bound(w, "min", min), bound(w, "max", max));
            w.op(base, "Clip", &[&x, &min, &max], a())
        }
        Unary::LeakyRelu { alpha } => w.op(base, "LeakyRelu", &[&x], vec![float("alpha", *alpha)]),
        Unary::Sigmoid => w.op(base, "Sigmoid", &[&x], a()),
        Unary::HardSigmoid { alpha, beta } => {
            let attributes = vec![float("alpha", *alpha), float("beta", *beta)];
            w.op(base, "HardSigmoid", &[&x], attributes)
        }
        Unary::HardSwish => w.op(base, "HardSwish", &[&x], a()),
        Unary::Silu => {
            let gate = w.op(&format!("{base}.gate"), "Sigmoid", &[&x], a());
            w.op(base, "Mul", &[&x, &gate], a())
        }
        Unary::Tanh => w.op(base, "Tanh", &[&x], a()),
        Unary::Elu { alpha } => w.op(base, "Elu", &[&x], vec![float("alpha", *alpha)]),
        Unary::Selu { alpha, gamma } => {
            w.op(base, "Selu", &[&x], vec![float("alpha", *alpha), float("gamma", *gamma)])
        }
        Unary::Celu { alpha } => w.op(base, "Celu", &[&x], vec![float("alpha", *alpha)]),
        Unary::Gelu { tanh } => {
            let kind = if *tanh { "tanh" } else { "none" };
            w.op(base, "Gelu", &[&x], vec![text("approximate", kind)])
        }
        Unary::Softplus => w.op(base, "Softplus", &[&x], a()),
        Unary::Softsign => w.op(base, "Softsign", &[&x], a()),
        Unary::Mish => w.op(base, "Mish", &[&x], a()),
        Unary::ThresholdedRelu { alpha } => {
            w.op(base, "ThresholdedRelu", &[&x], vec![float("alpha", *alpha)])
        }
        Unary::Rsqrt => {
            let root = w.op(&format!("{base}.root"), "Sqrt", &[&x], a());
            w.op(base, "Reciprocal", &[&root], a())
        }
        Unary::Square => w.op(base, "Mul", &[&x, &x], a()),
        Unary::IsInf { negative, positive } => {
            let attributes = vec![
                int("detect_negative", i64::from(*negative)),
                int("detect_positive", i64::from(*positive)),
            ];
            w.op(base, "IsInf", &[&x], attributes)
        }
        plain => {
            let name = match plain {
                Unary::Abs => "Abs",
                Unary::Neg => "Neg",
                Unary::Sign => "Sign",
                Unary::Floor => "Floor",
                Unary::Ceil => "Ceil",
                Unary::Round => "Round",
                Unary::Exp => "Exp",
                Unary::Log => "Log",
                Unary::Sqrt => "Sqrt",
                Unary::Reciprocal => "Reciprocal",
                Unary::Erf => "Erf",
                Unary::Sin => "Sin",
                Unary::Cos => "Cos",
                Unary::Tan => "Tan",
                Unary::Asin => "Asin",
                Unary::Acos => "Acos",
                Unary::Atan => "Atan",
                Unary::Sinh => "Sinh",
                Unary::Cosh => "Cosh",
                Unary::Asinh => "Asinh",
                Unary::Acosh => "Acosh",
                Unary::Atanh => "Atanh",
                Unary::Not => "Not",
                Unary::BitNot => "BitwiseNot",
                Unary::IsNan => "IsNaN",
                other => return Err(Refused(format!("ONNX has no {other:?}"))),
            };
            w.op(base, name, &[&x], a())
        }
    };
    w.name_last(node);
    w.define(node.outputs()[0], layout, &y)
}

fn binary(w: &mut Writer<'_>, op: &Binary, node: &Node) -> Written {
    let layout = w.common(node);
    let (a, b) = (w.real(node.inputs()[0], layout)?, w.real(node.inputs()[1], layout)?);
    let base = format!("{}.result", w.value(node.outputs()[0]).name);
    let float_op = w.real_dtype(node.inputs()[0]).is_float();
    let mut attributes = Vec::new();
    let name = match op.f {
        BinaryFn::Add => "Add",
        BinaryFn::Sub => "Sub",
        BinaryFn::Mul => "Mul",
        BinaryFn::Div => "Div",
        BinaryFn::Min => "Min",
        BinaryFn::Max => "Max",
        BinaryFn::Pow => "Pow",
        BinaryFn::Mod if !float_op => "Mod",
        BinaryFn::Fmod => {
            attributes.push(int("fmod", 1));
            "Mod"
        }
        BinaryFn::Prelu => "PRelu",
        BinaryFn::And => "And",
        BinaryFn::Or => "Or",
        BinaryFn::Xor => "Xor",
        BinaryFn::BitAnd => "BitwiseAnd",
        BinaryFn::BitOr => "BitwiseOr",
        BinaryFn::BitXor => "BitwiseXor",
        BinaryFn::ShiftLeft | BinaryFn::ShiftRight => {
            let left = op.f == BinaryFn::ShiftLeft;
            attributes.push(text("direction", if left { "LEFT" } else { "RIGHT" }));
            "BitShift"
        }
        BinaryFn::Equal => "Equal",
        BinaryFn::Less => "Less",
        BinaryFn::LessEqual => "LessOrEqual",
        BinaryFn::Greater => "Greater",
        BinaryFn::GreaterEqual => "GreaterOrEqual",
        BinaryFn::NotEqual => {
            let equal = w.op(&base, "Equal", &[&a, &b], Vec::new());
            let y = w.op(&base, "Not", &[&equal], Vec::new());
            w.name_last(node);
            return w.define(node.outputs()[0], layout, &y);
        }
        BinaryFn::SquaredDifference => {
            let away = w.op(&base, "Sub", &[&a, &b], Vec::new());
            let y = w.op(&base, "Mul", &[&away, &away], Vec::new());
            w.name_last(node);
            return w.define(node.outputs()[0], layout, &y);
        }
        BinaryFn::FloorDiv | BinaryFn::Mod if float_op => {
            let ratio = w.op(&base, "Div", &[&a, &b], Vec::new());
            let whole = w.op(&base, "Floor", &[&ratio], Vec::new());
            let y = if op.f == BinaryFn::FloorDiv {
                whole
            } else {
                let back = w.op(&base, "Mul", &[&whole, &b], Vec::new());
                w.op(&base, "Sub", &[&a, &back], Vec::new())
            };
            w.name_last(node);
            return w.define(node.outputs()[0], layout, &y);
        }
        other => return Err(Refused(format!("ONNX has no {other:?} of these elements"))),
    };
    let y = w.op(&base, name, &[&a, &b], attributes);
    w.name_last(node);
    let dtype = w.real_dtype(node.outputs()[0]);
    let y = w.clamp(&y, op.activation, dtype);
    w.define(node.outputs()[0], layout, &y)
}

/// One operator over the operands in the graph's layout.
fn simple(
    w: &mut Writer<'_>,
    node: &Node,
    name: &str,
    attributes: Vec<crate::proto::AttributeProto>,
) -> Written {
    let mut operands = Vec::new();
    for i in 0..node.inputs().len() {
        operands.push(w.operand(node, i)?);
    }
    let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
    let base = format!("{}.result", w.value(node.outputs()[0]).name);
    let y = w.op(&base, name, &operands, attributes);
    w.name_last(node);
    w.define(node.outputs()[0], Layout::Own, &y)
}

fn select(w: &mut Writer<'_>, _: &Select, node: &Node) -> Written {
    simple(w, node, "Where", Vec::new())
}

fn cast(w: &mut Writer<'_>, op: &Cast, node: &Node) -> Written {
    // A cast is of the stored numbers.
    let layout = w.common(node);
    let x = w.stored(node.inputs()[0], layout)?;
    let base = w.value(node.outputs()[0]).name.clone();
    let y = w.op(&base, "Cast", &[&x], vec![int("to", crate::tensor::onnx_type(op.to).into())]);
    w.name_last(node);
    w.names.insert((node.outputs()[0], layout), y);
    Ok(())
}

fn quantize(w: &mut Writer<'_>, _: &Quantize, node: &Node) -> Written {
    let layout = w.common(node);
    let x = w.real(node.inputs()[0], layout)?;
    w.define(node.outputs()[0], layout, &x)
}

/// Whether these are constant filters of convolutions: written in the format's order, they need no transpose.
fn filters(w: &Writer<'_>, node: &Node) -> bool {
    let stored = w.value(node.inputs()[0]);
    let reader =
        |(id, i): &(NodeId, usize)| *i == 1 && w.graph.node(*id).op_as::<Conv2d>().is_some();
    let uses = w.value(node.outputs()[0]).uses();
    stored.constant().is_some()
        && !matches!(stored.ty.quant, None | Some(Quant::PerBlock { .. }))
        && !uses.is_empty()
        && uses.iter().all(reader)
}

fn dequantize(w: &mut Writer<'_>, _: &Dequantize, node: &Node) -> Written {
    let id = node.inputs()[0];
    let layout = if filters(w, node) { Layout::Planar } else { w.common(node) };
    let mut x = w.real(id, layout)?;
    if w.graph.ty(id).quant.is_none() && w.graph.ty(id).dtype != DType::F32 {
        let to = vec![int("to", crate::tensor::onnx_type(DType::F32).into())];
        x = w.op(&format!("{x}.f32"), "Cast", &[&x], to);
    }
    w.define(node.outputs()[0], layout, &x)
}

fn dynamic_quantize(w: &mut Writer<'_>, _: &DynamicQuantize, node: &Node) -> Written {
    let x = w.operand(node, 0)?;
    let names: Vec<String> =
        node.outputs().iter().map(|v| w.fresh(&w.graph.value(*v).name.clone())).collect();
    let outputs: Vec<&str> = names.iter().map(String::as_str).collect();
    w.push("DynamicQuantizeLinear", &[&x], &outputs, Vec::new());
    for (v, name) in node.outputs().iter().zip(&names) {
        w.names.insert((*v, Layout::Own), name.clone());
    }
    Ok(())
}

fn dense(w: &mut Writer<'_>, op: &Dense, node: &Node) -> Written {
    let (x, weights) = (w.operand(node, 0)?, w.operand(node, 1)?);
    let bias = if node.inputs().len() > 2 { Some(w.operand(node, 2)?) } else { None };
    let base = format!("{}.result", w.value(node.outputs()[0]).name);
    let y = if w.rank(node.inputs()[0]) == 2 {
        let mut operands = vec![x.as_str(), weights.as_str()];
        operands.extend(bias.as_deref());
        let y = w.op(&base, "Gemm", &operands, vec![int("transB", 1)]);
        w.name_last(node);
        y
    } else {
        let turned = w.transpose(&weights, &[1, 0]);
        let y = w.op(&base, "MatMul", &[&x, &turned], Vec::new());
        w.name_last(node);
        match bias {
            Some(b) => w.op(&base, "Add", &[&y, &b], Vec::new()),
            None => y,
        }
    };
    let dtype = w.real_dtype(node.outputs()[0]);
    let y = w.clamp(&y, op.activation, dtype);
    w.define(node.outputs()[0], Layout::Own, &y)
}

fn matmul(w: &mut Writer<'_>, _: &MatMul, node: &Node) -> Written {
    simple(w, node, "MatMul", Vec::new())
}

fn einsum(w: &mut Writer<'_>, op: &Einsum, node: &Node) -> Written {
    simple(w, node, "Einsum", vec![text("equation", &op.equation)])
}

fn reduce(w: &mut Writer<'_>, op: &Reduce, node: &Node) -> Written {
    let mut x = w.operand(node, 0)?;
    let name = match op.f {
        ReduceFn::Mean => "ReduceMean",
        ReduceFn::Sum => "ReduceSum",
        ReduceFn::Prod => "ReduceProd",
        ReduceFn::Max | ReduceFn::Any => "ReduceMax",
        ReduceFn::Min | ReduceFn::All => "ReduceMin",
        ReduceFn::L1 => "ReduceL1",
        ReduceFn::L2 => "ReduceL2",
        ReduceFn::LogSum => "ReduceLogSum",
        ReduceFn::LogSumExp => "ReduceLogSumExp",
        ReduceFn::SumSquare => "ReduceSumSquare",
    };
    let boolean = matches!(op.f, ReduceFn::Any | ReduceFn::All);
    let to = |d: DType| vec![int("to", crate::tensor::onnx_type(d).into())];
    if boolean {
        x = w.op(&format!("{x}.u8"), "Cast", &[&x], to(DType::U8));
    }
    let axes: Vec<i64> = op.axes.iter().map(|a| *a as i64).collect();
    let axes = w.numbers("axes", &axes)?;
    let attributes = vec![int("keepdims", i64::from(op.keep_dims)), int("noop_with_empty_axes", 1)];
    let base = format!("{}.result", w.value(node.outputs()[0]).name);
    let mut y = w.op(&base, name, &[&x, &axes], attributes);
    w.name_last(node);
    if boolean {
        y = w.op(&format!("{y}.bool"), "Cast", &[&y], to(DType::Bool));
    }
    w.define(node.outputs()[0], Layout::Own, &y)
}

fn arg(w: &mut Writer<'_>, op: &Arg, node: &Node) -> Written {
    let x = w.operand(node, 0)?;
    let attributes = vec![
        int("axis", op.axis as i64),
        int("keepdims", i64::from(op.keep_dims)),
        int("select_last_index", i64::from(op.select_last)),
    ];
    let name = if op.f == ArgFn::Max { "ArgMax" } else { "ArgMin" };
    let base = format!("{}.result", w.value(node.outputs()[0]).name);
    let mut y = w.op(&base, name, &[&x], attributes);
    w.name_last(node);
    if op.to != DType::I64 {
        let to = vec![int("to", crate::tensor::onnx_type(op.to).into())];
        y = w.op(&format!("{y}.cast"), "Cast", &[&y], to);
    }
    w.define(node.outputs()[0], Layout::Own, &y)
}

fn cum_sum(w: &mut Writer<'_>, op: &CumSum, node: &Node) -> Written {
    let x = w.operand(node, 0)?;
    let axis = w.scalar("axis", op.axis as f64, DType::I64);
    let attributes =
        vec![int("exclusive", i64::from(op.exclusive)), int("reverse", i64::from(op.reverse))];
    let base = format!("{}.result", w.value(node.outputs()[0]).name);
    let y = w.op(&base, "CumSum", &[&x, &axis], attributes);
    w.name_last(node);
    w.define(node.outputs()[0], Layout::Own, &y)
}

fn softmax(w: &mut Writer<'_>, op: &Softmax, node: &Node) -> Written {
    let mut x = w.operand(node, 0)?;
    if op.beta != 1.0 {
        let dtype = w.real_dtype(node.inputs()[0]);
        let beta = w.scalar("beta", f64::from(op.beta), dtype);
        x = w.op(&format!("{x}.scaled"), "Mul", &[&x, &beta], Vec::new());
    }
    let name = if op.log { "LogSoftmax" } else { "Softmax" };
    let base = format!("{}.result", w.value(node.outputs()[0]).name);
    let y = w.op(&base, name, &[&x], vec![int("axis", op.axis as i64)]);
    w.name_last(node);
    w.define(node.outputs()[0], Layout::Own, &y)
}

fn hardmax(w: &mut Writer<'_>, op: &Hardmax, node: &Node) -> Written {
    simple(w, node, "Hardmax", vec![int("axis", op.axis as i64)])
}

fn lp_normalize(w: &mut Writer<'_>, op: &LpNormalize, node: &Node) -> Written {
    if op.epsilon != 0.0 {
        return Err(Refused("a lower bound of the norm".to_owned()));
    }
    let attributes = vec![int("axis", op.axis as i64), int("p", op.p.into())];
    simple(w, node, "LpNormalization", attributes)
}

/// Over the last axes with parameters of their shape this is `LayerNormalization`; the rest is spelled
/// out.
fn normalize(w: &mut Writer<'_>, op: &Normalize, node: &Node) -> Written {
    let id = node.inputs()[0];
    let shape = w.extents(id)?;
    let rank = shape.len();
    let base = format!("{}.result", w.value(node.outputs()[0]).name);
    let first = op.axes.first().copied().unwrap_or(0);
    let last = op.axes.iter().copied().eq(first..rank);
    let fits = node.inputs()[1..].iter().all(|v| w.extents(*v).is_ok_and(|s| s == shape[first..]));
    if op.groups == 1 && last && fits && node.inputs().len() > 1 {
        let attributes = vec![int("axis", first as i64), float("epsilon", op.epsilon)];
        return simple(w, node, "LayerNormalization", attributes);
    }
    let dtype = w.real_dtype(id);
    let x = w.operand(node, 0)?;
    let (x, axes, back) = if op.groups > 1 {
        let mut apart: Vec<i64> = shape[..rank - 1].iter().map(|n| *n as i64).collect();
        apart.extend([op.groups as i64, (shape[rank - 1] / op.groups) as i64]);
        let to = w.numbers("groups", &apart)?;
        let x = w.op(&base, "Reshape", &[&x, &to], Vec::new());
        let mut axes: Vec<i64> = op.axes.iter().map(|a| *a as i64).collect();
        if let Some(a) = axes.last_mut() {
            *a += 1;
        }
        (x, axes, true)
    } else {
        (x, op.axes.iter().map(|a| *a as i64).collect(), false)
    };
    let axes = w.numbers("axes", &axes)?;
    let mean = w.op(&base, "ReduceMean", &[&x, &axes], Vec::new());
    let away = w.op(&base, "Sub", &[&x, &mean], Vec::new());
    let square = w.op(&base, "Mul", &[&away, &away], Vec::new());
    let variance = w.op(&base, "ReduceMean", &[&square, &axes], Vec::new());
    let epsilon = w.constant("epsilon", &Tensor::scalar(op.epsilon).cast(dtype));
    let sum = w.op(&base, "Add", &[&variance, &epsilon], Vec::new());
    let root = w.op(&base, "Sqrt", &[&sum], Vec::new());
    let mut y = w.op(&base, "Div", &[&away, &root], Vec::new());
    w.name_last(node);
    if back {
        let whole: Vec<i64> = shape.iter().map(|n| *n as i64).collect();
        let whole = w.numbers("whole", &whole)?;
        y = w.op(&base, "Reshape", &[&y, &whole], Vec::new());
    }
    for (i, name) in [(1, "Mul"), (2, "Add")] {
        if node.inputs().len() > i {
            let p = w.operand(node, i)?;
            y = w.op(&base, name, &[&y, &p], Vec::new());
        }
    }
    w.define(node.outputs()[0], Layout::Own, &y)
}
