//! Packages for aarch64 under the emulator: the op suite and random networks, all of a processor in one
//! process, against the reference in this one. Integers have to be equal, real numbers close.

use paring_backend::{Backend, ExecOptions, Rounding, backend_named};
use paring_conformance::{Gaps, ROUNDINGS, judge};
use paring_emulator::{Cpu, Job, Runtime, missing_aarch64_packages};
use paring_engine::in_half;
use paring_ir::ops::Cast;
use paring_ir::{Executor, Graph, ValueId};
use paring_neon::{Level, Neon, NeonKernels};
use paring_opsuite::cases;
use paring_opsuite::networks::{few_rows, short_weights};
use paring_opsuite::random::{Grower, Random, difference, input};
use paring_opsuite::sixteen;
use paring_tensor::{DType, Tensor};
use std::collections::HashMap;
use std::path::Path;

/// A processor of each level.
const CPUS: [Cpu; 3] = [Cpu::CortexA72, Cpu::CortexA76, Cpu::Max];

/// The rounding that packages are made with. With the other one, which the executor on an aarch64 machine
/// offers, some layers have no step: what has one is judged.
const MADE_WITH: Rounding = Rounding::Double;

/// The runtime, where it can be built and run; says so if not.
fn runtime() -> Option<Runtime> {
    let missing = missing_aarch64_packages();
    if !missing.is_empty() {
        eprintln!("skipped: not installed: {}", missing.join(" "));
        return None;
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    Some(Runtime::build(&root).unwrap_or_else(|e| panic!("{e}")))
}

fn reference(rounding: Rounding) -> Box<dyn Executor> {
    let backend = backend_named(paring_bundle::REFERENCE).unwrap();
    backend.executor(ExecOptions { rounding }).unwrap()
}

/// A package, or why there is none.
fn package(graph: &Graph, rounding: Rounding) -> Result<Vec<u8>, String> {
    Ok(package_of(graph, rounding)?.0)
}

/// A package, and whether it is one for processors that compute in half precision.
fn package_of(graph: &Graph, rounding: Rounding) -> Result<(Vec<u8>, bool), String> {
    let engine = Neon.executor_at(Level::Baseline, ExecOptions { rounding });
    let verified = graph.verified().map_err(|e| e.to_string())?;
    let program = engine.program(verified).map_err(|e| e.to_string())?;
    let half = program.computes_in_half();
    let kernels = NeonKernels::new(Level::Baseline);
    Ok((program.to_package(paring_kernels::Kernels::family(&kernels)), half))
}

fn joined(tensors: &[Tensor]) -> Vec<u8> {
    tensors.iter().flat_map(|t| t.bytes().iter().copied()).collect()
}

/// The outputs of a graph, cut from what the runner wrote for a sample.
fn outputs(graph: &Graph, bytes: &mut &[u8]) -> Vec<Tensor> {
    let mut take = |n: usize| {
        let (now, later) = bytes.split_at(n);
        *bytes = later;
        now
    };
    let cut = |port: &paring_ir::Port| {
        let ty = graph.ty(port.value);
        let dims = ty.shape.dims().iter();
        let unbound = dims.clone().any(|d| d.fixed().is_none());
        // An extent that depends on the data comes first.
        let found = unbound.then(|| u64::from_le_bytes(take(8).try_into().unwrap()) as usize);
        let shape: Vec<usize> = dims.map(|d| d.fixed().or(found).unwrap()).collect();
        let now = take(shape.iter().product::<usize>() * ty.dtype.size());
        Tensor::new(ty.dtype, shape, now.to_vec().into()).unwrap()
    };
    graph.outputs().iter().map(cut).collect()
}

#[test]
fn every_case_of_the_suite_is_right_or_a_known_gap() {
    let Some(runtime) = runtime() else { return };
    let cases = cases();
    let mut gaps = Gaps::of(Neon.name(), "package-gaps.toml");
    let mut verdicts = vec![Ok(()); cases.len()];
    let mut jobs = Vec::new();
    let mut made = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        for rounding in ROUNDINGS {
            match package(&case.graph, rounding) {
                Ok(package) => {
                    jobs.push(Job { package, samples: joined(&case.inputs) });
                    made.push((at, rounding));
                }
                Err(why) if rounding == MADE_WITH => verdicts[at] = Err(why),
                Err(_) => {}
            }
        }
    }
    assert!(jobs.len() > cases.len() / 2, "only {} packages", jobs.len());
    for cpu in CPUS {
        let results = runtime.run(&jobs, cpu).unwrap_or_else(|e| panic!("{e}"));
        for (result, (at, rounding)) in results.into_iter().zip(&made) {
            let case = &cases[*at];
            let judged = result.and_then(|bytes| {
                let results = outputs(&case.graph, &mut bytes.as_slice());
                judge(&results, &*reference(*rounding), case)
            });
            if let Err(why) = judged {
                verdicts[*at] = Err(format!("{cpu}, {rounding:?}: {why}"));
            }
        }
    }
    for (case, verdict) in cases.iter().zip(verdicts) {
        gaps.note(&case.name, verdict);
    }
    gaps.settle();
}

