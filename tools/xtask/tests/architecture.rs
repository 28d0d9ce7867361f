//! The rules of the tree: which crate may import which, and that everything is linked.

use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Folder of each package below the root, with the folders that it depends on in ordinary builds.
fn imports() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let folder = |path: &str| {
        let dir = Path::new(path);
        let dir = if dir.ends_with("Cargo.toml") { dir.parent().unwrap() } else { dir };
        dir.strip_prefix(root()).unwrap().to_string_lossy().into_owned()
    };
    packages
        .iter()
        .map(|p| {
            let own = folder(p["manifest_path"].as_str().unwrap());
            let deps = p["dependencies"].as_array().unwrap();
            let normal = deps.iter().filter(|d| d["kind"].is_null());
            (own, normal.filter_map(|d| d["path"].as_str()).map(folder).collect())
        })
        .collect()
}

fn allowed(from: &str, to: &str) -> bool {
    let any = |list: &[&str]| list.iter().any(|l| to.strip_prefix("crates/") == Some(l));
    match from.split_once('/') {
        Some(("crates", name)) => match name {
            "tensor" | "qmath" | "crew" => false,
            "ir" | "codec" => any(&["tensor"]),
            "pass" | "format" | "data" => any(&["ir", "tensor"]),
            "backend" => any(&["ir", "tensor", "qmath"]),
            "layerwise" => any(&["pass", "ir", "tensor"]),
            "channels" => any(&["pass", "ir", "tensor", "qmath"]),
            "kernels" => any(&["qmath"]),
            "runtime" => any(&["crew", "kernels", "qmath"]),
            "engine" => any(&["backend", "ir", "kernels", "runtime", "tensor", "qmath"]),
            "embed" => any(&["kernels", "runtime"]) || to == "backends/neon-kernels",
            "train" => any(&["pass", "data", "ir", "tensor"]),
            "bundle" => !to.starts_with("tools/"),
            "format-paring" => any(&["codec", "format", "ir", "tensor"]),
            _ if name.starts_with("format-") => any(&["format", "ir", "tensor"]),
            _ => panic!("crates/{name} has no rule; add one here"),
        },
        Some(("passes", _)) => {
            any(&["pass", "layerwise", "channels", "ir", "tensor", "qmath", "train", "data"])
        }
        Some(("backends", name)) if name.ends_with("-kernels") => any(&["kernels", "qmath"]),
        Some(("backends", _)) => {
            any(&["backend", "engine", "ir", "kernels", "tensor", "qmath"])
                || to == format!("{from}-kernels")
        }
        Some(("tools", _)) => {
            let plugin = to.starts_with("crates/format-");
            // The emulator runs what the kernels know: their list of cores.
            let cores = from == "tools/emulator" && to == "backends/cortex-m-kernels";
            // The benchmarks measure the models beside the repository.
            let models = from == "tools/xtask" && to == "tests/shared";
            cores || models || to.starts_with("tools/") || (to.starts_with("crates/") && !plugin)
        }
        Some(("tests", _)) => true,
        // What a program on a device has.
        Some(("examples", _)) => to == "crates/embed",
        _ => false,
    }
}

#[test]
fn imports_go_one_way() {
    let wrong: Vec<String> = imports()
        .into_iter()
        .flat_map(|(from, to)| to.into_iter().map(move |t| (from.clone(), t)))
        .filter(|(from, to)| !allowed(from, to))
        .map(|(from, to)| format!("{from} imports {to}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_bundle_links_every_pass_backend_and_format() {
    let source = std::fs::read_to_string(root().join("crates/bundle/src/lib.rs")).unwrap();
    let imports = imports();
    let linked = &imports["crates/bundle"];
    for folder in imports.keys() {
        let plugin = folder.starts_with("passes/")
            || (folder.starts_with("backends/") && !folder.ends_with("-kernels"))
            || folder.starts_with("crates/format-");
        if plugin {
            assert!(linked.contains(folder), "the bundle does not depend on {folder}");
        }
    }
    let named = source.lines().filter(|l| l.starts_with("use ") && l.ends_with(" as _;")).count();
    let plugins = linked
        .iter()
        .filter(|f| !f.starts_with("crates/") || f.starts_with("crates/format-"))
        .count();
    assert_eq!(named, plugins, "each linked crate needs its own `use ... as _;` in the bundle");
}

#[test]
fn unsafe_code_stays_where_it_is_needed() {
    // Mapping files, a C interface, a counting allocator, threads that borrow, and kernels with what they are promised.
    let may = [
        "crates/crew",
        "crates/embed",
        "crates/kernels",
        "crates/tensor",
        "backends/neon-kernels",
        "backends/x86-kernels",
        "tests/fuzz",
    ];
    for folder in imports().keys().filter(|f| !may.contains(&f.as_str())) {
        let src = root().join(folder).join("src");
        let mut roots = vec![src.join("lib.rs"), src.join("main.rs")];
        roots.retain(|file| file.exists());
        roots.truncate(1);
        if roots.is_empty() {
            let programs = std::fs::read_dir(src.join("bin")).unwrap();
            roots.extend(programs.map(|file| file.unwrap().path()));
        }
        for file in roots {
            let text = std::fs::read_to_string(&file).unwrap();
            let thin = !file.ends_with("lib.rs") && !text.contains("unsafe");
            assert!(
                thin || text.contains("#![forbid(unsafe_code)]"),
                "{} allows unsafe code",
                file.display()
            );
        }
    }
}
