//! Convolutions, pools and what else works on images.

use super::{Layout, Refused, Writer, Written, float, int, ints, permuted_or, text, writers};
use paring_ir::Node;
use paring_ir::ops::{
    Activation, AutoPad, BatchNorm, Conv2d, ConvTranspose2d, DepthOrder, DepthToSpace, Lrn,
    Padding, Pool, PoolKind, Resize, ResizeCoordinates, ResizeMethod, ResizeNearest, SpaceToDepth,
};
use paring_tensor::{Quant, Tensor};

writers! {
    Conv2d => conv,
    ConvTranspose2d => conv_transpose,
    Pool => pool,
    BatchNorm => batch_norm,
    DepthToSpace => depth_to_space,
    SpaceToDepth => space_to_depth,
    Resize => resize,
    Lrn => lrn,
}

fn list(numbers: &[usize]) -> Vec<i64> {
    numbers.iter().map(|&n| n as i64).collect()
}

/// The padding as the operator states it: `[top, left, bottom, right]`.
fn pads(
    pad: Padding,
    input: &[usize],
    kernel: [usize; 2],
    dilation: [usize; 2],
    stride: [usize; 2],
) -> Vec<i64> {
    let window = [0, 1].map(|i| (kernel[i].max(1) - 1) * dilation[i] + 1);
    let pads = match pad {
        Padding::Auto(AutoPad::Valid) => [0; 4],
        other => other.resolve([input[1], input[2]], window, stride),
    };
    list(&pads)
}

/// Distances between taps, where they are not 1: ONNX Runtime's integer pools do not know the attribute.
fn dilations(dilation: [usize; 2]) -> Option<crate::proto::AttributeProto> {
    (dilation != [1, 1]).then(|| ints("dilations", list(&dilation)))
}

/// Clamps, and states what the result is.
fn finish(w: &mut Writer<'_>, node: &Node, y: &str, activation: Activation) -> Written {
    w.name_last(node);
    let id = node.outputs()[0];
    let dtype = w.real_dtype(id);
    let y = w.clamp(y, activation, dtype);
    w.define(id, Layout::Planar, &y)
}

fn conv(w: &mut Writer<'_>, op: &Conv2d, node: &Node) -> Written {
    let x = w.real(node.inputs()[0], Layout::Planar)?;
    let filters = w.real(node.inputs()[1], Layout::Planar)?;
    let (input, shape) = (w.extents(node.inputs()[0])?, w.extents(node.inputs()[1])?);
    let kernel = [shape[1], shape[2]];
    let mut operands = vec![x, filters];
    if node.inputs().len() > 2 {
        operands.push(w.operand(node, 2)?);
    }
    let mut attributes = vec![
        ints("kernel_shape", list(&kernel)),
        ints("strides", list(&op.stride)),
        ints("pads", pads(op.pad, &input, kernel, op.dilation, op.stride)),
        int("group", op.groups as i64),
    ];
    attributes.extend(dilations(op.dilation));
    let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
    let base = format!("{}.planar", w.value(node.outputs()[0]).name);
    let y = w.op(&base, "Conv", &operands, attributes);
    finish(w, node, &y, op.activation)
}

