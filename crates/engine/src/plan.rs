//! From a graph to steps over one arena.

use crate::ops::{Lower, Lowered, Part, Tail};
use crate::unpack::{constant, unpacks};
use paring_backend::planner::{Block, plan};
use paring_ir::ops::{Activation, Binary, BinaryFn, Conv2d, Dense, Unary};
use paring_ir::{ExecError, Executor, Graph, Node, NodeId, Refusal, Session, ValueId, Verified};
use paring_kernels::Kernels;
use paring_qmath::Rounding;
use paring_runtime::steps::strip::{MOST, Strip};
use paring_runtime::{Blob, Buffer, Element, LINE, Port, Program, Run, Source, Span, State};
use paring_tensor::{DType, TensorType};
use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

/// A node that another executor runs.
pub(crate) struct Foreign {
    /// Forked for each session.
    pub(crate) session: Mutex<Box<dyn Session>>,
    pub(crate) inputs: Vec<Typed>,
    pub(crate) outputs: Vec<Typed>,
    pub(crate) name: String,
}

/// A place with what is there.
#[derive(Clone, Debug)]
pub(crate) struct Typed {
    pub(crate) value: ValueId,
    pub(crate) source: Source,
    pub(crate) dtype: DType,
    pub(crate) shape: Vec<usize>,
}

/// What is done for a node.
pub(crate) enum Work {
    Steps(Vec<Run>),
    Foreign(usize),
}

/// One node, or several that are one step.
pub(crate) struct Item {
    pub(crate) work: Work,
    /// The values that are there afterwards.
    pub(crate) shown: Vec<Typed>,
}

/// Everything that sessions share.
pub(crate) struct Plan {
    pub(crate) items: Vec<Item>,
    pub(crate) foreign: Vec<Foreign>,
    pub(crate) consts: Vec<Blob>,
    pub(crate) arena: usize,
    pub(crate) inputs: Vec<Typed>,
    pub(crate) outputs: Vec<Typed>,
    /// The state's place, what becomes of it, and its initial bytes.
    pub(crate) states: Vec<(Typed, Typed, Vec<u8>)>,
    /// What a run takes; see [`Run::work`].
    pub(crate) work: usize,
}

/// What a plan is made with.
#[derive(Clone, Copy)]
pub(crate) struct Options<'a> {
    pub(crate) kernels: &'a dyn Kernels,
    pub(crate) rounding: Rounding,
    pub(crate) fallback: Option<&'a dyn Executor>,
    /// Whether nodes may be joined; where not, every value is computed.
    pub(crate) fuse: bool,
    /// Threads that steps which are joined have memory for.
    pub(crate) threads: usize,
    /// Name of the backend.
    pub(crate) name: &'a str,
}

/// A node with those that follow it into its step.
struct Chain {
    tail: Tail,
    /// The output of the last one.
    output: ValueId,
    /// The last one.
    end: NodeId,
}

/// The bounds of a clamp.
fn clamp_of(op: &Unary) -> Option<(f32, f32)> {
    match op {
        Unary::Relu => Some(Activation::Relu.bounds()),
        Unary::Relu6 => Some(Activation::Relu6.bounds()),
        Unary::ReluN1To1 => Some(Activation::ReluN1To1.bounds()),
        Unary::Clip { min, max } if min <= max => Some((*min, *max)),
        _ => None,
    }
}

/// The nodes after a product that can be part of its step: an addition, then a clamp.
fn chain(graph: &Graph, node: &Node, taken: &HashSet<NodeId>) -> Chain {
    let output = node.outputs()[0];
    let mut chain = Chain { tail: Tail::NONE, output, end: node.id };
    let real = |v: ValueId| matches!(graph.ty(v).dtype, DType::F32 | DType::F16);
    let (none, depthwise) = match (node.op_as::<Conv2d>(), node.op_as::<Dense>()) {
        (Some(op), _) => (op.activation.is_none(), op.groups > 1),
        (_, Some(op)) => (op.activation.is_none(), false),
        _ => return chain,
    };
    if !none || node.inputs().iter().any(|v| !real(*v)) {
        return chain;
    }
    while let Some(next) = graph.only_user(chain.output) {
        let &[result] = next.outputs() else { break };
        if taken.contains(&next.id) {
            break;
        }
        if let Some(op) = next.op_as::<Binary>() {
            let other = next.inputs().iter().copied().find(|v| *v != chain.output);
            let Some(other) = other else { break };
            let same = graph.ty(other) == graph.ty(chain.output);
            if op.f != BinaryFn::Add || !same || depthwise || chain.tail.rest.is_some() {
                break;
            }
            chain.tail.rest = Some(other);
            chain.tail.clamp = op.activation.bounds();
            (chain.output, chain.end) = (result, next.id);
            if !op.activation.is_none() {
                break;
            }
        } else if let Some(clamp) = next.op_as::<Unary>().and_then(clamp_of) {
            chain.tail.clamp = clamp;
            (chain.output, chain.end) = (result, next.id);
            break;
        } else {
            break;
        }
    }
    chain
}

