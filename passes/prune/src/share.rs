//! How much each layer loses where the network as a whole has an aim.

use crate::choose::counts;
use crate::{Criterion, Layer, Prune, targets};
use paring_ir::Graph;
use paring_layerwise::knapsack::{Choice, solve};
use paring_layerwise::{Outcome, replace_weights};
use paring_pass::{LayerReport, PassContext, PassError};
use paring_tensor::Tensor;

/// Shares of a layer's weights whose loss is measured.
const MEASURED: [f64; 11] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98];

/// Shares that a layer may lose are as many parts of all its weights.
const STEPS: usize = 50;

impl Prune {
    /// How many weights of each layer go so that the network uses up a budget.
    ///
    /// Those go that cost the outputs least, to second order: by what they cost their filter's result and
    /// how far that moves the outputs. Where that is not known, each layer is pruned alone to several shares,
    /// what that does to the outputs is measured, and the choice whose losses add up to the least is found
    /// exactly. Of magnitudes, the smallest of all weights go, and by first order those that move the
    /// outputs least.
    pub(crate) fn shares(
        &self,
        graph: &Graph,
        found: &[Layer],
        budget: f64,
        title: &str,
        cx: &mut PassContext<'_>,
    ) -> Result<Vec<f64>, PassError> {
        let price = |layer: &Layer| self.price(layer);
        let mut walk = self.walk(graph, found)?;
        let known = |layer: &Layer| !layer.scores.is_empty() || !layer.influence.is_empty();
        if walk.is_none() || found.iter().all(known) {
            let mut plans = Vec::with_capacity(found.len());
            for (i, layer) in found.iter().enumerate() {
                let what = format!("{title}: looking at layer {} of {}", i + 1, found.len());
                let problems = match self.criterion {
                    Criterion::SecondOrder => self.problems(&mut walk, layer, cx, &what, false)?,
                    _ => Vec::new(),
                };
                plans.push(self.plan(layer, &problems, &targets(layer, &problems), 1.0));
            }
            let prices: Vec<f64> = found.iter().map(price).collect();
            let counts = counts(&plans.iter().collect::<Vec<_>>(), &prices, budget);
            return Ok(plans.iter().zip(&counts).map(|(plan, counts)| plan.gone(counts)).collect());
        }
        let mut items = Vec::with_capacity(found.len());
        for (i, layer) in found.iter().enumerate() {
            let what = format!("{title}: looking at layer {} of {}", i + 1, found.len());
            let problems = self.problems(&mut walk, layer, cx, &what, false)?;
            let targets = targets(layer, &problems);
            let plan = self.plan(layer, &problems, &targets, 1.0);
            let size = layer.weights.len() as f64;
            let mut variants = Vec::with_capacity(MEASURED.len());
            for share in MEASURED {
                let counts = counts(&[&plan], &[1.0], share * size);
                let (values, ..) = self.values(layer, &problems, &targets, &plan, &counts[0]);
                let shifts = self.shifts(layer, &problems, &values);
                let flat: Vec<f32> = values.iter().flatten().map(|v| *v as f32).collect();
                let data = Tensor::from_vec(layer.shape.clone(), flat)?;
                let mut variant = graph.clone();
                variant.apply(replace_weights(
                    graph,
                    layer.id,
                    data.into(),
                    None,
                    &shifts,
                    "prune",
                )?)?;
                variants.push(variant);
            }
            let what = format!("{title}: sensitivity of layer {} of {}", i + 1, found.len());
            let outcomes = Outcome::compare(
                cx.host(),
                graph,
                &variants,
                (self.calibration.data.as_deref(), Some(self.probes)),
                &what,
            )?;
            let losses: Vec<f64> = outcomes.iter().map(Outcome::loss).collect();
            let mut report = LayerReport::new(graph.node(layer.id));
            report.note = MEASURED
                .iter()
                .zip(&losses)
                .map(|(share, loss)| format!("{:.0} % {loss:.2e}", 100.0 * share))
                .collect::<Vec<_>>()
                .join(", ");
            cx.layer(report);
            let all = size * price(layer);
            let choice = |step: usize| {
                let share = step as f64 / STEPS as f64;
                Choice {
                    weight: ((1.0 - share) * all).ceil() as u64,
                    loss: between(&losses, share),
                }
            };
            items.push((0..STEPS).map(choice).collect::<Vec<_>>());
        }
        let total: f64 = found.iter().map(|l| l.weights.len() as f64 * price(l)).sum();
        let capacity = (total - budget).max(0.0);
        // Rounding up the parts that stay takes less than one for each layer.
        let Some(chosen) = solve(&items, capacity as u64 + found.len() as u64) else {
            return Err(PassError::Input(format!(
                "layers cannot lose more than {} % of their weights",
                100 * (STEPS - 1) / STEPS
            )));
        };
        let share = |step: &usize| *step as f64 / STEPS as f64;
        let mut gone: Vec<f64> =
            chosen.iter().zip(found).map(|(s, l)| share(s) * l.weights.len() as f64).collect();
        // What steps leave of the budget goes to all alike.
        let used: f64 = gone.iter().zip(found).map(|(g, l)| g * price(l)).sum();
        if used > 0.0 {
            let factor = budget / used;
            for (gone, layer) in gone.iter_mut().zip(found) {
                *gone = (*gone * factor).min(layer.weights.len() as f64).round();
            }
        }
        Ok(gone)
    }
}

/// The loss at a share: on a line between measured ones, and no less than at any smaller share.
fn between(losses: &[f64], share: f64) -> f64 {
    let (mut at, mut loss) = (0.0, 0.0_f64);
    for (next, measured) in MEASURED.iter().zip(losses) {
        let higher = measured.max(loss);
        if share <= *next {
            return loss + (higher - loss) * (share - at) / (next - at);
        }
        (at, loss) = (*next, higher);
    }
    loss
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_never_fall_with_the_share() {
        let losses: Vec<f64> = (0..11).map(|i| f64::from(i % 4)).collect();
        let all: Vec<f64> = (0..STEPS).map(|s| between(&losses, s as f64 / STEPS as f64)).collect();
        assert_eq!(all[0], 0.0);
        assert!(all.windows(2).all(|w| w[0] <= w[1]), "{all:?}");
        assert!((between(&[2.0; 11], 0.05) - 1.0).abs() < 1e-12);
    }
}
