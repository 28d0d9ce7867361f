use crate::graph::{Def, OpArg, check_node, unique};
use crate::op::OpRef;
use crate::{Graph, GraphError, Node, NodeId, Value, ValueId};
use paring_tensor::{ConstData, Quant, TensorType};
use std::collections::{HashMap, HashSet};

/// A change to a graph that is gathered first, checked as a whole, and then applied or refused.
///
/// New values get their ids at once, so later parts of the patch can use them. A patch belongs to the
/// graph state it was made for: applied to another one it is refused.
///
/// After [`Graph::apply`] everything that nothing reads any more because of the patch is gone, and a
/// new node or value has the name it was given even if that was the name of something that went; a
/// name that is still taken gets a number behind it.
#[derive(Debug)]
pub struct Patch {
    name: String,
    base: (usize, usize),
    new_values: Vec<Value>,
    new_nodes: Vec<Node>,
    replaced: Vec<(ValueId, ValueId)>,
    types: HashMap<ValueId, TensorType>,
    constants: HashMap<ValueId, ConstData>,
    ranges: HashMap<ValueId, Option<(f32, f32)>>,
    initials: HashMap<ValueId, ConstData>,
    ops: HashMap<NodeId, OpRef>,
    operands: HashMap<NodeId, Vec<ValueId>>,
    externals: Vec<(crate::PortRef, Option<Vec<usize>>)>,
}

