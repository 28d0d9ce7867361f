//! How a program is written and read: numbers in little-endian, structures field by field, blobs as places
//! in the data that follows.

use crate::blob::{Blob, Shared};
use crate::buffer::LINE;
use crate::steps::AnyStep;
use paring_kernels::{I8Sum, QuickSum, Tile, Window};
use paring_qmath::lstm::Cell;
use paring_qmath::{Multiplier, Rounding};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// The bytes do not say what they should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Fault;

#[derive(Default)]
pub(crate) struct Writer {
    pub(crate) head: Vec<u8>,
    pub(crate) data: Vec<u8>,
    /// Places of blobs by their hash, so that equal ones are there once.
    known: HashMap<u64, Vec<(usize, usize)>>,
}

impl Writer {
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.head.extend_from_slice(bytes);
    }

    fn blob(&mut self, bytes: &[u8]) -> (usize, usize) {
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let places = self.known.entry(hasher.finish()).or_default();
        let data = &mut self.data;
        let same = places.iter().find(|(at, len)| &data[*at..*at + *len] == bytes);
        if let Some(place) = same {
            return *place;
        }
        data.resize(data.len().next_multiple_of(LINE), 0);
        let place = (data.len(), bytes.len());
        data.extend_from_slice(bytes);
        places.push(place);
        place
    }
}

pub(crate) struct Reader<'a> {
    pub(crate) head: &'a [u8],
    pub(crate) package: Shared,
    /// Where blobs begin in the package.
    pub(crate) data: usize,
    /// Whether a step that holds others is being read.
    pub(crate) nested: bool,
}

impl Reader<'_> {
    pub(crate) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], Fault> {
        let (now, later) = self.head.split_first_chunk().ok_or(Fault)?;
        self.head = later;
        Ok(*now)
    }

    /// A step inside of another one; there are no further ones inside of it.
    pub(crate) fn inner(&mut self) -> Result<AnyStep, Fault> {
        if std::mem::replace(&mut self.nested, true) {
            return Err(Fault);
        }
        let step = AnyStep::get(self);
        self.nested = false;
        step
    }
}

/// What a package can hold.
pub(crate) trait Wire: Sized {
    fn put(&self, w: &mut Writer);
    fn get(r: &mut Reader<'_>) -> Result<Self, Fault>;
}

macro_rules! number {
    ($($t:ty),*) => {$(
        impl Wire for $t {
            fn put(&self, w: &mut Writer) {
                w.bytes(&self.to_le_bytes());
            }

            fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
                Ok(Self::from_le_bytes(r.bytes()?))
            }
        }
    )*};
}

number!(u8, i8, i16, u16, i32, i64, u32, u64, f32);

impl Wire for usize {
    fn put(&self, w: &mut Writer) {
        (*self as u64).put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        usize::try_from(u64::get(r)?).map_err(|_| Fault)
    }
}

impl Wire for bool {
    fn put(&self, w: &mut Writer) {
        u8::from(*self).put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        match u8::get(r)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(Fault),
        }
    }
}

impl<T: Wire> Wire for Option<T> {
    fn put(&self, w: &mut Writer) {
        self.is_some().put(w);
        if let Some(v) = self {
            v.put(w);
        }
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        bool::get(r)?.then(|| T::get(r)).transpose()
    }
}

impl<T: Wire> Wire for Vec<T> {
    fn put(&self, w: &mut Writer) {
        self.len().put(w);
        self.iter().for_each(|v| v.put(w));
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let n = usize::get(r)?;
        // Every element takes at least a byte.
        if n > r.head.len() {
            return Err(Fault);
        }
        (0..n).map(|_| T::get(r)).collect()
    }
}

impl<T: Wire, const N: usize> Wire for [T; N] {
    fn put(&self, w: &mut Writer) {
        self.iter().for_each(|v| v.put(w));
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let all = (0..N).map(|_| T::get(r)).collect::<Result<Vec<T>, _>>()?;
        all.try_into().map_err(|_| Fault)
    }
}

impl<A: Wire, B: Wire> Wire for (A, B) {
    fn put(&self, w: &mut Writer) {
        self.0.put(w);
        self.1.put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok((A::get(r)?, B::get(r)?))
    }
}

impl Wire for String {
    fn put(&self, w: &mut Writer) {
        self.len().put(w);
        w.bytes(self.as_bytes());
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let bytes = Vec::get(r)?;
        Self::from_utf8(bytes).map_err(|_| Fault)
    }
}

impl Wire for Blob {
    fn put(&self, w: &mut Writer) {
        w.blob(self.bytes()).put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        let (at, len) = <(usize, usize)>::get(r)?;
        if !at.is_multiple_of(LINE) {
            return Err(Fault);
        }
        let at = at.checked_add(r.data).ok_or(Fault)?;
        Self::part(&r.package, at, len).ok_or(Fault)
    }
}

/// Writes and reads a structure field by field.
macro_rules! wire {
    ($t:ident { $($field:ident),* $(,)? }) => {
        impl $crate::wire::Wire for $t {
            fn put(&self, w: &mut $crate::wire::Writer) {
                $($crate::wire::Wire::put(&self.$field, w);)*
            }

            fn get(
                r: &mut $crate::wire::Reader<'_>,
            ) -> Result<Self, $crate::wire::Fault> {
                Ok(Self { $($field: $crate::wire::Wire::get(r)?),* })
            }
        }
    };
}
pub(crate) use wire;

wire!(Tile { rows, width });
wire!(Window { input, channels, kernel, stride, dilation, pad, out_width });
wire!(Multiplier { mantissa, shift });
wire!(I8Sum { zeros, factors, subtract, factor, zero_point, rounding, bounds, quick });
wire!(QuickSum { weights, start, shift });
wire!(Cell { rounding, exponent, clip, input, state, hidden, zero_point });

impl Wire for Rounding {
    fn put(&self, w: &mut Writer) {
        (*self == Self::Single).put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(if bool::get(r)? { Self::Single } else { Self::Double })
    }
}
