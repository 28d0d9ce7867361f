//! A small data set made by code: 32x32 gray pictures of eight shapes.
//!
//! Each picture shows one shape at a random place, size, turn and slant, brighter or darker than a
//! sloping background, under clutter and noise. A picture is a pure function of its split and
//! index, computed with integer arithmetic and the IEEE operations `+ - * /` only, so every machine
//! draws the same bytes. The hard cases are hard on purpose (small, faint, noisy): a small network
//! gets most of them and not all, so that the cost of compressing it can be seen.
//!
//! ```
//! use paring_data::{Split, shapes};
//!
//! let picture = shapes::draw(Split::Test, 5);
//! assert_eq!(picture.pixels.len(), shapes::SIDE * shapes::SIDE);
//! assert!(picture.label < shapes::CLASSES.len());
//! ```

use crate::Split;
use crate::rng::Rng;

/// Width and height of a picture.
pub const SIDE: usize = 32;

/// Class names in the order of their labels.
pub const CLASSES: [&str; 8] =
    ["disc", "ring", "square", "triangle", "cross", "star", "crescent", "stripes"];

/// How many pictures a split has.
#[must_use]
pub const fn len(split: Split) -> usize {
    match split {
        Split::Train => 16_000,
        Split::Test => 2_000,
    }
}

/// The splits never share a random stream.
const fn seed(split: Split) -> u64 {
    match split {
        Split::Train => 0x7368_6170_6573_0001,
        Split::Test => 0x7368_6170_6573_0002,
    }
}

/// One picture and what it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    /// Rows from the top, one byte a pixel.
    pub pixels: Vec<u8>,
    /// Index into [`CLASSES`].
    pub label: usize,
}

/// Samples along each edge of a pixel for antialiasing.
const SUPERSAMPLE: usize = 4;

/// The picture `index` of `split`. Every run of eight that starts at a multiple of eight shows each
/// class once, so any such prefix is balanced.
#[must_use]
pub fn draw(split: Split, index: usize) -> Picture {
    let label = label(split, index);
    let mut rng = Rng::new(seed(split), index as u64);

    let radius = rng.range(6.5, 11.5);
    let free = SIDE as f64 / 2.0 - radius * 0.85;
    let centre = |rng: &mut Rng| SIDE as f64 / 2.0 + free * rng.range(-1.0, 1.0);
    let (cx, cy) = (centre(&mut rng), centre(&mut rng));
    let (cos, sin) = turn(&mut rng);
    let stretch = rng.range(0.8, 1.25);
    let slant = rng.range(-0.2, 0.2);
    let detail = rng.unit();

    let base = rng.range(70.0, 185.0);
    let slope = (rng.range(-1.3, 1.3), rng.range(-1.3, 1.3));
    let contrast = rng.range(22.0, 80.0) * if rng.unit() < 0.5 { -1.0 } else { 1.0 };
    let noise = rng.range(4.0, 23.0);

    let inside = |x: f64, y: f64| {
        let (dx, dy) = ((x - cx) / radius, (y - cy) / radius);
        let (u, v) = (dx * cos + dy * sin, dy * cos - dx * sin);
        covers(label, (u + slant * v) * stretch, v / stretch, detail)
    };
    let mut canvas = vec![0.0_f64; SIDE * SIDE];
    for (i, value) in canvas.iter_mut().enumerate() {
        let (x, y) = ((i % SIDE) as f64, (i / SIDE) as f64);
        let mut hits = 0_u32;
        for k in 0..SUPERSAMPLE * SUPERSAMPLE {
            let step = |n: usize| (n as f64 + 0.5) / SUPERSAMPLE as f64;
            hits += u32::from(inside(x + step(k % SUPERSAMPLE), y + step(k / SUPERSAMPLE)));
        }
        let covered = f64::from(hits) / (SUPERSAMPLE * SUPERSAMPLE) as f64;
        let half = SIDE as f64 / 2.0;
        *value = base + slope.0 * (x - half) + slope.1 * (y - half) + contrast * covered;
    }
    clutter(&mut canvas, contrast, &mut rng);

    let pixels = canvas.iter().map(|&value| to_byte(value + noise * bell(&mut rng))).collect();
    Picture { pixels, label }
}

/// What picture `index` of `split` shows, without drawing it.
#[must_use]
pub fn label(split: Split, index: usize) -> usize {
    let mut order: [usize; 8] = std::array::from_fn(|class| class);
    Rng::new(seed(split) ^ 0x006f_7264_6572, (index / order.len()) as u64).shuffle(&mut order);
    order[index % order.len()]
}

/// A random direction as (cos, sin), from the rational parametrization of the circle, so that no
/// library function whose last bit differs between machines takes part.
fn turn(rng: &mut Rng) -> (f64, f64) {
    let t = rng.range(-0.5, 0.5);
    let (cos, sin) = ((1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t));
    match rng.below(4) {
        0 => (cos, sin),
        1 => (-sin, cos),
        2 => (-cos, -sin),
        _ => (sin, -cos),
    }
}

