//! The importers, one file for each family of layers.

mod dense;
mod elementwise;
mod image;
mod norm;
mod resample;
mod shape;

use crate::layer::{Layer, Outputs};

type Import = fn(&mut Layer<'_>) -> Outputs;

/// The importer of a kind of layer.
pub(crate) fn find(kind: &str) -> Option<Import> {
    Some(match kind {
        "Convolution" => image::convolution,
        "DepthwiseConvolution" | "ConvolutionDepthwise" => image::depthwise,
        "Crop" => resample::crop,
        "Interp" => resample::interp,
        "Upsample" => resample::upsample,
        "ReLU6" => elementwise::relu6,
        "Clip" => elementwise::clip,
        "Swish" => elementwise::swish,
        "Threshold" => elementwise::threshold,
        "Axpy" => elementwise::axpy,
        "Normalize" => norm::normalize,
        "BN" => norm::bn,
        "Permute" => shape::permute,
        "Reduction" => shape::reduction,
        "Tile" => shape::tile,
        "ShuffleChannel" => shape::shuffle,
        "Embed" => dense::embed,
        "Deconvolution" => image::deconvolution,
        "Pooling" => image::pooling,
        "InnerProduct" => dense::inner_product,
        "ReLU" => elementwise::relu,
        "PReLU" => elementwise::prelu,
        "ELU" => elementwise::elu,
        "Sigmoid" => elementwise::sigmoid,
        "TanH" => elementwise::tanh,
        "AbsVal" => elementwise::abs,
        "BNLL" => elementwise::softplus,
        "Power" => elementwise::power,
        "Exp" => elementwise::exp,
        "Log" => elementwise::log,
        "Eltwise" => elementwise::eltwise,
        "Scale" => elementwise::scale,
        "Bias" => elementwise::bias,
        "LRN" => norm::lrn,
        "BatchNorm" => norm::batch_norm,
        "MVN" => norm::mvn,
        "Softmax" | "SoftmaxWithLoss" => norm::softmax,
        "Concat" => shape::concat,
        "Slice" => shape::slice,
        "Split" => shape::split,
        "Flatten" => shape::flatten,
        "Reshape" => shape::reshape,
        "Dropout" => shape::pass,
        "ArgMax" => shape::arg_max,
        _ => return None,
    })
}

/// Whether a layer gives the network its input.
pub(crate) fn is_input(kind: &str) -> bool {
    matches!(
        kind,
        "Input" | "Data" | "ImageData" | "HDF5Data" | "MemoryData" | "DummyData" | "WindowData"
    )
}

/// Whether a layer plays no part in inference.
pub(crate) fn is_training(kind: &str) -> bool {
    let loss = kind.ends_with("Loss") && kind != "SoftmaxWithLoss";
    loss || matches!(kind, "Accuracy" | "Silence" | "HDF5Output")
}

/// Whether a layer reads labels, which inference has not.
pub(crate) fn takes_label(kind: &str) -> bool {
    kind == "SoftmaxWithLoss"
}

/// The kind's present name: files before 2014 have names in capitals.
pub(crate) fn kind(stated: &str) -> String {
    let known = match stated {
        "CONVOLUTION" => "Convolution",
        "DECONVOLUTION" => "Deconvolution",
        "POOLING" => "Pooling",
        "INNER_PRODUCT" => "InnerProduct",
        "RELU" => "ReLU",
        "PRELU" => "PReLU",
        "SIGMOID" => "Sigmoid",
        "TANH" => "TanH",
        "ABSVAL" => "AbsVal",
        "BNLL" => "BNLL",
        "POWER" => "Power",
        "EXP" => "Exp",
        "ELTWISE" => "Eltwise",
        "LRN" => "LRN",
        "MVN" => "MVN",
        "SOFTMAX" => "Softmax",
        "SOFTMAX_LOSS" => "SoftmaxWithLoss",
        "CONCAT" => "Concat",
        "SLICE" => "Slice",
        "SPLIT" => "Split",
        "FLATTEN" => "Flatten",
        "DROPOUT" => "Dropout",
        "ARGMAX" => "ArgMax",
        "DATA" => "Data",
        "IMAGE_DATA" => "ImageData",
        "HDF5_DATA" => "HDF5Data",
        "MEMORY_DATA" => "MemoryData",
        "WINDOW_DATA" => "WindowData",
        "HDF5_OUTPUT" => "HDF5Output",
        "THRESHOLD" => "Threshold",
        "EUCLIDEAN_LOSS" => "EuclideanLoss",
        "HINGE_LOSS" => "HingeLoss",
        "INFOGAIN_LOSS" => "InfogainLoss",
        "MULTINOMIAL_LOGISTIC_LOSS" => "MultinomialLogisticLoss",
        "SIGMOID_CROSS_ENTROPY_LOSS" => "SigmoidCrossEntropyLoss",
        "CONTRASTIVE_LOSS" => "ContrastiveLoss",
        "DUMMY_DATA" => "DummyData",
        "ACCURACY" => "Accuracy",
        "SILENCE" => "Silence",
        other => other,
    };
    known.to_owned()
}
