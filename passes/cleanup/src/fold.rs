use paring_ir::ops::{Dequantize, Reshape, Transpose};
use paring_ir::{Executor, Graph, GraphError, Node, Patch};
use paring_pass::{Rewrite, Verdict, consts};
use paring_tensor::{ConstData, TensorError};

/// Computes nodes whose operands are all constants.
pub(crate) struct Fold<'a> {
    pub(crate) executor: Option<&'a dyn Executor>,
    pub(crate) largest: usize,
}

impl Rewrite for Fold<'_> {
    fn visit(&self, graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
        let constants: Option<Vec<&ConstData>> =
            node.inputs().iter().map(|v| graph.constant(*v)).collect();
        let Some(constants) = constants else { return Ok(Verdict::NoMatch) };
        if node.outputs().iter().any(|v| graph.is_visible(*v)) {
            return Ok(Verdict::NoMatch);
        }
        let packed = node.op.is::<Dequantize>()
            && node.inputs().iter().any(|v| graph.ty(*v).quant.is_some());
        if packed {
            return Ok(Verdict::NoMatch);
        }
        for v in node.outputs() {
            match graph.ty(*v).byte_len() {
                Some(n) if n <= self.largest => {}
                Some(n) => {
                    let why = format!(
                        "its constant result takes {n} bytes; `largest_constant` allows {}",
                        self.largest
                    );
                    return Ok(Verdict::Declined(why));
                }
                None => return Ok(Verdict::NoMatch),
            }
        }
        let results = match moved(graph, node, &constants) {
            Some(moved) => moved.map(|data| vec![data]).map_err(|e| e.to_string()),
            None => self.compute(graph, node),
        };
        let results = match results {
            Ok(results) => results,
            Err(why) => return Ok(Verdict::Declined(why)),
        };
        let mut patch = Patch::new(graph, "fold-constant");
        for (v, data) in node.outputs().iter().zip(results) {
            let value = graph.value(*v);
            let new = patch.constant(&value.name, data, value.ty.quant.clone());
            patch.replace(*v, new);
        }
        Ok(Verdict::Patch(patch))
    }
}

impl Fold<'_> {
    fn compute(&self, graph: &Graph, node: &Node) -> Result<Vec<ConstData>, String> {
        let executor =
            self.executor.ok_or("it could be computed now, but no executor was given")?;
        let text = |e: &dyn std::fmt::Display| format!("it could not be computed now: {e}");
        let mut small = Graph::new("fold");
        let mut inputs = Vec::with_capacity(node.inputs().len());
        for v in node.inputs() {
            let value = graph.value(*v);
            let data = graph.constant(*v).cloned().ok_or("an operand is no constant")?;
            let id = small.add_const(&value.name, data, value.ty.quant.clone());
            inputs.push(id.map_err(|e| text(&e))?);
        }
        let outputs = node
            .outputs()
            .iter()
            .map(|v| (graph.value(*v).name.clone(), graph.ty(*v).clone()))
            .collect();
        let outputs =
            small.add_typed_node(&node.name, &node.op, &inputs, outputs).map_err(|e| text(&e))?;
        for v in outputs {
            small.add_output("out", v);
        }
        let verified = small.verified().map_err(|e| text(&e))?;
        let mut session = executor.prepare(verified).map_err(|e| text(&e))?;
        let results = session.run(&[]).map_err(|e| text(&e))?;
        Ok(results.into_iter().map(ConstData::from).collect())
    }
}

/// Reshapes and transposes of one constant, which keep its storage where they can.
fn moved(
    graph: &Graph,
    node: &Node,
    constants: &[&ConstData],
) -> Option<Result<ConstData, TensorError>> {
    let &[data] = constants else { return None };
    if node.op.is::<Reshape>() {
        let shape = graph.ty(*node.outputs().first()?).shape.fixed()?;
        return Some(consts::reshape(data, &shape));
    }
    let transpose = node.op_as::<Transpose>()?;
    Some(consts::permute(data, &transpose.perm))
}
