//! The emitted softmax against real exponentials, on the host and on an emulated core.

use std::process::Command;

use paring_cortex_m_kernels::{Isa, Layer, Softmax, Unit};
use paring_emulator::{Build, Core, Entry, missing_packages};

const DEPTH: usize = 12;

fn program(scale: f64) -> String {
    let mut unit = Unit::new(Isa::Dsp);
    let layer = Softmax { rows: 40, depth: DEPTH, beta: 1.0, in_scale: scale };
    let kernel = layer.lower(&mut unit, "softmax").expect("lowers");
    format!(
        "{}\nvoid run(const uint8_t *in, uint8_t *out)\n{{\n{}\n}}\n",
        unit.text(),
        kernel.call(&["(const int8_t *)in"], &["(int8_t *)out"], "0")
    )
}

fn rows() -> Vec<u8> {
    let mut state = 5_u64;
    (0..40 * DEPTH)
        .map(|i| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            // Rows of growing spread.
            let spread = (i / DEPTH) as i64 * 3 + 1;
            ((state >> 33) as i64 % spread - spread / 2) as i8 as u8
        })
        .collect()
}

fn check(scale: f64, input: &[u8], output: &[u8]) {
    for (x, y) in input.chunks(DEPTH).zip(output.chunks(DEPTH)) {
        let exps: Vec<f64> = x.iter().map(|&v| (f64::from(v as i8) * scale).exp()).collect();
        let sum: f64 = exps.iter().sum();
        for (e, &got) in exps.iter().zip(y) {
            let real = (e / sum * 256.0 - 128.0).clamp(-128.0, 127.0);
            assert!((real - f64::from(got as i8)).abs() <= 1.0, "{scale}: {real} {}", got as i8);
        }
    }
}

#[test]
fn probabilities_are_within_one_step() {
    for scale in [0.003, 0.05, 0.17, 1.1] {
        let input = rows();
        if missing_packages().is_empty() {
            let build = Build {
                files: vec![("run.c".into(), program(scale))],
                entry: Entry {
                    includes: "void run(const uint8_t *, uint8_t *);".into(),
                    invoke: "run(emu_in, emu_out);".into(),
                    ..Entry::default()
                },
                output_bytes: input.len(),
                ..Build::new(Core::M4)
            };
            let samples = [input.clone()];
            let report = paring_emulator::run(&build, &samples).unwrap_or_else(|e| panic!("{e}"));
            check(scale, &input, &report.outputs[0]);
        } else {
            println!("skipped on the core: install {}", missing_packages().join(" "));
        }
        if Command::new("cc").arg("--version").output().is_ok() {
            let dir = tempfile::tempdir().expect("a directory");
            let bytes: Vec<String> = input.iter().map(u8::to_string).collect();
            let main = format!(
                "{}\n#include <stdio.h>\nint main(void) {{ static const uint8_t in[] = {{{}}};\n\
                 static uint8_t out[sizeof in]; run(in, out);\n\
                 return fwrite(out, 1, sizeof out, stdout) != sizeof out; }}\n",
                program(scale),
                bytes.join(",")
            );
            std::fs::write(dir.path().join("main.c"), main).expect("writes");
            let build = Command::new("cc")
                .args(["-O1", "-fsanitize=undefined", "-fsanitize-undefined-trap-on-error"])
                .args(["main.c", "-o", "run"])
                .current_dir(dir.path())
                .output()
                .expect("cc runs");
            assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
            let run = Command::new(dir.path().join("run")).output().expect("runs");
            assert!(run.status.success());
            check(scale, &input, &run.stdout);
        }
    }
}
