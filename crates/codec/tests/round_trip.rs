//! Every constant comes back as it was; damaged blobs give errors or other values, never a panic.

use paring_codec::{Codec, Coded, Options, decode, encode};
use paring_tensor::{Bytes, ConstData, DType, Palette, Sparse, Tensor};
use proptest::prelude::*;

fn back(coded: &Coded, like: &ConstData) -> ConstData {
    decode(coded.codec, &coded.bytes.clone().into(), like.dtype(), like.shape()).unwrap()
}

/// A small deterministic generator.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let x = (self.0 ^ (self.0 >> 32)).wrapping_mul(0xd6e8_feb8_6659_fd93);
        x ^ (x >> 32)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// Bytes of elements: any, few different ones, narrow ones, or correlated ones.
fn elements(r: &mut Random, dtype: DType, len: usize) -> Vec<u8> {
    let style = r.below(5);
    let few: Vec<u64> = (0..1 + r.below(20)).map(|_| r.next()).collect();
    let mut walk = 0_i64;
    let mut bytes = Vec::new();
    for i in 0..len {
        walk = (walk + r.below(9) as i64 - 4).clamp(-100, 100);
        let number = match style {
            0 => r.next(),
            1 => few[r.below(few.len())],
            2 => (r.below(7) as i64 - 3) as u64,
            3 => walk as u64,
            _ => 5 * (i as u64 / 40 % 2),
        };
        let number = match dtype {
            DType::Bool => number & 1,
            DType::I4 => ((((number as u8) << 4) as i8) >> 4) as u64,
            _ => number,
        };
        bytes.extend_from_slice(&number.to_le_bytes()[..dtype.size()]);
    }
    bytes
}

fn constant(seed: u64, shape: Vec<usize>, dtype: DType) -> ConstData {
    let mut r = Random(seed);
    let len = shape.iter().product();
    let full = |r: &mut Random, shape: Vec<usize>| {
        let len = shape.iter().product();
        if r.below(2) == 0 {
            return ConstData::Dense(
                Tensor::new(dtype, shape, elements(r, dtype, len).into()).unwrap(),
            );
        }
        let most = [4, 16, 256][r.below(3)];
        let entries = 1 + r.below(most);
        let first = shape.first().copied().unwrap_or(1);
        let groups = if first > 0 && first.is_multiple_of(2) && r.below(3) == 0 { 2 } else { 1 };
        let book_shape = match (groups, r.below(2)) {
            (1, 0) => vec![entries],
            _ => vec![groups, entries],
        };
        let book = elements(r, dtype, groups * entries);
        let book = Tensor::new(dtype, book_shape, book.into()).unwrap();
        let codes: Vec<u8> = (0..len).map(|_| r.below(entries) as u8).collect();
        ConstData::Palette(Palette::new(shape, codes.into(), book).unwrap())
    };
    if r.below(3) > 0 {
        return full(&mut r, shape);
    }
    let block: Vec<usize> = if r.below(2) == 0 {
        vec![1; shape.len()]
    } else {
        shape.iter().map(|_| 1 + r.below(4)).collect()
    };
    let pruned: Vec<i8> = (0..len).map(|_| i8::from(r.below(4) == 0)).collect();
    let mask = Sparse::from_dense(&Tensor::from_vec(shape, pruned).unwrap(), &block, 0).unwrap();
    let values = full(&mut r, vec![mask.values().dense().len()]);
    ConstData::Sparse(mask.with_values(values).unwrap())
}

