//! Images of another size.

use super::{Read, Write, of, required};
use crate::error::{ReadError, Result};
use crate::export::{NodeCx, Refused};
use crate::import::OpCx;
use crate::model::natural;
use crate::schema::{BuiltinOptions, ResizeBilinearOptions, ResizeNearestNeighborOptions};
use paring_ir::ops::{Resize, ResizeCoordinates, ResizeMethod, ResizeNearest};

pub(super) const READERS: &[(&str, Read)] = &[
    ("RESIZE_BILINEAR", |cx| {
        let options = required!(cx, ResizeBilinearOptions);
        let coordinates = match (options.align_corners()?, options.half_pixel_centers()?) {
            (true, false) => ResizeCoordinates::AlignCorners,
            (false, true) => ResizeCoordinates::HalfPixel,
            (false, false) => ResizeCoordinates::Asymmetric,
            (true, true) => return Err(both()),
        };
        resize(cx, ResizeMethod::Linear, coordinates, ResizeNearest::default())
    }),
    ("RESIZE_NEAREST_NEIGHBOR", |cx| {
        let options = required!(cx, ResizeNearestNeighborOptions);
        let (coordinates, nearest) = match (options.align_corners()?, options.half_pixel_centers()?)
        {
            (true, false) => (ResizeCoordinates::AlignCorners, ResizeNearest::RoundPreferCeil),
            (false, true) => (ResizeCoordinates::TfHalfPixelForNn, ResizeNearest::Floor),
            (false, false) => (ResizeCoordinates::Asymmetric, ResizeNearest::Floor),
            (true, true) => return Err(both()),
        };
        resize(cx, ResizeMethod::Nearest, coordinates, nearest)
    }),
];

fn both() -> ReadError {
    ReadError::malformed("aligns corners and centres of pixels at once")
}

fn resize(
    cx: &mut OpCx<'_, '_>,
    method: ResizeMethod,
    coordinates: ResizeCoordinates,
    nearest: ResizeNearest,
) -> Result<()> {
    let x = cx.input(0)?;
    let size = cx.ints(1)?.into_iter().map(|n| natural("a size", n)).collect::<Result<Vec<_>>>()?;
    if size.len() != 2 || cx.shape(x)?.len() != 4 {
        return Err(ReadError::malformed(format!(
            "size {size:?}, not [height, width] of an image"
        )));
    }
    cx.emit(Resize { nearest, ..Resize::new(vec![1, 2], size, method, coordinates) }, &[x])
}

pub(super) const WRITERS: &[(super::Key, Write)] = &[(of::<Resize>, write)];

fn write(cx: &mut NodeCx<'_, '_>) -> Result<(), Refused> {
    use ResizeCoordinates as C;
    let op: &Resize = cx.op()?;
    let plain = Resize {
        nearest: op.nearest,
        ..Resize::new(vec![1, 2], op.size.clone(), op.method, op.coordinates)
    };
    let fail = || "the format has no such resizing".to_owned();
    if *op != plain || cx.input_type(0)?.shape.rank() != 4 {
        return Err(fail());
    }
    let (name, options) = match (op.method, op.coordinates, op.nearest) {
        (ResizeMethod::Linear, C::AlignCorners | C::HalfPixel | C::Asymmetric, _) => {
            let options = ResizeBilinearOptions {
                align_corners: op.coordinates == C::AlignCorners,
                half_pixel_centers: op.coordinates == C::HalfPixel,
            };
            ("RESIZE_BILINEAR", BuiltinOptions::ResizeBilinearOptions(Box::new(options)))
        }
        (ResizeMethod::Nearest, C::AlignCorners, ResizeNearest::RoundPreferCeil)
        | (ResizeMethod::Nearest, C::TfHalfPixelForNn | C::Asymmetric, ResizeNearest::Floor) => {
            let options = ResizeNearestNeighborOptions {
                align_corners: op.coordinates == C::AlignCorners,
                half_pixel_centers: op.coordinates == C::TfHalfPixelForNn,
            };
            let options = BuiltinOptions::ResizeNearestNeighborOptions(Box::new(options));
            ("RESIZE_NEAREST_NEIGHBOR", options)
        }
        _ => return Err(fail()),
    };
    let inputs = vec![cx.input(0)?, cx.sizes(&op.size)?];
    let output = cx.output(0)?;
    cx.operator(name, Some(options), inputs, vec![output])
}