/// Leaves padding with zeros to the convolution that alone reads it, where there is a step for that.
fn fold_pads(lower: &mut Lower<'_>, order: &[NodeId]) {
    for id in order {
        let node = lower.graph.node(*id);
        let Some(y) = lower.zeros_around(node).and(node.outputs().first()) else { continue };
        let Some(user) = lower.graph.only_user(*y) else { continue };
        if user.op_as::<Conv2d>().is_some() && user.inputs().first() == Some(y) {
            lower.pads.insert(*id);
            if lower.lower(user, Tail::NONE).is_none() {
                lower.pads.remove(id);
            }
        }
    }
}

/// A part of the arena while it is planned.
type BlockId = usize;

/// What a step writes.
#[derive(Clone, Copy)]
enum Output {
    Value(ValueId),
    /// A part of a block.
    Part(BlockId, Span),
}

/// A step whose places are not known yet.
struct Draft {
    part: Part,
    output: Output,
    scratch: Option<BlockId>,
}

enum DraftWork {
    Steps(Vec<Draft>),
    Foreign(usize),
}

struct Builder<'a> {
    graph: &'a Graph,
    options: Options<'a>,
    blocks: Vec<Block>,
    /// The block of each value, and where the value begins in it.
    block_of: HashMap<ValueId, (BlockId, usize)>,
    consts: Vec<Blob>,
    const_of: HashMap<ValueId, usize>,
    foreign: Vec<Foreign>,
}

/// What [`Block`] counts in: its alignment then is a cache line.
const UNIT: usize = LINE / paring_backend::planner::ALIGNMENT;

/// Bytes that kernels may read beyond a value.
pub(crate) fn slack(kernels: &dyn Kernels, ty: &TensorType) -> usize {
    match ty.dtype.size() {
        1 => kernels.i8_step(),
        2 => 2 * (kernels.i16_step() - 1),
        _ => 0,
    }
}

impl Builder<'_> {
    fn slack(&self, ty: &TensorType) -> usize {
        slack(self.options.kernels, ty)
    }

    fn bytes(&self, v: ValueId) -> usize {
        self.graph.ty(v).byte_len().unwrap_or(0)
    }

    fn block(&mut self, bytes: usize, at: usize) -> BlockId {
        self.blocks.push(Block::new(bytes.div_ceil(UNIT), at, at));
        self.blocks.len() - 1
    }

    fn define(&mut self, v: ValueId, at: usize) {
        let bytes = self.bytes(v) + self.slack(self.graph.ty(v));
        let block = self.block(bytes, at);
        self.block_of.insert(v, (block, 0));
    }

    /// Notes that a step reads a value.
    fn read(&mut self, v: ValueId, at: usize) {
        if let Some((block, _)) = self.block_of.get(&v) {
            let block = &mut self.blocks[*block];
            block.last = block.last.max(at);
            return;
        }
        if !self.const_of.contains_key(&v)
            && let Some(data) = constant(self.graph, v)
        {
            let slack = self.slack(self.graph.ty(v));
            self.consts.push(Buffer::of(data.dense().bytes(), slack).into());
            self.const_of.insert(v, self.consts.len() - 1);
        }
    }

    /// The node alone in a graph of the fallback's.
    fn foreign(&mut self, node: &Node) -> Result<Foreign, String> {
        let none = || format!("the {} backend has no kernel for it", self.options.name);
        let fallback = self.options.fallback.ok_or_else(none)?;
        let ty = |v: &ValueId| self.graph.ty(*v);
        if node.outputs().iter().any(|v| ty(v).byte_len().is_none()) {
            return Err("the extents of its result depend on the data".to_owned());
        }
        let mut graph = Graph::new("node");
        let (mut operands, mut inputs) = (Vec::new(), Vec::new());
        let mut known: HashMap<ValueId, ValueId> = HashMap::new();
        for v in node.inputs() {
            let value = self.graph.value(*v);
            let new = match (known.get(v), constant(self.graph, *v)) {
                (Some(new), _) => Ok(*new),
                (None, Some(data)) => {
                    graph.add_const(&*value.name, data.into_owned(), value.ty.quant.clone())
                }
                (None, None) => {
                    inputs.push(*v);
                    graph.add_input(&*value.name, value.ty.clone())
                }
            };
            let new = new.map_err(|e| e.to_string())?;
            known.insert(*v, new);
            operands.push(new);
        }
        let outputs =
            node.outputs().iter().map(|v| (self.graph.value(*v).name.clone(), ty(v).clone()));
        let outputs = graph
            .add_typed_node(&*node.name, &node.op, &operands, outputs.collect())
            .map_err(|e| e.to_string())?;
        for v in &outputs {
            graph.add_output("y", *v);
        }
        let verified = graph.verified().map_err(|e| e.to_string())?;
        let session = fallback.prepare(verified).map_err(|e| match e {
            ExecError::Unsupported { refused, .. } => {
                refused.into_iter().map(|r| r.why).collect::<Vec<_>>().join("; ")
            }
            other => other.to_string(),
        })?;
        let typed = |v: &ValueId| Typed {
            value: *v,
            source: Source::Const(usize::MAX),
            dtype: ty(v).dtype,
            shape: ty(v).shape.fixed().unwrap_or_default(),
        };
        Ok(Foreign {
            session: Mutex::new(session),
            inputs: inputs.iter().map(typed).collect(),
            outputs: node.outputs().iter().map(typed).collect(),
            name: node.name.clone(),
        })
    }
}

