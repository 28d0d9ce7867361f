use paring_ir::ops::{Conv2d, Pad, PadMode, Padding};
use paring_ir::{Graph, GraphError, Node, Patch};
use paring_pass::Verdict;

/// Makes zeros around an image the padding of the convolution that reads it. Seen from the
/// convolution.
pub(crate) fn fuse(graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
    let Some(conv) = node.op_as::<Conv2d>() else { return Ok(Verdict::NoMatch) };
    let Some(feeder) = graph.producer(node.inputs()[0]) else { return Ok(Verdict::NoMatch) };
    let Some(pad) = feeder.op_as::<Pad>() else { return Ok(Verdict::NoMatch) };
    let &[n, h, w, c] = pad.pads.as_slice() else { return Ok(Verdict::NoMatch) };
    let zeros = matches!(pad.mode, PadMode::Constant(v) if v == 0.0);
    let spatial = [n, c] == [[0, 0]; 2] && [h, w].iter().flatten().all(|p| *p >= 0);
    if !zeros || !spatial {
        return Ok(Verdict::NoMatch);
    }
    let x = feeder.inputs()[0];
    let sides = |shape: &[paring_tensor::Dim]| match shape {
        [_, h, w, _] => Some([h.fixed()?, w.fixed()?]),
        _ => None,
    };
    let padded = sides(graph.ty(node.inputs()[0]).shape.dims());
    let plain = sides(graph.ty(x).shape.dims());
    let kernel = sides(graph.ty(node.inputs()[1]).shape.dims());
    let (Some(padded), Some(plain), Some(kernel)) = (padded, plain, kernel) else {
        return Ok(Verdict::NoMatch);
    };
    let own = conv.padding(padded, kernel);
    let outer = [h[0], w[0], h[1], w[1]].map(|p| usize::try_from(p).unwrap_or(0));
    let total = [0, 1, 2, 3].map(|i| own[i] + outer[i]);
    let explicit = Conv2d { pad: Padding::Explicit(total), ..conv.clone() };
    let same = Conv2d { pad: Padding::SAME, ..conv.clone() };
    let valid = Conv2d { pad: Padding::VALID, ..conv.clone() };
    // The rule where one says the same, since more formats can express it.
    let op =
        [valid, same].into_iter().find(|op| op.padding(plain, kernel) == total).unwrap_or(explicit);
    let mut inputs = node.inputs().to_vec();
    inputs[0] = x;
    let mut patch = Patch::new(graph, "fuse-padding");
    let out = graph.ty(node.outputs()[0]).clone();
    let new = patch.typed_node(&node.name, op, &inputs, vec![out]);
    patch.replace(node.outputs()[0], new[0]);
    Ok(Verdict::Patch(patch))
}
