//! Random layers: the emitted C, on the host and on emulated cores, against plain loops.

mod common;

use std::process::Command;

use common::Random;
use paring_cortex_m_kernels::{
    Add, AddOperand, BoxCopy, Coding, Conv2d, ConvWide, DepthwiseConv2d, Dequantize,
    FullyConnected, Isa, KernelError, Layer, Mul, Overlap, Pool2d, PoolKind, Quantize, Requant,
    Requantize, Table, Unit,
};
use paring_emulator::{Build, Core, Entry, missing_packages};
use paring_qmath::{Multiplier, Rounding};

/// Layers of one program with their inputs and the outputs they must give.
struct Program {
    isa: Isa,
    unit: Unit,
    calls: String,
    input: Vec<u8>,
    expected: Vec<u8>,
    names: Vec<(usize, String)>,
    random: Random,
    coded: bool,
}

fn raw(x: &[i8]) -> Vec<u8> {
    x.iter().map(|&v| v as u8).collect()
}

impl Program {
    fn new(isa: Isa, seed: u64) -> Self {
        Self {
            isa,
            unit: Unit::new(isa),
            calls: String::new(),
            input: Vec::new(),
            expected: Vec::new(),
            names: Vec::new(),
            random: Random(seed),
            coded: false,
        }
    }

    /// Adds a layer. Where the kernel allows it, the output is laid over the first input, as far
    /// as allowed.
    fn push(&mut self, layer: &dyn Layer, inputs: &[Vec<u8>], expected: &[u8], what: String) {
        let name = format!("l{}", self.names.len());
        let kernel = match self.unit.add(layer, &name) {
            Ok(kernel) => kernel,
            // Not every coding can do every layer.
            Err(KernelError::Unsupported { .. }) if self.coded => return,
            Err(e) => panic!("{what}: {e}"),
        };
        let mut pointers = Vec::new();
        for input in inputs {
            pointers.push(format!("(const int8_t *)in + {}", self.input.len()));
            self.input.extend(input);
        }
        self.input.resize(self.input.len().next_multiple_of(4), 0);
        let at = self.expected.len();
        let delta = match kernel.overlap.first() {
            Some(Overlap::AtLeast(d)) => Some(*d as usize),
            Some(Overlap::Same) => Some(0),
            _ => None,
        };
        let mut text = String::new();
        if let Some(delta) = delta {
            // The place of the output, the input laid over it, and a guard behind.
            let length = inputs[0].len();
            let place = "place".to_string();
            text.push_str(&format!("memcpy(place + {delta}, {}, {length});\n", pointers[0]));
            pointers[0] = format!("place + {delta}");
            let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
            text.push_str(&kernel.call(&pointers, &[&place], "scratch"));
            text.push_str(&format!("\nmemcpy(out + {at}, place, {});", expected.len()));
        } else {
            let pointers: Vec<&str> = pointers.iter().map(String::as_str).collect();
            text.push_str("memset(place, 0x55, sizeof place_words);\n");
            text.push_str(&kernel.call(&pointers, &["place"], "scratch"));
            text.push_str(&format!("\nmemcpy(out + {at}, place, {});", expected.len()));
        }
        text.push_str(&format!(
            "\nif (scratch[{}] != 0x1234567) {{ out[{at}] ^= 0x80; }}",
            kernel.scratch_bytes.div_ceil(4)
        ));
        self.calls.push_str(&format!(
            "scratch[{}] = 0x1234567;\n{text}\n",
            kernel.scratch_bytes.div_ceil(4)
        ));
        self.expected.extend(expected);
        self.names.push((at, format!("{what} [{}]", kernel.variant)));
    }

    fn text(&self) -> String {
        format!(
            "{}\nstatic int32_t scratch[12000], place_words[12000];\n\
             void run(const uint8_t *in, uint8_t *out)\n{{\n\
             int8_t *place = (int8_t *)place_words;\n(void)place;\n{}}}\n",
            self.unit.text(),
            self.calls
        )
    }

    fn compare(&self, output: &[u8], place: &str) {
        assert_eq!(output.len(), self.expected.len());
        for (index, (at, name)) in self.names.iter().enumerate() {
            let end = self.names.get(index + 1).map_or(self.expected.len(), |n| n.0);
            let wrong = (*at..end).filter(|&i| output[i] != self.expected[i]).count();
            let first = (*at..end).find(|&i| output[i] != self.expected[i]).map(|i| i - at);
            assert_eq!(
                wrong,
                0,
                "{place}, {:?}: {name}: {wrong} of {} bytes differ, first at {first:?}: {} for {}",
                self.isa,
                end - at,
                output[at + first.unwrap_or(0)] as i8,
                self.expected[at + first.unwrap_or(0)] as i8
            );
        }
    }

