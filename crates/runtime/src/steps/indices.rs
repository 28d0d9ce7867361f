//! Elements and slices at places that are computed.

use super::gather::index;
use crate::program::Element;
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::wire::{Fault, Reader, Wire, Writer, wire};
use paring_kernels::Kernels;

/// Where the elements are that indices name. Negative indices count from the end.
#[derive(Debug)]
pub struct Places {
    /// Whether indices have 64 bits, not 32.
    pub wide: bool,
    /// Indices that together name a place, and for each the extent that it goes into and the elements from one to the
    /// next.
    pub axes: Vec<[usize; 2]>,
    /// Extents of what names places, and the elements that a step along each goes: what an index does not say.
    pub dims: Vec<[usize; 2]>,
    /// Elements side by side at a place.
    pub inner: usize,
}

/// The place along an axis that an index stands for.
fn resolve(index: i64, n: usize) -> Option<usize> {
    let index = if index < 0 { index.checked_add_unsigned(n as u64)? } else { index };
    usize::try_from(index).ok().filter(|i| *i < n)
}

impl Places {
    fn count(&self) -> usize {
        self.dims.iter().map(|d| d[0]).product()
    }

    /// Why a place is none, if there is one.
    fn refusal(&self, indices: &[u8]) -> Option<String> {
        (0..self.count()).find_map(|i| {
            self.axes.iter().enumerate().find_map(|(k, [n, _])| {
                let at = index(indices, self.wide, i * self.axes.len() + k);
                let wrong = resolve(at, *n).is_none();
                wrong.then(|| format!("index {at} into {n} elements"))
            })
        })
    }

    /// Calls `f` with the number of each place and its first element.
    fn each(&self, indices: &[u8], mut f: impl FnMut(usize, usize)) {
        for i in 0..self.count() {
            let (mut left, mut at) = (i, 0);
            for [dim, step] in self.dims.iter().rev() {
                at += left % dim * step;
                left /= dim;
            }
            for (k, [n, step]) in self.axes.iter().enumerate() {
                let index = index(indices, self.wide, i * self.axes.len() + k);
                at += resolve(index, *n).unwrap_or(0) * step;
            }
            f(i, at);
        }
    }
}

/// What is at the places that the second operand names.
#[derive(Debug)]
pub struct Take {
    pub places: Places,
    /// Bytes of an element.
    pub size: usize,
}

impl Step for Take {
    fn refusal(&self, io: &Io<'_>) -> Option<String> {
        self.places.refusal(io.b)
    }

    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let n = self.places.inner * self.size;
        self.places.each(io.b, |i, at| {
            io.out[i * n..][..n].copy_from_slice(&io.a[at * self.size..][..n]);
        });
    }
}

/// What becomes of an element and what is put there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// The new one, of so many bytes.
    Replace(usize),
    Add(Element),
    Mul(Element),
    Min(Element),
    Max(Element),
}

/// The second operand put at the places that the first one names, in what is there already.
#[derive(Debug)]
pub struct Put {
    pub places: Places,
    pub merge: Merge,
}

/// Numbers as they are added: integers wrap.
trait Number: bytemuck::Pod + PartialOrd {
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
}

impl Number for f32 {
    fn plus(self, other: Self) -> Self {
        self + other
    }

    fn times(self, other: Self) -> Self {
        self * other
    }
}

macro_rules! integers {
    ($($t:ty),*) => {$(
        impl Number for $t {
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }

            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
        }
    )*};
}
integers!(i8, u8, i16, i32, i64);

impl Put {
    fn merge<T: Number>(&self, io: Io<'_>, f: fn(T, T) -> T) {
        let (new, out): (&[T], &mut [T]) = (numbers(io.b), numbers_mut(io.out));
        let n = self.places.inner;
        self.places.each(io.a, |i, at| {
            for (y, x) in out[at..at + n].iter_mut().zip(&new[i * n..]) {
                *y = f(*y, *x);
            }
        });
    }

