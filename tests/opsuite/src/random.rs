//! Random networks, and the comparison of executors on any network.

use paring_ir::ops::{
    Activation, AutoPad, Binary, BinaryFn, Concat, Conv2d, Dense, Dequantize, Pad, PadMode,
    Padding, Pool, PoolKind, Quantize, Reduce, ReduceFn, Reshape, Slice, Softmax, Transpose, Unary,
};
use paring_ir::{DynOp, Executor, Graph, Node, OpRef, ValueId};
use paring_tensor::{ConstData, DType, Palette, Quant, Sparse, Tensor, TensorType};
use std::collections::HashMap;
use std::sync::Arc;

/// A small generator (Knuth's linear congruences, upper bits).
pub struct Random(pub u64);

impl Random {
    /// A number of 31 bits.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    /// A number below another.
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }

    /// One of some.
    pub fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }

    /// A number from -1 to 1.
    pub fn real(&mut self) -> f32 {
        (self.next() % 2001) as f32 / 1000.0 - 1.0
    }

    /// Some bytes.
    pub fn bytes(&mut self, n: usize) -> Vec<i8> {
        (0..n).map(|_| self.next() as i8).collect()
    }

    /// A number from -1 to 1.
    pub fn reals(&mut self, n: usize) -> Vec<f32> {
        (0..n).map(|_| self.real()).collect()
    }
}

/// Random elements of a type.
///
/// # Panics
/// If a dimension is unbound.
pub fn input(random: &mut Random, ty: &TensorType) -> Tensor {
    let shape = ty.shape.fixed().unwrap();
    let n = shape.iter().product();
    match ty.dtype {
        DType::F32 => Tensor::from_vec(shape, random.reals(n)).unwrap(),
        DType::I16 => {
            let words: Vec<i16> = (0..n).map(|_| random.next() as i16).collect();
            Tensor::from_vec(shape, words).unwrap()
        }
        dtype => Tensor::from_vec(shape, random.bytes(n)).unwrap().reinterpret(dtype).unwrap(),
    }
}

/// A network that grows at random.
pub struct Grower<'a> {
    graph: Graph,
    random: Random,
    int8: bool,
    /// For a microcontroller: small, one sample, weights in every storage; the nodes that it takes.
    small: Option<Accepts<'a>>,
    values: Vec<ValueId>,
    count: usize,
}

/// Says whether a node of a graph may stay.
pub type Accepts<'a> = &'a dyn Fn(&Graph, &Node) -> bool;

impl<'a> Grower<'a> {
    /// An input to begin with.
    ///
    /// # Panics
    /// Never: the input is the first value.
    pub fn new(seed: u64, int8: bool) -> Self {
        let mut random = Random(seed);
        random.next();
        let mut graph = Graph::new("random");
        let batch = random.of(&[1, 1, 1, 2]);
        let side = random.below(14) + 3;
        let c = random.of(&[1, 2, 3, 8, 16, 17, 24, 32]);
        let ty =
            TensorType::new(if int8 { DType::I8 } else { DType::F32 }, [batch, side, side + 1, c]);
        let ty = if int8 {
            ty.with_quant(Quant::per_tensor(0.03, random.below(60) as i32 - 30))
        } else {
            ty
        };
        let x = graph.add_input("x", ty).unwrap();
        Self { graph, random, int8, small: None, values: vec![x], count: 0 }
    }

    /// A small int8 network of nodes that are accepted: one sample, and weights in every storage.
    ///
    /// # Panics
    /// Never: the input is the first value.
    pub fn small(seed: u64, accepts: Accepts<'a>) -> Self {
        let mut random = Random(seed);
        random.next();
        let mut graph = Graph::new("random");
        let (h, w) = (random.below(9) + 1, random.below(9) + 1);
        let c = random.of(&[1, 2, 3, 4, 5, 8, 9, 12, 16]);
        let any = random.below(256) as i32 - 128;
        let zero = random.of(&[-128, 0, 127, any]);
        let scale = 0.02 + 0.1 * random.real().abs();
        let ty =
            TensorType::new(DType::I8, [1, h, w, c]).with_quant(Quant::per_tensor(scale, zero));
        let x = graph.add_input("x", ty).unwrap();
        Self { graph, random, int8: true, small: Some(accepts), values: vec![x], count: 0 }
    }

