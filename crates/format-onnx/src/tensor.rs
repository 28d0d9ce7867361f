//! Tensors of the file as tensors of ours: raw contents stay where they are mapped.

use crate::proto::{SparseTensorProto, TensorProto, data_type};
use crate::reject::Reject;
use bytes::Bytes;
use paring_format::Source;
use paring_tensor::half::{bf16, f16};
use paring_tensor::{DType, Tensor, TensorError, map_file};
use std::collections::HashMap;
use std::path::{Component, Path};

/// The files that hold external tensor contents, each mapped once.
pub(crate) struct External<'a> {
    source: &'a Source,
    files: HashMap<String, Bytes>,
}

impl<'a> External<'a> {
    pub(crate) fn new(source: &'a Source) -> Self {
        Self { source, files: HashMap::new() }
    }

    /// The bytes that a tensor's `external_data` names.
    fn contents(&mut self, proto: &TensorProto) -> Result<Bytes, Reject> {
        let entry = |key: &str| proto.external_data.iter().find(|e| e.key == key);
        let number = |key: &str| match entry(key).map(|e| e.value.parse::<usize>()) {
            None => Ok(None),
            Some(Ok(n)) => Ok(Some(n)),
            Some(Err(_)) => Err(Reject::malformed(format!("external data: bad `{key}`"))),
        };
        let location = entry("location")
            .map(|e| e.value.as_str())
            .ok_or_else(|| Reject::malformed("external data has no location"))?;
        let (offset, length) = (number("offset")?.unwrap_or(0), number("length")?);
        let file = self.file(location)?;
        let end = match length {
            Some(length) => offset.checked_add(length),
            None => Some(file.len()),
        };
        match end {
            Some(end) if offset <= end && end <= file.len() => Ok(file.slice(offset..end)),
            _ => Err(Reject::malformed(format!(
                "external data at {offset} of length {length:?} is not in `{location}`, which has {} bytes",
                file.len()
            ))),
        }
    }

    fn file(&mut self, location: &str) -> Result<Bytes, Reject> {
        if let Some(bytes) = self.files.get(location) {
            return Ok(bytes.clone());
        }
        let relative = Path::new(location);
        // Names that lead out of the model's directory could read any file of the user's.
        let inside = |c| matches!(c, Component::Normal(_) | Component::CurDir);
        if location.is_empty() || !relative.components().all(inside) {
            return Err(Reject::malformed(format!(
                "external data in `{location}`, which is not below the model's directory"
            )));
        }
        let path = self.source.path.parent().unwrap_or(Path::new("")).join(relative);
        let bytes = map_file(&path)
            .map_err(|e| Reject::malformed(format!("external data `{}`: {e}", path.display())))?;
        self.files.insert(location.to_owned(), bytes.clone());
        Ok(bytes)
    }
}

/// The element type of ours for one of the file; `u4` is kept as `u8`.
pub(crate) fn dtype(data_type: i32) -> Result<DType, Reject> {
    Ok(match data_type {
        data_type::FLOAT => DType::F32,
        data_type::UINT8 | data_type::UINT4 => DType::U8,
        data_type::INT8 => DType::I8,
        data_type::UINT16 => DType::U16,
        data_type::INT16 => DType::I16,
        data_type::INT32 => DType::I32,
        data_type::INT64 => DType::I64,
        data_type::BOOL => DType::Bool,
        data_type::FLOAT16 => DType::F16,
        data_type::DOUBLE => DType::F64,
        data_type::UINT32 => DType::U32,
        data_type::UINT64 => DType::U64,
        data_type::BFLOAT16 => DType::BF16,
        data_type::INT4 => DType::I4,
        0 => return Err(Reject::malformed("the element type is missing")),
        other => {
            let name = match other {
                8 => "string",
                14 | 15 => "complex",
                17..=20 => "8-bit float",
                23 | 24 | 27 | 28 => "sub-byte float",
                25 | 26 => "2-bit integer",
                _ => "unknown",
            };
            return Err(Reject::unsupported(format!("{name} elements (type {other})")));
        }
    })
}

