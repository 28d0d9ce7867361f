use crate::kernel::{Call, Fault, ReferenceKernel, Types, kernel_of, support};
use paring_backend::ExecOptions;
use paring_ir::{
    ExecError, Executor, Graph, NodeId, Observer, Refusal, Session, ValueId, Verified,
};
use paring_tensor::{Dim, Shape, Tensor, TensorType};
use std::collections::HashMap;
use std::sync::Arc;

/// The reference executor.
pub(crate) struct Interpreter {
    options: ExecOptions,
}

impl Interpreter {
    pub(crate) fn new(options: ExecOptions) -> Self {
        Self { options }
    }
}

/// What all sessions over one graph share.
struct Prepared {
    graph: Graph,
    order: Vec<(NodeId, &'static ReferenceKernel)>,
    constants: HashMap<ValueId, Tensor>,
    /// For each position in the order, the values that nothing reads afterwards.
    dead: Vec<Vec<ValueId>>,
    options: ExecOptions,
}

struct Run {
    prepared: Arc<Prepared>,
    states: Vec<Tensor>,
}

impl Executor for Interpreter {
    fn name(&self) -> &str {
        "reference"
    }

    fn prepare(&self, verified: Verified<'_>) -> Result<Box<dyn Session>, ExecError> {
        let graph = verified.graph().clone();
        let mut order = Vec::with_capacity(verified.order().len());
        let mut refused = Vec::new();
        for &id in verified.order() {
            let node = graph.node(id);
            match support(&graph, node).and_then(|()| kernel_of(&*node.op)) {
                Ok(kernel) => order.push((id, kernel)),
                Err(why) => refused.push(Refusal {
                    node: node.name.clone(),
                    op: node.op.name().to_owned(),
                    why,
                }),
            }
        }
        if !refused.is_empty() {
            return Err(ExecError::Unsupported { backend: self.name().to_owned(), refused });
        }
        let constants =
            graph.values().filter_map(|v| Some((v.id, v.constant()?.dense()))).collect();
        let last = graph.last_uses(verified.order());
        let mut dead = vec![Vec::new(); order.len()];
        for (at, (id, _)) in order.iter().enumerate() {
            let unread = |v: &ValueId| !last.contains_key(v);
            dead[at].extend(graph.node(*id).outputs().iter().copied().filter(unread));
        }
        for (value, at) in last {
            if at < dead.len() && graph.constant(value).is_none() {
                dead[at].push(value);
            }
        }
        let prepared = Prepared { graph, order, constants, dead, options: self.options };
        Ok(Box::new(Run::new(Arc::new(prepared))))
    }
}

impl Run {
    fn new(prepared: Arc<Prepared>) -> Self {
        let mut run = Self { prepared, states: Vec::new() };
        run.reset();
        run
    }
}

/// A type with the extents of a value.
fn actual(ty: &TensorType, value: &Tensor) -> TensorType {
    TensorType { dtype: ty.dtype, shape: value.shape().into(), quant: ty.quant.clone() }
}

/// Whether an extent is what a type says; a symbol is any extent.
fn fits(declared: &Shape, actual: &[usize]) -> bool {
    declared.rank() == actual.len()
        && declared.dims().iter().zip(actual).all(|(d, n)| d.fixed().is_none_or(|d| d == *n))
}

impl Prepared {
    fn check_inputs(&self, inputs: &[Tensor]) -> Result<(), ExecError> {
        let ports = self.graph.inputs();
        if ports.len() != inputs.len() {
            return Err(ExecError::InputCount { expected: ports.len(), got: inputs.len() });
        }
        let mut bound: HashMap<Arc<str>, usize> = HashMap::new();
        for (index, (port, input)) in ports.iter().zip(inputs).enumerate() {
            let ty = self.graph.ty(port.value);
            let fail = |why: String| ExecError::Input { index, name: port.name.clone(), why };
            if ty.dtype != input.dtype() || !fits(&ty.shape, input.shape()) {
                return Err(fail(format!("is {}{:?}, not {ty}", input.dtype(), input.shape())));
            }
            for (dim, &n) in ty.shape.dims().iter().zip(input.shape()) {
                if let Dim::Symbol(s) = dim
                    && *bound.entry(s.clone()).or_insert(n) != n
                {
                    return Err(fail(format!("`{s}` is {n} here and {} before", bound[s])));
                }
            }
        }
        Ok(())
    }

