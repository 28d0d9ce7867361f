//! The page.

use crate::{ENGINES, Peak, Row, Times, quantile};
use std::fmt::Write;

fn median(times: &[f64]) -> f64 {
    quantile(times, 0.5)
}

/// Ours over the faster of the others.
fn ratio(row: &Row, of: impl Fn(&Times) -> f64) -> Option<f64> {
    let [ours, others @ ..] = &row.times;
    let best = others.iter().flatten().map(&of).fold(f64::INFINITY, f64::min);
    best.is_finite().then(|| ours.as_ref().map(|t| of(t) / best)).flatten()
}

fn cell(times: Option<&Times>, of: impl Fn(&Times) -> f64) -> String {
    times.map_or("-".to_owned(), |t| format!("{:.3}", of(t)))
}

fn share(ratio: Option<f64>) -> String {
    ratio.map_or("-".to_owned(), |r| format!("{r:.2}"))
}

/// One line for the terminal.
pub fn line(row: &Row) -> String {
    let mut line = format!("{:26} {} thread(s):", row.model, row.threads);
    for (name, times) in ENGINES.iter().zip(&row.times) {
        let of = |t: &Times| format!("{:.3} / {:.3}", median(&t.wall), quantile(&t.wall, 0.0));
        let _ = write!(line, "  {name} {}", times.as_ref().map_or("-".to_owned(), of));
    }
    let by = |of: fn(&Times) -> f64| share(ratio(row, of));
    let _ = write!(line, "  ratio {}", by(|t| median(&t.wall)));
    let _ = write!(line, " least {}", by(|t| quantile(&t.wall, 0.0)));
    if row.threads == 1 {
        let _ = write!(line, " thread {}", by(|t| median(&t.cpu)));
    }
    line
}

fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|l| l.strip_prefix("model name")?.split_once(": "));
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    format!(
        "{}, {cores} logical processors; load average at the end of the run {}",
        model.map_or("an unknown processor", |m| m.1),
        load.split(' ').next().unwrap_or("unknown")
    )
}

