//! What an operator's importer works with: the node's inputs and attributes, and the graph to add to.

use crate::attrs::Attrs;
use crate::build::{Build, Val};
use crate::reject::Reject;
use paring_ir::ops::{
    Cast, Concat, Dequantize, Pool, PoolKind, Reduce, ReduceFn, Reshape, Resize, ResizeMethod,
    Transpose,
};
use paring_ir::{DynOp, Graph, OpArg, QuantRule, ValueId};
use paring_tensor::{DType, Quant, Tensor, TensorType};
use std::ops::Deref;

/// One node of the file while it is imported. Attributes are reached as if the context were
/// [`Attrs`].
pub(crate) struct Cx<'n, 'p> {
    /// Version of the operator set.
    pub(crate) opset: i64,
    pub(crate) inputs: Vec<Val>,
    /// As many as the node names, in order.
    pub(crate) outputs: Vec<Val>,
    /// Whether an output of this index has a name.
    pub(crate) wanted: Vec<bool>,
    pub(crate) build: &'n mut Build,
    /// The name that the graph's node gets.
    pub(crate) name: String,
    pub(crate) op_type: &'n str,
    attrs: Attrs<'n, 'p>,
    /// Bytes that constants may still grow by.
    pub(crate) budget: &'n mut usize,
    /// Computes a value of the graph from the values that the inputs are known to have.
    known: Known<'n>,
}

/// A way to compute a value of the graph, where the model's inputs allow it.
pub(crate) type Known<'n> = &'n dyn Fn(&Graph, ValueId) -> Option<Tensor>;

impl<'n, 'p> Deref for Cx<'n, 'p> {
    type Target = Attrs<'n, 'p>;

    fn deref(&self) -> &Self::Target {
        &self.attrs
    }
}

