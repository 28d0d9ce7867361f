use crate::bits::Bits;
use crate::{Choice as Rounded, Gptq, chunks, within};
use paring_ir::{Graph, NodeId};
use paring_layerwise::knapsack::{Choice, solve};
use paring_layerwise::{Observing, Outcome, decibels, survey};
use paring_pass::{LayerReport, PassContext, PassError};

/// Samples on which the result of the network is compared.
const COMPARED: usize = 128;

/// What rounding each layer alone to each number of bits does.
pub(crate) struct Measured {
    /// The numbers of bits, the least first.
    pub of: Vec<u32>,
    /// For each layer and each number of bits, the squared error of the network's result.
    pub losses: Vec<Vec<f64>>,
    /// The rounded weights; `None` for a layer that cannot be rounded.
    pub rounded: Vec<Vec<Option<Rounded>>>,
}

/// The number of bits of each layer.
pub(crate) fn assign(
    settings: &Gptq,
    graph: &Graph,
    layers: &[NodeId],
    observing: &Observing,
    cx: &mut PassContext<'_>,
) -> Result<Vec<u32>, PassError> {
    match &settings.bits {
        Bits::Same(bits) => Ok(vec![*bits; layers.len()]),
        Bits::Average { average, of } => {
            let measured = measure(settings, of, graph, layers, observing, cx)?;
            on_average(*average, &measured, graph, layers, cx)
        }
        Bits::Within(budgets) => {
            let measured = measure(settings, &budgets.of, graph, layers, observing, cx)?;
            within::assign(budgets, &measured, graph, layers, cx)
        }
    }
}

/// Weights of each layer.
pub(crate) fn sizes(graph: &Graph, layers: &[NodeId]) -> Vec<u64> {
    let size =
        |id: &NodeId| graph.constant(graph.node(*id).inputs()[1]).map_or(0, |d| d.len() as u64);
    layers.iter().map(size).collect()
}

/// Rounds each layer alone and compares what the network computes.
fn measure(
    settings: &Gptq,
    of: &[u32],
    graph: &Graph,
    layers: &[NodeId],
    observing: &Observing,
    cx: &mut PassContext<'_>,
) -> Result<Measured, PassError> {
    let mut of = of.to_vec();
    of.sort_unstable();
    of.dedup();
    let (mut losses, mut rounded) = (Vec::new(), Vec::new());
    for at in chunks(graph, layers, layers.len()) {
        let all = survey(graph, &layers[at.clone()], observing, cx, "gptq: looking at all layers")?;
        for (moments, i) in all.iter().zip(at) {
            let id = layers[i];
            let mut variants = Vec::with_capacity(of.len());
            let mut own = Vec::with_capacity(of.len());
            for &bits in &of {
                let mut variant = graph.clone();
                let choice = settings.choose(graph, id, moments, bits)?;
                if let Some(choice) = &choice {
                    variant.apply(choice.clone().patch(graph, id)?.0)?;
                }
                variants.push(variant);
                own.push(choice);
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
            losses.push(outcomes.iter().map(Outcome::relative).collect());
            rounded.push(own);
        }
    }
    Ok(Measured { of, losses, rounded })
}

/// The choice within an average number of bits.
fn on_average(
    average: f64,
    measured: &Measured,
    graph: &Graph,
    layers: &[NodeId],
    cx: &mut PassContext<'_>,
) -> Result<Vec<u32>, PassError> {
    let (of, sizes) = (&measured.of, sizes(graph, layers));
    let items: Vec<Vec<Choice>> = sizes
        .iter()
        .zip(&measured.losses)
        .map(|(size, losses)| {
            let each = of.iter().zip(losses);
            each.map(|(bits, loss)| Choice { weight: u64::from(*bits) * size, loss: *loss })
                .collect()
        })
        .collect();
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
