//! Random networks against the reference interpreter, at every level that the processor has: integers to
//! the byte, real numbers closely. On other machines this tests packing and lowering.

use paring_backend::{Backend, ExecOptions};
use paring_neon::{Level, Neon};
use paring_opsuite::random::{Grower, Random, compare};
use paring_qmath::Rounding;

fn check(int8: bool, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let graph = Grower::new(seed, int8).grow(1 + (seed % 7) as usize);
        for rounding in [Rounding::Double, Rounding::Single] {
            let options = ExecOptions { rounding };
            let reference = paring_reference::Reference.executor(options).unwrap();
            for level in Level::ALL.into_iter().filter(|l| *l <= Level::detect()) {
                let tested = Neon.executor_at(level, options);
                let result = compare(&graph, &mut Random(seed), &*reference, &tested, 2e-6);
                if let Err(why) = result {
                    panic!("seed {seed}, {}, {rounding:?}: {why}\n{graph}", level.name());
                }
            }
        }
    }
}

#[test]
fn real_networks() {
    check(false, 0..200);
}

#[test]
fn integer_networks() {
    check(true, 1000..1200);
}
