//! Weights of another file onto a graph that exists: safetensors, or any named tensors.

use crate::{FormatError, Source};
use paring_ir::{Graph, GraphError, Patch};
use paring_tensor::{DType, Tensor};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What [`apply`] did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// Constants that took new contents, sorted.
    pub changed: Vec<String>,
    /// Given tensors that no constant is named after, sorted.
    pub unused: Vec<String>,
}

/// Why weights do not fit a graph.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// A tensor has another shape than the constant of its name.
    #[error("`{name}` is {given:?}, the graph's is {wanted:?}")]
    Shape {
        /// Name of both.
        name: String,
        /// Shape of the tensor.
        given: Vec<usize>,
        /// Shape of the constant.
        wanted: Vec<usize>,
    },
    /// A constant is quantized; weights are real numbers.
    #[error("`{0}` is quantized in the graph; apply weights before quantizing")]
    Quantized(String),
    /// No tensor has the name of a constant.
    #[error("no constant of the graph is named as one of the {0} tensors")]
    NoneFits(usize),
    /// The graph does not take the change.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// Gives every constant that a tensor is named after the contents of that tensor.
///
/// Filters may be given as `[O,I,H,W]`, the order of PyTorch and ONNX; where a shape fits both orders it
/// is taken to be that. Floats of another precision are converted.
///
/// # Errors
/// If a tensor does not fit the constant of its name, or no name fits; the graph is then unchanged.
pub fn apply(
    graph: &mut Graph,
    tensors: &BTreeMap<String, Tensor>,
) -> Result<Applied, WeightsError> {
    let mut patch = Patch::new(graph, "weights");
    let mut applied = Applied::default();
    for (name, tensor) in tensors {
        let Some((value, data)) = graph.value_named(name).and_then(|v| Some((v, v.constant()?)))
        else {
            applied.unused.push(name.clone());
            continue;
        };
        if value.ty.quant.is_some() {
            return Err(WeightsError::Quantized(name.clone()));
        }
        let wrong = || WeightsError::Shape {
            name: name.clone(),
            given: tensor.shape().to_vec(),
            wanted: data.shape().to_vec(),
        };
        let reordered = match tensor.shape() {
            &[o, i, h, w] if data.shape() == [o, h, w, i] => tensor.transpose(&[0, 2, 3, 1]),
            shape if shape == data.shape() => Ok(tensor.clone()),
            _ => return Err(wrong()),
        };
        let float = tensor.dtype().is_float() && data.dtype().is_float();
        if !float && tensor.dtype() != data.dtype() {
            return Err(wrong());
        }
        let contents = reordered.map_err(|_| wrong())?.cast(data.dtype());
        patch.set_constant(value.id, contents, None);
        applied.changed.push(name.clone());
    }
    if applied.changed.is_empty() {
        return Err(WeightsError::NoneFits(tensors.len()));
    }
    graph.apply(patch)?;
    Ok(applied)
}

#[derive(Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<usize>,
    data_offsets: [usize; 2],
}

