//! Convolutions of one, two and three axes, forward and transposed.

use super::{Entry, Outcome, channels_first, channels_last};
use crate::cx::{Cx, Step};
use crate::reject::Reject;
use paring_ir::ValueId;
use paring_ir::ops::{
    Activation, AutoPad, Binary, BinaryFn, Conv2d, ConvTranspose2d, Pad, PadMode, Padding, Slice,
};

pub(super) const ENTRIES: &[Entry] =
    &[Entry::new("Conv", conv), Entry::new("ConvTranspose", conv_transpose)];

/// What convolutions and pools say about their window, an entry for each spatial axis.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) kernel: Vec<usize>,
    pub(super) stride: Vec<usize>,
    pub(super) dilation: Vec<usize>,
    pub(super) pad: WindowPad,
}

/// Padding of a window.
#[derive(Clone, Debug)]
pub(super) enum WindowPad {
    Auto(AutoPad),
    /// Before and after each axis.
    Explicit(Vec<[usize; 2]>),
}

/// A list of positive numbers, one for each spatial axis.
fn per_axis(
    cx: &Cx<'_, '_>,
    name: &str,
    axes: usize,
    default: Option<usize>,
) -> Result<Vec<usize>, Reject> {
    let list = match (cx.ints(name)?, default) {
        (Some(list), _) => list.to_vec(),
        (None, Some(n)) => vec![n as i64; axes],
        (None, None) => {
            return Err(Reject::malformed(format!("attribute `{name}` is missing")));
        }
    };
    let fail =
        || Reject::malformed(format!("attribute `{name}` is {list:?} for {axes} spatial axes"));
    if list.len() != axes {
        return Err(fail());
    }
    list.iter().map(|&n| usize::try_from(n).ok().filter(|n| *n > 0).ok_or_else(fail)).collect()
}

impl Window {
    /// From the attributes; `kernel` is what the weights say, if there are any.
    pub(super) fn read(
        cx: &Cx<'_, '_>,
        axes: usize,
        kernel: Option<&[usize]>,
    ) -> Result<Self, Reject> {
        let kernel = match kernel {
            Some(k) => {
                let stated = cx.ints("kernel_shape")?;
                let fits = stated.is_none_or(|s| {
                    s.iter().eq(k.iter().map(|n| *n as i64).collect::<Vec<_>>().iter())
                });
                if !fits {
                    let why = format!("kernel_shape {stated:?} but weights of {k:?}");
                    return Err(Reject::malformed(why));
                }
                k.to_vec()
            }
            None => per_axis(cx, "kernel_shape", axes, None)?,
        };
        let stride = per_axis(cx, "strides", axes, Some(1))?;
        let dilation = per_axis(cx, "dilations", axes, Some(1))?;
        let pad = match cx.text("auto_pad", "NOTSET")? {
            "SAME_UPPER" => WindowPad::Auto(AutoPad::Same),
            "SAME_LOWER" => WindowPad::Auto(AutoPad::SameLower),
            "VALID" => WindowPad::Auto(AutoPad::Valid),
            "NOTSET" | "" => WindowPad::Explicit(pads(cx, axes)?),
            other => return Err(Reject::malformed(format!("auto_pad `{other}`"))),
        };
        Ok(Self { kernel, stride, dilation, pad })
    }

    /// As a window over height and width; one axis becomes the width.
    pub(super) fn plane(&self) -> ([usize; 2], [usize; 2], [usize; 2], Padding) {
        let two = |list: &[usize]| match list {
            [w] => [1, *w],
            [h, w] => [*h, *w],
            _ => [1, 1],
        };
        let pad = match &self.pad {
            WindowPad::Auto(rule) => Padding::Auto(*rule),
            WindowPad::Explicit(pads) => {
                let pads = match pads.as_slice() {
                    [w] => [0, w[0], 0, w[1]],
                    [h, w] => [h[0], w[0], h[1], w[1]],
                    _ => [0; 4],
                };
                if pads == [0; 4] { Padding::VALID } else { Padding::Explicit(pads) }
            }
        };
        (two(&self.kernel), two(&self.stride), two(&self.dilation), pad)
    }

