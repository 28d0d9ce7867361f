//! Well-known networks with random weights, to measure with.

use paring_ir::ops::{
    Activation, Binary, BinaryFn, Conv2d, Dense, Padding, Reduce, ReduceFn, Softmax,
};
use paring_ir::{DynOp, Graph, OpRef, ValueId};
use paring_tensor::{DType, Quant, Tensor, TensorType};
use std::sync::Arc;

/// What a network's weights are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kind {
    /// `i8`, and `f32` otherwise.
    pub int8: bool,
    /// Whether the least number is among weights of `i8`, as TFLite's quantization never has it.
    pub least: bool,
    /// Weights of each hundred that are zero in convolutions of one pixel.
    pub sparsity: u32,
    /// Whether weights take half their bits: four instead of eight, half precision instead of single.
    pub short: bool,
    /// Whether activations of integers have 16 bits.
    pub wide: bool,
}

impl Kind {
    /// Step and zero point of activations.
    fn quant(self) -> (f32, i32) {
        if self.wide { (6.0 / 32767.0, 0) } else { (6.0 / 255.0, -128) }
    }

    fn form(self, shape: &[usize]) -> TensorType {
        let dtype = match (self.int8, self.wide) {
            (false, _) => return TensorType::new(DType::F32, shape),
            (true, false) => DType::I8,
            (true, true) => DType::I16,
        };
        let (scale, zero) = self.quant();
        TensorType::new(dtype, shape).with_quant(Quant::per_tensor(scale, zero))
    }
}

impl From<bool> for Kind {
    fn from(int8: bool) -> Self {
        Self { int8, ..Self::default() }
    }
}

struct Net {
    graph: Graph,
    kind: Kind,
    count: usize,
    state: u64,
    /// What weights of `i8` are taken from, if it is not empty.
    book: Vec<i8>,
}

impl Net {
    fn new(kind: Kind, shape: [usize; 4]) -> (Self, ValueId) {
        let mut graph = Graph::new("mobilenet");
        let x = graph.add_input("x", kind.form(&shape)).unwrap();
        (Self { graph, kind, count: 0, state: 1, book: Vec::new() }, x)
    }

