//! Pictures of bytes: decoding, resizing, cropping, colour.

mod decode;
mod resize;

pub use decode::decode;
pub use resize::{Filter, resize};

/// A picture: rows from the top, pixels from the left, channels together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Rows.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Bytes of a pixel: 1 for gray, 3 for red, green, blue.
    pub channels: usize,
    /// `height * width * channels` bytes.
    pub pixels: Vec<u8>,
}

impl Picture {
    /// The picture as one byte of luma a pixel, with the weights that PIL uses for mode `L`
    /// (ITU-R 601 in 16 fractional bits, rounded).
    #[must_use]
    pub fn into_gray(self) -> Self {
        if self.channels != 3 {
            return self;
        }
        let luma = |p: &[u8]| {
            let [r, g, b] = [p[0], p[1], p[2]].map(u32::from);
            ((r * 19_595 + g * 38_470 + b * 7_471 + 0x8000) >> 16) as u8
        };
        let pixels = self.pixels.chunks_exact(3).map(luma).collect();
        Self { channels: 1, pixels, ..self }
    }

    /// The picture with three channels; gray is repeated.
    #[must_use]
    pub fn into_rgb(self) -> Self {
        if self.channels != 1 {
            return self;
        }
        let pixels = self.pixels.iter().flat_map(|&p| [p; 3]).collect();
        Self { channels: 3, pixels, ..self }
    }

    /// The picture with the first and last of three channels exchanged.
    #[must_use]
    pub fn swap_red_blue(mut self) -> Self {
        if self.channels == 3 {
            self.pixels.chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
        }
        self
    }

    /// The middle `height` x `width` of the picture; an odd rest leaves one more pixel at the
    /// bottom and the right. `None` if the picture is smaller.
    #[must_use]
    pub fn crop_centre(&self, height: usize, width: usize) -> Option<Self> {
        let top = self.height.checked_sub(height)? / 2;
        let left = self.width.checked_sub(width)? / 2;
        let row = self.width * self.channels;
        let mut pixels = Vec::with_capacity(height * width * self.channels);
        for y in top..top + height {
            let start = y * row + left * self.channels;
            pixels.extend_from_slice(&self.pixels[start..start + width * self.channels]);
        }
        Some(Self { height, width, channels: self.channels, pixels })
    }
}