    /// Runs the portable paths with the host's compiler.
    fn on_host(&self) {
        if Command::new("cc").arg("--version").output().is_err() {
            println!("skipped: install gcc");
            return;
        }
        let dir = tempfile::tempdir().expect("a directory");
        let main = format!(
            "#include <stdint.h>\n#include <stdio.h>\nvoid run(const uint8_t *, uint8_t *);\n\
             static uint8_t in[{}], out[{}];\nint main(void) {{ FILE *f = fopen(\"in.bin\", \"rb\");\n\
             if (!f || fread(in, 1, sizeof in, f) < 1) return 1;\nrun(in, out);\n\
             return fwrite(out, 1, sizeof out, stdout) != sizeof out; }}\n",
            self.input.len() + 8,
            self.expected.len()
        );
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("main.c"), main).expect("writes");
        std::fs::write(at("run.c"), self.text()).expect("writes");
        std::fs::write(at("in.bin"), &self.input).expect("writes");
        let flags = ["-std=c99", "-O1", "-Wall", "-Wextra", "-Werror", "-fsanitize=undefined"];
        let trap = "-fsanitize-undefined-trap-on-error";
        let build = Command::new("cc")
            .args(flags)
            .args([trap, "-fno-sanitize=alignment", "main.c", "run.c", "-o", "run"])
            .current_dir(dir.path())
            .output()
            .expect("cc runs");
        assert!(build.status.success(), "{}", String::from_utf8_lossy(&build.stderr));
        let run = Command::new(at("run")).current_dir(dir.path()).output().expect("runs");
        assert!(run.status.success(), "host program ended with {}", run.status);
        self.compare(&run.stdout, "host");
    }

    fn on_core(&self, core: Core) {
        let missing = missing_packages();
        if !missing.is_empty() {
            println!("skipped: install {}", missing.join(" "));
            return;
        }
        let flags = ["-O2", "-Wall", "-Wextra", "-Werror"].map(String::from).to_vec();
        let build = Build {
            files: vec![("run.c".into(), self.text())],
            entry: Entry {
                includes: "void run(const uint8_t *, uint8_t *);".into(),
                invoke: "run(emu_in, emu_out);".into(),
                ..Entry::default()
            },
            output_bytes: self.expected.len(),
            flags,
            ..Build::new(core)
        };
        let report = paring_emulator::run(&build, std::slice::from_ref(&self.input))
            .unwrap_or_else(|e| panic!("{core}: {e}"));
        self.compare(&report.outputs[0], core.name());
    }

    fn everywhere(&self) {
        self.on_host();
        for core in Core::ALL.into_iter().filter(|c| c.isa() == self.isa) {
            self.on_core(core);
        }
    }

    fn requant(&mut self, channels: usize, depth: usize, wild: bool) -> Requant {
        let r = &mut self.random;
        let per_channel = r.size(0, 2) > 0;
        let count = if per_channel { channels } else { 1 };
        let base = 2.0 / (depth as f64).sqrt() / 100.0 * (0.3 + r.real());
        let zero = if r.size(0, 2) == 0 { -128 } else { r.range(-128, 127) as i32 };
        let multipliers = (0..count)
            .map(|_| {
                let wild = if wild { 40.0 * r.real() } else { 1.0 };
                Multiplier::from_real(base * (0.2 + r.real()) * wild)
            })
            .collect();
        let (low, high) = match r.size(0, 3) {
            0 => (zero, 127),
            1 => (zero, (zero + 50).min(127)),
            _ => (-128, 127),
        };
        Requant { multipliers, zero, low, high }
    }
}

/// Multipliers at, above and far above one half among ordinary ones.
fn large(r: &mut Random, channels: usize) -> Vec<Multiplier> {
    let near = [0.5 - 1e-10, 0.5, 0.5 + 1e-9, 0.73, 1.0 - 1e-9, 1.0, 1.000_001, 1.9, 2.0, 3.7];
    let far = [47.0, 900.5, 16_384.0, 70_000.0, 1e8];
    let one = |r: &mut Random| match r.size(0, 5) {
        0 | 1 => 0.002 + 0.4 * r.real(),
        2 => far[r.size(0, far.len() - 1)],
        3 => 0.5 + 3.0 * r.real(),
        _ => near[r.size(0, near.len() - 1)],
    };
    (0..channels).map(|_| Multiplier::from_real(one(r))).collect()
}

