//! What moves elements, and what picks them by index.

use super::{FROM_PLANAR, Layout, Refused, TO_PLANAR, Writer, Written, int, ints, text, writers};
use crate::proto::AttributeProto;
use paring_ir::Node;
use paring_ir::ops::{
    BroadcastTo, Concat, Gather, GatherElements, GatherNd, NonMaxSuppression, NonZero, OneHot, Pad,
    PadMode, Reshape, Reverse, ScatterElements, ScatterFn, ScatterNd, Slice, Tile, TopK, Transpose,
    Trilu,
};
use paring_tensor::{DType, Tensor};

writers! {
    Reshape => reshape,
    Transpose => transpose,
    Concat => concat,
    Slice => slice,
    Pad => pad,
    Tile => tile,
    BroadcastTo => broadcast_to,
    Gather => gather,
    GatherElements => gather_elements,
    GatherNd => gather_nd,
    ScatterElements => scatter_elements,
    ScatterNd => scatter_nd,
    OneHot => one_hot,
    TopK => top_k,
    Trilu => trilu,
    NonZero => non_zero,
    NonMaxSuppression => non_max_suppression,
    Reverse => reverse,
}

/// One operator over stored numbers, with constants after the operands.
fn moved(
    w: &mut Writer<'_>,
    node: &Node,
    name: &str,
    constants: &[(&str, &[i64])],
    attributes: Vec<AttributeProto>,
) -> Written {
    let mut operands = Vec::new();
    for v in node.inputs() {
        operands.push(w.stored(*v, Layout::Own)?);
    }
    for (what, list) in constants {
        operands.push(w.numbers(what, list)?);
    }
    let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
    let base = w.value(node.outputs()[0]).name.clone();
    let y = w.op(&base, name, &operands, attributes);
    w.name_last(node);
    w.names.insert((node.outputs()[0], Layout::Own), y);
    Ok(())
}

fn numbers(list: &[usize]) -> Vec<i64> {
    list.iter().map(|&n| n as i64).collect()
}

fn reshape(w: &mut Writer<'_>, op: &Reshape, node: &Node) -> Written {
    let to = match w.extents(node.outputs()[0]) {
        Ok(shape) => numbers(&shape),
        Err(_) => op.shape.clone(),
    };
    moved(w, node, "Reshape", &[("shape", &to)], vec![int("allowzero", 1)])
}

fn transpose(w: &mut Writer<'_>, op: &Transpose, node: &Node) -> Written {
    let (x, y) = (node.inputs()[0], node.outputs()[0]);
    // A planar value under its other name needs no operator.
    let planar = w.names.get(&(x, Layout::Planar)).cloned();
    if let (Some(name), true) = (planar, op.perm == TO_PLANAR) {
        w.names.insert((y, Layout::Own), name);
        return Ok(());
    }
    if op.perm == FROM_PLANAR
        && let Ok(name) = w.stored(x, Layout::Own)
    {
        w.names.insert((y, Layout::Planar), name);
        return Ok(());
    }
    moved(w, node, "Transpose", &[], vec![ints("perm", numbers(&op.perm))])
}

fn concat(w: &mut Writer<'_>, op: &Concat, node: &Node) -> Written {
    let layout = w.common(node);
    let axis = match layout {
        Layout::Own => op.axis,
        Layout::Planar => TO_PLANAR.iter().position(|p| *p == op.axis).unwrap_or(op.axis),
    };
    let mut operands = Vec::new();
    // Operands may have scales that differ from the result's.
    for v in node.inputs() {
        operands.push(w.real(*v, layout)?);
    }
    let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
    let base = format!("{}.joined", w.value(node.outputs()[0]).name);
    let y = w.op(&base, "Concat", &operands, vec![int("axis", axis as i64)]);
    w.name_last(node);
    w.define(node.outputs()[0], layout, &y)
}

