//! HDF5 files as readers of models use them: attributes and weights, bounded by the file's size.

use hdf5_pure::{
    AttrValue, Datatype, DatatypeByteOrder, FileAccessProperties, FormatError as HdfError, Layout,
};
use paring_tensor::{Bytes, DType, Tensor};
use std::collections::HashMap;

/// The first bytes of every such file.
pub const MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Weights that lie compressed in a file may be this many times as large as the file, plus a
/// mebibyte.
pub const EXPANSION: u64 = 32;

/// An opened file over bytes in memory.
pub struct Hdf5 {
    file: hdf5_pure::File,
    bytes: Bytes,
}

/// The attributes of a group.
pub struct Attributes(HashMap<String, AttrValue>);

/// Bytes as a source of the HDF5 reader.
struct Mapped(Bytes);

impl hdf5_pure::Source for Mapped {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), HdfError> {
        let end = HdfError::UnexpectedEof { expected: buf.len(), available: self.0.len() };
        let Ok(start) = usize::try_from(offset) else { return Err(end) };
        match start.checked_add(buf.len()).and_then(|stop| self.0.get(start..stop)) {
            Some(bytes) => {
                buf.copy_from_slice(bytes);
                Ok(())
            }
            None => Err(end),
        }
    }
}

impl Hdf5 {
    /// Opens a file.
    ///
    /// # Errors
    /// What contradicts the format, in words.
    pub fn open(bytes: &Bytes) -> Result<Self, String> {
        let properties = FileAccessProperties::default();
        let file = hdf5_pure::File::from_source_with_options(Mapped(bytes.clone()), properties);
        Ok(Self { file: file.map_err(|e| e.to_string())?, bytes: bytes.clone() })
    }

    /// Whether there is a group at this path; the empty path is the whole file.
    #[must_use]
    pub fn has_group(&self, path: &str) -> bool {
        self.group(path).is_ok()
    }

    fn group(&self, path: &str) -> Result<hdf5_pure::Group, String> {
        match path {
            "" => Ok(self.file.root()),
            path => self.file.group(path).map_err(|e| e.to_string()),
        }
    }

    /// The attributes of a group.
    ///
    /// # Errors
    /// If there is no such group, or they contradict the format.
    pub fn attributes(&self, group: &str) -> Result<Attributes, String> {
        self.group(group)?.attrs().map(Attributes).map_err(|e| e.to_string())
    }

    /// The names of the groups in a group, sorted.
    ///
    /// # Errors
    /// If there is no such group, or it contradicts the format.
    pub fn groups(&self, group: &str) -> Result<Vec<String>, String> {
        let mut names = self.group(group)?.groups().map_err(|e| e.to_string())?;
        names.sort();
        Ok(names)
    }

    /// The number of data sets in a group; 0 where there is no such group.
    #[must_use]
    pub fn count(&self, group: &str) -> usize {
        self.group(group).ok().and_then(|g| g.datasets().ok()).map_or(0, |d| d.len())
    }

    /// A data set as floats. It stays where it lies in the file if it lies there as such.
    ///
    /// # Errors
    /// If there is none, it contradicts the format, or it is many times larger than the file.
    pub fn tensor(&self, path: &str) -> Result<Tensor, String> {
        let words = |e: hdf5_pure::Error| e.to_string();
        let data = self.file.dataset(path).map_err(words)?;
        let shape = data.shape().map_err(words)?;
        let total = shape.iter().try_fold(4_u64, |n, d| n.checked_mul(*d));
        let room = (self.bytes.len() as u64).saturating_mul(EXPANSION).saturating_add(1 << 20);
        let Some(total) = total.filter(|n| *n <= room) else {
            return Err(format!("its shape {shape:?} is larger than the file can hold"));
        };
        // What an element takes in the file is bounded too: the reader unpacks whole elements.
        let element = data.element_size().map_err(words)?;
        if element > 8 {
            return Err(format!("its elements of {element} bytes are no numbers"));
        }
        let shape: Vec<usize> = shape.into_iter().map(|n| n as usize).collect();
        let float = matches!(
            data.datatype().map_err(words)?,
            Datatype::FloatingPoint { size: 4, byte_order: DatatypeByteOrder::LittleEndian, .. }
        );
        if let (true, Layout::Contiguous { address: Some(at), size }) =
            (float, data.layout().map_err(words)?)
        {
            let lies = usize::try_from(at).ok().zip(usize::try_from(size).ok());
            let end = lies.and_then(|(at, size)| at.checked_add(size));
            return match lies.zip(end).filter(|(_, e)| size == total && *e <= self.bytes.len()) {
                Some(((at, _), end)) => Tensor::new(DType::F32, shape, self.bytes.slice(at..end))
                    .map_err(|e| e.to_string()),
                None => Err(format!("{size} bytes at {at} are not a value of shape {shape:?}")),
            };
        }
        if let Layout::Chunked { chunk_shape, .. } = data.layout().map_err(words)? {
            let chunk = chunk_shape.iter().try_fold(element, |n, d| n.checked_mul(*d));
            if chunk.is_none_or(|n| n > room) {
                return Err(format!(
                    "its parts of {chunk_shape:?} are larger than the file can hold"
                ));
            }
        }
        let values = data.read_f32().map_err(words)?;
        Tensor::from_vec(shape, values).map_err(|e| e.to_string())
    }
}

impl Attributes {
    /// A text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(AttrValue::as_str)
    }

    /// A list of texts; long ones are cut into attributes with numbers at their names' ends.
    #[must_use]
    pub fn texts(&self, name: &str) -> Vec<String> {
        let list = |value: &AttrValue| match value.as_strings() {
            Some(list) => list.to_vec(),
            None => value.as_str().map(|s| vec![s.to_owned()]).unwrap_or_default(),
        };
        if let Some(value) = self.0.get(name) {
            return list(value);
        }
        let mut all = Vec::new();
        while let Some(value) = self.0.get(&format!("{name}{}", all.len())) {
            all.push(list(value));
        }
        all.concat()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_hdf5_file_is_told() {
        for bytes in [Vec::new(), MAGIC.to_vec(), vec![7; 4096]] {
            assert!(Hdf5::open(&Bytes::from(bytes)).is_err());
        }
    }
}