    fn shape(&self, v: ValueId) -> Vec<usize> {
        self.graph.ty(v).shape.fixed().unwrap()
    }

    fn scale(&self, v: ValueId) -> f32 {
        self.graph.ty(v).quant.as_ref().and_then(Quant::as_per_tensor).map_or(1.0, |q| q.0)
    }

    fn last(&self) -> ValueId {
        *self.values.last().unwrap()
    }

    /// Adds a node; `quant` is that of the output in an integer network.
    fn node(
        &mut self,
        op: impl DynOp,
        inputs: &[ValueId],
        quant: Option<Quant>,
    ) -> Option<ValueId> {
        self.count += 1;
        let name = format!("n{}", self.count);
        let op: OpRef = Arc::new(op);
        let types: Vec<&TensorType> = inputs.iter().map(|v| self.graph.ty(*v)).collect();
        let mut ty = op.infer(&types).ok()?.pop()?;
        if ty.shape.elements() == Some(0) {
            return None;
        }
        if let Some(quant) = quant {
            ty = TensorType::new(DType::I8, ty.shape.clone()).with_quant(quant);
        }
        let before = self.small.map(|_| self.graph.clone());
        let v = self.graph.add_typed_node(name.clone(), &op, inputs, vec![(name, ty)]).ok()?[0];
        if let (Some(before), Some(accepts)) = (before, self.small) {
            let accepted = self.graph.producer(v).is_some_and(|node| accepts(&self.graph, node));
            if !accepted {
                self.graph = before;
                return None;
            }
        }
        self.values.push(v);
        Some(v)
    }

    fn activation(&mut self) -> Activation {
        self.random.of(&[
            Activation::None,
            Activation::None,
            Activation::Relu,
            Activation::Relu6,
            Activation::ReluN1To1,
        ])
    }

    fn zero(&mut self) -> i32 {
        self.random.below(256) as i32 - 128
    }

    /// Makes most weights of some layers zero.
    fn thin<T: Default>(&self, weights: &mut [T]) {
        if self.count % 3 == 2 {
            for (i, w) in weights.iter_mut().enumerate() {
                if !(7 * i + self.count).is_multiple_of(8) && i % 11 > 0 {
                    *w = T::default();
                }
            }
        }
    }

    /// Weights, and a bias now and then.
    fn weights(&mut self, x: ValueId, shape: &[usize]) -> (Vec<ValueId>, Option<Quant>) {
        let n: usize = shape.iter().product();
        let taps = n / shape[0];
        let name = format!("w{}", self.count);
        let bias = self.random.below(4) > 0;
        if !self.int8 {
            let scale = 1.0 / (taps as f32).sqrt();
            let mut w: Vec<f32> = self.random.reals(n).iter().map(|w| w * scale).collect();
            self.thin(&mut w);
            let w = Tensor::from_vec(shape, w).unwrap();
            let mut all = vec![self.graph.add_const(name.clone(), w, None).unwrap()];
            if bias {
                let b = Tensor::from_vec([shape[0]], self.random.reals(shape[0])).unwrap();
                all.push(self.graph.add_const(format!("{name}b"), b, None).unwrap());
            }
            return (all, None);
        }
        let base = 0.01 * (1.0 + self.random.real().abs());
        let scales: Vec<f32> = if self.random.below(4) == 0 {
            vec![base; shape[0]]
        } else {
            (0..shape[0]).map(|_| base * (0.2 + self.random.real().abs())).collect()
        };
        let quant = if self.random.below(5) == 0 {
            Quant::per_tensor(base, 0)
        } else {
            Quant::symmetric(0, scales.clone())
        };
        let mut bytes = self.random.bytes(n);
        let w = if self.small.is_some() {
            self.stored(shape, bytes)
        } else {
            self.thin(&mut bytes);
            ConstData::Dense(Tensor::from_vec(shape, bytes).unwrap())
        };
        let low_bits = w.dtype() == DType::I4;
        let mut all = vec![self.graph.add_const(name.clone(), w, Some(quant)).unwrap()];
        let x_scale = self.scale(x);
        if bias {
            let b: Vec<i32> =
                (0..shape[0]).map(|_| (self.random.real() * 20_000.0) as i32).collect();
            let b = Tensor::from_vec([shape[0]], b).unwrap();
            let quant = Quant::symmetric(0, scales.iter().map(|s| s * x_scale).collect());
            all.push(self.graph.add_const(format!("{name}b"), b, Some(quant)).unwrap());
        }
        // An output scale for which most sums are inside.
        let spread = self.random.of(&[0.3, 1.0, 3.0]);
        let y = x_scale * base * (taps as f32).sqrt() * 75.0 * 75.0 / 127.0 * spread;
        let y = if low_bits { y / 16.0 } else { y };
        // Now and then one for which multipliers are about a half and far above.
        let fine = self.small.is_some() && self.random.below(5) == 0;
        let y = if fine { y / self.random.of(&[20.0, 60.0, 2000.0]) } else { y };
        let zero = self.zero();
        (all, Some(Quant::per_tensor(y, zero)))
    }

