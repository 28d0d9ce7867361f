//! What is written reads back as the same graph.

mod common;

use common::{read, read_source};
use paring_format::{Source, WriteOptions};
use paring_ir::Graph;
use paring_ir::text::{Large, parse, print};
use paring_shared::data;

fn again(graph: &Graph) -> Graph {
    let bytes = paring_format_tflite::write(graph, &WriteOptions::default())
        .unwrap_or_else(|e| panic!("{e}"));
    let source = Source { path: format!("{}.tflite", graph.name()).into(), bytes: bytes.into() };
    read_source(&source, None).unwrap_or_else(|e| panic!("{e}"))
}

fn text(graph: &Graph) -> String {
    print(graph, Large::Inline).text
}

/// Panics with the first line that differs.
fn assert_same(a: &Graph, b: &Graph) {
    let (a, b) = (text(a), text(b));
    for (a, b) in a.lines().zip(b.lines()) {
        assert!(a == b, "\n{}\n{}", &a[..a.len().min(600)], &b[..b.len().min(600)]);
    }
    assert_eq!(a.len(), b.len());
}

#[test]
fn shared_models_round_trip() {
    let Some(data) = data() else { return };
    for entry in std::fs::read_dir(data.join("models/tflite")).unwrap() {
        let path = entry.unwrap().path();
        let graph = read(&path, None).unwrap_or_else(|e| panic!("{e}"));
        let once = again(&graph);
        println!("{}", path.display());
        assert_same(&graph, &once);
    }
}

/// Writes the graph, reads it, and compares.
fn round_trip(text: &str) {
    let graph = parse(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    graph.verified().unwrap_or_else(|e| panic!("{e}"));
    assert_same(&graph, &again(&graph));
}

#[test]
fn weights_of_every_storage_round_trip() {
    round_trip(
        r#"graph @storages {
  %x = input : f32[1,16]
  %s = const sparse(block = [1, 1], fill = 0, mask = [1, 2, 4, 8, 16, 32, 64, 128], values = fill(seed=1) : f32[8]) : f32[4,16]
  %a = dense(%x, %s) : f32[1,4]
  %b = const sparse(block = [1, 4], fill = 0, mask = [165, 15], values = fill(seed=2) : i8[32]) : i8[4,16] q(0.5, 0)
  %bd = dequantize(%b) : f32[4,16]
  %c = dense(%x, %bd) : f32[1,4]
  %h = const fill(seed=3) : f16[4,16]
  %hd = dequantize(%h) : f32[4,16]
  %d = dense(%x, %hd) : f32[1,4]
  output %a
  output %c
  output %d
}
"#,
    );
    round_trip(
        r#"#q0 = q(axis=0, [0.5, 0.25, 0.125])
graph @four_bits {
  %x = input : i8[1,15] q(0.1, 3)
  %w = const fill(seed=1) : i4[3,15] #q0
  %y = dense(%x, %w) { activation = "relu" } : i8[1,3] q(0.2, -128)
  output %y
}
"#,
    );
}

#[test]
fn states_round_trip() {
    round_trip(
        r#"graph @svdf {
  %x = input : f32[1,8]
  %s = state splat(0.0) : f32[1,12]
  %f = const fill(seed=1) : f32[4,8]
  %t = const fill(seed=2) : f32[4,3]
  %b = const fill(seed=3) : f32[2]
  %y, %y.1 = svdf(%x, %f, %t, %b, %s) { rank = 2, activation = "relu" } : f32[1,2], f32[1,12]
  output %y
  next %s = %y.1
}
"#,
    );
}

#[test]
fn rows_quantized_by_their_magnitude_are_refused() {
    let graph = parse(
        "graph @hybrid {
          %x = input : f32[1,8]
          %w = const fill(seed=1) : i8[4,8] q(0.5, 0)
          %y = dense(%x, %w) : f32[1,4]
          output %y
        }",
    )
    .unwrap();
    let bytes = paring_format_tflite::write(&graph, &WriteOptions::default()).unwrap();
    // One byte says by what rows are quantized.
    let refused = |at: usize| {
        let mut bytes = bytes.clone();
        bytes[at] = 0;
        let source = Source { path: "hybrid.tflite".into(), bytes: bytes.into() };
        let error = read_source(&source, None).err().map(|e| e.to_string());
        error.filter(|e| e.contains("asymmetric_quantize_inputs"))
    };
    let found: Vec<String> =
        (0..bytes.len()).filter(|at| bytes[*at] == 1).filter_map(refused).collect();
    let [error] = found.as_slice() else { panic!("{found:?}") };
    assert!(error.contains('y') && error.contains("FULLY_CONNECTED"), "{error}");
}
