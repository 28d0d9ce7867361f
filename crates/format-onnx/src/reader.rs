//! From the file's graph to ours: scopes, order, constant evaluation, refusals.

use crate::attrs::{Attrs, Bindings};
use crate::build::{Build, Constant, Val};
use crate::cx::{Cx, charge};
use crate::proto::{FunctionProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto};
use crate::reject::Reject;
use crate::tensor::{self, External};
use crate::{control, ops};
use paring_format::{FormatError, ReadOptions, Source};
use paring_ir::ops::{Lrn, NonMaxSuppression, Pool, Resize};
use paring_ir::{ExecError, Graph, Node, Refusal, ValueId, macs};
use paring_tensor::{Dim, Quant, Shape, Tensor, TensorType};
use prost::Message;
use std::collections::HashMap;
use std::rc::Rc;

/// Bytes that all constants which are computed on reading may take together.
pub(crate) const EXPANSION_LIMIT: usize = 1 << 30;

/// Multiply-accumulates, window taps and bytes written that evaluating all constants may take together.
const WORK_LIMIT: u64 = 1 << 34;

/// Nodes that a model may have after inlining functions and unrolling loops.
const NODE_LIMIT: usize = 1 << 20;

/// How deep functions and branches may nest.
const DEPTH_LIMIT: usize = 64;

/// Versions of operator sets, by domain.
pub(crate) type Opsets = HashMap<String, i64>;

/// Names that a graph, branch or function body sees.
pub(crate) struct Scope<'s> {
    names: HashMap<String, Val>,
    parent: Option<&'s Scope<'s>>,
    depth: usize,
}

impl<'s> Scope<'s> {
    pub(crate) fn root() -> Self {
        Scope { names: HashMap::new(), parent: None, depth: 0 }
    }

    /// A scope inside of this one, as a branch has.
    pub(crate) fn inner(&'s self) -> Scope<'s> {
        Scope { names: HashMap::new(), parent: Some(self), depth: self.depth + 1 }
    }

    /// A scope that sees nothing of this one, as a function has.
    fn function(&self) -> Scope<'static> {
        Scope { names: HashMap::new(), parent: None, depth: self.depth + 1 }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Val> {
        let mut scope = Some(self);
        while let Some(s) = scope {
            if let Some(val) = s.names.get(name) {
                return Some(val);
            }
            scope = s.parent;
        }
        None
    }

    pub(crate) fn set(&mut self, name: &str, val: Val) {
        self.names.insert(name.to_owned(), val);
    }
}

/// What does not change within a graph or function body.
pub(crate) struct Body<'p> {
    pub(crate) opsets: Opsets,
    pub(crate) bindings: Bindings<'p>,
    /// Put before names of nodes that have none of their own in the model's graph.
    pub(crate) prefix: String,
}

