//! Networks in which layers run row by row: outputs equal those of layer by layer on every core, in less
//! memory.

mod common;

use common::{compile, measure, run, tools};
use paring_emulator::Core;
use paring_ir::Graph;
use std::fmt::Write as _;

/// The text of an image network, line by line.
struct Net {
    text: String,
    size: [usize; 3],
    last: String,
    count: usize,
}

impl Net {
    fn new(size: [usize; 3]) -> Self {
        let [h, w, c] = size;
        let text = format!("graph @net {{\n%x = input : i8[1,{h},{w},{c}] q(0.02, 3)\n");
        Self { text, size, last: "x".into(), count: 0 }
    }

    fn name(&mut self, prefix: &str) -> String {
        self.count += 1;
        format!("{prefix}{}", self.count)
    }

    fn quant(&self) -> &'static str {
        ["q(0.05, -128)", "q(0.1, -5)", "q(0.07, 11)"][self.count % 3]
    }

    fn output(&self, out: [usize; 3]) -> String {
        format!("i8[1,{},{},{}] {}", out[0], out[1], out[2], self.quant())
    }

    /// A convolution; `depth` 0 is depthwise.
    fn conv(&mut self, depth: usize, kernel: usize, stride: usize, activation: &str) -> &mut Self {
        let [h, w, c] = self.size;
        let (name, weights) = (self.name("c"), self.name("w"));
        let (groups, filters, each) = if depth == 0 { (c, c, 1) } else { (1, depth, c) };
        let seed = self.count;
        let out = [h.div_ceil(stride), w.div_ceil(stride), filters];
        let _ = writeln!(
            self.text,
            "%{weights} = const fill(seed={seed}) : i8[{filters},{kernel},{kernel},{each}] q(0.01, 0)\n\
             %{name} = conv2d(%{}, %{weights}) {{ activation = \"{activation}\", groups = {groups}, pad = \"same\", stride = [{stride}, {stride}] }} : {}",
            self.last,
            self.output(out)
        );
        (self.size, self.last) = (out, name);
        self
    }

    /// The last convolution's padding: above, to the left, below and to the right.
    fn pads(&mut self, pads: [usize; 4]) -> &mut Self {
        let at = self.text.rfind("pad = \"same\"").expect("a convolution");
        self.text.replace_range(at..at + "pad = \"same\"".len(), &format!("pad = {pads:?}"));
        self
    }

    fn add(&mut self, other: &str) -> &mut Self {
        let name = self.name("s");
        let out = self.output(self.size);
        let _ = writeln!(
            self.text,
            "%{name} = binary(%{other}, %{}) {{ f = \"add\" }} : {out}",
            self.last
        );
        self.last = name;
        self
    }

    fn pool(&mut self, kind: &str, kernel: usize, stride: usize) -> &mut Self {
        let [h, w, c] = self.size;
        let before = self.quant_of_last();
        let out = [h.div_ceil(stride), w.div_ceil(stride), c];
        let name = self.name("p");
        let _ = writeln!(
            self.text,
            "%{name} = pool(%{}) {{ kernel = [{kernel}, {kernel}], kind = \"{kind}\", pad = \"same\", stride = [{stride}, {stride}] }} : i8[1,{},{},{}] {before}",
            self.last, out[0], out[1], out[2]
        );
        (self.size, self.last) = (out, name);
        self
    }

    fn quant_of_last(&self) -> String {
        let line = self.text.lines().rev().find(|l| l.starts_with(&format!("%{} =", self.last)));
        let line = line.unwrap_or_default();
        line[line.rfind("q(").unwrap_or(0)..].to_owned()
    }

    fn requantize(&mut self) -> &mut Self {
        let name = self.name("u");
        let out = self.output(self.size);
        let _ = writeln!(self.text, "%{name} = quantize(%{}) : {out}", self.last);
        self.last = name;
        self
    }

    fn block(&mut self, wide: usize, depth: usize, kernel: usize, stride: usize) -> &mut Self {
        let (from, before) = (self.last.clone(), self.size);
        self.conv(wide, 1, 1, "relu6").conv(0, kernel, stride, "relu6").conv(depth, 1, 1, "none");
        if self.size == before {
            self.add(&from);
        }
        self
    }

    fn graph(&self) -> Graph {
        let text = format!("{}output %{}\n}}", self.text, self.last);
        paring_ir::text::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"))
    }
}

