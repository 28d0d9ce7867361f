//! Networks of single precision in half precision.

use crate::ops::{Lower, Tail};
use crate::unpack::{constant, unpacks};
use paring_ir::ops::{
    Binary, Cast, Concat, Conv2d, Dense, DepthToSpace, Pad, Pool, Reduce, Reshape, Slice,
    SpaceToDepth, Transpose, Unary,
};
use paring_ir::{Graph, GraphError, Node, PortRef, ValueId, Verified};
use paring_kernels::{Kernels, from_half, to_half};
use paring_qmath::Rounding;
use paring_tensor::{DType, TensorType};
use std::collections::HashMap;

/// How far the weights of a filter may be off altogether when they are rounded, as a part of their norm.
const LOST: f64 = 1e-3;

/// The graph with what kernels compute in half precision computed so: convolutions and dense layers, and what follows
/// them. Everything else is computed as before, with conversions between; inputs, outputs and states are what they were.
///
/// Layers whose weights half precision does not hold, because they are too large or too small for it, stay as they are,
/// and so do those that are faster for the zeros among their weights.
///
/// # Errors
/// None, unless an op does not infer the types that it infers in single precision.
pub fn in_half(graph: &Verified<'_>, kernels: &dyn Kernels) -> Result<Graph, GraphError> {
    let from = graph.graph();
    let mut halver = Halver { from, kernels, to: Graph::new(from.name()), new: HashMap::new() };
    for (i, port) in from.inputs().iter().enumerate() {
        let v = halver.to.add_input(&*port.name, from.ty(port.value).clone())?;
        halver.to.set_external(PortRef::Input(i), port.external.clone());
        halver.put(port.value, v, false);
    }
    for state in from.states() {
        let v = from.value(state.current);
        let new = halver.to.add_state(&*v.name, v.ty.clone())?;
        halver.put(state.current, new, false);
    }
    for id in graph.order() {
        halver.node(from.node(*id))?;
    }
    for (i, port) in from.outputs().iter().enumerate() {
        let v = halver.value(port.value, false)?;
        halver.to.add_output(&*port.name, v);
        halver.to.set_external(PortRef::Output(i), port.external.clone());
    }
    for state in from.states() {
        let (current, next) =
            (halver.value(state.current, false)?, halver.value(state.next, false)?);
        halver.to.set_state(current, next, state.initial.clone());
    }
    Ok(halver.to.live())
}

struct Halver<'a> {
    from: &'a Graph,
    kernels: &'a dyn Kernels,
    to: Graph,
    /// The new values of an old one: as it was, and in half precision.
    new: HashMap<ValueId, [Option<ValueId>; 2]>,
}

