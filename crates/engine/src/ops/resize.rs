use super::{Lower, Part};
use paring_ir::ops::{Resize, ResizeCoordinates, ResizeMethod};
use paring_ir::{Graph, Node, ValueId};
use paring_runtime::steps::resize::{
    Between, Bilinear, Fraction, Nearest, Sampled, Taps, U8Bilinear, Weighted,
};
use paring_tensor::{DType, Tensor, TensorType};

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
        if same && !real && !nearest {
            return self.bilinear(op, x, &from, &to);
        }
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

    /// TFLite's interpolation of images of integers.
    fn bilinear(&self, op: &Resize, x: ValueId, from: &[usize], to: &[usize]) -> Option<Part> {
        use ResizeCoordinates::{AlignCorners, Asymmetric, HalfPixel};
        let (&[_, h, w, channels], &[_, rows, columns, _]) = (from, to) else { return None };
        let fits = op.method == ResizeMethod::Linear
            && self.ty(x).quant.as_ref()?.as_per_tensor().is_some()
            && op.axes == [1, 2]
            && op.scale.is_empty()
            && !op.antialias
            && !op.exclude_outside
            && matches!(op.coordinates, AlignCorners | Asymmetric | HalfPixel)
            && [h, w, rows, columns].iter().all(|n| (1..1 << 20).contains(n));
        let wide = match self.ty(x).dtype {
            DType::I8 => false,
            DType::I16 => true,
            DType::U8 if fits => {
                let taps = |n: usize, out: usize| -> Vec<Fraction> {
                    let tap = |i: usize| {
                        let at = op.coordinates.tflite_position(i, n, out);
                        let low = (at.floor() as i64).max(0);
                        let high = (at.ceil() as i64).min(n as i64 - 1);
                        (low as usize, (high as usize, at - low as f32))
                    };
                    (0..out).map(tap).collect()
                };
                let taps = [taps(h, rows), taps(w, columns)];
                let inside =
                    |i: usize, n: usize| taps[i].iter().all(|(low, (high, _))| *low.max(high) < n);
                let inside = inside(0, h) && inside(1, w);
                let step = U8Bilinear { taps, input: [h, w], channels };
                return inside.then(|| Part::unary(step, x));
            }
            _ => return None,
        };
        let taps = |n: usize, out: usize| -> Vec<Between> {
            let (n, out) = (n as i64, out as i64);
            let aligned = op.coordinates == AlignCorners && out > 1;
            let (span, parts) = if aligned { (n - 1, out - 1) } else { (n, out) };
            let scale = (span * 1024 + parts / 2) / parts;
            let shift = if op.coordinates == HalfPixel { scale / 2 - 512 } else { 0 };
            let tap = |i: i64| {
                let at = i * scale + shift;
                let (low, high) = ((at / 1024).max(0), ((at + 1023) / 1024).min(n - 1));
                (low as usize, (high as usize, (at - 1024 * low) as i32))
            };
            (0..out).map(tap).collect()
        };
        let taps = [taps(h, rows), taps(w, columns)];
        // Rounding may leave the first of the two positions beyond the last one.
        let inside = |t: &[Between], n: usize| t.iter().all(|(low, (high, _))| *low.max(high) < n);
        let inside = inside(&taps[0], h) && inside(&taps[1], w);
        let step = Bilinear { taps, input: [h, w], channels, wide };
        (fits && inside).then(|| Part::unary(step, x))
    }
}
