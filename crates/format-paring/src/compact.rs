//! The compact form: everything that is not weights in one deflated front.

use crate::{CODED_EXPANSION, EXPANSION, HEADER_COMPACT, MARK, deflate_all, inflate};
use paring_codec::Codec;
use paring_format::FormatError;
use paring_ir::{Graph, Patch, ValueId, text};
use paring_tensor::{Bytes, DType, Quant};
use std::cell::Cell;
use std::collections::HashMap;
use std::path::Path;

/// Version of the compact form.
pub(crate) const VERSION: u32 = 2;

pub(crate) fn encode(graph: &Graph) -> Vec<u8> {
    let (plain, derived) = without_derived(graph);
    let printed = text::print(&plain, text::Large::Blob);
    let mut front = Vec::new();
    put_bytes(&mut front, printed.text.as_bytes());
    put(&mut front, derived.len() as u64);
    for name in &derived {
        put_bytes(&mut front, name.as_bytes());
    }
    let mut blobs = Vec::new();
    put(&mut front, printed.blobs.len() as u64);
    for (name, data) in &printed.blobs {
        let coded = paring_codec::encode(data, paring_codec::Options { entropy: true });
        put_bytes(&mut front, name.as_bytes());
        front.push(coded.codec.id());
        put(&mut front, coded.bytes.len() as u64);
        front.extend(crc32fast::hash(&coded.bytes).to_le_bytes());
        blobs.extend(coded.bytes);
    }
    let front = deflate_all(&front);
    let mut out = [
        MARK.as_slice(),
        &VERSION.to_le_bytes(),
        &crc32fast::hash(&front).to_le_bytes(),
        &(front.len() as u64).to_le_bytes(),
    ]
    .concat();
    out.extend(front);
    out.extend(blobs);
    out
}

pub(crate) fn decode(file: &Bytes, path: &Path) -> Result<Graph, FormatError> {
    let fail = |place: &str, why: String| FormatError::Malformed {
        path: path.to_owned(),
        place: place.to_owned(),
        why,
    };
    let cut = |place: &str| fail(place, "the file is cut off".into());
    let number = |at: usize, n: usize| file.get(at..at + n).ok_or_else(|| cut("header"));
    let checksum = number(12, 4)?.try_into().map(u32::from_le_bytes).map_err(|_| cut("header"))?;
    let len = number(16, 8)?.try_into().map(u64::from_le_bytes).map_err(|_| cut("header"))?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let front = crate::range(file, HEADER_COMPACT, len).ok_or_else(|| cut("front"))?;
    if crc32fast::hash(&front) != checksum {
        return Err(fail("front", "its checksum does not match: the file is damaged".into()));
    }
    let limit = file.len().saturating_mul(EXPANSION).saturating_add(1 << 20);
    let front = inflate(&front, limit).map_err(|why| fail("front", why))?;
    let mut blobs_at = HEADER_COMPACT + len;
    let parts = parts(file, &front, &mut blobs_at).ok_or_else(|| cut("front"))?;
    if blobs_at != file.len() {
        return Err(fail("end", "there is more in the file than its front says".into()));
    }
    let left = Cell::new(file.len().saturating_mul(CODED_EXPANSION).saturating_add(1 << 26));
    let blobs = |name: &str, dtype: DType, shape: &[usize]| {
        let entry = parts.blobs.get(name).ok_or("there is no such blob in the file")?;
        let size = shape.iter().try_fold(dtype.size(), |n, d| n.checked_mul(*d));
        let rest = size.and_then(|size| left.get().checked_sub(size));
        left.set(rest.ok_or("takes more memory than a file of this size may ask for")?);
        if crc32fast::hash(&entry.bytes) != entry.checksum {
            return Err("its checksum does not match: the file is damaged".to_owned());
        }
        let codec = Codec::from_id(entry.codec).map_err(|e| e.to_string())?;
        paring_codec::decode(codec, &entry.bytes, dtype, shape).map_err(|e| e.to_string())
    };
    let parsed =
        text::parse_limited(parts.text, &blobs, limit).map_err(|e| fail("graph", e.to_string()))?;
    with_derived(parsed.graph, &parts.derived).map_err(|why| fail("graph", why))
}

