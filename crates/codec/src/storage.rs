//! Constants as blobs: the storage, then its parts.

use crate::CodecError;
use crate::part::{
    Effort, Places, admits, check_range, count, decode_bytes, decode_tensor, encode_bytes,
    encode_tensor, order, read_number, read_slice, write_number, zeros,
};
use paring_tensor::{Bytes, ConstData, DType, Palette, Sparse, Tensor};

/// How a blob is coded; the number goes into the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Codec {
    /// The bytes of a dense tensor as they are in memory; they can be mapped.
    Raw = 0,
    /// A storage byte and coded parts.
    Coded = 1,
}

impl Codec {
    /// The number that stands for this codec.
    #[must_use]
    pub fn id(self) -> u8 {
        self as u8
    }

    /// The codec of a number.
    ///
    /// # Errors
    /// If there is none.
    pub fn from_id(id: u8) -> Result<Self, CodecError> {
        match id {
            0 => Ok(Self::Raw),
            1 => Ok(Self::Coded),
            other => Err(CodecError::UnknownCodec(other)),
        }
    }
}

/// How hard to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether entropy coders are used. Without them dense constants of whole bytes stay raw, so that
    /// they can be mapped, and codes and masks are packed to whole bits.
    pub entropy: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { entropy: true }
    }
}

/// A coded constant.
#[derive(Clone, Debug, PartialEq)]
pub struct Coded {
    /// How the bytes are coded.
    pub codec: Codec,
    /// The blob.
    pub bytes: Vec<u8>,
}

const DENSE: u8 = 0;
const PALETTE: u8 = 1;
const SPARSE: u8 = 2;

/// Codes a constant. The same constant and options give the same bytes on every machine.
#[must_use]
pub fn encode(data: &ConstData, options: Options) -> Coded {
    let options = Effort { entropy: options.entropy, fast: false };
    let mut bytes = Vec::new();
    match data {
        ConstData::Sparse(sparse) => encode_sparse(&mut bytes, sparse, options),
        other => encode_full(&mut bytes, other, None, options),
    }
    match data {
        ConstData::Dense(tensor) if tensor.bytes().len() <= bytes.len() => {
            Coded { codec: Codec::Raw, bytes: tensor.bytes().to_vec() }
        }
        _ => Coded { codec: Codec::Coded, bytes },
    }
}

/// Gives back the constant of this element type and shape. Raw bytes are shared, not copied.
///
/// # Errors
/// If the bytes are damaged or belong to another type.
pub fn decode(
    codec: Codec,
    bytes: &Bytes,
    dtype: DType,
    shape: &[usize],
) -> Result<ConstData, CodecError> {
    if codec == Codec::Raw {
        check_range(dtype, bytes)?;
        return Ok(ConstData::Dense(Tensor::new(dtype, shape, bytes.clone())?));
    }
    let mut rest: &[u8] = bytes;
    match take(&mut rest)? {
        SPARSE => decode_sparse(rest, dtype, shape),
        storage => decode_full(storage, rest, dtype, shape, None),
    }
}

fn take(rest: &mut &[u8]) -> Result<u8, CodecError> {
    let (&byte, tail) =
        rest.split_first().ok_or_else(|| CodecError::corrupt("the blob is cut off"))?;
    *rest = tail;
    Ok(byte)
}

/// Writes a dense or palette constant. (The values of a sparse one are never sparse themselves.)
fn encode_full(out: &mut Vec<u8>, data: &ConstData, places: Option<&Places>, options: Effort) {
    match data {
        ConstData::Palette(palette) => {
            out.push(PALETTE);
            let entries = palette.entries();
            let groups = palette.codebook().len() / entries.max(1);
            let one_book = palette.codebook().shape().len() == 1;
            write_number(out, if one_book { 0 } else { groups as u64 });
            out.push((entries - 1) as u8);
            let book = encode_tensor(palette.codebook(), None, options);
            write_number(out, book.len() as u64);
            out.extend_from_slice(&book);
            let ranks = Ranks::of(palette.codebook());
            let codes: Vec<u8> =
                palette.codes().iter().map(|&c| ranks.rank[usize::from(c)]).collect();
            let shape = palette.shape();
            out.extend(encode_bytes(&codes, false, shape, ranks.middle, places, options));
        }
        ConstData::Dense(tensor) => {
            out.push(DENSE);
            out.extend(encode_tensor(tensor, places, options));
        }
        ConstData::Sparse(_) => {}
    }
}

