use crate::plan::{Item, Options, Plan, Typed, Work, build};
use paring_backend::ExecOptions;
use paring_ir::{ExecError, Executor, Graph, Node, NodeId, Observer, Session, Timed, Verified};
use paring_kernels::Kernels;
use paring_runtime::{Blob, Buffer, Counted, Program, Source, bring, threads, together};
use paring_tensor::Tensor;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

/// Runs graphs with a set of kernels.
pub struct Engine {
    shared: Arc<Shared>,
}

/// Threads that programs have memory for, whatever machine they are made on.
const THREADS: usize = 4;

struct Shared {
    name: &'static str,
    kernels: Box<dyn Kernels>,
    options: ExecOptions,
    fallback: Option<Box<dyn Executor>>,
}

impl Shared {
    fn plan(&self, graph: &Verified<'_>, fuse: bool, threads: usize) -> Result<Plan, ExecError> {
        let options = Options {
            kernels: &*self.kernels,
            rounding: self.options.rounding,
            fallback: self.fallback.as_deref(),
            fuse,
            threads,
            name: self.name,
        };
        build(graph, options)
    }
}

impl Engine {
    /// An executor of the backend `name`. Nodes that the engine has no step for are run by `fallback`;
    /// it also computes tables of functions of bytes.
    #[must_use]
    pub fn new(
        name: &'static str,
        kernels: Box<dyn Kernels>,
        options: ExecOptions,
        fallback: Option<Box<dyn Executor>>,
    ) -> Self {
        Self { shared: Arc::new(Shared { name, kernels, options, fallback }) }
    }
}

impl Engine {
    /// The program of a graph, for the runtime alone: no other executor runs a node of it.
    ///
    /// # Errors
    /// [`ExecError::Unsupported`] with every node that the engine has no step for, or what else is in the
    /// way of a plan.
    pub fn program(&self, graph: Verified<'_>) -> Result<Program, ExecError> {
        Ok(self.traced_program(graph)?.0)
    }

    /// As [`Engine::program`], with the node that each step begins with.
    ///
    /// # Errors
    /// See [`Engine::program`].
    pub fn traced_program(&self, graph: Verified<'_>) -> Result<(Program, Vec<NodeId>), ExecError> {
        let plan = self.shared.plan(&graph, true, THREADS)?;
        let nodes = plan.step_nodes(graph.graph());
        Ok((plan.into_program(graph.graph(), self.shared.name)?, nodes))
    }
}

/// What all sessions over one graph share.
struct Prepared {
    shared: Arc<Shared>,
    graph: Graph,
    plan: Plan,
    /// The plan that computes every value, made when an observer asks for it.
    observed: OnceLock<Plan>,
}

impl Executor for Engine {
    fn name(&self) -> &str {
        self.shared.name
    }

    fn prepare(&self, graph: Verified<'_>) -> Result<Box<dyn Session>, ExecError> {
        let mut symbols: Vec<String> = Vec::new();
        for port in graph.graph().inputs() {
            let dims = graph.graph().ty(port.value).shape.dims();
            symbols.extend(dims.iter().filter(|d| d.fixed().is_none()).map(ToString::to_string));
        }
        if !symbols.is_empty() {
            symbols.sort();
            symbols.dedup();
            return Err(ExecError::Unbound(symbols));
        }
        let plan = self.shared.plan(&graph, true, threads())?;
        let prepared = Prepared {
            shared: Arc::clone(&self.shared),
            graph: graph.graph().clone(),
            plan,
            observed: OnceLock::new(),
        };
        Ok(Box::new(Running::new(Arc::new(prepared))))
    }
}

/// Memory of a session for one of the plans.
struct Memory {
    arena: Buffer,
    foreign: Vec<Box<dyn Session>>,
}

impl Memory {
    fn of(plan: &Plan) -> Result<Self, ExecError> {
        let fork = |f: &crate::plan::Foreign| match f.session.lock() {
            Ok(session) => Ok(session.fork()),
            Err(_) => Err(ExecError::Internal {
                node: f.name.clone(),
                why: "an earlier run of it panicked".to_owned(),
            }),
        };
        let foreign = plan.foreign.iter().map(fork).collect::<Result<_, _>>()?;
        Ok(Self { arena: Buffer::zeroed(plan.arena), foreign })
    }
}

