//! Containers round-trip, are used in place, and refuse what is damaged.

use paring_format::{FormatError, ReadOptions, Source, WriteOptions};
use paring_ir::Graph;
use paring_ir::text::{Large, parse, print};
use paring_tensor::{Bytes, ConstData, DType};
use std::collections::BTreeMap;

const TEXT: &str = r#"
graph @"a model" {
  %x = input : f32[1,8,8,4] as "the input"
  %h = state splat(0.0) : f32[1,64]
  %w = const fill(seed=1) : f32[16,3,3,4]
  %b = const fill(seed=2) : f32[16]
  %c = conv2d(%x, %w, %b) { activation = "relu", groups = 1, pad = "same", stride = [2, 2] } : f32[1,4,4,16] in [0.0, 6.5]
  %flat = reshape(%c) { shape = [4, 64] } : f32[4,64]
  %sum = binary(%flat, %h) { f = "add" } : f32[4,64]
  %p = const palette(book = [-1.0, 0.0, 0.5, 1.0] : f32[4], codes = splat(2)) : f32[10,64]
  %s = const sparse(block = [1, 1], fill = 0, mask = [255, 0, 1], values = fill(seed=3) : f32[9]) : f32[4,5]
  %q = const fill(seed=4) : i4[32,32] q(0.5, 0)
  %y = dense(%sum, %p) : f32[4,10] @"the last layer"
  output %y as "scores"
  output %s
  output %q
  next %h = %h
}
"#;

fn graph() -> Graph {
    parse(TEXT).unwrap_or_else(|e| panic!("{e}"))
}

fn source(bytes: impl Into<Bytes>) -> Source {
    Source { path: "model.paring".into(), bytes: bytes.into() }
}

fn read(bytes: impl Into<Bytes>) -> Result<Graph, FormatError> {
    let dimensions = BTreeMap::new();
    let options = ReadOptions { dimensions: &dimensions, default_dimension: 1, executor: None };
    paring_format_paring::read(&source(bytes), &options)
}

fn written() -> Vec<u8> {
    paring_format_paring::write(&graph(), &WriteOptions::default()).unwrap()
}

#[test]
fn what_is_written_reads_back_the_same() {
    let again = read(written()).unwrap();
    assert_eq!(print(&again, Large::Inline).text, print(&graph(), Large::Inline).text);
    assert_eq!(written(), paring_format_paring::write(&again, &WriteOptions::default()).unwrap());
    again.verified().unwrap();
}

#[test]
fn raw_constants_are_used_in_place_and_four_bit_ones_are_packed() {
    let bytes = Bytes::from(written());
    let graph = read(bytes.clone()).unwrap();
    let constant = |name: &str| graph.value_named(name).and_then(|v| v.constant()).cloned();
    let Some(ConstData::Dense(w)) = constant("w") else { panic!("w is dense") };
    let range = bytes.as_ptr_range();
    assert!(range.contains(&w.bytes().as_ptr()));
    assert_eq!(w.bytes().as_ptr() as usize % 4, range.start as usize % 4);
    let Some(ConstData::Dense(q)) = constant("q") else { panic!("q is dense") };
    assert_eq!(q.dtype(), DType::I4);
    assert!(!range.contains(&q.bytes().as_ptr()));
    assert!(matches!(constant("p"), Some(ConstData::Palette(_))));
    assert!(matches!(constant("s"), Some(ConstData::Sparse(_))));
}

#[test]
fn a_large_constant_of_one_number_is_a_blob() {
    let text = "graph @g {\n  %w = const splat(1.5) : f32[400,400]\n  output %w\n}\n";
    let bytes =
        paring_format_paring::write(&parse(text).unwrap(), &WriteOptions::default()).unwrap();
    assert!(bytes.len() > 640_000);
    assert_eq!(read(bytes).unwrap().value_named("w").unwrap().constant().unwrap().len(), 160_000);
}

/// Recomputes the checksums of the header and directory, so that what they say is looked at.
fn reseal(bytes: &mut [u8]) {
    let number = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap()) as usize;
    let (start, len) = (number(16), number(24));
    let crc = crc32(&bytes[start..start + len]);
    bytes[32..36].copy_from_slice(&crc.to_le_bytes());
    let crc = crc32(&bytes[..36]);
    bytes[36..40].copy_from_slice(&crc.to_le_bytes());
}

/// CRC-32 (IEEE), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 1 == 1 { 0xEDB8_8320 ^ (crc >> 1) } else { crc >> 1 };
    !bytes.iter().fold(!0_u32, |crc, b| (0..8).fold(crc ^ u32::from(*b), |crc, _| step(crc)))
}

fn directory(bytes: &[u8]) -> usize {
    u64::from_le_bytes(bytes[16..24].try_into().unwrap()) as usize
}

#[test]
fn a_flipped_bit_anywhere_is_noticed_or_harmless() {
    let good = written();
    let text = print(&graph(), Large::Inline).text;
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        match read(bad) {
            // Padding carries nothing.
            Ok(graph) => assert_eq!(print(&graph, Large::Inline).text, text, "byte {at}"),
            Err(FormatError::Malformed { place, why, .. }) => {
                assert!(!place.is_empty() && !why.is_empty());
            }
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
}

#[test]
fn every_cut_is_an_error() {
    let good = written();
    for len in (0..good.len()).step_by(7) {
        assert!(matches!(read(good[..len].to_vec()), Err(FormatError::Malformed { .. })), "{len}");
    }
}

#[test]
fn lengths_and_offsets_that_lie_are_errors() {
    let good = written();
    let start = directory(&good);
    for (at, what) in [(8, "offset"), (16, "stored length"), (24, "raw length")] {
        for value in [u64::MAX, u64::MAX / 2, good.len() as u64, 1 << 40] {
            let mut bad = good.clone();
            bad[start + at..start + at + 8].copy_from_slice(&value.to_le_bytes());
            reseal(&mut bad);
            assert!(matches!(read(bad), Err(FormatError::Malformed { .. })), "{what} {value}");
        }
    }
    let mut bad = good.clone();
    bad[start + 36..start + 40].copy_from_slice(&u32::MAX.to_le_bytes());
    reseal(&mut bad);
    assert!(matches!(read(bad), Err(FormatError::Malformed { .. })));
}

#[test]
fn what_newer_versions_store_is_refused_by_name() {
    let good = written();
    let start = directory(&good);
    let mut newer = good.clone();
    newer[start + 4] = 99;
    reseal(&mut newer);
    let error = read(newer).unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("codec 99"), "{error}");

    let mut newer = good.clone();
    newer[start] = 77;
    reseal(&mut newer);
    let error = read(newer.clone()).unwrap_err();
    assert!(error.is_unsupported() && error.to_string().contains("section kind 77"), "{error}");
    // A kind that may be ignored leaves the graph missing here, and nothing else.
    newer[start + 2] = 1;
    reseal(&mut newer);
    assert!(read(newer).unwrap_err().to_string().contains("names no graph"));

    let mut newer = good;
    newer[8] = 2;
    reseal(&mut newer);
    assert!(read(newer).unwrap_err().to_string().contains("version 2"));
}