/// Makes the plan of a graph without unbound dimensions.
pub(crate) fn build(verified: &Verified<'_>, options: Options<'_>) -> Result<Plan, ExecError> {
    let graph = verified.graph();
    let mut b = Builder {
        graph,
        options,
        blocks: Vec::new(),
        block_of: HashMap::new(),
        consts: Vec::new(),
        const_of: HashMap::new(),
        foreign: Vec::new(),
    };
    let mut lower = Lower {
        graph,
        kernels: options.kernels,
        rounding: options.rounding,
        fallback: options.fallback,
        pads: HashSet::new(),
    };
    if options.fuse {
        fold_pads(&mut lower, verified.order());
    }
    let given = graph.inputs().iter().map(|p| p.value);
    for v in given.chain(graph.states().iter().map(|s| s.current)) {
        b.define(v, 0);
    }

    // Which nodes are part of an earlier one's step, and where such a step is run.
    let mut taken: HashSet<NodeId> = HashSet::new();
    let mut chains: HashMap<NodeId, (NodeId, Chain)> = HashMap::new();
    if options.fuse {
        for &id in verified.order() {
            let node = graph.node(id);
            if taken.contains(&id) || node.outputs().len() != 1 {
                continue;
            }
            let chain = chain(graph, node, &taken);
            let mut at = id;
            while at != chain.end {
                taken.insert(at);
                let Some(next) = graph.only_user(graph.node(at).outputs()[0]) else { break };
                at = next.id;
                taken.insert(at);
            }
            if chain.end != id {
                chains.insert(chain.end, (id, chain));
            }
        }
    }

    let mut drafts: Vec<(DraftWork, Vec<ValueId>)> = Vec::new();
    let mut refused = Vec::new();
    let mut alone: HashSet<NodeId> = HashSet::new();
    for &id in verified.order() {
        if lower.pads.contains(&id) {
            continue;
        }
        // Where values are looked at, what a constant stands for is computed as well.
        let node = graph.node(id);
        if options.fuse
            && unpacks(graph, node)
            && !node.outputs().iter().any(|v| graph.is_visible(*v))
        {
            continue;
        }
        let ended = chains.get(&id);
        if taken.contains(&id) && ended.is_none() && !alone.contains(&id) {
            // A later node's step computes it, unless the step cannot be made.
            let owner = chains.iter().find(|(_, (first, _))| *first == id);
            if let Some((end, (_, chain))) = owner {
                let made = lower.lower(graph.node(id), chain.tail).is_some();
                if !made {
                    let (end, mut at) = (*end, id);
                    alone.insert(id);
                    while at != end {
                        let Some(next) = graph.only_user(graph.node(at).outputs()[0]) else {
                            break;
                        };
                        at = next.id;
                        alone.insert(at);
                    }
                }
            }
            if !alone.contains(&id) {
                continue;
            }
        }
        let (first, tail, output) = match ended {
            Some((first, chain)) if !alone.contains(&id) => {
                (graph.node(*first), chain.tail, Some(chain.output))
            }
            _ => (graph.node(id), Tail::NONE, graph.node(id).outputs().first().copied()),
        };
        let at = drafts.len();
        match (lower.lower(first, tail), output) {
            (Some(Lowered::Steps(parts)), Some(output)) => {
                let mut steps = Vec::new();
                for part in parts {
                    b.read(part.a, at);
                    if let Some(v) = part.b {
                        b.read(v, at);
                    }
                    let scratch = (part.scratch > 0).then(|| b.block(part.scratch, at));
                    steps.push(Draft { part, output: Output::Value(output), scratch });
                }
                b.define(output, at);
                drafts.push((DraftWork::Steps(steps), vec![output]));
            }
            (Some(Lowered::Several(all)), _) => {
                let block = b.block(all.bytes, at);
                let mut steps = Vec::new();
                for (part, which) in all.parts {
                    b.read(part.a, at);
                    if let Some(v) = part.b {
                        b.read(v, at);
                    }
                    let scratch = (part.scratch > 0).then(|| b.block(part.scratch, at));
                    let whole = Span { at: 0, len: all.bytes };
                    let span = which.and_then(|i| all.results.get(i)).copied().unwrap_or(whole);
                    steps.push(Draft { part, output: Output::Part(block, span), scratch });
                }
                for (v, span) in first.outputs().iter().zip(&all.results) {
                    b.block_of.insert(*v, (block, span.at));
                }
                drafts.push((DraftWork::Steps(steps), first.outputs().to_vec()));
            }
            (Some(Lowered::Alias(from)), Some(output)) => {
                b.read(from, at);
                if let Some(block) = b.block_of.get(&from) {
                    b.block_of.insert(output, *block);
                }
                drafts.push((DraftWork::Steps(Vec::new()), vec![output]));
            }
            _ => match b.foreign(first) {
                Ok(foreign) => {
                    for v in foreign.inputs.iter().map(|t| t.value) {
                        b.read(v, at);
                    }
                    for v in first.outputs() {
                        b.define(*v, at);
                    }
                    b.foreign.push(foreign);
                    let work = DraftWork::Foreign(b.foreign.len() - 1);
                    drafts.push((work, first.outputs().to_vec()));
                }
                Err(why) => refused.push(Refusal {
                    node: first.name.clone(),
                    op: first.op.name().to_owned(),
                    why,
                }),
            },
        }
    }
    if !refused.is_empty() {
        return Err(ExecError::Unsupported { backend: options.name.to_owned(), refused });
    }
    let end = drafts.len();
    let visible = graph.outputs().iter().map(|p| p.value);
    for v in visible.chain(graph.states().iter().map(|s| s.next)) {
        b.read(v, end);
    }
    b.join(&mut drafts);
    Ok(b.finish(drafts))
}