/// Inverted residuals with windows of 3, 5 and 7 rows, sizes that are no multiples of anything.
fn residuals() -> Graph {
    Net::new([37, 29, 3])
        .conv(12, 3, 2, "relu6")
        .conv(0, 3, 1, "relu6")
        .conv(8, 1, 1, "none")
        .block(24, 8, 7, 1)
        .block(20, 8, 5, 1)
        .block(32, 9, 3, 2)
        .block(27, 9, 3, 1)
        .graph()
}

/// Convolutions of several rows, pools, a change of scale and a function of two operands.
fn mixed() -> Graph {
    let mut net = Net::new([40, 22, 4]);
    net.conv(16, 5, 1, "none").pool("max", 3, 2).requantize();
    let from = net.last.clone();
    net.conv(16, 3, 1, "relu").conv(16, 3, 1, "none").add(&from).pool("average", 2, 2);
    net.conv(8, 3, 2, "none").graph()
}

#[test]
fn rows_give_what_layers_give_on_every_core() {
    if !tools() {
        return;
    }
    for (name, graph) in [("residuals", residuals()), ("mixed", mixed())] {
        for core in Core::ALL {
            let plain = measure(&graph, core, &[]);
            let least = measure(&graph, core, &[("ram", "min")]);
            assert!(plain.outputs == least.outputs, "{name} on {core}: outputs differ");
            assert!(
                3 * least.ram_bytes <= 2 * plain.ram_bytes,
                "{name} on {core}: {} of {} bytes",
                least.ram_bytes,
                plain.ram_bytes
            );
        }
    }
}

/// Nets whose input is most of what fits: 3x3 windows padded below or above, larger ones, and one that
/// begins with depthwise windows; sizes in which patches do not come out even.
fn large_inputs() -> Vec<Graph> {
    let small = |net: &mut Net| net.conv(6, 1, 1, "none").conv(8, 3, 2, "relu").graph();
    let mut below = Net::new([64, 52, 3]);
    below.conv(13, 3, 2, "relu6").conv(0, 3, 1, "relu6");
    let mut above = Net::new([64, 52, 3]);
    above.conv(13, 3, 2, "relu6").pads([1, 1, 0, 0]).conv(0, 3, 1, "relu6");
    let mut large = Net::new([61, 43, 2]);
    large.conv(9, 5, 2, "none").conv(7, 3, 1, "relu").conv(0, 5, 1, "none");
    let mut first = Net::new([50, 46, 4]);
    first.conv(0, 3, 2, "relu").conv(12, 3, 1, "none").conv(0, 7, 1, "relu6");
    vec![small(&mut below), small(&mut above), small(&mut large), small(&mut first)]
}

fn source(graph: &Graph, core: Core, settings: &[(&str, &str)]) -> String {
    let package = compile(graph, core, settings);
    let file = package.files.iter().find(|(n, _)| n == "model.c").expect("a source");
    String::from_utf8(file.1.clone()).expect("text")
}

#[test]
fn patches_give_what_layers_give_on_every_core() {
    if !tools() {
        return;
    }
    let (mut upward, mut downward) = (0, 0);
    for (at, graph) in large_inputs().iter().enumerate() {
        let input = graph.ty(graph.inputs()[0].value).byte_len().expect("bytes") as u64;
        for core in Core::ALL {
            let plain = measure(graph, core, &[]);
            let least = measure(graph, core, &[("ram", "min")]);
            assert!(plain.outputs == least.outputs, "{at} on {core}: outputs differ");
            let text = source(graph, core, &[("ram", "min")]);
            let direction = |d: i32| text.contains(&format!("_kinds, {d}, &p)"));
            (upward, downward) =
                (upward + usize::from(direction(1)), downward + usize::from(direction(0)));
            if core == Core::M4 {
                let beyond = least.ram_bytes.saturating_sub(input);
                assert!(direction(0) || direction(1), "{at}: no patches");
                assert!(5 * beyond <= input, "{at}: {} for {input}", least.ram_bytes);
            }
        }
    }
    assert!(upward > 0 && downward > 0, "{upward} upward, {downward} downward");
}

