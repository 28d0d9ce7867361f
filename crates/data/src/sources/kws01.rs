use super::labels;
use crate::dataset::{Dataset, Sample, check_index};
use crate::preprocess::Prepared;
use crate::{DataError, Result};
use paring_tensor::Tensor;
use std::path::{Path, PathBuf};

/// Frames and coefficients of a sample.
const SHAPE: [usize; 3] = [49, 10, 1];
const BYTES: usize = SHAPE[0] * SHAPE[1] * SHAPE[2];

/// The class order of the MLPerf Tiny keyword spotting benchmark.
const CLASSES: [&str; 12] =
    ["Down", "Go", "Left", "No", "Off", "On", "Right", "Stop", "Up", "Yes", "Silence", "Unknown"];

/// The accuracy set of MLPerf Tiny keyword spotting: `.bin` files of 49x10 quantized MFCC
/// features and `y_labels.csv`. Samples are the real numbers that the bytes stand for, so that a
/// float model takes them as they are and an int8 model quantizes them back to the same bytes.
pub(crate) struct Kws01 {
    files: Vec<(PathBuf, usize)>,
    classes: Vec<String>,
    prepared: Prepared,
}

impl Kws01 {
    /// The quantization that the benchmark's files are stored with.
    pub const SCALE: f32 = 0.584_702_9;
    /// See [`Kws01::SCALE`].
    pub const ZERO_POINT: i32 = 83;

    /// Opens the folder.
    ///
    /// # Errors
    /// If `y_labels.csv` is missing or damaged, or the preprocessing asks for steps on pictures.
    pub fn open(folder: &Path, prepared: Prepared) -> Result<Self> {
        prepared.check_array()?;
        let list = folder.join("y_labels.csv");
        let mut files = Vec::new();
        // Columns: file, number of classes, label.
        for (name, label) in labels::read(&list, 2)? {
            if label >= CLASSES.len() {
                let fault = format!("gives `{name}` label {label} of {} classes", CLASSES.len());
                return Err(DataError::file(&list, fault, "labels are 0 to 11"));
            }
            files.push((folder.join(name), label));
        }
        Ok(Self { files, classes: CLASSES.map(String::from).to_vec(), prepared })
    }
}

impl Dataset for Kws01 {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn sample(&self, index: usize) -> Result<Sample> {
        check_index(index, self.files.len())?;
        let (path, label) = &self.files[index];
        let size = std::fs::metadata(path).map_err(DataError::io(path))?.len();
        if size != BYTES as u64 {
            let fault = format!("has {size} bytes instead of {BYTES}");
            return Err(DataError::file(path, fault, "the file is damaged; copy it again"));
        }
        let bytes = std::fs::read(path).map_err(DataError::io(path))?;
        let real = |&b: &u8| (i32::from(b as i8) - Self::ZERO_POINT) as f32 * Self::SCALE;
        let values = bytes.iter().map(real).collect();
        let tensor = Tensor::from_vec(SHAPE, values)
            .map_err(|e| DataError::file(path, e.to_string(), "copy it again"))?;
        Ok(Sample { inputs: vec![self.prepared.array(tensor)?], label: Some(*label) })
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }
}
