//! The `correct-bias-analytic` pass: what rounding weights does to the mean of each output channel goes into the
//! biases, without any data.
//!
//! A batch norm says how its results are spread: around its bias, as wide as its scale. Taken as normal, and cut off
//! by the activation behind it, that gives the mean of what the next layer reads, and with the errors of the
//! rounded weights how far the mean of each filter's result moves (analytic bias correction: Nagel and others,
//! "Data-free quantization through weight equalization and bias correction", 2019).
//!
//! It has to run before `fold-bn`, which takes the statistics away. The weights are taken as rounded to the nearest
//! integers of `bits`, with a scale for each output channel: folding changes those scales only. Errors of
//! values, and zeros around images, are not seen.

use crate::moments::{Filters, Moments, spread};
use paring_ir::{Graph, Node, NodeId};
use paring_layerwise::weights::ratio;
use paring_layerwise::{is_layer, replace_weights, weights};
use paring_pass::{
    Effect, LayerReport, Pass, PassContext, PassError, PassInfo, consts, facts, register_pass,
};

/// Settings of the pass.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorrectBiasAnalytic {
    /// Bits that weights will have, 2 to 8.
    pub bits: u32,
}

impl Default for CorrectBiasAnalytic {
    fn default() -> Self {
        Self { bits: 8 }
    }
}

register_pass!(
    CorrectBiasAnalytic,
    PassInfo {
        name: "correct-bias-analytic",
        summary: "put into the biases what rounding does to the means of channels, by batch-norm statistics",
        effect: Effect::Lossy,
        needs: &[],
        gives: &[],
        breaks: &[facts::CALIBRATED],
    }
);

impl CorrectBiasAnalytic {
    /// What is added to the bias of each filter.
    fn shifts(
        &self,
        graph: &Graph,
        node: &Node,
        x: &Moments,
    ) -> Result<Option<Vec<f64>>, PassError> {
        let w = node.inputs()[1];
        let (Some(real), Some(data)) = (consts::dense_f32(graph, w), graph.constant(w)) else {
            return Ok(None);
        };
        let channels = x.mean.len();
        let Some(filters) = Filters::of(graph, node, real.len(), channels) else { return Ok(None) };
        let outputs = real.len() / filters.depth.max(1);
        let rounded = weights::nearest(data, &real, self.bits)?.to_f32();
        let shift = |o: usize| -> f64 {
            let error = |i: usize| {
                let at = o * filters.depth + i;
                (f64::from(rounded[at]) - f64::from(real[at]))
                    * x.mean[filters.channel(o, i, channels)]
            };
            -(0..filters.depth).map(error).sum::<f64>()
        };
        Ok(Some((0..outputs).map(shift).collect()))
    }
}

impl Pass for CorrectBiasAnalytic {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        if !(2..=8).contains(&self.bits) {
            return Err(PassError::Input("`bits` must be from 2 to 8".into()));
        }
        let known = spread(graph);
        if known.is_empty() {
            return Err(PassError::Input(
                "there are no batch norms, whose statistics this pass goes by: put it before `fold-bn`, or \
                 correct with samples (`correct-bias`)"
                    .into(),
            ));
        }
        let own =
            |node: &Node| is_layer(node) && consts::dense_f32(graph, node.inputs()[1]).is_some();
        let layers: Vec<NodeId> = graph
            .topological()
            .into_iter()
            .filter(|id| own(graph.node(*id)) && cx.selects(graph.node(*id)))
            .collect();
        cx.all_named(
            layers.iter().map(|id| graph.node(*id)),
            "convolution or dense layer with real weights",
        )?;
        let mut corrected = 0;
        for id in &layers {
            let node = graph.node(*id);
            let Some(x) = known.get(&node.inputs()[0]) else {
                cx.decline(&node.name, "no batch norm says how what it reads is spread");
                continue;
            };
            let Some(shifts) = self.shifts(graph, node, x)? else {
                cx.decline(&node.name, "what it reads does not lie channel by channel");
                continue;
            };
            let Some(data) = graph.constant(node.inputs()[1]).cloned() else { continue };
            let bias = node.inputs().get(2).copied();
            if bias.is_some_and(|b| consts::dense_f32(graph, b).is_none()) {
                cx.decline(&node.name, "its bias is no constant of real numbers");
                continue;
            }
            let mut report = LayerReport::new(node);
            let real = data.dense().to_f32();
            report.weights_db =
                Some(ratio(&real, &weights::nearest(&data, &real, self.bits)?.to_f32()));
            let most = shifts.iter().fold(0.0_f64, |m, s| m.max(s.abs()));
            report.note =
                format!("error of the weights; the largest shift of a mean is {most:.2e}");
            cx.layer(report);
            let patch = replace_weights(graph, *id, data, None, &shifts, "correct-bias-analytic")?;
            if !cx.apply(graph, patch)? {
                return Ok(());
            }
            corrected += 1;
        }
        cx.note(format!("{corrected} of {} layers corrected", layers.len()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use paring_pass::{Done, NoHost, Pipeline};

    /// A layer that reads a clamped batch norm, or the network's input.
    fn corrected(reads: &str, settings: &str) -> Result<Done, String> {
        let graph = paring_ir::text::parse(&format!(
            "graph @g {{
               %x = input : f32[1,2,2,2]
               %s = const [1.0, 0.5] : f32[2]
               %b = const [0.0, 2.0] : f32[2]
               %n = batch_norm(%x, %s, %b, %b, %s) {{ epsilon = 0.001 }} : f32[1,2,2,2]
               %r = unary(%n) {{ f = \"relu\" }} : f32[1,2,2,2]
               %w = const [1.0, 0.4, -0.3, 1.0] : f32[2,1,1,2]
               %y = conv2d({reads}, %w) {{ groups = 1, pad = \"valid\", stride = [1, 1] }} : f32[1,2,2,2]
               output %y
               output %r
             }}"
        ))
        .unwrap();
        let done = Pipeline::single("correct-bias-analytic", settings).unwrap().run(
            &graph,
            &NoHost,
            &mut Default::default(),
        );
        done.map_err(|e| std::error::Error::source(&e).unwrap().to_string())
    }

    #[test]
    fn the_mean_of_what_a_filter_computes_stays() {
        // With two bits 0.4 becomes 0 and -0.3 becomes 0.
        let done = corrected("%r", "{ bits = 2 }").unwrap();
        let node = done.graph.nodes().find(|n| n.name == "y").unwrap();
        let bias = done.graph.constant(node.inputs()[2]).unwrap().dense().to_f32();
        // Of a normal number around 0, cut off below 0, and of one around 2 that is hardly cut off.
        let half = (2.0 * std::f32::consts::PI).sqrt().recip();
        assert!(
            (bias[0] - 0.4 * 2.0).abs() < 1e-4 && (bias[1] + 0.3 * half).abs() < 1e-4,
            "{bias:?}"
        );
    }

    #[test]
    fn layers_of_which_nothing_is_known_are_named() {
        let done = corrected("%x", "{ bits = 4 }").unwrap();
        let declined = &done.report.steps[0].declined;
        assert!(
            declined[0].node == "y" && declined[0].why.contains("no batch norm says"),
            "{declined:?}"
        );
        assert!(corrected("%r", "{ bits = 9 }").unwrap_err().contains("from 2 to 8"));
    }
}