/// Networks that grow at random, two samples each.
fn check(grow: impl Fn(u64) -> Graph, seeds: std::ops::Range<u64>) {
    let Some(runtime) = runtime() else { return };
    let mut jobs = Vec::new();
    let mut wanted = Vec::new();
    let mut refused = Vec::new();
    for seed in seeds {
        let graph = grow(seed);
        for rounding in ROUNDINGS {
            let package = match package(&graph, rounding) {
                Ok(package) => package,
                Err(why) => {
                    if rounding == MADE_WITH {
                        refused.push(format!("seed {seed}: {why}"));
                    }
                    continue;
                }
            };
            let mut session = reference(rounding).prepare(graph.verified().unwrap()).unwrap();
            let mut random = Random(seed);
            let (mut samples, mut results) = (Vec::new(), Vec::new());
            for _ in 0..2 {
                let ports = graph.inputs().iter();
                let inputs: Vec<Tensor> =
                    ports.map(|p| input(&mut random, graph.ty(p.value))).collect();
                results.push(session.run(&inputs).unwrap());
                samples.extend(joined(&inputs));
            }
            jobs.push(Job { package, samples });
            wanted.push((format!("seed {seed}, {rounding:?}"), graph.clone(), results));
        }
    }
    assert!(refused.is_empty(), "{} refused:\n{}", refused.len(), refused.join("\n"));
    for cpu in CPUS {
        let all = runtime.run(&jobs, cpu).unwrap_or_else(|e| panic!("{e}"));
        for (bytes, (name, graph, samples)) in all.into_iter().zip(&wanted) {
            let bytes = bytes.unwrap_or_else(|e| panic!("{name}, {cpu}: {e}\n{graph}"));
            let mut bytes = bytes.as_slice();
            for want in samples {
                for (got, want) in outputs(graph, &mut bytes).iter().zip(want) {
                    if let Some(why) = difference(got, want, 2e-6) {
                        panic!("{name}, {cpu}: {why}\n{graph}");
                    }
                }
            }
            assert!(bytes.is_empty(), "{name}, {cpu}: {} bytes too many", bytes.len());
        }
    }
}

/// Weights that are stored in less memory than they are computed with.
#[test]
fn short_weights_are_stored_so() {
    let Some(runtime) = runtime() else { return };
    for (int8, most) in [(true, 140_000), (false, 345_000)] {
        let graph = short_weights(int8);
        let package = package(&graph, MADE_WITH).unwrap();
        assert!(package.len() < most, "{} bytes", package.len());
        let x = input(&mut Random(5), graph.ty(graph.inputs()[0].value));
        let mut session = reference(MADE_WITH).prepare(graph.verified().unwrap()).unwrap();
        let want = session.run(std::slice::from_ref(&x)).unwrap();
        let job = Job { package, samples: x.bytes().to_vec() };
        for cpu in CPUS {
            let bytes = runtime.run(std::slice::from_ref(&job), cpu).unwrap().remove(0).unwrap();
            let got = outputs(&graph, &mut bytes.as_slice());
            assert_eq!(difference(&got[0], &want[0], 2e-6), None, "{cpu}");
        }
    }
}

/// Weights that are decoded for each row, where rows are few.
#[test]
fn short_weights_of_few_rows() {
    check(few_rows, 0..120);
}

fn grown(int8: bool) -> impl Fn(u64) -> Graph {
    move |seed| Grower::new(seed, int8).grow(1 + (seed % 7) as usize)
}

#[test]
fn real_networks() {
    check(grown(false), 0..250);
}

#[test]
fn integer_networks() {
    check(grown(true), 1000..1250);
}

#[test]
fn networks_of_sixteen_bits() {
    check(sixteen::products, 0..250);
    check(sixteen::pairs, 0..150);
}

/// The processors that compute in half precision.
const HALVING: [Cpu; 2] = [Cpu::CortexA76, Cpu::Max];

/// The graph of a case with all real numbers in half precision, converted at inputs and outputs; none where not all
/// numbers are real.
fn all_in_half(from: &Graph) -> Option<Graph> {
    let mut graph = Graph::new("half");
    let mut new: HashMap<ValueId, ValueId> = HashMap::new();
    let to = |graph: &mut Graph, dtype: DType, v: ValueId| {
        let name = format!("{}_{}", graph.value(v).name, dtype.name());
        graph.add_node(name, Cast { to: dtype }, &[v]).unwrap()[0]
    };
    for port in from.inputs() {
        let ty = from.ty(port.value).clone();
        if ty.dtype != DType::F32 {
            return None;
        }
        let v = graph.add_input(&*port.name, ty).unwrap();
        new.insert(port.value, to(&mut graph, DType::F16, v));
    }
    for id in from.topological() {
        let node = from.node(id);
        for v in node.inputs() {
            if let Some(data) = from.constant(*v) {
                let half = (data.dtype() == DType::F32).then(|| data.dense().cast(DType::F16))?;
                new.insert(*v, graph.add_const(&*from.value(*v).name, half, None).unwrap());
            }
        }
        let inputs: Vec<ValueId> = node.inputs().iter().map(|v| new[v]).collect();
        let outputs = graph.add_node(&*node.name, &node.op, &inputs).ok()?;
        new.extend(node.outputs().iter().copied().zip(outputs));
    }
    for port in from.outputs() {
        if graph.ty(new[&port.value]).dtype != DType::F16 {
            return None;
        }
        let v = to(&mut graph, DType::F32, new[&port.value]);
        graph.add_output(&*port.name, v);
    }
    Some(graph)
}