impl<'n, 'p: 'n> Cx<'n, 'p> {
    pub(crate) fn new(
        opset: i64,
        inputs: Vec<Val>,
        wanted: Vec<bool>,
        name: String,
        op_type: &'n str,
        attrs: Attrs<'n, 'p>,
        build: &'n mut Build,
        budget: &'n mut usize,
        known: Known<'n>,
    ) -> Self {
        let outputs = vec![Val::Absent; wanted.len()];
        Self { opset, inputs, outputs, wanted, build, name, op_type, attrs, budget, known }
    }

    /// Whether an input is there.
    pub(crate) fn has(&self, i: usize) -> bool {
        !matches!(self.inputs.get(i), None | Some(Val::Absent))
    }

    /// Whether an output is asked for.
    pub(crate) fn wants(&self, i: usize) -> bool {
        self.wanted.get(i).copied().unwrap_or(false)
    }

    /// An input as a value of the graph.
    pub(crate) fn input(&mut self, i: usize) -> Result<ValueId, Reject> {
        if !self.has(i) {
            return Err(Reject::malformed(format!("input {i} is missing")));
        }
        self.build.value(&self.inputs[i]).map_err(|e| match e {
            Reject::Malformed(why) => Reject::Malformed(format!("input {i}: {why}")),
            Reject::Unsupported(why) => Reject::Unsupported(format!("input {i}: {why}")),
        })
    }

    /// An optional input as a value of the graph.
    pub(crate) fn opt_input(&mut self, i: usize) -> Result<Option<ValueId>, Reject> {
        if self.has(i) { self.input(i).map(Some) } else { Ok(None) }
    }

    /// All inputs as values of the graph.
    pub(crate) fn all_inputs(&mut self) -> Result<Vec<ValueId>, Reject> {
        (0..self.inputs.len()).map(|i| self.input(i)).collect()
    }

    /// The constant that an input is, if it is one.
    pub(crate) fn constant(&self, i: usize) -> Option<&Tensor> {
        self.inputs.get(i).and_then(Val::as_const)
    }

    /// An input that has to be a constant; `None` if it is left out.
    pub(crate) fn need_const(&self, i: usize, what: &str) -> Result<Option<Tensor>, Reject> {
        match self.inputs.get(i) {
            None | Some(Val::Absent) => Ok(None),
            Some(Val::Const(c)) => Ok(Some(c.tensor.clone())),
            Some(Val::Node(id)) if let Some(t) = (self.known)(&self.build.graph, *id) => {
                Ok(Some(t))
            }
            Some(_) => Err(Reject::unsupported(format!(
                "the {what} (input {i}) is computed from the model's inputs; it has to be constant"
            ))),
        }
    }

    /// Integers that are an attribute in old operator sets and an input in new ones.
    pub(crate) fn ints_of(&self, name: &str, input: usize) -> Result<Option<Vec<i64>>, Reject> {
        if let Some(list) = self.ints(name)? {
            return Ok(Some(list.to_vec()));
        }
        Ok(self.need_const(input, name)?.map(|t| t.to_i64()))
    }

    /// The single number of a constant input.
    pub(crate) fn scalar_const(&self, i: usize, what: &str) -> Result<Option<f64>, Reject> {
        match self.need_const(i, what)? {
            None => Ok(None),
            Some(t) => match t.to_f64().as_slice() {
                [x] => Ok(Some(*x)),
                other => Err(Reject::malformed(format!(
                    "the {what} (input {i}) has {} elements instead of one",
                    other.len()
                ))),
            },
        }
    }

    pub(crate) fn ty(&self, id: ValueId) -> &TensorType {
        self.build.graph.ty(id)
    }

    pub(crate) fn dtype(&self, id: ValueId) -> DType {
        self.ty(id).dtype
    }

    /// The extents of a value.
    pub(crate) fn shape(&self, id: ValueId) -> Result<Vec<usize>, Reject> {
        let ty = self.ty(id);
        ty.shape
            .fixed()
            .ok_or_else(|| Reject::unsupported(format!("shape {} has symbols", ty.shape)))
    }

    /// An axis counted from the front, for `rank` axes.
    pub(crate) fn axis(&self, axis: i64, rank: usize) -> Result<usize, Reject> {
        resolve_axis(axis, rank)
    }

    /// The type of an input without putting a constant into the graph.
    pub(crate) fn input_type(&self, i: usize) -> Result<TensorType, Reject> {
        match self.inputs.get(i) {
            Some(Val::Const(c)) => Ok(TensorType::of(&c.tensor)),
            Some(Val::Node(id)) => Ok(self.ty(*id).clone()),
            Some(Val::Unknown) => Err(Reject::unsupported("depends on an unsupported node")),
            Some(Val::Sequence(_)) => {
                Err(Reject::unsupported("a sequence where a tensor is needed"))
            }
            None | Some(Val::Absent) => Err(Reject::malformed(format!("input {i} is missing"))),
        }
    }

    /// The extents of an input without putting a constant into the graph.
    pub(crate) fn input_shape(&self, i: usize) -> Result<Vec<usize>, Reject> {
        let ty = self.input_type(i)?;
        ty.shape
            .fixed()
            .ok_or_else(|| Reject::unsupported(format!("shape {} has symbols", ty.shape)))
    }

    /// Adds the node that the file's node is about; it takes its name.
    pub(crate) fn emit(
        &mut self,
        op: impl Into<OpArg>,
        inputs: &[ValueId],
    ) -> Result<ValueId, Reject> {
        let name = self.name.clone();
        self.one(name, op.into(), inputs)
    }

    /// Adds a node with several outputs.
    pub(crate) fn emit_many(
        &mut self,
        op: impl Into<OpArg>,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, Reject> {
        let inputs = self.plain(inputs)?;
        Ok(self.build.graph.add_node(self.name.clone(), op, &inputs)?)
    }

    /// Adds a node that helps the one that the file's node is about.
    pub(crate) fn aux(&mut self, op: impl DynOp, inputs: &[ValueId]) -> Result<ValueId, Reject> {
        let name = format!("{}.{}", self.name, DynOp::name(&op));
        self.one(name, OpArg::from(std::sync::Arc::new(op) as paring_ir::OpRef), inputs)
    }

    fn one(&mut self, name: String, op: OpArg, inputs: &[ValueId]) -> Result<ValueId, Reject> {
        let op = op.into_ref();
        if let [x] = inputs
            && moves(&op)
            && let Some(y) = self.moved(&name, &op, *x)?
        {
            return Ok(y);
        }
        if !inputs.iter().any(|v| self.ty(*v).quant.is_some()) {
            return self.single(name, op, inputs);
        }
        // Operators of the file see stored integers. Where that is what the op does with quantized
        // values of one quantization too, the result has it; other ops are given plain integers.
        let quantizing = op.quant_rule() != QuantRule::Computes;
        if quantizing || op.is::<Dequantize>() {
            return self.single(name, op, inputs);
        }
        let quant = self.ty(inputs[0]).quant.clone();
        let shared = inputs.iter().all(|v| self.ty(*v).quant == quant);
        if shared && orders(&op) {
            let types: Vec<&TensorType> = inputs.iter().map(|v| self.ty(*v)).collect();
            let types = op.infer(&types).map_err(|e| Reject::malformed(e.to_string()))?;
            let typed = types
                .into_iter()
                .map(|ty| (name.clone(), TensorType { quant: quant.clone(), ..ty }))
                .collect();
            let outputs = self.build.graph.add_typed_node(name, &op, inputs, typed)?;
            return outputs.first().copied().ok_or_else(|| Reject::malformed("no output"));
        }
        let inputs = if op.is::<Cast>() { inputs.to_vec() } else { self.plain(inputs)? };
        self.single(name, op, &inputs)
    }

    /// What moves real numbers that are dequantized moves the stored numbers instead.
    fn moved(
        &mut self,
        name: &str,
        op: &paring_ir::OpRef,
        x: ValueId,
    ) -> Result<Option<ValueId>, Reject> {
        let graph = &self.build.graph;
        let Some(node) = graph.producer(x).filter(|n| n.op.is::<Dequantize>()) else {
            return Ok(None);
        };
        let from = node.inputs()[0];
        let single = graph.ty(from).quant.as_ref().and_then(Quant::as_per_tensor);
        if single.is_none() {
            return Ok(None);
        }
        let y = self.one(name.to_owned(), op.into(), &[from])?;
        self.single(format!("{name}.dequantize"), std::sync::Arc::new(Dequantize {}), &[y])
            .map(Some)
    }

    /// Values without their quantization, where they have one.
    fn plain(&mut self, inputs: &[ValueId]) -> Result<Vec<ValueId>, Reject> {
        let mut plain = Vec::with_capacity(inputs.len());
        for v in inputs {
            let ty = self.ty(*v);
            if ty.quant.is_none() {
                plain.push(*v);
                continue;
            }
            let to = ty.dtype;
            let name = format!("{}.stored", self.name);
            plain.push(self.single(name, std::sync::Arc::new(Cast { to }), &[*v])?);
        }
        Ok(plain)
    }

    fn single(
        &mut self,
        name: String,
        op: paring_ir::OpRef,
        inputs: &[ValueId],
    ) -> Result<ValueId, Reject> {
        let outputs = self.build.graph.add_node(name, &op, inputs)?;
        match outputs.as_slice() {
            [only] => Ok(*only),
            other => Err(Reject::unsupported(format!("an op of {} outputs", other.len()))),
        }
    }

    /// A constant that the importer makes.
    pub(crate) fn konst(&mut self, what: &str, tensor: Tensor) -> Result<ValueId, Reject> {
        let name = format!("{}.{what}", self.name);
        Ok(self.build.graph.add_const(name, tensor, None)?)
    }

    /// A constant of one number in a value's element type.
    pub(crate) fn scalar_like(&mut self, like: ValueId, x: f64) -> Result<ValueId, Reject> {
        let tensor = Tensor::scalar(x).cast(self.dtype(like));
        self.konst("constant", tensor)
    }

    /// The axes in another order; nothing if it is theirs. Constants are reordered at once.
    pub(crate) fn transpose(&mut self, id: ValueId, perm: &[usize]) -> Result<ValueId, Reject> {
        if perm.iter().enumerate().all(|(i, &p)| i == p) {
            return Ok(id);
        }
        if let Some(tensor) = self.build.plain_const(id) {
            let moved = permuted(&tensor, perm)?;
            let name = self.build.graph.value(id).name.clone();
            return Ok(self.build.graph.add_const(name, moved, None)?);
        }
        self.aux(Transpose { perm: perm.to_vec() }, &[id])
    }

    /// The same elements in another shape; nothing if it is theirs.
    pub(crate) fn reshape(&mut self, id: ValueId, shape: &[usize]) -> Result<ValueId, Reject> {
        if self.ty(id).shape == shape.into() {
            return Ok(id);
        }
        if let Some(tensor) = self.build.plain_const(id) {
            let name = self.build.graph.value(id).name.clone();
            return Ok(self.build.graph.add_const(name, tensor.reshape(shape)?, None)?);
        }
        self.aux(Reshape::to(shape), &[id])
    }

    /// An input with its elements rearranged. Constants, and constants behind a dequantization, are
    /// rearranged at once.
    pub(crate) fn rearranged(&mut self, i: usize, steps: &[Step]) -> Result<ValueId, Reject> {
        if let Some(tensor) = self.constant(i) {
            let mut tensor = tensor.clone();
            for step in steps {
                tensor = step.apply(&tensor)?;
            }
            let name = match &self.inputs[i] {
                Val::Const(c) => c.name.clone(),
                _ => format!("{}.{i}", self.name),
            };
            return Ok(self.build.graph.add_const(name, tensor, None)?);
        }
        let id = self.input(i)?;
        if let Some(id) = self.rearranged_stored(id, steps)? {
            return Ok(id);
        }
        let mut id = id;
        for step in steps {
            id = match step {
                Step::Shape(shape) => self.reshape(id, shape)?,
                Step::Order(perm) => self.transpose(id, perm)?,
            };
        }
        Ok(id)
    }

    /// As [`rearranged`](Self::rearranged), for what dequantizes a constant.
    fn rearranged_stored(
        &mut self,
        id: ValueId,
        steps: &[Step],
    ) -> Result<Option<ValueId>, Reject> {
        let graph = &self.build.graph;
        let Some(node) = graph.producer(id).filter(|n| n.op.is::<Dequantize>()) else {
            return Ok(None);
        };
        let stored = graph.value(node.inputs()[0]);
        let (Some(data), Some(quant)) = (stored.constant(), stored.ty.quant.clone()) else {
            return Ok(None);
        };
        let (name, node_name) = (stored.name.clone(), node.name.clone());
        let (mut tensor, mut quant) = (data.dense(), quant);
        for step in steps {
            let Some(moved) = step.quant(&quant, tensor.shape()) else { return Ok(None) };
            quant = moved;
            tensor = step.apply(&tensor)?;
        }
        let stored = self.build.graph.add_const(name, tensor, Some(quant))?;
        let outputs = self.build.graph.add_node(node_name, Dequantize {}, &[stored])?;
        Ok(outputs.first().copied())
    }

    /// Sets an output of the node; those that the file leaves out are ignored.
    pub(crate) fn set(&mut self, i: usize, id: ValueId) {
        self.set_val(i, Val::Node(id));
    }

    /// As [`set`](Self::set), with a constant.
    pub(crate) fn set_const(&mut self, i: usize, tensor: Tensor) {
        let name = format!("{}:{i}", self.name);
        self.set_val(i, Val::constant(name, tensor));
    }

    /// As [`set`](Self::set), with anything.
    pub(crate) fn set_val(&mut self, i: usize, val: Val) {
        if let Some(slot) = self.outputs.get_mut(i) {
            *slot = val;
        }
    }

    /// Takes this many bytes from what constants may still grow by.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<(), Reject> {
        charge(self.budget, bytes)
    }
}

