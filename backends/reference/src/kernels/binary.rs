use crate::kernel::{Call, Done, Fault, Types, one, room};
use crate::number::{Number, each_number};
use crate::quantized::{Affine, ints, scale, stored};
use crate::register_kernel;
use crate::walk::{broadcast_strides, walk};
use paring_ir::ops::{Activation, Binary, BinaryFn};
use paring_qmath::{Multiplier, Rounding};
use paring_tensor::{DType, Tensor};

register_kernel!(Binary, support, run);

fn support(op: &Binary, types: Types<'_>) -> Result<(), String> {
    use BinaryFn::{BitAnd, BitOr, BitXor, ShiftLeft, ShiftRight};
    let dtype = types.inputs[0].dtype;
    let bits = matches!(op.f, BitAnd | BitOr | BitXor | ShiftLeft | ShiftRight);
    if bits && !(dtype.is_integer() || dtype == DType::Bool) {
        return Err(format!("{:?} of {dtype} elements", op.f));
    }
    if super::any_quantized(types) {
        if bits {
            return Err(format!("{:?} of quantized numbers", op.f));
        }
        if op.f.compares() {
            return types.inputs.iter().try_for_each(|t| Affine::of("an operand", t).map(|_| ()));
        }
        return match types.outputs[0].dtype {
            DType::I8 | DType::U8 | DType::I16 => {
                types.inputs.iter().try_for_each(|t| Affine::of("an operand", t).map(|_| ()))
            }
            other => Err(format!("{:?} of quantized numbers to {other}", op.f)),
        };
    }
    if dtype == DType::Bool && !bits && !op.f.compares() {
        return match op.f {
            BinaryFn::And | BinaryFn::Or | BinaryFn::Xor => Ok(()),
            other => Err(format!("{other:?} of booleans")),
        };
    }
    if op.f == BinaryFn::Atan2 {
        return super::floats_only("atan2", dtype);
    }
    Ok(())
}

fn run(op: &Binary, call: &Call<'_>) -> Done {
    if super::any_quantized(call.types) {
        return quantized(op, call);
    }
    let dtype = call.dtype(0);
    if op.f.compares() {
        return each_number!(dtype, T => compare::<T>(op.f, call));
    }
    if op.f == BinaryFn::Pow {
        let exponents = call.inputs[1].to_f64();
        return each_number!(dtype, T => {
            let y: Vec<T> = pairs(call, &call.view::<T>(0)?, &exponents, |a: T, b| a.to_power(b))?;
            done(op, call, y)
        });
    }
    if dtype == DType::Bool || !dtype.is_float() && is_bitwise(op.f) {
        return bits(op, call);
    }
    each_number!(dtype, T => arithmetic::<T>(op, call))
}

fn is_bitwise(f: BinaryFn) -> bool {
    use BinaryFn::{BitAnd, BitOr, BitXor, ShiftLeft, ShiftRight};
    matches!(f, BitAnd | BitOr | BitXor | ShiftLeft | ShiftRight)
}

/// `f` of each pair of elements that broadcasting brings together.
fn pairs<A: Copy, B: Copy, R>(
    call: &Call<'_>,
    a: &[A],
    b: &[B],
    f: impl Fn(A, B) -> R,
) -> Result<Vec<R>, Fault> {
    let shape = call.out_shape(0)?;
    let mut out = room(shape.iter().product())?;
    if call.shape(0) == shape && call.shape(1) == shape {
        out.extend(a.iter().zip(b).map(|(a, b)| f(*a, *b)));
    } else {
        let left = broadcast_strides(call.shape(0), &shape);
        let right = broadcast_strides(call.shape(1), &shape);
        walk(&shape, [&left, &right], [0, 0], |[i, j]| out.push(f(a[i], b[j])));
    }
    Ok(out)
}