fn conv_transpose(w: &mut Writer<'_>, op: &ConvTranspose2d, node: &Node) -> Written {
    let x = w.real(node.inputs()[0], Layout::Planar)?;
    let value = w.value(node.inputs()[1]);
    let Some(data) = value.constant() else {
        return Err(Refused("filters that are computed".to_owned()));
    };
    let shape = w.extents(node.inputs()[1])?;
    let &[o, kh, kw, per_group] = shape.as_slice() else {
        return Err(Refused("filters that are no images".to_owned()));
    };
    let groups = op.groups.max(1);
    // [G * O, KH, KW, C] to [G * C, O, KH, KW]
    let turn = |t: &Tensor| -> Result<Tensor, Refused> {
        let t = t.reshape([groups, o / groups, kh, kw, per_group])?;
        let t = permuted_or(&t, &[0, 4, 1, 2, 3])?;
        Ok(t.reshape([groups * per_group, o / groups, kh, kw])?)
    };
    let filters = match &value.ty.quant {
        None => {
            let t = turn(&data.dense())?;
            w.constant(&value.name, &t)
        }
        Some(q) if matches!(q, Quant::PerTensor { .. }) || groups == 1 => {
            let t = turn(&data.dense())?;
            let stored = w.constant(&value.name, &t);
            w.dequantize(&stored, q, value.ty.dtype, &[], |_| 1)?
        }
        Some(q) => {
            let t = turn(&q.dequantize(&data.dense())?)?;
            w.constant(&value.name, &t)
        }
    };
    let mut operands = vec![x, filters];
    if node.inputs().len() > 2 {
        operands.push(w.operand(node, 2)?);
    }
    let attributes = vec![
        ints("kernel_shape", list(&[kh, kw])),
        ints("strides", list(&op.stride)),
        ints("dilations", list(&op.dilation)),
        ints("pads", list(&op.pad)),
        ints("output_padding", list(&op.output_padding)),
        int("group", op.groups as i64),
    ];
    let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
    let base = format!("{}.planar", w.value(node.outputs()[0]).name);
    let y = w.op(&base, "ConvTranspose", &operands, attributes);
    finish(w, node, &y, op.activation)
}

fn pool(w: &mut Writer<'_>, op: &Pool, node: &Node) -> Written {
    let x = w.real(node.inputs()[0], Layout::Planar)?;
    let input = w.extents(node.inputs()[0])?;
    let mut attributes = vec![
        ints("kernel_shape", list(&op.kernel)),
        ints("strides", list(&op.stride)),
        ints("pads", pads(op.pad, &input, op.kernel, op.dilation, op.stride)),
        int("ceil_mode", i64::from(op.ceil)),
    ];
    attributes.extend(dilations(op.dilation));
    let name = match op.kind {
        PoolKind::Max => "MaxPool",
        PoolKind::Average => {
            attributes.push(int("count_include_pad", i64::from(op.count_include_pad)));
            "AveragePool"
        }
        PoolKind::Lp(p) => {
            attributes.push(int("p", i64::from(p)));
            "LpPool"
        }
        PoolKind::L2 => {
            return Err(Refused("ONNX has no pool of root mean squares".to_owned()));
        }
    };
    let base = format!("{}.planar", w.value(node.outputs()[0]).name);
    let y = w.op(&base, name, &[&x], attributes);
    finish(w, node, &y, op.activation)
}

fn batch_norm(w: &mut Writer<'_>, op: &BatchNorm, node: &Node) -> Written {
    let rank = w.rank(node.inputs()[0]);
    let layout = match rank {
        4 => Layout::Planar,
        2 => Layout::Own,
        _ => return Err(Refused(format!("batch normalization of {rank} axes"))),
    };
    let mut operands = vec![w.real(node.inputs()[0], layout)?];
    for i in 1..5 {
        operands.push(w.operand(node, i)?);
    }
    let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
    let base = format!("{}.planar", w.value(node.outputs()[0]).name);
    let y = w.op(&base, "BatchNormalization", &operands, vec![float("epsilon", op.epsilon)]);
    w.name_last(node);
    w.define(node.outputs()[0], layout, &y)
}

fn depth_to_space(w: &mut Writer<'_>, op: &DepthToSpace, node: &Node) -> Written {
    let x = w.real(node.inputs()[0], Layout::Planar)?;
    let mode = if op.order == DepthOrder::Dcr { "DCR" } else { "CRD" };
    let attributes = vec![int("blocksize", op.block as i64), text("mode", mode)];
    let base = format!("{}.planar", w.value(node.outputs()[0]).name);
    let y = w.op(&base, "DepthToSpace", &[&x], attributes);
    finish(w, node, &y, Activation::None)
}

fn space_to_depth(w: &mut Writer<'_>, op: &SpaceToDepth, node: &Node) -> Written {
    let x = w.real(node.inputs()[0], Layout::Planar)?;
    let base = format!("{}.planar", w.value(node.outputs()[0]).name);
    let y = w.op(&base, "SpaceToDepth", &[&x], vec![int("blocksize", op.block as i64)]);
    finish(w, node, &y, Activation::None)
}

