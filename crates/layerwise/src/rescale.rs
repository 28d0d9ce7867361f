use crate::replace_weights;
use crate::restore::{Movable, Movement, Restore, restore};
use paring_ir::{Graph, NodeId};
use paring_pass::{PassContext, PassError, consts};
use paring_tensor::{ConstData, Quant};

/// Scales between one and its double: few different ones are short to write down.
const FINE: f32 = 32.0;

/// Fits the scales of integer weights, which stand under a `dequantize`, and the biases of their layers to
/// what the whole original network computes. The integers stay as they are.
///
/// # Errors
/// If there is no data, or what is wrong with it.
pub fn rescale(
    how: &Restore,
    original: &Graph,
    graph: &mut Graph,
    layers: &[NodeId],
    data: (Option<&str>, Option<usize>),
    (cx, by): (&mut PassContext<'_>, &str),
) -> Result<(), PassError> {
    if how.epochs == 0 || layers.is_empty() {
        return Ok(());
    }
    let stored = |graph: &Graph, id: &NodeId| -> Option<(ConstData, Quant)> {
        let real = graph.producer(graph.node(*id).inputs()[1])?;
        let stored = *real.inputs().first()?;
        Some((graph.constant(stored)?.clone(), graph.ty(stored).quant.clone()?))
    };
    let Some(all) = layers.iter().map(|id| stored(graph, id)).collect::<Option<Vec<_>>>() else {
        return Err(PassError::Internal("weights that are no scaled integers".into()));
    };
    let movable: Vec<Movable> =
        layers.iter().map(|id| Movable { layer: *id, by: Movement::Scaled }).collect();
    let what = format!("{by}: fitting scales and biases");
    let with = (cx.host(), cx.seed(), what.as_str());
    let restored = match restore(how, (original, graph), &movable, data, with)? {
        Ok(restored) => restored,
        Err(why) => {
            cx.note(format!("scales and biases were not fitted to the outputs: {why}"));
            return Ok(());
        }
    };
    cx.note(restored.note("scales and biases"));
    if !restored.helped() {
        return Ok(());
    }
    for ((id, (data, quant)), (weights, bias)) in layers.iter().zip(all).zip(restored.layers) {
        let old = quant.dequantize(&data.dense())?.to_f32();
        let depth = (old.len() / bias.len().max(1)).max(1);
        let grown = |(new, old): (&[f32], &[f32])| {
            let by = |x: &[f32]| x.iter().zip(old).map(|(x, o)| f64::from(x * o)).sum::<f64>();
            if by(old) > 0.0 { (by(new) / by(old)) as f32 } else { 1.0 }
        };
        let grown = weights.chunks(depth).zip(old.chunks(depth)).map(grown);
        let scales: Vec<f32> = quant
            .scales()
            .iter()
            .cycle()
            .zip(grown)
            .map(|(scale, by)| ((scale * by).log2() * FINE).round() / FINE)
            .map(f32::exp2)
            .collect();
        let given = graph.node(*id).inputs().get(2);
        let given = given.and_then(|b| consts::dense_f32(graph, *b));
        let shift = |(o, b): (usize, &f32)| {
            let old = given.as_ref().and_then(|all| all.get(o)).copied().unwrap_or(0.0);
            f64::from(*b) - f64::from(old)
        };
        let shifts: Vec<f64> = bias.iter().enumerate().map(shift).collect();
        let quant = Quant::symmetric(0, scales);
        let patch = replace_weights(graph, *id, data, Some(quant), &shifts, by)?;
        if !cx.apply(graph, patch)? {
            return Ok(());
        }
    }
    Ok(())
}
