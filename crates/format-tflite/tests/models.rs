//! Real models import completely.

mod common;

use common::read;
use paring_shared::data;

#[test]
fn every_shared_model_imports_and_verifies() {
    let Some(data) = data() else { return };
    let mut count = 0;
    for entry in std::fs::read_dir(data.join("models/tflite")).unwrap() {
        let path = entry.unwrap().path();
        let graph = read(&path, None).unwrap_or_else(|e| panic!("{e}"));
        graph.verified().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        count += 1;
    }
    assert!(count >= 20, "{count} models");
}
