use crate::step::{Io, Step, numbers, numbers_mut};
use crate::threads::divide;
use crate::wire::{Fault, Reader, Wire, Writer, wire};
use paring_kernels::Kernels;

/// A function of each `f32`.
#[derive(Debug)]
pub struct Map {
    pub f: Function,
}

fn each(x: &[f32], out: &mut [f32], f: impl Fn(f32) -> f32) {
    for (out, x) in out.iter_mut().zip(x) {
        *out = f(*x);
    }
}

/// What is no number stays.
pub(super) fn clip(x: f32, low: f32, high: f32) -> f32 {
    if x < low {
        low
    } else if x > high {
        high
    } else {
        x
    }
}

fn sigmoid(x: f32) -> f32 {
    // Of the two forms, the one whose exponential does not overflow.
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// `ln(1 + exp(x))` without overflow.
fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// The error function: the integral's series where that converges fast, its continued fraction elsewhere.
fn erf(x: f64) -> f64 {
    const TERMS: u32 = 60;
    let a = x.abs();
    if a.is_nan() || a > 6.0 {
        return if a.is_nan() { x } else { x.signum() };
    }
    let root = std::f64::consts::PI.sqrt();
    let value = if a < 2.0 {
        // 2 / sqrt(pi) * exp(-a^2) * sum of 2^n a^(2n + 1) / (1 * 3 * ... * (2n + 1))
        let (mut term, mut sum) = (a, a);
        for n in 1..TERMS {
            term *= 2.0 * a * a / f64::from(2 * n + 1);
            sum += term;
        }
        2.0 / root * (-a * a).exp() * sum
    } else {
        let tail = (1..=TERMS).rev().fold(0.0, |tail, k| f64::from(k) / 2.0 / (a + tail));
        1.0 - (-a * a).exp() / (root * (a + tail))
    };
    value.copysign(x)
}

impl Map {
    pub(super) fn apply(&self, x: &[f32], out: &mut [f32]) {
        match self.f {
            Function::Relu => each(x, out, |x| clip(x, 0.0, f32::INFINITY)),
            Function::Relu6 => each(x, out, |x| clip(x, 0.0, 6.0)),
            Function::ReluN1To1 => each(x, out, |x| clip(x, -1.0, 1.0)),
            Function::Clip { min, max } => each(x, out, |x| clip(x, min, max)),
            Function::LeakyRelu { alpha } => each(x, out, |x| if x >= 0.0 { x } else { alpha * x }),
            Function::HardSwish => each(x, out, |x| x * clip(x + 3.0, 0.0, 6.0) / 6.0),
            Function::HardSigmoid { alpha, beta } => {
                each(x, out, |x| clip(alpha * x + beta, 0.0, 1.0));
            }
            Function::Sigmoid => each(x, out, sigmoid),
            Function::Silu => each(x, out, |x| x * sigmoid(x)),
            Function::Tanh => each(x, out, f32::tanh),
            Function::Abs => each(x, out, f32::abs),
            Function::Neg => each(x, out, |x| -x),
            Function::Square => each(x, out, |x| x * x),
            Function::Sqrt => each(x, out, f32::sqrt),
            Function::Elu { alpha } => {
                each(x, out, |x| if x < 0.0 { alpha * x.exp_m1() } else { x });
            }
            Function::Selu { alpha, gamma } => {
                each(x, out, |x| gamma * if x > 0.0 { x } else { alpha * x.exp_m1() });
            }
            Function::Celu { alpha } => {
                each(x, out, |x| x.max(0.0) + (alpha * (x / alpha).exp_m1()).min(0.0));
            }
            Function::ThresholdedRelu { alpha } => {
                each(x, out, |x| if x > alpha { x } else { 0.0 });
            }
            Function::Gelu => each(x, out, |x| {
                let y = f64::from(x);
                (0.5 * y * (1.0 + erf(y * std::f64::consts::FRAC_1_SQRT_2))) as f32
            }),
            Function::GeluTanh => each(x, out, |x| {
                let y = f64::from(x);
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (y + 0.044_715 * y * y * y);
                (0.5 * y * (1.0 + inner.tanh())) as f32
            }),
            Function::Softplus => each(x, out, softplus),
            Function::Softsign => each(x, out, |x| x / (1.0 + x.abs())),
            Function::Mish => each(x, out, |x| x * softplus(x).tanh()),
            Function::Sign => each(x, out, |x| {
                if x > 0.0 {
                    1.0
                } else if x < 0.0 {
                    -1.0
                } else {
                    x
                }
            }),
            Function::Floor => each(x, out, f32::floor),
            Function::Ceil => each(x, out, f32::ceil),
            Function::Round => each(x, out, f32::round_ties_even),
            Function::Exp => each(x, out, f32::exp),
            Function::Log => each(x, out, f32::ln),
            Function::Rsqrt => each(x, out, |x| 1.0 / x.sqrt()),
            Function::Reciprocal => each(x, out, |x| 1.0 / x),
            Function::Erf => each(x, out, |x| erf(f64::from(x)) as f32),
            Function::Sin => each(x, out, f32::sin),
            Function::Cos => each(x, out, f32::cos),
            Function::Tan => each(x, out, f32::tan),
            Function::Asin => each(x, out, f32::asin),
            Function::Acos => each(x, out, f32::acos),
            Function::Atan => each(x, out, f32::atan),
            Function::Sinh => each(x, out, f32::sinh),
            Function::Cosh => each(x, out, f32::cosh),
            Function::Asinh => each(x, out, f32::asinh),
            Function::Acosh => each(x, out, f32::acosh),
            Function::Atanh => each(x, out, f32::atanh),
            Function::ScaledTanh { alpha, beta } => each(x, out, |x| alpha * (beta * x).tanh()),
            Function::Affine { alpha, beta } => each(x, out, |x| alpha * x + beta),
        }
    }
}

impl Step for Map {
    fn run(&self, _: &dyn Kernels, io: Io<'_>) {
        let x: &[f32] = numbers(io.a);
        let out: &mut [f32] = numbers_mut(io.out);
        divide(x.len(), 1, 4 * x.len(), out, &|range, out| self.apply(&x[range], out));
    }
}

/// The functions of a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Function {
    Relu,
    Relu6,
    ReluN1To1,
    Clip { min: f32, max: f32 },
    LeakyRelu { alpha: f32 },
    HardSwish,
    HardSigmoid { alpha: f32, beta: f32 },
    Sigmoid,
    Silu,
    Tanh,
    Abs,
    Neg,
    Square,
    Sqrt,
    Elu { alpha: f32 },
    Selu { alpha: f32, gamma: f32 },
    Celu { alpha: f32 },
    ThresholdedRelu { alpha: f32 },
    Gelu,
    GeluTanh,
    Softplus,
    Softsign,
    Mish,
    Sign,
    Floor,
    Ceil,
    Round,
    Exp,
    Log,
    Rsqrt,
    Reciprocal,
    Erf,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Asinh,
    Acosh,
    Atanh,
    ScaledTanh { alpha: f32, beta: f32 },
    Affine { alpha: f32, beta: f32 },
}

