//! Memory whose first byte is at a multiple of a cache line.

/// Bytes of a cache line.
pub const LINE: usize = 64;

/// Zeroed bytes that begin at a cache line.
#[derive(Debug, Default)]
pub struct Buffer {
    words: Vec<u64>,
    skew: usize,
    len: usize,
}

impl Buffer {
    /// Zeros.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        let words = vec![0_u64; len.div_ceil(8) + LINE / 8];
        // Where the offset cannot be told, any start is right, only slower.
        let skew = words.as_ptr().align_offset(LINE).min(LINE / 8) * 8;
        Self { words, skew, len }
    }

    /// A copy of some bytes, and zeros behind it.
    #[must_use]
    pub fn of(bytes: &[u8], slack: usize) -> Self {
        let mut buffer = Self::zeroed(bytes.len() + slack);
        buffer.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        buffer
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.words)[self.skew..self.skew + self.len]
    }

    /// The bytes, to be written.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut bytemuck::cast_slice_mut(&mut self.words)[self.skew..self.skew + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_at_a_line_and_stays_there() {
        let a = Buffer::of(&[1, 2, 3], 4);
        let address = a.bytes().as_ptr();
        assert_eq!(address as usize % LINE, 0);
        let moved = Box::new(a);
        assert_eq!(moved.bytes(), [1, 2, 3, 0, 0, 0, 0]);
        assert_eq!(moved.bytes().as_ptr(), address);
    }
}
