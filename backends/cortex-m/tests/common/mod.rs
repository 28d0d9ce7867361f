//! Models, compilation and emulation for the tests of this folder.

// Each test program that includes this uses a part of it.
#![allow(dead_code)]

use std::path::{Path, PathBuf};

use paring_backend::{Backend, CompileOptions, Package};
use paring_cortex_m::CORTEX_M;
use paring_emulator::{Build, Core, Entry, Report, missing_packages};
use paring_format::{ReadOptions, Source};
use paring_ir::Graph;
use paring_tensor::{ConstData, Quant};

/// The shared data, or `None` (and a line) where data or tools are missing.
pub fn data() -> Option<PathBuf> {
    let data = paring_shared::data()?;
    tools().then_some(data)
}

/// Whether programs can be built and run.
pub fn tools() -> bool {
    let missing = missing_packages();
    if !missing.is_empty() {
        println!("skipped: install {}", missing.join(" "));
    }
    missing.is_empty()
}

pub fn read(path: &Path) -> Graph {
    let source = Source::open(path).unwrap_or_else(|e| panic!("{e}"));
    paring_format_tflite::read(&source, &ReadOptions::default()).unwrap_or_else(|e| panic!("{e}"))
}

/// The graph with the weights of its dense layers and ordinary convolutions replaced, and their scale
/// multiplied.
pub fn recoded(graph: &Graph, factor: f32, make: impl Fn(&[i8], &[usize]) -> ConstData) -> Graph {
    let mut graph = graph.clone();
    let weights: Vec<_> = graph
        .nodes()
        .filter(|n| matches!(n.op.name(), "conv2d" | "dense"))
        .filter_map(|n| n.inputs().get(1).copied())
        .filter(|&w| {
            let shape = graph.ty(w).shape.fixed().unwrap_or_default();
            // Depthwise filters stay.
            shape.len() != 4 || shape[3] > 1
        })
        .collect();
    for w in weights {
        let Some(constant) = graph.constant(w) else { continue };
        let dense = constant.dense();
        let values = dense.view::<i8>().expect("int8 weights").to_vec();
        let made = make(&values, dense.shape());
        let mut quant = graph.ty(w).quant.clone();
        if let Some((scale, zero)) = quant.as_ref().and_then(Quant::as_per_tensor) {
            quant = Some(Quant::per_tensor(factor * scale, zero));
        }
        let mut patch = paring_ir::Patch::new(&graph, "recode");
        patch.set_constant(w, made, quant);
        graph.apply(patch).unwrap_or_else(|e| panic!("{e}"));
    }
    graph
}

pub fn compile(graph: &Graph, core: Core, settings: &[(&str, &str)]) -> Package {
    let settings = settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let target = format!("cortex-{core}");
    let options = CompileOptions { target, prefix: String::new(), settings };
    let verified = graph.verified().unwrap_or_else(|e| panic!("{e}"));
    CORTEX_M.compile(verified, &options).unwrap_or_else(|e| panic!("{e}"))
}

/// Bytes of a graph's inputs or outputs.
fn bytes(graph: &Graph, ports: &[paring_ir::Port]) -> usize {
    ports.iter().map(|p| graph.ty(p.value).byte_len().unwrap_or(0)).sum()
}

/// Compiles a graph and runs it on two inputs.
pub fn measure(graph: &Graph, core: Core, settings: &[(&str, &str)]) -> Report {
    let package = compile(graph, core, settings);
    let mut state = 1_u64;
    let mut sample = || -> Vec<u8> {
        (0..bytes(graph, graph.inputs()))
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (state >> 56) as u8
            })
            .collect()
    };
    let samples = [sample(), sample()];
    run(&package, core, bytes(graph, graph.outputs()), &samples)
}

/// Builds a package and runs it on samples.
pub fn run(package: &Package, core: Core, output_bytes: usize, samples: &[Vec<u8>]) -> Report {
    run_with(package, core, output_bytes, samples, &["-Wall", "-Wextra", "-Werror"])
}

/// Counts each layer of a package for one input.
pub fn run_profiled(package: &Package, core: Core, graph: &Graph) -> Report {
    let input = (0..bytes(graph, graph.inputs())).map(|i| (i * 37) as u8).collect();
    let output_bytes = bytes(graph, graph.outputs());
    run_with(package, core, output_bytes, &[input], &["-DMODEL_ON_LAYER=emu_mark"])
}

fn run_with(
    package: &Package,
    core: Core,
    output_bytes: usize,
    samples: &[Vec<u8>],
    more_flags: &[&str],
) -> Report {
    let harness = package.harness.clone().expect("C");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let is_c = |name: &str| name.ends_with(".h") || name.ends_with("model.c");
    let mut flags = harness.flags;
    flags.extend(more_flags.iter().map(|f| (*f).to_owned()));
    let build = Build {
        files: package
            .files
            .iter()
            .filter(|(name, _)| is_c(name))
            .map(|(name, bytes)| (name.clone(), text(bytes)))
            .collect(),
        entry: Entry {
            includes: harness.includes,
            prepare: harness.prepare,
            invoke: harness.invoke,
            finish: harness.finish,
        },
        output_bytes,
        flags,
        ..Build::new(core)
    };
    paring_emulator::run(&build, samples).unwrap_or_else(|e| panic!("{core}: {e}"))
}
