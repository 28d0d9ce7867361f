//! Clusters of the weights of real networks.

use paring_format::ReadOptions;
use paring_format_keras as _;
use paring_pass_cluster::{Points, Random, Start};
use paring_shared::data;
use std::time::Instant;

/// The weights of each layer of ResNet-8.
fn layers() -> Vec<Vec<f64>> {
    let Some(data) = data() else { return Vec::new() };
    let path = data.join("models/keras/ic_resnet8.h5");
    let graph = paring_format::read(&path, &ReadOptions::default()).unwrap();
    let constants = graph.values().filter_map(|v| v.constant());
    constants.filter(|c| c.shape().len() >= 2).map(|c| c.dense().to_f64()).collect()
}

#[test]
fn no_restart_of_lloyd_is_better_on_real_layers() {
    for weights in layers() {
        let points = Points::new(weights.iter().map(|w| (*w, 1.0)).collect());
        let mut random = Random(1);
        for k in [4, 16] {
            let best = points.cost_of(&points.optimal(k));
            for restart in 0..200 {
                let start = [Start::Random, Start::KMeansPlusPlus][restart % 2];
                let found = points.cost_of(&points.lloyd(start, k, &mut random));
                assert!(
                    best <= found * (1.0 + 1e-9),
                    "{} weights, {k}: {best} {found}",
                    weights.len()
                );
            }
            for start in [Start::Linear, Start::DensityBased] {
                let found = points.cost_of(&points.lloyd(start, k, &mut random));
                assert!(best <= found * (1.0 + 1e-9), "{start:?}");
            }
        }
    }
}

/// As many weights as MobileNetV2 has, its largest layer of 1.28 million among them.
#[test]
fn a_mobilenet_takes_seconds() {
    let mut random = Random(3);
    let start = Instant::now();
    for size in [1_280_000, 409_600, 307_200, 153_600, 153_600, 153_600, 92_160, 57_600] {
        let gauss = |random: &mut Random| (0..6).map(|_| random.uniform()).sum::<f64>() - 3.0;
        let points = Points::new((0..size).map(|_| (gauss(&mut random), 1.0)).collect());
        assert_eq!(points.optimal(16).len(), 16);
    }
    let seconds = start.elapsed().as_secs_f64();
    assert!(seconds < 120.0, "{seconds} s");
}
