use crate::op::OpRef;
use crate::{Op, OpError};
use paring_tensor::{ConstData, Dim, Quant, Shape, TensorType};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

/// Identity of a node; never used again after the node is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) u32);

/// Identity of a value; never used again after the value is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ValueId(pub(crate) u32);

impl NodeId {
    /// A dense index for side tables of length [`Graph::node_bound`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl ValueId {
    /// A dense index for side tables of length [`Graph::value_bound`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// An operation with its operands.
#[derive(Clone, Debug)]
pub struct Node {
    /// Identity.
    pub id: NodeId,
    /// Name kept from the import, unique in the graph.
    pub name: String,
    /// What it computes.
    pub op: OpRef,
    pub(crate) inputs: Vec<ValueId>,
    pub(crate) outputs: Vec<ValueId>,
}

impl Node {
    /// Operands in order.
    #[must_use]
    pub fn inputs(&self) -> &[ValueId] {
        &self.inputs
    }

    /// Results in order.
    #[must_use]
    pub fn outputs(&self) -> &[ValueId] {
        &self.outputs
    }

    /// The op as its own type, if it is that.
    #[must_use]
    pub fn op_as<T: Op>(&self) -> Option<&T> {
        self.op.downcast_ref()
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Def {
    /// Given by the caller.
    Input,
    /// A constant.
    Const(ConstData),
    /// Kept from the run before; see [`State`].
    State,
    /// An output of a node.
    Node(NodeId, usize),
}

/// Something that a node computes or uses.
#[derive(Clone, Debug)]
pub struct Value {
    /// Identity.
    pub id: ValueId,
    /// Name kept from the import, unique in the graph.
    pub name: String,
    /// Element type, shape and quantization.
    pub ty: TensorType,
    /// The smallest and largest real number seen in calibration.
    pub range: Option<(f32, f32)>,
    pub(crate) def: Def,
    pub(crate) uses: Vec<(NodeId, usize)>,
}

impl Value {
    /// Where the value comes from.
    #[must_use]
    pub fn def(&self) -> &Def {
        &self.def
    }

    /// Every node and operand position that reads the value.
    #[must_use]
    pub fn uses(&self) -> &[(NodeId, usize)] {
        &self.uses
    }

    /// The constant, if it is one.
    #[must_use]
    pub fn constant(&self) -> Option<&ConstData> {
        match &self.def {
            Def::Const(data) => Some(data),
            _ => None,
        }
    }
}

/// An input or output of the graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Name in the model file.
    pub name: String,
    /// The value in the graph.
    pub value: ValueId,
    /// How the model's own layout relates to the graph's: axis `i` of the model's tensor is axis
    /// `external[i]` of the graph's value. `None` where the two are the same.
    pub external: Option<Vec<usize>>,
}

/// A value that lives from one run to the next: an operand of the next run (`current`) that is set
/// to a result of this one (`next`), and starts as `initial`.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// Defined as [`Def::State`].
    pub current: ValueId,
    /// Computed by each run; the type equals that of `current`.
    pub next: ValueId,
    /// What `current` is in the first run.
    pub initial: ConstData,
}

/// Why the graph could not be built or changed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GraphError {
    /// An op refuses its inputs.
    #[error("node `{node}` ({op}): {source}")]
    Op {
        /// Name of the node.
        node: String,
        /// Name of the op.
        op: &'static str,
        /// Why.
        source: OpError,
    },
    /// The declared type of an output is not what the op computes.
    #[error(
        "node `{node}` ({op}): output {index} is declared {declared} but computed as {inferred}"
    )]
    OutputType {
        /// Name of the node.
        node: String,
        /// Name of the op.
        op: &'static str,
        /// Which output.
        index: usize,
        /// What was declared.
        declared: Box<TensorType>,
        /// What the op computes.
        inferred: Box<TensorType>,
    },
    /// The node has another number of outputs than the op.
    #[error("node `{node}` ({op}): {declared} outputs are declared, the op has {inferred}")]
    OutputCount {
        /// Name of the node.
        node: String,
        /// Name of the op.
        op: &'static str,
        /// Outputs declared.
        declared: usize,
        /// Outputs of the op.
        inferred: usize,
    },
    /// A value's type does not hold together, or not with its constant.
    #[error("value `{value}`: {why}")]
    Value {
        /// Name of the value.
        value: String,
        /// What is wrong.
        why: String,
    },
    /// A patch does not fit the graph.
    #[error("rewrite `{patch}`: {why}")]
    Patch {
        /// Name of the patch.
        patch: String,
        /// What is wrong.
        why: String,
    },
}

