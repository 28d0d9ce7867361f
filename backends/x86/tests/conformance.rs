//! Random networks against the reference interpreter, at every level: integers to the byte, real numbers
//! closely.

use paring_backend::{Backend, ExecOptions};
use paring_engine::Engine;
use paring_ir::ops::{Activation, Conv2d, Padding};
use paring_ir::{Graph, OpRef};
use paring_kernels::{Extents, Kernels};
use paring_opsuite::networks::short_weights;
use paring_opsuite::random::{Grower, Random, compare};
use paring_opsuite::sixteen;
use paring_qmath::Rounding;
use paring_tensor::{DType, Quant, Tensor, TensorType};
use paring_x86::{Level, X86, X86Kernels};
use std::sync::Arc;

fn check(int8: bool, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let grower = Grower::new(seed, int8);
        let layers = 1 + (seed % 7) as usize;
        let graph = grower.grow(layers);
        for rounding in [Rounding::Double, Rounding::Single] {
            let options = ExecOptions { rounding };
            let reference = paring_reference::Reference.executor(options).unwrap();
            for level in Level::ALL.into_iter().filter(|l| l.is_available()) {
                // Once as it is, and once with steps joined whatever their size, in short strips.
                let fallback = paring_reference::Reference.executor(options);
                let kernels = X86Kernels::new(level).near(1 + seed as usize % 4 * 2000);
                let joined = Engine::new("joined", Box::new(kernels), options, fallback);
                for tested in [X86.executor_at(level, options), joined] {
                    let result = compare(&graph, &mut Random(seed), &*reference, &tested, 2e-6);
                    if let Err(why) = result {
                        panic!("seed {seed}, {}, {rounding:?}: {why}\n{graph}", level.name());
                    }
                }
            }
        }
    }
}

#[test]
fn real_networks() {
    check(false, 0..250);
}

#[test]
fn integer_networks() {
    check(true, 1000..1250);
}

#[test]
fn networks_of_sixteen_bits() {
    let options = ExecOptions::default();
    let reference = paring_reference::Reference.executor(options).unwrap();
    for seed in 0..300 {
        let graph = sixteen::products(seed);
        for level in Level::ALL.into_iter().filter(|l| l.is_available()) {
            let kernels = X86Kernels::new(level).near(1 + seed as usize % 4 * 2000);
            let joined = Engine::new("joined", Box::new(kernels), options, None);
            for tested in [X86.executor_at(level, options), joined] {
                let result = compare(&graph, &mut Random(seed), &*reference, &tested, 0.0);
                if let Err(why) = result {
                    panic!("seed {seed}, {}: {why}\n{graph}", level.name());
                }
            }
        }
    }
}

/// Weights of four bits are kept as such where there are kernels.
#[test]
fn weights_of_few_values_stay_short() {
    let options = ExecOptions::default();
    let reference = paring_reference::Reference.executor(options).unwrap();
    let graph = short_weights(true);
    for level in Level::ALL.into_iter().filter(|l| l.is_available()) {
        let tested = X86.executor_at(level, options);
        let program = tested.program(graph.verified().unwrap()).unwrap();
        let bytes = program.to_package(X86Kernels::new(level).family()).len();
        // There are 157 thousand weights, and constants of 1602 channels.
        assert_eq!(bytes < 170_000, level != Level::Scalar, "{}: {bytes} bytes", level.name());
        let result = compare(&graph, &mut Random(5), &*reference, &tested, 0.0);
        assert_eq!(result, Ok(()), "{}", level.name());
    }
}

/// Pointwise and depthwise convolutions one after another: what is joined over rows.
fn bottleneck(r: &mut Random, int8: bool) -> Graph {
    let mut graph = Graph::new("bottleneck");
    let form = |shape: &[usize]| match int8 {
        true => TensorType::new(DType::I8, shape).with_quant(Quant::per_tensor(0.05, 3)),
        false => TensorType::new(DType::F32, shape),
    };
    let mut c = r.of(&[3, 8, 20, 33]);
    let mut x = graph.add_input("x", form(&[1, r.below(20) + 1, r.below(20) + 1, c])).unwrap();
    for i in 0..2 + r.below(4) {
        let depthwise = r.below(2) == 0;
        let (filters, k) =
            if depthwise { (c, r.of(&[1, 2, 3, 3, 5, 7])) } else { (r.of(&[5, 16, 40, 70]), 1) };
        let stride = if depthwise { r.of(&[1, 1, 2, 3]) } else { 1 };
        let pad = r.of(&[Padding::SAME, Padding::SAME, Padding::Explicit([k / 2, 0, k, k / 2])]);
        let shape = [filters, k, k, if depthwise { 1 } else { c }];
        let n = shape.iter().product();
        let w = match int8 {
            true => Tensor::from_vec(shape, r.bytes(n)),
            false => Tensor::from_vec(shape, r.reals(n)),
        };
        let quant = int8.then(|| Quant::symmetric(0, vec![0.002; filters]));
        let w = graph.add_const(format!("w{i}"), w.unwrap(), quant).unwrap();
        let op: OpRef = Arc::new(Conv2d {
            stride: [stride; 2],
            pad: if depthwise { pad } else { Padding::SAME },
            dilation: [1, 1],
            groups: if depthwise { c } else { 1 },
            activation: Activation::Relu6,
        });
        let Ok(out) = op.infer(&[graph.ty(x), graph.ty(w)]) else { break };
        let out = out[0].shape.fixed().unwrap();
        if out.iter().product::<usize>() == 0 {
            break;
        }
        let outputs = vec![(format!("y{i}"), form(&out))];
        x = graph.add_typed_node(format!("y{i}"), &op, &[x, w], outputs).unwrap()[0];
        c = filters;
    }
    graph.add_output("y", x);
    graph
}

