//! Convolutions, pools, and what else works on images.

use crate::{Array, Suite, c, op, x};
use paring_ir::ops::{
    Activation, AutoPad, Conv2d, ConvTranspose2d, DepthOrder, DepthToSpace, Lrn, Padding, Pool,
    PoolKind, Resize, ResizeCoordinates, ResizeMethod, ResizeNearest, SpaceToDepth,
};

/// The definition of a convolution with explicit zeros at the top and left.
pub(crate) fn convolve(
    x: &Array,
    w: &Array,
    bias: Option<&Array>,
    conv: &Conv2d,
    [top, left]: [usize; 2],
    [oh, ow]: [usize; 2],
) -> Array {
    let (filters, depth) = (w.shape[0], w.shape[3]);
    Array::from_fn(&[x.shape[0], oh, ow, filters], |i| {
        let (f, group) = (i[3], i[3] / (filters / conv.groups));
        let mut sum = bias.map_or(0.0, |b| b.at(&[f]));
        for ky in 0..w.shape[1] {
            for kx in 0..w.shape[2] {
                for k in 0..depth {
                    let y = (i[1] * conv.stride[0] + ky * conv.dilation[0]) as i64 - top as i64;
                    let x_at = (i[2] * conv.stride[1] + kx * conv.dilation[1]) as i64 - left as i64;
                    let channel = (group * depth + k) as i64;
                    sum += x.padded(&[i[0] as i64, y, x_at, channel]) * w.at(&[f, ky, kx, k]);
                }
            }
        }
        let (low, high) = conv.activation.bounds();
        sum.max(f64::from(low)).min(f64::from(high))
    })
}

fn conv(stride: [usize; 2], pad: Padding, dilation: [usize; 2], groups: usize) -> Conv2d {
    Conv2d { stride, pad, dilation, groups, activation: Activation::None }
}

