//! The MLPerf Tiny networks, compiled and run on emulated cores: outputs equal TensorFlow Lite
//! Micro's on every byte, and what they take stays below its figures.

mod common;

use std::path::Path;

use common::{compile, data, read};
use paring_backend::requantize;
use paring_data::npy::Npz;
use paring_emulator::{Core, Report};
use paring_ir::Graph;
use paring_ir::ops::{Activation, Dense};
use paring_qmath::{Multiplier, Rounding};
use paring_tensor::{DType, Quant, Tensor, TensorType};

/// A tensor's bytes cut into samples.
fn samples(npz: &Npz, name: &str, count: usize) -> Vec<Vec<u8>> {
    let tensor = npz.get(name).unwrap_or_else(|e| panic!("{e}"));
    let bytes = tensor.bytes();
    let each = bytes.len() / tensor.shape()[0];
    bytes.chunks(each).take(count).map(<[u8]>::to_vec).collect()
}

/// Compiles a model for a core, runs it on the stored inputs and checks every output byte.
fn run(data: &Path, model: &str, core: Core, count: usize) -> Report {
    let graph = read(&data.join(format!("models/tflite/{model}.tflite")));
    let package = compile(&graph, core, &[]);
    let npz =
        Npz::open(&data.join(format!("expected/{model}.npz"))).unwrap_or_else(|e| panic!("{e}"));
    let inputs = samples(&npz, "input_0", count);
    let expected = samples(&npz, "output_tflm_0", count);
    let report = common::run(&package, core, expected[0].len(), &inputs);
    assert!(report.outputs == expected, "{model} on {core}: outputs differ");
    assert_eq!(package.sizes.ram_bytes as u64, report.ram_bytes, "{model} on {core}");
    report
}

const MODELS: [&str; 4] =
    ["ic_resnet8_int8", "kws_dscnn_int8", "vww_mnv1_int8", "ad_autoencoder_int8"];

#[test]
fn outputs_are_equal_on_every_core() {
    let Some(data) = data() else { return };
    for core in Core::ALL {
        for model in MODELS {
            run(&data, model, core, if core == Core::M4 { 16 } else { 2 });
        }
    }
}

#[test]
fn other_networks_are_equal_too() {
    let Some(data) = data() else { return };
    for model in ["sww_int8", "hello_world_int8", "micro_speech_int8", "conv_fc_mnist_int8"] {
        for core in [Core::M3, Core::M4, Core::M55] {
            run(&data, model, core, 4);
        }
    }
}

#[test]
fn the_m4_stays_below_its_bounds() {
    let Some(data) = data() else { return };
    // Instructions, RAM, flash. VWW's flash holds dead channels here.
    let bounds = [
        (12_600_000, 36_000, 88_000),
        (3_300_000, 12_000, 34_000),
        (9_800_000, 40_000, 240_000),
        (300_000, 800, 275_000),
    ];
    for (model, (instructions, ram, flash)) in MODELS.iter().zip(bounds) {
        let report = run(&data, model, Core::M4, 2);
        assert!(report.instructions <= instructions, "{model}: {}", report.instructions);
        assert!(report.ram_bytes <= ram, "{model}: {}", report.ram_bytes);
        assert!(report.flash_bytes <= flash, "{model}: {}", report.flash_bytes);
        assert!(report.stack_bytes <= 1024, "{model}: {}", report.stack_bytes);
    }
}

/// TFLite multiplies the scales of a dense layer in single precision where all weights share one. Sums at the edge between two
/// results tell that from a product in double precision.
#[test]
fn dense_layers_with_one_scale_multiply_scales_in_single_precision() {
    const OUTPUTS: usize = 64;
    if !common::tools() {
        return;
    }
    let (x_scale, w_scale, y_scale) = (0.003_1_f32, 0.000_071_f32, 1.7_f32);
    let real = f64::from(x_scale) * f64::from(w_scale) / f64::from(y_scale);
    let bias: Vec<i32> = (0..OUTPUTS)
        .map(|i| ((60.5 + (i / 16) as f64) / real) as i32 + 8 * (i as i32 % 16 - 8))
        .collect();
    let one = |scale| Some(Quant::per_tensor(scale, 0));
    let ty = |shape: &[usize], scale| TensorType {
        quant: one(scale),
        ..TensorType::new(DType::I8, shape)
    };
    let mut graph = Graph::new("dense");
    let x = graph.add_input("x", ty(&[1, 4], x_scale)).unwrap();
    let zeros = Tensor::from_vec([OUTPUTS, 4], vec![0_i8; 4 * OUTPUTS]).unwrap();
    let w = graph.add_const("w", zeros, one(w_scale)).unwrap();
    let constant = Tensor::from_vec([OUTPUTS], bias.clone()).unwrap();
    let b = graph.add_const("b", constant, one(x_scale * w_scale)).unwrap();
    let op = Dense { activation: Activation::None };
    let outputs = vec![("y".into(), ty(&[1, OUTPUTS], y_scale))];
    let y = graph.add_typed_node("y", op, &[x, w, b], outputs).unwrap()[0];
    graph.add_output("y", y);
    let results = |make: fn(&_, &_, &_, usize) -> Result<Vec<Multiplier>, String>| -> Vec<u8> {
        let m = make(graph.ty(x), graph.ty(w), graph.ty(y), OUTPUTS).unwrap()[0];
        bias.iter().map(|b| m.apply(*b, Rounding::Double).clamp(-128, 127) as i8 as u8).collect()
    };
    let expected = results(requantize::dense_multipliers);
    assert_ne!(expected, results(requantize::channel_multipliers), "nothing tells them apart");
    for core in [Core::M3, Core::M4, Core::M55] {
        let package = compile(&graph, core, &[]);
        let report = common::run(&package, core, OUTPUTS, &[vec![7; 4]]);
        assert_eq!(report.outputs[0], expected, "{core}");
    }
}
