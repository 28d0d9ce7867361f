//! `paring inspect`

use crate::model::ModelArgs;
use crate::ui::{Ui, grouped, refusal, table};
use anyhow::Result;
use paring_backend::{
    CompileError, CompileOptions, LayerSize, backend_for, backend_named, refusals,
    registered_backends,
};
use paring_bundle::Estimate;
use paring_codec::Statistics;
use paring_ir::{Graph, Node};
use paring_pass::{NoHost, Pipeline, RunOptions, Snapshot};
use paring_tensor::ConstData;
use rayon::prelude::*;
use serde_json::json;
use std::collections::BTreeMap;

/// Show what a model is: layers, shapes, work and size
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelArgs,
    /// Say which nodes this target cannot take, and estimate what the model takes there
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// Code every constant as a container does, and show bits a weight beside the entropy
    #[arg(long)]
    constants: bool,
    /// Print the graph in its text form instead
    #[arg(long)]
    text: bool,
}

/// Runs the command.
pub fn run(args: &Args, ui: &Ui) -> Result<()> {
    let graph = args.model.read()?;
    if args.text {
        let text = graph.to_string();
        ui.result(&json!({ "text": text }), || text.clone());
        return Ok(());
    }
    let (backend, target) = match &args.target {
        Some(target) => (backend_for(target), Some(target.as_str())),
        None => (backend_named(paring_bundle::REFERENCE), None),
    };
    let refused = refusals(backend.map_err(anyhow::Error::msg)?, &graph, target);
    let estimate = target.map(|target| Estimated::of(&graph, target));
    let mut ops: BTreeMap<&str, usize> = BTreeMap::new();
    for node in graph.nodes() {
        *ops.entry(node.op.name()).or_default() += 1;
    }
    let size = Snapshot::of(&graph);
    let transposes = ops.get("transpose").copied().unwrap_or(0);
    let left = if transposes == 0 { Some(0) } else { left_by_layout(&graph) };
    let everywhere: Vec<(&str, usize)> = registered_backends()
        .into_iter()
        .map(|b| (b.name(), refusals(b, &graph, None).len()))
        .collect();
    let layers: Vec<Layer> =
        graph.topological().into_iter().map(|id| Layer::of(&graph, graph.node(id))).collect();
    let weights = if args.constants { Weight::all(&graph) } else { Vec::new() };
    let port = |p: &paring_ir::Port| {
        let ty = graph.ty(p.value);
        json!({ "name": p.name, "type": ty.to_string(), "external": p.external })
    };
    let object = json!({
        "name": graph.name(),
        "inputs": graph.inputs().iter().map(port).collect::<Vec<_>>(),
        "outputs": graph.outputs().iter().map(port).collect::<Vec<_>>(),
        "nodes": size.nodes,
        "macs": size.macs,
        "parameters": size.parameters,
        "weight_bytes": size.weight_bytes,
        "ops": ops,
        "transposes": transposes,
        "transposes_after_layout": left,
        "refused_by": everywhere.iter().copied().collect::<BTreeMap<_, _>>(),
        "unsupported": refused.iter().map(refusal).collect::<Vec<_>>(),
        "estimate": estimate.as_ref().map(Estimated::json),
        "constants": weights.iter().map(Weight::json).collect::<Vec<_>>(),
        "layers": layers.iter().map(Layer::json).collect::<Vec<_>>(),
    });
    ui.result(&object, || {
        let mut out = format!("{}\n", graph.name());
        for (kind, ports) in [("input", graph.inputs()), ("output", graph.outputs())] {
            for p in ports {
                out += &format!("  {kind:<6} {}: {}\n", p.name, graph.ty(p.value));
            }
        }
        for s in graph.states() {
            let v = graph.value(s.current);
            out += &format!("  state  {}: {}\n", v.name, v.ty);
        }
        let rows: Vec<_> = layers.iter().map(Layer::row).collect();
        out.push('\n');
        out += &table(&["layer", "op", "output", "parameters", "MACs"], &rows);
        out += &format!(
            "\n{} nodes, {} parameters in {} bytes, {} multiply-accumulates\n",
            size.nodes,
            grouped(size.parameters as u64),
            grouped(size.weight_bytes as u64),
            size.macs.map_or("an unknown number of".into(), grouped),
        );
        if !weights.is_empty() {
            let rows: Vec<_> = weights.iter().map(Weight::row).collect();
            out.push('\n');
            out += &table(
                &[
                    "constant",
                    "storage",
                    "elements",
                    "coded bytes",
                    "bits each",
                    "entropy",
                    "ratio",
                ],
                &rows,
            );
            let elements: usize = weights.iter().map(|w| w.coded.elements).sum();
            let bytes: usize = weights.iter().map(|w| w.coded.coded_bytes).sum();
            out += &format!(
                "\n{} elements in {} coded bytes, {:.3} bits each\n",
                grouped(elements as u64),
                grouped(bytes as u64),
                8.0 * bytes as f64 / elements.max(1) as f64,
            );
        }
        if let Some(estimate) = &estimate {
            out += &estimate.text();
        }
        let counts: Vec<_> = ops.iter().map(|(op, n)| format!("{n} {op}")).collect();
        out += &format!("ops: {}\n", counts.join(", "));
        match left {
            Some(left) if transposes > 0 => {
                out += &format!("transposes: {transposes}, after the layout pass {left}\n");
            }
            _ => {}
        }
        let counts: Vec<_> = everywhere.iter().map(|(name, n)| format!("{name} {n}")).collect();
        out += &format!("nodes that a backend refuses as they are: {}\n", counts.join(", "));
        if !refused.is_empty() {
            let whom = target.unwrap_or("the reference interpreter");
            out += &format!("not supported by {whom}:\n");
            for r in &refused {
                out += &format!("  {r}\n");
            }
        }
        out
    });
    Ok(())
}

