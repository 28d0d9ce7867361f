//! `cargo xtask bench-mcu`: measures the MLPerf Tiny networks under the emulator and writes
//! `docs/benchmarks-cortex-m.md`.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

const MODELS: [(&str, &str, &str); 4] = [
    ("IC", "ResNet-8", "ic_resnet8_int8"),
    ("KWS", "DS-CNN", "kws_dscnn_int8"),
    ("VWW", "MobileNetV1 0.25", "vww_mnv1_int8"),
    ("AD", "autoencoder", "ad_autoencoder_int8"),
];
const CORES: [&str; 4] = ["m3", "m4", "m7", "m55"];

/// Instructions of TFLite Micro with CMSIS-NN, by model and core, millions.
const TFLM: [[f64; 4]; 4] = [
    [41.76, 29.87, 29.94, 4.81],
    [10.55, 7.85, 7.76, 1.79],
    [32.08, 24.72, 24.48, 6.43],
    [0.956, 0.582, 0.583, 0.285],
];
/// Its estimated M4 cycles in millions, arena, and code bytes.
const TFLM_M4: [(f64, u64, &str); 4] = [
    (36.2, 54_996, "43.1 K"),
    (9.2, 22_820, "46.0 K"),
    (29.5, 100_708, "46.0 K"),
    (0.734, 2_580, "22.7 K"),
];
/// The best published cycles on real M4, M7 and M85 parts, millions.
const PUBLISHED: [[f64; 3]; 4] =
    [[19.8, 11.4, 4.07], [5.18, 3.17, 1.66], [10.67, 6.67, 6.43], [0.486, 0.303, 0.255]];

const HEAD: &str = "# Cortex-M benchmarks

Written by `cargo xtask bench-mcu`; nothing here is typed by hand except what other engines are said to take.

Every run's output was compared with the reference interpreter, bit for bit, before its figures were taken.
";

const METHOD: &str = "
## Method

- The networks are the int8 files of MLPerf Tiny. `paring verify MODEL --target cortex-mX` with default settings: the
  recipe `exact` first, which changes no output bit (VWW loses its dead channels there), then C, built with GCC 12.2
  and the flags that packages name, run under QEMU on the boards mps2-an385 (M3), mps2-an386 (M4), mps2-an500 (M7) and
  mps3-an547 (M55).
- **Instructions** are counted exactly between the call and the return of one inference.
- **Cycles** are estimated from the executed instructions for memory without wait states. M3 and M4: the timing tables
  of the reference manuals, 2 further cycles for a taken branch. M7: the M4's cycles times 0.62, the ratio of published
  figures of both cores. M55: blocks take the longest of their instructions, twice their vector loads and stores, and
  twice their other vector instructions.
- **Estimate** is what `paring compile` says of the instructions without running: loops counted per layer, times a table
  that `cargo run --release -p paring-cortex-m-kernels --example fit_cost` makes by counting.
- **RAM** is the arena that holds all activations and scratch memory; the stack comes on top and is given. **Flash** is what
  is linked: code, constants and what it needs of the C library.
- **Energy** is cycles times what a common part's data sheet states for run mode at 3 V: STM32L1 (M3) 585 pJ a cycle, STM32L4
  (M4) 300, STM32H743 (M7) 825, Alif Ensemble's efficient core (M55) 66.

## Limits

- An emulator executes; it does not time. Wait states of flash, caches and buses are left out: published results on a
  120 MHz part with wait states came out 1.2 to 1.4 times such an M4 estimate. On the M7 and M55 cycles are a rough proxy.
- Instructions vary by under 0.3 % with the input.
- Published figures are from other parts, compilers and memory; they are cycles on real silicon, to be held against
  cycles, not instructions.
- Energy is a coefficient times cycles: it tells networks on one part apart, not parts.

## Where the peers' figures come from

- TFLite Micro 90b983c with CMSIS-NN 4ab83cc, GCC 12.2 -O3, counted in the same way on the same emulated boards. Its
  code is what its interpreter and kernels link to at -Os, without the network file of 54 to 333 KB.
- Best published: results submitted to MLPerf Tiny, milliseconds times clock. M4 (STM32L4R5 at 120 MHz) and M7: X-CUBE-AI 9
  for IC, KWS and VWW, Plumerai for AD. M85 stands beside our M55, as there are none for that core; it is a
  wider machine.
";

fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(c);
    }
    out
}

fn millions(n: u64) -> String {
    format!("{:.3}", n as f64 / 1e6)
}

