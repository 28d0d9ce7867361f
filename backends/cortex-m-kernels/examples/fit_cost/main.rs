//! Makes the table of costs: runs layers of many shapes on every emulated core and solves for what
//! a round of each loop takes.
//!
//! `cargo run --release -p paring-cortex-m-kernels --example fit_cost [CORE ...] [FUNCTION ...]` rewrites
//! `src/cost/table.txt`, all of it or the part of the named cores and functions (`m4 pr_add`).

mod layers;
mod solve;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use paring_cortex_m_kernels::cost::{Calls, Loops, Use, family};
use paring_cortex_m_kernels::{Isa, Layer, Unit};
use paring_emulator::{Build, Core, Entry};

/// Layers of a function that are timed in a file of their own.
const ALONE: usize = 32;
/// Programs in a C file: few enough that they do not weigh on each other's inlining.
const TOGETHER: usize = 16;

/// A program of some layers, as if it were a network's.
struct Program {
    text: String,
    run: String,
    /// For each timed layer its loops, each function with the mark of its use.
    loops: Vec<Vec<Loops>>,
}

impl Program {
    /// `timed` layers, and others that are there but do not run.
    fn new(core: Core, index: usize, timed: &[&dyn Layer], others: &[&dyn Layer]) -> Self {
        let mut unit = Unit::new(core.isa());
        let mut kernels = Vec::new();
        for (i, layer) in timed.iter().chain(others).enumerate() {
            let name = format!("layer{index}_{i}");
            let kernel = unit.add(*layer, &name).unwrap_or_else(|e| panic!("{core} {name}: {e}"));
            assert!(kernel.scratch_bytes <= layers::ROOM);
            kernels.push(kernel);
        }
        let calls = Calls::of(kernels.iter().flat_map(|k| &k.loops));
        let marked = |l: &Loops| {
            let function = format!("{}{}", l.function, calls.usage(&l.function, core.isa()).mark());
            Loops { function, ..calls.settled(l, core.isa()) }
        };
        let loops = kernels
            .iter()
            .take(timed.len())
            .map(|k| k.loops.iter().map(marked).collect())
            .collect();
        let call = |i: usize| kernels[i].call(&["first", "second"], &["out"], "(void *)scratch");
        let run = format!("run{index}");
        let buffers = "    int8_t *first = (int8_t *)first_words, *second = (int8_t *)second_words, *out = (int8_t *)out_words;\n    (void)first, (void)second;\n";
        let mut body = format!("void {run}(void)\n{{\n{buffers}");
        for i in 0..timed.len() {
            let _ = writeln!(body, "    emu_mark(0, 0);\n    {}", call(i));
        }
        let _ = writeln!(body, "}}\nvoid {run}_others(void)\n{{\n{buffers}");
        for i in timed.len()..kernels.len() {
            let _ = writeln!(body, "    {}", call(i));
        }
        body.push_str("}\n");
        // Every program of a file has functions of its own.
        let text = format!("{}\n{body}", unit.text());
        let text = text.replace("pr_", &format!("p{index}_pr_"));
        Self { text: text.replace("PR_", &format!("P{index}_PR_")), run, loops }
    }
}

/// Whether several calls of a function are used as one is.
fn is_inline(function: &str) -> bool {
    let loops = Loops { function: function.to_owned(), rounds: Vec::new() };
    Calls::of([&loops, &loops]).usage(function, Isa::Helium).once
}

type Members<'a> = BTreeMap<&'a str, Vec<&'a dyn Layer>>;

/// The programs that time the functions of a family. Layers with multipliers of a half and more change the form of
/// all products beside them: they are in programs of their own.
fn programs(core: Core, members: &BTreeMap<String, Vec<Box<dyn Layer>>>) -> Vec<Program> {
    let left = |layer: &dyn Layer| {
        let kernel = Unit::new(core.isa()).add(layer, "layer");
        kernel
            .iter()
            .flat_map(|k| &k.loops)
            .flat_map(|l| &l.rounds)
            .any(|r| r.0 == "left" && r.1 > 0)
    };
    let mut all = Vec::new();
    for with_left in [false, true] {
        let mut some = Members::new();
        for (function, layers) in members {
            let chosen: Vec<&dyn Layer> =
                layers.iter().map(|l| &**l).filter(|&l| left(l) == with_left).collect();
            if !chosen.is_empty() {
                some.insert(function, chosen);
            }
        }
        programs_of(core, &some, &mut all);
    }
    all
}

