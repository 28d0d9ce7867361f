//! Models on the command line: reading them, and between their own layout and dtypes and the graph's.

use anyhow::{Context, Result, bail, ensure};
use paring_backend::{ExecOptions, Rounding};
use paring_ir::{Graph, Port, Session};
use paring_tensor::{Tensor, TensorType};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The model that a command works on.
#[derive(clap::Args)]
pub struct ModelArgs {
    /// Model file: ONNX, TFLite, Keras, Caffe or Paring's own
    pub model: PathBuf,
    /// Size of a named dimension of the model; others without a number are 1
    #[arg(long = "dim", value_name = "NAME=SIZE", value_parser = dimension)]
    pub dims: Vec<(String, usize)>,
    /// Weights that replace those of the model, by name: safetensors, or .npz of NumPy
    #[arg(long, value_name = "FILE")]
    pub weights: Option<PathBuf>,
}

fn dimension(text: &str) -> Result<(String, usize), String> {
    let (name, size) = text.split_once('=').ok_or("expected NAME=SIZE")?;
    let size = size.parse().map_err(|_| format!("`{size}` is not a size"))?;
    Ok((name.to_owned(), size))
}

impl ModelArgs {
    /// Reads the model.
    pub fn read(&self) -> Result<Graph> {
        let mut graph = read(&self.model, &self.dims)?;
        if let Some(path) = &self.weights {
            let tensors = paring_bundle::read_weights(path)?;
            let applied = paring_format::weights::apply(&mut graph, &tensors)
                .with_context(|| format!("{} onto {}", path.display(), self.model.display()))?;
            for name in applied.unused {
                eprintln!("{}: no constant is named `{name}`", path.display());
            }
        }
        Ok(graph)
    }

    /// Reads the model for inputs of these values, from which it takes what has to be constant.
    pub fn read_for(&self, values: &[Tensor]) -> Result<Graph> {
        let dims: BTreeMap<String, usize> = self.dims.iter().cloned().collect();
        Ok(paring_bundle::read_model_for(&self.model, &dims, values)?)
    }
}

/// Reads a model file.
pub fn read(path: &Path, dims: &[(String, usize)]) -> Result<Graph> {
    let dims: BTreeMap<String, usize> = dims.iter().cloned().collect();
    Ok(paring_bundle::read_model(path, &dims)?)
}

/// Rounding of integer kernels, as an argument.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum RoundingArg {
    /// TFLite Micro's and CMSIS-NN's, two roundings
    #[default]
    Double,
    /// LiteRT's on the desktop, one rounding
    Single,
}

/// The backend that a command runs the model on.
#[derive(clap::Args)]
pub struct BackendArgs {
    /// Backend that runs the model
    #[arg(long, default_value = paring_bundle::AUTO)]
    pub backend: String,
    /// Rounding of integer kernels
    #[arg(long, value_enum, default_value_t)]
    pub rounding: RoundingArg,
}

impl BackendArgs {
    /// The model ready to run.
    pub fn prepare(&self, graph: &Graph) -> Result<Box<dyn Session>> {
        prepare(graph, &self.backend, self.rounding)
    }
}

/// A model ready to run on a backend.
pub fn prepare(graph: &Graph, backend: &str, rounding: RoundingArg) -> Result<Box<dyn Session>> {
    let rounding = match rounding {
        RoundingArg::Double => Rounding::Double,
        RoundingArg::Single => Rounding::Single,
    };
    let executor =
        paring_bundle::executor(backend, ExecOptions { rounding }).map_err(anyhow::Error::msg)?;
    Ok(executor.prepare(graph.verified()?)?)
}

/// The shape of a port's tensor in the model's own layout.
pub fn external_shape(graph: &Graph, port: &Port) -> Result<Vec<usize>> {
    let shape = fixed(graph.ty(port.value), &port.name)?;
    Ok(match &port.external {
        None => shape,
        Some(perm) => perm.iter().map(|&axis| shape[axis]).collect(),
    })
}

fn fixed(ty: &TensorType, name: &str) -> Result<Vec<usize>> {
    ty.shape.fixed().with_context(|| {
        format!("`{name}` is {ty}; give its dimensions sizes with --dim NAME=SIZE")
    })
}

/// A tensor of an input, given in the model's own layout, as the graph wants it.
pub fn from_external(port: &Port, tensor: &Tensor) -> Result<Tensor> {
    let Some(perm) = &port.external else { return Ok(tensor.clone()) };
    let mut inverse = vec![0; perm.len()];
    for (i, &axis) in perm.iter().enumerate() {
        inverse[axis] = i;
    }
    Ok(tensor.transpose(&inverse)?)
}

/// A tensor of an output of the graph in the model's own layout.
pub fn to_external(port: &Port, tensor: &Tensor) -> Result<Tensor> {
    Ok(match &port.external {
        None => tensor.clone(),
        Some(perm) => tensor.transpose(perm)?,
    })
}

/// Real numbers as an input's stored ones: rounded to its quantization, or as they are.
pub fn store(real: &Tensor, ty: &TensorType, name: &str) -> Result<Tensor> {
    if real.dtype() == ty.dtype {
        return Ok(real.clone());
    }
    match &ty.quant {
        Some(quant) if real.dtype().is_float() => Ok(quant.quantize(real, ty.dtype)?),
        None if ty.dtype.is_float() => Ok(real.cast(ty.dtype)),
        _ => bail!("input `{name}` is {ty}, but the data has {} elements", real.dtype()),
    }
}

/// An output's stored numbers as real ones.
pub fn real(stored: &Tensor, ty: &TensorType) -> Result<Vec<f32>> {
    Ok(match &ty.quant {
        Some(quant) => quant.dequantize(stored)?.to_f32(),
        None => stored.to_f32(),
    })
}

/// The samples of an input that a file holds: the tensor is `[samples, ...]` where the rest has as many
/// elements as the model's input.
pub fn split_samples(graph: &Graph, port: &Port, file: &Tensor) -> Result<Vec<Tensor>> {
    let shape = external_shape(graph, port)?;
    let size: usize = shape.iter().product();
    let samples = match file.shape() {
        [n, rest @ ..] if rest.iter().product::<usize>() == size => *n,
        _ if file.shape() == shape => 1,
        other => bail!(
            "input `{}` of the model is {shape:?}; the file has {other:?}, expected [samples, ...] \
             with {size} elements a sample",
            port.name
        ),
    };
    let ty = graph.ty(port.value);
    let bytes = size * file.dtype().size();
    (0..samples)
        .map(|i| {
            let data = file.bytes().slice(i * bytes..(i + 1) * bytes);
            let sample = Tensor::new(file.dtype(), shape.clone(), data)?;
            store(&from_external(port, &sample)?, ty, &port.name)
        })
        .collect()
}

/// Several tensors of one shape as one with a leading sample axis.
pub fn stack(samples: &[Tensor]) -> Result<Tensor> {
    let first = samples.first().context("there are no samples")?;
    let mut bytes = Vec::with_capacity(first.bytes().len() * samples.len());
    for sample in samples {
        ensure!(
            sample.shape() == first.shape() && sample.dtype() == first.dtype(),
            "the samples differ in shape: {:?} and {:?}",
            first.shape(),
            sample.shape()
        );
        bytes.extend_from_slice(sample.bytes());
    }
    let shape: Vec<usize> = std::iter::once(samples.len()).chain(first.shape().to_vec()).collect();
    Ok(Tensor::new(first.dtype(), shape, bytes.into())?)
}
