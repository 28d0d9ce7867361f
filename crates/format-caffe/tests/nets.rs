//! Networks of the shared data folder, and layers over weights made here.

use paring_backend::{Backend, ExecOptions};
use paring_data::npy::Npz;
use paring_format::{FormatError, ReadOptions, Source};
use paring_ir::Graph;
use paring_tensor::Tensor;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn data() -> Option<PathBuf> {
    let path = std::env::var_os("PARING_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data"),
        PathBuf::from,
    );
    if path.is_dir() {
        return Some(path);
    }
    println!("skipped: {} is not there (set PARING_DATA)", path.display());
    None
}

fn read(path: &Path, sizes: &[(&str, usize)]) -> Result<Graph, FormatError> {
    let dimensions: BTreeMap<String, usize> =
        sizes.iter().map(|(n, s)| ((*n).to_owned(), *s)).collect();
    let options =
        ReadOptions { dimensions: &dimensions, default_dimension: 1, executor: None, values: &[] };
    let graph = paring_format_caffe::read(&Source::open(path)?, &options)?;
    graph.verified().expect("a graph without faults");
    Ok(graph)
}

fn run(graph: &Graph, inputs: &[Tensor]) -> Vec<Tensor> {
    let executor =
        paring_reference::Reference.executor(ExecOptions::default()).expect("in process");
    let mut session = executor.prepare(graph.verified().expect("verified")).expect("runs");
    session.run(inputs).expect("outputs")
}

/// Compares an output, after `then`, with the expected one.
fn reproduces(model: &str, file: &str, output: &str, then: fn(Vec<f32>) -> Vec<f32>) {
    let Some(data) = data() else { return };
    let graph = read(&data.join("originals").join(file), &[]).expect("a network");
    let expected = Npz::open(&data.join(format!("expected/{model}.npz"))).expect("outputs");
    let (x, want) = (expected.get("input_0").expect("x"), expected.get("output_0").expect("y"));
    let n = x.shape()[0];
    let size = x.bytes().len() / n;
    let want = want.to_f32();
    for k in 0..n {
        let shape = graph.ty(graph.inputs()[0].value).shape.fixed().expect("numbers");
        let sample = Tensor::new(x.dtype(), shape, x.bytes().slice(k * size..(k + 1) * size));
        let at = graph.outputs().iter().position(|p| p.name == output).expect("the output");
        let y = then(run(&graph, &[sample.expect("a sample")])[at].to_f32());
        for (got, want) in y.iter().zip(&want[k * y.len()..]) {
            assert!((got - want).abs() <= 1e-4 * want.abs().max(1e-2), "{model}: {got}, {want}");
        }
    }
}

#[test]
fn lenet_from_either_file() {
    reproduces("lenet5", "lenet5.prototxt", "prob", |y| y);
    reproduces("lenet5", "caffe_lenet5_original.caffemodel", "prob", |y| y);
}

#[test]
fn lenet_300_100() {
    // Its `prob` layer reads `ip2` by mistake; the last layer's output is `ip3`.
    reproduces("lenet300100", "lenet300100.prototxt", "ip3", |y| {
        let sum: f32 = y.iter().map(|v| v.exp()).sum();
        y.iter().map(|v| v.exp() / sum).collect()
    });
}

#[test]
fn missing_weights_are_told() {
    let Some(data) = data() else { return };
    let error = read(&data.join("originals/SqueezeNet_deploy.prototxt"), &[]).unwrap_err();
    assert!(error.to_string().contains("also needs its .caffemodel file"), "{error}");
}

/// A field of protocol buffers that holds bytes.
fn field(number: u32, contents: &[u8]) -> Vec<u8> {
    let mut out = varint(u64::from(number << 3 | 2));
    out.extend(varint(contents.len() as u64));
    out.extend_from_slice(contents);
    out
}

fn varint(mut n: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while n >= 128 {
        out.push(n as u8 | 128);
        n >>= 7;
    }
    out.push(n as u8);
    out
}

/// Shape and numbers of a blob.
type Blob<'b> = (&'b [u64], &'b [f32]);

