//! Compressed weights: networks whose weights are stored in int4, as palettes or sparse keep them so in
//! flash, and their outputs equal the same network's with a byte a weight.

mod common;

use common::{compile, data, measure, read, recoded};
use paring_emulator::{Core, Report};
use paring_tensor::{ConstData, DType, Palette, Sparse, Tensor};

/// 16 values spread over the weights' range, unevenly.
fn book() -> Vec<i8> {
    book_of(4, 127)
}

/// Values of so many bits' codes up to about `most`, more of them near 0, which is one.
fn book_of(bits: u32, most: i32) -> Vec<i8> {
    let half = 1_i32 << (bits - 1);
    let value = |i: i32| (i - half) * (i - half).abs() * most / (half * half);
    (0..2 * half).map(|i| value(i).clamp(-127, 127) as i8).collect()
}

fn nearest(book: &[i8], w: i8) -> u8 {
    let far = |&(_, v): &(usize, &i8)| (i32::from(*v) - i32::from(w)).abs();
    book.iter().enumerate().min_by_key(far).map_or(0, |(i, _)| i as u8)
}

fn palette(values: &[i8], shape: &[usize]) -> ConstData {
    let book = book();
    let codes: Vec<u8> = values.iter().map(|&w| nearest(&book, w)).collect();
    let book = Tensor::from_vec([16], book).expect("16 entries");
    ConstData::Palette(Palette::new(shape, codes.into(), book).expect("a palette"))
}

/// Codes of some bits; with a codebook for each channel, each scaled to the channel's largest weight.
fn codes(values: &[i8], shape: &[usize], bits: u32, own: bool) -> ConstData {
    let per_output = values.len() / shape[0];
    let largest = |row: &[i8]| row.iter().map(|w| i32::from(w.unsigned_abs())).max().unwrap_or(0);
    let books: Vec<Vec<i8>> = match own {
        true => values
            .chunks(per_output)
            .enumerate()
            .map(|(o, row)| book_of(bits, largest(row) - 3 * (o as i32 % 11)))
            .collect(),
        false => vec![book_of(bits, 127)],
    };
    let book = |at: usize| if own { &books[at / per_output] } else { &books[0] };
    let codes: Vec<u8> = values.iter().enumerate().map(|(at, &w)| nearest(book(at), w)).collect();
    let entries = 1 << bits;
    let sizes = if own { vec![books.len(), entries] } else { vec![entries] };
    let book = Tensor::from_vec(sizes, books.concat()).expect("the entries");
    ConstData::Palette(Palette::new(shape, codes.into(), book).expect("a palette"))
}

/// The largest fifth of the blocks of four outputs by four input channels, of a palette.
fn sparse_palette(values: &[i8], shape: &[usize]) -> ConstData {
    let &[o, h, w, c] = shape else { return palette(values, shape) };
    let tile = |at: usize| {
        let (out, rest) = (at / (h * w * c), at % (h * w * c));
        (out / 4, rest / c, rest % c / 4)
    };
    let mut weight = std::collections::BTreeMap::new();
    for (at, &v) in values.iter().enumerate() {
        *weight.entry(tile(at)).or_insert(0_u32) += i32::from(v).unsigned_abs();
    }
    let mut order: Vec<_> =
        weight.into_iter().map(|(t, sum)| (std::cmp::Reverse(sum), t)).collect();
    order.sort();
    let kept: std::collections::BTreeSet<_> =
        order.iter().take(order.len().div_ceil(5)).map(|o| o.1).collect();
    let book = book();
    let pruned: Vec<i8> = (values.iter().enumerate())
        .map(|(at, &v)| if kept.contains(&tile(at)) { book[nearest(&book, v) as usize] } else { 0 })
        .collect();
    let dense = Tensor::from_vec([o, h, w, c], pruned).expect("a tensor");
    let sparse = Sparse::from_dense(&dense, &[4, 1, 1, 4], 0).expect("blocks");
    let values = sparse.values().dense();
    let flat: Vec<i8> = values.view::<i8>().expect("int8").to_vec();
    let values = palette(&flat, &[flat.len()]);
    ConstData::Sparse(sparse.with_values(values).expect("the same sparsity"))
}

