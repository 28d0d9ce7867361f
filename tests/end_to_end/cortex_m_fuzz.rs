//! Random small networks with random quantization, on every Cortex-M target: what the emitted C
//! computes under the emulator equals the reference interpreter, byte for byte.
//!
//! One program holds many networks side by side, so that a target costs one compilation and one run a
//! batch. `PARING_FUZZ_BATCHES` says how many batches a target gets, `PARING_FUZZ_SEED` where they begin.

use paring_backend::{CompileOptions, backend_for};
use paring_emulator::{Build, Core, Entry, missing_packages};
use paring_ir::ops::{
    Activation, Binary, BinaryFn, Concat, Conv2d, Dense, Padding, Pool, PoolKind, Reduce, ReduceFn,
    Reshape, Slice, Softmax, Transpose, Unary,
};
use paring_ir::{Graph, Op, OpArg, ValueId};
use paring_tensor::{ConstData, DType, Palette, Quant, Sparse, Tensor, TensorType};

/// Networks in a program.
const NETWORKS: usize = 12;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to below `n`.
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    fn from(&mut self, low: usize, high: usize) -> usize {
        low + self.below(high - low + 1)
    }

    fn real(&mut self) -> f32 {
        (self.next() >> 40) as f32 / (1_u64 << 24) as f32
    }

    fn int8(&mut self) -> i8 {
        self.next() as i8
    }
}

struct Maker {
    graph: Graph,
    random: Random,
    names: usize,
}

impl Maker {
    fn name(&mut self) -> String {
        self.names += 1;
        format!("v{}", self.names)
    }

    fn quant(&mut self) -> Quant {
        let zero = match self.random.below(3) {
            0 => -128,
            1 => 0,
            _ => i32::from(self.random.int8()),
        };
        Quant::per_tensor(0.02 + 0.1 * self.random.real(), zero)
    }

    fn shape(&self, value: ValueId) -> Vec<usize> {
        self.graph.ty(value).shape.fixed().expect("fixed")
    }

    fn input(&mut self, shape: &[usize]) -> ValueId {
        let (name, quant) = (self.name(), self.quant());
        let ty = TensorType::new(DType::I8, shape.to_vec()).with_quant(quant);
        self.graph.add_input(name, ty).expect("an input")
    }

    /// Adds a node whose output has this quantization.
    fn node<T: Op + Clone + Into<OpArg>>(
        &mut self,
        op: T,
        inputs: &[ValueId],
        quant: Quant,
    ) -> ValueId {
        let types: Vec<_> = inputs.iter().map(|&v| self.graph.ty(v)).collect();
        let shape = op.infer(&types).unwrap_or_else(|e| panic!("{e}")).remove(0).shape;
        let name = self.name();
        let ty = TensorType { dtype: DType::I8, shape, quant: Some(quant) };
        let made = self.graph.add_typed_node(name.clone(), op, inputs, vec![(name, ty)]);
        made.unwrap_or_else(|e| panic!("{e}"))[0]
    }

    fn keep<T: Op + Clone + Into<OpArg>>(&mut self, op: T, inputs: &[ValueId]) -> ValueId {
        let quant = self.graph.ty(inputs[0]).quant.clone().expect("quantized");
        self.node(op, inputs, quant)
    }

    fn activation(&mut self) -> Activation {
        match self.random.below(4) {
            0 => Activation::Relu,
            1 => Activation::Relu6,
            _ => Activation::None,
        }
    }