fn programs_of(core: Core, members: &Members<'_>, all: &mut Vec<Program>) {
    // Products that are the same in every use need no program for each.
    let alike =
        members.keys().all(|f| family(f) == "product") && matches!(core.isa(), Isa::V6m | Isa::V7m);
    for (function, layers) in members.iter().filter(|_| !alike) {
        // Beside most others there are no products that skip blocks.
        let mut others = members.iter().filter(|m| m.0 != function && !m.0.ends_with("_sparse"));
        let other = others.next().and_then(|m| m.1.first());
        for layer in layers.iter().take(ALONE) {
            all.push(Program::new(core, all.len(), &[*layer], &[]));
            if let Some(other) = other {
                all.push(Program::new(core, all.len(), &[*layer], &[*other]));
            }
        }
        // What is put into its callers is the same in all of them, but for registers that others take.
        if !is_inline(function) {
            all.push(Program::new(core, all.len(), layers, &[]));
        }
    }
    if members.len() > 1 {
        let every: Vec<&dyn Layer> = members.values().flatten().copied().collect();
        all.push(Program::new(core, all.len(), &every, &[]));
        // Programs whose products have one kind of zero point get a form for it alone.
        let relu = |layer: &&dyn Layer| {
            let kernel = Unit::new(core.isa()).add(*layer, "layer");
            let rounds = kernel.iter().flat_map(|k| &k.loops).flat_map(|l| &l.rounds);
            rounds.into_iter().all(|r| r.0 != "group")
        };
        let some: Vec<&dyn Layer> = every.into_iter().filter(relu).collect();
        all.push(Program::new(core, all.len(), &some, &[]));
    }
}

/// Runs programs; what each timed layer took.
fn measure(core: Core, programs: &[Program]) -> Vec<paring_emulator::Part> {
    let declared = "#include <stdint.h>\nvoid emu_mark(void *, int);\n\
                    extern int32_t first_words[], second_words[], out_words[], scratch[];\n";
    let mut files = Vec::new();
    for (index, some) in programs.chunks(TOGETHER).enumerate() {
        let text: String = some.iter().map(|p| p.text.as_str()).collect();
        files.push((format!("some{index}.c"), format!("{declared}{text}")));
    }
    let room = layers::ROOM;
    let mut main = format!(
        "{declared}int32_t first_words[{room} / 4], second_words[{room} / 4], out_words[{room} / 4], scratch[{room} / 4];\n\
         void prepare(void)\n{{\n    uint32_t s = 1;\n    for (int32_t i = 0; i < {room}; i++) {{\n        s = s * 1664525u + 1013904223u;\n\
         ((int8_t *)first_words)[i] = (int8_t)(s >> 24);\n        ((int8_t *)second_words)[i] = (int8_t)(s >> 16);\n    }}\n}}\n"
    );
    for program in programs {
        let _ = writeln!(main, "void {}(void);", program.run);
    }
    main.push_str("void run(void)\n{\n");
    for program in programs {
        let _ = writeln!(main, "    {}();", program.run);
    }
    main.push_str("    emu_mark(0, 0);\n}\n");
    files.push(("run.c".into(), main));
    let build = Build {
        files,
        entry: Entry {
            includes: "void run(void);\nvoid prepare(void);".into(),
            prepare: "prepare();".into(),
            invoke: "run();".into(),
            ..Entry::default()
        },
        output_bytes: 1,
        // Equal functions of two programs stay two.
        flags: vec![core.isa().optimization().into(), "-fno-ipa-icf".into()],
        ..Build::new(core)
    };
    paring_emulator::run(&build, &[vec![0]]).unwrap_or_else(|e| panic!("{core}: {e}")).parts
}

