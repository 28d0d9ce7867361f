//! Element by element. Each function returns how many elements it has done; the caller does the rest.

use crate::Level;
use paring_qmath::{Multiplier, Rounding};

/// The sum or difference of two `i8` values as TFLite adds integers: operands less their zero points
/// are shifted left, scaled, added, and scaled to the output.
#[derive(Clone, Copy, Debug)]
pub struct I8Sum {
    /// Zero points of the operands.
    pub zeros: [i32; 2],
    /// Factors of the shifted operands.
    pub factors: [Multiplier; 2],
    /// By how much operands are shifted left.
    pub shift: u32,
    /// Whether the second operand is subtracted.
    pub subtract: bool,
    /// Factor of the sum.
    pub factor: Multiplier,
    /// Zero point of the output.
    pub zero_point: i32,
    /// How products with factors are rounded.
    pub rounding: Rounding,
    /// Bounds of the output; the upper one is applied last.
    pub bounds: (i8, i8),
}

/// Adds as many elements as there is a kernel for.
///
/// # Panics
/// If lengths differ or the processor lacks the level's features.
#[must_use]
pub fn i8_sum(level: Level, sum: &I8Sum, a: &[i8], b: &[i8], out: &mut [i8]) -> usize {
    assert!(a.len() == out.len() && b.len() == out.len() && level.is_available());
    #[cfg(target_arch = "x86_64")]
    if level == Level::Avx512 {
        // SAFETY: lengths and features are checked above.
        return unsafe { crate::elementwise_avx512::i8_sum(sum, a, b, out) };
    }
    0
}

/// Looks up as many elements as there is a kernel for.
///
/// # Panics
/// If lengths differ or the processor lacks the level's features.
#[must_use]
pub fn table(level: Level, table: &[u8; 256], x: &[u8], out: &mut [u8]) -> usize {
    assert!(x.len() == out.len() && level.is_available());
    #[cfg(target_arch = "x86_64")]
    if level == Level::Avx512 && is_x86_feature_detected!("avx512vbmi") {
        // SAFETY: lengths and features are checked above.
        return unsafe { crate::elementwise_avx512::table(table, x, out) };
    }
    let _ = table;
    0
}
