//! What the configuration says of a model.

use crate::error::{KerasError, Result};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Models inside of models, at most.
const DEEPEST: usize = 16;

/// A model: its layers and how they are connected.
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) layers: Vec<Layer>,
    /// Where its inputs and outputs are.
    pub(crate) inputs: Vec<Place>,
    pub(crate) outputs: Vec<Place>,
    /// Whether its configuration says what its input is.
    stated_input: bool,
}

/// One output of one call of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) layer: String,
    pub(crate) call: usize,
    pub(crate) output: usize,
}

/// What a layer is called with.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    /// A value that a layer computes.
    Value(Place),
    /// A number that stands in the call.
    Number(f64),
}

/// One call of a layer.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    pub(crate) operands: Vec<Operand>,
    /// Names of operands that are given by name.
    pub(crate) named: Vec<(String, usize)>,
    /// Other arguments, by name.
    pub(crate) keywords: Map<String, Value>,
}

/// A layer and its calls.
pub(crate) struct Layer {
    pub(crate) name: String,
    pub(crate) class: String,
    pub(crate) config: Map<String, Value>,
    /// Whether this is a bare function of Keras 3, not a layer.
    pub(crate) function: bool,
    pub(crate) calls: Vec<Call>,
    /// The model that the layer is, if it is one.
    pub(crate) model: Option<Box<Model>>,
}

fn bad(what: &str) -> KerasError {
    KerasError::malformed("the configuration", format!("{what} is missing or of another form"))
}

fn place(value: &Value) -> Result<Place> {
    let Some([layer, call, output, ..]) = value.as_array().map(Vec::as_slice) else {
        return Err(bad("a connection"));
    };
    let number = |v: &Value| v.as_u64().and_then(|n| usize::try_from(n).ok());
    match (layer.as_str(), number(call), number(output)) {
        (Some(layer), Some(call), Some(output)) => {
            Ok(Place { layer: layer.to_owned(), call, output })
        }
        _ => Err(bad("a connection")),
    }
}

/// One place or a list of them; dictionaries list them by name.
fn places(value: Option<&Value>) -> Result<Vec<Place>> {
    match value {
        Some(Value::Array(items)) if items.first().is_some_and(Value::is_string) => {
            Ok(vec![place(&Value::Array(items.clone()))?])
        }
        Some(Value::Array(items)) => items.iter().map(place).collect(),
        Some(Value::Object(items)) => items.values().map(place).collect(),
        _ => Err(bad("the list of inputs or outputs")),
    }
}

/// The place that a value of a configuration states, in any version's form.
fn stated(value: &Value) -> Option<Result<Place>> {
    match value {
        Value::Array(items) => match items.as_slice() {
            [Value::String(_), Value::Number(_), Value::Number(_), ..] => Some(place(value)),
            _ => None,
        },
        Value::Object(map)
            if map.get("class_name").and_then(Value::as_str) == Some("__keras_tensor__") =>
        {
            let history = map.get("config").and_then(|c| c.get("keras_history"));
            Some(history.ok_or_else(|| bad("a tensor's history")).and_then(place))
        }
        _ => None,
    }
}

impl Call {
    /// Adds what an argument holds, however deep; gives whether that is any tensor.
    fn add(&mut self, value: &Value, depth: usize) -> Result<bool> {
        if depth > DEEPEST {
            return Err(bad("a call"));
        }
        if let Some(place) = stated(value) {
            self.operands.push(Operand::Value(place?));
            return Ok(true);
        }
        let Value::Array(items) = value else { return Ok(false) };
        let mut any = false;
        for item in items {
            any |= self.add(item, depth + 1)?;
        }
        Ok(any)
    }

    fn add_keywords(&mut self, map: &Map<String, Value>) -> Result<()> {
        for (name, value) in map {
            let first = self.operands.len();
            if self.add(value, 0)? {
                self.named.push((name.clone(), first));
            } else {
                self.keywords.insert(name.clone(), value.clone());
            }
        }
        Ok(())
    }

