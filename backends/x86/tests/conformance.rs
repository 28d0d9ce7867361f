//! Random networks against the reference interpreter, at every level: integers to the byte, real numbers
//! closely.

use paring_backend::{Backend, ExecOptions};
use paring_opsuite::random::{Grower, Random, compare};
use paring_qmath::Rounding;
use paring_x86::{Level, X86};

fn check(int8: bool, seeds: std::ops::Range<u64>) {
    for seed in seeds {
        let grower = Grower::new(seed, int8);
        let layers = 1 + (seed % 7) as usize;
        let graph = grower.grow(layers);
        for rounding in [Rounding::Double, Rounding::Single] {
            let options = ExecOptions { rounding };
            let reference = paring_reference::Reference.executor(options).unwrap();
            for level in Level::ALL.into_iter().filter(|l| l.is_available()) {
                let tested = X86.executor_at(level, options);
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
    check(false, 0..250);
}

#[test]
fn integer_networks() {
    check(true, 1000..1250);
}