/// The import of one file.
pub(crate) struct Reader<'a, 'p> {
    pub(crate) source: &'a Source,
    options: &'a ReadOptions<'a>,
    external: External<'a>,
    functions: HashMap<(&'p str, &'p str, &'p str), &'p FunctionProto>,
    pub(crate) build: Build,
    refused: Vec<Refusal>,
    pub(crate) budget: usize,
    work: u64,
    nodes: usize,
}

/// Reads an ONNX model that lies at a path (external data is looked for beside it).
///
/// # Errors
/// If the file is malformed, or uses operators that are not supported: all of them.
pub fn read(source: &Source, options: &ReadOptions<'_>) -> Result<Graph, FormatError> {
    let model = ModelProto::decode(source.bytes.clone())
        .map_err(|e| source.malformed("the file", format!("is not an ONNX model: {e}")))?;
    let Some(proto) = &model.graph else {
        return Err(source.malformed("the file", "is not an ONNX model: it has no graph"));
    };
    if model.opset_import.is_empty() {
        let why = "is not an ONNX model: it names no operator set";
        return Err(source.malformed("the file", why));
    }
    let opsets = opsets(&model.opset_import);
    let functions = model
        .functions
        .iter()
        .map(|f| ((f.domain.as_str(), f.name.as_str(), f.overload.as_str()), f))
        .collect();
    let reader = Reader {
        source,
        options,
        external: External::new(source),
        functions,
        build: Build::new(if proto.name.is_empty() { "model" } else { &proto.name }),
        refused: Vec::new(),
        budget: EXPANSION_LIMIT,
        work: 0,
        nodes: 0,
    };
    let body = Body { opsets, bindings: Bindings::new(), prefix: String::new() };
    reader.model(proto, &body)
}

fn opsets(imports: &[OperatorSetIdProto]) -> Opsets {
    let domain = |d: &str| if d == "ai.onnx" { String::new() } else { d.to_owned() };
    imports.iter().map(|o| (domain(&o.domain), o.version)).collect()
}

/// How a message names a node.
fn place(index: usize, node: &NodeProto) -> String {
    format!("node {index} `{}` ({})", node.name, node.op_type)
}

impl<'p> Reader<'_, 'p> {
    fn model(mut self, proto: &'p GraphProto, body: &Body<'p>) -> Result<Graph, FormatError> {
        let mut scope = Scope::root();
        self.initializers(proto, &mut scope)?;
        for input in &proto.input {
            // Until IR version 4 constants were listed as inputs too.
            if scope.names.contains_key(&input.name) {
                continue;
            }
            let place = format!("input `{}`", input.name);
            let val = match self.input(input) {
                Ok(mut ty) => {
                    ty.quant = stated_quant(proto, &input.name, &scope)
                        .filter(|q| q.check(ty.dtype, &ty.shape).is_ok());
                    let id = self.build.graph.add_input(input.name.clone(), ty);
                    Val::Node(id.map_err(|e| self.source.malformed(&place, e.to_string()))?)
                }
                Err(Reject::Malformed(why)) => return Err(self.source.malformed(place, why)),
                Err(Reject::Unsupported(why)) => {
                    self.refuse(&input.name, "input", why);
                    Val::Unknown
                }
            };
            scope.set(&input.name, val);
        }
        self.nodes(&proto.node, &mut scope, body)?;
        if proto.output.is_empty() {
            return Err(self.source.malformed("the graph", "has no outputs"));
        }
        for output in &proto.output {
            let place = || format!("output `{}`", output.name);
            let Some(val) = scope.get(&output.name) else {
                return Err(self.source.malformed(place(), "nothing computes it"));
            };
            match self.build.value(val) {
                Ok(id) => self.build.graph.add_output(output.name.clone(), id),
                Err(Reject::Malformed(why)) => return Err(self.source.malformed(place(), why)),
                Err(Reject::Unsupported(why)) if !matches!(val, Val::Unknown) => {
                    self.refuse(&output.name, "output", why);
                }
                Err(Reject::Unsupported(_)) => {}
            }
        }
        if !self.refused.is_empty() {
            return Err(FormatError::Unsupported {
                path: self.source.path.clone(),
                refused: self.refused,
            });
        }
        let mut graph = self.build.graph.live();
        // What was rearranged takes over the name of what it was, if that is gone.
        for t in &proto.initializer {
            if graph.value_named(&t.name).is_none()
                && let Some(id) = graph.value_named(&format!("{}.1", t.name)).map(|v| v.id)
                && graph.constant(id).is_some()
            {
                graph.rename_value(id, t.name.clone());
            }
        }
        Ok(graph)
    }

    /// What a value is for the inputs that the model is read for.
    pub(crate) fn known(&self, val: &Val) -> Option<Tensor> {
        match val {
            Val::Const(c) => Some(c.tensor.clone()),
            Val::Node(id) => known(self.options, &self.build.graph, *id),
            _ => None,
        }
    }

    pub(crate) fn refuse(&mut self, node: &str, op: &str, why: impl Into<String>) {
        self.refused.push(Refusal { node: node.to_owned(), op: op.to_owned(), why: why.into() });
    }

