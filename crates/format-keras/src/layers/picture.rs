//! Preparation of pictures. What changes pictures at random does nothing when a model is used.

use super::{Read, activation, last, own};
use crate::build::LayerCx;
use crate::error::Result;
use paring_ir::ValueId;
use paring_ir::ops::{Cast, Resize, ResizeCoordinates, ResizeMethod, ResizeNearest, Slice};
use paring_tensor::DType;

pub(super) const READERS: &[(&str, Read)] = &[
    ("Resizing", resize),
    ("CenterCrop", crop),
    ("RandomFlip", activation::same),
    ("RandomRotation", activation::same),
    ("RandomZoom", activation::same),
    ("RandomContrast", activation::same),
    ("RandomTranslation", activation::same),
    ("RandomBrightness", activation::same),
    ("RandomShear", activation::same),
    ("RandomHeight", activation::same),
    ("RandomWidth", activation::same),
    ("RandomHue", activation::same),
    ("RandomSaturation", activation::same),
    ("RandomSharpness", activation::same),
    ("RandomColorJitter", activation::same),
    ("RandomColorDegeneration", activation::same),
    ("RandomErasing", activation::same),
    ("RandomElasticTransform", activation::same),
    ("RandomGaussianBlur", activation::same),
    ("RandomGrayscale", activation::same),
    ("RandomInvert", activation::same),
    ("RandomPerspective", activation::same),
    ("RandomPosterization", activation::same),
    ("AugMix", activation::same),
    ("CutMix", activation::same),
    ("MixUp", activation::same),
    ("RandAugment", activation::same),
];

/// The input as floats, channels last, and its height and width.
fn picture(cx: &mut LayerCx<'_, '_>) -> Result<(ValueId, [usize; 2])> {
    let mut x = last(cx)?;
    if !cx.ty(x).dtype.is_float() {
        x = cx.side("float", Cast { to: DType::F32 }, &[x])?;
    }
    match cx.shape(x)?.as_slice() {
        &[_, h, w, _] => Ok((x, [h, w])),
        shape => Err(cx.layer.bad(format!("an input of shape {shape:?}"))),
    }
}

fn resize(cx: &mut LayerCx<'_, '_>) -> Result<ValueId> {
    for key in ["crop_to_aspect_ratio", "pad_to_aspect_ratio", "antialias"] {
        if cx.layer.flag(key, false) {
            return Err(cx.layer.unsupported(format!("`{key}`")));
        }
    }
    let size = vec![cx.layer.count("height")?, cx.layer.count("width")?];
    let (method, coordinates) = match cx.layer.text("interpolation").unwrap_or("bilinear") {
        "bilinear" => (ResizeMethod::Linear, ResizeCoordinates::HalfPixel),
        "nearest" => (ResizeMethod::Nearest, ResizeCoordinates::TfHalfPixelForNn),
        "bicubic" => (ResizeMethod::Cubic, ResizeCoordinates::HalfPixel),
        other => return Err(cx.layer.unsupported(format!("interpolation `{other}`"))),
    };
    let (x, _) = picture(cx)?;
    let op = Resize {
        nearest: ResizeNearest::Floor,
        cubic_a: -0.5,
        exclude_outside: method == ResizeMethod::Cubic,
        ..Resize::new(vec![1, 2], size, method, coordinates)
    };
    let y = cx.node(op, &[x])?;
    own(cx, y)
}

fn crop(cx: &mut LayerCx<'_, '_>) -> Result<ValueId> {
    let (height, width) = (cx.layer.count("height")?, cx.layer.count("width")?);
    let (x, [h, w]) = picture(cx)?;
    if height > h || width > w {
        return Err(cx.layer.unsupported("a crop that is larger than the picture"));
    }
    let shape = cx.shape(x)?;
    let op = Slice {
        start: vec![0, (h - height) / 2, (w - width) / 2, 0],
        len: vec![shape[0], height, width, shape[3]],
        step: vec![1; 4],
    };
    let y = cx.node(op, &[x])?;
    own(cx, y)
}
