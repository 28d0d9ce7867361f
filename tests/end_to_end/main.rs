//! The program from end to end. One test binary, since each would link the whole program.

mod graphs;
mod paring;
mod runtimes;

mod aarch64;
mod budgets;
mod commands;
mod compression;
mod cortex_m_fuzz;
mod costs;
mod formats;
mod interop;
mod mcunet;
mod mlperf_tiny;
mod quantization;
mod structure;