    fn input(&self, input: &crate::proto::ValueInfoProto) -> Result<TensorType, Reject> {
        if input.name.is_empty() {
            return Err(Reject::malformed("has no name"));
        }
        let ty = input.r#type.as_deref().and_then(|t| t.tensor_type.as_ref());
        let ty = ty.ok_or_else(|| Reject::unsupported("is not a tensor"))?;
        let dtype = tensor::dtype(ty.elem_type)?;
        let shape = ty.shape.as_ref().ok_or_else(|| {
            Reject::unsupported("has no shape; export the model with the shapes of its inputs")
        })?;
        let dims = shape.dim.iter().map(|d| {
            let named = d.dim_param.as_ref().and_then(|n| self.options.dimensions.get(n));
            let n = match (d.dim_value, named) {
                (Some(n), _) if n >= 0 => usize::try_from(n).ok(),
                (_, Some(n)) => Some(*n),
                _ => Some(self.options.default_dimension),
            };
            n.map(Dim::Fixed)
        });
        let dims: Option<Vec<Dim>> = dims.collect();
        let ty = TensorType::new(
            dtype,
            Shape::new(dims.ok_or_else(|| Reject::malformed("an extent is too large"))?),
        );
        match ty.byte_len() {
            Some(n) if isize::try_from(n).is_ok() => Ok(ty),
            _ => Err(Reject::malformed(format!("{ty} is larger than memory can be"))),
        }
    }

    pub(crate) fn initializers(
        &mut self,
        proto: &GraphProto,
        scope: &mut Scope<'_>,
    ) -> Result<(), FormatError> {
        for t in &proto.initializer {
            let read = tensor::read(t, &mut self.external);
            let mut val = self.initializer(&t.name, read)?;
            if t.data_type == crate::proto::data_type::UINT4
                && let Val::Const(c) = &val
            {
                let (name, tensor) = (c.name.clone(), c.tensor.clone());
                val = Val::Const(Rc::new(Constant { name, tensor, unsigned4: true }));
            }
            scope.set(&t.name, val);
        }
        for t in &proto.sparse_initializer {
            let name = t.values.as_ref().map_or("", |v| v.name.as_str());
            let budget = &mut self.budget;
            let read =
                tensor::read_sparse(t, &mut self.external, &mut |bytes| charge(budget, bytes));
            let val = self.initializer(name, read)?;
            scope.set(name, val);
        }
        Ok(())
    }

    fn initializer(
        &mut self,
        name: &str,
        read: Result<Tensor, Reject>,
    ) -> Result<Val, FormatError> {
        match read {
            Ok(tensor) => Ok(Val::constant(name, tensor)),
            Err(Reject::Malformed(why)) => {
                Err(self.source.malformed(format!("initializer `{name}`"), why))
            }
            Err(Reject::Unsupported(why)) => {
                self.refuse(name, "initializer", why);
                Ok(Val::Unknown)
            }
        }
    }

    /// Imports the nodes of a graph, branch or function body.
    pub(crate) fn nodes(
        &mut self,
        nodes: &'p [NodeProto],
        scope: &mut Scope<'_>,
        body: &Body<'p>,
    ) -> Result<(), FormatError> {
        if scope.depth > DEPTH_LIMIT {
            let why = format!("functions and branches nest deeper than {DEPTH_LIMIT}");
            return Err(self.source.malformed("the graph", why));
        }
        for index in self.order(nodes, scope)? {
            let node = &nodes[index];
            self.nodes += 1;
            if self.nodes > NODE_LIMIT {
                let why = format!("more than {NODE_LIMIT} nodes with functions and loops expanded");
                return Err(self.source.malformed(place(index, node), why));
            }
            self.node(index, node, scope, body)?;
        }
        Ok(())
    }