/// The lines of the table for the functions of a family.
fn fit(core: Core, members: &BTreeMap<String, Vec<Box<dyn Layer>>>, text: &mut String) {
    let programs = programs(core, members);
    let parts = measure(core, &programs);
    let timed: Vec<&Vec<Loops>> = programs.iter().flat_map(|p| &p.loops).collect();
    assert_eq!(parts.len(), timed.len(), "{core}");
    let mut names: BTreeMap<String, usize> = BTreeMap::new();
    for loops in timed.iter().copied().flatten() {
        for (name, _) in loops.rounds.iter().filter(|r| r.1 > 0) {
            let next = names.len();
            names.entry(format!("{}.{name}", loops.function)).or_insert(next);
        }
    }
    let row = |all: &&Vec<Loops>| -> Vec<(usize, f64)> {
        let mut row: BTreeMap<usize, f64> = BTreeMap::new();
        for loops in all.iter() {
            for &(name, rounds) in loops.rounds.iter().filter(|r| r.1 > 0) {
                *row.entry(names[&format!("{}.{name}", loops.function)]).or_default() +=
                    rounds as f64;
            }
        }
        row.into_iter().collect()
    };
    let rows: Vec<_> = timed.iter().map(row).collect();
    let counted: Vec<f64> = parts.iter().map(|p| p.instructions as f64).collect();
    let lasted: Vec<f64> = parts.iter().map(|p| p.cycles as f64).collect();
    let instructions = solve::solve(&rows, &counted, names.len());
    let cycles = solve::solve(&rows, &lasted, names.len());
    let mut worst: BTreeMap<&str, (f64, f64, usize, &[Loops])> = BTreeMap::new();
    for ((row, y), loops) in rows.iter().zip(&counted).zip(&timed) {
        let got: f64 = row.iter().map(|&(i, a)| a * instructions[i]).sum();
        let error = (got / y.max(1.0) - 1.0).abs();
        let entry = worst.entry(loops.first().map_or("", |l| l.function.as_str())).or_default();
        let far = if error > entry.0 { loops } else { entry.3 };
        *entry = (entry.0.max(error), entry.1 + error, entry.2 + 1, far);
    }
    for (function, (most, sum, n, far)) in worst {
        println!(
            "{core} {function}: {n} layers, error {:.2} % at most, {:.2} % on average",
            100.0 * most,
            100.0 * sum / n as f64
        );
        if most > 0.05 {
            println!("    the worst: {far:?}");
        }
    }
    for (name, index) in names {
        let _ = writeln!(text, "{core} {name} {:.3} {:.3}", instructions[index], cycles[index]);
    }
}

fn main() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/cost/table.txt");
    let (only, cores): (BTreeSet<String>, BTreeSet<String>) = std::env::args()
        .skip(1)
        .partition(|name| name.starts_with("pr_") || name.starts_with("mem"));
    let only: BTreeSet<&str> = only.iter().map(|f| family(f)).collect();
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    let mut lines: Vec<String> = Vec::new();
    for core in Core::ALL {
        let wanted = cores.is_empty() || cores.contains(core.name());
        let kept = |line: &&str| {
            let mut fields = line.split_whitespace();
            let ours = fields.next() == Some(core.name());
            let function = fields.next().unwrap_or("").split(['.', '@']).next().unwrap_or("");
            let redone = wanted && (only.is_empty() || only.contains(family(function)));
            ours && !redone
        };
        lines.extend(old.lines().filter(kept).map(str::to_owned));
        if !wanted {
            continue;
        }
        let mut families: BTreeMap<String, BTreeMap<String, Vec<Box<dyn Layer>>>> = BTreeMap::new();
        for layer in layers::layers(core.isa()) {
            let Ok(kernel) = Unit::new(core.isa()).add(&*layer, "layer") else { continue };
            let Some(loops) = kernel.loops.first().filter(|l| !l.rounds.is_empty()) else {
                continue;
            };
            let name = family(&loops.function).to_owned();
            if only.is_empty() || only.contains(name.as_str()) {
                let members = families.entry(name).or_default();
                members.entry(loops.function.clone()).or_default().push(layer);
            }
        }
        for members in families.values() {
            let mut text = String::new();
            fit(core, members, &mut text);
            lines.extend(text.lines().map(str::to_owned));
        }
    }
    lines.sort();
    let uses = Use::ALL.map(Use::mark).join(" ");
    let mut text =
        format!("# core function[use].loop instructions cycles; uses: {}\n", uses.trim());
    lines.iter().for_each(|line| text.push_str(&format!("{line}\n")));
    std::fs::write(&path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}
