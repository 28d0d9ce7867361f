//! Quantization: its operators as quantized types of the graph where the parameters are constant, and
//! as the arithmetic that defines them elsewhere.

use super::{Entry, Outcome, integer};
use crate::build::Val;
use crate::cx::Cx;
use crate::reject::Reject;
use crate::tensor;
use paring_ir::ValueId;
use paring_ir::ops::{
    Binary, BinaryFn, BroadcastTo, Cast, Dequantize, DynamicQuantize, Quantize, Slice, Unary,
};
use paring_tensor::{DType, Quant, Tensor, TensorType};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("QuantizeLinear", quantize_linear),
    Entry::kept("DequantizeLinear", dequantize_linear),
    Entry::microsoft("QuantizeLinear", quantize_linear),
    Entry { fold: false, ..Entry::microsoft("DequantizeLinear", dequantize_linear) },
    Entry::new("DynamicQuantizeLinear", dynamic),
];

/// How scales lie along a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Grain {
    Tensor,
    /// One for each index of an axis.
    Axis(usize),
    /// One for each run of this many indices of an axis, and each index of the other axes.
    Block(usize, usize),
}

impl Grain {
    fn read(
        cx: &Cx<'_, '_>,
        shape: &[usize],
        scale: &[usize],
        axis: Option<usize>,
    ) -> Result<Self, Reject> {
        let block = cx.int("block_size", 0)?;
        let count: usize = scale.iter().product();
        if count == 1 && block == 0 {
            return Ok(Self::Tensor);
        }
        let axis = match axis {
            Some(axis) => axis,
            None => {
                let axis = cx.int("axis", 1)?;
                cx.axis(axis, shape.len())?
            }
        };
        if block == 0 {
            return if count == shape[axis] {
                Ok(Self::Axis(axis))
            } else {
                let why = format!("{count} scales for axis {axis} of {shape:?}");
                Err(Reject::malformed(why))
            };
        }
        let block = usize::try_from(block)
            .ok()
            .filter(|b| *b > 0)
            .ok_or_else(|| Reject::malformed(format!("block_size {block}")))?;
        let mut wanted = shape.to_vec();
        wanted[axis] = shape[axis].div_ceil(block);
        if scale == wanted {
            Ok(Self::Block(axis, block))
        } else {
            Err(Reject::malformed(format!("scales {scale:?} for blocks {wanted:?}")))
        }
    }

    /// As a quantization of ours, if there is one for it.
    fn quant(self, shape: &[usize], scale: &Tensor, zero: Option<&Tensor>) -> Option<Quant> {
        let scales = scale.to_f32();
        let zeros: Vec<i32> = match zero {
            Some(z) if z.len() == scales.len() => {
                z.to_i64().iter().map(|z| i32::try_from(*z).ok()).collect::<Option<_>>()?
            }
            Some(_) => return None,
            None => vec![0; scales.len()],
        };
        Some(match self {
            Self::Tensor => Quant::per_tensor(*scales.first()?, *zeros.first()?),
            Self::Axis(axis) => {
                Quant::PerAxis { axis, scales: scales.into(), zero_points: zeros.into() }
            }
            Self::Block(axis, block) if axis + 1 == shape.len() => {
                Quant::PerBlock { axis, block, scales: scales.into(), zero_points: zeros.into() }
            }
            Self::Block(..) => return None,
        })
    }

    /// Scales or zero points in a shape that broadcasts to that of the value.
    fn spread(self, cx: &mut Cx<'_, '_>, id: ValueId, shape: &[usize]) -> Result<ValueId, Reject> {
        match self {
            Self::Tensor => cx.reshape(id, &[]),
            Self::Axis(axis) => {
                let mut along = vec![1; shape.len()];
                along[axis] = shape[axis];
                cx.reshape(id, &along)
            }
            Self::Block(axis, block) => {
                let mut apart = cx.shape(id)?;
                let blocks = apart[axis];
                apart.insert(axis + 1, 1);
                let id = cx.reshape(id, &apart)?;
                apart[axis + 1] = block;
                let id = cx.aux(BroadcastTo { shape: apart.clone() }, &[id])?;
                apart.remove(axis + 1);
                apart[axis] = blocks * block;
                let id = cx.reshape(id, &apart)?;
                if apart == shape {
                    return Ok(id);
                }
                let rank = shape.len();
                let op = Slice { start: vec![0; rank], len: shape.to_vec(), step: vec![1; rank] };
                cx.aux(op, &[id])
            }
        }
    }
}

