//! Sampling at other positions, and blocks of pixels as channels.

use super::conv::{from_plane, to_plane};
use super::{Entry, Outcome};
use crate::cx::Cx;
use crate::reject::Reject;
use paring_ir::ops::{
    DepthOrder, DepthToSpace, Resize, ResizeCoordinates, ResizeMethod, ResizeNearest, SpaceToDepth,
};

pub(super) const ENTRIES: &[Entry] = &[
    Entry::new("Resize", resize),
    Entry::new("Upsample", upsample),
    Entry::new("DepthToSpace", depth_to_space),
    Entry::new("SpaceToDepth", space_to_depth),
];

fn method(cx: &Cx<'_, '_>) -> Result<ResizeMethod, Reject> {
    Ok(match cx.text("mode", "nearest")? {
        "nearest" => ResizeMethod::Nearest,
        "linear" | "bilinear" => ResizeMethod::Linear,
        "cubic" => ResizeMethod::Cubic,
        other => return Err(Reject::malformed(format!("mode `{other}`"))),
    })
}

/// The extent that a factor gives.
fn scaled(n: usize, factor: f32) -> Result<usize, Reject> {
    let size = (n as f64 * f64::from(factor)).floor();
    if factor > 0.0 && (0.0..1e12).contains(&size) {
        Ok(size as usize)
    } else {
        Err(Reject::malformed(format!("a factor of {factor} for an extent of {n}")))
    }
}

/// Adds the op over the axes that change. Height and width of an image are resized channels last.
fn finish(cx: &mut Cx<'_, '_>, mut op: Resize) -> Outcome {
    let shape = cx.input_shape(0)?;
    let crop = op.coordinates == ResizeCoordinates::TfCropAndResize;
    let changes: Vec<usize> = (0..op.axes.len())
        .filter(|&i| {
            let same = op.size[i] == shape[op.axes[i]];
            crop || !same || op.scale.get(i).is_some_and(|s| *s != 1.0)
        })
        .collect();
    if changes.is_empty() {
        return super::shape::identity(cx);
    }
    fn pick<T: Clone>(list: &[T], at: &[usize]) -> Vec<T> {
        if list.is_empty() { Vec::new() } else { at.iter().map(|i| list[*i].clone()).collect() }
    }
    let mut order = changes;
    order.sort_by_key(|&i| op.axes[i]);
    op.axes = pick(&op.axes, &order);
    op.size = pick(&op.size, &order);
    op.scale = pick(&op.scale, &order);
    op.roi = pick(&op.roi, &order);
    let image = matches!(shape.len(), 3 | 4) && op.axes.iter().all(|a| *a >= 2);
    let x = cx.input(0)?;
    let y = if image {
        let rank = shape.len();
        // Axes 2 and 3 are height and width, 1 and 2; of a signal, axis 2 is the width.
        op.axes = op.axes.iter().map(|a| if rank == 3 { *a } else { *a - 1 }).collect();
        let x = to_plane(cx, x)?;
        let y = cx.emit(op, &[x])?;
        from_plane(cx, y, rank)?
    } else {
        cx.emit(op, &[x])?
    };
    cx.set(0, y);
    Ok(())
}

fn factors(cx: &Cx<'_, '_>, input: usize) -> Result<Option<Vec<f32>>, Reject> {
    let scales = cx.need_const(input, "scales")?.map(|t| t.to_f32());
    Ok(scales.filter(|s| !s.is_empty()))
}

fn upsample(cx: &mut Cx<'_, '_>) -> Outcome {
    let shape = cx.input_shape(0)?;
    let scale = match cx.floats("scales")? {
        Some(s) => s.to_vec(),
        None => factors(cx, 1)?.ok_or_else(|| Reject::malformed("the scales are missing"))?,
    };
    simple(cx, &shape, scale)
}

/// The sampling of `Upsample` and of `Resize` before set 11.
fn simple(cx: &mut Cx<'_, '_>, shape: &[usize], scale: Vec<f32>) -> Outcome {
    if scale.len() != shape.len() {
        return Err(Reject::malformed(format!("scales {scale:?} for {shape:?}")));
    }
    let size =
        shape.iter().zip(&scale).map(|(n, s)| scaled(*n, *s)).collect::<Result<Vec<_>, _>>()?;
    let mut op =
        Resize::new((0..shape.len()).collect(), size, method(cx)?, ResizeCoordinates::Asymmetric);
    op.scale = scale;
    op.nearest = ResizeNearest::Floor;
    finish(cx, op)
}