/// The file's number for an element type.
pub(crate) fn onnx_type(dtype: DType) -> i32 {
    match dtype {
        DType::F32 => data_type::FLOAT,
        DType::F16 => data_type::FLOAT16,
        DType::BF16 => data_type::BFLOAT16,
        DType::F64 => data_type::DOUBLE,
        DType::I4 => data_type::INT4,
        DType::I8 => data_type::INT8,
        DType::U8 => data_type::UINT8,
        DType::I16 => data_type::INT16,
        DType::U16 => data_type::UINT16,
        DType::I32 => data_type::INT32,
        DType::U32 => data_type::UINT32,
        DType::I64 => data_type::INT64,
        DType::U64 => data_type::UINT64,
        DType::Bool => data_type::BOOL,
    }
}

fn extents(dims: &[i64]) -> Result<Vec<usize>, Reject> {
    dims.iter()
        .map(|&d| {
            usize::try_from(d).map_err(|_| Reject::malformed(format!("shape {dims:?} is negative")))
        })
        .collect()
}

fn wrong(e: TensorError) -> Reject {
    Reject::malformed(e.to_string())
}

/// Two four-bit elements a byte, the lower half first, as one byte each.
fn unpack_nibbles(packed: &[u8], count: usize, signed: bool) -> Option<Vec<u8>> {
    if packed.len() != count.div_ceil(2) {
        return None;
    }
    let nibble = |n: u8| if signed { (((n << 4) as i8) >> 4) as u8 } else { n & 15 };
    let mut out: Vec<u8> = packed.iter().flat_map(|&b| [nibble(b), nibble(b >> 4)]).collect();
    out.truncate(count);
    Some(out)
}

/// A tensor of the file.
pub(crate) fn read(proto: &TensorProto, external: &mut External<'_>) -> Result<Tensor, Reject> {
    let dtype = dtype(proto.data_type)?;
    let shape = extents(&proto.dims)?;
    let raw = match (&proto.raw_data, proto.data_location) {
        (_, 1) => Some(external.contents(proto)?),
        (Some(raw), _) => Some(raw.clone()),
        (None, _) => None,
    };
    let four_bit = matches!(proto.data_type, data_type::INT4 | data_type::UINT4);
    if let Some(raw) = raw {
        if !four_bit {
            let raw = match dtype {
                // Any byte but zero is true; ours are 0 and 1.
                DType::Bool if raw.iter().any(|b| *b > 1) => {
                    raw.iter().map(|b| u8::from(*b != 0)).collect()
                }
                _ => raw,
            };
            return Tensor::new(dtype, shape, raw).map_err(wrong);
        }
        return nibbles(&raw, dtype, shape);
    }
    let narrow = |proto: &TensorProto| {
        let wide = Tensor::from_vec(shape.clone(), proto.int32_data.clone()).map_err(wrong)?;
        Ok(wide.cast(dtype))
    };
    match dtype {
        _ if four_bit => {
            let bytes: Vec<u8> = proto.int32_data.iter().map(|&x| x as u8).collect();
            nibbles(&bytes, dtype, shape)
        }
        DType::F32 => Tensor::from_vec(shape, proto.float_data.clone()).map_err(wrong),
        DType::F64 => Tensor::from_vec(shape, proto.double_data.clone()).map_err(wrong),
        DType::I64 => Tensor::from_vec(shape, proto.int64_data.clone()).map_err(wrong),
        DType::U64 => Tensor::from_vec(shape, proto.uint64_data.clone()).map_err(wrong),
        DType::U32 => {
            let data = proto.uint64_data.iter().map(|&x| x as u32).collect();
            Tensor::from_vec(shape, data).map_err(wrong)
        }
        DType::F16 => {
            let bits = proto.int32_data.iter().map(|&x| f16::from_bits(x as u16)).collect();
            Tensor::from_vec(shape, bits).map_err(wrong)
        }
        DType::BF16 => {
            let bits = proto.int32_data.iter().map(|&x| bf16::from_bits(x as u16)).collect();
            Tensor::from_vec(shape, bits).map_err(wrong)
        }
        _ => narrow(proto),
    }
}

