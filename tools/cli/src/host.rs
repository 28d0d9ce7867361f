//! What passes get from this program: an executor, data and a progress bar.

use crate::data::{Fitted, open};
use crate::error::message;
use crate::ui::Ui;
use indicatif::ProgressBar;
use paring_backend::{CompileOptions, ExecOptions, LayerSize};
use paring_ir::{Executor, Graph, Node};
use paring_pass::{Estimate, Host, LayerEstimate, PassError, Samples};
use paring_tensor::Tensor;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// The host of a `compress` run.
pub struct CliHost<'a> {
    executor: Box<dyn Executor>,
    calibration: Option<String>,
    ui: &'a Ui,
    bar: Mutex<Option<(String, ProgressBar)>>,
    used: Mutex<Vec<Arc<Recorded>>>,
}

impl<'a> CliHost<'a> {
    /// A host that runs networks on a backend and answers with `calibration` when a pass names no data
    /// of its own, or in place of what it names.
    pub fn new(backend: &str, calibration: Option<String>, ui: &'a Ui) -> Result<Self, String> {
        Ok(Self {
            executor: paring_bundle::executor(backend, ExecOptions::default())?,
            calibration,
            ui,
            bar: Mutex::new(None),
            used: Mutex::new(Vec::new()),
        })
    }

    /// What data was used: specification, samples read, and a hash of their contents.
    pub fn used(&self) -> Vec<(String, usize, String)> {
        let used = self.used.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        used.iter().map(|r| r.summary()).collect()
    }

    /// Ends the progress bar.
    pub fn finish(&self) {
        let mut bar = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((_, bar)) = bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Host for CliHost<'_> {
    fn executor(&self) -> Result<&dyn Executor, PassError> {
        Ok(self.executor.as_ref())
    }

    fn samples(&self, spec: Option<&str>, graph: &Graph) -> Result<Arc<dyn Samples>, PassError> {
        let spec = self.calibration.as_deref().or(spec).ok_or_else(|| {
            PassError::Input(
                "this pass needs data: give `--calib SPEC`, or `data = \"SPEC\"` in its step; SPEC \
                 is one of npz:FILE, cifar10:DIR:train, mnist:DIR:train, images:DIR, ..."
                    .into(),
            )
        })?;
        let input = |e: anyhow::Error| PassError::Input(format!("data `{spec}`: {}", message(&e)));
        let fitted = Fitted::new(open(spec).map_err(input)?, graph).map_err(input)?;
        let recorded = Arc::new(Recorded {
            spec: spec.to_owned(),
            fitted,
            hashes: Mutex::new(BTreeMap::new()),
        });
        let mut used = self.used.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        used.push(recorded.clone());
        Ok(recorded)
    }

    fn skips(
        &self,
        target: &str,
        graph: &Graph,
        node: &Node,
    ) -> Result<Option<[usize; 2]>, PassError> {
        let backend = paring_backend::backend_for(target).map_err(PassError::Input)?;
        Ok(backend.skips(graph, node, target))
    }

    fn estimate(&self, target: &str, graph: &Graph) -> Result<Estimate, PassError> {
        let options = CompileOptions { target: target.to_owned(), ..CompileOptions::default() };
        let data = |graph: &Graph| self.samples(None, graph).ok();
        let lock = || self.used.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let before = lock().len();
        let found = paring_bundle::estimate(graph, &options, Some(&data))
            .map_err(|e| PassError::Input(format!("estimating what the network takes: {e}")))?;
        // Every estimate reads the same samples: they are listed once.
        let mut used = lock();
        for read in used.split_off(before) {
            if used.iter().all(|known| known.summary() != read.summary()) {
                used.push(read);
            }
        }
        drop(used);
        let sizes = found.sizes;
        let layer = |l: LayerSize| LayerEstimate {
            name: l.name,
            cycles: l.cycles,
            weight_bytes: l.weight_bytes as u64,
            ram_bytes: l.live_bytes as u64,
        };
        Ok(Estimate {
            cycles: sizes.cycles,
            ram_bytes: sizes.ram_bytes as u64,
            flash_bytes: (sizes.weight_bytes + sizes.code_bytes.unwrap_or(0)) as u64,
            layers: sizes.layers.into_iter().map(layer).collect(),
        })
    }

    fn progress(&self, what: &str, done: usize, total: usize) {
        let mut slot = self.bar.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if slot.as_ref().is_none_or(|(name, _)| name != what) {
            if let Some((_, old)) = slot.take() {
                old.finish_and_clear();
            }
            *slot = Some((what.to_owned(), self.ui.bar(what, total)));
        }
        if let Some((_, bar)) = slot.as_ref() {
            bar.set_length(total as u64);
            bar.set_position(done as u64);
        }
    }
}

/// Samples that remember what was read, for the lock file.
struct Recorded {
    spec: String,
    fitted: Fitted,
    hashes: Mutex<BTreeMap<usize, [u8; 32]>>,
}

impl Recorded {
    fn summary(&self) -> (String, usize, String) {
        let hashes = self.hashes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut all = Sha256::new();
        for (index, hash) in hashes.iter() {
            all.update((*index as u64).to_le_bytes());
            all.update(hash);
        }
        (self.spec.clone(), hashes.len(), hex(&all.finalize()))
    }
}

impl Samples for Recorded {
    fn len(&self) -> usize {
        self.fitted.len()
    }

    fn get(&self, index: usize) -> Result<Vec<Tensor>, String> {
        let sample = self.fitted.get(index).map_err(|e| message(&e))?;
        let mut hash = Sha256::new();
        for tensor in &sample.inputs {
            hash.update(tensor.bytes());
        }
        let mut hashes = self.hashes.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        hashes.insert(index, hash.finalize().into());
        Ok(sample.inputs)
    }
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// The SHA-256 of bytes in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
