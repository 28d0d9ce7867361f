//! From layers to a graph.

use crate::config::{Layer, Model, Place};
use crate::error::{KerasError, Result};
use crate::layers;
use crate::store::{Store, Weight};
use paring_format::ReadOptions;
use paring_ir::{DynOp, Graph, ValueId};
use paring_tensor::{DType, Tensor, TensorType};
use std::collections::HashMap;

pub(crate) fn build(model: &Model, store: &Store, options: &ReadOptions<'_>) -> Result<Graph> {
    let mut builder = Builder { graph: Graph::new(model.name.clone()), store, options };
    let scope = Scope { prefix: String::new(), group: None, path: String::new() };
    let mut inputs = Vec::with_capacity(model.inputs.len());
    for place in &model.inputs {
        let layer = model.layers.iter().find(|l| l.name == place.layer).ok_or_else(|| {
            KerasError::malformed("the configuration", format!("no layer `{}`", place.layer))
        })?;
        inputs.push(builder.input(layer)?);
    }
    let outputs = builder.model(model, &scope, &inputs)?;
    for value in outputs {
        let name = builder.graph.value(value).name.clone();
        builder.graph.add_output(name, value);
    }
    builder.graph.remove_dead();
    Ok(builder.graph)
}

/// Where the layers of a model are: how names begin, and where weights lie.
struct Scope {
    prefix: String,
    /// The group of a `.h5` file that holds the weights of the whole nested model.
    group: Option<String>,
    /// The path of the model in an archive.
    path: String,
}

struct Builder<'a> {
    graph: Graph,
    store: &'a Store,
    options: &'a ReadOptions<'a>,
}

/// How Keras 3 writes the name of a class.
fn snake(class: &str) -> String {
    let chars: Vec<char> = class.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
    let mut out = String::new();
    for (i, c) in chars.iter().enumerate() {
        let before = i.checked_sub(1).map(|i| chars[i]);
        let after = chars.get(i + 1);
        let begins = c.is_ascii_uppercase()
            && before.is_some_and(|b| {
                b.is_ascii_lowercase() || (b != '_' && after.is_some_and(char::is_ascii_lowercase))
            });
        if begins {
            out.push('_');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}

impl Builder<'_> {
    /// An input of the graph. Sizes that the model leaves open come from the options.
    fn input(&mut self, layer: &Layer) -> Result<ValueId> {
        let shape =
            layer.config.get("batch_shape").or_else(|| layer.config.get("batch_input_shape"));
        let shape = shape.and_then(|s| s.as_array()).ok_or_else(|| {
            layer.bad("its shape is not stated; build the model before saving it")
        })?;
        let mut dims = Vec::with_capacity(shape.len());
        for (i, n) in shape.iter().enumerate() {
            let named = if i == 0 { "batch".to_owned() } else { format!("{}_{i}", layer.name) };
            let open = self.options.dimensions.get(&named).copied();
            let n = match n {
                serde_json::Value::Null => Some(open.unwrap_or(self.options.default_dimension)),
                n => n.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n < 1 << 31),
            };
            dims.push(n.ok_or_else(|| layer.bad(format!("dimension {i} of its shape")))?);
        }
        let dtype = match layer.text("dtype") {
            None | Some("float32" | "mixed_float16") => DType::F32,
            Some("int32") => DType::I32,
            Some("int64") => DType::I64,
            Some("bool") => DType::Bool,
            Some("uint8") => DType::U8,
            Some("int8") => DType::I8,
            Some(other) => return Err(layer.unsupported(format!("elements of type {other}"))),
        };
        Ok(self.graph.add_input(layer.name.clone(), TensorType::new(dtype, dims))?)
    }

    /// Adds the layers of a model and gives its outputs.
    fn model(&mut self, model: &Model, scope: &Scope, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
        if model.inputs.len() != inputs.len() {
            let why = format!("{} inputs where there are {}", inputs.len(), model.inputs.len());
            return Err(KerasError::malformed(format!("model `{}`", model.name), why));
        }
        let mut values: HashMap<Place, ValueId> = HashMap::new();
        for (place, value) in model.inputs.iter().zip(inputs) {
            values.insert(place.clone(), *value);
        }
        let mut paths = Vec::with_capacity(model.layers.len());
        let mut used: HashMap<String, u32> = HashMap::new();
        for layer in &model.layers {
            let base = snake(&layer.class);
            let count = used.entry(base.clone()).or_insert(0);
            let own = if *count == 0 { base } else { format!("{base}_{count}") };
            *count += 1;
            paths.push(format!(
                "{}{}layers/{own}",
                scope.path,
                if scope.path.is_empty() { "" } else { "/" }
            ));
        }
        // Calls in the order in which their operands are there; layers may be called more than once.
        let mut open: Vec<(usize, usize)> = (0..model.layers.len())
            .flat_map(|l| (0..model.layers[l].calls.len()).map(move |call| (l, call)))
            .collect();
        while !open.is_empty() {
            let before = open.len();
            let mut rest = Vec::new();
            for (l, call) in open {
                let layer = &model.layers[l];
                let operands: Option<Vec<ValueId>> =
                    layer.calls[call].iter().map(|p| values.get(p).copied()).collect();
                let Some(operands) = operands else {
                    rest.push((l, call));
                    continue;
                };
                let results = self.layer(layer, call, scope, &paths[l], operands)?;
                for (output, value) in results.into_iter().enumerate() {
                    values.insert(Place { layer: layer.name.clone(), call, output }, value);
                }
            }
            if rest.len() == before {
                let layer = &model.layers[rest[0].0];
                return Err(layer.bad("reads what no layer computes, or itself"));
            }
            open = rest;
        }
        let find = |p: &Place| {
            values.get(p).copied().ok_or_else(|| {
                let why = format!("output `{}` is not computed", p.layer);
                KerasError::malformed(format!("model `{}`", model.name), why)
            })
        };
        model.outputs.iter().map(find).collect()
    }

    fn layer(
        &mut self,
        layer: &Layer,
        call: usize,
        scope: &Scope,
        path: &str,
        inputs: Vec<ValueId>,
    ) -> Result<Vec<ValueId>> {
        let mut name = format!("{}{}", scope.prefix, layer.name);
        if call > 0 {
            name = format!("{name}:{call}");
        }
        if let Some(model) = &layer.model {
            let group = scope.group.clone().unwrap_or_else(|| layer.name.clone());
            let scope =
                Scope { prefix: format!("{name}/"), group: Some(group), path: path.to_owned() };
            return self.model(model, &scope, &inputs);
        }
        let weights = self.weights(layer, scope, path)?;
        let mut cx = LayerCx { graph: &mut self.graph, layer, name, weights, inputs };
        layers::read(&mut cx)
    }

    fn weights(&self, layer: &Layer, scope: &Scope, path: &str) -> Result<Vec<Weight>> {
        if self.store.is_archive() {
            return self.store.of_path(path);
        }
        let Some(group) = &scope.group else { return self.store.of_layer(&layer.name) };
        let mut all = self.store.of_layer(group)?;
        all.retain(|w| w.name.split('/').rev().skip(1).any(|part| part == layer.name));
        Ok(all)
    }
}

