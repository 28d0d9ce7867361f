use crate::dataset::{Dataset, Sample, check_index};
use crate::npy::Npz;
use crate::preprocess::Prepared;
use crate::{DataError, Result};
use paring_tensor::Tensor;
use std::path::Path;

/// An `.npz` file of `input_0`, `input_1`, ... and perhaps `labels`, each with a leading sample
/// axis. Samples keep the type and layout of the file. Arrays that are stored unpacked stay in the
/// mapped file; packed ones are unpacked in memory once.
pub(crate) struct NpzSet {
    inputs: Vec<Tensor>,
    labels: Option<Vec<usize>>,
    len: usize,
    prepared: Prepared,
}

impl NpzSet {
    /// Opens the file.
    ///
    /// # Errors
    /// If it has no `input_0`, its arrays differ in the number of samples, or labels are not class
    /// indices.
    pub fn open(path: &Path, prepared: Prepared) -> Result<Self> {
        prepared.check_array()?;
        let npz = Npz::open(path)?;
        let mut inputs = vec![npz.get("input_0")?];
        while npz.has(&format!("input_{}", inputs.len())) {
            inputs.push(npz.get(&format!("input_{}", inputs.len()))?);
        }
        let rows = |name: &str, tensor: &Tensor| {
            tensor.shape().first().copied().ok_or_else(|| {
                let fault = format!("array `{name}` has no sample axis");
                DataError::file(path, fault, "give every array a leading axis over the samples")
            })
        };
        let len = rows("input_0", &inputs[0])?;
        let same = |name: &str, rows: usize| {
            if rows == len {
                return Ok(());
            }
            let fault = format!("`{name}` has {rows} samples and `input_0` {len}");
            Err(DataError::file(path, fault, "give every array the same leading axis"))
        };
        for (k, input) in inputs.iter().enumerate() {
            let name = format!("input_{k}");
            same(&name, rows(&name, input)?)?;
        }
        let labels = if npz.has("labels") {
            let labels = npz.get("labels")?;
            let index = |value: f64| {
                let index = value as usize;
                (value >= 0.0 && index as f64 == value).then_some(index).ok_or_else(|| {
                    let fault = format!("label {value} is no class index");
                    DataError::file(path, fault, "labels are whole numbers from 0")
                })
            };
            let labels = labels.to_f64().into_iter().map(index).collect::<Result<Vec<_>>>()?;
            same("labels", labels.len())?;
            Some(labels)
        } else {
            None
        };
        Ok(Self { inputs, labels, len, prepared })
    }
}

impl Dataset for NpzSet {
    fn len(&self) -> usize {
        self.len
    }

    fn sample(&self, index: usize) -> Result<Sample> {
        check_index(index, self.len)?;
        let row = |input: &Tensor| {
            let size = input.bytes().len() / self.len;
            let bytes = input.bytes().slice(index * size..(index + 1) * size);
            let row = Tensor::new(input.dtype(), &input.shape()[1..], bytes)
                .map_err(|e| DataError::Mismatch(e.to_string()))?;
            self.prepared.array(row)
        };
        let inputs = self.inputs.iter().map(row).collect::<Result<_>>()?;
        let label = self.labels.as_ref().and_then(|labels| labels.get(index).copied());
        Ok(Sample { inputs, label })
    }
}
