use crate::{Gptq, chunks};
use paring_ir::{Graph, NodeId};
use paring_layerwise::knapsack::{Choice, solve};
use paring_layerwise::{Observing, Outcome, decibels, survey};
use paring_pass::{LayerReport, PassContext, PassError};

/// Samples on which the result of the network is compared.
const COMPARED: usize = 128;

/// The number of bits of each layer.
pub(crate) fn assign(
    settings: &Gptq,
    (average, of): (f64, &[u32]),
    graph: &Graph,
    layers: &[NodeId],
    observing: &Observing,
    cx: &mut PassContext<'_>,
) -> Result<Vec<u32>, PassError> {
    let mut of = of.to_vec();
    of.sort_unstable();
    of.dedup();
    let sizes: Vec<u64> = layers
        .iter()
        .map(|id| graph.constant(graph.node(*id).inputs()[1]).map_or(0, |data| data.len() as u64))
        .collect();
    let mut items: Vec<Vec<Choice>> = Vec::with_capacity(layers.len());
    for at in chunks(graph, layers, layers.len()) {
        let all = survey(graph, &layers[at.clone()], observing, cx, "gptq: looking at all layers")?;
        for (moments, i) in all.iter().zip(at) {
            let id = layers[i];
            let mut variants = Vec::with_capacity(of.len());
            for &bits in &of {
                let mut variant = graph.clone();
                if let Some(choice) = settings.choose(graph, id, moments, bits)? {
                    variant.apply(choice.patch(graph, id)?.0)?;
                }
                variants.push(variant);
            }
            let what = format!("gptq: sensitivity of layer {} of {}", i + 1, layers.len());
            let limit = observing.samples.map_or(COMPARED, |s| s.min(COMPARED));
            let outcomes = Outcome::compare(
                cx.host(),
                graph,
                &variants,
                (observing.data.as_deref(), Some(limit)),
                &what,
            )?;
            let mut report = LayerReport::new(graph.node(id));
            report.note = of
                .iter()
                .zip(&outcomes)
                .map(|(bits, o)| format!("{bits} bits {:.1} dB", decibels(o.signal(), o.noise())))
                .collect::<Vec<_>>()
                .join(", ");
            cx.layer(report);
            let choice = |(bits, o): (&u32, &Outcome)| Choice {
                weight: u64::from(*bits) * sizes[i],
                loss: o.relative(),
            };
            items.push(of.iter().zip(&outcomes).map(choice).collect());
        }
    }
    let total: u64 = sizes.iter().sum();
    let capacity = (average * total as f64).floor() as u64;
    let Some(chosen) = solve(&items, capacity) else {
        return Err(PassError::Input(format!("an average of {average} bits is too few")));
    };
    let picked = || items.iter().zip(&chosen).map(|(choices, i)| choices[*i]);
    let used: u64 = picked().map(|c| c.weight).sum();
    cx.note(format!(
        "{:.3} bits a weight on average (budget {average}); the choice is the best one if the errors of \
         layers add up: together {:.1} dB below the result",
        used as f64 / total.max(1) as f64,
        decibels(1.0, picked().map(|c| c.loss).sum())
    ));
    Ok(chosen.iter().map(|i| of[*i]).collect())
}
