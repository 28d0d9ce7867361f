use super::{arity, is_false};
use crate::{Op, OpError, register_op};
use paring_tensor::{DType, Dim, TensorType};
use serde::{Deserialize, Serialize};

/// Picks the boxes of a detector that do not overlap a better one of the same class.
///
/// Inputs: `boxes[batch, boxes, 4]` (`y1, x1, y2, x2`, in either order of corners; or centre and size)
/// and `scores[batch, classes, boxes]`. Output: `[count, 3]` in `i64`, a row `batch, class, box` for
/// each box that is picked, batch by batch, class by class, best first. The number of rows depends on
/// the data: it is a symbol in the type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NonMaxSuppression {
    /// The most boxes of a class that are picked.
    pub max_per_class: usize,
    /// A box that overlaps a better one by more than this share of their union is dropped.
    #[serde(with = "crate::attr::f32")]
    pub iou_threshold: f32,
    /// A box whose score is not above this is dropped; negative infinity keeps all.
    #[serde(with = "crate::attr::f32")]
    pub score_threshold: f32,
    /// Whether a box is `x centre, y centre, width, height`.
    #[serde(default, skip_serializing_if = "is_false")]
    pub center_boxes: bool,
    /// The symbol that stands for the number of rows.
    pub count: String,
}

register_op!(NonMaxSuppression, "non_max_suppression", "boxes that do not overlap a better one");

impl Op for NonMaxSuppression {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 2..=2)?;
        let fail = || {
            OpError::new(format!(
                "boxes {} and scores {} are not [batch, boxes, 4] and [batch, classes, boxes]",
                inputs[0].shape, inputs[1].shape
            ))
        };
        let ([b, n, four], [b2, _, n2]) = (inputs[0].shape.dims(), inputs[1].shape.dims()) else {
            return Err(fail());
        };
        if b != b2 || n != n2 || *four != Dim::Fixed(4) {
            return Err(fail());
        }
        Ok(vec![TensorType::new(DType::I64, vec![Dim::symbol(&self.count), Dim::Fixed(3)])])
    }
}
