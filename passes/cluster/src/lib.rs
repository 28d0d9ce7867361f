//! The `cluster` pass: the weights of a layer become few different values.
//!
//! The values are the best ones, computed directly (`start = "OPTIMAL"`), or what Lloyd's algorithm
//! reaches from a start named `LINEAR`, `RANDOM`, `DENSITY_BASED` or `KMEANS_PLUS_PLUS`. Deviations
//! count alike, or by how much the result feels them: `weighting = "activation"` takes the mean square
//! of each weight's input and `"hessian"` its variance, from calibration data. With
//! `assign = "second-order"` the weights are then given to clusters one after another, each making up
//! for the errors of those before, instead of each to its nearest.
//!
//! One set of values serves a tensor, a channel or a group of channels (`per`). With `grid = "i8"` or
//! `"i4"` the values are integers that share the layer's clusters, times a scale for each output
//! channel: they stand under a `dequantize`, where `quantize` takes them up exactly; `lambda` then prefers
//! values that are frequent, and so short to code. With `restore = {}` the scales and the biases of all layers
//! are then fitted together to the outputs of the network as it was before. Weights that an
//! earlier pass pruned stay zero, and zero counts as one of the clusters.
//!
//! The number of clusters is given, or chosen for each layer so that codes take `bits` bits a weight on
//! average: those layers get more that suffer more.
//!
//! ```
//! use paring_pass_cluster as _;
//!
//! let graph = paring_ir::text::parse(
//!     "graph @g {
//!        %x = input : f32[1,4]
//!        %w = const [1.0, 1.5, -0.25, -0.75] : f32[1,4]
//!        %y = dense(%x, %w) : f32[1,1]
//!        output %y
//!      }",
//! )?;
//! let done = paring_pass::Pipeline::single("cluster", "{ clusters = 2 }")?
//!     .run(&graph, &paring_pass::NoHost, &mut Default::default())?;
//! let w = done.graph.value_named("w").unwrap().constant().unwrap();
//! assert_eq!(w.palette().unwrap().codebook().to_f32(), [-0.5, 1.25]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod kmeans;
mod layer;

pub use kmeans::{Points, Random, Start};

use layer::{Clustered, Layer};
use paring_ir::{Graph, NodeId};
use paring_layerwise::{Calibration, Problem, Restore, Walk, layers, replace_weights, rescale};
use paring_pass::{Effect, Pass, PassContext, PassError, PassInfo, facts, register_pass};
use paring_tensor::DType;

/// Settings of the pass.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cluster {
    /// Different values of a layer, zero included: 2 to 256.
    pub clusters: usize,
    /// Bits of a code that layers have on average; then the number of clusters is chosen for each.
    pub bits: Option<f64>,
    /// What shares values.
    pub per: Per,
    /// How values are found.
    pub start: Start,
    /// How deviations count.
    pub weighting: Weighting,
    /// How weights are given to values.
    pub assign: Assign,
    /// Integers that values are.
    pub grid: Option<DType>,
    /// The relative square error of a layer's result that a bit for each kept weight is worth: how
    /// far weights are moved to values that are frequent, and so short to code. For integers that are
    /// assigned by second order.
    pub lambda: f64,
    /// How the scales of channels and the biases are fitted to the whole network's outputs in the end; with
    /// `grid` only, and not at all if left out.
    pub restore: Option<Restore>,
    /// What is looked at.
    #[serde(flatten)]
    pub calibration: Calibration,
}

/// What shares values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// The weights of a layer.
    #[default]
    Tensor,
    /// The weights of an output channel.
    Channel,
    /// Those of so many groups of output channels: `{ groups = 4 }`.
    #[serde(untagged)]
    Groups {
        /// How many.
        groups: usize,
    },
}

/// How deviations count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Weighting {
    /// All alike.
    #[default]
    None,
    /// By the mean square of the weight's input.
    Activation,
    /// By the variance of the weight's input.
    Hessian,
}

/// How weights are given to values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Assign {
    /// Each to its nearest.
    #[default]
    Nearest,
    /// One after another, each making up for the errors before it.
    SecondOrder,
}

impl Default for Cluster {
    fn default() -> Self {
        Self {
            clusters: 16,
            bits: None,
            per: Per::default(),
            start: Start::default(),
            weighting: Weighting::default(),
            assign: Assign::default(),
            grid: None,
            lambda: 0.0,
            restore: None,
            calibration: Calibration::default(),
        }
    }
}

register_pass!(
    Cluster,
    PassInfo {
        name: "cluster",
        summary: "weights that share few values, by the best clusters on a line",
        effect: Effect::Lossy,
        needs: &[facts::NO_BATCH_NORM],
        gives: &[],
        breaks: &[facts::CALIBRATED],
    }
);

impl Cluster {
    fn check(&self) -> Result<(), PassError> {
        let wrong = |why: &str| Err(PassError::Input(why.to_owned()));
        if !(2..=256).contains(&self.clusters) {
            return wrong("`clusters` must be from 2 to 256");
        }
        if self.bits.is_some_and(|b| !(1.0..=8.0).contains(&b)) {
            return wrong("`bits` must be from 1 to 8");
        }
        if !matches!(self.grid, None | Some(DType::I8 | DType::I4)) {
            return wrong("`grid` is i8 or i4");
        }
        if self.grid.is_some() && self.per != Per::Tensor {
            return wrong(
                "with `grid`, values are per tensor and scales per channel; leave `per` out",
            );
        }
        if !(self.lambda >= 0.0 && self.lambda.is_finite()) {
            return wrong("`lambda` must not be negative");
        }
        if self.lambda > 0.0 && (self.grid.is_none() || self.assign != Assign::SecondOrder) {
            return wrong("`lambda` needs `grid` and `assign = \"second-order\"`");
        }
        if self.grid == Some(DType::I4) && self.clusters > 16 {
            return wrong("`grid = \"i4\"` has no more than 16 clusters");
        }
        if self.per == (Per::Groups { groups: 0 }) {
            return wrong("`groups` must be at least 1");
        }
        if let Some(restore) = &self.restore {
            restore.check()?;
            if self.grid.is_none() {
                return wrong("`restore` fits scales; it needs `grid`");
            }
        }
        self.calibration.check()
    }