/// How far the results are apart, as a part of the largest number.
fn apart(got: &Tensor, want: &Tensor) -> f32 {
    let (got, want) = (got.to_f32(), want.to_f32());
    let most = want.iter().filter(|x| x.is_finite()).fold(1e-3_f32, |m, x| m.max(x.abs()));
    let each = got.iter().zip(&want).filter(|(a, b)| a != b && !(a.is_nan() && b.is_nan()));
    each.fold(0.0_f32, |m, (a, b)| {
        let off = (a - b).abs() / most;
        if off.is_nan() { f32::INFINITY } else { m.max(off) }
    })
}

/// A case in half precision against itself in single precision: numbers are rounded to eleven bits when they come in,
/// and after each operation.
#[test]
fn cases_in_half_precision_are_near_those_in_single_precision() {
    const NEAR: f32 = 2.5e-3;
    let Some(runtime) = runtime() else { return };
    let (mut jobs, mut made) = (Vec::new(), Vec::new());
    let cases = cases();
    for case in &cases {
        let Some(graph) = all_in_half(&case.graph) else { continue };
        if let Ok((package, true)) = package_of(&graph, MADE_WITH) {
            jobs.push(Job { package, samples: joined(&case.inputs) });
            made.push(case);
        }
    }
    assert!(jobs.len() > 60, "only {} cases", jobs.len());
    let mut faults = Vec::new();
    for cpu in HALVING {
        let all = runtime.run(&jobs, cpu).unwrap_or_else(|e| panic!("{e}"));
        for (bytes, case) in all.into_iter().zip(&made) {
            let bytes = bytes.unwrap_or_else(|e| panic!("{}, {cpu}: {e}", case.name));
            let verified = case.graph.verified().unwrap();
            let want = reference(MADE_WITH).prepare(verified).unwrap().run(&case.inputs).unwrap();
            for (got, want) in outputs(&case.graph, &mut bytes.as_slice()).iter().zip(&want) {
                let off = apart(got, want);
                if off > NEAR {
                    faults.push(format!("{}, {cpu}: {off}", case.name));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// Networks of several layers.
#[test]
fn networks_in_half_precision_are_near_those_in_single_precision() {
    const NEAR: f32 = 1e-2;
    let Some(runtime) = runtime() else { return };
    let (mut jobs, mut wanted) = (Vec::new(), Vec::new());
    for seed in 0..150 {
        let graph = grown(false)(seed);
        let half = in_half(&graph.verified().unwrap(), &NeonKernels::new(Level::Baseline)).unwrap();
        let (package, in_half) =
            package_of(&half, MADE_WITH).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        if !in_half {
            continue;
        }
        let mut random = Random(seed);
        let inputs = graph.inputs().iter();
        let inputs: Vec<Tensor> = inputs.map(|p| input(&mut random, graph.ty(p.value))).collect();
        let mut session = reference(MADE_WITH).prepare(graph.verified().unwrap()).unwrap();
        wanted.push((seed, session.run(&inputs).unwrap(), graph));
        jobs.push(Job { package, samples: joined(&inputs) });
    }
    assert!(jobs.len() > 60, "only {} networks", jobs.len());
    let (mut faults, mut most) = (Vec::new(), 0.0_f32);
    for cpu in HALVING {
        let all = runtime.run(&jobs, cpu).unwrap_or_else(|e| panic!("{e}"));
        for (bytes, (seed, want, graph)) in all.into_iter().zip(&wanted) {
            let bytes = bytes.unwrap_or_else(|e| panic!("seed {seed}, {cpu}: {e}\n{graph}"));
            for (got, want) in outputs(graph, &mut bytes.as_slice()).iter().zip(want) {
                let off = apart(got, want);
                most = most.max(off);
                if off > NEAR {
                    faults.push(format!("seed {seed}, {cpu}: {off}\n{graph}"));
                }
            }
        }
    }
    eprintln!("at most {most} of the largest number");
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    // Elsewhere it is refused, not slow or wrong.
    let refused = runtime.run(&jobs[..1], Cpu::CortexA72);
    let why = refused.map_or_else(|e| e.to_string(), |mut r| r.remove(0).unwrap_err());
    assert!(why.contains("half precision"), "{why}");
}
