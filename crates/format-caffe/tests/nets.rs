//! Networks of the shared data folder, and layers over weights made here.

use paring_backend::{Backend, ExecOptions};
use paring_data::npy::Npz;
use paring_format::{FormatError, ReadOptions, Source};
use paring_ir::Graph;
use paring_shared::data;
use paring_tensor::Tensor;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn read(path: &Path, sizes: &[(&str, usize)]) -> Result<Graph, FormatError> {
    let dimensions: BTreeMap<String, usize> =
        sizes.iter().map(|(n, s)| ((*n).to_owned(), *s)).collect();
    let options = ReadOptions { dimensions: &dimensions, ..Default::default() };
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
fn cifar10_of_hdf5_weights_from_either_file() {
    let Some(data) = data() else { return };
    let sizes = [("channels", 3), ("height", 32), ("width", 32)];
    let expected = Npz::open(&data.join("expected/cifar10_m7.npz")).expect("outputs");
    let (x, want) = (expected.get("input_0").expect("x"), expected.get("output_0").expect("y"));
    let (size, want) = (x.bytes().len() / x.shape()[0], want.to_f32());
    for file in ["cifar10_m7_iter_300000.caffemodel.h5", "cifar10_m7_train_test.prototxt"] {
        let graph = read(&data.join("originals").join(file), &sizes).expect("a network");
        for k in 0..x.shape()[0] {
            let sample = x.bytes().slice(k * size..(k + 1) * size);
            let sample = Tensor::new(x.dtype(), [1, 3, 32, 32], sample).expect("a sample");
            let y = run(&graph, &[sample])[0].to_f32();
            for (got, want) in y.iter().zip(&want[k * y.len()..]) {
                assert!((got - want).abs() <= 1e-4 * want.abs().max(1e-2), "{got}, {want}");
            }
        }
    }
}

/// The description of SqueezeNet with the weights of the ONNX file that holds the same network.
#[test]
fn squeezenet() {
    let Some(data) = data() else { return };
    let onnx = Source::open(&data.join("models/onnx/squeezenet_v1.0_dc.onnx")).expect("a file");
    let onnx = paring_format_onnx::read(&onnx, &ReadOptions::default()).expect("a network");
    let text = std::fs::read_to_string(data.join("originals/SqueezeNet_deploy.prototxt"))
        .expect("a description");
    let mut layers = Vec::new();
    for name in text.lines().filter_map(|l| l.trim().strip_prefix("name: \"")) {
        let name = name.trim_end_matches('"');
        let constant = |end: &str| {
            let value = onnx.value_named(&format!("{}_{end}", name.replace('/', "_")))?;
            Some(value.constant()?.dense())
        };
        let (Some(w), Some(b)) = (constant("w"), constant("b")) else { continue };
        let w = w.transpose(&[0, 3, 1, 2]).expect("filters");
        layers.push((name.to_owned(), [w, b]));
    }
    assert_eq!(layers.len(), 26);
    let blobs: Vec<Vec<(Vec<u64>, Vec<f32>)>> = layers
        .iter()
        .map(|(_, tensors)| {
            let shape = |t: &Tensor| t.shape().iter().map(|n| *n as u64).collect();
            tensors.iter().map(|t| (shape(t), t.to_f32())).collect()
        })
        .collect();
    let lists: Vec<Vec<Blob<'_>>> = blobs
        .iter()
        .map(|l| l.iter().map(|(s, d)| (s.as_slice(), d.as_slice())).collect())
        .collect();
    let all: Vec<(&str, &[Blob<'_>])> =
        layers.iter().zip(&lists).map(|((n, _), l)| (n.as_str(), l.as_slice())).collect();
    let (_folder, path) = net(&text, &caffemodel(&all));
    let graph = read(&path, &[]).expect("a network");
    let expected = Npz::open(&data.join("expected/squeezenet_v1.0_dc.npz")).expect("outputs");
    let (x, want) = (expected.get("input_0").expect("x"), expected.get("output_0").expect("y"));
    let sample = x.bytes().slice(..x.bytes().len() / x.shape()[0]);
    let sample = Tensor::new(x.dtype(), [1, 3, 227, 227], sample).expect("a sample");
    // The description ends before the softmax.
    let y = run(&graph, &[sample])[0].to_f32();
    let top = y.iter().copied().fold(f32::MIN, f32::max);
    let sum: f32 = y.iter().map(|v| (v - top).exp()).sum();
    let y: Vec<f32> = y.iter().map(|v| (v - top).exp() / sum).collect();
    let largest = y.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    for (got, want) in y.iter().zip(want.to_f32()) {
        assert!((got - want).abs() <= 1e-4 * largest, "{got}, {want}");
    }
}

/// The classic network: grouped convolutions, normalization across channels, dropout.
#[test]
fn alexnet() {
    let conv = |name: &str, bottom: &str, outputs: usize, more: &str| {
        format!(
            r#"layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}"
                convolution_param {{ num_output: {outputs} {more} }} }}
               layer {{ name: "relu_{name}" type: "ReLU" bottom: "{name}" top: "{name}" }}"#
        )
    };
    let norm = |name: &str, bottom: &str| {
        format!(
            r#"layer {{ name: "{name}" type: "LRN" bottom: "{bottom}" top: "{name}"
                lrn_param {{ local_size: 5 alpha: 0.0001 beta: 0.75 }} }}"#
        )
    };
    let pool = |name: &str, bottom: &str| {
        format!(
            r#"layer {{ name: "{name}" type: "Pooling" bottom: "{bottom}" top: "{name}"
                pooling_param {{ pool: MAX kernel_size: 3 stride: 2 }} }}"#
        )
    };
    let full = |name: &str, bottom: &str, outputs: usize| {
        format!(
            r#"layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}"
                inner_product_param {{ num_output: {outputs} }} }}
               layer {{ name: "drop_{name}" type: "Dropout" bottom: "{name}" top: "{name}"
                dropout_param {{ dropout_ratio: 0.5 }} }}"#
        )
    };
    let text = [
        r#"name: "AlexNet" layer { name: "data" type: "Input" top: "data"
           input_param { shape: { dim: 10 dim: 3 dim: 227 dim: 227 } } }"#
            .to_owned(),
        conv("conv1", "data", 96, "kernel_size: 11 stride: 4"),
        norm("norm1", "conv1"),
        pool("pool1", "norm1"),
        conv("conv2", "pool1", 256, "pad: 2 kernel_size: 5 group: 2"),
        norm("norm2", "conv2"),
        pool("pool2", "norm2"),
        conv("conv3", "pool2", 384, "pad: 1 kernel_size: 3"),
        conv("conv4", "conv3", 384, "pad: 1 kernel_size: 3 group: 2"),
        conv("conv5", "conv4", 256, "pad: 1 kernel_size: 3 group: 2"),
        pool("pool5", "conv5"),
        full("fc6", "pool5", 8),
        full("fc8", "fc6", 5),
        r#"layer { name: "prob" type: "Softmax" bottom: "fc8" top: "prob" }"#.to_owned(),
    ]
    .join("\n");
    let sizes = [
        ("conv1", vec![96, 3, 11, 11]),
        ("conv2", vec![256, 48, 5, 5]),
        ("conv3", vec![384, 256, 3, 3]),
        ("conv4", vec![384, 192, 3, 3]),
        ("conv5", vec![256, 192, 3, 3]),
        ("fc6", vec![8, 256 * 6 * 6]),
        ("fc8", vec![5, 8]),
    ];
    let numbers: Vec<(Vec<f32>, Vec<f32>)> = sizes
        .iter()
        .map(|(_, shape)| {
            let n = shape.iter().product::<u64>() as usize;
            (vec![0.01; n], vec![0.5; shape[0] as usize])
        })
        .collect();
    let biases: Vec<[u64; 1]> = sizes.iter().map(|(_, s)| [s[0]]).collect();
    let lists: Vec<[Blob<'_>; 2]> = sizes
        .iter()
        .zip(&numbers)
        .zip(&biases)
        .map(|(((_, shape), (w, b)), one)| {
            [(shape.as_slice(), w.as_slice()), (one.as_slice(), b.as_slice())]
        })
        .collect();
    let all: Vec<(&str, &[Blob<'_>])> =
        sizes.iter().zip(&lists).map(|((n, _), l)| (*n, l.as_slice())).collect();
    let (_folder, path) = net(&text, &caffemodel(&all));
    let graph = read(&path, &[]).expect("a network");
    let shape = |name: &str| {
        let value = graph.value_named(name).unwrap_or_else(|| panic!("no {name}"));
        let mut shape = value.ty.shape.fixed().expect("numbers");
        shape.sort_unstable();
        shape
    };
    // Extents as the network's authors give them, whatever the order of the axes.
    assert_eq!(shape("conv1"), [1, 55, 55, 96]);
    assert_eq!(shape("pool1"), [1, 27, 27, 96]);
    assert_eq!(shape("pool2"), [1, 13, 13, 256]);
    assert_eq!(shape("pool5"), [1, 6, 6, 256]);
    assert_eq!(shape("prob"), [1, 5]);
    assert!(graph.node_named("drop_fc6").is_none());
}

/// Runs a network of inputs and layers without weights, or with these.
fn outputs(text: &str, weights: &[(&str, &[Blob<'_>])], inputs: &[Tensor]) -> Vec<Tensor> {
    let header: String = inputs
        .iter()
        .enumerate()
        .map(|(i, x)| {
            let dims: String = x.shape().iter().map(|d| format!("dim: {d} ")).collect();
            format!("layer {{ name: 'in{i}' type: 'Input' top: 'in{i}' input_param {{ shape {{ {dims} }} }} }}\n")
        })
        .collect();
    let (_folder, path) = net(&format!("{header}{text}"), &caffemodel(weights));
    let batch = inputs[0].shape()[0];
    run(&read(&path, &[("batch", batch)]).unwrap_or_else(|e| panic!("{e}")), inputs)
}

fn ramp(shape: &[usize]) -> Tensor {
    let n: usize = shape.iter().product();
    let numbers = (0..n).map(|i| ((i * 7 + 3) % 11) as f32 - 4.0).collect();
    Tensor::from_vec(shape, numbers).expect("a tensor")
}

fn near(got: &Tensor, want: &[f32]) {
    let got = got.to_f32();
    assert_eq!(got.len(), want.len(), "{got:?} {want:?}");
    for (a, b) in got.iter().zip(want) {
        assert!((a - b).abs() <= 1e-5 * b.abs().max(1.0), "{got:?} {want:?}");
    }
}

#[test]
fn layers_that_move_elements() {
    let x = ramp(&[1, 4, 3, 2]);
    let n = x.to_f32();
    let at = |c: usize, h: usize, w: usize| n[(c * 3 + h) * 2 + w];
    let y = outputs(
        "layer { name: 'p' type: 'Permute' bottom: 'in0' top: 'p' permute_param { order: 0 order: 2 order: 3 } }
         layer { name: 's' type: 'ShuffleChannel' bottom: 'in0' top: 's' shuffle_channel_param { group: 2 } }
         layer { name: 't' type: 'Tile' bottom: 'in0' top: 't' tile_param { axis: 3 tiles: 2 } }
         layer { name: 'm' type: 'ArgMax' bottom: 'in0' top: 'm' argmax_param { axis: 1 } }
         layer { name: 'k' type: 'ArgMax' bottom: 'in0' top: 'k' argmax_param { top_k: 2 out_max_val: true } }
         layer { name: 'r' type: 'Reduction' bottom: 'in0' top: 'r' reduction_param { operation: ASUM axis: 2 coeff: 0.5 } }
         layer { name: 'u' type: 'Upsample' bottom: 'in0' top: 'u' upsample_param { scale: 2 } }
         layer { name: 'i' type: 'Interp' bottom: 'in0' top: 'i' interp_param { height: 5 width: 3 } }",
        &[],
        std::slice::from_ref(&x),
    );
    assert_eq!(y[0].shape(), [1, 3, 2, 4]);
    let want: Vec<f32> = (0..24).map(|i| at(i % 4, i / 8, i / 4 % 2)).collect();
    near(&y[0], &want);
    let want: Vec<f32> = [0, 2, 1, 3].iter().flat_map(|c| n[c * 6..c * 6 + 6].to_vec()).collect();
    near(&y[1], &want);
    let want: Vec<f32> = n.chunks(2).flat_map(|r| [r[0], r[1], r[0], r[1]]).collect();
    near(&y[2], &want);
    let first = |i: usize| {
        let best = (0..4).fold(0, |b, c| if n[c * 6 + i] > n[b * 6 + i] { c } else { b });
        best as f32
    };
    near(&y[3], &(0..6).map(first).collect::<Vec<_>>());
    let mut order: Vec<usize> = (0..24).collect();
    order.sort_by(|a, b| n[*b].total_cmp(&n[*a]).then(a.cmp(b)));
    near(&y[4], &[order[0] as f32, order[1] as f32, n[order[0]], n[order[1]]]);
    let want: Vec<f32> =
        n.chunks(6).map(|c| c.iter().map(|v| v.abs()).sum::<f32>() * 0.5).collect();
    near(&y[5], &want);
    let want: Vec<f32> = (0..96).map(|i| at(i / 24, i / 4 % 6 / 2, i % 4 / 2)).collect();
    near(&y[6], &want);
    let between = |c: usize, h: usize, w: usize| {
        // Twice as many steps between corners along both axes.
        let (a, b) = (h / 2, h.div_ceil(2));
        let (l, r) = (w / 2, w.div_ceil(2));
        (at(c, a, l) + at(c, a, r) + at(c, b, l) + at(c, b, r)) / 4.0
    };
    let want: Vec<f32> = (0..60).map(|i| between(i / 15, i / 3 % 5, i % 3)).collect();
    near(&y[7], &want);
}

#[test]
fn layers_of_each_element_and_norms() {
    let x = ramp(&[1, 2, 3, 3]);
    let (factor, offset) = ([2.0, -1.0], [0.5, 0.25]);
    let n = x.to_f32();
    let y = outputs(
        "layer { name: 'c' type: 'Clip' bottom: 'in0' top: 'c' clip_param { min: -1 max: 2.5 } }
         layer { name: 'w' type: 'Swish' bottom: 'in0' top: 'w' swish_param { beta: 0.5 } }
         layer { name: 't' type: 'Threshold' bottom: 'in0' top: 't' threshold_param { threshold: 1 } }
         layer { name: 'a' type: 'Axpy' bottom: 'in1' bottom: 'in0' bottom: 'in0' top: 'a' }
         layer { name: 'n' type: 'Normalize' bottom: 'in0' top: 'n' norm_param { across_spatial: false } }
         layer { name: 'b' type: 'BN' bottom: 'in0' top: 'b' bn_param { bn_mode: INFERENCE } }
         layer { name: 'l' type: 'LRN' bottom: 'in0' top: 'l' lrn_param { norm_region: WITHIN_CHANNEL local_size: 3 alpha: 2 beta: 0.5 } }
         layer { name: 'q' type: 'Silence' bottom: 'in2' }
         layer { name: 'e' type: 'ELU' bottom: 'in0' top: 'e' elu_param { alpha: 0.5 } }
         layer { name: 'v' type: 'Power' bottom: 'in0' top: 'v' power_param { power: 2 scale: 3 shift: -1 } }
         layer { name: 'o' type: 'Crop' bottom: 'in0' bottom: 'in3' top: 'o' crop_param { axis: 2 offset: 1 } }",
        &[
            ("n", &[(&[2], &factor)]),
            ("b", &[(&[1, 2, 1, 1], &factor), (&[1, 2, 1, 1], &offset)]),
        ],
        &[x, ramp(&[1, 2, 1, 1]), ramp(&[1, 1]), ramp(&[1, 2, 2, 2])],
    );
    let a = ramp(&[1, 2]).to_f32();
    let each = |f: &dyn Fn(usize, f32) -> f32| -> Vec<f32> {
        n.iter().enumerate().map(|(i, v)| f(i, *v)).collect()
    };
    near(&y[0], &each(&|_, v| v.clamp(-1.0, 2.5)));
    near(&y[1], &each(&|_, v| v / (1.0 + (-0.5 * v).exp())));
    near(&y[2], &each(&|_, v| f32::from(u8::from(v > 1.0))));
    near(&y[3], &each(&|i, v| a[i / 9] * v + v));
    let norm = |i: usize| (n[i % 9].powi(2) + n[9 + i % 9].powi(2) + 1e-10).sqrt();
    near(&y[4], &each(&|i, v| v / norm(i) * factor[i / 9]));
    near(&y[5], &each(&|i, v| v * factor[i / 9] + offset[i / 9]));
    let around = |i: usize| {
        let (c, h, w) = (i / 9, i / 3 % 3, i % 3);
        let mut sum = 0.0;
        for dh in h.saturating_sub(1)..(h + 2).min(3) {
            for dw in w.saturating_sub(1)..(w + 2).min(3) {
                sum += n[c * 9 + dh * 3 + dw].powi(2);
            }
        }
        sum / 9.0
    };
    near(&y[6], &each(&|i, v| v / (1.0 + 2.0 * around(i)).sqrt()));
    near(&y[7], &each(&|_, v| if v > 0.0 { v } else { 0.5 * (v.exp() - 1.0) }));
    near(&y[8], &each(&|_, v| (3.0 * v - 1.0).powi(2)));
    let want: Vec<f32> = (0..8).map(|i| n[i / 4 * 9 + (i / 2 % 2 + 1) * 3 + i % 2 + 1]).collect();
    near(&y[9], &want);
}

/// Windows are counted up where they do not divide the image, unless the last would begin in the
/// padding after it.
#[test]
fn pools_round_their_extents_up() {
    for (n, kernel, stride, pad, want) in
        [(6, 3, 2, 0, 3), (7, 3, 2, 1, 4), (4, 2, 2, 1, 3), (5, 2, 2, 1, 3), (3, 2, 2, 1, 2)]
    {
        let y = outputs(
            &format!(
                "layer {{ name: 'p' type: 'Pooling' bottom: 'in0' top: 'p'
                  pooling_param {{ pool: MAX kernel_size: {kernel} stride: {stride} pad: {pad} }} }}"
            ),
            &[],
            &[ramp(&[1, 1, n, n])],
        );
        assert_eq!(y[0].shape(), [1, 1, want, want], "{n} {kernel} {stride} {pad}");
    }
}

/// The oldest form of both files: parameters in the layers, padding as a layer.
#[test]
fn the_oldest_form() {
    let text = "
        name: 'old' input: 'data' input_dim: 1 input_dim: 1 input_dim: 3 input_dim: 3
        layers { layer { name: 'pad1' type: 'padding' pad: 1 } bottom: 'data' top: 'pad1' }
        layers { layer { name: 'c' type: 'conv' num_output: 1 kernelsize: 3 stride: 2 biasterm: true
                 weight_filler { type: 'gaussian' std: 0.01 } blobs_lr: 1. }
                 bottom: 'pad1' top: 'c' }
        layers { layer { name: 'r' type: 'relu' } bottom: 'c' top: 'c' }
        layers { layer { name: 'f' type: 'innerproduct' num_output: 1 biasterm: false }
                 bottom: 'c' top: 'f' }";
    let blob = |shape: [u64; 4], data: &[f32]| {
        let numbers: Vec<u8> = data.iter().flat_map(|x| x.to_le_bytes()).collect();
        let mut out = Vec::new();
        for (i, n) in shape.iter().enumerate() {
            out.extend(varint(((i as u64) + 1) << 3));
            out.extend(varint(*n));
        }
        out.extend(field(5, &numbers));
        field(50, &out)
    };
    let kernel = [0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0];
    let layer = |name: &str, blobs: Vec<u8>| {
        field(2, &field(1, &[field(1, name.as_bytes()), blobs].concat()))
    };
    let conv = [blob([1, 1, 3, 3], &kernel), blob([1, 1, 1, 1], &[-10.0])].concat();
    let full = blob([1, 1, 1, 4], &[1.0, 2.0, 3.0, 4.0]);
    let (_folder, path) = net(text, &[layer("c", conv), layer("f", full)].concat());
    let graph = read(&path, &[]).expect("a network");
    let numbers: Vec<f32> = (1..=9).map(|i| i as f32).collect();
    let x = Tensor::from_vec([1, 1, 3, 3], numbers).expect("an image");
    // Corners of a cross over the image: 7, 11, 19, 23 less 10.
    near(&run(&graph, &[x])[0], &[0.0 + 2.0 * 1.0 + 3.0 * 9.0 + 4.0 * 13.0]);
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
        layer { name: "b" type: "Pooling" bottom: "data" top: "b" pooling_param { pool: STOCHASTIC kernel_size: 2 } }
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