/// The parameters in inputs `scale` and `scale + 1` for a value of this shape.
struct Params {
    grain: Grain,
    scale: usize,
    zero: usize,
    quant: Option<Quant>,
}

impl Params {
    fn read(
        cx: &Cx<'_, '_>,
        shape: &[usize],
        scale: usize,
        axis: Option<usize>,
    ) -> Result<Self, Reject> {
        let grain = Grain::read(cx, shape, &cx.input_shape(scale)?, axis)?;
        let zero = scale + 1;
        let quant = match (cx.constant(scale), cx.constant(zero)) {
            (Some(s), z) if z.is_some() || !cx.has(zero) => grain.quant(shape, s, z),
            _ => None,
        };
        Ok(Self { grain, scale, zero, quant })
    }
}

/// The numbers that an input stands for. Several scales lie along `axis`, or where the attributes say.
pub(super) fn dequantized(
    cx: &mut Cx<'_, '_>,
    input: usize,
    scale: usize,
    axis: Option<usize>,
) -> Result<ValueId, Reject> {
    let shape = cx.input_shape(input)?;
    let params = Params::read(cx, &shape, scale, axis)?;
    let ty = cx.input_type(input)?;
    let fits = |q: &Quant| q.check(ty.dtype, &ty.shape).is_ok();
    if let Some(quant) = params.quant.clone().filter(fits) {
        if let Some(Val::Const(c)) = cx.inputs.get(input) {
            let (name, tensor) = (c.name.clone(), c.tensor.clone());
            let (tensor, quant) = narrowed(c.unsigned4, tensor, quant);
            let stored = cx.build.graph.add_const(name, tensor, Some(quant))?;
            return cx.emit(Dequantize {}, &[stored]);
        }
        if ty.quant.as_ref() == Some(&quant) {
            let x = cx.input(input)?;
            return cx.emit(Dequantize {}, &[x]);
        }
    }
    let x = cx.input(input)?;
    let x = cx.aux(Cast { to: DType::F32 }, &[x])?;
    let x = match cx.opt_input(params.zero)? {
        Some(z) => {
            let z = params.grain.spread(cx, z, &shape)?;
            let z = cx.aux(Cast { to: DType::F32 }, &[z])?;
            cx.aux(Binary::new(BinaryFn::Sub), &[x, z])?
        }
        None => x,
    };
    let s = cx.input(params.scale)?;
    let s = params.grain.spread(cx, s, &shape)?;
    let s = real(cx, s)?;
    cx.emit(Binary::new(BinaryFn::Mul), &[x, s])
}

/// Unsigned four-bit weights as signed ones: the same numbers, eight less.
fn narrowed(unsigned4: bool, tensor: Tensor, quant: Quant) -> (Tensor, Quant) {
    let down = |z: &std::sync::Arc<[i32]>| z.iter().map(|z| z - 8).collect();
    if !unsigned4 {
        return (tensor, quant);
    }
    let data: Vec<i8> = tensor.to_i64().iter().map(|x| (*x - 8) as i8).collect();
    let Ok(moved) = Tensor::from_vec(tensor.shape(), data).and_then(|t| t.reinterpret(DType::I4))
    else {
        return (tensor, quant);
    };
    let quant = match quant {
        Quant::PerTensor { scale, zero_point } => Quant::per_tensor(scale, zero_point - 8),
        Quant::PerAxis { axis, scales, zero_points } => {
            Quant::PerAxis { axis, scales, zero_points: down(&zero_points) }
        }
        Quant::PerBlock { axis, block, scales, zero_points } => {
            Quant::PerBlock { axis, block, scales, zero_points: down(&zero_points) }
        }
    };
    (moved, quant)
}

