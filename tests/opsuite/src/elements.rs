//! Functions of single elements and of pairs.

use crate::{Array, Operand, Suite, c, noise, op, x};
use paring_ir::ops::{
    BatchNorm, Binary, BinaryFn, Cast, Dequantize, DynamicQuantize, Quantize, Select, Unary,
};
use paring_tensor::{DType, Quant, Tensor, TensorType};

type Real = fn(f64) -> f64;

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The error function by Simpson's rule over its integral.
fn erf(x: f64) -> f64 {
    let n = 2000;
    let step = x / f64::from(n);
    let f = |i: i32| (-(step * f64::from(i)).powi(2)).exp();
    let inner: f64 = (1..n).map(|i| f(i) * if i % 2 == 1 { 4.0 } else { 2.0 }).sum();
    (f(0) + inner + f(n)) * step / 3.0 * 2.0 / std::f64::consts::PI.sqrt()
}

fn unary(suite: &mut Suite) {
    let all: Vec<(&str, Unary, Real)> = vec![
        ("relu", Unary::Relu, |x| x.max(0.0)),
        ("relu6", Unary::Relu6, |x| x.clamp(0.0, 6.0)),
        ("relu_n1", Unary::ReluN1To1, |x| x.clamp(-1.0, 1.0)),
        ("leaky", Unary::LeakyRelu { alpha: 0.25 }, |x| if x < 0.0 { x / 4.0 } else { x }),
        ("clip", Unary::Clip { min: -0.5, max: 2.0 }, |x| x.clamp(-0.5, 2.0)),
        ("sigmoid", Unary::Sigmoid, sigmoid),
        ("hard_sigmoid", Unary::HardSigmoid { alpha: 0.25, beta: 0.5 }, |x| {
            (x / 4.0 + 0.5).clamp(0.0, 1.0)
        }),
        ("hard_swish", Unary::HardSwish, |x| x * (x + 3.0).clamp(0.0, 6.0) / 6.0),
        ("silu", Unary::Silu, |x| x * sigmoid(x)),
        ("tanh", Unary::Tanh, f64::tanh),
        ("elu", Unary::Elu { alpha: 1.5 }, |x| if x < 0.0 { 1.5 * (x.exp() - 1.0) } else { x }),
        ("selu", Unary::Selu { alpha: 1.5, gamma: 2.0 }, |x| {
            2.0 * if x < 0.0 { 1.5 * (x.exp() - 1.0) } else { x }
        }),
        ("celu", Unary::Celu { alpha: 2.0 }, |x| {
            x.max(0.0) + (2.0 * ((x / 2.0).exp() - 1.0)).min(0.0)
        }),
        ("gelu", Unary::Gelu { tanh: false }, |x| {
            x * 0.5 * (1.0 + erf(x / std::f64::consts::SQRT_2))
        }),
        ("gelu_tanh", Unary::Gelu { tanh: true }, |x| {
            let k = (2.0 / std::f64::consts::PI).sqrt();
            x * 0.5 * (1.0 + (k * (x + 0.044715 * x * x * x)).tanh())
        }),
        ("softplus", Unary::Softplus, |x| (1.0 + x.exp()).ln()),
        ("softsign", Unary::Softsign, |x| x / (1.0 + x.abs())),
        ("mish", Unary::Mish, |x| x * (1.0 + x.exp()).ln().tanh()),
        ("thresholded", Unary::ThresholdedRelu { alpha: 0.5 }, |x| if x > 0.5 { x } else { 0.0 }),
        ("abs", Unary::Abs, f64::abs),
        ("neg", Unary::Neg, |x| -x),
        ("sign", Unary::Sign, |x| if x == 0.0 { 0.0 } else { x.signum() }),
        ("floor", Unary::Floor, f64::floor),
        ("ceil", Unary::Ceil, f64::ceil),
        ("round", Unary::Round, f64::round_ties_even),
        ("exp", Unary::Exp, f64::exp),
        ("square", Unary::Square, |x| x * x),
        ("reciprocal", Unary::Reciprocal, |x| 1.0 / x),
        ("erf", Unary::Erf, erf),
        ("sin", Unary::Sin, f64::sin),
        ("cos", Unary::Cos, f64::cos),
        ("tan", Unary::Tan, |x| x.sin() / x.cos()),
        ("atan", Unary::Atan, f64::atan),
        ("sinh", Unary::Sinh, |x| (x.exp() - (-x).exp()) / 2.0),
        ("cosh", Unary::Cosh, |x| (x.exp() + (-x).exp()) / 2.0),
        ("asinh", Unary::Asinh, |x| (x + (x * x + 1.0).sqrt()).ln()),
    ];
    for (name, f, real) in all {
        // Whole and half numbers, and others, up to the ends of the clamps.
        let scale = if name == "tan" || name == "reciprocal" { 1.2 } else { 7.0 };
        let values: Vec<f32> = noise(20, &[60])
            .to_f32()
            .iter()
            .map(|v| v * scale)
            .chain([0.5, -0.5, 1.5, 2.5, -3.0, 3.0, 6.0, -1.0, 1.0])
            .collect();
        let i = Operand::input(
            Tensor::from_vec([values.len()], values).unwrap_or_else(|e| panic!("{e}")),
        );
        let y = i.real().map(real);
        suite.real(name, op(f), vec![i], y);
    }
    let within: Vec<(&str, Unary, Real)> = vec![
        ("asin", Unary::Asin, f64::asin),
        ("acos", Unary::Acos, f64::acos),
        ("atanh", Unary::Atanh, |x| ((1.0 + x) / (1.0 - x)).ln() / 2.0),
    ];
    for (name, f, real) in within {
        let i = Operand::input(Array::of(&noise(21, &[40])).map(|x| x * 0.95).tensor(DType::F32));
        suite.real(name, op(f), vec![i.clone()], i.real().map(real));
    }
    let positive: Vec<(&str, Unary, Real)> = vec![
        ("log", Unary::Log, f64::ln),
        ("sqrt", Unary::Sqrt, f64::sqrt),
        ("rsqrt", Unary::Rsqrt, |x| 1.0 / x.sqrt()),
        ("acosh", Unary::Acosh, |x| (x + (x * x - 1.0).sqrt()).ln()),
    ];
    for (name, f, real) in positive {
        let low = if name == "acosh" { 2.5 } else { 1.05 };
        let i = Operand::input(Array::of(&noise(22, &[40])).map(|x| x + low).tensor(DType::F32));
        suite.real(name, op(f), vec![i.clone()], i.real().map(real));
    }
    let bools = Operand::input(
        paring_ir::text::fill(23, DType::Bool, &[9]).unwrap_or_else(|e| panic!("{e}")),
    );
    suite.exact("not", op(Unary::Not), vec![bools.clone()], bools.real().map(|x| 1.0 - x));
    let bytes = Operand::input(
        paring_ir::text::fill(24, DType::U8, &[9]).unwrap_or_else(|e| panic!("{e}")),
    );
    suite.exact("bit_not", op(Unary::BitNot), vec![bytes.clone()], bytes.real().map(|x| 255.0 - x));
    let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0];
    let odd = Operand::input(Tensor::from_vec([4], odd.to_vec()).unwrap_or_else(|e| panic!("{e}")));
    let flags = |v: [f64; 4]| Array { shape: vec![4], data: v.to_vec() };
    suite.exact("is_nan", op(Unary::IsNan), vec![odd.clone()], flags([1.0, 0.0, 0.0, 0.0]));
    let inf = Unary::IsInf { negative: true, positive: false };
    suite.exact("is_negative_inf", op(inf), vec![odd], flags([0.0, 0.0, 1.0, 0.0]));
}

