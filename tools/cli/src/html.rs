//! The report page of a compression.

use crate::ui::grouped;
use paring_pass::{Done, Snapshot};
use std::fmt::Write;

/// A page that stands alone: what each step did to the network.
pub fn report(
    model: &str,
    recipe: &str,
    before: Snapshot,
    done: &Done,
    container: usize,
) -> String {
    let after = Snapshot::of(&done.graph);
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n<style>\n\
         body { font: 15px/1.5 system-ui, sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em }\n\
         table { border-collapse: collapse; width: 100%; margin: 1em 0 }\n\
         th, td { text-align: right; padding: .25em .6em; border-bottom: 1px solid #ccc }\n\
         th:first-child, td:first-child { text-align: left }\n\
         li { font-size: 13px }\n</style>\n",
    );
    let title = format!("{} by {}", escape(model), escape(recipe));
    let _ = write!(page, "<title>{title}</title></head><body>\n<h1>{title}</h1>\n");
    page += "<table><tr><th></th><th>before</th><th>after</th></tr>\n";
    let mut row = |name: &str, a: String, b: String| {
        let _ = writeln!(page, "<tr><td>{name}</td><td>{a}</td><td>{b}</td></tr>");
    };
    let macs = |s: Snapshot| s.macs.map_or("?".to_owned(), grouped);
    row("nodes", before.nodes.to_string(), after.nodes.to_string());
    row("parameters", grouped(before.parameters as u64), grouped(after.parameters as u64));
    row("weight bytes", grouped(before.weight_bytes as u64), grouped(after.weight_bytes as u64));
    row("multiply-accumulates", macs(before), macs(after));
    row("container bytes", String::new(), grouped(container as u64));
    page += "</table>\n<h2>Steps</h2>\n<table><tr><th>step</th><th>effect</th><th>rewrites</th>\
             <th>nodes</th><th>weight bytes</th><th>MACs</th><th>seconds</th></tr>\n";
    for s in &done.report.steps {
        let _ = writeln!(
            page,
            "<tr><td>{} {}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.2}</td></tr>",
            s.step,
            s.pass,
            s.effect,
            s.rewrites,
            s.after.nodes,
            grouped(s.after.weight_bytes as u64),
            macs(s.after),
            s.seconds
        );
    }
    page += "</table>\n";
    for s in done.report.steps.iter().filter(|s| !s.layers.is_empty()) {
        let _ = writeln!(
            page,
            "<h3>{} {}: layers</h3>\n<table><tr><th>layer</th><th>op</th><th>weights</th><th>dB</th>\
             <th>result</th><th>dB</th><th>note</th></tr>",
            s.step, s.pass
        );
        for l in &s.layers {
            let text = |t: &Option<String>| escape(t.as_deref().unwrap_or_default());
            let decibels = |db: Option<f64>| db.map_or(String::new(), |db| format!("{db:.1}"));
            let _ = writeln!(
                page,
                "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>",
                escape(&l.node),
                l.op,
                text(&l.weights),
                decibels(l.weights_db),
                text(&l.result),
                decibels(l.result_db),
                escape(&l.note)
            );
        }
        page += "</table>\n";
    }
    for s in done.report.steps.iter().filter(|s| !s.notes.is_empty() || !s.declined.is_empty()) {
        let _ = writeln!(page, "<h3>{} {}</h3>\n<ul>", s.step, s.pass);
        for note in &s.notes {
            let _ = writeln!(page, "<li>{}</li>", escape(note));
        }
        for d in &s.declined {
            let _ = writeln!(page, "<li>left alone: {}: {}</li>", escape(&d.node), escape(&d.why));
        }
        page += "</ul>\n";
    }
    page += "</body></html>\n";
    page
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
