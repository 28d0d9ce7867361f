use crate::kernel::{Call, Done, Types, one, room};
use crate::number::{Number, each_number};
use crate::quantized::{Affine, ints, is_quantized, scale, stored};
use crate::register_kernel;
use paring_ir::ops::Unary;
use paring_qmath::fixed::{Width, high_mul_16, input_radius, logistic, tanh, to_format};
use paring_qmath::table16::Table16;
use paring_qmath::{Multiplier, Rounding, rounding_shift_right};
use paring_tensor::{DType, Tensor};

register_kernel!(Unary, support, run);

/// The binary logarithm of a power of two.
fn power_of(scale: f32) -> Option<i32> {
    let log = scale.log2();
    let power = log.round();
    ((log - power).abs() < 1e-3).then_some(power as i32)
}

fn support(op: &Unary, types: Types<'_>) -> Result<(), String> {
    use Unary::{Abs, BitNot, Clip, IsInf, IsNan, Neg, Not, Relu, Relu6, ReluN1To1, Sign, Square};
    let (x, y) = (types.inputs[0], types.outputs[0]);
    if super::any_quantized(types) {
        if matches!(op, Not | BitNot | IsNan | IsInf { .. }) {
            return Err(format!("{op:?} of quantized numbers"));
        }
        let (from, to) = (Affine::of("the input", x)?, Affine::of("the output", y)?);
        let table = matches!(op, Unary::Sigmoid | Unary::Tanh) && from.dtype == DType::I16;
        if table && (from.zero != 0 || to.zero != 0 || (to.scale * 32768.0 - 1.0).abs() > 1e-3) {
            return Err(format!(
                "the 16-bit table of {op:?} is symmetric with an output scale of 1/32768, not {y}"
            ));
        }
        return Ok(());
    }
    let exact =
        matches!(op, Abs | Neg | Sign | Relu | Relu6 | ReluN1To1 | Clip { .. } | Square | BitNot);
    match x.dtype {
        d if d.is_float() => Ok(()),
        DType::Bool if *op == Not => Ok(()),
        d if d.is_integer() && exact => Ok(()),
        d => Err(format!("{op:?} of {d} elements; cast them to a floating-point type")),
    }
}

fn run(op: &Unary, call: &Call<'_>) -> Done {
    if super::any_quantized(call.types) {
        return quantized(op, call);
    }
    let shape = call.shape(0);
    let dtype = call.dtype(0);
    match op {
        Unary::IsNan => return flags(call, f64::is_nan),
        Unary::IsInf { negative, positive } => {
            return flags(call, |x| x.is_infinite() && if x > 0.0 { *positive } else { *negative });
        }
        Unary::Not => {
            let y: Vec<u8> = call.view::<u8>(0)?.iter().map(|x| u8::from(*x == 0)).collect();
            return Ok(vec![Tensor::from_vec(shape, y)?.reinterpret(DType::Bool)?]);
        }
        _ => {}
    }
    match dtype {
        DType::F32 => one(shape, map(&call.view::<f32>(0)?, |x| real_f32(op, x))?),
        DType::F64 => one(shape, map(&call.view::<f64>(0)?, |x| real_f64(op, x))?),
        d if d.is_float() => {
            let y = map(&call.inputs[0].to_f32(), |x| real_f32(op, x))?;
            Ok(super::floats(shape, y, d)?)
        }
        _ => each_number!(dtype, T => {
            let y: Vec<T> = map(&call.view::<T>(0)?, |x| integer(op, x))?;
            Ok(vec![Tensor::from_vec(shape, y)?.reinterpret(dtype)?])
        }),
    }
}

fn map<A: Copy, B>(x: &[A], f: impl Fn(A) -> B) -> Result<Vec<B>, crate::Fault> {
    let mut y = room(x.len())?;
    y.extend(x.iter().map(|x| f(*x)));
    Ok(y)
}

fn flags(call: &Call<'_>, f: impl Fn(f64) -> bool) -> Done {
    let y: Vec<u8> = call.inputs[0].to_f64().into_iter().map(|x| u8::from(f(x))).collect();
    Ok(vec![Tensor::from_vec(call.shape(0), y)?.reinterpret(DType::Bool)?])
}