/// What the model takes on a target, or why that is not known.
struct Estimated<'a> {
    target: &'a str,
    found: Result<Estimate, CompileError>,
}

impl<'a> Estimated<'a> {
    fn of(graph: &Graph, target: &'a str) -> Self {
        let options = CompileOptions { target: target.to_owned(), ..CompileOptions::default() };
        Self { target, found: paring_bundle::estimate(graph, &options, None) }
    }

    fn json(&self) -> serde_json::Value {
        match &self.found {
            Ok(found) => json!({ "target": self.target, "assumed_integers": found.assumed,
                                 "sizes": found.sizes }),
            Err(why) => json!({ "target": self.target, "error": why.to_string() }),
        }
    }

    fn text(&self) -> String {
        let found = match &self.found {
            Ok(found) => found,
            Err(why) => return format!("no estimate for {}: {why}\n", self.target),
        };
        let sizes = &found.sizes;
        let number = |n: Option<u64>| n.map_or("?".into(), grouped);
        let row = |l: &LayerSize| {
            let (constants, live) = (grouped(l.weight_bytes as u64), grouped(l.live_bytes as u64));
            vec![short(&l.name), l.kernel.clone(), number(l.cycles), constants, live]
        };
        let header = ["layer", "kernel", "cycles", "constants", "RAM in use"];
        let rows: Vec<_> = sizes.layers.iter().map(row).collect();
        let how = match found.assumed {
            true => ", its real numbers taken as integers of 8 bits",
            false => "",
        };
        let code = sizes.code_bytes.map(|n| format!(", about {} of code", grouped(n as u64)));
        let cycles = match sizes.cycles {
            Some(n) => format!("{} cycles without wait states", grouped(n)),
            None => "cycles are not known without running it (`paring verify`)".to_owned(),
        };
        format!(
            "\non {}{how}:\n{}\nestimated: {cycles}, RAM {} bytes, {} bytes of constants{}\n\n",
            self.target,
            table(&header, &rows),
            grouped(sizes.ram_bytes as u64),
            grouped(sizes.weight_bytes as u64),
            code.unwrap_or_default(),
        )
    }
}