impl Builder<'_> {
    /// Whether a draft is one step that hands its result to the next draft alone, and both can work row
    /// by row.
    fn hands_on(&self, one: &(DraftWork, Vec<ValueId>), next: &(DraftWork, Vec<ValueId>)) -> bool {
        let (DraftWork::Steps(one), DraftWork::Steps(next)) = (&one.0, &next.0) else {
            return false;
        };
        let ([one], [next]) = (one.as_slice(), next.as_slice()) else { return false };
        let plain = |d: &Draft| d.scratch.is_none() && d.part.step.works_by_rows();
        let (Output::Value(output), Output::Value(_)) = (one.output, next.output) else {
            return false;
        };
        plain(one)
            && plain(next)
            && one.part.b.is_none()
            && next.part.a == output
            && self.graph.only_user(output).is_some()
            // What is not much larger stays in a cache anyway.
            && self.bytes(output) >= self.options.kernels.near_bytes().saturating_mul(4)
    }

    /// Joins steps whose large results would leave the cache before they are read.
    fn join(&mut self, drafts: &mut [(DraftWork, Vec<ValueId>)]) {
        let budget = self.options.kernels.near_bytes();
        if budget == 0 || !self.options.fuse {
            return;
        }
        let mut first = 0;
        while first < drafts.len() {
            let mut last = first;
            while last + 1 < drafts.len()
                && last + 1 - first < MOST
                && self.hands_on(&drafts[last], &drafts[last + 1])
            {
                last += 1;
            }
            if last > first {
                self.join_these(&mut drafts[first..=last], last, budget);
            }
            first = last + 1;
        }
    }

    /// Makes one step of several; the last of them is at `at`.
    fn join_these(&mut self, drafts: &mut [(DraftWork, Vec<ValueId>)], at: usize, budget: usize) {
        let mut single: Vec<Draft> = Vec::new();
        for (work, _) in drafts.iter_mut() {
            if let DraftWork::Steps(steps) = work {
                single.append(steps);
            }
        }
        let place = |d: &Draft| match d.output {
            Output::Value(output) => Some((d.part.a, d.part.b, output, d.part.scratch)),
            Output::Part(..) => None,
        };
        let places: Vec<_> = single.iter().filter_map(place).collect();
        let stages = single.into_iter().map(|d| d.part.step).collect();
        match Strip::new(stages, budget, self.options.threads) {
            Ok(strip) => {
                let (Some(from), Some(to)) = (places.first(), places.last()) else { return };
                let (a, b, output) = (from.0, to.1, to.2);
                self.read(a, at);
                let bytes = strip.scratch();
                let scratch = Some(self.block(bytes, at));
                let part = Part { step: strip.into(), a, b, scratch: bytes };
                for ((_, shown), place) in drafts.iter_mut().zip(&places) {
                    if place.2 != output {
                        // What lies between the steps is in the scratch memory.
                        shown.clear();
                        if let Some((block, _)) = self.block_of.get(&place.2) {
                            self.blocks[*block].size = 0;
                        }
                    }
                }
                if let Some((DraftWork::Steps(steps), _)) = drafts.last_mut() {
                    steps.push(Draft { part, output: Output::Value(output), scratch });
                }
            }
            Err(stages) => {
                for (((work, _), place), step) in drafts.iter_mut().zip(&places).zip(stages) {
                    if let DraftWork::Steps(steps) = work {
                        let (a, b, output, scratch) = *place;
                        let part = Part { step, a, b, scratch };
                        let output = Output::Value(output);
                        steps.push(Draft { part, output, scratch: None });
                    }
                }
            }
        }
    }

    fn finish(mut self, drafts: Vec<(DraftWork, Vec<ValueId>)>) -> Plan {
        let placed = plan(&self.blocks, &[]);
        let mut foreign = std::mem::take(&mut self.foreign);
        let place =
            |block: BlockId, bytes: usize| Span { at: placed.offsets[block] * UNIT, len: bytes };
        let source = |v: ValueId| match self.block_of.get(&v) {
            Some((block, at)) => {
                let span = place(*block, self.bytes(v));
                Source::Arena(Span { at: span.at + at, ..span })
            }
            None => Source::Const(self.const_of.get(&v).copied().unwrap_or(usize::MAX)),
        };
        let typed = |v: ValueId| {
            let ty = self.graph.ty(v);
            let shape = ty.shape.fixed().unwrap_or_default();
            Typed { value: v, source: source(v), dtype: ty.dtype, shape }
        };
        for foreign in &mut foreign {
            for t in foreign.inputs.iter_mut().chain(&mut foreign.outputs) {
                t.source = source(t.value);
            }
        }
        let span = |output: Output| match output {
            Output::Value(v) => match source(v) {
                Source::Arena(span) => span,
                Source::Const(_) => Span::default(),
            },
            Output::Part(block, part) => {
                let span = place(block, part.len);
                Span { at: span.at + part.at, ..span }
            }
        };
        let items: Vec<Item> = drafts
            .into_iter()
            .map(|(work, shown)| {
                let work = match work {
                    DraftWork::Foreign(index) => Work::Foreign(index),
                    DraftWork::Steps(steps) => Work::Steps(
                        steps
                            .into_iter()
                            .map(|d| Run {
                                a: source(d.part.a),
                                slack: self.slack(self.graph.ty(d.part.a)),
                                b: d.part.b.map(source),
                                out: span(d.output),
                                scratch: d
                                    .scratch
                                    .map_or(Span::default(), |s| place(s, d.part.scratch)),
                                step: d.part.step,
                            })
                            .collect(),
                    ),
                };
                Item { work, shown: shown.into_iter().map(typed).collect() }
            })
            .collect();
        let ports = |ports: &[paring_ir::Port]| ports.iter().map(|p| typed(p.value)).collect();
        let states = self.graph.states().iter();
        let states = states
            .map(|s| (typed(s.current), typed(s.next), s.initial.dense().bytes().to_vec()))
            .collect();
        let (inputs, outputs) = (ports(self.graph.inputs()), ports(self.graph.outputs()));
        let arena = placed.size * UNIT;
        let runs = items.iter().flat_map(|item| match &item.work {
            Work::Steps(runs) => runs.as_slice(),
            Work::Foreign(_) => &[],
        });
        let work = runs.fold(0, |all: usize, r| all.saturating_add(r.work()));
        Plan { items, arena, inputs, outputs, states, foreign, consts: self.consts, work }
    }
}

