//! A run allocates nothing.

use paring_backend::ExecOptions;
use paring_engine::runtime::Model;
use paring_ir::Graph;
use paring_kernels::Kernels;
use paring_opsuite::cases;
use paring_opsuite::networks::{mobilenet_v1, mobilenet_v2};
use paring_opsuite::random::Grower;
use paring_reference as _;
use paring_tensor::Tensor;
use paring_x86::{Level, X86, X86Kernels};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: all is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller's.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What a run allocates, with these inputs or with any; `None` where the runtime has no step for a node.
fn allocations(graph: &Graph, inputs: Option<&[Tensor]>) -> Option<usize> {
    let engine = X86.executor_at(Level::detect(), ExecOptions::default());
    let program = engine.program(graph.verified().unwrap()).ok()?;
    let kernels = X86Kernels::new(Level::detect());
    let package = program.to_package(kernels.family());
    let mut runner = Model::load(package, Box::new(kernels)).unwrap().runner();
    let bytes = |len: &usize| vec![1_u8; *len];
    let len = |ports: &[paring_engine::runtime::Port]| -> Vec<usize> {
        ports.iter().map(|p| p.len).collect()
    };
    let inputs: Vec<Vec<u8>> = match inputs {
        Some(inputs) => inputs.iter().map(|x| x.bytes().to_vec()).collect(),
        None => len(&program.inputs).iter().map(bytes).collect(),
    };
    let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
    let mut outputs: Vec<Vec<u8>> = len(&program.outputs).iter().map(bytes).collect();
    let mut outputs: Vec<&mut [u8]> = outputs.iter_mut().map(Vec::as_mut_slice).collect();
    runner.run(&inputs, &mut outputs).unwrap();
    let before = COUNT.load(Ordering::Relaxed);
    for _ in 0..3 {
        runner.run(&inputs, &mut outputs).unwrap();
    }
    Some(COUNT.load(Ordering::Relaxed) - before)
}

// One test, so that no other one allocates at the same time.
#[test]
fn a_run_allocates_nothing() {
    for threads in [1, 2] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let mut small = 0;
        for seed in 0..60 {
            let graph = Grower::new(seed, seed % 2 == 1).grow(1 + (seed % 7) as usize);
            if let Some(n) = pool.install(|| allocations(&graph, None)) {
                assert_eq!(n, 0, "seed {seed}, {threads} threads:\n{graph}");
                small += 1;
            }
        }
        assert!(small > 30, "{small} of 60 networks have a program");
        for case in cases() {
            if let Some(n) = pool.install(|| allocations(&case.graph, Some(&case.inputs))) {
                assert_eq!(n, 0, "{}, {threads} threads", case.name);
            }
        }
        for (name, graph) in [
            ("v1 f32", mobilenet_v1(false)),
            ("v2 f32", mobilenet_v2(false)),
            ("v2 i8", mobilenet_v2(true)),
        ] {
            assert_eq!(
                pool.install(|| allocations(&graph, None)),
                Some(0),
                "{name}, {threads} threads"
            );
        }
    }
}
