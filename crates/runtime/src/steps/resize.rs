use crate::step::{Io, Step, numbers, numbers_mut};
use crate::threads::divide;
use crate::wire::{Fault, Reader, Wire, Writer, wire};
use paring_kernels::Kernels;

/// The positions of the input that a position of the output is made from, with their weights.
pub type Taps = Vec<(usize, f32)>;

/// Two neighbouring axes sampled at other positions; around them `outer` times rows of `inner` elements.
#[derive(Debug)]
pub struct Sampled {
    /// For each position of the output along both axes.
    pub taps: [Vec<Taps>; 2],
    pub input: [usize; 2],
    pub inner: usize,
}

impl Sampled {
    /// Calls `pixel` for each pixel of the output with its taps and where the image begins in the input.
    fn each<T: Send>(
        &self,
        out: &mut [T],
        work: usize,
        pixel: impl Fn(usize, &Taps, &Taps, &mut [T]) + Sync,
    ) {
        let [rows, columns] = [0, 1].map(|i| self.taps[i].len());
        let row = columns * self.inner;
        divide(out.len() / row.max(1), row, work, out, &|range, out| {
            for (i, out) in range.zip(out.chunks_exact_mut(row)) {
                let image = i / rows * self.input[0] * self.input[1];
                let down = &self.taps[0][i % rows];
                for (across, out) in self.taps[1].iter().zip(out.chunks_exact_mut(self.inner)) {
                    pixel(image, down, across, out);
                }
            }
        });
    }

    fn place(&self, image: usize, y: usize, x: usize) -> usize {
        (image + y * self.input[1] + x) * self.inner
    }
}

/// The nearest elements; `inner` counts bytes.
#[derive(Debug)]
pub struct Nearest(pub Sampled);

impl Step for Nearest {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let (x, work) = (io.a, io.out.len() / 4);
        self.0.each(io.out, work, |image, down, across, out| {
            let at = self.0.place(image, down[0].0, across[0].0);
            out.copy_from_slice(&x[at..at + out.len()]);
        });
    }
}

/// Sums of weighted `f32`.
#[derive(Debug)]
pub struct Weighted(pub Sampled);

impl Step for Weighted {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let (x, out): (&[f32], &mut [f32]) = (numbers(io.a), numbers_mut(io.out));
        let work = 4 * out.len();
        self.0.each(out, work, |image, down, across, out| {
            out.fill(0.0);
            for (y, wy) in down {
                for (column, wx) in across {
                    let at = self.0.place(image, *y, *column);
                    let weight = wy * wx;
                    for (out, x) in out.iter_mut().zip(&x[at..]) {
                        *out += weight * x;
                    }
                }
            }
        });
    }
}

/// The two positions of the input that a position of the output lies between, and how far it is from the first, in 1024ths.
pub type Between = (usize, (usize, i32));

/// TFLite's interpolation of images of `i8` or `i16`.
#[derive(Debug)]
pub struct Bilinear {
    /// For each row and column of the output.
    pub taps: [Vec<Between>; 2],
    /// Rows and columns.
    pub input: [usize; 2],
    pub channels: usize,
    /// Whether elements have 16 bits.
    pub wide: bool,
}

impl Bilinear {
    fn of<T: Copy + Into<i64> + Send + Sync>(
        &self,
        x: &[T],
        out: &mut [T],
        store: impl Fn(i64) -> T + Sync,
    ) {
        let ([height, width], c) = (self.input, self.channels);
        let [rows, columns] = &self.taps;
        let row = columns.len() * c;
        divide(out.len() / row, row, 8 * out.len(), out, &|range, out| {
            for (i, out) in range.zip(out.chunks_exact_mut(row)) {
                let image = &x[i / rows.len() * height * width * c..][..height * width * c];
                let (top, (bottom, down)) = rows[i % rows.len()];
                for (pixel, (left, (right, across))) in out.chunks_exact_mut(c).zip(columns) {
                    let part = |from: [usize; 2], weight: i32| {
                        (&image[(from[0] * width + from[1]) * c..][..c], i64::from(weight))
                    };
                    let parts = [
                        part([top, *left], (1024 - down) * (1024 - across)),
                        part([bottom, *left], down * (1024 - across)),
                        part([top, *right], (1024 - down) * across),
                        part([bottom, *right], down * across),
                    ];
                    for (k, y) in pixel.iter_mut().enumerate() {
                        let sum: i64 = parts.iter().map(|(x, w)| x[k].into() * w).sum();
                        let half = if sum > 0 { 1 << 19 } else { -(1 << 19) };
                        *y = store((sum + half) / (1 << 20));
                    }
                }
            }
        });
    }
}

impl Step for Bilinear {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        if self.wide {
            let cut = |y: i64| y.clamp(i64::from(i16::MIN), i64::from(i16::MAX)) as i16;
            self.of::<i16>(numbers(io.a), numbers_mut(io.out), cut);
        } else {
            let cut = |y: i64| y.clamp(i64::from(i8::MIN), i64::from(i8::MAX)) as i8;
            self.of::<i8>(numbers(io.a), numbers_mut(io.out), cut);
        }
    }
}

/// As [`Between`], how far as a fraction.
pub type Fraction = (usize, (usize, f32));

/// LiteRT's interpolation of images of unsigned bytes, in single precision.
#[derive(Debug)]
pub struct U8Bilinear {
    /// For each row and column of the output.
    pub taps: [Vec<Fraction>; 2],
    /// Rows and columns.
    pub input: [usize; 2],
    pub channels: usize,
}

impl Step for U8Bilinear {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let ([height, width], c) = (self.input, self.channels);
        let [rows, columns] = &self.taps;
        let (row, x) = (columns.len() * c, io.a);
        divide(io.out.len() / row, row, 8 * io.out.len(), io.out, &|range, out| {
            for (i, out) in range.zip(out.chunks_exact_mut(row)) {
                let image = &x[i / rows.len() * height * width * c..][..height * width * c];
                let (top, (bottom, down)) = rows[i % rows.len()];
                for (pixel, (left, (right, across))) in out.chunks_exact_mut(c).zip(columns) {
                    let part =
                        |row: usize, column: usize| &image[(row * width + column) * c..][..c];
                    let parts = [
                        (part(top, *left), 1.0 - down, 1.0 - across),
                        (part(bottom, *left), down, 1.0 - across),
                        (part(top, *right), 1.0 - down, *across),
                        (part(bottom, *right), down, *across),
                    ];
                    for (k, y) in pixel.iter_mut().enumerate() {
                        // The order of these sums is part of what is computed.
                        let [a, b, e, f] = parts.map(|(x, wy, wx)| f32::from(x[k]) * wy * wx);
                        *y = (a + b + e + f + 0.5) as i32 as u8;
                    }
                }
            }
        });
    }
}

wire!(U8Bilinear { taps, input, channels });
wire!(Bilinear { taps, input, channels, wide });
wire!(Sampled { taps, input, inner });

impl Wire for Nearest {
    fn put(&self, w: &mut Writer) {
        self.0.put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self(Sampled::get(r)?))
    }
}

impl Wire for Weighted {
    fn put(&self, w: &mut Writer) {
        self.0.put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(Self(Sampled::get(r)?))
    }
}
