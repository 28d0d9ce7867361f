use crate::program::Element;
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::wire::wire;
use paring_kernels::Kernels;
use std::cmp::Ordering;

/// Where the largest or smallest element along an axis is.
#[derive(Debug)]
pub struct Arg {
    pub max: bool,
    /// Whether the last of equal elements counts, not the first.
    pub last: bool,
    /// The type of the elements.
    pub element: Element,
    /// Whether the indices have 64 bits, not 32.
    pub wide: bool,
    /// Elements along the axis.
    pub len: usize,
    /// Elements from one along the axis to the next.
    pub inner: usize,
}

impl Arg {
    fn of<T: Copy + PartialOrd + bytemuck::AnyBitPattern>(
        &self,
        x: &[u8],
        mut put: impl FnMut(usize, usize),
    ) {
        let (len, inner) = (self.len, self.inner);
        // What is no number is larger than all.
        let no_number = |x: T| x.partial_cmp(&x).is_none();
        let order = |a: T, b: T| a.partial_cmp(&b).unwrap_or(no_number(a).cmp(&no_number(b)));
        for (o, x) in numbers::<T>(x).chunks_exact(len * inner).enumerate() {
            for i in 0..inner {
                let mut best = 0;
                for k in 1..len {
                    let order = order(x[k * inner + i], x[best * inner + i]);
                    let better = if self.max { order } else { order.reverse() };
                    if better == Ordering::Greater || (self.last && better == Ordering::Equal) {
                        best = k;
                    }
                }
                put(o * inner + i, best);
            }
        }
    }

    fn all(&self, x: &[u8], put: impl FnMut(usize, usize)) {
        match self.element {
            Element::F32 => self.of::<f32>(x, put),
            Element::I8 => self.of::<i8>(x, put),
            Element::U8 | Element::Bool => self.of::<u8>(x, put),
            Element::I16 => self.of::<i16>(x, put),
            Element::I32 => self.of::<i32>(x, put),
            Element::I64 => self.of::<i64>(x, put),
            Element::F16 => {}
        }
    }
}

impl Step for Arg {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        if self.wide {
            let out: &mut [i64] = numbers_mut(io.out);
            self.all(io.a, |i, k| out[i] = k as i64);
        } else {
            let out: &mut [i32] = numbers_mut(io.out);
            self.all(io.a, |i, k| out[i] = k as i32);
        }
    }
}

wire!(Arg { max, last, element, wide, len, inner });
