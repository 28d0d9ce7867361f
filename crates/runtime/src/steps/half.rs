//! Functions, pools and means of numbers of half precision. What kernels have no form for is computed in single
//! precision, some numbers at a time.

use super::binary::Pair;
use super::broadcast::Broadcast;
use super::pool::{MAX_TAPS, PoolStep};
use super::reduce::Extents;
use super::unary::{Function, Map, clip};
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::threads::divide;
use crate::wire::wire;
use paring_kernels::{HalfPair, Kernels};

/// Numbers that are in single precision at once.
const SOME: usize = 256;

/// No bounds.
const ALL: (f32, f32) = (f32::NEG_INFINITY, f32::INFINITY);

/// Numbers of single precision in half precision, or back.
#[derive(Debug)]
pub struct F16Cast {
    pub to_half: bool,
}

impl Step for F16Cast {
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        if self.to_half {
            let (x, out): (&[f32], &mut [u16]) = (numbers(io.a), numbers_mut(io.out));
            divide(out.len(), 1, 2 * out.len(), out, &|range, out| {
                kernels.to_halves(&x[range], out)
            });
        } else {
            let (x, out): (&[u16], &mut [f32]) = (numbers(io.a), numbers_mut(io.out));
            divide(out.len(), 1, 2 * out.len(), out, &|range, out| kernels.halves(&x[range], out));
        }
    }
}

/// A sum, difference or product with broadcasting.
#[derive(Debug)]
pub struct F16Pairs {
    f: Pair,
    clamp: (f32, f32),
    places: Broadcast,
}

fn half_pair(f: Pair) -> Option<HalfPair> {
    Some(match f {
        Pair::Add => HalfPair::Add,
        Pair::Sub => HalfPair::Sub,
        Pair::Mul => HalfPair::Mul,
        _ => return None,
    })
}

impl F16Pairs {
    /// `None` where there is no such step: for another function, or where neighbours are not brought together with
    /// neighbours or with one number.
    #[must_use]
    pub fn new(f: Pair, clamp: Option<(f32, f32)>, places: Broadcast) -> Option<Self> {
        let (_, inner) = places.inner()?;
        let known = half_pair(f).is_some() && matches!(inner, [1, 1] | [1, 0] | [0, 1]);
        known.then(|| Self { f, clamp: clamp.unwrap_or(ALL), places })
    }
}

impl Step for F16Pairs {
    fn in_half(&self) -> bool {
        true
    }

    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let (a, b): (&[u16], &[u16]) = (numbers(io.a), numbers(io.b));
        let out: &mut [u16] = numbers_mut(io.out);
        let (Some((n, inner)), Some(f)) = (self.places.inner(), half_pair(self.f)) else { return };
        let rows = out.len() / n.max(1);
        if rows == 1 && inner == [1, 1] {
            divide(n, 1, 4 * n, out, &|range, out| {
                kernels.f16_pairs(f, &a[range.clone()], &b[range], self.clamp, out);
            });
            return;
        }
        divide(rows, n, 4 * out.len(), out, &|range, out| {
            for (row, out) in range.zip(out.chunks_exact_mut(n)) {
                let at = self.places.at(self.places.dims.len() - 1, row);
                let part = |x: &'_ [u16], i: usize| {
                    let end = at[i] + if inner[i] == 0 { 1 } else { n };
                    at[i]..end.min(x.len())
                };
                kernels.f16_pairs(f, &a[part(a, 0)], &b[part(b, 1)], self.clamp, out);
            }
        });
    }
}

/// A function of each number.
#[derive(Debug)]
pub struct F16Map {
    pub map: Map,
}

