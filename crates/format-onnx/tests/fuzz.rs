//! Damaged and hostile files: an error, never a panic or a hang.
//!
//! Deterministic mutations of small models, for a bounded time: `PARING_FUZZ_SECONDS` (10 by default).

mod common;

use paring_format::{ReadOptions, Source};
use paring_tensor::Bytes;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// Models of our own writing, real and quantized, and files of the shared folder where it is there.
fn seeds() -> Vec<Vec<u8>> {
    let texts = [
        "graph @image {
           %x = input : f32[1,8,8,3]
           %w = const fill(seed=1) : f32[4,3,3,3]
           %b = const fill(seed=2) : f32[4]
           %c = conv2d(%x, %w, %b) { groups = 1, pad = \"same\", stride = [2, 2] } : f32[1,4,4,4]
           %r = unary(%c) { f = \"relu\" } : f32[1,4,4,4]
           %p = pool(%r) { kernel = [2, 2], kind = \"max\", pad = \"valid\", stride = [2, 2] } : f32[1,2,2,4]
           %f = reshape(%p) { shape = [1, 16] } : f32[1,16]
           %v = const fill(seed=3) : f32[5,16]
           %d = dense(%f, %v) : f32[1,5]
           %s = softmax(%d) { axis = 1, beta = 1.0 } : f32[1,5]
           output %s
         }",
        "graph @quantized {
           %x = input : f32[1,16]
           %q = quantize(%x) : i8[1,16] q(0.1, 3)
           %w = const fill(seed=3) : i8[5,16] q(0.02, 0)
           %d = dense(%q, %w) : i8[1,5] q(0.3, -4)
           %y = dequantize(%d) : f32[1,5]
           output %y
         }",
        "graph @moved {
           %x = input : f32[2,3,4]
           %t = transpose(%x) { perm = [2, 0, 1] } : f32[4,2,3]
           %s = slice(%t) { len = [2, 2, 3], start = [3, 0, 0], step = [-1, 1, 1] } : f32[2,2,3]
           %p = pad(%s) { mode = { constant = 0.5 }, pads = [[1, 0], [0, 0], [0, 2]] } : f32[3,2,5]
           %r = reduce(%p) { axes = [1], f = \"mean\", keep_dims = false } : f32[3,5]
           output %r
         }",
    ];
    let mut seeds: Vec<Vec<u8>> = texts
        .iter()
        .map(|t| {
            let graph = paring_ir::text::parse(t).expect("a seed graph");
            paring_format_onnx::write(&graph, &Default::default()).expect("a seed model")
        })
        .collect();
    if let Some(data) = common::data() {
        let mut found: Vec<_> = std::fs::read_dir(data.join("onnx-conformance/node"))
            .expect("cases")
            .map(|e| e.expect("an entry").path().join("model.onnx"))
            .collect();
        found.sort();
        seeds.extend(found.iter().step_by(7).filter_map(|p| std::fs::read(p).ok()));
    }
    seeds
}

fn mutate(rng: &mut Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = seeds[rng.below(seeds.len())].clone();
    for _ in 0..=rng.below(6) {
        if bytes.is_empty() {
            break;
        }
        let at = rng.below(bytes.len());
        match rng.below(8) {
            0 => bytes[at] ^= 1 << rng.below(8),
            1 => bytes[at] = rng.next() as u8,
            2 => bytes.truncate(at),
            3 => {
                bytes.remove(at);
            }
            4 => bytes.insert(at, rng.next() as u8),
            // A large number where a small one was.
            5 => {
                let end = (at + 5).min(bytes.len());
                bytes.splice(at..end, [0xFF, 0xFF, 0xFF, 0xFF, 0x07]);
            }
            // A part of another model.
            6 => {
                let other = &seeds[rng.below(seeds.len())];
                let from = rng.below(other.len());
                let len = rng.below(64).min(other.len() - from);
                let end = (at + rng.below(len + 1)).min(bytes.len());
                bytes.splice(at..end, other[from..from + len].iter().copied());
            }
            // A part once more.
            _ => {
                let len = rng.below(48).min(bytes.len() - at);
                let again = bytes[at..at + len].to_vec();
                bytes.splice(at..at, again);
            }
        }
    }
    bytes
}

fn read(bytes: Vec<u8>) -> Result<paring_ir::Graph, paring_format::FormatError> {
    let executor = common::executor();
    let dimensions = BTreeMap::new();
    let options = ReadOptions {
        dimensions: &dimensions,
        default_dimension: 1,
        executor: Some(&*executor),
        values: &[],
    };
    let source = Source { path: "fuzz.onnx".into(), bytes: Bytes::from(bytes) };
    paring_format_onnx::read(&source, &options)
}

#[test]
fn damaged_files_are_errors() {
    let seconds = std::env::var("PARING_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    let limit = Duration::from_secs(seconds.unwrap_or(10));
    let seeds = seeds();
    for seed in &seeds[..3] {
        let graph = read(seed.clone()).expect("an undamaged seed");
        graph.verified().expect("a seed without faults");
    }
    let start = Instant::now();
    let (mut rng, mut runs, mut read_ok) = (Rng(11), 0, 0);
    let mut slowest = Duration::ZERO;
    while start.elapsed() < limit {
        let bytes = mutate(&mut rng, &seeds);
        let began = Instant::now();
        if let Ok(graph) = read(bytes) {
            read_ok += 1;
            // A graph that is read holds together.
            graph.verified().expect("a graph without faults");
        }
        slowest = slowest.max(began.elapsed());
        runs += 1;
    }
    println!("{runs} files, {read_ok} still read, the slowest took {slowest:?}");
    assert!(slowest < Duration::from_secs(60), "a file took {slowest:?}");
}

fn fails(bytes: Vec<u8>, why: &str) {
    match read(bytes) {
        Err(e) => assert!(e.to_string().contains(why), "`{e}` does not say `{why}`"),
        Ok(graph) => panic!("read as {graph}"),
    }
}

#[test]
fn files_that_are_no_models_are_told_apart() {
    fails(Vec::new(), "has no graph");
    fails(b"not a model at all".to_vec(), "is not an ONNX model");
    let model = seeds().swap_remove(0);
    for cut in [1, model.len() / 3, model.len() / 2, model.len() - 1] {
        assert!(read(model[..cut].to_vec()).is_err(), "cut at {cut}");
    }
    let missing = Source::open(Path::new("/nowhere/model.onnx"));
    assert!(missing.is_err());
}
