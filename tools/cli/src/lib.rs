//! The `paring` command line as a library, so that the `main.rs` of a program with passes of its own is
//! two lines:
//!
//! ```text
//! use acme_pass as _;
//! fn main() { paring_cli::main() }
//! ```
//!
//! Results go to standard output (one JSON object with `--json`), progress and messages to standard
//! error. The exit code is 0 when the work is done, 1 when it failed a stated bound, 2 for wrong usage
//! or input, and 3 for something that is not supported.
#![forbid(unsafe_code)]

mod commands;
mod data;
mod error;
mod host;
mod html;
mod model;
mod recipes;
mod ui;

pub use error::{BoundFailed, exit_code};

use clap::{Parser, Subcommand};

/// Makes trained neural networks small enough for edge devices.
#[derive(Parser)]
#[command(name = "paring", version, propagate_version = true)]
struct Args {
    #[command(subcommand)]
    command: Command,
    /// Print one JSON object instead of text.
    #[arg(long, global = true)]
    json: bool,
    /// Show no progress.
    #[arg(long, short, global = true)]
    quiet: bool,
}

#[derive(Subcommand)]
enum Command {
    Inspect(commands::inspect::Args),
    Compress(commands::compress::Args),
    Run(commands::run::Args),
    Eval(commands::eval::Args),
    Compile(commands::compile::Args),
    Verify(commands::verify::Args),
    Convert(commands::convert::Args),
    Bench(commands::bench::Args),
    Sweep(commands::sweep::Args),
    Demo(commands::demo::Args),
    /// List the passes
    Passes,
    /// List the backends and their targets
    Backends,
    /// List the model formats
    Formats,
    /// List the operators of the graph
    Ops,
}

/// Runs the program and ends the process with its exit code.
pub fn main() -> ! {
    let args = Args::parse();
    let ui = ui::Ui::new(args.json, args.quiet);
    let result = match &args.command {
        Command::Inspect(a) => commands::inspect::run(a, &ui),
        Command::Compress(a) => commands::compress::run(a, &ui),
        Command::Run(a) => commands::run::run(a, &ui),
        Command::Eval(a) => commands::eval::run(a, &ui),
        Command::Compile(a) => commands::compile::run(a, &ui),
        Command::Verify(a) => commands::verify::run(a, &ui),
        Command::Convert(a) => commands::convert::run(a, &ui),
        Command::Bench(a) => commands::bench::run(a, &ui),
        Command::Sweep(a) => commands::sweep::run(a, &ui),
        Command::Demo(a) => commands::demo::run(a, &ui),
        Command::Passes => commands::lists::passes(&ui),
        Command::Backends => commands::lists::backends(&ui),
        Command::Formats => commands::lists::formats(&ui),
        Command::Ops => commands::lists::ops(&ui),
    };
    let code = match &result {
        Ok(()) => 0,
        Err(error) => {
            ui.error(error);
            exit_code(error)
        }
    };
    std::process::exit(code);
}