impl Patch {
    /// An empty patch for `graph` as it is now. The name appears in errors.
    pub fn new(graph: &Graph, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            base: (graph.node_bound(), graph.value_bound()),
            new_values: Vec::new(),
            new_nodes: Vec::new(),
            replaced: Vec::new(),
            types: HashMap::new(),
            constants: HashMap::new(),
            ranges: HashMap::new(),
            initials: HashMap::new(),
            ops: HashMap::new(),
            operands: HashMap::new(),
            externals: Vec::new(),
        }
    }

    /// Whether the patch changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.replaced.is_empty()
            && self.types.is_empty()
            && self.constants.is_empty()
            && self.ranges.is_empty()
            && self.initials.is_empty()
            && self.ops.is_empty()
            && self.operands.is_empty()
            && self.externals.is_empty()
    }

    fn error(&self, why: impl Into<String>) -> GraphError {
        GraphError::Patch { patch: self.name.clone(), why: why.into() }
    }

    fn new_value(&mut self, name: String, ty: TensorType, def: Def) -> ValueId {
        let id = ValueId((self.base.1 + self.new_values.len()) as u32);
        self.new_values.push(Value { id, name, ty, range: None, def, uses: Vec::new() });
        id
    }

    /// The type that a value has once the patch is applied.
    ///
    /// # Panics
    /// If the id is neither of the graph nor of the patch.
    #[must_use]
    pub fn ty<'a>(&'a self, graph: &'a Graph, id: ValueId) -> &'a TensorType {
        if let Some(ty) = self.types.get(&id) {
            return ty;
        }
        match id.index().checked_sub(self.base.1) {
            Some(i) => &self.new_values[i].ty,
            None => graph.ty(id),
        }
    }

    /// A new constant.
    pub fn constant(
        &mut self,
        name: impl Into<String>,
        data: impl Into<ConstData>,
        quant: Option<Quant>,
    ) -> ValueId {
        let data = data.into();
        let ty = TensorType { dtype: data.dtype(), shape: data.shape().into(), quant };
        self.new_value(name.into(), ty, Def::Const(data))
    }

    /// A new node whose output types are inferred.
    ///
    /// # Errors
    /// If the op refuses the inputs.
    pub fn node(
        &mut self,
        graph: &Graph,
        name: impl Into<String>,
        op: impl Into<OpArg>,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, GraphError> {
        let (name, op) = (name.into(), op.into().0);
        let types: Vec<&TensorType> = inputs.iter().map(|v| self.ty(graph, *v)).collect();
        let outputs = op.infer(&types).map_err(|source| GraphError::Op {
            node: name.clone(),
            op: op.name(),
            source,
        })?;
        Ok(self.push_node(name, op, inputs, outputs))
    }

    /// A new node whose outputs have these types, which [`Graph::apply`] checks.
    pub fn typed_node(
        &mut self,
        name: impl Into<String>,
        op: impl Into<OpArg>,
        inputs: &[ValueId],
        outputs: Vec<TensorType>,
    ) -> Vec<ValueId> {
        self.push_node(name.into(), op.into().0, inputs, outputs)
    }

    fn push_node(
        &mut self,
        name: String,
        op: OpRef,
        inputs: &[ValueId],
        types: Vec<TensorType>,
    ) -> Vec<ValueId> {
        let id = NodeId((self.base.0 + self.new_nodes.len()) as u32);
        let many = types.len() > 1;
        let outputs: Vec<ValueId> = types
            .into_iter()
            .enumerate()
            .map(|(i, ty)| {
                let value = if many { format!("{name}:{i}") } else { name.clone() };
                self.new_value(value, ty, Def::Node(id, i))
            })
            .collect();
        self.new_nodes.push(Node {
            id,
            name,
            op,
            inputs: inputs.to_vec(),
            outputs: outputs.clone(),
        });
        outputs
    }

    /// Redirects every use of `old` outside of the patch's own nodes, the graph's outputs and next
    /// states included, to `new`. A value of the patch takes over the name and, if it has none, the
    /// calibrated range.
    ///
    /// The types have to be equal unless the patch retypes one of them.
    pub fn replace(&mut self, old: ValueId, new: ValueId) {
        self.replaced.push((old, new));
    }

    /// Declares another type for a value. The nodes that compute and read it are checked against it.
    pub fn set_type(&mut self, value: ValueId, ty: TensorType) {
        match value.index().checked_sub(self.base.1) {
            Some(i) => self.new_values[i].ty = ty,
            None => {
                self.types.insert(value, ty);
            }
        }
    }

    /// Gives a constant of the graph other contents, for all its users; the type follows.
    pub fn set_constant(
        &mut self,
        value: ValueId,
        data: impl Into<ConstData>,
        quant: Option<Quant>,
    ) {
        let data = data.into();
        let ty = TensorType { dtype: data.dtype(), shape: data.shape().into(), quant };
        self.types.insert(value, ty);
        self.constants.insert(value, data);
    }

    /// Sets or clears the calibrated range of a value.
    pub fn set_range(&mut self, value: ValueId, range: Option<(f32, f32)>) {
        match value.index().checked_sub(self.base.1) {
            Some(i) => self.new_values[i].range = range,
            None => {
                self.ranges.insert(value, range);
            }
        }
    }

    /// Says what a state starts as; its type is set by [`set_type`](Self::set_type).
    pub fn set_initial(&mut self, state: ValueId, data: impl Into<ConstData>) {
        self.initials.insert(state, data.into());
    }

    /// Gives a node of the graph another op over the same operands.
    pub fn set_op(&mut self, node: NodeId, op: impl Into<OpArg>) {
        self.ops.insert(node, op.into().0);
    }

    /// Gives a node of the graph other operands.
    pub fn set_operands(&mut self, node: NodeId, operands: Vec<ValueId>) {
        self.operands.insert(node, operands);
    }

    /// Changes how the model's own layout of a port relates to the graph's value, for a value whose
    /// axes the patch reorders.
    pub fn set_external(&mut self, port: crate::PortRef, external: Option<Vec<usize>>) {
        self.externals.push((port, external));
    }
}