fn shapes() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        Just(vec![]),
        prop::collection::vec(0_usize..4, 1..5),
        (1_usize..300).prop_map(|n| vec![n]),
        (1_usize..40, 1_usize..40).prop_map(|(a, b)| vec![a, b]),
        (1_usize..12, 1_usize..12).prop_map(|(o, i)| vec![o, 3, 3, i]),
        (1_usize..40).prop_map(|c| vec![1, 3, 3, c]),
        (1_usize..6, 1_usize..9, 1_usize..10, 1_usize..4).prop_map(|(a, b, c, d)| vec![a, b, c, d]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn constants_come_back(seed: u64, shape in shapes(), dtype in prop::sample::select(&DType::ALL[..])) {
        let data = constant(seed, shape, dtype);
        for entropy in [true, false] {
            let coded = encode(&data, Options { entropy });
            prop_assert!(back(&coded, &data) == data);
            prop_assert_eq!(&coded, &encode(&data, Options { entropy }));
        }
    }

    #[test]
    fn damage_never_panics(seed: u64, shape in shapes(), dtype in prop::sample::select(&DType::ALL[..])) {
        let data = constant(seed, shape, dtype);
        let coded = encode(&data, Options::default());
        let mut r = Random(seed);
        for _ in 0..40 {
            let mut bytes = coded.bytes.clone();
            for _ in 0..1 + r.below(4) {
                let at = if r.below(2) == 0 { r.below(bytes.len().min(24)) } else { r.below(bytes.len()) };
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = if r.below(2) == 0 { *byte ^ 1 << r.below(8) } else { r.next() as u8 };
                }
            }
            if r.below(4) == 0 {
                bytes.truncate(r.below(bytes.len() + 1));
            }
            let mut other = data.shape().to_vec();
            if r.below(4) == 0 && !other.is_empty() {
                let axis = r.below(other.len());
                other[axis] = r.below(50);
            }
            if let Ok(found) = decode(Codec::Coded, &Bytes::from(bytes), dtype, &other) {
                prop_assert!(found.shape() == other && found.dtype() == dtype);
            }
        }
    }
}

#[test]
fn small_blobs_cannot_ask_for_much_memory() {
    for byte in 0..=255 {
        for len in 1..12 {
            let blob = Bytes::from(vec![byte; len]);
            for shape in
                [vec![1 << 40], vec![1 << 20, 1 << 20], vec![usize::MAX, 2], vec![1 << 45, 0, 3]]
            {
                if let Ok(found) = decode(Codec::Coded, &blob, DType::F64, &shape) {
                    assert_eq!(found.shape().iter().product::<usize>(), 0);
                }
            }
        }
    }
    // A storage byte, a method and random settings.
    let mut r = Random(9);
    for _ in 0..20_000 {
        let mut blob = vec![r.below(3) as u8, r.below(8) as u8];
        blob.extend((0..r.below(30)).map(|_| r.next() as u8));
        let _ = decode(Codec::Coded, &blob.into(), DType::I8, &[7, 3, 3, 5]);
    }
}

#[test]
fn dead_rows_and_columns_are_nearly_free() {
    let mut r = Random(3);
    let mut weights = vec![0_i8; 64 * 9 * 64];
    for o in (0..64).filter(|o| o % 4 == 0) {
        for t in 0..9 {
            for i in (0..64).filter(|i| i % 2 == 0) {
                weights[(o * 9 + t) * 64 + i] = (r.below(255) as i32 - 127) as i8;
            }
        }
    }
    let live = 16 * 9 * 32;
    let data = ConstData::Dense(Tensor::from_vec([64, 3, 3, 64], weights).unwrap());
    let coded = encode(&data, Options::default());
    assert!(back(&coded, &data) == data);
    assert!(coded.bytes.len() < live + live / 100 + 60, "{} of {live}", coded.bytes.len());
}

#[test]
fn huge_constants_of_one_value_come_back() {
    let data = ConstData::Dense(Tensor::zeros(DType::I8, [3000, 1000]).unwrap());
    let coded = encode(&data, Options::default());
    assert!(coded.bytes.len() < 400_000);
    assert!(back(&coded, &data) == data);
    let sparse = Sparse::from_dense(&data.dense(), &[1, 1], 0).unwrap();
    let sparse = ConstData::Sparse(sparse);
    assert!(back(&encode(&sparse, Options::default()), &sparse) == sparse);
}