impl Halver<'_> {
    fn put(&mut self, old: ValueId, new: ValueId, half: bool) {
        self.new.entry(old).or_default()[usize::from(half)] = Some(new);
    }

    /// The new value for an old one, which is converted where it is not there in this form.
    fn value(&mut self, old: ValueId, half: bool) -> Result<ValueId, GraphError> {
        let known = self.new.get(&old).copied().unwrap_or_default();
        if let Some(v) = known[usize::from(half)] {
            return Ok(v);
        }
        let value = self.from.value(old);
        let dtype = if half { DType::F16 } else { DType::F32 };
        let new = match (constant(self.from, old), known[usize::from(!half)]) {
            (Some(data), _) if half => {
                let data = data.dense().cast(DType::F16);
                self.to.add_const(format!("{}_f16", value.name), data, None)?
            }
            (_, Some(other)) => {
                let name = format!("{}_{}", value.name, dtype.name());
                self.to.add_node(name, Cast { to: dtype }, &[other])?[0]
            }
            (Some(data), None) => {
                // Of a constant under a node, the node is there already.
                self.to.add_const(&*value.name, data.into_owned(), value.ty.quant.clone())?
            }
            (None, None) => unreachable!("a verified graph defines values before they are used"),
        };
        self.put(old, new, half);
        Ok(new)
    }

    fn node(&mut self, node: &Node) -> Result<(), GraphError> {
        let half = !unpacks(self.from, node) && self.goes_half(node) && self.has_step(node);
        let is_real = |v: ValueId| self.from.ty(v).dtype == DType::F32;
        let reals: Vec<bool> = node.inputs().iter().map(|v| is_real(*v)).collect();
        let inputs = node.inputs().iter().zip(reals);
        let inputs: Vec<ValueId> =
            inputs.map(|(v, real)| self.value(*v, half && real)).collect::<Result<_, _>>()?;
        let outputs = node.outputs().iter().map(|v| {
            let value = self.from.value(*v);
            (value.name.clone(), if half { halved(&value.ty) } else { value.ty.clone() })
        });
        let outputs = outputs.collect();
        let new = self.to.add_typed_node(&*node.name, &node.op, &inputs, outputs)?;
        for (old, new) in node.outputs().iter().zip(new) {
            self.put(*old, new, half);
        }
        Ok(())
    }

    /// Whether a node is to be computed in half precision if it can.
    fn goes_half(&self, node: &Node) -> bool {
        let real = |v: &ValueId| {
            let ty = self.from.ty(*v);
            ty.dtype == DType::F32 && ty.quant.is_none()
        };
        let product = node.op.is::<Conv2d>() || node.op.is::<Dense>();
        if product {
            return node.inputs().iter().chain(node.outputs()).all(real) && self.holds(node);
        }
        let follows = node.op.is::<Binary>()
            || node.op.is::<Concat>()
            || node.op.is::<DepthToSpace>()
            || node.op.is::<Pad>()
            || node.op.is::<Pool>()
            || node.op.is::<Reduce>()
            || node.op.is::<Reshape>()
            || node.op.is::<Slice>()
            || node.op.is::<SpaceToDepth>()
            || node.op.is::<Transpose>()
            || node.op.is::<Unary>();
        let there = |v: &ValueId| self.new.get(v).is_some_and(|new| new[1].is_some());
        let computed = |v: &&ValueId| constant(self.from, **v).is_none();
        let finite = |v: &ValueId| {
            let data = constant(self.from, *v);
            data.is_none_or(|d| d.dense().to_f32().iter().all(|x| x.abs() <= 65504.0))
        };
        follows
            && node.inputs().iter().chain(node.outputs()).all(real)
            && node.inputs().iter().filter(computed).any(there)
            && node.inputs().iter().all(finite)
    }

    /// Whether half precision holds the constants of a product.
    fn holds(&self, node: &Node) -> bool {
        let mut constants = node.inputs().iter().skip(1).map(|v| constant(self.from, *v));
        let Some(Some(weights)) = constants.next() else { return false };
        let filters = weights.shape().first().copied().unwrap_or(1).max(1);
        let weights = weights.dense().to_f32();
        let off = |x: f32| f64::from(from_half(to_half(x))) - f64::from(x);
        let squares = |x: &[f32], f: &dyn Fn(f32) -> f64| -> f64 {
            x.iter().map(|x| f(*x) * f(*x)).sum::<f64>().sqrt()
        };
        let mut filters = weights.chunks((weights.len() / filters).max(1));
        let close = filters.all(|w| squares(w, &off) <= LOST * squares(w, &|x| f64::from(x)));
        let finite = |x: &f32| from_half(to_half(*x)).is_finite();
        close && constants.all(|bias| bias.is_some_and(|b| b.dense().to_f32().iter().all(finite)))
    }

    /// Whether the engine has a step for a node in half precision.
    fn has_step(&self, node: &Node) -> bool {
        let single = |dtype: DType| self.step_of(node, dtype);
        // Where the zeros among weights are left out, it stays so.
        let sparse = single(DType::F32).is_some_and(|leaves_out| leaves_out);
        !sparse && single(DType::F16).is_some()
    }

    /// Whether the step of a node alone leaves out weights that are zero; `None` where there is no step.
    fn step_of(&self, node: &Node, dtype: DType) -> Option<bool> {
        let mut graph = Graph::new("node");
        let mut known = HashMap::new();
        for v in node.inputs() {
            let value = self.from.value(*v);
            let ty = TensorType { dtype, ..value.ty.clone() };
            let new = match constant(self.from, *v) {
                _ if known.contains_key(v) => continue,
                Some(data) => graph.add_const(&*value.name, data.dense().cast(dtype), None),
                None => graph.add_input(&*value.name, ty),
            };
            known.insert(*v, new.ok()?);
        }
        let inputs: Vec<ValueId> = node.inputs().iter().map(|v| known[v]).collect();
        graph.add_node("node", &node.op, &inputs).ok()?;
        let lower = Lower {
            graph: &graph,
            kernels: self.kernels,
            rounding: Rounding::Double,
            fallback: None,
            pads: Default::default(),
        };
        let lowered = lower.lower(graph.nodes().next()?, Tail::NONE)?;
        Some(lowered.leaves_zeros_out())
    }
}

fn halved(ty: &TensorType) -> TensorType {
    TensorType { dtype: DType::F16, ..ty.clone() }
}
