//! Layers whose filters each see one channel of their own, for all channels of a place at once.

use super::Slope;
use crate::Geometry;

/// Whether a layer of so many outputs is one.
pub(crate) fn is(geometry: &Geometry, outputs: usize) -> bool {
    geometry.groups() > 1 && geometry.groups() == outputs && geometry.per_group() == 1
}

/// Weights or slopes `[channels, taps]` the other way round.
fn turned(from: &[f32], rows: usize) -> Vec<f32> {
    let columns = from.len() / rows.max(1);
    let mut to = vec![0.0; from.len()];
    for (r, row) in from.chunks_exact(columns.max(1)).enumerate() {
        for (c, x) in row.iter().enumerate() {
            to[c * rows + r] = *x;
        }
    }
    to
}

/// Adds what the layer computes of `x` to `y`.
pub(crate) fn forward(geometry: &Geometry, weights: &[f32], x: &[f32], y: &mut [f32]) {
    let channels = geometry.groups();
    let weights = turned(weights, channels);
    geometry.taps(|at, tap, from| {
        let x = &x[from..from + channels];
        let w = &weights[tap * channels..(tap + 1) * channels];
        let y = &mut y[at * channels..(at + 1) * channels];
        y.iter_mut().zip(x).zip(w).for_each(|((y, x), w)| *y += x * w);
    });
}

/// Adds the slopes of weights and bias, and those of the input unless that is empty.
pub(crate) fn backward(
    geometry: &Geometry,
    weights: &[f32],
    (x, own): (&[f32], &[f32]),
    (slope, input): (&mut Slope, &mut [f32]),
) {
    let channels = geometry.groups();
    for row in own.chunks_exact(channels) {
        slope.bias.iter_mut().zip(row).for_each(|(b, s)| *b += s);
    }
    let weights = turned(weights, channels);
    let mut slopes = vec![0.0; weights.len()];
    geometry.taps(|at, tap, from| {
        let own = &own[at * channels..(at + 1) * channels];
        let all = tap * channels..(tap + 1) * channels;
        let x = &x[from..from + channels];
        slopes[all.clone()].iter_mut().zip(x).zip(own).for_each(|((s, x), o)| *s += x * o);
        if let Some(input) = input.get_mut(from..from + channels) {
            input.iter_mut().zip(&weights[all]).zip(own).for_each(|((i, w), o)| *i += w * o);
        }
    });
    let slopes = turned(&slopes, slopes.len() / channels.max(1));
    slope.weights.iter_mut().zip(&slopes).for_each(|(to, from)| *to += from);
}
