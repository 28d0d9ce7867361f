use crate::error::ReadError;

/// What the reader may copy: names, quantization parameters and rearranged constants. A file can refer
/// to one long name or buffer any number of times, so the sum is bounded, by sixteen times the file's
/// size and a megabyte; files that share nothing stay below three times their size.
pub(crate) struct Budget {
    left: usize,
}

impl Budget {
    pub(crate) fn for_file(len: usize) -> Self {
        Self { left: len.saturating_mul(16).saturating_add(1 << 20) }
    }

    /// Takes what is about to be allocated.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), ReadError> {
        self.left = self.left.checked_sub(bytes).ok_or_else(|| {
            ReadError::malformed(
                "the file refers to the same data so often that reading it takes many times its size",
            )
        })?;
        Ok(())
    }
}
