//! Images of another size.

use super::{Read, required};
use crate::error::{ReadError, Result};
use crate::import::OpCx;
use crate::model::natural;
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