    /// The window over the last two of three axes, and over the first.
    pub(super) fn split(&self) -> (Self, Self) {
        let part = |range: std::ops::Range<usize>| Self {
            kernel: self.kernel[range.clone()].to_vec(),
            stride: self.stride[range.clone()].to_vec(),
            dilation: self.dilation[range.clone()].to_vec(),
            pad: match &self.pad {
                WindowPad::Auto(rule) => WindowPad::Auto(*rule),
                WindowPad::Explicit(p) => WindowPad::Explicit(p[range].to_vec()),
            },
        };
        (part(1..3), part(0..1))
    }

    /// Padding of an axis, before and after, for an input of this extent.
    pub(super) fn resolved(&self, axis: usize, extent: usize) -> Result<[usize; 2], Reject> {
        match &self.pad {
            WindowPad::Explicit(p) => Ok(p[axis]),
            WindowPad::Auto(rule) => {
                let span = (self.kernel[axis] - 1)
                    .checked_mul(self.dilation[axis])
                    .ok_or_else(|| Reject::malformed("the dilated kernel is too large"))?
                    .saturating_add(1);
                let [before, _, after, _] =
                    Padding::Auto(*rule).resolve([extent, 1], [span, 1], [self.stride[axis], 1]);
                Ok([before, after])
            }
        }
    }
}

/// The attribute `pads`: all starts, then all ends.
fn pads(cx: &Cx<'_, '_>, axes: usize) -> Result<Vec<[usize; 2]>, Reject> {
    let Some(list) = cx.ints("pads")? else { return Ok(vec![[0; 2]; axes]) };
    if list.len() != 2 * axes {
        let why = format!("attribute `pads` is {list:?} for {axes} spatial axes");
        return Err(Reject::malformed(why));
    }
    let number = |n: i64| {
        usize::try_from(n).map_err(|_| Reject::unsupported(format!("negative padding {n}")))
    };
    (0..axes).map(|i| Ok([number(list[i])?, number(list[i + axes])?])).collect()
}

/// An image of one or two spatial axes as `[N,H,W,C]`.
pub(super) fn to_plane(cx: &mut Cx<'_, '_>, x: ValueId) -> Result<ValueId, Reject> {
    let rank = cx.shape(x)?.len();
    let y = cx.transpose(x, &channels_last(rank))?;
    match cx.shape(y)?[..] {
        [n, w, c] => cx.reshape(y, &[n, 1, w, c]),
        _ => Ok(y),
    }
}

/// The inverse of [`to_plane`] for an image that had `rank` axes.
pub(super) fn from_plane(cx: &mut Cx<'_, '_>, y: ValueId, rank: usize) -> Result<ValueId, Reject> {
    let y = match (cx.shape(y)?[..].to_vec().as_slice(), rank) {
        ([n, 1, w, c], 3) => cx.reshape(y, &[*n, *w, *c])?,
        _ => y,
    };
    cx.transpose(y, &channels_first(rank))
}

/// The number of groups.
fn groups(cx: &Cx<'_, '_>) -> Result<usize, Reject> {
    let group = cx.int("group", 1)?;
    usize::try_from(group)
        .ok()
        .filter(|g| *g > 0)
        .ok_or_else(|| Reject::malformed(format!("group {group}")))
}

/// The rank of the input and the extents of the weights, which have the same rank.
fn ranks(cx: &Cx<'_, '_>) -> Result<(Vec<usize>, Vec<usize>), Reject> {
    let (x, w) = (cx.input_shape(0)?, cx.input_shape(1)?);
    if x.len() != w.len() || x.len() < 3 {
        return Err(Reject::malformed(format!("weights {w:?} for an input of {x:?}")));
    }
    if x.len() > 5 {
        return Err(Reject::unsupported(format!("{} spatial axes", x.len() - 2)));
    }
    if w.contains(&0) {
        return Err(Reject::malformed(format!("weights of {w:?}")));
    }
    Ok((x, w))
}

