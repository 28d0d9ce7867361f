//! Every source on small files made here: good ones give the right samples, damaged ones an error
//! that names the file.

mod common;

use common::error;
use flate2::Compression;
use flate2::write::GzEncoder;
use paring_data::npy::write_npz;
use paring_data::{DataSpec, Dataset, Result, Sample, shapes, stack};
use paring_tensor::{DType, Tensor};
use rayon::prelude::*;
use std::fs;
use std::io::Write;
use std::path::Path;
use tempfile::TempDir;

fn open(text: &str) -> Result<Box<dyn Dataset>> {
    text.parse::<DataSpec>()?.open()
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn values(sample: &Sample) -> Vec<f32> {
    sample.inputs[0].to_f32()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn png(path: &Path, width: u32, height: u32, color: png::ColorType, pixels: &[u8]) {
    let mut encoder = png::Encoder::new(fs::File::create(path).unwrap(), width, height);
    encoder.set_color(color);
    encoder.write_header().unwrap().write_image_data(pixels).unwrap();
}

#[test]
fn shapes_give_what_the_generator_draws() {
    let data = open("shapes:train").unwrap();
    assert_eq!(data.len(), 16_000);
    assert_eq!(data.classes(), shapes::CLASSES);
    let drawn = shapes::draw("train".parse().unwrap(), 77);
    let sample = data.sample(77).unwrap();
    assert_eq!(sample.label, Some(drawn.label));
    assert_eq!(sample.inputs[0].shape(), [32, 32, 1]);
    assert_eq!(values(&sample), drawn.pixels.iter().map(|&p| f32::from(p)).collect::<Vec<_>>());
    assert!(error(data.sample(16_000)).contains("sample 16000 of a data set of 16000"));
}

#[test]
fn threads_see_the_same_samples() {
    let data = open("shapes:test,limit=64").unwrap();
    let alone: Vec<_> = (0..64).map(|i| data.sample(i).unwrap()).collect();
    let together: Vec<_> = (0..64).into_par_iter().map(|i| data.sample(i).unwrap()).collect();
    assert_eq!(alone, together);
}

/// A record whose pixel (y, x) is (y, x, y + x).
fn cifar_record(label: u8) -> Vec<u8> {
    let at = |f: fn(usize, usize) -> usize| (0..1024).map(move |i| f(i / 32, i % 32) as u8);
    [label].into_iter().chain(at(|y, _| y)).chain(at(|_, x| x)).chain(at(|y, x| y + x)).collect()
}

#[test]
fn cifar10_records_become_hwc() {
    let dir = folder();
    let path = dir.path().display();
    fs::write(dir.path().join("data_batch_1.bin"), cifar_record(3)).unwrap();
    fs::write(dir.path().join("data_batch_3.bin"), [cifar_record(4), cifar_record(5)].concat())
        .unwrap();
    let data = open(&format!("cifar10:{path}:train")).unwrap();
    let labels: Vec<_> = (0..3).map(|i| data.sample(i).unwrap().label).collect();
    assert_eq!(labels, [Some(3), Some(4), Some(5)]);
    let sample = data.sample(2).unwrap();
    assert_eq!(sample.inputs[0].shape(), [32, 32, 3]);
    let at = (7 * 32 + 9) * 3;
    assert_eq!(values(&sample)[at..at + 3], [7.0, 9.0, 16.0]);
}

#[test]
fn damaged_cifar10_is_refused() {
    let dir = folder();
    let path = dir.path().display();
    let none = error(open(&format!("cifar10:{path}:test")));
    assert!(none.contains("holds none of test_batch.bin; unpack"), "{none}");
    let file = dir.path().join("test_batch.bin");
    fs::write(&file, &cifar_record(0)[..3000]).unwrap();
    let cut = error(open(&format!("cifar10:{path}:test")));
    assert!(cut.contains("test_batch.bin: has 3000 bytes"), "{cut}");
    fs::write(&file, cifar_record(10)).unwrap();
    let label = error(open(&format!("cifar10:{path}:test")).unwrap().sample(0));
    assert!(label.contains("record 0 has label 10 of 10"), "{label}");
}

fn idx(dims: &[u32], data: &[u8]) -> Vec<u8> {
    let extents = dims.iter().flat_map(|d| d.to_be_bytes());
    [0, 0, 8, dims.len() as u8].into_iter().chain(extents).chain(data.iter().copied()).collect()
}

#[test]
fn mnist_is_read_packed_and_not() {
    let images = idx(&[2, 2, 3], &[0, 1, 2, 3, 4, 5, 10, 11, 12, 13, 14, 15]);
    let labels = idx(&[2], &[7, 9]);
    let packed = folder();
    fs::write(packed.path().join("t10k-images-idx3-ubyte.gz"), gzip(&images)).unwrap();
    fs::write(packed.path().join("t10k-labels-idx1-ubyte.gz"), gzip(&labels)).unwrap();
    let plain = folder();
    fs::write(plain.path().join("t10k-images.idx3-ubyte"), &images).unwrap();
    fs::write(plain.path().join("t10k-labels-idx1-ubyte"), &labels).unwrap();
    for dir in [packed, plain] {
        let data = open(&format!("mnist:{}:test", dir.path().display())).unwrap();
        assert_eq!(data.len(), 2);
        let sample = data.sample(1).unwrap();
        assert_eq!((sample.label, sample.inputs[0].shape()), (Some(9), &[2, 3, 1][..]));
        assert_eq!(values(&sample), [10.0, 11.0, 12.0, 13.0, 14.0, 15.0]);
    }
}

#[test]
fn damaged_mnist_is_refused() {
    let good_images = idx(&[1, 2, 2], &[1, 2, 3, 4]);
    let good_labels = idx(&[1], &[0]);
    let cases: [(Vec<u8>, Vec<u8>, &str); 10] = [
        (vec![], good_labels.clone(), "images-idx3-ubyte.gz: ends inside its header"),
        (good_images[..19].to_vec(), good_labels.clone(), "declares [1, 2, 2] but holds 3"),
        (gzip(&good_images[..19]), good_labels.clone(), "declares [1, 2, 2] but holds less"),
        (gzip(&idx(&[1, 2, 2], &[0; 5])), good_labels.clone(), "but holds more"),
        (gzip(&good_images)[..15].to_vec(), good_labels.clone(), "cannot be unpacked"),
        (idx(&[u32::MAX; 3], &[]), good_labels.clone(), "more than memory can hold"),
        (gzip(&idx(&[1 << 16, 1 << 10, 1 << 10], &[])), good_labels.clone(), "unpack to"),
        (idx(&[8], &[0; 8]), good_labels.clone(), "starts with [00, 00, 08, 01]"),
        (good_images.clone(), idx(&[2], &[0, 1]), "has 2 labels for the 1 pictures"),
        (good_images.clone(), b"not an idx file".to_vec(), "labels-idx1-ubyte.gz: starts with"),
    ];
    for (images, labels, expected) in cases {
        let dir = folder();
        fs::write(dir.path().join("train-images-idx3-ubyte.gz"), images).unwrap();
        fs::write(dir.path().join("train-labels-idx1-ubyte.gz"), labels).unwrap();
        let error = error(open(&format!("mnist:{}:train", dir.path().display())));
        assert!(error.contains(expected), "`{error}` lacks `{expected}`");
    }
    let empty = folder();
    let missing = error(open(&format!("mnist:{}:train", empty.path().display())));
    assert!(missing.contains("holds no train-images-idx3-ubyte"), "{missing}");
}

#[test]
fn picture_folders_are_labelled_three_ways() {
    let listed = folder();
    png(&listed.path().join("a.png"), 2, 1, png::ColorType::Rgb, &[1, 2, 3, 4, 5, 6]);
    png(&listed.path().join("b.png"), 2, 1, png::ColorType::Rgba, &[7, 8, 9, 0, 1, 2, 3, 0]);
    fs::write(listed.path().join("labels.csv"), "file,class_index\nb.png,1\na.png, 0\n").unwrap();
    fs::write(listed.path().join("classes.txt"), "cat\ndog\n").unwrap();
    let data = open(&format!("images:{}", listed.path().display())).unwrap();
    assert_eq!((data.len(), data.classes()), (2, &["cat".to_owned(), "dog".to_owned()][..]));
    let sample = data.sample(0).unwrap();
    assert_eq!((sample.label, sample.inputs[0].shape()), (Some(1), &[1, 2, 3][..]));
    assert_eq!(values(&sample), [7.0, 8.0, 9.0, 1.0, 2.0, 3.0]);

    let sorted = folder();
    for (class, gray) in [("zebra", 5), ("ant", 9)] {
        fs::create_dir(sorted.path().join(class)).unwrap();
        let file = sorted.path().join(class).join("x.PNG");
        png(&file, 1, 1, png::ColorType::Grayscale, &[gray]);
    }
    let data = open(&format!("images:{},color=gray", sorted.path().display())).unwrap();
    assert_eq!(data.classes(), ["ant", "zebra"]);
    assert_eq!(values(&data.sample(0).unwrap()), [9.0]);
    assert_eq!(data.sample(1).unwrap().label, Some(1));

    let flat = folder();
    png(&flat.path().join("x.png"), 1, 1, png::ColorType::Grayscale, &[5]);
    fs::write(flat.path().join("readme.txt"), "no picture").unwrap();
    let data = open(&format!("images:{}", flat.path().display())).unwrap();
    let sample = data.sample(0).unwrap();
    assert_eq!((data.len(), sample.label, values(&sample)), (1, None, vec![5.0; 3]));
}

#[test]
fn damaged_picture_folders_are_refused() {
    let dir = folder();
    let spec = format!("images:{}", dir.path().display());
    assert!(error(open(&spec)).contains("holds no JPEG or PNG files; give a folder"));
    let list = dir.path().join("labels.csv");
    png(&dir.path().join("a.png"), 1, 1, png::ColorType::Grayscale, &[5]);
    for (text, expected) in [
        ("a.png\n", "labels.csv: line 1 has no label"),
        ("a.png,0\na.png,cat\n", "labels.csv: line 2 has label `cat`"),
        ("a.png,0\n\nnone.png,1\n", "labels.csv: names `none.png`, which is not there"),
        ("a.png,-1\n", "label `-1`"),
        (",1\n", "names no file"),
        ("file,label\n", "lists no files"),
        ("", "lists no files"),
    ] {
        fs::write(&list, text).unwrap();
        let error = error(open(&spec));
        assert!(error.contains(expected), "`{error}` lacks `{expected}`");
    }
    fs::write(&list, b"a.png,\xff\xfe\n").unwrap();
    assert!(error(open(&spec)).contains("labels.csv"));

    fs::write(&list, "a.png,0").unwrap();
    let good = fs::read(dir.path().join("a.png")).unwrap();
    let mut huge = good.clone();
    huge[16..24].copy_from_slice(&[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff]);
    let cases = [&b"BM not read"[..], &good[..30], &huge, b"\xff\xd8\xff", b""];
    for bytes in cases {
        fs::write(dir.path().join("a.png"), bytes).unwrap();
        let error = error(open(&spec).unwrap().sample(0));
        assert!(error.contains("a.png: ") && error.contains("replace or remove"), "{error}");
    }
}

#[test]
fn kws01_gives_real_numbers() {
    let dir = folder();
    let bytes: Vec<u8> = (0..490).map(|i| i as u8).collect();
    fs::write(dir.path().join("a.bin"), &bytes).unwrap();
    fs::write(dir.path().join("y_labels.csv"), "a.bin,12,7\n").unwrap();
    let spec = format!("kws01:{}", dir.path().display());
    let data = open(&spec).unwrap();
    let sample = data.sample(0).unwrap();
    assert_eq!((sample.label, sample.inputs[0].shape()), (Some(7), &[49, 10, 1][..]));
    // An int8 model with the benchmark's quantization gets the stored bytes back.
    let scale = 0.584_702_9_f32;
    let stored = values(&sample).into_iter().map(|v| ((v / scale).round() as i32 + 83) as i8 as u8);
    assert_eq!(stored.collect::<Vec<_>>(), bytes);

    fs::write(dir.path().join("a.bin"), [0; 489]).unwrap();
    assert!(error(data.sample(0)).contains("a.bin: has 489 bytes instead of 490"));
    fs::remove_file(dir.path().join("a.bin")).unwrap();
    assert!(error(data.sample(0)).contains("a.bin"));
    fs::write(dir.path().join("y_labels.csv"), "a.bin,12,12\n").unwrap();
    assert!(error(open(&spec)).contains("label 12 of 12 classes"));
    let size = error(open(&format!("{spec},size=10")));
    assert!(size.contains("size applies to pictures"), "{size}");
}

#[test]
fn npz_keeps_the_type_of_the_file() {
    let dir = folder();
    let path = dir.path().join("x.npz");
    let first = Tensor::from_vec([2, 3], vec![1_i8, 2, 3, -4, -5, -6]).unwrap();
    let second = Tensor::from_vec([2], vec![0.5_f32, 1.5]).unwrap();
    let labels = Tensor::from_vec([2, 1], vec![4_i32, 0]).unwrap();
    write_npz(&path, [("input_0", &first), ("input_1", &second), ("labels", &labels)]).unwrap();
    let data = open(&path.display().to_string()).unwrap();
    let sample = data.sample(1).unwrap();
    assert_eq!(sample.inputs[0], Tensor::from_vec([3], vec![-4_i8, -5, -6]).unwrap());
    assert_eq!(sample.inputs[1], Tensor::scalar(1.5_f32));
    assert_eq!(sample.label, Some(0));
    let batch = stack(&[data.sample(0).unwrap(), sample]).unwrap();
    assert_eq!(batch, [first.clone(), second]);
    let scaled = open(&format!("npz:{},mean=1,std=2", path.display())).unwrap();
    assert_eq!(values(&scaled.sample(0).unwrap()), [0.0, 0.5, 1.0]);

    let bad: [(&[(&str, &Tensor)], &str); 4] = [
        (&[("x", &first)], "has no array `input_0`; it has x"),
        (&[("input_0", &Tensor::scalar(1_u8))], "`input_0` has no sample axis"),
        (
            &[("input_0", &first), ("labels", &Tensor::zeros(DType::I64, [3]).unwrap())],
            "`labels` has 3 samples and `input_0` 2",
        ),
        (
            &[("input_0", &first), ("labels", &Tensor::from_vec([2], vec![0, -1_i64]).unwrap())],
            "label -1 is no class index",
        ),
    ];
    for (arrays, expected) in bad {
        write_npz(&path, arrays.iter().copied()).unwrap();
        let error = error(open(&format!("npz:{}", path.display())));
        assert!(error.contains("x.npz: ") && error.contains(expected), "{error}");
    }
    assert!(error(open("npz:/no/such.npz")).contains("/no/such.npz: "));
}

#[test]
fn batches_of_unequal_samples_are_refused() {
    let sample =
        |n: usize| Sample { inputs: vec![Tensor::zeros(DType::F32, [n]).unwrap()], label: None };
    assert!(error(stack(&[sample(1), sample(2)])).contains("f32[1] and f32[2]"));
    assert_eq!(stack(&[]).unwrap(), []);
}
