use crate::Standalone;
use crate::affine::{Affine, tensor, vector};
use paring_ir::ops::{Activation, BatchNorm, Binary, BinaryFn, Conv2d, Padding};
use paring_ir::{Graph, GraphError, Node, Patch};
use paring_pass::Verdict;

/// Replaces a batch normalization with no layer to fold into.
pub(crate) fn lower(graph: &Graph, node: &Node, how: Standalone) -> Result<Verdict, GraphError> {
    if !node.op.is::<BatchNorm>() {
        return Ok(Verdict::NoMatch);
    }
    let Some(affine) = Affine::of(graph, node) else { return Ok(Verdict::NoMatch) };
    let name = &node.name;
    let channels = affine.mul.len();
    let image = graph.ty(affine.x).shape.rank() == 4
        && graph.ty(affine.x).shape.dims()[1..].iter().all(|d| d.fixed().is_some());
    let mut patch = Patch::new(graph, "lower-batch-norm");
    let out = if image && how == Standalone::Depthwise {
        let weights = affine.mul.iter().map(|m| *m as f32).collect();
        let w = tensor(vec![channels, 1, 1, 1], weights)?;
        let w = patch.constant(format!("{name}/scale"), w, None);
        let b = patch.constant(format!("{name}/bias"), vector(affine.add)?, None);
        let op = Conv2d {
            stride: [1, 1],
            pad: Padding::VALID,
            dilation: [1, 1],
            groups: channels,
            activation: Activation::None,
        };
        patch.node(graph, name, op, &[affine.x, w, b])?[0]
    } else {
        let s = patch.constant(format!("{name}/scale"), vector(affine.mul)?, None);
        let scaled = format!("{name}/scaled");
        let scaled = patch.node(graph, scaled, Binary::new(BinaryFn::Mul), &[affine.x, s])?;
        let b = patch.constant(format!("{name}/bias"), vector(affine.add)?, None);
        patch.node(graph, name, Binary::new(BinaryFn::Add), &[scaled[0], b])?[0]
    };
    patch.replace(node.outputs()[0], out);
    Ok(Verdict::Patch(patch))
}