/// Whether an op picks among stored integers in an order that is also that of the real numbers.
fn orders(op: &paring_ir::OpRef) -> bool {
    if let Some(pool) = op.downcast_ref::<Pool>() {
        return pool.kind == PoolKind::Max;
    }
    if let Some(resize) = op.downcast_ref::<Resize>() {
        return resize.method == ResizeMethod::Nearest;
    }
    if let Some(reduce) = op.downcast_ref::<Reduce>() {
        return matches!(reduce.f, ReduceFn::Max | ReduceFn::Min);
    }
    op.is::<Concat>()
}

/// Whether an op of one operand gives some of the operand's elements, in another place.
fn moves(op: &paring_ir::OpRef) -> bool {
    (op.quant_rule() == QuantRule::Moves || orders(op)) && !op.is::<Concat>()
}

/// One step of rearranging elements.
pub(crate) enum Step {
    /// Another shape.
    Shape(Vec<usize>),
    /// Axis `i` becomes axis `perm[i]` of what was.
    Order(Vec<usize>),
}

impl Step {
    fn apply(&self, tensor: &Tensor) -> Result<Tensor, Reject> {
        match self {
            Self::Shape(shape) => Ok(tensor.reshape(shape.clone())?),
            Self::Order(perm) => permuted(tensor, perm),
        }
    }