pub(super) fn conv(cx: &mut Cx<'_, '_>) -> Outcome {
    let (shape, w) = ranks(cx)?;
    let rank = shape.len();
    let window = Window::read(cx, rank - 2, Some(&w[2..]))?;
    let groups = groups(cx)?;
    if rank == 5 {
        return conv3d(cx, &shape, &w, &window, groups);
    }
    let filters = match w[..] {
        [o, i, k] => vec![Step::Shape(vec![o, i, 1, k]), Step::Order(vec![0, 2, 3, 1])],
        _ => vec![Step::Order(vec![0, 2, 3, 1])],
    };
    let x = cx.input(0)?;
    let x = to_plane(cx, x)?;
    let mut operands = vec![x, cx.rearranged(1, &filters)?];
    operands.extend(cx.opt_input(2)?);
    let (_, stride, dilation, pad) = window.plane();
    let op = Conv2d { stride, pad, dilation, groups, activation: Activation::None };
    let y = cx.emit(op, &operands)?;
    let y = from_plane(cx, y, rank)?;
    cx.set(0, y);
    Ok(())
}

/// `start`, `start + step`, ... of an axis.
fn every(
    cx: &mut Cx<'_, '_>,
    x: ValueId,
    axis: usize,
    start: usize,
    len: usize,
    step: usize,
) -> Result<ValueId, Reject> {
    let mut shape = cx.shape(x)?;
    let mut from = vec![0; shape.len()];
    let mut steps = vec![1; shape.len()];
    (from[axis], shape[axis]) = (start, len);
    steps[axis] = i64::try_from(step).unwrap_or(i64::MAX);
    cx.aux(Slice { start: from, len: shape, step: steps }, &[x])
}

/// Zeros before and after an axis.
fn zeros(
    cx: &mut Cx<'_, '_>,
    x: ValueId,
    axis: usize,
    [before, after]: [usize; 2],
) -> Result<ValueId, Reject> {
    if (before, after) == (0, 0) {
        return Ok(x);
    }
    let mut pads = vec![[0; 2]; cx.shape(x)?.len()];
    let number = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
    pads[axis] = [number(before), number(after)];
    cx.aux(Pad { pads, mode: PadMode::Constant(0.0) }, &[x])
}

/// Each tap along the depth becomes a convolution of its own.
fn deep_taps(taps: usize) -> Result<(), Reject> {
    if taps > 1024 {
        return Err(Reject::unsupported(format!("a kernel of {taps} taps along the depth")));
    }
    Ok(())
}

/// The sum over the taps of the depth axis of two-dimensional convolutions.
fn conv3d(
    cx: &mut Cx<'_, '_>,
    shape: &[usize],
    w: &[usize],
    window: &Window,
    groups: usize,
) -> Outcome {
    let &[n, _, depth, _, _] = shape else {
        return Err(Reject::malformed("an input without depth"));
    };
    let (plane, deep) = window.split();
    let pad = deep.resolved(0, depth)?;
    let x = cx.input(0)?;
    let x = cx.transpose(x, &channels_last(5))?;
    let x = zeros(cx, x, 1, pad)?;
    let padded = cx.shape(x)?;
    let (taps, step, apart) = (deep.kernel[0], deep.stride[0], deep.dilation[0]);
    let span = (taps - 1).checked_mul(apart).and_then(|n| n.checked_add(1));
    let out = span
        .and_then(|s| padded[1].checked_sub(s))
        .map(|room| room / step + 1)
        .ok_or_else(|| Reject::malformed("the kernel is deeper than the padded input"))?;
    let bias = cx.opt_input(2)?;
    let (_, stride, dilation, pad) = plane.plane();
    deep_taps(taps)?;
    let mut sum = None;
    // [O,I,KD,KH,KW] to [KD,O,KH,KW,I]
    let weights = cx.rearranged(1, &[Step::Order(vec![2, 0, 3, 4, 1])])?;
    for tap in 0..taps {
        let part = every(cx, x, 1, tap * apart, out, step)?;
        let part = cx.reshape(part, &[n * out, padded[2], padded[3], padded[4]])?;
        let filter = every(cx, weights, 0, tap, 1, 1)?;
        let filter = cx.reshape(filter, &[w[0], w[3], w[4], w[1]])?;
        let mut operands = vec![part, filter];
        operands.extend(bias.filter(|_| tap == 0));
        let op = Conv2d { stride, pad, dilation, groups, activation: Activation::None };
        let y = cx.emit(op, &operands)?;
        sum = Some(match sum {
            None => y,
            Some(sum) => cx.aux(Binary::new(BinaryFn::Add), &[sum, y])?,
        });
    }
    let Some(y) = sum else { return Err(Reject::malformed("a kernel without taps")) };
    let &[_, h, w, o] = cx.shape(y)?.as_slice() else {
        return Err(Reject::malformed("no image"));
    };
    let y = cx.reshape(y, &[n, out, h, w, o])?;
    let y = cx.transpose(y, &channels_first(5))?;
    cx.set(0, y);
    Ok(())
}

