//! Ops that move elements without changing them.

use crate::{Array, Operand, Suite, op, x};
use paring_ir::ops::{
    BroadcastTo, Concat, Gather, GatherElements, GatherNd, NonZero, OneHot, Pad, PadMode, Reshape,
    Reverse, ScatterElements, ScatterFn, ScatterNd, Slice, Tile, Transpose, Trilu,
};
use paring_tensor::Tensor;

fn indices(shape: &[usize], values: &[i64]) -> Operand {
    Operand::input(Tensor::from_vec(shape, values.to_vec()).unwrap_or_else(|e| panic!("{e}")))
}

pub(crate) fn add(suite: &mut Suite) {
    let i = x(50, &[2, 3, 4]);
    let a = i.real();
    let y = Array { shape: vec![4, 6], data: a.data.clone() };
    suite.exact("hole", op(Reshape { shape: vec![4, -1] }), vec![i.clone()], y);
    let y = Array::from_fn(&[4, 2, 3], |k| a.at(&[k[1], k[2], k[0]]));
    suite.exact("rotate", op(Transpose { perm: vec![2, 0, 1] }), vec![i.clone()], y);
    let y = Array::from_fn(&[1, 2, 4], |k| a.at(&[1 + k[0], k[1] * 2, 3 - k[2]]));
    let slice = Slice { start: vec![1, 0, 3], len: vec![1, 2, 4], step: vec![1, 2, -1] };
    suite.exact("steps", op(slice), vec![i.clone()], y);
    let y = Array::from_fn(&[4, 3, 12], |k| a.at(&[k[0] % 2, k[1], k[2] % 4]));
    suite.exact("thrice", op(Tile { repeats: vec![2, 1, 3] }), vec![i.clone()], y);
    for axis in [0, 2] {
        let y = Array::from_fn(&a.shape, |k| {
            let mut k = k.to_vec();
            k[axis] = a.shape[axis] - 1 - k[axis];
            a.at(&k)
        });
        let reverse = Reverse { axis, batch_axis: None };
        suite.exact(&format!("axis_{axis}"), op(reverse), vec![i.clone()], y);
    }
    let y = Array::from_fn(&a.shape, |k| {
        let len = [3, 2][k[0]];
        let at = if k[1] < len { len - 1 - k[1] } else { k[1] };
        a.at(&[k[0], at, k[2]])
    });
    let reverse = Reverse { axis: 1, batch_axis: Some(0) };
    suite.exact("lengths", op(reverse), vec![i.clone(), indices(&[2], &[3, 2])], y);
    let other = x(51, &[2, 2, 4]);
    let b = other.real();
    let y =
        Array::from_fn(
            &[2, 5, 4],
            |k| {
                if k[1] < 3 { a.at(k) } else { b.at(&[k[0], k[1] - 3, k[2]]) }
            },
        );
    suite.exact("middle", op(Concat { axis: 1 }), vec![i.clone(), other], y);
    let small = x(52, &[3, 1]);
    let s = small.real();
    let y = Array::from_fn(&[2, 3, 4], |k| s.at(&[k[1], 0]));
    suite.exact("new_axis", op(BroadcastTo { shape: vec![2, 1, 4] }), vec![small], y);
    pads(suite);
    by_index(suite);
    let m = x(53, &[2, 4, 3]);
    let r = m.real();
    for (upper, k) in [(true, 0_i64), (true, 1), (false, 0), (false, -1)] {
        let y = Array::from_fn(&r.shape, |i| {
            let diagonal = i[2] as i64 - i[1] as i64;
            let keep = if upper { diagonal >= k } else { diagonal <= k };
            if keep { r.at(i) } else { 0.0 }
        });
        suite.exact(&format!("{upper}_{k}"), op(Trilu { upper, k }), vec![m.clone()], y);
    }
}

fn pads(suite: &mut Suite) {
    let i = x(54, &[3, 4]);
    let a = i.real();
    for (name, mode) in [
        ("constant", PadMode::Constant(2.5)),
        ("reflect", PadMode::Reflect),
        ("symmetric", PadMode::Symmetric),
        ("edge", PadMode::Edge),
        ("wrap", PadMode::Wrap),
    ] {
        // Two rows before, one after; one column before, three after.
        let y = Array::from_fn(&[6, 8], |k| {
            let walk = |i: i64, n: i64| -> Option<usize> {
                let mut i = i;
                let period = match mode {
                    PadMode::Constant(_) => {
                        return usize::try_from(i).ok().filter(|i| (*i as i64) < n);
                    }
                    PadMode::Edge => return Some(i.max(0).min(n - 1) as usize),
                    PadMode::Wrap => n,
                    PadMode::Reflect => 2 * n - 2,
                    PadMode::Symmetric => 2 * n,
                };
                i = i.rem_euclid(period);
                if i >= n {
                    i = if mode == PadMode::Reflect { period - i } else { period - 1 - i };
                }
                Some(i as usize)
            };
            match (walk(k[0] as i64 - 2, 3), walk(k[1] as i64 - 1, 4)) {
                (Some(r), Some(c)) => a.at(&[r, c]),
                _ => 2.5,
            }
        });
        suite.exact(name, op(Pad { pads: vec![[2, 1], [1, 3]], mode }), vec![i.clone()], y);
    }
    let y = Array::from_fn(&[2, 5], |k| if k[1] == 4 { 0.0 } else { a.at(&[k[0] + 1, k[1]]) });
    let cut = Pad { pads: vec![[-1, 0], [0, 1]], mode: PadMode::Constant(0.0) };
    suite.exact("cut", op(cut), vec![i], y);
}

