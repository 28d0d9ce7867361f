use paring_tensor::{DType, Quant};

/// The scale and zero point that cover a range, after TFLite's recipe: the range is widened to hold
/// zero, and the zero point is the integer next to where zero falls, seen from the end that it is
/// nearer to. Symmetric for `i16`.
pub(crate) fn cover(low: f32, high: f32, dtype: DType) -> Quant {
    let (low, high) = (f64::from(low.min(0.0)), f64::from(high.max(0.0)));
    if dtype == DType::I16 {
        let largest = high.max(-low);
        let scale = if largest > 0.0 { (largest / 32767.0) as f32 } else { 1.0 };
        return Quant::per_tensor(scale.max(f32::MIN_POSITIVE), 0);
    }
    let (q_low, q_high) = (-128.0, 127.0);
    let scale = ((high - low) / (q_high - q_low)) as f32;
    if scale < f32::MIN_POSITIVE {
        return Quant::per_tensor(1.0, 0);
    }
    let step = f64::from(scale);
    let (from_low, from_high) = (q_low - low / step, q_high - high / step);
    let error = |end: f64, q: f64| q.abs() + (end / step).abs();
    let zero = if error(low, q_low) < error(high, q_high) { from_low } else { from_high };
    Quant::per_tensor(scale, zero.round().clamp(q_low, q_high) as i32)
}

/// The real numbers that a quantization reaches.
pub(crate) fn reach((scale, zero): (f32, i32), dtype: DType) -> (f32, f32) {
    let (low, high) = dtype.int_range().unwrap_or((0, 0));
    let real = |q: i64| (scale as f64 * (q - i64::from(zero)) as f64) as f32;
    (real(low), real(high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_exact_and_the_range_is_covered() {
        for (low, high) in [(-1.0, 1.0), (0.0, 6.0), (0.5, 6.0), (-3.0, -1.0), (-0.1, 12.7)] {
            let (scale, zero) = cover(low, high, DType::I8).as_per_tensor().unwrap();
            let (a, b) = reach((scale, zero), DType::I8);
            assert!(
                a <= low + scale / 2.0 && b >= high - scale / 2.0,
                "[{low}, {high}]: [{a}, {b}]"
            );
            assert!((-128..=127).contains(&zero));
        }
        assert_eq!(cover(0.0, 2.55, DType::I8).as_per_tensor().unwrap().1, -128);
        assert_eq!(cover(0.0, 0.0, DType::I8), Quant::per_tensor(1.0, 0));
        assert_eq!(cover(-2.0, 1.0, DType::I16), Quant::per_tensor(2.0 / 32767.0, 0));
    }
}
