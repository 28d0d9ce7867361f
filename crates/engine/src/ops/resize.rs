use super::{Lower, Part};
use paring_ir::ops::{Resize, ResizeCoordinates, ResizeMethod};
use paring_ir::{Graph, Node};
use paring_runtime::steps::resize::{Nearest, Sampled, Taps, Weighted};
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