/// A value in the quantization of inputs `scale` and `scale + 1`.
pub(super) fn quantized(cx: &mut Cx<'_, '_>, x: ValueId, scale: usize) -> Result<ValueId, Reject> {
    let shape = cx.shape(x)?;
    let params = Params::read(cx, &shape, scale, None)?;
    let stated = cx.int("output_dtype", 0)?;
    let unsigned4 = matches!(cx.inputs.get(params.zero), Some(Val::Const(c)) if c.unsigned4);
    if unsigned4 || stated == i64::from(crate::proto::data_type::UINT4) {
        return Err(Reject::unsupported("values of unsigned 4-bit elements"));
    }
    let dtype = if cx.has(params.zero) {
        cx.input_type(params.zero)?.dtype
    } else if stated != 0 {
        tensor::dtype(i32::try_from(stated).unwrap_or(-1))?
    } else {
        DType::U8
    };
    let x = real(cx, x)?;
    if let Some(quant) = params.quant {
        let ty = TensorType::new(dtype, shape).with_quant(quant);
        ty.check()?;
        if let Some(stored) = integer::stored(cx, x) {
            let have = cx.ty(stored);
            return if (have.dtype, &have.quant) == (ty.dtype, &ty.quant) {
                Ok(stored)
            } else {
                integer::requantized(cx, stored, &ty)
            };
        }
        if let Some(y) = integer::form(cx, x, &ty)? {
            return Ok(y);
        }
        let name = cx.name.clone();
        let outputs = cx.build.graph.add_typed_node(
            name.clone(),
            Quantize { ties_even: true },
            &[x],
            vec![(name, ty)],
        )?;
        return outputs.first().copied().ok_or_else(|| Reject::malformed("no output"));
    }
    let (low, high) =
        dtype.int_range().ok_or_else(|| Reject::malformed(format!("quantization to {dtype}")))?;
    let s = cx.input(params.scale)?;
    let s = real(cx, s)?;
    let s = params.grain.spread(cx, s, &shape)?;
    let y = cx.aux(Binary::new(BinaryFn::Div), &[x, s])?;
    let y = cx.aux(Unary::Round, &[y])?;
    let y = match cx.opt_input(params.zero)? {
        Some(z) => {
            let z = params.grain.spread(cx, z, &shape)?;
            let z = cx.aux(Cast { to: DType::F32 }, &[z])?;
            cx.aux(Binary::new(BinaryFn::Add), &[y, z])?
        }
        None => y,
    };
    let y = cx.aux(Unary::Clip { min: low as f32, max: high as f32 }, &[y])?;
    cx.emit(Cast { to: dtype }, &[y])
}

/// A value as single-precision numbers, the type that quantization computes in.
fn real(cx: &mut Cx<'_, '_>, x: ValueId) -> Result<ValueId, Reject> {
    if cx.dtype(x) == DType::F32 { Ok(x) } else { cx.aux(Cast { to: DType::F32 }, &[x]) }
}

fn quantize_linear(cx: &mut Cx<'_, '_>) -> Outcome {
    let x = cx.input(0)?;
    let y = quantized(cx, x, 1)?;
    cx.set(0, y);
    Ok(())
}

fn dequantize_linear(cx: &mut Cx<'_, '_>) -> Outcome {
    let y = dequantized(cx, 0, 1, None)?;
    // The result has the type of the scales, unless it is stated.
    let to = match cx.int("output_dtype", 0)? {
        0 => cx.input_type(1)?.dtype,
        stated => tensor::dtype(i32::try_from(stated).unwrap_or(-1))?,
    };
    let y = if cx.dtype(y) == to { y } else { cx.emit(Cast { to }, &[y])? };
    cx.set(0, y);
    Ok(())
}

fn dynamic(cx: &mut Cx<'_, '_>) -> Outcome {
    let x = cx.input(0)?;
    let outputs = cx.emit_many(DynamicQuantize {}, &[x])?;
    for (i, id) in outputs.into_iter().enumerate() {
        cx.set(i, id);
    }
    Ok(())
}
