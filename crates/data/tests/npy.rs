//! `.npy` and `.npz` files: what goes in comes out, and damaged ones are refused with their name.

use paring_data::npy::{self, Npz, NpzWriter, write_npz};
use paring_tensor::{DType, Tensor};
use proptest::prelude::*;
use std::path::Path;

fn decode(bytes: &[u8]) -> Result<Tensor, String> {
    npy::decode(bytes.to_vec().into(), Path::new("x.npy")).map_err(|e| e.to_string())
}

fn array(descr: &str, fortran: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    let text = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    let len = (text.len() as u16).to_le_bytes();
    [b"\x93NUMPY\x01\x00", &len[..], text.as_bytes(), data].concat()
}

#[test]
fn every_type_round_trips() {
    let dir = tempfile::tempdir().unwrap();
    for dtype in DType::ALL {
        let values = Tensor::from_vec([2, 3], vec![0.0_f32, 1.0, 2.0, 3.0, 5.0, 7.0]).unwrap();
        let tensor = values.cast(dtype);
        let path = dir.path().join(format!("{dtype}.npy"));
        npy::write_npy(&path, &tensor).unwrap();
        let back = npy::read_npy(&path).unwrap();
        let stored = match dtype {
            DType::BF16 => DType::F32,
            DType::I4 => DType::I8,
            other => other,
        };
        assert_eq!(back.dtype(), stored);
        assert_eq!(back.shape(), [2, 3]);
        assert_eq!(back.to_f64(), tensor.to_f64());
    }
}

#[test]
fn scalars_and_empty_arrays_round_trip() {
    for tensor in [Tensor::scalar(3_i64), Tensor::zeros(DType::F32, [0, 4]).unwrap()] {
        assert_eq!(decode(&npy::encode(&tensor)).unwrap(), tensor);
    }
}

#[test]
fn elements_begin_at_a_multiple_of_64() {
    let bytes = npy::encode(&Tensor::from_vec([1], vec![1_u8]).unwrap());
    assert_eq!(bytes.len() % 64, 1);
}

#[test]
fn column_order_and_big_endian_are_converted() {
    // The 2x3 array [[1, 2, 3], [4, 5, 6]] by columns, high byte first.
    let data = [0, 1, 0, 4, 0, 2, 0, 5, 0, 3, 0, 6];
    let tensor = decode(&array(">i2", "True", "(2, 3)", &data)).unwrap();
    assert_eq!(tensor, Tensor::from_vec([2, 3], vec![1_i16, 2, 3, 4, 5, 6]).unwrap());
}

#[test]
fn damaged_arrays_are_refused() {
    let huge = "(9223372036854775807, 9223372036854775807)";
    let cases: [(Vec<u8>, &str); 10] = [
        (b"".to_vec(), "does not start as an .npy array"),
        (b"\x93NUMPY\x01".to_vec(), "ends inside the .npy header"),
        (b"\x93NUMPY\x09\x00\x00\x00".to_vec(), "version 9"),
        (b"\x93NUMPY\x02\x00\xff\xff\xff\xff{".to_vec(), "header of 4294967295 bytes"),
        (array("<f4", "False", huge, &[]), "more than memory can hold"),
        (array("<f4", "False", "(1000000000,)", &[0; 8]), "but holds 8"),
        (array("|O", "False", "(1,)", &[0; 8]), "`|O`, which are not numbers"),
        (array("<f4", "Maybe", "(1,)", &[0; 4]), "no `False`"),
        (array("<f4", "False", "(-1,)", &[0; 4]), "no extent at `-1"),
        (array("<f4", "False", "(1,), 'more': 1", &[0; 4]), "unknown key `more`"),
    ];
    for (bytes, expected) in cases {
        let error = decode(&bytes).unwrap_err();
        assert!(error.starts_with("x.npy: "), "{error}");
        assert!(error.contains(expected), "`{error}` lacks `{expected}`");
    }
}

#[test]
fn archives_round_trip_and_are_reproducible() {
    let dir = tempfile::tempdir().unwrap();
    let a = Tensor::from_vec([4], vec![1.0_f32, -2.0, 3.5, f32::NAN]).unwrap();
    let b = Tensor::zeros(DType::I8, [100, 100]).unwrap();
    for compressed in [false, true] {
        let write = |name: &str| {
            let path = dir.path().join(name);
            let mut writer = NpzWriter::new(&path, compressed);
            writer.add("input_0", &a).unwrap();
            writer.add("input_1", &b).unwrap();
            writer.finish().unwrap();
            path
        };
        let (one, two) = (write("one.npz"), write("two.npz"));
        assert_eq!(std::fs::read(&one).unwrap(), std::fs::read(&two).unwrap());
        let npz = Npz::open(&one).unwrap();
        assert_eq!(npz.names(), ["input_0", "input_1"]);
        assert!(npz.has("input_1") && !npz.has("labels"));
        assert_eq!(npz.get("input_0").unwrap(), a);
        assert_eq!(npz.get("input_1").unwrap(), b);
        let error = npz.get("input_2").unwrap_err().to_string();
        assert!(error.contains("has no array `input_2`; it has input_0, input_1"), "{error}");
    }
}

