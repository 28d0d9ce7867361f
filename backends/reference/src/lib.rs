//! The reference interpreter: plain loops, written to be read, that define what each op means.
//!
//! Floating-point ops follow the ONNX definitions. Quantized ops follow the TFLite specification for 8-
//! and 16-bit integers, bit for bit, in the two forms that exist in the field:
//! [`Rounding::Double`](paring_qmath::Rounding::Double) computes what TFLite Micro's reference kernels
//! and CMSIS-NN compute, [`Rounding::Single`](paring_qmath::Rounding::Single) what LiteRT's reference
//! kernels compute on a desktop. LiteRT as it is distributed scales most sums as TFLite Micro does, in
//! gemmlowp's two steps; what is rounded once there are the sums of fully connected layers, which are
//! multiplied with the real factor in double precision. A few ops derive constants in another precision
//! or use a table; each kernel says so where it does.
//!
//! Symbols need no binding: extents that a type leaves open are taken from the values that arrive.
//!
//! An op of another crate gets a kernel here with [`register_kernel!`].
//!
//! ```
//! use paring_backend::{Backend, ExecOptions};
//! use paring_tensor::Tensor;
//!
//! let graph = paring_ir::text::parse(
//!     "graph @square {
//!        %x = input : f32[2]
//!        %y = binary(%x, %x) { f = \"mul\" } : f32[2]
//!        output %y
//!      }",
//! )?;
//! let executor = paring_reference::Reference.executor(ExecOptions::default()).unwrap();
//! let mut session = executor.prepare(graph.verified()?)?;
//! let y = session.run(&[Tensor::from_vec([2], vec![3.0_f32, -1.0])?])?;
//! assert_eq!(y[0].to_f32(), [9.0, 1.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod executor;
mod kernel;
mod kernels;
mod number;
mod quantized;
mod walk;

#[doc(hidden)]
pub use inventory;
#[doc(hidden)]
pub use kernel::own;
pub use kernel::{Call, Done, Fault, ReferenceKernel, Types, registered_kernels};

use paring_backend::{
    Backend, CompileError, CompileOptions, ExecOptions, Package, register_backend,
};
use paring_ir::{Executor, Graph, Node, Verified};

/// The reference interpreter as a backend.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reference;

register_backend!(Reference);

impl Backend for Reference {
    fn name(&self) -> &'static str {
        "reference"
    }

    fn summary(&self) -> &'static str {
        "interpreter of plain loops that defines what each op means"
    }

    fn support(&self, graph: &Graph, node: &Node, target: Option<&str>) -> Result<(), String> {
        match target {
            Some(target) => Err(format!("the reference interpreter does not compile for {target}")),
            None => kernel::support(graph, node),
        }
    }

    fn compile(&self, _: Verified<'_>, options: &CompileOptions) -> Result<Package, CompileError> {
        Err(CompileError::Options(format!(
            "the reference interpreter runs networks in this process and does not compile for `{}`",
            options.target
        )))
    }

    fn executor(&self, options: ExecOptions) -> Option<Box<dyn Executor>> {
        Some(Box::new(executor::Interpreter::new(options)))
    }
}
