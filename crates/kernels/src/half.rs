//! Numbers of half precision (IEEE 754 binary16), and what is computed with them, in plain Rust: in single precision,
//! rounded once.

use crate::interface::{Rows, Window};
use crate::portable::{WIDEST, clamp_f32, pieces, pixels};
use core::ops::Range;

/// The number of half precision that is equal to `x`, where there is one.
#[must_use]
pub fn as_half(x: f32) -> Option<u16> {
    let half = to_half(x);
    (x.is_finite() && from_half(half) == x).then_some(half)
}

/// The number of half precision that is nearest to `x`, the even one of two; infinity where it is too large.
#[must_use]
pub fn to_half(x: f32) -> u16 {
    let bits = x.to_bits();
    let (sign, rest) = ((bits >> 16 & 0x8000) as u16, bits & 0x7FFF_FFFF);
    if rest > 0x7F80_0000 {
        return sign | 0x7E00;
    }
    let power = (rest >> 23) as i32 - 127;
    if power > 15 {
        return sign | 0x7C00;
    }
    // In parts of 2^-10 of a power of two, or of 2^-24 where the power is smaller than half precision has. A sum that
    // reaches the next power carries into it.
    let (base, lost) = if power >= -14 { ((power + 14) << 10, 13) } else { (0, -1 - power) };
    if lost > 24 {
        return sign;
    }
    let whole = (rest & 0x7F_FFFF) | 1 << 23;
    let (parts, left, tie) = (whole >> lost, whole & ((1 << lost) - 1), 1 << (lost - 1));
    let up = left > tie || (left == tie && parts & 1 == 1);
    sign | (base as u32 + parts + u32::from(up)) as u16
}

/// The number that `half` is.
#[must_use]
pub fn from_half(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let (power, parts) = (u32::from(half >> 10 & 31), u32::from(half & 0x3FF));
    let magnitude = match power {
        0 => (parts as f32 / (1 << 24) as f32).to_bits(),
        31 => 0x7F80_0000 | parts << 13,
        _ => (power + 112) << 23 | parts << 13,
    };
    f32::from_bits(sign | magnitude)
}

/// A function of two numbers of half precision that is computed in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HalfPair {
    /// The sum.
    Add,
    /// The difference.
    Sub,
    /// The product.
    Mul,
}

pub(crate) fn pairs(f: HalfPair, a: &[u16], b: &[u16], clamp: (f32, f32), out: &mut [u16]) {
    // One number goes with all of the others.
    let at = |x: &[u16], i: usize| from_half(if x.len() == 1 { x[0] } else { x[i] });
    for (i, y) in out.iter_mut().enumerate() {
        let (a, b) = (at(a, i), at(b, i));
        let exact = match f {
            HalfPair::Add => a + b,
            HalfPair::Sub => a - b,
            HalfPair::Mul => a * b,
        };
        *y = to_half(clamp_f32(exact, clamp));
    }
}

pub(crate) fn halves(halves: &[u16], out: &mut [f32]) {
    out.iter_mut().zip(halves).for_each(|(y, x)| *y = from_half(*x));
}

pub(crate) fn to_halves(x: &[f32], out: &mut [u16]) {
    out.iter_mut().zip(x).for_each(|(y, x)| *y = to_half(*x));
}

pub(crate) fn max(x: &[u16], most: &mut [u16]) {
    for (y, x) in most.iter_mut().zip(x) {
        let (a, b) = (from_half(*x), from_half(*y));
        // What is no number stays.
        *y = if a > b || a.is_nan() { *x } else { *y };
    }
}

pub(crate) fn sums(x: &[u16], sums: &mut [f32]) {
    sums.iter_mut().zip(x).for_each(|(sum, x)| *sum += from_half(*x));
}

pub(crate) fn gemm(
    rows: &Rows<'_, u16>,
    panel: &[u16],
    width: usize,
    rest: Option<&[u16]>,
    clamp: (f32, f32),
    cols: usize,
    stride: usize,
    out: &mut [u16],
) {
    for row in 0..rows.rows() {
        let mut acc = [0.0_f32; WIDEST];
        let acc = &mut acc[..width];
        let (bias, mut w) = panel.split_at(width);
        acc.iter_mut().zip(bias).for_each(|(acc, b)| *acc = from_half(*b));
        for piece in pieces(rows, row) {
            for x in piece {
                let (now, later) = w.split_at(width);
                let x = from_half(*x);
                acc.iter_mut().zip(now).for_each(|(acc, w)| *acc += x * from_half(*w));
                w = later;
            }
        }
        let out = &mut out[row * stride..][..cols];
        for (c, out) in out.iter_mut().enumerate() {
            let y = rest.map_or(acc[c], |r| acc[c] + from_half(r[row * stride + c]));
            *out = to_half(clamp_f32(y, clamp));
        }
    }
}

pub(crate) fn depthwise(
    window: &Window,
    x: &[u16],
    weights: &[u16],
    bias: &[u16],
    clamp: (f32, f32),
    rows: Range<usize>,
    out: &mut [u16],
) {
    let channels = window.channels;
    pixels(window, rows, |to, taps| {
        let (mut seen, mut n) = ([(0, 0); 64], 0);
        for (slot, (tap, at)) in seen.iter_mut().zip(taps.filter_map(|(tap, at)| Some((tap, at?))))
        {
            (*slot, n) = ((tap, at), n + 1);
        }
        for (c, y) in out[to..to + channels].iter_mut().enumerate() {
            let product = |(tap, at): &(usize, usize)| {
                from_half(x[at + c]) * from_half(weights[tap * channels + c])
            };
            let sum = seen[..n].iter().map(product).fold(from_half(bias[c]), |sum, p| sum + p);
            *y = to_half(clamp_f32(sum, clamp));
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_goes_there_and_back() {
        for half in 0..=u16::MAX {
            let x = from_half(half);
            if x.is_finite() {
                assert_eq!(as_half(x), Some(half), "{x}");
                // The next number of `f32` is none of half precision, and is rounded to this one.
                let next = f32::from_bits(x.to_bits() + 1);
                assert_eq!((as_half(next), to_half(next)), (None, half), "{x}");
            } else {
                assert_eq!(as_half(x), None);
                assert_eq!(from_half(to_half(x)).is_nan(), x.is_nan());
            }
        }
        assert_eq!(from_half(0x3C01), 1.0 + 1.0 / 1024.0);
        assert_eq!(from_half(0xC000), -2.0);
        assert_eq!(from_half(0x0001), 2.0_f32.powi(-24));
        assert_eq!((as_half(65504.0), as_half(65536.0)), (Some(0x7BFF), None));
    }

    #[test]
    fn numbers_between_two_go_to_the_nearest_or_the_even_one() {
        for half in (0..0x7BFF_u16).chain(0x8000..0xFBFF) {
            let (low, high) = (from_half(half), from_half(half + 1));
            let middle = f32::midpoint(low, high);
            assert_eq!(to_half(middle), half + (half & 1), "{low} {high}");
            let (before, after) = (middle.to_bits() - 1, middle.to_bits() + 1);
            assert_eq!(to_half(f32::from_bits(before)), half, "{low} {high}");
            assert_eq!(to_half(f32::from_bits(after)), half + 1, "{low} {high}");
        }
        assert_eq!((to_half(65519.9), to_half(65520.0)), (0x7BFF, 0x7C00));
        assert_eq!((to_half(2.0_f32.powi(-25)), to_half(2.98e-8 * 1.01)), (0, 1));
        assert_eq!((to_half(f32::NEG_INFINITY), to_half(1e-30)), (0xFC00, 0));
    }
}