impl Graph {
    /// Checks a patch and applies it.
    ///
    /// # Errors
    /// If the patch was made for another state of the graph, names what is not there, would give a
    /// node types that its op does not compute, change the type of a replaced value, or make a cycle.
    /// The graph is then unchanged.
    pub fn apply(&mut self, patch: Patch) -> Result<(), GraphError> {
        let mut patch = patch;
        if patch.base != (self.node_bound(), self.value_bound()) {
            return Err(patch.error("made for another state of the graph"));
        }
        self.check_patch(&patch)?;
        let mut orphans = Vec::new();
        for (node, op) in patch.ops {
            if let Some(node) = self.nodes[node.index()].as_mut() {
                node.op = op;
            }
        }
        for (value, ty) in patch.types {
            self.value_mut(value).ty = ty;
        }
        for (value, data) in patch.constants {
            self.value_mut(value).def = Def::Const(data);
        }
        for (value, range) in patch.ranges {
            self.value_mut(value).range = range;
        }
        for state in &mut self.states {
            if let Some(data) = patch.initials.remove(&state.current) {
                state.initial = data;
            }
        }
        for (port, external) in patch.externals {
            self.set_external(port, external);
        }
        // Existing uses move before the patch's own nodes add theirs.
        let mut renamed_values = Vec::new();
        let mut renamed_nodes = Vec::new();
        for mut value in patch.new_values {
            let wanted = value.name.clone();
            value.name = unique(&self.value_names, value.name);
            if value.name != wanted {
                renamed_values.push((value.id, wanted));
            }
            self.value_names.insert(value.name.clone(), value.id);
            orphans.push(value.id);
            self.values.push(Some(value));
        }
        for (node, operands) in std::mem::take(&mut patch.operands) {
            orphans.extend(self.swap_operands(node, &operands));
        }
        for (old, new) in &patch.replaced {
            self.redirect(*old, *new);
            orphans.push(*old);
        }
        for mut node in patch.new_nodes {
            let wanted = node.name.clone();
            node.name = unique(&self.node_names, node.name);
            if node.name != wanted {
                renamed_nodes.push((node.id, wanted));
            }
            self.node_names.insert(node.name.clone(), node.id);
            for (i, v) in node.inputs.iter().enumerate() {
                self.value_mut(*v).uses.push((node.id, i));
            }
            self.nodes.push(Some(node));
        }
        let created = patch.base.1;
        let inherit: Vec<_> = patch
            .replaced
            .iter()
            .filter(|(old, new)| new.index() >= created && self.value(*old).uses.is_empty())
            .map(|(old, new)| (self.value(*old).name.clone(), self.value(*old).range, *new))
            .collect();
        self.sweep(orphans);
        for (id, wanted) in renamed_nodes {
            if !self.node_names.contains_key(&wanted)
                && let Some(node) = self.nodes[id.index()].as_mut()
            {
                let old = std::mem::replace(&mut node.name, wanted.clone());
                self.node_names.remove(&old);
                self.node_names.insert(wanted, id);
            }
        }
        for (name, range, new) in inherit {
            renamed_values.retain(|(id, _)| *id != new);
            if let Some(value) = self.values[new.index()].as_mut() {
                value.range = value.range.or(range);
                self.rename(new, name);
            }
        }
        for (id, wanted) in renamed_values {
            if !self.value_names.contains_key(&wanted) && self.get_value(id).is_some() {
                self.rename(id, wanted);
            }
        }
        Ok(())
    }

    /// Removes nodes and constants that no output and no state depends on.
    pub fn remove_dead(&mut self) -> usize {
        let before = self.nodes().count();
        let all = self.values().map(|v| v.id).collect();
        self.sweep(all);
        before - self.nodes().count()
    }

