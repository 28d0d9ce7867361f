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
