//! What packages take on emulated aarch64, and about how long on boards: writes `docs/aarch64.md`, or what its
//! argument names.

use anyhow::{Context, Result};
use clap::Parser;
use paring_backend::{CompileOptions, LayerSize, backend_for};
use paring_bundle as _;
use paring_emulator::{Board, Cpu, Job, PackageReport, Runtime};
use paring_ir::Graph;
use paring_opsuite::networks::{Kind, input, mobilenet_v1, mobilenet_v2, threes};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Activations of 16 bits with weights of eight.
const WIDE: Kind = Kind { int8: true, wide: true, least: false, sparsity: 0, short: false };

/// Counts what packages take on emulated aarch64.
#[derive(Parser)]
struct Options {
    /// The page to write; `docs/aarch64.md` if left out.
    page: Option<PathBuf>,
}

/// A network and what it takes.
struct Row {
    name: &'static str,
    layers: Vec<LayerSize>,
    package_bytes: usize,
    arena: usize,
    load_ms: f64,
    /// On a Cortex-A72, where it runs there, and on an A76.
    reports: [Option<PackageReport>; 2],
}

impl Row {
    /// Cycles on a Cortex-A72.
    fn cycles(&self) -> Option<f64> {
        Some(self.reports[0].as_ref()?.steps.iter().map(|s| s.cycles).sum())
    }
}

/// The median of many openings of a package whose file is in the page cache.
fn load(package: &[u8]) -> Result<f64> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), package)?;
    let mut times = Vec::new();
    for _ in 0..51 {
        let start = Instant::now();
        let model = paring_rt::open(file.path())?;
        times.push(start.elapsed().as_secs_f64() * 1e3);
        drop(model);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[times.len() / 2])
}

fn row(name: &'static str, graph: &Graph, runtime: &Runtime) -> Result<Row> {
    row_by("f32", name, graph, runtime)
}

/// As [`row`] with the arithmetic of real numbers.
fn row_by(arithmetic: &str, name: &'static str, graph: &Graph, runtime: &Runtime) -> Result<Row> {
    eprintln!("{name}");
    let backend = backend_for("aarch64").map_err(anyhow::Error::msg)?;
    let settings = [("arithmetic".to_owned(), arithmetic.to_owned())].into();
    let target = "aarch64".to_owned();
    let options = CompileOptions { target, settings, ..CompileOptions::default() };
    let package = backend.compile(graph.verified()?, &options)?;
    let (_, bytes) = package
        .files
        .into_iter()
        .find(|(name, _)| name.ends_with(".prt"))
        .context("no file for the runtime")?;
    let samples = input(graph.ty(graph.inputs()[0].value)).bytes().to_vec();
    let (package_bytes, load_ms) = (bytes.len(), load(&bytes)?);
    let job = Job { package: bytes, samples };
    let half = arithmetic == "f16";
    let a72 = (!half).then(|| runtime.measure(&job, Cpu::CortexA72)).transpose()?;
    let reports = [a72, Some(runtime.measure(&job, Cpu::CortexA76)?)];
    let (layers, arena) = (package.sizes.layers, package.sizes.ram_bytes);
    Ok(Row { name, layers, package_bytes, arena, load_ms, reports })
}