/// Reads a safetensors file: eight bytes of length, a JSON header, and the tensors, which stay where
/// they are mapped.
///
/// # Errors
/// If the file contradicts itself or holds elements of a type that there is not here.
pub fn read_safetensors(source: &Source) -> Result<BTreeMap<String, Tensor>, FormatError> {
    let bytes = &source.bytes;
    let fail = |why: &str| source.malformed("the header", why);
    let length = bytes.first_chunk::<8>().ok_or_else(|| fail("is cut off"))?;
    let end = usize::try_from(u64::from_le_bytes(*length))
        .ok()
        .and_then(|n| n.checked_add(8))
        .filter(|end| *end <= bytes.len())
        .ok_or_else(|| fail("is longer than the file"))?;
    let header: BTreeMap<String, serde_json::Value> =
        serde_json::from_slice(&bytes[8..end]).map_err(|e| fail(&e.to_string()))?;
    let contents = bytes.slice(end..);
    let mut tensors = BTreeMap::new();
    for (name, value) in header.into_iter().filter(|(n, _)| n != "__metadata__") {
        let fail = |why: String| source.malformed(format!("tensor `{name}`"), why);
        let entry: Entry = serde_json::from_value(value).map_err(|e| fail(e.to_string()))?;
        let dtype = match entry.dtype.as_str() {
            "F32" => DType::F32,
            "F16" => DType::F16,
            "BF16" => DType::BF16,
            "F64" => DType::F64,
            "I8" => DType::I8,
            "U8" => DType::U8,
            "I16" => DType::I16,
            "U16" => DType::U16,
            "I32" => DType::I32,
            "U32" => DType::U32,
            "I64" => DType::I64,
            "U64" => DType::U64,
            "BOOL" => DType::Bool,
            other => return Err(fail(format!("elements of type {other}"))),
        };
        let [from, to] = entry.data_offsets;
        if from > to || to > contents.len() {
            return Err(fail(format!("bytes {from} to {to} of {}", contents.len())));
        }
        let tensor = Tensor::new(dtype, entry.shape, contents.slice(from..to))
            .map_err(|e| fail(e.to_string()))?;
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

#[cfg(test)]
mod tests {
    use super::*;
    use paring_tensor::Bytes;

    fn source(header: &str, data: &[u8]) -> Source {
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend_from_slice(header.as_bytes());
        bytes.extend_from_slice(data);
        Source { path: "w.safetensors".into(), bytes: Bytes::from(bytes) }
    }

    fn graph() -> Graph {
        paring_ir::text::parse(
            "graph @g {
               %x = input : f32[1,1,2,2]
               %w = const [0.0, 0.0, 0.0, 0.0] : f32[1,1,2,2]
               %y = conv2d(%x, %w) { groups = 1, pad = \"valid\", stride = [1, 1] } : f32[1,1,1,1]
               output %y
             }",
        )
        .unwrap_or_else(|e| panic!("{e}"))
    }

    #[test]
    fn filters_are_reordered_and_unknown_names_told() {
        let header = r#"{"__metadata__":{"a":"b"},
            "w":{"dtype":"F32","shape":[1,2,1,2],"data_offsets":[0,16]},
            "extra":{"dtype":"U8","shape":[1],"data_offsets":[16,17]}}"#;
        let numbers: Vec<u8> =
            [1.0_f32, 2.0, 3.0, 4.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let tensors = read_safetensors(&source(header, &[numbers, vec![9]].concat())).unwrap();
        let mut g = graph();
        let applied = apply(&mut g, &tensors).unwrap();
        assert_eq!(applied, Applied { changed: vec!["w".into()], unused: vec!["extra".into()] });
        let w = g.value_named("w").and_then(|v| v.constant()).unwrap().dense();
        // [O,I,H,W] = [1,2,1,2] as [O,H,W,I] = [1,1,2,2]
        assert_eq!(w.to_f32(), [1.0, 3.0, 2.0, 4.0]);
    }

    #[test]
    fn what_does_not_fit_changes_nothing() {
        let mut g = graph();
        let other = BTreeMap::from([("w".to_owned(), Tensor::zeros(DType::F32, [3]).unwrap())]);
        assert!(matches!(apply(&mut g, &other), Err(WeightsError::Shape { .. })));
        let none = BTreeMap::from([("v".to_owned(), Tensor::zeros(DType::F32, [3]).unwrap())]);
        assert!(matches!(apply(&mut g, &none), Err(WeightsError::NoneFits(1))));
    }

    #[test]
    fn damaged_files_are_errors() {
        for (header, data) in [
            ("{", &[][..]),
            (r#"{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, &[0; 4]),
            (r#"{"w":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, &[0; 4]),
            (r#"{"w":{"dtype":"F9","shape":[1],"data_offsets":[0,4]}}"#, &[0; 4]),
        ] {
            assert!(read_safetensors(&source(header, data)).is_err(), "{header}");
        }
        let short = Source { path: "w".into(), bytes: Bytes::from_static(&[255; 9]) };
        assert!(read_safetensors(&short).is_err());
    }
}
