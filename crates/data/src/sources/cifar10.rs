use super::{Pictures, Split};
use crate::dataset::check_index;
use crate::picture::Picture;
use crate::{DataError, Result};
use paring_tensor::{Bytes, map_file};
use std::path::{Path, PathBuf};

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
/// A label byte, then the red, green and blue planes.
const RECORD: usize = 1 + 3 * PLANE;
const CLASSES: usize = 10;

/// CIFAR-10 in its binary form: `data_batch_*.bin` or `test_batch.bin` in a folder. The files are
/// mapped, not read.
#[derive(Clone, Debug)]
pub(crate) struct Cifar10 {
    batches: Vec<(PathBuf, Bytes)>,
    len: usize,
    classes: Vec<String>,
}

impl Cifar10 {
    /// Opens those batches of the split that are in the folder.
    ///
    /// # Errors
    /// If there are none, or one is not made of whole records.
    pub fn open(folder: &Path, split: Split) -> Result<Self> {
        let names: &[&str] = match split {
            Split::Train => &[
                "data_batch_1.bin",
                "data_batch_2.bin",
                "data_batch_3.bin",
                "data_batch_4.bin",
                "data_batch_5.bin",
            ],
            Split::Test => &["test_batch.bin"],
        };
        let paths: Vec<_> =
            names.iter().map(|name| folder.join(name)).filter(|path| path.exists()).collect();
        if paths.is_empty() {
            let fault = format!("holds none of {}", names.join(", "));
            let advice = "unpack cifar-10-binary.tar.gz there, or name the folder that has them";
            return Err(DataError::file(folder, fault, advice));
        }
        let mut batches = Vec::new();
        let mut len = 0;
        for path in paths {
            let bytes = map_file(&path).map_err(DataError::io(&path))?;
            if bytes.is_empty() || !bytes.len().is_multiple_of(RECORD) {
                let fault =
                    format!("has {} bytes, which are not whole records of {RECORD}", bytes.len());
                return Err(DataError::file(&path, fault, "the file is cut off; copy it again"));
            }
            len += bytes.len() / RECORD;
            batches.push((path, bytes));
        }
        let classes = std::fs::read_to_string(folder.join("batches.meta.txt"))
            .map(|text| text.lines().filter(|l| !l.is_empty()).map(String::from).collect())
            .unwrap_or_default();
        Ok(Self { batches, len, classes })
    }
}

impl Pictures for Cifar10 {
    fn len(&self) -> usize {
        self.len
    }

    fn picture(&self, index: usize) -> Result<(Picture, Option<usize>)> {
        check_index(index, self.len)?;
        let mut within = index;
        for (path, bytes) in &self.batches {
            let count = bytes.len() / RECORD;
            if within >= count {
                within -= count;
                continue;
            }
            let record = &bytes[within * RECORD..(within + 1) * RECORD];
            let (label, planes) = (usize::from(record[0]), &record[1..]);
            if label >= CLASSES {
                let fault = format!("record {within} has label {label} of {CLASSES} classes");
                let advice = "this is no CIFAR-10 batch (CIFAR-100 has two label bytes)";
                return Err(DataError::file(path, fault, advice));
            }
            let pixels =
                (0..PLANE).flat_map(|i| [planes[i], planes[PLANE + i], planes[2 * PLANE + i]]);
            let pixels = pixels.collect();
            return Ok((Picture { height: SIDE, width: SIDE, channels: 3, pixels }, Some(label)));
        }
        Err(DataError::Index { index, len: self.len })
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }
}
