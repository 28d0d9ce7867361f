//! Runs packages on samples: what `paring verify` starts under the emulator.
//!
//! `paring-rt-run PACKAGE INPUTS OUTPUTS [REPEAT]`: `INPUTS` holds the inputs of each sample one after
//! another, and `OUTPUTS` is written likewise; before an output with an extent that depends on the data that extent, as
//! eight bytes. With `REPEAT` the last sample is run that many times more. It
//! prints the level of instructions and the nanoseconds of loading.
//!
//! `paring-rt-run --layers PACKAGE INPUTS OUTPUTS` runs the last sample once more and executes the instruction
//! `hint #100`, which does nothing, before its first step and after each one: marks for a tool that counts.
//!
//! `paring-rt-run --list FILE` runs many: each line names a package, its inputs and its outputs. For each it
//! prints a line, `ok` or what went wrong.

use std::error::Error;
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

fn run() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args[..] {
        ["--list", list] => {
            for line in std::fs::read_to_string(list)?.lines() {
                let names: Vec<&str> = line.split_whitespace().collect();
                let [package, inputs, outputs] = names[..] else {
                    return Err(format!("{list}: `{line}` does not name three files").into());
                };
                match samples(package, inputs, outputs, 0, false) {
                    Ok(_) => println!("ok"),
                    Err(e) => println!("{}", e.to_string().replace('\n', " ")),
                }
            }
            Ok(())
        }
        ["--layers", package, inputs, outputs] => tell(samples(package, inputs, outputs, 0, true)?),
        [package, inputs, outputs] => tell(samples(package, inputs, outputs, 0, false)?),
        [package, inputs, outputs, repeat] => {
            tell(samples(package, inputs, outputs, repeat.parse()?, false)?)
        }
        _ => Err("usage: paring-rt-run PACKAGE INPUTS OUTPUTS [REPEAT] | --layers PACKAGE INPUTS \
                  OUTPUTS | --list FILE"
            .into()),
    }
}

fn tell(loaded: u128) -> Result<(), Box<dyn Error>> {
    println!("{} {loaded}", paring_rt::level().name());
    Ok(())
}

/// A mark in the run of the program.
fn mark() {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: a hint that no processor gives a meaning does nothing.
    unsafe {
        std::arch::asm!("hint #100", options(nomem, nostack, preserves_flags));
    }
}

/// Runs a package on all samples, and on the last one so many times more, and once more with marks where they
/// are asked for; the nanoseconds of loading.
fn samples(
    package: &str,
    inputs: &str,
    outputs: &str,
    repeat: usize,
    layers: bool,
) -> Result<u128, Box<dyn Error>> {
    let start = Instant::now();
    let model = paring_rt::open(package)?;
    let loaded = start.elapsed().as_nanos();
    let mut runner = model.runner();
    let given = std::fs::read(inputs)?;
    let sample: usize = model.inputs().iter().map(|p| p.len).sum();
    if !given.len().is_multiple_of(sample) {
        return Err(format!("{inputs}: not a multiple of {sample} bytes").into());
    }
    let mut all = Vec::new();
    let mut results: Vec<Vec<u8>> = model.outputs().iter().map(|p| vec![0; p.len]).collect();
    // What takes no inputs is run once.
    let count = given.len().checked_div(sample).unwrap_or(1);
    for i in 0..count {
        let mut bytes = &given[i * sample..(i + 1) * sample];
        let mut parts = Vec::new();
        for port in model.inputs() {
            let (now, later) = bytes.split_at(port.len);
            parts.push(now);
            bytes = later;
        }
        let mut places: Vec<&mut [u8]> = results.iter_mut().map(Vec::as_mut_slice).collect();
        runner.run(&parts, &mut places)?;
        for (k, (port, bytes)) in model.outputs().iter().zip(&results).enumerate() {
            let mut len = port.len;
            if let (Some(counted), Some(shape)) = (port.counted, runner.shape(k)) {
                all.extend((shape[counted.axis] as u64).to_le_bytes());
                len = len / port.shape.iter().product::<usize>() * shape.iter().product::<usize>();
            }
            all.extend(&bytes[..len]);
        }
        if i + 1 < count {
            continue;
        }
        // What a network remembers goes on, so these results are others than those that are kept.
        let mut places: Vec<&mut [u8]> = results.iter_mut().map(Vec::as_mut_slice).collect();
        for _ in 0..repeat {
            runner.run(&parts, &mut places)?;
        }
        if layers {
            runner.run_watched(&parts, &mut places, mark)?;
        }
    }
    std::fs::write(outputs, all)?;
    Ok(loaded)
}
