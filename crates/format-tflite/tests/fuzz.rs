//! Mutated files: every one is read or refused with a place, nothing panics or hangs, and memory stays
//! within a multiple of the file's size.
//!
//! The mutations are pseudo-random from fixed seeds. `PARING_FUZZ_SECONDS` sets how long each seed file
//! is mutated (2 seconds if unset).

mod common;

use common::{data, read_source};
use paring_format::{FormatError, Source};
use paring_tensor::Bytes;
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Counts what is allocated, to bound it.
struct Counting;

static NOW: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

// SAFETY: forwards to the system's allocator and only counts.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let now = NOW.fetch_add(layout.size(), Relaxed) + layout.size();
        PEAK.fetch_max(now, Relaxed);
        // SAFETY: the caller's contract is the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Relaxed);
        // SAFETY: the caller's contract is the system's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The most memory that reading a file may take.
fn bound(len: usize) -> usize {
    len * 256 + (16 << 20)
}

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// Numbers that break arithmetic.
const NUMBERS: [i32; 14] =
    [0, 1, -1, 2, 127, 128, 255, 256, 65535, 65536, i32::MAX, i32::MIN, -2, 0x4000_0000];

/// Changes a file in one to four places, mostly where its tables are.
fn mutate(bytes: &mut Vec<u8>, random: &mut Random, tables: &[usize]) {
    for _ in 0..1 + random.below(4) {
        let at = match random.below(4) {
            0 => random.below(bytes.len()),
            _ => tables[random.below(tables.len())].min(bytes.len().saturating_sub(1)),
        };
        match random.below(6) {
            0 | 1 => bytes[at] ^= 1 << random.below(8),
            2 => bytes[at] = random.next() as u8,
            3 => {
                let number = NUMBERS[random.below(NUMBERS.len())].to_le_bytes();
                let at = at & !3;
                for (to, from) in bytes[at..].iter_mut().zip(number) {
                    *to = from;
                }
            }
            4 => {
                let from = random.below(bytes.len());
                let len = random.below(64).min(bytes.len() - from.max(at));
                bytes.copy_within(from..from + len, at);
            }
            _ => {
                if random.below(8) == 0 {
                    bytes.truncate(at + 1);
                }
            }
        }
    }
}

fn seconds() -> Duration {
    let given = std::env::var("PARING_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    Duration::from_secs_f64(given.unwrap_or(2.0))
}

/// Reads one file and checks what comes back.
fn check(bytes: Vec<u8>) -> bool {
    let len = bytes.len();
    let source = Source { path: "fuzz.tflite".into(), bytes: Bytes::from(bytes) };
    let before = NOW.load(Relaxed);
    PEAK.store(before, Relaxed);
    let read = read_source(&source, None);
    let took = PEAK.load(Relaxed).saturating_sub(before);
    assert!(took <= bound(len), "{took} bytes for a file of {len}");
    match read {
        Ok(graph) => {
            // What is left wrong is found by verification, which must cope too.
            let _ = graph.verified();
            true
        }
        Err(FormatError::Malformed { place, why, .. }) => {
            assert!(!place.is_empty() && !why.is_empty());
            false
        }
        Err(FormatError::Unsupported { refused, .. }) => {
            assert!(!refused.is_empty());
            false
        }
        Err(FormatError::Graph { .. }) => false,
        Err(other) => panic!("{other}"),
    }
}

fn fuzz(name: &str, seed: &[u8]) {
    // Tables are where constants are not: positions whose change alone changes the outcome are not
    // known, so the beginning and the end, where writers put them, are preferred.
    let edge = seed.len().min(4096);
    let tables: Vec<usize> =
        (0..edge).chain(seed.len() - seed.len().min(24 * 1024)..seed.len()).collect();
    let mut random = Random(name.bytes().fold(7, |h: u64, b| h.wrapping_mul(31) ^ u64::from(b)));
    let (start, limit) = (Instant::now(), seconds());
    let (mut count, mut good) = (0_u32, 0_u32);
    while start.elapsed() < limit || count < 200 {
        let mut bytes = seed.to_vec();
        mutate(&mut bytes, &mut random, &tables);
        let one = Instant::now();
        good += u32::from(check(bytes));
        assert!(one.elapsed() < Duration::from_secs(5), "{name}: mutation {count} hangs");
        count += 1;
    }
    println!("{name}: {count} mutations, {good} read");
}

#[test]
fn mutated_models_are_read_or_refused() {
    let Some(data) = data() else { return };
    let mut seeds: Vec<_> = std::fs::read_dir(data.join("models/tflite"))
        .unwrap()
        .map(|e| e.unwrap().path())
        .filter(|p| p.metadata().is_ok_and(|m| m.len() < 120_000))
        .collect();
    seeds.sort();
    for path in seeds {
        fuzz(&path.file_name().unwrap().to_string_lossy(), &std::fs::read(&path).unwrap());
    }
}

#[test]
fn cut_files_are_refused() {
    let Some(data) = data() else { return };
    let whole = std::fs::read(data.join("models/tflite/hello_world_int8.tflite")).unwrap();
    for len in 0..whole.len() {
        check(whole[..len].to_vec());
    }
    assert!(check(whole));
}