    /// Runs the node at a place in the order.
    fn step(&self, at: usize, values: &HashMap<ValueId, Tensor>) -> Result<Vec<Tensor>, ExecError> {
        let (id, kernel) = self.order[at];
        let node = self.graph.node(id);
        let internal = |why: String| ExecError::Internal { node: node.name.clone(), why };
        let data = |why: String| ExecError::Data { node: node.name.clone(), why };
        let mut inputs = Vec::with_capacity(node.inputs().len());
        for v in node.inputs() {
            let value = self.constants.get(v).or_else(|| values.get(v));
            inputs.push(value.cloned().ok_or_else(|| internal(format!("{v:?} is not there")))?);
        }
        let declared: Vec<&TensorType> = node.outputs().iter().map(|v| self.graph.ty(*v)).collect();
        let in_types: Vec<TensorType> =
            node.inputs().iter().zip(&inputs).map(|(v, x)| actual(self.graph.ty(*v), x)).collect();
        let in_types: Vec<&TensorType> = in_types.iter().collect();
        let mut out_types: Vec<TensorType> = declared.iter().map(|t| (*t).clone()).collect();
        let known = node.inputs().iter().map(|v| self.graph.ty(*v));
        if known.chain(declared.iter().copied()).any(|t| t.shape.fixed().is_none()) {
            // The op has not seen these extents yet: it may refuse them.
            let inferred = node.op.infer(&in_types).map_err(|e| data(e.to_string()))?;
            for (out, inferred) in out_types.iter_mut().zip(inferred) {
                out.shape = inferred.shape;
            }
        }
        let out_types: Vec<&TensorType> = out_types.iter().collect();
        let types = Types { inputs: &in_types, outputs: &out_types };
        let call = Call { inputs: &inputs, types, rounding: self.options.rounding };
        let outputs = (kernel.run)(&*node.op, &call).map_err(|fault| match fault {
            Fault::Data(why) => data(why),
            Fault::Internal(why) => internal(why),
        })?;
        if outputs.len() != declared.len() {
            return Err(internal(format!("{} results, not {}", outputs.len(), declared.len())));
        }
        for (value, ty) in outputs.iter().zip(&declared) {
            if value.dtype() != ty.dtype || !fits(&ty.shape, value.shape()) {
                let got = format!("{}{:?}", value.dtype(), value.shape());
                return Err(internal(format!("computed {got}, not {ty}")));
            }
        }
        Ok(outputs)
    }
}

impl Session for Run {
    fn run_observed(
        &mut self,
        inputs: &[Tensor],
        observer: Observer<'_>,
    ) -> Result<Vec<Tensor>, ExecError> {
        let prepared = Arc::clone(&self.prepared);
        let graph = &prepared.graph;
        prepared.check_inputs(inputs)?;
        let mut values: HashMap<ValueId, Tensor> = HashMap::new();
        for (port, input) in graph.inputs().iter().zip(inputs) {
            observer(port.value, input);
            values.insert(port.value, input.clone());
        }
        for (state, value) in graph.states().iter().zip(&self.states) {
            observer(state.current, value);
            values.insert(state.current, value.clone());
        }
        for (at, (id, _)) in prepared.order.iter().enumerate() {
            let outputs = prepared.step(at, &values)?;
            for (v, value) in graph.node(*id).outputs().iter().zip(outputs) {
                observer(*v, &value);
                values.insert(*v, value);
            }
            for v in &prepared.dead[at] {
                values.remove(v);
            }
        }
        let find = |v: ValueId| {
            let value = prepared.constants.get(&v).or_else(|| values.get(&v)).cloned();
            value.ok_or_else(|| ExecError::Internal {
                node: graph.value(v).name.clone(),
                why: "a visible value was not computed".to_owned(),
            })
        };
        let outputs = graph.outputs().iter().map(|p| find(p.value)).collect::<Result<_, _>>()?;
        let states: Vec<Tensor> =
            graph.states().iter().map(|s| find(s.next)).collect::<Result<_, _>>()?;
        self.states = states;
        Ok(outputs)
    }

    fn reset(&mut self) {
        let states = self.prepared.graph.states();
        self.states = states.iter().map(|s| s.initial.dense()).collect();
    }

    fn fork(&self) -> Box<dyn Session> {
        Box::new(Self::new(Arc::clone(&self.prepared)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paring_ir::text;

    fn session(graph: &str) -> Box<dyn Session> {
        let graph = text::parse(graph).unwrap();
        Interpreter::new(ExecOptions::default()).prepare(graph.verified().unwrap()).unwrap()
    }

    #[test]
    fn states_are_kept_reset_and_forked() {
        let mut run = session(
            "graph @count {
               %x = input : f32[1]
               %s = state [0.0] : f32[1]
               %y = binary(%x, %s) { f = \"add\" } : f32[1]
               output %y
               next %s = %y
             }",
        );
        let one = [Tensor::from_vec([1], vec![1.0_f32]).unwrap()];
        assert_eq!(run.run(&one).unwrap()[0].to_f32(), [1.0]);
        assert_eq!(run.run(&one).unwrap()[0].to_f32(), [2.0]);
        let mut other = run.fork();
        assert_eq!(other.run(&one).unwrap()[0].to_f32(), [1.0]);
        assert_eq!(run.run(&one).unwrap()[0].to_f32(), [3.0]);
        run.reset();
        assert_eq!(run.run(&one).unwrap()[0].to_f32(), [1.0]);
    }

    #[test]
    fn symbols_take_the_extents_that_arrive() {
        let mut run = session(
            "graph @batch {
               %x = input : f32[N,2]
               %y = reduce(%x) { axes = [1], f = \"sum\", keep_dims = false } : f32[N]
               output %y
             }",
        );
        let x = Tensor::from_vec([3, 2], vec![1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!(run.run(&[x]).unwrap()[0].to_f32(), [3.0, 7.0, 11.0]);
        let wrong = Tensor::from_vec([3], vec![1.0_f32, 2.0, 3.0]).unwrap();
        assert!(matches!(run.run(&[wrong]), Err(ExecError::Input { index: 0, .. })));
        assert!(matches!(run.run(&[]), Err(ExecError::InputCount { .. })));
    }

    #[test]
    fn extents_that_an_op_cannot_take_are_the_datas_fault() {
        let mut run = session(
            "graph @best {
               %x = input : f32[N]
               %y = arg(%x) { axis = 0, f = \"max\", keep_dims = false, to = \"i64\" } : i64[]
               output %y
             }",
        );
        let empty = Tensor::from_vec([0], Vec::<f32>::new()).unwrap();
        assert!(matches!(run.run(&[empty]), Err(ExecError::Data { .. })));
        let two = Tensor::from_vec([2], vec![1.0_f32, 3.0]).unwrap();
        assert_eq!(run.run(&[two]).unwrap()[0].to_i64(), [1]);
    }
}