    fn check_patch(&self, patch: &Patch) -> Result<(), GraphError> {
        let bound = patch.base.1 + patch.new_values.len();
        let exists = |v: ValueId| {
            if v.index() < patch.base.1 { self.get_value(v).is_some() } else { v.index() < bound }
        };
        let named = patch.replaced.iter().flat_map(|(a, b)| [*a, *b]);
        let read = patch.new_nodes.iter().flat_map(|n| n.inputs.iter().copied());
        let read = read.chain(patch.operands.values().flatten().copied());
        let changed = patch.types.keys().chain(patch.ranges.keys()).copied();
        if let Some(v) = named.chain(read).chain(changed).find(|v| !exists(*v)) {
            return Err(patch.error(format!("{v:?} is not in the graph")));
        }
        if let Some(n) =
            patch.ops.keys().chain(patch.operands.keys()).find(|n| self.get_node(**n).is_none())
        {
            return Err(patch.error(format!("{n:?} is not in the graph")));
        }
        if let Some(v) = patch.constants.keys().find(|v| self.constant(**v).is_none()) {
            return Err(patch.error(format!("`{}` is not a constant", self.value(*v).name)));
        }
        for value in &patch.new_values {
            value
                .ty
                .check()
                .map_err(|e| GraphError::Value { value: value.name.clone(), why: e.to_string() })?;
        }
        for (value, ty) in &patch.types {
            ty.check().map_err(|e| GraphError::Value {
                value: self.value(*value).name.clone(),
                why: e.to_string(),
            })?;
        }
        let target: HashMap<ValueId, ValueId> = patch.replaced.iter().copied().collect();
        for (old, new) in &patch.replaced {
            let (was, is) = (patch.ty(self, *old), patch.ty(self, *new));
            if was != is && !patch.types.contains_key(old) {
                return Err(patch.error(format!(
                    "replaces `{}` of type {was} by a value of type {is}",
                    self.get_value(*old).map_or("a new value", |v| &v.name)
                )));
            }
            if target.contains_key(new) {
                return Err(patch.error("replaces a value by one that is itself replaced"));
            }
        }
        // Every node that the patch touches, with its operands afterwards.
        let mut touched: HashSet<NodeId> =
            patch.ops.keys().chain(patch.operands.keys()).copied().collect();
        let watched = patch.types.keys().chain(target.keys());
        for v in watched.filter(|v| v.index() < patch.base.1) {
            touched.extend(self.value(*v).uses.iter().map(|(n, _)| *n));
            if patch.types.contains_key(v)
                && let Def::Node(n, _) = self.value(*v).def
            {
                touched.insert(n);
            }
        }
        let operands = |node: &Node| -> Vec<ValueId> {
            let own = patch.operands.get(&node.id).unwrap_or(&node.inputs);
            own.iter().map(|v| *target.get(v).unwrap_or(v)).collect()
        };
        let dead = |node: &Node| {
            node.outputs.iter().all(|v| target.contains_key(v)) && !patch.ops.contains_key(&node.id)
        };
        let check = |node: &Node, inputs: &[ValueId]| {
            let ins: Vec<_> = inputs.iter().map(|v| patch.ty(self, *v)).collect();
            let outs: Vec<_> = node.outputs.iter().map(|v| patch.ty(self, *v)).collect();
            check_node(&node.name, patch.ops.get(&node.id).unwrap_or(&node.op), &ins, &outs)
        };
        for node in touched.iter().map(|n| self.node(*n)).filter(|n| !dead(n)) {
            check(node, &operands(node))?;
        }
        for node in &patch.new_nodes {
            check(node, &node.inputs)?;
        }
        self.check_acyclic(patch, &operands)
    }