/// A network: nodes and values, inputs, outputs and states.
///
/// A reader or parser builds one with the `add_*` methods. Afterwards it changes through
/// [`Patch`](crate::Patch)es, which are checked before they are applied.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    name: String,
    pub(crate) nodes: Vec<Option<Node>>,
    pub(crate) values: Vec<Option<Value>>,
    pub(crate) inputs: Vec<Port>,
    pub(crate) outputs: Vec<Port>,
    pub(crate) states: Vec<State>,
    pub(crate) value_names: HashMap<String, ValueId>,
    pub(crate) node_names: HashMap<String, NodeId>,
}

impl Graph {
    /// An empty graph.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The graph's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Gives the graph a name.
    pub fn set_name(&mut self, name: impl Into<String>) {
        self.name = name.into();
    }

    /// Adds an input.
    ///
    /// # Errors
    /// If the quantization does not fit the type.
    pub fn add_input(
        &mut self,
        name: impl Into<String>,
        ty: TensorType,
    ) -> Result<ValueId, GraphError> {
        let port = name.into();
        let value = self.add_value(port.clone(), ty, Def::Input)?;
        self.inputs.push(Port { name: port, value, external: None });
        Ok(value)
    }

    /// States that the model's own layout of an input or output differs from the graph's; see
    /// [`Port::external`].
    pub fn set_external(&mut self, port: PortRef, external: Option<Vec<usize>>) {
        let (ports, index) = match port {
            PortRef::Input(i) => (&mut self.inputs, i),
            PortRef::Output(i) => (&mut self.outputs, i),
        };
        if let Some(port) = ports.get_mut(index) {
            port.external = external;
        }
    }

    /// Adds a constant.
    ///
    /// # Errors
    /// If the quantization does not fit the element type or shape.
    pub fn add_const(
        &mut self,
        name: impl Into<String>,
        data: impl Into<ConstData>,
        quant: Option<Quant>,
    ) -> Result<ValueId, GraphError> {
        let data = data.into();
        let ty = TensorType { dtype: data.dtype(), shape: data.shape().into(), quant };
        self.add_value(name.into(), ty, Def::Const(data))
    }

    /// Adds a value that is kept between runs; [`set_state`](Self::set_state) says what it becomes.
    ///
    /// # Errors
    /// If the quantization does not fit the type.
    pub fn add_state(
        &mut self,
        name: impl Into<String>,
        ty: TensorType,
    ) -> Result<ValueId, GraphError> {
        self.add_value(name.into(), ty, Def::State)
    }

    /// Says what a state starts as and which value it becomes after each run.
    pub fn set_state(&mut self, current: ValueId, next: ValueId, initial: impl Into<ConstData>) {
        self.states.push(State { current, next, initial: initial.into() });
    }