fn lrn(w: &mut Writer<'_>, op: &Lrn, node: &Node) -> Written {
    if w.rank(node.inputs()[0]) != 4 {
        return Err(Refused("local response normalization of no image".to_owned()));
    }
    let x = w.real(node.inputs()[0], Layout::Planar)?;
    let attributes = vec![
        int("size", op.size as i64),
        float("alpha", op.alpha),
        float("beta", op.beta),
        float("bias", op.bias),
    ];
    let base = format!("{}.planar", w.value(node.outputs()[0]).name);
    let y = w.op(&base, "LRN", &[&x], attributes);
    finish(w, node, &y, Activation::None)
}

fn resize(w: &mut Writer<'_>, op: &Resize, node: &Node) -> Written {
    let id = node.inputs()[0];
    // Runtimes resize the last two axes of images only.
    let image = w.rank(id) == 4 && op.axes.iter().all(|a| (1..=2).contains(a));
    let layout = if image { Layout::Planar } else { Layout::Own };
    let x = w.real(id, layout)?;
    let (from, to) = (w.extents(id)?, w.extents(node.outputs()[0])?);
    let order: Vec<usize> = if image { vec![0, 3, 1, 2] } else { (0..from.len()).collect() };
    let stated = |axis: usize| {
        let i = op.axes.iter().position(|a| *a == axis)?;
        op.scale.get(i).copied()
    };
    let attributes = vec![
        text(
            "mode",
            match op.method {
                ResizeMethod::Nearest => "nearest",
                ResizeMethod::Linear => "linear",
                ResizeMethod::Cubic => "cubic",
            },
        ),
        text(
            "coordinate_transformation_mode",
            match op.coordinates {
                ResizeCoordinates::HalfPixel => "half_pixel",
                ResizeCoordinates::HalfPixelSymmetric => "half_pixel_symmetric",
                ResizeCoordinates::PytorchHalfPixel => "pytorch_half_pixel",
                ResizeCoordinates::AlignCorners => "align_corners",
                ResizeCoordinates::Asymmetric => "asymmetric",
                ResizeCoordinates::TfHalfPixelForNn => "tf_half_pixel_for_nn",
                ResizeCoordinates::TfCropAndResize => "tf_crop_and_resize",
            },
        ),
        text(
            "nearest_mode",
            match op.nearest {
                ResizeNearest::RoundPreferFloor => "round_prefer_floor",
                ResizeNearest::RoundPreferCeil => "round_prefer_ceil",
                ResizeNearest::Floor => "floor",
                ResizeNearest::Ceil => "ceil",
            },
        ),
        float("cubic_coeff_a", op.cubic_a),
        int("exclude_outside", i64::from(op.exclude_outside)),
        int("antialias", i64::from(op.antialias)),
        float("extrapolation_value", op.extrapolation),
    ];
    let roi = if op.roi.is_empty() {
        String::new()
    } else {
        let part = |axis: usize, end: usize| {
            let i = op.axes.iter().position(|a| *a == axis);
            i.and_then(|i| op.roi.get(i)).map_or(end as f32, |r| r[end])
        };
        let all: Vec<f32> =
            (0..2).flat_map(|end| order.iter().map(move |a| part(*a, end))).collect();
        w.constant("roi", &Tensor::from_vec([all.len()], all)?)
    };
    let base = format!("{}.resized", w.value(node.outputs()[0]).name);
    let y = if op.scale.is_empty() {
        let sizes: Vec<i64> = order.iter().map(|a| to[*a] as i64).collect();
        let sizes = w.numbers("sizes", &sizes)?;
        w.op(&base, "Resize", &[&x, &roi, "", &sizes], attributes)
    } else {
        let scales: Vec<f32> = order.iter().map(|a| stated(*a).unwrap_or(1.0)).collect();
        let gives = |a: usize, s: f32| (from[a] as f64 * f64::from(s)).floor() == to[a] as f64;
        if !order.iter().zip(&scales).all(|(a, s)| gives(*a, *s)) {
            return Err(Refused("factors that do not give the extents by themselves".to_owned()));
        }
        let scales = w.constant("scales", &Tensor::from_vec([scales.len()], scales)?);
        w.op(&base, "Resize", &[&x, &roi, &scales], attributes)
    };
    w.name_last(node);
    w.define(node.outputs()[0], layout, &y)
}
