//! Sums of products over any axes.

use super::AnyStep;
use super::matmul::MatMul;
use crate::program::Element;
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::wire::{Fault, Reader, Wire, Writer, wire};
use paring_kernels::Kernels;

/// Products of matrices of `f32` whose axes are elsewhere: the operands are put in order in the scratch memory, and the
/// result from there.
#[derive(Debug)]
pub struct Ordered {
    /// What orders the operands, where they are not in order.
    pub before: [Option<Box<AnyStep>>; 2],
    pub product: MatMul,
    /// What orders the result, where it is not in order.
    pub after: Option<Box<AnyStep>>,
    /// Bytes of the operands in order, and of the result.
    pub bytes: [usize; 3],
}

impl Ordered {
    /// Bytes of scratch memory.
    #[must_use]
    pub fn scratch(&self) -> usize {
        self.bytes.iter().map(|n| n.next_multiple_of(64)).sum()
    }
}

impl Step for Ordered {
    fn run(&self, kernels: &dyn Kernels, io: Io<'_>) {
        let [left, right, result] = self.bytes.map(|n| n.next_multiple_of(64));
        let (one, rest) = io.scratch.split_at_mut(left);
        let (two, rest) = rest.split_at_mut(right);
        let (three, scratch) = rest.split_at_mut(result);
        let order = |i: usize, x, to: &mut [u8]| match &self.before[i] {
            Some(step) => {
                let out = &mut to[..self.bytes[i]];
                step.run(kernels, Io { a: x, b: &[], out, scratch: &mut [] });
                true
            }
            None => false,
        };
        let a: &[u8] = if order(0, io.a, one) { &one[..self.bytes[0]] } else { io.a };
        let b: &[u8] = if order(1, io.b, two) { &two[..self.bytes[1]] } else { io.b };
        match &self.after {
            None => self.product.run(kernels, Io { a, b, out: io.out, scratch }),
            Some(step) => {
                let product = &mut three[..self.bytes[2]];
                self.product.run(kernels, Io { a, b, out: &mut *product, scratch });
                step.run(kernels, Io { a: product, b: &[], out: io.out, scratch: &mut [] });
            }
        }
    }
}

/// Sums of products of one or two operands, element by element.
#[derive(Debug)]
pub struct Sums {
    pub element: Element,
    /// Whether there is a second operand.
    pub two: bool,
    /// Extents of the result, and the elements that a step along each goes in the operands.
    pub outer: Vec<[usize; 3]>,
    /// As `outer`, of what is summed.
    pub inner: Vec<[usize; 3]>,
}

/// Where the operands have what comes `i`-th.
fn at(axes: &[[usize; 3]], mut i: usize) -> [usize; 2] {
    let mut at = [0, 0];
    for [n, a, b] in axes.iter().rev() {
        let here = i % n;
        i /= n;
        at = [at[0] + here * a, at[1] + here * b];
    }
    at
}

impl Sums {
    /// Calls `add` with each result and the places of each of its products, and whether that is the last one.
    fn each(&self, results: usize, mut add: impl FnMut(usize, [usize; 2], bool)) {
        let count: usize = self.inner.iter().map(|n| n[0]).product();
        for i in 0..results {
            let from = at(&self.outer, i);
            for k in 0..count {
                let more = at(&self.inner, k);
                add(i, [from[0] + more[0], from[1] + more[1]], k + 1 == count);
            }
        }
    }
}

impl Step for Sums {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let e = self.element;
        let results = self.outer.iter().map(|n| n[0]).product();
        if e == Element::F32 {
            let (a, b): (&[f32], &[f32]) = (numbers(io.a), numbers(io.b));
            let (out, mut sum): (&mut [f32], f64) = (numbers_mut(io.out), 0.0);
            return self.each(results, |i, [left, right], last| {
                let second = if self.two { f64::from(b[right]) } else { 1.0 };
                sum += f64::from(a[left]) * second;
                if last {
                    out[i] = std::mem::take(&mut sum) as f32;
                }
            });
        }
        let mut sum = 0_i64;
        self.each(results, |i, [left, right], last| {
            let second = if self.two { e.whole(io.b, right) } else { 1 };
            sum = sum.wrapping_add(e.whole(io.a, left).wrapping_mul(second));
            if last {
                e.put_whole(io.out, i, std::mem::take(&mut sum));
            }
        });
    }
}

wire!(Sums { element, two, outer, inner });

impl Wire for Ordered {
    fn put(&self, w: &mut Writer) {
        let [left, right] = &self.before;
        for step in [left, right, &self.after] {
            step.is_some().put(w);
            if let Some(step) = step {
                step.put(w);
            }
        }
        self.product.put(w);
        self.bytes.put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let mut step = || -> Result<Option<Box<AnyStep>>, Fault> {
            Ok(if bool::get(r)? { Some(Box::new(r.inner()?)) } else { None })
        };
        let (before, after) = ([step()?, step()?], step()?);
        Ok(Self { before, after, product: Wire::get(r)?, bytes: Wire::get(r)? })
    }
}
