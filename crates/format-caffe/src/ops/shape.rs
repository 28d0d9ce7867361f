//! Layers that move elements.

use crate::layer::{Layer, Outputs, Reject, axis, number, switch};
use paring_ir::ops::{
    Arg, ArgFn, Binary, BinaryFn, Cast, Concat, Reduce, ReduceFn, Slice, Tile, TopK, Transpose,
};
use paring_tensor::DType;

pub(super) fn pass(layer: &mut Layer<'_>) -> Outputs {
    Ok(vec![layer.bottom()?])
}

pub(super) fn split(layer: &mut Layer<'_>) -> Outputs {
    Ok(vec![layer.bottom()?; layer.tops])
}

pub(super) fn concat(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("concat_param");
    let bottoms = layer.bottoms.clone();
    let rank = layer.shape(layer.bottom()?).len();
    let default = number(text, "concat_dim", 1)?;
    let axis = axis(text, "axis", default, rank)?;
    if let [only] = bottoms.as_slice() {
        return Ok(vec![*only]);
    }
    Ok(vec![layer.emit(Concat { axis }, &bottoms)?])
}

pub(super) fn slice(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("slice_param");
    let x = layer.bottom()?;
    let shape = layer.shape(x);
    let default = number(text, "slice_dim", 1)?;
    let axis = axis(text, "axis", default, shape.len())?;
    let mut points: Vec<usize> = text
        .words("slice_point")
        .map(|w| w.parse().map_err(|_| Reject::Malformed(format!("`slice_point: {w}`"))))
        .collect::<Result<_, _>>()?;
    if points.is_empty() && layer.tops > 0 {
        if !shape[axis].is_multiple_of(layer.tops) {
            return Err(Reject::Malformed(format!("{} parts of {}", layer.tops, shape[axis])));
        }
        let each = shape[axis] / layer.tops;
        points = (1..layer.tops).map(|i| i * each).collect();
    }
    points.push(shape[axis]);
    if points.len() != layer.tops {
        return Err(Reject::Malformed(format!("{} points for {} tops", points.len(), layer.tops)));
    }
    let mut outputs = Vec::new();
    let mut from = 0;
    for to in points {
        let size = to.checked_sub(from).filter(|_| to <= shape[axis]).ok_or_else(|| {
            Reject::Malformed(format!("a point {to} in an axis of {}", shape[axis]))
        })?;
        let (mut start, mut len) = (vec![0; shape.len()], shape.clone());
        (start[axis], len[axis]) = (from, size);
        let step = vec![1; shape.len()];
        outputs.push(layer.emit(Slice { start, len, step }, &[x])?);
        from = to;
    }
    Ok(outputs)
}

pub(super) fn flatten(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("flatten_param");
    let x = layer.bottom()?;
    let shape = layer.shape(x);
    let (first, last) =
        (axis(text, "axis", 1, shape.len())?, axis(text, "end_axis", -1, shape.len())?);
    if last < first {
        return Err(Reject::Malformed(format!("axes {first} to {last}")));
    }
    let mut flat = shape[..first].to_vec();
    flat.push(shape[first..=last].iter().product());
    flat.extend(&shape[last + 1..]);
    Ok(vec![layer.reshape(x, &flat)?])
}

pub(super) fn reshape(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("reshape_param");
    let x = layer.bottom()?;
    let shape = layer.shape(x);
    let first = if text.word("axis").is_some() { axis(text, "axis", 0, shape.len())? } else { 0 };
    let count: i64 = number(text, "num_axes", -1)?;
    let end = match usize::try_from(count) {
        Ok(n) => (first + n).min(shape.len()),
        Err(_) => shape.len(),
    };
    let stated: Vec<i64> = text
        .message("shape")
        .map(|s| s.words("dim").map(|w| w.parse().unwrap_or(-2)).collect())
        .unwrap_or_default();
    let mut new = shape[..first].to_vec();
    let mut hole = None;
    for (i, n) in stated.iter().enumerate() {
        match n {
            0 => new.push(
                *shape
                    .get(first + i)
                    .ok_or_else(|| Reject::Malformed(format!("axis {} of {shape:?}", first + i)))?,
            ),
            -1 if hole.is_none() => {
                hole = Some(new.len());
                new.push(1);
            }
            n => new.push(
                usize::try_from(*n)
                    .map_err(|_| Reject::Malformed(format!("extents {stated:?}")))?,
            ),
        }
    }
    new.extend(&shape[end..]);
    let have: usize = shape.iter().product();
    let known = new.iter().try_fold(1_usize, |n, d| n.checked_mul(*d));
    let known = known
        .ok_or_else(|| Reject::Malformed(format!("{shape:?} does not reshape to {stated:?}")))?;
    if let Some(i) = hole {
        if known == 0 || !have.is_multiple_of(known) {
            return Err(Reject::Malformed(format!("{shape:?} does not reshape to {stated:?}")));
        }
        new[i] = have / known;
    }
    Ok(vec![layer.reshape(x, &new)?])
}