/// The end of a name where it is long: converters write the names of all that they fused.
fn short(name: &str) -> String {
    let count = name.chars().count();
    if count <= 48 {
        return name.to_owned();
    }
    let tail: String = name.chars().skip(count - 47).collect();
    format!("…{tail}")
}

/// A constant and how well it is coded.
struct Weight {
    name: String,
    storage: String,
    coded: Statistics,
}

impl Weight {
    /// All constants of more than one element.
    fn all(graph: &Graph) -> Vec<Self> {
        let constants: Vec<_> = graph
            .values()
            .filter_map(|v| Some((v.name.clone(), v.constant()?)))
            .filter(|(_, c)| c.len() > 1)
            .collect();
        constants
            .into_par_iter()
            .map(|(name, data)| Self {
                name,
                storage: storage(data),
                coded: Statistics::of(data, paring_codec::Options::default()),
            })
            .collect()
    }

    fn json(&self) -> serde_json::Value {
        json!({ "name": self.name, "storage": self.storage, "elements": self.coded.elements,
                "coded_bytes": self.coded.coded_bytes, "bits": self.coded.bits_per_element,
                "entropy": self.coded.entropy, "ratio": self.coded.ratio })
    }

    fn row(&self) -> Vec<String> {
        vec![
            self.name.clone(),
            self.storage.clone(),
            grouped(self.coded.elements as u64),
            grouped(self.coded.coded_bytes as u64),
            format!("{:.3}", self.coded.bits_per_element),
            format!("{:.3}", self.coded.entropy),
            self.coded.ratio.map_or("-".into(), |r| format!("{r:.3}")),
        ]
    }
}

/// Storage in words.
fn storage(data: &ConstData) -> String {
    let dtype = data.dtype();
    let clusters = |p: &paring_tensor::Palette| format!("{} values of {dtype}", p.entries());
    match data {
        ConstData::Dense(_) => dtype.to_string(),
        ConstData::Palette(p) => clusters(p),
        ConstData::Sparse(s) => {
            let zeros = 100.0 - 100.0 * s.values().len() as f64 / data.len().max(1) as f64;
            let kept = s.values().palette().map_or_else(|| dtype.to_string(), clusters);
            format!("{zeros:.0} % zero, {kept}")
        }
    }
}

/// How many transposes the layout pass leaves, if it takes the graph.
fn left_by_layout(graph: &Graph) -> Option<usize> {
    let pipeline = Pipeline::parse("version = 1\n[[pass]]\nuse = \"layout\"").ok()?;
    let done = pipeline.run(graph, &NoHost, &mut RunOptions::default()).ok()?;
    Some(done.graph.nodes().filter(|n| n.op.name() == "transpose").count())
}

struct Layer {
    name: String,
    op: &'static str,
    output: String,
    parameters: usize,
    macs: Option<u64>,
}

impl Layer {
    fn of(graph: &Graph, node: &Node) -> Self {
        let types = node.outputs().iter().map(|v| {
            let ty = graph.ty(*v);
            format!("{}{}", ty.dtype, ty.shape)
        });
        Self {
            name: node.name.clone(),
            op: node.op.name(),
            output: types.collect::<Vec<_>>().join(", "),
            parameters: node
                .inputs()
                .iter()
                .filter_map(|v| graph.constant(*v))
                .map(paring_tensor::ConstData::len)
                .sum(),
            macs: paring_ir::macs(graph, node),
        }
    }

    fn json(&self) -> serde_json::Value {
        json!({ "name": self.name, "op": self.op, "output": self.output,
                "parameters": self.parameters, "macs": self.macs })
    }

    fn row(&self) -> Vec<String> {
        vec![
            short(&self.name),
            self.op.to_owned(),
            self.output.clone(),
            grouped(self.parameters as u64),
            self.macs.map_or("?".into(), grouped),
        ]
    }
}