/// Padding and output padding of a transposed convolution, for each axis.
fn transposed_pads(
    cx: &Cx<'_, '_>,
    input: &[usize],
    window: &Window,
) -> Result<(Vec<[usize; 2]>, Vec<usize>), Reject> {
    let axes = input.len();
    let list = |name: &str| -> Result<Option<Vec<usize>>, Reject> {
        let Some(l) = cx.ints(name)? else { return Ok(None) };
        let numbers: Option<Vec<usize>> = l.iter().map(|n| usize::try_from(*n).ok()).collect();
        numbers
            .filter(|n| n.len() == axes || n.len() == axes + 2)
            .map(|n| Some(n[n.len() - axes..].to_vec()))
            .ok_or_else(|| Reject::malformed(format!("attribute `{name}` is {l:?}")))
    };
    let mut extra = list("output_padding")?.unwrap_or_else(|| vec![0; axes]);
    let rule = match &window.pad {
        WindowPad::Auto(rule) => Some(*rule),
        WindowPad::Explicit(_) => None,
    };
    let same = matches!(rule, Some(AutoPad::Same | AutoPad::SameLower));
    let wanted = match list("output_shape")? {
        Some(shape) => Some(shape),
        None if same => {
            Some(input.iter().zip(&window.stride).map(|(n, s)| n.saturating_mul(*s)).collect())
        }
        None => None,
    };
    let Some(wanted) = wanted else {
        let pads = match &window.pad {
            WindowPad::Explicit(p) => p.clone(),
            WindowPad::Auto(_) => vec![[0; 2]; axes],
        };
        return Ok((pads, extra));
    };
    let mut pads = Vec::with_capacity(axes);
    for i in 0..axes {
        let full = || {
            let span = (window.kernel[i] - 1).checked_mul(window.dilation[i])?.checked_add(1)?;
            let steps = input[i].checked_sub(1)?.checked_mul(window.stride[i])?;
            steps.checked_add(span)?.checked_add(extra[i])
        };
        let full = full().ok_or_else(|| Reject::malformed("an output that is too large"))?;
        let total = full.saturating_sub(wanted[i]);
        extra[i] += wanted[i].saturating_sub(full);
        let half = total / 2;
        pads.push(match rule {
            Some(AutoPad::Same) => [half, total - half],
            _ => [total - half, half],
        });
    }
    Ok((pads, extra))
}

fn conv_transpose(cx: &mut Cx<'_, '_>) -> Outcome {
    let (shape, w) = ranks(cx)?;
    let rank = shape.len();
    let window = Window::read(cx, rank - 2, Some(&w[2..]))?;
    let groups = groups(cx)?;
    let (pads, extra) = transposed_pads(cx, &shape[2..], &window)?;
    let (c, per_group) = (w[0], w[1]);
    if c % groups != 0 {
        return Err(Reject::malformed(format!("{groups} groups of {c} input channels")));
    }
    let outputs = per_group
        .checked_mul(groups)
        .ok_or_else(|| Reject::malformed("too many output channels"))?;
    // [G * C, O, ...] to [G, C, O, ...], to [G, O, ..., C], to [G * O, ..., C]
    let mut apart = vec![groups, c / groups, per_group];
    apart.extend(&w[2..]);
    let mut order = vec![0, 2];
    order.extend(3..apart.len());
    order.push(1);
    let mut together = vec![outputs];
    if rank == 3 {
        together.push(1);
    }
    together.extend(&w[2..]);
    together.push(c / groups);
    let steps = [Step::Shape(apart), Step::Order(order), Step::Shape(together)];
    let weights = cx.rearranged(1, &steps)?;
    let bias = cx.opt_input(2)?;
    let x = cx.input(0)?;
    if rank == 5 {
        return conv_transpose3d(cx, x, weights, bias, &window, &pads, &extra, groups);
    }
    let x = to_plane(cx, x)?;
    let op = transposed(&window, &pads, &extra, groups);
    let mut operands = vec![x, weights];
    operands.extend(bias);
    let y = cx.emit(op, &operands)?;
    let y = from_plane(cx, y, rank)?;
    cx.set(0, y);
    Ok(())
}

