//! The `layout` pass: no transposes between the layers of a network.
//!
//! Readers of formats that keep images as NCHW put a transpose before and after each op that works on
//! images. This pass takes them away again:
//!
//! - Transposes after one another merge, and cancel where they undo each other.
//! - Ops that work the same in any layout (arithmetic, activations, concatenations, pads, slices,
//!   softmax, reductions, resizes, conversions) are gathered into *regions* of connected nodes, and a
//!   region changes to the layout in which the transposes around it move the fewest elements.
//! - A transpose before a flattening and a dense layer becomes an order of the layer's weights.
//! - A transpose at an input or output of the network becomes a remark on that port
//!   ([`Port::external`](paring_ir::Port::external)): callers who think in the model's own layout are
//!   served by the program that runs it.
//! - A pixel shuffle that is spelt with reshapes and a transpose becomes the op that it is.
//! - A transpose that moves only axes of extent 1 becomes a reshape, and one of a constant is done.
//!
//! The report says how many transposes are left, and which.
//!
//! ```
//! use paring_pass_layout as _;
//!
//! let graph = paring_ir::text::parse(
//!     r#"graph @g {
//!        %x = input : f32[n,3,8,8]
//!        %a = transpose(%x) { perm = [0, 2, 3, 1] } : f32[n,8,8,3]
//!        %w = const fill(seed=1) : f32[4,1,1,3]
//!        %c = conv2d(%a, %w) { groups = 1, pad = "valid", stride = [1, 1] } : f32[n,8,8,4]
//!        %b = transpose(%c) { perm = [0, 3, 1, 2] } : f32[n,4,8,8]
//!        %y = unary(%b) { f = "relu" } : f32[n,4,8,8]
//!        output %y
//!      }"#,
//! )?;
//! let pipeline = paring_pass::Pipeline::parse("version = 1\n[[pass]]\nuse = \"layout\"")?;
//! let done = pipeline.run(&graph, &paring_pass::NoHost, &mut Default::default())?;
//! assert!(!done.graph.to_string().contains("transpose"));
//! assert_eq!(done.graph.outputs()[0].external.as_deref(), Some(&[0, 3, 1, 2][..]));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod absorb;
mod perm;
mod region;
mod rules;
mod shuffle;

use paring_ir::Graph;
use paring_ir::ops::Transpose;
use paring_pass::{Effect, Pass, PassContext, PassError, PassInfo, facts, register_pass, rewrite};

/// Settings of the pass.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Layout {
    /// Whether inputs and outputs of the network may change their layout.
    pub ports: bool,
}

impl Default for Layout {
    fn default() -> Self {
        Self { ports: true }
    }
}

register_pass!(
    Layout,
    PassInfo {
        name: "layout",
        summary: "images in NHWC without transposes between layers",
        effect: Effect::Rounding,
        needs: &[],
        gives: &[facts::NHWC],
        breaks: &[],
    }
);

impl Pass for Layout {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        let before = left(graph).len();
        // Before anything else moves the reshapes that it is spelt with.
        rewrite(graph, cx, &[&shuffle::depth_to_space])?;
        if cx.is_stopped() {
            return Ok(());
        }
        loop {
            rewrite(
                graph,
                cx,
                &[
                    &rules::merge,
                    &rules::fold_constant,
                    &rules::lower_unit_axes,
                    &rules::merge_reshapes,
                    &rules::sink_reshape,
                    &absorb::dense_after_flatten,
                    &absorb::reduce,
                ],
            )?;
            if cx.is_stopped() {
                return Ok(());
            }
            let changed = (self.ports && absorb::ports(graph, cx)?)
                || region::flip_one(graph, cx, self.ports)?;
            if !changed {
                break;
            }
        }
        let left = left(graph);
        let names = if left.is_empty() { String::new() } else { format!(": {}", left.join(", ")) };
        cx.note(format!("{} of {before} transposes are left{names}", left.len()));
        Ok(())
    }
}

/// The names of all transposes.
fn left(graph: &Graph) -> Vec<String> {
    let all = graph.topological().into_iter().map(|id| graph.node(id));
    all.filter(|n| n.op.is::<Transpose>()).map(|n| format!("`{}`", n.name)).collect()
}

#[cfg(test)]
mod tests;
