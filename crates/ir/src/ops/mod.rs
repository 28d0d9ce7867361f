//! The ops, one file each, and what their inference shares.

mod arg;
mod batch_norm;
mod binary;
mod broadcast_to;
mod cast;
mod concat;
mod conv2d;
mod conv_transpose2d;
mod cum_sum;
mod dense;
mod depth_space;
mod dequantize;
mod dynamic_quantize;
mod einsum;
mod gather;
mod gather_elements;
mod gather_nd;
mod hardmax;
mod lp_normalize;
mod lrn;
mod matmul;
mod non_max_suppression;
mod non_zero;
mod normalize;
mod one_hot;
mod pad;
mod pool;
mod quantize;
mod recurrent;
mod reduce;
mod reshape;
mod resize;
mod reverse;
mod scatter;
mod select;
mod slice;
mod softmax;
mod svdf;
mod tile;
mod top_k;
mod transpose;
mod trilu;
mod unary;

pub use arg::{Arg, ArgFn};
pub use batch_norm::BatchNorm;
pub use binary::{Binary, BinaryFn};
pub use broadcast_to::BroadcastTo;
pub use cast::Cast;
pub use concat::Concat;
pub use conv_transpose2d::ConvTranspose2d;
pub use conv2d::Conv2d;
pub use cum_sum::CumSum;
pub use dense::Dense;
pub use depth_space::{DepthOrder, DepthToSpace, SpaceToDepth};
pub use dequantize::Dequantize;
pub use dynamic_quantize::DynamicQuantize;
pub use einsum::Einsum;
pub use gather::Gather;
pub use gather_elements::GatherElements;
pub use gather_nd::GatherNd;
pub use hardmax::Hardmax;
pub use lp_normalize::LpNormalize;
pub use lrn::Lrn;
pub use matmul::MatMul;
pub use non_max_suppression::NonMaxSuppression;
pub use non_zero::NonZero;
pub use normalize::Normalize;
pub use one_hot::OneHot;
pub use pad::{Pad, PadMode};
pub use pool::{Pool, PoolKind};
pub use quantize::Quantize;
pub use recurrent::{Direction, GateFn, Gru, Lstm, Rnn};
pub use reduce::{Reduce, ReduceFn};
pub use reshape::Reshape;
pub use resize::{Resize, ResizeCoordinates, ResizeMethod, ResizeNearest};
pub use reverse::Reverse;
pub use scatter::{ScatterElements, ScatterFn, ScatterNd};
pub use select::Select;
pub use slice::Slice;
pub use softmax::Softmax;
pub use svdf::Svdf;
pub use tile::Tile;
pub use top_k::TopK;
pub use transpose::Transpose;
pub use trilu::Trilu;
pub use unary::Unary;

use crate::OpError;
use paring_tensor::{DType, Dim, Quant, Shape, TensorType};
use serde::{Deserialize, Serialize};

/// A clamp that an op applies to its result; the forms that TFLite's fused activations have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// No clamp.
    #[default]
    None,
    /// `max(x, 0)`
    Relu,
    /// `min(max(x, 0), 6)`
    Relu6,
    /// `min(max(x, -1), 1)`
    ReluN1To1,
}

impl Activation {
    /// Whether this is no clamp.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::None
    }

    /// The bounds in real numbers; infinite where there is none.
    #[must_use]
    pub fn bounds(self) -> (f32, f32) {
        match self {
            Self::None => (f32::NEG_INFINITY, f32::INFINITY),
            Self::Relu => (0.0, f32::INFINITY),
            Self::Relu6 => (0.0, 6.0),
            Self::ReluN1To1 => (-1.0, 1.0),
        }
    }

    /// The bounds among the stored integers of a quantized output, by TFLite's rule: each bound is
    /// rounded to the nearest integer, away from zero at ties, and cut to the element type's range.
    #[must_use]
    pub fn quantized_bounds(self, scale: f32, zero_point: i32, dtype: DType) -> (i32, i32) {
        let (low, high) = dtype.int_range().unwrap_or((i64::MIN, i64::MAX));
        let cut = |x: i64| x.clamp(low.max(i64::from(i32::MIN)), high.min(i64::from(i32::MAX)));
        let bound = |x: f32| {
            if x.is_finite() {
                cut(i64::from(zero_point) + (x / scale).round() as i64)
            } else if x < 0.0 {
                cut(i64::MIN)
            } else {
                cut(i64::MAX)
            }
        };
        let (min, max) = self.bounds();
        (bound(min) as i32, bound(max) as i32)
    }
}

