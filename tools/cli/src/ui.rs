use crate::error::{all_refused, shortfall};
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
        if self.json {
            let refused: Vec<_> = all_refused(error).iter().map(refusal).collect();
            let mut object = json!({ "error": format!("{error:#}"), "unsupported": refused });
            if let Some(shortfall) = shortfall(error) {
                object["shortfall"] = json!(shortfall);
            }
            println!("{object}");
        }
        eprintln!("error: {error:#}");
    }
}

/// A refused node as JSON.
pub fn refusal(r: &paring_ir::Refusal) -> Value {
    json!({ "node": r.node, "op": r.op, "why": r.why })
}

/// A table with aligned columns; the first is left-aligned, the others right.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = header.iter().map(|h| h.chars().count()).collect();
    for row in rows {
        for (w, cell) in widths.iter_mut().zip(row) {
            *w = (*w).max(cell.chars().count());
        }
    }
    let line = |cells: &[String]| {
        let mut out = String::new();
        for (i, (cell, w)) in cells.iter().zip(&widths).enumerate() {
            let cell = if i == 0 { format!("{cell:<w$}") } else { format!("  {cell:>w$}") };
            out.push_str(&cell);
        }
        out.trim_end().to_owned() + "\n"
    };
    let head: Vec<String> = header.iter().map(|h| (*h).to_owned()).collect();
    let rule: Vec<String> = widths.iter().map(|w| "-".repeat(*w)).collect();
    let mut out = line(&head) + &line(&rule);
    for row in rows {
        out.push_str(&line(row));
    }
    out
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
    fn digits_are_grouped_from_the_right() {
        assert_eq!(super::grouped(1), "1");
        assert_eq!(super::grouped(123_456), "123,456");
        assert_eq!(super::grouped(1_234_567), "1,234,567");
    }
}