/// The element type of an input or output.
fn port_element(dtype: DType) -> Option<Element> {
    if dtype == DType::F16 { Some(Element::F16) } else { element(dtype) }
}

/// The element type of the runtime for one of the graph's, where steps compute with it.
pub(crate) fn element(dtype: DType) -> Option<Element> {
    Some(match dtype {
        DType::F32 => Element::F32,
        DType::I8 => Element::I8,
        DType::U8 => Element::U8,
        DType::I16 => Element::I16,
        DType::I32 => Element::I32,
        DType::I64 => Element::I64,
        DType::Bool => Element::Bool,
        _ => return None,
    })
}

impl Plan {
    /// The node that each step begins with: of those that are one step, the product.
    pub(crate) fn step_nodes(&self, graph: &Graph) -> Vec<NodeId> {
        let shown: HashSet<ValueId> =
            self.items.iter().flat_map(|i| &i.shown).map(|t| t.value).collect();
        let mut nodes = Vec::new();
        for item in &self.items {
            let Work::Steps(steps) = &item.work else { continue };
            let mut node = item.shown.last().and_then(|t| graph.producer(t.value));
            // What is not shown was computed in the same step.
            while let Some(before) = node.and_then(|n| {
                let inside = n.inputs().iter().find(|v| !shown.contains(*v));
                inside.and_then(|v| graph.producer(*v))
            }) {
                node = Some(before);
            }
            if let Some(node) = node {
                nodes.extend(std::iter::repeat_n(node.id, steps.len()));
            }
        }
        nodes
    }