/// Functions that integers have too.
fn integer<T: Number>(op: &Unary, x: T) -> T {
    let zero = T::zero();
    let clip = |low: f32, high: f32| {
        let v = x.to_f64();
        if v < f64::from(low) {
            T::from_f64(f64::from(low).ceil())
        } else if v > f64::from(high) {
            T::from_f64(f64::from(high).floor())
        } else {
            x
        }
    };
    match op {
        Unary::Abs if x < zero => zero.minus(x),
        Unary::Neg => zero.minus(x),
        Unary::Sign if x < zero => zero.minus(T::one()),
        Unary::Sign if x > zero => T::one(),
        Unary::Relu => x.larger(zero),
        Unary::Relu6 => clip(0.0, 6.0),
        Unary::ReluN1To1 => clip(-1.0, 1.0),
        Unary::Clip { min, max } => clip(*min, *max),
        Unary::Square => x.times(x),
        // All bits inverted is one less than the negative, in two's complement and without a sign.
        Unary::BitNot => zero.minus(x).minus(T::one()),
        _ => x,
    }
}

/// The error function by its series for small arguments and its continued fraction for large ones, to
/// the precision of `f64`.
fn erf(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    let a = x.abs();
    if a > 6.0 {
        return x.signum();
    }
    let scale = 2.0 / std::f64::consts::PI.sqrt();
    let value = if a < 2.5 {
        // sum of (-1)^n a^(2n+1) / (n! (2n+1))
        let (mut term, mut sum) = (a, a);
        for n in 1..80 {
            let n = f64::from(n);
            term *= -a * a / n;
            sum += term / (2.0 * n + 1.0);
        }
        scale * sum
    } else {
        let mut tail = 0.0;
        for k in (1..=60).rev() {
            tail = f64::from(k) / 2.0 / (a + tail);
        }
        1.0 - (-a * a).exp() / (std::f64::consts::PI.sqrt() * (a + tail))
    };
    value.copysign(x)
}

/// Defines the functions of real numbers for one floating-point type.
macro_rules! real {
    ($name:ident, $t:ident) => {
        fn $name(op: &Unary, x: $t) -> $t {
            let sigmoid = |x: $t| 1.0 / (1.0 + (-x).exp());
            // ln(1 + exp(x)) without overflow.
            let softplus = |x: $t| x.max(0.0) + (-x.abs()).exp().ln_1p();
            let clip = |low: $t, high: $t| {
                if x < low {
                    low
                } else if x > high {
                    high
                } else {
                    x
                }
            };
            match *op {
                Unary::Relu => clip(0.0, $t::INFINITY),
                Unary::Relu6 => clip(0.0, 6.0),
                Unary::ReluN1To1 => clip(-1.0, 1.0),
                Unary::LeakyRelu { alpha } => {
                    if x > 0.0 {
                        x
                    } else {
                        x * $t::from(alpha)
                    }
                }
                // The upper bound wins where the bounds cross.
                Unary::Clip { min, max } => {
                    let low = if x < $t::from(min) { $t::from(min) } else { x };
                    if low > $t::from(max) { $t::from(max) } else { low }
                }
                Unary::Sigmoid => sigmoid(x),
                Unary::HardSigmoid { alpha, beta } => {
                    let y = $t::from(alpha) * x + $t::from(beta);
                    if y < 0.0 {
                        0.0
                    } else if y > 1.0 {
                        1.0
                    } else {
                        y
                    }
                }
                Unary::HardSwish => x * (x + 3.0).max(0.0).min(6.0) / 6.0,
                Unary::Silu => x * sigmoid(x),
                Unary::Tanh => x.tanh(),
                Unary::Elu { alpha } => {
                    if x < 0.0 {
                        $t::from(alpha) * x.exp_m1()
                    } else {
                        x
                    }
                }
                Unary::Selu { alpha, gamma } => {
                    let y = if x > 0.0 { x } else { $t::from(alpha) * x.exp_m1() };
                    $t::from(gamma) * y
                }
                Unary::Celu { alpha } => {
                    let a = $t::from(alpha);
                    x.max(0.0) + (a * (x / a).exp_m1()).min(0.0)
                }
                Unary::Gelu { tanh: false } => {
                    let y = f64::from(x);
                    (0.5 * y * (1.0 + erf(y * std::f64::consts::FRAC_1_SQRT_2))) as $t
                }
                Unary::Gelu { tanh: true } => {
                    let y = f64::from(x);
                    let inner = (2.0 / std::f64::consts::PI).sqrt() * (y + 0.044_715 * y * y * y);
                    (0.5 * y * (1.0 + inner.tanh())) as $t
                }
                Unary::Softplus => softplus(x),
                Unary::Softsign => x / (1.0 + x.abs()),
                Unary::Mish => x * softplus(x).tanh(),
                Unary::ThresholdedRelu { alpha } => {
                    if x > $t::from(alpha) {
                        x
                    } else {
                        0.0
                    }
                }
                Unary::Abs => x.abs(),
                Unary::Neg => -x,
                Unary::Sign => {
                    if x > 0.0 {
                        1.0
                    } else if x < 0.0 {
                        -1.0
                    } else {
                        x
                    }
                }
                Unary::Floor => x.floor(),
                Unary::Ceil => x.ceil(),
                Unary::Round => x.round_ties_even(),
                Unary::Exp => x.exp(),
                Unary::Log => x.ln(),
                Unary::Sqrt => x.sqrt(),
                Unary::Rsqrt => 1.0 / x.sqrt(),
                Unary::Square => x * x,
                Unary::Reciprocal => 1.0 / x,
                Unary::Erf => erf(f64::from(x)) as $t,
                Unary::Sin => x.sin(),
                Unary::Cos => x.cos(),
                Unary::Tan => x.tan(),
                Unary::Asin => x.asin(),
                Unary::Acos => x.acos(),
                Unary::Atan => x.atan(),
                Unary::Sinh => x.sinh(),
                Unary::Cosh => x.cosh(),
                Unary::Asinh => x.asinh(),
                Unary::Acosh => x.acosh(),
                Unary::Atanh => x.atanh(),
                Unary::Not | Unary::BitNot | Unary::IsNan | Unary::IsInf { .. } => x,
            }
        }
    };
}
real!(real_f32, f32);
real!(real_f64, f64);

