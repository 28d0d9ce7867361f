//! Ops that work along axes.

use crate::{Array, Expected, Operand, Suite, op, x};
use paring_ir::ops::{
    Arg, ArgFn, CumSum, Hardmax, LpNormalize, NonMaxSuppression, Normalize, Reduce, ReduceFn,
    Softmax, TopK,
};
use paring_tensor::{DType, Tensor};

/// The elements along an axis through an index.
fn line(a: &Array, index: &[usize], axis: usize) -> Vec<f64> {
    let mut at = index.to_vec();
    (0..a.shape[axis])
        .map(|k| {
            at[axis] = k;
            a.at(&at)
        })
        .collect()
}

pub(crate) fn add(suite: &mut Suite) {
    reduces(suite);
    let i = x(60, &[2, 5, 3]);
    let a = i.real();
    for axis in [1, 2] {
        for log in [false, true] {
            let y = Array::from_fn(&a.shape, |k| {
                let sum: f64 = line(&a, k, axis).iter().map(|x| (1.5 * x).exp()).sum();
                let p = (1.5 * a.at(k)).exp() / sum;
                if log { p.ln() } else { p }
            });
            let softmax = Softmax { axis, beta: 1.5, log };
            suite.real(&format!("{axis}_{log}"), op(softmax), vec![i.clone()], y);
        }
        let best = |k: &[usize], sign: f64| {
            let l = line(&a, k, axis);
            let top = l.iter().map(|x| x * sign).fold(f64::NEG_INFINITY, f64::max);
            l.iter().position(|x| x * sign == top).unwrap_or(0)
        };
        let y = Array::from_fn(&a.shape, |k| f64::from(u8::from(best(k, 1.0) == k[axis])));
        suite.exact(&format!("axis_{axis}"), op(Hardmax { axis }), vec![i.clone()], y);
        for (f, sign) in [(ArgFn::Max, 1.0), (ArgFn::Min, -1.0)] {
            let mut shape = a.shape.clone();
            shape[axis] = 1;
            let y = Array::from_fn(&shape, |k| best(k, sign) as f64);
            let arg = Arg { f, axis, keep_dims: true, select_last: false, to: DType::I64 };
            suite.exact(&format!("{f:?}_{axis}").to_lowercase(), op(arg), vec![i.clone()], y);
        }
        for (exclusive, reverse) in [(false, false), (true, false), (false, true), (true, true)] {
            let y = Array::from_fn(&a.shape, |k| {
                let l = line(&a, k, axis);
                let own = k[axis];
                let counts = |j: usize| {
                    let before = if reverse { j > own } else { j < own };
                    before || (j == own && !exclusive)
                };
                (0..l.len()).filter(|j| counts(*j)).map(|j| l[j]).sum()
            });
            let name = format!("{axis}_{exclusive}_{reverse}");
            suite.real(&name, op(CumSum { axis, exclusive, reverse }), vec![i.clone()], y);
        }
        for largest in [true, false] {
            let mut shape = a.shape.clone();
            shape[axis] = 2;
            let ranked = |k: &[usize]| {
                let l = line(&a, k, axis);
                let mut order: Vec<usize> = (0..l.len()).collect();
                order.sort_by(|p, q| {
                    if largest { l[*q].total_cmp(&l[*p]) } else { l[*p].total_cmp(&l[*q]) }
                });
                (order[k[axis]], l[order[k[axis]]])
            };
            // The line through an index does not depend on its place along the axis.
            let own = |k: &[usize]| ranked(k);
            let values = Array::from_fn(&shape, |k| own(k).1);
            let places = Array::from_fn(&shape, |k| own(k).0 as f64);
            let top = TopK { k: 2, axis, largest, to: DType::I64 };
            let exact = |value| Expected { value, tolerance: [0.0, 0.0] };
            let name = format!("{axis}_{largest}");
            suite.with(&name, op(top), vec![i.clone()], vec![exact(values), exact(places)]);
        }
        for p in [1, 2] {
            let y = Array::from_fn(&a.shape, |k| {
                let sum: f64 = line(&a, k, axis).iter().map(|x| x.abs().powi(p as i32)).sum();
                a.at(k) / sum.powf(1.0 / f64::from(p))
            });
            let normalize = LpNormalize { axis, p, epsilon: 0.0 };
            suite.real(&format!("{axis}_{p}"), op(normalize), vec![i.clone()], y);
        }
    }
    let tied =
        Tensor::from_vec([4], vec![1.0_f32, 3.0, 3.0, 0.0]).unwrap_or_else(|e| panic!("{e}"));
    for (select_last, wanted) in [(false, 1.0), (true, 2.0)] {
        let arg = Arg { f: ArgFn::Max, axis: 0, keep_dims: false, select_last, to: DType::I32 };
        let y = Array { shape: vec![], data: vec![wanted] };
        suite.exact(&format!("tie_{select_last}"), op(arg), vec![Operand::input(tied.clone())], y);
    }
    normalizations(suite);
    boxes(suite);
}