    fn random(&mut self) -> u64 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(12345);
        self.state >> 33
    }

    fn node(&mut self, op: impl DynOp, inputs: &[ValueId]) -> ValueId {
        self.count += 1;
        let op: OpRef = Arc::new(op);
        let types: Vec<&TensorType> = inputs.iter().map(|v| self.graph.ty(*v)).collect();
        let shape = op.infer(&types).unwrap()[0].shape.fixed().unwrap();
        let name = format!("{}_{}", op.name(), self.count);
        let ty = self.kind.form(&shape);
        self.graph.add_typed_node(name.clone(), &op, inputs, vec![(name, ty)]).unwrap()[0]
    }

    fn weights(&mut self, shape: &[usize]) -> [ValueId; 2] {
        let n: usize = shape.iter().product();
        let depth = (n / shape[0]) as f32;
        let name = format!("w{}", self.count);
        let sparsity =
            if shape.get(1..3) == Some(&[1, 1]) { u64::from(self.kind.sparsity) } else { 0 };
        let kept = |net: &mut Self| sparsity == 0 || net.random() % 100 >= sparsity;
        if self.kind.int8 {
            // TFLite's weights are symmetric.
            let least = if self.kind.least { i8::MIN } else { -127 };
            let bits = if self.kind.short { 4 } else { 0 };
            let w = |_| {
                let r = self.random();
                let of_book = self.book.get(r as usize % self.book.len().max(1)).copied();
                let w = of_book.unwrap_or((r as i8).max(least) >> bits);
                if kept(self) { w } else { 0 }
            };
            let w: Vec<i8> = (0..n).map(w).collect();
            let scale = 2.0 / depth.sqrt() / (128 >> bits) as f32;
            let q = Quant::symmetric(0, vec![scale; shape[0]]);
            let w =
                self.graph.add_const(&*name, Tensor::from_vec(shape, w).unwrap(), Some(q)).unwrap();
            let b: Vec<i32> = (0..shape[0]).map(|_| self.random() as i32 % 3000).collect();
            let q = Quant::symmetric(0, vec![scale * self.kind.quant().0; shape[0]]);
            let mut b = Tensor::from_vec([shape[0]], b).unwrap();
            if self.kind.wide {
                b = b.cast(DType::I64);
            }
            return [w, self.graph.add_const(format!("{name}b"), b, Some(q)).unwrap()];
        }
        let unit = |r: u64| (r % 2001) as f32 / 1000.0 - 1.0;
        let scale = 2.0 / depth.sqrt();
        let w = |_| {
            let w = unit(self.random()) * scale;
            if kept(self) { w } else { 0.0 }
        };
        let w: Vec<f32> = (0..n).map(w).collect();
        let b: Vec<f32> = (0..shape[0]).map(|_| unit(self.random())).collect();
        let mut w = Tensor::from_vec(shape, w).unwrap();
        if self.kind.short {
            w = w.cast(DType::F16).cast(DType::F32);
        }
        let w = self.graph.add_const(&*name, w, None).unwrap();
        let b = Tensor::from_vec([shape[0]], b).unwrap();
        [w, self.graph.add_const(format!("{name}b"), b, None).unwrap()]
    }

    fn channels(&self, x: ValueId) -> usize {
        self.graph.ty(x).shape.fixed().unwrap()[3]
    }

    fn conv(&mut self, x: ValueId, filters: usize, k: usize, stride: usize, relu: bool) -> ValueId {
        let [w, b] = self.weights(&[filters, k, k, self.channels(x)]);
        self.op(&[x, w, b], stride, 1, relu)
    }

    fn depthwise(&mut self, x: ValueId, stride: usize) -> ValueId {
        let c = self.channels(x);
        let [w, b] = self.weights(&[c, 3, 3, 1]);
        self.op(&[x, w, b], stride, c, true)
    }

    fn op(&mut self, inputs: &[ValueId], stride: usize, groups: usize, relu: bool) -> ValueId {
        let activation = if relu { Activation::Relu6 } else { Activation::None };
        let op = Conv2d {
            stride: [stride; 2],
            pad: Padding::SAME,
            dilation: [1, 1],
            groups,
            activation,
        };
        self.node(op, inputs)
    }

    fn head(&mut self, x: ValueId) {
        let x = self.node(Reduce { f: ReduceFn::Mean, axes: vec![1, 2], keep_dims: false }, &[x]);
        let c = self.graph.ty(x).shape.fixed().unwrap()[1];
        let [w, b] = self.weights(&[1001, c]);
        let mut x = self.node(Dense::default(), &[x, w, b]);
        if !self.kind.int8 {
            x = self.node(Softmax { axis: 1, beta: 1.0, log: false }, &[x]);
        }
        self.graph.add_output("y", x);
    }
}

/// MobileNet V1, width 1.0, at 224x224, with random weights.
///
/// # Panics
/// Never: the layers fit each other.
#[must_use]
pub fn mobilenet_v1(kind: impl Into<Kind>) -> Graph {
    let (mut n, x) = Net::new(kind.into(), [1, 224, 224, 3]);
    let mut x = n.conv(x, 32, 3, 2, true);
    for (filters, stride) in [
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        (512, 1),
        (512, 1),
        (512, 1),
        (512, 1),
        (512, 1),
        (1024, 2),
        (1024, 1),
    ] {
        x = n.depthwise(x, stride);
        x = n.conv(x, filters, 1, 1, true);
    }
    n.head(x);
    n.graph
}

