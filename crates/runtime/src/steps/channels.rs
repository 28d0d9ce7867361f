use crate::blob::Blob;
use crate::step::{Io, Step, numbers, numbers_mut};
use crate::wire::wire;
use paring_kernels::Kernels;

/// `(x - mean) * factor + bias` with numbers of each channel, the innermost axis.
#[derive(Debug)]
pub struct ByChannel {
    pub mean: Blob,
    pub factor: Blob,
    pub bias: Blob,
}

impl Step for ByChannel {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let mean: &[f32] = self.mean.numbers();
        let (factor, bias): (&[f32], &[f32]) = (self.factor.numbers(), self.bias.numbers());
        let (x, out): (&[f32], &mut [f32]) = (numbers(io.a), numbers_mut(io.out));
        for (x, out) in x.chunks_exact(mean.len()).zip(out.chunks_exact_mut(mean.len())) {
            for (c, (y, x)) in out.iter_mut().zip(x).enumerate() {
                *y = (x - mean[c]) * factor[c] + bias[c];
            }
        }
    }
}

wire!(ByChannel { mean, factor, bias });
