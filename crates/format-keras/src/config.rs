//! What the configuration says of a model.

use crate::error::{KerasError, Result};
use serde_json::{Map, Value};

/// Models inside of models, at most.
const DEEPEST: usize = 16;

/// A model: its layers and how they are connected.
pub(crate) struct Model {
    pub(crate) name: String,
    pub(crate) layers: Vec<Layer>,
    /// Where its inputs and outputs are.
    pub(crate) inputs: Vec<Place>,
    pub(crate) outputs: Vec<Place>,
}

/// One output of one call of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    pub(crate) layer: String,
    pub(crate) call: usize,
    pub(crate) output: usize,
}

/// A layer and its calls.
pub(crate) struct Layer {
    pub(crate) name: String,
    pub(crate) class: String,
    pub(crate) config: Map<String, Value>,
    /// The operands of each call.
    pub(crate) calls: Vec<Vec<Place>>,
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

/// The tensors among the arguments of a call of Keras 3, however deep they stand.
fn tensors(value: &Value, found: &mut Vec<Place>, depth: usize) -> Result<()> {
    if depth > DEEPEST {
        return Err(bad("a call"));
    }
    match value {
        Value::Array(items) => items.iter().try_for_each(|v| tensors(v, found, depth + 1)),
        Value::Object(map)
            if map.get("class_name").and_then(Value::as_str) == Some("__keras_tensor__") =>
        {
            let history = map.get("config").and_then(|c| c.get("keras_history"));
            found.push(place(history.ok_or_else(|| bad("a tensor's history"))?)?);
            Ok(())
        }
        _ => Ok(()),
    }
}

fn calls(value: Option<&Value>) -> Result<Vec<Vec<Place>>> {
    let Some(Value::Array(nodes)) = value else { return Ok(Vec::new()) };
    let mut calls = Vec::new();
    for node in nodes {
        calls.push(match node {
            Value::Array(items) if items.first().is_some_and(Value::is_string) => {
                vec![place(node)?]
            }
            Value::Array(items) => items.iter().map(place).collect::<Result<_>>()?,
            Value::Object(map) => {
                let mut found = Vec::new();
                tensors(map.get("args").unwrap_or(&Value::Null), &mut found, 0)?;
                found
            }
            _ => return Err(bad("a call")),
        });
    }
    Ok(calls)
}

impl Model {
    pub(crate) fn parse(json: &Value) -> Result<Self> {
        Self::nested(json, 0)
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
            return Ok(Self { name, layers, inputs, outputs });
        }
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
            layers.insert(0, Layer { name, class, config, calls: Vec::new(), model: None });
        }
        let at = |l: &Layer| Place { layer: l.name.clone(), call: 0, output: 0 };
        for i in 1..layers.len() {
            layers[i].calls = vec![vec![at(&layers[i - 1])]];
        }
        let ends = layers.first().zip(layers.last()).ok_or_else(|| bad("layers"))?;
        let (inputs, outputs) = (vec![at(ends.0)], vec![at(ends.1)]);
        Ok(Self { name, layers, inputs, outputs })
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
        // Keras 3 names layers by their modules too: "Custom>Name".
        Ok(Self { name, class: class.to_owned(), config, calls, model })
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
