//! An Arduino library: everything flat below `src`, an example sketch.

use super::{code, fill};
use crate::emit::Emitter;

pub(super) fn files(emitter: &Emitter<'_>) -> Vec<(String, String)> {
    let p = emitter.prefix;
    let mut files = code(emitter, "src/", "src/");
    let tested = files.iter().any(|(name, _)| name.ends_with("_test.c"));
    let ports = emitter.ports(emitter.lowering.graph.inputs());
    let mut sketch = fill(include_str!("text/sketch.ino"), emitter);
    let inputs: String = (0..ports.len())
        .map(|i| format!("    memset({p}_input_{i}(), 0, sizeof *{p}_input_{i}() * @PREFIX@_INPUT_{i}_ELEMENTS);\n"))
        .collect();
    sketch = sketch.replace("@inputs@", &inputs.replace("@PREFIX@", &p.to_uppercase()));
    let check = if tested {
        format!(
            "    Serial.println({p}_self_test() == 0 ? \"self-test passed\" : \"self-test failed\");\n"
        )
    } else {
        String::new()
    };
    sketch = sketch.replace("@self_test@", &check);
    files.push((format!("examples/{p}_run/{p}_run.ino"), sketch));
    let properties = fill(include_str!("text/library.properties"), emitter);
    files.push(("library.properties".into(), properties));
    files
}