    fn of<T: Number>(&self, io: Io<'_>) {
        match self.merge {
            Merge::Replace(_) => {}
            Merge::Add(_) => self.merge(io, T::plus),
            Merge::Mul(_) => self.merge(io, T::times),
            Merge::Min(_) => self.merge(io, |a: T, b| if odd(a) || a < b { a } else { b }),
            Merge::Max(_) => self.merge(io, |a: T, b| if odd(a) || a > b { a } else { b }),
        }
    }
}

/// Whether it is no number: it stays so.
fn odd<T: PartialOrd>(x: T) -> bool {
    x.partial_cmp(&x).is_none()
}

impl Step for Put {
    fn refusal(&self, io: &Io<'_>) -> Option<String> {
        self.places.refusal(io.a)
    }

    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        match self.merge {
            Merge::Replace(size) => {
                let n = self.places.inner * size;
                self.places.each(io.a, |i, at| {
                    io.out[at * size..][..n].copy_from_slice(&io.b[i * n..][..n]);
                });
            }
            Merge::Add(e) | Merge::Mul(e) | Merge::Min(e) | Merge::Max(e) => match e {
                Element::F32 => self.of::<f32>(io),
                Element::I8 => self.of::<i8>(io),
                Element::U8 | Element::Bool => self.of::<u8>(io),
                Element::I16 => self.of::<i16>(io),
                Element::I32 => self.of::<i32>(io),
                Element::I64 => self.of::<i64>(io),
                Element::F16 => {}
            },
        }
    }
}

/// The first elements along an axis in reverse order, as many as the second operand says.
#[derive(Debug)]
pub struct Reversed {
    /// Bytes of an element.
    pub size: usize,
    /// Extent of the axis, and elements from one to the next.
    pub axis: [usize; 2],
    /// As `axis`, of that which has lengths.
    pub batch: [usize; 2],
    /// Whether lengths have 64 bits, not 32.
    pub wide: bool,
}

impl Reversed {
    fn len(&self, io: &Io<'_>, i: usize) -> Result<usize, i64> {
        let n = index(io.b, self.wide, i);
        usize::try_from(n).ok().filter(|n| *n <= self.axis[0]).ok_or(n)
    }
}

impl Step for Reversed {
    fn refusal(&self, io: &Io<'_>) -> Option<String> {
        let wrong = (0..self.batch[0]).find_map(|i| self.len(io, i).err())?;
        Some(format!("a length of {wrong} in an axis of {}", self.axis[0]))
    }

    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let [extent, step] = self.axis;
        for i in 0..io.out.len() / self.size {
            let len = self.len(&io, i / self.batch[1] % self.batch[0]).unwrap_or(0);
            let at = i / step % extent;
            let from = if at < len { i - at * step + (len - 1 - at) * step } else { i };
            let x = &io.a[from * self.size..][..self.size];
            io.out[i * self.size..][..self.size].copy_from_slice(x);
        }
    }
}

wire!(Places { wide, axes, dims, inner });
wire!(Take { places, size });
wire!(Put { places, merge });
wire!(Reversed { size, axis, batch, wide });

impl Wire for Merge {
    fn put(&self, w: &mut Writer) {
        let (kind, element) = match self {
            Self::Replace(size) => return (0_u8, *size).put(w),
            Self::Add(e) => (1_u8, *e),
            Self::Mul(e) => (2, *e),
            Self::Min(e) => (3, *e),
            Self::Max(e) => (4, *e),
        };
        (kind, element).put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(match u8::get(r)? {
            0 => Self::Replace(Wire::get(r)?),
            1 => Self::Add(Wire::get(r)?),
            2 => Self::Mul(Wire::get(r)?),
            3 => Self::Min(Wire::get(r)?),
            4 => Self::Max(Wire::get(r)?),
            _ => return Err(Fault),
        })
    }
}
