//! How the bytes of a section are stored.
//!
//! | id | name | stored bytes |
//! |---|---|---|
//! | 0 | `raw` | the raw bytes |
//! | 1 | `packed` | the number of bits `b` of an element, 1 to 7; the smallest byte, signed; then each byte less the smallest in `b` bits, the first in the lowest bits |
//!
//! `packed` is for constants whose elements take a byte in memory and fewer bits than eight: four-bit
//! weights and codes into small codebooks.

use paring_tensor::Bytes;

/// A way to store bytes.
#[derive(Debug)]
pub struct Codec {
    /// The number in the file.
    pub id: u32,
    /// The name in listings.
    pub name: &'static str,
    decode: fn(&Bytes, usize) -> Result<Bytes, String>,
}

/// Bytes as they are.
pub const RAW: Codec = Codec {
    id: 0,
    name: "raw",
    decode: |stored, raw_len| match stored.len() == raw_len {
        true => Ok(stored.clone()),
        false => Err(format!("stores {} bytes raw but states {raw_len}", stored.len())),
    },
};

/// Elements of a byte in fewer bits.
pub const PACKED: Codec = Codec { id: 1, name: "packed", decode: unpack };

/// Every codec, by ascending id.
pub const ALL: [&Codec; 2] = [&RAW, &PACKED];

/// The codec of a number.
#[must_use]
pub fn by_id(id: u32) -> Option<&'static Codec> {
    ALL.into_iter().find(|c| c.id == id)
}

impl Codec {
    /// The raw bytes; `room` bounds what all sections of a file together may expand to.
    pub(crate) fn decode(
        &self,
        stored: &Bytes,
        raw_len: u64,
        room: &mut usize,
    ) -> Result<Bytes, String> {
        let raw_len = usize::try_from(raw_len).map_err(|_| format!("states {raw_len} bytes"))?;
        if self.id != RAW.id {
            *room = room.checked_sub(raw_len).ok_or_else(|| {
                format!("expands to {raw_len} bytes, more than a file of this size may")
            })?;
        }
        (self.decode)(stored, raw_len)
    }
}

/// The codec that stores bytes in the least room, with what it stores; nothing for `raw`. Elements of
/// over four bits stay raw, so that they are used in place.
pub(crate) fn smallest(raw: &[u8]) -> (&'static Codec, Option<Vec<u8>>) {
    let signed = || raw.iter().map(|b| *b as i8);
    let (Some(low), Some(high)) = (signed().min(), signed().max()) else { return (&RAW, None) };
    let span = high.wrapping_sub(low) as u8;
    let bits = (8 - span.leading_zeros()).max(1);
    if bits > 4 || raw.len() < 64 {
        return (&RAW, None);
    }
    let mut out = vec![bits as u8, low as u8];
    out.reserve((raw.len() * bits as usize).div_ceil(8));
    let (mut word, mut filled) = (0_u32, 0);
    for b in signed() {
        word |= u32::from(b.wrapping_sub(low) as u8) << filled;
        filled += bits;
        if filled >= 8 {
            out.push(word as u8);
            word >>= 8;
            filled -= 8;
        }
    }
    if filled > 0 {
        out.push(word as u8);
    }
    (&PACKED, Some(out))
}

fn unpack(stored: &Bytes, raw_len: usize) -> Result<Bytes, String> {
    let [bits @ 1..=7, low, codes @ ..] = stored.as_ref() else {
        return Err("does not begin with 1 to 7 bits and the smallest element".to_owned());
    };
    let bits = u32::from(*bits);
    let needed = raw_len.checked_mul(bits as usize).map(|n| n.div_ceil(8));
    if needed != Some(codes.len()) {
        return Err(format!("{} bytes do not hold {raw_len} elements of {bits} bits", codes.len()));
    }
    let mut out = Vec::with_capacity(raw_len);
    let mut next = codes.iter();
    let (mut word, mut filled) = (0_u32, 0);
    for _ in 0..raw_len {
        if filled < bits {
            word |= u32::from(next.next().copied().unwrap_or(0)) << filled;
            filled += 8;
        }
        out.push(low.wrapping_add((word & ((1 << bits) - 1)) as u8));
        word >>= bits;
        filled -= bits;
    }
    Ok(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_bytes_come_back() {
        for (low, span) in [(0, 1), (0, 15), (-8, 16), (-3, 3), (100, 12), (-128, 2)] {
            for len in [64, 65, 71, 1000] {
                let raw: Vec<u8> =
                    (0..len).map(|i| (low + (i * 7 + i / 3) % span) as i8 as u8).collect();
                let (codec, stored) = smallest(&raw);
                assert_eq!(codec.id, PACKED.id, "{low} {span}");
                let stored = Bytes::from(stored.unwrap());
                assert!(stored.len() <= len as usize / 2 + 3);
                assert_eq!(unpack(&stored, raw.len()).unwrap(), raw);
                assert!(unpack(&stored, raw.len() + 16).is_err());
                assert!(unpack(&stored.slice(1..), raw.len()).is_err());
            }
        }
    }

    #[test]
    fn wide_and_short_bytes_stay_raw() {
        assert_eq!(smallest(&[0; 10]).0.id, RAW.id);
        let wide: Vec<u8> = (0..100).map(|i| i * 2).collect();
        assert_eq!(smallest(&wide).0.id, RAW.id);
        assert_eq!(smallest(&[]).0.id, RAW.id);
    }

    #[test]
    fn expansion_is_bounded() {
        let stored = Bytes::from(vec![1, 0, 0xAA]);
        assert!(PACKED.decode(&stored, 8, &mut 8).is_ok());
        assert!(PACKED.decode(&stored, 8, &mut 7).is_err());
        assert!(PACKED.decode(&stored, u64::MAX, &mut { usize::MAX }).is_err());
    }
}
