//! Random small networks with random quantization and storage of the weights, on every Cortex-M target:
//! what the emitted C computes under the emulator equals the reference interpreter, byte for byte. The last batch of a
//! target has 16-bit activations.
//!
//! One program holds many networks side by side, so that a target costs a compilation and a run a batch; it
//! is built with the flags that packages name. `PARING_FUZZ_BATCHES` says how many batches a target gets,
//! `PARING_FUZZ_NETWORKS` how many networks are in one, `PARING_FUZZ_SEED` where the seeds begin.

use paring_backend::{Backend, CompileOptions, ExecOptions, backend_for, backend_named};
use paring_emulator::{Build, Core, Entry, missing_packages};
use paring_ir::{Graph, Node};
use paring_opsuite::random::{Grower, Random, add, input};
use paring_opsuite::sixteen;
use paring_tensor::Tensor;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Settings that batches take in turn.
const GOALS: [(&str, &str); 4] =
    [("optimize", "balanced"), ("optimize", "size"), ("ram", "min"), ("optimize", "speed")];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// Networks of nodes that the target takes, in one graph.
fn batch(backend: &dyn Backend, target: &str, first: u64, networks: u64) -> Graph {
    let accepts = |graph: &Graph, node: &Node| backend.support(graph, node, Some(target)).is_ok();
    let mut all = Graph::new("fuzz");
    for seed in first..first + networks {
        let network = Grower::small(seed, &accepts).grow(1 + (seed % 4) as usize);
        add(&mut all, &network, &format!("seed{seed}_"));
    }
    all
}

/// Networks of 16-bit activations, in one graph.
fn batch_of_sixteen(backend: &dyn Backend, target: &str, first: u64, networks: u64) -> Graph {
    let mut all = Graph::new("fuzz");
    let mut refused = 0;
    for seed in first..first + networks {
        let network = sixteen::small(seed);
        let takes = |node: &Node| backend.support(&network, node, Some(target)).is_ok();
        if network.nodes().all(takes) {
            add(&mut all, &network, &format!("sixteen{seed}_"));
        } else {
            refused += 1;
        }
    }
    assert!(10 * refused <= networks, "{target}: {refused} of {networks} networks refused");
    all
}

fn bytes(tensors: &[Tensor]) -> Vec<u8> {
    tensors.iter().flat_map(|t| t.bytes().to_vec()).collect()
}

/// What a batch had in it.
#[derive(Default)]
struct Seen {
    networks: u64,
    ops: BTreeMap<String, usize>,
    weights: BTreeMap<String, usize>,
    spent: [Duration; 4],
}

/// Builds and runs one batch on a target; every output byte has to be the reference's.
fn check(
    core: Core,
    make: impl Fn(&dyn Backend, &str, u64, u64) -> Graph,
    first: u64,
    networks: u64,
    goal: (&str, &str),
    seen: &mut Seen,
) {
    let target = core.target();
    let place = |what: &str| {
        format!("{target}, {goal:?}, seeds {first} to {}: {what}", first + networks - 1)
    };
    let start = Instant::now();
    let backend = backend_for(target).expect("a backend");
    let graph = make(backend, target, first, networks);
    let verified = graph.verified().unwrap_or_else(|e| panic!("{}", place(&e.to_string())));
    seen.spent[0] += start.elapsed();
    let start = Instant::now();
    let options = CompileOptions {
        target: target.to_owned(),
        prefix: "fuzz".into(),
        settings: [(goal.0.to_owned(), goal.1.to_owned())].into(),
    };
    let package =
        backend.compile(verified, &options).unwrap_or_else(|e| panic!("{}", place(&e.to_string())));
    seen.spent[1] += start.elapsed();
    let start = Instant::now();
    let mut random = Random(!first);
    let inputs: Vec<Tensor> =
        graph.inputs().iter().map(|port| input(&mut random, graph.ty(port.value))).collect();
    let reference = backend_named(paring_bundle::REFERENCE).expect("the reference");
    let executor = reference.executor(ExecOptions::default()).expect("it runs");
    let mut session = executor.prepare(graph.verified().expect("verified")).expect("prepared");
    let expected = session.run(&inputs).unwrap_or_else(|e| panic!("{}", place(&e.to_string())));
    seen.spent[2] += start.elapsed();
    let start = Instant::now();
    let harness = package.harness.clone().expect("C");
    let wanted = ["fuzz.c", "fuzz.h", "fuzz_weights.h"];
    let build = Build {
        files: package
            .files
            .iter()
            .filter(|(name, _)| wanted.contains(&name.as_str()))
            .map(|(name, text)| (name.clone(), String::from_utf8(text.clone()).expect("text")))
            .collect(),
        entry: Entry {
            includes: harness.includes,
            prepare: harness.prepare,
            invoke: harness.invoke,
            finish: harness.finish,
        },
        output_bytes: bytes(&expected).len(),
        flags: harness.flags,
        ..Build::new(core)
    };
    let report = paring_emulator::run(&build, &[bytes(&inputs)])
        .unwrap_or_else(|e| panic!("{}", place(&e.to_string())));
    seen.spent[3] += start.elapsed();
    let mut at = 0;
    let mut wrong = Vec::new();
    for (port, tensor) in graph.outputs().iter().zip(&expected) {
        let wanted = tensor.bytes();
        let got = &report.outputs[0][at..at + wanted.len()];
        if got != wanted.as_ref() {
            let node = graph.producer(port.value);
            wrong.push(format!("`{}`, made by {node:?}: {got:?} for {wanted:?}", port.name));
        }
        at += wanted.len();
    }
    assert!(
        wrong.is_empty(),
        "{}\nrerun one network with PARING_FUZZ_BATCHES=1 PARING_FUZZ_NETWORKS=1 PARING_FUZZ_SEED=(its seed)",
        place(&format!("{} outputs differ:\n{}", wrong.len(), wrong.join("\n")))
    );
    seen.networks += networks;
    for layer in &package.sizes.layers {
        *seen.ops.entry(layer.op.clone()).or_default() += 1;
        *seen.weights.entry(layer.weights.clone()).or_default() += 1;
    }
}