fn done<T: Number>(op: &Binary, call: &Call<'_>, mut y: Vec<T>) -> Done {
    if !op.activation.is_none() {
        let (low, high) = op.activation.bounds();
        let (low, high) = (f64::from(low), f64::from(high));
        for y in &mut y {
            let x = y.to_f64();
            if x < low {
                *y = T::from_f64(low);
            } else if x > high {
                *y = T::from_f64(high);
            }
        }
    }
    let dtype = call.types.outputs[0].dtype;
    Ok(vec![Tensor::from_vec(call.out_shape(0)?, y)?.reinterpret(dtype)?])
}

fn compare<T: Number>(f: BinaryFn, call: &Call<'_>) -> Done {
    let (a, b) = (call.view::<T>(0)?, call.view::<T>(1)?);
    let y: Vec<u8> = pairs(call, &a, &b, |a, b| u8::from(holds(f, &a, &b)))?;
    Ok(vec![Tensor::from_vec(call.out_shape(0)?, y)?.reinterpret(DType::Bool)?])
}

fn holds<T: PartialOrd>(f: BinaryFn, a: &T, b: &T) -> bool {
    match f {
        BinaryFn::Equal => a == b,
        BinaryFn::NotEqual => a != b,
        BinaryFn::Less => a < b,
        BinaryFn::LessEqual => a <= b,
        BinaryFn::Greater => a > b,
        _ => a >= b,
    }
}

