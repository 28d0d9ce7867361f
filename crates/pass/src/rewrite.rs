use crate::{PassContext, PassError};
use paring_ir::{Graph, GraphError, Node, Patch};

/// A local rewrite: looks at one node and says what to do there.
pub trait Rewrite {
    /// Looks at a node.
    ///
    /// # Errors
    /// If a patch could not be built, which is a fault of the rewrite.
    fn visit(&self, graph: &Graph, node: &Node) -> Result<Verdict, GraphError>;
}

impl<F: Fn(&Graph, &Node) -> Result<Verdict, GraphError>> Rewrite for F {
    fn visit(&self, graph: &Graph, node: &Node) -> Result<Verdict, GraphError> {
        self(graph, node)
    }
}

/// What a rewrite says of a node.
// Verdicts are looked at and dropped one by one, so their size does not add up.
#[allow(clippy::large_enum_variant)]
pub enum Verdict {
    /// Apply this.
    Patch(Patch),
    /// The pattern is not here.
    NoMatch,
    /// The pattern is here and applying it would change nothing.
    NoEffect,
    /// The pattern is here but the rewrite would not be right, for this reason.
    Declined(String),
}

/// More sweeps than any terminating set of rules takes on real graphs.
const MOST_SWEEPS: usize = 1000;

/// Applies rules to every selected node, operands before users, again and again until none of them
/// has a patch.
///
/// # Errors
/// If a patch is refused, or the rules keep undoing each other.
pub fn rewrite(
    graph: &mut Graph,
    cx: &mut PassContext<'_>,
    rules: &[&dyn Rewrite],
) -> Result<(), PassError> {
    for _ in 0..MOST_SWEEPS {
        let mut changed = false;
        for id in graph.topological() {
            for rule in rules {
                let Some(node) = graph.get_node(id) else { break };
                if !cx.selects(node) {
                    break;
                }
                match rule.visit(graph, node)? {
                    Verdict::Patch(patch) => {
                        if !cx.apply(graph, patch)? {
                            return Ok(());
                        }
                        changed = true;
                    }
                    Verdict::NoMatch | Verdict::NoEffect => {}
                    Verdict::Declined(why) => {
                        let name = node.name.clone();
                        cx.decline(&name, why);
                    }
                }
            }
        }
        if !changed {
            return Ok(());
        }
    }
    Err(PassError::Internal(format!("the rewrites did not settle in {MOST_SWEEPS} sweeps")))
}
