//! The weights in a caffemodel: `NetParameter` of `caffe.proto`, as far as it holds blobs, or HDF5.

use bytes::Bytes;
use paring_format::hdf5::{self, Hdf5};
use paring_format::{FormatError, Source};
use paring_tensor::{DType, Tensor};
use prost::Message;
use std::collections::HashMap;

#[derive(Clone, PartialEq, prost::Message)]
struct NetParameter {
    /// Layers of files before 2014.
    #[prost(message, repeated, tag = "2")]
    layers: Vec<OldLayer>,
    #[prost(message, repeated, tag = "100")]
    layer: Vec<Layer>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OldLayer {
    /// What the oldest form has.
    #[prost(message, optional, tag = "1")]
    layer: Option<OldestLayer>,
    #[prost(bytes = "bytes", tag = "4")]
    name: Bytes,
    #[prost(message, repeated, tag = "6")]
    blobs: Vec<Blob>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct OldestLayer {
    #[prost(bytes = "bytes", tag = "1")]
    name: Bytes,
    #[prost(message, repeated, tag = "50")]
    blobs: Vec<Blob>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Layer {
    #[prost(bytes = "bytes", tag = "1")]
    name: Bytes,
    #[prost(message, repeated, tag = "7")]
    blobs: Vec<Blob>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Blob {
    #[prost(int32, tag = "1")]
    num: i32,
    #[prost(int32, tag = "2")]
    channels: i32,
    #[prost(int32, tag = "3")]
    height: i32,
    #[prost(int32, tag = "4")]
    width: i32,
    /// Floats side by side, usually in one part, which stay where they lie in the file.
    #[prost(bytes = "bytes", repeated, tag = "5")]
    data: Vec<Bytes>,
    #[prost(message, optional, tag = "7")]
    shape: Option<Shape>,
    #[prost(double, repeated, tag = "8")]
    double_data: Vec<f64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Shape {
    #[prost(int64, repeated, tag = "1")]
    dim: Vec<i64>,
}

/// The blobs of each layer.
pub(crate) type Blobs = HashMap<String, Vec<Tensor>>;

/// Reads the blobs of all layers that have any.
pub(crate) fn read(source: &Source) -> Result<Blobs, FormatError> {
    if source.bytes.starts_with(hdf5::MAGIC) {
        return read_hdf5(source);
    }
    let net = NetParameter::decode(source.bytes.clone())
        .map_err(|e| source.malformed("the file", format!("is not a caffemodel: {e}")))?;
    let old = net.layers.into_iter().map(|l| match l.layer {
        Some(oldest) => (oldest.name, oldest.blobs),
        None => (l.name, l.blobs),
    });
    let all = old.chain(net.layer.into_iter().map(|l| (l.name, l.blobs)));
    let mut blobs = Blobs::new();
    for (name, list) in all.filter(|(_, b)| !b.is_empty()) {
        let name = String::from_utf8_lossy(&name).into_owned();
        let tensors = list.into_iter().enumerate().map(|(i, blob)| {
            tensor(blob).map_err(|why| source.malformed(format!("layer `{name}`, blob {i}"), why))
        });
        blobs.insert(name.clone(), tensors.collect::<Result<_, _>>()?);
    }
    Ok(blobs)
}

/// The form of HDF5: a group `data` with one group a layer, whose data sets are numbered.
fn read_hdf5(source: &Source) -> Result<Blobs, FormatError> {
    let fail = |why: String| source.malformed("the file", why);
    let file = Hdf5::open(&source.bytes).map_err(fail)?;
    let mut blobs = Blobs::new();
    layers_of(&file, "data", "", 0, &mut blobs)
        .map_err(|(place, why)| source.malformed(format!("`{place}`"), why))?;
    match blobs.is_empty() {
        true => Err(fail("holds no weights of layers in `data`".to_owned())),
        false => Ok(blobs),
    }
}

/// Names with slashes are groups in groups, at most.
const DEEPEST: usize = 8;

fn layers_of(
    file: &Hdf5,
    path: &str,
    layer: &str,
    depth: usize,
    blobs: &mut Blobs,
) -> Result<(), (String, String)> {
    let fail = |why| (path.to_owned(), why);
    if depth > DEEPEST {
        return Err(fail("groups nest too deep".to_owned()));
    }
    let count = file.count(path);
    if count > 0 && depth > 0 {
        let mut tensors = Vec::with_capacity(count.min(16));
        for i in 0..count {
            let place = format!("{path}/{i}");
            tensors.push(file.tensor(&place).map_err(|why| (place, why))?);
        }
        blobs.insert(layer.to_owned(), tensors);
    }
    for group in file.groups(path).map_err(fail)? {
        let name = if layer.is_empty() { group.clone() } else { format!("{layer}/{group}") };
        layers_of(file, &format!("{path}/{group}"), &name, depth + 1, blobs)?;
    }
    Ok(())
}

fn tensor(blob: Blob) -> Result<Tensor, String> {
    let dims: Vec<i64> = match &blob.shape {
        Some(shape) => shape.dim.clone(),
        // The oldest form has always four extents.
        None => [blob.num, blob.channels, blob.height, blob.width].map(i64::from).to_vec(),
    };
    let shape: Option<Vec<usize>> = dims.iter().map(|d| usize::try_from(*d).ok()).collect();
    let shape = shape.ok_or_else(|| format!("shape {dims:?} is negative"))?;
    if blob.data.is_empty() {
        let data: Vec<f32> = blob.double_data.iter().map(|x| *x as f32).collect();
        return Tensor::from_vec(shape, data).map_err(|e| e.to_string());
    }
    let data = match <[Bytes; 1]>::try_from(blob.data) {
        Ok([one]) => one,
        Err(parts) => Bytes::from(parts.concat()),
    };
    Tensor::new(DType::F32, shape, data).map_err(|e| e.to_string())
}
