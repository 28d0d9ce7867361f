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

/// Figures of others for a core, millions by model: instructions of TFLite Micro with CMSIS-NN, and the best
/// published cycles.
struct Peers {
    core: &'static str,
    title: &'static str,
    tflm: Option<[f64; 4]>,
    published: Option<(&'static str, [f64; 4])>,
}

const CORES: [Peers; 7] = [
    Peers { core: "m0", title: "Cortex-M0", tflm: None, published: None },
    Peers { core: "m0plus", title: "Cortex-M0+", tflm: None, published: None },
    Peers {
        core: "m3",
        title: "Cortex-M3",
        tflm: Some([41.76, 10.55, 32.08, 0.956]),
        published: None,
    },
    Peers {
        core: "m4",
        title: "Cortex-M4",
        tflm: Some([29.87, 7.85, 24.72, 0.582]),
        published: Some(("M4", [19.8, 5.18, 10.67, 0.486])),
    },
    Peers {
        core: "m7",
        title: "Cortex-M7",
        tflm: Some([29.94, 7.76, 24.48, 0.583]),
        published: Some(("M7", [11.4, 3.17, 6.67, 0.303])),
    },
    Peers {
        core: "m33",
        title: "Cortex-M33",
        tflm: None,
        published: Some(("M33", [16.7, 4.64, 9.48, 0.495])),
    },
    Peers {
        core: "m55",
        title: "Cortex-M55",
        tflm: Some([4.81, 1.79, 6.43, 0.285]),
        published: Some(("M85", [4.07, 1.66, 6.43, 0.255])),
    },
];

/// TFLite Micro on the M4: estimated cycles in millions, arena, code at -Os, the network's file.
const TFLM_M4: [(f64, u64, &str, u64); 4] = [
    (36.2, 54_996, "43.1 K", 98_496),
    (9.2, 22_820, "46.0 K", 53_936),
    (29.5, 100_708, "46.0 K", 333_288),
    (0.734, 2_580, "22.7 K", 276_976),
];

/// Networks that pipelines make from float ones: name, model, weights' steps, step of quantization, calibration.
/// Behind compressed ones stands the same network with a byte a weight.
const COMPRESSED: [(&str, &str, &str, &str, &str); 12] = [
    ("AD, palette of 16", AD, PALETTE, PER_TENSOR, "ad_autoencoder"),
    ("AD, int4", AD, INT4_PER_TENSOR, PER_TENSOR, "ad_autoencoder"),
    ("AD, int8", AD, "", PER_TENSOR, "ad_autoencoder"),
    ("AD, palette of 16, a scale for every output", AD, PALETTE_I8, QUANTIZE, "ad_autoencoder"),
    ("AD, int4, a scale for every output", AD, INT4, QUANTIZE, "ad_autoencoder"),
    ("AD, int8, a scale for every output", AD, "", QUANTIZE, "ad_autoencoder"),
    ("IC, 80 % pruned in blocks of 4x4, palette of 16", IC, SPARSE, QUANTIZE, "ic_resnet8"),
    ("IC, palette of 4", IC, PALETTE_4, QUANTIZE, "ic_resnet8"),
    ("IC, palette of 8", IC, PALETTE_8, QUANTIZE, "ic_resnet8"),
    ("IC, palette of 32", IC, PALETTE_32, QUANTIZE, "ic_resnet8"),
    ("IC, 80 % pruned anywhere, palette of 16", IC, ANYWHERE, QUANTIZE, "ic_resnet8"),
    ("IC, int8", IC, "", QUANTIZE, "ic_resnet8"),
];
/// Core, goal and title of the tables of compressed networks.
const DECODED: [(&str, &str, &str); 3] = [
    ("m4", "balanced", "Compressed weights on the M4"),
    ("m4", "size", "The same with `--optimize size`"),
    ("m55", "balanced", "Compressed weights on the M55"),
];
const AD: &str = "keras/ad_autoencoder.h5";
const IC: &str = "keras/ic_resnet8.h5";

/// What the recipes have in common before and after the weights.
const BEFORE: &str = "version = 1\nseed = 7\n[[pass]]\nuse = \"cleanup\"\n[[pass]]\nuse = \"layout\"\n\
    [[pass]]\nuse = \"fold-bn\"\n[[pass]]\nuse = \"fuse\"\n";
const CALIBRATE: &str = "[[pass]]\nuse = \"calibrate\"\n";
const AFTER: &str = "[[pass]]\nuse = \"cleanup\"\n";
const QUANTIZE: &str = "[[pass]]\nuse = \"quantize\"\n";
const PER_TENSOR: &str = "[[pass]]\nuse = \"quantize\"\nweights = { per = \"tensor\" }\n";
const PALETTE: &str = "[[pass]]\nuse = \"cluster\"\nclusters = 16\n";
const PALETTE_I8: &str = "[[pass]]\nuse = \"cluster\"\nclusters = 16\ngrid = \"i8\"\n";
const PALETTE_4: &str = "[[pass]]\nuse = \"cluster\"\nclusters = 4\ngrid = \"i8\"\n";
const PALETTE_8: &str = "[[pass]]\nuse = \"cluster\"\nclusters = 8\ngrid = \"i8\"\n";
const PALETTE_32: &str = "[[pass]]\nuse = \"cluster\"\nclusters = 32\ngrid = \"i8\"\n";
const ANYWHERE: &str = "[[pass]]\nuse = \"prune\"\nsparsity = 0.8\ncriterion = \"magnitude\"\n\
    [[pass]]\nuse = \"cluster\"\nclusters = 16\ngrid = \"i8\"\n";
const INT4: &str = "[[pass]]\nuse = \"calibrate\"\n[[pass]]\nuse = \"gptq\"\nbits = 4\n";
const INT4_PER_TENSOR: &str =
    "[[pass]]\nuse = \"calibrate\"\n[[pass]]\nuse = \"gptq\"\nbits = 4\nper = \"tensor\"\n";
const SPARSE: &str = "[[pass]]\nuse = \"prune\"\nsparsity = 0.8\nstructure = \"4x4\"\ncriterion = \"magnitude\"\n\
    [[pass]]\nuse = \"cluster\"\nclusters = 16\ngrid = \"i8\"\n";

const HEAD: &str = "# Cortex-M benchmarks

Written by `cargo xtask bench-mcu`; the figures of other engines are those of their publishers and of the counts named
below.

Every run's output was compared with the reference interpreter, bit for bit, before its figures were taken.
";

const METHOD: &str = "
## Method

- The networks are the int8 files of MLPerf Tiny. `paring verify MODEL --target cortex-mX` with default settings (the tables
  named `speed` and `size` with `--optimize`): the recipe `exact` first, which changes no output bit (VWW loses its
  dead channels there), then C, built with GCC and the flags that packages name, run under QEMU on the boards
  mps2-an385 (M0, M0+, M3), mps2-an386 (M4), mps2-an500 (M7), mps2-an505 (M33) and mps3-an547 (M55).
- **Instructions** are counted exactly between the call and the return of one inference, by a QEMU plugin.
- **Cycles** are estimated from the executed instructions for memory without wait states. M0, M0+, M3, M4 and M33: the timing
  tables of the reference manuals, with what a taken branch costs to refill the pipeline (the M33 counts as the M4). M7: the M4's
  cycles times 0.62, the ratio of published figures of both cores. M55: a block takes the longest of its instructions,
  twice its vector loads and stores, and twice its other vector instructions.
- **Estimate** is what `paring compile` says of the instructions without running: loops counted per layer, times a table
  that `cargo run --release -p paring-cortex-m-kernels --example fit_cost` makes by counting; the figure is its error.
- **RAM** is the arena that holds all activations and scratch memory; the **stack** comes on top. **Flash** is what is linked: code,
  constants and what both need of the C library and compiler support; start-up code and the harness are left out.
- **Energy** is cycles times what a part's data sheet states for run mode at 3 V, where one is cited: STM32L072 (M0+) 93 uA/MHz,
  STM32L152xB (M3) 214, STM32L412 (M4) 79. `--energy` states another.
- Compressed weights stay so in flash. With the DSP extension int4 and palettes of 16 are decoded inside the product; other
  codes, and these on other cores, are decoded for four output channels at a time into scratch memory, which serves several
  pixels. Where that costs more than 1.6 times the instructions weights are stored as bytes unless `--optimize size` or a
  budget of flash says otherwise.
- The compressed networks are made from the float Keras files by the pipelines below; their weights are chosen by simple rules
  and without regard to accuracy, since what is measured here is the code. Behind them stand the same networks with a byte a
  weight, made in the same way.

## Limits

- An emulator executes; it does not time. Wait states of flash, caches and buses are left out: published results on a
  120 MHz part with wait states came out 1.2 to 1.4 times such an M4 estimate. On the M7 and M55 cycles are a rough proxy.
- Instructions vary by under 0.3 % with the input.
- Published figures are from other parts, compilers and memory; they are cycles on real silicon, to be held against
  cycles, not instructions.
- Energy is a coefficient times cycles: it tells networks on one part apart, not parts.

## Where the peers' figures come from

- TFLite Micro 90b983c with CMSIS-NN 4ab83cc, GCC 12.2 -O3, counted in the same way on the same emulated boards. Its
  code is what its interpreter and kernels link to at -Os; the network's file comes on top.
- Best published: results submitted to MLPerf Tiny, milliseconds times clock. M4 (STM32L4R5 at 120 MHz), M33 and M7: X-CUBE-AI 9
  for IC, KWS and VWW, Plumerai for AD. An M85 stands beside our M55, as there are none for that core; it is a
  wider machine.
";

fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

fn millions(n: u64) -> String {
    format!("{:.3}", n as f64 / 1e6)
}

const BALANCED: [&str; 2] = ["--optimize", "balanced"];

/// The program and where it may write.
struct Bench {
    program: PathBuf,
    scratch: PathBuf,
    data: PathBuf,
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

impl Bench {
    /// Runs the program and reads the object it prints.
    fn json(&self, args: &[&str]) -> Result<Value> {
        let output = Command::new(&self.program)
            .args(args)
            .args(["--json", "--quiet"])
            .output()
            .with_context(|| format!("starting {}", self.program.display()))?;
        if !output.status.success() {
            bail!("paring {}\n{}", args.join(" "), String::from_utf8_lossy(&output.stderr));
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// `wish` is an option of `compile` and what it is set to.
    fn measure(&self, file: &Path, core: &str, wish: [&str; 2]) -> Result<Row> {
        let (target, file) = (format!("cortex-{core}"), file.to_string_lossy());
        let out = self.scratch.join(core).to_string_lossy().into_owned();
        let how = ["--target", &target, wish[0], wish[1]];
        let v = self.json(&[&["verify", &file, "--limit", "2"], &how[..]].concat())?;
        let c = self.json(&[&["compile", &file, "-o", &out], &how[..]].concat())?;
        if v["equal"].as_bool() != Some(true) {
            bail!("{file} on {target}: outputs differ from the reference");
        }
        let number =
            |key: &str| v[key].as_u64().with_context(|| format!("`{key}` is missing in {v}"));
        let row = Row {
            instructions: number("instructions")?,
            cycles: number("cycles")?,
            estimate: c["instructions"].as_u64(),
            microjoules: c["microjoules"].as_f64(),
            ram: number("ram_bytes")?,
            stack: number("stack_bytes")?,
            flash: number("flash_bytes")?,
            code: number("code_bytes")?,
        };
        println!("{file} {core} {}: {} instructions", wish[1], grouped(row.instructions));
        Ok(row)
    }

    /// Makes a compressed network by a pipeline.
    fn compress(&self, index: usize, model: &str, text: &str, calib: &str) -> Result<PathBuf> {
        let recipe = self.scratch.join(format!("compressed{index}.toml"));
        std::fs::write(&recipe, text)?;
        let out = self.scratch.join(format!("compressed{index}"));
        if out.is_dir() {
            std::fs::remove_dir_all(&out)?;
        }
        let model = self.data.join("models").join(model);
        let calib = format!("npz:{}", self.data.join(format!("expected/{calib}.npz")).display());
        let shown = |path: &Path| path.to_string_lossy().into_owned();
        let (model, recipe, to) = (shown(&model), shown(&recipe), shown(&out));
        self.json(&["compress", &model, "--recipe", &recipe, "--calib", &calib, "-o", &to])?;
        Ok(out.join("model.paring"))
    }
}

fn pipeline(weights: &str, quantize: &str) -> String {
    format!("{BEFORE}{weights}{CALIBRATE}{quantize}{AFTER}")
}

fn own_columns(row: &Row) -> String {
    format!(
        "{} | {} | {} | {} | {}",
        millions(row.cycles),
        grouped(row.ram),
        grouped(row.stack),
        grouped(row.flash),
        grouped(row.code),
    )
}

/// The table of a core.
fn table(peers: &Peers, rows: &[Row], text: &mut String) {
    let mut head = String::from("| | instructions, M |");
    if peers.tflm.is_some() {
        head.push_str(" TFLite Micro, M |");
    }
    head.push_str(" estimate | cycles, M (estimated) | RAM | stack | flash | of it code |");
    if let Some((core, _)) = peers.published {
        let _ = write!(head, " best published, M cycles ({core}) |");
    }
    if rows.iter().any(|r| r.microjoules.is_some()) {
        head.push_str(" energy, uJ |");
    }
    let rule = "|---".repeat(head.matches('|').count() - 1);
    let _ = write!(text, "\n## {}\n\n{head}\n{rule}|\n", peers.title);
    for (index, (row, (short, name, _))) in rows.iter().zip(MODELS).enumerate() {
        let _ = write!(text, "| {short} {name} | {} |", millions(row.instructions));
        if let Some(tflm) = peers.tflm {
            let _ = write!(text, " {} |", tflm[index]);
        }
        let estimate = row.estimate.map_or("none".into(), |e| {
            format!("{:+.2} %", 100.0 * (e as f64 / row.instructions as f64 - 1.0))
        });
        let _ = write!(text, " {estimate} | {} |", own_columns(row));
        if let Some((_, cycles)) = peers.published {
            let _ = write!(text, " {} |", cycles[index]);
        }
        if let Some(joules) = row.microjoules {
            let _ = write!(text, " {joules:.0} |");
        }
        text.push('\n');
    }
}

/// Measures and writes the page.
pub fn run(root: &Path) -> Result<()> {
    let data = paring_shared::folder();
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
    let bench =
        Bench { program: target.join("release/paring"), scratch: target.join("bench-mcu"), data };
    std::fs::create_dir_all(&bench.scratch)?;
    let file = |name: &str| models.join(format!("{name}.tflite"));
    let mut text = String::from(HEAD);
    for peers in &CORES {
        let rows: Vec<Row> = MODELS
            .iter()
            .map(|(_, _, name)| bench.measure(&file(name), peers.core, BALANCED))
            .collect::<Result<_>>()?;
        table(peers, &rows, &mut text);
    }
    text.push_str(
        "\n## `--optimize` on the M4\n\n| | | instructions, M | cycles, M (estimated) | RAM | stack | flash | of it code \
         |\n|---|---|---|---|---|---|---|---|\n",
    );
    for (short, _, name) in MODELS {
        for goal in ["speed", "size"] {
            let row = bench.measure(&file(name), "m4", ["--optimize", goal])?;
            let (instructions, own) = (millions(row.instructions), own_columns(&row));
            let _ = writeln!(text, "| {short} | {goal} | {instructions} | {own} |");
        }
    }
    let _ = write!(
        text,
        "\n## MCUNet on the M4\n\nOne layer after another, and with `--ram min`: the first layers patch by patch and row by row.\n\n\
         | | instructions, M | cycles, M (estimated) | RAM | stack | flash | of it code |\n|---|---|---|---|---|---|---|\n",
    );
    for (how, wish) in [("whole layers", BALANCED), ("`--ram min`", ["--ram", "min"])] {
        let row = bench.measure(&file("mcunet_320kb_int8"), "m4", wish)?;
        let _ =
            writeln!(text, "| {how} | {} | {} |", millions(row.instructions), own_columns(&row));
    }
    let mut made = Vec::new();
    for (index, (name, model, weights, quantize, calib)) in COMPRESSED.into_iter().enumerate() {
        made.push((name, bench.compress(index, model, &pipeline(weights, quantize), calib)?));
    }
    for (core, goal, title) in DECODED {
        let _ = writeln!(
            text,
            "\n## {title}\n\n| | instructions, M | cycles, M (estimated) | RAM | stack | flash | of it code |\n|---|---|---|---|---|---|---|"
        );
        for (name, network) in &made {
            let row = bench.measure(network, core, ["--optimize", goal])?;
            let (instructions, own) = (millions(row.instructions), own_columns(&row));
            let _ = writeln!(text, "| {name} | {instructions} | {own} |");
        }
    }
    text.push_str(
        "\n## TFLite Micro with CMSIS-NN on the M4\n\n| | instructions, M | cycles, M (estimated) | arena | code | network's \
         file |\n|---|---|---|---|---|---|\n",
    );
    for ((short, ..), (at, (cycles, arena, code, file))) in
        MODELS.iter().zip(TFLM_M4.into_iter().enumerate())
    {
        let instructions = CORES[3].tflm.map_or(0.0, |t| t[at]);
        let (arena, file) = (grouped(arena), grouped(file));
        let _ =
            writeln!(text, "| {short} | {instructions} | {cycles} | {arena} | {code} | {file} |");
    }
    text.push_str(METHOD);
    text.push_str("\n## Pipelines of the compressed networks\n");
    for (name, _, weights, quantize, _) in COMPRESSED {
        let _ = write!(text, "\n{name}:\n\n```toml\n{}```\n", pipeline(weights, quantize));
    }
    let path = root.join("docs/benchmarks-cortex-m.md");
    std::fs::create_dir_all(root.join("docs"))?;
    std::fs::write(&path, text).with_context(|| path.display().to_string())?;
    println!("written: {}", path.display());
    Ok(())
}
