//! `paring run`

use crate::error::all_refused;
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
    let (graph, samples, outputs) = match args.model.read() {
        Ok(graph) => {
            let samples = read_inputs(&graph, &args.input)?;
            let outputs = run_all(args, &graph, &samples, ui)?;
            (graph, samples.len(), outputs)
        }
        Err(e) if !all_refused(&e).is_empty() => run_each(args, e, ui)?,
        Err(e) => return Err(e),
    };
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
    let object = json!({ "samples": samples, "outputs": described, "output": args.output });
    ui.result(&object, || {
        let mut out = format!("{samples} samples\n");
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

/// Outputs of all samples, one list an output of the graph.
fn run_all(
    args: &Args,
    graph: &Graph,
    samples: &[Vec<Tensor>],
    ui: &Ui,
) -> Result<Vec<Vec<Tensor>>> {
    let mut session = prepare(graph, &args.backend, args.rounding)?;
    let bar = ui.bar("running", samples.len());
    let mut outputs: Vec<Vec<Tensor>> = vec![Vec::new(); graph.outputs().len()];
    for inputs in samples {
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
    Ok(outputs)
}

/// Runs a model that is not supported as it is, but may be once the values of its inputs are known: it is
/// read anew for each sample. Gives the graph of the first sample, their number and their outputs.
fn run_each(
    args: &Args,
    refused: anyhow::Error,
    ui: &Ui,
) -> Result<(Graph, usize, Vec<Vec<Tensor>>)> {
    let files = read_files(&args.input, None)?;
    let count = files.first().and_then(|f| f.shape().first()).copied().unwrap_or(0);
    if files.iter().any(|f| f.shape().first() != Some(&count)) || count == 0 || args.stateful {
        return Err(refused);
    }
    let sample = |file: &Tensor, i: usize| -> Result<Tensor> {
        let bytes = file.bytes().len() / count;
        let data = file.bytes().slice(i * bytes..(i + 1) * bytes);
        Ok(Tensor::new(file.dtype(), &file.shape()[1..], data)?)
    };
    let mut first = None;
    let mut outputs: Vec<Vec<Tensor>> = Vec::new();
    for i in 0..count {
        let values: Vec<Tensor> = files.iter().map(|f| sample(f, i)).collect::<Result<_>>()?;
        let graph = args.model.read_for(&values)?;
        let inputs = graph.inputs().iter().zip(&values).map(|(port, value)| {
            let shape: Vec<usize> = std::iter::once(1).chain(value.shape().to_vec()).collect();
            let mut one = split_samples(&graph, port, &value.reshape(shape)?)?;
            one.pop().context("an input has no sample")
        });
        let inputs: Vec<Tensor> = inputs.collect::<Result<_>>()?;
        if inputs.len() != graph.inputs().len() {
            bail!("the model has {} inputs, the file {}", graph.inputs().len(), inputs.len());
        }
        let ran = run_all(args, &graph, &[inputs], ui)?;
        outputs.resize(ran.len(), Vec::new());
        outputs.iter_mut().zip(ran).for_each(|(all, one)| all.extend(one));
        first.get_or_insert(graph);
    }
    Ok((first.ok_or(refused)?, count, outputs))
}

/// What a file holds: this many inputs, or all there are.
fn read_files(path: &Path, count: Option<usize>) -> Result<Vec<Tensor>> {
    match path.extension().and_then(|e| e.to_str()) {
        Some("npy") if count.is_none_or(|n| n == 1) => Ok(vec![npy::read_npy(path)?]),
        Some("npy") => {
            bail!("the model has {} inputs; give them in an .npz file", count.unwrap_or(0))
        }
        Some("npz") => {
            let archive = npy::Npz::open(path)?;
            let name = |i: usize| format!("input_{i}");
            let count =
                count.unwrap_or_else(|| (0..).take_while(|i| archive.has(&name(*i))).count());
            (0..count).map(|i| Ok(archive.get(&name(i))?)).collect()
        }
        _ => bail!("{}: inputs come in an .npz or .npy file", path.display()),
    }
}

/// The samples in a file, one tensor an input of the graph.
pub fn read_inputs(graph: &Graph, path: &Path) -> Result<Vec<Vec<Tensor>>> {
    let ports = graph.inputs();
    if ports.is_empty() {
        return Ok(vec![Vec::new()]);
    }
    let files = read_files(path, Some(ports.len()))?;
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
