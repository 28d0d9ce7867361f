//! Weights that stand in the graph as stored numbers under a `dequantize`: constants like others.

use paring_ir::ops::Dequantize;
use paring_ir::{Graph, Node, ValueId};
use paring_tensor::{ConstData, DType};
use std::borrow::Cow;

/// Whether a node only says what a constant stands for.
pub(crate) fn unpacks(graph: &Graph, node: &Node) -> bool {
    node.op_as::<Dequantize>().is_some()
        && node.inputs().iter().all(|v| graph.constant(*v).is_some())
}

/// The elements of a constant, or of what a constant stands for.
pub(crate) fn constant(graph: &Graph, v: ValueId) -> Option<Cow<'_, ConstData>> {
    if let Some(data) = graph.constant(v) {
        return Some(Cow::Borrowed(data));
    }
    let node = graph.producer(v).filter(|n| unpacks(graph, n))?;
    let stored = *node.inputs().first()?;
    let data = graph.constant(stored)?.dense();
    let real = match &graph.ty(stored).quant {
        Some(quant) => quant.dequantize(&data).ok()?,
        None => data.cast(DType::F32),
    };
    Some(Cow::Owned(real.into()))
}

#[cfg(test)]
mod tests {
    use crate::{Engine, Portable};
    use paring_ir::{Executor, text};
    use paring_tensor::Tensor;

    #[test]
    fn stored_weights_are_constants() {
        let graph = text::parse(
            "graph @g {
               %x = input : f32[1,2]
               %w = const [4, 8, -4, -8] : i8[2,2] q(axis=0, [0.25, 0.5])
               %r = dequantize(%w) : f32[2,2]
               %h = const [1.0, 0.5] : f16[2]
               %b = dequantize(%h) : f32[2]
               %y = dense(%x, %r, %b) : f32[1,2]
               %s = reshape(%b) { shape = [1, 2] } : f32[1,2]
               %z = binary(%y, %s) { f = \"add\" } : f32[1,2]
               output %z
             }",
        )
        .unwrap();
        let engine = Engine::new("portable", Box::new(Portable), Default::default(), None);
        let mut session = engine.prepare(graph.verified().unwrap()).unwrap();
        let outputs =
            session.run(&[Tensor::from_vec([1, 2], vec![1.0_f32, 2.0]).unwrap()]).unwrap();
        assert_eq!(outputs[0].to_f32(), [7.0, -9.0]);
    }
}
