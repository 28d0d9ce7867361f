//! The operator cases of ONNX's own backend tests, PyTorch's converted ones, and the light topologies,
//! run by the reference interpreter.

use paring_format::{ReadOptions, Source};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn data() -> Option<PathBuf> {
    let path = std::env::var_os("PARING_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    let path = path.join("onnx-conformance");
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {} is not there (set PARING_DATA)", path.display());
    None
}

fn tensors(case: &Path, kind: &str) -> Vec<paring_tensor::Tensor> {
    (0..)
        .map(|k| case.join(format!("test_data_set_0/{kind}_{k}.pb")))
        .take_while(|p| p.is_file())
        .map(|p| paring_format_onnx::read_tensor(&Source::open(&p).unwrap()).unwrap())
        .collect()
}

fn import(model: &Path) -> Result<paring_ir::Graph, String> {
    let values = tensors(model.parent().unwrap(), "input");
    let dimensions = BTreeMap::new();
    let options = ReadOptions { dimensions: &dimensions, default_dimension: 1, executor: None, values: &values };
    let source = Source::open(model).map_err(|e| e.to_string())?;
    let g = paring_format_onnx::read(&source, &options).map_err(|e| e.to_string())?;
    g.verified().map_err(|e| e.to_string())?;
    Ok(g)
}

#[test]
fn imports() {
    let Some(data) = data() else { return };
    let mut failed = 0;
    let mut total = 0;
    for kind in ["node", "pytorch-converted", "pytorch-operator"] {
        let mut cases: Vec<PathBuf> = std::fs::read_dir(data.join(kind))
            .unwrap()
            .map(|e| e.unwrap().path())
            .filter(|p| p.is_dir())
            .collect();
        cases.sort();
        for case in cases {
            total += 1;
            if let Err(e) = import(&case.join("model.onnx")) {
                failed += 1;
                println!("{}: {}", case.file_name().unwrap().display(), e.replace(&*case.to_string_lossy(), ""));
            }
        }
    }
    println!("{failed} of {total} failed");
}
