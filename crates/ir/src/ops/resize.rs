use super::{arity, is_false};
use crate::{Op, OpError, register_op};
use paring_tensor::{Dim, TensorType};
use serde::{Deserialize, Serialize};

/// Samples a value at other positions along some axes.
///
/// Names and formulas of the modes are those of ONNX's `Resize`. TFLite's `RESIZE_BILINEAR` is
/// `linear` with `asymmetric`, `align_corners` or `half_pixel`; its `RESIZE_NEAREST_NEIGHBOR` is
/// `nearest` with `asymmetric` and `floor`, `align_corners` and `round_prefer_ceil`, or
/// `tf_half_pixel_for_nn` and `floor`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// The axes that change, ascending.
    pub axes: Vec<usize>,
    /// Their new extents.
    pub size: Vec<usize>,
    /// The factors that map positions, output over input, where they are not the ratio of the
    /// extents; an entry an axis, or none.
    #[serde(default, with = "crate::attr::f32_list", skip_serializing_if = "Vec::is_empty")]
    pub scale: Vec<f32>,
    /// How elements are weighed.
    pub method: ResizeMethod,
    /// How an output position maps to the input.
    pub coordinates: ResizeCoordinates,
    /// For `nearest`: how a position between two elements is rounded.
    #[serde(default, skip_serializing_if = "ResizeNearest::is_default")]
    pub nearest: ResizeNearest,
    /// For `cubic`: the coefficient of the kernel.
    #[serde(
        default = "cubic_a",
        with = "crate::attr::f32",
        skip_serializing_if = "is_default_cubic_a"
    )]
    pub cubic_a: f32,
    /// Whether weights outside the input become zero and the rest is scaled up.
    #[serde(default, skip_serializing_if = "is_false")]
    pub exclude_outside: bool,
    /// Whether the kernel is stretched when the value shrinks.
    #[serde(default, skip_serializing_if = "is_false")]
    pub antialias: bool,
    /// For `tf_crop_and_resize`: start and end of the part that is sampled, as fractions, an entry
    /// an axis; none otherwise.
    #[serde(default, with = "roi", skip_serializing_if = "Vec::is_empty")]
    pub roi: Vec<[f32; 2]>,
    /// For `tf_crop_and_resize`: the value outside the input.
    #[serde(default, with = "crate::attr::f32", skip_serializing_if = "is_zero_f32")]
    pub extrapolation: f32,
}

/// Default of [`Resize::cubic_a`].
fn cubic_a() -> f32 {
    -0.75
}

fn is_default_cubic_a(a: &f32) -> bool {
    *a == cubic_a()
}

fn is_zero_f32(x: &f32) -> bool {
    *x == 0.0
}

mod roi {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(roi: &[[f32; 2]], s: S) -> Result<S::Ok, S::Error> {
        let flat: Vec<f32> = roi.iter().flatten().copied().collect();
        crate::attr::f32_list::serialize(&flat, s)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<[f32; 2]>, D::Error> {
        let flat: Vec<f64> = Vec::deserialize(d)?;
        if !flat.len().is_multiple_of(2) {
            return Err(serde::de::Error::custom("roi is a list of starts and ends in turn"));
        }
        Ok(flat.chunks_exact(2).map(|p| [p[0] as f32, p[1] as f32]).collect())
    }
}

/// How elements around a position are weighed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum ResizeMethod {
    Nearest,
    Linear,
    Cubic,
}

/// How an output position maps to a position of the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum ResizeCoordinates {
    /// `(x + 0.5) / scale - 0.5`
    HalfPixel,
    /// As `half_pixel` about the centre, whatever the rounding of the output's extent.
    HalfPixelSymmetric,
    /// As `half_pixel`; 0 where the output is one element long.
    PytorchHalfPixel,
    /// `x * (in - 1) / (out - 1)`
    AlignCorners,
    /// `x / scale`
    Asymmetric,
    /// `(x + 0.5) / scale`
    TfHalfPixelForNn,
    /// By [`Resize::roi`].
    TfCropAndResize,
}

impl ResizeCoordinates {
    /// The position among `n` elements that the `i`-th of `out` shows, in single precision, as TFLite computes it.
    #[must_use]
    pub fn tflite_position(self, i: usize, n: usize, out: usize) -> f32 {
        let scale = if self == Self::AlignCorners && out > 1 {
            (n as f32 - 1.0) / (out as f32 - 1.0)
        } else {
            n as f32 / out as f32
        };
        let i = i as f32;
        match self {
            Self::HalfPixel => (i + 0.5) * scale - 0.5,
            Self::TfHalfPixelForNn => (i + 0.5) * scale,
            _ => i * scale,
        }
    }
}

/// How `nearest` rounds a position.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum ResizeNearest {
    #[default]
    RoundPreferFloor,
    RoundPreferCeil,
    Floor,
    Ceil,
}

impl ResizeNearest {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl Resize {
    /// With every option at its default.
    #[must_use]
    pub fn new(
        axes: Vec<usize>,
        size: Vec<usize>,
        method: ResizeMethod,
        coordinates: ResizeCoordinates,
    ) -> Self {
        Self {
            axes,
            size,
            scale: Vec::new(),
            method,
            coordinates,
            nearest: ResizeNearest::default(),
            cubic_a: cubic_a(),
            exclude_outside: false,
            antialias: false,
            roi: Vec::new(),
            extrapolation: 0.0,
        }
    }
}

register_op!(Resize, "resize", "samples a value at other positions along some axes");

impl Op for Resize {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        arity(inputs, 1..=1)?;
        let mut dims = inputs[0].shape.dims().to_vec();
        let ascending = self.axes.windows(2).all(|w| w[0] < w[1]);
        if !ascending || self.axes.iter().any(|a| *a >= dims.len()) {
            return Err(OpError::new(format!(
                "axes {:?} are not ascending axes of {}",
                self.axes, inputs[0].shape
            )));
        }
        let n = self.axes.len();
        let crop = self.coordinates == ResizeCoordinates::TfCropAndResize;
        if self.size.len() != n
            || !(self.scale.is_empty() || self.scale.len() == n)
            || self.roi.len() != if crop { n } else { 0 }
        {
            return Err(OpError::new(format!("sizes, factors and roi are not for {n} axes")));
        }
        if self.scale.iter().any(|s| !(s.is_finite() && *s > 0.0)) {
            return Err(OpError::new(format!("factors {:?} are not positive", self.scale)));
        }
        if self.roi.iter().flatten().any(|r| !r.is_finite()) {
            return Err(OpError::new(format!("roi {:?} is not finite", self.roi)));
        }
        for (&axis, &size) in self.axes.iter().zip(&self.size) {
            if dims[axis] == Dim::Fixed(0) && size > 0 {
                return Err(OpError::new(format!("axis {axis} of {} is empty", inputs[0].shape)));
            }
            dims[axis] = Dim::Fixed(size);
        }
        Ok(vec![TensorType::new(inputs[0].dtype, dims)])
    }
}