    /// Weights in any storage, and the quantization of the result.
    fn weights(&mut self, shape: &[usize], x: ValueId, per_axis: bool) -> (Vec<ValueId>, Quant) {
        let count: usize = shape.iter().product();
        let per_output = count / shape[0];
        let mut values: Vec<i8> = (0..count).map(|_| self.random.int8().max(-127)).collect();
        let small = |values: &[i8]| -> Vec<i8> { values.iter().map(|w| w >> 4).collect() };
        let data = match self.random.below(6) {
            0 => {
                values = small(&values);
                let t = Tensor::from_vec(shape.to_vec(), values.clone()).expect("weights");
                ConstData::Dense(t.cast(DType::I4))
            }
            1 => {
                let book: Vec<i8> = (0..16).map(|_| self.random.int8().max(-127)).collect();
                let codes: Vec<u8> = values.iter().map(|w| *w as u8 & 15).collect();
                let book = Tensor::from_vec([16], book).expect("a book");
                ConstData::Palette(Palette::new(shape.to_vec(), codes.into(), book).expect("codes"))
            }
            2 if shape.len() == 4 => {
                for (at, w) in values.iter_mut().enumerate() {
                    let block = (at / per_output / 4 * 31 + at % per_output / 4 * 17) % 7;
                    if block > 1 {
                        *w = 0;
                    }
                }
                let t = Tensor::from_vec(shape.to_vec(), values.clone()).expect("weights");
                ConstData::Sparse(Sparse::from_dense(&t, &[4, 1, 1, 4], 0).expect("blocks"))
            }
            _ => {
                ConstData::Dense(Tensor::from_vec(shape.to_vec(), values.clone()).expect("weights"))
            }
        };
        let low_bits = data.dtype() == DType::I4;
        let scale = if low_bits { 0.08 } else { 0.005 };
        let quant = if per_axis {
            let scales = (0..shape[0]).map(|_| scale * (0.3 + self.random.real())).collect();
            Quant::symmetric(0, scales)
        } else {
            Quant::per_tensor(scale * (0.3 + self.random.real()), 0)
        };
        let x_scale =
            self.graph.ty(x).quant.as_ref().and_then(Quant::as_per_tensor).expect("one").0;
        let spread =
            (per_output as f32).sqrt() * x_scale * scale * if low_bits { 4.0 } else { 60.0 };
        let bias: Vec<i32> = (0..shape[0]).map(|_| self.random.below(4000) as i32 - 2000).collect();
        let (w_name, b_name) = (self.name(), self.name());
        let w = self.graph.add_const(w_name, data, Some(quant)).expect("weights");
        let bias = Tensor::from_vec([shape[0]], bias).expect("a bias");
        let b = self.graph.add_const(b_name, bias, None).expect("a bias");
        let zero = if self.random.below(2) == 0 { -128 } else { i32::from(self.random.int8()) };
        (vec![x, w, b], Quant::per_tensor((spread * (0.3 + self.random.real())).max(1e-4), zero))
    }

    /// One more layer after `x`.
    fn layer(&mut self, x: ValueId) -> ValueId {
        let shape = self.shape(x);
        let &[_, h, w, c] = shape.as_slice() else {
            let units = self.random.from(1, 20);
            let per_axis = self.random.below(2) == 0;
            if self.random.below(4) == 0 {
                return self.node(
                    Softmax { axis: 1, beta: 1.0, log: false },
                    &[x],
                    Quant::per_tensor(1.0 / 256.0, -128),
                );
            }
            let (inputs, quant) = self.weights(&[units, shape[1]], x, per_axis);
            let activation = self.activation();
            return self.node(Dense { activation }, &inputs, quant);
        };
        let kernel = [self.random.from(1, h.min(3)), self.random.from(1, w.min(3))];
        let stride = [self.random.from(1, 2), self.random.from(1, 2)];
        let pad = if self.random.below(2) == 0 { Padding::SAME } else { Padding::VALID };
        match self.random.below(14) {
            0..=3 => {
                let out = self.random.from(1, 16);
                let three = h >= 3 && w >= 3 && self.random.below(2) == 0;
                let kernel = if three { [3, 3] } else { kernel };
                let per_axis = self.random.below(3) > 0;
                let (inputs, quant) = self.weights(&[out, kernel[0], kernel[1], c], x, per_axis);
                let activation = self.activation();
                self.node(
                    Conv2d { stride, pad, dilation: [1, 1], groups: 1, activation },
                    &inputs,
                    quant,
                )
            }
            4..=6 if c > 1 => {
                let three = h >= 3 && w >= 3 && self.random.below(3) > 0;
                let kernel = if three { [3, 3] } else { kernel };
                let stride = [stride[0]; 2];
                let (inputs, quant) = self.weights(&[c, kernel[0], kernel[1], 1], x, true);
                let activation = self.activation();
                self.node(
                    Conv2d { stride, pad, dilation: [1, 1], groups: c, activation },
                    &inputs,
                    quant,
                )
            }
            7 => {
                let kind =
                    if self.random.below(2) == 0 { PoolKind::Max } else { PoolKind::Average };
                let op = Pool {
                    kind,
                    kernel,
                    stride,
                    pad,
                    dilation: [1, 1],
                    ceil: false,
                    count_include_pad: false,
                    activation: Activation::None,
                };
                self.keep(op, &[x])
            }
            8 => {
                let other = if self.random.below(2) == 0 { x } else { self.input(&shape) };
                let f = [BinaryFn::Add, BinaryFn::Sub, BinaryFn::Mul][self.random.below(3)];
                let (activation, quant) = (self.activation(), self.quant());
                self.node(Binary { f, activation }, &[x, other], quant)
            }
            9 => {
                let quant = self.quant();
                let f = [Unary::Relu, Unary::Sigmoid, Unary::Tanh, Unary::HardSwish]
                    [self.random.below(4)]
                .clone();
                self.node(f, &[x], quant)
            }
            10 => {
                let len =
                    vec![1, self.random.from(1, h), self.random.from(1, w), self.random.from(1, c)];
                let start = vec![0, h - len[1], w - len[2], c - len[3]];
                self.keep(Slice { start, len, step: vec![1; 4] }, &[x])
            }
            11 => self.keep(Concat { axis: 3 }, &[x, x]),
            12 => self.keep(Transpose { perm: vec![0, 2, 1, 3] }, &[x]),
            _ => {
                let flat = if self.random.below(2) == 0 {
                    let quant = self.quant();
                    let mean = Reduce { f: ReduceFn::Mean, axes: vec![1, 2], keep_dims: false };
                    self.node(mean, &[x], quant)
                } else {
                    self.keep(Reshape { shape: vec![1, -1] }, &[x])
                };
                self.layer(flat)
            }
        }
    }