struct Running {
    prepared: Arc<Prepared>,
    states: Vec<Vec<u8>>,
    memory: Option<Memory>,
    observed: Option<Memory>,
}

impl Running {
    fn new(prepared: Arc<Prepared>) -> Self {
        let mut session = Self { prepared, states: Vec::new(), memory: None, observed: None };
        session.reset();
        session
    }
}

fn check(graph: &Graph, inputs: &[Tensor]) -> Result<(), ExecError> {
    let ports = graph.inputs();
    if ports.len() != inputs.len() {
        return Err(ExecError::InputCount { expected: ports.len(), got: inputs.len() });
    }
    for (index, (port, input)) in ports.iter().zip(inputs).enumerate() {
        let ty = graph.ty(port.value);
        if ty.dtype != input.dtype() || ty.shape != input.shape().into() {
            return Err(ExecError::Input {
                index,
                name: port.name.clone(),
                why: format!("is {}{:?}, not {ty}", input.dtype(), input.shape()),
            });
        }
    }
    Ok(())
}

fn bytes<'a>(plan: &'a Plan, arena: &'a [u8], source: Source) -> &'a [u8] {
    match source {
        Source::Arena(span) => span.of(arena),
        Source::Const(index) => plan.consts.get(index).map_or(&[], Blob::bytes),
    }
}

fn tensor(plan: &Plan, arena: &[u8], t: &Typed) -> Option<Tensor> {
    let data = bytes(plan, arena, t.source);
    let mut shape = t.shape.clone();
    if let Some(Counted { axis, source }) = t.counted {
        let count = bytes(plan, arena, source).first_chunk()?;
        let extent = shape.get_mut(axis)?;
        *extent = usize::try_from(i64::from_ne_bytes(*count)).ok()?.min(*extent);
    }
    let len = shape.iter().product::<usize>() * t.dtype.size();
    Tensor::new(t.dtype, shape, data.get(..len)?.to_vec().into()).ok()
}

/// The name of the node that an item ends with.
fn name_of(prepared: &Prepared, item: &Item) -> String {
    let last = item.shown.last().and_then(|t| prepared.graph.producer(t.value));
    last.map_or_else(String::new, |node| node.name.clone())
}

/// Does the steps of a plan.
fn steps(
    prepared: &Prepared,
    plan: &Plan,
    arena: &mut [u8],
    foreign: &mut [Box<dyn Session>],
    mut observer: Option<Observer<'_>>,
    mut times: Option<&mut Vec<Timed>>,
) -> Result<(), ExecError> {
    let mut show = |arena: &[u8], shown: &[Typed]| -> Result<(), ExecError> {
        if let Some(observer) = &mut observer {
            for t in shown {
                let value = tensor(plan, arena, t).ok_or_else(|| missing(prepared, t))?;
                observer(t.value, &value);
            }
        }
        Ok(())
    };
    for (t, ..) in &plan.states {
        show(arena, std::slice::from_ref(t))?;
    }
    for item in &plan.items {
        let start = times.is_some().then(Instant::now);
        match &item.work {
            Work::Steps(steps) => {
                for step in steps {
                    let done = step.run(&*prepared.shared.kernels, &plan.consts, arena);
                    done.map_err(|why| ExecError::Data { node: name_of(prepared, item), why })?;
                }
            }
            Work::Foreign(index) => {
                let node = &plan.foreign[*index];
                let find = |t: &Typed| tensor(plan, arena, t).ok_or_else(|| missing(prepared, t));
                let operands: Vec<Tensor> =
                    node.inputs.iter().map(find).collect::<Result<_, _>>()?;
                let results = foreign[*index].run(&operands)?;
                for (t, result) in node.outputs.iter().zip(results) {
                    match t.source {
                        Source::Arena(span) if span.len == result.bytes().len() => {
                            span.of_mut(arena).copy_from_slice(result.bytes());
                        }
                        _ => return Err(internal(&node.name, "a result of another size")),
                    }
                }
            }
        }
        if let (Some(times), Some(start)) = (&mut times, start) {
            times.push(Timed {
                values: item.shown.iter().map(|t| t.value).collect(),
                time: start.elapsed(),
                foreign: matches!(item.work, Work::Foreign(_)),
            });
        }
        show(arena, &item.shown)?;
    }
    Ok(())
}