    /// Adds a node whose output types are inferred. One output takes the node's name, several take
    /// it with `:0`, `:1`, ... appended.
    ///
    /// # Errors
    /// If the op refuses the inputs.
    pub fn add_node(
        &mut self,
        name: impl Into<String>,
        op: impl Into<OpArg>,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, GraphError> {
        let (name, op) = (name.into(), op.into().0);
        let types = self.infer(&name, &op, inputs)?;
        let many = types.len() > 1;
        let outputs = types
            .into_iter()
            .enumerate()
            .map(|(i, ty)| (if many { format!("{name}:{i}") } else { name.clone() }, ty))
            .collect();
        self.add_typed_node(name, op, inputs, outputs)
    }

    /// Adds a node whose outputs have these names and types.
    ///
    /// # Errors
    /// If the op refuses the inputs or does not compute these types.
    pub fn add_typed_node(
        &mut self,
        name: impl Into<String>,
        op: impl Into<OpArg>,
        inputs: &[ValueId],
        outputs: Vec<(String, TensorType)>,
    ) -> Result<Vec<ValueId>, GraphError> {
        let (name, op) = (name.into(), op.into().0);
        let types: Vec<&TensorType> = inputs.iter().map(|v| &self.value(*v).ty).collect();
        let declared: Vec<&TensorType> = outputs.iter().map(|(_, ty)| ty).collect();
        check_node(&name, &op, &types, &declared)?;
        Ok(self.push_node(name, op, inputs, outputs))
    }

    /// Adds a node whose output types are not checked; [`verify`](crate::verify) finds what is wrong.
    pub(crate) fn push_node(
        &mut self,
        name: String,
        op: OpRef,
        inputs: &[ValueId],
        outputs: Vec<(String, TensorType)>,
    ) -> Vec<ValueId> {
        let id = NodeId(self.nodes.len() as u32);
        let name = unique(&self.node_names, name);
        let mut ids = Vec::with_capacity(outputs.len());
        for (i, (value, ty)) in outputs.into_iter().enumerate() {
            ids.push(self.push_value(value, ty, Def::Node(id, i)));
        }
        for (i, v) in inputs.iter().enumerate() {
            self.value_mut(*v).uses.push((id, i));
        }
        self.node_names.insert(name.clone(), id);
        self.nodes.push(Some(Node { id, name, op, inputs: inputs.to_vec(), outputs: ids.clone() }));
        ids
    }

    /// Gives a value another name; a number is appended if the name is taken. Names of ports stay.
    pub fn rename_value(&mut self, id: ValueId, name: impl Into<String>) {
        let name = name.into();
        if self.value_mut(id).name == name {
            return;
        }
        let name = unique(&self.value_names, name);
        let old = std::mem::replace(&mut self.value_mut(id).name, name.clone());
        self.value_names.remove(&old);
        self.value_names.insert(name, id);
    }

    /// Gives a node another name; a number is appended if the name is taken.
    pub fn rename_node(&mut self, id: NodeId, name: impl Into<String>) {
        let name = name.into();
        if self.get_node(id).is_none_or(|n| n.name == name) {
            return;
        }
        let name = unique(&self.node_names, name);
        if let Some(node) = self.nodes[id.index()].as_mut() {
            let old = std::mem::replace(&mut node.name, name.clone());
            self.node_names.remove(&old);
            self.node_names.insert(name, id);
        }
    }

    /// The graph without the nodes and constants that no output and no state depends on. Inputs stay.
    /// Ids are given anew.
    #[must_use]
    pub fn live(&self) -> Self {
        let mut open: Vec<ValueId> = self.outputs.iter().map(|p| p.value).collect();
        open.extend(self.states.iter().flat_map(|s| [s.current, s.next]));
        let inputs: Vec<ValueId> = self.inputs.iter().map(|p| p.value).collect();
        let (mut live, ids) = self.copy(&inputs, open);
        let renew = |v: &ValueId| ids.get(v).copied().unwrap_or(*v);
        let port = |p: &Port| Port { value: renew(&p.value), ..p.clone() };
        live.inputs = self.inputs.iter().map(port).collect();
        live.outputs = self.outputs.iter().map(port).collect();
        let state = |s: &State| State {
            current: renew(&s.current),
            next: renew(&s.next),
            initial: s.initial.clone(),
        };
        live.states = self.states.iter().map(state).collect();
        live
    }

    /// The part of a graph without states that computes the values `to` from the values `from`, which
    /// become its outputs and inputs in this order, and the id there of each value that it holds.
    #[must_use]
    pub fn part(&self, from: &[ValueId], to: &[ValueId]) -> (Self, HashMap<ValueId, ValueId>) {
        let (mut part, ids) = self.copy(from, to.to_vec());
        let port = |v: &ValueId| {
            let value = *ids.get(v)?;
            Some(Port { name: self.value(*v).name.clone(), value, external: None })
        };
        part.inputs = from.iter().filter_map(port).collect();
        part.outputs = to.iter().filter_map(port).collect();
        (part, ids)
    }

    /// What the values in `open` need, down to `inputs`, without ports.
    fn copy(
        &self,
        inputs: &[ValueId],
        mut open: Vec<ValueId>,
    ) -> (Self, HashMap<ValueId, ValueId>) {
        let ends: HashSet<ValueId> = inputs.iter().copied().collect();
        let mut needed = vec![false; self.value_bound()];
        while let Some(id) = open.pop() {
            if !std::mem::replace(&mut needed[id.index()], true)
                && !ends.contains(&id)
                && let Some(node) = self.producer(id)
            {
                open.extend(&node.inputs);
            }
        }
        let lives = |n: &Node| n.outputs.iter().any(|v| needed[v.index()] && !ends.contains(v));
        let mut live = Self::new(self.name.clone());
        let mut ids: HashMap<ValueId, ValueId> = HashMap::new();
        for value in self.values() {
            let end = ends.contains(&value.id);
            let keep = match &value.def {
                Def::Node(node, _) => end || self.get_node(*node).is_some_and(lives),
                Def::Input => end || needed[value.id.index()],
                Def::Const(_) | Def::State => needed[value.id.index()],
            };
            if keep {
                let def = if end { Def::Input } else { value.def.clone() };
                let id = live.push_value(value.name.clone(), value.ty.clone(), def);
                live.value_mut(id).range = value.range;
                ids.insert(value.id, id);
            }
        }
        let renew = |v: &ValueId| ids.get(v).copied().unwrap_or(*v);
        for node in self.nodes().filter(|n| lives(n)) {
            let id = NodeId(live.nodes.len() as u32);
            let inputs: Vec<ValueId> = node.inputs.iter().map(renew).collect();
            let mut outputs = Vec::with_capacity(node.outputs.len());
            for (i, v) in node.outputs.iter().enumerate() {
                // A result that is also an input keeps a place of its own.
                let of = self.value(*v);
                let to = if ends.contains(v) {
                    live.push_value(of.name.clone(), of.ty.clone(), Def::Node(id, i))
                } else {
                    renew(v)
                };
                live.value_mut(to).def = Def::Node(id, i);
                outputs.push(to);
            }
            for (i, v) in inputs.iter().enumerate() {
                live.value_mut(*v).uses.push((id, i));
            }
            live.node_names.insert(node.name.clone(), id);
            let (name, op) = (node.name.clone(), node.op.clone());
            live.nodes.push(Some(Node { id, name, op, inputs, outputs }));
        }
        (live, ids)
    }

    /// Makes a value an output of the graph.
    pub fn add_output(&mut self, name: impl Into<String>, value: ValueId) {
        self.outputs.push(Port { name: name.into(), value, external: None });
    }

    fn infer(
        &self,
        name: &str,
        op: &OpRef,
        inputs: &[ValueId],
    ) -> Result<Vec<TensorType>, GraphError> {
        let types: Vec<&TensorType> = inputs.iter().map(|v| &self.value(*v).ty).collect();
        op.infer(&types).map_err(|source| GraphError::Op {
            node: name.to_owned(),
            op: op.name(),
            source,
        })
    }

    pub(crate) fn add_value(
        &mut self,
        name: String,
        ty: TensorType,
        def: Def,
    ) -> Result<ValueId, GraphError> {
        if let Err(e) = ty.check() {
            return Err(GraphError::Value { value: name, why: e.to_string() });
        }
        Ok(self.push_value(name, ty, def))
    }

    pub(crate) fn push_value(&mut self, name: String, ty: TensorType, def: Def) -> ValueId {
        let id = ValueId(self.values.len() as u32);
        let name = unique(&self.value_names, name);
        self.value_names.insert(name.clone(), id);
        self.values.push(Some(Value { id, name, ty, range: None, def, uses: Vec::new() }));
        id
    }

    /// A node.
    ///
    /// # Panics
    /// If the id is not of a node in this graph.
    #[must_use]
    pub fn node(&self, id: NodeId) -> &Node {
        self.get_node(id).unwrap_or_else(|| panic!("{id:?} is not in graph `{}`", self.name))
    }

    /// A node, if it is there.
    #[must_use]
    pub fn get_node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id.index())?.as_ref()
    }

    /// A value.
    ///
    /// # Panics
    /// If the id is not of a value in this graph.
    #[must_use]
    pub fn value(&self, id: ValueId) -> &Value {
        self.get_value(id).unwrap_or_else(|| panic!("{id:?} is not in graph `{}`", self.name))
    }

    /// A value, if it is there.
    #[must_use]
    pub fn get_value(&self, id: ValueId) -> Option<&Value> {
        self.values.get(id.index())?.as_ref()
    }

    pub(crate) fn value_mut(&mut self, id: ValueId) -> &mut Value {
        self.values[id.index()].as_mut().unwrap_or_else(|| panic!("{id:?} is gone"))
    }

    /// The value of this name.
    #[must_use]
    pub fn value_named(&self, name: &str) -> Option<&Value> {
        self.get_value(*self.value_names.get(name)?)
    }

    /// The node of this name.
    #[must_use]
    pub fn node_named(&self, name: &str) -> Option<&Node> {
        self.get_node(*self.node_names.get(name)?)
    }

    /// Type of a value.
    ///
    /// # Panics
    /// If the id is not of a value in this graph.
    #[must_use]
    pub fn ty(&self, id: ValueId) -> &TensorType {
        &self.value(id).ty
    }

    /// The constant that a value is, if it is one.
    ///
    /// # Panics
    /// If the id is not of a value in this graph.
    #[must_use]
    pub fn constant(&self, id: ValueId) -> Option<&ConstData> {
        self.value(id).constant()
    }

    /// The node that computes a value, if one does.
    ///
    /// # Panics
    /// If the id is not of a value in this graph.
    #[must_use]
    pub fn producer(&self, id: ValueId) -> Option<&Node> {
        match self.value(id).def {
            Def::Node(node, _) => self.get_node(node),
            _ => None,
        }
    }

    /// Whether the caller or the next run sees a value: it is an output or the next state.
    #[must_use]
    pub fn is_visible(&self, id: ValueId) -> bool {
        self.outputs.iter().any(|p| p.value == id) || self.states.iter().any(|s| s.next == id)
    }

    /// The one node that uses a value, if exactly one operand does and nothing else sees the value.
    #[must_use]
    pub fn only_user(&self, id: ValueId) -> Option<&Node> {
        match self.value(id).uses.as_slice() {
            [(node, _)] if !self.is_visible(id) => self.get_node(*node),
            _ => None,
        }
    }

    /// All nodes, in order of their ids.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().flatten()
    }

    /// All values, in order of their ids.
    pub fn values(&self) -> impl Iterator<Item = &Value> {
        self.values.iter().flatten()
    }

    /// Inputs in order.
    #[must_use]
    pub fn inputs(&self) -> &[Port] {
        &self.inputs
    }

    /// Outputs in order.
    #[must_use]
    pub fn outputs(&self) -> &[Port] {
        &self.outputs
    }

    /// States in order.
    #[must_use]
    pub fn states(&self) -> &[State] {
        &self.states
    }

    /// One more than the largest index of a node that ever was.
    #[must_use]
    pub fn node_bound(&self) -> usize {
        self.nodes.len()
    }

    /// One more than the largest index of a value that ever was.
    #[must_use]
    pub fn value_bound(&self) -> usize {
        self.values.len()
    }

    /// The symbols among the dimensions of inputs and states, sorted.
    #[must_use]
    pub fn symbols(&self) -> Vec<String> {
        let mut found: Vec<String> = self
            .values()
            .filter(|v| matches!(v.def(), Def::Input | Def::State))
            .flat_map(|v| v.ty.shape.dims())
            .filter_map(|d| match d {
                Dim::Symbol(s) => Some(s.to_string()),
                Dim::Fixed(_) => None,
            })
            .collect();
        found.sort();
        found.dedup();
        found
    }

    /// The graph with symbols replaced by numbers.
    ///
    /// # Errors
    /// If an op refuses the resulting shapes.
    pub fn bind(&self, sizes: &BTreeMap<String, usize>) -> Result<Self, GraphError> {
        let mut bound = self.clone();
        for value in bound.values.iter_mut().flatten() {
            let dims = value.ty.shape.dims().iter().map(|d| match d {
                Dim::Symbol(s) => sizes.get(s.as_ref()).map_or_else(|| d.clone(), |n| (*n).into()),
                Dim::Fixed(_) => d.clone(),
            });
            value.ty.shape = Shape::new(dims);
        }
        for node in bound.nodes() {
            bound.check(node)?;
        }
        Ok(bound)
    }

    /// Checks that a node's op computes its declared output types.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self, node: &Node) -> Result<(), GraphError> {
        let inputs: Vec<&TensorType> = node.inputs.iter().map(|v| self.ty(*v)).collect();
        let outputs: Vec<&TensorType> = node.outputs.iter().map(|v| self.ty(*v)).collect();
        check_node(&node.name, &node.op, &inputs, &outputs)
    }
}

