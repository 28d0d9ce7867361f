//! Text form, patches and verification on small graphs.

use paring_ir::ops::{Activation, Binary, BinaryFn, Unary};
use paring_ir::{Patch, text};
use paring_tensor::{Bytes, ConstData, DType, Palette, Quant, Sparse, Tensor, TensorType};
use std::collections::{BTreeMap, HashMap};

const CONV: &str = r#"#q0 = q(axis=0, [0.5, 0.25])

graph @conv {
  %x = input : f32[n,8,8,3] external [0, 3, 1, 2]
  %w = const fill(seed=1) : f32[2,3,3,3]
  %b = const [0.5, -1e-7] : f32[2]
  %y = conv2d(%x, %w, %b) { activation = "relu", groups = 1, pad = "same", stride = [1, 1] } : f32[n,8,8,2] in [0.0, 3.5] @"Conv 0"
  %s = const splat(2.0) : f32[2]
  %z = batch_norm(%y, %s, %s, %s, %s) { epsilon = 0.001 } : f32[n,8,8,2]
  %k = const [1, -2, 3, 4] : i8[2,2] #q0
  %"odd name" = dequantize(%k) : f32[2,2]
  output %z as "scores"
  output %"odd name"
}
"#;

#[test]
fn the_text_form_round_trips() {
    let parsed = text::parse_with(CONV, &text::no_blobs).unwrap();
    parsed.graph.verified().unwrap();
    let printed = text::print_with_fills(&parsed.graph, text::Large::Summary, &parsed.fills).text;
    assert_eq!(printed, CONV);
    let x = parsed.graph.value_named("x").unwrap();
    assert_eq!(parsed.graph.symbols(), ["n"]);
    assert_eq!(x.ty.byte_len(), None);
    let bound = parsed.graph.bind(&BTreeMap::from([("n".to_owned(), 4)])).unwrap();
    assert_eq!(bound.value_named("z").unwrap().ty.to_string(), "f32[4,8,8,2]");
}

#[test]
fn storages_and_states_round_trip_through_blobs() {
    let mut g = paring_ir::Graph::new("storages");
    let book = Tensor::from_vec([2], vec![-1.0_f32, 1.0]).unwrap();
    let codes: Bytes = (0..20_u8).map(|i| i % 2).collect();
    let palette = Palette::new([20], codes, book).unwrap();
    let mut data = vec![0_i8; 24];
    data[5] = 3;
    let dense = Tensor::from_vec([4, 6], data).unwrap();
    let sparse = Sparse::from_dense(&dense, &[2, 2], 0).unwrap();
    let p = g.add_const("p", ConstData::Palette(palette), None).unwrap();
    g.add_const("s", ConstData::Sparse(sparse), Some(Quant::per_tensor(0.5, 0))).unwrap();
    let h = g.add_state("h", TensorType::new(DType::F32, [20])).unwrap();
    let next = g.add_node("next", Binary::new(BinaryFn::Add), &[h, p]).unwrap()[0];
    g.set_state(h, next, Tensor::zeros(DType::F32, [20]).unwrap());
    g.add_output("next", next);
    g.verified().unwrap();
    let printed = text::print(&g, text::Large::Blob);
    let blobs: HashMap<_, _> = printed.blobs.iter().cloned().collect();
    let again = text::parse_with(&printed.text, &|n, _, _| Ok(blobs[n].clone())).unwrap();
    again.graph.verified().unwrap();
    assert_eq!(text::print(&again.graph, text::Large::Blob).text, printed.text);
    let inline = text::print(&g, text::Large::Inline).text;
    let again = text::parse(&inline).unwrap();
    assert_eq!(text::print(&again, text::Large::Inline).text, inline);
}

#[test]
fn parse_errors_say_where_and_what_to_use() {
    let fails = |body: &str| {
        text::parse(&format!("graph @g {{\n  %x = input : f32[4]\n{body}\n}}"))
            .unwrap_err()
            .to_string()
    };
    assert!(fails("  %y = unari(%x) : f32[4]").contains("unknown op `unari`; known: arg, "));
    assert!(fails("  %y = unary(%z) : f32[4]").starts_with("line 3: `%z` is not defined"));
    assert!(fails("  %y = unary(%x) { f = \"relu\", beta = 1 } : f32[4]").contains("`beta`"));
    assert!(fails("  %y = softmax(%x) { axis = 0, beta = 1.0, c = 1 } : f32[4]").contains("`c`"));
    assert!(fails("  %x = const [1] : i8[1]").contains("defined twice"));
    assert!(fails("  %c = const [300] : i8[1]").contains("`300` is not of type i8"));
    assert!(fails("  %c = const splat(0.0) : f32[99999999,99999999]").contains("over the"));
    assert!(fails("  %h = state [0.0] : f32[1]").contains("no `next`"));
}

