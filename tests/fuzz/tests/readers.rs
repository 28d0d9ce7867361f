//! Every reader copes with damaged files: a few seconds each, or as `PARING_FUZZ_SECONDS` says.

use paring_fuzz::{Counting, Verdict, run, seconds, targets};
use std::sync::Mutex;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Memory is counted for the whole process, so targets take turns.
static TURN: Mutex<()> = Mutex::new(());

fn check(name: &str) {
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    let target = targets::named(name).unwrap_or_else(|| panic!("no target {name}"));
    let outcome = run(target, seconds(2.0));
    println!(
        "{name}: {} files, {} accepted, at most {} % of {} times the file and {} MiB, {:?} the slowest",
        outcome.cases,
        outcome.accepted,
        outcome.memory,
        target.multiple,
        target.floor >> 20,
        outcome.slowest,
    );
}

macro_rules! readers {
    ($($function:ident $name:literal)*) => {
        $(#[test] fn $function() { check($name); })*

        #[test]
        fn every_target_has_a_test() {
            let tested = [$($name),*];
            let all: Vec<_> = targets::ALL.iter().map(|t| t.name).collect();
            assert_eq!(all, tested);
        }
    };
}

readers! {
    onnx "onnx"
    tflite "tflite"
    keras_h5 "keras-h5"
    keras_archive "keras-archive"
    keras_json "keras-json"
    caffe_prototxt "caffe-prototxt"
    caffe_caffemodel "caffe-caffemodel"
    caffe_hdf5 "caffe-hdf5"
    paring "paring"
    text "text"
    safetensors "safetensors"
    npz "npz"
    npy "npy"
}

#[test]
fn files_that_are_cut_off_are_refused() {
    let _turn = TURN.lock().unwrap_or_else(|e| e.into_inner());
    for target in targets::ALL {
        let seed = (target.seeds)().swap_remove(0);
        let step = (seed.len() / 500).max(1);
        for len in (0..seed.len()).step_by(step) {
            if let Verdict::Broken(why) = (target.read)(seed[..len].to_vec()) {
                panic!("{} cut at {len}: {why}", target.name);
            }
        }
    }
}