/// MobileNet V2, width 1.0, at 224x224, with random weights.
///
/// # Panics
/// Never: the layers fit each other.
#[must_use]
pub fn mobilenet_v2(kind: impl Into<Kind>) -> Graph {
    let (mut n, x) = Net::new(kind.into(), [1, 224, 224, 3]);
    let mut x = n.conv(x, 32, 3, 2, true);
    for (expand, filters, repeat, stride) in [
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ] {
        for i in 0..repeat {
            let c = n.channels(x);
            let step = if i == 0 { stride } else { 1 };
            let mut y = if expand > 1 { n.conv(x, c * expand, 1, 1, true) } else { x };
            y = n.depthwise(y, step);
            y = n.conv(y, filters, 1, 1, false);
            x = if step == 1 && c == filters {
                n.node(Binary::new(BinaryFn::Add), &[x, y])
            } else {
                y
            };
        }
    }
    x = n.conv(x, 1280, 1, 1, true);
    n.head(x);
    n.graph
}

/// Elements of a type, the same at every call.
///
/// # Panics
/// If a dimension is unbound.
#[must_use]
pub fn input(ty: &TensorType) -> Tensor {
    let shape = ty.shape.fixed().unwrap();
    let n: usize = shape.iter().product();
    match ty.dtype {
        DType::I8 => Tensor::from_vec(shape, (0..n).map(|i| (i * 37) as i8).collect()).unwrap(),
        _ => Tensor::from_vec(shape, (0..n).map(|i| (i % 17) as f32 / 17.0).collect()).unwrap(),
    }
}

/// Convolutions and a dense layer whose weights have few values (`i8`), or are those of half precision.
///
/// # Panics
/// Never: the layers fit each other.
#[must_use]
pub fn short_weights(int8: bool) -> Graph {
    let kind = Kind { short: true, ..Kind::from(int8) };
    let (mut n, mut x) = Net::new(kind, [1, 11, 9, 64]);
    for (filters, k, stride) in [(40, 3, 2), (444, 1, 1), (56, 1, 1), (61, 3, 1)] {
        x = n.conv(x, filters, k, stride, true);
    }
    n.head(x);
    n.graph
}

/// A convolution over a strip of one to five pixels whose weights are of four bits, with the least number and without, a
/// palette, or real numbers of half precision, by turns.
///
/// # Panics
/// Never: the weights fit the layer.
#[must_use]
pub fn few_rows(seed: u64) -> Graph {
    let int8 = seed % 4 < 3;
    let (mut n, _) = Net::new(Kind { short: true, ..Kind::from(int8) }, [1, 1, 1, 1]);
    n.graph = Graph::new("few_rows");
    n.state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 1;
    n.book = match seed % 4 {
        1 => (-7..=7).collect(),
        // Products with the two largest magnitudes do not fit 16 bits two by two.
        2 => (0..16).map(|i| if i < 3 { -128 + i } else { n.random() as i8 }).collect(),
        _ => Vec::new(),
    };
    let (pixels, k) = (1 + n.random() as usize % 5, 1 + 2 * (n.random() as usize % 2));
    let depth = 1 + n.random() as usize % 150;
    let filters = (16 << 10) / (k * k * depth) + 1 + n.random() as usize % 40;
    let x = n.graph.add_input("x", n.kind.form(&[1, 1, pixels, depth])).unwrap();
    let x = n.conv(x, filters, k, 1, seed.is_multiple_of(3));
    n.graph.add_output("y", x);
    n.graph
}

/// Two convolutions of 3x3 over images of these rows and columns, and what went in added to what comes out.
///
/// # Panics
/// Never: the layers fit each other.
#[must_use]
pub fn threes([rows, columns]: [usize; 2]) -> Graph {
    let (mut n, x) = Net::new(Kind::default(), [1, rows, columns, 64]);
    let y = n.conv(x, 76, 3, 1, true);
    let y = n.conv(y, 64, 3, 1, false);
    let y = n.node(Binary { f: BinaryFn::Add, activation: Activation::Relu }, &[y, x]);
    n.graph.add_output("y", y);
    n.graph
}
