//! Makes the table of costs: runs layers of many shapes on every emulated core and solves for what
//! a round of each loop takes.
//!
//! `cargo run --release -p paring-cortex-m-kernels --example fit_cost [CORE ...]` rewrites
//! `src/cost/table.txt`, all of it or the part of the named cores and functions (`m4 pr_add`).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use paring_cortex_m_kernels::cost::{self, Loops};
use paring_cortex_m_kernels::{
    Add, AddOperand, BoxCopy, Coding, Conv2d, DepthwiseConv2d, Dequantize, Fill, FullyConnected,
    Isa, Layer, Mean, Mul, Pool2d, PoolKind, Quantize, Requant, Requantize, Softmax, Table, Unit,
};
use paring_emulator::{Build, Core, Entry};
use paring_qmath::Multiplier;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// `low..=high`.
    fn size(&mut self, low: usize, high: usize) -> usize {
        low + (self.next() % (high - low + 1) as u64) as usize
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.size(0, of.len() - 1)]
    }

    fn weights(&mut self, n: usize) -> Vec<i8> {
        (0..n).map(|_| self.size(0, 120) as i8 - 60).collect()
    }

    fn requant(&mut self, channels: usize) -> Requant {
        let zero = if self.size(0, 1) == 0 { -128 } else { self.size(0, 200) as i32 - 100 };
        let one = |r: &mut Self| Multiplier::from_real(0.002 * (1.0 + r.size(0, 100) as f64));
        let multipliers = (0..channels).map(|_| one(self)).collect();
        Requant { multipliers, zero, low: -128, high: 127 }
    }
}

/// The layers that are timed.
struct Program {
    unit: Unit,
    calls: String,
    loops: Vec<Vec<Loops>>,
    /// Layers offered, timed or not.
    tried: usize,
    isa: Isa,
    /// Layers that have a file of their own.
    alone: Vec<String>,
    alone_loops: Vec<Vec<Loops>>,
    /// Functions to time; all if there is none.
    only: Vec<String>,
    /// How many of each function there are among them.
    counts: BTreeMap<String, usize>,
}

/// Layers of a function that are timed alone.
const ALONE: usize = 32;
/// Bytes of each buffer.
const ROOM: usize = 80_000;

impl Program {
    fn push(&mut self, layer: &dyn Layer) {
        self.tried += 1;
        let index = self.loops.len();
        let Ok(kernel) = self.unit.add(layer, &format!("l{}", self.tried)) else { return };
        assert!(kernel.scratch_bytes <= ROOM);
        let function = kernel.loops.first().map_or(String::new(), |l| l.function.clone());
        if !self.only.is_empty() && !self.only.contains(&function) {
            return;
        }
        let call = kernel.call(&["first", "second"], &["out"], "(void *)scratch");
        let _ = writeln!(self.calls, "    emu_mark(0, {index});\n    {call}");
        self.loops.push(kernel.loops);
        let count = self.counts.entry(function).or_default();
        *count += 1;
        if *count > ALONE {
            return;
        }
        let mut unit = Unit::new(self.isa);
        let name = format!("only{}", self.alone.len());
        let Ok(kernel) = unit.add(layer, &name) else { return };
        let call = kernel.call(&["first", "second"], &["out"], "(void *)scratch");
        self.alone.push(format!(
            "{}\nextern int32_t first_words[], second_words[], out_words[], scratch[];\n\
             void {name}_run(void)\n{{\n    int8_t *first = (int8_t *)first_words, *second = (int8_t *)second_words, *out = (int8_t *)out_words;\n\
             (void)second, (void)first;\n    {call}\n}}\n",
            unit.text()
        ));
        let once =
            |l: &Loops| Loops { function: format!("{}{}", l.function, cost::ONCE), ..l.clone() };
        self.alone_loops.push(kernel.loops.iter().map(once).collect());
    }

    fn text(&self) -> String {
        let mut declared = String::new();
        let mut calls = self.calls.clone();
        for index in 0..self.alone.len() {
            let _ = writeln!(declared, "void only{index}_run(void);");
            let _ = writeln!(
                calls,
                "    emu_mark(0, {});\n    only{index}_run();",
                self.loops.len() + index
            );
        }
        format!(
            "{}\n{declared}void emu_mark(void *, int);\n\
             int32_t first_words[{ROOM} / 4], second_words[{ROOM} / 4], out_words[{ROOM} / 4], scratch[{ROOM} / 4];\n\
             void prepare(void)\n{{\n    uint32_t s = 1;\n    for (int32_t i = 0; i < {ROOM}; i++) {{\n        s = s * 1664525u + 1013904223u;\n\
             ((int8_t *)first_words)[i] = (int8_t)(s >> 24);\n        ((int8_t *)second_words)[i] = (int8_t)(s >> 16);\n    }}\n}}\n\
             void run(void)\n{{\n    int8_t *first = (int8_t *)first_words, *second = (int8_t *)second_words, *out = (int8_t *)out_words;\n\
             (void)second;\n{}    emu_mark(0, {});\n}}\n",
            self.unit.text(),
            calls,
            self.loops.len() + self.alone.len()
        )
    }
}

