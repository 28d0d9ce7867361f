//! The largest or smallest elements along an axis, and where they are.

use crate::program::Element;
use crate::step::{Io, Span, Step, numbers, numbers_mut};
use crate::wire::wire;
use paring_kernels::Kernels;

/// The results lie in one piece of memory: the elements, then their indices. The scratch memory holds two `u64` for
/// each element along the axis.
#[derive(Debug)]
pub struct Top {
    pub element: Element,
    /// Bytes of an element.
    pub size: usize,
    /// How many are taken.
    pub count: usize,
    pub largest: bool,
    /// Elements along the axis.
    pub len: usize,
    /// Elements from one along the axis to the next.
    pub inner: usize,
    /// Whether indices have 64 bits, not 32.
    pub wide: bool,
    /// The places of the results.
    pub results: Vec<Span>,
}

/// A number of which others are as large as their elements are; what is no number is larger than all.
fn rank(element: Element, bytes: &[u8], i: usize) -> u64 {
    match element {
        Element::F32 => real(numbers::<f32>(bytes)[i]),
        _ => element.whole(bytes, i) as u64 ^ 1 << 63,
    }
}

fn real(x: f32) -> u64 {
    if x.is_nan() {
        return u64::MAX;
    }
    // Both zeros are equal.
    let bits = (x + 0.0).to_bits();
    u64::from(if bits >> 31 == 1 { !bits } else { bits | 1 << 31 })
}

impl Step for Top {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let [first, second] = &self.results[..] else { return };
        let (values, indices) = io.out.split_at_mut(second.at);
        let (values, indices) = (first.of_mut(values), &mut indices[..second.len]);
        let ranked = &mut numbers_mut::<[u64; 2]>(io.scratch)[..self.len];
        let (n, inner, size) = (self.len, self.inner, self.size);
        for line in 0..values.len() / (self.count * size) {
            let (o, i) = (line / inner, line % inner);
            let from = |k: usize| (o * n + k) * inner + i;
            for (k, to) in ranked.iter_mut().enumerate() {
                let rank = rank(self.element, io.a, from(k));
                *to = [if self.largest { !rank } else { rank }, k as u64];
            }
            ranked.sort_unstable();
            for (k, [_, at]) in ranked.iter().take(self.count).enumerate() {
                let to = (o * self.count + k) * inner + i;
                let place = from(*at as usize) * size;
                values[to * size..][..size].copy_from_slice(&io.a[place..][..size]);
                let index = if self.wide { Element::I64 } else { Element::I32 };
                index.put_whole(indices, to, *at as i64);
            }
        }
    }
}

wire!(Top { element, size, count, largest, len, inner, wide, results });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_numbers_are_ranked_in_their_order() {
        let order = [f32::NEG_INFINITY, -2.0, -1e-40, 0.0, 1e-40, 1.0, f32::INFINITY, f32::NAN];
        assert!(order.windows(2).all(|w| real(w[0]) < real(w[1])));
        assert_eq!((real(-0.0), real(f32::NAN)), (real(0.0), real(-f32::NAN)));
    }
}
