//! The MLPerf Tiny networks, compiled and run on emulated cores: outputs equal TensorFlow Lite
//! Micro's on every byte, and what they take stays below its figures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use paring_backend::{Backend, CompileOptions};
use paring_cortex_m::CORTEX_M;
use paring_data::npy::Npz;
use paring_emulator::{Build, Core, Entry, Report, missing_packages};
use paring_format::{ReadOptions, Source};
use paring_ir::Graph;

/// The shared data, or `None` (and a line) where data or tools are missing.
fn data() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let dir = std::env::var_os("PARING_DATA").map_or(root, PathBuf::from);
    if !dir.is_dir() {
        println!("skipped: {} is not there", dir.display());
        return None;
    }
    let missing = missing_packages();
    if !missing.is_empty() {
        println!("skipped: install {}", missing.join(" "));
        return None;
    }
    Some(dir)
}

fn read(path: &Path) -> Graph {
    let dimensions = BTreeMap::new();
    let options =
        ReadOptions { dimensions: &dimensions, default_dimension: 1, executor: None, values: &[] };
    let source = Source::open(path).unwrap_or_else(|e| panic!("{e}"));
    paring_format_tflite::read(&source, &options).unwrap_or_else(|e| panic!("{e}"))
}

/// A tensor's bytes cut into samples.
fn samples(npz: &Npz, name: &str, count: usize) -> Vec<Vec<u8>> {
    let tensor = npz.get(name).unwrap_or_else(|e| panic!("{e}"));
    let bytes = tensor.bytes();
    let each = bytes.len() / tensor.shape()[0];
    bytes.chunks(each).take(count).map(<[u8]>::to_vec).collect()
}

/// Compiles a model for a core, runs it on the stored inputs and checks every output byte.
fn run(data: &Path, model: &str, core: Core, count: usize) -> Report {
    let graph = read(&data.join(format!("models/tflite/{model}.tflite")));
    let options = CompileOptions { target: format!("cortex-{core}"), ..CompileOptions::default() };
    let verified = graph.verified().unwrap_or_else(|e| panic!("{e}"));
    let package = CORTEX_M.compile(verified, &options).unwrap_or_else(|e| panic!("{e}"));
    let npz =
        Npz::open(&data.join(format!("expected/{model}.npz"))).unwrap_or_else(|e| panic!("{e}"));
    let inputs = samples(&npz, "input_0", count);
    let expected = samples(&npz, "output_tflm_0", count);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
    let is_c = |name: &str| name.ends_with(".h") || name.ends_with("model.c");
    let build = Build {
        files: package
            .files
            .iter()
            .filter(|(name, _)| is_c(name))
            .map(|(name, bytes)| (name.clone(), text(bytes)))
            .collect(),
        entry: Entry {
            includes: "#include <string.h>\n#include \"model.h\"".into(),
            prepare: format!("memcpy(model_input_0(), emu_in, {});", inputs[0].len()),
            invoke: "model_run();".into(),
            finish: format!("memcpy(emu_out, model_output_0(), {});", expected[0].len()),
        },
        output_bytes: expected[0].len(),
        flags: ["-O2", "-Wall", "-Wextra", "-Werror"].map(String::from).to_vec(),
        ..Build::new(core)
    };
    let report = paring_emulator::run(&build, &inputs).unwrap_or_else(|e| panic!("{core}: {e}"));
    assert!(report.outputs == expected, "{model} on {core}: outputs differ");
    assert_eq!(package.sizes.ram_bytes as u64, report.ram_bytes, "{model} on {core}");
    report
}

const MODELS: [&str; 4] =
    ["ic_resnet8_int8", "kws_dscnn_int8", "vww_mnv1_int8", "ad_autoencoder_int8"];

#[test]
fn outputs_are_equal_on_every_core() {
    let Some(data) = data() else { return };
    for core in Core::ALL {
        for model in MODELS {
            run(&data, model, core, if core == Core::M4 { 16 } else { 2 });
        }
    }
}

#[test]
fn other_networks_are_equal_too() {
    let Some(data) = data() else { return };
    for model in ["sww_int8", "hello_world_int8", "micro_speech_int8", "conv_fc_mnist_int8"] {
        for core in [Core::M3, Core::M4, Core::M55] {
            run(&data, model, core, 4);
        }
    }
}

#[test]
fn the_m4_stays_below_its_bounds() {
    let Some(data) = data() else { return };
    // Instructions, RAM, flash. VWW's flash holds dead channels here.
    let bounds = [
        (12_600_000, 36_000, 88_000),
        (3_300_000, 12_000, 34_000),
        (9_800_000, 40_000, 240_000),
        (300_000, 800, 275_000),
    ];
    for (model, (instructions, ram, flash)) in MODELS.iter().zip(bounds) {
        let report = run(&data, model, Core::M4, 2);
        assert!(report.instructions <= instructions, "{model}: {}", report.instructions);
        assert!(report.ram_bytes <= ram, "{model}: {}", report.ram_bytes);
        assert!(report.flash_bytes <= flash, "{model}: {}", report.flash_bytes);
        assert!(report.stack_bytes <= 1024, "{model}: {}", report.stack_bytes);
    }
}
