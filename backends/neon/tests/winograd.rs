//! Convolutions of 3x3 with fewer products, against the reference interpreter.

use paring_backend::{Backend, ExecOptions};
use paring_engine::runtime::Run;
use paring_engine::runtime::steps::AnyStep;
use paring_engine::runtime::steps::winograd::Winograd;
use paring_neon::{Level, Neon};
use paring_opsuite::networks::threes;
use paring_opsuite::random::{Random, compare};

#[test]
fn results_are_as_near_as_they_are_said_to_be() {
    let options = ExecOptions::default();
    let reference = paring_reference::Reference.executor(options).unwrap();
    let engine = Neon.executor_at(Level::Baseline, options);
    for size in [[16, 16], [18, 15], [13, 21]] {
        let graph = threes(size);
        let program = engine.program(graph.verified().unwrap()).unwrap();
        let with = |r: &&Run| matches!(r.step, AnyStep::Winograd(_));
        assert_eq!(program.runs.iter().filter(with).count(), 2, "{size:?}");
        for threads in [1, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let error = Winograd::ERROR as f32;
            let result =
                pool.install(|| compare(&graph, &mut Random(7), &*reference, &engine, error));
            assert_eq!(result, Ok(()), "{size:?}, {threads} threads");
        }
    }
    // What is small stays as it is.
    let program = engine.program(threes([6, 6]).verified().unwrap()).unwrap();
    assert!(program.runs.iter().all(|r| !matches!(r.step, AnyStep::Winograd(_))));
}
