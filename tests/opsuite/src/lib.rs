//! Cases for every op: a graph of one node, its inputs, and what must come out.
//!
//! The suite knows no backend. What comes out is computed here from the op's definition, element by
//! element in double precision, by code that shares nothing with any kernel. Integer ops have bounds in
//! steps of their output; that backends agree on them to the bit is for the caller to compare.
//!
//! An outside crate that adds an op or a backend runs [`cases`] or builds its own with [`Case::new`].
#![forbid(unsafe_code)]

mod array;
mod axes;
mod elements;
mod images;
mod moving;
pub mod networks;
mod products;
mod quantized;
pub mod random;
mod sequence;
pub mod sixteen;
pub mod strategies;

pub use array::Array;

use paring_ir::{Graph, GraphError, OpRef};
use paring_tensor::{Quant, Tensor, TensorType};

/// An operand of a case.
#[derive(Clone, Debug)]
pub struct Operand {
    /// Its elements; stored numbers if it is quantized.
    pub value: Tensor,
    /// Its quantization.
    pub quant: Option<Quant>,
    /// Whether it is a constant of the graph, not an input.
    pub constant: bool,
}

impl Operand {
    /// An input.
    #[must_use]
    pub fn input(value: Tensor) -> Self {
        Self { value, quant: None, constant: false }
    }

    /// A constant.
    #[must_use]
    pub fn constant(value: Tensor) -> Self {
        Self { value, quant: None, constant: true }
    }

    /// Real numbers as stored ones.
    #[must_use]
    pub fn quantized(mut self, quant: Quant, dtype: paring_tensor::DType) -> Self {
        self.value = quant.quantize(&self.value, dtype).unwrap_or_else(|e| panic!("{e}"));
        self.quant = Some(quant);
        self
    }

    /// The real numbers that it stands for.
    #[must_use]
    pub fn real(&self) -> Array {
        match &self.quant {
            Some(q) => Array::of(&q.dequantize(&self.value).unwrap_or_else(|e| panic!("{e}"))),
            None => Array::of(&self.value),
        }
    }
}

/// A result that must come out.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The real numbers.
    pub value: Array,
    /// How far each may be off: an absolute bound, and one relative to the number.
    pub tolerance: [f64; 2],
}

/// One node, its operands and its results.
#[derive(Clone, Debug)]
pub struct Case {
    /// `op/what`, unique.
    pub name: String,
    /// The graph.
    pub graph: Graph,
    /// The graph's inputs.
    pub inputs: Vec<Tensor>,
    /// What must come out, an entry a result.
    pub expected: Vec<Expected>,
}

impl Case {
    /// A case of one node with inferred output types.
    ///
    /// # Errors
    /// If the op refuses the operands.
    pub fn new(
        name: &str,
        op: OpRef,
        operands: Vec<Operand>,
        expected: Vec<Expected>,
    ) -> Result<Self, GraphError> {
        Self::typed(name, op, operands, None, expected)
    }

    /// A case whose output types are declared.
    ///
    /// # Errors
    /// If the op refuses the operands or the types.
    pub fn typed(
        name: &str,
        op: OpRef,
        operands: Vec<Operand>,
        outputs: Option<Vec<TensorType>>,
        expected: Vec<Expected>,
    ) -> Result<Self, GraphError> {
        let name = format!("{}/{name}", op.name());
        let mut graph = Graph::new(name.clone());
        let mut inputs = Vec::new();
        let mut values = Vec::new();
        for (i, operand) in operands.into_iter().enumerate() {
            if operand.constant {
                values.push(graph.add_const(format!("c{i}"), operand.value, operand.quant)?);
            } else {
                let mut ty = TensorType::of(&operand.value);
                ty.quant = operand.quant;
                values.push(graph.add_input(format!("x{i}"), ty)?);
                inputs.push(operand.value);
            }
        }
        let results = match outputs {
            None => graph.add_node("node", op, &values)?,
            Some(types) => {
                let named = types.into_iter().enumerate().map(|(i, t)| (format!("y{i}"), t));
                graph.add_typed_node("node", op, &values, named.collect())?
            }
        };
        for (i, v) in results.into_iter().enumerate() {
            graph.add_output(format!("y{i}"), v);
        }
        Ok(Self { name, graph, inputs, expected })
    }

