//! Runs networks fast in this process: a plan with fused steps, weights packed once, one arena for
//! all activations, and threads.
//!
//! The engine knows no instruction set: kernels come in through [`Kernels`], which a backend
//! implements for its processors; [`Portable`] is the one in plain Rust. A node that the engine has no
//! step for is run by another executor, the fallback, where the backend gives one.
//!
//! Integer results equal those of the reference interpreter to the byte. Sums of floating-point
//! products are taken in the same order but may be fused, and are equal up to rounding.
//!
//! A [`Session`](paring_ir::Session) holds its activations and states; all sessions of a prepared
//! graph share the plan and the weights. Running allocates nothing but the outputs and what fallback
//! nodes allocate.
//!
//! ```
//! use paring_engine::{Engine, Portable};
//! use paring_ir::{Executor, text};
//! use paring_tensor::Tensor;
//!
//! let graph = text::parse(
//!     "graph @g {
//!        %x = input : f32[1,2]
//!        %w = const [1.0, 2.0, -1.0, -2.0] : f32[2,2]
//!        %y = dense(%x, %w) { activation = \"relu\" } : f32[1,2]
//!        output %y
//!      }",
//! )?;
//! let engine = Engine::new("portable", Box::new(Portable), Default::default(), None);
//! let mut session = engine.prepare(graph.verified()?)?;
//! let outputs = session.run(&[Tensor::from_vec([1, 2], vec![1.0_f32, 1.0])?])?;
//! assert_eq!(outputs[0].to_f32(), [3.0, 0.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod half;
mod ops;
mod plan;
mod session;
mod unpack;

pub use half::in_half;
pub use paring_kernels::{Kernels, Portable};
pub use paring_runtime as runtime;
pub use session::{Engine, refusal};