    /// Weights as int4, as a palette of 2 to 6 bits, sparse, with whole channels of zeros, or as they are.
    fn stored(&mut self, shape: &[usize], mut bytes: Vec<i8>) -> ConstData {
        let r = &mut self.random;
        let kept: Vec<bool> = (0..67).map(|_| r.below(3) == 0).collect();
        let per_output = bytes.len() / shape[0];
        let blocks = |bytes: &mut [i8]| {
            for (at, w) in bytes.iter_mut().enumerate() {
                if !kept[(at / per_output / 4 * 31 + at % per_output / 4 * 17) % kept.len()] {
                    *w = 0;
                }
            }
        };
        let dense = |bytes: &[i8]| Tensor::from_vec(shape, bytes.to_vec()).unwrap();
        // A codebook for all or one for each of the outermost axis.
        let palette = |shape: Vec<usize>, bytes: &[i8], r: &mut Random| {
            let entries = 1 << r.of(&[2, 3, 4, 4, 5, 6]);
            let own = shape.len() > 1 && r.below(3) == 0;
            let books = if own { shape[0] } else { 1 };
            let mut book = r.bytes(books * entries);
            book.iter_mut().step_by(entries).for_each(|w| *w = 0);
            let code = |w: &i8| if *w == 0 { 0 } else { *w as u8 & (entries - 1) as u8 };
            let codes: Vec<u8> = bytes.iter().map(code).collect();
            let sizes = if own { vec![books, entries] } else { vec![entries] };
            let book = Tensor::from_vec(sizes, book).unwrap();
            ConstData::Palette(Palette::new(shape, codes.into(), book).unwrap())
        };
        match r.below(10) {
            0 => {
                bytes.iter_mut().for_each(|w| *w >>= 4);
                ConstData::Dense(dense(&bytes).cast(DType::I4))
            }
            1 | 5 | 6 => palette(shape.to_vec(), &bytes, r),
            choice @ (2 | 3) if shape.len() == 4 => {
                blocks(&mut bytes);
                let sparse = Sparse::from_dense(&dense(&bytes), &[4, 1, 1, 4], 0).unwrap();
                if choice == 2 {
                    return ConstData::Sparse(sparse);
                }
                let stored: Vec<i8> = sparse.values().dense().view::<i8>().unwrap().to_vec();
                let values = palette(vec![stored.len()], &stored, r);
                ConstData::Sparse(sparse.with_values(values).unwrap())
            }
            4 => {
                for (at, w) in bytes.iter_mut().enumerate() {
                    if !kept[at / per_output % kept.len()] {
                        *w = 0;
                    }
                }
                ConstData::Dense(dense(&bytes))
            }
            _ => ConstData::Dense(dense(&bytes)),
        }
    }

