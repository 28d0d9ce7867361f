//! What networks execute on emulated processors: `cargo test -p paring-neon --test counts -- --nocapture` prints
//! instructions of one inference and fails where they are more than is promised. Skipped where the tools to cross-build
//! and run the runtime are not installed.

use paring_backend::{Backend, CompileOptions};
use paring_emulator::{Cpu, EmulatorError, missing_aarch64_packages, run_package};
use paring_ir::Graph;
use paring_neon::Neon;
use paring_opsuite::networks::{Kind, input, mobilenet_v1, mobilenet_v2};
use paring_reference as _;
use std::path::Path;

/// Instructions of one inference.
fn count(graph: &Graph, cpu: Cpu) -> Result<u64, EmulatorError> {
    let options = CompileOptions {
        target: "aarch64".to_owned(),
        prefix: "network".to_owned(),
        ..CompileOptions::default()
    };
    let package = Neon.compile(graph.verified().unwrap(), &options).unwrap();
    let (_, bytes) = package.files.iter().find(|(name, _)| name.ends_with(".prt")).unwrap();
    let x = input(graph.ty(graph.inputs()[0].value));
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Ok(run_package(&workspace, bytes, x.bytes(), cpu)?.instructions)
}

/// Counts each network, and fails where one takes more than so many thousand instructions.
fn check(networks: &[(&str, Graph, Cpu, u64)]) {
    let missing = missing_aarch64_packages();
    if !missing.is_empty() {
        eprintln!("skipped: install {}", missing.join(" "));
        return;
    }
    let mut over = Vec::new();
    for (name, graph, cpu, most) in networks {
        let n = count(graph, *cpu).unwrap();
        eprintln!("{name} on {cpu}: {n} instructions");
        if n > most * 1000 {
            over.push(format!(
                "{name} on {cpu} executes {n} instructions, more than {most} thousand"
            ));
        }
    }
    assert!(over.is_empty(), "{}", over.join("\n"));
}

const INT8: Kind = Kind { int8: true, least: false, sparsity: 0 };
const LEAST: Kind = Kind { least: true, ..INT8 };

fn sparse(sparsity: u32) -> Kind {
    Kind { sparsity, ..Kind::default() }
}

#[test]
fn float_networks() {
    check(&[
        ("MobileNet V1 f32", mobilenet_v1(false), Cpu::CortexA72, 168_000),
        ("MobileNet V2 f32", mobilenet_v2(false), Cpu::CortexA72, 98_000),
        ("MobileNet V1 f32, 80 % sparse", mobilenet_v1(sparse(80)), Cpu::CortexA72, 92_000),
        ("MobileNet V1 f32, 90 % sparse", mobilenet_v1(sparse(90)), Cpu::CortexA72, 58_000),
    ]);
}

#[test]
fn integer_networks() {
    check(&[
        ("MobileNet V1 int8", mobilenet_v1(INT8), Cpu::CortexA72, 140_000),
        ("MobileNet V2 int8", mobilenet_v2(INT8), Cpu::CortexA72, 92_000),
        ("MobileNet V1 int8", mobilenet_v1(INT8), Cpu::CortexA76, 54_000),
        ("MobileNet V2 int8", mobilenet_v2(INT8), Cpu::CortexA76, 40_000),
        ("MobileNet V1 int8 with -128", mobilenet_v1(LEAST), Cpu::CortexA72, 140_000),
        ("MobileNet V2 int8 with -128", mobilenet_v2(LEAST), Cpu::CortexA76, 40_000),
    ]);
}
