use serde::Serialize;
use std::io;
use std::path::Path;

/// What compiling gives: files, and what they will take.
#[derive(Clone, Debug, Default)]
pub struct Package {
    /// Relative path and contents of each file.
    pub files: Vec<(String, Vec<u8>)>,
    /// What the network takes on the target.
    pub sizes: SizeReport,
    /// How a test program drives the code; `None` where the package is not C.
    pub harness: Option<Harness>,
}

/// The C with which a test program runs the network once. It sees `const unsigned char emu_in[]`, the
/// stored numbers of all inputs one after another, and `unsigned char emu_out[]`, which takes those of
/// all outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Harness {
    /// `#include` lines and declarations.
    pub includes: String,
    /// Statements that give the network its inputs.
    pub prepare: String,
    /// Statements that run it: what is counted and measured.
    pub invoke: String,
    /// Statements that take the outputs.
    pub finish: String,
    /// Compiler flags for the package's files, such as `-O2`.
    pub flags: Vec<String>,
}

/// What a network takes on its target, as far as it is known without linking.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SizeReport {
    /// Bytes of the activation arena.
    pub ram_bytes: usize,
    /// Bytes of constants: weights, biases, requantization.
    pub weight_bytes: usize,
    /// Bytes of code, estimated; `None` where the code is not the network's own.
    pub code_bytes: Option<usize>,
    /// Executed instructions of one inference, estimated; `None` where some layer is not known.
    pub instructions: Option<u64>,
    /// Cycles for memory without wait states, estimated.
    pub cycles: Option<u64>,
    /// Microjoules of one inference: the cycles times `picojoules_per_cycle`.
    pub microjoules: Option<f64>,
    /// What a cycle costs: as stated, or a data sheet's figure.
    pub picojoules_per_cycle: Option<f64>,
    /// One entry a layer, in the order of execution.
    pub layers: Vec<LayerSize>,
}

/// What one layer takes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LayerSize {
    /// Name of the node.
    pub name: String,
    /// Name of its op.
    pub op: String,
    /// The kernel chosen.
    pub kernel: String,
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes of its constants.
    pub weight_bytes: usize,
    /// Bytes of the arena that are in use while it runs.
    pub live_bytes: usize,
    /// Executed instructions, estimated.
    pub instructions: Option<u64>,
    /// Cycles, estimated.
    pub cycles: Option<u64>,
    /// How its weights lie in flash; empty where there is no choice.
    pub weights: String,
    /// Why they lie so.
    pub why: String,
}

impl Package {
    /// Writes the files below a directory: all of them or none.
    ///
    /// # Errors
    /// The operating system's error.
    pub fn write(&self, dir: &Path) -> io::Result<()> {
        paring_tensor::write_dir(dir, &self.files)
    }
}
