use super::Picture;
use crate::{DataError, Result};
use std::io::Cursor;
use std::path::Path;
use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;

/// Larger pictures are refused before memory is asked for.
const MAX_PIXELS: usize = 1 << 26;
const ADVICE: &str = "replace or remove the picture";

/// Decodes a JPEG or PNG file, told apart by its first bytes, to red, green and blue, or to gray if
/// the file holds gray. Transparency is dropped; a turn noted in EXIF data is not applied.
///
/// # Errors
/// If the bytes are neither, are damaged, or declare more than 64 megapixels. `origin` names them.
pub fn decode(bytes: &[u8], origin: &Path) -> Result<Picture> {
    let picture = if bytes.starts_with(b"\xff\xd8") {
        jpeg(bytes)
    } else if bytes.starts_with(b"\x89PNG") {
        png(bytes)
    } else {
        Err("is neither JPEG nor PNG".to_owned())
    };
    picture.map_err(|fault| DataError::file(origin, fault, ADVICE))
}

fn check_size(width: usize, height: usize) -> Result<(), String> {
    match width.checked_mul(height) {
        Some(1..=MAX_PIXELS) => Ok(()),
        _ => Err(format!("declares {width}x{height} pixels; up to {MAX_PIXELS} are read")),
    }
}

fn jpeg(bytes: &[u8]) -> Result<Picture, String> {
    let fault = |e: &dyn std::fmt::Debug| format!("is a damaged JPEG ({e:?})");
    // A cut-off file is an error here, not a picture with a gray rest.
    let options =
        DecoderOptions::default().set_strict_mode(true).jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|e| fault(&e))?;
    let (width, height) = decoder.dimensions().ok_or_else(|| fault(&"no dimensions"))?;
    check_size(width, height)?;
    if decoder.input_colorspace() == Some(ColorSpace::Luma) {
        decoder.set_options(options.jpeg_set_out_colorspace(ColorSpace::Luma));
    }
    let pixels = decoder.decode().map_err(|e| fault(&e))?;
    let channels = pixels.len() / (width * height);
    finish(width, height, channels, pixels)
}

fn png(bytes: &[u8]) -> Result<Picture, String> {
    let fault = |e: &dyn std::fmt::Display| format!("is a damaged PNG ({e})");
    let mut decoder = png::Decoder::new(Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND | png::Transformations::STRIP_16);
    let mut reader = decoder.read_info().map_err(|e| fault(&e))?;
    let (width, height) = (reader.info().width as usize, reader.info().height as usize);
    check_size(width, height)?;
    let size = reader.output_buffer_size().ok_or_else(|| fault(&"too large"))?;
    let mut pixels = vec![0; size];
    let frame = reader.next_frame(&mut pixels).map_err(|e| fault(&e))?;
    pixels.truncate(frame.buffer_size());
    let (channels, kept) = match frame.color_type {
        png::ColorType::Grayscale => (1, 1),
        png::ColorType::GrayscaleAlpha => (2, 1),
        png::ColorType::Rgb => (3, 3),
        png::ColorType::Rgba => (4, 3),
        png::ColorType::Indexed => return Err(fault(&"palette was not expanded")),
    };
    if kept < channels {
        pixels = pixels.chunks_exact(channels).flat_map(|p| &p[..kept]).copied().collect();
    }
    finish(width, height, kept, pixels)
}

fn finish(
    width: usize,
    height: usize,
    channels: usize,
    pixels: Vec<u8>,
) -> Result<Picture, String> {
    if !matches!(channels, 1 | 3) || pixels.len() != width * height * channels {
        return Err(format!("decodes to {} bytes for {width}x{height} pixels", pixels.len()));
    }
    Ok(Picture { height, width, channels, pixels })
}
