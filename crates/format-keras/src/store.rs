//! Configuration and weights in a file.

use crate::error::{KerasError, Result};
use hdf5_pure::{AttrValue, File, FormatError as HdfError, Group};
use paring_tensor::{Bytes, Tensor};
use std::io::{Cursor, Read};

/// An opened file.
pub(crate) struct Store {
    /// The configuration, in JSON.
    pub(crate) config: String,
    file: File,
    /// Whether weights lie as Keras 3 has them.
    archive: bool,
    limit: u64,
}

/// Bytes as a file of the HDF5 reader.
struct Mapped(Bytes);

impl hdf5_pure::Source for Mapped {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), HdfError> {
        let end = HdfError::UnexpectedEof { expected: buf.len(), available: self.0.len() };
        let Ok(start) = usize::try_from(offset) else { return Err(end) };
        match start.checked_add(buf.len()).and_then(|stop| self.0.get(start..stop)) {
            Some(bytes) => {
                buf.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(end),
        }
    }
}

fn hdf(error: impl std::fmt::Display) -> KerasError {
    KerasError::malformed("the HDF5 file", error.to_string())
}

/// A named weight.
pub(crate) struct Weight {
    pub(crate) name: String,
    pub(crate) tensor: Tensor,
}

impl Store {
    pub(crate) fn open(bytes: &Bytes) -> Result<Self> {
        if bytes.starts_with(b"PK") {
            return Self::open_archive(bytes);
        }
        let file = File::from_source(Mapped(bytes.clone())).map_err(hdf)?;
        let attrs = file.root().attrs().map_err(hdf)?;
        let config = attrs.get("model_config").and_then(AttrValue::as_str).ok_or_else(|| {
            KerasError::malformed(
                "the file",
                "has no `model_config`: it holds weights only; save the whole model",
            )
        })?;
        let config = config.to_owned();
        Ok(Self { config, file, archive: false, limit: room(bytes.len()) })
    }

    fn open_archive(bytes: &Bytes) -> Result<Self> {
        let zip = |e: zip::result::ZipError| KerasError::malformed("the archive", e.to_string());
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes.clone())).map_err(zip)?;
        let limit = room(bytes.len());
        let mut member = |name: &str| {
            let mut data = Vec::new();
            let file = archive.by_name(name).map_err(zip)?;
            let read = file.take(limit + 1).read_to_end(&mut data);
            read.map_err(|e| KerasError::malformed(name, e.to_string()))?;
            match data.len() as u64 > limit {
                true => Err(KerasError::malformed(name, "expands to many times the file's size")),
                false => Ok(data),
            }
        };
        let config = String::from_utf8(member("config.json")?)
            .map_err(|e| KerasError::malformed("config.json", e.to_string()))?;
        let weights = Bytes::from(member("model.weights.h5")?);
        let file = File::from_source(Mapped(weights)).map_err(hdf)?;
        Ok(Self { config, file, archive: true, limit })
    }

    pub(crate) fn is_archive(&self) -> bool {
        self.archive
    }

    /// The weights of a layer of a `.h5` file, in order.
    pub(crate) fn of_layer(&self, layer: &str) -> Result<Vec<Weight>> {
        let root = self.file.root();
        let all = root.group("model_weights").unwrap_or(root);
        let Ok(group) = all.group(layer) else { return Ok(Vec::new()) };
        let names = strings(&group, "weight_names")?;
        let read = |name: String| {
            let tensor = self.dataset(&group, &name)?;
            Ok(Weight { name, tensor })
        };
        names.into_iter().map(read).collect()
    }

    /// The numbered variables of a layer of an archive, below a path such as `layers/dense`.
    pub(crate) fn of_path(&self, path: &str) -> Result<Vec<Weight>> {
        let Ok(group) = self.file.group(&format!("{path}/vars")) else { return Ok(Vec::new()) };
        let count = group.datasets().map_err(hdf)?.len();
        let read = |i: usize| {
            let tensor = self.dataset(&group, &i.to_string())?;
            Ok(Weight { name: i.to_string(), tensor })
        };
        (0..count).map(read).collect()
    }

    fn dataset(&self, group: &Group, name: &str) -> Result<Tensor> {
        let place = |why: String| KerasError::malformed(format!("weight `{name}`"), why);
        let data = group.dataset(name).map_err(|e| place(e.to_string()))?;
        let shape = data.shape().map_err(|e| place(e.to_string()))?;
        let total = shape.iter().try_fold(4_u64, |n, d| n.checked_mul(*d));
        if total.is_none_or(|n| n > self.limit) {
            return Err(place(format!("of shape {shape:?} is larger than the file")));
        }
        let values = data.read_f32().map_err(|e| place(e.to_string()))?;
        let shape: Vec<usize> = shape.into_iter().map(|n| n as usize).collect();
        Tensor::from_vec(shape, values).map_err(|e| place(e.to_string()))
    }
}

/// What may be read of a file of this size; compressed weights expand.
fn room(len: usize) -> u64 {
    (len as u64).saturating_mul(32).saturating_add(1 << 20)
}

/// A list of texts; long ones are cut into numbered attributes.
fn strings(group: &Group, name: &str) -> Result<Vec<String>> {
    let attrs = group.attrs().map_err(hdf)?;
    let list = |value: &AttrValue| match value.as_strings() {
        Some(list) => Some(list.to_vec()),
        None => value.as_str().map(|s| vec![s.to_owned()]),
    };
    if let Some(value) = attrs.get(name) {
        return Ok(list(value).unwrap_or_default());
    }
    let mut all = Vec::new();
    while let Some(value) = attrs.get(&format!("{name}{}", all.len())) {
        all.push(list(value).unwrap_or_default());
    }
    Ok(all.concat())
}
