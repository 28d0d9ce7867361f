//! Products of matrices.

use crate::{Array, Suite, c, op, x};
use paring_ir::ops::{Activation, Dense, Einsum, MatMul};

pub(crate) fn add(suite: &mut Suite) {
    for (name, shape, units) in [("row", vec![1, 7], 5), ("deep", vec![2, 3, 4], 19)] {
        let depth = shape[shape.len() - 1];
        let (i, w, b) = (x(70, &shape), c(71, &[units, depth]), c(72, &[units]));
        let (a, k, r) = (i.real(), w.real(), b.real());
        let mut out = shape.clone();
        out[shape.len() - 1] = units;
        let sum = |at: &[usize]| -> f64 {
            let mut from = at.to_vec();
            let last = from.len() - 1;
            (0..depth)
                .map(|d| {
                    from[last] = d;
                    a.at(&from) * k.at(&[at[last], d])
                })
                .sum()
        };
        let y = Array::from_fn(&out, |at| sum(at) + r.at(&at[at.len() - 1..]));
        suite.real(name, op(Dense::default()), vec![i.clone(), w.clone(), b], y);
        let y = Array::from_fn(&out, |at| sum(at).max(0.0));
        let relu = Dense { activation: Activation::Relu };
        suite.real(&format!("{name}_relu"), op(relu), vec![i, w], y);
    }
    for (name, left, right, out) in [
        ("plain", vec![3, 4], vec![4, 5], vec![3, 5]),
        ("batched", vec![2, 3, 4], vec![2, 4, 5], vec![2, 3, 5]),
        ("broadcast", vec![2, 1, 3, 4], vec![6, 4, 2], vec![2, 6, 3, 2]),
    ] {
        let (i, j) = (x(73, &left), x(74, &right));
        let (a, b) = (i.real(), j.real());
        let y = Array::from_fn(&out, |at| {
            let (outer, [m, n]) = (&at[..at.len() - 2], [at[at.len() - 2], at[at.len() - 1]]);
            (0..4)
                .map(|k| {
                    let index = |p: usize, q: usize| [outer, &[p, q]].concat();
                    // Leading axes of 1 are repeated, those of the product stay.
                    let pick = |m: &Array, p: usize, q: usize| {
                        let mut at = index(p, q);
                        let skip = at.len() - m.shape.len();
                        at.drain(..skip);
                        for (i, n) in at.iter_mut().zip(&m.shape) {
                            *i = if *n == 1 { 0 } else { *i };
                        }
                        m.at(&at)
                    };
                    pick(&a, m, k) * pick(&b, k, n)
                })
                .sum()
        });
        suite.real(name, op(MatMul {}), vec![i, j], y);
    }
    let (i, j) = (x(75, &[2, 3, 4]), x(76, &[2, 5, 4]));
    let (a, b) = (i.real(), j.real());
    let y = Array::from_fn(&[2, 5, 3], |k| {
        (0..4).map(|d| a.at(&[k[0], k[2], d]) * b.at(&[k[0], k[1], d])).sum()
    });
    let attend = Einsum { equation: "bqd,bkd->bkq".into() };
    suite.real("attention", op(attend), vec![i, j], y);
    let i = x(77, &[4, 4]);
    let a = i.real();
    let y = Array { shape: vec![], data: vec![(0..4).map(|k| a.at(&[k, k])).sum()] };
    suite.real("trace", op(Einsum { equation: "ii->".into() }), vec![i], y);
}
