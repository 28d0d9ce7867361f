use crate::manager::{Declined, LayerReport, StepReport};
use crate::{Lost, PassError, Structure};
use paring_ir::{Executor, Graph, Node, Patch};
use paring_tensor::Tensor;
use std::sync::Arc;
use wildmatch::WildMatch;

/// Calibration data: unlabelled inputs by index. Decoded when asked for, so that memory does not grow
/// with their number.
pub trait Samples: Send + Sync {
    /// How many there are.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One tensor for each input of the network, with the batch axis (of extent 1), in the layout of
    /// the graph and as real numbers.
    ///
    /// # Errors
    /// What is wrong with the data, with its file.
    fn get(&self, index: usize) -> Result<Vec<Tensor>, String>;
}

/// What a network takes on a target, estimated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Estimate {
    /// Cycles of a run; `None` where they are not known.
    pub cycles: Option<u64>,
    /// Bytes of memory for values.
    pub ram_bytes: u64,
    /// Bytes of constants and code.
    pub flash_bytes: u64,
    /// What is known layer by layer, in the order of execution.
    pub layers: Vec<LayerEstimate>,
}

/// What a layer takes on a target, estimated.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LayerEstimate {
    /// Name of the node; layers that were joined have the name of one of them.
    pub name: String,
    /// Cycles.
    pub cycles: Option<u64>,
    /// Bytes of its constants.
    pub weight_bytes: u64,
    /// Bytes of memory in use while it runs.
    pub ram_bytes: u64,
}

impl Estimate {
    /// Cycles of a run.
    ///
    /// # Errors
    /// If they are not known.
    pub fn known_cycles(&self, target: &str) -> Result<u64, PassError> {
        self.cycles.ok_or_else(|| {
            PassError::Input(format!(
                "how many cycles this network takes on `{target}` is not known without running it; \
                 the targets of Cortex-M have such estimates"
            ))
        })
    }

    /// Cycles of the layer of this name.
    #[must_use]
    pub fn cycles_of(&self, name: &str) -> Option<u64> {
        self.layers.iter().find(|l| l.name == name)?.cycles
    }
}

/// What the program gives to passes: a way to run networks, and data.
pub trait Host: Sync {
    /// The executor that passes use.
    ///
    /// # Errors
    /// What to do where there is none.
    fn executor(&self) -> Result<&dyn Executor, PassError>;

    /// The data that a specification names, shaped for the inputs of `graph`; `None` asks for the
    /// data that the user gave for the whole run.
    ///
    /// # Errors
    /// What is wrong with the specification or its files, or that there is no data.
    fn samples(&self, spec: Option<&str>, graph: &Graph) -> Result<Arc<dyn Samples>, PassError>;

    /// The blocks of zero weights, filters by inputs, that a target's kernel for a layer leaves out;
    /// `None` if it has no use for zeros.
    ///
    /// # Errors
    /// If there is no such target.
    fn skips(
        &self,
        target: &str,
        graph: &Graph,
        node: &Node,
    ) -> Result<Option<[usize; 2]>, PassError> {
        let _ = (graph, node);
        Err(PassError::Input(format!("nothing is known of a target `{target}` here")))
    }

    /// What a network takes on a target, by the estimate of the target's backend. Where the target computes with
    /// integers, real numbers count as those of 8 bits that they can become, and weights that are integers of fewer bits
    /// already as what they are.
    ///
    /// # Errors
    /// If there is no such target, nothing is known of its costs, or it cannot take the network.
    fn estimate(&self, target: &str, graph: &Graph) -> Result<Estimate, PassError> {
        let _ = graph;
        Err(PassError::Input(format!("nothing is known of what networks take on `{target}` here")))
    }

    /// Shows how far a step is: `done` of `total` of what `what` names. May be called from any
    /// thread.
    fn progress(&self, what: &str, done: usize, total: usize) {
        let _ = (what, done, total);
    }
}

/// A host for pipelines that run no network.
pub struct NoHost;

impl Host for NoHost {
    fn executor(&self) -> Result<&dyn Executor, PassError> {
        Err(PassError::Input("this pass runs the network, but no executor was given".into()))
    }

