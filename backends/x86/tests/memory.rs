//! The most memory that a process has while it runs MobileNetV2 of int8 from a mapped package: at most the
//! weights, 1.3 times the largest sum of activations that are needed at once, and 2 MB for all else.
//!
//! The measured process is this program, started anew; the operating system counts its pages.

use paring_backend::ExecOptions;
use paring_engine::runtime::Model;
use paring_ir::Graph;
use paring_kernels::Kernels;
use paring_opsuite::networks::mobilenet_v2;
use paring_reference as _;
use paring_x86::{Level, X86, X86Kernels};
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

const MEASURE: &str = "measure-package";

/// Bytes of the constants, and the most bytes of values that are there at once when nodes run in order.
fn bounds(graph: &Graph) -> (usize, usize) {
    let verified = graph.verified().unwrap();
    let bytes = |v| graph.ty(v).byte_len().unwrap();
    let mut last = HashMap::new();
    let (mut weights, order) = (0, verified.order());
    for (i, id) in order.iter().enumerate() {
        for v in graph.node(*id).inputs() {
            match graph.constant(*v) {
                Some(_) => weights += bytes(*v),
                None => drop(last.insert(*v, i)),
            }
        }
    }
    for port in graph.outputs() {
        last.insert(port.value, order.len());
    }
    let mut live: Vec<_> = graph.inputs().iter().map(|p| p.value).collect();
    let mut most = 0;
    for (i, id) in order.iter().enumerate() {
        live.extend(graph.node(*id).outputs());
        most = most.max(live.iter().map(|v| bytes(*v)).sum());
        live.retain(|v| last.get(v).is_some_and(|last| *last > i));
    }
    (weights, most)
}

/// Runs a package and prints the kilobytes of the process.
fn measure(path: &str) -> Result<(), Box<dyn std::error::Error>> {
    let file = std::fs::File::open(path)?;
    // SAFETY: nobody changes the file meanwhile.
    let map = unsafe { memmap2::Mmap::map(&file)? };
    let model = Model::load(map, Box::new(X86Kernels::new(Level::detect())))?;
    let mut runner = model.runner();
    let input = vec![3_u8; model.inputs()[0].len];
    let mut output = vec![0_u8; model.outputs()[0].len];
    for _ in 0..3 {
        runner.run(&[&input], &mut [&mut output])?;
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    println!("{}", peak.trim_end_matches("kB").trim());
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    if let [_, role, path] = &args[..]
        && role == MEASURE
    {
        return measure(path);
    }
    if !Path::new("/proc/self/status").exists() {
        eprintln!("skipped: this system does not say how much memory a process has");
        return Ok(());
    }
    let graph = mobilenet_v2(true);
    let (weights, activations) = bounds(&graph);
    let kernels = X86Kernels::new(Level::detect());
    let engine = X86.executor_at(Level::detect(), ExecOptions::default());
    let program = engine.program(graph.verified()?)?;
    let package = program.to_package(kernels.family());
    let dir = tempfile::tempdir()?;
    let path = dir.path().join("model.prt");
    std::fs::write(&path, &package)?;
    let output = Command::new(std::env::current_exe()?).arg(MEASURE).arg(&path).output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let peak = 1024 * String::from_utf8(output.stdout)?.trim().parse::<usize>()?;
    let bound = weights + activations * 13 / 10 + 2_000_000;
    println!(
        "weights {weights}, package {}, activations {activations}, arena {}: peak {peak} of {bound} bytes",
        package.len(),
        program.arena
    );
    assert!(peak <= bound, "{peak} bytes are more than {bound}");
    Ok(())
}
