//! Classifies a camera frame: `classify_frame PACKAGE FRAME.ppm` prints the class and its score.
//!
//! The middle square of the frame is scaled to the input of the model, which is taken to want red, green and
//! blue from 0 to 1.

use paring_rt::{Element, Port};
use std::error::Error;

/// A picture of red, green and blue bytes.
struct Frame {
    width: usize,
    height: usize,
    pixels: Vec<u8>,
}

/// Reads a binary PPM of 8 bits.
fn read_ppm(bytes: &[u8]) -> Option<Frame> {
    let mut rest = bytes;
    let mut word = || {
        while let [first, tail @ ..] = rest {
            if *first == b'#' {
                rest = &rest[rest.iter().position(|b| *b == b'\n')?..];
            } else if first.is_ascii_whitespace() {
                rest = tail;
            } else {
                break;
            }
        }
        let end = rest.iter().position(u8::is_ascii_whitespace)?;
        let (word, tail) = rest.split_at(end);
        rest = &tail[1..];
        std::str::from_utf8(word).ok()
    };
    if word()? != "P6" {
        return None;
    }
    let (width, height) = (word()?.parse().ok()?, word()?.parse().ok()?);
    if word()? != "255" {
        return None;
    }
    let pixels = rest.get(..3_usize.checked_mul(width)?.checked_mul(height)?)?.to_vec();
    Some(Frame { width, height, pixels })
}

impl Frame {
    /// The middle square at another size: each pixel is the mean of those that it covers, 0 to 1.
    fn scaled(&self, size: usize) -> Vec<f32> {
        let side = self.width.min(self.height);
        let (left, top) = ((self.width - side) / 2, (self.height - side) / 2);
        let range = |i: usize| {
            let begin = i * side / size;
            begin..((i + 1) * side / size).max(begin + 1)
        };
        let mut out = Vec::with_capacity(3 * size * size);
        for y in 0..size {
            for x in 0..size {
                for channel in 0..3 {
                    let (mut sum, mut count) = (0, 0);
                    for row in range(y) {
                        for column in range(x) {
                            let at = (top + row) * self.width + left + column;
                            sum += u32::from(self.pixels[3 * at + channel]);
                            count += 1;
                        }
                    }
                    out.push(sum as f32 / (255 * count) as f32);
                }
            }
        }
        out
    }
}

/// Real numbers as the elements of an input.
fn elements(port: &Port, real: &[f32]) -> Result<Vec<u8>, String> {
    let (scale, zero) = port.quant.unwrap_or((1.0, 0));
    let stored = |x: &f32| (x / scale).round_ties_even() as i32 + zero;
    Ok(match port.element {
        Element::F32 => real.iter().flat_map(|x| x.to_le_bytes()).collect(),
        Element::I8 => real.iter().map(|x| stored(x).clamp(-128, 127) as i8 as u8).collect(),
        Element::U8 => real.iter().map(|x| stored(x).clamp(0, 255) as u8).collect(),
        other => return Err(format!("the input has elements of {other:?}")),
    })
}

/// The largest element of an output: its number and what it stands for.
fn largest(port: &Port, bytes: &[u8]) -> (usize, f32) {
    let (scale, zero) = port.quant.unwrap_or((1.0, 0));
    let real = |stored: i32| scale * (stored - zero) as f32;
    let scores: Vec<f32> = match port.element {
        Element::F32 => {
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
        }
        Element::I8 => bytes.iter().map(|b| real(i32::from(*b as i8))).collect(),
        _ => bytes.iter().map(|b| real(i32::from(*b))).collect(),
    };
    let mut best = (0, f32::NEG_INFINITY);
    for (i, score) in scores.into_iter().enumerate() {
        if score > best.1 {
            best = (i, score);
        }
    }
    best
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, package, frame] = &args[..] else {
        return Err("usage: classify_frame PACKAGE FRAME.ppm".into());
    };
    let model = paring_rt::open(package)?;
    let ([input], [output]) = (model.inputs(), model.outputs()) else {
        return Err("the model has more than one input or output".into());
    };
    let &[1, size, width, 3] = &input.shape[..] else {
        return Err(format!("the model takes no pictures: {:?}", input.shape).into());
    };
    if size != width {
        return Err(format!("the model takes no squares: {:?}", input.shape).into());
    }
    let bytes = std::fs::read(frame).map_err(|e| format!("{frame}: {e}"))?;
    let frame = read_ppm(&bytes).ok_or_else(|| format!("{frame}: not a binary PPM of 8 bits"))?;
    let image = elements(input, &frame.scaled(size))?;
    let mut scores = vec![0; output.len];
    model.runner().run(&[&image], &mut [&mut scores])?;
    let (class, score) = largest(output, &scores);
    println!("{class} {score:.4}");
    Ok(())
}