fn target(core: Core) {
    let missing = missing_packages();
    if !missing.is_empty() {
        println!("skipped: install {}", missing.join(" "));
        return;
    }
    let networks = number("PARING_FUZZ_NETWORKS", 80).max(1);
    let batches = number("PARING_FUZZ_BATCHES", 4);
    // Targets get networks of their own.
    let own = 1_000_000 * Core::ALL.iter().position(|c| *c == core).unwrap_or(0) as u64;
    let first = number("PARING_FUZZ_SEED", own + 1);
    let mut seen = Seen::default();
    for at in 0..batches {
        check(core, batch, first + at * networks, networks, GOALS[(at % 4) as usize], &mut seen);
    }
    let mut wide = Seen::default();
    check(core, batch_of_sixteen, first, networks.min(60), GOALS[0], &mut wide);
    println!(
        "{core}: {} networks; grown, compiled, interpreted, built and run in {:.1?}; {:?}; {:?}; of 16 bits {:?}",
        seen.networks, seen.spent, seen.ops, seen.weights, wide.ops
    );
    for op in ["conv2d", "dense", "pool", "binary", "reduce", "softmax", "quantize", "dequantize"] {
        assert!(wide.ops.contains_key(op) || networks < 60, "no {op} among {:?}", wide.ops);
    }
    if seen.networks < 300 {
        return;
    }
    for op in ["conv2d", "dense", "pool", "binary", "unary", "softmax", "reduce", "slice", "concat"]
    {
        let there = seen.ops.keys().any(|name| name.starts_with(op));
        assert!(there, "no {op} among {:?}", seen.ops);
    }
    let blocks = (core != Core::M55).then_some("sparse blocks");
    for coding in ["palette of 16", "palette of 4"].into_iter().chain(blocks) {
        let there = seen.weights.keys().any(|name| name.starts_with(coding));
        assert!(there, "no {coding} among {:?}", seen.weights);
    }
    // Which numbers of bits are drawn and worth their code is chance; all of them come over the targets.
    let palettes = seen.weights.keys().filter(|name| name.starts_with("palette")).count();
    assert!(palettes >= 4, "few palettes among {:?}", seen.weights);
}

#[test]
fn cortex_m0() {
    target(Core::M0);
}

#[test]
fn cortex_m0plus() {
    target(Core::M0Plus);
}

#[test]
fn cortex_m3() {
    target(Core::M3);
}

#[test]
fn cortex_m4() {
    target(Core::M4);
}

#[test]
fn cortex_m7() {
    target(Core::M7);
}

#[test]
fn cortex_m33() {
    target(Core::M33);
}

#[test]
fn cortex_m55() {
    target(Core::M55);
}