/// The index of the largest element along an axis, or of a whole sample; the value, or both, if asked
/// for.
pub(super) fn arg_max(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("argmax_param");
    let k: usize = number(text, "top_k", 1)?;
    let value = switch(text, "out_max_val", false);
    let x = layer.bottom()?;
    let shape = layer.shape(x);
    let samples = shape.first().copied().unwrap_or(1);
    let along = text.word("axis").is_some();
    let (x, axis) = match along {
        true => (x, axis(text, "axis", 1, shape.len())?),
        false => {
            let rest = shape.iter().skip(1).product();
            (layer.reshape(x, &[samples, rest])?, 1)
        }
    };
    let (values, at) = if k == 1 && !value {
        let op = Arg { f: ArgFn::Max, axis, keep_dims: true, select_last: false, to: DType::I64 };
        (None, layer.aux(op, &[x])?)
    } else {
        let both = layer.many(TopK { k, axis, largest: true, to: DType::I64 }, &[x])?;
        let [values, at] = both[..] else { return Err(Reject::Malformed("no output".to_owned())) };
        (Some(values), at)
    };
    let at = layer.emit(Cast { to: DType::F32 }, &[at])?;
    let y = match (value, along, values) {
        (false, true, _) => return Ok(vec![at]),
        (true, true, Some(values)) => return Ok(vec![values]),
        // Indices, then values, in one channel each.
        (true, false, Some(values)) => {
            let at = layer.reshape(at, &[samples, 1, k])?;
            let values = layer.reshape(values, &[samples, 1, k])?;
            layer.aux(Concat { axis: 1 }, &[at, values])?
        }
        _ => layer.reshape(at, &[samples, 1, k])?,
    };
    Ok(vec![y])
}

pub(super) fn permute(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("permute_param");
    let x = layer.bottom()?;
    let rank = layer.shape(x).len();
    let mut perm = Vec::with_capacity(rank);
    for word in text.words("order") {
        let axis = word.parse().ok().filter(|a| *a < rank && !perm.contains(a));
        perm.push(axis.ok_or_else(|| Reject::Malformed(format!("`order: {word}`")))?);
    }
    // Axes that are not stated follow in their order.
    let rest: Vec<usize> = (0..rank).filter(|a| !perm.contains(a)).collect();
    perm.extend(rest);
    Ok(vec![layer.emit(Transpose { perm }, &[x])?])
}

/// One number of all elements from an axis on.
pub(super) fn reduction(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("reduction_param");
    let x = layer.bottom()?;
    let rank = layer.shape(x).len();
    let first = match rank {
        0 => 0,
        rank => axis(text, "axis", 0, rank)?,
    };
    let f = match text.word("operation").unwrap_or("SUM") {
        "SUM" | "1" => ReduceFn::Sum,
        "ASUM" | "2" => ReduceFn::L1,
        "SUMSQ" | "3" => ReduceFn::SumSquare,
        "MEAN" | "4" => ReduceFn::Mean,
        other => return Err(Reject::Unsupported(format!("operation `{other}`"))),
    };
    let y = layer.emit(Reduce { f, axes: (first..rank).collect(), keep_dims: false }, &[x])?;
    let factor: f32 = number(text, "coeff", 1.0)?;
    if factor == 1.0 {
        return Ok(vec![y]);
    }
    let factor = layer.scalar("factor", factor)?;
    Ok(vec![layer.aux(Binary::new(BinaryFn::Mul), &[y, factor])?])
}

pub(super) fn tile(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("tile_param");
    let x = layer.bottom()?;
    let rank = layer.shape(x).len();
    let axis = axis(text, "axis", 1, rank)?;
    let mut repeats = vec![1; rank];
    repeats[axis] = number(text, "tiles", 1)?;
    Ok(vec![layer.emit(Tile { repeats }, &[x])?])
}

/// Channels in groups, taken in turn from each.
pub(super) fn shuffle(layer: &mut Layer<'_>) -> Outputs {
    let groups: usize = number(layer.parameters("shuffle_channel_param"), "group", 1)?;
    let x = layer.bottom()?;
    let &[n, c, h, w] = layer.shape(x).as_slice() else {
        return Err(Reject::Malformed("its bottom is no image".to_owned()));
    };
    if groups == 0 || !c.is_multiple_of(groups) {
        return Err(Reject::Malformed(format!("{groups} groups of {c} channels")));
    }
    let x = layer.reshape(x, &[n, groups, c / groups, h, w])?;
    let x = layer.transpose(x, &[0, 2, 1, 3, 4])?;
    Ok(vec![layer.reshape(x, &[n, c, h, w])?])
}
