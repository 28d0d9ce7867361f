//! Pruned, clustered and short-coded networks, from real ones.

use crate::paring::{json, shared};
use std::path::{Path, PathBuf};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Compresses ResNet-8 by a recipe with 512 training pictures; the container and what `compress` reported.
fn resnet8(recipe: &str, data: &Path, dir: &Path) -> (PathBuf, serde_json::Value) {
    let model = data.join("models/keras/ic_resnet8.h5");
    let calib = format!("cifar10:{}:train,limit=512", data.join("datasets/cifar10").display());
    let out = dir.join("out");
    let report = json(&[
        "compress",
        text(&model),
        "--recipe",
        recipe,
        "--calib",
        &calib,
        "--backend",
        "auto",
        "-o",
        text(&out),
    ]);
    (out.join("model.paring"), report)
}

/// Top-1 accuracy on the 1,017 pictures of CIFAR-10 that are not JPEG files.
fn top1(model: &Path, data: &Path) -> f64 {
    let spec = format!("cifar10:{}:test", data.join("datasets/cifar10").display());
    let found = json(&["eval", text(model), "--data", &spec, "--limit", "1017"]);
    found["top1"].as_f64().unwrap()
}

#[test]
fn deep_is_sparse_clustered_and_quantized_at_once() {
    let Some(data) = shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let (model, _) = resnet8("deep", &data, dir.path());
    let inspected = json(&["inspect", text(&model), "--constants"]);
    let (mut elements, mut bytes, mut layers) = (0, 0, 0);
    for weight in inspected["constants"].as_array().unwrap() {
        if !weight["name"].as_str().unwrap().contains("kernel") {
            continue;
        }
        let storage = weight["storage"].as_str().unwrap();
        let words: Vec<&str> = storage.split([' ', ',']).filter(|w| !w.is_empty()).collect();
        let [_, "%", "zero", values, "values", "of", "i8"] = words[..] else { panic!("{storage}") };
        assert!(values.parse::<usize>().unwrap() <= 15, "{storage}");
        elements += weight["elements"].as_u64().unwrap();
        bytes += weight["coded_bytes"].as_u64().unwrap();
        layers += 1;
    }
    assert_eq!(layers, 10);
    let bits = 8.0 * bytes as f64 / elements as f64;
    assert!(bits <= 1.35, "{bits} bits a weight");
    let top1 = top1(&model, &data);
    assert!(top1 >= 79.0, "{top1} %");
}

#[test]
fn rate_aware_recipes_reach_their_sizes_and_accuracies() {
    let Some(data) = shared() else { return };
    for (recipe, most, least) in [("small", 26_000, 85.0), ("compact", 35_000, 87.0)] {
        let dir = tempfile::tempdir().unwrap();
        let (model, report) = resnet8(recipe, &data, dir.path());
        let bytes = std::fs::metadata(&model).unwrap().len();
        assert_eq!(report["container_bytes"].as_u64(), Some(bytes));
        assert!(bytes <= most, "{recipe}: {bytes} bytes");
        let top1 = top1(&model, &data);
        assert!(top1 >= least, "{recipe}: {top1} %");
    }
}

#[test]
fn a_pruned_and_clustered_network_is_recognised() {
    let Some(data) = shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let model = data.join("models/onnx/squeezenet_v1.0_dc.onnx");
    let out = dir.path().join("out");
    json(&["compress", text(&model), "--recipe", "recognise", "-o", text(&out)]);
    let container = out.join("model.paring");
    let bytes = std::fs::metadata(&container).unwrap().len();
    assert!(bytes <= 600_000, "{bytes} bytes");
    let inputs = data.join("expected/squeezenet_v1.0_dc.npz");
    let outputs = [&model, &container].map(|m| {
        let y = dir.path().join(m.file_name().unwrap()).with_extension("npz");
        json(&["run", text(m), "--input", text(&inputs), "--output", text(&y)]);
        std::fs::read(y).unwrap()
    });
    assert_eq!(outputs[0], outputs[1]);
}

#[test]
fn channel_pruning_takes_the_predicted_work_away() {
    let Some(data) = shared() else { return };
    let dir = tempfile::tempdir().unwrap();
    let recipe = dir.path().join("channels.toml");
    let steps = ["cleanup", "layout", "fold-bn", "fuse", "remove-dead-channels"];
    let mut file = String::from("version = 1\n");
    for step in steps {
        file += &format!("[[pass]]\nuse = \"{step}\"\n");
    }
    file +=
        "[[pass]]\nuse = \"prune-channels\"\nchannels = 0.3\ncriterion = \"l2\"\nupdate = false\n";
    std::fs::write(&recipe, file).unwrap();
    for name in ["ic_resnet8", "vww_mnv1"] {
        let model = data.join(format!("models/keras/{name}.h5"));
        let out = dir.path().join(name);
        let report = json(&["compress", text(&model), "--recipe", text(&recipe), "-o", text(&out)]);
        let steps = report["passes"].as_array().unwrap();
        let step = steps.iter().find(|s| s["pass"] == "prune-channels").unwrap();
        let notes = step["notes"].as_array().unwrap();
        let last = notes.last().unwrap().as_str().unwrap();
        let predicted = last.rsplit(' ').nth(1).unwrap().parse::<u64>().unwrap();
        let (before, after) = (&step["before"]["macs"], &step["after"]["macs"]);
        assert_eq!(after.as_u64(), Some(predicted), "{name}: {last}");
        assert!(predicted < before.as_u64().unwrap() * 6 / 10, "{name}: {last}");
        let inputs = data.join(format!("expected/{name}.npz"));
        let container = out.join("model.paring");
        let run = |backend: &str| {
            let y = dir.path().join(format!("{name}-{backend}.npz"));
            json(&[
                "run",
                text(&container),
                "--input",
                text(&inputs),
                "--backend",
                backend,
                "--output",
                text(&y),
            ]);
        };
        run("reference");
        run("auto");
    }
}
