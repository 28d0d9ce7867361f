use super::Picture;
use serde::{Deserialize, Serialize};

/// How a picture is brought to another size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// Triangle filter that widens when shrinking (antialiased), computed exactly as Pillow's
    /// `Image.resize(..., BILINEAR)` does, rows before columns. Newer Pillow takes columns first
    /// where the height shrinks much more than the width, which changes some bytes by one.
    #[default]
    Pil,
    /// The four nearest pixels, half-pixel centres, no antialiasing, rounded to the nearest byte.
    Linear,
    /// The nearest pixel, half-pixel centres.
    Nearest,
}

/// The picture at another size. A picture or size without pixels gives zeros.
#[must_use]
pub fn resize(picture: &Picture, height: usize, width: usize, filter: Filter) -> Picture {
    if (height, width) == (picture.height, picture.width) {
        return picture.clone();
    }
    let channels = picture.channels;
    if picture.pixels.is_empty() || height == 0 || width == 0 {
        return Picture { height, width, channels, pixels: vec![0; height * width * channels] };
    }
    match filter {
        Filter::Pil => pil(picture, height, width),
        Filter::Linear => linear(picture, height, width),
        Filter::Nearest => nearest(picture, height, width),
    }
}

/// Fractional bits of Pillow's filter weights: what 32 bits leave beside 8 bits of pixel and 2 of
/// headroom (`Resample.c`).
const PRECISION: u32 = 32 - 8 - 2;

/// The weights of one output position and where in the input they start.
struct Taps {
    first: usize,
    weights: Vec<i32>,
}

/// Pillow's coefficients for the triangle filter, computed as `precompute_coeffs` and
/// `normalize_coeffs_8bpc` of `Resample.c` define them.
fn taps(from: usize, to: usize) -> Vec<Taps> {
    let scale = from as f64 / to as f64;
    let support = scale.max(1.0);
    let inverse = 1.0 / support;
    let position = |out: usize| {
        let centre = (out as f64 + 0.5) * scale;
        let first = ((centre - support + 0.5) as i64).max(0) as usize;
        let end = ((centre + support + 0.5) as usize).min(from);
        let weights: Vec<f64> = (first..end.max(first))
            .map(|i| (1.0 - ((i as f64 - centre + 0.5) * inverse).abs()).max(0.0))
            .collect();
        let sum: f64 = weights.iter().sum();
        let norm = if sum == 0.0 { 1.0 } else { sum };
        let fixed = |w: &f64| (0.5 + w / norm * f64::from(1_u32 << PRECISION)) as i32;
        Taps { first, weights: weights.iter().map(fixed).collect() }
    };
    (0..to).map(position).collect()
}

fn weigh(weights: &[i32], values: impl Iterator<Item = u8>) -> u8 {
    let sum: i64 = weights.iter().zip(values).map(|(&w, v)| i64::from(w) * i64::from(v)).sum();
    ((sum + (1 << (PRECISION - 1))) >> PRECISION).clamp(0, 255) as u8
}

/// Rows first, then columns, each pass rounded to bytes.
fn pil(picture: &Picture, height: usize, width: usize) -> Picture {
    let channels = picture.channels;
    let narrow = if width == picture.width {
        picture.pixels.clone()
    } else {
        let columns = taps(picture.width, width);
        let mut out = Vec::with_capacity(picture.height * width * channels);
        for row in picture.pixels.chunks_exact(picture.width * channels) {
            for tap in &columns {
                for c in 0..channels {
                    let values = row[tap.first * channels + c..].iter().step_by(channels);
                    out.push(weigh(&tap.weights, values.copied()));
                }
            }
        }
        out
    };
    if height == picture.height {
        return Picture { height, width, channels, pixels: narrow };
    }
    let stride = width * channels;
    let mut pixels = Vec::with_capacity(height * stride);
    for tap in taps(picture.height, height) {
        for i in 0..stride {
            let values = narrow[tap.first * stride + i..].iter().step_by(stride);
            pixels.push(weigh(&tap.weights, values.copied()));
        }
    }
    Picture { height, width, channels, pixels }
}

/// The two input positions beside an output position and the weight of the second.
fn neighbours(out: usize, from: usize, to: usize) -> (usize, usize, f32) {
    let at = ((out as f32 + 0.5) * (from as f32 / to as f32) - 0.5).max(0.0);
    let low = (at as usize).min(from - 1);
    (low, (low + 1).min(from - 1), at - low as f32)
}

fn linear(picture: &Picture, height: usize, width: usize) -> Picture {
    let channels = picture.channels;
    let at = |y: usize, x: usize, c: usize| {
        f32::from(picture.pixels[(y * picture.width + x) * channels + c])
    };
    let mut pixels = Vec::with_capacity(height * width * channels);
    for y in 0..height {
        let (top, bottom, down) = neighbours(y, picture.height, height);
        for x in 0..width {
            let (left, right, across) = neighbours(x, picture.width, width);
            for c in 0..channels {
                let mix = |y| at(y, left, c) + (at(y, right, c) - at(y, left, c)) * across;
                let value = mix(top) + (mix(bottom) - mix(top)) * down;
                pixels.push((value + 0.5).clamp(0.0, 255.0) as u8);
            }
        }
    }
    Picture { height, width, channels, pixels }
}

fn nearest(picture: &Picture, height: usize, width: usize) -> Picture {
    let channels = picture.channels;
    let pick = |out: usize, from: usize, to: usize| ((2 * out + 1) * from / (2 * to)).min(from - 1);
    let mut pixels = Vec::with_capacity(height * width * channels);
    for y in 0..height {
        let row = pick(y, picture.height, height) * picture.width;
        for x in 0..width {
            let start = (row + pick(x, picture.width, width)) * channels;
            pixels.extend_from_slice(&picture.pixels[start..start + channels]);
        }
    }
    Picture { height, width, channels, pixels }
}
