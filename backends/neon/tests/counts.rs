//! What networks execute on emulated processors: `cargo test -p paring-neon --test counts -- --nocapture` prints
//! instructions of one inference, and the time that it would take on boards by an estimate of cycles. It fails where
//! instructions are more than they were. `BLESS=1` writes `docs/neon.md`. Skipped where the tools to cross-build and run
//! the runtime are not installed.

use paring_backend::{Backend, CompileOptions};
use paring_emulator::{Cpu, Job, Runtime, missing_aarch64_packages, missing_analyser};
use paring_ir::Graph;
use paring_neon::Neon;
use paring_opsuite::networks::{Kind, input, mobilenet_v1, mobilenet_v2};
use paring_reference as _;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Boards: their processors' names in LLVM, and clocks in MHz.
const BOARDS: [(&str, &str, f64); 2] =
    [("Raspberry Pi 4", "cortex-a72", 1500.0), ("Jetson Nano", "cortex-a57", 1430.0)];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

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

const INT8: Kind = Kind { int8: true, least: false, sparsity: 0 };
const LEAST: Kind = Kind { least: true, ..INT8 };

fn sparse(int8: bool, sparsity: u32) -> Kind {
    Kind { sparsity, ..Kind::from(int8) }
}

/// A network, the processor it is counted on, and the most that it may execute, in thousands.
type Case = (&'static str, Graph, Cpu, u64);

fn cases() -> Vec<Case> {
    let (a72, a76) = (Cpu::CortexA72, Cpu::CortexA76);
    vec![
        ("MobileNet V1, f32", mobilenet_v1(false), a72, 168_000),
        ("MobileNet V2, f32", mobilenet_v2(false), a72, 96_500),
        ("MobileNet V1, f32, 1x1 layers 80 % sparse", mobilenet_v1(sparse(false, 80)), a72, 66_500),
        ("MobileNet V1, f32, 1x1 layers 90 % sparse", mobilenet_v1(sparse(false, 90)), a72, 44_200),
        ("MobileNet V1, int8", mobilenet_v1(INT8), a72, 134_000),
        ("MobileNet V2, int8", mobilenet_v2(INT8), a72, 83_500),
        ("MobileNet V1, int8", mobilenet_v1(INT8), a76, 52_700),
        ("MobileNet V2, int8", mobilenet_v2(INT8), a76, 38_500),
        ("MobileNet V1, int8, weights of -128", mobilenet_v1(LEAST), a72, 134_000),
        ("MobileNet V2, int8, weights of -128", mobilenet_v2(LEAST), a76, 38_500),
        ("MobileNet V1, int8, 1x1 layers 80 % sparse", mobilenet_v1(sparse(true, 80)), a72, 66_000),
        ("MobileNet V1, int8, 1x1 layers 90 % sparse", mobilenet_v1(sparse(true, 90)), a72, 45_000),
    ]
}

/// The most milliseconds of MobileNet V2 on the first board.
const MOST_MS: [(&str, f64); 2] = [("MobileNet V2, f32", 60.0), ("MobileNet V2, int8", 40.0)];

const INTRODUCTION: &str = "\
# Networks on 64-bit Arm

One inference of one sample at 224x224 with random weights, on one thread: executed instructions, counted under user-mode
QEMU with the instructions of the processor, and estimated milliseconds. An estimate adds up, over all blocks of
instructions that are executed, the cycles that LLVM's model of the processor says a block takes when it follows itself;
it holds for data in the first-level cache. The A76 is counted with the dot product of bytes. Measured again by
`BLESS=1 cargo test -p paring-neon --test counts`.

| network | instructions of | millions | Raspberry Pi 4, 1.5 GHz | Jetson Nano, 1.43 GHz |
|---|---|---|---|---|
";

#[test]
fn networks_execute_no_more_than_they_did() {
    let missing = missing_aarch64_packages();
    if !missing.is_empty() {
        eprintln!("skipped: install {}", missing.join(" "));
        return;
    }
    let runtime = Runtime::build(&root()).unwrap();
    if let Some(package) = missing_analyser() {
        eprintln!("no estimates of times: install {package}");
    }
    let mut over = Vec::new();
    let mut text = INTRODUCTION.to_owned();
    for (name, graph, cpu, most) in cases() {
        let job = job(&graph);
        let n = runtime.measure(&job, cpu).unwrap().instructions;
        if n > most * 1000 {
            over.push(format!("{name} on {cpu}: {n} instructions, more than {most} thousand"));
        }
        let mut times = vec![String::new(); BOARDS.len()];
        if missing_analyser().is_none() && cpu == Cpu::CortexA72 {
            let models = BOARDS.map(|(_, model, _)| model);
            let estimates = runtime.estimate(&job, cpu, &models).unwrap();
            for (i, ((board, _, mhz), e)) in BOARDS.iter().zip(&estimates).enumerate() {
                let ms = e.cycles / mhz / 1000.0;
                times[i] = format!("{ms:.1} ms");
                let most = MOST_MS.iter().find(|(of, _)| i == 0 && *of == name);
                if most.is_some_and(|(_, most)| ms > *most) {
                    over.push(format!("{name} on a {board}: {ms:.1} ms"));
                }
            }
        }
        let row = format!("| {name} | {cpu} | {:.2} | {} |", n as f64 / 1e6, times.join(" | "));
        eprintln!("{row}");
        let _ = writeln!(text, "{row}");
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(root().join("docs/neon.md"), text).unwrap();
    }
    assert!(over.is_empty(), "{}", over.join("\n"));
}