#[test]
fn verify_reports_every_fault_with_its_place() {
    let g = text::parse(
        "graph @bad {
           %x = input : f32[1,4]
           %y = unary(%x) { f = \"relu\" } : f32[1,5]
           %c = const [1, 2] : i8[2] q(0.0, 0)
           %z = unary(%y) { f = \"relu\" } : f32[1,5] in [2.0, 1.0]
           output %z external [0, 0]
         }",
    )
    .unwrap();
    let places: Vec<_> = g.verified().unwrap_err().faults.into_iter().map(|f| f.place).collect();
    assert_eq!(places, ["value `c`", "value `z`", "node `y`", "output `z`"]);
}

fn chain() -> paring_ir::Graph {
    text::parse(
        "graph @chain {
           %x = input : f32[4]
           %c = const [1.0, 2.0, 3.0, 4.0] : f32[4]
           %a = binary(%x, %c) { f = \"add\" } : f32[4]
           %b = unary(%a) { f = \"relu\" } : f32[4] in [0.0, 1.0]
           %d = unary(%b) { f = \"abs\" } : f32[4]
           output %d
         }",
    )
    .unwrap()
}

#[test]
fn a_patch_fuses_and_keeps_the_name() {
    let mut g = chain();
    let (a, b) = (g.value_named("a").unwrap().id, g.value_named("b").unwrap().id);
    let inputs = g.producer(a).unwrap().inputs().to_vec();
    let mut p = Patch::new(&g, "fuse");
    let op = Binary { f: BinaryFn::Add, activation: Activation::Relu };
    let fused = p.node(&g, "fused", op, &inputs).unwrap()[0];
    p.replace(b, fused);
    g.apply(p).unwrap();
    g.verified().unwrap();
    assert_eq!(g.nodes().count(), 2);
    let b = g.value_named("b").unwrap();
    assert_eq!(b.id, fused);
    assert_eq!(b.range, Some((0.0, 1.0)));
    assert!(g.value_named("a").is_none());
}

#[test]
fn a_node_can_be_put_behind_a_value() {
    let mut g = chain();
    let a = g.value_named("a").unwrap().id;
    let mut p = Patch::new(&g, "insert");
    let neg = p.node(&g, "neg", Unary::Neg, &[a]).unwrap()[0];
    p.replace(a, neg);
    g.apply(p).unwrap();
    g.verified().unwrap();
    assert_eq!(g.producer(g.value_named("b").unwrap().id).unwrap().inputs(), [neg]);
    assert_eq!(g.value(neg).name, "neg");
}

#[test]
fn bad_patches_leave_the_graph_as_it_was() {
    let mut g = chain();
    let before = g.to_string();
    let id = |n: &str| g.value_named(n).unwrap().id;
    let (a, c, d, x) = (id("a"), id("c"), id("d"), id("x"));

    let mut cycle = Patch::new(&g, "cycle");
    cycle.replace(a, d);
    let mut wrong_type = Patch::new(&g, "type");
    let small = wrong_type.constant("small", Tensor::scalar(1.0_f32), None);
    wrong_type.replace(a, small);
    let mut wrong_node = Patch::new(&g, "node");
    let out = TensorType::new(DType::I8, [4]);
    wrong_node.typed_node("y", Unary::Neg, &[x], vec![out]);
    let mut retype = Patch::new(&g, "retype");
    retype.set_constant(c, Tensor::zeros(DType::F32, [7]).unwrap(), None);
    let stale = Patch::new(&chain(), "stale");
    let mut grown = g.clone();
    let mut grow = Patch::new(&grown, "grow");
    let n = grow.node(&grown, "n", Unary::Neg, &[a]).unwrap()[0];
    grow.replace(a, n);
    grown.apply(grow).unwrap();

    for (patch, word) in
        [(cycle, "cycle"), (wrong_type, "of type"), (wrong_node, "declared"), (retype, "broadcast")]
    {
        let error = g.apply(patch).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
        assert_eq!(g.to_string(), before);
    }
    assert!(grown.apply(stale).unwrap_err().to_string().contains("another state"));
}

#[test]
fn dead_nodes_go() {
    let mut g = text::parse(
        "graph @dead {
           %x = input : f32[4]
           %u = unary(%x) { f = \"relu\" } : f32[4]
           %v = unary(%u) { f = \"relu\" } : f32[4]
           %c = const [1.0] : f32[1]
           %y = unary(%x) { f = \"abs\" } : f32[4]
           output %y
         }",
    )
    .unwrap();
    assert_eq!(g.remove_dead(), 2);
    assert_eq!((g.nodes().count(), g.values().count()), (1, 2));
}

#[test]
fn a_value_with_many_readers_is_verified_in_linear_time() {
    let mut g = paring_ir::Graph::new("wide");
    let x = g.add_input("x", TensorType::new(DType::F32, [1])).unwrap();
    let mut last = x;
    for i in 0..200_000 {
        let op = paring_ir::ops::Binary::new(paring_ir::ops::BinaryFn::Add);
        last = g.add_node(format!("n{i}"), op, &[x, last]).unwrap()[0];
    }
    g.add_output("y", last);
    let start = std::time::Instant::now();
    assert_eq!(g.verified().unwrap().order().len(), 200_000);
    // Searching the readers of `x` for each of them takes minutes.
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}

#[test]
fn dimensions_that_data_decide_are_no_symbols_of_the_interface() {
    let text = "graph @found {\n  %x = input : f32[n,3]\n  \
        %y = non_zero(%x) { count = \"found\" } : i64[2,found]\n  output %y as \"y\"\n}\n";
    let graph = text::parse(text).unwrap();
    graph.verified().unwrap();
    assert_eq!(graph.symbols(), ["n"]);
    graph.bind(&BTreeMap::from([("n".to_owned(), 4)])).unwrap().verified().unwrap();
}
