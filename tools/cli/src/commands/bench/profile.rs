//! What each layer takes, beside what the machine could do.

use crate::model::BackendArgs;
use anyhow::{Context, Result};
use paring_ir::{Graph, Session, ValueId, text};
use paring_tensor::{DType, Tensor};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::time::{Duration, Instant};

/// What the machine can do, as this backend reaches it on a layer that suits it.
pub struct Roof {
    /// Multiply-accumulates a second of `f32` and of `i8`.
    macs: [f64; 2],
    /// Bytes a second between the processor and its last-level cache.
    bytes: f64,
}

/// A layer whose operands stay in the cache and whose extents fit every tile.
const F32: &str = "graph @peak {
    %x = input : f32[224,256]
    %w = const fill(seed=1) : f32[256,256]
    %y = dense(%x, %w) : f32[224,256]
    output %y
}";
const I8: &str = "graph @peak {
    %x = input : i8[224,256] q(0.05, 0)
    %w = const fill(seed=1) : i8[256,256] q(0.01, 0)
    %y = dense(%x, %w) : i8[224,256] q(0.5, 0)
    output %y
}";
const PEAK_MACS: f64 = (224 * 256 * 256) as f64;

fn peak(source: &str, backend: &BackendArgs) -> Result<f64> {
    let graph = text::parse(source).context("the layer that measures the machine")?;
    let mut session = backend.prepare(&graph)?;
    let ty = graph.ty(graph.inputs()[0].value);
    let input = [text::fill(2, ty.dtype, &[224, 256])?];
    let mut least = Duration::MAX;
    for _ in 0..40 {
        let start = Instant::now();
        let times = session.run_timed(&input)?;
        let all = start.elapsed();
        least = least.min(times.map_or(all, |t| t.iter().map(|t| t.time).sum()));
    }
    Ok(PEAK_MACS / least.as_secs_f64().max(1e-9))
}

impl Roof {
    /// Measures the machine.
    pub fn measure(backend: &BackendArgs) -> Result<Self> {
        let from = vec![1_u8; 2 << 20];
        let mut to = vec![0_u8; 2 << 20];
        let mut least = Duration::MAX;
        for _ in 0..40 {
            let start = Instant::now();
            to.copy_from_slice(std::hint::black_box(&from));
            std::hint::black_box(&mut to);
            least = least.min(start.elapsed());
        }
        let bytes = 2.0 * from.len() as f64 / least.as_secs_f64().max(1e-9);
        let bytes = bytes * rayon::current_num_threads() as f64;
        Ok(Self { macs: [peak(F32, backend)?, peak(I8, backend)?], bytes })
    }

    /// For `--json`.
    pub fn json(&self) -> Value {
        json!({
            "f32_gmac_per_second": self.macs[0] / 1e9, "i8_gmac_per_second": self.macs[1] / 1e9,
            "gbyte_per_second": self.bytes / 1e9,
        })
    }
}

/// A layer, or several that the backend does together.
pub struct Layer {
    name: String,
    ops: String,
    ms: f64,
    share: f64,
    macs: u64,
    /// The least time that the roof allows, over the time.
    roofline: f64,
    foreign: bool,
}

impl Layer {
    /// For `--json`.
    pub fn json(&self) -> Value {
        json!({
            "name": self.name, "op": self.ops, "ms": self.ms, "share": self.share, "macs": self.macs,
            "gmac_per_second": self.macs as f64 / self.ms.max(1e-9) / 1e6,
            "roofline": self.roofline, "fallback": self.foreign,
        })
    }
}

/// The layers of a run, each with the median of its times; `None` where the backend does not tell.
pub fn layers(
    graph: &Graph,
    session: &mut dyn Session,
    inputs: &[Tensor],
    runs: usize,
    roof: &Roof,
) -> Result<Option<Vec<Layer>>> {
    let mut all: Vec<Vec<f64>> = Vec::new();
    let mut last = Vec::new();
    for _ in 0..runs {
        let Some(times) = session.run_timed(inputs)? else { return Ok(None) };
        all.resize(times.len(), Vec::new());
        for (list, t) in all.iter_mut().zip(&times) {
            list.push(t.time.as_secs_f64() * 1e3);
        }
        last = times;
    }
    let mut seen: HashSet<ValueId> = HashSet::new();
    let mut layers = Vec::new();
    for (list, timed) in all.iter_mut().zip(&last) {
        if timed.values.is_empty() {
            continue;
        }
        list.sort_by(f64::total_cmp);
        let ms = super::quantile(list, 0.5);
        // Every node since the pieces before.
        let (mut open, mut nodes) = (timed.values.clone(), BTreeMap::new());
        let mut outside: HashSet<ValueId> = timed.values.iter().copied().collect();
        while let Some(v) = open.pop() {
            if !seen.insert(v) {
                continue;
            }
            let Some(node) = graph.producer(v) else { continue };
            nodes.insert(node.id, node);
            for input in node.inputs() {
                if seen.contains(input) || graph.producer(*input).is_none() {
                    outside.insert(*input);
                }
                open.push(*input);
            }
        }
        let bytes: usize = outside.iter().filter_map(|v| graph.ty(*v).byte_len()).sum();
        let macs = nodes.values().filter_map(|n| paring_ir::macs(graph, n)).sum::<u64>();
        let ops: Vec<&str> = nodes.values().map(|n| n.op.name()).collect();
        let names: Vec<&str> = nodes.values().map(|n| n.name.as_str()).collect();
        let bytewise = timed.values.iter().any(|v| graph.ty(*v).dtype != DType::F32);
        let least = (macs as f64 / roof.macs[usize::from(bytewise)]).max(bytes as f64 / roof.bytes);
        layers.push(Layer {
            name: names.join(" + "),
            ops: ops.join(" + "),
            ms,
            share: 0.0,
            macs,
            roofline: least * 1e3 / ms.max(1e-9),
            foreign: timed.foreign,
        });
    }
    let total: f64 = layers.iter().map(|l| l.ms).sum();
    layers.iter_mut().for_each(|l| l.share = l.ms / total.max(1e-9));
    Ok(Some(layers))
}

/// The table for people.
pub fn describe(layers: &[Layer], roof: &Roof, text: &mut String) -> Result<()> {
    writeln!(
        text,
        "roof: {:.1} GMAC/s f32, {:.1} i8 (this backend on a layer that suits it), {:.1} GB/s copied within \
         the last-level cache\n\n{:>9} {:>6} {:>8} {:>9}  layer",
        roof.macs[0] / 1e9,
        roof.macs[1] / 1e9,
        roof.bytes / 1e9,
        "ms",
        "share",
        "GMAC/s",
        "of roof"
    )?;
    for l in layers {
        writeln!(
            text,
            "{:9.4} {:5.1}% {:8.1} {:8.0}%  {} ({}){}",
            l.ms,
            l.share * 100.0,
            l.macs as f64 / l.ms.max(1e-9) / 1e6,
            l.roofline * 100.0,
            l.name,
            l.ops,
            if l.foreign { ", by the reference interpreter" } else { "" }
        )?;
    }
    Ok(())
}
