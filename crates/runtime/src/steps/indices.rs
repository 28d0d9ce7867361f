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

/// What becomes of an element and what is put there; integers wrap.
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

impl Merge {
    fn whole(self, a: i64, b: i64) -> i64 {
        match self {
            Self::Replace(_) => b,
            Self::Add(_) => a.wrapping_add(b),
            Self::Mul(_) => a.wrapping_mul(b),
            Self::Min(_) => a.min(b),
            Self::Max(_) => a.max(b),
        }
    }

    fn real(self, a: f32, b: f32) -> f32 {
        // What is no number stays so.
        let keep = |better: bool| if a.is_nan() || better { a } else { b };
        match self {
            Self::Replace(_) => b,
            Self::Add(_) => a + b,
            Self::Mul(_) => a * b,
            Self::Min(_) => keep(a < b),
            Self::Max(_) => keep(a > b),
        }
    }
}

impl Step for Put {
    fn refusal(&self, io: &Io<'_>) -> Option<String> {
        self.places.refusal(io.a)
    }

    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let n = self.places.inner;
        match self.merge {
            Merge::Replace(size) => {
                let n = n * size;
                self.places.each(io.a, |i, at| {
                    io.out[at * size..][..n].copy_from_slice(&io.b[i * n..][..n]);
                });
            }
            Merge::Add(e) | Merge::Mul(e) | Merge::Min(e) | Merge::Max(e) => {
                self.places.each(io.a, |i, at| {
                    for k in 0..n {
                        if e == Element::F32 {
                            let y = &mut numbers_mut::<f32>(io.out)[at + k];
                            *y = self.merge.real(*y, numbers::<f32>(io.b)[i * n + k]);
                        } else {
                            let (a, b) = (e.whole(io.out, at + k), e.whole(io.b, i * n + k));
                            e.put_whole(io.out, at + k, self.merge.whole(a, b));
                        }
                    }
                });
            }
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
