//! One run of elements, coded by whichever method is shortest.

use crate::{CodecError, context, histogram, linear, packed};
use paring_tensor::{Bytes, DType, Tensor};
use std::collections::BTreeMap;

/// How a part is coded: its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Method {
    Raw,
    Packed,
    Histogram,
    Context,
    Linear,
    /// Elements of several bytes, each byte as a part of its own.
    Planes,
    /// Elements of several bytes with few different values.
    Distinct,
    /// Like [`Self::Context`], on the grid that the values of a sparse constant were taken from.
    Scattered,
}

impl Method {
    const ALL: [Self; 8] = [
        Self::Raw,
        Self::Packed,
        Self::Histogram,
        Self::Context,
        Self::Linear,
        Self::Planes,
        Self::Distinct,
        Self::Scattered,
    ];
}

/// Elements of more bits stay raw where they are to be mapped.
const MAPPABLE_ABOVE: u32 = 4;

/// Which coders may be used.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// Entropy coders at all.
    pub(crate) entropy: bool,
    /// Only those that decode fastest: an element has several such parts.
    pub(crate) fast: bool,
}

/// Where the values of a sparse constant lie in it.
pub(crate) struct Places<'a> {
    pub(crate) shape: &'a [usize],
    /// Row-major index of each value.
    pub(crate) kept: &'a [usize],
    /// 1 for each kept element of the constant.
    pub(crate) present: &'a [u8],
}

/// Elements that a part may hold: so many whatever its length, and so many more for each byte. This
/// bounds the memory that a small damaged file can ask for.
pub(crate) fn admits(bytes: usize, elements: usize) -> bool {
    elements <= (1_usize << 20).saturating_add(bytes.saturating_mul(1 << 16))
}

/// A vector of zeros, or an error if there is no memory for it.
pub(crate) fn zeros(len: usize) -> Result<Vec<u8>, CodecError> {
    let mut zeros = Vec::new();
    zeros.try_reserve_exact(len).map_err(|_| CodecError::TooLarge(len))?;
    zeros.resize(len, 0);
    Ok(zeros)
}

/// Number of elements of a shape.
pub(crate) fn count(shape: &[usize]) -> Result<usize, CodecError> {
    let product = shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
    product.ok_or(CodecError::TooLarge(usize::MAX))
}

fn with_method(method: Method, payload: Vec<u8>) -> Vec<u8> {
    let mut out = payload;
    out.insert(0, method as u8);
    out
}

/// Codes single-byte elements.
pub(crate) fn encode_bytes(
    data: &[u8],
    signed: bool,
    shape: &[usize],
    middle: Option<u8>,
    places: Option<&Places>,
    options: Effort,
) -> Vec<u8> {
    let mut best = with_method(Method::Raw, data.to_vec());
    // Trees over many symbols decode slowly: they have to earn it.
    let wide = data.iter().any(|&b| b >= 64);
    let handicap = |method: Method, len: usize| match method {
        Method::Context | Method::Scattered if wide => len / 16,
        Method::Histogram if options.fast => len / 32,
        _ => 0,
    };
    let mut offer = |method: Method, payload: Option<Vec<u8>>| {
        if let Some(payload) = payload
            && payload.len() + 1 + handicap(method, payload.len()) < best.len()
            && admits(payload.len(), data.len())
        {
            best = with_method(method, payload);
        }
    };
    for least_bits in [0, 1] {
        let fits = |payload: &Vec<u8>| options.entropy || packed::bits(payload) <= MAPPABLE_ABOVE;
        offer(Method::Packed, packed::encode(data, signed, least_bits).filter(fits));
    }
    if options.entropy {
        offer(Method::Histogram, histogram::encode(data));
    }
    if options.entropy && !options.fast {
        offer(Method::Context, context::encode(shape, None, middle, data));
        offer(Method::Linear, linear::encode(shape, signed, data));
        if let Some(places) = places
            && let Ok(mut grid) = zeros(places.present.len())
        {
            for (&at, &byte) in places.kept.iter().zip(data) {
                grid[at] = byte;
            }
            let payload = context::encode(places.shape, Some(places.present), middle, &grid);
            offer(Method::Scattered, payload);
        }
    }
    best
}

/// Reads single-byte elements.
pub(crate) fn decode_bytes(
    bytes: &[u8],
    shape: &[usize],
    places: Option<&Places>,
) -> Result<Vec<u8>, CodecError> {
    let len = count(shape)?;
    let (method, payload) = split_method(bytes)?;
    if method == Method::Raw {
        if payload.len() != len {
            return Err(CodecError::Length { needed: len, got: payload.len() });
        }
        return Ok(payload.to_vec());
    }
    if !admits(payload.len(), len) {
        return Err(CodecError::TooLarge(len));
    }
    let mut data = zeros(len)?;
    match (method, places) {
        (Method::Packed, _) => packed::decode(payload, &mut data)?,
        (Method::Histogram, _) => histogram::decode(payload, &mut data)?,
        (Method::Context, _) => context::decode(payload, shape, None, &mut data)?,
        (Method::Linear, _) => linear::decode(payload, shape, &mut data)?,
        (Method::Scattered, Some(places)) if places.kept.len() == len => {
            let mut grid = zeros(places.present.len())?;
            context::decode(payload, places.shape, Some(places.present), &mut grid)?;
            for (to, &at) in data.iter_mut().zip(places.kept) {
                *to = grid.get(at).copied().unwrap_or(0);
            }
        }
        _ => return Err(CodecError::corrupt("a method that does not fit the elements")),
    }
    Ok(data)
}