fn decode_full(
    storage: u8,
    mut rest: &[u8],
    dtype: DType,
    shape: &[usize],
    places: Option<&Places>,
) -> Result<ConstData, CodecError> {
    match storage {
        DENSE => Ok(ConstData::Dense(decode_tensor(rest, dtype, shape, places)?)),
        PALETTE => {
            let groups = usize::try_from(read_number(&mut rest)?).unwrap_or(usize::MAX);
            let entries = usize::from(take(&mut rest)?) + 1;
            let book = read_slice(&mut rest)?;
            let book_shape = if groups == 0 { vec![entries] } else { vec![groups, entries] };
            let codebook = decode_tensor(book, dtype, &book_shape, None)?;
            let ranks = Ranks::of(&codebook);
            let mut codes = decode_bytes(rest, shape, places)?;
            for code in &mut codes {
                let ranked = ranks.code.get(usize::from(*code));
                *code = *ranked.ok_or_else(|| CodecError::corrupt("a code without an entry"))?;
            }
            Ok(ConstData::Palette(Palette::new(shape, codes.into(), codebook)?))
        }
        _ => Err(CodecError::corrupt("an unknown storage")),
    }
}

/// The entries of a codebook in the order of their values, so that neighbours in code are neighbours in
/// value. Several books keep the order of their codes.
struct Ranks {
    rank: Vec<u8>,
    code: Vec<u8>,
    /// First rank above zero.
    middle: Option<u8>,
}

impl Ranks {
    fn of(codebook: &Tensor) -> Self {
        let entries = codebook.shape().last().copied().unwrap_or(0);
        let mut code: Vec<u8> = (0..entries).map(|c| c as u8).collect();
        let mut middle = None;
        if codebook.len() == entries {
            let size = codebook.dtype().size();
            let keys: Vec<i128> = codebook
                .bytes()
                .chunks_exact(size)
                .map(|bytes| {
                    let mut wide = [0; 8];
                    wide[..size].copy_from_slice(bytes);
                    order(codebook.dtype(), u64::from_le_bytes(wide))
                })
                .collect();
            code.sort_by_key(|&c| (keys[usize::from(c)], c));
            middle = code.iter().position(|&c| keys[usize::from(c)] > 0).map(|m| m as u8);
        }
        let mut rank = vec![0; entries];
        for (r, &c) in code.iter().enumerate() {
            rank[usize::from(c)] = r as u8;
        }
        Self { rank, code, middle }
    }
}

fn encode_sparse(out: &mut Vec<u8>, sparse: &Sparse, options: Effort) {
    out.push(SPARSE);
    let unstructured = sparse.block().iter().all(|&b| b == 1);
    out.push(u8::from(!unstructured));
    if !unstructured {
        for &extent in sparse.block() {
            write_number(out, extent as u64);
        }
    }
    let fill = sparse.fill();
    write_number(out, ((fill << 1) ^ (fill >> 63)) as u64);
    let grid = grid(sparse.shape(), sparse.block());
    let blocks: usize = grid.iter().product();
    let mask: Vec<u8> = (0..blocks).map(|b| sparse.mask()[b / 8] >> (b % 8) & 1).collect();
    // Where most of the constant is pruned, the mask itself has to vouch for its size.
    let generous = admits(mask.len() / 64, count(sparse.shape()).unwrap_or(usize::MAX));
    let mask_options = Effort { entropy: options.entropy && generous, ..options };
    let mask = encode_bytes(&mask, false, &grid, None, None, mask_options);
    write_number(out, mask.len() as u64);
    out.extend_from_slice(&mask);
    let kept = sparse.kept();
    let present = present(sparse.shape(), &kept);
    let places =
        present.as_ref().ok().map(|present| Places { shape: sparse.shape(), kept: &kept, present });
    encode_full(out, sparse.values(), places.as_ref(), options);
}

