use crate::{Observing, Problem, Walk};
use paring_ir::NodeId;
use paring_pass::{PassContext, PassError};
use paring_tensor::DType;
use rayon::prelude::*;

/// The settings of a pass that looks at calibration data, beside its own (`#[serde(flatten)]`).
#[derive(Clone, Debug, PartialEq, serde::Deserialize)]
#[serde(default)]
pub struct Calibration {
    /// Which data, as on the command line; the run's own data if left out.
    pub data: Option<String>,
    /// The most samples that are used.
    pub samples: Option<usize>,
    /// Positions of an image that are looked at, for each sample.
    pub positions: usize,
    /// What is added to the variance of each input, relative to the mean variance.
    pub damping: f64,
}

impl Default for Calibration {
    fn default() -> Self {
        Self { data: None, samples: Some(512), positions: 128, damping: 0.003 }
    }
}

impl Calibration {
    /// Whether the settings make sense.
    ///
    /// # Errors
    /// [`PassError::Input`] with what does not.
    pub fn check(&self) -> Result<(), PassError> {
        if !(self.damping > 0.0 && self.damping.is_finite()) {
            return Err(PassError::Input("`damping` must be positive".into()));
        }
        if self.positions == 0 || self.samples == Some(0) {
            return Err(PassError::Input("`positions` and `samples` must be at least 1".into()));
        }
        Ok(())
    }

    /// What is looked at. Values of the changed network are rounded as calibrated to an integer type,
    /// or not at all (`f32`).
    #[must_use]
    pub fn observing(&self, activations: DType) -> Observing {
        Observing {
            data: self.data.clone(),
            samples: self.samples,
            positions: self.positions,
            activations,
        }
    }

    /// The problem of each group of filters of the next layer of a walk. With `correct`, errors of
    /// earlier layers are made up for.
    ///
    /// # Errors
    /// As [`Walk::observe`].
    pub fn problems(
        &self,
        walk: &mut Walk,
        layer: NodeId,
        cx: &PassContext<'_>,
        what: &str,
        correct: bool,
    ) -> Result<Vec<Problem>, PassError> {
        let moments = walk.observe(layer, cx, what)?;
        let groups = 0..moments.groups();
        Ok(groups
            .into_par_iter()
            .map(|g| Problem::new(&moments, g, self.damping, correct))
            .collect())
    }
}