fn binary(suite: &mut Suite) {
    use BinaryFn as F;
    type Pair = fn(f64, f64) -> f64;
    let all: Vec<(F, Pair)> = vec![
        (F::Add, |a, b| a + b),
        (F::Sub, |a, b| a - b),
        (F::Mul, |a, b| a * b),
        (F::Div, |a, b| a / b),
        (F::Min, f64::min),
        (F::Max, f64::max),
        (F::Mod, |a, b| a - b * (a / b).floor()),
        (F::Fmod, |a, b| a - b * (a / b).trunc()),
        (F::FloorDiv, |a, b| (a / b).floor()),
        (F::SquaredDifference, |a, b| (a - b) * (a - b)),
        (F::Prelu, |a, b| if a < 0.0 { a * b } else { a }),
        (F::Atan2, f64::atan2),
        (F::Equal, |a, b| f64::from(u8::from(a == b))),
        (F::NotEqual, |a, b| f64::from(u8::from(a != b))),
        (F::Less, |a, b| f64::from(u8::from(a < b))),
        (F::LessEqual, |a, b| f64::from(u8::from(a <= b))),
        (F::Greater, |a, b| f64::from(u8::from(a > b))),
        (F::GreaterEqual, |a, b| f64::from(u8::from(a >= b))),
    ];
    type Shapes = (&'static str, &'static [usize], &'static [usize], &'static [usize]);
    let shapes: [Shapes; 4] = [
        ("same", &[2, 3, 4], &[2, 3, 4], &[2, 3, 4]),
        ("channel", &[1, 2, 3, 4], &[4], &[1, 2, 3, 4]),
        ("both", &[3, 1, 2], &[4, 1], &[3, 4, 2]),
        ("scalar", &[], &[5], &[5]),
    ];
    for (f, real) in all {
        for (name, a, b, out) in shapes {
            let (a, b) = (x(25, a), x(26, b));
            let (ra, rb) = (a.real(), b.real());
            let y = Array::from_fn(out, |i| real(ra.broadcast(i), rb.broadcast(i)));
            suite.real(&format!("{f:?}_{name}").to_lowercase(), op(Binary::new(f)), vec![a, b], y);
        }
    }
    let base = Operand::input(Array::of(&noise(27, &[9])).map(|x| x + 1.5).tensor(DType::F32));
    let (exponent, bases) = (x(28, &[9]), base.real());
    let exponents = exponent.real();
    let y = Array::from_fn(&[9], |i| bases.at(i).powf(exponents.at(i)));
    suite.real("pow", op(Binary::new(F::Pow)), vec![base, exponent], y);
    let int = |seed, dtype| {
        Operand::input(paring_ir::text::fill(seed, dtype, &[30]).unwrap_or_else(|e| panic!("{e}")))
    };
    type Whole = fn(i64, i64) -> i64;
    let ints: Vec<(F, Whole)> = vec![
        (F::Add, |a, b| a + b),
        (F::Mul, |a, b| a * b),
        (F::Div, |a, b| a / b),
        (F::Mod, |a, b| a.rem_euclid(b) + if b < 0 && a.rem_euclid(b) != 0 { b } else { 0 }),
        (F::Fmod, |a, b| a % b),
        (F::FloorDiv, |a, b| (a as f64 / b as f64).floor() as i64),
        (F::BitAnd, |a, b| a & b),
        (F::BitOr, |a, b| a | b),
        (F::BitXor, |a, b| a ^ b),
    ];
    for (f, real) in ints {
        let (a, mut b) = (int(29, DType::I32), int(30, DType::I32));
        b.value = b.real().map(|x| if x == 0.0 { 3.0 } else { x }).tensor(DType::I32);
        let (ra, rb) = (a.real(), b.real());
        let y = Array::from_fn(&[30], |i| real(ra.at(i) as i64, rb.at(i) as i64) as f64);
        suite.exact(&format!("{f:?}_i32").to_lowercase(), op(Binary::new(f)), vec![a, b], y);
    }
    for (f, real) in
        [(F::ShiftLeft, (|a, b| (a << b) & 255) as Whole), (F::ShiftRight, |a, b| a >> b)]
    {
        let (a, mut b) = (int(31, DType::U8), int(32, DType::U8));
        b.value = b.real().map(|x| x % 8.0).tensor(DType::U8);
        let (ra, rb) = (a.real(), b.real());
        let y = Array::from_fn(&[30], |i| real(ra.at(i) as i64, rb.at(i) as i64) as f64);
        suite.exact(&format!("{f:?}_u8").to_lowercase(), op(Binary::new(f)), vec![a, b], y);
    }
    for (f, real) in
        [(F::And, (|a, b| a * b) as Pair), (F::Or, f64::max), (F::Xor, |a, b| (a - b).abs())]
    {
        let (a, b) = (int(33, DType::Bool), int(34, DType::Bool));
        let (ra, rb) = (a.real(), b.real());
        let y = Array::from_fn(&[30], |i| real(ra.at(i), rb.at(i)));
        suite.exact(&format!("{f:?}").to_lowercase(), op(Binary::new(f)), vec![a, b], y);
    }
}