    fn parse(node: &Value) -> Result<Self> {
        let mut call = Self::default();
        match node {
            // Keras 3
            Value::Object(map) => {
                for argument in map.get("args").and_then(Value::as_array).into_iter().flatten() {
                    match argument.as_f64() {
                        Some(number) => call.operands.push(Operand::Number(number)),
                        None => {
                            call.add(argument, 0)?;
                        }
                    }
                }
                if let Some(Value::Object(map)) = map.get("kwargs") {
                    call.add_keywords(map)?;
                }
            }
            Value::Array(items) => {
                let one = items.first().is_some_and(Value::is_string);
                let all = if one { std::slice::from_ref(node) } else { items.as_slice() };
                for item in all {
                    // Numbers in calls of functions stand in the place of a layer.
                    let constant = item.get(0).and_then(Value::as_str) == Some("_CONSTANT_VALUE");
                    call.operands.push(match item.get(2).and_then(Value::as_f64) {
                        Some(number) if constant => Operand::Number(number),
                        _ => Operand::Value(place(item)?),
                    });
                }
                for item in all {
                    if let Some(Value::Object(map)) = item.get(3) {
                        call.add_keywords(map)?;
                    }
                }
            }
            _ => return Err(bad("a call")),
        }
        Ok(call)
    }

    fn of(place: Place) -> Self {
        Self { operands: vec![Operand::Value(place)], ..Self::default() }
    }
}

fn calls(value: Option<&Value>) -> Result<Vec<Call>> {
    let Some(Value::Array(nodes)) = value else { return Ok(Vec::new()) };
    nodes.iter().map(Call::parse).collect()
}

impl Model {
    /// Reads the configuration that a major version of Keras wrote.
    pub(crate) fn parse(json: &Value, version: u32) -> Result<Self> {
        let mut model = Self::nested(json, 0)?;
        model.count_calls(version);
        Ok(model)
    }

    /// Numbers the calls of nested models from 0: some have a first one of their own, from their
    /// construction, that the configuration counts but does not list.
    fn count_calls(&mut self, version: u32) {
        let mut own = BTreeSet::new();
        for layer in &mut self.layers {
            let Some(model) = &mut layer.model else { continue };
            model.count_calls(version);
            let functional = layer.class != "Sequential";
            if functional || (version < 3 && model.stated_input) {
                own.insert(layer.name.clone());
            }
        }
        let mut places: Vec<&mut Place> = self.inputs.iter_mut().chain(&mut self.outputs).collect();
        // Keras 3 does not count it in calls.
        if version < 3 {
            for call in self.layers.iter_mut().flat_map(|l| &mut l.calls) {
                places.extend(call.operands.iter_mut().filter_map(|o| match o {
                    Operand::Value(place) => Some(place),
                    Operand::Number(_) => None,
                }));
            }
        }
        for place in places {
            if own.contains(&place.layer) {
                place.call = place.call.saturating_sub(1);
            }
        }
    }