#[test]
fn patches_are_as_large_as_a_budget_allows() {
    if !tools() {
        return;
    }
    for graph in large_inputs() {
        let plain = measure(&graph, Core::M4, &[]);
        let least = compile(&graph, Core::M4, &[("ram", "min")]).sizes.ram_bytes;
        let mut before = u64::MAX / 2;
        for more in [0, 300, 1200, 3000] {
            let report = measure(&graph, Core::M4, &[("ram", &(least + more).to_string())]);
            assert!(report.outputs == plain.outputs);
            assert!(report.ram_bytes <= (least + more) as u64);
            assert!(report.instructions <= before + before / 100, "more memory, more work: {more}");
            before = report.instructions;
        }
    }
}

#[test]
fn a_budget_is_met_with_no_more_effort_than_it_takes() {
    if !tools() {
        return;
    }
    let graph = residuals();
    let plain = compile(&graph, Core::M4, &[]).sizes.ram_bytes;
    let least = compile(&graph, Core::M4, &[("ram", "min")]).sizes.ram_bytes;
    assert!(least < plain);
    let mut before = 0;
    for part in [4, 3, 2, 1, 0] {
        let budget = least + (plain - least) * part / 4;
        let report = measure(&graph, Core::M4, &[("ram", &budget.to_string())]);
        assert!(report.ram_bytes <= budget as u64, "{} of {budget}", report.ram_bytes);
        assert!(report.instructions * 100 >= before * 99, "less memory, less work: {part}");
        before = report.instructions;
    }
}

#[test]
fn the_plan_and_the_code_say_what_runs_by_rows() {
    let graph = residuals();
    let package = compile(&graph, Core::M4, &[("ram", "min")]);
    let text = |name: &str| {
        let file = package.files.iter().find(|(n, _)| n.ends_with(name)).expect("a file");
        String::from_utf8(file.1.clone()).expect("text")
    };
    let picture = text("_memory.txt");
    assert!(picture.contains(" rows of "), "{picture}");
    assert!(text("model.c").contains("pr_rows_want("));
    let plain = compile(&graph, Core::M4, &[]);
    assert!(plain.files.iter().all(|(_, b)| !String::from_utf8_lossy(b).contains("pr_rows")));
}

#[test]
fn runs_on_the_same_arena_repeat() {
    if !tools() {
        return;
    }
    let graph = mixed();
    let package = compile(&graph, Core::M4, &[("ram", "min")]);
    let sample: Vec<u8> = (0..40 * 22 * 4).map(|i| (i * 7 % 251) as u8).collect();
    let report = run(&package, Core::M4, 5 * 3 * 8, &[sample.clone(), sample]);
    assert_eq!(report.outputs[0], report.outputs[1]);
}

/// Nets of two to four layers on a large input, and a layer that makes little of them: kernels, strides, padding and
/// sizes by chance.
fn random_net(seed: u64) -> Graph {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut random = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % n
    };
    let mut net = Net::new([20 + random(40), 20 + random(40), 1 + random(4)]);
    for at in 0..2 + random(3) {
        let (kernel, stride) = ([1, 3, 5, 7][random(if at == 0 { 3 } else { 4 })], 1 + random(2));
        let kernel = if at == 0 { kernel.max(3) } else { kernel };
        let depth = if net.size[2] > 1 && random(2) == 0 { 0 } else { 1 + random(14) };
        let stride = if at == 0 { 2 } else { stride.min(kernel) };
        net.conv(depth, kernel, stride, ["none", "relu", "relu6"][random(3)]);
    }
    net.conv(2, 1, 1, "none");
    net.graph()
}

#[test]
fn patches_of_random_nets() {
    if !tools() {
        return;
    }
    let number = |name: &str, default: u64| {
        std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
    };
    let first = number("PARING_FUZZ_SEED", 1);
    let mut patched = 0;
    for seed in first..first + number("PARING_FUZZ_NETWORKS", 12) {
        let graph = random_net(seed);
        let core = [Core::M4, Core::M3, Core::M33, Core::M0][seed as usize % 4];
        let plain = measure(&graph, core, &[]);
        let least = measure(&graph, core, &[("ram", "min")]);
        let cut = source(&graph, core, &[("ram", "min")]).contains("pr_patch_next(");
        patched += usize::from(cut);
        assert!(plain.outputs == least.outputs, "seed {seed} on {core}: outputs differ");
        assert!(least.ram_bytes <= plain.ram_bytes, "seed {seed} on {core}");
    }
    assert!(patched > 2, "{patched} with patches");
}
