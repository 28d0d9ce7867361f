//! From nodes to kernel calls on values.

use std::ops::Range;

use paring_backend::requantize;
use paring_cortex_m_kernels::{Coding, Core, Kernel, Layer, Requant, Unit};
use paring_ir::ops::Activation;
use paring_ir::{Graph, Node, NodeId, ValueId};
use paring_qmath::Multiplier;
use paring_tensor::{DType, Tensor, TensorType};

use crate::choose::{self, Choice, Optimize, Policy};
use crate::ops;
use crate::stream::Stream;

/// What a call reads.
#[derive(Clone, Debug)]
pub(crate) enum Operand {
    /// A value in the arena.
    Value(ValueId),
    /// A constant array of this name.
    Const(String),
}

/// A kernel with its operands.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub kernel: Kernel,
    pub inputs: Vec<Operand>,
    pub output: ValueId,
}

/// A lowered node: its calls, or the statement that its output is its input.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub node: NodeId,
    pub calls: Vec<Call>,
    pub alias: Option<(ValueId, ValueId)>,
    pub constant_bytes: usize,
    /// How the weights are stored, where there is a choice.
    pub choice: Option<Choice>,
}

/// The lowering of a graph in progress.
pub(crate) struct Lowering<'g> {
    pub graph: &'g Graph,
    pub unit: Unit,
    pub steps: Vec<Step>,
    core: Core,
    policy: &'g Policy,
}

impl<'g> Lowering<'g> {
    pub fn new(graph: &'g Graph, core: Core, policy: &'g Policy) -> Self {
        Self { graph, unit: Unit::new(core.isa()), steps: Vec::new(), core, policy }
    }

    /// Steps that run together: their range and the stream that they are, where they are one.
    pub fn stages(&self) -> Vec<(Range<usize>, Option<&'g Stream>)> {
        let mut stages = Vec::new();
        let mut at = 0;
        while let Some(step) = self.steps.get(at) {
            let mut streams = self.policy.streams.iter();
            let stream = streams.find(|s| s.nodes().next() == Some(step.node));
            let end = at + stream.map_or(1, |s| s.nodes().count());
            stages.push((at..end, stream));
            at = end;
        }
        stages
    }

    /// Brings the steps of each stream together, in its order, where its last one is. Nothing else reads
    /// what those before the last write.
    pub fn gather_streams(&mut self) {
        for stream in &self.policy.streams {
            let nodes: Vec<NodeId> = stream.nodes().collect();
            let place = |steps: &[Step], node| steps.iter().position(|s| s.node == node);
            let last = nodes.last().and_then(|&n| place(&self.steps, n));
            let before = self.steps.iter().take(last.unwrap_or(0));
            let at = before.filter(|s| !nodes.contains(&s.node)).count();
            let (mut own, mut rest): (Vec<Step>, Vec<Step>) =
                self.steps.drain(..).partition(|s| nodes.contains(&s.node));
            own.sort_by_key(|s| nodes.iter().position(|&n| n == s.node));
            rest.splice(at..at, own);
            self.steps = rest;
        }
    }

    /// Bytes of code, roughly: C compiles to about a byte for twelve of its text.
    pub fn code_estimate(&self) -> usize {
        self.unit.functions().len() / 12 + 24 * self.steps.len()
    }

    /// Lowers the next node.
    pub fn add(&mut self, node: &Node) -> Result<(), String> {
        for &value in node.inputs().iter().chain(node.outputs()) {
            let ty = self.graph.ty(value);
            if ty.byte_len().is_none() {
                let name = &self.graph.value(value).name;
                return Err(format!("`{name}` has the unbound shape {}; bind it first", ty.shape));
            }
        }
        let name = format!("layer_{}", self.steps.len());
        let before = self.unit.constant_bytes();
        let mut step =
            Step { node: node.id, calls: Vec::new(), alias: None, constant_bytes: 0, choice: None };
        let Some(lower) = ops::lowering(node.op.name()) else {
            return Err(format!("there is no kernel for `{}` yet", node.op.name()));
        };
        lower(&mut Site { lowering: self, node, name, step: &mut step })?;
        step.constant_bytes = self.unit.constant_bytes() - before;
        self.steps.push(step);
        Ok(())
    }
}

