//! `paring demo`

use crate::commands::compile::LowerArgs;
use crate::commands::compress::{Settings, compress};
use crate::commands::eval::evaluate;
use crate::commands::verify::verify;
use crate::data::{Fitted, open};
use crate::host::sha256;
use crate::model::{RoundingArg, read};
use crate::recipes;
use crate::ui::{Ui, grouped, table};
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::path::PathBuf;

/// Take the built-in network all the way: compress, evaluate, compile and verify it
#[derive(clap::Args)]
pub struct Args {
    /// Directory for everything that is made
    #[arg(short, long, value_name = "DIR", default_value = "paring-demo")]
    output: PathBuf,
    /// Target to compile for
    #[arg(long, default_value = "cortex-m4")]
    target: String,
}

const MODEL: &[u8] = include_bytes!("../../../../tests/models/shapes.onnx");
const TRAIN: &str = "shapes:train,limit=256";
const TEST: &str = "shapes:test,limit=1000";

/// Runs the command.
pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let dir = &args.output;
    paring_tensor::write_dir(dir, &[("shapes.onnx".to_owned(), MODEL.to_vec())])
        .with_context(|| dir.display().to_string())?;
    let model = dir.join("shapes.onnx");
    let path = dir.display();
    ui.say("A small network that tells eight drawn shapes apart, and pictures made by code.\n");

    ui.say(format!("1. paring eval {path}/shapes.onnx --data {TEST}"));
    let float = read(&model, &[])?;
    let on = (paring_bundle::REFERENCE, RoundingArg::Double);
    let before = evaluate(&float, TEST, None, on, None, ui)?;

    ui.say(format!(
        "2. paring compress {path}/shapes.onnx --recipe int8 --calib {TRAIN} -o {path}/int8"
    ));
    let settings = Settings {
        recipe: "int8",
        calib: Some(TRAIN),
        backend: paring_bundle::REFERENCE,
        print_after: &[],
        stop_after: None,
        model_hash: sha256(MODEL),
    };
    let packed = compress(&float, &recipes::load("int8")?, &settings, &dir.join("int8"), ui)?;

    ui.say(format!("3. paring eval {path}/int8/model.paring --data {TEST}"));
    let small = read(&dir.join("int8/model.paring"), &[])?;
    let after = evaluate(&small, TEST, None, on, Some(&float), ui)?;

    ui.say(format!(
        "4. paring compile {path}/int8/model.paring --target {} -o {path}/c",
        args.target
    ));
    let lower = LowerArgs {
        target: args.target.clone(),
        prefix: "model".to_owned(),
        as_is: false,
        optimize: None,
        flash: None,
        ram: None,
        latency: None,
        energy: None,
        settings: Vec::new(),
    };
    let lowered = lower.prepare(small.clone())?;
    let package = lower.compile(&lowered, None)?;
    package.write(&dir.join("c")).with_context(|| path.to_string())?;

    ui.say(format!("5. paring verify {path}/int8/model.paring --target {}", args.target));
    let missing = paring_emulator::missing_packages();
    let device = if missing.is_empty() {
        let data = Fitted::new(open(TEST)?, &small)?;
        let samples = (0..4).map(|i| data.stored(&data.get(i)?)).collect::<Result<Vec<_>>>()?;
        Some(verify(&lowered, &small, &lower, &samples, None, ui)?)
    } else {
        let names = missing.join(" ");
        ui.say(format!(
            "   left out: the emulator is not installed; on Debian: apt-get install {names}"
        ));
        None
    };

    let percent = |x: Option<f64>| x.map_or("?".into(), |x| format!("{x:.2} %"));
    let or_dash = |x: Option<String>| x.unwrap_or_else(|| "-".into());
    let stop = device.as_ref();
    let rows = [
        ("accuracy", percent(before.top1), percent(after.top1)),
        (
            "same answer as float",
            "-".into(),
            or_dash(after.against.as_ref().map(|a| format!("{:.2} %", a.agreement))),
        ),
        (
            "weights, bytes",
            grouped(packed.before.weight_bytes as u64),
            grouped(package.sizes.weight_bytes as u64),
        ),
        ("RAM (arena), bytes", "-".into(), grouped(package.sizes.ram_bytes as u64)),
        ("flash, bytes", "-".into(), or_dash(stop.map(|v| grouped(v.flash_bytes)))),
        ("instructions a picture", "-".into(), or_dash(stop.map(|v| grouped(v.instructions)))),
        (
            "equal to the reference",
            "-".into(),
            or_dash(stop.map(|v| if v.equal { "bit for bit".into() } else { "NO".into() })),
        ),
    ];
    let object = json!({
        "float": { "top1": before.top1, "weight_bytes": packed.before.weight_bytes },
        "int8": {
            "top1": after.top1,
            "agreement": after.against.as_ref().map(|a| a.agreement),
            "weight_bytes": package.sizes.weight_bytes,
            "container_bytes": packed.container_bytes,
            "ram_bytes": package.sizes.ram_bytes,
            "flash_bytes": stop.map(|v| v.flash_bytes),
            "instructions": stop.map(|v| v.instructions),
            "equal": stop.map(|v| v.equal),
        },
        "target": args.target,
    });
    ui.result(&object, || {
        let rows: Vec<_> =
            rows.iter().map(|(a, b, c)| vec![(*a).to_owned(), b.clone(), c.clone()]).collect();
        let head = format!("int8 on {}", args.target);
        format!("\n{}", table(&["", "float", &head], &rows))
    });
    ensure!(stop.is_none_or(|v| v.equal), "the code's output differs from the reference's");
    Ok(())
}
