//! How near the inner loops come to the peak of a processor by LLVM's models of the Cortex-A72 and the Neoverse N1 and N2:
//! multiplications of a loop, at the rate that a stream of them alone has, over the cycles of the loop. Skipped where
//! `llvm-mca-19` and `llvm-mc-19` (Debian: llvm-19) are not installed.
//!
//! Depthwise loops of `i8` cannot come near it: bringing sums back to bytes takes longer than the products. Sixteen
//! sums of nine products each take, with vector units of which each instruction takes one for one cycle or more:
//!
//! | | A72, SMULL and SMLAL | N1, SDOT |
//! |---|---|---|
//! | products (the peak is these alone, at one or two a cycle) | 18 | 12 |
//! | bytes side by side: TRN, ZIP (two columns apart) | 4 (6) | 8 (16) |
//! | sums in 32 bits | 14 | |
//! | SQRDMULH, SRSHL (4 each) | 16 | 12 |
//! | to 16 bits and 8 bits (2 each), a sign | 5 | 5 |
//! | the store | | 1 |
//! | cycles of two units | 28.5 (29.5) | 19 (23) |
//! | products alone over that | 63 % (61 %) | 32 % (26 %) |
//!
//! Nor can loops over one row that bring weights back, but for numbers without the dot product, whose SRSHR go beside the
//! products. Sixteen elements of eight channels (A72) or of 16 (N1), and 64 weights of half precision, take:
//!
//! | | table, A72 | table, N1 SDOT | numbers, N1 SDOT | half precision, N1 |
//! |---|---|---|---|---|
//! | products | 16 of one unit | 16 | 16 | 16 |
//! | AND, USHR or SRSHR | 8 | 16 | 8 | |
//! | TBL (on the A72 each takes both units for one cycle and a half), FCVTL (two cycles of one unit) | 24 | 16 | | 32 of one unit |
//! | SADALP, elements repeated | 11 | | | |
//! | cycles of two units | 29.5 | 24 | 12 | 32 |
//! | products alone over that | 54 % | 33 % | 67 % | 25 % |

use std::io::Write;
use std::process::{Command, Stdio};

const FILES: [&str; 10] = [
    include_str!("../src/asm/f32_gemm.s"),
    include_str!("../src/asm/f16_gemm.s"),
    include_str!("../src/asm/f32_sparse.s"),
    include_str!("../src/asm/i8_mlal.s"),
    include_str!("../src/asm/i8_dot.s"),
    include_str!("../src/asm/i8_mmla.s"),
    include_str!("../src/asm/i8_codes.s"),
    include_str!("../src/asm/i8_sparse.s"),
    include_str!("../src/asm/depthwise3.s"),
    include_str!("../src/asm/depthwise3_dot.s"),
];

const A72: &str = "cortex-a72";
const N1: &str = "neoverse-n1";
const N2: &str = "neoverse-n2";
const ITERATIONS: u32 = 200;

/// An inner loop: the block between the label `3` and the branch back to it in a macro or function.
struct Loop {
    name: &'static str,
    start: &'static str,
    /// What arguments of the macro are.
    arguments: &'static [(&'static str, &'static str)],
    /// A multiplication as the loop has it; `@` is the register that it adds to.
    multiplication: &'static str,
    /// What multiplications begin with.
    mnemonics: &'static [&'static str],
    /// Processors with the least percentage of the peak.
    bounds: &'static [(&'static str, f64)],
}

const FMLA: &str = "fmla v@.4s, v30.4s, v31.s[0]";
const FMLA_HALF: &str = "fmla v@.8h, v30.8h, v15.h[0]";
const SMLAL: &str = "smlal v@.8h, v30.8b, v31.8b";
const SDOT: &str = "sdot v@.4s, v30.16b, v31.4b[0]";
/// The end of a stretch of sums is not in the loop.
const STRETCH: [(&str, &str); 1] = [("    b.le 50f\n40:\n", "    b.le again\n")];
const NONE: &[(&str, &str)] = &[];
const PAIRS: [(&str, &str); 3] = [("\\px", "pw_i8_open"), ("\\column", "pw_pairs"), ("\\()", "")];

