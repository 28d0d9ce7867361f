use paring_tensor::DType;

/// The real numbers that a quantization reaches.
pub(crate) fn reach((scale, zero): (f32, i32), dtype: DType) -> (f32, f32) {
    let (low, high) = dtype.int_range().unwrap_or((0, 0));
    let real = |q: i64| (f64::from(scale) * (q - i64::from(zero)) as f64) as f32;
    (real(low), real(high))
}