    fn conv(&mut self) -> Option<ValueId> {
        let x = self.last();
        let &[_, _, _, c] = self.shape(x).as_slice() else { return None };
        let small = self.small.is_some();
        let r = &mut self.random;
        let (groups, filters) = match r.below(4) {
            0 | 1 if small => (1, r.of(&[1, 2, 3, 4, 5, 7, 8, 12, 16, 17])),
            0 | 1 => (1, r.of(&[1, 5, 8, 16, 24, 33, 48, 64, 70])),
            2 => (c, c),
            _ if c.is_multiple_of(4) => {
                (4, 4 * r.of(if small { &[1, 2, 3, 4] } else { &[1, 2, 5, 9] }))
            }
            _ => (c, 2 * c),
        };
        let k = r.of(&[[1, 1], [1, 1], [3, 3], [3, 3], [5, 5], [2, 3], [1, 3], [7, 7]]);
        let stride = r.of(&[[1, 1], [1, 1], [2, 2], [1, 2]]);
        let pad = r.of(&[
            Padding::SAME,
            Padding::SAME,
            Padding::VALID,
            Padding::Auto(AutoPad::SameLower),
            Padding::Explicit([1, 2, 0, 1]),
        ]);
        let dilation = r.of(&[[1, 1], [1, 1], [1, 1], [2, 2]]);
        let activation = self.activation();
        let (w, quant) = self.weights(x, &[filters, k[0], k[1], c / groups]);
        let inputs: Vec<ValueId> = [x].into_iter().chain(w).collect();
        self.node(Conv2d { stride, pad, dilation, groups, activation }, &inputs, quant)
    }

    fn dense(&mut self) -> Option<ValueId> {
        let x = self.last();
        let c = *self.shape(x).last()?;
        let most: &[usize] =
            if self.small.is_some() { &[1, 3, 8, 10, 16, 17] } else { &[1, 10, 32, 40, 100] };
        let units = self.random.of(most);
        let activation = self.activation();
        let (w, quant) = self.weights(x, &[units, c]);
        let inputs: Vec<ValueId> = [x].into_iter().chain(w).collect();
        self.node(Dense { activation }, &inputs, quant)
    }

    fn quant(&mut self, scale: f32) -> Option<Quant> {
        let zero = self.zero();
        self.int8.then(|| Quant::per_tensor(scale, zero))
    }

    fn pool(&mut self) -> Option<ValueId> {
        let x = self.last();
        if self.shape(x).len() != 4 {
            return None;
        }
        let quant = self.graph.ty(x).quant.clone();
        let r = &mut self.random;
        let op = Pool {
            kind: r.of(&[PoolKind::Max, PoolKind::Average]),
            kernel: r.of(&[[2, 2], [3, 3], [1, 4]]),
            stride: r.of(&[[1, 1], [2, 2]]),
            pad: r.of(&[Padding::SAME, Padding::VALID, Padding::Explicit([1, 1, 1, 1])]),
            dilation: r.of(&[[1, 1], [1, 1], [2, 1]]),
            ceil: r.below(3) == 0,
            count_include_pad: r.below(2) == 0,
            activation: Activation::None,
        };
        let activation = self.activation();
        self.node(Pool { activation, ..op }, &[x], quant)
    }

    fn sum(&mut self) -> Option<ValueId> {
        let x = self.last();
        let shape = self.shape(x);
        let same: Vec<ValueId> =
            self.values.iter().copied().filter(|v| self.shape(*v) == shape).collect();
        let other = self.random.of(&same);
        let scale = self.scale(x) * (0.5 + self.random.real().abs());
        let quant = self.quant(scale);
        let f = self.random.of(&[BinaryFn::Add, BinaryFn::Add, BinaryFn::Sub, BinaryFn::Mul]);
        let activation = self.activation();
        let inputs = if self.random.below(2) == 0 { [x, other] } else { [other, x] };
        self.node(Binary { f, activation }, &inputs, quant)
    }

    /// A convolution that keeps the shape, and the sum with its input.
    fn residual(&mut self) -> Option<ValueId> {
        let x = self.last();
        let &[_, _, _, c] = self.shape(x).as_slice() else { return None };
        let (w, quant) = self.weights(x, &[c, 1, 1, c]);
        let inputs: Vec<ValueId> = [x].into_iter().chain(w).collect();
        let op = Conv2d {
            stride: [1, 1],
            pad: Padding::VALID,
            dilation: [1, 1],
            groups: 1,
            activation: Activation::None,
        };
        let y = self.node(op, &inputs, quant)?;
        let scale = self.scale(y);
        let quant = self.quant(scale);
        let activation = self.activation();
        self.node(Binary { f: BinaryFn::Add, activation }, &[y, x], quant)
    }

