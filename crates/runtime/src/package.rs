//! The package file: a head of 64 bytes, the program, and at the next multiple of a cache line the data.

use crate::blob::Shared;
use crate::buffer::{Buffer, LINE};
use crate::program::Program;
use crate::wire::{Reader, Wire, Writer};
use std::sync::Arc;

const MAGIC: [u8; 8] = *b"PARINGRT";
/// Changes whenever one runtime could misread the packages of another: with the form of the program, of a step or of
/// packed weights.
const VERSION: u32 = 6;

/// Why bytes are no package that can be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackageError {
    /// The first bytes are others.
    #[error("this is no package of a network; make one with `paring compile --target aarch64`")]
    Magic,
    /// Another version.
    #[error(
        "the package has version {found}, this runtime reads version {VERSION}; compile the model again with the \
         `paring` that this runtime belongs to, or take the runtime that belongs to the package"
    )]
    Version {
        /// The version of the package.
        found: u32,
    },
    /// For other kernels.
    #[error("the package was made for {found}, not for {expected}; compile it for this target")]
    Kernels {
        /// What it was made for.
        found: String,
        /// What this runtime has.
        expected: String,
    },
    /// It computes in half precision, and the processor does not.
    #[error(
        "the package computes in half precision, for which this processor has no instructions (Cortex-A55, A75, A76 and \
         later have them); compile the model without `arithmetic=f16`, with weights of half precision where the file is \
         to stay small"
    )]
    Half,
    /// The bytes are cut off or changed.
    #[error("the package is damaged: {0}")]
    Damaged(&'static str),
}

/// FNV-1a over words of eight bytes.
fn checksum(bytes: &[u8]) -> u64 {
    bytes.chunks(8).fold(0xCBF2_9CE4_8422_2325, |hash, chunk| {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        (hash ^ u64::from_le_bytes(word)).wrapping_mul(0x0000_0100_0000_01B3)
    })
}

impl Program {
    /// The package for the runtime with kernels of a family.
    #[must_use]
    pub fn to_package(&self, family: &str) -> Vec<u8> {
        let mut w = Writer::default();
        family.to_owned().put(&mut w);
        self.put(&mut w);
        let (head, data) = (w.head, w.data);
        let start = (LINE + head.len()).next_multiple_of(LINE);
        let mut out = Vec::with_capacity(start + data.len());
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        for n in [head.len() as u64, start as u64, data.len() as u64, checksum(&head)] {
            out.extend_from_slice(&n.to_le_bytes());
        }
        out.resize(LINE, 0);
        out.extend_from_slice(&head);
        out.resize(start, 0);
        out.extend_from_slice(&data);
        out
    }

    /// The program of a package; it refers to the bytes where they are aligned, and to a copy elsewhere.
    ///
    /// # Errors
    /// See [`PackageError`].
    pub(crate) fn of_package(bytes: Shared, family: &str) -> Result<Self, PackageError> {
        let all = (*bytes).as_ref();
        if !all.starts_with(&MAGIC) {
            return Err(PackageError::Magic);
        }
        let word = |at: usize| {
            let word = all.get(at..at + 8).and_then(|w| w.try_into().ok());
            word.map(u64::from_le_bytes).ok_or(PackageError::Damaged("it is cut off"))
        };
        let version = word(8)? as u32;
        if version != VERSION {
            return Err(PackageError::Version { found: version });
        }
        let size = |at: usize| {
            let n = usize::try_from(word(at)?);
            n.map_err(|_| PackageError::Damaged("a size is too large"))
        };
        let (head, start, data) = (size(16)?, size(24)?, size(32)?);
        let end = start.checked_add(data).filter(|end| *end <= all.len());
        let head = LINE.checked_add(head).and_then(|end| all.get(LINE..end));
        let (Some(_), Some(head)) = (end, head) else {
            return Err(PackageError::Damaged("it is cut off"));
        };
        if checksum(head) != word(40)? || !start.is_multiple_of(LINE) {
            return Err(PackageError::Damaged("its program was changed"));
        }
        if all.as_ptr().align_offset(LINE) != 0 {
            let copy: Shared = Arc::new(Aligned(Buffer::of(all, 0)));
            return Self::of_package(copy, family);
        }
        let wrong = |_| PackageError::Damaged("its program says nothing");
        let mut r = Reader { head, package: Arc::clone(&bytes), data: start, nested: false };
        let found = String::get(&mut r).map_err(wrong)?;
        if found != family {
            return Err(PackageError::Kernels { found, expected: family.to_owned() });
        }
        let program = Self::get(&mut r).map_err(wrong)?;
        if !program.is_sound() {
            return Err(PackageError::Damaged("a place is outside of the memory"));
        }
        Ok(program)
    }
}

struct Aligned(Buffer);

impl AsRef<[u8]> for Aligned {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}