fn reduces(suite: &mut Suite) {
    use ReduceFn as F;
    let positive = |o: Operand| Operand::input(o.real().map(|x| x + 1.5).tensor(DType::F32));
    for f in [
        F::Mean,
        F::Sum,
        F::Prod,
        F::Max,
        F::Min,
        F::L1,
        F::L2,
        F::LogSum,
        F::LogSumExp,
        F::SumSquare,
    ] {
        for (axes, keep_dims) in [(vec![1], true), (vec![0, 2], false), (vec![0, 1, 2], false)] {
            let i = x(61, &[3, 4, 2]);
            let i = if f == F::LogSum { positive(i) } else { i };
            let a = i.real();
            let kept: Vec<usize> = (0..3).filter(|k| !axes.contains(k)).collect();
            let shape: Vec<usize> = if keep_dims {
                (0..3).map(|k| if axes.contains(&k) { 1 } else { a.shape[k] }).collect()
            } else {
                kept.iter().map(|k| a.shape[*k]).collect()
            };
            let y = Array::from_fn(&shape, |k| {
                let mut seen = Vec::new();
                let _ = Array::from_fn(&a.shape, |full| {
                    let own = |axis: usize| {
                        if keep_dims {
                            k[axis]
                        } else {
                            k[kept.iter().position(|q| *q == axis).unwrap_or(0)]
                        }
                    };
                    if kept.iter().all(|axis| full[*axis] == own(*axis)) {
                        seen.push(a.at(full));
                    }
                    0.0
                });
                let sum = |g: fn(f64) -> f64| seen.iter().map(|x| g(*x)).sum::<f64>();
                match f {
                    F::Mean => sum(|x| x) / seen.len() as f64,
                    F::Sum => sum(|x| x),
                    F::Prod => seen.iter().product(),
                    F::Max => seen.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                    F::Min => seen.iter().copied().fold(f64::INFINITY, f64::min),
                    F::L1 => sum(f64::abs),
                    F::L2 => sum(|x| x * x).sqrt(),
                    F::LogSum => sum(|x| x).ln(),
                    F::LogSumExp => sum(f64::exp).ln(),
                    _ => sum(|x| x * x),
                }
            });
            let name = format!("{f:?}_{}", axes.len()).to_lowercase();
            suite.real(&name, op(Reduce { f, axes, keep_dims }), vec![i], y);
        }
    }
    let flags = Tensor::from_vec([2, 3], vec![1_u8, 0, 1, 1, 1, 1])
        .and_then(|t| t.reinterpret(DType::Bool));
    let flags = Operand::input(flags.unwrap_or_else(|e| panic!("{e}")));
    let y = |a: f64, b: f64| Array { shape: vec![2], data: vec![a, b] };
    let along = |f| Reduce { f, axes: vec![1], keep_dims: false };
    suite.exact("all", op(along(F::All)), vec![flags.clone()], y(0.0, 1.0));
    suite.exact("any", op(along(F::Any)), vec![flags], y(1.0, 1.0));
}

fn normalizations(suite: &mut Suite) {
    let i = x(62, &[2, 3, 4, 6]);
    let a = i.real();
    for (name, axes, groups) in
        [("layer", vec![3], 1), ("instance", vec![1, 2], 1), ("group", vec![1, 2, 3], 3)]
    {
        let (scale, bias) = (x(63, &[6]), x(64, &[6]));
        let (s, b) = (scale.real(), bias.real());
        let y = Array::from_fn(&a.shape, |k| {
            let mut seen = Vec::new();
            let _ = Array::from_fn(&a.shape, |other| {
                let same = (0..4).all(|axis| {
                    if axis == 3 && groups > 1 {
                        return other[3] / (6 / groups) == k[3] / (6 / groups);
                    }
                    axes.contains(&axis) || other[axis] == k[axis]
                });
                if same {
                    seen.push(a.at(other));
                }
                0.0
            });
            let n = seen.len() as f64;
            let mean = seen.iter().sum::<f64>() / n;
            let variance = seen.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
            (a.at(k) - mean) / (variance + 1e-3).sqrt() * s.at(&k[3..]) + b.at(&k[3..])
        });
        let normalize = Normalize { axes, groups, epsilon: 1e-3 };
        suite.real(name, op(normalize), vec![i.clone(), scale, bias], y);
    }
}

fn boxes(suite: &mut Suite) {
    let t = |shape: [usize; 3], v: Vec<f32>| {
        Operand::input(Tensor::from_vec(shape, v).unwrap_or_else(|e| panic!("{e}")))
    };
    // The second box overlaps the first, the third stands alone, the fourth scores too low.
    let corners =
        vec![0.0, 0.0, 1.0, 1.0, 0.0, 0.1, 1.0, 1.1, 0.0, 10.0, 1.0, 11.0, 5.0, 5.0, 6.0, 6.0];
    let scores = t([1, 1, 4], vec![0.9, 0.75, 0.95, 0.1]);
    let op_of = |max_per_class, center_boxes| NonMaxSuppression {
        max_per_class,
        iou_threshold: 0.5,
        score_threshold: 0.3,
        center_boxes,
        count: "picked".into(),
    };
    let rows = |v: &[f64]| Array {
        shape: vec![v.len(), 3],
        data: v.iter().flat_map(|b| [0.0, 0.0, *b]).collect(),
    };
    let operands = vec![t([1, 4, 4], corners), scores.clone()];
    suite.exact("corners", op(op_of(5, false)), operands.clone(), rows(&[2.0, 0.0]));
    suite.exact("limited", op(op_of(1, false)), operands, rows(&[2.0]));
    let centers =
        vec![0.5, 0.5, 1.0, 1.0, 0.6, 0.5, 1.0, 1.0, 10.5, 0.5, 1.0, 1.0, 5.5, 5.5, 1.0, 1.0];
    let operands = vec![t([1, 4, 4], centers), scores];
    suite.exact("centers", op(op_of(5, true)), operands, rows(&[2.0, 0.0]));
}