    /// The order in which nodes can be imported: the file's if that is one.
    fn order(&self, nodes: &[NodeProto], scope: &Scope<'_>) -> Result<Vec<usize>, FormatError> {
        let mut producers: HashMap<&str, usize> = HashMap::new();
        for (i, node) in nodes.iter().enumerate() {
            for output in node.output.iter().filter(|o| !o.is_empty()) {
                if producers.insert(output, i).is_some() || scope.names.contains_key(output) {
                    let why = format!("its output `{output}` is defined twice");
                    return Err(self.source.malformed(place(i, node), why));
                }
            }
        }
        let mut needs: Vec<Vec<usize>> = Vec::with_capacity(nodes.len());
        let mut sorted = true;
        for (i, node) in nodes.iter().enumerate() {
            let mut read: Vec<&str> = Vec::new();
            uses(node, &mut read);
            let mut from: Vec<usize> =
                read.into_iter().filter_map(|name| producers.get(name).copied()).collect();
            from.sort_unstable();
            from.dedup();
            sorted &= from.last().is_none_or(|p| *p < i);
            needs.push(from);
        }
        if sorted {
            return Ok((0..nodes.len()).collect());
        }
        let mut users = vec![Vec::new(); nodes.len()];
        let mut missing: Vec<usize> = needs.iter().map(Vec::len).collect();
        for (i, from) in needs.iter().enumerate() {
            for &p in from {
                users[p].push(i);
            }
        }
        let mut ready: std::collections::BTreeSet<usize> =
            (0..nodes.len()).filter(|i| missing[*i] == 0).collect();
        let mut order = Vec::with_capacity(nodes.len());
        while let Some(i) = ready.pop_first() {
            order.push(i);
            for &u in &users[i] {
                missing[u] -= 1;
                if missing[u] == 0 {
                    ready.insert(u);
                }
            }
        }
        match missing.iter().position(|m| *m > 0) {
            None => Ok(order),
            Some(i) => Err(self.source.malformed(place(i, &nodes[i]), "depends on its own output")),
        }
    }

    fn node(
        &mut self,
        index: usize,
        node: &'p NodeProto,
        scope: &mut Scope<'_>,
        body: &Body<'p>,
    ) -> Result<(), FormatError> {
        let mut inputs = Vec::with_capacity(node.input.len());
        for (i, name) in node.input.iter().enumerate() {
            if name.is_empty() {
                inputs.push(Val::Absent);
                continue;
            }
            match scope.get(name) {
                Some(val) => inputs.push(val.clone()),
                None => {
                    let place = format!("{}, input {i}", place(index, node));
                    let why = format!("`{name}` is neither computed, given nor constant");
                    return Err(self.source.malformed(place, why));
                }
            }
        }
        let domain = if node.domain == "ai.onnx" { "" } else { node.domain.as_str() };
        let outputs = match self.dispatch(node, domain, inputs, scope, body) {
            Ok(outputs) => outputs,
            Err(Stop::Reject(Reject::Malformed(why))) => {
                return Err(self.source.malformed(place(index, node), why));
            }
            Err(Stop::Reject(Reject::Unsupported(why))) => {
                self.refuse(&node_name(node, body), &node.op_type, why);
                Vec::new()
            }
            Err(Stop::Poisoned) => Vec::new(),
            Err(Stop::Format(e)) => return Err(e),
        };
        for (i, name) in node.output.iter().enumerate().filter(|(_, n)| !n.is_empty()) {
            let val = match outputs.get(i) {
                Some(Val::Absent) => {
                    let why = format!("output {i} `{name}` is not supported");
                    self.refuse(&node_name(node, body), &node.op_type, why);
                    Val::Unknown
                }
                Some(val) => val.clone(),
                None => Val::Unknown,
            };
            scope.set(name, val);
        }
        Ok(())
    }

