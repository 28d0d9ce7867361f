//! The text of the package.

use std::fmt::Write as _;

use paring_backend::{Harness, LayerSize};
use paring_ir::{Port, macs};
use paring_tensor::{DType, Quant, TensorType};

use paring_cortex_m_kernels::Isa;

use crate::lower::{Lowering, Operand, Step};
use crate::memory::Memory;

/// An input and the output it must give.
pub(crate) struct Vector {
    pub inputs: Vec<Vec<u8>>,
    pub outputs: Vec<Vec<u8>>,
}

/// Writes the files.
pub(crate) struct Emitter<'a> {
    pub lowering: &'a Lowering<'a>,
    pub memory: &'a Memory,
    pub prefix: &'a str,
    pub target: &'a str,
    pub vector: Option<&'a Vector>,
}

fn c_type(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 => "float",
        DType::U8 => "uint8_t",
        DType::I16 => "int16_t",
        DType::I32 => "int32_t",
        _ => "int8_t",
    }
}

/// Text that may stand inside a comment.
fn comment(text: &str) -> String {
    text.replace("*/", "* /").replace('\n', " ")
}

impl Emitter<'_> {
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let p = self.prefix;
        let mut files = vec![
            (format!("{p}.h"), self.header()),
            (format!("{p}.c"), self.source()),
            (format!("{p}_weights.h"), self.weights()),
            ("CMakeLists.txt".into(), self.cmake()),
            (format!("{p}.mk"), self.makefile()),
        ];
        if let Some(vector) = self.vector {
            files.push((format!("{p}_test.c"), self.test(vector)));
        }
        files.into_iter().map(|(name, text)| (name, text.into_bytes())).collect()
    }

    pub fn layers(&self) -> Vec<LayerSize> {
        let graph = self.lowering.graph;
        let layer = |(at, step): (usize, &Step)| {
            let node = graph.node(step.node);
            LayerSize {
                name: node.name.clone(),
                op: node.op.name().to_string(),
                kernel: step.calls.last().map_or("none", |c| c.kernel.variant).to_string(),
                macs: macs(graph, node).unwrap_or(0),
                weight_bytes: step.constant_bytes,
                live_bytes: self.memory.live.get(at).copied().unwrap_or(0),
            }
        };
        self.lowering.steps.iter().enumerate().map(layer).collect()
    }

    fn total_macs(&self) -> u64 {
        let graph = self.lowering.graph;
        self.lowering.steps.iter().filter_map(|s| macs(graph, graph.node(s.node))).sum()
    }

    fn port(&self, kind: &str, index: usize, port: &Port, text: &mut String) {
        let ty = self.lowering.graph.ty(port.value);
        let upper = self.prefix.to_uppercase();
        let name = format!("{upper}_{}_{index}", kind.to_uppercase());
        let _ = writeln!(text, "/* {kind} {index}, `{}`: {} */", comment(&port.name), describe(ty));
        if let Some(axes) = &port.external {
            let _ = writeln!(
                text,
                "/* The model file's axes are {axes:?} of these: its layout differs. */"
            );
        }
        let elements = ty.shape.elements().unwrap_or(0);
        let _ = writeln!(text, "#define {name}_ELEMENTS {elements}");
        if let Some((scale, zero)) = ty.quant.as_ref().and_then(Quant::as_per_tensor) {
            let _ = writeln!(text, "#define {name}_SCALE {scale:e}f");
            let _ = writeln!(text, "#define {name}_ZERO_POINT ({zero})");
        }
        let constant = if kind == "input" { "" } else { "const " };
        let _ = writeln!(
            text,
            "{constant}{} *{}_{kind}_{index}(void);\n",
            c_type(ty.dtype),
            self.prefix
        );
    }

    /// The statements with which a test program runs the network once.
    pub fn harness(&self) -> Harness {
        let (p, graph) = (self.prefix, self.lowering.graph);
        let copy = |kind: &str, ports: &[Port]| {
            let mut at = 0;
            let mut text = String::new();
            for (i, port) in ports.iter().enumerate() {
                let bytes = graph.ty(port.value).byte_len().unwrap_or(0);
                let _ = match kind {
                    "input" => writeln!(
                        text,
                        "for (int i = 0; i < {bytes}; i++) {{ ((unsigned char *){p}_input_{i}())[i] = emu_in[{at} + i]; }}"
                    ),
                    _ => writeln!(
                        text,
                        "for (int i = 0; i < {bytes}; i++) {{ emu_out[{at} + i] = ((const unsigned char *){p}_output_{i}())[i]; }}"
                    ),
                };
                at += bytes;
            }
            text
        };
        Harness {
            includes: format!("#include \"{p}.h\"\n"),
            prepare: copy("input", graph.inputs()),
            invoke: format!("{p}_run();\n"),
            finish: copy("output", graph.outputs()),
            flags: vec![self.optimization().to_owned()],
        }
    }

    /// The optimization that suits the code: on cores whose hot loops are assembly only the size of
    /// the rest is left to gain.
    fn optimization(&self) -> &'static str {
        match self.lowering.unit.isa() {
            Isa::V6m | Isa::V7m => "-O2",
            Isa::Dsp | Isa::Helium => "-Os",
        }
    }

    fn header(&self) -> String {
        let (p, graph) = (self.prefix, self.lowering.graph);
        let upper = p.to_uppercase();
        let mut text = format!(
            "/* {}: an int8 network for {}.\n *\n\
             \x20* Multiply-accumulates  {}\n\
             \x20* RAM, static arena     {} bytes (no plan for this order of layers is below {})\n\
             \x20* Flash, constants      {} bytes; the code comes on top\n *\n\
             \x20* Fill the inputs, call {p}_run(), read the outputs. Inputs and outputs lie in the arena: inputs\n\
             \x20* are to be filled anew before each run, outputs hold until the next. Numbers are stored\n\
             \x20* as real = SCALE * (stored - ZERO_POINT). Not reentrant: there is one arena. */\n\
             #ifndef {upper}_H\n#define {upper}_H\n\n#include <stdint.h>\n\n\
             #ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n#define {upper}_ARENA_BYTES {}\n\n",
            comment(graph.name()),
            self.target,
            self.total_macs(),
            self.memory.arena_bytes,
            self.memory.lower_bound,
            self.lowering.unit.constant_bytes(),
            self.memory.arena_bytes,
        );
        for (index, port) in graph.inputs().iter().enumerate() {
            self.port("input", index, port, &mut text);
        }
        for (index, port) in graph.outputs().iter().enumerate() {
            self.port("output", index, port, &mut text);
        }
        let _ = writeln!(text, "/* Runs the network once. */\nvoid {p}_run(void);\n");
        if self.vector.is_some() {
            let _ = writeln!(
                text,
                "/* Runs the network on a stored input; 0 if the outputs are the reference's, bit for bit.\n\
                 \x20* In {p}_test.c, which firmware need not link. */\nint {p}_self_test(void);\n"
            );
        }
        text.push_str("#ifdef __cplusplus\n}\n#endif\n\n#endif\n");
        text
    }

    fn source(&self) -> String {
        let (p, graph) = (self.prefix, self.lowering.graph);
        let upper = p.to_uppercase();
        let mut text = format!(
            "/* {}: an int8 network for {}. See {p}.h. */\n#include \"{p}.h\"\n\n#include <string.h>\n\n",
            comment(graph.name()),
            self.target
        );
        text.push_str(&self.lowering.unit.functions());
        let _ = writeln!(text, "#include \"{p}_weights.h\"\n");
        let _ = writeln!(
            text,
            "static union {{\n    int8_t bytes[{upper}_ARENA_BYTES];\n    uint64_t aligned;\n}} arena;\n"
        );
        for (kind, constant, ports) in
            [("input", "", graph.inputs()), ("output", "const ", graph.outputs())]
        {
            for (index, port) in ports.iter().enumerate() {
                let ty = c_type(graph.ty(port.value).dtype);
                let at = self.memory.offset(port.value);
                let cast = if ty == "int8_t" {
                    String::new()
                } else {
                    format!("({constant}{ty} *)(void *)")
                };
                let _ = writeln!(
                    text,
                    "{constant}{ty} *{p}_{kind}_{index}(void)\n{{\n    return {cast}(arena.bytes + {at});\n}}\n"
                );
            }
        }
        let _ = writeln!(text, "void {p}_run(void)\n{{");
        for (at, step) in self.lowering.steps.iter().enumerate() {
            self.step(at, step, &mut text);
        }
        text.push_str("}\n");
        text
    }

    fn step(&self, at: usize, step: &Step, text: &mut String) {
        let graph = self.lowering.graph;
        let node = graph.node(step.node);
        let shapes = |values: &[paring_ir::ValueId]| -> String {
            let one = |v: &paring_ir::ValueId| graph.ty(*v).shape.to_string();
            values.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        let data: Vec<_> =
            node.inputs().iter().copied().filter(|v| graph.constant(*v).is_none()).collect();
        let _ = writeln!(text, "    /* {at}: {}", comment(&node.name));
        let _ = write!(
            text,
            "     * {} {} -> {}",
            node.op.name(),
            shapes(&data),
            shapes(node.outputs())
        );
        let work = macs(graph, node).unwrap_or(0);
        if work > 0 {
            let _ = write!(text, ", {work} MACs, {} bytes of constants", step.constant_bytes);
        }
        if step.alias.is_some() {
            let _ = write!(text, ", in place");
        }
        text.push_str(" */\n");
        for call in &step.calls {
            let inputs: Vec<String> = call
                .inputs
                .iter()
                .map(|operand| match operand {
                    Operand::Value(value) => {
                        format!("arena.bytes + {}", self.memory.offset(*value))
                    }
                    Operand::Const(name) => name.clone(),
                })
                .collect();
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            let output = format!("arena.bytes + {}", self.memory.offset(call.output));
            let scratch = format!("(void *)(arena.bytes + {})", self.memory.scratch(at));
            for line in call.kernel.call(&inputs, &[&output], &scratch).lines() {
                let _ = writeln!(text, "    {line}");
            }
        }
    }

    fn weights(&self) -> String {
        format!(
            "/* Constants of {}.c, {} bytes; included there and nowhere else. */\n{}",
            self.prefix,
            self.lowering.unit.constant_bytes(),
            self.lowering.unit.constants()
        )
    }

    fn test(&self, vector: &Vector) -> String {
        let p = self.prefix;
        let mut text =
            format!("/* Self-test of {p}.c. */\n#include \"{p}.h\"\n\n#include <string.h>\n\n");
        let sides = [("input", &vector.inputs), ("output", &vector.outputs)];
        for (kind, tensors) in sides {
            for (index, bytes) in tensors.iter().enumerate() {
                let _ = write!(text, "static const uint8_t {kind}_{index}[{}] = {{", bytes.len());
                for (at, byte) in bytes.iter().enumerate() {
                    let gap = if at % 20 == 0 { "\n    " } else { " " };
                    let _ = write!(text, "{gap}{byte},");
                }
                text.push_str("\n};\n");
            }
        }
        let _ = writeln!(text, "\nint {p}_self_test(void)\n{{");
        for index in 0..vector.inputs.len() {
            let _ = writeln!(
                text,
                "    memcpy({p}_input_{index}(), input_{index}, sizeof input_{index});"
            );
        }
        let _ = writeln!(text, "    {p}_run();\n    int wrong = 0;");
        for index in 0..vector.outputs.len() {
            let _ = writeln!(
                text,
                "    wrong |= memcmp({p}_output_{index}(), output_{index}, sizeof output_{index});"
            );
        }
        text.push_str("    return wrong != 0;\n}\n");
        text
    }

    fn cmake(&self) -> String {
        let p = self.prefix;
        format!(
            "# add_subdirectory() this folder and link the target `{p}`.\n\
             add_library({p} STATIC {p}.c)\n\
             target_include_directories({p} PUBLIC ${{CMAKE_CURRENT_SOURCE_DIR}})\n\
             set_target_properties({p} PROPERTIES C_STANDARD 99)\n\
             target_compile_options({p} PRIVATE {})\n",
            self.optimization()
        )
    }

    fn makefile(&self) -> String {
        let p = self.prefix;
        let upper = p.to_uppercase();
        format!(
            "# include this file; it adds the network to SRCS and CPPFLAGS.\n\
             {upper}_DIR := $(dir $(lastword $(MAKEFILE_LIST)))\n\
             SRCS += $({upper}_DIR){p}.c\n\
             CPPFLAGS += -I$({upper}_DIR)\n"
        )
    }
}

/// A port's type for readers of the header.
fn describe(ty: &TensorType) -> String {
    format!("{}{}", c_type(ty.dtype), ty.shape)
}