const LOOPS: [Loop; 22] = [
    Loop {
        name: "f32, 4 rows and 16 channels",
        start: ".macro pf_taps4",
        arguments: &[("\\many", "pf_four16"), ("\\n", "4")],
        multiplication: FMLA,
        mnemonics: &["fmla"],
        bounds: &[(A72, 95.0), (N1, 95.0)],
    },
    Loop {
        name: "f32, 4 rows and 8 channels",
        start: ".macro pf_taps4",
        arguments: &[("\\many", "pf_four8"), ("\\n", "4")],
        multiplication: FMLA,
        mnemonics: &["fmla"],
        bounds: &[(A72, 95.0), (N1, 95.0)],
    },
    Loop {
        name: "half precision, 8 rows and 16 channels",
        start: "pn_function paring_neon_f16_8x16\n",
        arguments: &STRETCH,
        multiplication: FMLA_HALF,
        mnemonics: &["fmla"],
        bounds: &[(N1, 95.0)],
    },
    Loop {
        name: "half precision, 8 rows and 8 channels",
        start: "pn_function paring_neon_f16_8x8\n",
        arguments: &STRETCH,
        multiplication: FMLA_HALF,
        mnemonics: &["fmla"],
        bounds: &[(N1, 95.0)],
    },
    Loop {
        name: "half precision depthwise 3x3, one column apart",
        start: ".macro pw_real_row1",
        arguments: &[("\\t", "8h")],
        multiplication: FMLA_HALF,
        mnemonics: &["fmla"],
        bounds: &[(N1, 60.0)],
    },
    Loop {
        name: "half precision depthwise 3x3, two columns apart",
        start: ".macro pw_real_row2",
        arguments: &[("\\t", "8h")],
        multiplication: FMLA_HALF,
        mnemonics: &["fmla"],
        bounds: &[(N1, 60.0)],
    },
    Loop {
        name: "i8 without dot product, 4 rows and 8 channels",
        start: ".macro pi_tap ",
        arguments: &[("\\rows", "4"), ("\\step", "64")],
        multiplication: SMLAL,
        mnemonics: &["smull", "smlal"],
        bounds: &[(A72, 95.0), (N1, 95.0)],
    },
    Loop {
        name: "i8 with dot product, 4 rows and 16 channels",
        start: ".macro pf_taps4",
        arguments: &[("\\many", "pd_wide"), ("\\n", "16")],
        multiplication: SDOT,
        mnemonics: &["sdot"],
        bounds: &[(N1, 95.0)],
    },
    // For every two products weights are brought together by one ZIP, so that one packed form serves the dot product, too:
    // 52 vector instructions where that has 64.
    Loop {
        name: "i8 with the matrix instruction, 4 rows and 16 channels",
        start: "pn_function paring_neon_i8_mmla_4x16\n",
        arguments: NONE,
        multiplication: "smmla v@.4s, v30.16b, v31.16b",
        mnemonics: &["smmla"],
        bounds: &[(N2, 61.0)],
    },
    Loop {
        name: "i8 of codes that are numbers without dot product, 1 row and 8 channels",
        start: ".macro pc_mlal",
        arguments: &[("\\by", "pc_numbers"), ("\\step", "32")],
        multiplication: SMLAL,
        mnemonics: &["smull", "smlal"],
        bounds: &[(A72, 95.0), (N1, 95.0)],
    },
    Loop {
        name: "i8 of codes in a table without dot product, 1 row and 8 channels",
        start: ".macro pc_mlal",
        arguments: &[("\\by", "pc_table"), ("\\step", "32")],
        multiplication: SMLAL,
        mnemonics: &["smull", "smlal"],
        bounds: &[(A72, 54.0), (N1, 72.0)],
    },
    Loop {
        name: "i8 of codes that are numbers with dot product, 1 row and 16 channels",
        start: ".macro pf_taps1",
        arguments: &[("\\many \\by", "pc_ones16 pc_numbers"), ("\\n", "16")],
        multiplication: SDOT,
        mnemonics: &["sdot"],
        bounds: &[(N1, 66.0)],
    },
    Loop {
        name: "i8 of codes in a table with dot product, 1 row and 16 channels",
        start: ".macro pf_taps1",
        arguments: &[("\\many \\by", "pc_ones16 pc_table"), ("\\n", "16")],
        multiplication: SDOT,
        mnemonics: &["sdot"],
        bounds: &[(N1, 33.0)],
    },
    Loop {
        name: "f32 with weights of half precision, 1 row and 16 channels",
        start: ".macro pf_taps1",
        arguments: &[("\\many \\by", "pg_fours16"), ("\\n", "4")],
        multiplication: FMLA,
        mnemonics: &["fmla"],
        bounds: &[(A72, 39.0), (N1, 24.0)],
    },
    Loop {
        name: "f32 sparse, 32 pixels",
        start: ".macro sp_product",
        arguments: &[("\\one", "sp_one32")],
        multiplication: FMLA,
        mnemonics: &["fmla"],
        bounds: &[(A72, 75.0), (N1, 75.0)],
    },
    Loop {
        name: "i8 sparse, 32 pixels",
        start: ".macro ss_product",
        arguments: &[("\\one", "ss_one32")],
        multiplication: "smlal v@.4s, v30.4h, v15.h[0]",
        mnemonics: &["smlal"],
        bounds: &[(A72, 75.0), (N1, 75.0)],
    },
    Loop {
        name: "f32 depthwise 3x3, one column apart",
        start: ".macro pw_real_row1",
        arguments: &[("\\t", "4s")],
        multiplication: FMLA,
        mnemonics: &["fmla"],
        bounds: &[(A72, 60.0), (N1, 60.0)],
    },
    Loop {
        name: "f32 depthwise 3x3, two columns apart",
        start: ".macro pw_real_row2",
        arguments: &[("\\t", "4s")],
        multiplication: FMLA,
        mnemonics: &["fmla"],
        bounds: &[(A72, 60.0), (N1, 60.0)],
    },
    Loop {
        name: "i8 depthwise 3x3 without dot product, one column apart",
        start: ".macro pw_row1",
        arguments: &PAIRS,
        multiplication: SMLAL,
        mnemonics: &["smull", "smlal"],
        bounds: &[(A72, 60.0), (N1, 60.0)],
    },
    Loop {
        name: "i8 depthwise 3x3 without dot product, two columns apart",
        start: ".macro pw_row2",
        arguments: &PAIRS,
        multiplication: SMLAL,
        mnemonics: &["smull", "smlal"],
        bounds: &[(A72, 60.0), (N1, 60.0)],
    },
    Loop {
        name: "i8 depthwise 3x3 with dot product, one column apart",
        start: ".macro pz_row1",
        arguments: &[("\\px", "pz_open")],
        multiplication: SDOT,
        mnemonics: &["sdot"],
        bounds: &[(N1, 30.0)],
    },
    Loop {
        name: "i8 depthwise 3x3 with dot product, two columns apart",
        start: ".macro pz_row2",
        arguments: &[("\\px", "pz_open")],
        multiplication: SDOT,
        mnemonics: &["sdot"],
        bounds: &[(N1, 25.0)],
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

/// What a program of LLVM makes of assembly.
fn llvm(program: &str, arguments: &[&str], text: &str) -> String {
    let mut child = Command::new(program)
        .arg("-mattr=+dotprod,+i8mm,+fullfp16")
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

/// A block without macros, which llvm-mca loses parts of where one is inside of another.
fn expanded(body: &str) -> String {
    let all = llvm("llvm-mc-19", &["-triple=aarch64"], &format!("{}{body}", macros()));
    let instruction = |l: &&str| !l.trim_start().starts_with('.') && !l.is_empty();
    all.lines().filter(instruction).map(|l| format!("{l}\n")).collect()
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
    let missing =
        |p: &&str| Command::new(p).arg("--version").stdout(Stdio::null()).status().is_err();
    if ["llvm-mca-19", "llvm-mc-19"].iter().any(missing) {
        eprintln!("skipped: install llvm-19");
        return;
    }
    const STREAM: usize = 24;
    let mut below = Vec::new();
    for l in &LOOPS {
        let body = block(l).to_owned();
        let body = l.arguments.iter().fold(body, |body, (from, to)| body.replace(from, to));
        let one = |r: usize| format!("{}\n", l.multiplication.replace('@', &r.to_string()));
        let stream: String = (0..STREAM).map(one).collect();
        let text = format!(
            "# LLVM-MCA-BEGIN loop\nagain:\n{}    b.hs again\n# LLVM-MCA-END\n\
             # LLVM-MCA-BEGIN peak\n{stream}# LLVM-MCA-END\n",
            expanded(&body)
        );
        for (cpu, least) in l.bounds {
            let (model, iterations) = (format!("-mcpu={cpu}"), format!("-iterations={ITERATIONS}"));
            let options = ["-mtriple=aarch64", &model, &iterations, "-resource-pressure=0"];
            let report = llvm("llvm-mca-19", &options, &text);
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