pub(crate) fn add(suite: &mut Suite) {
    let explicit = |p| Padding::Explicit(p);
    for (name, image, weights, conv, pad, out) in [
        (
            "plain",
            [1, 5, 6, 3],
            [4, 3, 3, 3],
            conv([1, 1], Padding::VALID, [1, 1], 1),
            [0, 0],
            [3, 4],
        ),
        (
            "same_odd",
            [2, 5, 5, 2],
            [3, 3, 3, 2],
            conv([2, 2], Padding::SAME, [1, 1], 1),
            [1, 1],
            [3, 3],
        ),
        (
            "same_upper",
            [1, 6, 6, 2],
            [3, 3, 3, 2],
            conv([2, 2], Padding::SAME, [1, 1], 1),
            [0, 0],
            [3, 3],
        ),
        (
            "same_lower",
            [1, 6, 6, 2],
            [3, 3, 3, 2],
            conv([2, 2], Padding::Auto(AutoPad::SameLower), [1, 1], 1),
            [1, 1],
            [3, 3],
        ),
        (
            "dilated",
            [1, 9, 9, 2],
            [2, 3, 2, 2],
            conv([1, 2], explicit([2, 1, 0, 0]), [2, 3], 1),
            [2, 1],
            [7, 4],
        ),
        (
            "grouped",
            [1, 4, 4, 6],
            [4, 2, 2, 3],
            conv([1, 1], Padding::VALID, [1, 1], 2),
            [0, 0],
            [3, 3],
        ),
        (
            "depthwise",
            [1, 5, 5, 4],
            [4, 3, 3, 1],
            conv([1, 1], Padding::SAME, [1, 1], 4),
            [1, 1],
            [5, 5],
        ),
        (
            "depthwise_5x5",
            [1, 6, 9, 7],
            [7, 5, 5, 1],
            conv([1, 1], explicit([2, 2, 2, 2]), [1, 1], 7),
            [2, 2],
            [6, 9],
        ),
        (
            "depthwise_5x5_strided",
            [1, 7, 14, 6],
            [6, 5, 5, 1],
            conv([2, 2], explicit([2, 2, 2, 2]), [1, 1], 6),
            [2, 2],
            [4, 7],
        ),
        (
            "depthwise_7x7",
            [1, 9, 12, 4],
            [4, 7, 7, 1],
            conv([1, 1], explicit([3, 3, 3, 3]), [1, 1], 4),
            [3, 3],
            [9, 12],
        ),
        (
            "depthwise_dilated",
            [1, 8, 8, 5],
            [5, 3, 3, 1],
            conv([1, 1], explicit([4, 1, 4, 1]), [4, 1], 5),
            [4, 1],
            [8, 8],
        ),
        (
            "multiplier",
            [1, 5, 5, 2],
            [6, 3, 3, 1],
            conv([2, 1], Padding::VALID, [1, 1], 2),
            [0, 0],
            [2, 3],
        ),
        (
            "wide",
            [1, 3, 3, 8],
            [37, 1, 1, 8],
            conv([1, 1], Padding::VALID, [1, 1], 1),
            [0, 0],
            [3, 3],
        ),
    ] {
        let (i, w, b) = (x(1, &image), c(2, &weights), c(3, &[weights[0]]));
        let y = convolve(&i.real(), &w.real(), Some(&b.real()), &conv, pad, out);
        suite.real(name, op(conv.clone()), vec![i.clone(), w.clone(), b], y);
        let relu = Conv2d { activation: Activation::Relu, ..conv };
        let y = convolve(&i.real(), &w.real(), None, &relu, pad, out);
        suite.real(&format!("{name}_relu_without_bias"), op(relu), vec![i, w], y);
    }
    transposed(suite);
    pools(suite);
    resizes(suite);
    for order in [DepthOrder::Dcr, DepthOrder::Crd] {
        let i = x(4, &[1, 2, 3, 12]);
        let a = i.real();
        let y = Array::from_fn(&[1, 4, 6, 3], |k| {
            let (by, bx) = (k[1] % 2, k[2] % 2);
            let channel = match order {
                DepthOrder::Dcr => (by * 2 + bx) * 3 + k[3],
                DepthOrder::Crd => k[3] * 4 + by * 2 + bx,
            };
            a.at(&[0, k[1] / 2, k[2] / 2, channel])
        });
        suite.exact(&format!("{order:?}"), op(DepthToSpace { block: 2, order }), vec![i], y);
    }
    let i = x(5, &[2, 4, 6, 3]);
    let a = i.real();
    let y = Array::from_fn(&[2, 2, 3, 12], |k| {
        let (position, channel) = (k[3] / 3, k[3] % 3);
        a.at(&[k[0], k[1] * 2 + position / 2, k[2] * 2 + position % 2, channel])
    });
    suite.exact("two", op(SpaceToDepth { block: 2 }), vec![i], y);
    for size in [1, 3, 4] {
        let i = x(6, &[1, 2, 2, 7]);
        let a = i.real();
        let lrn = Lrn { size, alpha: 0.5, beta: 0.75, bias: 1.5 };
        let y = Array::from_fn(&a.shape, |k| {
            let first = k[3] as i64 - (size as i64 - 1) / 2;
            let squares: f64 = (first..first + size as i64)
                .map(|ch| a.padded(&[0, k[1] as i64, k[2] as i64, ch]).powi(2))
                .sum();
            a.at(k) / (1.5 + 0.5 / size as f64 * squares).powf(0.75)
        });
        suite.real(&format!("size_{size}"), op(lrn), vec![i], y);
    }
}