fn decode_sparse(mut rest: &[u8], dtype: DType, shape: &[usize]) -> Result<ConstData, CodecError> {
    let blob_len = rest.len();
    let block: Vec<usize> = match take(&mut rest)? {
        0 => vec![1; shape.len()],
        1 => shape
            .iter()
            .map(|_| Ok(usize::try_from(read_number(&mut rest)?).unwrap_or(usize::MAX)))
            .collect::<Result<_, CodecError>>()?,
        _ => return Err(CodecError::corrupt("an unknown kind of blocks")),
    };
    if block.contains(&0) {
        return Err(CodecError::corrupt("blocks without extent"));
    }
    let number = read_number(&mut rest)?;
    let fill = (number >> 1) as i64 ^ -((number & 1) as i64);
    let grid = grid(shape, &block);
    let bits = decode_bytes(read_slice(&mut rest)?, &grid, None)?;
    if bits.iter().any(|&b| b > 1) {
        return Err(CodecError::corrupt("a mask of more than bits"));
    }
    let mask: Bytes = bits
        .chunks(8)
        .map(|bits| bits.iter().rev().fold(0_u8, |byte, &bit| byte << 1 | bit))
        .collect::<Vec<u8>>()
        .into();
    let elements = count(shape)?;
    if !admits(blob_len, elements) {
        return Err(CodecError::TooLarge(elements));
    }
    let kept = kept(shape, &block, &grid, &bits, elements)?;
    let present = present(shape, &kept)?;
    let places = Places { shape, kept: &kept, present: &present };
    let storage = take(&mut rest)?;
    let values = decode_full(storage, rest, dtype, &[kept.len()], Some(&places))?;
    Ok(ConstData::Sparse(Sparse::new(shape, block, mask, fill, values)?))
}

/// Blocks along each axis.
fn grid(shape: &[usize], block: &[usize]) -> Vec<usize> {
    shape.iter().zip(block).map(|(&n, &b)| n.div_ceil(b)).collect()
}

/// Row-major indices of the elements of blocks whose bit is set, block after block.
fn kept(
    shape: &[usize],
    block: &[usize],
    grid: &[usize],
    bits: &[u8],
    elements: usize,
) -> Result<Vec<usize>, CodecError> {
    let mut kept = Vec::new();
    if block.iter().all(|&b| b == 1) {
        kept.extend(bits.iter().enumerate().filter(|(_, b)| **b == 1).map(|(i, _)| i));
        return Ok(kept);
    }
    kept.try_reserve_exact(elements).map_err(|_| CodecError::TooLarge(elements))?;
    let mut place = vec![0; grid.len()];
    for &bit in bits {
        if bit == 1 {
            let from: Vec<usize> = place.iter().zip(block).map(|(&p, &b)| p * b).collect();
            let ends = from.iter().zip(block).zip(shape);
            let to: Vec<usize> = ends.map(|((&f, &b), &n)| f.saturating_add(b).min(n)).collect();
            let mut at = from.clone();
            loop {
                kept.push(at.iter().zip(shape).fold(0, |i, (&x, &n)| i * n + x));
                let Some(axis) = (0..at.len()).rev().find(|&a| at[a] + 1 < to[a]) else { break };
                at[axis] += 1;
                at[axis + 1..].copy_from_slice(&from[axis + 1..]);
            }
        }
        if let Some(axis) = (0..place.len()).rev().find(|&a| place[a] + 1 < grid[a]) {
            place[axis] += 1;
            place[axis + 1..].fill(0);
        }
    }
    Ok(kept)
}

/// A byte for each element, 1 where it is kept.
fn present(shape: &[usize], kept: &[usize]) -> Result<Vec<u8>, CodecError> {
    let mut present = zeros(count(shape)?)?;
    for &at in kept {
        if let Some(byte) = present.get_mut(at) {
            *byte = 1;
        }
    }
    Ok(present)
}
