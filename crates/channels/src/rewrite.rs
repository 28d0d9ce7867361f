use crate::constant::Constants;
use crate::demand::Keep;
use crate::layer::Layer;
use crate::link::{Link, channels};
use paring_ir::ops::{Conv2d, Reshape};
use paring_ir::{Graph, Node, NodeId, Patch, ValueId};
use paring_pass::{PassError, consts};
use paring_tensor::{DType, Dim, Quant, Shape, Tensor};
use std::collections::HashMap;

/// The patch that takes away the channels that do not stay, with lines for the report; `None` if all
/// stay. What known `constants` add to the layers that read them becomes bias.
///
/// # Errors
/// If a constant cannot be cut.
pub fn remove(
    graph: &Graph,
    links: &HashMap<NodeId, Link>,
    constants: &Constants,
    keep: &Keep,
) -> Result<Option<(Patch, Vec<String>)>, PassError> {
    let mut patch = Patch::new(graph, "remove-channels");
    let mut notes = Vec::new();
    for id in graph.topological() {
        let Some(link) = links.get(&id) else { continue };
        let node = graph.node(id);
        let output = node.outputs()[0];
        if let Some(kept) = keep.kept(output) {
            let ty = graph.ty(output);
            let mut dims = ty.shape.dims().to_vec();
            if let Some(last) = dims.last_mut() {
                *last = Dim::Fixed(kept.len());
            }
            let mut ty = ty.clone();
            ty.shape = Shape::from(dims);
            patch.set_type(output, ty);
        }
        match link {
            Link::Layer(layer) => {
                let x = keep.kept(node.inputs()[0]);
                if let Some(note) = narrow(graph, node, layer, constants, keep, x, &mut patch)? {
                    notes.push(note);
                }
            }
            Link::Depthwise(layer, _) => {
                if let Some(note) = narrow(graph, node, layer, constants, keep, None, &mut patch)? {
                    notes.push(note);
                }
                if let (Some(conv), Some(kept)) =
                    (node.op_as::<Conv2d>(), keep.kept(node.inputs()[0]))
                {
                    patch.set_op(id, Conv2d { groups: kept.len(), ..conv.clone() });
                }
            }
            Link::Same | Link::Concat | Link::Flatten => {
                if let (true, Some(kept)) = (node.op.is::<Reshape>(), keep.kept(output)) {
                    reshape(graph, node, kept.len(), &mut patch);
                }
                if let (Link::Same, Some(kept)) = (link, keep.kept(output)) {
                    constants_of(graph, node, &kept, &mut patch)?;
                }
            }
        }
    }
    Ok((!patch.is_empty()).then_some((patch, notes)))
}