fn by_index(suite: &mut Suite) {
    let i = x(55, &[3, 4, 2]);
    let a = i.real();
    let at = [[3_i64, 0], [-1, 1]];
    let y = Array::from_fn(&[3, 2, 2, 2], |k| {
        a.at(&[k[0], at[k[1]][k[2]].rem_euclid(4) as usize, k[3]])
    });
    let chosen = indices(&[2, 2], &[3, 0, -1, 1]);
    suite.exact("middle", op(Gather { axis: 1, batch_dims: 0 }), vec![i.clone(), chosen], y);
    let y = Array::from_fn(&[3, 1, 2], |k| a.at(&[k[0], [2, 0, 3][k[0]], k[2]]));
    let chosen = indices(&[3, 1], &[2, 0, 3]);
    suite.exact("batch", op(Gather { axis: 1, batch_dims: 1 }), vec![i.clone(), chosen], y);
    let own = [1, 0, 2, 1, -1, 0];
    let y = Array::from_fn(&[3, 1, 2], |k| a.at(&[[1, 0, 2, 1, 2, 0][k[0] * 2 + k[2]], 0, k[2]]));
    let chosen = indices(&[3, 1, 2], &own);
    suite.exact("own_places", op(GatherElements { axis: 0 }), vec![i.clone(), chosen], y);
    let y = Array::from_fn(&[2, 2], |k| a.at(&[[0, 2][k[0]], [3, 1][k[0]], k[1]]));
    let chosen = indices(&[2, 2], &[0, 3, -1, 1]);
    suite.exact("slices", op(GatherNd { batch_dims: 0 }), vec![i.clone(), chosen], y);
    let y = Array::from_fn(&[3, 2], |k| a.at(&[k[0], [1, 3, 0][k[0]], k[1]]));
    let chosen = indices(&[3, 1], &[1, 3, 0]);
    suite.exact("batch", op(GatherNd { batch_dims: 1 }), vec![i.clone(), chosen], y);
    for f in [ScatterFn::Replace, ScatterFn::Add, ScatterFn::Mul, ScatterFn::Min, ScatterFn::Max] {
        let meet = |old: f64, new: f64| match f {
            ScatterFn::Replace => new,
            ScatterFn::Add => old + new,
            ScatterFn::Mul => old * new,
            ScatterFn::Min => old.min(new),
            ScatterFn::Max => old.max(new),
        };
        let new = x(56, &[3, 1, 2]);
        let n = new.real();
        let mut y = a.clone();
        for r in 0..3 {
            for ch in 0..2 {
                // Row r goes to place [r, 3 - r].
                let to = (r * 4 + 3 - r) * 2 + ch;
                y.data[to] = meet(y.data[to], n.at(&[r, 0, ch]));
            }
        }
        let chosen = indices(&[3, 1, 2], &[3, 3, 2, 2, -3, -3]);
        let scatter = ScatterElements { axis: 1, reduction: f };
        let name = format!("{f:?}").to_lowercase();
        suite.real(&name, op(scatter), vec![i.clone(), chosen, new], y);
        let new = x(57, &[2, 2]);
        let n = new.real();
        let mut y = a.clone();
        for (r, (p, q)) in [(0, 1), (2, 3)].into_iter().enumerate() {
            for ch in 0..2 {
                let to = (p * 4 + q) * 2 + ch;
                y.data[to] = meet(y.data[to], n.at(&[r, ch]));
            }
        }
        let chosen = indices(&[2, 2], &[0, 1, 2, -1]);
        suite.real(&name, op(ScatterNd { reduction: f }), vec![i.clone(), chosen, new], y);
    }
    let values = Operand::input(
        Tensor::from_vec([2], vec![-1.0_f32, 5.0]).unwrap_or_else(|e| panic!("{e}")),
    );
    let y = Array::from_fn(&[3, 4], |k| if [2, 0, 3][k[0]] == k[1] { 5.0 } else { -1.0 });
    let chosen = indices(&[3], &[2, 0, -1]);
    let hot = OneHot { axis: 1, depth: 4, negative_is_off: false };
    suite.exact("negative", op(hot), vec![chosen.clone(), values.clone()], y);
    let y = Array::from_fn(&[4, 3], |k| if [2, 0, 9][k[1]] == k[0] { 5.0 } else { -1.0 });
    let hot = OneHot { axis: 0, depth: 4, negative_is_off: true };
    suite.exact("off", op(hot), vec![chosen, values], y);
    let sparse = Tensor::from_vec([2, 3], vec![0.0_f32, 1.0, 0.0, -2.0, 0.0, 3.0]);
    let sparse = Operand::input(sparse.unwrap_or_else(|e| panic!("{e}")));
    let y = Array { shape: vec![2, 3], data: vec![0.0, 1.0, 1.0, 1.0, 0.0, 2.0] };
    suite.exact("three", op(NonZero { count: "found".into() }), vec![sparse], y);
}
