//! Versions of operators: from which on the format's runtimes know an operator with such types and
//! options. A runtime that is too old refuses the file by them instead of computing something else.
//!
//! The numbers are those of TensorFlow Lite's own converter
//! (tensorflow/compiler/mlir/lite/tools/versioning/op_version.cc). Where it is not stated here, an
//! operator has the lowest version, which every runtime takes.

use crate::schema::{BuiltinOptions, Tensor};

const F32: i8 = 0;
const F16: i8 = 1;
const I16: i8 = 7;
const I8: i8 = 9;
const I4: i8 = 17;

/// The version of an operator with these operands and results.
pub(crate) fn version(
    name: &str,
    options: Option<&BuiltinOptions>,
    inputs: &[Option<&Tensor>],
    outputs: &[&Tensor],
) -> i32 {
    let kind = |k: usize| inputs.get(k).copied().flatten().map(|t| t.type_);
    let channels = |k: usize| {
        let quant = inputs.get(k).copied().flatten().and_then(|t| t.quantization.as_ref());
        quant.and_then(|q| q.scale.as_ref()).map_or(0, Vec::len)
    };
    let (x, w) = (kind(0), kind(1));
    match name {
        "CONV_2D" => match (x, w) {
            (Some(I8), Some(I4)) => 7,
            _ if grouped(inputs) => 6,
            (Some(I16), _) => 4,
            (Some(I8), _) => 3,
            (Some(F32), Some(I8)) if channels(1) > 1 => 5,
            (Some(F32), Some(I8)) => 2,
            _ => 1,
        },
        "DEPTHWISE_CONV_2D" => match (x, w, options) {
            (Some(I8), Some(I4), _) => 7,
            (Some(I16), ..) => 5,
            (Some(I8), ..) => 3,
            (Some(F32), Some(I8), _) if channels(1) > 1 => 6,
            (Some(F32), Some(I8), _) => 4,
            (.., Some(BuiltinOptions::DepthwiseConv2DOptions(o)))
                if o.dilation_w_factor != 1 || o.dilation_h_factor != 1 =>
            {
                2
            }
            _ => 1,
        },
        "FULLY_CONNECTED" => match (x, w, options) {
            (Some(I8), Some(I4), _) => 10,
            (.., Some(BuiltinOptions::FullyConnectedOptions(o)))
                if o.asymmetric_quantize_inputs =>
            {
                9
            }
            (Some(I16), ..) => 7,
            _ if kind(2).is_none() => 6,
            (.., Some(BuiltinOptions::FullyConnectedOptions(o))) if o.keep_num_dims => 5,
            (Some(I8), ..) => 4,
            (Some(F32), Some(I8), _) => 3,
            _ => 1,
        },
        "TRANSPOSE_CONV" => match x {
            _ if kind(3).is_some() => 3,
            _ if w == Some(I8) => 2,
            _ => 1,
        },
        "DEQUANTIZE" => match x {
            Some(F16 | I16) => 3,
            Some(I8) => 2,
            _ => 1,
        },
        "ADD" | "SUB" => match (x, options) {
            (Some(I8), _) => 2,
            (Some(I16), Some(BuiltinOptions::AddOptions(o))) if !o.pot_scale_int16 => 3,
            (Some(I16), Some(BuiltinOptions::SubOptions(o))) if !o.pot_scale_int16 => 5,
            _ => 1,
        },
        _ => by_type(name, x.or_else(|| outputs.first().map(|t| t.type_))),
    }
}

fn by_type(name: &str, kind: Option<i8>) -> i32 {
    const EIGHT_AND_SIXTEEN: [&str; 7] =
        ["AVERAGE_POOL_2D", "CONCATENATION", "LOGISTIC", "MAX_POOL_2D", "MEAN", "SOFTMAX", "TANH"];
    const EIGHT: [&str; 21] = [
        "BATCH_MATMUL",
        "DEPTH_TO_SPACE",
        "EQUAL",
        "GATHER",
        "L2_NORMALIZATION",
        "LOG_SOFTMAX",
        "MAXIMUM",
        "MINIMUM",
        "MUL",
        "NOT_EQUAL",
        "PAD",
        "PADV2",
        "RELU",
        "RELU6",
        "RESIZE_BILINEAR",
        "RESIZE_NEAREST_NEIGHBOR",
        "SLICE",
        "SPACE_TO_DEPTH",
        "STRIDED_SLICE",
        "SUM",
        "TRANSPOSE",
    ];
    match kind {
        // Version 1 was never released.
        _ if name == "BROADCAST_TO" => 2,
        Some(I8) if EIGHT.contains(&name) || EIGHT_AND_SIXTEEN.contains(&name) => 2,
        Some(I16) if EIGHT_AND_SIXTEEN.contains(&name) => 3,
        _ => 1,
    }
}

/// Whether filters see a part of the channels.
fn grouped(inputs: &[Option<&Tensor>]) -> bool {
    let channels = |k: usize| {
        let shape = inputs.get(k).copied().flatten().and_then(|t| t.shape.as_ref());
        shape.and_then(|s| s.last().copied())
    };
    channels(0) != channels(1)
}
