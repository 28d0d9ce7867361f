use super::{Pictures, Split};
use crate::dataset::check_index;
use crate::picture::Picture;
use crate::{DataError, Result};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
/// A label byte, then the red, green and blue planes.
const RECORD: usize = 1 + 3 * PLANE;
const CLASSES: usize = 10;

/// CIFAR-10 in its binary form: `data_batch_*.bin` or `test_batch.bin` in a folder. Records are read when
/// they are asked for, so that memory does not grow with the number of those that are used.
#[derive(Clone, Debug)]
pub(crate) struct Cifar10 {
    batches: Vec<Batch>,
    len: usize,
    classes: Vec<String>,
}

/// An open file of records.
#[derive(Clone, Debug)]
struct Batch {
    path: PathBuf,
    file: Arc<Mutex<File>>,
    records: usize,
}

impl Batch {
    fn open(path: PathBuf) -> Result<Self> {
        let file = File::open(&path).map_err(DataError::io(&path))?;
        let bytes = file.metadata().map_err(DataError::io(&path))?.len();
        let record = RECORD as u64;
        if bytes == 0 || !bytes.is_multiple_of(record) {
            let fault = format!("has {bytes} bytes, which are not whole records of {RECORD}");
            return Err(DataError::file(&path, fault, "the file is cut off; copy it again"));
        }
        Ok(Self { path, file: Arc::new(Mutex::new(file)), records: (bytes / record) as usize })
    }

    fn read(&self, index: usize) -> Result<[u8; RECORD]> {
        let mut record = [0; RECORD];
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start((index * RECORD) as u64)).map_err(DataError::io(&self.path))?;
        file.read_exact(&mut record).map_err(DataError::io(&self.path))?;
        Ok(record)
    }
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
        let batches = paths.into_iter().map(Batch::open).collect::<Result<Vec<_>>>()?;
        let len = batches.iter().map(|b| b.records).sum();
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
        for batch in &self.batches {
            if within >= batch.records {
                within -= batch.records;
                continue;
            }
            let record = batch.read(within)?;
            let (label, planes) = (usize::from(record[0]), &record[1..]);
            if label >= CLASSES {
                let fault = format!("record {within} has label {label} of {CLASSES} classes");
                let advice = "this is no CIFAR-10 batch (CIFAR-100 has two label bytes)";
                return Err(DataError::file(&batch.path, fault, advice));
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
