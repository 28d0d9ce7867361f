//! The readers, their files, and how much memory they may take.

use crate::Target;
use crate::Verdict::{self, Accepted, Broken, Refused};
use paring_backend::ExecOptions;
use paring_data::npy::{Npz, NpzWriter, write_npy};
use paring_format::{FormatError, ReadOptions, Source, weights};
use paring_ir::{Graph, text};
use paring_tensor::{Bytes, Tensor};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const MIB: usize = 1 << 20;

/// Every reader.
pub const ALL: &[Target] = &[
    // Constants that the file computes (`ConstantOfShape`, `Range`, `Tile`) may take a gibibyte in all.
    Target {
        name: "onnx",
        multiple: 256,
        floor: 1100 * MIB,
        seeds: onnx,
        read: |bytes| graph("fuzz.onnx", bytes, paring_format_onnx::read),
    },
    Target {
        name: "tflite",
        multiple: 64,
        floor: 4 * MIB,
        seeds: tflite,
        read: |bytes| graph("fuzz.tflite", bytes, paring_format_tflite::read),
    },
    // Compressed weights may be 32 times the file, and a constant is a second copy of what is read.
    Target {
        name: "keras-h5",
        multiple: 64,
        floor: 4 * MIB,
        seeds: || files("../../crates/format-keras/tests/data", "h5", 110_000),
        read: |bytes| graph("fuzz.h5", bytes, paring_format_keras::read),
    },
    Target {
        name: "keras-archive",
        multiple: 64,
        floor: 4 * MIB,
        seeds: || files("../../crates/format-keras/tests/data/keras3", "keras", 200_000),
        read: |bytes| graph("fuzz.keras", bytes, paring_format_keras::read),
    },
    Target {
        name: "keras-json",
        multiple: 64,
        floor: 4 * MIB,
        seeds: || files("../../crates/format-keras/tests/data/beside", "json", 100_000),
        read: |bytes| {
            let path = here("../../crates/format-keras/tests/data/beside/two.json");
            graph(&path.to_string_lossy(), bytes, paring_format_keras::read)
        },
    },
    Target {
        name: "caffe-prototxt",
        multiple: 256,
        floor: 2 * MIB,
        seeds: || vec![PROTOTXT.as_bytes().to_vec(), OLDEST.as_bytes().to_vec()],
        read: |bytes| caffe(bytes, caffemodel()),
    },
    Target {
        name: "caffe-caffemodel",
        multiple: 64,
        floor: 2 * MIB,
        seeds: || vec![caffemodel()],
        read: |bytes| caffe(PROTOTXT.into(), bytes),
    },
    Target {
        name: "caffe-hdf5",
        multiple: 64,
        floor: 4 * MIB,
        seeds: || files("../../crates/format-caffe/tests/data", "caffemodel.h5", 100_000),
        read: |bytes| caffe(PROTOTXT.into(), bytes),
    },
    // Coded weights stand for up to as many as `paring_format_paring` says, and 64 MiB.
    Target {
        name: "paring",
        multiple: 1200,
        floor: 68 * MIB,
        seeds: || {
            let mappable = paring_format_paring::Storage { mappable: true };
            let both = |g: &Graph| {
                [paring_format_paring::encode(g), paring_format_paring::encode_with(g, mappable)]
            };
            graphs().iter().flat_map(both).collect()
        },
        read: |bytes| {
            let decode =
                |s: &Source, _: &ReadOptions<'_>| paring_format_paring::decode(&s.bytes, &s.path);
            graph("fuzz.paring", bytes, decode)
        },
    },
    Target {
        name: "text",
        multiple: 256,
        floor: 2 * MIB,
        seeds: || texts().iter().map(|t| t.as_bytes().to_vec()).collect(),
        read: |bytes| {
            let text = match String::from_utf8(bytes) {
                Ok(text) => text,
                Err(error) => return Refused(error.to_string()),
            };
            match text::parse_limited(&text, &text::no_blobs, text.len() * 64 + MIB) {
                Ok(parsed) => {
                    let _ = parsed.graph.verified();
                    Accepted
                }
                Err(error) if error.why.is_empty() => Broken("no reason is given".to_owned()),
                Err(error) => Refused(error.to_string()),
            }
        },
    },
    Target {
        name: "safetensors",
        multiple: 64,
        floor: MIB,
        seeds: || vec![safetensors()],
        read: |bytes| {
            let source = Source { path: "fuzz.safetensors".into(), bytes: bytes.into() };
            let tensors = match weights::read_safetensors(&source) {
                Ok(tensors) => tensors,
                Err(error) => return refused(&error),
            };
            let mut graph = graphs().swap_remove(0);
            let _ = weights::apply(&mut graph, &tensors);
            Accepted
        },
    },
    // A deflated byte stands for up to 1032.
    Target {
        name: "npz",
        multiple: 1100,
        floor: MIB,
        seeds: npz,
        read: |bytes| {
            let read = || {
                let archive = Npz::from_bytes(bytes.into(), Path::new("fuzz.npz"))?;
                archive.names().iter().try_for_each(|name| archive.get(name).map(drop))
            };
            match read() {
                Ok(()) => Accepted,
                Err(error) => Refused(error.to_string()),
            }
        },
    },
    Target {
        name: "npy",
        multiple: 16,
        floor: MIB,
        seeds: || {
            let tensor = numbers(&[3, 4]);
            [tensor.clone(), tensor.cast(paring_tensor::DType::I16)].iter().map(npy).collect()
        },
        read: |bytes| match paring_data::npy::decode(bytes.into(), Path::new("fuzz.npy")) {
            Ok(_) => Accepted,
            Err(error) => Refused(error.to_string()),
        },
    },
];