/// One node being lowered.
pub(crate) struct Site<'a, 'g> {
    lowering: &'a mut Lowering<'g>,
    pub node: &'a Node,
    name: String,
    step: &'a mut Step,
}

impl<'g> Site<'_, 'g> {
    pub fn graph(&self) -> &'g Graph {
        self.lowering.graph
    }

    pub fn input(&self, index: usize) -> Result<ValueId, String> {
        self.node.inputs().get(index).copied().ok_or_else(|| format!("input {index} is missing"))
    }

    pub fn output(&self) -> Result<ValueId, String> {
        self.node.outputs().first().copied().ok_or_else(|| "there is no output".to_string())
    }

    pub fn ty(&self, value: ValueId) -> &'g TensorType {
        self.graph().ty(value)
    }

    pub fn shape(&self, value: ValueId) -> Result<Vec<usize>, String> {
        let ty = self.ty(value);
        ty.shape.fixed().ok_or_else(|| format!("the shape {} is not fixed", ty.shape))
    }

    /// Height, width and channels of an image of batch 1.
    pub fn image(&self, value: ValueId) -> Result<[usize; 3], String> {
        match self.shape(value)?.as_slice() {
            &[1, h, w, c] => Ok([h, w, c]),
            shape => Err(format!("shape {shape:?}: kernels work on a batch of 1")),
        }
    }

    /// Whether an activation has 16 bits.
    pub fn is_wide(&self, value: ValueId) -> bool {
        self.ty(value).dtype == DType::I16
    }

    /// Scale and zero point of an activation of as many bits as another.
    pub fn like(&self, other: ValueId, what: &str, value: ValueId) -> Result<(f32, i32), String> {
        if !self.is_wide(other) {
            return self.int8(what, value);
        }
        if !self.is_wide(value) {
            return Err(format!("{what} has {} elements beside int16", self.ty(value).dtype));
        }
        requantize::per_tensor(what, self.ty(value))
    }

    /// Scale and zero point of an int8 activation.
    pub fn int8(&self, what: &str, value: ValueId) -> Result<(f32, i32), String> {
        let ty = self.ty(value);
        if ty.dtype != DType::I8 {
            return Err(format!(
                "{what} has {} elements; quantize the network to int8 or int16 first",
                ty.dtype
            ));
        }
        requantize::per_tensor(what, ty)
    }

    /// A constant's elements.
    pub fn constant(&self, what: &str, value: ValueId) -> Result<Tensor, String> {
        let constant = self.graph().constant(value);
        constant.map(|c| c.dense()).ok_or_else(|| format!("{what} is computed, not a constant"))
    }

    pub fn int8_constant(&self, what: &str, value: ValueId) -> Result<Vec<i8>, String> {
        let tensor = self.constant(what, value)?;
        match tensor.view::<i8>() {
            Ok(values) => Ok(values.into_owned()),
            Err(_) => Err(format!("{what} has {} elements; int8 is needed", tensor.dtype())),
        }
    }

    /// The bias of a layer on 16-bit activations, zeros when there is none.
    pub fn wide_bias(&self, channels: usize) -> Result<Vec<i64>, String> {
        let Some(&value) = self.node.inputs().get(2) else { return Ok(vec![0; channels]) };
        let tensor = self.constant("the bias", value)?;
        match tensor.dtype() {
            DType::I32 | DType::I64 => Ok(tensor.to_i64()),
            other => Err(format!("the bias has {other} elements; int32 or int64 is needed")),
        }
    }

    /// The bias, zeros when there is none.
    pub fn bias(&self, channels: usize) -> Result<Vec<i32>, String> {
        let Some(&value) = self.node.inputs().get(2) else { return Ok(vec![0; channels]) };
        let tensor = self.constant("the bias", value)?;
        match tensor.view::<i32>() {
            Ok(values) => Ok(values.into_owned()),
            Err(_) => Err(format!("the bias has {} elements; int32 is needed", tensor.dtype())),
        }
    }

    /// The rescaling of a layer with weights, with its activation.
    pub fn channel_requant(
        &self,
        channels: usize,
        activation: Activation,
    ) -> Result<Requant, String> {
        let (x, w, y) = (self.input(0)?, self.input(1)?, self.output()?);
        let weights = self.ty(w);
        if let Some(quant) = &weights.quant
            && !quant.is_symmetric()
        {
            return Err("the weights have zero points other than 0".into());
        }
        let make = match self.node.op.name() {
            "dense" => requantize::dense_multipliers,
            _ => requantize::channel_multipliers,
        };
        let mut multipliers = make(self.ty(x), weights, self.ty(y), channels)?;
        if multipliers.iter().all(|m| Some(m) == multipliers.first()) {
            multipliers.truncate(1);
        }
        self.requant(multipliers, activation)
    }

    /// A rescaling to the node's output.
    pub fn requant(
        &self,
        multipliers: Vec<Multiplier>,
        activation: Activation,
    ) -> Result<Requant, String> {
        let y = self.output()?;
        let (scale, zero) = self.like(y, "the output", y)?;
        let (low, high) = activation.quantized_bounds(scale, zero, self.ty(y).dtype);
        Ok(Requant { multipliers, zero, low, high })
    }

    /// Whether code may be spent on speed.
    pub fn fast(&self) -> bool {
        self.lowering.policy.optimize == Optimize::Speed
    }

    /// Adds a kernel call that writes the node's output.
    pub fn call(&mut self, layer: &dyn Layer, inputs: Vec<Operand>) -> Result<(), String> {
        let output = self.output()?;
        let name = match self.step.calls.len() {
            0 => self.name.clone(),
            n => format!("{}_{n}", self.name),
        };
        let policy = self.lowering.policy;
        let bands = policy.streams.iter().find_map(|s| s.bands(self.node.id));
        let parts = policy.streams.iter().find_map(|s| s.parts(self.node.id));
        let unit = &mut self.lowering.unit;
        let kernel = match (bands, parts) {
            (Some(bands), _) => unit.add_rows(layer, &name, bands),
            (_, Some(parts)) => unit.add_patches(layer, &name, parts),
            _ => unit.add(layer, &name),
        };
        let kernel = kernel.map_err(|e| e.to_string())?;
        self.step.calls.push(Call { kernel, inputs, output });
        Ok(())
    }

    /// Adds a call on the node's first input of a kernel whose weights, input 1, can be stored in
    /// several ways.
    pub fn call_weighted(&mut self, layer: &dyn Layer) -> Result<(), String> {
        let weights = self.graph().constant(self.input(1)?);
        let compressed = weights.is_some_and(|w| {
            w.palette().is_some() || w.sparse().is_some() || w.dtype() == DType::I4
        });
        let mut candidates = choose::candidates(layer, self.lowering.core);
        let policy = self.lowering.policy;
        if policy.streams.iter().any(|s| s.parts(self.node.id).is_some()) {
            // Patches are cut from weights of a byte each.
            candidates.retain(|c| c.coding == Coding::Plain);
        }
        let choice = choose::choose(self.lowering.policy, self.node.id, candidates, compressed);
        let coded = layer.coded(choice.coding);
        self.step.choice = Some(choice);
        self.call_on_input(coded.as_deref().unwrap_or(layer))
    }

    /// Adds a kernel call on the node's first input.
    pub fn call_on_input(&mut self, layer: &dyn Layer) -> Result<(), String> {
        let input = self.operand(0)?;
        self.call(layer, vec![input])
    }

    /// An input as an operand; constants become arrays.
    pub fn operand(&mut self, index: usize) -> Result<Operand, String> {
        let value = self.input(index)?;
        if self.graph().constant(value).is_none() {
            return Ok(Operand::Value(value));
        }
        let name = format!("{}_c{index}", self.name);
        if self.is_wide(value) {
            let tensor = self.constant("a constant operand", value)?;
            let values = tensor.view::<i16>().map_err(|e| e.to_string())?;
            self.lowering.unit.operand_wide(&name, &values);
        } else {
            let values = self.int8_constant("a constant operand", value)?;
            self.lowering.unit.operand(&name, &values);
        }
        Ok(Operand::Const(name))
    }

    /// States that the output is the input under another shape.
    pub fn alias(&mut self) -> Result<(), String> {
        let input = self.input(0)?;
        if self.graph().constant(input).is_some() {
            return Err("the input is a constant; fold it first".into());
        }
        self.step.alias = Some((input, self.output()?));
        Ok(())
    }
}