pub(crate) fn add(suite: &mut Suite) {
    unary(suite);
    binary(suite);
    let i = Operand::input(Array::of(&noise(35, &[8])).map(|x| x * 300.0).tensor(DType::F32));
    let y = i.real().map(f64::trunc);
    suite.exact("to_i32", op(Cast { to: DType::I32 }), vec![i.clone()], y);
    let y = i.real().map(|x| x.trunc().clamp(-128.0, 127.0));
    suite.exact("saturates", op(Cast { to: DType::I8 }), vec![i.clone()], y);
    suite.exact("to_bool", op(Cast { to: DType::Bool }), vec![i.clone()], i.real().map(|_| 1.0));
    let condition = Operand::input(
        paring_ir::text::fill(36, DType::Bool, &[3, 1]).unwrap_or_else(|e| panic!("{e}")),
    );
    let (a, b) = (x(37, &[2, 1, 4]), x(38, &[4]));
    let (rc, ra, rb) = (condition.real(), a.real(), b.real());
    let y = Array::from_fn(&[2, 3, 4], |i| {
        if rc.broadcast(i) != 0.0 { ra.broadcast(i) } else { rb.broadcast(i) }
    });
    suite.exact("broadcasts", op(Select {}), vec![condition, a, b], y);
    let i = x(39, &[2, 3, 3, 4]);
    let p = [c(40, &[4]), c(41, &[4]), c(42, &[4])];
    let variance =
        Operand::constant(Array::of(&noise(43, &[4])).map(|x| x + 1.5).tensor(DType::F32));
    let (ri, r, rv) = (i.real(), p.clone().map(|p| p.real()), variance.real());
    let y = Array::from_fn(&ri.shape, |k| {
        let ch = &k[3..];
        r[0].at(ch) * (ri.at(k) - r[2].at(ch)) / (rv.at(ch) + 1e-3).sqrt() + r[1].at(ch)
    });
    let [scale, bias, mean] = p;
    let norm = BatchNorm { epsilon: 1e-3 };
    suite.real("channels", op(norm), vec![i, scale, bias, mean, variance], y);
    quantization(suite);
}

