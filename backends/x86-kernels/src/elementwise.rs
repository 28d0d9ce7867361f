//! Element by element. Each function returns how many elements it has done; the caller does the rest.

use crate::Level;
use paring_kernels::I8Sum;

/// Adds as many elements as there is a kernel for.
///
/// # Panics
/// If lengths differ or the processor lacks the level's features.
pub(crate) fn i8_sum(level: Level, sum: &I8Sum, a: &[i8], b: &[i8], out: &mut [i8]) -> usize {
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
pub(crate) fn table(level: Level, table: &[u8; 256], x: &[u8], out: &mut [u8]) -> usize {
    assert!(x.len() == out.len() && level.is_available());
    #[cfg(target_arch = "x86_64")]
    if level == Level::Avx512 && is_x86_feature_detected!("avx512vbmi") {
        // SAFETY: lengths and features are checked above.
        return unsafe { crate::elementwise_avx512::table(table, x, out) };
    }
    let _ = table;
    0
}
