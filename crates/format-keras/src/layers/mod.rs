//! Readers of the layers, one file a family.

mod activation;
mod attention;
mod conv;
mod conv3d;
mod dense;
mod function;
mod merge;
mod normalize;
mod picture;
mod pool;
mod recurrent;
mod shape;
mod wrapper;

use crate::build::{LayerCx, Mask};
use crate::config::{Layer, Model};
use crate::error::Result;
use paring_ir::ops::Transpose;
use paring_ir::{Refusal, ValueId};

/// Reads one call of a layer with one output.
type Read = fn(&mut LayerCx<'_, '_>) -> Result<ValueId>;

/// Reads one call of a layer with any number of outputs.
type ReadMany = fn(&mut LayerCx<'_, '_>) -> Result<Vec<ValueId>>;

/// Every layer with one output, by its class.
const READERS: [&[(&str, Read)]; 10] = [
    activation::READERS,
    attention::READERS,
    conv::READERS,
    conv3d::READERS,
    dense::READERS,
    merge::READERS,
    normalize::READERS,
    picture::READERS,
    pool::READERS,
    shape::READERS,
];

/// Every layer with any number of outputs, and every layer around others.
const MANY: [&[(&str, ReadMany)]; 2] = [recurrent::READERS, wrapper::READERS];

enum Reader {
    One(Read),
    Many(ReadMany),
}

fn reader(layer: &Layer) -> Option<Reader> {
    if layer.function || layer.class == "TFOpLambda" {
        return function::find(layer).map(Reader::One);
    }
    let one = READERS.iter().copied().flatten().find(|(name, _)| *name == layer.class);
    let many = || MANY.iter().copied().flatten().find(|(name, _)| *name == layer.class);
    one.map(|(_, read)| Reader::One(*read)).or_else(|| many().map(|(_, r)| Reader::Many(*r)))
}

/// The layers of a model that no reader knows, those of nested models and in wrappers too.
pub(crate) fn unknown(model: &Model, version: u32) -> Vec<Refusal> {
    let mut refused = Vec::new();
    for layer in &model.layers {
        unknown_in(layer, version, &mut refused);
    }
    refused
}

fn unknown_in(layer: &Layer, version: u32, refused: &mut Vec<Refusal>) {
    if let Some(model) = &layer.model {
        refused.extend(unknown(model, version));
        return;
    }
    let cell = layer.class.ends_with("Cell") || layer.class == "StackedRNNCells";
    let known = if cell { recurrent::is_cell(&layer.class) } else { reader(layer).is_some() };
    if !known {
        let why = match layer.class.as_str() {
            "Lambda" => "a Lambda holds Python code; replace it by layers".to_owned(),
            "TFOpLambda" => format!("the function `{}`", layer.text("function").unwrap_or("?")),
            _ => "the reader does not know this layer".to_owned(),
        };
        refused.push(Refusal { node: layer.name.clone(), op: layer.class.clone(), why });
    }
    // What is wrong with an inner layer is told when it is read.
    for key in ["layer", "backward_layer", "cell"] {
        if let Ok(Some(inner)) = layer.inner(key, version) {
            unknown_in(&inner, version, refused);
        }
    }
    if layer.class == "StackedRNNCells" {
        for inner in layer.inner_list("cells").unwrap_or_default() {
            unknown_in(&inner, version, refused);
        }
    }
}

pub(crate) fn read(cx: &mut LayerCx<'_, '_>) -> Result<Vec<ValueId>> {
    if cx.mask.is_none() {
        cx.mask = passed(cx);
    }
    match reader(cx.layer) {
        Some(Reader::One(read)) => Ok(vec![read(cx)?]),
        Some(Reader::Many(read)) => read(cx),
        None => Err(cx.layer.unsupported("the reader does not know this layer")),
    }
}

/// The mask that a layer gives on, unless its reader says otherwise.
fn passed(cx: &LayerCx<'_, '_>) -> Option<Mask> {
    let class = cx.layer.class.as_str();
    let passes = class.contains("Dropout")
        || class.ends_with("ReLU")
        || matches!(
            class,
            "Activation"
                | "ELU"
                | "Dense"
                | "BatchNormalization"
                | "LayerNormalization"
                | "UnitNormalization"
                | "GaussianNoise"
                | "ActivityRegularization"
                | "TimeDistributed"
                | "EinsumDense"
                | "SpectralNormalization"
        );
    match (passes, cx.masks.as_slice()) {
        (true, [first, ..]) => *first,
        // Layers of many values join the masks.
        (false, masks) if masks.len() > 1 && masks.iter().any(Option::is_some) => {
            Some(Mask::Joined)
        }
        _ => None,
    }
}

/// The mask of an input, for layers that need it.
fn steps(cx: &LayerCx<'_, '_>, input: usize) -> Result<Option<ValueId>> {
    match cx.masks.get(input).copied().flatten() {
        None => Ok(None),
        Some(Mask::Steps(steps)) => Ok(Some(steps)),
        Some(Mask::Joined) => Err(cx.layer.unsupported("steps that a layer before it joined")),
    }
}

/// Whether images have their channels before their extents.
fn channels_first(cx: &LayerCx<'_, '_>) -> Result<bool> {
    let format = cx.layer.text("data_format").or_else(|| cx.layer.text("dim_ordering"));
    match format {
        None | Some("channels_last" | "tf" | "default") => Ok(false),
        Some("channels_first" | "th") => Ok(true),
        Some(other) => Err(cx.layer.unsupported(format!("data format {other}"))),
    }
}

/// The first operand with its channels last, whatever the layer's format.
fn last(cx: &mut LayerCx<'_, '_>) -> Result<ValueId> {
    let x = cx.x()?;
    if !channels_first(cx)? {
        return Ok(x);
    }
    let rank = cx.shape(x)?.len();
    if rank < 3 {
        return Ok(x);
    }
    let mut perm: Vec<usize> = (0..rank).collect();
    perm[1..].rotate_left(1);
    cx.side("channels_last", Transpose { perm }, &[x])
}

/// A result in the layer's format.
fn own(cx: &mut LayerCx<'_, '_>, y: ValueId) -> Result<ValueId> {
    let rank = cx.shape(y)?.len();
    if !channels_first(cx)? || rank < 3 {
        return Ok(y);
    }
    let mut perm: Vec<usize> = (0..rank).collect();
    perm[1..].rotate_right(1);
    cx.side("channels_first", Transpose { perm }, &[y])
}