    /// What is wrong with these results, if anything.
    ///
    /// # Errors
    /// The first element that is too far off.
    pub fn check(&self, results: &[Tensor]) -> Result<(), String> {
        if results.len() != self.expected.len() {
            return Err(format!("{} results, not {}", results.len(), self.expected.len()));
        }
        for (k, (got, wanted)) in results.iter().zip(&self.expected).enumerate() {
            let ty = self.graph.ty(self.graph.outputs()[k].value);
            let real = match &ty.quant {
                Some(q) => q.dequantize(got).map_err(|e| e.to_string())?,
                None => got.clone(),
            };
            if real.shape() != wanted.value.shape {
                return Err(format!(
                    "result {k} is {:?}, not {:?}",
                    real.shape(),
                    wanted.value.shape
                ));
            }
            for (i, (a, b)) in real.to_f64().iter().zip(&wanted.value.data).enumerate() {
                let bound = wanted.tolerance[0] + wanted.tolerance[1] * b.abs();
                let same = a == b || (a.is_nan() && b.is_nan()) || (a - b).abs() <= bound;
                if !same {
                    return Err(format!(
                        "result {k}, element {i}: {a}, not {b} (within {bound:e})"
                    ));
                }
            }
        }
        Ok(())
    }
}

/// Builds cases; what the files of the suite share.
#[derive(Default)]
struct Suite(Vec<Case>);

impl Suite {
    /// Real numbers in, real numbers out, within rounding of single precision.
    fn real<T: Into<OpRef>>(&mut self, name: &str, op: T, operands: Vec<Operand>, value: Array) {
        self.with(name, op, operands, vec![Expected { value, tolerance: [2e-6, 1e-5] }]);
    }

    /// Results that must be exact.
    fn exact<T: Into<OpRef>>(&mut self, name: &str, op: T, operands: Vec<Operand>, value: Array) {
        self.with(name, op, operands, vec![Expected { value, tolerance: [0.0, 0.0] }]);
    }

    fn with<T: Into<OpRef>>(
        &mut self,
        name: &str,
        op: T,
        operands: Vec<Operand>,
        expected: Vec<Expected>,
    ) {
        let case = Case::new(name, op.into(), operands, expected);
        self.0.push(case.unwrap_or_else(|e| panic!("{name}: {e}")));
    }
}

/// Shares an op.
fn op<T: paring_ir::DynOp>(op: T) -> OpRef {
    std::sync::Arc::new(op)
}

/// Pseudo-random real numbers in `[-1, 1)`.
fn noise(seed: u64, shape: &[usize]) -> Tensor {
    paring_ir::text::fill(seed, paring_tensor::DType::F32, shape).unwrap_or_else(|e| panic!("{e}"))
}

/// An input of pseudo-random numbers.
fn x(seed: u64, shape: &[usize]) -> Operand {
    Operand::input(noise(seed, shape))
}

/// A constant of pseudo-random numbers.
fn c(seed: u64, shape: &[usize]) -> Operand {
    Operand::constant(noise(seed, shape))
}

/// All cases, sorted by name.
#[must_use]
pub fn cases() -> Vec<Case> {
    let mut suite = Suite::default();
    axes::add(&mut suite);
    elements::add(&mut suite);
    images::add(&mut suite);
    moving::add(&mut suite);
    products::add(&mut suite);
    quantized::add(&mut suite);
    sequence::add(&mut suite);
    suite.0.sort_by(|a, b| a.name.cmp(&b.name));
    suite.0
}