/// Whether the point is in the shape of class `label`, which fills about the unit disc. `detail`
/// in `[0, 1)` varies what the class leaves free: hole sizes and bar widths.
fn covers(label: usize, u: f64, v: f64, detail: f64) -> bool {
    let square = u * u + v * v;
    match label {
        0 => square <= 0.8,
        1 => {
            let hole = 0.45 + 0.2 * detail;
            square <= 0.9 && square >= hole * hole
        }
        2 => u.abs() <= 0.78 && v.abs() <= 0.78,
        // Three edges at distance 0.5 from the centre, normals 120 degrees apart.
        3 => v <= 0.5 && 0.866_025_4 * u - 0.5 * v <= 0.5 && -0.866_025_4 * u - 0.5 * v <= 0.5,
        4 => {
            let arm = 0.2 + 0.15 * detail;
            (u.abs() <= arm && v.abs() <= 0.95) || (v.abs() <= arm && u.abs() <= 0.95)
        }
        5 => in_star(u, v, 0.36 + 0.12 * detail),
        6 => {
            let (du, cut) = (u - 0.4 - 0.15 * detail, 0.8);
            square <= 0.9 && du * du + v * v > cut * cut
        }
        _ => {
            let bars = if detail < 0.5 { 2.0 } else { 3.0 };
            let phase = (v + 0.85) / 1.7 * (2.0 * bars - 1.0);
            u.abs() <= 0.85 && v.abs() <= 0.85 && (phase as i64) % 2 == 0
        }
    }
}

/// Unit vectors to the five points of a star and, between them, to its five notches.
const STAR: [(f64, f64); 10] = [
    (0.0, 1.0),
    (-0.587_785_25, 0.809_016_99),
    (-0.951_056_52, 0.309_016_99),
    (-0.951_056_52, -0.309_016_99),
    (-0.587_785_25, -0.809_016_99),
    (0.0, -1.0),
    (0.587_785_25, -0.809_016_99),
    (0.951_056_52, -0.309_016_99),
    (0.951_056_52, 0.309_016_99),
    (0.587_785_25, 0.809_016_99),
];

/// Whether a five-pointed star with notches at radius `notch` holds the point (even-odd rule).
fn in_star(u: f64, v: f64, notch: f64) -> bool {
    let corner = |k: usize| {
        let radius = if k.is_multiple_of(2) { 1.0 } else { notch };
        let (x, y) = STAR[k % STAR.len()];
        (x * radius, y * radius)
    };
    let mut inside = false;
    for k in 0..STAR.len() {
        let ((ax, ay), (bx, by)) = (corner(k), corner(k + 1));
        if (ay > v) != (by > v) && u < ax + (bx - ax) * (v - ay) / (by - ay) {
            inside = !inside;
        }
    }
    inside
}

/// Up to three short strokes and a few specks in either tone.
fn clutter(canvas: &mut [f64], contrast: f64, rng: &mut Rng) {
    let tone = |rng: &mut Rng| contrast * if rng.unit() < 0.5 { -0.7 } else { 0.7 };
    for _ in 0..rng.below(4) {
        let amount = tone(rng);
        let (mut x, mut y) = (rng.range(0.0, SIDE as f64), rng.range(0.0, SIDE as f64));
        let (dx, dy) = turn(rng);
        for _ in 0..rng.below(10) {
            dab(canvas, x, y, amount);
            x += dx;
            y += dy;
        }
    }
    for _ in 0..rng.below(6) {
        let amount = tone(rng);
        dab(canvas, rng.range(0.0, SIDE as f64), rng.range(0.0, SIDE as f64), amount);
    }
}

/// Adds `amount` to the pixel at (x, y) when there is one.
fn dab(canvas: &mut [f64], x: f64, y: f64, amount: f64) {
    let side = SIDE as f64;
    if (0.0..side).contains(&x) && (0.0..side).contains(&y) {
        canvas[y as usize * SIDE + x as usize] += amount;
    }
}

/// The sum of four uniform numbers, centred and scaled to unit variance: near enough to normal.
fn bell(rng: &mut Rng) -> f64 {
    let sum = rng.unit() + rng.unit() + rng.unit() + rng.unit();
    (sum - 2.0) * 1.732_050_8
}

/// The nearest byte.
fn to_byte(value: f64) -> u8 {
    (value + 0.5).clamp(0.0, 255.0) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FNV-1a, 64 bits.
    fn hash(split: Split, count: usize) -> u64 {
        let mut state = 0xcbf2_9ce4_8422_2325_u64;
        for index in 0..count {
            let picture = draw(split, index);
            assert_eq!(picture.label, label(split, index));
            for byte in picture.pixels.into_iter().chain([picture.label as u8]) {
                state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
        state
    }

    #[test]
    fn the_pictures_never_change() {
        assert_eq!(format!("{:016x}", hash(Split::Train, 64)), "09b4f1353faf5309");
        assert_eq!(format!("{:016x}", hash(Split::Test, 64)), "f0b9f14cc0c73b7b");
    }

    #[test]
    fn every_eight_show_each_class() {
        for block in 0..20 {
            let mut seen = [false; CLASSES.len()];
            for k in 0..CLASSES.len() {
                seen[label(Split::Train, block * CLASSES.len() + k)] = true;
            }
            assert_eq!(seen, [true; CLASSES.len()]);
        }
    }

    #[test]
    fn splits_differ() {
        assert_ne!(draw(Split::Train, 0).pixels, draw(Split::Test, 0).pixels);
    }
}