    /// The quantization after this step, if there is one for it.
    fn quant(&self, quant: &Quant, from: &[usize]) -> Option<Quant> {
        let (axis, scales, zero_points) = match quant {
            Quant::PerTensor { .. } => return Some(quant.clone()),
            Quant::PerAxis { axis, scales, zero_points } => (*axis, scales, zero_points),
            Quant::PerBlock { .. } => return None,
        };
        let axis = match self {
            Self::Order(perm) => perm.iter().position(|&p| p == axis)?,
            Self::Shape(to) => {
                // The axis whose extent and step in memory are the same.
                let after = |s: &[usize], a: usize| s[a + 1..].iter().product::<usize>();
                let (n, step) = (*from.get(axis)?, after(from, axis));
                (0..to.len()).find(|&a| to[a] == n && after(to, a) == step)?
            }
        };
        Some(Quant::PerAxis { axis, scales: scales.clone(), zero_points: zero_points.clone() })
    }
}

/// Takes bytes from a budget.
pub(crate) fn charge(budget: &mut usize, bytes: usize) -> Result<(), Reject> {
    match budget.checked_sub(bytes) {
        Some(rest) => {
            *budget = rest;
            Ok(())
        }
        None => Err(Reject::malformed(format!(
            "computed constants take more than {} bytes",
            crate::reader::EXPANSION_LIMIT
        ))),
    }
}

