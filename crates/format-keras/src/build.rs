//! From layers to a graph.

use crate::config::{Layer, Model, Operand, Place};
use crate::error::{KerasError, Result};
use crate::layers;
use crate::store::{Store, Weights};
use paring_format::ReadOptions;
use paring_ir::{DynOp, Graph, ValueId};
use paring_tensor::{DType, Tensor, TensorType};
use std::collections::HashMap;

pub(crate) fn build(model: &Model, store: &Store, options: &ReadOptions<'_>) -> Result<Graph> {
    let mut saved = HashMap::new();
    if store.is_tree() {
        find_saved(model, "", store, &mut saved);
    }
    let mut builder = Builder { graph: Graph::new(model.name.clone()), store, saved };
    let scope = Scope { prefix: String::new(), outer: None, path: String::new() };
    let mut inputs = Vec::with_capacity(model.inputs.len());
    for place in &model.inputs {
        let layer = model.layers.iter().find(|l| l.name == place.layer).ok_or_else(|| {
            KerasError::malformed("the configuration", format!("no layer `{}`", place.layer))
        })?;
        inputs.push((builder.input(layer, options)?, None));
    }
    for (value, _) in builder.model(model, &scope, &inputs)? {
        let name = builder.graph.value(value).name.clone();
        builder.graph.add_output(name, value);
    }
    builder.graph.remove_dead();
    Ok(builder.graph)
}

/// Which steps of a sequence count: booleans `[batch, time]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mask {
    Steps(ValueId),
    /// Several masks that a layer joined; no layer after it may need them.
    Joined,
}

/// A value and its mask.
pub(crate) type Masked = (ValueId, Option<Mask>);

/// Whether extents multiply, those of 0 counted as 1.
fn fits(shape: &[usize]) -> bool {
    let all = shape.iter().try_fold(8_usize, |n, d| n.checked_mul((*d).max(1)));
    all.is_some_and(|n| isize::try_from(n).is_ok())
}

/// Where the layers of a model are: how names begin, and where weights lie.
struct Scope {
    prefix: String,
    /// The group of a flat file that holds the weights of the whole nested model.
    outer: Option<String>,
    /// The path of the model in a tree of weights.
    path: String,
}

struct Builder<'a> {
    graph: Graph,
    store: &'a Store,
    /// Where layers that are in several models have their weights, by class and name.
    saved: HashMap<(String, String), String>,
}

fn tree_paths(model: &Model, path: &str) -> Vec<String> {
    let above = if path.is_empty() { "" } else { "/" };
    let names = tree_names(model.layers.iter()).into_iter();
    names.map(|own| format!("{path}{above}layers/{own}")).collect()
}

/// A layer of several models is saved in the first of them.
fn find_saved(
    model: &Model,
    path: &str,
    store: &Store,
    saved: &mut HashMap<(String, String), String>,
) {
    for (layer, path) in model.layers.iter().zip(tree_paths(model, path)) {
        if store.has(&path) {
            let key = (layer.class.clone(), layer.name.clone());
            saved.entry(key).or_insert_with(|| path.clone());
        }
        if let Some(model) = &layer.model {
            find_saved(model, &path, store, saved);
        }
    }
}

/// How Keras 3 writes the name of a class.
pub(crate) fn snake(class: &str) -> String {
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

/// The names that a list of layers has in a tree of weights: classes, numbered where they repeat.
pub(crate) fn tree_names<'l>(layers: impl Iterator<Item = &'l Layer>) -> Vec<String> {
    let mut used: HashMap<String, u32> = HashMap::new();
    let name = |layer: &Layer| {
        let base = snake(&layer.class);
        let count = used.entry(base.clone()).or_insert(0);
        let own = if *count == 0 { base } else { format!("{base}_{count}") };
        *count += 1;
        own
    };
    layers.map(name).collect()
}