/// The whole page.
pub fn page(rows: &[Row], peaks: &[Peak], versions: &[(String, String)], rounds: usize) -> String {
    let mut page = String::from(
        "# x86 against LiteRT and ONNX Runtime\n\n\
         Written by `cargo xtask bench-x86`; do not edit. All engines ran in this one run, in turns.\n\n",
    );
    let names: Vec<String> = versions.iter().map(|(n, v)| format!("{n} {v}")).collect();
    let peers =
        if names.is_empty() { "none could be installed".to_owned() } else { names.join(", ") };
    let _ = writeln!(page, "- Machine: {}.\n- Other runtimes, from PyPI: {peers}.", machine());
    let _ = writeln!(
        page,
        "- Method: {rounds} rounds; in each, every engine has a turn of some runs after two that do not count, \
         and the order changes from round to round. Batch 1. The MobileNets (width 1.0, 224x224) have \
         random weights and are made by the project; what a runtime reads is written by the project's \
         TFLite and ONNX writers, except that each gets a file of its own format as it came.\n\
         - `ratio` is ours over the faster of the other two: under 1 is faster than both. `median` and \
         `least` are by the clock; `thread` is by the processor time of the one thread, which leaves out \
         the time in which other programs had the processor, and is what to compare on a machine that is \
         not quiet.\n\
         - Limits: caches, clock and memory are shared with whatever else runs; two threads on two \
         processors suffer most from it. LiteRT's default delegate (XNNPACK) is on; neither runtime was \
         tuned otherwise.\n\
         - `floor` is the time that the multiply-accumulates of a model take at the rate that this engine \
         reaches on a dense layer of 256 by 256 whose operands stay in the cache (`dense_256`, the first \
         rows). It leaves out the traffic of the memory and everything that is no product."
    );
    let rate = |int8: bool| {
        let name = if int8 { "dense_256_int8" } else { "dense_256_f32" };
        let row = rows.iter().find(|r| r.model == name)?;
        let least = quantile(&row.times[0].as_ref()?.wall, 0.0);
        Some(row.macs as f64 / least)
    };
    let floor = |row: &Row| {
        let int8 = row.model.contains("int8");
        rate(int8).map_or(f64::NAN, |rate| row.macs as f64 / rate / row.threads as f64)
    };
    for threads in [1, 2] {
        let rows: Vec<&Row> = rows.iter().filter(|r| r.threads == threads).collect();
        if rows.is_empty() {
            continue;
        }
        let _ = write!(
            page,
            "\n## {threads} thread{}\n\nMilliseconds: median (least).\n\n\
             | model | M MACs | floor | paring | LiteRT | ONNX Runtime | ratio of medians | of least |{}\n|{}\n",
            if threads == 1 { "" } else { "s" },
            if threads == 1 { " of thread time |" } else { "" },
            "---|".repeat(if threads == 1 { 9 } else { 8 })
        );
        for row in rows {
            let times: Vec<String> = row
                .times
                .iter()
                .map(|t| {
                    let t = t.as_ref();
                    let median = cell(t, |t| median(&t.wall));
                    format!("{median} ({})", cell(t, |t| quantile(&t.wall, 0.0)))
                })
                .collect();
            let _ = write!(
                page,
                "| {} | {:.1} | {:.3} | {} | {} | {} | {} | {} |",
                row.model,
                row.macs as f64 / 1e6,
                floor(row),
                times[0],
                times[1],
                times[2],
                share(ratio(row, |t| median(&t.wall))),
                share(ratio(row, |t| quantile(&t.wall, 0.0)))
            );
            if threads == 1 {
                let _ = write!(page, " {} |", share(ratio(row, |t| median(&t.cpu))));
            }
            page.push('\n');
        }
    }
    let speedups: Vec<String> = rows
        .iter()
        .filter(|r| r.threads == 1)
        .filter_map(|one| {
            let two = rows.iter().find(|r| r.threads == 2 && r.model == one.model)?;
            let by = |row: &Row| row.times[0].as_ref().map(|t| quantile(&t.wall, 0.0));
            Some(format!("| {} | {:.2} |", one.model, by(one)? / by(two)?))
        })
        .collect();
    if !speedups.is_empty() {
        let _ = write!(
            page,
            "\n## Two threads against one\n\nThe least time of one thread over that of two.\n\n\
             | model | times faster |\n|---|---|\n{}\n",
            speedups.join("\n")
        );
    }
    if !peaks.is_empty() {
        page.push_str(
            "\n## Memory\n\nKilobytes of 1000 bytes. `peak` is the most that a process had which loads the \
             mapped package and runs it three times on one thread, all pages of the program, of the \
             libraries and of the mapped weights among them. `bound` is the weights, 1.3 times the \
             activations (the most bytes of values that are there at once when the layers run one after \
             another) and 2 MB. The other runtimes are measured by how much the peak of a Python process \
             grows from before it loads the model.\n\n\
             | model | weights | activations | package | arena | peak | bound | load ms | LiteRT grows | \
             ONNX Runtime grows |\n|---|---|---|---|---|---|---|---|---|---|\n",
        );
        let kilo = |n: usize| n.div_ceil(1000).to_string();
        for Peak { model, ours, others } in peaks {
            let [litert, onnx] = others.map(|n| n.map_or("-".to_owned(), kilo));
            let all = [ours.weights, ours.activations, ours.package, ours.arena, ours.peak];
            let all: Vec<String> = all.map(kilo).into();
            let _ = writeln!(
                page,
                "| {model} | {} | {} | {:.2} | {litert} | {onnx} |",
                all.join(" | "),
                kilo(ours.bound()),
                ours.load_us as f64 / 1e3
            );
        }
    }
    page
}