/// Three reports: the network with compressed weights, the same with a byte a weight, and as it was.
fn compare(
    model: &str,
    factor: f32,
    make: impl Fn(&[i8], &[usize]) -> ConstData,
) -> Option<[Report; 3]> {
    let data = data()?;
    let graph = read(&data.join(format!("models/tflite/{model}.tflite")));
    let dense = |values: &[i8], shape: &[usize]| {
        ConstData::Dense(make(values, shape).dense().cast(DType::I8))
    };
    let graphs = [recoded(&graph, factor, &make), recoded(&graph, factor, dense), graph];
    let reports = graphs.map(|g| measure(&g, Core::M4, &[]));
    assert!(reports[0].outputs == reports[1].outputs, "{model}: outputs differ");
    for r in &reports {
        let (instructions, flash, ram) = (r.instructions, r.flash_bytes, r.ram_bytes);
        println!("{model}: {instructions} instructions, {flash} bytes of flash, {ram} of RAM");
    }
    Some(reports)
}

#[test]
fn the_autoencoder_in_int4_takes_half_the_flash() {
    let int4 = |values: &[i8], shape: &[usize]| {
        let values: Vec<i8> = values.iter().map(|&w| w / 16).collect();
        let tensor = Tensor::from_vec(shape.to_vec(), values).expect("a tensor");
        ConstData::Dense(tensor.cast(DType::I4))
    };
    let Some([compressed, _, plain]) = compare("ad_autoencoder_int8", 16.0, int4) else { return };
    assert!(compressed.flash_bytes <= 145_000, "{}", compressed.flash_bytes);
    assert!(compressed.instructions * 10 <= plain.instructions * 16);
}

#[test]
fn the_autoencoder_of_16_values_takes_half_the_flash() {
    let Some([compressed, _, plain]) = compare("ad_autoencoder_int8", 1.0, palette) else { return };
    assert!(compressed.flash_bytes <= 145_000, "{}", compressed.flash_bytes);
    assert!(compressed.instructions * 10 <= plain.instructions * 16);
}

#[test]
fn a_sparse_resnet_is_small_and_fast() {
    let Some([compressed, zeros, dense]) = compare("ic_resnet8_int8", 1.0, sparse_palette) else {
        return;
    };
    assert!(2 * compressed.instructions < dense.instructions);
    assert!(compressed.flash_bytes < 18_000, "{}", compressed.flash_bytes);
    // Zero blocks are left out even where the storage does not say so.
    assert!(2 * zeros.instructions < dense.instructions);
}

#[test]
fn zero_blocks_take_no_time_on_helium() {
    let Some(data) = data() else { return };
    let graph = read(&data.join("models/tflite/ic_resnet8_int8.tflite"));
    let dense = |values: &[i8], shape: &[usize]| {
        ConstData::Dense(sparse_palette(values, shape).dense().cast(DType::I8))
    };
    let (compressed, zeros) = (recoded(&graph, 1.0, sparse_palette), recoded(&graph, 1.0, dense));
    let about = compile(&compressed, Core::M55, &[]).sizes.instructions.expect("an estimate");
    let [compressed, zeros, dense] =
        [compressed, zeros, graph].map(|g| measure(&g, Core::M55, &[]));
    assert!(compressed.outputs == zeros.outputs, "outputs differ");
    for sparse in [&compressed, &zeros] {
        assert!(3 * sparse.instructions < 2 * dense.instructions, "{}", sparse.instructions);
    }
    assert!(3 * compressed.flash_bytes < dense.flash_bytes, "{}", compressed.flash_bytes);
    let apart = about.abs_diff(compressed.instructions);
    assert!(20 * apart <= compressed.instructions, "{about} for {}", compressed.instructions);
}