/// Names an input or output by its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortRef {
    /// The input of this index.
    Input(usize),
    /// The output of this index.
    Output(usize),
}

/// An op by value or shared; what methods that take an op accept.
pub struct OpArg(pub(crate) OpRef);

impl OpArg {
    /// The op, shared.
    #[must_use]
    pub fn into_ref(self) -> OpRef {
        self.0
    }
}

impl<T: crate::op::DynOp> From<T> for OpArg {
    fn from(op: T) -> Self {
        Self(std::sync::Arc::new(op))
    }
}

impl From<OpRef> for OpArg {
    fn from(op: OpRef) -> Self {
        Self(op)
    }
}

impl From<&OpRef> for OpArg {
    fn from(op: &OpRef) -> Self {
        Self(op.clone())
    }
}

pub(crate) fn unique<T>(taken: &HashMap<String, T>, name: String) -> String {
    if !taken.contains_key(&name) {
        return name;
    }
    // The first free number where the taken ones have no gaps, in few steps even if a file gives
    // everything one name.
    let numbered = |i: u64| format!("{name}.{i}");
    let free = |i: u64| !taken.contains_key(&numbered(i));
    let (mut low, mut high) = (0, 1);
    while !free(high) {
        (low, high) = (high, high * 2);
    }
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        if free(middle) {
            high = middle;
        } else {
            low = middle;
        }
    }
    numbered(high)
}

