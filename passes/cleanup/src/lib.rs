//! The `cleanup` pass: simplifications that keep every output's bits.
//!
//! - **Constant folding**: a node whose operands are all constants becomes a constant. Moves of
//!   elements are done here; everything else is run by the host's executor. Results over
//!   `largest_constant` bytes are left alone, and so is the dequantization of integer weights, which
//!   would undo their compression.
//! - **Identities**: reshapes to the same shape, transposes that move nothing, pads by nothing, full
//!   slices, 1x1 pools, factors of one, requantization to the same scale. Divisions by powers of two become
//!   multiplications.
//! - **Chains**: reshapes of reshapes and transposes of transposes merge; a transpose that only moves
//!   axes of extent 1 becomes a reshape.
//! - **Common subexpressions**: equal nodes over equal operands, and equal constants, become one.
//! - **Dead code**: whatever no output and no state needs goes.
//!
//! ```
//! use paring_pass_cleanup as _;
//!
//! let graph = paring_ir::text::parse(
//!     "graph @g {
//!        %x = input : f32[2,3]
//!        %a = transpose(%x) { perm = [1, 0] } : f32[3,2]
//!        %b = transpose(%a) { perm = [1, 0] } : f32[2,3]
//!        %y = unary(%b) { f = \"relu\" } : f32[2,3]
//!        output %y
//!      }",
//! )?;
//! let pipeline = paring_pass::Pipeline::parse("version = 1\n[[pass]]\nuse = \"cleanup\"")?;
//! let done = pipeline.run(&graph, &paring_pass::NoHost, &mut Default::default())?;
//! assert_eq!(done.graph.nodes().count(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod common;
mod fold;
mod identity;

use paring_ir::Graph;
use paring_pass::{
    Effect, Pass, PassContext, PassError, PassInfo, Rewrite, register_pass, rewrite,
};

/// Settings of the pass.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Cleanup {
    /// Whether nodes over constants are computed now.
    pub fold: bool,
    /// The most bytes that a folded constant may have.
    pub largest_constant: usize,
}

impl Default for Cleanup {
    fn default() -> Self {
        Self { fold: true, largest_constant: 64 << 20 }
    }
}

register_pass!(
    Cleanup,
    PassInfo {
        name: "cleanup",
        summary: "fold constants; remove identities, repeated work and dead code",
        effect: Effect::Exact,
        needs: &[],
        gives: &[],
        breaks: &[],
    }
);

impl Pass for Cleanup {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        let executor = cx.host().executor().ok();
        let fold = fold::Fold { executor, largest: self.largest_constant };
        let mut rules: Vec<&dyn Rewrite> =
            vec![&identity::drop_identity, &identity::multiply_instead, &identity::merge_chain];
        if self.fold {
            rules.push(&fold);
        }
        loop {
            rewrite(graph, cx, &rules)?;
            if cx.is_stopped() || !common::merge(graph, cx)? {
                break;
            }
        }
        if !cx.is_stopped() {
            let removed = graph.remove_dead();
            if removed > 0 {
                cx.note(format!("removed {removed} nodes that no output needs"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
