//! The compact form: everything that is not weights in one deflated front.

use crate::container::{Entry, Read, ReadResult};
use crate::{EXPANSION, MARK, range};
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use paring_ir::{Graph, Patch, ValueId, text};
use paring_tensor::{Bytes, DType, Quant};
use std::collections::HashMap;
use std::io::{Read as _, Write};

/// Version of the compact form.
pub(crate) const VERSION: u32 = 2;
const HEADER: usize = 24;

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
    packed(&front, &blobs)
}

/// A container of a front and blobs.
fn packed(front: &[u8], blobs: &[u8]) -> Vec<u8> {
    let front = deflate_all(front);
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

/// Reads the front.
pub(crate) fn open(file: &Bytes) -> ReadResult {
    let cut = || ("header", "the file is cut off".to_owned());
    let number = |at: usize, n: usize| file.get(at..at + n).ok_or_else(cut);
    let checksum = number(12, 4)?.try_into().map(u32::from_le_bytes).map_err(|_| cut())?;
    let len = number(16, 8)?.try_into().map(u64::from_le_bytes).map_err(|_| cut())?;
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    let cut = || ("front", "the file is cut off".to_owned());
    let front = range(file, HEADER, len).ok_or_else(cut)?;
    if crc32fast::hash(&front) != checksum {
        return Err(("front", "its checksum does not match: the file is damaged".into()));
    }
    let limit = file.len().saturating_mul(EXPANSION).saturating_add(1 << 20);
    let front = inflate(&front, limit).map_err(|why| ("front", why))?;
    let mut blobs_at = HEADER + len;
    let parts = parts(file, &front, &mut blobs_at).ok_or_else(cut)?;
    if blobs_at != file.len() {
        return Err(("end", "there is more in the file than its front says".into()));
    }
    Ok(parts)
}

fn parts(file: &Bytes, mut front: &[u8], at: &mut usize) -> Option<Read> {
    let front = &mut front;
    let name = |front: &mut &[u8]| Some(std::str::from_utf8(take_bytes(front)?).ok()?.to_owned());
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
        let bytes = range(file, *at, len)?;
        *at += len;
        if blobs.insert(name, Entry { codec: codec.into(), bytes, checksum }).is_some() {
            return None;
        }
    }
    front.is_empty().then_some(Read { text, derived, blobs })
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
pub(crate) fn with_derived(mut graph: Graph, names: &[String]) -> Result<Graph, String> {
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

fn deflate_all(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    // Writing into memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// Unpacks a text of at most `limit` bytes.
fn inflate(stored: &[u8], limit: usize) -> Result<Vec<u8>, String> {
    let mut text = Vec::new();
    let mut decoder = DeflateDecoder::new(stored).take(limit as u64 + 1);
    decoder.read_to_end(&mut text).map_err(|e| format!("the text is damaged: {e}"))?;
    if text.len() > limit {
        return Err("the text takes more memory than a file of this size may ask for".to_owned());
    }
    Ok(text)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Container;

    #[test]
    fn damage_behind_a_right_checksum_never_panics() {
        let graph = text::parse(
            "graph @g {
               %x = input : f32[1,30]
               %w = const fill(seed=3) : f32[20,30]
               %s = const sparse(block = [1, 4], fill = 0, mask = [85, 1], values = fill(seed=4) : f32[20]) : f32[3,12]
               %y = dense(%x, %w) : f32[1,20]
               output %y
               output %s
             }",
        )
        .unwrap();
        let whole = Bytes::from(encode(&graph));
        let len = u64::from_le_bytes(whole[16..24].try_into().unwrap()) as usize;
        let front = inflate(&whole[HEADER..HEADER + len], 1 << 20).unwrap();
        let blobs = &whole[HEADER + len..];
        assert_eq!(packed(&front, blobs), whole);
        let mut state = 11_u64;
        let mut random = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 33) as usize % n
        };
        let (mut refused, rounds) = (0, 4000);
        for _ in 0..rounds {
            let mut damaged = front.clone();
            for _ in 0..=random(3) {
                let at = random(damaged.len());
                match random(4) {
                    0 => damaged.truncate(at.max(1)),
                    1 => damaged.insert(at, random(256) as u8),
                    _ => damaged[at] = [0, 1, 0x7f, 0x80, 0xff, b'9'][random(6)],
                }
            }
            let file = packed(&damaged, blobs).into();
            let read = Container::open(&file, "m.paring".as_ref());
            if let Ok(container) = &read {
                for name in container.constants() {
                    let _ = container.constant(name);
                }
            }
            refused += usize::from(read.and_then(|c| c.graph()).is_err());
        }
        // Names and literals may change without contradiction.
        assert!(refused > rounds / 3, "{refused}");
    }
}
