//! Sizes and speed on real weights; skipped where the shared data is not there.

mod common;

use common::*;
use paring_codec::{Options, Statistics, decode, encode};
use paring_tensor::{Bytes, ConstData, DType, Palette, Sparse, Tensor};

/// Coded bytes of the int8 weights (two axes or more, not biases) of a TFLite file, each coded alone.
fn int8_weights(file: &str) -> Option<(usize, usize)> {
    let (mut elements, mut bytes) = (0, 0);
    for (dtype, shape, data) in tflite_constants(file)? {
        if dtype == TFLITE_INT8 && shape.len() >= 2 {
            let tensor = Tensor::new(DType::I8, shape.clone(), Bytes::from(data)).unwrap();
            let constant = ConstData::Dense(tensor);
            let coded = encode(&constant, Options::default());
            let back = decode(coded.codec, &coded.bytes.clone().into(), DType::I8, &shape).unwrap();
            assert!(back == constant, "{shape:?} of {file} came back changed");
            elements += constant.dense().len();
            bytes += coded.bytes.len();
        }
    }
    println!("{file}: {elements} weights in {bytes} bytes");
    Some((elements, bytes))
}

#[test]
fn int8_networks_fit() {
    let Some((weights, bytes)) = int8_weights("ic_resnet8_int8.tflite") else { return };
    assert_eq!(weights, 77_360);
    assert!(bytes <= 69_000, "{bytes}");
    let (weights, bytes) = int8_weights("kws_dscnn_int8.tflite").unwrap();
    assert_eq!(weights, 22_016);
    assert!(bytes <= 21_000, "{bytes}");
}

/// Lloyd's algorithm on a line from evenly spaced starts.
fn k_means(values: &[f32], k: usize) -> Vec<f32> {
    let low = values.iter().copied().fold(f32::MAX, f32::min);
    let high = values.iter().copied().fold(f32::MIN, f32::max);
    let mut centres: Vec<f32> =
        (0..k).map(|i| low + (high - low) * i as f32 / (k - 1) as f32).collect();
    for _ in 0..60 {
        let mut sums = vec![(0.0_f64, 0_usize); k];
        for &v in values {
            let nearest = nearest(&centres, v);
            sums[nearest].0 += f64::from(v);
            sums[nearest].1 += 1;
        }
        for (centre, (sum, n)) in centres.iter_mut().zip(sums) {
            if n > 0 {
                *centre = (sum / n as f64) as f32;
            }
        }
    }
    centres.sort_by(f32::total_cmp);
    centres
}

fn nearest(centres: &[f32], v: f32) -> usize {
    let distance = |i: &usize| (centres[*i] - v).abs();
    (0..centres.len()).min_by(|a, b| distance(a).total_cmp(&distance(b))).unwrap()
}

#[test]
fn a_pruned_clustered_int8_network_takes_less_than_1_35_bits_a_weight() {
    let Some(constants) = tflite_constants("ic_resnet8_float.tflite") else { return };
    let (mut elements, mut bytes, mut entropy) = (0, 0, 0.0);
    for (dtype, shape, data) in constants {
        if dtype != TFLITE_FLOAT32 || shape.len() < 2 {
            continue;
        }
        let weights: Vec<f32> =
            data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect();
        let mut sorted: Vec<f32> = weights.iter().map(|w| w.abs()).collect();
        sorted.sort_by(f32::total_cmp);
        let threshold = sorted[weights.len() * 8 / 10];
        let kept: Vec<f32> = weights.iter().copied().filter(|w| w.abs() >= threshold).collect();
        let centres = k_means(&kept, 15);
        let scale = centres.iter().fold(0.0_f32, |m, c| m.max(c.abs())) / 127.0;
        let book: Vec<i8> = centres.iter().map(|c| (c / scale).round() as i8).collect();
        let codes: Vec<u8> = kept.iter().map(|&w| nearest(&centres, w) as u8).collect();
        let ones: Vec<i8> = weights.iter().map(|w| i8::from(w.abs() >= threshold)).collect();
        let mask = Sparse::from_dense(
            &Tensor::from_vec(shape.clone(), ones).unwrap(),
            &vec![1; shape.len()],
            0,
        )
        .unwrap();
        let codebook = Tensor::from_vec([15], book).unwrap();
        let values = Palette::new([codes.len()], codes.into(), codebook).unwrap();
        let sparse = mask.with_values(ConstData::Palette(values)).unwrap();
        let constant = ConstData::Sparse(sparse);
        let coded = encode(&constant, Options::default());
        let back = decode(coded.codec, &coded.bytes.clone().into(), DType::I8, &shape).unwrap();
        assert!(back == constant);
        let statistics = Statistics::of_coded(&constant, coded.bytes.len());
        entropy += statistics.entropy * statistics.elements as f64;
        elements += weights.len();
        bytes += coded.bytes.len();
    }
    assert_eq!(elements, 77_360);
    let bits = bytes as f64 * 8.0 / elements as f64;
    println!("{bits:.4} bits a weight, entropy {:.4}", entropy / elements as f64);
    assert!(bits <= 1.31, "{bits}");
}

#[test]
fn a_codebook_network_is_recognised_and_fits() {
    let Some(constants) = onnx_floats("squeezenet_v1.0_dc.onnx") else { return };
    let (mut elements, mut bytes, mut structured) = (0, 0, 0);
    let mut slowest = f64::INFINITY;
    for (shape, data) in constants {
        let tensor = Tensor::new(DType::F32, shape.clone(), data.into()).unwrap();
        let constant = tensor.recognise(0);
        assert!(constant.dense() == tensor, "recognising is exact");
        structured += usize::from(!matches!(constant, ConstData::Dense(_)));
        let coded = encode(&constant, Options::default());
        let blob = coded.bytes.into();
        let start = std::time::Instant::now();
        let back = decode(coded.codec, &blob, DType::F32, &shape).unwrap();
        if tensor.len() > 50_000 {
            let speed = tensor.bytes().len() as f64 / start.elapsed().as_secs_f64() / 1e6;
            slowest = slowest.min(speed);
        }
        assert!(back == constant);
        elements += tensor.len();
        bytes += blob.len();
    }
    println!(
        "{elements} floats in {bytes} bytes, {structured} constants structured, {slowest:.0} MB/s"
    );
    assert!(structured >= 26, "{structured}");
    assert!(bytes <= 600_000, "{bytes}");
}