fn out(size: usize, kernel: usize, stride: usize, pad: usize) -> usize {
    (size + 2 * pad - kernel) / stride + 1
}

fn program(isa: Isa, only: &[String]) -> Program {
    let mut p = Program {
        unit: Unit::new(isa),
        calls: String::new(),
        loops: Vec::new(),
        tried: 0,
        isa,
        alone: Vec::new(),
        alone_loops: Vec::new(),
        only: only.to_vec(),
        counts: BTreeMap::new(),
    };
    let mut r = Random(17);
    let slow = matches!(isa, Isa::V6m | Isa::V7m);
    for round in 0..70 {
        let coding = Coding::Plain;
        let pointwise = round % 2 == 0;
        let kernel = if pointwise {
            [1, 1]
        } else {
            r.pick(&[[3, 3], [3, 3], [5, 5], [1, 3], [10, 4], [1, 1], [7, 1]])
        };
        let stride = if pointwise { [1, 1] } else { r.pick(&[[1, 1], [2, 2], [1, 2]]) };
        let pad =
            if pointwise { [0, 0] } else { [r.size(0, kernel[0] / 2), r.size(0, kernel[1] / 2)] };
        let depth = r.pick(&[1, 2, 3, 4, 8, 13, 16, 24, 32, 48, 64]);
        let channels = r.pick(&[4, 8, 8, 10, 16, 24, 32, 64]);
        let top = if slow { 12 } else { 20 };
        let input = [r.size(kernel[0], kernel[0] + top), r.size(kernel[1], kernel[1] + top), depth];
        let axis = |i: usize| out(input[i], kernel[i], stride[i], pad[i]);
        let output = [axis(0), axis(1), channels];
        let weights = r.weights(channels * kernel[0] * kernel[1] * depth);
        let bias = vec![5; channels];
        let mut requant = r.requant(channels);
        if r.size(0, 3) == 0 {
            requant.high = 60;
        }
        p.push(&Conv2d {
            input,
            output,
            kernel,
            stride,
            dilation: [1, 1],
            pad,
            groups: 1,
            in_zero: 3,
            weights: &weights,
            bias: &bias,
            requant,
            coding,
        });
    }
    for round in 0..12 {
        // Grouped and dilated: the loops for anything.
        let (groups, dilation) = if round % 2 == 0 { (2, [1, 1]) } else { (1, [2, 2]) };
        let (depth, channels) = (2 * r.size(1, 6), 2 * r.size(1, 6));
        let input = [r.size(6, 10), r.size(6, 10), depth];
        let output = [input[0] - 2 * dilation[0] + 2, input[1] - 2 * dilation[1] + 2, channels];
        let weights = r.weights(channels * 9 * depth / groups);
        let bias = vec![5; channels];
        let requant = r.requant(channels);
        p.push(&Conv2d {
            input,
            output,
            kernel: [3, 3],
            stride: [1, 1],
            dilation,
            pad: [1, 1],
            groups,
            in_zero: 3,
            weights: &weights,
            bias: &bias,
            requant,
            coding: Coding::Plain,
        });
    }
    for round in 0..90 {
        let kernel = if round % 3 < 2 { [3, 3] } else { r.pick(&[[5, 5], [7, 7], [3, 5], [1, 3]]) };
        let stride = r.pick(&[[1, 1], [1, 1], [2, 2]]);
        let pad = [r.size(0, kernel[0] / 2), r.size(0, kernel[1] / 2)];
        let channels = r.pick(&[2, 4, 8, 16, 32]);
        let limit = if slow { 24 } else { 48 };
        let input = [r.size(kernel[0], limit), r.size(kernel[1], limit), channels];
        if input.iter().product::<usize>() > ROOM {
            continue;
        }
        let output = [
            out(input[0], kernel[0], stride[0], pad[0]),
            out(input[1], kernel[1], stride[1], pad[1]),
            channels,
        ];
        let weights = r.weights(channels * kernel[0] * kernel[1]);
        let bias = vec![5; channels];
        let requant = r.requant(channels);
        p.push(&DepthwiseConv2d {
            input,
            output,
            kernel,
            stride,
            dilation: [1, 1],
            pad,
            in_zero: 3,
            weights: &weights,
            bias: &bias,
            requant,
        });
    }
    for round in 0..36 {
        let (inputs, outputs) =
            (r.size(4, 400), if round % 3 == 0 { r.size(1, 20) } else { 8 * r.size(1, 12) });
        let mut requant = r.requant(outputs);
        if round % 4 > 0 {
            requant.multipliers.truncate(1);
        }
        let weights = r.weights(inputs * outputs);
        let bias = vec![5; outputs];
        p.push(&FullyConnected {
            inputs,
            outputs,
            in_zero: 3,
            weights: &weights,
            bias: &bias,
            requant,
            coding: Coding::Plain,
        });
    }
    for round in 0..40 {
        let n = r.size(10, 4000);
        let channels = r.size(2, 40);
        let operand = |r: &mut Random| AddOperand {
            zero: r.size(0, 100) as i32 - 50,
            multiplier: match r.size(0, 2) {
                0 => Multiplier { mantissa: 1 << 30, shift: 0 },
                1 => Multiplier { mantissa: 1_500_000_000, shift: 0 },
                _ => Multiplier { mantissa: 1_500_000_000, shift: -2 },
            },
        };
        let (shape, other) = if round % 4 == 0 {
            (vec![n / channels + 1, channels], vec![channels])
        } else {
            (vec![n], vec![n])
        };
        let mut requant = Requant::per_tensor(Multiplier::from_real(2e-6 * f64::from(1 << 18)), 4);
        if round % 5 == 0 {
            requant.multipliers = vec![Multiplier { mantissa: 1_400_000_000, shift: 0 }];
        }
        requant.low = r.pick(&[-128, -128, 4]);
        requant.high = r.pick(&[127, 127, 90]);
        let operands = [operand(&mut r), operand(&mut r)];
        p.push(&Add {
            operand_shapes: [shape.clone(), other],
            shape,
            operands,
            subtract: false,
            requant,
        });
    }
    for round in 0..40 {
        let kernel = [r.size(1, 6), r.size(1, 6)];
        let input = [r.size(6, 14), r.size(6, 14), r.size(1, 40)];
        let stride = r.pick(&[[1, 1], [2, 2], [3, 3]]);
        let output =
            [out(input[0], kernel[0], stride[0], 0), out(input[1], kernel[1], stride[1], 0)];
        let kind = if round % 2 == 0 { PoolKind::Average } else { PoolKind::Max };
        p.push(&Pool2d { kind, input, output, kernel, stride, pad: [0, 0], clamp: [-128, 127] });
    }
    for _ in 0..8 {
        let count = r.size(1, 2000);
        let scale = 0.05;
        let m = Multiplier::from_real(0.3);
        p.push(&Table { count, values: [3; 256] });
        p.push(&Quantize { count, scale, zero: 3 });
        p.push(&Dequantize { count, scale, zero: 3 });
        p.push(&Requantize { count, in_zero: 3, requant: Requant::per_tensor(m, 2) });
        p.push(&Fill { bytes: count, value: 3 });
        p.push(&Softmax { rows: r.size(1, 4), depth: r.size(2, 40), beta: 1.0, in_scale: 0.1 });
        let (channels, means) = (r.size(1, 40), r.size(1, 100));
        p.push(&Mean {
            count: means,
            channels,
            in_zero: 3,
            requant: Requant::per_tensor(Multiplier::from_real(0.01), 2),
        });
        let shape = vec![r.size(1, 20), r.size(1, 60)];
        p.push(&Mul {
            operand_shapes: [shape.clone(), shape.clone()],
            shape,
            zeros: [1, 2],
            requant: Requant::per_tensor(m, 2),
        });
        let (rows, run, gap) = (r.size(1, 40), r.size(1, 60), r.size(0, 1));
        p.push(&BoxCopy {
            element: 1,
            size: vec![rows, run],
            from: (vec![run + gap, 1], 0),
            to: (vec![run, 1], 0),
        });
        p.push(&BoxCopy {
            element: 1,
            size: vec![rows, run],
            from: (vec![1, rows], 0),
            to: (vec![run, 1], 0),
        });
    }
    p
}