/// Zeros around the spatial axes of a convolution or pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Padding {
    /// By rule.
    Auto(AutoPad),
    /// `[top, left, bottom, right]`
    Explicit([usize; 4]),
}

/// Padding by rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AutoPad {
    /// The output has `ceil(input / stride)` positions; an odd zero goes to the end.
    Same,
    /// As `same`; an odd zero goes to the start.
    SameLower,
    /// None.
    Valid,
}

impl Padding {
    /// No padding.
    pub const VALID: Self = Self::Auto(AutoPad::Valid);
    /// TFLite's and Keras's `SAME`, ONNX's `SAME_UPPER`.
    pub const SAME: Self = Self::Auto(AutoPad::Same);

    /// `[top, left, bottom, right]` for an input, a dilated window and a stride of `[height, width]`.
    #[must_use]
    pub fn resolve(self, input: [usize; 2], window: [usize; 2], stride: [usize; 2]) -> [usize; 4] {
        let rule = match self {
            Self::Explicit(pad) => return pad,
            Self::Auto(rule) => rule,
        };
        let mut pad = [0; 4];
        for axis in 0..2 {
            let step = stride[axis].max(1);
            let positions = input[axis].div_ceil(step);
            let covered = positions.saturating_sub(1).saturating_mul(step) + window[axis];
            let total = covered.saturating_sub(input[axis]);
            let (before, after) = match rule {
                AutoPad::Same => (total / 2, total - total / 2),
                AutoPad::SameLower => (total - total / 2, total / 2),
                AutoPad::Valid => (0, 0),
            };
            pad[axis] = before;
            pad[axis + 2] = after;
        }
        pad
    }
}

/// Extent of a window of `kernel` taps that are `dilation` apart.
pub(crate) fn dilated(kernel: usize, dilation: usize) -> Option<usize> {
    kernel.checked_sub(1)?.checked_mul(dilation)?.checked_add(1)
}

/// The `[height, width]` and resolved padding of a window that slides over an NHWC input.
pub(crate) fn slide(
    input: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    padding: Padding,
    ceil: bool,
) -> Result<[usize; 2], OpError> {
    if kernel.contains(&0) || stride.contains(&0) || dilation.contains(&0) {
        return Err(OpError::new(format!(
            "kernel {kernel:?}, stride {stride:?} and dilation {dilation:?} must not be zero"
        )));
    }
    let mut window = [0; 2];
    for axis in 0..2 {
        window[axis] = dilated(kernel[axis], dilation[axis])
            .ok_or_else(|| OpError::new("the dilated kernel is too large"))?;
    }
    let pad = padding.resolve(input, window, stride);
    let mut out = [0; 2];
    for axis in 0..2 {
        let padded = input[axis]
            .checked_add(pad[axis])
            .and_then(|n| n.checked_add(pad[axis + 2]))
            .ok_or_else(|| OpError::new("the padded input is too large"))?;
        let room = padded.checked_sub(window[axis]).ok_or_else(|| {
            OpError::new(format!(
                "a window of {window:?} does not fit the input of {input:?} padded by {pad:?}"
            ))
        })?;
        out[axis] = room / stride[axis] + 1;
        if ceil && room % stride[axis] != 0 && out[axis] * stride[axis] < input[axis] + pad[axis] {
            out[axis] += 1;
        }
    }
    Ok(out)
}

/// Checks the number of inputs.
pub(crate) fn arity(
    inputs: &[&TensorType],
    range: std::ops::RangeInclusive<usize>,
) -> Result<(), OpError> {
    if range.contains(&inputs.len()) {
        return Ok(());
    }
    let (low, high) = (range.start(), range.end());
    let wanted = if low == high { low.to_string() } else { format!("{low} to {high}") };
    Err(OpError::new(format!("takes {wanted} inputs, got {}", inputs.len())))
}

/// The extents as numbers.
pub(crate) fn fixed(what: &str, ty: &TensorType) -> Result<Vec<usize>, OpError> {
    ty.shape.fixed().ok_or_else(|| {
        OpError::new(format!("{what} {} has unbound dimensions; bind them first", ty.shape))
    })
}