#[test]
fn an_unfinished_archive_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npz");
    let mut writer = NpzWriter::new(&path, true);
    writer.add("a", &Tensor::scalar(1_u8)).unwrap();
    assert!(writer.add("a", &Tensor::scalar(1_u8)).is_err());
    drop(writer);
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    let nowhere = dir.path().join("no/such/x.npz");
    let error = write_npz(&nowhere, []).unwrap_err().to_string();
    assert!(error.contains("x.npz"), "{error}");
}

#[test]
fn cut_and_flipped_archives_never_panic() {
    let dir = tempfile::tempdir().unwrap();
    for compressed in [false, true] {
        let path = dir.path().join("x.npz");
        let mut writer = NpzWriter::new(&path, compressed);
        writer.add("a", &Tensor::from_vec([50], (0..50_i32).collect()).unwrap()).unwrap();
        writer.finish().unwrap();
        let whole = std::fs::read(&path).unwrap();
        let damaged = dir.path().join("damaged.npz");
        let read = |bytes: &[u8]| {
            std::fs::write(&damaged, bytes).unwrap();
            Npz::open(&damaged).and_then(|npz| npz.get("a"))
        };
        for len in (0..whole.len()).step_by(7) {
            let error = read(&whole[..len]).unwrap_err().to_string();
            assert!(error.contains("damaged.npz"), "{error}");
        }
        for at in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            let _ = read(&bytes);
        }
    }
}

#[test]
fn a_member_that_declares_more_than_it_can_hold_is_refused() {
    use std::io::Write;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.npz");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    zip.start_file("a.npy", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(&array("<f4", "False", "(1000000000000,)", &[0; 64])).unwrap();
    zip.finish().unwrap();
    let error = Npz::open(&path).unwrap().get("a").unwrap_err().to_string();
    assert!(error.contains("x.npz[a]") && error.contains("takes 4000000000000 bytes"), "{error}");
}

#[test]
fn archives_from_numpy_are_read() {
    let Some(data) = paring_shared::data() else { return };
    let npz = Npz::open(&data.join("expected/ic_resnet8_int8.npz")).unwrap();
    let input = npz.get("input_0").unwrap();
    assert_eq!((input.dtype(), input.shape()), (DType::I8, &[16, 32, 32, 3][..]));
    let labels = npz.get("labels").unwrap();
    assert_eq!((labels.dtype(), labels.shape()), (DType::I64, &[16][..]));
    let sww = Npz::open(&data.join("datasets/sww/calibration_samples.npz")).unwrap();
    assert_eq!(sww.get("specs").unwrap().shape(), [45, 30, 1, 40]);
    let indices = data.join("datasets/cifar10/mlperf_ic01_calibration_idxs.npy");
    assert_eq!(npy::read_npy(&indices).unwrap().to_i64()[..2], [0x16aa, 0x186a]);
}

proptest! {
    #[test]
    fn any_bytes_after_the_magic_are_safe(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&[b"\x93NUMPY", &bytes[..]].concat());
    }

    #[test]
    fn any_header_text_is_safe(text in "[{}(),:'L0-9a-z_ <>|TrueFalse]{0,80}") {
        let len = (text.len() as u16).to_le_bytes();
        let _ = decode(&[b"\x93NUMPY\x01\x00", &len[..], text.as_bytes()].concat());
    }

    #[test]
    fn any_shape_round_trips(shape in prop::collection::vec(0_usize..5, 0..5)) {
        let tensor = Tensor::zeros(DType::I16, shape).unwrap();
        prop_assert_eq!(decode(&npy::encode(&tensor)).unwrap(), tensor);
    }
}

#[test]
fn write_npz_writes_every_array() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("y.npz");
    let tensor = Tensor::from_vec([1], vec![4_u16]).unwrap();
    write_npz(&path, [("output_0", &tensor), ("output_1", &tensor)]).unwrap();
    assert_eq!(Npz::open(&path).unwrap().names(), ["output_0", "output_1"]);
}