    fn network(&mut self) {
        let sizes: Vec<usize> = [9, 9, 10].iter().map(|&most| self.random.from(1, most)).collect();
        let mut x = self.input(&[1, sizes[0], sizes[1], sizes[2]]);
        for _ in 0..self.random.from(1, 4) {
            x = self.layer(x);
        }
        let name = self.name();
        self.graph.add_output(name, x);
    }
}

fn batch(seed: u64) -> Graph {
    let mut maker = Maker { graph: Graph::new("fuzz"), random: Random(seed), names: 0 };
    for _ in 0..NETWORKS {
        maker.network();
    }
    maker.graph
}

fn bytes(tensors: &[Tensor]) -> Vec<u8> {
    tensors.iter().flat_map(|t| t.bytes().to_vec()).collect()
}

/// Builds and runs one batch on a target; every output byte has to be the reference's.
fn check(seed: u64, core: Core, optimize: &str) {
    let graph = batch(seed);
    let target = format!("cortex-{core}");
    let backend = backend_for(&target).expect("a backend");
    let settings = [("optimize".to_owned(), optimize.to_owned())].into();
    let options = CompileOptions { target, prefix: "fuzz".into(), settings };
    let package = backend
        .compile(graph.verified().unwrap_or_else(|e| panic!("seed {seed}: {e}")), &options)
        .unwrap_or_else(|e| panic!("seed {seed}, {core}: {e}"));
    let mut random = Random(!seed);
    let inputs: Vec<Tensor> = graph
        .inputs()
        .iter()
        .map(|port| {
            let shape = graph.ty(port.value).shape.fixed().expect("fixed");
            let values = (0..shape.iter().product::<usize>()).map(|_| random.int8()).collect();
            Tensor::from_vec(shape, values).expect("an input")
        })
        .collect();
    let reference = paring_backend::backend_named(paring_bundle::REFERENCE).expect("the reference");
    let executor = reference.executor(paring_backend::ExecOptions::default()).expect("it runs");
    let mut session = executor.prepare(graph.verified().expect("verified")).expect("prepared");
    let expected = session.run(&inputs).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
    let harness = package.harness.clone().expect("C");
    let build = Build {
        files: package
            .files
            .iter()
            .filter(|(name, _)| matches!(name.as_str(), "fuzz.c" | "fuzz.h" | "fuzz_weights.h"))
            .map(|(name, text)| (name.clone(), String::from_utf8(text.clone()).expect("text")))
            .collect(),
        entry: Entry {
            includes: harness.includes,
            prepare: harness.prepare,
            invoke: harness.invoke,
            finish: harness.finish,
        },
        output_bytes: bytes(&expected).len(),
        flags: harness.flags,
        ..Build::new(core)
    };
    let report = paring_emulator::run(&build, &[bytes(&inputs)])
        .unwrap_or_else(|e| panic!("seed {seed}, {core}: {e}"));
    let mut at = 0;
    for (port, tensor) in graph.outputs().iter().zip(&expected) {
        let wanted = tensor.bytes();
        let got = &report.outputs[0][at..at + wanted.len()];
        assert!(
            got == wanted.as_ref(),
            "seed {seed}, {core}, {optimize}: output `{}`, made by {:?}, differs: {got:?} for {wanted:?}",
            port.name,
            graph.producer(port.value)
        );
        at += wanted.len();
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

#[test]
fn emitted_c_equals_the_interpreter_on_every_target() {
    let missing = missing_packages();
    if !missing.is_empty() {
        println!("skipped: install {}", missing.join(" "));
        return;
    }
    let (batches, first) = (number("PARING_FUZZ_BATCHES", 6), number("PARING_FUZZ_SEED", 1));
    for seed in first..first + batches {
        for core in Core::ALL {
            let optimize = ["balanced", "speed", "size"][(seed % 3) as usize];
            check(seed, core, optimize);
        }
    }
    println!("{} networks on each of {} cores", batches as usize * NETWORKS, Core::ALL.len());
}