wire!(Map { f });

impl Wire for Function {
    fn put(&self, w: &mut Writer) {
        use Function::*;
        let (kind, numbers) = match *self {
            Relu => (0_u8, [0.0; 2]),
            Relu6 => (1, [0.0; 2]),
            ReluN1To1 => (2, [0.0; 2]),
            Clip { min, max } => (3, [min, max]),
            LeakyRelu { alpha } => (4, [alpha, 0.0]),
            HardSwish => (5, [0.0; 2]),
            HardSigmoid { alpha, beta } => (6, [alpha, beta]),
            Sigmoid => (7, [0.0; 2]),
            Silu => (8, [0.0; 2]),
            Tanh => (9, [0.0; 2]),
            Abs => (10, [0.0; 2]),
            Neg => (11, [0.0; 2]),
            Square => (12, [0.0; 2]),
            Sqrt => (13, [0.0; 2]),
            Elu { alpha } => (14, [alpha, 0.0]),
            Selu { alpha, gamma } => (15, [alpha, gamma]),
            Celu { alpha } => (16, [alpha, 0.0]),
            ThresholdedRelu { alpha } => (17, [alpha, 0.0]),
            Gelu => (18, [0.0; 2]),
            GeluTanh => (19, [0.0; 2]),
            Softplus => (20, [0.0; 2]),
            Softsign => (21, [0.0; 2]),
            Mish => (22, [0.0; 2]),
            Sign => (23, [0.0; 2]),
            Floor => (24, [0.0; 2]),
            Ceil => (25, [0.0; 2]),
            Round => (26, [0.0; 2]),
            Exp => (27, [0.0; 2]),
            Log => (28, [0.0; 2]),
            Rsqrt => (29, [0.0; 2]),
            Reciprocal => (30, [0.0; 2]),
            Erf => (31, [0.0; 2]),
            Sin => (32, [0.0; 2]),
            Cos => (33, [0.0; 2]),
            Tan => (34, [0.0; 2]),
            Asin => (35, [0.0; 2]),
            Acos => (36, [0.0; 2]),
            Atan => (37, [0.0; 2]),
            Sinh => (38, [0.0; 2]),
            Cosh => (39, [0.0; 2]),
            Asinh => (40, [0.0; 2]),
            Acosh => (41, [0.0; 2]),
            Atanh => (42, [0.0; 2]),
            ScaledTanh { alpha, beta } => (43, [alpha, beta]),
            Affine { alpha, beta } => (44, [alpha, beta]),
        };
        (kind, numbers).put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        use Function::*;
        let (kind, [a, b]) = <(u8, [f32; 2])>::get(r)?;
        Ok(match kind {
            0 => Relu,
            1 => Relu6,
            2 => ReluN1To1,
            3 => Clip { min: a, max: b },
            4 => LeakyRelu { alpha: a },
            5 => HardSwish,
            6 => HardSigmoid { alpha: a, beta: b },
            7 => Sigmoid,
            8 => Silu,
            9 => Tanh,
            10 => Abs,
            11 => Neg,
            12 => Square,
            13 => Sqrt,
            14 => Elu { alpha: a },
            15 => Selu { alpha: a, gamma: b },
            16 => Celu { alpha: a },
            17 => ThresholdedRelu { alpha: a },
            18 => Gelu,
            19 => GeluTanh,
            20 => Softplus,
            21 => Softsign,
            22 => Mish,
            23 => Sign,
            24 => Floor,
            25 => Ceil,
            26 => Round,
            27 => Exp,
            28 => Log,
            29 => Rsqrt,
            30 => Reciprocal,
            31 => Erf,
            32 => Sin,
            33 => Cos,
            34 => Tan,
            35 => Asin,
            36 => Acos,
            37 => Atan,
            38 => Sinh,
            39 => Cosh,
            40 => Asinh,
            41 => Acosh,
            42 => Atanh,
            43 => ScaledTanh { alpha: a, beta: b },
            44 => Affine { alpha: a, beta: b },
            _ => return Err(Fault),
        })
    }
}