#[test]
fn joined_steps() {
    let options = ExecOptions::default();
    for seed in 0..400 {
        let graph = bottleneck(&mut Random(seed), seed % 2 == 1);
        for level in Level::ALL.into_iter().filter(|l| l.is_available()) {
            let kernels = X86Kernels::new(level).near(1 + seed as usize % 7 * 1000);
            let joined = Engine::new("joined", Box::new(kernels), options, None);
            let reference = paring_reference::Reference.executor(options).unwrap();
            for threads in [1, 3] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let result =
                    pool.install(|| compare(&graph, &mut Random(seed), &*reference, &joined, 2e-6));
                if let Err(why) = result {
                    panic!("seed {seed}, {}: {why}\n{graph}", level.name());
                }
            }
        }
    }
}

/// A convolution of single pixels with most weights zero, and its extents.
fn pruned(r: &mut Random, int8: bool) -> (Graph, Extents) {
    let mut graph = Graph::new("pruned");
    let form = |shape: &[usize]| match int8 {
        true => TensorType::new(DType::I8, shape).with_quant(Quant::per_tensor(0.05, 3)),
        false => TensorType::new(DType::F32, shape),
    };
    let (h, w) = (r.below(8) + 7, 9);
    // Dense products of bytes are the faster ones where there are fewer weights.
    let (c, filters) = match int8 {
        true => (r.of(&[301, 400]), r.of(&[209, 256])),
        false => (r.of(&[64, 130, 200]), r.of(&[33, 64, 96])),
    };
    let x = graph.add_input("x", form(&[1, h, w, c])).unwrap();
    let n = filters * c;
    let kept: Vec<bool> = (0..n).map(|_| r.below(12) == 0).collect();
    let shape = [filters, 1, 1, c];
    let weights = match int8 {
        true => {
            let kept = r.bytes(n).into_iter().zip(&kept).map(|(w, k)| if *k { w } else { 0 });
            Tensor::from_vec(shape, kept.collect::<Vec<i8>>())
        }
        false => {
            let kept = r.reals(n).into_iter().zip(&kept).map(|(w, k)| if *k { w } else { 0.0 });
            Tensor::from_vec(shape, kept.collect::<Vec<f32>>())
        }
    };
    let quant = int8.then(|| Quant::symmetric(0, vec![0.002; filters]));
    let weights = graph.add_const("w", weights.unwrap(), quant).unwrap();
    let activation = r.of(&[Activation::None, Activation::Relu6]);
    let op: OpRef = Arc::new(Conv2d {
        stride: [1; 2],
        pad: Padding::SAME,
        dilation: [1, 1],
        groups: 1,
        activation,
    });
    let outputs = vec![("y".to_owned(), form(&[1, h, w, filters]))];
    let y = graph.add_typed_node("y", &op, &[x, weights], outputs).unwrap()[0];
    graph.add_output("y", y);
    let weights = kept.into_iter().filter(|k| *k).count();
    (graph, Extents { rows: h * w, depth: c, channels: filters, weights })
}

#[test]
fn sparse_products() {
    let options = ExecOptions::default();
    let reference = paring_reference::Reference.executor(options).unwrap();
    let mut served = [0; 2];
    for seed in 0..40 {
        let int8 = seed % 2 == 1;
        let (graph, extents) = pruned(&mut Random(seed), int8);
        for level in Level::ALL.into_iter().filter(|l| l.is_available()) {
            let kernels = X86Kernels::new(level);
            served[usize::from(int8)] += usize::from(match int8 {
                true => kernels.i8_sparse_pays(&extents),
                false => kernels.f32_sparse_pays(&extents),
            });
            let tested = X86.executor_at(level, options);
            if let Err(why) = compare(&graph, &mut Random(seed), &*reference, &tested, 2e-6) {
                panic!("seed {seed}, {}: {why}\n{graph}", level.name());
            }
        }
    }
    let least = match Level::detect() {
        Level::Scalar => [0, 0],
        Level::Avx2 => [10, 10],
        Level::Avx512 => [20, 20],
    };
    assert!(served[0] >= least[0] && served[1] >= least[1], "sparse kernels served {served:?}");
}
