use crate::program::Element;
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::wire::{Fault, Reader, Wire, Writer, wire};
use paring_kernels::Kernels;
use paring_qmath::{Multiplier, Rounding};

/// A function of all elements along any axes.
#[derive(Debug)]
pub struct Fold {
    pub f: FoldFn,
    /// The type of the elements; those of the output are the same.
    pub element: Element,
    /// Extents of the input.
    pub dims: Vec<usize>,
    /// Distances in the output along them; 0 along those that go.
    pub steps: Vec<usize>,
    /// For sums and means of quantized numbers: the zero point of the input, the factor of a sum, the zero point of the
    /// output.
    pub scale: Option<(i32, (Multiplier, i32))>,
}

/// What is computed along the axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FoldFn {
    Mean,
    Sum,
    Prod,
    Max,
    Min,
    L1,
    L2,
    LogSum,
    LogSumExp,
    SumSquare,
    All,
    Any,
}

impl FoldFn {
    const ALL: [Self; 12] = [
        Self::Mean,
        Self::Sum,
        Self::Prod,
        Self::Max,
        Self::Min,
        Self::L1,
        Self::L2,
        Self::LogSum,
        Self::LogSumExp,
        Self::SumSquare,
        Self::All,
        Self::Any,
    ];
}

impl Fold {
    /// Bytes of scratch memory for a number of outputs.
    #[must_use]
    pub fn scratch(outputs: usize) -> usize {
        16 * outputs
    }

    /// Calls `each` with every element and the place that it belongs to.
    fn each<T: Copy>(&self, x: &[T], mut each: impl FnMut(usize, T)) {
        let Some((&n, outer)) = self.dims.split_last() else { return };
        let step = self.steps[outer.len()];
        for (i, line) in x.chunks_exact(n).take(outer.iter().product()).enumerate() {
            let (mut left, mut to) = (i, 0);
            for (dim, step) in outer.iter().zip(&self.steps).rev() {
                to += left % dim * step;
                left /= dim;
            }
            for (k, x) in line.iter().enumerate() {
                each(to + k * step, *x);
            }
        }
    }

    /// The largest or smallest; no number is both.
    fn extreme<T: Copy + PartialOrd>(&self, x: &[T], out: &mut [T], start: T) {
        out.fill(start);
        let max = self.f == FoldFn::Max;
        self.each(x, |to, x| {
            let y = &mut out[to];
            let not_one = x.partial_cmp(&x).is_none();
            if not_one || (if max { x > *y } else { x < *y }) {
                *y = x;
            }
        });
    }

    fn quantized<T: Copy + Into<i32>>(
        &self,
        x: &[T],
        sums: &mut [i64],
        mut store: impl FnMut(usize, i32),
    ) {
        let Some((x_zero, (factor, zero_point))) = self.scale else { return };
        sums.fill(0);
        self.each(x, |to, x| sums[to] += i64::from(x.into() - x_zero));
        for (i, sum) in sums.iter().enumerate() {
            let y = factor.apply(*sum as i32, Rounding::Double);
            store(i, y.saturating_add(zero_point));
        }
    }

    fn real(&self, x: &[f32], scratch: &mut [f64], out: &mut [f32]) {
        let count = x.len() as f64 / out.len() as f64;
        if matches!(self.f, FoldFn::Mean | FoldFn::Sum) {
            // In single precision and in order.
            out.fill(0.0);
            self.each(x, |to, x| out[to] += x);
            if self.f == FoldFn::Mean {
                out.iter_mut().for_each(|y| *y /= count as f32);
            }
            return;
        }
        let (sums, shifts) = scratch.split_at_mut(out.len());
        sums.fill(if self.f == FoldFn::Prod { 1.0 } else { 0.0 });
        let mut add = |f: fn(f64) -> f64| self.each(x, |to, x| sums[to] += f(f64::from(x)));
        match self.f {
            FoldFn::L1 => add(f64::abs),
            FoldFn::L2 | FoldFn::SumSquare => add(|x| x * x),
            FoldFn::Prod => self.each(x, |to, x| sums[to] *= f64::from(x)),
            FoldFn::LogSumExp => {
                shifts.fill(f64::NEG_INFINITY);
                self.each(x, |to, x| shifts[to] = shifts[to].max(f64::from(x)));
                for shift in shifts[..out.len()].iter_mut().filter(|s| !s.is_finite()) {
                    *shift = 0.0;
                }
                self.each(x, |to, x| sums[to] += (f64::from(x) - shifts[to]).exp());
            }
            _ => add(|x| x),
        }
        for (i, (y, sum)) in out.iter_mut().zip(&*sums).enumerate() {
            *y = match self.f {
                FoldFn::L2 => sum.sqrt(),
                FoldFn::LogSum => sum.ln(),
                FoldFn::LogSumExp => sum.ln() + shifts[i],
                _ => *sum,
            } as f32;
        }
    }

    fn logical(&self, x: &[u8], out: &mut [u8]) {
        let all = self.f == FoldFn::All;
        out.fill(u8::from(all));
        self.each(x, |to, x| {
            let x = u8::from(x != 0);
            if all { out[to] &= x } else { out[to] |= x }
        });
    }
}

macro_rules! whole {
    ($fold:expr, $io:expr, $t:ty) => {{
        let (x, out): (&[$t], &mut [$t]) = (numbers($io.a), numbers_mut($io.out));
        match $fold.f {
            FoldFn::Max => $fold.extreme(x, out, <$t>::MIN),
            FoldFn::Min => $fold.extreme(x, out, <$t>::MAX),
            _ => {
                let sums = &mut numbers_mut::<i64>($io.scratch)[..out.len()];
                $fold.quantized(x, sums, |i, y| {
                    out[i] = y.clamp(i32::from(<$t>::MIN), i32::from(<$t>::MAX)) as $t;
                });
            }
        }
    }};
}

impl Step for Fold {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        match self.element {
            Element::F32 => {
                let (x, out): (&[f32], &mut [f32]) = (numbers(io.a), numbers_mut(io.out));
                match self.f {
                    FoldFn::Max => self.extreme(x, out, f32::NEG_INFINITY),
                    FoldFn::Min => self.extreme(x, out, f32::INFINITY),
                    _ => self.real(x, numbers_mut(io.scratch), out),
                }
            }
            Element::Bool => self.logical(io.a, io.out),
            Element::I8 => whole!(self, io, i8),
            Element::U8 => whole!(self, io, u8),
            Element::I16 => whole!(self, io, i16),
            Element::I32 | Element::I64 | Element::F16 => {}
        }
    }
}

impl Wire for FoldFn {
    fn put(&self, w: &mut Writer) {
        (*self as u8).put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        Self::ALL.get(usize::from(u8::get(r)?)).copied().ok_or(Fault)
    }
}

wire!(Fold { f, element, dims, steps, scale });
