//! The `equalize` pass: channels of activations are brought to like ranges, so that one scale a tensor
//! serves all of them.
//!
//! A channel of a value may be divided by any positive factor if the layers that compute it divide
//! their filters by it and the layers that read it multiply their weights by it. This holds through
//! everything that commutes with positive factors: ReLU, leaky ReLU, pooling, means over an image,
//! padding with zeros, reshapes that keep channels apart, and additions, whose operands and result
//! share their factors. So unlike the pairwise method (Nagel and others, "Data-free quantization
//! through weight equalization and bias correction", 2019) factors also go through residual networks:
//! values whose factors are tied form a class, and each class gets one factor a channel.
//!
//! The factors are `(r / largest r)^a` for the reach `r` of each channel over the samples. With `a = 1`
//! all channels use the whole integer range; but the weights of a convolution that reads them then
//! differ more, and their own rounding grows. For each class the exponent is taken for which a model
//! of both errors, white noise of the rounding steps, is least.
//!
//! ReLU6 does not commute with factors. `relu6 = "replace"` makes it a ReLU in layers whose results
//! stay below 6 on all samples, so that their channels take part; `relu6 = "scale"` leaves the clamp and
//! scales single channels as far as they stay below 6. Both are exact on the samples alone.
//!
//! The crate also has the [`split-outliers`](SplitOutliers) pass, which halves outlying weights instead, and
//! [`absorb-biases`](AbsorbBiases), which takes off what channels never fall below.
//!
//! ```
//! use paring_pass_equalize as _;
//! let known = paring_pass::registered_passes();
//! assert!(known.iter().any(|p| p.info.name == "equalize"));
//! ```
#![forbid(unsafe_code)]

mod absorb;
mod classes;
mod factors;
mod reach;
mod scale;
mod split;

pub use absorb::AbsorbBiases;
pub use split::SplitOutliers;

use paring_ir::Graph;
use paring_pass::{Effect, Pass, PassContext, PassError, PassInfo, Stream, facts, register_pass};

/// Settings of the pass.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Equalize {
    /// Which data, as on the command line; the run's own data if left out.
    pub data: Option<String>,
    /// The most samples that are used; all if left out.
    pub samples: Option<usize>,
    /// Bits that weights will have, which decides how much their rounding matters.
    pub bits: u32,
    /// What becomes of ReLU6.
    pub relu6: Relu6,
}

/// What becomes of ReLU6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relu6 {
    /// It stays, and channels behind it keep their scale.
    #[default]
    Keep,
    /// It becomes ReLU where no sample reaches 6.
    Replace,
    /// It stays, and channels before it are scaled as far as no sample comes to 6 that did not before.
    Scale,
}

impl Default for Equalize {
    fn default() -> Self {
        Self { data: None, samples: Some(128), bits: 8, relu6: Relu6::Keep }
    }
}

register_pass!(
    Equalize,
    PassInfo {
        name: "equalize",
        summary: "bring channels to like ranges across layers",
        effect: Effect::Rounding,
        needs: &[facts::NO_BATCH_NORM],
        gives: &[],
        breaks: &[facts::CALIBRATED],
    }
);

impl Pass for Equalize {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        if !(2..=8).contains(&self.bits) || self.samples == Some(0) {
            return Err(PassError::Input(
                "`bits` must be from 2 to 8 and `samples` at least 1".into(),
            ));
        }
        if self.relu6 == Relu6::Replace {
            scale::replace_relu6(self, graph, cx)?;
        }
        let classes = classes::find(graph, cx, self.relu6 == Relu6::Scale);
        if classes.is_empty() {
            cx.note("no channels can be scaled");
            return Ok(());
        }
        let mut stream = Stream::open(cx.host(), graph, self.data.as_deref(), self.samples)?;
        let reach = reach::observe(&mut stream, graph, &classes)?;
        let mut chosen = Vec::with_capacity(classes.len());
        for class in &classes {
            let found = factors::choose(graph, class, &reach, self.bits);
            let first = &graph.value(class.values[0]).name;
            cx.note(format!(
                "`{first}` and {} more values of {} channels: exponent {:.3}, expected noise \
                 {:.1} dB lower",
                class.values.len() - 1,
                class.channels,
                found.exponent,
                found.gain
            ));
            chosen.push(found.factors);
        }
        if let Some(patch) = scale::patch(graph, &classes, &chosen)? {
            cx.apply(graph, patch)?;
        }
        Ok(())
    }
}