    /// The plan as the runtime takes it.
    pub(crate) fn into_program(self, graph: &Graph, backend: &str) -> Result<Program, ExecError> {
        let mut refused: Vec<Refusal> = Vec::new();
        let mut refuse = |node: &str, op: &str, why: &str| {
            refused.push(Refusal { node: node.into(), op: op.into(), why: why.into() });
        };
        for foreign in &self.foreign {
            let node = graph.nodes().find(|n| n.name == foreign.name);
            let op = node.map_or("", |n| n.op.name());
            refuse(&foreign.name, op, "the runtime has no kernel for it with these operands");
        }
        let mut port = |kind: &str, name: &str, t: &Typed| {
            let quant = graph.ty(t.value).quant.as_ref().and_then(|q| q.as_per_tensor());
            let Some(element) = port_element(t.dtype) else {
                refuse(name, kind, "the runtime takes no elements of this type");
                return None;
            };
            Some(Port {
                name: name.to_owned(),
                element,
                shape: t.shape.clone(),
                quant,
                source: t.source,
                len: t.shape.iter().product::<usize>() * t.dtype.size(),
            })
        };
        let mut ports = |kind: &str, ports: &[paring_ir::Port], all: &[Typed]| -> Vec<Port> {
            ports.iter().zip(all).filter_map(|(p, t)| port(kind, &p.name, t)).collect()
        };
        let inputs = ports("input", graph.inputs(), &self.inputs);
        let outputs = ports("output", graph.outputs(), &self.outputs);
        if !refused.is_empty() {
            return Err(ExecError::Unsupported { backend: backend.to_owned(), refused });
        }
        let steps = |item: Item| match item.work {
            Work::Steps(steps) => steps,
            Work::Foreign(_) => Vec::new(),
        };
        let states = self.states.into_iter().map(|(current, next, initial)| State {
            current: current.source,
            next: next.source,
            initial: Blob::of(&initial),
        });
        Ok(Program {
            runs: self.items.into_iter().flat_map(steps).collect(),
            consts: self.consts,
            arena: self.arena,
            inputs,
            outputs,
            states: states.collect(),
        })
    }
}