struct Entry {
    codec: u8,
    bytes: Bytes,
    checksum: u32,
}

struct Parts<'f> {
    text: &'f str,
    derived: Vec<&'f str>,
    blobs: HashMap<&'f str, Entry>,
}

fn parts<'f>(file: &Bytes, mut front: &'f [u8], at: &mut usize) -> Option<Parts<'f>> {
    let front = &mut front;
    let name = |front: &mut &'f [u8]| std::str::from_utf8(take_bytes(front)?).ok();
    let text = name(front)?;
    let mut derived = Vec::new();
    for _ in 0..take(front)? {
        derived.push(name(front)?);
    }
    let mut blobs = HashMap::new();
    for _ in 0..take(front)? {
        let name = name(front)?;
        let (&codec, rest) = front.split_first()?;
        *front = rest;
        let len = usize::try_from(take(front)?).ok()?;
        let (checksum, rest) = front.split_at_checked(4)?;
        *front = rest;
        let checksum = u32::from_le_bytes(checksum.try_into().ok()?);
        let bytes = crate::range(file, *at, len)?;
        *at += len;
        if blobs.insert(name, Entry { codec, bytes, checksum }).is_some() {
            return None;
        }
    }
    front.is_empty().then_some(Parts { text, derived, blobs })
}

/// The scales of a bias, where they are the products of those of input and weights.
fn product(graph: &Graph, bias: ValueId) -> Option<Quant> {
    let value = graph.value(bias);
    let &[(node, 2)] = value.uses() else { return None };
    let node = graph.node(node);
    let (x, w) = (*node.inputs().first()?, *node.inputs().get(1)?);
    let (x, _) = graph.ty(x).quant.as_ref()?.as_per_tensor()?;
    let weights = graph.ty(w).quant.as_ref()?;
    let many = match weights {
        Quant::PerTensor { .. } => false,
        Quant::PerAxis { axis: 0, .. } => true,
        _ => return None,
    };
    let scales: Vec<f32> = weights.scales().iter().map(|w| x * w).collect();
    let n = value.constant()?.len();
    if scales.len() == n && (many || n == 1) {
        return Some(Quant::symmetric(0, scales));
    }
    match scales.as_slice() {
        [one] => Some(Quant::per_tensor(*one, 0)),
        _ => None,
    }
}

/// The graph without the scales of biases that follow from others, and the names of those biases.
fn without_derived(graph: &Graph) -> (Graph, Vec<String>) {
    let mut names = Vec::new();
    let mut patch = Patch::new(graph, "derive");
    for value in graph.values() {
        let (Some(data), Some(quant)) = (value.constant(), &value.ty.quant) else { continue };
        if value.ty.dtype == DType::I32
            && !graph.is_visible(value.id)
            && product(graph, value.id).as_ref() == Some(quant)
        {
            patch.set_constant(value.id, data.clone(), None);
            names.push(value.name.clone());
        }
    }
    let mut plain = graph.clone();
    if names.is_empty() || plain.apply(patch).is_err() {
        return (graph.clone(), Vec::new());
    }
    (plain, names)
}

/// The graph with the scales that follow from others.
fn with_derived(mut graph: Graph, names: &[&str]) -> Result<Graph, String> {
    let mut patch = Patch::new(&graph, "derive");
    for name in names {
        let fault = || format!("the scales of `{name}` do not follow from others");
        let value = graph.value_named(name).ok_or_else(fault)?;
        let quant = product(&graph, value.id).ok_or_else(fault)?;
        let data = value.constant().ok_or_else(fault)?;
        patch.set_constant(value.id, data.clone(), Some(quant));
    }
    if !names.is_empty() {
        graph.apply(patch).map_err(|e| e.to_string())?;
    }
    Ok(graph)
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn take(from: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..63).step_by(7) {
        let (&byte, rest) = from.split_first()?;
        *from = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}

fn take_bytes<'f>(from: &mut &'f [u8]) -> Option<&'f [u8]> {
    let len = usize::try_from(take(from)?).ok()?;
    let (bytes, rest) = from.split_at_checked(len)?;
    *from = rest;
    Some(bytes)
}