    fn dispatch(
        &mut self,
        node: &'p NodeProto,
        domain: &str,
        inputs: Vec<Val>,
        scope: &Scope<'_>,
        body: &Body<'p>,
    ) -> Result<Vec<Val>, Stop> {
        // A model's own function comes before an operator of the same name.
        let key = (node.domain.as_str(), node.op_type.as_str(), node.overload.as_str());
        if let Some(function) = self.functions.get(&key).copied() {
            return self.function(function, node, inputs, scope, body);
        }
        let entry = ops::find(domain, &node.op_type);
        let control = domain.is_empty() && control::handles(&node.op_type);
        if entry.is_none() && !control {
            let known = if domain.is_empty() {
                "no such operator is supported".to_owned()
            } else {
                format!("no such operator of domain `{domain}` is supported")
            };
            return Err(Reject::unsupported(known).into());
        }
        if inputs.iter().any(|v| matches!(v, Val::Unknown)) {
            return Err(Stop::Poisoned);
        }
        let Some(opset) = body.opsets.get(domain).copied().or(entry.and_then(|e| e.opset)) else {
            let why = format!("the file imports no operator set for domain `{domain}`");
            return Err(Reject::malformed(why).into());
        };
        let name = node_name(node, body);
        let attrs = Attrs::new(node, &body.bindings);
        if control {
            return control::import(self, node, attrs, inputs, scope, body);
        }
        let Some(entry) = entry else { return Ok(Vec::new()) };
        let constant = inputs.iter().all(|v| matches!(v, Val::Const(_) | Val::Absent));
        if constant
            && entry.fold
            && let Some(outputs) = self.fold(entry, node, opset, &name, attrs, &inputs)?
        {
            return Ok(outputs);
        }
        let first_new = self.build.graph.value_bound();
        let options = self.options;
        let resolve = |graph: &Graph, id: ValueId| known(options, graph, id);
        let wanted = node.output.iter().map(|o| !o.is_empty()).collect();
        let mut cx = Cx::new(
            opset,
            inputs,
            wanted,
            name,
            &node.op_type,
            attrs,
            &mut self.build,
            &mut self.budget,
            &resolve,
        );
        (entry.import)(&mut cx)?;
        let outputs = std::mem::take(&mut cx.outputs);
        for (val, name) in outputs.iter().zip(&node.output) {
            if let Val::Node(id) = val
                && id.index() >= first_new
                && !name.is_empty()
            {
                self.build.graph.rename_value(*id, format!("{}{name}", body.prefix));
            }
        }
        Ok(outputs)
    }

    /// Evaluates a node whose inputs are constants. `None` if the executor cannot.
    fn fold(
        &mut self,
        entry: &ops::Entry,
        node: &'p NodeProto,
        opset: i64,
        name: &str,
        attrs: Attrs<'_, 'p>,
        inputs: &[Val],
    ) -> Result<Option<Vec<Val>>, Stop> {
        let mut scratch = Build::new("constant");
        let wanted = node.output.iter().map(|o| !o.is_empty()).collect();
        let mut cx = Cx::new(
            opset,
            inputs.to_vec(),
            wanted,
            name.to_owned(),
            &node.op_type,
            attrs,
            &mut scratch,
            &mut self.budget,
            &|_, _| None,
        );
        (entry.import)(&mut cx)?;
        let mut outputs = std::mem::take(&mut cx.outputs);
        let computed: Vec<(usize, ValueId)> = outputs
            .iter()
            .enumerate()
            .filter_map(|(i, v)| match v {
                Val::Node(id) => Some((i, *id)),
                _ => None,
            })
            .collect();
        if computed.is_empty() {
            return Ok(Some(outputs));
        }
        for (i, id) in &computed {
            scratch.graph.add_output(format!("{i}"), *id);
        }
        let Some(tensors) = self.evaluate(&scratch.graph)? else { return Ok(None) };
        for ((i, _), tensor) in computed.into_iter().zip(tensors) {
            let fallback = format!("{name}:{i}");
            let name = node.output.get(i).filter(|n| !n.is_empty()).cloned().unwrap_or(fallback);
            outputs[i] = Val::constant(name, tensor);
        }
        Ok(Some(outputs))
    }

