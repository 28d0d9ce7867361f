//! The text of the package.

use std::fmt::Write as _;

use paring_backend::Harness;
use paring_ir::{Port, macs};
use paring_tensor::{DType, Quant, TensorType};

use paring_cortex_m_kernels::Core;

use crate::lower::{Lowering, Operand, Step};
use crate::memory::Memory;
use crate::stream;

/// An input and the output it must give.
pub(crate) struct Vector {
    pub inputs: Vec<Vec<u8>>,
    pub outputs: Vec<Vec<u8>>,
}

/// The C files of a package.
pub(crate) struct Code {
    pub header: String,
    pub source: String,
    /// Included by the source.
    pub weights: String,
    /// The self-test, where a reference interpreter gave its outputs.
    pub test: Option<String>,
}

/// An input or an output.
pub(crate) struct PortType {
    pub name: String,
    pub dtype: DType,
    pub elements: usize,
    /// Scale and zero point.
    pub quant: Option<(f32, i32)>,
    pub text: String,
}

/// Writes the files.
pub(crate) struct Emitter<'a> {
    pub lowering: &'a Lowering<'a>,
    pub memory: &'a Memory,
    pub prefix: &'a str,
    pub core: Core,
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
    /// The header, the sources and what they include.
    pub fn code(&self) -> Code {
        Code {
            header: self.header(),
            source: self.source(),
            weights: self.weights(),
            test: self.vector.map(|vector| self.test(vector)),
        }
    }

    /// What is said of the network in manifests: one line.
    pub fn summary(&self) -> String {
        format!(
            "{}: an int8 network for {}",
            comment(self.lowering.graph.name()),
            self.core.target()
        )
    }

    /// The inputs or outputs as other languages see them.
    pub fn ports(&self, ports: &[Port]) -> Vec<PortType> {
        let port = |port: &Port| {
            let ty = self.lowering.graph.ty(port.value);
            PortType {
                name: comment(&port.name),
                dtype: ty.dtype,
                elements: ty.shape.elements().unwrap_or(0),
                quant: ty.quant.as_ref().and_then(Quant::as_per_tensor),
                text: describe(ty),
            }
        };
        ports.iter().map(port).collect()
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
        text.push('\n');
    }

    /// The functions that give the places of inputs and outputs, in an arena of the caller's or in
    /// the network's own: return type, name, `const` of the arena, port.
    fn accessors(&self) -> Vec<(String, String, &'static str, &Port)> {
        let (p, graph) = (self.prefix, self.lowering.graph);
        let mut all = Vec::new();
        for (kind, constant, ports) in
            [("input", "", graph.inputs()), ("output", "const ", graph.outputs())]
        {
            for (index, port) in ports.iter().enumerate() {
                let ty = format!("{constant}{} *", c_type(graph.ty(port.value).dtype));
                all.push((ty, format!("{p}_{kind}_{index}"), constant, port));
            }
        }
        all
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

    /// The optimization that suits the code.
    pub fn optimization(&self) -> &'static str {
        self.lowering.unit.isa().optimization()
    }

    fn header(&self) -> String {
        let (p, graph) = (self.prefix, self.lowering.graph);
        let upper = p.to_uppercase();
        let mut text = format!(
            "/* {}: an int8 network for {}.\n *\n\
             \x20* Multiply-accumulates  {}\n\
             \x20* RAM, the arena        {} bytes (no plan for this order of layers is below {}, no order below {})\n\
             \x20* Flash, constants      {} bytes; the code comes on top\n *\n\
             \x20* Fill the inputs, call {p}_run(), read the outputs. Inputs and outputs lie in the arena: inputs\n\
             \x20* are to be filled anew before each run, outputs hold until the next. Numbers are stored\n\
             \x20* as real = SCALE * (stored - ZERO_POINT). */\n\
             #ifndef {upper}_H\n#define {upper}_H\n\n#include <stdint.h>\n\n\
             #ifdef __cplusplus\nextern \"C\" {{\n#endif\n\n",
            comment(graph.name()),
            self.core.target(),
            self.total_macs(),
            self.memory.arena_bytes,
            self.memory.lower_bound,
            self.memory.order_bound,
            self.lowering.unit.constant_bytes(),
        );
        for (index, port) in graph.inputs().iter().enumerate() {
            self.port("input", index, port, &mut text);
        }
        for (index, port) in graph.outputs().iter().enumerate() {
            self.port("output", index, port, &mut text);
        }
        let _ = writeln!(
            text,
            "#define {upper}_ARENA_BYTES {}\n#define {upper}_LAYERS {}\n\n\
             /* On an arena that the caller gives: {upper}_ARENA_BYTES bytes, aligned to 8. Re-entrant: runs on different\n\
             \x20* arenas do not know of each other. Networks that run one after the other may share an arena\n\
             \x20* that is large enough for each; what they had in it is then lost. */\n\
             void {p}_run_in(void *arena);",
            self.memory.arena_bytes,
            self.lowering.steps.len(),
        );
        for (ty, name, constant, _) in self.accessors() {
            let _ = writeln!(text, "{ty}{name}_in({constant}void *arena);");
        }
        let _ = writeln!(
            text,
            "\n#ifndef {upper}_NO_ARENA\n\
             /* On a static arena, which -D{upper}_NO_ARENA leaves out; not re-entrant. */\n\
             void {p}_run(void);\nvoid *{p}_arena(void);"
        );
        for (ty, name, ..) in self.accessors() {
            let _ = writeln!(text, "{ty}{name}(void);");
        }
        let _ = writeln!(
            text,
            "#endif\n\n#ifdef {upper}_ON_LAYER\n\
             /* A function of the caller's, named by -D{upper}_ON_LAYER=function, that is called before each layer\n\
             \x20* with the layer's number and, with {upper}_LAYERS, after the last one. */\n\
             void {upper}_ON_LAYER(void *arena, int layer);\n\
             extern const char *const {p}_layer_names[{upper}_LAYERS + 1];\n#endif\n"
        );
        if self.vector.is_some() {
            let _ = writeln!(
                text,
                "/* Runs the network on a stored input, in an arena of the caller's; 0 if the outputs are the\n\
                 \x20* reference's, bit for bit. In {p}_test.c, which firmware need not link. */\n\
                 int {p}_self_test_in(void *arena);\n\n\
                 #ifndef {upper}_NO_ARENA\nint {p}_self_test(void);\n#endif\n"
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
            self.core.target()
        );
        text.push_str(&self.lowering.unit.functions());
        let _ = writeln!(text, "#include \"{p}_weights.h\"\n");
        for (ty, name, constant, port) in self.accessors() {
            let at = self.memory.offset(port.value);
            let place = format!("({constant}char *)arena + {at}");
            let _ = writeln!(
                text,
                "{ty}{name}_in({constant}void *arena)\n{{\n    return ({ty})({constant}void *)({place});\n}}\n"
            );
        }
        let _ = writeln!(
            text,
            "#ifdef {upper}_ON_LAYER\n#define PR_LAYER(layer) {upper}_ON_LAYER(memory, layer);\n\
             const char *const {p}_layer_names[{upper}_LAYERS + 1] = {{"
        );
        for step in &self.lowering.steps {
            let name = &graph.node(step.node).name;
            let _ = writeln!(text, "    \"{}\",", c_string(name));
        }
        let _ = writeln!(text, "    \"end\",\n}};\n#else\n#define PR_LAYER(layer)\n#endif\n");
        let mut body = String::new();
        for (range, stream) in self.lowering.stages() {
            if let Some(stream) = stream {
                let (lowering, memory, at) = (self.lowering, self.memory, range.start);
                let heading =
                    |at, step: &Step| self.heading(at, step).replace("\n    ", "\n        ");
                let heading = |at, step: &Step| format!("    {}\n", heading(at, step));
                let name = stream::write(stream, lowering, memory, at, heading, &mut text);
                let _ = writeln!(body, "    {name}(arena, memory);");
                continue;
            }
            for at in range {
                if let Some(step) = self.lowering.steps.get(at) {
                    self.step(at, step, &mut body);
                }
            }
        }
        let _ = writeln!(
            text,
            "void {p}_run_in(void *memory)\n{{\n    int8_t *const arena = (int8_t *)memory;"
        );
        text.push_str(&body);
        let _ = writeln!(text, "    PR_LAYER({upper}_LAYERS)\n    (void)arena;\n}}\n");
        let _ = writeln!(
            text,
            "#ifndef {upper}_NO_ARENA\nstatic union {{\n    int8_t bytes[{upper}_ARENA_BYTES];\n    uint64_t aligned;\n}} own;\n\n\
             void *{p}_arena(void)\n{{\n    return own.bytes;\n}}\n\n\
             void {p}_run(void)\n{{\n    {p}_run_in(own.bytes);\n}}"
        );
        for (ty, name, ..) in self.accessors() {
            let _ = writeln!(text, "\n{ty}{name}(void)\n{{\n    return {name}_in(own.bytes);\n}}");
        }
        text.push_str("#endif\n");
        text
    }

    /// A comment that says what a step does.
    fn heading(&self, at: usize, step: &Step) -> String {
        let graph = self.lowering.graph;
        let mut text = String::new();
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
        text.push_str(" */");
        text
    }

    fn step(&self, at: usize, step: &Step, text: &mut String) {
        let _ = writeln!(text, "{}\n    PR_LAYER({at})", self.heading(at, step));
        for call in &step.calls {
            let inputs: Vec<String> = call
                .inputs
                .iter()
                .map(|operand| match operand {
                    Operand::Value(value) => {
                        format!("(arena + {})", self.memory.offset(*value))
                    }
                    Operand::Const(name) => name.clone(),
                })
                .collect();
            let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
            let output = format!("(arena + {})", self.memory.offset(call.output));
            let scratch = format!("(void *)(arena + {})", self.memory.scratch(at));
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
        let _ = writeln!(text, "\nint {p}_self_test_in(void *arena)\n{{\n    int wrong = 0;");
        for index in 0..vector.inputs.len() {
            let _ = writeln!(
                text,
                "    memcpy({p}_input_{index}_in(arena), input_{index}, sizeof input_{index});"
            );
        }
        let _ = writeln!(text, "    {p}_run_in(arena);");
        for index in 0..vector.outputs.len() {
            let _ = writeln!(
                text,
                "    wrong |= memcmp({p}_output_{index}_in(arena), output_{index}, sizeof output_{index});"
            );
        }
        let upper = p.to_uppercase();
        let _ = writeln!(
            text,
            "    return wrong != 0;\n}}\n\n#ifndef {upper}_NO_ARENA\n\
             int {p}_self_test(void)\n{{\n    return {p}_self_test_in({p}_arena());\n}}\n#endif"
        );
        text
    }
}

/// Text for between the quotes of a C string.
fn c_string(text: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        // Beyond plain text no compiler's character set is certain.
        c if c.is_ascii_graphic() || c == ' ' => c.to_string(),
        _ => "?".into(),
    };
    // `??` might begin a trigraph.
    text.chars().map(escape).collect::<String>().replace("??", "?\\?")
}

/// A port's type for readers of the header.
fn describe(ty: &TensorType) -> String {
    format!("{}{}", c_type(ty.dtype), ty.shape)
}
