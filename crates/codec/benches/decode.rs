//! Decoding speed on one core; throughput counts four bytes a weight.

use divan::Bencher;
use divan::counter::BytesCount;
use paring_codec::{Options, decode, encode};
use paring_tensor::{Bytes, ConstData, DType, Palette, Sparse, Tensor};

#[path = "../tests/common/mod.rs"]
mod common;

fn main() {
    divan::main();
}

/// Roughly Gaussian weights of 3x3 filters, neighbouring taps alike.
fn weights(rows: usize) -> Vec<f32> {
    let mut state = 7_u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    let mut gauss = || (0..6).map(|_| uniform()).sum::<f32>();
    let mut out = vec![0.0; rows * 9 * 64];
    for at in 0..out.len() {
        let before = if at % (9 * 64) >= 64 { out[at - 64] } else { 0.0 };
        out[at] = 0.5 * before + 0.4 * gauss();
    }
    out
}

fn run(bencher: Bencher, data: ConstData) {
    let coded = encode(&data, Options::default());
    let (dtype, shape) = (data.dtype(), data.shape().to_vec());
    let bytes: Bytes = coded.bytes.into();
    bencher
        .counter(BytesCount::new(4 * shape.iter().product::<usize>()))
        .bench(|| decode(coded.codec, &bytes, dtype, &shape));
}

#[divan::bench]
fn dense_int8(bencher: Bencher) {
    let q: Vec<i8> = weights(256).iter().map(|w| (w * 80.0) as i8).collect();
    run(bencher, ConstData::Dense(Tensor::from_vec([256, 3, 3, 64], q).unwrap()));
}

#[divan::bench]
fn dense_int4(bencher: Bencher) {
    let q: Vec<i8> = weights(256).iter().map(|w| (w * 5.0).clamp(-8.0, 7.0) as i8).collect();
    let tensor = Tensor::from_vec([256, 3, 3, 64], q).unwrap().reinterpret(DType::I4).unwrap();
    run(bencher, ConstData::Dense(tensor));
}

#[divan::bench]
fn dense_f32(bencher: Bencher) {
    run(bencher, ConstData::Dense(Tensor::from_vec([256, 3, 3, 64], weights(256)).unwrap()));
}

/// Palette of `entries` levels over kept weights; `share` of the weights is pruned.
fn pruned(entries: usize, share: f32) -> ConstData {
    let weights = weights(256);
    let mut sorted: Vec<f32> = weights.iter().map(|w| w.abs()).collect();
    sorted.sort_by(f32::total_cmp);
    let threshold = sorted[(sorted.len() as f32 * share) as usize];
    let ones = weights.iter().map(|w| i8::from(w.abs() >= threshold)).collect();
    let ones = Tensor::from_vec([256, 3, 3, 64], ones).unwrap();
    let mask = Sparse::from_dense(&ones, &[1; 4], 0).unwrap();
    let top = sorted[sorted.len() - 1];
    let level = |w: f32| ((w / top * 0.5 + 0.5) * (entries - 1) as f32).round() as u8;
    let codes: Vec<u8> = mask.kept().iter().map(|&i| level(weights[i])).collect();
    let book = (0..entries).map(|e| e as f32 - entries as f32 / 2.0).collect();
    let book = Tensor::from_vec([entries], book).unwrap();
    let values = Palette::new([codes.len()], codes.into(), book).unwrap();
    ConstData::Sparse(mask.with_values(ConstData::Palette(values)).unwrap())
}

#[divan::bench]
fn pruned_80_clusters_15(bencher: Bencher) {
    run(bencher, pruned(15, 0.8));
}

#[divan::bench]
fn pruned_67_clusters_255(bencher: Bencher) {
    run(bencher, pruned(255, 0.67));
}

/// The weights of a network, each coded alone; those of ONNX files as far as they are recognised as pruned
/// or clustered.
fn network(file: &str) -> Vec<ConstData> {
    let tensor = |dtype, shape: Vec<usize>, data: Vec<u8>| Tensor::new(dtype, shape, data.into());
    let all: Vec<ConstData> = if file.ends_with(".onnx") {
        let found = common::onnx_floats(file).unwrap_or_default().into_iter();
        found.filter_map(|(s, d)| tensor(DType::F32, s, d).ok()).map(|t| t.recognise(0)).collect()
    } else {
        let found = common::tflite_constants(file).unwrap_or_default().into_iter();
        let known = found.filter_map(|(dtype, shape, data)| {
            let dtype = match dtype {
                common::TFLITE_FLOAT32 => DType::F32,
                common::TFLITE_INT8 => DType::I8,
                _ => return None,
            };
            tensor(dtype, shape, data).ok()
        });
        known.map(ConstData::Dense).collect()
    };
    all.into_iter().filter(|c| c.shape().len() >= 2).collect()
}

#[divan::bench(args = [
    "ic_resnet8_int8.tflite",
    "kws_dscnn_int8.tflite",
    "vww_mnv1_int8.tflite",
    "mcunet_320kb_int8.tflite",
    "ad_autoencoder_int8.tflite",
    "ic_resnet8_float.tflite",
    "squeezenet_v1.0_dc.onnx",
    "lenet5.onnx",
])]
fn real(bencher: Bencher, file: &str) {
    let coded: Vec<_> = network(file)
        .into_iter()
        .map(|c| {
            let coded = encode(&c, Options::default());
            (coded.codec, Bytes::from(coded.bytes), c.dtype(), c.shape().to_vec())
        })
        .collect();
    let elements: usize = coded.iter().map(|c| c.3.iter().product::<usize>()).sum();
    bencher.counter(BytesCount::new(4 * elements)).bench(|| {
        let all = coded.iter().map(|(codec, bytes, dtype, shape)| {
            decode(*codec, bytes, *dtype, shape).map_or(0, |c| c.len())
        });
        all.sum::<usize>()
    });
}
