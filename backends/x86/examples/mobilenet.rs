//! Latency of MobileNet V1 and V2 at 224 with random weights, and of each step.
//!
//! `mobilenet [v1|v2] [f32|i8|i16] [runs] [threads]`; with `PROFILE=1` the time of each layer alone.

use paring_backend::{Backend, ExecOptions};
use paring_ir::{Graph, ValueId};
use paring_opsuite::networks::{Kind, input, mobilenet_v1, mobilenet_v2};
use paring_tensor::Tensor;
use paring_x86::X86;
use std::time::Instant;

fn times(graph: &Graph, runs: usize) -> Vec<f64> {
    let executor = X86.executor(ExecOptions::default()).unwrap();
    let mut session = executor.prepare(graph.verified().unwrap()).unwrap();
    let inputs: Vec<Tensor> = graph.inputs().iter().map(|p| input(graph.ty(p.value))).collect();
    let mut times = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        session.run(&inputs).unwrap();
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    times.sort_by(f64::total_cmp);
    times
}

/// Each layer alone in a network of its own.
fn profile(graph: &Graph, runs: usize) {
    for node in graph.nodes() {
        let mut one = Graph::new("one");
        let inputs: Vec<ValueId> = node
            .inputs()
            .iter()
            .map(|v| {
                let value = graph.value(*v);
                match value.constant() {
                    Some(c) => {
                        one.add_const(&*value.name, c.clone(), value.ty.quant.clone()).unwrap()
                    }
                    None => one.add_input(&*value.name, value.ty.clone()).unwrap(),
                }
            })
            .collect();
        let ty = graph.ty(node.outputs()[0]).clone();
        let y =
            one.add_typed_node("y", &node.op, &inputs, vec![("y".into(), ty.clone())]).unwrap()[0];
        one.add_output("y", y);
        let ms = times(&one, runs)[0];
        let macs = paring_ir::macs(graph, node).unwrap_or(0) as f64;
        let from = &graph.ty(node.inputs()[0]).shape;
        println!(
            "{:16} {from:>18} -> {:18} {ms:8.3} ms {:8.1} GMAC/s",
            node.name,
            ty.shape.to_string(),
            macs / ms / 1e6
        );
    }
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let arg = |i: usize, default: &str| args.get(i).cloned().unwrap_or_else(|| default.to_owned());
    let wide = arg(2, "f32") == "i16";
    let kind = Kind { int8: wide || arg(2, "f32") == "i8", wide, ..Kind::default() };
    let graph = if arg(1, "v1") == "v1" { mobilenet_v1(kind) } else { mobilenet_v2(kind) };
    let runs: usize = arg(3, "50").parse().unwrap();
    let pool =
        rayon::ThreadPoolBuilder::new().num_threads(arg(4, "1").parse().unwrap()).build().unwrap();
    pool.install(|| {
        let ms = times(&graph, runs);
        println!(
            "{} {}: least {:.3} ms, median {:.3} ms",
            arg(1, "v1"),
            arg(2, "f32"),
            ms[0],
            ms[ms.len() / 2]
        );
        if std::env::var("PROFILE").is_ok() {
            profile(&graph, runs.min(30));
        }
    });
}
