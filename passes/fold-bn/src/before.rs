use crate::affine::{Affine, tensor, vector};
use crate::after::layer_of;
use paring_ir::ops::{Conv2d, Pad, PadMode};
use paring_ir::{Graph, GraphError, Node, Patch};
use paring_pass::{Verdict, consts};
use paring_tensor::DType;

/// Folds an affine map into the convolution or dense layer that reads its result. Seen from that
/// layer.
pub(crate) fn fold(graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
    let Some((_, op)) = layer_of(node) else { return Ok(Verdict::NoMatch) };
    let (&[x, w], rest) = (&node.inputs()[..2], &node.inputs()[2..]) else {
        return Ok(Verdict::NoMatch);
    };
    let Some(weights) = graph.constant(w).filter(|w| w.dtype() == DType::F32) else {
        return Ok(Verdict::NoMatch);
    };
    let Some(feeder) = graph.producer(x) else { return Ok(Verdict::NoMatch) };
    let (pad, source) = match feeder.op_as::<Pad>() {
        Some(pad) => match graph.producer(feeder.inputs()[0]) {
            Some(source) => (Some(pad), source),
            None => return Ok(Verdict::NoMatch),
        },
        None => (None, feeder),
    };
    let Some(affine) = Affine::of(graph, source) else { return Ok(Verdict::NoMatch) };
    let mut between = vec![source.outputs()[0]];
    between.extend(pad.map(|_| x));
    if between.iter().any(|v| graph.only_user(*v).is_none()) {
        return Ok(Verdict::NoMatch);
    }
    let pads_zero = match pad {
        None => false,
        Some(pad) => {
            if pad.mode != PadMode::Constant(0.0) || pad.pads.last().is_some_and(|p| *p != [0, 0]) {
                return Ok(Verdict::NoMatch);
            }
            true
        }
    };
    let shape = weights.shape().to_vec();
    let conv = node.op_as::<Conv2d>();
    let conv_pads = conv.is_some_and(|conv| match graph.ty(x).shape.dims() {
        [_, h, w, _] => {
            let size = [h, w].map(|d| d.fixed().unwrap_or(0));
            conv.padding(size, [shape[1], shape[2]]) != [0; 4]
        }
        _ => true,
    });
    if (pads_zero || conv_pads) && !affine.keeps_zero() {
        let why =
            format!("`{}` before it adds a constant, which its padding does not get", source.name);
        return Ok(Verdict::Declined(why));
    }
    let old = weights.dense().to_f32();
    let outputs = shape[0];
    let per_filter = *shape.last().unwrap_or(&1);
    let groups = conv.map_or(1, |c| c.groups);
    let taps = (old.len() / outputs.max(1)) / per_filter.max(1);
    let mut new = Vec::with_capacity(old.len());
    let mut shift = vec![0.0_f64; outputs];
    for o in 0..outputs {
        let first = (o / (outputs / groups.max(1)).max(1)) * per_filter;
        for tap in 0..taps {
            for i in 0..per_filter {
                let w = f64::from(old[(o * taps + tap) * per_filter + i]);
                new.push((w * affine.mul[first + i]) as f32);
                shift[o] += w * affine.add[first + i];
            }
        }
    }
    let mut patch = Patch::new(graph, "fold-affine-into-layer-after");
    let scaled = consts::with_elements(weights, &tensor(shape, new)?)
        .map_err(|e| crate::affine::internal(&e))?;
    let w = patch.constant(&graph.value(w).name, scaled, None);
    let x = match pad {
        None => affine.x,
        Some(pad) => patch.node(graph, &feeder.name, pad.clone(), &[affine.x])?[0],
    };
    let mut inputs = vec![x, w];
    match rest.first() {
        None if affine.keeps_zero() => {}
        None => {
            inputs.push(patch.constant(format!("{}/bias", node.name), vector(shift)?, None));
        }
        Some(b) => {
            let Some(old) = consts::dense_f32(graph, *b) else { return Ok(Verdict::NoMatch) };
            let sum = old.iter().zip(&shift).map(|(b, s)| f64::from(*b) + s).collect();
            inputs.push(patch.constant(&graph.value(*b).name, vector(sum)?, None));
        }
    }
    let out = patch.node(graph, &node.name, &op, &inputs)?;
    patch.replace(node.outputs()[0], out[0]);
    Ok(Verdict::Patch(patch))
}
