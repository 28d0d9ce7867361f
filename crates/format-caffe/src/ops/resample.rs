//! Layers that change the extents of images.

use crate::layer::{Layer, Outputs, Reject, axis, number};
use crate::text::Tree;
use paring_ir::ops::{Resize, ResizeCoordinates, ResizeMethod, ResizeNearest, Slice};

/// The part of the first bottom that is as large as the second one, from an axis on.
pub(super) fn crop(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("crop_param");
    let &[x, like] = layer.bottoms.as_slice() else {
        return Err(Reject::Malformed("has not two bottoms".to_owned()));
    };
    let (shape, like) = (layer.shape(x), layer.shape(like));
    let first = axis(text, "axis", 2, shape.len())?;
    if like.len() != shape.len() {
        return Err(Reject::Malformed(format!("{shape:?} cropped to {like:?}")));
    }
    let offsets: Vec<usize> = text
        .words("offset")
        .map(|w| w.parse().map_err(|_| Reject::Malformed(format!("`offset: {w}`"))))
        .collect::<Result<_, _>>()?;
    if offsets.len() > 1 && offsets.len() != shape.len() - first {
        return Err(Reject::Malformed(format!("{} offsets", offsets.len())));
    }
    let (mut start, mut len) = (vec![0; shape.len()], shape.clone());
    for i in first..shape.len() {
        let stated = offsets.get(i - first).or_else(|| offsets.first()).copied().unwrap_or(0);
        let fits = stated.checked_add(like[i]).is_some_and(|end| end <= shape[i]);
        if !fits {
            let why = format!("{} elements from {stated} of {}", like[i], shape[i]);
            return Err(Reject::Malformed(why));
        }
        (start[i], len[i]) = (stated, like[i]);
    }
    let step = vec![1; shape.len()];
    Ok(vec![layer.emit(Slice { start, len, step }, &[x])?])
}

fn image(layer: &Layer<'_>) -> Result<[usize; 2], Reject> {
    match layer.shape(layer.bottom()?).as_slice() {
        &[_, _, h, w] => Ok([h, w]),
        shape => Err(Reject::Malformed(format!("{shape:?} is no image"))),
    }
}

fn resized(
    layer: &mut Layer<'_>,
    size: [usize; 2],
    method: ResizeMethod,
    coordinates: ResizeCoordinates,
) -> Outputs {
    let x = layer.bottom()?;
    let x = layer.image(x)?;
    let op = Resize {
        nearest: ResizeNearest::Floor,
        ..Resize::new(vec![1, 2], size.to_vec(), method, coordinates)
    };
    let y = layer.emit(op, &[x])?;
    Ok(vec![layer.planar(y)?])
}

/// Bilinear, the corners of input and output on each other.
pub(super) fn interp(layer: &mut Layer<'_>) -> Outputs {
    let text = layer.parameters("interp_param");
    if ["pad_beg", "pad_end"].iter().any(|k| text.word(k).is_some_and(|w| w != "0")) {
        return Err(Reject::Unsupported("padding or cropping first".to_owned()));
    }
    let given = image(layer)?;
    let like = layer.bottoms.get(1).map(|b| layer.shape(*b));
    let size = if let Some(&[_, _, h, w]) = like.as_deref() {
        [h, w]
    } else if text.word("height").is_some() && text.word("width").is_some() {
        [number(text, "height", 0)?, number(text, "width", 0)?]
    } else {
        let (zoom, shrink): (usize, usize) =
            (number(text, "zoom_factor", 1)?, number(text, "shrink_factor", 1)?);
        if zoom == 0 || shrink == 0 {
            return Err(Reject::Malformed("a factor of 0".to_owned()));
        }
        let shrunk = given.map(|n| n.saturating_sub(1) / shrink + 1);
        shrunk.map(|n| n.saturating_add(n.saturating_sub(1).saturating_mul(zoom - 1)))
    };
    resized(layer, size, ResizeMethod::Linear, ResizeCoordinates::AlignCorners)
}

/// Each element `scale` times along both axes.
pub(super) fn upsample(layer: &mut Layer<'_>) -> Outputs {
    if layer.bottoms.len() > 1 {
        return Err(Reject::Unsupported("places from a pool".to_owned()));
    }
    let text: &Tree = layer.parameters("upsample_param");
    let scale: usize = number(text, "scale", 2)?;
    let size = image(layer)?.map(|n| n.saturating_mul(scale));
    resized(layer, size, ResizeMethod::Nearest, ResizeCoordinates::Asymmetric)
}
