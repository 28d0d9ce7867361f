//! The program on the repository's own network, and on wrong input.

use crate::paring::{emulator, json, paring, root};
use std::path::Path;
use std::process::Command;

fn shapes() -> String {
    root().join("tests/models/shapes.onnx").display().to_string()
}

/// Runs the program, which has to end with `code` and say all of `words`.
fn fails(args: &[&str], code: i32, words: &[&str]) {
    let output = paring(args);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "paring {}: {text}", args.join(" "));
    for word in words {
        assert!(text.contains(word), "paring {}: no `{word}` in: {text}", args.join(" "));
    }
}

fn entries(dir: &Path) -> usize {
    std::fs::read_dir(dir).map_or(0, Iterator::count)
}

#[test]
fn the_demo_goes_the_whole_way() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("demo");
    let result = json(&["demo", "-o", out.to_str().unwrap()]);
    let float = result["float"]["top1"].as_f64().unwrap();
    let int8 = result["int8"]["top1"].as_f64().unwrap();
    assert!(float > 93.0, "{result}");
    assert!(int8 > float - 0.5, "{result}");
    assert!(result["int8"]["agreement"].as_f64().unwrap() > 98.0, "{result}");
    for file in ["int8/model.paring", "int8/report.html", "int8/paring.lock", "c/model.c"] {
        assert!(out.join(file).is_file(), "{file}");
    }
    if emulator() {
        assert_eq!(result["int8"]["equal"], true, "{result}");
        assert!(result["int8"]["instructions"].as_u64().unwrap() > 100_000, "{result}");
    }
}

#[test]
fn the_same_recipe_gives_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let run = |name: &str| {
        let out = dir.path().join(name);
        let calib = ["--calib", "shapes:train,limit=32"];
        json(
            &[
                &["compress", &shapes(), "--recipe", "int8", "-o", out.to_str().unwrap()],
                &calib[..],
            ]
            .concat(),
        );
        (
            std::fs::read(out.join("model.paring")).unwrap(),
            std::fs::read_to_string(out.join("paring.lock")).unwrap(),
        )
    };
    assert_eq!(run("a"), run("b"));
}

#[test]
fn inspect_counts_what_is_there() {
    let seen = json(&["inspect", &shapes()]);
    assert!(seen["macs"].as_u64().unwrap() > 100_000);
    assert_eq!(seen["ops"]["batch_norm"], 9);
    assert_eq!(seen["unsupported"].as_array().unwrap().len(), 0);
    let for_mcu = json(&["inspect", &shapes(), "--target", "cortex-m4"]);
    assert!(!for_mcu["unsupported"].as_array().unwrap().is_empty());
}

#[test]
fn wrong_usage_and_missing_files_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let out = out.to_str().unwrap();
    let model = shapes();
    fails(&["inspect", "no/such/model.onnx"], 2, &["no/such/model.onnx"]);
    fails(&["inspect", dir.path().to_str().unwrap()], 2, &["directory"]);
    fails(&["compress", &model, "--recipe", "int9", "-o", out], 2, &["int9", "int8"]);
    fails(&["compress", &model, "--recipe", "int8", "-o", out], 2, &["--calib"]);
    fails(
        &["compress", &model, "--recipe", "int8", "--calib", "npz:none.npz", "-o", out],
        2,
        &["none.npz"],
    );
    fails(
        &["compress", &model, "--recipe", "int8", "--calib", "shapes:train,size=20", "-o", out],
        2,
        &["[20, 20, 1]", "preprocessing"],
    );
    fails(&["eval", &model, "--data", "cifar11:x:test"], 2, &["cifar11", "cifar10"]);
    fails(&["compile", &model, "--target", "cortex-m5", "-o", out], 2, &["cortex-m5", "cortex-m4"]);
    fails(&["compile", &model, "--target", "cortex-m4", "-o", out], 3, &["conv2d", "quantize"]);
    fails(&["run", &model, "--input", "x.txt"], 2, &[".npz"]);
    assert!(!Path::new(out).exists());
}

#[test]
fn wrong_recipes_name_the_step_and_the_known_names() {
    let dir = tempfile::tempdir().unwrap();
    let recipe = dir.path().join("r.toml");
    let case = |text: &str, words: &[&str]| {
        std::fs::write(&recipe, text).unwrap();
        let out = dir.path().join("out");
        let args = ["compress", &shapes(), "--recipe", recipe.to_str().unwrap(), "-o"];
        fails(&[&args[..], &[out.to_str().unwrap()]].concat(), 2, words);
        assert!(!out.exists());
    };
    case("version = 2", &["version 2"]);
    case("version = 1\npasses = 3", &["passes"]);
    case("version = 1\n[[pass]]\nuse = \"fold\"", &["step 1", "`fold`", "fold-bn"]);
    case(
        "version = 1\n[[pass]]\nuse = \"fold-bn\"\nmaxgrowth = 1",
        &["step 1 (`fold-bn`)", "maxgrowth"],
    );
    case(
        "version = 1\n[[pass]]\nuse = \"quantize\"",
        &["step 1 (`quantize`)", "which no earlier step gives", "given by"],
    );
}

#[test]
fn damaged_models_give_a_located_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.onnx");
    let whole = std::fs::read(shapes()).unwrap();
    let name = path.to_str().unwrap();
    std::fs::write(&path, []).unwrap();
    fails(&["inspect", name], 2, &["model.onnx", "empty"]);
    for cut in [1, 17, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        fails(&["inspect", name], 2, &["model.onnx"]);
    }
}

/// A limit on the size of files stands for a full disk: writing fails midway.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_paring");
    let script = format!(
        "trap '' XFSZ; ulimit -f 8; exec {program} convert {} -o {}/big.paring",
        shapes(),
        dir.path().display()
    );
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("big.paring"), "{text}");
    assert_eq!(entries(dir.path()), 0);
}