/// What the reader of one layer works with.
pub(crate) struct LayerCx<'b> {
    pub(crate) graph: &'b mut Graph,
    pub(crate) layer: &'b Layer,
    pub(crate) name: String,
    weights: Vec<Weight>,
    pub(crate) inputs: Vec<ValueId>,
}

impl LayerCx<'_> {
    /// The first operand.
    pub(crate) fn x(&self) -> Result<ValueId> {
        self.inputs.first().copied().ok_or_else(|| self.layer.bad("has no inputs"))
    }

    pub(crate) fn shape(&self, value: ValueId) -> Result<Vec<usize>> {
        let ty = self.graph.ty(value);
        ty.shape.fixed().ok_or_else(|| self.layer.bad(format!("shape {}", ty.shape)))
    }

    /// Weight by its own name, or by its position where names are numbers.
    pub(crate) fn weight(&self, key: &str, position: usize) -> Result<Tensor> {
        let own = |w: &&Weight| {
            let last = w.name.rsplit('/').next().unwrap_or(&w.name);
            last.split(':').next() == Some(key)
        };
        let found = self.weights.iter().find(own).or_else(|| self.weights.get(position));
        let found =
            found.ok_or_else(|| self.layer.bad(format!("its weight `{key}` is missing")))?;
        Ok(found.tensor.clone())
    }

    /// A weight with this rank, its axes in another order and then in another shape.
    pub(crate) fn arranged<const N: usize>(
        &self,
        tensor: &Tensor,
        perm: [usize; N],
    ) -> Result<Tensor> {
        if tensor.shape().len() != N {
            let why = format!("a weight of shape {:?} where {N} axes belong", tensor.shape());
            return Err(self.layer.bad(why));
        }
        Ok(tensor.transpose(&perm)?)
    }

    pub(crate) fn constant(&mut self, key: &str, tensor: Tensor) -> Result<ValueId> {
        let name = format!("{}/{key}", self.name);
        Ok(self.graph.add_const(name, tensor, None)?)
    }

    /// Adds a node of the layer's name.
    pub(crate) fn node<T: DynOp>(&mut self, op: T, inputs: &[ValueId]) -> Result<ValueId> {
        let name = self.name.clone();
        self.named(name, op, inputs)
    }

    /// Adds a node beside the one of the layer's name.
    pub(crate) fn side<T: DynOp>(
        &mut self,
        key: &str,
        op: T,
        inputs: &[ValueId],
    ) -> Result<ValueId> {
        let name = format!("{}/{key}", self.name);
        self.named(name, op, inputs)
    }

    fn named<T: DynOp>(&mut self, name: String, op: T, inputs: &[ValueId]) -> Result<ValueId> {
        let outputs = self.graph.add_node(name, op, inputs)?;
        outputs.first().copied().ok_or_else(|| self.layer.bad("computes nothing"))
    }
}

#[cfg(test)]
mod tests {
    use super::snake;

    #[test]
    fn class_names_become_paths_as_keras_writes_them() {
        for (class, path) in [
            ("Conv2D", "conv2d"),
            ("BatchNormalization", "batch_normalization"),
            ("DepthwiseConv2D", "depthwise_conv2d"),
            ("GlobalAveragePooling2D", "global_average_pooling2d"),
            ("LSTM", "lstm"),
            ("ReLU", "re_lu"),
            ("InputLayer", "input_layer"),
        ] {
            assert_eq!(snake(class), path);
        }
    }
}