fn slice(w: &mut Writer<'_>, op: &Slice, node: &Node) -> Written {
    let rank = op.start.len();
    let starts = numbers(&op.start);
    let ends: Vec<i64> = (0..rank)
        .map(|i| {
            let end = starts[i] + op.len[i] as i64 * op.step[i];
            // Backward over the first element: before the front.
            if end < 0 { i64::MIN } else { end }
        })
        .collect();
    let axes: Vec<i64> = (0..rank as i64).collect();
    let lists: [(&str, &[i64]); 4] =
        [("starts", &starts), ("ends", &ends), ("axes", &axes), ("steps", &op.step)];
    moved(w, node, "Slice", &lists, Vec::new())
}

fn pad(w: &mut Writer<'_>, op: &Pad, node: &Node) -> Written {
    let id = node.inputs()[0];
    let layout = w.common(node);
    let order: Vec<usize> = match layout {
        Layout::Own => (0..op.pads.len()).collect(),
        Layout::Planar => TO_PLANAR.to_vec(),
    };
    let all: Vec<i64> = (0..2)
        .flat_map(|end| order.iter().map(move |a| (*a, end)))
        .map(|(a, e)| op.pads[a][e])
        .collect();
    let x = w.stored(id, layout)?;
    let pads = w.numbers("pads", &all)?;
    let ty = w.graph.ty(id);
    let mut operands = vec![x, pads];
    let mode = match op.mode {
        PadMode::Constant(value) => {
            let stored = match ty.quant.as_ref().map(|q| q.as_per_tensor()) {
                None => value,
                Some(Some((scale, zero))) => (value / f64::from(scale)).round() + f64::from(zero),
                Some(None) => return Err(Refused("padding of several scales".to_owned())),
            };
            operands.push(w.scalar("value", stored, ty.dtype));
            "constant"
        }
        PadMode::Reflect => "reflect",
        PadMode::Edge => "edge",
        PadMode::Wrap => "wrap",
        PadMode::Symmetric => {
            return Err(Refused("ONNX has no padding that mirrors the edge too".to_owned()));
        }
    };
    let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
    let base = format!("{}.padded", w.value(node.outputs()[0]).name);
    let y = w.op(&base, "Pad", &operands, vec![text("mode", mode)]);
    w.name_last(node);
    w.names.insert((node.outputs()[0], layout), y);
    Ok(())
}

fn tile(w: &mut Writer<'_>, op: &Tile, node: &Node) -> Written {
    moved(w, node, "Tile", &[("repeats", &numbers(&op.repeats))], Vec::new())
}

fn broadcast_to(w: &mut Writer<'_>, op: &BroadcastTo, node: &Node) -> Written {
    moved(w, node, "Expand", &[("shape", &numbers(&op.shape))], Vec::new())
}

fn gather(w: &mut Writer<'_>, op: &Gather, node: &Node) -> Written {
    if op.batch_dims != 0 {
        return Err(Refused("ONNX gathers without batch axes".to_owned()));
    }
    moved(w, node, "Gather", &[], vec![int("axis", op.axis as i64)])
}

fn gather_elements(w: &mut Writer<'_>, op: &GatherElements, node: &Node) -> Written {
    moved(w, node, "GatherElements", &[], vec![int("axis", op.axis as i64)])
}

fn gather_nd(w: &mut Writer<'_>, op: &GatherNd, node: &Node) -> Written {
    moved(w, node, "GatherND", &[], vec![int("batch_dims", op.batch_dims as i64)])
}

fn reduction(f: ScatterFn) -> AttributeProto {
    let name = match f {
        ScatterFn::Replace => "none",
        ScatterFn::Add => "add",
        ScatterFn::Mul => "mul",
        ScatterFn::Min => "min",
        ScatterFn::Max => "max",
    };
    text("reduction", name)
}

fn scatter_elements(w: &mut Writer<'_>, op: &ScatterElements, node: &Node) -> Written {
    let attributes = vec![int("axis", op.axis as i64), reduction(op.reduction)];
    moved(w, node, "ScatterElements", &[], attributes)
}

fn scatter_nd(w: &mut Writer<'_>, op: &ScatterNd, node: &Node) -> Written {
    moved(w, node, "ScatterND", &[], vec![reduction(op.reduction)])
}

