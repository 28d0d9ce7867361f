use paring_ir::ops::Transpose;
use paring_ir::{Graph, Node, Op, OpError, ValueId};
use paring_tensor::TensorType;

/// Whether axes stay where they are.
pub(crate) fn is_identity(perm: &[usize]) -> bool {
    perm.iter().enumerate().all(|(i, p)| i == *p)
}

/// The permutation that undoes another.
pub(crate) fn inverse(perm: &[usize]) -> Vec<usize> {
    let mut inverse = vec![0; perm.len()];
    for (i, &p) in perm.iter().enumerate() {
        inverse[p] = i;
    }
    inverse
}

/// A transpose by `first` and then one by `then`, as one.
pub(crate) fn compose(first: &[usize], then: &[usize]) -> Vec<usize> {
    then.iter().map(|&i| first[i]).collect()
}

/// The type of a value after a transpose.
pub(crate) fn transposed(ty: &TensorType, perm: &[usize]) -> Result<TensorType, OpError> {
    let mut types = Transpose { perm: perm.to_vec() }.infer(&[ty])?;
    types.pop().ok_or_else(|| OpError::new("a transpose has one output"))
}

/// Whether a transpose of a type keeps the order of all axes longer than 1.
pub(crate) fn moves_nothing(ty: &TensorType, perm: &[usize]) -> bool {
    let dims = ty.shape.dims();
    let long: Vec<usize> = perm.iter().copied().filter(|&p| dims[p].fixed() != Some(1)).collect();
    long.windows(2).all(|w| w[0] < w[1])
}

/// What a transpose moves and how.
pub(crate) fn transpose(node: &Node) -> Option<(ValueId, &[usize])> {
    let op = node.op_as::<Transpose>()?;
    Some((*node.inputs().first()?, &op.perm))
}

/// As [`transpose`], for the node that computes a value.
pub(crate) fn transpose_of(graph: &Graph, v: ValueId) -> Option<(ValueId, &[usize])> {
    transpose(graph.producer(v)?)
}

/// Elements that a transpose of a value moves; a symbol counts as 1.
pub(crate) fn elements(graph: &Graph, v: ValueId) -> u64 {
    let dims = graph.ty(v).shape.dims().iter();
    dims.map(|d| d.fixed().unwrap_or(1) as u64).fold(1, u64::saturating_mul)
}