    /// A patch can close a cycle only through an operand it moves, so it is enough to follow the
    /// producers of those.
    fn check_acyclic(
        &self,
        patch: &Patch,
        operands: &dyn Fn(&Node) -> Vec<ValueId>,
    ) -> Result<(), GraphError> {
        let moved: HashSet<NodeId> = patch
            .replaced
            .iter()
            .filter_map(|(old, _)| self.get_value(*old))
            .flat_map(|v| v.uses.iter().map(|(n, _)| *n))
            .chain(patch.operands.keys().copied())
            .collect();
        if moved.is_empty() {
            return Ok(());
        }
        let producer = |v: ValueId| match v.index().checked_sub(patch.base.1) {
            Some(i) => match patch.new_values[i].def {
                Def::Node(n, _) => Some(n),
                _ => None,
            },
            None => self.producer(v).map(|n| n.id),
        };
        let next = |n: NodeId| -> Vec<NodeId> {
            let inputs = match n.index().checked_sub(patch.base.0) {
                Some(i) => patch.new_nodes[i].inputs.clone(),
                None => operands(self.node(n)),
            };
            inputs.into_iter().filter_map(producer).collect()
        };
        // Depth-first with an explicit stack; a node met while open closes a cycle.
        let mut state: HashMap<NodeId, bool> = HashMap::new();
        for start in moved {
            let mut stack = vec![(start, false)];
            while let Some((node, done)) = stack.pop() {
                if done {
                    state.insert(node, true);
                    continue;
                }
                match state.get(&node) {
                    Some(true) => continue,
                    Some(false) => return Err(patch.error("makes a cycle")),
                    None => {}
                }
                state.insert(node, false);
                stack.push((node, true));
                for n in next(node) {
                    match state.get(&n) {
                        Some(false) => return Err(patch.error("makes a cycle")),
                        Some(true) => {}
                        None => stack.push((n, false)),
                    }
                }
            }
        }
        Ok(())
    }

    fn swap_operands(&mut self, node: NodeId, operands: &[ValueId]) -> Vec<ValueId> {
        let Some(slot) = self.nodes[node.index()].as_mut() else { return Vec::new() };
        let old = std::mem::replace(&mut slot.inputs, operands.to_vec());
        for v in &old {
            self.value_mut(*v).uses.retain(|(n, _)| *n != node);
        }
        for (i, v) in operands.iter().enumerate() {
            self.value_mut(*v).uses.push((node, i));
        }
        old
    }

    fn redirect(&mut self, old: ValueId, new: ValueId) {
        for (node, i) in std::mem::take(&mut self.value_mut(old).uses) {
            if let Some(user) = self.nodes[node.index()].as_mut() {
                user.inputs[i] = new;
                self.value_mut(new).uses.push((node, i));
            }
        }
        for port in self.outputs.iter_mut().filter(|p| p.value == old) {
            port.value = new;
        }
        for state in self.states.iter_mut().filter(|s| s.next == old) {
            state.next = new;
        }
    }

    fn rename(&mut self, value: ValueId, name: String) {
        if self.value(value).name == name {
            return;
        }
        let name = unique(&self.value_names, name);
        let old = std::mem::replace(&mut self.value_mut(value).name, name.clone());
        self.value_names.remove(&old);
        self.value_names.insert(name, value);
    }

    /// Removes those of `candidates` that nothing reads, and whatever that frees.
    fn sweep(&mut self, mut candidates: Vec<ValueId>) {
        while let Some(id) = candidates.pop() {
            let Some(value) = self.get_value(id) else { continue };
            if !value.uses.is_empty() || self.is_visible(id) {
                continue;
            }
            match value.def {
                Def::Input | Def::State => {}
                Def::Const(_) => self.remove_value(id),
                Def::Node(node, _) => {
                    let outputs = self.node(node).outputs.clone();
                    let used = |v: &ValueId| {
                        self.is_visible(*v)
                            || self.get_value(*v).is_some_and(|v| !v.uses.is_empty())
                    };
                    if outputs.iter().any(used) {
                        continue;
                    }
                    for v in outputs {
                        self.remove_value(v);
                    }
                    if let Some(node) = self.nodes[node.index()].take() {
                        self.node_names.remove(&node.name);
                        for v in node.inputs {
                            self.value_mut(v).uses.retain(|(n, _)| *n != node.id);
                            candidates.push(v);
                        }
                    }
                }
            }
        }
    }

    fn remove_value(&mut self, id: ValueId) {
        if let Some(value) = self.values[id.index()].take() {
            self.value_names.remove(&value.name);
        }
    }
}
