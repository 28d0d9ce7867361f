use crate::error::{ReadError, Result};

/// What the reader may allocate. A file can refer to one long name or buffer any number of times and
/// sparse constants expand while they are read, so the sums are bounded.
pub(crate) struct Budget {
    copies: usize,
    expansion: usize,
}

impl Budget {
    /// Copies (names, quantization parameters, rearranged constants) take sixteen times the file's
    /// size and a megabyte at most; files that share nothing stay below three times their size.
    /// Sparse constants expand to sixty-four times the file's size and a megabyte at most.
    pub(crate) fn for_file(len: usize) -> Self {
        let times = |n: usize| len.saturating_mul(n).saturating_add(1 << 20);
        Self { copies: times(16), expansion: times(64) }
    }

    /// Takes what is about to be copied.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<()> {
        take(
            &mut self.copies,
            bytes,
            "the file refers to the same data so often that reading it takes many times its size",
        )
    }

    /// Takes what a sparse constant is about to expand to.
    pub(crate) fn expand(&mut self, bytes: usize) -> Result<()> {
        take(
            &mut self.expansion,
            bytes,
            "the sparse constants of the file expand to over sixty-four times its size",
        )
    }
}

fn take(left: &mut usize, bytes: usize, why: &str) -> Result<()> {
    *left = left.checked_sub(bytes).ok_or_else(|| ReadError::malformed(why))?;
    Ok(())
}
