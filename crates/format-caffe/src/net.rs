//! From the description's layers to the graph.

use crate::layer::{Layer, Reject, fits};
use crate::ops;
use crate::text::Tree;
use crate::weights::Blobs;
use paring_format::{FormatError, ReadOptions, Source};
use paring_ir::{Graph, Refusal, ValueId};
use paring_tensor::{DType, TensorType};
use std::collections::HashMap;

/// Names of blobs and the values that they hold at the moment; `None` for what an unsupported layer
/// would have computed.
type Held = HashMap<String, Option<ValueId>>;

/// Whether a layer is there in inference.
fn infers(layer: &Tree) -> bool {
    let test = |rule: &Tree| rule.word("phase").is_none_or(|p| p == "TEST");
    let included =
        layer.messages("include").next().is_none() || layer.messages("include").any(test);
    let excluded = layer.messages("exclude").any(|r| r.word("phase").is_none_or(|p| p == "TEST"));
    included && !excluded
}

/// The extents of an input; the batch is the caller's.
fn extents(dims: &[&str], options: &ReadOptions<'_>) -> Result<Vec<usize>, String> {
    let mut shape: Vec<usize> = dims
        .iter()
        .map(|d| d.parse().map_err(|_| format!("an extent `{d}`")))
        .collect::<Result<_, _>>()?;
    if let Some(batch) = shape.first_mut() {
        *batch = options.dimensions.get("batch").copied().unwrap_or(options.default_dimension);
    }
    Ok(shape)
}

/// Builds the graph.
pub(crate) fn build(
    source: &Source,
    net: &Tree,
    blobs: Blobs,
    options: &ReadOptions<'_>,
) -> Result<Graph, FormatError> {
    let mut graph = Graph::new(net.word("name").unwrap_or("net"));
    let mut held = Held::new();
    let mut last_writer: Vec<String> = Vec::new();
    let mut read: Vec<String> = Vec::new();
    let mut refused = Vec::new();
    let input = |graph: &mut Graph, held: &mut Held, name: &str, shape: Vec<usize>| {
        let place = format!("input `{name}`");
        let ty = TensorType::new(DType::F32, shape);
        if !fits(&ty.shape) {
            return Err(source.malformed(place, format!("{ty} is larger than memory can be")));
        }
        let id = graph.add_input(name, ty).map_err(|e| source.malformed(place, e.to_string()))?;
        held.insert(name.to_owned(), Some(id));
        Ok(())
    };
    // Inputs in the header: four extents each, or a shape each.
    let names: Vec<&str> = net.words("input").collect();
    let flat: Vec<&str> = net.words("input_dim").collect();
    let shapes: Vec<&Tree> = net.messages("input_shape").collect();
    for (i, name) in names.iter().enumerate() {
        let dims: Vec<&str> = match shapes.get(i) {
            Some(shape) => shape.words("dim").collect(),
            None => flat.get(i * 4..i * 4 + 4).unwrap_or(&[]).to_vec(),
        };
        let shape = extents(&dims, options)
            .ok()
            .filter(|s| !s.is_empty())
            .ok_or_else(|| source.malformed(format!("input `{name}`"), "has no extents"))?;
        input(&mut graph, &mut held, name, shape)?;
    }
    let empty = Tree::default();
    for text in net.messages("layer").chain(net.messages("layers")).filter(|l| infers(l)) {
        let name = text.word("name").unwrap_or("layer");
        let kind = ops::kind(text.word("type").unwrap_or(""));
        let place = format!("layer `{name}` ({kind})");
        let tops: Vec<&str> = text.words("top").collect();
        if ops::is_input(&kind) {
            let Some(top) = tops.first() else { continue };
            // A data layer has labels too; nothing that infers reads them.
            held.extend(tops.iter().skip(1).map(|t| ((*t).to_owned(), None)));
            if held.contains_key(*top) {
                continue;
            }
            let shape = text.message("input_param").and_then(|p| p.message("shape"));
            let dims: Vec<&str> = shape.map(|s| s.words("dim").collect()).unwrap_or_default();
            let shape = if dims.is_empty() {
                given(options).ok_or_else(|| {
                    source.malformed(
                        &place,
                        "does not state its extents; give sizes for channels, height and width",
                    )
                })?
            } else {
                extents(&dims, options).map_err(|why| source.malformed(&place, why))?
            };
            input(&mut graph, &mut held, top, shape)?;
            continue;
        }
        if ops::is_training(&kind) {
            // What is silenced is no output.
            if kind == "Silence" {
                read.extend(text.words("bottom").map(str::to_owned));
            }
            continue;
        }
        let mut bottoms = Vec::new();
        let mut known = true;
        for bottom in text.words("bottom") {
            match held.get(bottom) {
                Some(Some(id)) => bottoms.push(*id),
                Some(None) if ops::takes_label(&kind) => {}
                Some(None) => known = false,
                None => {
                    let why = format!("its bottom `{bottom}` is the top of no layer before it");
                    return Err(source.malformed(place, why));
                }
            }
            read.push(bottom.to_owned());
        }
        let outputs = match (ops::find(&kind), known) {
            (None, _) => {
                let why = "no such layer is supported".to_owned();
                refused.push(Refusal { node: name.to_owned(), op: kind.clone(), why });
                Vec::new()
            }
            (Some(_), false) => Vec::new(),
            (Some(import), true) => {
                let mut layer = Layer {
                    name,
                    text,
                    bottoms,
                    tops: tops.len(),
                    blobs: blobs.get(name).map_or(&[], Vec::as_slice),
                    graph: &mut graph,
                    empty: &empty,
                };
                match import(&mut layer) {
                    Ok(outputs) => outputs,
                    Err(Reject::Malformed(why)) => return Err(source.malformed(place, why)),
                    Err(Reject::Unsupported(why)) => {
                        refused.push(Refusal { node: name.to_owned(), op: kind.clone(), why });
                        Vec::new()
                    }
                }
            }
        };
        for (i, top) in tops.iter().enumerate() {
            let id = outputs.get(i).copied();
            // A layer in place reads and writes one blob; its value is still an output.
            read.retain(|r| r != top);
            last_writer.retain(|w| w != top);
            last_writer.push((*top).to_owned());
            held.insert((*top).to_owned(), id);
            if let Some(id) = id
                && graph.producer(id).is_some()
            {
                graph.rename_value(id, *top);
            }
        }
    }
    if !refused.is_empty() {
        return Err(FormatError::Unsupported { path: source.path.clone(), refused });
    }
    for top in last_writer.iter().filter(|t| !read.contains(t)) {
        if let Some(Some(id)) = held.get(top) {
            graph.add_output(top.clone(), *id);
        }
    }
    if graph.outputs().is_empty() {
        return Err(source.malformed("the network", "computes nothing in inference"));
    }
    Ok(graph.live())
}

/// An image of the sizes that the caller gives.
fn given(options: &ReadOptions<'_>) -> Option<Vec<usize>> {
    let size = |name: &str| options.dimensions.get(name).copied();
    let batch = size("batch").unwrap_or(options.default_dimension);
    Some(vec![batch, size("channels")?, size("height")?, size("width")?])
}
