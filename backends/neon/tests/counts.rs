//! What networks execute on emulated processors: `cargo test -p paring-neon --test counts -- --nocapture` prints
//! instructions of one inference. It fails where they are more than they were, or where MobileNet V2 is estimated
//! to take too long on a board. Skipped where the tools to cross-build and run the runtime are not installed.

use paring_backend::{Backend, CompileOptions};
use paring_emulator::{Board, Cpu, Job, Runtime, missing_aarch64_packages};
use paring_ir::Graph;
use paring_neon::Neon;
use paring_opsuite::networks::{Kind, input, mobilenet_v1, mobilenet_v2, threes};
use paring_reference as _;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn job(graph: &Graph, arithmetic: &str) -> Job {
    let options = CompileOptions {
        target: "aarch64".to_owned(),
        prefix: "network".to_owned(),
        settings: [("arithmetic".to_owned(), arithmetic.to_owned())].into(),
    };
    let package = Neon.compile(graph.verified().unwrap(), &options).unwrap();
    let (_, bytes) = package.files.iter().find(|(name, _)| name.ends_with(".prt")).unwrap();
    let x = input(graph.ty(graph.inputs()[0].value));
    Job { package: bytes.clone(), samples: x.bytes().to_vec() }
}

const INT8: Kind = Kind { int8: true, least: false, sparsity: 0, short: false, wide: false };
const INT4: Kind = Kind { short: true, ..INT8 };
const HALF: Kind = Kind { int8: false, ..INT4 };
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
        ("MobileNet V1, int8", mobilenet_v1(INT8), a72, 132_900),
        ("MobileNet V2, int8", mobilenet_v2(INT8), a72, 82_000),
        ("MobileNet V1, int8", mobilenet_v1(INT8), a76, 51_400),
        ("MobileNet V2, int8", mobilenet_v2(INT8), a76, 36_800),
        ("MobileNet V2, four bits", mobilenet_v2(INT4), a72, 82_600),
        ("MobileNet V2, four bits", mobilenet_v2(INT4), a76, 37_500),
        ("MobileNet V2, half precision", mobilenet_v2(HALF), a72, 98_500),
        ("MobileNet V2, int16x8", mobilenet_v2(Kind { wide: true, ..INT8 }), a72, 154_500),
        // 275 M products, which take 75.6 M instructions where each is multiplied.
        ("Convolutions of 3x3 over 56x56, f32", threes([56, 56]), a72, 40_500),
        // With the matrix instruction.
        ("MobileNet V1, int8", mobilenet_v1(INT8), Cpu::Max, 51_400),
        ("MobileNet V2, int8", mobilenet_v2(INT8), Cpu::Max, 36_800),
        ("MobileNet V1, int8, weights of -128", mobilenet_v1(LEAST), a72, 132_900),
        ("MobileNet V2, int8, weights of -128", mobilenet_v2(LEAST), a76, 36_800),
        ("MobileNet V1, int8, 1x1 layers 80 % sparse", mobilenet_v1(sparse(true, 80)), a72, 64_900),
        ("MobileNet V1, int8, 1x1 layers 90 % sparse", mobilenet_v1(sparse(true, 90)), a72, 43_900),
    ]
}

/// The same with real numbers in half precision.
fn halves() -> Vec<Case> {
    let a76 = Cpu::CortexA76;
    vec![
        ("MobileNet V1, f16", mobilenet_v1(false), a76, 90_100),
        ("MobileNet V2, f16", mobilenet_v2(false), a76, 51_500),
    ]
}

/// The most milliseconds of MobileNet V2 on a Raspberry Pi 4.
const MOST_MS: [(&str, f64); 2] = [("MobileNet V2, f32", 60.0), ("MobileNet V2, int8", 40.0)];

/// Measures the cases, and says which execute more than they may.
fn check(cases: Vec<Case>, arithmetic: &str) {
    let missing = missing_aarch64_packages();
    if !missing.is_empty() {
        eprintln!("skipped: install {}", missing.join(" "));
        return;
    }
    let runtime = Runtime::build(&root()).unwrap();
    let mut over = Vec::new();
    let board = Board::ALL[0];
    for (name, graph, cpu, most) in cases {
        let job = job(&graph, arithmetic);
        let report = runtime.measure(&job, cpu).unwrap();
        let n = report.instructions;
        eprintln!("{name} on {cpu}: {:.2} M instructions", n as f64 / 1e6);
        if n > most * 1000 {
            over.push(format!("{name} on {cpu}: {n} instructions, more than {most} thousand"));
        }
        let bound = MOST_MS.iter().find(|(of, _)| cpu == Cpu::CortexA72 && *of == name);
        if let Some((_, most)) = bound {
            let cycles = report.steps.iter().map(|s| s.cycles).sum();
            let ms = board.milliseconds(cycles, job.package.len());
            if ms > *most {
                over.push(format!("{name} on a {}: {ms:.1} ms", board.name));
            }
        }
    }
    assert!(over.is_empty(), "{}", over.join("\n"));
}

#[test]
fn networks_execute_no_more_than_they_did() {
    check(cases(), "f32");
}

#[test]
fn networks_in_half_precision_execute_no_more_than_they_did() {
    check(halves(), "f16");
}
