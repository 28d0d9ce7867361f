//! Round trips, and files that are damaged in every place.

use paring_format_paring::{Storage, decode, encode, encode_with};
use paring_ir::{Graph, text};
use std::path::Path;

fn sample() -> Graph {
    text::parse(
        "#q0 = q(axis=0, [0.5, 0.25])

         graph @sample {
           %x = input : f32[1,4] external [1, 0]
           %graph = const fill(seed=3) : f32[50,4]
           %p = const palette(book = [-1, 0, 1] : i8[3], codes = [2, 1, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]) : i8[2,40] #q0
           %s = const sparse(block = [1, 20], fill = 0, mask = [5], values = fill(seed=4) : i8[40]) : i8[4,20]
           %p.codes = const fill(seed=9) : u8[80]
           %y = dense(%x, %graph) : f32[1,50] in [-1.0, 2.5]
           output %y as \"scores\"
           output %p
           output %s
           output %p.codes
         }",
    )
    .unwrap()
}

fn inline(graph: &Graph) -> String {
    text::print(graph, text::Large::Inline).text
}

#[test]
fn every_storage_round_trips_in_place() {
    let graph = sample();
    let file = encode(&graph);
    assert_eq!(file, encode(&graph));
    let again = decode(&file.clone().into(), Path::new("m.paring")).unwrap();
    assert_eq!(inline(&again), inline(&graph));
    let mappable = encode_with(&graph, Storage { mappable: true });
    assert!(file.len() < mappable.len());
    let file = mappable.into();
    let again = decode(&file, Path::new("m.paring")).unwrap();
    assert_eq!(inline(&again), inline(&graph));
    let constant = again.value_named("graph").unwrap().constant().unwrap().dense();
    let inside = file.as_ptr_range().contains(&constant.bytes().as_ptr());
    assert!(inside, "the constant was copied");
}

#[test]
fn a_flipped_bit_is_never_a_wrong_weight() {
    for mappable in [false, true] {
        flip_bits(&sample(), Storage { mappable });
    }
}

fn flip_bits(graph: &Graph, storage: Storage) {
    let whole = encode_with(graph, storage);
    let expected = inline(graph);
    let mut refused = 0;
    for at in 0..whole.len() {
        let mut file = whole.clone();
        file[at] ^= 1 << (at % 8);
        match decode(&file.into(), Path::new("m.paring")) {
            Err(e) => {
                assert!(e.to_string().starts_with("m.paring: "), "{e}");
                refused += 1;
            }
            // Only the zeros between blobs may change unseen.
            Ok(g) => assert_eq!(inline(&g), expected, "byte {at}"),
        }
    }
    assert!(refused * 10 > whole.len() * 8, "{refused} of {} refused", whole.len());
}

#[test]
fn cut_off_files_are_refused() {
    let whole = encode(&sample());
    for len in 0..whole.len() {
        assert!(decode(&whole[..len].to_vec().into(), Path::new("m.paring")).is_err(), "{len}");
    }
}

#[test]
fn four_bit_elements_are_packed_and_long_splats_are_not_expanded_from_nothing() {
    let graph = text::parse(
        "graph @g {
           %q = const fill(seed=4) : i4[64,32] q(0.5, 0)
           %z = const splat(1.5) : f32[400,400]
           output %q
           output %z
         }",
    )
    .unwrap();
    let file = encode_with(&graph, Storage { mappable: true });
    assert!(file.len() > 640_000 && file.len() < 642_000, "{}", file.len());
    let again = decode(&file.into(), Path::new("m.paring")).unwrap();
    assert_eq!(inline(&again), inline(&graph));
    let file = encode(&graph);
    assert!(file.len() < 2_000, "{}", file.len());
    let again = decode(&file.into(), Path::new("m.paring")).unwrap();
    assert_eq!(inline(&again), inline(&graph));
}