fn transposed(suite: &mut Suite) {
    let base = ConvTranspose2d {
        stride: [2, 2],
        pad: [0, 0, 0, 0],
        output_padding: [0, 0],
        dilation: [1, 1],
        groups: 1,
        activation: Activation::None,
    };
    for (name, image, weights, t) in [
        ("plain", [1, 3, 3, 2], [3, 3, 3, 2], base.clone()),
        ("cut", [1, 3, 4, 2], [3, 3, 3, 2], ConvTranspose2d { pad: [1, 0, 1, 2], ..base.clone() }),
        (
            "longer",
            [1, 2, 2, 1],
            [2, 3, 3, 1],
            ConvTranspose2d { output_padding: [1, 0], ..base.clone() },
        ),
        ("grouped", [2, 2, 3, 4], [6, 2, 2, 2], ConvTranspose2d { groups: 2, ..base.clone() }),
        (
            "dilated",
            [1, 3, 3, 1],
            [1, 2, 2, 1],
            ConvTranspose2d { dilation: [2, 3], stride: [1, 1], ..base },
        ),
    ] {
        let (i, w, b) = (x(7, &image), c(8, &weights), c(9, &[weights[0]]));
        let (a, k) = (i.real(), w.real());
        let long = |axis: usize| {
            (image[axis + 1] - 1) * t.stride[axis]
                + (weights[axis + 1] - 1) * t.dilation[axis]
                + 1
                + t.output_padding[axis]
                - t.pad[axis]
                - t.pad[axis + 2]
        };
        let (filters, depth) = (weights[0], weights[3]);
        let y = Array::from_fn(&[image[0], long(0), long(1), filters], |o| {
            let group = o[3] / (filters / t.groups);
            let mut sum = b.real().at(&[o[3]]);
            // Every input element and tap that lands here.
            for iy in 0..image[1] {
                for ix in 0..image[2] {
                    for ky in 0..weights[1] {
                        for kx in 0..weights[2] {
                            let lands = iy * t.stride[0] + ky * t.dilation[0] == o[1] + t.pad[0]
                                && ix * t.stride[1] + kx * t.dilation[1] == o[2] + t.pad[1];
                            if lands {
                                sum += (0..depth)
                                    .map(|ch| {
                                        a.at(&[o[0], iy, ix, group * depth + ch])
                                            * k.at(&[o[3], ky, kx, ch])
                                    })
                                    .sum::<f64>();
                            }
                        }
                    }
                }
            }
            sum
        });
        suite.real(name, op(t), vec![i, w, b], y);
    }
}

fn pools(suite: &mut Suite) {
    let kinds = [PoolKind::Max, PoolKind::Average, PoolKind::L2, PoolKind::Lp(3)];
    for kind in kinds {
        for (name, pad, dilation, ceil, count_include_pad, out) in [
            ("plain", [0, 0, 0, 0], [1, 1], false, false, [3, 2]),
            ("padded", [1, 1, 1, 0], [1, 1], false, false, [4, 3]),
            ("counted", [1, 1, 1, 0], [1, 1], false, true, [4, 3]),
            ("dilated", [0, 0, 0, 0], [2, 2], false, false, [2, 2]),
            ("ceil", [0, 0, 0, 0], [1, 1], true, false, [3, 3]),
        ] {
            let pool = Pool {
                kind,
                kernel: [3, 2],
                stride: [2, 2],
                pad: Padding::Explicit(pad),
                dilation,
                ceil,
                count_include_pad,
                activation: Activation::None,
            };
            let i = x(10, &[1, 7, 5, 2]);
            let a = i.real();
            let y = Array::from_fn(&[1, out[0], out[1], 2], |o| {
                let (mut seen, mut counted) = (Vec::new(), 0.0);
                for ky in 0..3 {
                    for kx in 0..2 {
                        let y = (o[1] * 2 + ky * dilation[0]) as i64 - pad[0] as i64;
                        let x = (o[2] * 2 + kx * dilation[1]) as i64 - pad[1] as i64;
                        if y < 7 + pad[2] as i64 && x < 5 + pad[3] as i64 {
                            counted += 1.0;
                        }
                        if (0..7).contains(&y) && (0..5).contains(&x) {
                            seen.push(a.at(&[0, y as usize, x as usize, o[3]]));
                        }
                    }
                }
                let n = if count_include_pad { counted } else { seen.len() as f64 };
                match kind {
                    PoolKind::Max => seen.iter().copied().fold(f64::NEG_INFINITY, f64::max),
                    PoolKind::Average => seen.iter().sum::<f64>() / n,
                    PoolKind::L2 => (seen.iter().map(|x| x * x).sum::<f64>() / n).sqrt(),
                    PoolKind::Lp(p) => seen
                        .iter()
                        .map(|x| x.abs().powi(p as i32))
                        .sum::<f64>()
                        .powf(1.0 / f64::from(p)),
                }
            });
            suite.real(&format!("{kind:?}_{name}").to_lowercase(), op(pool), vec![i], y);
        }
    }
}

