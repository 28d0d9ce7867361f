use paring_ir::ops::{BatchNorm, Binary, BinaryFn};
use paring_ir::{Graph, GraphError, Node, Patch, ValueId};
use paring_pass::{Verdict, consts};
use paring_tensor::{DType, Tensor};

/// `mul * x + add`, one pair a channel of the last axis.
pub(crate) struct Affine {
    pub(crate) x: ValueId,
    pub(crate) mul: Vec<f64>,
    pub(crate) add: Vec<f64>,
}

impl Affine {
    /// The affine map that a node is, if it is one over constants.
    pub(crate) fn of(graph: &Graph, node: &Node) -> Option<Self> {
        let &output = node.outputs().first()?;
        let ty = graph.ty(output);
        if ty.dtype != DType::F32 {
            return None;
        }
        if let Some(bn) = node.op_as::<BatchNorm>() {
            let &[x, scale, bias, mean, variance] = node.inputs() else { return None };
            let get = |v| consts::dense_f32(graph, v);
            let (scale, bias, mean, variance) =
                (get(scale)?, get(bias)?, get(mean)?, get(variance)?);
            let mul: Vec<f64> = scale
                .iter()
                .zip(&variance)
                .map(|(s, v)| f64::from(*s) / (f64::from(*v) + f64::from(bn.epsilon)).sqrt())
                .collect();
            let add =
                (0..mul.len()).map(|c| f64::from(bias[c]) - f64::from(mean[c]) * mul[c]).collect();
            return Some(Self { x, mul, add }).filter(Self::is_finite);
        }
        let binary = node.op_as::<Binary>().filter(|b| b.activation.is_none())?;
        let &[a, b] = node.inputs() else { return None };
        let constant = |v| consts::per_channel(graph, v, &ty.shape);
        let (x, c, swapped) = match (constant(a), constant(b)) {
            (None, Some(c)) => (a, c, false),
            (Some(c), None) => (b, c, true),
            _ => return None,
        };
        if graph.ty(x).shape != ty.shape {
            return None;
        }
        let c: Vec<f64> = c.into_iter().map(f64::from).collect();
        let ones = vec![1.0; c.len()];
        let zeros = vec![0.0; c.len()];
        let negated = || c.iter().map(|c| -c).collect();
        let (mul, add) = match (binary.f, swapped) {
            (BinaryFn::Add, _) => (ones, c),
            (BinaryFn::Sub, false) => (ones, negated()),
            (BinaryFn::Sub, true) => (vec![-1.0; c.len()], c),
            (BinaryFn::Mul, _) => (c, zeros),
            (BinaryFn::Div, false) => (c.iter().map(|c| 1.0 / c).collect(), zeros),
            _ => return None,
        };
        Some(Self { x, mul, add }).filter(Self::is_finite)
    }

    fn is_finite(&self) -> bool {
        self.mul.iter().chain(&self.add).all(|x| x.is_finite() && x.abs() <= f64::from(f32::MAX))
    }

    /// Whether zero stays zero.
    pub(crate) fn keeps_zero(&self) -> bool {
        self.add.iter().all(|a| *a == 0.0)
    }
}

/// A vector of single-precision numbers as a constant.
pub(crate) fn vector(values: Vec<f64>) -> Result<Tensor, GraphError> {
    tensor(vec![values.len()], values.into_iter().map(|x| x as f32).collect())
}

/// A tensor as a constant; the lengths are right by construction.
pub(crate) fn tensor(shape: Vec<usize>, values: Vec<f32>) -> Result<Tensor, GraphError> {
    Tensor::from_vec(shape, values).map_err(|e| internal(&e))
}

pub(crate) fn internal(error: &dyn std::fmt::Display) -> GraphError {
    GraphError::Patch { patch: "fold-bn".into(), why: error.to_string() }
}

/// Two affine maps after one another, at least one a batch normalization, become one batch
/// normalization of which no fold is spoiled by an addition in between.
pub(crate) fn compose(graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
    let Some(outer) = Affine::of(graph, node) else { return Ok(Verdict::NoMatch) };
    let Some(before) = graph.producer(outer.x) else { return Ok(Verdict::NoMatch) };
    let both = [node, before];
    let useful = both.iter().any(|n| n.op.is::<BatchNorm>()) || both[0].op.same(&*both[1].op);
    if !useful || graph.only_user(outer.x).is_none() {
        return Ok(Verdict::NoMatch);
    }
    let Some(inner) = Affine::of(graph, before) else { return Ok(Verdict::NoMatch) };
    let channels = outer.mul.len();
    let mul: Vec<f64> = (0..channels).map(|c| outer.mul[c] * inner.mul[c]).collect();
    let add = (0..channels).map(|c| outer.mul[c] * inner.add[c] + outer.add[c]).collect();
    let mut patch = Patch::new(graph, "compose-affine");
    let name = &node.name;
    let scale = patch.constant(format!("{name}/scale"), vector(mul)?, None);
    let bias = patch.constant(format!("{name}/bias"), vector(add)?, None);
    let zero = patch.constant(format!("{name}/mean"), vector(vec![0.0; channels])?, None);
    let one = patch.constant(format!("{name}/variance"), vector(vec![1.0; channels])?, None);
    let inputs = [inner.x, scale, bias, zero, one];
    let new = patch.node(graph, name, BatchNorm { epsilon: 0.0 }, &inputs)?;
    patch.replace(node.outputs()[0], new[0]);
    Ok(Verdict::Patch(patch))
}
