use super::{fill, literals, plain_name};
use crate::{Def, Graph, Node, Port, Value, ValueId};
use paring_tensor::{Bytes, ConstData, Tensor, TensorType};
use std::collections::{HashMap, HashSet};
use std::fmt::Write;

/// What is done with constants of more than sixteen elements that differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Large {
    /// A summary of three digits, for people and for expectations; it cannot be parsed back.
    Summary,
    /// A named blob; [`Printed::blobs`] has the bytes.
    Blob,
    /// Every element.
    Inline,
}

/// A printed graph.
#[derive(Clone, Debug)]
pub struct Printed {
    /// The text.
    pub text: String,
    /// Names of what the text calls `blob`, and the constants: of any storage.
    pub blobs: Vec<(String, ConstData)>,
}

/// Prints a graph.
#[must_use]
pub fn print(graph: &Graph, large: Large) -> Printed {
    print_with_fills(graph, large, &HashMap::new())
}

/// Prints a graph; a constant that still is what a seed in `fills` generates prints as
/// `fill(seed=..)`.
#[must_use]
pub fn print_with_fills(graph: &Graph, large: Large, fills: &HashMap<ValueId, u64>) -> Printed {
    let mut printer = Printer {
        graph,
        large,
        fills,
        blobs: Vec::new(),
        labels: HashSet::new(),
        quants: Vec::new(),
    };
    let body = printer.body();
    let mut text = String::new();
    for (i, quant) in printer.quants.iter().enumerate() {
        let _ = writeln!(text, "#q{i} = {quant}");
    }
    if !printer.quants.is_empty() {
        text.push('\n');
    }
    let _ = writeln!(text, "graph @{} {{\n{body}}}", name(graph.name()));
    Printed { text, blobs: printer.blobs }
}

fn name(name: &str) -> String {
    if plain_name(name) { name.to_owned() } else { quoted(name) }
}

fn quoted(name: &str) -> String {
    let mut out = String::from("\"");
    for c in name.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

struct Printer<'g> {
    graph: &'g Graph,
    large: Large,
    fills: &'g HashMap<ValueId, u64>,
    blobs: Vec<(String, ConstData)>,
    labels: HashSet<String>,
    quants: Vec<String>,
}

/// Bytes of one repeated element above which a blob is used where there are blobs, so that a reader of
/// files can bound what texts expand to.
const LARGEST_SPLAT: usize = 1 << 16;

