//! Networks of the size of MobileNetV2 are read without a second copy of their weights: those whose
//! order changes are copied one at a time, the others stay where they lie in the file.

use hdf5_pure::{AttrValue, FileBuilder};
use paring_format::{FormatError, ReadOptions, Source};
use paring_fuzz::{Counting, memory};
use paring_ir::Graph;
use std::sync::Mutex;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static TURN: Mutex<()> = Mutex::new(());

/// Units of each layer; twelve layers have as many weights as MobileNetV2.
const UNITS: usize = 540;
const LAYERS: usize = 12;

fn numbers(n: usize) -> Vec<f32> {
    (0..n).map(|i| (i % 251) as f32 * 0.01).collect()
}

/// Reads a network and gives the most memory that took, beside its file.
fn measure(
    what: &str,
    bytes: Vec<u8>,
    read: impl Fn(&Source, &ReadOptions<'_>) -> Result<Graph, FormatError>,
) -> usize {
    let source = Source { path: "net".into(), bytes: bytes.into() };
    memory::begin();
    let start = Instant::now();
    let graph = read(&source, &ReadOptions::default()).unwrap_or_else(|e| panic!("{e}"));
    let (took, time) = (memory::peak(), start.elapsed());
    assert!(graph.nodes().count() >= LAYERS);
    println!("{what}: {} bytes of weights, {took} in use, {time:?}", weights());
    if !cfg!(debug_assertions) {
        assert!(time.as_secs_f64() < 0.2, "{what} takes {time:?}");
    }
    took
}

fn weights() -> usize {
    4 * LAYERS * UNITS * (UNITS + 1)
}

#[test]
fn keras() {
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let layer = |i: usize| {
        let shape =
            if i == 0 { format!(r#","batch_input_shape":[null,{UNITS}]"#) } else { String::new() };
        format!(
            r#"{{"class_name":"Dense","config":{{"name":"d{i}","units":{UNITS},"use_bias":true,"activation":"relu"{shape}}}}}"#
        )
    };
    let layers: Vec<String> = (0..LAYERS).map(layer).collect();
    let config = format!(
        r#"{{"class_name":"Sequential","config":{{"name":"n","layers":[{}]}}}}"#,
        layers.join(",")
    );
    let mut file = FileBuilder::new();
    file.set_attr("model_config", AttrValue::String(config));
    file.set_attr("keras_version", AttrValue::String("2.15.0".into()));
    let (kernel, bias) = (numbers(UNITS * UNITS), numbers(UNITS));
    for i in 0..LAYERS {
        let mut group = file.create_group(&format!("d{i}"));
        let names = vec!["kernel:0".to_owned(), "bias:0".to_owned()];
        group.set_attr("weight_names", AttrValue::StringArray(names));
        let n = UNITS as u64;
        group.create_dataset("kernel:0").with_f32_data(&kernel).with_shape(&[n, n]);
        group.create_dataset("bias:0").with_f32_data(&bias).with_shape(&[n]);
        file.add_group(group.finish());
    }
    let bytes = file.finish().unwrap();
    let took = measure("keras", bytes, paring_format_keras::read);
    // Every kernel is turned: one copy of all, and one of the layer at work.
    assert!(took < weights() + weights() / 4, "{took} bytes for {}", weights());
}

#[test]
fn caffe() {
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let mut text =
        format!("input: 'x' input_dim: 1 input_dim: {UNITS} input_dim: 1 input_dim: 1\n");
    for i in 0..LAYERS {
        let bottom = if i == 0 { "x".to_owned() } else { format!("d{}", i - 1) };
        text += &format!(
            "layer {{ name: 'd{i}' type: 'InnerProduct' bottom: '{bottom}' top: 'd{i}'
              inner_product_param {{ num_output: {UNITS} }} }}\n"
        );
    }
    fn varint(mut n: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while n >= 128 {
            out.push(n as u8 | 128);
            n >>= 7;
        }
        out.push(n as u8);
        out
    }
    let field = |number: usize, contents: &[u8]| {
        [varint(number << 3 | 2), varint(contents.len()), contents.to_vec()].concat()
    };
    let blob = |shape: &[usize]| {
        let dims: Vec<u8> = shape.iter().flat_map(|d| varint(*d)).collect();
        let data: Vec<u8> =
            numbers(shape.iter().product()).iter().flat_map(|x| x.to_le_bytes()).collect();
        field(7, &[field(5, &data), field(7, &field(1, &dims))].concat())
    };
    let (kernel, bias) = (blob(&[UNITS, UNITS]), blob(&[UNITS]));
    let layer = |i| {
        let name = format!("d{i}");
        field(100, &[field(1, name.as_bytes()), kernel.clone(), bias.clone()].concat())
    };
    let model: Vec<u8> = (0..LAYERS).flat_map(layer).collect();
    let text = Source { path: "net.prototxt".into(), bytes: text.into_bytes().into() };
    let took = measure("caffe", model, |weights, options| {
        paring_format_caffe::read_parts(&text, weights, options)
    });
    // No weight needs another order.
    assert!(took < weights() / 20, "{took} bytes for {}", weights());
}
