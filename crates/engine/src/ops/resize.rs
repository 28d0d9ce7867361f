use super::{Lower, Part};
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::threads::divide;
use paring_ir::ops::{Resize, ResizeCoordinates, ResizeMethod};
use paring_ir::{Graph, Node};
use paring_kernels::Kernels;
use paring_tensor::{DType, Tensor, TensorType};

/// The positions of the input that a position of the output is made from, with their weights.
type Taps = Vec<(usize, f32)>;

/// Two neighbouring axes sampled at other positions; around them `outer` times rows of `inner` elements.
struct Sampled {
    /// For each position of the output along both axes.
    taps: [Vec<Taps>; 2],
    input: [usize; 2],
    inner: usize,
}

impl Sampled {
    /// Calls `pixel` for each pixel of the output with its taps and where the image begins in the input.
    fn each<T: Send>(
        &self,
        out: &mut [T],
        work: usize,
        pixel: impl Fn(usize, &Taps, &Taps, &mut [T]) + Sync,
    ) {
        let [rows, columns] = [0, 1].map(|i| self.taps[i].len());
        let row = columns * self.inner;
        divide(out.len() / row.max(1), row, work, out, &|range, out| {
            for (i, out) in range.zip(out.chunks_exact_mut(row)) {
                let image = i / rows * self.input[0] * self.input[1];
                let down = &self.taps[0][i % rows];
                for (across, out) in self.taps[1].iter().zip(out.chunks_exact_mut(self.inner)) {
                    pixel(image, down, across, out);
                }
            }
        });
    }

    fn place(&self, image: usize, y: usize, x: usize) -> usize {
        (image + y * self.input[1] + x) * self.inner
    }
}

/// The nearest elements; `inner` counts bytes.
struct Nearest(Sampled);

impl Step for Nearest {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let (x, work) = (io.a, io.out.len() / 4);
        self.0.each(io.out, work, |image, down, across, out| {
            let at = self.0.place(image, down[0].0, across[0].0);
            out.copy_from_slice(&x[at..at + out.len()]);
        });
    }
}

/// Sums of weighted `f32`.
struct Weighted(Sampled);

impl Step for Weighted {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let (x, out): (&[f32], &mut [f32]) = (numbers(io.a), numbers_mut(io.out));
        let work = 4 * out.len();
        self.0.each(out, work, |image, down, across, out| {
            out.fill(0.0);
            for (y, wy) in down {
                for (column, wx) in across {
                    let at = self.0.place(image, *y, *column);
                    let weight = wy * wx;
                    for (out, x) in out.iter_mut().zip(&x[at..]) {
                        *out += weight * x;
                    }
                }
            }
        });
    }
}

/// Longest axis whose weights are asked from the fallback.
const LONGEST: usize = 2048;

impl Lower<'_> {
    /// What each position along an axis is made from, found by sampling the unit vectors: what the node
    /// means is said in one place.
    fn taps(&self, op: &Resize, k: usize, n: usize) -> Option<Vec<Taps>> {
        let mut one = op.clone();
        one.axes = vec![0];
        one.size = vec![op.size[k]];
        one.scale = op.scale.get(k).map_or_else(Vec::new, |s| vec![*s]);
        let nearest = op.method == ResizeMethod::Nearest;
        // The nearest position is found by sampling the positions themselves.
        let width = if nearest { 1 } else { n };
        let ty = |rows: usize| TensorType::new(DType::F32, [rows, width]);
        let mut graph = Graph::new("taps");
        let x = graph.add_input("x", ty(n)).ok()?;
        let op = std::sync::Arc::new(one);
        let op: paring_ir::OpRef = op;
        let rows = op.infer(&[&ty(n)]).ok()?.pop()?.shape.fixed()?[0];
        let y = graph.add_typed_node("f", &op, &[x], vec![("y".to_owned(), ty(rows))]).ok()?;
        graph.add_output("y", y[0]);
        let unit = |i: usize| match nearest {
            true => i as f32,
            false => f32::from(u8::from(i / n == i % n)),
        };
        let input = Tensor::from_vec([n, width], (0..n * width).map(unit).collect()).ok()?;
        let mut session = self.fallback?.prepare(graph.verified().ok()?).ok()?;
        let result = session.run(&[input]).ok()?.pop()?.to_f32();
        let taps = |row: &[f32]| -> Taps {
            if nearest {
                return vec![(row[0] as usize, 1.0)];
            }
            let weights = row.iter().copied().enumerate();
            weights.filter(|(_, w)| *w != 0.0).collect()
        };
        Some(result.chunks_exact(width).map(taps).collect())
    }

    pub(super) fn resize(&self, op: &Resize, node: &Node) -> Option<Part> {
        let (x, y) = (node.inputs()[0], node.outputs()[0]);
        let (from, to) = (self.shape(x)?, self.shape(y)?);
        let real = self.is_f32(x) && self.is_f32(y);
        let nearest = op.method == ResizeMethod::Nearest;
        let same = self.ty(x).dtype == self.ty(y).dtype && self.ty(x).quant == self.ty(y).quant;
        if op.coordinates == ResizeCoordinates::TfCropAndResize
            || !(real || nearest && same)
            || from.iter().product::<usize>() == 0
            || to.iter().product::<usize>() == 0
        {
            return None;
        }
        let whole = || vec![vec![(0, 1.0)]];
        let (last, input, taps) = match *op.axes {
            [axis] => {
                let n = from[axis];
                (n <= LONGEST).then_some(())?;
                (axis, [1, n], [whole(), self.taps(op, 0, n)?])
            }
            [first, second] if second == first + 1 => {
                let size = [from[first], from[second]];
                (size[0].max(size[1]) <= LONGEST).then_some(())?;
                (second, size, [self.taps(op, 0, size[0])?, self.taps(op, 1, size[1])?])
            }
            _ => return None,
        };
        let inside = |i: usize| {
            let n = input[i];
            taps[i].iter().all(|t| !t.is_empty() && t.iter().all(|(at, _)| *at < n))
        };
        let inner: usize = from[last + 1..].iter().product();
        let counts = taps[0].len() * taps[1].len() * inner;
        let outer: usize = from.iter().product::<usize>() / (input[0] * input[1] * inner);
        if !inside(0) || !inside(1) || outer * counts != to.iter().product::<usize>() {
            return None;
        }
        let size = if nearest { self.ty(x).dtype.size() } else { 1 };
        let sampled = Sampled { taps, input, inner: inner * size };
        Some(match nearest {
            true => Part::unary(Nearest(sampled), x),
            false => Part::unary(Weighted(sampled), x),
        })
    }
}
