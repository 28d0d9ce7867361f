//! A `no_std` crate: the C, compiled by its build script, behind a safe interface.

use std::fmt::Write as _;

use paring_cortex_m_kernels::Isa;
use paring_tensor::DType;

use super::{code, fill};
use crate::emit::{Emitter, PortType};

fn rust_type(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "f32",
        DType::U8 => "u8",
        DType::I16 => "i16",
        DType::I32 => "i32",
        _ => "i8",
    }
}

/// The accessors of an input or output: `foreign` declarations, methods, constants.
fn port(p: &str, kind: &str, index: usize, port: &PortType, out: &mut [String; 3]) {
    let ty = rust_type(port.dtype);
    let name = format!("{kind}_{index}");
    let upper = name.to_uppercase();
    let input = kind == "input";
    let mutable = if input { "mut" } else { "const" };
    let _ = writeln!(out[0], "    fn {p}_{name}_in(arena: *{mutable} c_void) -> *{mutable} {ty};");
    let what = port.name.replace('`', "'");
    let (own, pointer, borrow) = if input {
        ("&mut self", "self.memory.as_mut_ptr()", "&mut ")
    } else {
        ("&self", "self.memory.as_ptr()", "&")
    };
    let text = &port.text;
    let hold =
        if input { "To be filled anew before each run." } else { "Holds until the next run." };
    let _ = writeln!(
        out[1],
        "\n    /// {} {index}, `{what}`: `{text}`. {hold}\n    pub fn {name}({own}) -> {borrow}[{ty}; {upper}_ELEMENTS] {{\n        \
         // SAFETY: the place lies inside the arena, which is aligned and borrowed as long as the result.\n        \
         unsafe {{ {borrow}*{p}_{name}_in({pointer}.cast()).cast() }}\n    }}",
        if input { "Input" } else { "Output" },
    );
    let _ = writeln!(
        out[2],
        "/// Elements of {kind} {index}, `{what}`.\npub const {upper}_ELEMENTS: usize = {};",
        port.elements
    );
    if let Some((scale, zero)) = port.quant {
        let _ = writeln!(
            out[2],
            "/// `real = scale * (stored - zero_point)` of {kind} {index}.\npub const {upper}_SCALE: f32 = {scale:e};\n\
             /// See [`{upper}_SCALE`].\npub const {upper}_ZERO_POINT: i32 = {zero};"
        );
    }
}

/// Compiler flags where the target's name tells less than the network's C may use.
fn flags(isa: Isa) -> &'static str {
    match isa {
        Isa::V6m | Isa::V7m => "",
        Isa::Dsp => {
            "    if target.starts_with(\"thumbv8m.main\") {\n        build.flag(\"-march=armv8-m.main+dsp+fp\");\n    }\n"
        }
        Isa::Helium => {
            "    if target.starts_with(\"thumbv8m.main\") {\n        build.flag(\"-march=armv8.1-m.main+mve.fp+fp.dp\").flag(\"-mfpu=auto\");\n    }\n"
        }
    }
}

pub(super) fn files(emitter: &Emitter<'_>) -> Vec<(String, String)> {
    let p = emitter.prefix;
    let mut files = code(emitter, "c/", "c/");
    let graph = emitter.lowering.graph;
    let mut parts = [String::new(), String::new(), String::new()];
    for (kind, ports) in [("input", graph.inputs()), ("output", graph.outputs())] {
        for (index, one) in emitter.ports(ports).iter().enumerate() {
            port(p, kind, index, one, &mut parts);
        }
    }
    let [foreign, methods, constants] = parts;
    let library = fill(include_str!("text/lib.rs.txt"), emitter)
        .replace("@arena@", &emitter.memory.arena_bytes.to_string())
        .replace("@foreign@", &foreign)
        .replace("@methods@", &methods)
        .replace("@constants@", &constants);
    files.push(("src/lib.rs".into(), library));
    files.push(("Cargo.toml".into(), fill(include_str!("text/Cargo.toml.txt"), emitter)));
    let level = emitter.optimization().trim_start_matches("-O");
    let build = fill(include_str!("text/build.rs.txt"), emitter)
        .replace("@level@", level)
        .replace("@flags@", flags(emitter.lowering.unit.isa()));
    files.push(("build.rs".into(), build));
    files
}