/// Runs the program and reads the object it prints.
fn json(program: &Path, args: &[&str]) -> Result<Value> {
    let output = Command::new(program)
        .args(args)
        .args(["--json", "--quiet"])
        .output()
        .with_context(|| format!("starting {}", program.display()))?;
    if !output.status.success() {
        bail!("paring {}\n{}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn number(value: &Value, key: &str) -> Result<u64> {
    value[key].as_u64().with_context(|| format!("`{key}` is missing in {value}"))
}

/// What was found for a network on a core.
struct Row {
    instructions: u64,
    cycles: u64,
    estimate: Option<u64>,
    microjoules: Option<f64>,
    ram: u64,
    stack: u64,
    flash: u64,
    code: u64,
}

fn measure(program: &Path, file: &str, core: &str, scratch: &Path) -> Result<Row> {
    let target = format!("cortex-{core}");
    let v = json(program, &["verify", file, "--target", &target, "--limit", "2"])?;
    let out = scratch.join(core).to_string_lossy().into_owned();
    let c = json(program, &["compile", file, "--target", &target, "-o", &out])?;
    if v["equal"].as_bool() != Some(true) {
        bail!("{file} on {target}: outputs differ from the reference");
    }
    Ok(Row {
        instructions: number(&v, "instructions")?,
        cycles: number(&v, "cycles")?,
        estimate: c["instructions"].as_u64(),
        microjoules: c["microjoules"].as_f64(),
        ram: number(&v, "ram_bytes")?,
        stack: number(&v, "stack_bytes")?,
        flash: number(&v, "flash_bytes")?,
        code: number(&v, "code_bytes")?,
    })
}

fn page(rows: &[Vec<Row>]) -> String {
    let mut text = String::from(HEAD);
    for ((core, title), at) in
        CORES.iter().zip(["Cortex-M3", "Cortex-M4", "Cortex-M7", "Cortex-M55"]).zip(0..)
    {
        let _ = write!(
            text,
            "\n## {title}\n\n| | instructions, M | TFLite Micro, M | cycles, M (estimated) | best published, M cycles | estimate of instructions | \
             energy, uJ | RAM | stack | flash | of it code |\n|---|---|---|---|---|---|---|---|---|---|---|\n"
        );
        for (index, (short, name, _)) in MODELS.iter().enumerate() {
            let Some(row) = rows.get(index).and_then(|r| r.get(at)) else { continue };
            let published = match *core {
                "m4" => format!("{}", PUBLISHED[index][0]),
                "m7" => format!("{}", PUBLISHED[index][1]),
                "m55" => format!("{} (M85)", PUBLISHED[index][2]),
                _ => "none".into(),
            };
            let estimate = row.estimate.map_or("none".into(), |e| {
                format!("{:+.2} %", 100.0 * (e as f64 / row.instructions as f64 - 1.0))
            });
            let _ = writeln!(
                text,
                "| {short} {name} | {} | {} | {} | {published} | {estimate} | {} | {} | {} | {} | {} |",
                millions(row.instructions),
                TFLM[index][at],
                millions(row.cycles),
                row.microjoules.map_or("none".into(), |e| format!("{e:.0}")),
                grouped(row.ram),
                grouped(row.stack),
                grouped(row.flash),
                grouped(row.code),
            );
        }
    }
    text.push_str(
        "\n## TFLite Micro with CMSIS-NN on the M4\n\n| | cycles, M (estimated) | arena | code |\n|---|---|---|---|\n",
    );
    for ((short, ..), (cycles, arena, code)) in MODELS.iter().zip(TFLM_M4) {
        let _ = writeln!(text, "| {short} | {cycles} | {} | {code} |", grouped(arena));
    }
    text + METHOD
}

/// Measures and writes the page.
pub fn run(root: &Path) -> Result<()> {
    let data =
        std::env::var_os("PARING_DATA").map_or_else(|| root.join("../shared/data"), PathBuf::from);
    let models = data.join("models/tflite");
    if !models.is_dir() {
        bail!("{} is not there; name the folder of the models with PARING_DATA", models.display());
    }
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--quiet", "-p", "paring-cli"])
        .current_dir(root)
        .status()?;
    if !status.success() {
        bail!("the program does not build");
    }
    let target =
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), PathBuf::from);
    let program = target.join("release/paring");
    let scratch = target.join("bench-mcu");
    let mut rows = Vec::new();
    for (short, _, file) in MODELS {
        let file = models.join(format!("{file}.tflite")).to_string_lossy().into_owned();
        let mut row = Vec::new();
        for core in CORES {
            let found = measure(&program, &file, core, &scratch)?;
            println!("{short} {core}: {} instructions", grouped(found.instructions));
            row.push(found);
        }
        rows.push(row);
    }
    let path = root.join("docs/benchmarks-cortex-m.md");
    std::fs::create_dir_all(root.join("docs"))?;
    std::fs::write(&path, page(&rows)).with_context(|| path.display().to_string())?;
    println!("written: {}", path.display());
    Ok(())
}