impl Printer<'_> {
    fn body(&mut self) -> String {
        let graph = self.graph;
        let mut out = String::new();
        for port in graph.inputs() {
            let value = graph.value(port.value);
            let _ = writeln!(
                out,
                "  %{} = input : {}{}",
                name(&value.name),
                self.ty(value),
                Self::port(port, value)
            );
        }
        for state in graph.states() {
            let value = graph.value(state.current);
            let storage = self.storage(&value.name, &state.initial, None);
            let _ =
                writeln!(out, "  %{} = state {storage} : {}", name(&value.name), self.ty(value));
        }
        let mut printed = HashSet::new();
        for id in graph.topological() {
            let node = graph.node(id);
            for input in node.inputs() {
                self.constant(*input, &mut printed, &mut out);
            }
            self.node(node, &mut out);
        }
        // Constants that only an output, a state or nothing reads.
        for value in graph.values() {
            self.constant(value.id, &mut printed, &mut out);
        }
        for port in graph.outputs() {
            let value = graph.value(port.value);
            let _ = writeln!(out, "  output %{}{}", name(&value.name), Self::port(port, value));
        }
        for state in graph.states() {
            let (current, next) = (graph.value(state.current), graph.value(state.next));
            let _ = writeln!(out, "  next %{} = %{}", name(&current.name), name(&next.name));
        }
        out
    }

    fn port(port: &Port, value: &Value) -> String {
        let mut out = String::new();
        if let Some(perm) = &port.external {
            let _ = write!(out, " external {perm:?}");
        }
        if port.name != value.name {
            let _ = write!(out, " as {}", quoted(&port.name));
        }
        out
    }

    fn ty(&mut self, value: &Value) -> String {
        let TensorType { dtype, shape, quant } = &value.ty;
        let mut out = format!("{dtype}{shape}");
        if let Some(quant) = quant {
            let text = quant.to_string();
            if quant.scales().len() == 1 {
                let _ = write!(out, " {text}");
            } else {
                let at = self.quants.iter().position(|q| *q == text).unwrap_or_else(|| {
                    self.quants.push(text);
                    self.quants.len() - 1
                });
                let _ = write!(out, " #q{at}");
            }
        }
        if let Some((low, high)) = value.range {
            let _ = write!(out, " in [{low:?}, {high:?}]");
        }
        out
    }

    fn constant(&mut self, id: ValueId, printed: &mut HashSet<ValueId>, out: &mut String) {
        let value = self.graph.value(id);
        if let Def::Const(data) = value.def()
            && printed.insert(id)
        {
            let storage = self.storage(&value.name, data, self.fills.get(&id).copied());
            let _ =
                writeln!(out, "  %{} = const {storage} : {}", name(&value.name), self.ty(value));
        }
    }

    fn node(&mut self, node: &Node, out: &mut String) {
        let list = |ids: &[ValueId]| {
            let names = ids.iter().map(|v| format!("%{}", name(&self.graph.value(*v).name)));
            names.collect::<Vec<_>>().join(", ")
        };
        let _ =
            write!(out, "  {} = {}({})", list(node.outputs()), node.op.name(), list(node.inputs()));
        let attrs = node.op.attrs();
        if !attrs.is_empty() {
            let _ = write!(out, " {}", toml::Value::Table(attrs));
        }
        let outputs = node.outputs().iter().map(|v| self.ty(self.graph.value(*v)));
        let types: Vec<_> = outputs.collect();
        let _ = write!(out, " : {}", types.join(", "));
        let first = node.outputs().first().map(|v| self.graph.value(*v).name.as_str());
        if first != Some(node.name.as_str()) {
            let _ = write!(out, " @{}", quoted(&node.name));
        }
        out.push('\n');
    }

    fn storage(&mut self, label: &str, data: &ConstData, seed: Option<u64>) -> String {
        match data {
            ConstData::Dense(tensor) => {
                let generated = seed.filter(|seed| {
                    fill(*seed, tensor.dtype(), tensor.shape()).is_ok_and(|t| t == *tensor)
                });
                match generated {
                    Some(seed) => format!("fill(seed={seed})"),
                    None => self.elements(label, tensor),
                }
            }
            other if self.large == Large::Blob && other.shape().iter().product::<usize>() > 16 => {
                self.blob(label, other.clone())
            }
            ConstData::Palette(p) => {
                let book = self.elements(&format!("{label}.book"), p.codebook());
                let codes =
                    Tensor::new(paring_tensor::DType::U8, [p.codes().len()], p.codes().clone())
                        .map_or_else(
                            |e| e.to_string(),
                            |t| self.elements(&format!("{label}.codes"), &t),
                        );
                let ty = TensorType::of(p.codebook());
                format!("palette(book = {book} : {ty}, codes = {codes})")
            }
            ConstData::Sparse(s) => {
                let mask =
                    Tensor::new(paring_tensor::DType::U8, [s.mask().len()], s.mask().clone())
                        .map_or_else(
                            |e| e.to_string(),
                            |t| self.elements(&format!("{label}.mask"), &t),
                        );
                let values = self.storage(&format!("{label}.values"), s.values(), None);
                format!(
                    "sparse(block = {:?}, fill = {}, mask = {mask}, values = {values} : {}[{}])",
                    s.block(),
                    s.fill(),
                    s.values().dtype(),
                    s.values().len()
                )
            }
        }
    }

    fn blob(&mut self, label: &str, data: ConstData) -> String {
        // A part of one constant may be called as another constant is.
        let mut label = label.to_owned();
        while !self.labels.insert(label.clone()) {
            label.push('\'');
        }
        self.blobs.push((label.clone(), data));
        format!("blob {}", quoted(&label))
    }

    fn elements(&mut self, label: &str, tensor: &Tensor) -> String {
        let size = tensor.dtype().size();
        let mut chunks = tensor.bytes().chunks_exact(size);
        let first = chunks.next();
        if let Some(first) = first
            && tensor.len() > 1
            && chunks.all(|c| c == first)
            && !(self.large == Large::Blob && tensor.bytes().len() > LARGEST_SPLAT)
        {
            let one = Tensor::new(tensor.dtype(), [1], Bytes::copy_from_slice(first));
            return format!("splat({})", one.map(|t| literals(&t).concat()).unwrap_or_default());
        }
        if tensor.len() <= 16 || self.large == Large::Inline {
            return format!("[{}]", literals(tensor).join(", "));
        }
        if self.large == Large::Blob {
            return self.blob(label, tensor.clone().into());
        }
        let values = tensor.to_f64();
        let count = values.len() as f64;
        let (mut low, mut high, mut sum, mut zeros) =
            (f64::INFINITY, f64::NEG_INFINITY, 0.0, 0_u32);
        for x in values {
            low = low.min(x);
            high = high.max(x);
            sum += x;
            zeros += u32::from(x == 0.0);
        }
        format!(
            "summary(min={low:.2e}, max={high:.2e}, mean={:.2e}, zeros={:.2})",
            sum / count,
            f64::from(zeros) / count
        )
    }
}
