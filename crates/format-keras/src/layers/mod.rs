//! Readers of the layers, one file a family.

mod activation;
mod conv;
mod dense;
mod merge;
mod normalize;
mod pool;
mod shape;

use crate::build::LayerCx;
use crate::config::Model;
use crate::error::Result;
use paring_ir::{Refusal, ValueId};

/// Reads one call of a layer.
type Read = fn(&mut LayerCx<'_>) -> Result<ValueId>;

/// Every layer that is read, by its class.
const READERS: [&[(&str, Read)]; 7] = [
    activation::READERS,
    conv::READERS,
    dense::READERS,
    merge::READERS,
    normalize::READERS,
    pool::READERS,
    shape::READERS,
];

fn reader(class: &str) -> Option<Read> {
    // Registered names carry their module: "keras.layers>Conv2D".
    let class = class.rsplit('>').next().unwrap_or(class);
    READERS.iter().copied().flatten().find(|(name, _)| *name == class).map(|(_, read)| *read)
}

/// The layers of a model that no reader knows, those of nested models too.
pub(crate) fn unknown(model: &Model) -> Vec<Refusal> {
    let mut refused = Vec::new();
    for layer in &model.layers {
        if let Some(model) = &layer.model {
            refused.extend(unknown(model));
        } else if layer.class != "InputLayer" && reader(&layer.class).is_none() {
            let why = "the reader does not know this layer".to_owned();
            refused.push(Refusal { node: layer.name.clone(), op: layer.class.clone(), why });
        }
    }
    refused
}

pub(crate) fn read(cx: &mut LayerCx<'_>) -> Result<Vec<ValueId>> {
    let Some(read) = reader(&cx.layer.class) else {
        return Err(cx.layer.unsupported("the reader does not know this layer"));
    };
    Ok(vec![read(cx)?])
}

/// Images have their channels last in this project; models that have them first are refused.
fn channels_last(cx: &LayerCx<'_>) -> Result<()> {
    let format = cx.layer.text("data_format").or_else(|| cx.layer.text("dim_ordering"));
    match format {
        None | Some("channels_last" | "tf") => Ok(()),
        Some(other) => Err(cx.layer.unsupported(format!("data format {other}"))),
    }
}