fn quantized(op: &Unary, call: &Call<'_>) -> Done {
    let (x, y) = (call.types.inputs[0], call.types.outputs[0]);
    if !is_quantized(x) || !is_quantized(y) {
        return super::through_real(call, |call| {
            one(call.shape(0), map(&call.view::<f32>(0)?, |x| real_f32(op, x))?)
        });
    }
    let (from, to) = (Affine::of("the input", x)?, Affine::of("the output", y)?);
    let micro = call.rounding == Rounding::Double;
    let f: Box<dyn Fn(i32) -> i32> = match op {
        Unary::Relu => rescale(from, to, 0.0, f32::INFINITY),
        Unary::Relu6 => rescale(from, to, 0.0, 6.0),
        Unary::ReluN1To1 => rescale(from, to, -1.0, 1.0),
        Unary::Clip { min, max } => rescale(from, to, *min, *max),
        Unary::LeakyRelu { alpha } => leaky_relu(from, to, *alpha),
        Unary::HardSwish if from.dtype.size() == 1 && from.dtype == to.dtype => {
            hard_swish(from, to)
        }
        Unary::Sigmoid if from.dtype == DType::I16 => {
            let table = Table16::new(from.scale, power_of(from.scale), false);
            Box::new(move |x| table.logistic(x))
        }
        Unary::Tanh if from.dtype == DType::I16 => {
            let table = Table16::new(from.scale, power_of(from.scale), true);
            Box::new(move |x| table.tanh(x))
        }
        Unary::Sigmoid if micro && is_micro(from, to, 256.0, -128) => {
            let f = saturating(from, |x| {
                rounding_shift_right(logistic(Width::W32, x, 4), 23).saturating_sub(128)
            });
            Box::new(move |x| to.cut(f(x)))
        }
        Unary::Tanh if micro && is_micro(from, to, 128.0, 0) => {
            let f = saturating(from, |x| rounding_shift_right(tanh(Width::W32, x, 4), 24));
            Box::new(move |x| to.cut(f(x)))
        }
        _ => table_8(op, from, to),
    };
    let q = map(&ints(&call.inputs[0])?, f)?;
    Ok(vec![stored(y.dtype, call.shape(0), q)?])
}