/// The op for one or two axes.
fn transposed(
    window: &Window,
    pads: &[[usize; 2]],
    extra: &[usize],
    groups: usize,
) -> ConvTranspose2d {
    let (_, stride, dilation, _) = window.plane();
    let (pad, output_padding) = match (pads, extra) {
        ([h, w], [y, x]) => ([h[0], w[0], h[1], w[1]], [*y, *x]),
        ([w], [x]) => ([0, w[0], 0, w[1]], [0, *x]),
        _ => ([0; 4], [0; 2]),
    };
    ConvTranspose2d { stride, pad, output_padding, dilation, groups, activation: Activation::None }
}

/// The sum over the taps of the depth axis of two-dimensional transposed convolutions, each put at its
/// place along the depth.
fn conv_transpose3d(
    cx: &mut Cx<'_, '_>,
    x: ValueId,
    weights: ValueId,
    bias: Option<ValueId>,
    window: &Window,
    pads: &[[usize; 2]],
    extra: &[usize],
    groups: usize,
) -> Outcome {
    let x = cx.transpose(x, &channels_last(5))?;
    let (&[n, depth, h, w, c], &[o, taps, kh, kw, i]) =
        (cx.shape(x)?.as_slice(), cx.shape(weights)?.as_slice())
    else {
        return Err(Reject::malformed("an input without depth"));
    };
    let (plane, deep) = window.split();
    let (step, apart) = (deep.stride[0], deep.dilation[0]);
    let flat = cx.reshape(x, &[n * depth, h, w, c])?;
    deep_taps(taps)?;
    let last = (taps - 1).saturating_mul(apart);
    let op = transposed(&plane, &pads[1..], &extra[1..], groups);
    let mut sum = None;
    for tap in 0..taps {
        let filter = every(cx, weights, 1, tap, 1, 1)?;
        let filter = cx.reshape(filter, &[o, kh, kw, i])?;
        let y = cx.emit(op.clone(), &[flat, filter])?;
        let &[_, oh, ow, _] = cx.shape(y)?.as_slice() else {
            return Err(Reject::malformed("no image"));
        };
        let area = oh * ow * o;
        // Each plane is followed by step - 1 planes of zeros, but for the last.
        let y = cx.reshape(y, &[n, depth, 1, area])?;
        let y = zeros(cx, y, 2, [0, step - 1])?;
        let y = cx.reshape(y, &[n, depth * step, area])?;
        let y = every(cx, y, 1, 0, (depth - 1) * step + 1, 1)?;
        let y = zeros(cx, y, 1, [tap * apart, last - tap * apart + extra[0]])?;
        let long = cx.shape(y)?[1];
        let y = cx.reshape(y, &[n, long, oh, ow, o])?;
        sum = Some(match sum {
            None => y,
            Some(sum) => cx.aux(Binary::new(BinaryFn::Add), &[sum, y])?,
        });
    }
    let Some(y) = sum else { return Err(Reject::malformed("a kernel without taps")) };
    let [before, after] = pads[0];
    let kept = cx.shape(y)?[1]
        .checked_sub(before)
        .and_then(|n| n.checked_sub(after))
        .filter(|n| *n > 0)
        .ok_or_else(|| Reject::malformed("the padding cuts everything off"))?;
    let y = every(cx, y, 1, before, kept, 1)?;
    let y = match bias {
        Some(b) => cx.aux(Binary::new(BinaryFn::Add), &[y, b])?,
        None => y,
    };
    let y = cx.transpose(y, &channels_first(5))?;
    cx.set(0, y);
    Ok(())
}
