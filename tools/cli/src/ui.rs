use crate::error::{all_refused, message, shortfall};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use std::io::Write;
use std::time::Duration;

/// Where results, messages and progress go.
pub struct Ui {
    json: bool,
    quiet: bool,
}

impl Ui {
    /// With or without JSON, with or without progress.
    pub fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Prints a result: the JSON object, or the text.
    pub fn result(&self, json: &Value, text: impl FnOnce() -> String) {
        let out = if self.json { format!("{json}\n") } else { text() };
        // A closed pipe (`| head`) is no error of ours.
        let _ = std::io::stdout().write_all(out.as_bytes());
    }

    /// Says something on standard error.
    pub fn say(&self, line: impl std::fmt::Display) {
        if !self.quiet {
            eprintln!("{line}");
        }
    }

    /// A progress bar that shows itself once the work takes over a second.
    pub fn bar(&self, what: &str, total: usize) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(Some(total as u64), self.target());
        if let Ok(style) = ProgressStyle::with_template(
            "{msg:24} [{bar:32}] {pos}/{len} {elapsed} (about {eta} left)",
        ) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(what.to_owned());
        bar
    }

    /// A spinner for work whose length is unknown.
    pub fn spinner(&self, what: &str) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(None, self.target());
        bar.set_message(what.to_owned());
        bar.enable_steady_tick(Duration::from_millis(500));
        bar
    }

    fn target(&self) -> ProgressDrawTarget {
        if self.quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr_with_hz(5)
        }
    }

    /// Reports a failed command.
    pub fn error(&self, error: &anyhow::Error) {
        let message = message(error);
        if self.json {
            let refused: Vec<_> = all_refused(error).iter().map(refusal).collect();
            let mut object = json!({ "error": message, "unsupported": refused });
            if let Some(shortfall) = shortfall(error) {
                object["shortfall"] = json!(shortfall);
            }
            println!("{object}");
        }
        eprintln!("error: {message}");
    }
}

/// A refused node as JSON.
pub fn refusal(r: &paring_ir::Refusal) -> Value {
    json!({ "node": r.node, "op": r.op, "why": r.why })
}

/// The longest first cell of a table's row; exporters join the names of all that they fused.
const NAME: usize = 60;

/// A table with aligned columns: the first and those of words to the left, those of numbers to the right.
/// Of a first cell that is too long, the beginning and the end are shown.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut lines: Vec<Vec<String>> = vec![header.iter().map(|h| (*h).to_owned()).collect()];
    lines.extend(rows.iter().cloned());
    for cell in lines.iter_mut().filter_map(|l| l.first_mut()) {
        *cell = shortened(cell);
    }
    let widths: Vec<usize> = (0..header.len())
        .map(|i| lines.iter().filter_map(|l| l.get(i)).map(|c| c.chars().count()).max())
        .map(Option::unwrap_or_default)
        .collect();
    let words = |i: usize| {
        let mut cells = lines.iter().skip(1).filter_map(|l| l.get(i));
        i == 0 || cells.any(|c| c.starts_with(char::is_alphabetic))
    };
    let left: Vec<bool> = (0..header.len()).map(words).collect();
    lines.insert(1, widths.iter().map(|w| "-".repeat(*w)).collect());
    let mut out = String::new();
    for cells in &lines {
        let columns =
            cells.iter().zip(&widths).zip(&left).map(|((cell, width), left)| match left {
                true => format!("{cell:<width$}"),
                false => format!("{cell:>width$}"),
            });
        out += columns.collect::<Vec<_>>().join("  ").trim_end();
        out.push('\n');
    }
    out
}

/// A name of at most [`NAME`] characters: those in the middle go.
fn shortened(name: &str) -> String {
    let count = name.chars().count();
    if count <= NAME {
        return name.to_owned();
    }
    let head = name.chars().take(NAME / 2 - 1);
    let tail = name.chars().skip(count - NAME / 2);
    head.chain(['…']).chain(tail).collect()
}

/// A number with thin groups of three digits.
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    #[test]
    fn tables_align_words_left_and_numbers_right() {
        let long = format!("{}/{}", "a".repeat(80), "b".repeat(80));
        let rows = [
            vec![long, "dense".to_owned(), "7".to_owned(), "-".to_owned()],
            vec!["out".to_owned(), "add".to_owned(), "1,000".to_owned(), String::new()],
        ];
        let text = super::table(&["layer", "op", "MACs", "flash"], &rows);
        let lines: Vec<&str> = text.lines().collect();
        let name = format!("{}…{}", "a".repeat(29), "b".repeat(30));
        assert_eq!(lines[2], format!("{name}  dense      7      -"));
        assert_eq!(lines[3], format!("out{}  add    1,000", " ".repeat(57)));
    }

    #[test]
    fn digits_are_grouped_from_the_right() {
        assert_eq!(super::grouped(1), "1");
        assert_eq!(super::grouped(123_456), "123,456");
        assert_eq!(super::grouped(1_234_567), "1,234,567");
    }
}