fn page(rows: &[Row]) -> Result<String> {
    let mut page = String::from(
        "# Packages for aarch64\n\nWritten by `cargo xtask bench-aarch64`; do not edit. MobileNets at 224x224, all with \
         random weights, one thread.\n\n## Instructions and sizes\n\nInstructions of one inference under QEMU, \
         start-up and warm-up cancelled, in millions.\n\n| network | Cortex-A72 | Cortex-A76 | package, bytes | \
         arena, bytes | loading, ms |\n|---|---|---|---|---|---|\n",
    );
    for row in rows {
        let [a72, a76] = row.reports.each_ref().map(|r| {
            let millions = |r: &PackageReport| format!("{:.1}", r.instructions as f64 / 1e6);
            r.as_ref().map_or_else(|| "-".to_owned(), millions)
        });
        writeln!(
            page,
            "| {} | {a72} | {a76} | {} | {} | {:.3} |",
            row.name, row.package_bytes, row.arena, row.load_ms
        )?;
    }
    let first = rows.first().and_then(|r| r.reports[0].as_ref());
    let library = first.map_or(0, |r| r.library_bytes);
    page.push_str(
        "\n`--set arithmetic=f16` of `paring compile` computes all in half precision, on processors that can: not on a \
         Cortex-A72. Weights of half precision alone (the recipe `float16`) run on all.\n",
    );
    write!(
        page,
        "\nThe shared library, stripped, has {library} bytes. Loading maps the package; it was timed on the machine \
         that wrote this page, with the file in the page cache (median of 51).\n\n## Times on boards\n\nEstimates, \
         not measurements, of one inference on one core:\n\n| network | cycles, millions |"
    )?;
    for board in Board::ALL {
        write!(page, " {}, ms |", board.name)?;
    }
    page.push_str("\n|---|---|---|---|\n");
    for row in rows {
        let Some(cycles) = row.cycles() else { continue };
        write!(page, "| {} | {:.1} |", row.name, cycles / 1e6)?;
        for board in Board::ALL {
            write!(page, " {:.1} |", board.milliseconds(cycles, row.package_bytes))?;
        }
        page.push('\n');
    }
    page.push_str(
        "\nThe emulator counts how often each block of instructions runs in each layer. A block takes as many cycles \
         as the busiest unit of a Cortex-A57 or A72 needs for it: three micro-operations issued a cycle, two integer \
         units, one for products of integers, one for loads, one for stores, two for vectors of which one multiplies \
         integers. Which units an instruction takes is LLVM's model of these cores (`AArch64SchedA57.td`). What waits \
         for operands is taken to overlap, and activations to be in the cache, so the cycles are a lower bound; the \
         package is then read once from memory at a third of the speed of the board's memory, which is taken not to \
         overlap.\n",
    );
    for board in Board::ALL {
        writeln!(
            page,
            "- {}: {:.2} GHz, {:.1} GB/s for one core",
            board.name,
            board.clock_hz / 1e9,
            board.bytes_per_second / 1e9
        )?;
    }
    page.push_str("\n`paring verify MODEL --target aarch64` gives the same for any model.\n");
    for row in rows.iter().filter(|r| ["MobileNet V2 f32", "MobileNet V2 int8"].contains(&r.name)) {
        write!(
            page,
            "\n## {} by layer, Cortex-A72\n\n| step | op | MACs | instructions | cycles | MACs a cycle |\n\
             |---|---|---|---|---|---|\n",
            row.name
        )?;
        let steps = row.reports[0].as_ref().map_or(&[][..], |r| &r.steps);
        for (i, (layer, step)) in row.layers.iter().zip(steps).enumerate() {
            let rate = layer.macs as f64 / step.cycles.max(1.0);
            writeln!(
                page,
                "| {} | {} | {} | {} | {:.0} | {rate:.2} |",
                i + 1,
                layer.op,
                layer.macs,
                step.instructions,
                step.cycles
            )?;
        }
    }
    Ok(page)
}

fn main() -> Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let path = Options::parse().page.unwrap_or_else(|| root.join("docs/aarch64.md"));
    let runtime = Runtime::build(&root)?;
    let sparse = |int8, sparsity| mobilenet_v1(Kind { sparsity, ..Kind::from(int8) });
    let short = |int8| mobilenet_v2(Kind { short: true, ..Kind::from(int8) });
    let rows = [
        row("MobileNet V1 f32", &mobilenet_v1(false), &runtime)?,
        row("MobileNet V2 f32", &mobilenet_v2(false), &runtime)?,
        row("MobileNet V1 f32, 1x1 layers 80 % sparse", &sparse(false, 80), &runtime)?,
        row("MobileNet V1 f32, 1x1 layers 90 % sparse", &sparse(false, 90), &runtime)?,
        row("MobileNet V1 int8", &mobilenet_v1(true), &runtime)?,
        row("MobileNet V2 int8", &mobilenet_v2(true), &runtime)?,
        row("MobileNet V2, weights of half precision", &short(false), &runtime)?,
        row_by("f16", "MobileNet V1, all in half precision", &mobilenet_v1(false), &runtime)?,
        row_by("f16", "MobileNet V2, all in half precision", &mobilenet_v2(false), &runtime)?,
        row("MobileNet V2, weights of four bits", &short(true), &runtime)?,
        row("Two convolutions of 3x3 over 56x56, f32", &threes([56, 56]), &runtime)?,
        row("MobileNet V2 int16x8", &mobilenet_v2(WIDE), &runtime)?,
        row("MobileNet V1 int8, 1x1 layers 80 % sparse", &sparse(true, 80), &runtime)?,
        row("MobileNet V1 int8, 1x1 layers 90 % sparse", &sparse(true, 90), &runtime)?,
    ];
    std::fs::write(&path, page(&rows)?).with_context(|| path.display().to_string())
}