fn bits(op: &Binary, call: &Call<'_>) -> Done {
    fn of<T>(op: &Binary, call: &Call<'_>, shift: impl Fn(T, T, bool) -> T) -> Done
    where
        T: Number
            + std::ops::BitAnd<Output = T>
            + std::ops::BitOr<Output = T>
            + std::ops::BitXor<Output = T>,
    {
        let (a, b) = (call.view::<T>(0)?, call.view::<T>(1)?);
        let y = pairs(call, &a, &b, |a, b| match op.f {
            BinaryFn::And | BinaryFn::BitAnd => a & b,
            BinaryFn::Or | BinaryFn::BitOr => a | b,
            BinaryFn::Xor | BinaryFn::BitXor => a ^ b,
            BinaryFn::ShiftLeft => shift(a, b, true),
            _ => shift(a, b, false),
        })?;
        done(op, call, y)
    }
    macro_rules! with {
        ($t:ty) => {
            of::<$t>(op, call, |a, b, left| {
                let by = u32::try_from(b).unwrap_or(u32::MAX);
                if left {
                    a.checked_shl(by).unwrap_or(0)
                } else {
                    // A right shift by the whole width leaves the sign.
                    a >> by.min(<$t>::BITS - 1) >> u32::from(by >= <$t>::BITS && <$t>::MIN == 0)
                }
            })
        };
    }
    match call.dtype(0) {
        DType::I4 | DType::I8 => with!(i8),
        DType::U8 | DType::Bool => with!(u8),
        DType::I16 => with!(i16),
        DType::U16 => with!(u16),
        DType::I32 => with!(i32),
        DType::U32 => with!(u32),
        DType::I64 => with!(i64),
        DType::U64 => with!(u64),
        other => Err(Fault::Internal(format!("bits of {other}"))),
    }
}

fn arithmetic<T: Number>(op: &Binary, call: &Call<'_>) -> Done {
    use BinaryFn::{
        Add, Atan2, Div, FloorDiv, Fmod, Max, Min, Mod, Mul, Prelu, SquaredDifference, Sub,
    };
    let (a, b) = (call.view::<T>(0)?, call.view::<T>(1)?);
    let zero = T::zero();
    if !T::FLOAT && matches!(op.f, Div | Mod | Fmod | FloorDiv) && b.contains(&zero) {
        return Err(Fault::Data("division of an integer by zero".to_owned()));
    }
    let y = match op.f {
        Add => pairs(call, &a, &b, T::plus)?,
        Sub => pairs(call, &a, &b, T::minus)?,
        Mul => pairs(call, &a, &b, T::times)?,
        Div => pairs(call, &a, &b, T::over)?,
        Min => pairs(call, &a, &b, T::smaller)?,
        Max => pairs(call, &a, &b, T::larger)?,
        Fmod => pairs(call, &a, &b, T::rest)?,
        Mod => pairs(call, &a, &b, |a, b| {
            let rest = a.rest(b);
            if rest != zero && ((rest < zero) != (b < zero)) { rest.plus(b) } else { rest }
        })?,
        FloorDiv => pairs(call, &a, &b, |a, b| {
            if T::FLOAT {
                return T::from_f64(a.over(b).to_f64().floor());
            }
            let inexact = a.rest(b) != zero && ((a < zero) != (b < zero));
            if inexact { a.over(b).minus(T::one()) } else { a.over(b) }
        })?,
        SquaredDifference => pairs(call, &a, &b, |a, b| {
            let d = a.minus(b);
            d.times(d)
        })?,
        Prelu => pairs(call, &a, &b, |a, b| if a < zero { a.times(b) } else { a })?,
        Atan2 => pairs(call, &a, &b, |a, b| T::from_f64(a.to_f64().atan2(b.to_f64())))?,
        other => return Err(Fault::Internal(format!("{other:?} is no arithmetic"))),
    };
    done(op, call, y)
}

/// A function of two stored numbers that gives a stored number, by TFLite's integer kernels.
type Stored = Box<dyn Fn(i32, i32) -> i32>;

fn quantized(op: &Binary, call: &Call<'_>) -> Done {
    let [a, b] = call.types.inputs else { return Err("operands".to_owned().into()) };
    let (a, b) = (Affine::of("an operand", a)?, Affine::of("an operand", b)?);
    let (x, y) = (ints(&call.inputs[0])?, ints(&call.inputs[1])?);
    let rounding = call.rounding;
    if op.f.compares() {
        let f = comparison(op.f, a, b);
        let q: Vec<u8> = pairs(call, &x, &y, |x, y| u8::from(f(x, y)))?;
        return Ok(vec![Tensor::from_vec(call.out_shape(0)?, q)?.reinterpret(DType::Bool)?]);
    }
    let ty = call.types.outputs[0];
    let to = Affine::of("the result", ty)?.clamped(op.activation);
    let f: Stored = match op.f {
        BinaryFn::Add => sum(a, b, to, false),
        BinaryFn::Sub => sum(a, b, to, true),
        BinaryFn::Mul => product(a, b, to, rounding),
        BinaryFn::SquaredDifference => squared_difference(a, b, to),
        BinaryFn::Prelu => prelu(a, b, to, rounding),
        BinaryFn::Min if same(a, b, to) => Box::new(move |x, y| to.cut(x.min(y))),
        BinaryFn::Max if same(a, b, to) => Box::new(move |x, y| to.cut(x.max(y))),
        _ => {
            let plain = Binary { f: op.f, activation: Activation::None };
            let run = |call: &Call<'_>| arithmetic_f32(&plain, call);
            let mut done = super::through_real(call, run)?;
            if !op.activation.is_none() {
                let q = ints(&done[0])?.into_iter().map(|q| to.cut(q)).collect();
                done = vec![stored(ty.dtype, &call.out_shape(0)?, q)?];
            }
            return Ok(done);
        }
    };
    let q = pairs(call, &x, &y, f)?;
    Ok(vec![stored(ty.dtype, &call.out_shape(0)?, q)?])
}

fn arithmetic_f32(op: &Binary, call: &Call<'_>) -> Done {
    if op.f == BinaryFn::Pow {
        let (a, b) = (call.view::<f32>(0)?, call.view::<f32>(1)?);
        return one(call.out_shape(0)?, pairs(call, &a, &b, f32::powf)?);
    }
    arithmetic::<f32>(op, call)
}

fn same(a: Affine, b: Affine, to: Affine) -> bool {
    [a, b].iter().all(|x| x.scale == to.scale && x.zero == to.zero)
}

/// Both operands are brought to half the larger scale with spare bits below, then added, then scaled to
/// the output.
fn sum(a: Affine, b: Affine, to: Affine, subtract: bool) -> Stored {
    let left = if to.dtype == DType::I16 { 15 } else { 20 };
    let twice = 2.0 * f64::from(a.scale.max(b.scale));
    let ma = Multiplier::from_real(f64::from(a.scale) / twice);
    let mb = Multiplier::from_real(f64::from(b.scale) / twice);
    // LiteRT multiplies the shift with the scale in single precision, which is exact.
    let out = Multiplier::from_real(twice / (f64::from(1 << left) * f64::from(to.scale)));
    Box::new(move |x, y| {
        let x = scale(ma, (x - a.zero).wrapping_shl(left));
        let y = scale(mb, (y - b.zero).wrapping_shl(left));
        let raw = if subtract { x.wrapping_sub(y) } else { x.wrapping_add(y) };
        to.cut(scale(out, raw).saturating_add(to.zero))
    })
}

/// LiteRT computes the factor in single precision, TFLite Micro in double precision.
fn product(a: Affine, b: Affine, to: Affine, rounding: Rounding) -> Stored {
    let real = match rounding {
        Rounding::Single => f64::from(a.scale * b.scale / to.scale),
        Rounding::Double => f64::from(a.scale) * f64::from(b.scale) / f64::from(to.scale),
    };
    let m = Multiplier::from_real(real);
    Box::new(move |x, y| {
        let raw = (x - a.zero).wrapping_mul(y - b.zero);
        to.cut(scale(m, raw).saturating_add(to.zero))
    })
}

fn squared_difference(a: Affine, b: Affine, to: Affine) -> Stored {
    let left = if to.dtype == DType::I16 { 0 } else { 7 };
    let twice = 2.0 * f64::from(a.scale.max(b.scale));
    let ma = Multiplier::from_real(f64::from(a.scale) / twice);
    let mb = Multiplier::from_real(f64::from(b.scale) / twice);
    let out = Multiplier::from_real(
        twice * twice / (f64::from(1_u32 << (2 * left)) * f64::from(to.scale)),
    );
    Box::new(move |x, y| {
        let x = scale(ma, (x - a.zero).wrapping_shl(left));
        let y = scale(mb, (y - b.zero).wrapping_shl(left));
        let d = x.wrapping_sub(y);
        to.cut(scale(out, d.wrapping_mul(d)).saturating_add(to.zero))
    })
}

/// LiteRT computes the factors in single precision, TFLite Micro in double precision.
fn prelu(x: Affine, alpha: Affine, to: Affine, rounding: Rounding) -> Stored {
    let (positive, negative) = match rounding {
        Rounding::Single => {
            (f64::from(x.scale / to.scale), f64::from(x.scale * alpha.scale / to.scale))
        }
        Rounding::Double => {
            let (from, to) = (f64::from(x.scale), f64::from(to.scale));
            (from / to, from * f64::from(alpha.scale) / to)
        }
    };
    let (positive, negative) = (Multiplier::from_real(positive), Multiplier::from_real(negative));
    Box::new(move |v, a| {
        let v = v - x.zero;
        let y = if v >= 0 {
            scale(positive, v)
        } else {
            scale(negative, v.wrapping_mul(a - alpha.zero))
        };
        to.cut(y.saturating_add(to.zero))
    })
}

/// Operands are compared as real numbers in fixed point with eight spare bits.
fn comparison(f: BinaryFn, a: Affine, b: Affine) -> Box<dyn Fn(i32, i32) -> bool> {
    let (ma, mb) =
        (Multiplier::from_real(f64::from(a.scale)), Multiplier::from_real(f64::from(b.scale)));
    Box::new(move |x, y| {
        let x = scale(ma, (x - a.zero).wrapping_shl(8));
        let y = scale(mb, (y - b.zero).wrapping_shl(8));
        holds(f, &x, &y)
    })
}
