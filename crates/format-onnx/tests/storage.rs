//! Pruned and clustered constants, which ONNX has no storage for, are written element by element.

mod common;

use common::{read_bytes, run};
use paring_format::WriteOptions;
use paring_ir::{Graph, text};
use paring_tensor::Tensor;

const NETWORK: &str = "graph @storages {
  %x = input : f32[1,16]
  %s = const sparse(block = [1, 1], fill = 0, mask = [1, 2, 4, 8, 16, 32, 64, 128], values = fill(seed=1) : f32[8]) : f32[4,16]
  %a = dense(%x, %s) : f32[1,4]
  %p = const palette(book = [-1.0, 0.25, 3.0] : f32[3], codes = [0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 2, 2, 2, 0, 0, 0, 1, 1, 1, 0, 1, 2, 2, 1, 0, 0]) : f32[2,16]
  %b = dense(%x, %p) : f32[1,2]
  %c = const sparse(block = [1, 1], fill = 0, mask = [129, 1, 0, 128], values = palette(book = [-0.5, 2.0] : f32[2], codes = [0, 1, 1, 0]) : f32[4]) : f32[2,16]
  %d = dense(%x, %c) : f32[1,2]
  output %a
  output %b
  output %d
}";

/// The elements of each constant of two axes or more, each constant's in ascending order: an operator may
/// want them transposed.
fn elements(graph: &Graph) -> Vec<Vec<u32>> {
    let constants = graph.values().filter_map(|v| v.constant()).filter(|c| c.shape().len() >= 2);
    let mut all: Vec<Vec<u32>> = constants
        .map(|c| {
            let mut bits: Vec<u32> = c.dense().to_f32().iter().map(|x| x.to_bits()).collect();
            bits.sort_unstable();
            bits
        })
        .collect();
    all.sort();
    all
}

#[test]
fn values_come_back_as_they_were() {
    let graph = text::parse(NETWORK).unwrap();
    let written = paring_format_onnx::write(&graph, &WriteOptions::default()).unwrap();
    let back = read_bytes(written, &[]).unwrap();
    assert_eq!(elements(&graph), elements(&back));
    let x: Vec<f32> = (0..16).map(|i| (i as f32 - 7.5) / 8.0).collect();
    let x = [Tensor::from_vec([1, 16], x).unwrap()];
    let bits = |graph: &Graph| -> Vec<Vec<u32>> {
        let outputs = run(graph, &x).unwrap();
        outputs.iter().map(|y| y.to_f32().iter().map(|v| v.to_bits()).collect()).collect()
    };
    assert_eq!(bits(&graph), bits(&back));
}
