//! Budgets of flash, RAM and time through the program.

use crate::paring::{emulator, json, paring, shared};
use paring_bundle as _;
use serde_json::Value;
use std::path::PathBuf;

/// Two wide layers and a connection around them, int8.
const NETWORK: &str = "graph @wide {
    %x = input : i8[1,16,16,16] q(0.1, 0)
    %w = const fill(seed=1) : i8[64,1,1,16] q(0.01, 0)
    %wide = conv2d(%x, %w) { groups = 1, pad = \"valid\", stride = [1, 1] } : i8[1,16,16,64] q(0.5, 0)
    %v = const fill(seed=2) : i8[64,3,3,64] q(0.01, 0)
    %heavy = conv2d(%wide, %v) { groups = 1, pad = \"same\", stride = [2, 2] } : i8[1,8,8,64] q(2.0, 0)
    %u = const fill(seed=3) : i8[10,64] q(0.01, 0)
    %mean = reduce(%heavy) { axes = [1, 2], f = \"mean\", keep_dims = false } : i8[1,64] q(2.0, 0)
    %y = dense(%mean, %u) : i8[1,10] q(2.0, 0)
    output %y
  }";

/// The network as a file, and its folder.
fn model() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let graph = paring_ir::text::parse(NETWORK).unwrap_or_else(|e| panic!("{e}"));
    let path = dir.path().join("wide.paring");
    let options = paring_format::WriteOptions::default();
    paring_format::write(&graph, &path, &options).unwrap_or_else(|e| panic!("{e}"));
    (dir, path.display().to_string())
}

/// Exit code, what `--json` prints, and what is said.
fn compile(more: &[&str]) -> (i32, Value, String, PathBuf, tempfile::TempDir) {
    let (dir, model) = model();
    let out = dir.path().join("out");
    let args = ["compile", &model, "--target", "cortex-m4", "--as-is", "--json", "-o"];
    let output = paring(&[&args[..], &[out.to_str().unwrap()], more].concat());
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let json = serde_json::from_str(&text).unwrap_or(Value::Null);
    (output.status.code().unwrap(), json, said, out, dir)
}

fn names(list: &Value, key: &str) -> Vec<String> {
    let all = list.as_array().unwrap();
    all.iter().map(|i| i[key].as_str().unwrap().to_owned()).collect()
}

#[test]
fn what_fits_is_compiled() {
    let budgets = ["--flash", "256K", "--ram", "64K", "--latency", "500ms@80MHz"];
    for goal in ["balanced", "speed", "size"] {
        let (code, json, said, out, _dir) =
            compile(&[&budgets[..], &["--optimize", goal]].concat());
        assert_eq!(code, 0, "{goal}: {said}");
        assert!(json["ram_bytes"].as_u64().unwrap() <= 65_536, "{json}");
        assert!(json["cycles"].as_u64().unwrap() <= 40_000_000, "{json}");
        assert!(out.join("model.c").is_file());
    }
}

#[test]
fn too_little_ram_names_the_tensors_the_layer_and_what_would_help() {
    let (code, json, said, out, _dir) = compile(&["--ram", "6K"]);
    assert_eq!(code, 1, "{said}");
    assert!(!out.exists());
    let short = &json["shortfall"];
    assert_eq!((&short["budget"], &short["allowed"]), (&"ram".into(), &6144.into()), "{json}");
    let needed = short["needed"].as_u64().unwrap();
    assert!(needed > 6144, "{json}");
    assert!(["wide", "heavy"].contains(&short["layer"].as_str().unwrap()), "{json}");
    assert!(short["what"].as_str().unwrap().contains("though layers run row by row"), "{json}");
    let items = names(&short["items"], "name");
    assert!(items.iter().any(|i| i.ends_with("of 16 rows of wide")), "{items:?}");
    assert_eq!(short["items"][0], serde_json::json!({"name": "x", "amount": 4096, "note": ""}));
    let remedies = names(&short["remedies"], "change").join("\n");
    assert!(remedies.contains("make `x` smaller"), "{remedies}");
    assert!(remedies.contains(" % of its 4096 bytes"), "{remedies}");
    for part in
        [format!("{needed} bytes are needed"), "4096 bytes  x".into(), "what would help".into()]
    {
        assert!(said.contains(&part), "no `{part}` in\n{said}");
    }
}

#[test]
fn too_little_flash_names_the_weights_and_what_would_help() {
    let (code, json, said, out, _dir) = compile(&["--flash", "24K"]);
    assert_eq!(code, 1, "{said}");
    assert!(!out.exists());
    let short = &json["shortfall"];
    assert_eq!((&short["budget"], &short["layer"]), (&"flash".into(), &"heavy".into()), "{json}");
    assert!(short["items"][0]["note"].as_str().unwrap().contains("weights `v`"), "{json}");
    let remedies = short["remedies"].as_array().unwrap();
    let int4 = remedies.iter().find(|r| r["change"].as_str().unwrap().contains("`int4`")).unwrap();
    let (needed, then) = (short["needed"].as_u64().unwrap(), int4["leaves"].as_u64().unwrap());
    // Nearly all of the flash is weights, and half of those would go.
    assert!(then < needed * 11 / 20 && then > needed * 9 / 20, "{json}");
    let pruned = remedies.last().unwrap();
    assert!(pruned["leaves"].as_u64().unwrap() <= 24 * 1024, "{json}");
    assert!(said.contains("over the flash budget"), "{said}");
}

#[test]
fn too_little_time_names_the_slowest_layer_and_what_would_help() {
    let (code, json, said, out, _dir) = compile(&["--latency", "10ms@80MHz"]);
    assert_eq!(code, 1, "{said}");
    assert!(!out.exists());
    let short = &json["shortfall"];
    assert_eq!((&short["layer"], &short["allowed"]), (&"heavy".into(), &800_000.into()), "{json}");
    let needed = short["needed"].as_u64().unwrap();
    let megahertz = (needed as f64 / 10_000.0).ceil();
    let remedies = names(&short["remedies"], "change").join("\n");
    assert!(remedies.contains(&format!("a clock of {megahertz} MHz")), "{remedies}");
    assert!(said.contains("over the latency budget") && said.contains("ms at 80 MHz"), "{said}");
}

#[test]
fn units_are_read_and_wrong_ones_explained() {
    for (args, words) in [
        (["--flash", "lots"], ["`lots` is no number of bytes", "64K"]),
        (["--ram", "64X"], ["`64X` is no number of bytes", "65536"]),
        (["--latency", "50ms"], ["needs the clock", "20ms@120MHz"]),
        (["--latency", "50ms@fast"], ["`fast` is no clock", "20ms@120MHz"]),
        (["--energy", "79"], ["no energy of a cycle", "79uA/MHz@3V"]),
        (["--optimize", "fastest"], ["fastest", "balanced"]),
        (["--set", "stack=4"], ["unknown setting `stack`", "latency"]),
    ] {
        let (code, _, said, out, _dir) = compile(&args);
        assert_eq!(code, 2, "{args:?}: {said}");
        assert!(words.iter().all(|w| said.contains(w)), "{args:?}: {said}");
        assert!(!out.exists());
    }
}

#[test]
fn energy_is_cycles_times_what_is_stated() {
    let (code, json, said, ..) = compile(&["--energy", "100uA/MHz@2.5V"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(json["picojoules_per_cycle"], 250.0);
    let (cycles, joules) =
        (json["cycles"].as_f64().unwrap(), json["microjoules"].as_f64().unwrap());
    assert!((joules - cycles * 250.0 / 1e6).abs() < 1e-6, "{json}");
}

#[test]
fn verify_holds_what_is_linked_and_counted_against_the_budgets() {
    if !emulator() {
        return;
    }
    let (_dir, model) = model();
    let verify = |more: &[&str]| {
        let args = ["verify", &model, "--target", "cortex-m4", "--json"];
        let output = paring(&[&args[..], more].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let first = text.lines().next().unwrap_or_default().to_owned();
        (output.status.code().unwrap(), serde_json::from_str(&first).unwrap_or(Value::Null), said)
    };
    let (code, seen, said) =
        verify(&["--flash", "256K", "--ram", "64K", "--latency", "500ms@80MHz"]);
    assert_eq!((code, &seen["equal"]), (0, &true.into()), "{said}");
    // A budget just below what is linked: the estimate lets it pass, the link does not.
    let linked = seen["flash_bytes"].as_u64().unwrap();
    let (code, _, said) = verify(&["--flash", &(linked - 1).to_string()]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("over the flash budget"), "{said}");
    let (code, ..) = verify(&["--flash", &(linked + 4096).to_string()]);
    assert_eq!(code, 0);
    let (code, seen, said) = verify(&["--ram", "6K"]);
    assert_eq!((code, &seen["shortfall"]["budget"]), (1, &"ram".into()), "{said}");
}

#[test]
fn an_autoencoder_in_four_bits_takes_half_the_flash_and_little_more_time() {
    let (Some(shared), true) = (shared(), emulator()) else { return };
    let dir = tempfile::tempdir().unwrap();
    let model = shared.join("models/keras/ad_autoencoder.h5");
    let samples = shared.join("expected/ad_autoencoder.npz");
    let measure = |name: &str, weights: &str, scales: &str| {
        let recipe = dir.path().join(format!("{name}.toml"));
        let pass = |name: &str, more: &str| format!("[[pass]]\nuse = \"{name}\"\n{more}");
        let text = ["cleanup", "layout", "fold-bn", "fuse", "calibrate"].map(|name| pass(name, ""));
        let rest = [pass("calibrate", ""), pass("quantize", scales), pass("cleanup", "")].concat();
        let text = format!("version = 1\n{}{weights}{rest}", text.concat());
        std::fs::write(&recipe, text).unwrap();
        let out = dir.path().join(name);
        let calib = format!("npz:{}", samples.display());
        json(
            &[
                &["compress", model.to_str().unwrap(), "--recipe", recipe.to_str().unwrap()][..],
                &["--calib", &calib, "-o", out.to_str().unwrap()],
            ]
            .concat(),
        );
        let done = out.join("model.paring");
        let done = done.to_str().unwrap();
        let inputs = samples.to_str().unwrap();
        let counted = json(
            &[
                &["verify", done, "--target", "cortex-m4"][..],
                &["--inputs", inputs, "--limit", "1"],
            ]
            .concat(),
        );
        assert_eq!(counted["equal"], true);
        let data = format!("npz:{}", samples.display());
        let scores = json(&["eval", done, "--data", &data, "--against", model.to_str().unwrap()]);
        let number = |key: &str| counted[key].as_f64().unwrap();
        (number("instructions"), number("flash_bytes"), scores["snr_db"].as_f64().unwrap())
    };
    let plain = measure("plain", "", "");
    let four = "[[pass]]\nuse = \"gptq\"\nbits = 4\nper = \"tensor\"\n";
    let coded = measure("coded", four, "weights = { per = \"tensor\" }\n");
    assert!(coded.1 <= 145_000.0, "{} bytes of flash", coded.1);
    assert!(coded.0 <= 1.6 * plain.0, "{} instructions of {}", coded.0, plain.0);
    assert!(coded.2 >= 30.0, "{} dB of the float network's results", coded.2);
}
