//! The op suite on every backend that is linked and runs in this process. That of aarch64 computes from its
//! packed weights on every processor, so its list of gaps is checked on all.

use paring_backend::{Backend, ExecOptions, backend_named, registered_backends};
use paring_conformance::{Gaps, ROUNDINGS, Subject, judge_both, run};
use paring_ir::Executor;
use paring_neon::{Level, Neon};
use paring_opsuite::{cases, strategies};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn subject(
    name: &'static str,
    make: impl Fn(ExecOptions) -> Option<Box<dyn Executor>>,
) -> Option<Subject> {
    let [a, b] = ROUNDINGS.map(|rounding| make(ExecOptions { rounding }));
    Some(Subject { name, executors: [a?, b?] })
}

fn reference() -> Subject {
    let backend = backend_named(paring_bundle::REFERENCE).unwrap();
    subject(backend.name(), |o| backend.executor(o)).unwrap()
}

fn running() -> Vec<Subject> {
    let mut all: Vec<Subject> = registered_backends()
        .into_iter()
        .filter_map(|b| subject(b.name(), |o| b.executor(o)))
        .collect();
    if !all.iter().any(|s| s.name == Neon.name()) {
        let make = |o| Some(Box::new(Neon.executor_at(Level::Baseline, o)) as Box<dyn Executor>);
        all.extend(subject(Neon.name(), make));
    }
    all
}

#[test]
fn every_case_runs_everywhere_or_is_a_known_gap() {
    let reference = reference();
    for subject in running() {
        let mut gaps = Gaps::of(subject.name, "known-gaps.toml");
        for case in cases() {
            gaps.note(&case.name, judge_both(&subject, &reference, &case));
        }
        gaps.settle();
    }
}

#[test]
fn every_op_has_cases_with_names_of_their_own() {
    let cases = cases();
    let names: BTreeSet<&str> = cases.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "two cases have one name");
    for op in paring_ir::registered_ops() {
        let own = cases.iter().filter(|c| c.name.starts_with(&format!("{}/", op.name))).count();
        assert!(own > 0, "`{}` has no case", op.name);
    }
}

#[test]
fn a_wrong_result_is_noticed() {
    let case = cases().into_iter().find(|c| c.name == "conv2d/plain").unwrap();
    let right = run(&*reference().executors[0], &case).unwrap();
    case.check(&right).unwrap();
    let mut wrong = right[0].to_f32();
    wrong[7] += 1e-3;
    let wrong = paring_tensor::Tensor::from_vec(right[0].shape(), wrong).unwrap();
    assert!(case.check(&[wrong]).unwrap_err().contains("element 7"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn drawn_convolutions(case in strategies::conv2d()) {
        for subject in running() {
            prop_assert_eq!(judge_both(&subject, &reference(), &case), Ok(()));
        }
    }

    #[test]
    fn drawn_broadcasts(case in strategies::broadcast()) {
        for subject in running() {
            prop_assert_eq!(judge_both(&subject, &reference(), &case), Ok(()));
        }
    }
}
