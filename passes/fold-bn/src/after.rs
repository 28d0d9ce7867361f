use crate::affine::{Affine, internal, vector};
use paring_ir::ops::{Activation, Conv2d, Dense};
use paring_ir::{Graph, GraphError, Node, OpRef, Patch};
use paring_pass::{Verdict, consts};
use paring_tensor::DType;

/// Folds an affine map into the convolution or dense layer that computes its operand.
pub(crate) fn fold(graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
    let Some(affine) = Affine::of(graph, node) else { return Ok(Verdict::NoMatch) };
    let Some(layer) = graph.producer(affine.x) else { return Ok(Verdict::NoMatch) };
    let Some((activation, plain)) = layer_of(layer) else { return Ok(Verdict::NoMatch) };
    if !activation.is_none() {
        return Ok(Verdict::NoMatch);
    }
    if graph.only_user(affine.x).is_none() {
        return Ok(Verdict::NoMatch);
    }
    let (&x, Some(&w)) = (&layer.inputs()[0], layer.inputs().get(1)) else {
        return Ok(Verdict::NoMatch);
    };
    let Some(weights) = graph.constant(w).filter(|w| w.dtype() == DType::F32) else {
        return Ok(Verdict::NoMatch);
    };
    let old_bias = match layer.inputs().get(2) {
        None => vec![0.0; affine.mul.len()],
        Some(b) => match consts::dense_f32(graph, *b) {
            Some(b) => b.into_iter().map(f64::from).collect(),
            None => return Ok(Verdict::NoMatch),
        },
    };
    let mut patch = Patch::new(graph, "fold-affine-into-layer-before");
    let w = if affine.mul.iter().all(|m| *m == 1.0) {
        w
    } else {
        let factors: Vec<f32> = affine.mul.iter().map(|m| *m as f32).collect();
        let scaled = consts::scale_outer(weights, &factors).map_err(|e| internal(&e))?;
        patch.constant(&graph.value(w).name, scaled, None)
    };
    let bias: Vec<f64> =
        (0..affine.mul.len()).map(|c| affine.mul[c] * old_bias[c] + affine.add[c]).collect();
    let mut inputs = vec![x, w];
    if layer.inputs().len() > 2 || bias.iter().any(|b| *b != 0.0) {
        let name = layer
            .inputs()
            .get(2)
            .map_or_else(|| format!("{}/bias", layer.name), |b| graph.value(*b).name.clone());
        inputs.push(patch.constant(name, vector(bias)?, None));
    }
    let new = patch.node(graph, &layer.name, &plain, &inputs)?;
    patch.replace(node.outputs()[0], new[0]);
    Ok(Verdict::Patch(patch))
}

/// The activation of a convolution or dense layer, and its op.
pub(crate) fn layer_of(node: &Node) -> Option<(Activation, OpRef)> {
    let activation = match (node.op_as::<Conv2d>(), node.op_as::<Dense>()) {
        (Some(conv), _) => conv.activation,
        (_, Some(dense)) => dense.activation,
        _ => return None,
    };
    Some((activation, node.op.clone()))
}
