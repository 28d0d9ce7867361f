use crate::{Bits, Gptq, Prefix};
use paring_ir::{Graph, NodeId};
use paring_layerwise::{Observing, Outcome, Walk, decibels, layers, survey};
use paring_pass::{
    Effect, LayerReport, Lost, Pass, PassContext, PassError, PassInfo, facts, register_pass,
};
use paring_tensor::DType;

/// Settings of the `accuracy-guard` pass: weights get few bits, and as many layers as it takes to
/// keep a bound get more. One of the bounds has to be stated.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AccuracyGuard {
    /// Which data, as on the command line; the run's own data if left out.
    pub data: Option<String>,
    /// The most samples that are used; all if left out.
    pub samples: Option<usize>,
    /// Bits of a weight, 2 to 8.
    pub bits: u32,
    /// Bits of a weight in layers that are raised.
    pub raised: u32,
    /// How the network's values are rounded while it is judged: `i8`, `i16` or `f32`.
    pub activations: DType,
    /// The least percentage of samples for which the largest output stays the same. Accuracy on the
    /// samples cannot fall by more than the rest.
    pub agreement: Option<f64>,
    /// The least ratio of signal to error of the outputs, in decibels.
    pub snr: Option<f64>,
}

impl Default for AccuracyGuard {
    fn default() -> Self {
        Self {
            data: None,
            samples: Some(256),
            bits: 4,
            raised: 8,
            activations: DType::I8,
            agreement: None,
            snr: None,
        }
    }
}

register_pass!(
    AccuracyGuard,
    PassInfo {
        name: "accuracy-guard",
        summary: "round weights as `gptq` does, with more bits where a bound asks for it",
        effect: Effect::Lossy,
        needs: &[facts::NO_BATCH_NORM],
        gives: &[],
        breaks: &[facts::CALIBRATED],
    }
);

impl AccuracyGuard {
    fn rounding(&self) -> Gptq {
        Gptq {
            data: self.data.clone(),
            samples: self.samples,
            bits: Bits::Same(self.bits),
            activations: self.activations,
            prefix: Prefix::Quantized,
            ..Gptq::default()
        }
    }

    fn observing(&self, activations: DType) -> Observing {
        Observing {
            data: self.data.clone(),
            samples: self.samples,
            activations,
            ..Observing::default()
        }
    }

    fn holds(&self, outcome: &Outcome) -> bool {
        self.agreement.is_none_or(|least| outcome.agreement() >= least)
            && self.snr.is_none_or(|least| decibels(outcome.signal(), outcome.noise()) >= least)
    }

    /// Rounds the layers one after another and judges the result.
    fn attempt(
        &self,
        graph: &Graph,
        layers: &[NodeId],
        bits: &[u32],
        cx: &PassContext<'_>,
    ) -> Result<(Graph, Vec<LayerReport>, Outcome), PassError> {
        let rounding = self.rounding();
        let mut rounded = graph.clone();
        let mut walk = Walk::new(graph, self.observing(self.activations))?;
        let mut reports = Vec::with_capacity(layers.len());
        let raised = bits.iter().filter(|b| **b == self.raised).count();
        for (i, &id) in layers.iter().enumerate() {
            let n = layers.len();
            let what = format!("guard: {raised} layers raised, layer {} of {n}", i + 1);
            let moments = walk.observe(id, cx, &what)?;
            let Some(choice) = rounding.choose(&rounded, id, &moments, bits[i])? else { continue };
            let (patch, report) = choice.patch(&rounded, id)?;
            reports.push(report);
            rounded.apply(patch)?;
            walk.adopt(&rounded, id)?;
        }
        let data = (self.data.as_deref(), self.samples);
        let variants = [walk.working().clone()];
        let outcomes = Outcome::compare(cx.host(), graph, &variants, data, "guard: judging")?;
        match outcomes.into_iter().next() {
            Some(outcome) => Ok((rounded, reports, outcome)),
            None => Err(PassError::Internal("nothing was compared".into())),
        }
    }

    /// The layers from the one whose rounding alone does the most harm for the bits it saves.
    fn ranking(
        &self,
        graph: &Graph,
        layers: &[NodeId],
        cx: &PassContext<'_>,
    ) -> Result<Vec<usize>, PassError> {
        let rounding = self.rounding();
        let observing = self.observing(DType::F32);
        let mut harm = Vec::with_capacity(layers.len());
        for at in crate::chunks(graph, layers, layers.len()) {
            let what = "guard: looking at all layers";
            let all = survey(graph, &layers[at.clone()], &observing, cx, what)?;
            for (moments, i) in all.iter().zip(at) {
                let mut variant = graph.clone();
                if let Some(choice) = rounding.choose(graph, layers[i], moments, self.bits)? {
                    variant.apply(choice.patch(graph, layers[i])?.0)?;
                }
                let data = (self.data.as_deref(), self.samples.map(|n| n.min(64)));
                let what = format!("guard: layer {} of {} alone", i + 1, layers.len());
                let outcome = Outcome::compare(cx.host(), graph, &[variant], data, &what)?;
                let weights = graph.node(layers[i]).inputs()[1];
                let size = graph.constant(weights).map_or(1, |d| d.len().max(1));
                harm.push((outcome[0].relative() / size as f64, i));
            }
        }
        harm.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        Ok(harm.into_iter().map(|(_, i)| i).collect())
    }
}

impl Pass for AccuracyGuard {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        self.rounding().check()?;
        if !(self.bits..=8).contains(&self.raised) {
            return Err(PassError::Input("`raised` is from `bits` to 8".into()));
        }
        if self.agreement.is_none() && self.snr.is_none() {
            return Err(PassError::Input(
                "state a bound: `agreement` in percent or `snr` in decibels".into(),
            ));
        }
        let (layers, refused) = layers(graph, cx);
        if !refused.is_empty() {
            return Err(PassError::Unsupported(refused));
        }
        cx.all_named(layers.iter().map(|id| graph.node(*id)), crate::LAYER)?;
        cx.undoes(Lost::clusters(graph, layers.iter().map(|id| graph.node(*id).inputs()[1])))?;
        let order = self.ranking(graph, &layers, cx)?;
        let with = |raised: usize| {
            let mut bits = vec![self.bits; layers.len()];
            order[..raised].iter().for_each(|i| bits[*i] = self.raised);
            bits
        };
        // The fewest layers of the order that keep the bound; more layers keep it better.
        let (mut low, mut high) = (0, layers.len());
        let mut best = None;
        while low < high {
            let middle = usize::midpoint(low, high);
            let found = self.attempt(graph, &layers, &with(middle), cx)?;
            if self.holds(&found.2) {
                high = middle;
                best = Some((middle, found));
            } else {
                low = middle + 1;
            }
        }
        let (raised, (rounded, reports, outcome)) = match best.filter(|b| b.0 == high) {
            Some(best) => best,
            None => (high, self.attempt(graph, &layers, &with(high), cx)?),
        };
        let reached = format!(
            "agreement {:.2} %, {:.1} dB on the samples",
            outcome.agreement(),
            decibels(outcome.signal(), outcome.noise())
        );
        if !self.holds(&outcome) {
            return Err(PassError::Input(format!(
                "with {} bits in all layers the bound is not kept ({reached}); state a lower one or \
                 give more bits",
                self.raised
            )));
        }
        cx.note(format!(
            "{raised} of {} layers raised to {} bits: {reached}",
            layers.len(),
            self.raised
        ));
        for report in reports {
            cx.layer(report);
        }
        let patch = crate::transfer(graph, &rounded, &layers)?;
        cx.apply(graph, patch)?;
        Ok(())
    }
}
