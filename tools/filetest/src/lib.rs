//! Golden tests: one text file holds a command, an input graph and what is expected of it.
//!
//! ```text
//! ; test pass fold-bn { max_growth = 4.0 }
//! ; expect diff
//!
//! graph @conv_bn {
//!   ...
//! }
//!
//! ; -  %y = ...
//! ; +  %y = ...
//! ```
//!
//! Comment lines before the graph are the header, comment lines after it the expectation, which
//! `BLESS=1` rewrites. Commands:
//!
//! - `roundtrip`: nothing but what every file gets;
//! - `verify`: the faults, each with its line;
//! - `pass NAME { settings }`: the graph after the pass; with `expect diff` as a diff;
//! - `pipeline NAME, NAME { settings }, ...`: the graph after several passes, whose facts are taken
//!   as given;
//! - `run`: the outputs on seeded inputs.
//!
//! Every file also gets, for free: the text parses, prints and parses to the same; a graph that a pass
//! returns verifies; and a pass keeps what it promises on seeded inputs: an exact one every bit, a
//! rounding one a part in ten thousand of the largest output, a lossy one finite numbers and the bound
//! of a `; bound N` header line (the largest allowed difference).
#![forbid(unsafe_code)]

pub mod run;

use anyhow::{Context, Result, bail, ensure};
use paring_ir::{Graph, text};
use paring_pass::{Effect, Pipeline, RunOptions};
use std::path::{Path, PathBuf};

/// All `.par` files below a directory, sorted.
///
/// # Errors
/// If a directory cannot be read.
pub fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut stack = vec![dir.to_owned()];
    while let Some(dir) = stack.pop() {
        for entry in std::fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
            let path = entry?.path();
            if path.is_dir() {
                stack.push(path);
            } else if path.extension().is_some_and(|e| e == "par") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

struct File<'t> {
    header: Vec<&'t str>,
    graph: &'t str,
    expected: String,
}

/// Splits a file at its graph: comment lines before, the graph, comment lines after.
fn split(contents: &str) -> Result<File<'_>> {
    let start = contents.find("graph @").context("there is no graph")?;
    // Named quantizations stand before the graph.
    let start = contents[..start].find("\n#").map_or(start, |at| at + 1);
    let end = contents[start..].find("\n}").context("the graph has no closing brace")? + start + 3;
    let comment = |line: &'_ str| -> Option<String> {
        let text = line.strip_prefix(';')?;
        Some(text.strip_prefix(' ').unwrap_or(text).to_owned())
    };
    let header = contents[..start].lines().filter_map(|l| l.strip_prefix(';')).map(str::trim);
    let expected: Vec<String> =
        contents[end.min(contents.len())..].lines().filter_map(comment).collect();
    Ok(File {
        header: header.collect(),
        graph: &contents[start..end.min(contents.len())],
        expected: expected.join("\n"),
    })
}

impl File<'_> {
    fn setting(&self, key: &str) -> Option<&str> {
        self.header.iter().find_map(|l| l.strip_prefix(key)).map(str::trim)
    }
}

/// Checks a file, or rewrites its expectation when `bless` is set.
///
/// # Errors
/// What differs from the expectation or breaks a promise.
pub fn check(path: &Path, bless: bool) -> Result<()> {
    let contents = std::fs::read_to_string(path)?;
    let file = split(&contents)?;
    let command = file.setting("test ").context("the header has no line `; test COMMAND`")?;
    let parsed = text::parse_with(file.graph, &text::no_blobs)?;
    round_trip(&parsed)?;
    let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
    let actual = match name {
        "roundtrip" => {
            parsed.graph.verified()?;
            String::new()
        }
        "verify" => faults(&parsed),
        "run" => run::outputs(&parsed.graph)?,
        "pass" | "pipeline" => {
            parsed.graph.verified()?;
            passes(&file, rest, &parsed)?
        }
        other => bail!("unknown command `{other}`; known: roundtrip, verify, run, pass, pipeline"),
    };
    let (actual, expected) = (actual.trim_end(), file.expected.trim_end());
    if actual == expected {
        return Ok(());
    }
    if bless {
        let end = contents.find(file.graph).unwrap_or(0) + file.graph.len();
        let mut out = contents[..end].trim_end().to_owned() + "\n";
        if !actual.is_empty() {
            out.push('\n');
        }
        for line in actual.lines() {
            out += format!("; {line}").trim_end();
            out.push('\n');
        }
        std::fs::write(path, out)?;
        return Ok(());
    }
    let diff = similar::TextDiff::from_lines(expected, actual);
    bail!("differs from the expectation (BLESS=1 rewrites it):\n{}", diff.unified_diff())
}