    fn unary(&mut self) -> Option<ValueId> {
        let x = self.last();
        let f = match self.random.below(9) {
            0 | 1 => Unary::Relu,
            2 => Unary::Relu6,
            3 => Unary::HardSwish,
            4 => Unary::Sigmoid,
            5 => Unary::LeakyRelu { alpha: 0.1 },
            6 => Unary::Clip { min: -0.5, max: 0.75 },
            7 => Unary::Silu,
            _ => Unary::Tanh,
        };
        let quant = match f {
            Unary::Sigmoid => self.int8.then(|| Quant::per_tensor(1.0 / 256.0, -128)),
            Unary::Tanh => self.int8.then(|| Quant::per_tensor(1.0 / 128.0, 0)),
            _ => {
                let scale = self.scale(x);
                self.quant(scale)
            }
        };
        self.node(f, &[x], quant)
    }

    fn other(&mut self) -> Option<ValueId> {
        let x = self.last();
        let quant = self.graph.ty(x).quant.clone();
        let shape = self.shape(x);
        if shape.len() != 4 {
            return None;
        }
        let kinds = if self.small.is_some() { 7 } else { 5 };
        match self.random.below(kinds) {
            5 => {
                let len: Vec<usize> = shape.iter().map(|&n| 1 + self.random.below(n)).collect();
                let start: Vec<usize> =
                    shape.iter().zip(&len).map(|(n, l)| self.random.below(n - l + 1)).collect();
                self.node(Slice { start, len, step: vec![1; 4] }, &[x], quant)
            }
            6 => {
                let perm = self.random.of(&[[0, 2, 1, 3], [0, 3, 1, 2], [0, 1, 3, 2]]);
                self.node(Transpose { perm: perm.to_vec() }, &[x], quant)
            }
            0 => self.node(
                Pad {
                    pads: vec![[0, 0], [1, 2], [0, 1], [0, self.count as i64 % 2]],
                    mode: PadMode::Constant(0.0),
                },
                &[x],
                quant,
            ),
            1 => {
                let shape = self.shape(x);
                let fits = |s: Vec<usize>| s[..3] == shape[..3];
                let same: Vec<ValueId> =
                    self.values.iter().copied().filter(|v| fits(self.shape(*v))).collect();
                let other = self.random.of(&same);
                self.node(Concat { axis: 3 }, &[x, other, x], quant)
            }
            2 => {
                let shape = self.shape(x);
                let to = [shape[0], shape[2], shape[1], shape[3]];
                self.node(Reshape::to(&to), &[x], None)
            }
            3 if self.int8 => {
                let real = self.node(Dequantize {}, &[x], None)?;
                let quant = Quant::per_tensor(0.02, 3);
                let ties_even = self.random.below(2) == 0;
                self.node(Quantize { ties_even }, &[real], Some(quant))
            }
            _ => {
                let scale = self.scale(x) * 0.7;
                let quant = self.quant(scale);
                self.int8.then_some(())?;
                self.node(Quantize::default(), &[x], quant)
            }
        }
    }

    /// Some layers and a head.
    pub fn grow(mut self, layers: usize) -> Graph {
        for _ in 0..layers {
            let _ = match self.random.below(10) {
                0..=3 => self.conv(),
                4 => self.pool(),
                5 => self.sum(),
                6 => self.residual(),
                7 => self.unary(),
                8 => self.dense(),
                _ => self.other(),
            };
        }
        let x = self.last();
        self.graph.add_output("body", x);
        if self.shape(x).len() == 4 {
            let scale = self.scale(x) * 0.8;
            let quant = self.quant(scale);
            let keep_dims = self.random.below(2) == 0;
            let op = Reduce { f: ReduceFn::Mean, axes: vec![1, 2], keep_dims };
            if let Some(mean) = self.node(op, &[x], quant) {
                self.dense();
                let y = self.last();
                let quant = self.int8.then(|| Quant::per_tensor(1.0 / 256.0, -128));
                let axis = self.shape(y).len() - 1;
                self.node(Softmax { axis, beta: 1.0, log: false }, &[y], quant);
                let _ = mean;
            }
        }
        let y = self.last();
        self.graph.add_output("head", y);
        self.graph
    }
}

