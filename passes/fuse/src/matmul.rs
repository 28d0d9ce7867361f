use paring_ir::ops::{Dense, MatMul};
use paring_ir::{Graph, GraphError, Node, Patch};
use paring_pass::Verdict;
use paring_tensor::DType;

/// Makes a product with a constant matrix a dense layer.
pub(crate) fn to_dense(graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
    if !node.op.is::<MatMul>() {
        return Ok(Verdict::NoMatch);
    }
    let (x, k) = (node.inputs()[0], node.inputs()[1]);
    let Some(matrix) = graph.constant(k).filter(|k| k.dtype() == DType::F32) else {
        return Ok(Verdict::NoMatch);
    };
    if matrix.shape().len() != 2 || graph.constant(x).is_some() {
        return Ok(Verdict::NoMatch);
    }
    let Ok(weights) = matrix.dense().transpose(&[1, 0]) else { return Ok(Verdict::NoMatch) };
    let mut patch = Patch::new(graph, "matmul-to-dense");
    let w = patch.constant(&graph.value(k).name, weights, None);
    let new = patch.node(graph, &node.name, Dense::default(), &[x, w])?;
    patch.replace(node.outputs()[0], new[0]);
    Ok(Verdict::Patch(patch))
}