fn round_trip(parsed: &text::Parsed) -> Result<()> {
    let once = text::print_with_fills(&parsed.graph, text::Large::Inline, &parsed.fills).text;
    let again = text::parse_with(&once, &text::no_blobs).context("printed text does not parse")?;
    let twice = text::print_with_fills(&again.graph, text::Large::Inline, &again.fills).text;
    ensure!(once == twice, "the printed text changes when it is parsed and printed again");
    Ok(())
}

/// Every fault with the line (from the graph's first) of what it is about.
fn faults(parsed: &text::Parsed) -> String {
    match parsed.graph.verified() {
        Ok(_) => "no faults".to_owned(),
        Err(errors) => {
            let line = |place: &str| {
                parsed.lines.get(place).map_or(String::new(), |line| format!("line {line}: "))
            };
            let lines = errors.faults.iter().map(|f| format!("{}{f}", line(&f.place)));
            lines.collect::<Vec<_>>().join("\n")
        }
    }
}

fn passes(file: &File<'_>, list: &str, parsed: &text::Parsed) -> Result<String> {
    let mut done: Option<Graph> = None;
    let mut effect = Effect::Exact;
    let mut notes = Vec::new();
    for step in steps(list) {
        let (name, settings) = match step.find('{') {
            Some(at) => (step[..at].trim(), Some(step[at..].trim())),
            None => (step.trim(), None),
        };
        let pipeline = Pipeline::single(name, settings.unwrap_or("{}"))?;
        effect = effect.max(pipeline.steps[0].info.effect);
        let graph = done.as_ref().unwrap_or(&parsed.graph);
        match pipeline.run(graph, &run::SeededHost, &mut RunOptions::default()) {
            Ok(next) => {
                for step in next.report.steps {
                    notes.extend(
                        step.declined.iter().map(|d| format!("left {}: {}", d.node, d.why)),
                    );
                }
                done = Some(next.graph);
            }
            Err(e) => return Ok(format!("error: {e}")),
        }
    }
    let after = done.context("the command names no pass")?;
    let bound = match file.setting("bound ") {
        Some(text) => Some(text.parse().context("`; bound` takes a number")?),
        None => None,
    };
    run::compare(&parsed.graph, &after, effect, bound)?;
    let print = |g: &Graph| text::print_with_fills(g, text::Large::Summary, &parsed.fills).text;
    let mut out = print(&after);
    if file.setting("expect ") == Some("diff") {
        let before = print(&parsed.graph);
        let diff = similar::TextDiff::from_lines(&before, &out);
        out = diff
            .iter_all_changes()
            .filter(|c| c.tag() != similar::ChangeTag::Equal)
            .map(|c| format!("{}{c}", c.tag()))
            .collect();
        if out.is_empty() {
            "no change".clone_into(&mut out);
        }
    }
    for note in notes {
        out = out.trim_end().to_owned() + "\n" + &note;
    }
    Ok(out)
}

/// The steps of a list: commas outside of braces separate them.
fn steps(list: &str) -> Vec<&str> {
    let mut depth = 0_i32;
    let parts = list.split(|c| {
        match c {
            '{' | '[' => depth += 1,
            '}' | ']' => depth -= 1,
            _ => {}
        }
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|s| !s.is_empty()).collect()
}
