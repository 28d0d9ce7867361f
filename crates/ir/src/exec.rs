use crate::{ValueId, Verified};
use paring_tensor::Tensor;

/// Something that can run a graph. Passes that need numbers ask their context for one, and so work on
/// every backend while importing none.
pub trait Executor: Send + Sync {
    /// The name of the backend, for messages.
    fn name(&self) -> &str;

    /// Prepares a graph for repeated runs: picks kernels, unpacks constants.
    ///
    /// # Errors
    /// [`ExecError::Unsupported`] with every node that cannot be run.
    fn prepare(&self, graph: Verified<'_>) -> Result<Box<dyn Session>, ExecError>;
}

/// Sees the intermediate values of a run, one after another.
pub type Observer<'a> = &'a mut dyn FnMut(ValueId, &Tensor);

/// A graph that is ready to run. It holds the states of a recurrent network between runs.
pub trait Session: Send {
    /// Runs once.
    ///
    /// # Errors
    /// If the number, element types or shapes of the inputs are not those of the graph.
    fn run(&mut self, inputs: &[Tensor]) -> Result<Vec<Tensor>, ExecError> {
        self.run_observed(inputs, &mut |_, _| {})
    }

    /// Runs once and shows the observer each input and each node's outputs as they are computed.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    fn run_observed(
        &mut self,
        inputs: &[Tensor],
        observer: Observer<'_>,
    ) -> Result<Vec<Tensor>, ExecError>;

    /// Runs once and tells what each piece of the run took, in order; `None` where the executor does not
    /// measure itself.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    fn run_timed(&mut self, inputs: &[Tensor]) -> Result<Option<Vec<Timed>>, ExecError> {
        self.run(inputs).map(|_| None)
    }

    /// Sets every state back to its initial value.
    fn reset(&mut self);

    /// Another session over the same prepared graph, with its own states at their initial values;
    /// for running samples in parallel.
    fn fork(&self) -> Box<dyn Session>;
}

/// What a piece of a run took: a node, or several that were done together.
#[derive(Clone, Debug, PartialEq)]
pub struct Timed {
    /// The values that were there afterwards. What they were made from since the pieces before was done in
    /// this one.
    pub values: Vec<ValueId>,
    /// The time.
    pub time: std::time::Duration,
    /// Whether the executor has no fast way for it and hands it to another one.
    pub foreign: bool,
}

/// A node that a backend refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Name of the node.
    pub node: String,
    /// Name of its op.
    pub op: String,
    /// Why, and what to do about it.
    pub why: String,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "`{}` ({}): {}", self.node, self.op, self.why)
    }
}

/// Writes refusals one a line.
pub(crate) fn lines<T: std::fmt::Display>(items: &[T]) -> String {
    items.iter().map(|r| format!("\n  {r}")).collect()
}

/// Why a graph did not run.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExecError {
    /// The backend has no kernel for some nodes.
    #[error("the {backend} backend cannot run {} of the nodes:{}", refused.len(), lines(refused))]
    Unsupported {
        /// Name of the backend.
        backend: String,
        /// Every node that it refuses.
        refused: Vec<Refusal>,
    },
    /// What the caller gave does not fit the graph.
    #[error("input {index} (`{name}`): {why}")]
    Input {
        /// Which input.
        index: usize,
        /// Its name.
        name: String,
        /// What is wrong.
        why: String,
    },
    /// Another number of inputs than the graph has.
    #[error("{got} inputs were given, the graph has {expected}")]
    InputCount {
        /// Inputs of the graph.
        expected: usize,
        /// Inputs given.
        got: usize,
    },
    /// A value depends on the data in a way that the node cannot serve, such as an index that is out
    /// of range.
    #[error("node `{node}`: {why}")]
    Data {
        /// Name of the node.
        node: String,
        /// What is wrong.
        why: String,
    },
    /// A symbol has no size yet.
    #[error("the graph has unbound dimensions: {}; bind them first", .0.join(", "))]
    Unbound(Vec<String>),
    /// A fault of the backend itself.
    #[error("node `{node}`: {why} (this is a bug in the backend; please report it)")]
    Internal {
        /// Name of the node.
        node: String,
        /// What happened.
        why: String,
    },
}
