//! `paring run`

use crate::model::{ModelArgs, RoundingArg, prepare, real, split_samples, stack, to_external};
use crate::ui::Ui;
use anyhow::{Context, Result, bail};
use paring_data::npy;
use paring_ir::Graph;
use paring_tensor::Tensor;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Run a model on inputs from a file
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Backend that runs the model: the one that says what ops mean, or `auto` for the fastest
    #[arg(long, default_value = paring_bundle::REFERENCE)]
    backend: String,
    /// Rounding of integer kernels
    #[arg(long, value_enum, default_value_t)]
    rounding: RoundingArg,
    /// `.npz` with `input_0`, `input_1`, ... (leading axis: samples), or `.npy` for one input
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Where `output_0`, ... go (`.npz`)
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Keep the states of a recurrent network from one sample to the next
    #[arg(long)]
    stateful: bool,
}

/// Runs the command.
pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let graph = args.model.read()?;
    let samples = read_inputs(&graph, &args.input)?;
    let mut session = prepare(&graph, &args.backend, args.rounding)?;
    let bar = ui.bar("running", samples.len());
    let mut outputs: Vec<Vec<Tensor>> = vec![Vec::new(); graph.outputs().len()];
    for inputs in &samples {
        if !args.stateful {
            session.reset();
        }
        for ((port, slot), tensor) in
            graph.outputs().iter().zip(&mut outputs).zip(session.run(inputs)?)
        {
            slot.push(to_external(port, &tensor)?);
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let outputs: Vec<Tensor> = outputs.iter().map(|o| stack(o)).collect::<Result<_>>()?;
    if let Some(path) = &args.output {
        let names: Vec<String> = (0..outputs.len()).map(|i| format!("output_{i}")).collect();
        npy::write_npz(path, names.iter().map(String::as_str).zip(&outputs))?;
    }
    let described: Vec<_> = graph
        .outputs()
        .iter()
        .zip(&outputs)
        .map(|(p, t)| json!({ "name": p.name, "dtype": t.dtype(), "shape": t.shape() }))
        .collect();
    let object = json!({ "samples": samples.len(), "outputs": described, "output": args.output });
    ui.result(&object, || {
        let mut out = format!("{} samples\n", samples.len());
        for (port, tensor) in graph.outputs().iter().zip(&outputs) {
            out += &format!("{}: {:?}\n", port.name, tensor);
        }
        if args.output.is_none() {
            out += &first_values(&graph, &outputs);
        }
        out
    });
    Ok(())
}

/// The samples in a file, one tensor an input of the graph.
pub fn read_inputs(graph: &Graph, path: &Path) -> Result<Vec<Vec<Tensor>>> {
    let ports = graph.inputs();
    let files: Vec<Tensor> = match path.extension().and_then(|e| e.to_str()) {
        Some("npy") if ports.len() == 1 => vec![npy::read_npy(path)?],
        Some("npy") => bail!("the model has {} inputs; give them in an .npz file", ports.len()),
        Some("npz") => {
            let archive = npy::Npz::open(path)?;
            (0..ports.len())
                .map(|i| Ok(archive.get(&format!("input_{i}"))?))
                .collect::<Result<_>>()?
        }
        _ => bail!("{}: inputs come in an .npz or .npy file", path.display()),
    };
    let columns: Vec<Vec<Tensor>> = ports
        .iter()
        .zip(&files)
        .map(|(port, file)| {
            split_samples(graph, port, file).with_context(|| path.display().to_string())
        })
        .collect::<Result<_>>()?;
    let count = columns.first().map_or(0, Vec::len);
    if columns.iter().any(|c| c.len() != count) || count == 0 {
        bail!("{}: the inputs have no samples, or not as many each", path.display());
    }
    Ok((0..count).map(|i| columns.iter().map(|c| c[i].clone()).collect()).collect())
}

/// The largest real numbers of the first sample's outputs, for people.
fn first_values(graph: &Graph, outputs: &[Tensor]) -> String {
    let mut out = String::new();
    for (port, tensor) in graph.outputs().iter().zip(outputs) {
        let Some(rest) = tensor.shape().get(1..) else { continue };
        let size: usize = rest.iter().product();
        let bytes = tensor.bytes().slice(..size * tensor.dtype().size());
        let values = Tensor::new(tensor.dtype(), [size], bytes)
            .ok()
            .and_then(|t| t.reshape(rest).ok())
            .and_then(|t| real(&t, graph.ty(port.value)).ok());
        let Some(values) = values else { continue };
        let mut best: Vec<(usize, f32)> = values.into_iter().enumerate().collect();
        best.sort_by(|a, b| b.1.total_cmp(&a.1));
        let list: Vec<_> = best.iter().take(5).map(|(i, x)| format!("[{i}] {x:.4}")).collect();
        out += &format!("first sample, largest of {}: {}\n", port.name, list.join(", "));
    }
    out
}
