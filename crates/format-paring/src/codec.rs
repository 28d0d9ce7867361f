use paring_tensor::{Bytes, DType};

/// How a blob is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// The elements as they are in memory.
    Raw = 0,
    /// Elements of a byte each in one to seven bits; see the crate's documentation.
    Packed = 1,
}

impl Codec {
    pub(crate) fn from_id(id: u32) -> Option<Self> {
        [Self::Raw, Self::Packed].into_iter().find(|c| *c as u32 == id)
    }

    /// The elements of a blob of this element type and shape.
    pub(crate) fn decode(
        self,
        stored: &Bytes,
        dtype: DType,
        shape: &[usize],
    ) -> Result<Bytes, String> {
        let size = shape.iter().try_fold(dtype.size(), |n, d| n.checked_mul(*d));
        let fail =
            || format!("has {} bytes where {dtype}{shape:?} needs another number", stored.len());
        match (self, size) {
            (Self::Raw, Some(size)) if size == stored.len() => Ok(stored.clone()),
            (Self::Packed, Some(size)) if dtype.size() == 1 => {
                let raw = unpack(stored, size).ok_or_else(fail)?;
                let in_range = |b: &u8| match dtype {
                    DType::I4 => (-8..8).contains(&(*b as i8)),
                    DType::Bool => *b < 2,
                    _ => true,
                };
                match raw.iter().all(in_range) {
                    true => Ok(raw),
                    false => Err(format!("an element is not of type {dtype}")),
                }
            }
            _ => Err(fail()),
        }
    }

    /// The codec that stores bytes in the least room, with what it stores. Elements of over four bits
    /// stay raw, so that they are used in place.
    pub(crate) fn encode(raw: &Bytes) -> (Self, Bytes) {
        let signed = || raw.iter().map(|b| *b as i8);
        let (Some(low), Some(high)) = (signed().min(), signed().max()) else {
            return (Self::Raw, raw.clone());
        };
        let bits = (8 - (high.wrapping_sub(low) as u8).leading_zeros()).max(1);
        if bits > 4 || raw.len() < 64 {
            return (Self::Raw, raw.clone());
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
        (Self::Packed, out.into())
    }
}

/// `None` where the stored bytes do not hold this many elements.
fn unpack(stored: &Bytes, count: usize) -> Option<Bytes> {
    let [bits @ 1..=7, low, codes @ ..] = stored.as_ref() else { return None };
    let bits = u32::from(*bits);
    if count.checked_mul(bits as usize)?.div_ceil(8) != codes.len() {
        return None;
    }
    let mut out = Vec::with_capacity(count);
    let mut next = codes.iter();
    let (mut word, mut filled) = (0_u32, 0);
    for _ in 0..count {
        if filled < bits {
            word |= u32::from(next.next().copied().unwrap_or(0)) << filled;
            filled += 8;
        }
        out.push(low.wrapping_add((word & ((1 << bits) - 1)) as u8));
        word >>= bits;
        filled -= bits;
    }
    Some(out.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packed_bytes_come_back() {
        for (low, span) in [(0, 1), (0, 15), (-8, 16), (-3, 3), (100, 12), (-128, 2)] {
            for len in [64, 65, 71, 1000] {
                let raw: Bytes =
                    (0..len).map(|i| (low + (i * 7 + i / 3) % span) as i8 as u8).collect();
                let (codec, stored) = Codec::encode(&raw);
                assert_eq!(codec, Codec::Packed, "{low} {span}");
                assert!(stored.len() <= raw.len() / 2 + 3);
                assert_eq!(codec.decode(&stored, DType::I8, &[raw.len()]).unwrap(), raw);
                assert!(codec.decode(&stored, DType::I8, &[raw.len() + 16]).is_err());
                assert!(codec.decode(&stored.slice(1..), DType::I8, &[raw.len()]).is_err());
                assert!(codec.decode(&stored, DType::I16, &[raw.len() / 2]).is_err());
            }
        }
    }

    #[test]
    fn wide_and_short_bytes_stay_raw() {
        assert_eq!(Codec::encode(&vec![0; 10].into()).0, Codec::Raw);
        assert_eq!(Codec::encode(&(0..100).map(|i| i * 2).collect()).0, Codec::Raw);
        assert_eq!(Codec::encode(&Bytes::new()).0, Codec::Raw);
    }

    #[test]
    fn elements_outside_of_their_type_are_refused() {
        let stored = Bytes::from(vec![4, 1, 0x7F]);
        assert!(Codec::Packed.decode(&stored, DType::I8, &[2]).is_ok());
        assert!(Codec::Packed.decode(&stored, DType::I4, &[2]).is_err());
        assert!(Codec::Packed.decode(&stored, DType::Bool, &[2]).is_err());
    }
}