impl F16Map {
    fn some(&self, kernels: &dyn Kernels, x: &[u16], out: &mut [u16]) {
        let [three, sixth] = [3.0, 1.0 / 6.0].map(|x| [paring_kernels::to_half(x)]);
        let zero = [0_u16];
        let n = x.len();
        let mut some = [0_u16; SOME];
        let some = &mut some[..n];
        match self.map.f {
            Function::Relu => {
                kernels.f16_pairs(HalfPair::Add, x, &zero, (0.0, f32::INFINITY), out);
            }
            Function::Relu6 => kernels.f16_pairs(HalfPair::Add, x, &zero, (0.0, 6.0), out),
            Function::ReluN1To1 => kernels.f16_pairs(HalfPair::Add, x, &zero, (-1.0, 1.0), out),
            Function::Clip { min, max } => {
                kernels.f16_pairs(HalfPair::Add, x, &zero, (min, max), out);
            }
            Function::HardSwish => {
                kernels.f16_pairs(HalfPair::Add, x, &three, (0.0, 6.0), out);
                kernels.f16_pairs(HalfPair::Mul, out, &sixth, ALL, some);
                kernels.f16_pairs(HalfPair::Mul, some, x, ALL, out);
            }
            Function::HardSigmoid { alpha, beta } => {
                let [alpha, beta] = [alpha, beta].map(|x| [paring_kernels::to_half(x)]);
                kernels.f16_pairs(HalfPair::Mul, x, &alpha, ALL, some);
                kernels.f16_pairs(HalfPair::Add, some, &beta, (0.0, 1.0), out);
            }
            _ => {
                let [mut from, mut to] = [[0.0; SOME]; 2];
                kernels.halves(x, &mut from[..n]);
                self.map.apply(&from[..n], &mut to[..n]);
                kernels.to_halves(&to[..n], out);
            }
        }
    }
}

impl Step for F16Map {
    fn in_half(&self) -> bool {
        true
    }

    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let x: &[u16] = numbers(io.a);
        divide(x.len(), 1, 4 * x.len(), numbers_mut(io.out), &|range, out: &mut [u16]| {
            for (x, out) in x[range].chunks(SOME).zip(out.chunks_mut(SOME)) {
                self.some(kernels, x, out);
            }
        });
    }
}

/// A maximum, or a mean whose sums are in single precision, over images.
#[derive(Debug)]
pub struct F16Pool {
    pub pool: PoolStep<f32>,
}

impl Step for F16Pool {
    fn in_half(&self) -> bool {
        true
    }

    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let (x, out): (&[u16], &mut [u16]) = (numbers(io.a), numbers_mut(io.out));
        let (low, high) = self.pool.clamp;
        self.pool.each(x, out, |x: &[u16], places, _, counted, out| {
            if self.pool.max {
                out.fill(paring_kernels::to_half(f32::NEG_INFINITY));
                for at in places {
                    kernels.f16_max(&x[at..at + out.len()], out);
                }
                if (low, high) != ALL {
                    for part in out.chunks_mut(SOME) {
                        let mut some = [0; SOME];
                        let some = &mut some[..part.len()];
                        some.copy_from_slice(part);
                        kernels.f16_pairs(HalfPair::Add, some, &[0], (low, high), part);
                    }
                }
                return;
            }
            let (mut seen_at, mut n) = ([0; MAX_TAPS], 0);
            for (slot, at) in seen_at.iter_mut().zip(places) {
                (*slot, n) = (at, n + 1);
            }
            for (i, out) in out.chunks_mut(SOME).enumerate() {
                let mut sums = [0.0; SOME];
                let sums = &mut sums[..out.len()];
                for at in &seen_at[..n] {
                    kernels.f16_sums(&x[at + i * SOME..][..out.len()], sums);
                }
                for sum in &mut *sums {
                    *sum = clip(*sum / counted as f32, low, high);
                }
                kernels.to_halves(sums, out);
            }
        });
    }
}

/// The mean along neighbouring axes; sums are in single precision.
#[derive(Debug)]
pub struct F16Mean {
    pub extents: Extents,
}

impl Step for F16Mean {
    fn in_half(&self) -> bool {
        true
    }

    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let Extents { len, inner } = self.extents;
        let (x, out): (&[u16], &mut [u16]) = (numbers(io.a), numbers_mut(io.out));
        for (x, out) in x.chunks_exact(len * inner).zip(out.chunks_exact_mut(inner)) {
            divide(inner, 1, self.extents.work(), out, &|range, out| {
                for (from, out) in range.step_by(SOME).zip(out.chunks_mut(SOME)) {
                    let mut sums = [0.0; SOME];
                    let sums = &mut sums[..out.len()];
                    for row in x.chunks_exact(inner) {
                        kernels.f16_sums(&row[from..][..out.len()], sums);
                    }
                    sums.iter_mut().for_each(|sum| *sum /= len as f32);
                    kernels.to_halves(sums, out);
                }
            });
        }
    }
}

wire!(F16Cast { to_half });
wire!(F16Pairs { f, clamp, places });
wire!(F16Map { map });
wire!(F16Pool { pool });
wire!(F16Mean { extents });
