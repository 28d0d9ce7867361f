use crate::Equalize;
use crate::classes::{Class, layer, shift};
use paring_ir::ops::{Activation, Conv2d, Dense};
use paring_ir::{Def, Graph, NodeId, Patch, ValueId};
use paring_pass::{PassContext, PassError, Stream, consts};
use paring_tensor::{DType, Tensor};
use std::collections::{BTreeMap, BTreeSet};

/// Divides the channels of each class by its factors, in the weights of the layers around it.
pub(crate) fn patch(
    graph: &Graph,
    classes: &[Class],
    chosen: &[Vec<f32>],
) -> Result<Option<Patch>, PassError> {
    let mut factors: BTreeMap<ValueId, &[f32]> = BTreeMap::new();
    for (class, own) in classes.iter().zip(chosen) {
        if own.iter().any(|f| *f != 1.0) {
            factors.extend(class.values.iter().map(|v| (*v, own.as_slice())));
        }
    }
    if factors.is_empty() {
        return Ok(None);
    }
    let mut patch = Patch::new(graph, "equalize");
    for v in factors.keys() {
        patch.set_range(*v, None);
    }
    for id in graph.topological() {
        let node = graph.node(id);
        let output = factors.get(&node.outputs()[0]).copied();
        if layer(graph, node).is_some() {
            let input = factors.get(&node.inputs()[0]).copied();
            if input.is_some() || output.is_some() {
                let operands = layer_operands(graph, &mut patch, id, input, output)?;
                patch.set_operands(id, operands);
            }
            continue;
        }
        // Constants that are added.
        let Some(output) = output else { continue };
        let mut operands = node.inputs().to_vec();
        for (i, operand) in operands.iter_mut().enumerate() {
            if graph.constant(*operand).is_none() || !added(graph, id) {
                continue;
            }
            let Some(numbers) = shift(graph, node, i) else { continue };
            let numbers: Vec<f32> =
                numbers.iter().enumerate().map(|(c, x)| x / output[c % output.len()]).collect();
            let name = &graph.value(*operand).name;
            *operand = patch.constant(name, Tensor::from_vec([numbers.len()], numbers)?, None);
        }
        if operands != node.inputs() {
            patch.set_operands(id, operands);
        }
    }
    Ok(Some(patch))
}

fn added(graph: &Graph, id: NodeId) -> bool {
    use paring_ir::ops::{Binary, BinaryFn};
    graph.node(id).op_as::<Binary>().is_some_and(|op| matches!(op.f, BinaryFn::Add | BinaryFn::Sub))
}

/// A layer's operands with scaled weights and bias.
fn layer_operands(
    graph: &Graph,
    patch: &mut Patch,
    id: NodeId,
    input: Option<&[f32]>,
    output: Option<&[f32]>,
) -> Result<Vec<ValueId>, PassError> {
    let node = graph.node(id);
    let mut operands = node.inputs().to_vec();
    let Some(data) = graph.constant(operands[1]) else { return Ok(operands) };
    let mut weights = data.dense().to_f32();
    let (outputs, depth) =
        (data.shape().first().copied().unwrap_or(1), data.shape().last().copied().unwrap_or(1));
    let groups = node.op_as::<Conv2d>().map_or(1, |c| c.groups).max(1);
    let per_filter = (weights.len() / outputs.max(1)).max(1);
    for (o, filter) in weights.chunks_exact_mut(per_filter).enumerate() {
        let from = (o * groups / outputs) * depth;
        let by = output.map_or(1.0, |f| f64::from(f[o % f.len()]));
        for (i, w) in filter.iter_mut().enumerate() {
            let up = input.map_or(1.0, |f| f64::from(f[(from + i % depth) % f.len()]));
            *w = (f64::from(*w) * up / by) as f32;
        }
    }
    let scaled = consts::with_elements(data, &Tensor::from_vec(data.shape(), weights)?)?;
    operands[1] = patch.constant(&graph.value(operands[1]).name, scaled, None);
    if let (Some(by), Some(&b)) = (output, node.inputs().get(2))
        && let Some(bias) = consts::dense_f32(graph, b)
    {
        let bias: Vec<f32> = bias.iter().enumerate().map(|(o, x)| x / by[o % by.len()]).collect();
        let bias = Tensor::from_vec([bias.len()], bias)?;
        operands[2] = patch.constant(&graph.value(b).name, bias, None);
    }
    Ok(operands)
}

/// Makes ReLU6 a ReLU in layers whose results no sample brings to 6.
pub(crate) fn replace_relu6(
    settings: &Equalize,
    graph: &mut Graph,
    cx: &mut PassContext<'_>,
) -> Result<(), PassError> {
    let clamped: BTreeSet<ValueId> = graph
        .nodes()
        .filter(|n| layer(graph, n) == Some(Activation::Relu6) && cx.selects(n))
        .map(|n| n.outputs()[0])
        .collect();
    if clamped.is_empty() {
        return Ok(());
    }
    let mut stream = Stream::open(cx.host(), graph, settings.data.as_deref(), settings.samples)?;
    let mut lanes: Vec<BTreeSet<ValueId>> = stream.accumulators(BTreeSet::new);
    let all = 0..stream.len();
    stream.run("looking for results of 6", all, &mut lanes, |reached, _, v, tensor| {
        if clamped.contains(&v)
            && tensor.dtype() == DType::F32
            && tensor.view::<f32>().is_ok_and(|n| n.iter().any(|x| *x >= 6.0))
        {
            reached.insert(v);
        }
    })?;
    let reached: BTreeSet<ValueId> = lanes.into_iter().flatten().collect();
    let mut patch = Patch::new(graph, "relu6-to-relu");
    for v in clamped.difference(&reached) {
        let Def::Node(id, _) = graph.value(*v).def() else { continue };
        let node = graph.node(*id);
        if let Some(conv) = node.op_as::<Conv2d>() {
            patch.set_op(*id, Conv2d { activation: Activation::Relu, ..conv.clone() });
        } else if node.op.is::<Dense>() {
            patch.set_op(*id, Dense { activation: Activation::Relu });
        }
        cx.note(format!("`{}`: no sample reaches 6; ReLU6 becomes ReLU", node.name));
    }
    if !patch.is_empty() {
        cx.apply(graph, patch)?;
    }
    Ok(())
}