impl Builder<'_> {
    /// An input of the graph. Sizes that the model leaves open come from the options.
    fn input(&mut self, layer: &Layer, options: &ReadOptions<'_>) -> Result<ValueId> {
        let shape =
            layer.config.get("batch_shape").or_else(|| layer.config.get("batch_input_shape"));
        let shape = shape.and_then(|s| s.as_array()).ok_or_else(|| {
            layer.bad("its shape is not stated; build the model before saving it")
        })?;
        let mut dims = Vec::with_capacity(shape.len());
        for (i, n) in shape.iter().enumerate() {
            let named = if i == 0 { "batch".to_owned() } else { format!("{}_{i}", layer.name) };
            let open = options.dimensions.get(&named).copied();
            let n = match n {
                serde_json::Value::Null => Some(open.unwrap_or(options.default_dimension)),
                n => n.as_u64().and_then(|n| usize::try_from(n).ok()).filter(|n| *n < 1 << 31),
            };
            dims.push(n.ok_or_else(|| layer.bad(format!("dimension {i} of its shape")))?);
        }
        let dtype = match layer.text("dtype") {
            None | Some("float32" | "float64" | "mixed_float16") => DType::F32,
            Some("int32") => DType::I32,
            Some("int64") => DType::I64,
            Some("bool") => DType::Bool,
            Some("uint8") => DType::U8,
            Some("int8") => DType::I8,
            Some(other) => return Err(layer.unsupported(format!("elements of type {other}"))),
        };
        let ty = TensorType::new(dtype, dims);
        if !fits(&ty.shape.fixed().unwrap_or_default()) {
            return Err(layer.bad(format!("{ty} is larger than memory can be")));
        }
        Ok(self.graph.add_input(layer.name.clone(), ty)?)
    }

    /// Adds the layers of a model and gives its outputs.
    fn model(&mut self, model: &Model, scope: &Scope, inputs: &[Masked]) -> Result<Vec<Masked>> {
        if model.inputs.len() != inputs.len() {
            let why = format!("{} inputs where there are {}", inputs.len(), model.inputs.len());
            return Err(KerasError::malformed(format!("model `{}`", model.name), why));
        }
        let mut values: HashMap<Place, Masked> = HashMap::new();
        for (place, value) in model.inputs.iter().zip(inputs) {
            values.insert(place.clone(), *value);
        }
        let paths = tree_paths(model, &scope.path);
        // Calls in the order in which their operands are there; layers may be called more than once.
        let mut open: Vec<(usize, usize)> = (0..model.layers.len())
            .flat_map(|l| (0..model.layers[l].calls.len()).map(move |call| (l, call)))
            .collect();
        while !open.is_empty() {
            let before = open.len();
            let mut rest = Vec::new();
            for (l, call) in open {
                let layer = &model.layers[l];
                let known = |o: &Operand| match o {
                    Operand::Value(place) => values.contains_key(place),
                    Operand::Number(_) => true,
                };
                if !layer.calls[call].operands.iter().all(known) {
                    rest.push((l, call));
                    continue;
                }
                // Numbers are of the type of the values beside them.
                let found = layer.calls[call].operands.iter().find_map(|o| match o {
                    Operand::Value(place) => Some(self.graph.ty(values[place].0).dtype),
                    Operand::Number(_) => None,
                });
                let dtype = found.filter(|d| d.is_integer()).unwrap_or(DType::F32);
                let mut operands = Vec::with_capacity(layer.calls[call].operands.len());
                for operand in &layer.calls[call].operands {
                    operands.push(match operand {
                        Operand::Value(place) => values[place],
                        Operand::Number(x) => {
                            let name = format!("{}{}/number", scope.prefix, layer.name);
                            let number = Tensor::scalar(*x as f32).cast(dtype);
                            (self.graph.add_const(name, number, None)?, None)
                        }
                    });
                }
                let results = self.call(layer, call, scope, &paths[l], operands)?;
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

    /// Adds one call of a layer of a model.
    fn call(
        &mut self,
        layer: &Layer,
        call: usize,
        scope: &Scope,
        path: &str,
        inputs: Vec<Masked>,
    ) -> Result<Vec<Masked>> {
        let mut name = format!("{}{}", scope.prefix, layer.name);
        if call > 0 {
            name = format!("{name}:{call}");
        }
        let key = || (layer.class.clone(), layer.name.clone());
        let elsewhere = match self.store.is_tree() && !self.store.has(path) {
            true => self.saved.get(&key()).cloned(),
            false => None,
        };
        let path = elsewhere.as_deref().unwrap_or(path);
        let outer = scope.outer.clone();
        let weights = match layer.model.is_some() {
            // Layers of nested models find their own.
            true => Weights::Tree(path.to_owned()),
            false => self.store.of(&layer.name, outer.as_deref(), path)?,
        };
        let outer = outer.unwrap_or_else(|| layer.name.clone());
        let call = layer.calls.get(call).cloned().unwrap_or_default();
        let place = At { name, outer, path: path.to_owned(), weights };
        self.layer(layer, place, inputs, call.named, call.keywords)
    }

    /// Adds a layer wherever it is: in a model or in another layer.
    fn layer(
        &mut self,
        layer: &Layer,
        at: At,
        inputs: Vec<Masked>,
        named: Vec<(String, usize)>,
        keywords: serde_json::Map<String, serde_json::Value>,
    ) -> Result<Vec<Masked>> {
        if let Some(model) = &layer.model {
            let prefix = format!("{}/", at.name);
            let scope = Scope { prefix, outer: Some(at.outer), path: at.path };
            return self.model(model, &scope, &inputs);
        }
        let (mut values, mut masks): (Vec<_>, Vec<_>) = inputs.into_iter().unzip();
        // Keras 3 states the mask of the first operand in the call.
        let mut named = named;
        if let Some(at) = named.iter().position(|(name, _)| name == "mask") {
            let (_, at) = named.remove(at);
            if at + 1 != values.len() || at == 0 {
                return Err(layer.unsupported("several masks"));
            }
            if let (Some(mask), Some(first)) = (values.pop(), masks.first_mut()) {
                *first = Some(Mask::Steps(mask));
            }
            masks.pop();
        }
        let mut cx = LayerCx {
            builder: self,
            layer,
            at,
            inputs: values,
            masks,
            named,
            keywords,
            mask: None,
        };
        let outputs = layers::read(&mut cx)?;
        let mask = cx.mask;
        // A mask belongs to the sequence, the first output.
        Ok(outputs.into_iter().enumerate().map(|(i, v)| (v, mask.filter(|_| i == 0))).collect())
    }
}

/// Where a layer is and where its weights lie.
#[derive(Clone)]
pub(crate) struct At {
    pub(crate) name: String,
    /// The group of a flat file that holds the weights.
    outer: String,
    /// What tells the layer from every other, and its path in a tree of weights.
    path: String,
    pub(crate) weights: Weights,
}

/// What the reader of one layer works with.
pub(crate) struct LayerCx<'b, 's> {
    builder: &'b mut Builder<'s>,
    pub(crate) layer: &'b Layer,
    pub(crate) at: At,
    pub(crate) inputs: Vec<ValueId>,
    /// The masks of the inputs.
    pub(crate) masks: Vec<Option<Mask>>,
    /// Operands that are given by name.
    pub(crate) named: Vec<(String, usize)>,
    /// Other arguments of the call.
    pub(crate) keywords: serde_json::Map<String, serde_json::Value>,
    /// The mask of the first output.
    pub(crate) mask: Option<Mask>,
}

impl LayerCx<'_, '_> {
    pub(crate) fn graph(&mut self) -> &mut Graph {
        &mut self.builder.graph
    }

    pub(crate) fn ty(&self, value: ValueId) -> &TensorType {
        self.builder.graph.ty(value)
    }

    pub(crate) fn store(&self) -> &Store {
        self.builder.store
    }

    /// The first operand.
    pub(crate) fn x(&self) -> Result<ValueId> {
        self.inputs.first().copied().ok_or_else(|| self.layer.bad("has no inputs"))
    }

    pub(crate) fn shape(&self, value: ValueId) -> Result<Vec<usize>> {
        let ty = self.ty(value);
        ty.shape.fixed().ok_or_else(|| self.layer.bad(format!("shape {}", ty.shape)))
    }

    /// Weight by its own name, or by its position where names are numbers.
    pub(crate) fn weight(&self, key: &str, position: usize) -> Result<Tensor> {
        self.weight_of(&self.at.weights, key, position)
    }

    pub(crate) fn weight_of(
        &self,
        weights: &Weights,
        key: &str,
        position: usize,
    ) -> Result<Tensor> {
        let found = self.builder.store.weight(weights, key, position)?;
        let found =
            found.ok_or_else(|| self.layer.bad(format!("its weight `{key}` is missing")))?;
        if !fits(found.shape()) {
            return Err(self.layer.bad(format!("its weight `{key}` of {:?}", found.shape())));
        }
        Ok(found)
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
        let name = format!("{}/{key}", self.at.name);
        Ok(self.graph().add_const(name, tensor, None)?)
    }

    /// A float that stands in the graph.
    pub(crate) fn scalar(&mut self, key: &str, x: f32) -> Result<ValueId> {
        self.constant(key, Tensor::scalar(x))
    }

    /// Adds a node of the layer's name.
    pub(crate) fn node<T: DynOp>(&mut self, op: T, inputs: &[ValueId]) -> Result<ValueId> {
        let name = self.at.name.clone();
        self.first_of(name, op, inputs)
    }

    /// Adds a node beside the one of the layer's name.
    pub(crate) fn side<T: DynOp>(
        &mut self,
        key: &str,
        op: T,
        inputs: &[ValueId],
    ) -> Result<ValueId> {
        let name = format!("{}/{key}", self.at.name);
        self.first_of(name, op, inputs)
    }

    fn first_of<T: DynOp>(&mut self, name: String, op: T, inputs: &[ValueId]) -> Result<ValueId> {
        let outputs = self.graph().add_node(name, op, inputs)?;
        self.fit(&outputs)?;
        outputs.first().copied().ok_or_else(|| self.layer.bad("computes nothing"))
    }

    /// Checks that memory can hold the values, so that their extents multiply.
    fn fit(&self, values: &[ValueId]) -> Result<()> {
        let all = |v: &&ValueId| !fits(&self.ty(**v).shape.fixed().unwrap_or_default());
        match values.iter().find(all) {
            Some(v) => Err(self.layer.bad(format!("{} is larger than memory can be", self.ty(*v)))),
            None => Ok(()),
        }
    }

    /// Adds a node with every output.
    pub(crate) fn nodes<T: DynOp>(&mut self, op: T, inputs: &[ValueId]) -> Result<Vec<ValueId>> {
        let name = self.at.name.clone();
        let outputs = self.graph().add_node(name, op, inputs)?;
        self.fit(&outputs)?;
        Ok(outputs)
    }

    /// Adds a layer that is a part of this one. `part` names it in a tree of weights, where those of a
    /// flat file are `count` from `from` on.
    pub(crate) fn inner(
        &mut self,
        layer: &Layer,
        part: &str,
        (from, count): (usize, usize),
        inputs: Vec<Masked>,
    ) -> Result<Vec<Masked>> {
        let at = At {
            name: format!("{}/{}", self.at.name, layer.name),
            outer: self.at.outer.clone(),
            path: format!("{}/{part}", self.at.path),
            weights: self.at.weights.part(part, from, count),
        };
        self.builder.layer(layer, at, inputs, Vec::new(), Default::default())
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
