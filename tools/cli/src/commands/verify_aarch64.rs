//! `paring verify --target aarch64`

use crate::commands::compile::LowerArgs;
use crate::commands::verify::joined;
use crate::error::BoundFailed;
use crate::model::{RoundingArg, prepare};
use crate::ui::{Ui, grouped, table};
use anyhow::{Context, Result, bail};
use paring_emulator::{Board, Cpu, Job, Runtime};
use paring_ir::Graph;
use paring_tensor::{DType, Tensor};
use serde_json::json;
use std::path::Path;

/// How far real numbers may be apart, as a fraction of the largest of an output: sums are fused and taken in
/// another order.
const ERROR: f32 = 1e-5;

/// The same where the package computes in half precision, which has eleven bits.
const HALF_ERROR: f32 = 2e-2;

/// Cross-builds the runtime, runs the package of a graph under QEMU, compares with the reference and counts.
pub fn run(
    graph: &Graph,
    reference: &Graph,
    lower: &LowerArgs,
    cpu: Cpu,
    samples: &[Vec<Tensor>],
    ui: &Ui,
) -> Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    if !workspace.join("crates/embed/Cargo.toml").is_file() {
        bail!(
            "the runtime is built from Paring's sources, which are not at {}",
            workspace.display()
        );
    }
    let package = lower.compile(graph, None)?;
    let (_, bytes) = package
        .files
        .iter()
        .find(|(name, _)| name.ends_with(".prt"))
        .context("the package has no file for the runtime")?;
    let mut session = prepare(reference, paring_bundle::REFERENCE, RoundingArg::Double)?;
    let expected: Vec<Vec<Tensor>> =
        samples.iter().map(|inputs| Ok(session.run(inputs)?)).collect::<Result<_>>()?;
    let spinner = ui.spinner("building the runtime for aarch64, once: a minute or two");
    let runtime = Runtime::build(&workspace);
    spinner.finish_and_clear();
    let runtime = runtime?;
    let samples = samples.iter().flat_map(|s| joined(s)).collect();
    let spinner = ui.spinner(&format!("running on the emulated {cpu}"));
    let report = runtime.measure(&Job { package: bytes.clone(), samples }, cpu);
    spinner.finish_and_clear();
    let report = report?;
    let mut rest = report.outputs.as_slice();
    let half = lower.settings.iter().any(|(k, v)| k == "arithmetic" && v == "f16");
    let most = if half { HALF_ERROR } else { ERROR };
    let (mut different, mut error) = (0, 0.0_f32);
    for outputs in &expected {
        let mut same = true;
        for (port, want) in reference.outputs().iter().zip(outputs) {
            let mut take = |n: usize| match rest.split_at_checked(n) {
                Some((now, later)) => {
                    rest = later;
                    Ok(now)
                }
                None => bail!("the emulated program wrote fewer outputs than the network has"),
            };
            let (n, dims) = (want.bytes().len(), reference.ty(port.value).shape.dims());
            // An extent that depends on the data comes first.
            if let Some(axis) = dims.iter().position(|d| d.fixed().is_none()) {
                let found = u64::from_le_bytes(take(8)?.try_into()?) as usize;
                let extent = want.shape().get(axis).copied().unwrap_or(0);
                if found != extent {
                    let others = want.shape().iter().enumerate().filter(|(i, _)| *i != axis);
                    let rows = others.map(|(_, n)| n).product::<usize>() * found;
                    take(rows * want.dtype().size())?;
                    same = false;
                    continue;
                }
            }
            let now = take(n)?;
            if want.dtype() == DType::F32 {
                let got = Tensor::new(DType::F32, want.shape(), now.to_vec().into())?;
                let apart = relative(&got.to_f32(), &want.to_f32());
                error = error.max(apart);
                same &= apart <= most;
            } else {
                same &= now == &want.bytes()[..];
            }
        }
        different += usize::from(!same);
    }
    let equal = different == 0 && !expected.is_empty();
    let cycles: f64 = report.steps.iter().map(|s| s.cycles).sum();
    let estimates = Board::ALL.map(|b| (b.name, b.milliseconds(cycles, bytes.len())));
    let layers = &package.sizes.layers;
    let layers: Vec<_> = layers
        .iter()
        .zip(&report.steps)
        .map(|(layer, step)| {
            json!({ "name": layer.name, "op": layer.op, "macs": layer.macs,
                    "instructions": step.instructions, "cycles": step.cycles.round() as u64 })
        })
        .collect();
    let object = json!({
        "cycles": cycles.round() as u64,
        "estimates": estimates.iter().map(|(name, ms)| json!({ "board": name, "ms": ms })).collect::<Vec<_>>(),
        "layers": layers,
        "equal": equal, "samples": expected.len(), "different": different,
        "instructions": report.instructions, "max_relative_error": error,
        "ram_bytes": package.sizes.ram_bytes, "package_bytes": bytes.len(),
        "library_bytes": report.library_bytes, "cpu": cpu.name(), "level": report.level,
        "target": lower.target,
    });
    ui.result(&object, || {
        let rows: Vec<_> = layers
            .iter()
            .map(|l| {
                let number = |key: &str| grouped(l[key].as_u64().unwrap_or(0));
                let text = |key: &str| l[key].as_str().unwrap_or_default().to_owned();
                vec![short(text("name")), text("op"), number("macs"), number("instructions"), number("cycles")]
            })
            .collect();
        let boards: Vec<String> =
            estimates.iter().map(|(name, ms)| format!("{name} {ms:.2} ms")).collect();
        table(&["layer", "op", "MACs", "instructions", "cycles"], &rows) + &format!(
            "\n{} samples on the emulated {cpu}: {}\ninstructions {}\ncycles {}, estimated for an A57 or \
             A72 with everything in the cache; one core: {}\nRAM {} bytes of arena, package {} \
             bytes, library {} bytes\n",
            expected.len(),
            match (equal, error > 0.0) {
                (true, false) => "equal to the reference, bit for bit".to_owned(),
                (true, true) => format!("equal to the reference up to {error:e} of the largest"),
                (false, _) => format!("{different} differ from the reference"),
            },
            grouped(report.instructions),
            grouped(cycles.round() as u64),
            boards.join(", "),
            grouped(package.sizes.ram_bytes as u64),
            grouped(bytes.len() as u64),
            grouped(report.library_bytes),
        )
    });
    if equal {
        return Ok(());
    }
    let what = format!("{different} of {} outputs differ from the reference", expected.len());
    Err(BoundFailed(what).into())
}

/// The end of a name where it is long: converters write the names of all that they fused.
fn short(name: String) -> String {
    const MOST: usize = 48;
    let count = name.chars().count();
    if count <= MOST { name } else { name.chars().skip(count - MOST).collect() }
}

/// The largest difference as a fraction of the largest number.
fn relative(got: &[f32], want: &[f32]) -> f32 {
    let most = want.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    let apart = got.iter().zip(want).fold(0.0_f32, |m, (a, b)| {
        let d = if a.to_bits() == b.to_bits() { 0.0 } else { (a - b).abs() };
        if d.is_nan() { f32::INFINITY } else { m.max(d) }
    });
    if apart == 0.0 { 0.0 } else { apart / most }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_far_from_one() {
        assert_eq!(relative(&[1.0, 2.0], &[1.0, 2.0]), 0.0);
        assert_eq!(relative(&[1.0, f32::NAN], &[1.0, 2.0]), f32::INFINITY);
        assert_eq!(relative(&[f32::NAN], &[f32::NAN]), 0.0);
        assert_eq!(relative(&[3.0, 0.5], &[4.0, 0.5]), 0.25);
    }
}
