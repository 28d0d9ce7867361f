//! Models of the shared data folder: what they compute is what ONNX Runtime computed, and their weights
//! stay in the file.

mod common;

use common::{executor, read};
use paring_data::npy::Npz;
use paring_shared::data;
use paring_tensor::Tensor;

/// Sample `k` of stacked samples, in the shape of a graph's value.
fn sample(stacked: &Tensor, k: usize, shape: &[usize]) -> Tensor {
    let n = stacked.shape()[0];
    let size = stacked.bytes().len() / n;
    let bytes = stacked.bytes().slice(k * size..(k + 1) * size);
    Tensor::new(stacked.dtype(), shape, bytes).expect("a sample of the input's shape")
}

/// The largest difference of any output relative to that output's largest magnitude.
fn worst(name: &str, samples: usize) -> Option<f64> {
    let data = data()?;
    let graph = read(&data.join(format!("models/onnx/{name}.onnx")), &[]).expect("a model");
    let expected = Npz::open(&data.join(format!("expected/{name}.npz"))).expect("expected outputs");
    let mut session = executor().prepare(graph.verified().expect("verified")).expect("runs");
    let get = |kind: &str, i: usize| expected.get(&format!("{kind}_{i}")).expect("an array");
    let inputs: Vec<Tensor> = (0..graph.inputs().len()).map(|i| get("input", i)).collect();
    let outputs: Vec<Tensor> = (0..graph.outputs().len()).map(|i| get("output", i)).collect();
    let mut worst = 0.0_f64;
    for k in 0..samples.min(inputs[0].shape()[0]) {
        let given: Vec<Tensor> = inputs
            .iter()
            .zip(graph.inputs())
            .map(|(x, p)| sample(x, k, &graph.ty(p.value).shape.fixed().expect("numbers")))
            .collect();
        for ((got, want), port) in
            session.run(&given).expect("outputs").iter().zip(&outputs).zip(graph.outputs())
        {
            let want = sample(want, k, &graph.ty(port.value).shape.fixed().expect("numbers"));
            let (got, want) = (got.to_f64(), want.to_f64());
            let scale = want.iter().fold(1e-30_f64, |m, x| m.max(x.abs()));
            let off = got.iter().zip(&want).fold(0.0_f64, |m, (g, w)| m.max((g - w).abs()));
            worst = worst.max(off / scale);
        }
    }
    println!("{name}: {worst:.2e}");
    Some(worst)
}

macro_rules! reproduces {
    ($($test:ident $name:literal $samples:literal),* $(,)?) => {$(
        #[test]
        fn $test() {
            let Some(worst) = worst($name, $samples) else { return };
            assert!(worst <= 1e-4, "{}: {worst}", $name);
        }
    )*};
}

reproduces! {
    mnist_8 "mnist_8" 16,
    lenet300100 "lenet300100" 16,
    lenet5 "lenet5" 16,
    cifar10_m7 "cifar10_m7" 16,
    squeezenet "squeezenet_v1.0_dc" 2,
    mcunet "mcunet_320kb_bn" 2,
    ultraface "ultraface_slim_320" 2,
    super_resolution "super_resolution_10" 1,
}
