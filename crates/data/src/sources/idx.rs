use crate::{DataError, Result};
use flate2::read::MultiGzDecoder;
use paring_tensor::{Bytes, map_file};
use std::io::Read;
use std::path::Path;

const ADVICE: &str = "the file is no IDX file of bytes or is cut off; copy it again";
/// No deflated byte stands for more than this many.
const MAX_RATIO: usize = 1032;

/// An IDX file of bytes: two zeros, the type, the rank, big-endian extents, the elements.
#[derive(Clone, Debug)]
pub(super) struct Idx {
    pub shape: Vec<usize>,
    pub data: Bytes,
}

/// Reads an IDX file of `rank` axes, packed with gzip or not; one not packed is mapped.
pub(super) fn read(path: &Path, rank: usize) -> Result<Idx> {
    let bytes = map_file(path).map_err(DataError::io(path))?;
    let fault = |what: String| DataError::file(path, what, ADVICE);
    let head_len = 4 + 4 * rank;
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        let head = bytes.get(..head_len).ok_or_else(|| fault("ends inside its header".into()))?;
        let (shape, needed) = parse(head, rank, path)?;
        let data = bytes.slice(head_len..);
        if data.len() != needed {
            return Err(fault(format!("declares {shape:?} but holds {} bytes", data.len())));
        }
        return Ok(Idx { shape, data });
    }
    let mut unpacked = MultiGzDecoder::new(&bytes[..]);
    let mut head = vec![0; head_len];
    unpacked.read_exact(&mut head).map_err(|e| fault(format!("cannot be unpacked ({e})")))?;
    let (shape, needed) = parse(&head, rank, path)?;
    if needed / MAX_RATIO > bytes.len() {
        let fault_text = format!("declares {shape:?}, more than {} bytes unpack to", bytes.len());
        return Err(fault(fault_text));
    }
    let mut data = Vec::with_capacity(needed);
    unpacked
        .take(needed as u64 + 1)
        .read_to_end(&mut data)
        .map_err(|e| fault(format!("cannot be unpacked ({e})")))?;
    if data.len() != needed {
        let more = if data.len() > needed { "more" } else { "less" };
        return Err(fault(format!("declares {shape:?} but holds {more}")));
    }
    Ok(Idx { shape, data: data.into() })
}

/// The extents and their product.
fn parse(head: &[u8], rank: usize, path: &Path) -> Result<(Vec<usize>, usize)> {
    let fault = |what: String| DataError::file(path, what, ADVICE);
    if head[..3] != [0, 0, 8] || usize::from(head[3]) != rank {
        let found =
            format!("starts with {:02x?} and not with [00, 00, 08, {rank:02x}]", &head[..4]);
        return Err(fault(found));
    }
    let extent = |b: &[u8]| u32::from_be_bytes([b[0], b[1], b[2], b[3]]) as usize;
    let shape: Vec<usize> = head[4..].chunks_exact(4).map(extent).collect();
    let needed = shape
        .iter()
        .try_fold(1_usize, |n, &d| n.checked_mul(d))
        .filter(|&n| isize::try_from(n).is_ok())
        .ok_or_else(|| fault(format!("declares {shape:?}, more than memory can hold")))?;
    Ok((shape, needed))
}