/// An axis counted from the front, for `rank` axes.
pub(crate) fn resolve_axis(axis: i64, rank: usize) -> Result<usize, Reject> {
    let from_front = if axis < 0 { axis.checked_add(rank as i64) } else { Some(axis) };
    from_front
        .and_then(|a| usize::try_from(a).ok())
        .filter(|a| *a < rank)
        .ok_or_else(|| Reject::malformed(format!("axis {axis} is not one of {rank} axes")))
}

/// A constant with its axes in another order. The bytes are shared where the axes that change places
/// are all of extent 1.
pub(crate) fn permuted(tensor: &Tensor, perm: &[usize]) -> Result<Tensor, Reject> {
    let shape = tensor.shape();
    let in_range = perm.len() == shape.len() && perm.iter().all(|&p| p < shape.len());
    if in_range {
        let long: Vec<usize> = perm.iter().copied().filter(|&p| shape[p] != 1).collect();
        if long.windows(2).all(|w| w[0] < w[1]) {
            let new: Vec<usize> = perm.iter().map(|&p| shape[p]).collect();
            return Ok(tensor.reshape(new)?);
        }
    }
    Ok(tensor.transpose(perm)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_count_from_either_end() {
        assert_eq!(resolve_axis(-1, 4).unwrap(), 3);
        assert_eq!(resolve_axis(0, 1).unwrap(), 0);
        for (axis, rank) in [(4, 4), (-5, 4), (0, 0), (i64::MIN, 3), (i64::MAX, 3)] {
            assert!(resolve_axis(axis, rank).is_err(), "{axis} of {rank}");
        }
    }

    #[test]
    fn pointwise_and_depthwise_filters_share_their_bytes() {
        for shape in [[3, 2, 1, 1], [4, 1, 3, 3]] {
            let t = Tensor::zeros(DType::F32, shape).unwrap();
            let p = permuted(&t, &[0, 2, 3, 1]).unwrap();
            assert_eq!(p.shape(), [shape[0], shape[2], shape[3], shape[1]]);
            assert_eq!(p.bytes().as_ptr(), t.bytes().as_ptr());
        }
        let t = Tensor::zeros(DType::F32, [3, 2, 3, 3]).unwrap();
        let p = permuted(&t, &[0, 2, 3, 1]).unwrap();
        assert_ne!(p.bytes().as_ptr(), t.bytes().as_ptr());
        assert!(permuted(&t, &[0, 0, 1, 2]).is_err());
    }
}