    /// Runs a graph without inputs. `None` if the executor cannot.
    fn evaluate(&mut self, graph: &Graph) -> Result<Option<Vec<Tensor>>, Stop> {
        let Some(executor) = self.options.executor else { return Ok(None) };
        let Ok(verified) = graph.verified() else { return Ok(None) };
        let mut work = self.work;
        for node in graph.nodes() {
            work = work.saturating_add(steps(graph, node));
            for output in node.outputs() {
                let bytes = graph.ty(*output).byte_len();
                // A size that depends on data is at most that of an operand.
                let operands = || {
                    node.inputs()
                        .iter()
                        .filter_map(|v| graph.ty(*v).byte_len())
                        .fold(0_usize, usize::saturating_add)
                        .saturating_mul(16)
                };
                let bytes = bytes.unwrap_or_else(operands);
                charge(&mut self.budget, bytes)?;
                work = work.saturating_add(bytes as u64);
            }
        }
        if work > WORK_LIMIT {
            let why = format!("evaluating the constants takes more than {WORK_LIMIT} steps");
            return Err(Reject::malformed(why).into());
        }
        self.work = work;
        let mut session = match executor.prepare(verified) {
            Ok(session) => session,
            Err(_) => return Ok(None),
        };
        match session.run(&[]) {
            Ok(tensors) => Ok(Some(tensors)),
            Err(ExecError::Data { why, .. }) => Err(Reject::malformed(why).into()),
            Err(_) => Ok(None),
        }
    }

    /// Imports a function's body in place of a call.
    fn function(
        &mut self,
        function: &'p FunctionProto,
        node: &'p NodeProto,
        inputs: Vec<Val>,
        scope: &Scope<'_>,
        body: &Body<'p>,
    ) -> Result<Vec<Val>, Stop> {
        let mut bindings = Bindings::new();
        for default in &function.attribute_proto {
            bindings.insert(default.name.clone(), default);
        }
        for attribute in &node.attribute {
            let bound = if attribute.ref_attr_name.is_empty() {
                Some(attribute)
            } else {
                body.bindings.get(&attribute.ref_attr_name).copied()
            };
            if let Some(bound) = bound {
                bindings.insert(attribute.name.clone(), bound);
            }
        }
        let mut inner = scope.function();
        for (i, name) in function.input.iter().enumerate() {
            inner.set(name, inputs.get(i).cloned().unwrap_or(Val::Absent));
        }
        let mut sets = body.opsets.clone();
        sets.extend(opsets(&function.opset_import));
        let prefix = format!("{}/", node_name(node, body));
        let inside = Body { opsets: sets, bindings, prefix };
        self.nodes(&function.node, &mut inner, &inside).map_err(Stop::Format)?;
        let outputs = function.output.iter().map(|name| {
            inner.get(name).cloned().ok_or_else(|| {
                let why = format!("function `{}` does not compute `{name}`", function.name);
                Stop::Reject(Reject::malformed(why))
            })
        });
        let outputs: Vec<Val> = outputs.collect::<Result<_, _>>()?;
        Ok(outputs)
    }
}

/// Why a node gave no outputs.
pub(crate) enum Stop {
    /// It is refused or wrong.
    Reject(Reject),
    /// It depends on a node that was refused.
    Poisoned,
    /// An error with its place.
    Format(FormatError),
}

impl From<Reject> for Stop {
    fn from(r: Reject) -> Self {
        Self::Reject(r)
    }
}

/// The name of a node in the graph: the file's, or one made of its output.
pub(crate) fn node_name(node: &NodeProto, body: &Body<'_>) -> String {
    let own = if node.name.is_empty() {
        node.output.iter().find(|o| !o.is_empty()).unwrap_or(&node.op_type)
    } else {
        &node.name
    };
    format!("{}{own}", body.prefix)
}

/// The names that a node reads, those that its branches take from around it included.
fn uses<'n>(node: &'n NodeProto, read: &mut Vec<&'n str>) {
    read.extend(node.input.iter().map(String::as_str).filter(|n| !n.is_empty()));
    for graph in node.attribute.iter().filter_map(|a| a.g.as_deref()) {
        for inner in &graph.node {
            uses(inner, read);
        }
        read.extend(graph.output.iter().map(|o| o.name.as_str()));
    }
}