/// Biases of an ordinary size, so that outputs are not all saturated, and some close to what 32 bits hold after
/// doubling.
fn deep(r: &mut Random, channels: usize) -> Vec<i32> {
    let one = |r: &mut Random| match r.size(0, 9) {
        0 => -(1 << 30) + 2_500_000 + r.range(0, 100) as i32,
        1 => (1 << 30) - 2_500_000 - r.range(0, 100) as i32,
        2 => -(1 << 20) + r.range(0, 100) as i32,
        3 => r.range(-300, 300) as i32,
        _ => r.range(-3000, 3000) as i32,
    };
    (0..channels).map(|_| one(r)).collect()
}

/// A layer of few, small weights, so that large multipliers do not saturate all of it.
fn large_case(p: &mut Program, coding: Coding) {
    let r = &mut p.random;
    let fast = r.size(0, 1) == 0;
    let pointwise = r.size(0, 2) > 0;
    let kernel = if pointwise { [1, 1] } else { [r.size(1, 3), r.size(1, 3)] };
    let (in_c, out_c) = (r.size(1, 12), r.size(4, 18));
    let input = [kernel[0] + r.size(0, 4), kernel[1] + r.size(0, 4), in_c];
    let output = [input[0] - kernel[0] + 1, input[1] - kernel[1] + 1, out_c];
    let per_output = kernel[0] * kernel[1] * in_c;
    let mut weights = r.bytes(out_c * per_output, -8, 7);
    fit(r, &mut weights, out_c, coding);
    match coding {
        Coding::Palette | Coding::SparsePalette => weights.iter_mut().for_each(|w| *w /= 16),
        Coding::Codes(_) | Coding::ChannelCodes(_) => weights.iter_mut().for_each(|w| *w /= 4),
        _ => {}
    }
    if matches!(coding, Coding::Nibbles) {
        weights = r.bytes(weights.len(), -8, 7);
    }
    let biases = deep(r, out_c);
    let in_zero = r.range(-128, 127) as i32;
    let zero = if r.size(0, 2) == 0 { -128 } else { r.range(-128, 127) as i32 };
    let multipliers = large(r, out_c);
    let requant = Requant { multipliers, zero, low: -128, high: 127 };
    let layer = Conv2d {
        input,
        output,
        kernel,
        stride: [1, 1],
        dilation: [1, 1],
        pad: [0, 0],
        groups: 1,
        in_zero,
        weights: &weights,
        bias: &biases,
        requant,
        coding,
        fast,
    };
    let narrow: Vec<i8> = p.random.bytes(input.iter().product(), -20, 20);
    let x: Vec<i8> = if p.random.size(0, 1) == 0 {
        p.random.bytes(narrow.len(), -128, 127)
    } else {
        narrow.iter().map(|&v| (i32::from(v) + in_zero).clamp(-128, 127) as i8).collect()
    };
    let expected = common::conv(&layer, &x);
    let what = format!("large {coding:?} {input:?} {output:?} {kernel:?}");
    p.push(&layer, &[raw(&x)], &raw(&expected), what);
}

fn large_dense_case(p: &mut Program, coding: Coding) {
    let r = &mut p.random;
    let (inputs, outputs) = (4 * r.size(1, 12), 8 * r.size(1, 3));
    let mut weights = r.bytes(inputs * outputs, -8, 7);
    fit(r, &mut weights, outputs, coding);
    if coding == Coding::Nibbles {
        weights = r.bytes(weights.len(), -8, 7);
    } else if coding == Coding::Palette {
        weights.iter_mut().for_each(|w| *w /= 16);
    }
    let bias = deep(r, outputs);
    let in_zero = r.range(-128, 127) as i32;
    let zero = if r.size(0, 2) == 0 { -128 } else { r.range(-128, 127) as i32 };
    let count = if r.size(0, 3) == 0 { 1 } else { outputs };
    let requant = Requant { multipliers: large(r, count), zero, low: -128, high: 127 };
    let layer = FullyConnected {
        inputs,
        outputs,
        in_zero,
        weights: &weights,
        bias: &bias,
        requant,
        coding,
    };
    let near = |v: i8| (i32::from(v) / 8 + in_zero).clamp(-128, 127) as i8;
    let x: Vec<i8> = p.random.bytes(inputs, -128, 127).into_iter().map(near).collect();
    let expected = common::dense(&layer, &x);
    p.push(&layer, &[raw(&x)], &raw(&expected), format!("dense {coding:?} {inputs} to {outputs}"));
}

