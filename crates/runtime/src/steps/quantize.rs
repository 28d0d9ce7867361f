use crate::step::{Io, Step, numbers};
use crate::wire::wire;
use paring_kernels::Kernels;

/// `f32` to `i8` by division and rounding, ties away from zero or to even.
#[derive(Debug)]
pub struct QuantizeStep {
    pub scale: f32,
    pub zero_point: i32,
    pub ties_even: bool,
}

impl Step for QuantizeStep {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let x: &[f32] = numbers(io.a);
        for (out, x) in io.out.iter_mut().zip(x) {
            let real = x / self.scale;
            let whole = if self.ties_even { real.round_ties_even() } else { real.round() };
            let q = (whole as i64).saturating_add(i64::from(self.zero_point)).clamp(-128, 127);
            *out = q as i8 as u8;
        }
    }
}

wire!(QuantizeStep { scale, zero_point, ties_even });