/// The target of a name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Target> {
    ALL.iter().find(|t| t.name == name)
}

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Files of a folder and of those in it, with this ending, that are not too large.
fn files(folder: &str, ending: &str, largest: u64) -> Vec<Vec<u8>> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() { walk(&path, found) } else { found.push(path) }
        }
    }
    let mut paths = Vec::new();
    walk(&here(folder), &mut paths);
    paths.retain(|p| {
        let name = p.to_string_lossy();
        // What no reader accepts is no seed; weights alone are read with their other file.
        name.ends_with(&format!(".{ending}"))
            && !name.ends_with("refused.h5")
            && !name.contains("weights.h5")
            && p.metadata().is_ok_and(|m| m.len() <= largest)
    });
    paths.sort();
    paths.iter().filter_map(|p| std::fs::read(p).ok()).collect()
}

/// What an error must say.
fn refused(error: &FormatError) -> Verdict {
    match error {
        FormatError::Malformed { place, why, .. } if place.is_empty() || why.is_empty() => {
            Broken(format!("an error without a place or a reason: {error}"))
        }
        FormatError::Unsupported { refused, .. } if refused.is_empty() => {
            Broken("nothing is refused by name".to_owned())
        }
        FormatError::Malformed { .. }
        | FormatError::Unsupported { .. }
        | FormatError::Graph { .. }
        | FormatError::Faulty { .. } => Refused(error.to_string()),
        other => Broken(format!("an error of another kind: {other}")),
    }
}

fn graph(
    path: &str,
    bytes: Vec<u8>,
    read: impl Fn(&Source, &ReadOptions<'_>) -> Result<Graph, FormatError>,
) -> Verdict {
    let source = Source { path: path.into(), bytes: bytes.into() };
    let executor = paring_bundle::executor(paring_bundle::REFERENCE, ExecOptions::default()).ok();
    let options = ReadOptions { executor: executor.as_deref(), ..Default::default() };
    match read(&source, &options) {
        Ok(graph) => {
            // What is left wrong is found by verification, which must cope too.
            let _ = graph.verified();
            Accepted
        }
        Err(error) => refused(&error),
    }
}

fn caffe(text: Vec<u8>, weights: Vec<u8>) -> Verdict {
    let weights = Source { path: "fuzz.caffemodel".into(), bytes: weights.into() };
    let read = |text: &Source, options: &ReadOptions<'_>| {
        paring_format_caffe::read_parts(text, &weights, options)
    };
    graph("fuzz.prototxt", text, read)
}