/// Checks declared output types against what the op infers.
pub(crate) fn check_node(
    name: &str,
    op: &OpRef,
    inputs: &[&TensorType],
    declared: &[&TensorType],
) -> Result<(), GraphError> {
    use crate::QuantRule;
    let node = || name.to_owned();
    let inferred = op.infer(inputs).map_err(|source| GraphError::Op {
        node: node(),
        op: op.name(),
        source,
    })?;
    if inferred.len() != declared.len() {
        return Err(GraphError::OutputCount {
            node: node(),
            op: op.name(),
            declared: declared.len(),
            inferred: inferred.len(),
        });
    }
    let may_quantize = match op.quant_rule() {
        QuantRule::Quantizes => true,
        QuantRule::Moves => false,
        QuantRule::Computes => inputs.iter().any(|t| t.quant.is_some()),
    };
    for (index, (inferred, declared)) in inferred.into_iter().zip(declared).enumerate() {
        let fits = inferred == **declared
            || (may_quantize && declared.quant.is_some() && inferred.shape == declared.shape);
        if !fits {
            return Err(GraphError::OutputType {
                node: node(),
                op: op.name(),
                index,
                declared: Box::new((*declared).clone()),
                inferred: Box::new(inferred),
            });
        }
    }
    Ok(())
}

impl fmt::Display for Graph {
    /// The text form with constants over sixteen elements as summaries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::text::print(self, crate::text::Large::Summary).text)
    }
}
