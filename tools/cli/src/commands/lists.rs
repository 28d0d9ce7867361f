//! `paring passes | backends | formats | ops`

use crate::ui::{Ui, table};
use anyhow::Result;
use serde_json::json;

/// Lists the passes.
pub fn passes(ui: &Ui) -> Result<()> {
    let all = paring_pass::registered_passes();
    let object: Vec<_> = all
        .iter()
        .map(|e| {
            let i = &e.info;
            json!({ "name": i.name, "summary": i.summary, "effect": i.effect, "needs": i.needs,
                    "gives": i.gives, "breaks": i.breaks })
        })
        .collect();
    let list = |facts: &[&str]| if facts.is_empty() { "-".to_owned() } else { facts.join(" ") };
    let rows: Vec<_> = all
        .iter()
        .map(|e| {
            let i = &e.info;
            let name = i.name.to_owned();
            vec![name, i.effect.to_string(), list(i.needs), list(i.gives), i.summary.to_owned()]
        })
        .collect();
    ui.result(&json!({ "passes": object }), || {
        table(&["pass", "effect", "needs", "gives", "what it does"], &rows)
    });
    Ok(())
}

/// Lists the backends and their targets.
pub fn backends(ui: &Ui) -> Result<()> {
    let all = paring_backend::registered_backends();
    let runs = |b: &dyn paring_backend::Backend| {
        b.executor(paring_backend::ExecOptions::default()).is_some()
    };
    let object: Vec<_> = all
        .iter()
        .map(|b| {
            let targets: Vec<_> = b
                .targets()
                .iter()
                .map(|t| json!({ "name": t.name, "summary": t.summary }))
                .collect();
            json!({ "name": b.name(), "summary": b.summary(), "runs": runs(*b), "targets": targets })
        })
        .collect();
    ui.result(&json!({ "backends": object }), || {
        let mut out = String::new();
        for b in &all {
            let runs = if runs(*b) { " (runs here)" } else { "" };
            out += &format!("{}{runs}: {}\n", b.name(), b.summary());
            for t in b.targets() {
                out += &format!("  {:<12} {}\n", t.name, t.summary);
            }
        }
        out
    });
    Ok(())
}

/// Lists the formats.
pub fn formats(ui: &Ui) -> Result<()> {
    let all = paring_format::registered_formats();
    let object: Vec<_> = all
        .iter()
        .map(|f| {
            json!({ "name": f.name, "summary": f.summary, "extensions": f.extensions,
                    "reads": f.read.is_some(), "writes": f.write.is_some() })
        })
        .collect();
    let yes = |b: bool| if b { "yes" } else { "no" }.to_owned();
    let rows: Vec<_> = all
        .iter()
        .map(|f| {
            vec![
                f.name.to_owned(),
                format!(".{}", f.extensions.join(" .")),
                yes(f.read.is_some()),
                yes(f.write.is_some()),
                f.summary.to_owned(),
            ]
        })
        .collect();
    ui.result(&json!({ "formats": object }), || {
        table(&["format", "files", "reads", "writes", "what it is"], &rows)
    });
    Ok(())
}

/// Lists the ops and the backends that run or lower them.
pub fn ops(ui: &Ui) -> Result<()> {
    let all = paring_ir::registered_ops();
    let object: Vec<_> =
        all.iter().map(|o| json!({ "name": o.name, "summary": o.summary })).collect();
    let rows: Vec<_> = all.iter().map(|o| vec![o.name.to_owned(), o.summary.to_owned()]).collect();
    ui.result(&json!({ "ops": object }), || table(&["op", "what it computes"], &rows));
    Ok(())
}
