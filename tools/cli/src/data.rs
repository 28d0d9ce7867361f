//! Data sets as inputs of a graph.

use anyhow::{Context, Result, bail};
use paring_data::{DataSpec, Dataset};
use paring_ir::{Graph, Port};
use paring_tensor::{Tensor, TensorType};

/// A data set whose samples fit the inputs of a graph.
pub struct Fitted {
    data: Box<dyn Dataset>,
    inputs: Vec<(Port, TensorType, Vec<usize>)>,
}

/// A sample for the graph, as real numbers in the graph's layout, and its class.
pub struct FittedSample {
    /// One tensor an input, with the batch axis.
    pub inputs: Vec<Tensor>,
    /// The class, where the data set knows it.
    pub label: Option<usize>,
}

/// Opens the data that a specification names.
pub fn open(spec: &str) -> Result<Box<dyn Dataset>> {
    let spec: DataSpec = spec.parse()?;
    let data = spec.open()?;
    if data.is_empty() {
        bail!("`{spec}` has no samples");
    }
    Ok(data)
}

impl Fitted {
    /// Fits data to a graph; the first sample shows whether it does.
    pub fn new(data: Box<dyn Dataset>, graph: &Graph) -> Result<Self> {
        let inputs = graph
            .inputs()
            .iter()
            .map(|port| {
                let ty = graph.ty(port.value).clone();
                let shape = ty.shape.fixed().with_context(|| {
                    format!("`{}` is {ty}; give its dimensions sizes with --dim", port.name)
                })?;
                Ok((port.clone(), ty, shape))
            })
            .collect::<Result<_>>()?;
        let fitted = Self { data, inputs };
        fitted.get(0)?;
        Ok(fitted)
    }

    /// Number of samples.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// A sample. Pictures (height, width, channels) are turned where the graph wants channels first, and
    /// so are recorded inputs of a model whose layout a pass has changed.
    pub fn get(&self, index: usize) -> Result<FittedSample> {
        let sample = self.data.sample(index)?;
        if sample.inputs.len() != self.inputs.len() {
            bail!(
                "the data has {} inputs a sample, the model {}",
                sample.inputs.len(),
                self.inputs.len()
            );
        }
        let inputs = sample
            .inputs
            .iter()
            .zip(&self.inputs)
            .map(|(tensor, (port, ty, shape))| fit(tensor, port, ty, shape))
            .collect::<Result<_>>()?;
        Ok(FittedSample { inputs, label: sample.label })
    }

    /// The stored numbers that a sample is for each input of the graph.
    pub fn stored(&self, sample: &FittedSample) -> Result<Vec<Tensor>> {
        sample
            .inputs
            .iter()
            .zip(&self.inputs)
            .map(|(tensor, (port, ty, _))| crate::model::store(tensor, ty, &port.name))
            .collect()
    }
}

fn fit(tensor: &Tensor, port: &Port, ty: &TensorType, wanted: &[usize]) -> Result<Tensor> {
    let (name, given) = (&port.name, tensor.shape());
    let (batch, rest) = match wanted {
        [batch, rest @ ..] => (*batch, rest),
        [] => (1, wanted),
    };
    if batch == 1 && given == rest || given == wanted {
        return Ok(tensor.reshape(wanted)?);
    }
    // Recorded in the model's own layout, where a pass has changed that of the graph.
    if let Some(perm) = &port.external {
        let own: Vec<usize> = perm.iter().filter_map(|&axis| wanted.get(axis).copied()).collect();
        if own == given || (own.first() == Some(&1) && own[1..] == *given) {
            return crate::model::from_external(port, &tensor.reshape(own)?);
        }
    }
    if let (1, [c, h, w], [gh, gw, gc]) = (batch, rest, given)
        && (h, w, c) == (gh, gw, gc)
    {
        return Ok(tensor.transpose(&[2, 0, 1])?.reshape(wanted)?);
    }
    // A picture without its axis of one channel, or flattened.
    let picture = matches!(given, [_, _, 1]) || rest.len() <= 1 || given.len() <= 1;
    if picture && tensor.len() == wanted.iter().product::<usize>() {
        return Ok(tensor.reshape(wanted)?);
    }
    bail!(
        "input `{name}` is {ty}, but a sample of the data is {given:?}; add preprocessing such as \
         `size=..` or `color=..` to the data specification"
    )
}
