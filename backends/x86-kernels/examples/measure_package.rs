//! Runs a mapped package on this machine and prints the most kilobytes that the process had, and the
//! microseconds that loading took: `measure_package PACKAGE`.

use paring_runtime::Model;
use paring_x86_kernels::{Level, X86Kernels};
use std::time::Instant;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // This thread and no other: each would take memory of its own.
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global()?;
    let path = std::env::args().nth(1).ok_or("usage: measure_package PACKAGE")?;
    let start = Instant::now();
    let file = std::fs::File::open(path)?;
    // SAFETY: who starts this program changes the file no more.
    let map = unsafe { memmap2::Mmap::map(&file)? };
    let model = Model::load(map, Box::new(X86Kernels::new(Level::detect())))?;
    let loaded = start.elapsed().as_micros();
    let mut runner = model.runner();
    let inputs: Vec<Vec<u8>> = model.inputs().iter().map(|p| vec![3; p.len]).collect();
    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    let mut outputs: Vec<Vec<u8>> = model.outputs().iter().map(|p| vec![0; p.len]).collect();
    let mut outputs: Vec<&mut [u8]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
    for _ in 0..3 {
        runner.run(&inputs, &mut outputs)?;
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    println!("{} {loaded}", peak.trim_end_matches("kB").trim());
    Ok(())
}