/// Networks of our own, real and quantized.
fn texts() -> [&'static str; 4] {
    [
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
        "#q0 = q(axis=0, [0.5, 0.25])

         graph @stored {
           %x = input : f32[1,4] external [1, 0]
           %g = const fill(seed=3) : f32[50,4]
           %p = const palette(book = [-1, 0, 1] : i8[3], codes = [2, 1, 0, 1, 2, 0, 1, 2]) : i8[2,4] #q0
           %s = const sparse(block = [1, 20], fill = 0, mask = [5], values = fill(seed=4) : i8[40]) : i8[4,20]
           %z = const splat(0.5) : f32[300]
           %y = dense(%x, %g) : f32[1,50] in [-1.0, 2.5]
           output %y as \"scores\"
           output %p
           output %s
           output %z
         }",
    ]
}

fn graphs() -> Vec<Graph> {
    static GRAPHS: OnceLock<Vec<Graph>> = OnceLock::new();
    let parse = || texts().iter().filter_map(|t| text::parse(t).ok()).collect::<Vec<_>>();
    GRAPHS.get_or_init(parse).clone()
}

/// The shared data folder, if it is there.
fn shared(path: &str) -> Option<PathBuf> {
    Some(paring_shared::folder().join(path)).filter(|p| p.exists())
}

fn onnx() -> Vec<Vec<u8>> {
    let written = graphs();
    let mut seeds: Vec<Vec<u8>> = written[..3]
        .iter()
        .filter_map(|g| paring_format_onnx::write(g, &Default::default()).ok())
        .collect();
    if let Some(cases) = shared("onnx-conformance/node") {
        let mut found: Vec<_> = std::fs::read_dir(cases)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path().join("model.onnx"))
            .collect();
        found.sort();
        let some = found.iter().step_by(7).filter_map(|p| std::fs::read(p).ok());
        // Some need the values of their inputs.
        seeds.extend(some.filter(|b| {
            matches!(graph("seed.onnx", b.clone(), paring_format_onnx::read), Accepted)
        }));
    }
    seeds
}

fn tflite() -> Vec<Vec<u8>> {
    let written = graphs();
    let mut seeds: Vec<Vec<u8>> = written[..3]
        .iter()
        .filter_map(|g| paring_format_tflite::write(g, &Default::default()).ok())
        .collect();
    if let Some(models) = shared("models/tflite") {
        let mut found: Vec<_> = std::fs::read_dir(models)
            .into_iter()
            .flatten()
            .flatten()
            .map(|e| e.path())
            .filter(|p| p.metadata().is_ok_and(|m| m.len() < 120_000))
            .collect();
        found.sort();
        seeds.extend(found.iter().filter_map(|p| std::fs::read(p).ok()));
    }
    seeds
}

fn numbers(shape: &[usize]) -> Tensor {
    let n = shape.iter().product::<usize>();
    let all: Vec<f32> = (0..n).map(|i| i as f32 * 0.25 - 1.0).collect();
    Tensor::from_vec(shape, all).unwrap_or_else(|e| panic!("{e}"))
}

fn safetensors() -> Vec<u8> {
    let header = r#"{"__metadata__":{"format":"pt"},
        "w":{"dtype":"F32","shape":[4,3,3,3],"data_offsets":[0,432]},
        "b":{"dtype":"F16","shape":[4],"data_offsets":[432,440]},
        "other":{"dtype":"I64","shape":[2],"data_offsets":[440,456]}}"#;
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.extend_from_slice(numbers(&[114]).bytes());
    bytes
}

fn npz() -> Vec<Vec<u8>> {
    let (w, b) = (numbers(&[4, 3, 3, 3]), numbers(&[4]));
    let one = |compressed| {
        let file = tempfile::NamedTempFile::new().ok()?;
        let mut npz = NpzWriter::new(file.path(), compressed);
        npz.add("w", &w).and_then(|()| npz.add("b", &b)).ok()?;
        npz.finish().ok()?;
        std::fs::read(file.path()).ok()
    };
    [false, true].into_iter().filter_map(one).collect()
}

fn npy(tensor: &Tensor) -> Vec<u8> {
    let Ok(file) = tempfile::NamedTempFile::new() else { return Vec::new() };
    let _ = write_npy(file.path(), tensor);
    std::fs::read(file.path()).unwrap_or_default()
}

