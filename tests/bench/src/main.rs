//! Compares the x86 engine with LiteRT (XNNPACK) and ONNX Runtime in one run on this machine.
//!
//! `cargo xtask bench-x86` builds and runs it and writes `docs/bench-x86.md`. The engines take turns, some
//! runs each, for several rounds, so that what else the machine does meets all of them. Where the other
//! runtimes cannot be had, it says so and measures the engine alone.
#![forbid(unsafe_code)]

mod peers;
mod report;

use anyhow::{Context, Result};
use clap::Parser;
use paring_backend::ExecOptions;
use paring_bench::memory::{self, Memory};
use paring_format::WriteOptions;
use paring_ir::{Graph, Session};
use paring_pass::{NoHost, Pipeline, RunOptions};
use paring_tensor::Tensor;
use peers::Peers;
use rustix::time::{ClockId, clock_gettime};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

#[derive(Parser)]
struct Args {
    /// Rounds in which each engine has its turn
    #[arg(long, default_value_t = 12)]
    rounds: usize,
    /// Milliseconds of a turn
    #[arg(long, default_value_t = 60)]
    turn: u64,
    /// Only models whose name contains this
    #[arg(long, default_value = "")]
    only: String,
    /// Numbers of threads
    #[arg(long, value_delimiter = ',', default_value = "1,2")]
    threads: Vec<usize>,
    /// The page to write, instead of printing it
    #[arg(long)]
    page: Option<PathBuf>,
}

/// Milliseconds of each run: on the clock, and of the thread that asked.
#[derive(Clone, Debug, Default)]
pub struct Times {
    /// On the clock.
    pub wall: Vec<f64>,
    /// Of the thread.
    pub cpu: Vec<f64>,
}

impl Times {
    fn extend(&mut self, other: Self) {
        self.wall.extend(other.wall);
        self.cpu.extend(other.cpu);
    }
}