    fn nested(json: &Value, depth: usize) -> Result<Self> {
        if depth > DEEPEST {
            return Err(KerasError::malformed("the configuration", "models are nested too deep"));
        }
        let class =
            json.get("class_name").and_then(Value::as_str).ok_or_else(|| bad("class_name"))?;
        let config = json.get("config").ok_or_else(|| bad("config"))?;
        let name = config.get("name").and_then(Value::as_str).unwrap_or("model").to_owned();
        // Sequential models of old versions are the list itself.
        let list =
            config.get("layers").unwrap_or(config).as_array().ok_or_else(|| bad("layers"))?;
        let mut layers = list.iter().map(|l| Layer::parse(l, depth)).collect::<Result<Vec<_>>>()?;
        if class != "Sequential" {
            let inputs = places(config.get("input_layers"))?;
            let outputs = places(config.get("output_layers"))?;
            return Ok(Self { name, layers, inputs, outputs, stated_input: true });
        }
        let stated_input = layers
            .first()
            .is_some_and(|l| l.class == "InputLayer" || l.config.contains_key("batch_input_shape"));
        // The first layer of a sequence need not be its input.
        if layers.first().is_some_and(|l| l.class != "InputLayer") {
            let first = &layers[0];
            let shape = first
                .config
                .get("batch_input_shape")
                .or_else(|| first.config.get("batch_shape"))
                .or_else(|| config.get("build_input_shape"))
                .cloned()
                .or_else(|| first.model.as_ref().and_then(|m| m.input_shape().cloned()));
            let mut config = Map::new();
            config.insert("batch_shape".into(), shape.unwrap_or(Value::Null));
            if let Some(dtype) = first.config.get("dtype") {
                config.insert("dtype".into(), dtype.clone());
            }
            let name = format!("{}_input", first.name);
            let class = "InputLayer".to_owned();
            let (calls, model, function) = (Vec::new(), None, false);
            layers.insert(0, Layer { name, class, config, calls, model, function });
        }
        let at = |l: &Layer| Place { layer: l.name.clone(), call: 0, output: 0 };
        for i in 1..layers.len() {
            layers[i].calls = vec![Call::of(at(&layers[i - 1]))];
        }
        let ends = layers.first().zip(layers.last()).ok_or_else(|| bad("layers"))?;
        let (inputs, outputs) = (vec![at(ends.0)], vec![at(ends.1)]);
        Ok(Self { name, layers, inputs, outputs, stated_input })
    }

    /// The shape of the first input.
    fn input_shape(&self) -> Option<&Value> {
        let input = self.layers.iter().find(|l| l.class == "InputLayer")?;
        input.config.get("batch_shape").or_else(|| input.config.get("batch_input_shape"))
    }
}

impl Layer {
    fn parse(json: &Value, depth: usize) -> Result<Self> {
        let class =
            json.get("class_name").and_then(Value::as_str).ok_or_else(|| bad("class_name"))?;
        let config = json.get("config").cloned().unwrap_or(Value::Null);
        let named = json.get("name").or_else(|| config.get("name")).and_then(Value::as_str);
        let name = named.unwrap_or(class).to_owned();
        let model = match class {
            "Functional" | "Model" | "Sequential" => {
                Some(Box::new(Model::nested(json, depth + 1)?))
            }
            _ => None,
        };
        let config = match config {
            Value::Object(map) => map,
            _ => Map::new(),
        };
        let calls = calls(json.get("inbound_nodes"))?;
        let module = json.get("module").and_then(Value::as_str).unwrap_or("");
        let function = module.starts_with("keras") && module.contains(".ops");
        // Registered names carry their package: "Custom>Name".
        let class = class.rsplit('>').next().unwrap_or(class).to_owned();
        Ok(Self { name, class, config, calls, model, function })
    }

    /// The layer that is an attribute of this one; wrappers have such.
    /// `version` is the major one of the Keras that wrote it.
    pub(crate) fn inner(&self, key: &str, version: u32) -> Result<Option<Self>> {
        match self.config.get(key) {
            None | Some(Value::Null) => Ok(None),
            // Wrappers inside of wrappers are bounded by the depth that the JSON may have.
            Some(json) => {
                let mut layer = Self::parse(json, 0)?;
                if let Some(model) = &mut layer.model {
                    model.count_calls(version);
                }
                Ok(Some(layer))
            }
        }
    }

    /// Layers in a list of this one.
    pub(crate) fn inner_list(&self, key: &str) -> Result<Vec<Self>> {
        let items = self.config.get(key).and_then(Value::as_array);
        let items = items.ok_or_else(|| self.bad(format!("`{key}` is no list of layers")))?;
        items.iter().map(|json| Self::parse(json, 0)).collect()
    }

    /// The same layer with another value of an attribute.
    pub(crate) fn with(&self, key: &str, value: Value) -> Self {
        let mut config = self.config.clone();
        config.insert(key.to_owned(), value);
        let (name, class) = (self.name.clone(), self.class.clone());
        Self { name, class, config, calls: Vec::new(), model: None, function: self.function }
    }

