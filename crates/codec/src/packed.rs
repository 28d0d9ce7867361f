//! Bytes as offsets from the least one, in as few bits as the greatest needs.

use crate::CodecError;

/// Codes bytes, in `least_bits` bits or more each; signed ones as two's complement.
pub(crate) fn encode(data: &[u8], signed: bool, least_bits: u32) -> Option<Vec<u8>> {
    let flip = if signed { 0x80 } else { 0 };
    let least = data.iter().map(|b| b ^ flip).min()?;
    let greatest = data.iter().map(|b| b ^ flip).max()?;
    let bits = (u8::BITS - (greatest - least).leading_zeros()).max(least_bits);
    let mut out = vec![least, bits as u8 | flip];
    let (mut held, mut have) = (0_u32, 0);
    for &byte in data {
        held |= u32::from((byte ^ flip) - least) << have;
        have += bits;
        while have >= 8 {
            out.push(held as u8);
            held >>= 8;
            have -= 8;
        }
    }
    if have > 0 {
        out.push(held as u8);
    }
    Some(out)
}

/// Bits an element of what [`encode`] wrote.
pub(crate) fn bits(payload: &[u8]) -> u32 {
    payload.get(1).map_or(0, |form| u32::from(form & 0x7f))
}

/// Reads what [`encode`] wrote into `data`.
pub(crate) fn decode(bytes: &[u8], data: &mut [u8]) -> Result<(), CodecError> {
    let [least, form, packed @ ..] = bytes else {
        return Err(CodecError::corrupt("the header of packed values is cut off"));
    };
    let (bits, flip) = (usize::from(form & 0x7f), form & 0x80);
    if bits > 8 || data.len().checked_mul(bits).map(|n| n.div_ceil(8)) != Some(packed.len()) {
        return Err(CodecError::corrupt("packed values of another length"));
    }
    let mask = ((1_u32 << bits) - 1) as u8;
    let (mut held, mut have) = (0_u32, 0);
    let mut packed = packed.iter();
    for to in data {
        if have < bits {
            held |= u32::from(packed.next().copied().unwrap_or(0)) << have;
            have += 8;
        }
        let offset = held as u8 & mask;
        held >>= bits;
        have -= bits;
        let Some(value) = least.checked_add(offset) else {
            return Err(CodecError::corrupt("a packed value beyond the range of a byte"));
        };
        *to = value ^ flip;
    }
    Ok(())
}