/// Batch dimension, height, width and channels of an image.
pub(crate) fn nhwc<'a>(
    what: &str,
    ty: &'a TensorType,
) -> Result<(&'a Dim, [usize; 2], usize), OpError> {
    let fail =
        || OpError::new(format!("{what} {} is not [batch, height, width, channels]", ty.shape));
    match ty.shape.dims() {
        [n, h, w, c] => match (h.fixed(), w.fixed(), c.fixed()) {
            (Some(h), Some(w), Some(c)) => Ok((n, [h, w], c)),
            _ => Err(fail()),
        },
        _ => Err(fail()),
    }
}

/// The element type of a result computed from an operand: the operand's. Integer kernels of quantized
/// operands are declared through the quantization rule.
pub(crate) fn same_dtype(inputs: &[&TensorType]) -> Result<DType, OpError> {
    let Some(first) = inputs.first() else { return Err(OpError::new("takes at least one input")) };
    match inputs.iter().find(|t| t.dtype != first.dtype) {
        None => Ok(first.dtype),
        Some(other) => {
            Err(OpError::new(format!("mixes {} and {} elements", first.dtype, other.dtype)))
        }
    }
}

/// The shape that two shapes broadcast to, by NumPy's rule.
pub(crate) fn broadcast(a: &Shape, b: &Shape) -> Result<Shape, OpError> {
    let rank = a.rank().max(b.rank());
    let one = Dim::Fixed(1);
    let at = |s: &Shape, i: usize| -> Dim {
        (i + s.rank()).checked_sub(rank).map_or(one.clone(), |i| s.dims()[i].clone())
    };
    let mut out = Vec::with_capacity(rank);
    for i in 0..rank {
        let (x, y) = (at(a, i), at(b, i));
        out.push(if x == y || y == one {
            x
        } else if x == one {
            y
        } else {
            return Err(OpError::new(format!("shapes {a} and {b} do not broadcast")));
        });
    }
    Ok(out.into())
}

/// Checks an optional bias of one number a channel.
pub(crate) fn check_bias(bias: Option<&&TensorType>, channels: usize) -> Result<(), OpError> {
    match bias {
        Some(b) if b.shape != [channels].into() => Err(OpError::new(format!(
            "the bias {} is not [{channels}], one number for each output channel",
            b.shape
        ))),
        _ => Ok(()),
    }
}

pub(crate) fn is_one(pair: &[usize; 2]) -> bool {
    *pair == [1, 1]
}

pub(crate) fn ones() -> [usize; 2] {
    [1, 1]
}

pub(crate) fn is_false(flag: &bool) -> bool {
    !flag
}

pub(crate) fn is_zero(n: &usize) -> bool {
    *n == 0
}

/// Checks that an axis is there.
pub(crate) fn axis_of(axis: usize, ty: &TensorType) -> Result<(), OpError> {
    if axis < ty.shape.rank() {
        return Ok(());
    }
    Err(OpError::new(format!("axis {axis} is not in {}", ty.shape)))
}

/// Checks that an operand holds indices.
pub(crate) fn indices(ty: &TensorType) -> Result<(), OpError> {
    if ty.dtype.is_integer() {
        return Ok(());
    }
    Err(OpError::new(format!("indices of {} are no integers", ty.dtype)))
}

/// Checks that indices can be given in an element type.
pub(crate) fn index_type(dtype: DType) -> Result<(), OpError> {
    if matches!(dtype, DType::I32 | DType::I64) {
        return Ok(());
    }
    Err(OpError::new(format!("indices are i32 or i64, not {dtype}")))
}

/// The quantization, one scale for all elements, that operands share whose numbers are moved.
pub(crate) fn one_quant(inputs: &[&TensorType]) -> Result<Option<Quant>, OpError> {
    let mut shared = None;
    for (i, ty) in inputs.iter().enumerate() {
        let own = match &ty.quant {
            None => None,
            Some(q) => match q.as_per_tensor() {
                Some((scale, zero_point)) => Some(Quant::per_tensor(scale, zero_point)),
                None => {
                    return Err(OpError::new(format!("{ty} has many scales where one is needed")));
                }
            },
        };
        if i > 0 && own != shared {
            return Err(OpError::new(format!(
                "{} and {ty} differ in quantization; requantize one of them",
                inputs[0]
            )));
        }
        shared = own;
    }
    Ok(shared)
}
