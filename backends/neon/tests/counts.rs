//! What networks execute on emulated processors: `cargo test -p paring-neon --test counts -- --nocapture` prints
//! instructions of one inference, and the time that it would take on boards by an estimate of cycles. It fails where
//! instructions are more than they were. Skipped where the tools to cross-build and run the runtime are not installed.

use paring_backend::{Backend, CompileOptions};
use paring_emulator::{Cpu, Job, Runtime, missing_aarch64_packages, missing_analyser};
use paring_ir::Graph;
use paring_neon::Neon;
use paring_opsuite::networks::{Kind, input, mobilenet_v1, mobilenet_v2};
use paring_reference as _;
use std::path::Path;

/// Boards: their processors' names in LLVM, and clocks in MHz.
const BOARDS: [(&str, &str, f64); 2] =
    [("Raspberry Pi 4", "cortex-a72", 1500.0), ("Jetson Nano", "cortex-a57", 1430.0)];

fn job(graph: &Graph) -> Job {
    let options = CompileOptions {
        target: "aarch64".to_owned(),
        prefix: "network".to_owned(),
        ..CompileOptions::default()
    };
    let package = Neon.compile(graph.verified().unwrap(), &options).unwrap();
    let (_, bytes) = package.files.iter().find(|(name, _)| name.ends_with(".prt")).unwrap();
    let x = input(graph.ty(graph.inputs()[0].value));
    Job { package: bytes.clone(), samples: x.bytes().to_vec() }
}

fn runtime() -> Option<Runtime> {
    let missing = missing_aarch64_packages();
    if !missing.is_empty() {
        eprintln!("skipped: install {}", missing.join(" "));
        return None;
    }
    Some(Runtime::build(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap())
}

/// Counts each network, and fails where one takes more than so many thousand instructions.
fn check(networks: &[(&str, Graph, Cpu, u64)]) {
    let Some(runtime) = runtime() else { return };
    let mut over = Vec::new();
    for (name, graph, cpu, most) in networks {
        let n = runtime.measure(&job(graph), *cpu).unwrap().instructions;
        eprintln!("{name} on {cpu}: {n} instructions");
        if n > most * 1000 {
            over.push(format!("{name} on {cpu}: {n} instructions, more than {most} thousand"));
        }
    }
    assert!(over.is_empty(), "{}", over.join("\n"));
}

const INT8: Kind = Kind { int8: true, least: false, sparsity: 0 };
const LEAST: Kind = Kind { least: true, ..INT8 };

fn sparse(int8: bool, sparsity: u32) -> Kind {
    Kind { sparsity, ..Kind::from(int8) }
}

#[test]
fn float_networks() {
    check(&[
        ("MobileNet V1 f32", mobilenet_v1(false), Cpu::CortexA72, 168_000),
        ("MobileNet V2 f32", mobilenet_v2(false), Cpu::CortexA72, 96_500),
        ("MobileNet V1 f32, 80 % sparse", mobilenet_v1(sparse(false, 80)), Cpu::CortexA72, 66_500),
        ("MobileNet V1 f32, 90 % sparse", mobilenet_v1(sparse(false, 90)), Cpu::CortexA72, 44_200),
    ]);
}

#[test]
fn integer_networks() {
    check(&[
        ("MobileNet V1 int8", mobilenet_v1(INT8), Cpu::CortexA72, 134_000),
        ("MobileNet V2 int8", mobilenet_v2(INT8), Cpu::CortexA72, 83_500),
        ("MobileNet V1 int8", mobilenet_v1(INT8), Cpu::CortexA76, 52_700),
        ("MobileNet V2 int8", mobilenet_v2(INT8), Cpu::CortexA76, 38_500),
        ("MobileNet V1 int8 with -128", mobilenet_v1(LEAST), Cpu::CortexA72, 134_000),
        ("MobileNet V2 int8 with -128", mobilenet_v2(LEAST), Cpu::CortexA76, 38_500),
        ("MobileNet V1 int8, 80 % sparse", mobilenet_v1(sparse(true, 80)), Cpu::CortexA72, 66_000),
        ("MobileNet V1 int8, 90 % sparse", mobilenet_v1(sparse(true, 90)), Cpu::CortexA72, 45_000),
    ]);
}

#[test]
fn times_on_boards() {
    if let Some(package) = missing_analyser() {
        eprintln!("skipped: install {package}");
        return;
    }
    let Some(runtime) = runtime() else { return };
    let models = BOARDS.map(|(_, model, _)| model);
    let networks = [
        ("MobileNet V2 f32", mobilenet_v2(false), [60.0, 118.0]),
        ("MobileNet V2 int8", mobilenet_v2(INT8), [40.0, 96.5]),
    ];
    for (name, graph, most) in networks {
        let estimates = runtime.estimate(&job(&graph), Cpu::CortexA72, &models).unwrap();
        for (((board, _, mhz), e), most) in BOARDS.iter().zip(&estimates).zip(most) {
            let ms = e.cycles / mhz / 1000.0;
            eprintln!(
                "{name} on one core of a {board}: {ms:.1} ms, {:.1} M cycles",
                e.cycles / 1e6
            );
            assert!(ms < most, "{name} on a {board}: {ms} ms");
        }
    }
}
