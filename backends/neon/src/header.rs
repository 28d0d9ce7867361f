//! The C header beside a package.

use paring_engine::runtime::{Port, Program};
use std::fmt::Write;

/// A name of C made of letters, digits and `_`.
fn upper(text: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    text.chars().map(fits).collect()
}

/// The sizes of what goes in and out, as constants.
pub(crate) fn of(program: &Program, prefix: &str) -> String {
    let name = upper(prefix);
    let mut text = format!(
        "/* Inputs and outputs of {prefix}.prt, in the order of paring_runner_run; see paring_rt.h. */\n\
         #ifndef {name}_PRT_H\n#define {name}_PRT_H\n\n\
         #define {name}_ARENA_BYTES {}\n",
        program.arena
    );
    let mut ports = |kind: &str, ports: &[Port]| {
        for (i, port) in ports.iter().enumerate() {
            let shape: Vec<String> = port.shape.iter().map(ToString::to_string).collect();
            let what = format!("{:?}[{}]", port.element, shape.join(",")).to_lowercase();
            let _ = writeln!(text, "\n/* {}: {what} */", port.name.replace("*/", "* /"));
            let _ = writeln!(text, "#define {name}_{kind}_{i}_BYTES {}", port.len);
            if let Some((scale, zero)) = port.quant {
                let _ = writeln!(text, "#define {name}_{kind}_{i}_SCALE {scale:e}f");
                let _ = writeln!(text, "#define {name}_{kind}_{i}_ZERO_POINT ({zero})");
            }
        }
    };
    ports("INPUT", &program.inputs);
    ports("OUTPUT", &program.outputs);
    let _ = writeln!(text, "\n#endif");
    text
}