    pub(crate) fn bad(&self, why: impl Into<String>) -> KerasError {
        KerasError::malformed(format!("layer `{}` ({})", self.name, self.class), why)
    }

    pub(crate) fn unsupported(&self, why: impl Into<String>) -> KerasError {
        let (layer, class) = (self.name.clone(), self.class.clone());
        KerasError::Unsupported { layer, class, why: why.into() }
    }

    /// Attribute as text.
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        match self.config.get(key)? {
            Value::String(s) => Some(s),
            // Keras 3 writes functions as objects.
            Value::Object(map) => map
                .get("config")
                .and_then(|c| c.as_str().or_else(|| c.get("name").and_then(Value::as_str)))
                .or_else(|| map.get("class_name").and_then(Value::as_str)),
            _ => None,
        }
    }

    pub(crate) fn flag(&self, key: &str, default: bool) -> bool {
        self.config.get(key).and_then(Value::as_bool).unwrap_or(default)
    }

    pub(crate) fn float(&self, key: &str, default: f32) -> Result<f32> {
        match self.config.get(key) {
            None | Some(Value::Null) => Ok(default),
            Some(v) => {
                // Keras writes arrays of one number as objects.
                let inner = v.get("config").and_then(|c| c.get("value")).unwrap_or(v);
                let n = inner.as_f64().map(|x| x as f32).filter(|x| x.is_finite());
                n.ok_or_else(|| self.bad(format!("`{key}` is no number")))
            }
        }
    }

    pub(crate) fn count(&self, key: &str) -> Result<usize> {
        let n = self.config.get(key).and_then(Value::as_u64);
        let n = n.and_then(|n| usize::try_from(n).ok()).filter(|n| *n <= 1 << 31);
        n.ok_or_else(|| self.bad(format!("`{key}` is no count")))
    }

    /// A number, or a list of integers.
    pub(crate) fn list(&self, key: &str) -> Result<Option<Vec<i64>>> {
        let fail = || self.bad(format!("`{key}` is no list of integers"));
        match self.config.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(items)) => {
                items.iter().map(|v| v.as_i64().ok_or_else(fail)).collect::<Result<_>>().map(Some)
            }
            Some(v) => v.as_i64().map(|n| Some(vec![n])).ok_or_else(fail),
        }
    }

    /// One count, or one for each of `dims` axes.
    pub(crate) fn counts(&self, key: &str, default: usize, dims: usize) -> Result<Vec<usize>> {
        let fail = || self.bad(format!("`{key}` is not {dims} counts"));
        let Some(list) = self.list(key)? else { return Ok(vec![default; dims]) };
        let n =
            |x: &i64| usize::try_from(*x).ok().filter(|n| *n > 0 && *n <= 1 << 31).ok_or_else(fail);
        match list.as_slice() {
            [one] => Ok(vec![n(one)?; dims]),
            all if all.len() == dims => all.iter().map(n).collect(),
            _ => Err(fail()),
        }
    }

    /// One or two counts as a height and width; one-dimensional layers have a width of 1.
    pub(crate) fn pair(&self, key: &str, default: usize, dims: usize) -> Result<[usize; 2]> {
        let fail = || self.bad(format!("`{key}` is not {dims} counts"));
        let Some(list) = self.list(key)? else {
            return Ok([default, if dims == 1 { 1 } else { default }]);
        };
        let n =
            |x: i64| usize::try_from(x).ok().filter(|n| *n > 0 && *n <= 1 << 31).ok_or_else(fail);
        match (list.as_slice(), dims) {
            ([a], 1) => Ok([n(*a)?, 1]),
            ([a], 2) => Ok([n(*a)?, n(*a)?]),
            ([a, b], 2) => Ok([n(*a)?, n(*b)?]),
            _ => Err(fail()),
        }
    }
}