impl Running {
    fn execute(
        &mut self,
        inputs: &[Tensor],
        mut observer: Option<Observer<'_>>,
        times: Option<&mut Vec<Timed>>,
    ) -> Result<Vec<Tensor>, ExecError> {
        let prepared = Arc::clone(&self.prepared);
        check(&prepared.graph, inputs)?;
        let (plan, memory) = match observer {
            None => (&prepared.plan, &mut self.memory),
            Some(_) => {
                let plan = match prepared.observed.get() {
                    Some(plan) => plan,
                    None => {
                        let verified = prepared.graph.verified().map_err(|e| internal("", e))?;
                        let plan = prepared.shared.plan(&verified, false, 1)?;
                        prepared.observed.get_or_init(|| plan)
                    }
                };
                (plan, &mut self.observed)
            }
        };
        if memory.is_none() {
            *memory = Some(Memory::of(plan)?);
        }
        let Some(Memory { arena, foreign }) = memory else {
            return Err(internal("", "no memory"));
        };
        let arena = arena.bytes_mut();
        for (t, input) in plan.inputs.iter().zip(inputs) {
            if let Some(observer) = &mut observer {
                observer(t.value, input);
            }
        }
        let come = |arena: &mut [u8]| {
            for (t, input) in plan.inputs.iter().zip(inputs) {
                if let Source::Arena(span) = t.source {
                    bring(input.bytes(), span.of_mut(arena));
                }
            }
        };
        for ((t, ..), state) in plan.states.iter().zip(&self.states) {
            if let Source::Arena(span) = t.source {
                span.of_mut(arena).copy_from_slice(state);
            }
        }
        together(plan.work, || {
            come(arena);
            steps(&prepared, plan, arena, foreign, observer, times)
        })?;
        for ((_, next, _), state) in plan.states.iter().zip(&mut self.states) {
            let n = state.len();
            state.copy_from_slice(&bytes(plan, arena, next.source)[..n]);
        }
        let find = |t: &Typed| tensor(plan, arena, t).ok_or_else(|| missing(&prepared, t));
        plan.outputs.iter().map(find).collect()
    }
}

fn internal(node: &str, why: impl ToString) -> ExecError {
    ExecError::Internal { node: node.to_owned(), why: why.to_string() }
}

fn missing(prepared: &Prepared, t: &Typed) -> ExecError {
    let name = prepared.graph.get_value(t.value).map_or("", |v| &v.name);
    internal(name, "the value was not computed")
}

impl Session for Running {
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, ExecError> {
        self.execute(inputs, None, None)
    }

    fn run_observed(
        &mut self,
        inputs: &[Tensor],
        observer: Observer<'_>,
    ) -> Result<Vec<Tensor>, ExecError> {
        self.execute(inputs, Some(observer), None)
    }

    fn run_timed(&mut self, inputs: &[Tensor]) -> Result<Option<Vec<Timed>>, ExecError> {
        let mut times = Vec::new();
        self.execute(inputs, None, Some(&mut times))?;
        Ok(Some(times))
    }

    fn reset(&mut self) {
        self.states = self.prepared.plan.states.iter().map(|s| s.2.clone()).collect();
    }

    fn fork(&self) -> Box<dyn Session> {
        Box::new(Self::new(Arc::clone(&self.prepared)))
    }
}

/// Why a node cannot be run by the engine alone, if it cannot. `tables` computes functions of bytes.
#[must_use]
pub fn refusal(
    kernels: &dyn Kernels,
    tables: Option<&dyn Executor>,
    graph: &Graph,
    node: &Node,
) -> Option<String> {
    let rounding = ExecOptions::default().rounding;
    let lower =
        crate::ops::Lower { graph, kernels, rounding, fallback: tables, pads: Default::default() };
    match lower.lower(node, crate::ops::Tail::NONE) {
        Some(_) => None,
        None => Some(format!(
            "there is no kernel for `{}` with these operands, or an extent is unbound",
            node.op.name()
        )),
    }
}