    fn samples(&self, _: Option<&str>, _: &Graph) -> Result<Arc<dyn Samples>, PassError> {
        Err(PassError::Input("this pass needs calibration data, but none was given".into()))
    }
}

/// What a pass works with besides the graph.
pub struct PassContext<'a> {
    pub(crate) host: &'a dyn Host,
    pub(crate) seed: u64,
    pub(crate) only: &'a [WildMatch],
    pub(crate) skip: &'a [WildMatch],
    pub(crate) allow: &'a [Structure],
    pub(crate) report: &'a mut StepReport,
    pub(crate) budget: &'a mut Option<usize>,
}

impl<'a> PassContext<'a> {
    /// The pipeline's seed mixed with the step's number, for passes that draw random numbers.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// The program that runs the pass.
    #[must_use]
    pub fn host(&self) -> &'a dyn Host {
        self.host
    }

    /// Whether the step's `only` and `skip` let the pass touch this node.
    #[must_use]
    pub fn selects(&self, node: &Node) -> bool {
        let matches = |patterns: &[WildMatch]| patterns.iter().any(|p| p.matches(&node.name));
        (self.only.is_empty() || matches(self.only)) && !matches(self.skip)
    }

    /// Whether the step's `only` names this node.
    #[must_use]
    pub fn names(&self, node: &Node) -> bool {
        self.only.iter().any(|p| p.matches(&node.name))
    }

    /// Fails for patterns of the step's `only` that match none of the nodes that a pass can work on, so
    /// that nothing a recipe names is passed over in silence.
    ///
    /// # Errors
    /// [`PassError::Input`] with the patterns.
    pub fn all_named<'n>(
        &self,
        nodes: impl IntoIterator<Item = &'n Node>,
        what: &str,
    ) -> Result<(), PassError> {
        let mut left: Vec<&WildMatch> = self.only.iter().collect();
        for node in nodes {
            left.retain(|p| !p.matches(&node.name));
        }
        if left.is_empty() {
            return Ok(());
        }
        let left: Vec<String> = left.iter().map(|p| format!("`{p}`")).collect();
        Err(PassError::Input(format!(
            "`only` names {}, but there is no such {what}",
            left.join(", ")
        )))
    }

    /// Fails at once for structures that the pass is going to undo, except those that its step allows
    /// it to undo. The manager finds what a pass does not announce, after it has run.
    ///
    /// # Errors
    /// [`PassError::Undoes`] with what is not allowed.
    pub fn undoes(&self, lost: impl IntoIterator<Item = Lost>) -> Result<(), PassError> {
        let lost: Vec<Lost> =
            lost.into_iter().filter(|l| !self.allow.contains(&l.structure)).collect();
        if lost.is_empty() { Ok(()) } else { Err(PassError::Undoes(lost)) }
    }

    /// Applies a patch and counts it. Returns whether it was applied: when the run is to stop after a
    /// number of rewrites, later ones are not.
    ///
    /// # Errors
    /// If the graph refuses the patch.
    pub fn apply(&mut self, graph: &mut Graph, patch: Patch) -> Result<bool, PassError> {
        match self.budget {
            Some(0) => return Ok(false),
            Some(left) => *left -= 1,
            None => {}
        }
        graph.apply(patch)?;
        self.report.rewrites += 1;
        Ok(true)
    }

    /// Whether no further rewrite will be applied.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *self.budget == Some(0)
    }

    /// Records a line for the report.
    pub fn note(&mut self, line: impl Into<String>) {
        self.report.notes.push(line.into());
    }

    /// Records what became of a layer. A ratio that is not finite (an error of zero) is left out.
    pub fn layer(&mut self, mut layer: LayerReport) {
        layer.weights_db = layer.weights_db.filter(|db| db.is_finite());
        layer.result_db = layer.result_db.filter(|db| db.is_finite());
        self.report.layers.push(layer);
    }

    /// Records that the pass left a node alone although it looked applicable, and why.
    pub fn decline(&mut self, node: &str, why: impl Into<String>) {
        let declined = Declined { node: node.to_owned(), why: why.into() };
        if !self.report.declined.contains(&declined) {
            self.report.declined.push(declined);
        }
    }
}
