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
    fn of<T: bytemuck::Pod, S: Copy>(
        &self,
        io: Io<'_>,
        zero: S,
        wide: impl Fn(T) -> S,
        add: impl Fn(S, S, Option<S>) -> S,
        narrow: impl Fn(S) -> T,
    ) {
        let (a, b): (&[T], &[T]) = (numbers(io.a), numbers(io.b));
        let count: usize = self.inner.iter().map(|n| n[0]).product();
        for (i, y) in numbers_mut::<T>(io.out).iter_mut().enumerate() {
            let from = at(&self.outer, i);
            let mut sum = zero;
            for k in 0..count {
                let more = at(&self.inner, k);
                let second = self.two.then(|| wide(b[from[1] + more[1]]));
                sum = add(sum, wide(a[from[0] + more[0]]), second);
            }
            *y = narrow(sum);
        }
    }
}

/// The product added to the sum; integers wrap.
fn whole(sum: i64, a: i64, b: Option<i64>) -> i64 {
    sum.wrapping_add(b.map_or(a, |b| a.wrapping_mul(b)))
}

impl Step for Sums {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        match self.element {
            Element::F32 => {
                let add = |sum: f64, a: f64, b: Option<f64>| sum + b.map_or(a, |b| a * b);
                self.of::<f32, f64>(io, 0.0, f64::from, add, |sum| sum as f32);
            }
            Element::I8 => self.of::<i8, i64>(io, 0, i64::from, whole, |sum| sum as i8),
            Element::I16 => self.of::<i16, i64>(io, 0, i64::from, whole, |sum| sum as i16),
            Element::I32 => self.of::<i32, i64>(io, 0, i64::from, whole, |sum| sum as i32),
            Element::I64 => self.of::<i64, i64>(io, 0, |x| x, whole, |sum| sum),
            _ => self.of::<u8, i64>(io, 0, i64::from, whole, |sum| sum as u8),
        }
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
