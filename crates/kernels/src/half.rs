//! Numbers of half precision (IEEE 754 binary16), for what needs no rounding.

/// The number of half precision that is equal to `x`, where there is one.
#[must_use]
pub fn as_half(x: f32) -> Option<u16> {
    let bits = x.to_bits();
    let (sign, rest) = ((bits >> 16 & 0x8000) as u16, bits & 0x7FFF_FFFF);
    if rest == 0 {
        return Some(sign);
    }
    // Parts of 2^-10 of a power of two, or of 2^-24 where the power is smaller than half precision has.
    let power = (rest >> 23) as i32 - 127;
    let (normal, whole) = (power >= -14, (rest & 0x7F_FFFF) | 1 << 23);
    let lost = if normal { 13 } else { 13 + (-14 - power) };
    if power > 15 || lost > 23 || whole & ((1 << lost) - 1) != 0 {
        return None;
    }
    let parts = (whole >> lost) as u16;
    Some(sign | if normal { ((power + 15) as u16) << 10 | (parts & 0x3FF) } else { parts })
}

/// The number that `half` is.
#[must_use]
pub fn from_half(half: u16) -> f32 {
    let sign = u32::from(half & 0x8000) << 16;
    let (power, parts) = (u32::from(half >> 10 & 31), u32::from(half & 0x3FF));
    let magnitude = match power {
        0 => (parts as f32 / (1 << 24) as f32).to_bits(),
        31 => 0x7F80_0000 | parts << 13,
        _ => (power + 112) << 23 | parts << 13,
    };
    f32::from_bits(sign | magnitude)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_goes_there_and_back() {
        for half in 0..=u16::MAX {
            let x = from_half(half);
            if x.is_finite() {
                assert_eq!(as_half(x), Some(half), "{x}");
                // The next number of `f32` is none of half precision.
                assert_eq!(as_half(f32::from_bits(x.to_bits() + 1)), None, "{x}");
            } else {
                assert_eq!(as_half(x), None);
            }
        }
        assert_eq!(from_half(0x3C01), 1.0 + 1.0 / 1024.0);
        assert_eq!(from_half(0xC000), -2.0);
        assert_eq!(from_half(0x0001), 2.0_f32.powi(-24));
        assert_eq!((as_half(65504.0), as_half(65536.0)), (Some(0x7BFF), None));
    }
}