#[test]
fn multipliers_of_a_half_and_more_keep_their_products() {
    for isa in ISAS {
        let mut p = Program::new(isa, 99);
        p.coded = true;
        for case in 0..90 {
            large_case(&mut p, codings()[case % codings().len()]);
        }
        let least = if isa == Isa::Helium { 30 } else { 45 };
        assert!(p.names.len() >= least, "{} layers", p.names.len());
        for case in 0..20 {
            depthwise_case(&mut p, true);
            large_dense_case(&mut p, Coding::ALL[case % 3]);
        }
        let any = p.names.iter().filter(|n| n.1.contains("[any]")).count();
        assert_eq!(any, 0, "{any} of {} layers", p.names.len());
        p.everywhere();
    }
}

const ISAS: [Isa; 4] = [Isa::V6m, Isa::V7m, Isa::Dsp, Isa::Helium];

/// Every coding for layers of any shape.
fn codings() -> Vec<Coding> {
    Coding::ALL.into_iter().filter(|&c| c != Coding::Winograd).collect()
}

/// Makes weights fit a coding: small, of 16 values, or with most blocks zero.
fn fit(r: &mut Random, weights: &mut [i8], outputs: usize, coding: Coding) {
    let per_output = weights.len() / outputs;
    let book: Vec<i8> = r.bytes(15, -127, 127);
    // Different values, 0 among them.
    let many: Vec<i8> = (0..64).map(|i| (i * 37 % 251) as u8 as i8).collect();
    let coded = |w: i8, bits: u8| usize::from(w as u8) % (1 << bits);
    for (at, w) in weights.iter_mut().enumerate() {
        // Blocks of four inputs by four outputs, more or less.
        let block = (at / per_output / 4 * 7919 + at % per_output / 4 * 104_729) % 10;
        match coding {
            Coding::Plain => {}
            Coding::Nibbles => *w >>= 4,
            Coding::Palette => *w = if *w < -100 { 0 } else { book[(*w as u8 % 15) as usize] },
            Coding::Sparse if block > 2 => *w = 0,
            Coding::SparsePalette if block > 2 => *w = 0,
            Coding::SparsePalette => *w = book[(*w as u8 % 15) as usize],
            Coding::Codes(bits) => *w = many[coded(*w, bits)],
            Coding::ChannelCodes(bits) => {
                let channel = (1 + at / per_output) as i32;
                *w = (i32::from(many[coded(*w, bits)]) * (2 * channel - 1)) as i8;
            }
            Coding::Prefix => *w >>= at % 7,
            _ => {}
        }
    }
}

