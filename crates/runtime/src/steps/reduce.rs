use crate::step::{Io, Step, numbers, numbers_mut};
use crate::threads::divide;
use crate::wire::wire;
use paring_kernels::Kernels;
use paring_qmath::{Multiplier, Rounding};

/// The mean along neighbouring axes: `outer` times `len` rows of `inner` numbers become one row.
#[derive(Debug, Clone, Copy)]
pub struct Extents {
    pub len: usize,
    pub inner: usize,
}

impl Extents {
    /// What a result takes, as [`Step::work`] counts.
    pub(super) fn work(&self) -> usize {
        // An element that is brought in and added takes as long as about four products.
        self.len.saturating_mul(self.inner).saturating_mul(4)
    }
}

#[derive(Debug)]
pub struct F32Mean {
    pub extents: Extents,
}

impl Step for F32Mean {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let Extents { len, inner } = self.extents;
        let x: &[f32] = numbers(io.a);
        let out: &mut [f32] = numbers_mut(io.out);
        for (x, out) in x.chunks_exact(len * inner).zip(out.chunks_exact_mut(inner)) {
            divide(inner, 1, self.extents.work(), out, &|range, out| {
                out.fill(0.0);
                for row in x.chunks_exact(inner) {
                    for (y, x) in out.iter_mut().zip(&row[range.clone()]) {
                        *y += x;
                    }
                }
                for y in out {
                    *y /= len as f32;
                }
            });
        }
    }
}

#[derive(Debug)]
pub struct I8Mean {
    pub extents: Extents,
    pub x_zero: i32,
    pub factor: Multiplier,
    pub zero_point: i32,
}

impl Step for I8Mean {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        const BLOCK: usize = 64;
        // So many bytes add up to 16 bits.
        const MOST: usize = 255;
        let Extents { len, inner } = self.extents;
        let x: &[i8] = numbers(io.a);
        let out: &mut [i8] = numbers_mut(io.out);
        for (x, out) in x.chunks_exact(len * inner).zip(out.chunks_exact_mut(inner)) {
            divide(inner, 1, self.extents.work(), out, &|range, out| {
                for (from, out) in range.step_by(BLOCK).zip(out.chunks_mut(BLOCK)) {
                    let mut sums = [-self.x_zero * len as i32; BLOCK];
                    for rows in x.chunks(MOST * inner) {
                        let mut part = [0_i16; BLOCK];
                        for row in rows.chunks_exact(inner) {
                            for (sum, x) in part.iter_mut().zip(&row[from..][..out.len()]) {
                                *sum += i16::from(*x);
                            }
                        }
                        sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += i32::from(part));
                    }
                    for (y, sum) in out.iter_mut().zip(sums) {
                        let scaled = self.factor.apply(sum, Rounding::Double);
                        *y = scaled.saturating_add(self.zero_point).clamp(-128, 127) as i8;
                    }
                }
            });
        }
    }
}

wire!(Extents { len, inner });
wire!(F32Mean { extents });
wire!(I8Mean { extents, x_zero, factor, zero_point });
