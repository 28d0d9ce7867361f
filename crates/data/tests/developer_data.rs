//! The real data sets against the model inputs that other tools made of them.

use paring_data::npy::Npz;
use paring_data::rng::Rng;
use paring_data::{DataSpec, Dataset, picture};
use paring_tensor::Tensor;

/// The rows of `input_0` as `f32`, brought from NCHW to NHWC if so.
fn expected(file: &str, channels_first: bool) -> Option<(Vec<Vec<f32>>, Vec<i64>)> {
    let npz = Npz::open(&paring_shared::data()?.join("expected").join(file)).unwrap();
    let mut input: Tensor = npz.get("input_0").unwrap();
    if channels_first {
        input = input.transpose(&[0, 2, 3, 1]).unwrap();
    }
    let row = input.len() / input.shape()[0];
    let rows = input.to_f32().chunks(row).map(<[f32]>::to_vec).collect();
    Some((rows, npz.get("labels").unwrap().to_i64()))
}

fn open(spec: &str) -> Box<dyn Dataset> {
    let data = paring_shared::data().unwrap().join("datasets");
    spec.parse::<DataSpec>().unwrap().open_at(&data).unwrap()
}

/// Every expected row is found among the samples, under its label and within `tolerance`.
fn check(spec: &str, file: &str, channels_first: bool, tolerance: f32) {
    let Some((rows, labels)) = expected(file, channels_first) else { return };
    let data = open(spec);
    let samples: Vec<_> = (0..data.len().min(1100)).map(|i| data.sample(i).unwrap()).collect();
    let samples: Vec<_> = samples.iter().map(|s| (s.label, s.inputs[0].to_f32())).collect();
    for (row, label) in rows.iter().zip(&labels) {
        let found = samples.iter().any(|(own, values)| {
            *own == Some(*label as usize)
                && values.len() == row.len()
                && values.iter().zip(row).all(|(a, b)| (a - b).abs() <= tolerance)
        });
        assert!(found, "{spec}: a sample of {file} with label {label} is missing");
    }
}

#[test]
fn cifar10_raw() {
    check("cifar10:cifar10:test", "ic_resnet8_float.npz", false, 0.0);
}

#[test]
fn cifar10_less_the_mean_image() {
    let spec = "cifar10:cifar10:test,mean_image=cifar10/mean_chw_f32.bin";
    check(spec, "cifar10_m7.npz", true, 0.0);
}

#[test]
fn mnist_raw_and_scaled() {
    check("mnist:mnist:test", "mnist_8.npz", true, 0.0);
    check("mnist:mnist:test,range=0..1", "conv_fc_mnist_float.npz", false, 0.0);
}

#[test]
fn mnist_training_pictures() {
    if paring_shared::data().is_none() {
        return;
    }
    let data = open("mnist:mnist:train");
    assert_eq!(data.len(), 60_000);
    assert_eq!(data.sample(0).unwrap().label, Some(5));
}

#[test]
fn cifar10_training_pictures() {
    if paring_shared::data().is_none() {
        return;
    }
    let data = open("cifar10:cifar10:train,shuffle=1,limit=512");
    assert_eq!(data.len(), 512);
    assert_eq!(data.classes()[6], "frog");
    assert!((0..512).all(|i| data.sample(i).is_ok()));
}

#[test]
fn keyword_features() {
    // The scale of the files and that of the float model differ in the eighth digit.
    check("kws01:kws01", "kws_dscnn_float.npz", false, 1e-4);
}

#[test]
fn photographs() {
    if paring_shared::data().is_none() {
        return;
    }
    let data = open("images:imagenet200,size=176,range=-1..1");
    assert_eq!((data.len(), data.classes().len()), (200, 1000));
    let sample = data.sample(3).unwrap();
    assert_eq!((sample.label, sample.inputs[0].shape()), (Some(15), &[176, 176, 3][..]));
    assert!(sample.inputs[0].to_f32().iter().all(|v| (-1.0..=1.0).contains(v)));
}

#[test]
fn damaged_photographs_never_panic() {
    let Some(data) = paring_shared::data() else { return };
    let folder = data.join("datasets/imagenet200");
    let whole = std::fs::read(folder.join("0000_n01440764.jpg")).unwrap();
    let origin = std::path::Path::new("x.jpg");
    for len in (0..whole.len() - 4).step_by(97) {
        assert!(picture::decode(&whole[..len], origin).is_err(), "cut to {len} bytes");
    }
    let mut rng = Rng::new(1, 1);
    for round in 0..300 {
        let mut bytes = whole.clone();
        for _ in 0..=rng.below(4) {
            // The tables in front break a decoder sooner than the coefficients.
            let reach = if round % 2 == 0 { 700 } else { bytes.len() as u64 };
            let at = rng.below(reach) as usize;
            bytes[at] = rng.next_u32() as u8;
        }
        bytes.truncate(bytes.len() - rng.below(whole.len() as u64 / 2) as usize);
        if let Err(error) = picture::decode(&bytes, origin) {
            assert!(error.to_string().starts_with("x.jpg: "), "{error}");
        }
    }
}