fn quantization(suite: &mut Suite) {
    let (scale, zero) = (0.01_f32, 5);
    let i = x(44, &[50]);
    let q = Quant::per_tensor(scale, zero);
    let ty = TensorType::new(DType::I8, [50]).with_quant(q.clone());
    let step = f64::from(scale);
    let y = i.real().map(|x| ((x / step).round() + 5.0).clamp(-128.0, 127.0) * step - 5.0 * step);
    let expected = vec![crate::Expected { value: y, tolerance: [1e-6, 0.0] }];
    let case = crate::Case::typed(
        "i8",
        op(Quantize::default()),
        vec![i.clone()],
        Some(vec![ty]),
        expected,
    );
    suite.0.push(case.unwrap_or_else(|e| panic!("{e}")));
    let stored = i.quantized(q, DType::I8);
    suite.real("i8", op(Dequantize {}), vec![stored.clone()], stored.real());
    let half = Operand::input(noise(45, &[9]).cast(DType::F16));
    suite.exact("f16", op(Dequantize {}), vec![half.clone()], half.real());
    let i = x(46, &[20]);
    let real = i.real();
    let low = real.data.iter().copied().fold(0.0, f64::min);
    let high = real.data.iter().copied().fold(0.0, f64::max);
    let scale = (high - low) / 255.0;
    let zero = (-low / scale).round();
    let stored = real.map(|x| ((x / scale).round() + zero).clamp(0.0, 255.0));
    let scalar = |v: f64| Array { shape: vec![], data: vec![v] };
    let expected = vec![
        crate::Expected { value: stored, tolerance: [1.0, 0.0] },
        crate::Expected { value: scalar(scale), tolerance: [0.0, 1e-6] },
        crate::Expected { value: scalar(zero), tolerance: [0.0, 0.0] },
    ];
    suite.with("range", op(DynamicQuantize {}), vec![i], expected);
}