/// Weights and bias of a layer without the filters, and the channels they read, that go.
fn narrow(
    graph: &Graph,
    node: &Node,
    layer: &Layer,
    constants: &Constants,
    keep: &Keep,
    reads: Option<Vec<usize>>,
    patch: &mut Patch,
) -> Result<Option<String>, PassError> {
    let (x, w) = (node.inputs()[0], node.inputs()[1]);
    let filters = keep.kept(node.outputs()[0]);
    if filters.is_none() && reads.is_none() {
        return Ok(None);
    }
    let all: Vec<usize> = (0..layer.outputs()).collect();
    let rows = filters.as_deref().unwrap_or(&all);
    let Some(mut data) = graph.constant(w).cloned() else { return Ok(None) };
    if filters.is_some() {
        data = consts::select(&data, 0, rows)?;
    }
    if let Some(reads) = &reads {
        data = consts::select(&data, layer.shape.len() - 1, reads)?;
    }
    let quant = graph.ty(w).quant.as_ref().map(|q| pick(q, rows));
    let new_w = patch.constant(&graph.value(w).name, data, quant.clone());
    let mut operands = vec![x, new_w];

    // What removed constant channels add to each filter's sum.
    let mut extra = vec![0.0; layer.outputs()];
    if let (Some(_), Some(known)) = (&reads, constants.get(&x)) {
        for &o in rows {
            for i in (0..layer.reads()).filter(|i| !keep.keeps(x, *i) && layer.uses(o, *i)) {
                extra[o] += known[i].and_then(|n| layer.as_bias(o, i, n)).unwrap_or(0.0);
            }
        }
    }
    let adds = extra.iter().any(|e| *e != 0.0);
    match node.inputs().get(2) {
        None if !adds => {}
        b => {
            let name =
                b.map_or_else(|| format!("{}/bias", node.name), |b| graph.value(*b).name.clone());
            let (data, bias_quant) = match b {
                Some(b) if !adds => {
                    let Some(data) = graph.constant(*b) else { return Ok(None) };
                    (
                        consts::select(data, 0, rows)?,
                        graph.ty(*b).quant.as_ref().map(|q| pick(q, rows)),
                    )
                }
                _ => {
                    let Some(sums) = layer.bias_with(&extra) else {
                        return Err(PassError::Internal(format!("bias of `{}`", node.name)));
                    };
                    let chosen: Vec<i64> = rows.iter().map(|&o| sums[o]).collect();
                    let data = Tensor::from_vec([rows.len()], chosen)?.cast(DType::I32);
                    let old = b.and_then(|b| graph.ty(*b).quant.as_ref());
                    (data.into(), old.map(|q| pick(q, rows)).or_else(|| product(graph, x, &quant)))
                }
            };
            operands.push(patch.constant(name, data, bias_quant));
        }
    }
    patch.set_operands(node.id, operands);
    let gone = layer.outputs() - rows.len();
    Ok(Some(format!(
        "`{}`: {gone} of {} channels and {} of {} inputs go",
        node.name,
        layer.outputs(),
        reads.map_or(0, |r| layer.reads() - r.len()),
        layer.reads(),
    )))
}

/// The scales of some indices of axis 0.
fn pick(quant: &Quant, rows: &[usize]) -> Quant {
    match quant {
        Quant::PerAxis { axis: 0, scales, zero_points } if scales.len() > 1 => Quant::PerAxis {
            axis: 0,
            scales: rows.iter().map(|&o| scales[o]).collect(),
            zero_points: rows.iter().map(|&o| zero_points[o]).collect(),
        },
        other => other.clone(),
    }
}

/// The scales of a bias: input times weights.
fn product(graph: &Graph, x: ValueId, weights: &Option<Quant>) -> Option<Quant> {
    let (scale, _) = graph.ty(x).quant.as_ref()?.as_per_tensor()?;
    let weights = weights.as_ref()?;
    let scales: Vec<f32> = weights.scales().iter().map(|w| scale * w).collect();
    Some(match weights {
        Quant::PerTensor { .. } => Quant::per_tensor(scales[0], 0),
        _ => Quant::symmetric(0, scales),
    })
}

/// A reshape to the narrower result.
fn reshape(graph: &Graph, node: &Node, width: usize, patch: &mut Patch) {
    let dims = graph.ty(node.outputs()[0]).shape.dims();
    let mut shape: Vec<i64> = dims.iter().map(|d| d.fixed().map_or(-1, |n| n as i64)).collect();
    if let Some(last) = shape.last_mut() {
        *last = width as i64;
    }
    patch.set_op(node.id, Reshape { shape });
}

/// Constant operands that are as wide as the result, without the channels that go.
fn constants_of(
    graph: &Graph,
    node: &Node,
    kept: &[usize],
    patch: &mut Patch,
) -> Result<(), PassError> {
    let width = channels(graph, node.outputs()[0]);
    let mut operands = node.inputs().to_vec();
    for v in &mut operands {
        let Some(data) = graph.constant(*v) else { continue };
        if channels(graph, *v) == width && width != Some(1) {
            let data = consts::select(data, data.shape().len() - 1, kept)?;
            let value = graph.value(*v);
            *v = patch.constant(&value.name, data, value.ty.quant.clone());
        }
    }
    if operands != node.inputs() {
        patch.set_operands(node.id, operands);
    }
    Ok(())
}