fn split_method(bytes: &[u8]) -> Result<(Method, &[u8]), CodecError> {
    let (&method, payload) =
        bytes.split_first().ok_or_else(|| CodecError::corrupt("a part without its method"))?;
    let method = Method::ALL.get(usize::from(method));
    Ok((*method.ok_or_else(|| CodecError::corrupt("an unknown method"))?, payload))
}

/// Whether bytes of a type are two's complement numbers.
fn is_signed(dtype: DType) -> bool {
    matches!(dtype, DType::I4 | DType::I8)
}

/// Codes the elements of a tensor.
pub(crate) fn encode_tensor(tensor: &Tensor, places: Option<&Places>, options: Effort) -> Vec<u8> {
    let dtype = tensor.dtype();
    let size = dtype.size();
    if size == 1 {
        let (data, signed) = (tensor.bytes(), is_signed(dtype));
        return encode_bytes(data, signed, tensor.shape(), None, places, options);
    }
    let raw = with_method(Method::Raw, tensor.bytes().to_vec());
    if !options.entropy || tensor.is_empty() {
        return raw;
    }
    let few = encode_distinct(tensor, places, options);
    let planes = if few.is_none() { Some(encode_planes(tensor, options)) } else { None };
    [Some(raw), few, planes].into_iter().flatten().min_by_key(Vec::len).unwrap_or_default()
}

/// Reads the elements of a tensor.
pub(crate) fn decode_tensor(
    bytes: &[u8],
    dtype: DType,
    shape: &[usize],
    places: Option<&Places>,
) -> Result<Tensor, CodecError> {
    let data = if dtype.size() == 1 {
        decode_bytes(bytes, shape, places)?
    } else {
        let len = count(shape)?;
        let needed = len.checked_mul(dtype.size()).ok_or(CodecError::TooLarge(len))?;
        let (method, payload) = split_method(bytes)?;
        match method {
            Method::Raw if payload.len() == needed => payload.to_vec(),
            Method::Raw => return Err(CodecError::Length { needed, got: payload.len() }),
            Method::Planes => decode_planes(payload, dtype, shape)?,
            Method::Distinct => decode_distinct(payload, dtype.size(), shape, places)?,
            _ => return Err(CodecError::corrupt("a method that does not fit the elements")),
        }
    };
    check_range(dtype, &data)?;
    Ok(Tensor::new(dtype, shape, Bytes::from(data))?)
}

/// Fails if an element is not of a type that has fewer values than its bytes.
pub(crate) fn check_range(dtype: DType, data: &[u8]) -> Result<(), CodecError> {
    let fits = match dtype {
        DType::I4 => data.iter().all(|&b| (-8..8).contains(&(b as i8))),
        DType::Bool => data.iter().all(|&b| b < 2),
        _ => true,
    };
    if fits { Ok(()) } else { Err(CodecError::corrupt("an element is not of its type")) }
}

/// An element as a number whose high bytes say most: floats with the sign at the low end, signed
/// integers with small magnitudes as small numbers.
fn spread(dtype: DType, bits: u64) -> u64 {
    let width = dtype.size() as u32 * 8;
    let sign = bits >> (width - 1) & 1;
    let mask = u64::MAX >> (64 - width);
    if dtype.is_float() {
        (bits << 1 | sign) & mask
    } else if matches!(dtype, DType::I16 | DType::I32 | DType::I64) {
        (bits << 1) & mask ^ (mask * sign)
    } else {
        bits
    }
}

/// The inverse of [`spread`].
fn gather(dtype: DType, number: u64) -> u64 {
    let width = dtype.size() as u32 * 8;
    let mask = u64::MAX >> (64 - width);
    let low = number & 1;
    if dtype.is_float() {
        number >> 1 | low << (width - 1)
    } else if matches!(dtype, DType::I16 | DType::I32 | DType::I64) {
        (number >> 1) ^ (mask * low)
    } else {
        number
    }
}

fn encode_planes(tensor: &Tensor, options: Effort) -> Vec<u8> {
    let dtype = tensor.dtype();
    let size = dtype.size();
    let numbers: Vec<[u8; 8]> = tensor
        .bytes()
        .chunks_exact(size)
        .map(|bytes| {
            let mut wide = [0; 8];
            wide[..size].copy_from_slice(bytes);
            spread(dtype, u64::from_le_bytes(wide)).to_le_bytes()
        })
        .collect();
    let mut out = vec![Method::Planes as u8];
    for plane in (0..size).rev() {
        let data: Vec<u8> = numbers.iter().map(|n| n[plane]).collect();
        let part = encode_bytes(
            &data,
            false,
            tensor.shape(),
            None,
            None,
            Effort { fast: true, ..options },
        );
        write_number(&mut out, part.len() as u64);
        out.extend_from_slice(&part);
    }
    out
}