fn resizes(suite: &mut Suite) {
    use ResizeCoordinates::{AlignCorners, Asymmetric, HalfPixel};
    for (coordinates, out) in [(HalfPixel, [5, 7]), (AlignCorners, [7, 3]), (Asymmetric, [6, 8])] {
        let position = |i: usize, n: usize, out: usize| match coordinates {
            AlignCorners => i as f64 * (n as f64 - 1.0) / (out as f64 - 1.0),
            Asymmetric => i as f64 * n as f64 / out as f64,
            _ => (i as f64 + 0.5) * n as f64 / out as f64 - 0.5,
        };
        let i = x(11, &[1, 3, 4, 2]);
        let a = i.real();
        let pixel = |y: i64, x: i64, ch: usize| {
            a.at(&[0, y.clamp(0, 2) as usize, x.clamp(0, 3) as usize, ch])
        };
        let y = Array::from_fn(&[1, out[0], out[1], 2], |o| {
            let (py, px) = (position(o[1], 3, out[0]), position(o[2], 4, out[1]));
            let (fy, fx) = (py - py.floor(), px - px.floor());
            let (y, x) = (py.floor() as i64, px.floor() as i64);
            let top = pixel(y, x, o[3]) * (1.0 - fx) + pixel(y, x + 1, o[3]) * fx;
            let bottom = pixel(y + 1, x, o[3]) * (1.0 - fx) + pixel(y + 1, x + 1, o[3]) * fx;
            top * (1.0 - fy) + bottom * fy
        });
        let r = Resize::new(vec![1, 2], out.to_vec(), ResizeMethod::Linear, coordinates);
        suite.real(&format!("linear_{coordinates:?}").to_lowercase(), op(r), vec![i.clone()], y);
        let y = Array::from_fn(&[1, out[0], out[1], 2], |o| {
            let (py, px) = (position(o[1], 3, out[0]), position(o[2], 4, out[1]));
            pixel((py + 1e-6).floor() as i64, (px + 1e-6).floor() as i64, o[3])
        });
        let mut r = Resize::new(vec![1, 2], out.to_vec(), ResizeMethod::Nearest, coordinates);
        r.nearest = ResizeNearest::Floor;
        suite.exact(&format!("nearest_{coordinates:?}").to_lowercase(), op(r), vec![i.clone()], y);
        let weight = |d: f64| {
            let (d, a) = (d.abs(), -0.75);
            if d <= 1.0 {
                (a + 2.0) * d.powi(3) - (a + 3.0) * d.powi(2) + 1.0
            } else if d < 2.0 {
                a * d.powi(3) - 5.0 * a * d.powi(2) + 8.0 * a * d - 4.0 * a
            } else {
                0.0
            }
        };
        let y = Array::from_fn(&[1, out[0], out[1], 2], |o| {
            let (py, px) = (position(o[1], 3, out[0]), position(o[2], 4, out[1]));
            let mut sum = 0.0;
            for y in py.floor() as i64 - 1..=py.floor() as i64 + 2 {
                for x in px.floor() as i64 - 1..=px.floor() as i64 + 2 {
                    sum += pixel(y, x, o[3]) * weight(py - y as f64) * weight(px - x as f64);
                }
            }
            sum
        });
        let r = Resize::new(vec![1, 2], out.to_vec(), ResizeMethod::Cubic, coordinates);
        suite.real(&format!("cubic_{coordinates:?}").to_lowercase(), op(r), vec![i], y);
    }
}
