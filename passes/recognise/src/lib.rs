//! The `recognise` pass: constants that are pruned or clustered in fact become so in their storage.
//!
//! Networks that were pruned or clustered elsewhere arrive as dense constants. Where three tenths of a
//! constant or more are zero, or few different values occur, the pass stores it as sparse or as a
//! palette; every bit of every element stays.
//!
//! ```
//! use paring_pass_recognise as _;
//!
//! let graph = paring_ir::text::parse(
//!     "graph @g {
//!        %x = input : f32[1,4]
//!        %w = const [0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.25] : f32[2,4]
//!        %y = dense(%x, %w) : f32[1,2]
//!        output %y
//!      }",
//! )?;
//! let done = paring_pass::Pipeline::single("recognise", "{}")?
//!     .run(&graph, &paring_pass::NoHost, &mut Default::default())?;
//! let w = done.graph.value_named("w").unwrap().constant().unwrap();
//! assert_eq!(w.sparse().unwrap().kept(), [1, 7]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

use paring_ir::{Graph, Patch, ValueId};
use paring_pass::{Effect, Pass, PassContext, PassError, PassInfo, register_pass};
use paring_tensor::ConstData;

/// The pass; it has no settings.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recognise {}

register_pass!(
    Recognise,
    PassInfo {
        name: "recognise",
        summary: "sparse and clustered constants stored as such, exactly",
        effect: Effect::Exact,
        needs: &[],
        gives: &[],
        breaks: &[],
    }
);

impl Pass for Recognise {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        let selected = |v: &paring_ir::Value| {
            v.uses().iter().filter_map(|(n, _)| graph.get_node(*n)).any(|n| cx.selects(n))
        };
        let dense: Vec<ValueId> = graph
            .values()
            .filter(|v| matches!(v.constant(), Some(ConstData::Dense(_))) && selected(v))
            .map(|v| v.id)
            .collect();
        for id in dense {
            let value = graph.value(id);
            let Some(ConstData::Dense(tensor)) = value.constant() else { continue };
            // What stands for zero has to be the same everywhere.
            let zeros = value.ty.quant.as_ref().map_or(&[0][..], |q| q.zero_points());
            let fill = zeros.first().copied().unwrap_or(0);
            if zeros.iter().any(|z| *z != fill) {
                continue;
            }
            let found = tensor.recognise(i64::from(fill));
            let note = match (&found, found.palette()) {
                (ConstData::Dense(_), _) => continue,
                (ConstData::Sparse(s), palette) => format!(
                    "`{}`: {:.1} % of {} elements are zero{}",
                    value.name,
                    100.0 - 100.0 * s.values().len() as f64 / found.len().max(1) as f64,
                    found.len(),
                    palette.map_or(String::new(), |p| format!(
                        ", the others have {} values",
                        p.entries()
                    )),
                ),
                (ConstData::Palette(p), _) => {
                    format!(
                        "`{}`: {} elements have {} values",
                        value.name,
                        found.len(),
                        p.entries()
                    )
                }
            };
            cx.note(note);
            let quant = value.ty.quant.clone();
            let mut patch = Patch::new(graph, "recognise");
            patch.set_constant(id, found, quant);
            if !cx.apply(graph, patch)? {
                return Ok(());
            }
        }
        Ok(())
    }
}
