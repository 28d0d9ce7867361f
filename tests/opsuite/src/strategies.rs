//! Random cases for `proptest`: geometry is drawn, elements come from a seed.

use crate::images::convolve;
use crate::{Array, Case, Expected, c, op, x};
use paring_ir::ops::{Activation, Binary, BinaryFn, Conv2d, Padding};
use proptest::prelude::*;

/// Convolutions of any small geometry, grouped and depthwise too.
pub fn conv2d() -> impl Strategy<Value = Case> {
    let pairs = (1_usize..4, 1_usize..4);
    (
        pairs.clone(),
        pairs.clone(),
        pairs,
        0_usize..9,
        0_usize..9,
        1_usize..4,
        1_usize..4,
        1_usize..4,
        any::<u64>(),
    )
        .prop_map(
            |((kh, kw), (sh, sw), (dh, dw), extra_h, extra_w, groups, depth, per_group, seed)| {
                let window = [(kh - 1) * dh + 1, (kw - 1) * dw + 1];
                let size = [window[0] + extra_h, window[1] + extra_w];
                let pad = [kh / 2, kw / 2, kh - 1 - kh / 2, kw - 1 - kw / 2];
                let conv = Conv2d {
                    stride: [sh, sw],
                    pad: Padding::Explicit(pad),
                    dilation: [dh, dw],
                    groups,
                    activation: Activation::None,
                };
                let out = [0, 1]
                    .map(|i| (size[i] + pad[i] + pad[i + 2] - window[i]) / conv.stride[i] + 1);
                let filters = groups * per_group;
                let (i, w) = (
                    x(seed, &[1, size[0], size[1], groups * depth]),
                    c(seed ^ 1, &[filters, kh, kw, depth]),
                );
                let b = c(seed ^ 2, &[filters]);
                let y =
                    convolve(&i.real(), &w.real(), Some(&b.real()), &conv, [pad[0], pad[1]], out);
                case("drawn", op(conv), vec![i, w, b], y)
            },
        )
}

/// Sums of operands whose shapes broadcast.
pub fn broadcast() -> impl Strategy<Value = Case> {
    let axis = (1_usize..5, any::<[bool; 2]>());
    (proptest::collection::vec(axis, 0..5), 0_usize..3, any::<u64>()).prop_map(
        |(axes, cut, seed)| {
            let out: Vec<usize> = axes.iter().map(|a| a.0).collect();
            let own = |which: usize| -> Vec<usize> {
                let other = 1 - which;
                axes.iter().map(|(n, one)| if one[which] && !one[other] { 1 } else { *n }).collect()
            };
            // Leading axes of the second operand that are 1 may be left out.
            let mut second = own(1);
            let ones = second.iter().take_while(|n| **n == 1).count().min(cut);
            second.drain(..ones);
            let (a, b) = (x(seed, &own(0)), x(seed ^ 1, &second));
            let (ra, rb) = (a.real(), b.real());
            let y = Array::from_fn(&out, |i| ra.broadcast(i) + rb.broadcast(i));
            case("drawn", op(Binary::new(BinaryFn::Add)), vec![a, b], y)
        },
    )
}

fn case(name: &str, op: paring_ir::OpRef, operands: Vec<crate::Operand>, value: Array) -> Case {
    let expected = vec![Expected { value, tolerance: [1e-5, 1e-5] }];
    Case::new(name, op, operands, expected).unwrap_or_else(|e| panic!("{e}"))
}
