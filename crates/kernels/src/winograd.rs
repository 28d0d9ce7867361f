//! Convolutions of 3x3 by the minimal filtering of Winograd, F(2x2, 3x3): four pixels of the output from 16 products
//! instead of 36. The products are those of transformed inputs and weights; sums of 16 products take less rounding
//! than those of 36.
//!
//! Formulas by A. Lavin and S. Gray, "Fast Algorithms for Convolutional Neural Networks", 2015.

/// Positions of a transformed tile.
pub const POSITIONS: usize = 16;

/// Channels that are transformed at once; tensors have a multiple of it.
pub const LANES: usize = 4;

/// What an input tile is transformed from: 4x4 pixels of an image.
#[derive(Clone, Copy, Debug)]
pub struct InputTile<'a> {
    /// The image, pixel by pixel.
    pub image: &'a [f32],
    /// Where each pixel begins in it; `None` for padding.
    pub pixels: [Option<usize>; POSITIONS],
    /// Channels.
    pub channels: usize,
}

/// What an output tile of 2x2 pixels is made of besides the products.
#[derive(Clone, Copy, Debug)]
pub struct OutputTile<'a> {
    /// One number a channel.
    pub bias: &'a [f32],
    /// What is added, in the places of the output.
    pub rest: Option<&'a [f32]>,
    /// Bounds of the output.
    pub clamp: (f32, f32),
    /// Where each pixel begins in the output; `None` where there is none.
    pub pixels: [Option<usize>; 4],
}

/// Some channels of a pixel.
pub type Lanes = [f32; LANES];

/// Transforms weights of a window, row by row.
#[must_use]
pub fn weights(g: [f32; 9]) -> [f32; POSITIONS] {
    let g = g.map(f64::from);
    let column = |a: f64, b: f64, c: f64| [a, (a + b + c) / 2.0, (a - b + c) / 2.0, c];
    let columns: [[f64; 4]; 3] = core::array::from_fn(|j| column(g[j], g[3 + j], g[6 + j]));
    let mut out = [0.0; POSITIONS];
    for i in 0..4 {
        let row = column(columns[0][i], columns[1][i], columns[2][i]);
        for (j, w) in row.into_iter().enumerate() {
            out[4 * i + j] = w as f32;
        }
    }
    out
}

#[inline(always)]
fn each(a: Lanes, b: Lanes, f: impl Fn(f32, f32) -> f32) -> Lanes {
    core::array::from_fn(|i| f(a[i], b[i]))
}

#[inline(always)]
fn spread([a, b, c, d]: [Lanes; 4]) -> [Lanes; 4] {
    let (add, sub) = (|x, y| each(x, y, |x, y| x + y), |x, y| each(x, y, |x, y| x - y));
    [sub(a, c), add(b, c), sub(c, b), sub(b, d)]
}

#[inline(always)]
fn gather([a, b, c, d]: [Lanes; 4]) -> [Lanes; 2] {
    let (add, sub) = (|x, y| each(x, y, |x, y| x + y), |x, y| each(x, y, |x, y| x - y));
    [add(add(a, b), c), sub(sub(b, c), d)]
}

#[inline(always)]
fn load(from: &[f32], at: usize) -> Lanes {
    *from[at..].first_chunk().unwrap_or(&[0.0; LANES])
}

/// Transforms a tile: channel `c` of position `p` goes to `out[p * plane + c]`.
pub fn input(tile: &InputTile<'_>, plane: usize, out: &mut [f32]) {
    for c in (0..tile.channels).step_by(LANES) {
        let pixel = |p: usize| tile.pixels[p].map_or([0.0; LANES], |at| load(tile.image, at + c));
        let rows: [[Lanes; 4]; 4] =
            core::array::from_fn(|j| spread(core::array::from_fn(|i| pixel(4 * i + j))));
        for i in 0..4 {
            for (j, y) in spread(core::array::from_fn(|j| rows[j][i])).into_iter().enumerate() {
                out[(4 * i + j) * plane + c..][..LANES].copy_from_slice(&y);
            }
        }
    }
}

/// Makes a tile of the output; the product of channel `c` at position `p` is `products[p * plane + c]`.
pub fn output(tile: &OutputTile<'_>, products: &[f32], plane: usize, out: &mut [f32]) {
    let (low, high) = tile.clamp;
    for c in (0..tile.bias.len()).step_by(LANES) {
        let product = |p: usize| load(products, p * plane + c);
        let columns: [[Lanes; 2]; 4] =
            core::array::from_fn(|j| gather(core::array::from_fn(|i| product(4 * i + j))));
        let rows: [[Lanes; 2]; 2] =
            core::array::from_fn(|i| gather(core::array::from_fn(|j| columns[j][i])));
        for (at, y) in tile.pixels.iter().zip(rows.into_iter().flatten()) {
            let Some(at) = at else { continue };
            let mut y = each(y, load(tile.bias, c), |y, b| y + b);
            if let Some(rest) = tile.rest {
                y = each(y, load(rest, at + c), |y, r| y + r);
            }
            let y = y.map(|y| {
                if y < low {
                    low
                } else if y > high {
                    high
                } else {
                    y
                }
            });
            out[at + c..][..LANES].copy_from_slice(&y);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_is_what_four_windows_are() {
        let image: [f32; 64] = core::array::from_fn(|i| ((i * 7) % 13) as f32 - 6.0);
        let g: [f32; 9] = core::array::from_fn(|i| ((i * 5) % 7) as f32 - 3.0);
        // The last row of pixels is padding.
        let pixels = core::array::from_fn(|p| (p < 12).then_some(4 * p));
        let tile = InputTile { image: &image, pixels, channels: 4 };
        let mut v = [0.0; 64];
        input(&tile, 4, &mut v);
        for (p, w) in weights(g).into_iter().enumerate() {
            v[4 * p..4 * p + 4].iter_mut().for_each(|v| *v *= w);
        }
        let pixels = [Some(0), Some(4), Some(8), None];
        let rest = [0.5; 12];
        let tile = OutputTile { bias: &[1.0; 4], rest: Some(&rest), clamp: (-1e9, 40.0), pixels };
        let mut out = [0.0; 12];
        output(&tile, &v, 4, &mut out);
        for (window, (y, x)) in [(0, 0), (0, 1), (1, 0)].into_iter().enumerate() {
            for c in 0..4 {
                let mut sum = 1.5;
                for (k, g) in g.iter().enumerate() {
                    let (row, column) = (y + k / 3, x + k % 3);
                    sum += if row < 3 { g * image[4 * (4 * row + column) + c] } else { 0.0 };
                }
                let got = out[4 * window + c];
                assert!((got - sum.min(40.0)).abs() < 1e-4, "{window} {c}: {got} {sum}");
            }
        }
    }
}