#[test]
fn codes_take_their_bits_of_flash_on_every_core() {
    let Some(data) = data() else { return };
    let graph = read(&data.join("models/tflite/ic_resnet8_int8.tflite"));
    // Instructions for 100 of those with a byte a weight, at most.
    let cores = [(Core::M4, 200), (Core::M55, 160), (Core::M3, 150), (Core::M0, 130)];
    for (core, most) in cores {
        let plain = measure(&graph, core, &[]);
        for (bits, own) in [(2, false), (3, false), (5, false), (6, false), (2, true), (4, true)] {
            // Fewer on the slow cores, where all decode alike.
            if matches!(core, Core::M3 | Core::M0) && bits != 3 && !own {
                continue;
            }
            let make = |values: &[i8], shape: &[usize]| codes(values, shape, bits, own);
            let dense = |values: &[i8], shape: &[usize]| {
                ConstData::Dense(make(values, shape).dense().cast(DType::I8))
            };
            // Decoding costs time, which a balanced compilation may refuse.
            let coded = measure(&recoded(&graph, 1.0, make), core, &[("optimize", "size")]);
            let bytes = measure(&recoded(&graph, 1.0, dense), core, &[("optimize", "speed")]);
            let what =
                format!("{bits} bits{} on {core}", if own { ", books of channels" } else { "" });
            assert!(coded.outputs == bytes.outputs, "{what}: outputs differ");
            println!(
                "{what}: flash {} for {}, constants {} for {}, instructions {} for {}, RAM {} for {}",
                coded.flash_bytes,
                plain.flash_bytes,
                coded.weight_bytes,
                plain.weight_bytes,
                coded.instructions,
                plain.instructions,
                coded.ram_bytes,
                plain.ram_bytes
            );
            // 77,360 weights; the rest is biases, multipliers and codebooks.
            let weights = 77_360 * u64::from(bits) / 8;
            let rest = plain.weight_bytes - 77_360 + 900 + if own { 320 << bits } else { 0 };
            assert!(coded.weight_bytes <= weights + rest, "{what}: {} bytes", coded.weight_bytes);
            assert!(coded.instructions * 100 <= plain.instructions * most, "{what}");
        }
    }
}

#[test]
fn frequent_values_take_few_bits() {
    let Some(data) = data() else { return };
    let graph = read(&data.join("models/tflite/ic_resnet8_int8.tflite"));
    // Four fifths of the weights are zeros, here and there, and the others have 16 values.
    let pruned = |values: &[i8], shape: &[usize]| {
        let mut sizes: Vec<u8> = values.iter().map(|w| w.unsigned_abs()).collect();
        sizes.sort_unstable();
        let least = sizes[sizes.len() * 4 / 5];
        let kept: Vec<i8> =
            values.iter().map(|&w| if w.unsigned_abs() < least { 0 } else { w }).collect();
        palette(&kept, shape)
    };
    let dense = |values: &[i8], shape: &[usize]| {
        ConstData::Dense(pruned(values, shape).dense().cast(DType::I8))
    };
    let graphs = [recoded(&graph, 1.0, pruned), recoded(&graph, 1.0, dense)];
    // Codes of any length come one after the other, which costs most where all else is done 16 at a time.
    for (core, times) in [(Core::M0, 2), (Core::M4, 3), (Core::M55, 6)] {
        let coded = measure(&graphs[0], core, &[("optimize", "size")]);
        let bytes = measure(&graphs[1], core, &[("optimize", "speed")]);
        assert!(coded.outputs == bytes.outputs, "{core}: outputs differ");
        let (flash, plain) = (coded.flash_bytes, bytes.flash_bytes);
        let (instructions, without) = (coded.instructions, bytes.instructions);
        println!("{core}: flash {flash} for {plain}, {instructions} instructions for {without}");
        assert!(coded.weight_bytes < 26_000, "{core}: {} bytes", coded.weight_bytes);
        assert!(instructions < times * without, "{core}: {instructions} for {without}");
    }
}

#[test]
fn cores_without_the_dsp_extension_decode_too() {
    let Some(data) = data() else { return };
    let graph = read(&data.join("models/tflite/ic_resnet8_int8.tflite"));
    for (what, percent) in [("palette", 60), ("sparse", 25)] {
        let make = |values: &[i8], shape: &[usize]| match what {
            "palette" => palette(values, shape),
            _ => sparse_palette(values, shape),
        };
        let dense = |values: &[i8], shape: &[usize]| {
            ConstData::Dense(make(values, shape).dense().cast(DType::I8))
        };
        let graphs = [recoded(&graph, 1.0, make), recoded(&graph, 1.0, dense)];
        for core in [Core::M0, Core::M3] {
            // Decoding costs time, which a balanced compilation may refuse.
            let coded = measure(&graphs[0], core, &[("optimize", "size")]);
            let bytes = measure(&graphs[1], core, &[]);
            assert!(coded.outputs == bytes.outputs, "{what} on {core}: outputs differ");
            let plain = measure(&graph, core, &[]);
            let (small, large) = (coded.weight_bytes, plain.weight_bytes);
            println!(
                "{what} on {core}: {small} of {large} bytes, {} of {} instructions",
                coded.instructions, plain.instructions
            );
            assert!(100 * small <= percent * large, "{what} on {core}: {small} of {large} bytes");
            let bound = if what == "sparse" { 10 } else { 20 };
            assert!(10 * coded.instructions <= bound * plain.instructions, "{what} on {core}");
        }
    }
}