/// Adds a network to a graph, its names behind a prefix.
///
/// # Panics
/// If names of both meet.
pub fn add(graph: &mut Graph, network: &Graph, prefix: &str) {
    let mut known: HashMap<ValueId, ValueId> = HashMap::new();
    for port in network.inputs() {
        let ty = network.ty(port.value).clone();
        known.insert(port.value, graph.add_input(format!("{prefix}{}", port.name), ty).unwrap());
    }
    let verified = network.verified().unwrap_or_else(|e| panic!("{e}"));
    for &id in verified.order() {
        let node = network.node(id);
        let inputs: Vec<ValueId> = node
            .inputs()
            .iter()
            .map(|&v| {
                *known.entry(v).or_insert_with(|| {
                    let name = format!("{prefix}{}", network.value(v).name);
                    let data = network.constant(v).unwrap().clone();
                    graph.add_const(name, data, network.ty(v).quant.clone()).unwrap()
                })
            })
            .collect();
        let outputs = node
            .outputs()
            .iter()
            .map(|&v| (format!("{prefix}{}", network.value(v).name), network.ty(v).clone()));
        let name = format!("{prefix}{}", node.name);
        let made = graph.add_typed_node(name, &node.op, &inputs, outputs.collect()).unwrap();
        known.extend(node.outputs().iter().copied().zip(made));
    }
    for port in network.outputs() {
        graph.add_output(format!("{prefix}{}", port.name), known[&port.value]);
    }
}

/// Why two values differ, if they do: integers have to be equal, real numbers close.
///
/// `error` is how far they may be apart, as a fraction of the largest number of the value.
pub fn difference(got: &Tensor, want: &Tensor, error: f32) -> Option<String> {
    if got.shape() != want.shape() || got.dtype() != want.dtype() {
        return Some(format!("{got:?} is not of the form of {want:?}"));
    }
    if got.dtype() != DType::F32 {
        let (a, b) = (got.to_i64(), want.to_i64());
        let at = a.iter().zip(&b).position(|(a, b)| a != b)?;
        let all = a.iter().zip(&b).filter(|(a, b)| a != b).count();
        return Some(format!(
            "{all} of {} differ, first at {at}: {} for {}",
            a.len(),
            a[at],
            b[at]
        ));
    }
    let (a, b) = (got.to_f32(), want.to_f32());
    let most = b.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    let close = |a: f32, b: f32| {
        // Processors do not agree on the sign of what is no number.
        (a - b).abs() <= error * most + 1e-5 * b.abs() || a == b || (a.is_nan() && b.is_nan())
    };
    let at = a.iter().zip(&b).position(|(a, b)| !close(*a, *b))?;
    Some(format!("at {at}: {} for {} (largest {most})", a[at], b[at]))
}

/// Runs a network on the reference and on another executor, twice, observed and not.
///
/// # Errors
/// What differs by more than `error`; see [`difference`].
pub fn compare(
    graph: &Graph,
    random: &mut Random,
    reference: &dyn Executor,
    tested: &dyn Executor,
    error: f32,
) -> Result<(), String> {
    let verified = graph.verified().map_err(|e| e.to_string())?;
    let mut reference = reference.prepare(verified.clone()).map_err(|e| e.to_string())?;
    let mut session = tested.prepare(verified.clone()).map_err(|e| e.to_string())?;
    for _ in 0..2 {
        let inputs: Vec<Tensor> =
            graph.inputs().iter().map(|p| input(random, graph.ty(p.value))).collect();
        // A fork begins with the initial states, so all do.
        reference.reset();
        session.reset();
        let mut want = Vec::new();
        let outputs = reference
            .run_observed(&inputs, &mut |v, x| want.push((v, x.clone())))
            .map_err(|e| e.to_string())?;
        let got = session.run(&inputs).map_err(|e| e.to_string())?;
        for (got, want) in got.iter().zip(&outputs) {
            if let Some(why) = difference(got, want, error) {
                return Err(format!("output: {why}"));
            }
        }
        let mut seen = Vec::new();
        let got = session
            .fork()
            .run_observed(&inputs, &mut |v, x| seen.push((v, x.clone())))
            .map_err(|e| e.to_string())?;
        seen.sort_by_key(|s| s.0);
        want.sort_by_key(|s| s.0);
        if got.len() != outputs.len() || seen.len() != want.len() {
            return Err("not every value was observed".to_owned());
        }
        for ((v, got), (w, want)) in seen.iter().zip(&want) {
            if v != w {
                return Err("other values were observed".to_owned());
            }
            if let Some(why) = difference(got, want, error) {
                return Err(format!("`{}`: {why}", graph.value(*v).name));
            }
        }
    }
    Ok(())
}