/// A number from the middle of a list, or from another place of it; `NaN` where it is empty.
#[must_use]
pub fn quantile(list: &[f64], at: f64) -> f64 {
    let mut sorted = list.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (sorted.len().saturating_sub(1) as f64 * at).round() as usize;
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// The engines, ours first.
pub const ENGINES: [&str; 3] = ["paring", "litert", "onnxruntime"];

/// What was measured of one model with some threads: one entry an engine, where it runs it.
pub struct Row {
    /// The model.
    pub model: String,
    /// Threads.
    pub threads: usize,
    /// Multiply-accumulates.
    pub macs: u64,
    /// The times of each engine.
    pub times: [Option<Times>; 3],
}

/// The most memory of a process that runs a model once loaded: ours, and how much more than before loading
/// it the other runtimes took.
pub struct Peak {
    /// The model.
    pub model: String,
    /// Ours.
    pub ours: Memory,
    /// Bytes, where the runtime runs it.
    pub others: [Option<usize>; 2],
}

struct Model {
    name: String,
    graph: Graph,
    tflite: Option<PathBuf>,
    onnx: Option<PathBuf>,
}

/// The model in the formats of the others, where they can express it.
fn model(name: &str, graph: Graph, folder: &Path, own: Option<&Path>) -> Model {
    let write = |ending: &str| -> Option<PathBuf> {
        if let Some(own) = own.filter(|p| p.extension().is_some_and(|e| e == ending)) {
            return Some(own.to_owned());
        }
        let path = folder.join(format!("{name}.{ending}"));
        match paring_format::write(&graph, &path, &WriteOptions::default()) {
            Ok(()) => Some(path),
            Err(e) => {
                eprintln!("{name}: no {ending} file: {}", e.to_string().replace('\n', " "));
                None
            }
        }
    };
    let (tflite, onnx) = (write("tflite"), write("onnx"));
    Model { name: name.to_owned(), tflite, onnx, graph }
}

/// Real models of the shared folder, in the order of the page.
const REAL: [&str; 9] = [
    "tflite/ic_resnet8_float.tflite",
    "tflite/ic_resnet8_int8.tflite",
    "tflite/vww_mnv1_float.tflite",
    "tflite/vww_mnv1_int8.tflite",
    "tflite/mcunet_320kb_int8.tflite",
    "onnx/mcunet_320kb_bn.onnx",
    "tflite/person_detect_int8.tflite",
    "tflite/mobilenet_v1_025_128_uint8.tflite",
    "tflite/kws_dscnn_int8.tflite",
];

/// After the recipe that a compilation begins with; the other runtimes fold batch normalization when they load.
fn folded(graph: Graph) -> Graph {
    const RECIPE: &str = include_str!("../../../recipes/folded.toml");
    let run = || -> Result<Graph> {
        let pipeline = Pipeline::parse(RECIPE)?;
        Ok(pipeline.run(&graph, &NoHost, &mut RunOptions::default())?.graph)
    };
    run().unwrap_or_else(|e| {
        eprintln!("{}: as it is: {e:#}", graph.name());
        graph.clone()
    })
}

fn models(folder: &Path, only: &str) -> Vec<Model> {
    use paring_opsuite::networks::{mobilenet_v1, mobilenet_v2};
    let mut all = Vec::new();
    type Make = fn(bool) -> Graph;
    let made: [(&str, Make, bool); 4] = [
        ("mobilenet_v1_f32", mobilenet_v1, false),
        ("mobilenet_v2_f32", mobilenet_v2, false),
        ("mobilenet_v1_int8", mobilenet_v1, true),
        ("mobilenet_v2_int8", mobilenet_v2, true),
    ];
    for (name, make, int8) in made.into_iter().filter(|m| m.0.contains(only)) {
        all.push(model(name, make(int8), folder, None));
    }
    for file in REAL {
        let path = paring_shared::folder().join("models").join(file);
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if !name.contains(only) {
            continue;
        }
        match paring_bundle::read_model(&path, &BTreeMap::new()) {
            Ok(graph) => all.push(model(&name, folded(graph), folder, Some(&path))),
            Err(e) => eprintln!("{name} is left out: {e}"),
        }
    }
    all
}

/// A layer whose operands stay in the cache and whose extents fit every tile: what it reaches is the rate
/// that the floors are stated with.
fn rate(int8: bool) -> Result<Model> {
    let (dtype, x, w, y) = match int8 {
        true => ("i8", " q(0.05, 0)", " q(0.01, 0)", " q(0.5, 0)"),
        false => ("f32", "", "", ""),
    };
    let source = format!(
        "graph @rate {{
            %x = input : {dtype}[224,256]{x}
            %w = const fill(seed=1) : {dtype}[256,256]{w}
            %y = dense(%x, %w) : {dtype}[224,256]{y}
            output %y
        }}"
    );
    let name = format!("dense_256_{}", if int8 { "int8" } else { "f32" });
    Ok(Model { name, graph: paring_ir::text::parse(&source)?, tflite: None, onnx: None })
}

fn peak(model: &Model, folder: &Path, program: &Path, peers: Option<&Peers>) -> Result<Peak> {
    let package = folder.join(format!("{}.prt", model.name));
    let ours = memory::measure(&model.graph, program, &package)?;
    let others = [(1, &model.tflite), (2, &model.onnx)].map(|(engine, path)| {
        let measured = peers?.memory(ENGINES[engine], path.as_deref()?);
        measured.inspect_err(|e| eprintln!("{}: {e:#}", model.name)).ok()
    });
    Ok(Peak { model: model.name.clone(), ours, others })
}

fn cpu() -> Duration {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(t.tv_sec as u64, t.tv_nsec as u32)
}

fn ours(session: &mut dyn Session, inputs: &[Tensor], times: usize) -> Result<Times> {
    let mut all = Times::default();
    for i in 0..times + 2 {
        let (wall, thread) = (Instant::now(), cpu());
        session.run(inputs)?;
        let (thread, wall) = (cpu().saturating_sub(thread), wall.elapsed());
        if i >= 2 {
            all.wall.push(wall.as_secs_f64() * 1e3);
            all.cpu.push(thread.as_secs_f64() * 1e3);
        }
    }
    Ok(all)
}

