//! What detectors end with.

use super::{Entry, Outcome};
use crate::cx::Cx;
use paring_ir::ops::NonMaxSuppression;

pub(super) const ENTRIES: &[Entry] = &[Entry::new("NonMaxSuppression", non_max_suppression)];

fn non_max_suppression(cx: &mut Cx<'_, '_>) -> Outcome {
    let max = cx.scalar_const(2, "number of boxes")?.unwrap_or(0.0);
    let iou_threshold = cx.scalar_const(3, "overlap")?.unwrap_or(0.0) as f32;
    let score = cx.scalar_const(4, "score")?;
    let op = NonMaxSuppression {
        max_per_class: max.max(0.0) as usize,
        iou_threshold,
        score_threshold: score.map_or(f32::NEG_INFINITY, |s| s as f32),
        center_boxes: cx.flag("center_point_box", false)?,
        count: format!("{}.count", cx.name),
    };
    let (boxes, scores) = (cx.input(0)?, cx.input(1)?);
    let y = cx.emit(op, &[boxes, scores])?;
    cx.set(0, y);
    Ok(())
}
