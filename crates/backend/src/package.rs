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
}

/// What a network takes on its target, as far as it is known without linking.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct SizeReport {
    /// Bytes of the activation arena.
    pub ram_bytes: usize,
    /// Bytes of constants: weights, biases, requantization.
    pub weight_bytes: usize,
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