/// The quantization of an integer input that all nodes that read it state alike, in constants. Where
/// transposes read it, what reads these counts.
fn stated_quant(proto: &GraphProto, name: &str, scope: &Scope<'_>) -> Option<Quant> {
    let mut common: Option<(&str, &str)> = None;
    let mut names = vec![name];
    for node in &proto.node {
        let mut read = Vec::new();
        uses(node, &mut read);
        if !read.iter().any(|n| names.contains(n)) {
            continue;
        }
        // Operands with scale and zero point after them.
        let operands: &[usize] = match node.op_type.as_str() {
            "DequantizeLinear" if node.attribute.iter().all(|a| a.name != "block_size") => &[0],
            "QLinearConv" | "QLinearMatMul" => &[0, 3],
            "Transpose" => {
                names.push(node.output.first()?);
                continue;
            }
            _ => return None,
        };
        let of = |n: &String| names.contains(&n.as_str());
        for (i, _) in node.input.iter().enumerate().filter(|(_, n)| of(n)) {
            let (scale, zero) = (node.input.get(i + 1)?, node.input.get(i + 2)?);
            if !operands.contains(&i) {
                return None;
            }
            match common {
                Some(known) if known != (scale.as_str(), zero.as_str()) => return None,
                _ => common = Some((scale, zero)),
            }
        }
    }
    let (scale, zero) = common?;
    let (scale, zero) = (scope.get(scale)?.as_const()?, scope.get(zero)?.as_const()?);
    match (scale.to_f32().as_slice(), zero.to_i64().as_slice()) {
        ([scale], [zero]) => Some(Quant::per_tensor(*scale, i32::try_from(*zero).ok()?)),
        _ => None,
    }
}

/// Steps that a node takes besides writing its results: products, or taps of windows.
fn steps(graph: &Graph, node: &Node) -> u64 {
    let elements = |v: &ValueId| graph.ty(*v).shape.elements().map_or(u64::MAX, |n| n as u64);
    let outputs: u64 = node.outputs().iter().map(elements).fold(0, u64::saturating_add);
    if let Some(pool) = node.op_as::<Pool>() {
        return outputs.saturating_mul(pool.kernel[0] as u64).saturating_mul(pool.kernel[1] as u64);
    }
    if let Some(lrn) = node.op_as::<Lrn>() {
        return outputs.saturating_mul(lrn.size as u64);
    }
    let inputs: u64 = node.inputs().iter().map(elements).fold(0, u64::saturating_add);
    if node.op.is::<NonMaxSuppression>() {
        return inputs.saturating_mul(inputs);
    }
    // Shrinking samples a number of elements for each result, in two dimensions.
    let factor = if node.op.is::<Resize>() { inputs.max(1) } else { 1 };
    let own = macs(graph, node).unwrap_or(u64::MAX);
    own.saturating_add(inputs).saturating_add(outputs.saturating_mul(factor.min(64)))
}

/// Computes a value of a graph from the values that its inputs are known to have.
fn known(options: &ReadOptions<'_>, graph: &Graph, id: ValueId) -> Option<Tensor> {
    if options.values.is_empty() {
        return None;
    }
    let given = |i: usize| {
        let ty = graph.ty(graph.inputs().get(i)?.value);
        let value = options.values.get(i).filter(|t| t.dtype() == ty.dtype)?;
        value.reshape(ty.shape.fixed()?).ok()
    };
    if let Some(i) = graph.inputs().iter().position(|p| p.value == id) {
        return given(i);
    }
    let mut upto = graph.clone();
    upto.add_output("known", id);
    let upto = upto.live();
    let verified = upto.verified().ok()?;
    let mut session = options.executor?.prepare(verified).ok()?;
    let values: Option<Vec<Tensor>> = (0..graph.inputs().len()).map(given).collect();
    session.run(&values?).ok()?.pop()
}
