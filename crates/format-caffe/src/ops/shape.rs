//! Layers that move elements.

use crate::layer::{Layer, Outputs, Reject, axis, number, switch};
use paring_ir::ops::{Arg, ArgFn, Cast, Concat, Slice};
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
    let (have, known): (usize, usize) = (shape.iter().product(), new.iter().product());
    if let Some(i) = hole {
        if known == 0 || have % known != 0 {
            return Err(Reject::Malformed(format!("{shape:?} does not reshape to {stated:?}")));
        }
        new[i] = have / known;
    }
    Ok(vec![layer.reshape(x, &new)?])
}

pub(super) fn arg_max(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("argmax_param");
    let top: usize = number(text, "top_k", 1)?;
    if top != 1 || switch(text, "out_max_val", false) || text.word("axis").is_none() {
        return Err(Reject::Unsupported("other than one index along a stated axis".to_owned()));
    }
    let x = layer.bottom()?;
    let axis = axis(text, "axis", 1, layer.shape(x).len())?;
    let op = Arg { f: ArgFn::Max, axis, keep_dims: true, select_last: false, to: DType::I64 };
    let y = layer.emit(op, &[x])?;
    Ok(vec![layer.aux(Cast { to: DType::F32 }, &[y])?])
}
