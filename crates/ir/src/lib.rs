//! The graph: ops, values, patches, verification, the execution interface, and the text form.
//!
//! Ops are small types behind a trait ([`Op`]), one file each under [`ops`]; an outside crate adds its
//! own with [`register_op!`]. Values carry their type and quantization. A [`Graph`] is built by a
//! reader or by [`text::parse`], changed through checked [`Patch`]es, and handed to backends as
//! [`Verified`], which only [`verify`] makes.
//!
//! **Invariants**: this crate knows no pass, no backend and no file format. Ids are never reused.
//! Images are NHWC, convolution weights OHWI.
//!
//! ```
//! let graph = paring_ir::text::parse(
//!     "graph @twice {
//!        %x = input : f32[1,4]
//!        %y = binary(%x, %x) { f = \"add\" } : f32[1,4]
//!        output %y
//!      }",
//! )?;
//! assert_eq!(graph.verified()?.order().len(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod attr;
mod cost;
mod exec;
mod graph;
mod op;
pub mod ops;
mod patch;
pub mod text;
pub mod units;
mod verify;

pub use cost::{CostEntry, macs};
pub use exec::{ExecError, Executor, Observer, Refusal, Session, Timed};
pub use graph::{
    Def, Graph, GraphError, Node, NodeId, OpArg, Port, PortRef, State, Value, ValueId,
};
#[doc(hidden)]
pub use inventory;
#[doc(hidden)]
pub use op::parse_attrs;
pub use op::{DynOp, NamedOp, Op, OpEntry, OpError, OpRef, QuantRule, parse_op, registered_ops};
pub use patch::Patch;
pub use verify::{Fault, Verified, VerifyErrors, verify};
