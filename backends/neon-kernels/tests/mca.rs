//! How near the inner loops come to the peak of a processor by LLVM's models of the Cortex-A72 and the Neoverse N1:
//! multiplications of a loop, at the rate that a stream of them alone has, over the cycles of the loop. Skipped where
//! `llvm-mca-19` (Debian: llvm-19) is not installed.

use std::io::Write;
use std::process::{Command, Stdio};

const FILES: [&str; 7] = [
    include_str!("../src/asm/f32_gemm.s"),
    include_str!("../src/asm/f32_sparse.s"),
    include_str!("../src/asm/i8_mlal.s"),
    include_str!("../src/asm/i8_dot.s"),
    include_str!("../src/asm/i8_sparse.s"),
    include_str!("../src/asm/depthwise3.s"),
    include_str!("../src/asm/depthwise3_dot.s"),
];

const A72: &str = "cortex-a72";
const N1: &str = "neoverse-n1";
const ITERATIONS: u32 = 200;

/// An inner loop: the block between the label `3` and the branch back to it in a macro or function.
struct Loop {
    name: &'static str,
    start: &'static str,
    /// What an argument of the macro is.
    argument: (&'static str, &'static str),
    /// A multiplication as the loop has it; `@` is the register that it adds to.
    multiplication: &'static str,
    /// What multiplications begin with.
    mnemonics: &'static [&'static str],
    /// Processors with the least percentage of the peak.
    bounds: &'static [(&'static str, f64)],
}

const FMLA: &str = "fmla v@.4s, v30.4s, v31.s[0]";
const SMLAL: &str = "smlal v@.8h, v30.8b, v31.8b";
const SDOT: &str = "sdot v@.4s, v30.16b, v31.4b[0]";
const NONE: (&str, &str) = ("", "");

const LOOPS: [Loop; 8] = [
    Loop {
        name: "f32, 4 rows and 16 channels",
        start: "\nparing_neon_f32_4x16:",
        argument: NONE,
        multiplication: FMLA,
        mnemonics: &["fmla"],
        bounds: &[(A72, 95.0), (N1, 95.0)],
    },
    Loop {
        name: "f32, 4 rows and 8 channels",
        start: "\nparing_neon_f32_4x8:",
        argument: NONE,
        multiplication: FMLA,
        mnemonics: &["fmla"],
        bounds: &[(A72, 95.0), (N1, 95.0)],
    },
    Loop {
        name: "i8 without dot product, 4 rows and 8 channels",
        start: ".macro pi_tap4",
        argument: ("\\step", "64"),
        multiplication: SMLAL,
        mnemonics: &["smull", "smlal"],
        bounds: &[(A72, 95.0), (N1, 95.0)],
    },
    Loop {
        name: "i8 with dot product, 4 rows and 16 channels",
        start: "\nparing_neon_i8_dot_4x16:",
        argument: NONE,
        multiplication: SDOT,
        mnemonics: &["sdot"],
        bounds: &[(N1, 95.0)],
    },
    Loop {
        name: "f32 sparse, 32 pixels",
        start: ".macro sp_product",
        argument: ("\\one", "sp_one32"),
        multiplication: FMLA,
        mnemonics: &["fmla"],
        bounds: &[(A72, 75.0), (N1, 75.0)],
    },
    Loop {
        name: "i8 sparse, 32 pixels",
        start: ".macro ss_product",
        argument: ("\\one", "ss_one32"),
        multiplication: "smlal v@.4s, v30.4h, v15.h[0]",
        mnemonics: &["smlal"],
        bounds: &[(A72, 75.0), (N1, 75.0)],
    },
    Loop {
        name: "f32 depthwise 3x3, one column apart",
        start: ".macro pw_f32_row1",
        argument: NONE,
        multiplication: FMLA,
        mnemonics: &["fmla"],
        bounds: &[(A72, 60.0), (N1, 60.0)],
    },
    // Four columns of three loads for two windows: the model's window of instructions holds too few of them.
    Loop {
        name: "f32 depthwise 3x3, two columns apart",
        start: ".macro pw_f32_row2",
        argument: NONE,
        multiplication: FMLA,
        mnemonics: &["fmla"],
        bounds: &[(A72, 60.0), (N1, 48.0)],
    },
];

/// The macros of all files that hold no labels.
fn macros() -> String {
    let mut text = String::new();
    for file in FILES {
        for part in file.split(".macro ").skip(1) {
            let body = part.split(".endm").next().unwrap();
            if !body.lines().any(|l| l.trim_end().ends_with(':')) {
                text += &format!(".macro {body}.endm\n");
            }
        }
    }
    text
}

fn block(l: &Loop) -> &'static str {
    let all = FILES.iter().find_map(|f| f.find(l.start).map(|at| &f[at..]));
    let from = all.unwrap_or_else(|| panic!("{} is not there", l.start));
    let body = from.split_once("\n3:\n").unwrap().1;
    body.split_once("    b.hs 3b").unwrap().0
}

fn mca(arguments: &[&str], text: &str) -> String {
    let mut child = Command::new("llvm-mca-19")
        .args(["-mtriple=aarch64", "-mattr=+dotprod"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{text}");
    String::from_utf8(output.stdout).unwrap()
}

fn cycles(report: &str) -> Vec<f64> {
    let line = report.lines().filter_map(|l| l.strip_prefix("Total Cycles:"));
    line.map(|n| n.trim().parse::<f64>().unwrap() / f64::from(ITERATIONS)).collect()
}

/// Multiplications among the instructions that a report lists.
fn multiplications(report: &str, mnemonics: &[&str]) -> usize {
    let named = |line: &&str| {
        let mut words = line.split('\t').rev();
        let has = |word: &str| mnemonics.contains(&word.trim().trim_end_matches('2'));
        words.nth(1).is_some_and(|before| before.split_whitespace().last().is_some_and(has))
    };
    report.lines().filter(named).count()
}

#[test]
fn inner_loops_are_near_the_peak() {
    if Command::new("llvm-mca-19").arg("--version").stdout(Stdio::null()).status().is_err() {
        eprintln!("skipped: install llvm-19");
        return;
    }
    const STREAM: usize = 24;
    let mut below = Vec::new();
    for l in &LOOPS {
        let (from, to) = l.argument;
        let body = if from.is_empty() { block(l).to_owned() } else { block(l).replace(from, to) };
        let one = |r: usize| format!("{}\n", l.multiplication.replace('@', &r.to_string()));
        let stream: String = (0..STREAM).map(one).collect();
        let text = format!(
            "{}# LLVM-MCA-BEGIN loop\nagain:\n{body}    b.hs again\n# LLVM-MCA-END\n\
             # LLVM-MCA-BEGIN peak\n{stream}# LLVM-MCA-END\n",
            macros()
        );
        for (cpu, least) in l.bounds {
            let (model, iterations) = (format!("-mcpu={cpu}"), format!("-iterations={ITERATIONS}"));
            let report = mca(&[&model, &iterations, "-resource-pressure=0"], &text);
            let [whole, peak] = cycles(&report)[..] else { panic!("{report}") };
            let first = report.split("Code Region - peak").next().unwrap();
            let n = multiplications(first, l.mnemonics) as f64;
            let percent = 100.0 * n * peak / STREAM as f64 / whole;
            eprintln!("{}, {cpu}: {percent:.1} % of the peak", l.name);
            if percent < *least {
                below.push(format!("{} on {cpu}: {percent:.1} %, not {least} %", l.name));
            }
        }
    }
    assert!(below.is_empty(), "{}", below.join("\n"));
}
