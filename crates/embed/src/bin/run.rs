//! Runs a package on samples: what `paring verify` starts under the emulator.
//!
//! `paring-rt-run PACKAGE INPUTS OUTPUTS [REPEAT]`: `INPUTS` holds the inputs of each sample one after
//! another, and `OUTPUTS` is written likewise. With `REPEAT` the last sample is run that many times more. It
//! prints the level of instructions and the nanoseconds of loading.

use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("{e}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let [_, package, inputs, outputs, rest @ ..] = &args[..] else {
        return Err("usage: paring-rt-run PACKAGE INPUTS OUTPUTS [REPEAT]".into());
    };
    let repeat: usize = rest.first().map_or(Ok(0), |n| n.parse())?;
    let start = Instant::now();
    let model = paring_rt::open(package)?;
    let loaded = start.elapsed().as_nanos();
    let mut runner = model.runner();
    let given = std::fs::read(inputs)?;
    let sample: usize = model.inputs().iter().map(|p| p.len).sum();
    if sample == 0 || !given.len().is_multiple_of(sample) {
        return Err(format!("{inputs}: not a multiple of {sample} bytes").into());
    }
    let mut all = Vec::new();
    let mut results: Vec<Vec<u8>> = model.outputs().iter().map(|p| vec![0; p.len]).collect();
    let count = given.len() / sample;
    for (i, mut bytes) in given.chunks_exact(sample).enumerate() {
        let mut parts = Vec::new();
        for port in model.inputs() {
            let (now, later) = bytes.split_at(port.len);
            parts.push(now);
            bytes = later;
        }
        let more = if i + 1 == count { repeat } else { 0 };
        let mut places: Vec<&mut [u8]> = results.iter_mut().map(Vec::as_mut_slice).collect();
        for _ in 0..=more {
            runner.run(&parts, &mut places)?;
        }
        all.extend(results.iter().flatten());
    }
    std::fs::write(outputs, all)?;
    println!("{} {loaded}", paring_rt::level().name());
    Ok(())
}