fn one_hot(w: &mut Writer<'_>, op: &OneHot, node: &Node) -> Written {
    if op.negative_is_off {
        return Err(Refused("ONNX counts negative indices from the end".to_owned()));
    }
    let at = w.stored(node.inputs()[0], Layout::Own)?;
    let values = w.stored(node.inputs()[1], Layout::Own)?;
    let depth = w.scalar("depth", op.depth as f64, DType::I64);
    let base = w.value(node.outputs()[0]).name.clone();
    let axis = vec![int("axis", op.axis as i64)];
    let y = w.op(&base, "OneHot", &[&at, &depth, &values], axis);
    w.name_last(node);
    w.names.insert((node.outputs()[0], Layout::Own), y);
    Ok(())
}

fn top_k(w: &mut Writer<'_>, op: &TopK, node: &Node) -> Written {
    let x = w.stored(node.inputs()[0], Layout::Own)?;
    let k = w.numbers("k", &[op.k as i64])?;
    let names: Vec<String> =
        node.outputs().iter().map(|v| w.fresh(&w.graph.value(*v).name.clone())).collect();
    let attributes = vec![int("axis", op.axis as i64), int("largest", i64::from(op.largest))];
    w.push("TopK", &[&x, &k], &[&names[0], &names[1]], attributes);
    w.name_last(node);
    let mut indices = names[1].clone();
    if op.to != DType::I64 {
        let to = vec![int("to", crate::tensor::onnx_type(op.to).into())];
        indices = w.op(&format!("{indices}.cast"), "Cast", &[&indices], to);
    }
    w.names.insert((node.outputs()[0], Layout::Own), names[0].clone());
    w.names.insert((node.outputs()[1], Layout::Own), indices);
    Ok(())
}

fn trilu(w: &mut Writer<'_>, op: &Trilu, node: &Node) -> Written {
    let x = w.stored(node.inputs()[0], Layout::Own)?;
    let k = w.constant("k", &Tensor::scalar(op.k));
    let base = w.value(node.outputs()[0]).name.clone();
    let y = w.op(&base, "Trilu", &[&x, &k], vec![int("upper", i64::from(op.upper))]);
    w.name_last(node);
    w.names.insert((node.outputs()[0], Layout::Own), y);
    Ok(())
}

fn non_zero(w: &mut Writer<'_>, _: &NonZero, node: &Node) -> Written {
    moved(w, node, "NonZero", &[], Vec::new())
}

fn non_max_suppression(w: &mut Writer<'_>, op: &NonMaxSuppression, node: &Node) -> Written {
    let boxes = w.stored(node.inputs()[0], Layout::Own)?;
    let scores = w.stored(node.inputs()[1], Layout::Own)?;
    let most = i64::try_from(op.max_per_class).unwrap_or(i64::MAX);
    let most = w.numbers("max_output_boxes_per_class", &[most])?;
    let one = |x: f32| Tensor::from_vec([1], vec![x]);
    let iou = w.constant("iou_threshold", &one(op.iou_threshold)?);
    let mut operands = vec![boxes, scores, most, iou];
    if op.score_threshold.is_finite() {
        operands.push(w.constant("score_threshold", &one(op.score_threshold)?));
    }
    let operands: Vec<&str> = operands.iter().map(String::as_str).collect();
    let base = w.value(node.outputs()[0]).name.clone();
    let attributes = vec![int("center_point_box", i64::from(op.center_boxes))];
    let y = w.op(&base, "NonMaxSuppression", &operands, attributes);
    w.name_last(node);
    w.names.insert((node.outputs()[0], Layout::Own), y);
    Ok(())
}

fn reverse(w: &mut Writer<'_>, op: &Reverse, node: &Node) -> Written {
    match op.batch_axis {
        Some(batch) => {
            let attributes =
                vec![int("time_axis", op.axis as i64), int("batch_axis", batch as i64)];
            moved(w, node, "ReverseSequence", &[], attributes)
        }
        None => {
            let axis = [op.axis as i64];
            let lists: [(&str, &[i64]); 4] =
                [("starts", &[-1]), ("ends", &[i64::MIN]), ("axes", &axis), ("steps", &[-1])];
            moved(w, node, "Slice", &lists, Vec::new())
        }
    }
}
