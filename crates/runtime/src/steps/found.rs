//! What is as long as the data say. The results lie in one piece of memory: what is found, at the beginning of as much
//! as there may be, and how much it is, as an `i64`.

use super::top::real;
use crate::program::Element;
use crate::step::{Io, Span, Step, numbers, numbers_mut};
use crate::wire::wire;
use paring_kernels::Kernels;

/// Calls `put` with what there is room for and gives the count that it returns.
fn found(results: &[Span], out: &mut [u8], put: impl FnOnce(&mut [i64]) -> usize) {
    let [first, second] = results else { return };
    let (all, count) = out.split_at_mut(second.at);
    let n = put(numbers_mut(first.of_mut(all)));
    numbers_mut::<i64>(&mut count[..second.len]).fill(n as i64);
}

/// The indices of elements that are not zero: those along the first axis, then those along the next one.
#[derive(Debug)]
pub struct NonZero {
    pub element: Element,
    /// Extents of the input.
    pub dims: Vec<usize>,
    /// The places of the results.
    pub results: Vec<Span>,
}

impl Step for NonZero {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let total: usize = self.dims.iter().product();
        let counts = |i: &usize| match self.element {
            Element::F32 => numbers::<f32>(io.a)[*i] != 0.0,
            element => element.whole(io.a, *i) != 0,
        };
        found(&self.results, io.out, |out| {
            let n = (0..total).filter(counts).count();
            for (k, i) in (0..total).filter(counts).enumerate() {
                let mut left = i;
                for (axis, dim) in self.dims.iter().enumerate().rev() {
                    out[axis * n + k] = (left % dim) as i64;
                    left /= dim;
                }
            }
            n
        });
    }
}

/// Boxes that do not overlap a better one: rows of the batch, the class and the box. The scratch memory holds two `u64`
/// for each box of a batch.
#[derive(Debug)]
pub struct Suppress {
    /// Batches, classes and boxes.
    pub extents: [usize; 3],
    /// Most boxes of a class.
    pub most: usize,
    pub iou_threshold: f32,
    pub score_threshold: f32,
    /// Whether boxes are given by their centres.
    pub center: bool,
    /// The places of the results.
    pub results: Vec<Span>,
}

impl Suppress {
    /// The corners of a box, in order.
    fn corners(&self, boxes: &[f32], i: usize) -> [f32; 4] {
        let b = &boxes[4 * i..4 * i + 4];
        if self.center {
            let (x, y, w, h) = (b[0], b[1], b[2] / 2.0, b[3] / 2.0);
            return [y - h, x - w, y + h, x + w];
        }
        [b[0].min(b[2]), b[1].min(b[3]), b[0].max(b[2]), b[1].max(b[3])]
    }
}

/// The part of two boxes that both have, of what either has.
fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let area = |b: [f32; 4]| (b[2] - b[0]) * (b[3] - b[1]);
    let height = (a[2].min(b[2]) - a[0].max(b[0])).max(0.0);
    let width = (a[3].min(b[3]) - a[1].max(b[1])).max(0.0);
    let both = height * width;
    let either = area(a) + area(b) - both;
    if area(a) <= 0.0 || area(b) <= 0.0 || either <= 0.0 { 0.0 } else { both / either }
}

impl Step for Suppress {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let [batches, classes, n] = self.extents;
        let (boxes, scores): (&[f32], &[f32]) = (numbers(io.a), numbers(io.b));
        let ranked = numbers_mut::<[u64; 2]>(io.scratch);
        found(&self.results, io.out, |out| {
            let mut rows = 0;
            for (b, class) in (0..batches).flat_map(|b| (0..classes).map(move |c| (b, c))) {
                let boxes = &boxes[4 * b * n..][..4 * n];
                let scores = &scores[(b * classes + class) * n..][..n];
                let mut many = 0;
                for (i, score) in scores.iter().enumerate() {
                    if *score > self.score_threshold {
                        ranked[many] = [!real(*score), i as u64];
                        many += 1;
                    }
                }
                ranked[..many].sort_unstable();
                let first = rows;
                for [_, i] in &ranked[..many] {
                    if rows - first == self.most {
                        break;
                    }
                    let own = self.corners(boxes, *i as usize);
                    let far = |row: usize| {
                        let other = self.corners(boxes, out[3 * row + 2] as usize);
                        overlap(own, other) <= self.iou_threshold
                    };
                    if (first..rows).all(far) {
                        out[3 * rows..3 * rows + 3].copy_from_slice(&[
                            b as i64,
                            class as i64,
                            *i as i64,
                        ]);
                        rows += 1;
                    }
                }
            }
            rows
        });
    }
}

wire!(NonZero { element, dims, results });
wire!(Suppress { extents, most, iou_threshold, score_threshold, center, results });
