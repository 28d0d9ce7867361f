//! Damages files of every format, and checks that their readers read them or refuse them: no panic, no
//! hang, and memory within a stated multiple of the file.
//!
//! Damage is pseudo-random from fixed seeds: case `n` of a target is always the same, so a fault is
//! found again with `PARING_FUZZ_CASE=n`. `PARING_FUZZ_SECONDS` says how long each target runs. A
//! binary that checks memory has [`Counting`] as its allocator.

pub mod memory;
pub mod mutate;
pub mod targets;

pub use memory::Counting;

use std::time::{Duration, Instant};

/// Reads of one file take at most this long.
const SLOWEST: Duration = Duration::from_secs(20);

/// A reader, and what its files look like.
pub struct Target {
    /// The name.
    pub name: &'static str,
    /// How many times the file's size reading may take,
    pub multiple: usize,
    /// beside this many bytes.
    pub floor: usize,
    /// Undamaged files. All of them are read.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Reads a file.
    pub read: fn(Vec<u8>) -> Verdict,
}

/// What became of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It was read.
    Accepted,
    /// It was refused, and why.
    Refused(String),
    /// The reader did what it may not do.
    Broken(String),
}

/// What a run found.
#[derive(Clone, Copy, Debug, Default)]
pub struct Outcome {
    /// Files that were read.
    pub cases: u64,
    /// Those of them that were accepted.
    pub accepted: u64,
    /// The largest share of the bound that one of them took, in percent.
    pub memory: usize,
    /// The most memory that one of them took.
    pub most: usize,
    /// The longest time that one of them took.
    pub slowest: Duration,
}

/// The time for each target that the environment asks for.
#[must_use]
pub fn seconds(default: f64) -> Duration {
    let given = std::env::var("PARING_FUZZ_SECONDS").ok().and_then(|s| s.parse().ok());
    Duration::from_secs_f64(given.unwrap_or(default))
}

/// Runs a target for some time.
///
/// # Panics
/// If the reader does what it may not do; the message names the case.
pub fn run(target: &Target, limit: Duration) -> Outcome {
    let seeds = (target.seeds)();
    assert!(!seeds.is_empty(), "{} has no seeds", target.name);
    let mut outcome = Outcome::default();
    for (i, seed) in seeds.iter().enumerate() {
        let verdict = one(target, seed.clone(), &format!("seed {i}"), &mut outcome);
        assert_eq!(verdict, Verdict::Accepted, "{}: seed {i} is refused", target.name);
    }
    if let Some(case) = std::env::var("PARING_FUZZ_CASE").ok().and_then(|c| c.parse().ok()) {
        one(target, damaged(target, &seeds, case), &format!("case {case}"), &mut outcome);
        return outcome;
    }
    let start = Instant::now();
    let mut case = 0;
    while start.elapsed() < limit || case < 50 {
        one(target, damaged(target, &seeds, case), &format!("case {case}"), &mut outcome);
        case += 1;
    }
    outcome
}

/// The file of a case.
fn damaged(target: &Target, seeds: &[Vec<u8>], case: u64) -> Vec<u8> {
    let name = target.name.bytes().fold(7_u64, |h, b| h.wrapping_mul(31) ^ u64::from(b));
    let mut random = mutate::Random::new(name.wrapping_mul(1 << 20) ^ case);
    mutate::damage(&mut random, seeds)
}

fn one(target: &Target, bytes: Vec<u8>, what: &str, outcome: &mut Outcome) -> Verdict {
    struct Tell<'w>(&'w str, &'w str);
    impl Drop for Tell<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("{}: {} did this", self.0, self.1);
            }
        }
    }
    let _tell = Tell(target.name, what);
    let (len, start) = (bytes.len(), Instant::now());
    memory::begin();
    let result = (target.read)(bytes);
    let (took, time) = (memory::peak(), start.elapsed());
    let bound = len * target.multiple + target.floor;
    assert!(took <= bound, "{took} bytes for a file of {len}, where {bound} are allowed");
    assert!(time < SLOWEST, "reading took {time:?}");
    if let Verdict::Broken(why) = &result {
        panic!("{why}");
    }
    outcome.cases += 1;
    outcome.accepted += u64::from(result == Verdict::Accepted);
    outcome.memory = outcome.memory.max(took * 100 / bound.max(1));
    outcome.most = outcome.most.max(took);
    outcome.slowest = outcome.slowest.max(time);
    result
}