fn decode_planes(payload: &[u8], dtype: DType, shape: &[usize]) -> Result<Vec<u8>, CodecError> {
    let size = dtype.size();
    let mut planes = Vec::with_capacity(size);
    let mut rest = payload;
    for _ in 0..size {
        planes.push(decode_bytes(read_slice(&mut rest)?, shape, None)?);
    }
    if !rest.is_empty() {
        return Err(CodecError::corrupt("bytes are left over behind the last plane"));
    }
    let len = count(shape)?;
    let mut out = zeros(len.saturating_mul(size))?;
    for (i, to) in out.chunks_exact_mut(size).enumerate() {
        let number = planes.iter().fold(0, |n, plane| n << 8 | u64::from(plane[i]));
        to.copy_from_slice(&gather(dtype, number).to_le_bytes()[..size]);
    }
    Ok(out)
}

fn encode_distinct(tensor: &Tensor, places: Option<&Places>, options: Effort) -> Option<Vec<u8>> {
    let size = tensor.dtype().size();
    let mut codes: BTreeMap<&[u8], u8> = BTreeMap::new();
    for element in tensor.bytes().chunks_exact(size) {
        if codes.insert(element, 0).is_none() && codes.len() > 256 {
            return None;
        }
    }
    if codes.len() * 4 > tensor.len() {
        return None;
    }
    let mut values: Vec<&[u8]> = codes.keys().copied().collect();
    let number = |bytes: &&[u8]| {
        let mut wide = [0; 8];
        wide[..size].copy_from_slice(bytes);
        u64::from_le_bytes(wide)
    };
    values.sort_by_key(|v| order(tensor.dtype(), number(v)));
    let middle = values.iter().position(|v| is_above_zero(tensor.dtype(), number(v)));
    for (code, value) in values.iter().enumerate() {
        codes.insert(value, code as u8);
    }
    let data: Vec<u8> = tensor.bytes().chunks_exact(size).map(|e| codes[e]).collect();
    let mut out = vec![Method::Distinct as u8, (values.len() - 1) as u8];
    out.extend(values.iter().copied().flatten());
    let middle = middle.map(|m| m as u8);
    out.extend(encode_bytes(&data, false, tensor.shape(), middle, places, options));
    Some(out)
}

fn decode_distinct(
    payload: &[u8],
    size: usize,
    shape: &[usize],
    places: Option<&Places>,
) -> Result<Vec<u8>, CodecError> {
    let cut = || CodecError::corrupt("the values that occur are cut off");
    let (&last, rest) = payload.split_first().ok_or_else(cut)?;
    let table = (usize::from(last) + 1) * size;
    let (values, part) = rest.split_at_checked(table).ok_or_else(cut)?;
    let codes = decode_bytes(part, shape, places)?;
    let len = codes.len().checked_mul(size).ok_or(CodecError::TooLarge(codes.len()))?;
    let mut out = zeros(len)?;
    for (to, &code) in out.chunks_exact_mut(size).zip(&codes) {
        let at = usize::from(code) * size;
        let value = values.get(at..at + size);
        to.copy_from_slice(value.ok_or_else(|| CodecError::corrupt("a code without a value"))?);
    }
    Ok(out)
}

/// A key that sorts elements by value.
pub(crate) fn order(dtype: DType, bits: u64) -> i128 {
    let width = dtype.size() as u32 * 8;
    let sign = bits >> (width - 1) & 1 == 1;
    let magnitude = i128::from(bits & (u64::MAX >> (64 - width) >> 1));
    match dtype {
        _ if dtype.is_float() => {
            if sign {
                -magnitude - 1
            } else {
                magnitude
            }
        }
        DType::I4 | DType::I8 | DType::I16 | DType::I32 | DType::I64 => {
            magnitude - if sign { 1_i128 << (width - 1) } else { 0 }
        }
        _ => i128::from(bits),
    }
}

fn is_above_zero(dtype: DType, bits: u64) -> bool {
    order(dtype, bits) > 0
}

/// Writes a number in groups of seven bits, low ones first.
pub(crate) fn write_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 128 {
        out.push(number as u8 | 128);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Reads what [`write_number`] wrote, off the front.
pub(crate) fn read_number(rest: &mut &[u8]) -> Result<u64, CodecError> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, tail) =
            rest.split_first().ok_or_else(|| CodecError::corrupt("a number is cut off"))?;
        *rest = tail;
        let group = u64::from(byte & 127);
        if group << shift >> shift != group {
            break;
        }
        number |= group << shift;
        if byte < 128 {
            return Ok(number);
        }
    }
    Err(CodecError::corrupt("a number of more than 64 bits"))
}

/// Reads a length and so many bytes off the front.
pub(crate) fn read_slice<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], CodecError> {
    let len = usize::try_from(read_number(rest)?).unwrap_or(usize::MAX);
    let (slice, tail) =
        rest.split_at_checked(len).ok_or_else(|| CodecError::corrupt("a part is cut off"))?;
    *rest = tail;
    Ok(slice)
}