/// A caffemodel of layers with these blobs.
fn caffemodel(layers: &[(&str, &[Blob<'_>])]) -> Vec<u8> {
    layers
        .iter()
        .flat_map(|(name, blobs)| {
            let mut layer = field(1, name.as_bytes());
            for (shape, data) in *blobs {
                let dims: Vec<u8> = shape.iter().flat_map(|d| varint(*d)).collect();
                let data: Vec<u8> = data.iter().flat_map(|x| x.to_le_bytes()).collect();
                layer.extend(field(7, &[field(5, &data), field(7, &field(1, &dims))].concat()));
            }
            field(100, &layer)
        })
        .collect()
}

fn net(text: &str, weights: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("net.prototxt");
    std::fs::write(&path, text).expect("written");
    std::fs::write(path.with_extension("caffemodel"), weights).expect("written");
    (folder, path)
}

#[test]
fn layers_compute_what_caffe_defines() {
    let text = r#"
        name: "small"
        layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TRAIN } }
        layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST } }
        layer { name: "c" type: "Convolution" bottom: "data" top: "c"
                convolution_param { num_output: 2 kernel_size: 1 group: 2 } }
        layer { name: "r" type: "ReLU" bottom: "c" top: "c" relu_param { negative_slope: 0.5 } }
        layer { name: "p" type: "Pooling" bottom: "c" top: "p"
                pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
        layer { name: "bn" type: "BatchNorm" bottom: "p" top: "bn" batch_norm_param { eps: 0 } }
        layer { name: "s" type: "Scale" bottom: "bn" top: "s" scale_param { bias_term: true } }
        layer { name: "e" type: "Eltwise" bottom: "s" bottom: "p" top: "e"
                eltwise_param { operation: SUM coeff: 1 coeff: -1 } }
        layer { name: "f" type: "InnerProduct" bottom: "e" top: "f"
                inner_product_param { num_output: 1 bias_term: false } }
        layer { name: "loss" type: "EuclideanLoss" bottom: "f" bottom: "label" top: "loss" }
    "#;
    let weights = caffemodel(&[
        ("c", &[(&[2, 1, 1, 1], &[1.0, -2.0]), (&[2], &[0.0, 1.0])]),
        ("bn", &[(&[2], &[2.0, 4.0]), (&[2], &[8.0, 2.0]), (&[1], &[2.0])]),
        ("s", &[(&[2], &[3.0, 1.0]), (&[2], &[0.5, 0.0])]),
        ("f", &[(&[1, 8], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 10.0])]),
    ]);
    let (_folder, path) = net(text, &weights);
    let sizes = [("channels", 2), ("height", 3), ("width", 3)];
    let graph = read(&path, &sizes).expect("a network");
    let data: Vec<f32> = (0..18).map(|i| i as f32 - 4.0).collect();
    let x = Tensor::from_vec([1, 2, 3, 3], data.clone()).expect("an image");
    let y = run(&graph, &[x])[0].to_f32();
    // The same by hand: the last window of each row and column sees what is left of the image.
    let leak = |v: f32| if v > 0.0 { v } else { 0.5 * v };
    let conv = |c: usize, at: usize| match c {
        0 => leak(data[at]),
        _ => leak(-2.0 * data[9 + at] + 1.0),
    };
    let pool =
        |c: usize, at: &[usize]| at.iter().map(|i| conv(c, *i)).sum::<f32>() / at.len() as f32;
    let first = pool(0, &[0, 1, 3, 4]);
    let (second, last) = (pool(1, &[0, 1, 3, 4]), pool(1, &[8]));
    let norm = |c: usize, v: f32| match c {
        0 => (v - 1.0) / 2.0 * 3.0 + 0.5,
        _ => v - 2.0,
    };
    let want = norm(0, first) - first + norm(1, second) - second + 10.0 * (norm(1, last) - last);
    assert!((y[0] - want).abs() < 1e-4, "{} {want}", y[0]);
    let unsized_input = read(&path, &[]).unwrap_err();
    assert!(unsized_input.to_string().contains("channels, height and width"), "{unsized_input}");
}

#[test]
fn all_layers_without_a_form_are_named() {
    let text = r#"
        input: "data" input_dim: 1 input_dim: 1 input_dim: 4 input_dim: 4
        layer { name: "a" type: "SPP" bottom: "data" top: "a" }
        layer { name: "b" type: "LRN" bottom: "data" top: "b" lrn_param { norm_region: WITHIN_CHANNEL } }
        layer { name: "c" type: "ReLU" bottom: "a" top: "c" }
    "#;
    let (_folder, path) = net(text, &[]);
    let Err(FormatError::Unsupported { refused, .. }) = read(&path, &[]) else { panic!() };
    assert_eq!(refused.iter().map(|r| r.node.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn damaged_files_are_errors() {
    let good = r#"input: "x" input_dim: 1 input_dim: 1 input_dim: 4 input_dim: 4
        layer { name: "f" type: "InnerProduct" bottom: "x" top: "f" inner_product_param { num_output: 1 } }"#;
    let weights = caffemodel(&[("f", &[(&[1, 16], &[0.5; 16]), (&[1], &[1.0])])]);
    let (_folder, path) = net(good, &weights);
    read(&path, &[]).expect("a network");
    let mut state = 5_u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize
    };
    for _ in 0..1000 {
        let (mut text, mut blobs) = (good.as_bytes().to_vec(), weights.clone());
        for _ in 0..1 + next() % 3 {
            let target = if next() % 2 == 0 { &mut text } else { &mut blobs };
            let at = next() % target.len();
            match next() % 3 {
                0 => target[at] = next() as u8,
                1 => target.truncate(at.max(1)),
                _ => target.insert(at, next() as u8),
            }
        }
        std::fs::write(&path, &text).expect("written");
        std::fs::write(path.with_extension("caffemodel"), &blobs).expect("written");
        let _ = read(&path, &[]);
    }
}