fn nibbles(packed: &[u8], dtype: DType, shape: Vec<usize>) -> Result<Tensor, Reject> {
    let count = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
    count
        .and_then(|n| unpack_nibbles(packed, n, dtype == DType::I4))
        .ok_or_else(|| {
            Reject::malformed(format!("{} bytes of 4-bit elements for {shape:?}", packed.len()))
        })
        .and_then(|data| Tensor::new(dtype, shape, data.into()).map_err(wrong))
}

/// A sparse tensor of the file, expanded. `allow` is asked before the memory for that many bytes is
/// taken.
pub(crate) fn read_sparse(
    proto: &SparseTensorProto,
    external: &mut External<'_>,
    allow: &mut dyn FnMut(usize) -> Result<(), Reject>,
) -> Result<Tensor, Reject> {
    let part = |t: &Option<TensorProto>, what: &str, external: &mut External<'_>| match t {
        Some(t) => read(t, external),
        None => Err(Reject::malformed(format!("a sparse tensor without {what}"))),
    };
    let values = part(&proto.values, "values", external)?;
    let indices = part(&proto.indices, "indices", external)?;
    let shape = extents(&proto.dims)?;
    let count = shape
        .iter()
        .try_fold(values.dtype().size(), |n, &d| n.checked_mul(d))
        .ok_or_else(|| wrong(TensorError::TooLarge(shape.clone())))?;
    allow(count)?;
    let rank = shape.len();
    let index = indices.to_i64();
    let linear: Vec<i64> = match *indices.shape() {
        [_] => index,
        [_, r] if r == rank && r > 0 => index
            .chunks_exact(rank)
            .map(|at| {
                at.iter().zip(&shape).try_fold(0_i64, |acc, (&i, &n)| {
                    let n = i64::try_from(n).ok()?;
                    if (0..n).contains(&i) { acc.checked_mul(n)?.checked_add(i) } else { None }
                })
            })
            .collect::<Option<_>>()
            .ok_or_else(|| Reject::malformed("a sparse index is out of range"))?,
        _ => return Err(Reject::malformed("sparse indices of a wrong shape")),
    };
    let size = values.dtype().size();
    let mut dense = vec![0_u8; count];
    if linear.len() != values.len() {
        return Err(Reject::malformed("as many sparse indices as values are needed"));
    }
    for (i, at) in linear.into_iter().enumerate() {
        let at = usize::try_from(at).ok().and_then(|a| a.checked_mul(size));
        match at.and_then(|a| dense.get_mut(a..a.checked_add(size)?)) {
            Some(slot) => slot.copy_from_slice(&values.bytes()[i * size..(i + 1) * size]),
            None => return Err(Reject::malformed("a sparse index is out of range")),
        }
    }
    Tensor::new(values.dtype(), shape, dense.into()).map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn four_bit_elements_come_lower_half_first() {
        assert_eq!(unpack_nibbles(&[0x8F, 0x07], 3, true).unwrap(), [255, 248, 7]);
        assert_eq!(unpack_nibbles(&[0x8F, 0x07], 3, false).unwrap(), [15, 8, 7]);
        assert!(unpack_nibbles(&[0x8F], 3, false).is_none());
    }

    #[test]
    fn external_data_stays_below_the_model() {
        let source = Source { path: "/models/m.onnx".into(), bytes: Bytes::new() };
        let mut external = External::new(&source);
        for name in ["/etc/passwd", "../secret", "a/../../b", ""] {
            let Err(Reject::Malformed(why)) = external.file(name) else { panic!("{name}") };
            assert!(why.contains("below the model's directory"), "{why}");
        }
    }
}