    fn walk(&self, graph: &Graph) -> Result<Option<Walk>, PassError> {
        if self.weighting == Weighting::None && self.assign == Assign::Nearest {
            return Ok(None);
        }
        Walk::new(graph, self.calibration.observing(DType::F32)).map(Some)
    }

    /// The problems of a layer's groups of filters.
    fn problems(
        &self,
        walk: &mut Option<Walk>,
        layer: &Layer,
        cx: &PassContext<'_>,
        what: &str,
    ) -> Result<Vec<Problem>, PassError> {
        let Some(walk) = walk else { return Ok(Vec::new()) };
        let correct = self.assign == Assign::SecondOrder;
        self.calibration.problems(walk, layer.id, cx, what, correct)
    }

    /// The number of clusters of each layer.
    fn numbers(
        &self,
        graph: &Graph,
        found: &[Layer],
        cx: &PassContext<'_>,
    ) -> Result<Vec<usize>, PassError> {
        const STEPS: [usize; 13] = [2, 3, 4, 6, 8, 12, 16, 24, 32, 64, 96, 128, 256];
        let Some(bits) = self.bits else { return Ok(vec![self.clusters; found.len()]) };
        let most = if self.grid == Some(DType::I4) { 16 } else { 256 };
        let mut walk = self.walk(graph)?;
        let mut curves = Vec::new();
        for (i, layer) in found.iter().enumerate() {
            let what = format!("cluster: looking at layer {} of {}", i + 1, found.len());
            let problems = self.problems(&mut walk, layer, cx, &what)?;
            let points = layer.points(self, &problems);
            let all = points.least_costs(1).first().copied().unwrap_or(0.0);
            let least = points.least_costs(most);
            let at = |k: usize| least.get(layer.values(k).max(1) - 1).copied().unwrap_or(0.0);
            let curve: Vec<f64> = STEPS
                .iter()
                .filter(|k| **k <= most)
                .map(|k| at(*k) / (all + layer.square_of_mean(&points)).max(1e-30))
                .collect();
            curves.push(curve);
        }
        let size = |l: usize| found[l].kept() as f64;
        let code = |step: usize| (STEPS[step] as f64).log2();
        let total: f64 = (0..found.len()).map(size).sum();
        let mut steps = vec![0_usize; found.len()];
        let mut spent = total * code(0);
        loop {
            let mut best: Option<(f64, usize, f64)> = None;
            for (l, curve) in curves.iter().enumerate() {
                let at = steps[l];
                if at + 1 >= curve.len() {
                    continue;
                }
                let price = size(l) * (code(at + 1) - code(at));
                let gain = (curve[at] - curve[at + 1]) / price.max(1e-30);
                if spent + price <= bits * total + 1e-9 && best.is_none_or(|b| gain > b.0) {
                    best = Some((gain, l, price));
                }
            }
            let Some((_, l, price)) = best else { break };
            steps[l] += 1;
            spent += price;
        }
        Ok(steps.into_iter().map(|s| STEPS[s]).collect())
    }
}

impl Pass for Cluster {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        self.check()?;
        let (ids, refused) = layers(graph, cx);
        if !refused.is_empty() {
            return Err(PassError::Unsupported(refused));
        }
        let found: Vec<Layer> = ids.into_iter().filter_map(|id| Layer::of(graph, id)).collect();
        let numbers = self.numbers(graph, &found, cx)?;
        let original = graph.clone();
        let mut walk = self.walk(graph)?;
        let mut random = Random(cx.seed());
        for (i, (layer, number)) in found.iter().zip(numbers).enumerate() {
            let what = format!("cluster: layer {} of {}", i + 1, found.len());
            let problems = self.problems(&mut walk, layer, cx, &what)?;
            let Clustered { data, quant, shifts, used, signal, noise } =
                layer.cluster(self, number, &problems, &mut random)?;
            let decibels = 10.0 * (signal / noise.max(1e-300)).log10();
            let of = if problems.is_empty() { "weights" } else { "result" };
            cx.note(format!(
                "`{}`: {used} values for {} weights, {of} {decibels:.1} dB above the error",
                graph.node(layer.id).name,
                layer.len(),
            ));
            let patch = replace_weights(graph, layer.id, data, quant, &shifts, "cluster")?;
            if !cx.apply(graph, patch)? {
                return Ok(());
            }
            if let Some(walk) = &mut walk {
                walk.adopt(graph, layer.id)?;
            }
        }
        drop(walk);
        let Some(how) = &self.restore else { return Ok(()) };
        let ids: Vec<NodeId> = found.iter().map(|l| l.id).collect();
        let data = (self.calibration.data.as_deref(), self.calibration.samples);
        rescale(how, &original, graph, &ids, data, (cx, "cluster"))
    }
}
