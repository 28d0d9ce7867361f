use crate::context::{Host, PassContext};
use crate::pipeline::Pipeline;
use crate::{Effect, Lost, PassError, structure};
use paring_ir::Graph;
use serde::Serialize;
use std::time::Instant;

/// Sees the graph after each step.
pub type After<'a> = &'a mut dyn FnMut(&StepReport, &Graph);

/// How a pipeline is run.
#[derive(Default)]
pub struct RunOptions<'a> {
    /// Called after each step; for printing the graph.
    pub after: Option<After<'a>>,
    /// The most rewrites in the whole run; for finding the one that breaks a network.
    pub stop_after: Option<usize>,
}

/// What a run gives.
#[derive(Debug)]
pub struct Done {
    /// The graph after the last step.
    pub graph: Graph,
    /// What each step did.
    pub report: Report,
}

/// What each step of a run did.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// One for each run of a pass.
    pub steps: Vec<StepReport>,
}

/// Size and work of a graph.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// Nodes.
    pub nodes: usize,
    /// Elements of constants.
    pub parameters: usize,
    /// Bytes of constants, packed.
    pub weight_bytes: usize,
    /// Multiply-accumulates of one run; `None` while a dimension is unbound.
    pub macs: Option<u64>,
}

impl Snapshot {
    /// Measures a graph.
    #[must_use]
    pub fn of(graph: &Graph) -> Self {
        let constants = || graph.values().filter_map(|v| v.constant());
        Self {
            nodes: graph.nodes().count(),
            parameters: constants().map(|c| c.len()).sum(),
            weight_bytes: constants().map(|c| c.packed_bytes()).sum(),
            macs: graph
                .nodes()
                .try_fold(0_u64, |sum, n| sum.checked_add(paring_ir::macs(graph, n)?)),
        }
    }
}

/// A node that a pass left alone, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Declined {
    /// Name of the node.
    pub node: String,
    /// The reason.
    pub why: String,
}

/// What a pass made of one node, and how far that is from the original.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LayerReport {
    /// Name of the node.
    pub node: String,
    /// Name of its op.
    pub op: String,
    /// How its weights are stored now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// How its result is stored now.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Signal to error of the weights, in decibels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights_db: Option<f64>,
    /// Signal to error of what the pass measures, in decibels; `note` says of what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result_db: Option<f64>,
    /// What else there is to say.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub note: String,
}

impl LayerReport {
    /// Of a node; nothing said yet.
    #[must_use]
    pub fn new(node: &paring_ir::Node) -> Self {
        Self { node: node.name.clone(), op: node.op.name().to_owned(), ..Self::default() }
    }
}

/// What one run of a pass did.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// The step in the pipeline, from 1.
    pub step: usize,
    /// Name of the pass.
    pub pass: &'static str,
    /// What it may do to the numbers.
    pub effect: Effect,
    /// Patches applied.
    pub rewrites: usize,
    /// Lines that the pass wrote.
    pub notes: Vec<String>,
    /// What became of each layer, where the pass says so.
    pub layers: Vec<LayerReport>,
    /// Nodes it left alone although they looked applicable.
    pub declined: Vec<Declined>,
    /// The graph before it.
    pub before: Snapshot,
    /// The graph after it.
    pub after: Snapshot,
    /// Wall-clock time.
    pub seconds: f64,
}

/// A step that failed.
#[derive(Debug, thiserror::Error)]
#[error("step {step} (`{pass}`): {source}")]
pub struct StepError {
    /// Which step, from 1.
    pub step: usize,
    /// Name of the pass.
    pub pass: &'static str,
    /// Why.
    pub source: PassError,
}

impl Pipeline {
    /// Runs every step on a copy of `graph`.
    ///
    /// # Errors
    /// The first step that fails; `graph` itself never changes.
    pub fn run(
        &self,
        graph: &Graph,
        host: &dyn Host,
        options: &mut RunOptions<'_>,
    ) -> Result<Done, StepError> {
        let mut graph = graph.clone();
        let mut report = Report { steps: Vec::new() };
        let mut budget = options.stop_after;
        for (i, step) in self.steps.iter().enumerate() {
            for _ in 0..step.repeat {
                if budget == Some(0) {
                    return Ok(Done { graph, report });
                }
                let mut record = StepReport {
                    step: i + 1,
                    pass: step.info.name,
                    effect: step.info.effect,
                    rewrites: 0,
                    notes: Vec::new(),
                    layers: Vec::new(),
                    declined: Vec::new(),
                    before: Snapshot::of(&graph),
                    after: Snapshot::default(),
                    seconds: 0.0,
                };
                let fail = |source| StepError { step: i + 1, pass: step.info.name, source };
                let start = Instant::now();
                let mut next = graph.clone();
                let mut cx = PassContext {
                    host,
                    seed: self.seed ^ (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15),
                    only: &step.only,
                    skip: &step.skip,
                    allow: &step.allow,
                    report: &mut record,
                    budget: &mut budget,
                };
                step.pass.run(&mut next, &mut cx).map_err(fail)?;
                next.verified().map_err(|e| fail(PassError::Faulty(e)))?;
                let (allowed, undone): (Vec<Lost>, Vec<Lost>) = structure::lost(&graph, &next)
                    .into_iter()
                    .partition(|lost| step.allow.contains(&lost.structure));
                if !undone.is_empty() {
                    return Err(fail(PassError::Undoes(undone)));
                }
                record.notes.extend(allowed.iter().map(|lost| format!("undid {lost}, as allowed")));
                record.seconds = start.elapsed().as_secs_f64();
                record.after = Snapshot::of(&next);
                graph = next;
                if let Some(after) = options.after.as_mut() {
                    after(&record, &graph);
                }
                report.steps.push(record);
            }
        }
        Ok(Done { graph, report })
    }
}