const PROTOTXT: &str = r#"name: "small"
    layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 6 dim: 5 } } }
    layer { name: "c" type: "Convolution" bottom: "data" top: "c"
            convolution_param { num_output: 4 kernel_size: 3 pad: 1 stride: 2 group: 2 } }
    layer { name: "bn" type: "BatchNorm" bottom: "c" top: "c" batch_norm_param { eps: 1e-5 } }
    layer { name: "s" type: "Scale" bottom: "c" top: "c" scale_param { bias_term: true } }
    layer { name: "r" type: "ReLU" bottom: "c" top: "c" relu_param { negative_slope: 0.1 } }
    layer { name: "n" type: "LRN" bottom: "c" top: "n" lrn_param { local_size: 3 alpha: 1e-4 } }
    layer { name: "p" type: "Pooling" bottom: "n" top: "p"
            pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
    layer { name: "d" type: "Deconvolution" bottom: "p" top: "d"
            convolution_param { num_output: 2 kernel_size: 2 stride: 2 bias_term: false } }
    layer { name: "o" type: "Crop" bottom: "d" bottom: "p" top: "o" crop_param { axis: 2 offset: 1 } }
    layer { name: "l" type: "Slice" bottom: "o" top: "l0" top: "l1" slice_param { axis: 1 slice_point: 1 } }
    layer { name: "e" type: "Eltwise" bottom: "l0" bottom: "l1" top: "e"
            eltwise_param { operation: SUM coeff: 1 coeff: -0.5 } }
    layer { name: "h" type: "Reshape" bottom: "e" top: "h" reshape_param { shape { dim: 0 dim: -1 } } }
    layer { name: "t" type: "Concat" bottom: "h" bottom: "h" top: "t" }
    layer { name: "f" type: "InnerProduct" bottom: "t" top: "f" inner_product_param { num_output: 3 } }
    layer { name: "prob" type: "Softmax" bottom: "f" top: "prob" }
    layer { name: "i" type: "Interp" bottom: "d" top: "i" interp_param { zoom_factor: 2 } }
    layer { name: "m" type: "ArgMax" bottom: "prob" top: "m" argmax_param { axis: 1 } }
"#;

const OLDEST: &str = r#"name: "old" input: "data" input_dim: 1 input_dim: 2 input_dim: 6 input_dim: 5
    layers { layer { name: "pad" type: "padding" pad: 1 } bottom: "data" top: "pad" }
    layers { layer { name: "c" type: "conv" num_output: 4 kernelsize: 3 stride: 2 group: 2 }
             bottom: "pad" top: "c" }
    layers { layer { name: "r" type: "relu" } bottom: "c" top: "c" }
    layers { name: "p" type: POOLING bottom: "c" top: "p" pooling_param { kernel_size: 2 } }
"#;

/// The weights of both descriptions, in protocol buffers.
fn caffemodel() -> Vec<u8> {
    fn varint(mut n: u64) -> Vec<u8> {
        let mut out = Vec::new();
        while n >= 128 {
            out.push(n as u8 | 128);
            n >>= 7;
        }
        out.push(n as u8);
        out
    }
    fn field(number: u64, contents: &[u8]) -> Vec<u8> {
        [varint(number << 3 | 2), varint(contents.len() as u64), contents.to_vec()].concat()
    }
    let layers: &[(&str, &[&[usize]])] = &[
        ("c", &[&[4, 1, 3, 3], &[4]]),
        ("bn", &[&[4], &[4], &[1]]),
        ("s", &[&[4], &[4]]),
        ("d", &[&[4, 2, 2, 2]]),
        ("f", &[&[3, 8], &[3]]),
    ];
    let layer = |(name, shapes): &(&str, &[&[usize]])| {
        let mut layer = field(1, name.as_bytes());
        for shape in *shapes {
            let dims: Vec<u8> = shape.iter().flat_map(|d| varint(*d as u64)).collect();
            let data: Bytes = numbers(shape).bytes().clone();
            layer.extend(field(7, &[field(5, &data), field(7, &field(1, &dims))].concat()));
        }
        field(100, &layer)
    };
    layers.iter().flat_map(layer).collect()
}