/// Whether TFLite Micro's fixed-point kernel of `i8` applies: the output has the one quantization that
/// it knows.
fn is_micro(from: Affine, to: Affine, inverse_scale: f32, zero: i32) -> bool {
    from.dtype == DType::I8
        && to.dtype == DType::I8
        && to.scale * inverse_scale == 1.0
        && to.zero == zero
}

/// TFLite Micro's way to a saturating function of a number in Q4.27: inputs too far from zero to be
/// represented give the ends of the range.
fn saturating(from: Affine, f: impl Fn(i32) -> i32 + 'static) -> impl Fn(i32) -> i32 {
    let m = to_format(from.scale, 4);
    let radius = input_radius(4, m.shift, 31);
    move |x| {
        let x = x - from.zero;
        if x <= -radius {
            i32::MIN
        } else if x >= radius {
            i32::MAX
        } else {
            f(scale(m, x))
        }
    }
}

/// The input on the output's scale, cut to real bounds. TFLite divides the scales in single precision.
fn rescale(from: Affine, to: Affine, low: f32, high: f32) -> Box<dyn Fn(i32) -> i32> {
    let m = Multiplier::from_real(f64::from(from.scale / to.scale));
    let bound = |x: f32, end: i32| if x.is_finite() { to.store(x) } else { end };
    let (low, high) = (bound(low, to.low), bound(high, to.high));
    Box::new(move |x| {
        let y = scale(m, x - from.zero).saturating_add(to.zero);
        y.max(low).min(high)
    })
}

/// TFLite computes both factors in single precision.
fn leaky_relu(from: Affine, to: Affine, alpha: f32) -> Box<dyn Fn(i32) -> i32> {
    let identity = Multiplier::from_real(f64::from(from.scale / to.scale));
    let factor = f64::from(from.scale * alpha / to.scale);
    let slope = Multiplier::from_real(factor.abs());
    Box::new(move |x| {
        let x = x - from.zero;
        let y = if x >= 0 {
            scale(identity, x)
        } else if factor < 0.0 {
            -scale(slope, x)
        } else {
            scale(slope, x)
        };
        to.cut(y.saturating_add(to.zero))
    })
}

/// TFLite's fixed-point `x * relu6(x + 3) / 6`, 16 bits wide.
fn hard_swish(from: Affine, to: Affine) -> Box<dyn Fn(i32) -> i32> {
    let hires = (1.0_f32 / 128.0) * from.scale;
    let multiplier_16 = |real: f32| {
        let m = Multiplier::from_real(f64::from(real));
        let mantissa = i64::from(m.mantissa) + (1 << 15);
        ((mantissa >> 16).min(0x7FFF) as i32, m.shift)
    };
    let (out, out_shift) = multiplier_16(hires / to.scale);
    let (relu, relu_shift) = multiplier_16(hires / (3.0_f32 / 32768.0));
    let cut = |x: i64| x.clamp(-32768, 32767) as i32;
    Box::new(move |x| {
        let x = (x - from.zero) << 7;
        let scaled = high_mul_16(x, out);
        let mut gate = x;
        if relu_shift > 0 {
            gate = cut(i64::from(gate) << (relu_shift - 1));
        }
        gate = high_mul_16(gate, relu);
        if relu_shift > 0 {
            gate = cut(i64::from(gate) << 1);
        }
        if relu_shift < 0 {
            gate = rounding_shift_right(gate, -relu_shift as u32);
        }
        let gate = (gate + (1 << 15)) >> 1;
        let product =
            if gate == -32768 && scaled == -32768 { 32767 } else { gate * scaled / (1 << 15) };
        let y = rounding_shift_right(product, (-out_shift).max(0) as u32);
        to.cut(y.saturating_add(to.zero))
    })
}

/// Other functions: by a table of the real function, as TFLite has them for 8 bits.
fn table_8(op: &Unary, from: Affine, to: Affine) -> Box<dyn Fn(i32) -> i32> {
    let op = op.clone();
    let inverse = 1.0 / to.scale;
    Box::new(move |x| {
        let y = (real_f32(&op, from.real(x)) * inverse).round() + to.zero as f32;
        to.cut(y as i32)
    })
}