fn measure(model: &Model, threads: usize, args: &Args, peers: &mut Option<Peers>) -> Result<Row> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    let executor =
        paring_bundle::executor("x86", ExecOptions::default()).map_err(anyhow::Error::msg)?;
    let mut session =
        pool.install(|| executor.prepare(model.graph.verified()?).map_err(anyhow::Error::from))?;
    let inputs: Vec<Tensor> = model
        .graph
        .inputs()
        .iter()
        .map(|port| {
            let ty = model.graph.ty(port.value);
            let shape = ty.shape.fixed().context("an input has unbound dimensions")?;
            Ok(paring_ir::text::fill(1, ty.dtype, &shape)?)
        })
        .collect::<Result<_>>()?;
    let mut there = [true, false, false];
    if let Some(peers) = peers.as_mut() {
        for (i, path) in [(1, &model.tflite), (2, &model.onnx)] {
            let Some(path) = path else { continue };
            match peers.load(ENGINES[i], path, threads) {
                Ok(()) => there[i] = true,
                Err(e) => eprintln!("{}: {} does not run it: {e:#}", model.name, ENGINES[i]),
            }
        }
    }
    let mut run = |engine: usize, times: usize, peers: &mut Option<Peers>| -> Result<Times> {
        match (engine, peers.as_mut()) {
            (0, _) => pool.install(|| ours(&mut *session, &inputs, times)),
            (_, Some(peers)) => peers.run(ENGINES[engine], times),
            (_, None) => Ok(Times::default()),
        }
    };
    let mut times: [Option<Times>; 3] = Default::default();
    let mut counts = [1; 3];
    for engine in 0..3 {
        if there[engine] {
            match run(engine, 5, peers) {
                Ok(first) => {
                    let once = quantile(&first.wall, 0.0).max(1e-3);
                    counts[engine] = (args.turn as f64 / once).ceil().clamp(3.0, 400.0) as usize;
                    times[engine] = Some(Times::default());
                }
                Err(e) => eprintln!("{}: {} fails: {e:#}", model.name, ENGINES[engine]),
            }
        }
    }
    for round in 0..args.rounds {
        for turn in 0..3 {
            let engine = (round + turn) % 3;
            if let Some(all) = &mut times[engine] {
                all.extend(run(engine, counts[engine], peers)?);
            }
        }
    }
    let macs = model.graph.nodes().filter_map(|n| paring_ir::macs(&model.graph, n)).sum();
    Ok(Row { model: model.name.clone(), threads, macs, times })
}

fn main() -> Result<()> {
    let args = Args::parse();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/bench-x86");
    std::fs::create_dir_all(&folder)?;
    let mut peers = match Peers::start(&folder) {
        Ok(peers) => Some(peers),
        Err(e) => {
            eprintln!(
                "LiteRT and ONNX Runtime are not there, so the engine is measured alone: {e:#}"
            );
            None
        }
    };
    let (mut rows, mut peaks) = (Vec::new(), Vec::new());
    for int8 in [false, true] {
        rows.push(measure(&rate(int8)?, 1, &args, &mut None)?);
    }
    let program = memory::program()?;
    for model in models(&folder, &args.only) {
        match peak(&model, &folder, &program, peers.as_ref()) {
            Ok(peak) => peaks.push(peak),
            Err(e) => eprintln!("{}: its memory was not measured: {e:#}", model.name),
        }
        for &threads in &args.threads {
            match measure(&model, threads, &args, &mut peers) {
                Ok(row) => {
                    eprintln!("{}", report::line(&row));
                    rows.push(row);
                }
                Err(e) => eprintln!("{}: {e:#}", model.name),
            }
        }
    }
    let versions = peers.as_ref().map_or(&[][..], |p| &p.versions);
    let page = report::page(&rows, &peaks, versions, args.rounds);
    match &args.page {
        None => print!("{page}"),
        Some(path) => {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(path, page)?;
        }
    }
    Ok(())
}
