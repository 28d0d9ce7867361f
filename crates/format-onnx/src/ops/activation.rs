//! Activation functions.

use super::unary::apply;
use super::{Entry, Outcome};
use crate::cx::Cx;
use crate::reject::Reject;
use paring_ir::ops::{Binary, BinaryFn, Select, Unary};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("Relu", |cx| apply(cx, Unary::Relu)),
    Entry::new("Sigmoid", |cx| apply(cx, Unary::Sigmoid)),
    Entry::new("Tanh", |cx| apply(cx, Unary::Tanh)),
    Entry::new("HardSwish", |cx| apply(cx, Unary::HardSwish)),
    Entry::new("Mish", |cx| apply(cx, Unary::Mish)),
    Entry::new("Softplus", |cx| apply(cx, Unary::Softplus)),
    Entry::new("Softsign", |cx| apply(cx, Unary::Softsign)),
    Entry::new("LeakyRelu", |cx| {
        let alpha = cx.float("alpha", 0.01)?;
        apply(cx, Unary::LeakyRelu { alpha })
    }),
    Entry::new("ThresholdedRelu", |cx| {
        let alpha = cx.float("alpha", 1.0)?;
        apply(cx, Unary::ThresholdedRelu { alpha })
    }),
    Entry::new("Elu", |cx| {
        let alpha = cx.float("alpha", 1.0)?;
        apply(cx, Unary::Elu { alpha })
    }),
    Entry::new("Celu", |cx| {
        let alpha = cx.float("alpha", 1.0)?;
        apply(cx, Unary::Celu { alpha })
    }),
    Entry::new("Selu", |cx| {
        let alpha = cx.float("alpha", 1.673_263_2)?;
        let gamma = cx.float("gamma", 1.050_701)?;
        apply(cx, Unary::Selu { alpha, gamma })
    }),
    Entry::new("HardSigmoid", |cx| {
        let (alpha, beta) = (cx.float("alpha", 0.2)?, cx.float("beta", 0.5)?);
        apply(cx, Unary::HardSigmoid { alpha, beta })
    }),
    Entry::new("Gelu", gelu),
    Entry::microsoft("Gelu", gelu),
    Entry::microsoft("FastGelu", |cx| {
        if cx.has(1) {
            return Err(Reject::unsupported("a bias inside of FastGelu"));
        }
        apply(cx, Unary::Gelu { tanh: true })
    }),
    Entry::new("Swish", swish),
    Entry::microsoft("QuickGelu", swish),
    Entry::new("Clip", clip),
    Entry::new("PRelu", prelu),
    Entry::new("Shrink", shrink),
];

fn gelu(cx: &mut Cx<'_, '_>) -> Outcome {
    let tanh = match cx.text("approximate", "none")? {
        "none" => false,
        "tanh" => true,
        other => return Err(Reject::malformed(format!("approximation `{other}`"))),
    };
    apply(cx, Unary::Gelu { tanh })
}

/// `x * sigmoid(alpha * x)`
fn swish(cx: &mut Cx<'_, '_>) -> Outcome {
    let default = if cx.op_type == "QuickGelu" { 1.702 } else { 1.0 };
    let alpha = cx.float("alpha", default)?;
    if alpha == 1.0 {
        return apply(cx, Unary::Silu);
    }
    let x = cx.input(0)?;
    let factor = cx.scalar_like(x, f64::from(alpha))?;
    let scaled = cx.aux(Binary::new(BinaryFn::Mul), &[x, factor])?;
    let gate = cx.aux(Unary::Sigmoid, &[scaled])?;
    let y = cx.emit(Binary::new(BinaryFn::Mul), &[x, gate])?;
    cx.set(0, y);
    Ok(())
}

fn clip(cx: &mut Cx<'_, '_>) -> Outcome {
    let x = cx.input(0)?;
    let from_attributes = cx.opset < 11;
    let constant = from_attributes
        || (1..=2).all(|i| !cx.has(i) || cx.constant(i).is_some_and(|t| t.len() == 1));
    if constant && cx.dtype(x).is_float() {
        let (min, max) = if from_attributes {
            (cx.opt_float("min")?.map(f64::from), cx.opt_float("max")?.map(f64::from))
        } else {
            (cx.scalar_const(1, "minimum")?, cx.scalar_const(2, "maximum")?)
        };
        // Bounds at the ends of the type bound nothing.
        let bound = |b: Option<f64>, none: f32| match b {
            Some(b) if (b as f32).abs() < f32::MAX => b as f32,
            _ => none,
        };
        let (min, max) = (bound(min, f32::NEG_INFINITY), bound(max, f32::INFINITY));
        let op = match (min, max) {
            (0.0, f32::INFINITY) => Unary::Relu,
            (0.0, 6.0) => Unary::Relu6,
            (-1.0, 1.0) => Unary::ReluN1To1,
            (f32::NEG_INFINITY, f32::INFINITY) => {
                let val = cx.inputs[0].clone();
                cx.set_val(0, val);
                return Ok(());
            }
            _ => Unary::Clip { min, max },
        };
        return apply(cx, op);
    }
    let mut y = x;
    for (i, f) in [(1, BinaryFn::Max), (2, BinaryFn::Min)] {
        if let Some(bound) = cx.opt_input(i)? {
            let bound = cx.reshape(bound, &[])?;
            y = cx.emit(Binary::new(f), &[y, bound])?;
        }
    }
    cx.set(0, y);
    Ok(())
}

fn prelu(cx: &mut Cx<'_, '_>) -> Outcome {
    let (x, mut slope) = (cx.input(0)?, cx.input(1)?);
    let (rank, own) = (cx.shape(x)?.len(), cx.shape(slope)?);
    // Until set 7 a vector of slopes went along the channels.
    if cx.opset < 7
        && let [channels] = own[..]
        && channels > 1
        && rank > 2
    {
        let mut along = vec![1; rank - 1];
        along[0] = channels;
        slope = cx.reshape(slope, &along)?;
    }
    let y = cx.emit(Binary::new(BinaryFn::Prelu), &[x, slope])?;
    cx.set(0, y);
    Ok(())
}

/// `x + bias` below `-lambd`, `x - bias` above `lambd`, zero between.
fn shrink(cx: &mut Cx<'_, '_>) -> Outcome {
    let (bias, lambd) = (cx.float("bias", 0.0)?, cx.float("lambd", 0.5)?);
    let x = cx.input(0)?;
    let zero = cx.scalar_like(x, 0.0)?;
    let bias = cx.scalar_like(x, f64::from(bias))?;
    let high = cx.scalar_like(x, f64::from(lambd))?;
    let low = cx.scalar_like(x, -f64::from(lambd))?;
    let above = cx.aux(Binary::new(BinaryFn::Greater), &[x, high])?;
    let below = cx.aux(Binary::new(BinaryFn::Less), &[x, low])?;
    let down = cx.aux(Binary::new(BinaryFn::Sub), &[x, bias])?;
    let up = cx.aux(Binary::new(BinaryFn::Add), &[x, bias])?;
    let upper = cx.aux(Select {}, &[above, down, zero])?;
    let y = cx.emit(Select {}, &[below, up, upper])?;
    cx.set(0, y);
    Ok(())
}
