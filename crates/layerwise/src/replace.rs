use paring_ir::ops::Dequantize;
use paring_ir::{Graph, NodeId, Patch};
use paring_pass::{PassError, consts};
use paring_tensor::{ConstData, Quant, Tensor};

/// A patch that gives a layer other weights, and adds to its bias what `shifts` says for each output.
/// Integer weights stand under a `dequantize`, where `quantize` takes them up.
///
/// # Errors
/// If the layer has no such weights or bias.
pub fn replace_weights(
    graph: &Graph,
    layer: NodeId,
    data: ConstData,
    quant: Option<Quant>,
    shifts: &[f64],
    by: &str,
) -> Result<Patch, PassError> {
    let node = graph.node(layer);
    let (w, b) = (node.inputs()[1], node.inputs().get(2).copied());
    let mut patch = Patch::new(graph, by);
    let name = graph.value(w).name.clone();
    let weights = match quant {
        None => patch.constant(name, data, None),
        Some(quant) => {
            let stored = patch.constant(format!("{name}/integer"), data, Some(quant));
            patch.node(graph, name, Dequantize::default(), &[stored])?[0]
        }
    };
    let mut operands = vec![node.inputs()[0], weights];
    if b.is_some() || shifts.iter().any(|s| *s != 0.0) {
        let old = b.and_then(|b| consts::dense_f32(graph, b));
        let bias: Vec<f32> = shifts
            .iter()
            .enumerate()
            .map(|(o, s)| {
                let old = old.as_ref().and_then(|b| b.get(o)).copied().unwrap_or(0.0);
                (f64::from(old) + s) as f32
            })
            .collect();
        let name = b.map_or_else(|| format!("{}/bias", node.name), |b| graph.value(b).name.clone());
        operands.push(patch.constant(name, Tensor::from_vec([bias.len()], bias)?, None));
    }
    patch.set_operands(layer, operands);
    Ok(patch)
}
