//! The op suite on every backend that is linked and runs in this process.

use paring_backend::{Backend, ExecOptions, backend_named, registered_backends};
use paring_conformance::{is_listed, judge, known_gaps};
use paring_opsuite::{cases, strategies};
use proptest::prelude::*;
use std::collections::BTreeSet;

fn reference() -> &'static dyn Backend {
    backend_named(paring_bundle::REFERENCE).unwrap()
}

fn running() -> Vec<&'static dyn Backend> {
    let all = registered_backends().into_iter();
    all.filter(|b| b.executor(ExecOptions::default()).is_some()).collect()
}

#[test]
fn every_case_runs_everywhere_or_is_a_known_gap() {
    let mut faults = Vec::new();
    for backend in running() {
        let gaps = known_gaps(backend.name());
        let mut used = BTreeSet::new();
        for case in cases() {
            let verdict = judge(backend, reference(), &case);
            match (verdict, is_listed(&gaps, &case.name)) {
                (Ok(()), false) => {}
                (Err(_), true) => {
                    used.insert(case.name.split('/').next().unwrap().to_owned());
                    used.insert(case.name.clone());
                }
                (Ok(()), true) => {
                    faults.push(format!(
                        "{}: {} is listed as a gap but works",
                        backend.name(),
                        case.name
                    ));
                }
                (Err(why), false) => {
                    faults.push(format!("{}: {}: {why}", backend.name(), case.name))
                }
            }
        }
        for gap in gaps.keys() {
            if !used.contains(gap.trim_end_matches("/*")) {
                faults.push(format!("{}: the gap `{gap}` is no case", backend.name()));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
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
    let right = paring_conformance::run(reference(), &case, Default::default()).unwrap();
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
        for backend in running() {
            prop_assert_eq!(judge(backend, reference(), &case), Ok(()));
        }
    }

    #[test]
    fn drawn_broadcasts(case in strategies::broadcast()) {
        for backend in running() {
            prop_assert_eq!(judge(backend, reference(), &case), Ok(()));
        }
    }
}
