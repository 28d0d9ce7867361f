//! A run of MobileNetV2 of int8 takes no more memory than the project has set itself.

use paring_bench::memory::{measure, program};
use paring_bundle as _;
use paring_opsuite::networks::mobilenet_v2;
use std::path::Path;

#[test]
fn mobilenet_v2_int8_keeps_to_its_bound() {
    if !Path::new("/proc/self/status").exists() {
        eprintln!("skipped: this system does not say how much memory a process has");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let program = program().unwrap();
    let memory = measure(&mobilenet_v2(true), &program, &dir.path().join("v2.prt")).unwrap();
    eprintln!("{memory:?}, at most {}", memory.bound());
    assert!(memory.peak > memory.weights + memory.activations / 2, "{memory:?} is not plausible");
    assert!(memory.peak <= memory.bound(), "{memory:?} is more than {}", memory.bound());
}