fn conv_case(p: &mut Program, extreme: bool, coding: Coding) {
    let r = &mut p.random;
    let fast = r.size(0, 1) == 0;
    let kernel = match r.size(0, 3) {
        0 => [1, 1],
        1 => [3, 3],
        _ => [r.size(1, 5), r.size(1, 4)],
    };
    let stride = if r.size(0, 1) == 0 { [1, 1] } else { [r.size(1, 3), r.size(1, 3)] };
    let dilation = if r.size(0, 7) == 0 { [2, 1] } else { [1, 1] };
    let pad = [r.size(0, kernel[0] - 1), r.size(0, kernel[1] - 1)];
    let (in_c, out_c) = (r.size(1, 20), r.size(1, 18));
    let reach = [(kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1];
    let input = [reach[0] + r.size(0, 6), reach[1] + r.size(0, 6), in_c];
    let out = |i: usize| (input[i] + 2 * pad[i] - reach[i]) / stride[i] + 1;
    let output = [out(0), out(1), out_c];
    let per_output = kernel[0] * kernel[1] * in_c;
    let low = if extreme { -128 } else { -127 };
    let mut weights = r.bytes(out_c * per_output, low, 127);
    fit(r, &mut weights, out_c, coding);
    let bias: Vec<i32> = (0..out_c).map(|_| r.range(-20_000, 20_000) as i32).collect();
    let in_zero = r.range(-128, 127) as i32;
    let requant = p.requant(out_c, per_output, extreme);
    let layer = Conv2d {
        input,
        output,
        kernel,
        stride,
        dilation,
        pad,
        groups: 1,
        in_zero,
        weights: &weights,
        bias: &bias,
        requant,
        coding,
        fast,
    };
    let x = p.random.bytes(input.iter().product(), -128, 127);
    let expected = common::conv(&layer, &x);
    let what = format!("conv {coding:?} {input:?} {output:?} {kernel:?} s{stride:?} p{pad:?}");
    p.push(&layer, &[raw(&x)], &raw(&expected), what);
}

fn winograd_case(p: &mut Program, extreme: bool) {
    let r = &mut p.random;
    let fast = r.size(0, 1) == 0;
    let (in_c, out_c) = (4 * r.size(1, 12), 4 * r.size(1, 4));
    let pad = [r.size(0, 2), r.size(0, 2)];
    let input = [r.size(3, 13), r.size(3, 13), in_c];
    let output = [input[0] + 2 * pad[0] - 2, input[1] + 2 * pad[1] - 2, out_c];
    let low = if extreme { -128 } else { -127 };
    let weights = r.bytes(out_c * 9 * in_c, low, 127);
    let bias: Vec<i32> = (0..out_c).map(|_| r.range(-20_000, 20_000) as i32).collect();
    let in_zero = r.range(-128, 127) as i32;
    let requant = p.requant(out_c, 9 * in_c, extreme);
    let layer = Conv2d {
        input,
        output,
        kernel: [3, 3],
        stride: [1, 1],
        dilation: [1, 1],
        pad,
        groups: 1,
        in_zero,
        weights: &weights,
        bias: &bias,
        requant,
        coding: Coding::Winograd,
        fast,
    };
    let x = p.random.bytes(input.iter().product(), -128, 127);
    let expected = common::conv(&layer, &x);
    p.push(&layer, &[raw(&x)], &raw(&expected), format!("tiles {input:?} {output:?} p{pad:?}"));
}

#[test]
fn winograd_tiles_equal_the_oracle() {
    let mut p = Program::new(Isa::Dsp, 77);
    p.coded = true;
    for case in 0..40 {
        winograd_case(&mut p, case % 4 == 3);
    }
    assert!(p.names.len() > 25, "{} layers by tiles", p.names.len());
    p.everywhere();
}

fn depthwise_case(p: &mut Program, wide_scales: bool) {
    let r = &mut p.random;
    let fast = r.size(0, 1) == 0;
    let kernel = match r.size(0, 5) {
        0 => [r.size(1, 5), r.size(1, 4)],
        1 => [5, 5],
        2 => [7, 7],
        _ => [3, 3],
    };
    let by_rows = r.size(0, 2) == 0;
    let stride = match r.size(0, 3) {
        0 => [1, 2],
        1 => [2, 2],
        _ => [1, 1],
    };
    let pad = [r.size(0, kernel[0] - 1), r.size(0, kernel[1] - 1)];
    let channels = r.size(1, 9);
    let per_input = if r.size(0, 4) == 0 { 2 } else { 1 };
    // Every fifth plane is large enough to be done in bands.
    let (channels, more) = if r.size(0, 4) == 0 { (2, 45) } else { (channels, 9) };
    let input = [kernel[0] + r.size(0, more), kernel[1] + r.size(0, more), channels];
    let out = |i: usize| (input[i] + 2 * pad[i] - kernel[i]) / stride[i] + 1;
    let out_c = channels * per_input;
    let output = [out(0), out(1), out_c];
    let per_output = kernel[0] * kernel[1];
    let most = if wide_scales { 4 } else { 127 };
    let weights = r.bytes(out_c * per_output, -1 - most, most);
    let bias: Vec<i32> = (0..out_c).map(|_| r.range(-40 * most, 40 * most) as i32).collect();
    let in_zero = r.range(-128, 127) as i32;
    let mut requant = p.requant(out_c, per_output, false);
    if wide_scales {
        requant.multipliers = large(&mut p.random, out_c);
    }
    let layer = DepthwiseConv2d {
        input,
        output,
        kernel,
        stride,
        dilation: [1, 1],
        pad,
        in_zero,
        weights: &weights,
        bias: &bias,
        requant: requant.clone(),
        by_rows,
        fast,
    };
    let as_conv = Conv2d {
        input,
        output,
        kernel,
        stride,
        dilation: [1, 1],
        pad,
        groups: channels,
        in_zero,
        weights: &weights,
        bias: &bias,
        requant,
        coding: Coding::Plain,
        fast,
    };
    let x = p.random.bytes(input.iter().product(), -128, 127);
    let expected = common::conv(&as_conv, &x);
    let what = format!("depthwise {input:?} {output:?} {kernel:?} s{stride:?} p{pad:?}");
    p.push(&layer, &[raw(&x)], &raw(&expected), what);
}

fn dense_case(p: &mut Program, coding: Coding) {
    let r = &mut p.random;
    let (inputs, outputs) =
        (r.size(1, 70), if r.size(0, 1) == 0 { 8 * r.size(1, 4) } else { r.size(1, 20) });
    let outputs = if coding == Coding::Plain { outputs } else { outputs.max(4) };
    let mut weights = r.bytes(inputs * outputs, -127, 127);
    fit(r, &mut weights, outputs, coding);
    let bias: Vec<i32> = (0..outputs).map(|_| r.range(-20_000, 20_000) as i32).collect();
    let in_zero = r.range(-128, 127) as i32;
    let requant = p.requant(outputs, inputs, false);
    let layer = FullyConnected {
        inputs,
        outputs,
        in_zero,
        weights: &weights,
        bias: &bias,
        requant,
        coding,
    };
    let x = p.random.bytes(inputs, -128, 127);
    let expected = common::dense(&layer, &x);
    p.push(&layer, &[raw(&x)], &raw(&expected), format!("dense {coding:?} {inputs} to {outputs}"));
}

#[test]
fn convolutions_equal_the_oracle() {
    for isa in ISAS {
        let mut p = Program::new(isa, 11);
        for case in 0..40 {
            conv_case(&mut p, case % 8 == 7, Coding::Plain);
        }
        p.everywhere();
    }
}

/// A convolution of 16 bits: ordinary, in groups or depthwise; extreme operands leave 32 bits.
fn wide_case(p: &mut Program, extreme: bool) {
    let r = &mut p.random;
    let kernel = if extreme { [1, 1] } else { [r.size(1, 5), r.size(1, 4)] };
    let stride = if r.size(0, 1) == 0 { [1, 1] } else { [r.size(1, 3), r.size(1, 3)] };
    let dilation = if r.size(0, 3) == 0 { [r.size(1, 3), 2] } else { [1, 1] };
    let pad = [r.size(0, kernel[0] - 1), r.size(0, kernel[1] - 1)];
    let groups = [1, 1, r.size(2, 4), r.size(2, 14)][r.size(0, 3)];
    let (each_in, each_out) = if r.size(0, 1) == 0 { (1, 1) } else { (r.size(1, 9), r.size(1, 9)) };
    let (in_c, out_c) = if extreme { (1100, 5) } else { (groups * each_in, groups * each_out) };
    let groups = if extreme { 1 } else { groups };
    let reach = [(kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1];
    let more = if extreme { 0 } else { 6 };
    let input = [reach[0] + r.size(0, more), reach[1] + r.size(0, more), in_c];
    let out = |i: usize| (input[i] + 2 * pad[i] - reach[i]) / stride[i] + 1;
    let output = [out(0), out(1), out_c];
    let per_output = kernel[0] * kernel[1] * in_c / groups;
    let weights = match extreme {
        true => vec![-128; out_c * per_output],
        false => r.bytes(out_c * per_output, -128, 127),
    };
    let bias: Vec<i64> = (0..out_c).map(|_| r.range(-(1 << 33), 1 << 33)).collect();
    let x: Vec<i16> = match extreme {
        true => vec![-32768; in_c],
        false => (0..input.iter().product()).map(|_| r.range(-32768, 32767) as i16).collect(),
    };
    let scale = 20_000.0 / ((1_u64 << 33) as f64 * (0.5 + r.real()));
    let one = |r: &mut Random| Multiplier::from_real(scale * (0.2 + r.real()));
    let multipliers = (0..if r.size(0, 2) == 0 { 1 } else { out_c }).map(|_| one(r)).collect();
    let (zero, low) = (r.range(-9, 9) as i32, if r.size(0, 2) == 0 { 0 } else { -32768 });
    let requant = Requant { multipliers, zero, low, high: 32767 };
    let layer = ConvWide {
        input,
        output,
        kernel,
        stride,
        dilation,
        pad,
        groups,
        weights: &weights,
        bias: &bias,
        requant,
    };
    let bytes = |x: &[i16]| -> Vec<u8> { x.iter().flat_map(|v| v.to_le_bytes()).collect() };
    let expected = common::conv_wide(&layer, &x);
    let what = format!(
        "wide {input:?} {output:?} {kernel:?} s{stride:?} p{pad:?} d{dilation:?} g{groups}"
    );
    p.push(&layer, &[bytes(&x)], &bytes(&expected), what);
}

#[test]
fn convolutions_of_sixteen_bits_equal_the_oracle() {
    for isa in ISAS {
        let mut p = Program::new(isa, 16);
        for case in 0..48 {
            wide_case(&mut p, case % 12 == 11);
        }
        p.everywhere();
    }
}

#[test]
fn coded_weights_equal_the_oracle() {
    for isa in ISAS {
        let mut p = Program::new(isa, 66);
        p.coded = true;
        for case in 0..130 {
            let coding = codings()[1 + case % (codings().len() - 1)];
            if case % 8 < 5 {
                conv_case(&mut p, false, coding);
            } else if !matches!(coding, Coding::Sparse | Coding::SparsePalette) {
                dense_case(&mut p, coding);
            }
        }
        assert!(p.names.len() > 70, "{} layers with coded weights", p.names.len());
        p.everywhere();
    }
}

#[test]
fn depthwise_convolutions_equal_the_oracle() {
    for isa in ISAS {
        let mut p = Program::new(isa, 22);
        for _ in 0..40 {
            depthwise_case(&mut p, false);
        }
        p.everywhere();
    }
}

#[test]
fn dense_layers_equal_the_oracle() {
    for isa in ISAS {
        let mut p = Program::new(isa, 33);
        for _ in 0..40 {
            dense_case(&mut p, Coding::Plain);
        }
        p.everywhere();
    }
}

fn binary_shapes(r: &mut Random) -> (Vec<usize>, [Vec<usize>; 2]) {
    let shape = vec![1, r.size(1, 4), r.size(1, 5), r.size(1, 7)];
    let other = match r.size(0, 4) {
        0 => vec![shape[3]],
        1 => vec![1],
        2 => vec![1, shape[1], 1, shape[3]],
        _ => shape.clone(),
    };
    let pair = if r.size(0, 3) == 0 { [other, shape.clone()] } else { [shape.clone(), other] };
    (shape, pair)
}

#[test]
fn elementwise_layers_equal_the_oracle() {
    for isa in ISAS {
        let mut p = Program::new(isa, 44);
        for case in 0..30 {
            let (shape, operand_shapes) = binary_shapes(&mut p.random);
            let r = &mut p.random;
            let lengths = [0, 1].map(|i: usize| operand_shapes[i].iter().product::<usize>());
            let (a, b) = (r.bytes(lengths[0], -128, 127), r.bytes(lengths[1], -128, 127));
            let zeros = [r.range(-128, 127) as i32, r.range(-128, 127) as i32];
            let mut requant = p.requant(1, 1, false);
            let r = &mut p.random;
            let what = format!("{operand_shapes:?} to {shape:?}");
            if case % 2 == 0 {
                let scales = [0.01 + r.real(), 0.01 + r.real()];
                let twice = 2.0 * scales[0].max(scales[1]);
                let out_scale = 0.4 + r.real();
                requant.multipliers =
                    vec![Multiplier::from_real(twice / (f64::from(1 << 20) * out_scale))];
                let operands = [0, 1].map(|i| AddOperand {
                    zero: zeros[i],
                    multiplier: Multiplier::from_real(scales[i] / twice),
                });
                let subtract = r.size(0, 2) == 0;
                let layer = Add { shape, operand_shapes, operands, subtract, requant };
                let expected = common::add(&layer, &a, &b);
                p.push(&layer, &[raw(&a), raw(&b)], &raw(&expected), format!("add {what}"));
            } else {
                requant.multipliers = vec![Multiplier::from_real(0.001 + 0.02 * r.real())];
                let layer = Mul { shape, operand_shapes, zeros, requant };
                let expected = common::mul(&layer, &a, &b);
                p.push(&layer, &[raw(&a), raw(&b)], &raw(&expected), format!("mul {what}"));
            }
        }
        p.everywhere();
    }
}

#[test]
fn pools_tables_copies_and_conversions_equal_the_oracle() {
    for isa in ISAS {
        let mut p = Program::new(isa, 55);
        for case in 0..24 {
            let r = &mut p.random;
            let kernel = [r.size(1, 4), r.size(1, 4)];
            let stride = if case % 2 == 0 { kernel } else { [r.size(1, 3), r.size(1, 3)] };
            let pad = [r.size(0, kernel[0] - 1), r.size(0, kernel[1] - 1)];
            let input = [kernel[0] + r.size(0, 6), kernel[1] + r.size(0, 6), r.size(1, 9)];
            let out = |i: usize| (input[i] + pad[i] - kernel[i]) / stride[i] + 1;
            let clamp = if case % 3 == 0 { [-20, 100] } else { [-128, 127] };
            let kind = if r.size(0, 1) == 0 { PoolKind::Average } else { PoolKind::Max };
            let output = [out(0), out(1)];
            let layer = Pool2d { kind, input, output, kernel, stride, pad, clamp };
            let x = r.bytes(input.iter().product(), -128, 127);
            let expected = common::pool(&layer, &x);
            p.push(&layer, &[raw(&x)], &raw(&expected), format!("{layer:?}"));
        }
        let x: Vec<i8> = (-128..=127).map(|v| v as i8).collect();
        let values = std::array::from_fn(|i| (i as i32 * 7 % 251 - 120) as i8);
        let table = Table { count: 256, values };
        p.push(&table, &[raw(&x)], &raw(&values), "table".into());

        // A transpose of 2x3x4 to 4x2x3.
        let copy = BoxCopy {
            element: 1,
            size: vec![4, 2, 3],
            from: (vec![1, 12, 4], 0),
            to: (vec![6, 3, 1], 0),
        };
        let x = p.random.bytes(24, -128, 127);
        let expected: Vec<i8> = (0..24)
            .map(|i| {
                let (c, a, b) = (i / 6, i / 3 % 2, i % 3);
                x[a * 12 + b * 4 + c]
            })
            .collect();
        p.push(&copy, &[raw(&x)], &raw(&expected), "transpose".into());

        for factor in [0.3, 1.0, 1.7, 100.0] {
            let m = Multiplier::from_real(factor);
            let requant = Requant { multipliers: vec![m], zero: 5, low: -100, high: 127 };
            let layer = Requantize { count: 256, in_zero: -7, requant };
            let x: Vec<i8> = (-128..=127).map(|v| v as i8).collect();
            let expected: Vec<i8> = x
                .iter()
                .map(|&v| {
                    let scaled = m.apply(i32::from(v) + 7, Rounding::Double);
                    (scaled + 5).clamp(-100, 127) as i8
                })
                .collect();
            p.push(&layer, &[raw(&x)], &raw(&expected), format!("requantize by {factor}"));
        }

        let scale = 0.37_f32;
        let floats: Vec<f32> = (0..200)
            .map(|i| (i as f32 - 100.0) * 0.5 * scale)
            .chain([1e30, -1e30, f32::MAX, 0.499_999_97 * scale])
            .collect();
        let bytes: Vec<u8> = floats.iter().flat_map(|f| f.to_le_bytes()).collect();
        let even = Quantize { count: floats.len(), scale, zero: -9, ties_even: true };
        let expected: Vec<i8> = floats
            .iter()
            .map(|&f| ((f / scale).round_ties_even() - 9.0).clamp(-128.0, 127.0) as i8)
            .collect();
        p.push(
            &even,
            std::slice::from_ref(&bytes),
            &raw(&expected),
            "quantize, ties to even".into(),
        );
        let quantize = Quantize { count: floats.len(), scale, zero: -9, ties_even: false };
        let expected: Vec<i8> = floats
            .iter()
            .map(|&f| ((f / scale).round() - 9.0).clamp(-128.0, 127.0) as i8)
            .collect();
        p.push(&quantize, &[bytes], &raw(&expected), "quantize".into());

        let x: Vec<i8> = (-128..=127).map(|v| v as i8).collect();
        let dequantize = Dequantize { count: 256, scale, zero: 3 };
        let expected: Vec<u8> =
            x.iter().flat_map(|&v| (scale * f32::from(i16::from(v) - 3)).to_le_bytes()).collect();
        p.push(&dequantize, &[raw(&x)], &expected, "dequantize".into());
        p.everywhere();
    }
}