/// Non-negative least squares by coordinate descent; rows are relative, so errors are too.
fn solve(rows: &[Vec<(usize, f64)>], wanted: &[f64], columns: usize) -> Vec<f64> {
    let mut gram = vec![vec![0.0; columns]; columns];
    let mut right = vec![0.0; columns];
    for (row, &y) in rows.iter().zip(wanted) {
        let weight = 1.0 / y.max(1.0);
        for &(i, a) in row {
            right[i] += a * weight * y * weight;
            for &(j, b) in row {
                gram[i][j] += a * weight * b * weight;
            }
        }
    }
    let mut x = vec![0.0; columns];
    for _ in 0..40_000 {
        let mut moved: f64 = 0.0;
        for i in 0..columns {
            if gram[i][i] <= 0.0 {
                continue;
            }
            let dot: f64 = gram[i].iter().zip(&x).map(|(g, v)| g * v).sum();
            let next = (x[i] + (right[i] - dot) / gram[i][i]).max(0.0);
            moved = moved.max((next - x[i]).abs() / next.max(1.0));
            x[i] = next;
        }
        if moved < 1e-9 {
            break;
        }
    }
    x
}

fn fit(core: Core, only: &[String], text: &mut String) {
    let (isa, level) = match core {
        Core::M0 => (Isa::V6m, "-O2"),
        Core::M3 => (Isa::V7m, "-O2"),
        Core::M4 | Core::M7 | Core::M33 => (Isa::Dsp, "-Os"),
        Core::M55 => (Isa::Helium, "-Os"),
    };
    let mut p = program(isa, only);
    let mut files = vec![("run.c".to_string(), p.text())];
    files.extend(p.alone.iter().enumerate().map(|(i, text)| (format!("only{i}.c"), text.clone())));
    p.loops.append(&mut p.alone_loops);
    let build = Build {
        files,
        entry: Entry {
            includes: "void run(void);\nvoid prepare(void);".into(),
            prepare: "prepare();".into(),
            invoke: "run();".into(),
            ..Entry::default()
        },
        output_bytes: 1,
        flags: vec![level.into()],
        ..Build::new(core)
    };
    let report = paring_emulator::run(&build, &[vec![0]]).unwrap_or_else(|e| panic!("{core}: {e}"));
    assert_eq!(report.parts.len(), p.loops.len(), "{core}");
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for loops in p.loops.iter().flatten() {
        for (name, _) in loops.rounds.iter().filter(|r| r.1 > 0) {
            let next = names.len();
            names.entry(format!("{}.{name}", loops.function)).or_insert(next);
        }
    }
    let rows: Vec<Vec<(usize, f64)>> = p
        .loops
        .iter()
        .map(|all| {
            let mut row: BTreeMap<usize, f64> = BTreeMap::new();
            for loops in all {
                for &(name, rounds) in loops.rounds.iter().filter(|r| r.1 > 0) {
                    *row.entry(names[&format!("{}.{name}", loops.function)]).or_default() +=
                        rounds as f64;
                }
            }
            row.into_iter().collect()
        })
        .collect();
    let measure = |f: &dyn Fn(&paring_emulator::Part) -> u64| -> Vec<f64> {
        report.parts.iter().map(|part| f(part) as f64).collect()
    };
    let counted = measure(&|part| part.instructions);
    let instructions = solve(&rows, &counted, names.len());
    let cycles = solve(&rows, &measure(&|part| part.cycles), names.len());
    let mut worst: BTreeMap<&str, (f64, f64, usize)> = BTreeMap::new();
    for ((row, y), loops) in rows.iter().zip(&counted).zip(&p.loops) {
        let got: f64 = row.iter().map(|&(i, a)| a * instructions[i]).sum();
        let error = (got / y.max(1.0) - 1.0).abs();
        let entry = worst.entry(loops.first().map_or("", |l| l.function.as_str())).or_default();
        *entry = (entry.0.max(error), entry.1 + error, entry.2 + 1);
    }
    for (function, (most, sum, n)) in worst {
        println!(
            "{core} {function}: {n} layers, error {:.2} % at most, {:.2} % on average",
            100.0 * most,
            100.0 * sum / n as f64
        );
    }
    for (name, index) in names {
        let _ = writeln!(text, "{core} {name} {:.3} {:.3}", instructions[index], cycles[index]);
    }
}

fn main() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cost/table.txt");
    let (only, cores): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|name| name.starts_with("pr_") || name.starts_with("mem"));
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    let mut text = String::from("# core function.loop instructions cycles\n");
    for core in Core::ALL {
        let known: Result<cost::Core, _> = core.name().parse();
        assert!(known.is_ok(), "the costs know {core}");
        let wanted = cores.is_empty() || cores.iter().any(|name| name == core.name());
        let kept = |line: &&str| {
            let mut fields = line.split_whitespace();
            let ours = fields.next() == Some(core.name());
            let function = fields.next().unwrap_or("").split(['.', '@']).next().unwrap_or("");
            let redone = wanted && (only.is_empty() || only.iter().any(|f| f == function));
            ours && !redone
        };
        old.lines().filter(kept).for_each(|line| text.push_str(&format!("{line}\n")));
        if wanted {
            fit(core, &only, &mut text);
        }
    }
    std::fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}
