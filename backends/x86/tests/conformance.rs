//! Random networks against the reference interpreter: integers to the byte, real numbers closely.

mod common;

use common::{Grower, Random, compare};
use paring_qmath::Rounding;

fn check(int8: bool, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let grower = Grower::new(seed, int8);
        let layers = 1 + (seed % 7) as usize;
        let graph = grower.grow(layers);
        for rounding in [Rounding::Double, Rounding::Single] {
            if let Err(why) = compare(&graph, &mut Random(seed), rounding, 2e-6) {
                panic!("seed {seed}, {rounding:?}: {why}\n{graph}");
            }
        }
    }
}

#[test]
fn real_networks() {
    check(false, 0..250);
}

#[test]
fn integer_networks() {
    check(true, 1000..1250);
}