fn resize(cx: &mut Cx<'_, '_>) -> Outcome {
    let shape = cx.input_shape(0)?;
    let rank = shape.len();
    if cx.opset < 11 {
        let scale = factors(cx, 1)?.ok_or_else(|| Reject::malformed("the scales are missing"))?;
        return simple(cx, &shape, scale);
    }
    let axes: Vec<usize> = match cx.ints("axes")? {
        Some(axes) => axes.iter().map(|a| cx.axis(*a, rank)).collect::<Result<_, _>>()?,
        None => (0..rank).collect(),
    };
    let extents: Vec<usize> = axes.iter().map(|a| shape[*a]).collect();
    let sizes = cx.need_const(3, "sizes")?.map(|t| t.to_i64()).filter(|s| !s.is_empty());
    let fits = |n: usize| {
        if n == axes.len() {
            Ok(())
        } else {
            Err(Reject::malformed(format!("{n} sizes or scales for {} axes", axes.len())))
        }
    };
    let (size, scale) = match (factors(cx, 2)?, sizes) {
        (Some(scale), None) => {
            fits(scale.len())?;
            let size = extents.iter().zip(&scale).map(|(n, s)| scaled(*n, *s));
            (size.collect::<Result<Vec<_>, _>>()?, scale)
        }
        (None, Some(sizes)) => {
            fits(sizes.len())?;
            let size = sizes
                .iter()
                .map(|n| {
                    usize::try_from(*n).map_err(|_| Reject::malformed(format!("a size of {n}")))
                })
                .collect::<Result<Vec<_>, _>>()?;
            let ratio = |i: usize| size[i] as f64 / extents[i].max(1) as f64;
            let ratios = (0..size.len()).map(ratio);
            let common = match cx.text("keep_aspect_ratio_policy", "stretch")? {
                "stretch" => None,
                "not_larger" => ratios.min_by(f64::total_cmp),
                "not_smaller" => ratios.max_by(f64::total_cmp),
                other => return Err(Reject::malformed(format!("aspect ratio policy `{other}`"))),
            };
            match common {
                None => (size, Vec::new()),
                Some(s) => (
                    extents.iter().map(|n| (*n as f64 * s + 0.5).floor() as usize).collect(),
                    vec![s as f32; extents.len()],
                ),
            }
        }
        _ => return Err(Reject::malformed("needs either scales or sizes")),
    };
    let coordinates = match cx.text("coordinate_transformation_mode", "half_pixel")? {
        "half_pixel" => ResizeCoordinates::HalfPixel,
        "half_pixel_symmetric" => ResizeCoordinates::HalfPixelSymmetric,
        "pytorch_half_pixel" => ResizeCoordinates::PytorchHalfPixel,
        "align_corners" => ResizeCoordinates::AlignCorners,
        "asymmetric" => ResizeCoordinates::Asymmetric,
        "tf_half_pixel_for_nn" => ResizeCoordinates::TfHalfPixelForNn,
        "tf_crop_and_resize" => ResizeCoordinates::TfCropAndResize,
        other => return Err(Reject::malformed(format!("coordinates `{other}`"))),
    };
    let mut op = Resize::new(axes, size, method(cx)?, coordinates);
    op.scale = scale;
    op.nearest = match cx.text("nearest_mode", "round_prefer_floor")? {
        "round_prefer_floor" => ResizeNearest::RoundPreferFloor,
        "round_prefer_ceil" => ResizeNearest::RoundPreferCeil,
        "floor" => ResizeNearest::Floor,
        "ceil" => ResizeNearest::Ceil,
        other => return Err(Reject::malformed(format!("nearest_mode `{other}`"))),
    };
    op.cubic_a = cx.float("cubic_coeff_a", -0.75)?;
    op.exclude_outside = cx.flag("exclude_outside", false)?;
    op.antialias = cx.flag("antialias", false)?;
    if coordinates == ResizeCoordinates::TfCropAndResize {
        let roi = cx.need_const(1, "region")?.map(|t| t.to_f32()).unwrap_or_default();
        let n = op.axes.len();
        if roi.len() != 2 * n {
            return Err(Reject::malformed(format!("a region of {} numbers", roi.len())));
        }
        op.roi = (0..n).map(|i| [roi[i], roi[i + n]]).collect();
        op.extrapolation = cx.float("extrapolation_value", 0.0)?;
    }
    finish(cx, op)
}

fn block(cx: &Cx<'_, '_>) -> Result<usize, Reject> {
    let block = cx.int("blocksize", 0)?;
    usize::try_from(block).map_err(|_| Reject::malformed(format!("blocksize {block}")))
}

fn order(cx: &Cx<'_, '_>) -> Result<DepthOrder, Reject> {
    match cx.text("mode", "DCR")? {
        "DCR" => Ok(DepthOrder::Dcr),
        "CRD" => Ok(DepthOrder::Crd),
        other => Err(Reject::malformed(format!("mode `{other}`"))),
    }
}

fn depth_to_space(cx: &mut Cx<'_, '_>) -> Outcome {
    let (block, order) = (block(cx)?, order(cx)?);
    let x = cx.input(0)?;
    let x = to_plane(cx, x)?;
    let y = cx.emit(DepthToSpace { block, order }, &[x])?;
    let y = from_plane(cx, y, 4)?;
    cx.set(0, y);
    Ok(())
}

fn space_to_depth(cx: &mut Cx<'_, '_>) -> Outcome {
    let (block, order) = (block(cx)?, order(cx)?);
    let x = cx.input(0)?;
    let x = to_plane(cx, x)?;
    let y = match order {
        DepthOrder::Dcr => cx.emit(SpaceToDepth { block }, &[x])?,
        DepthOrder::Crd => {
            // Depth leads the channels of the result, the place in the block follows.
            let [n, h, w, c] = cx.shape(x)?[..] else {
                return Err(Reject::malformed("an input that is not an image"));
            };
            let y = cx.aux(SpaceToDepth { block }, &[x])?;
            let (cells, [h, w]) = (block * block, [h / block, w / block]);
            let y = cx.reshape(y, &[n, h, w, cells, c])?;
            let y = cx.transpose(y, &[0, 1, 2, 4, 3])?;
            cx.reshape(y, &[n, h, w, c * cells])?
        }
    };
    let y = from_plane(cx, y, 4)?;
    cx.set(0, y);
    Ok(())
}
