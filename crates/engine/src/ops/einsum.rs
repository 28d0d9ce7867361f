use super::transpose::reorder;
use super::{Lower, Part};
use crate::plan::element;
use paring_ir::Node;
use paring_ir::ops::Einsum;
use paring_runtime::steps::AnyStep;
use paring_runtime::steps::broadcast::Broadcast;
use paring_runtime::steps::einsum::{Ordered, Sums};
use paring_runtime::steps::matmul::MatMul;
use paring_tensor::DType;

/// The letters of some axes with their extents.
type Axes = Vec<(char, usize)>;

/// The step that brings axes into an order, where they are not in it.
fn ordered(from: &[(char, usize)], to: &[char]) -> Option<Option<Box<AnyStep>>> {
    let perm: Option<Vec<usize>> = to.iter().map(|c| from.iter().position(|f| f.0 == *c)).collect();
    let (perm, shape) = (perm?, from.iter().map(|f| f.1).collect::<Vec<_>>());
    if perm.is_sorted() {
        return Some(None);
    }
    Some(Some(Box::new(reorder(4, &shape, &perm)?.into())))
}

impl Lower<'_> {
    pub(super) fn einsum(&self, op: &Einsum, node: &Node) -> Option<Part> {
        let (&a, b) = (node.inputs().first()?, node.inputs().get(1).copied());
        let ty = self.ty(a);
        if node.inputs().len() > 2 || ty.quant.is_some() || ty.dtype == DType::Bool {
            return None;
        }
        let (operands, result) = op.terms().ok()?;
        let types: Vec<_> = node.inputs().iter().map(|v| self.ty(*v)).collect();
        let extents = op.extents(&types).ok()?;
        let extent = |c: char| extents.get(&c)?.fixed();
        if let (Some(b), DType::F32) = (b, ty.dtype) {
            let axes = |i: usize| -> Option<Axes> {
                let shape = self.shape(node.inputs()[i])?;
                Some(operands[i].iter().copied().zip(shape).collect())
            };
            if let Some((step, bytes)) = self.as_matrices(&axes(0)?, &axes(1)?, &result) {
                return Some(Part { step, a, b: Some(b), scratch: bytes });
            }
        }
        // The elements that a step of a letter goes in each operand; an axis of extent 1 stays.
        let step = |i: usize, c: char| -> Option<usize> {
            let Some(letters) = operands.get(i) else { return Some(0) };
            let (shape, mut step, mut all) = (self.shape(node.inputs()[i])?, 1, 0);
            for (own, n) in letters.iter().zip(&shape).rev() {
                if *own == c && *n > 1 {
                    all += step;
                }
                step *= n;
            }
            Some(all)
        };
        let axis = |c: char| Some([extent(c)?, step(0, c)?, step(1, c)?]);
        let summed = extents.keys().filter(|c| !result.contains(c));
        let step = Sums {
            element: element(ty.dtype)?,
            two: b.is_some(),
            outer: result.iter().map(|c| axis(*c)).collect::<Option<_>>()?,
            inner: summed.map(|c| axis(*c)).collect::<Option<_>>()?,
        };
        Some(Part { step: step.into(), a, b, scratch: 0 })
    }

    /// The step of a product of matrices, where it is one: each letter once in an operand, and in the other or in the
    /// result.
    fn as_matrices(&self, a: &Axes, b: &Axes, result: &[char]) -> Option<(AnyStep, usize)> {
        let has = |axes: &Axes, c: char| axes.iter().find(|x| x.0 == c).map(|x| x.1);
        for (axes, other) in [(a, b), (b, a)] {
            for (i, (c, n)) in axes.iter().enumerate() {
                let once = axes[..i].iter().all(|x| x.0 != *c);
                let fits = has(other, *c).is_none_or(|m| m == *n);
                let used = has(other, *c).is_some() || result.contains(c);
                if !once || !fits || !used {
                    return None;
                }
            }
        }
        let pick = |axes: &Axes, f: &dyn Fn(char) -> bool| -> Vec<char> {
            axes.iter().map(|x| x.0).filter(|c| f(*c)).collect()
        };
        let shared = |c: char| has(a, c).is_some() && has(b, c).is_some();
        let both: Vec<char> = result.iter().copied().filter(|c| shared(*c)).collect();
        let rows = pick(a, &|c| !shared(c));
        let columns = pick(b, &|c| !shared(c));
        let depth = pick(a, &|c| shared(c) && !result.contains(&c));
        let count = |letters: &[char]| -> usize {
            letters.iter().filter_map(|c| has(a, *c).or_else(|| has(b, *c))).product()
        };
        let [n, m, k, l] = [&both, &rows, &depth, &columns].map(|x| count(x));
        let left = ordered(a, &[&*both, &rows, &depth].concat())?;
        let right = ordered(b, &[&*both, &depth, &columns].concat())?;
        let now = [&*both, &rows, &columns].concat();
        let now: Axes = now.iter().map(|c| (*c, count(&[*c]))).collect();
        let after = ordered(&now, result)?;
        let product = MatMul { extents: [m, k, l], places: Broadcast::none(n) };
        let used = |step: &Option<Box<AnyStep>>, n: usize| if step.is_some() { 4 * n } else { 0 };
        let bytes = [used(&left, n * m * k), used(&right, n * k * l), used(&after, n * m * l)];
        let step = Ordered { before: [left, right], product, after, bytes };
        let scratch = step.scratch();
        Some((step.into(), scratch))
    }
}
