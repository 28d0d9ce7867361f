use paring_ir::text::{Large, parse, print};
use paring_pass::{NoHost, Pipeline};

fn clean(text: &str) -> String {
    let graph = parse(text).unwrap();
    let pipeline = Pipeline::parse("version = 1\n[[pass]]\nuse = \"cleanup\"").unwrap();
    let done = pipeline.run(&graph, &NoHost, &mut Default::default()).unwrap();
    print(&done.graph, Large::Inline).text
}

#[test]
fn identities_and_chains_go() {
    let out = clean(
        "graph @g {
           %x = input : f32[n,4,4,2]
           %one = const [1.0] : f32[1]
           %a = binary(%x, %one) { f = \"mul\" } : f32[n,4,4,2]
           %b = reshape(%a) { shape = [-1, 32] } : f32[n,32]
           %c = reshape(%b) { shape = [-1, 16, 2] } : f32[n,16,2]
           %d = pad(%c) { mode = { constant = 0.0 }, pads = [[0, 0], [0, 0], [0, 0]] } : f32[n,16,2]
           %y = unary(%d) { f = \"abs\" } : f32[n,16,2]
           output %y
         }",
    );
    assert_eq!(out.matches(" = reshape(%x)").count(), 1, "{out}");
    assert_eq!(out.matches('(').count(), 2, "{out}");
}

#[test]
fn transposes_merge_and_unit_axes_reshape() {
    let out = clean(
        "graph @g {
           %x = input : f32[2,1,1,4]
           %a = transpose(%x) { perm = [0, 3, 1, 2] } : f32[2,4,1,1]
           %y = unary(%a) { f = \"abs\" } : f32[2,4,1,1]
           %b = transpose(%y) { perm = [1, 0, 2, 3] } : f32[4,2,1,1]
           %c = transpose(%b) { perm = [2, 0, 1, 3] } : f32[1,4,2,1]
           %z = unary(%c) { f = \"abs\" } : f32[1,4,2,1]
           output %z
         }",
    );
    assert!(out.contains("%a = reshape(%x) { shape = [2, 4, 1, 1] }"), "{out}");
    assert!(out.contains("%c = transpose(%y) { perm = [2, 1, 0, 3] }"), "{out}");
}

#[test]
fn equal_work_is_done_once_and_moves_of_constants_fold() {
    let out = clean(
        "graph @g {
           %x = input : f32[2,3]
           %k = const [1.0, 2.0, 3.0, 4.0, 5.0, 6.0] : f32[3,2]
           %l = const [1.0, 2.0, 3.0, 4.0, 5.0, 6.0] : f32[3,2]
           %kt = transpose(%k) { perm = [1, 0] } : f32[2,3]
           %lt = transpose(%l) { perm = [1, 0] } : f32[2,3]
           %a = binary(%x, %kt) { f = \"add\" } : f32[2,3]
           %b = binary(%x, %lt) { f = \"add\" } : f32[2,3]
           %y = binary(%a, %b) { f = \"mul\" } : f32[2,3]
           %dead = unary(%x) { f = \"exp\" } : f32[2,3]
           output %y
         }",
    );
    assert_eq!(out.matches("const").count(), 1, "{out}");
    assert!(out.contains("%kt = const [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]"), "{out}");
    assert_eq!(out.matches("binary").count(), 2, "{out}");
    assert!(!out.contains("exp"), "{out}");
}

#[test]
fn requantizing_to_the_same_scale_goes_and_weights_stay_packed() {
    let out = clean(
        "graph @g {
           %x = input : i8[4] q(0.5, 1)
           %f = dequantize(%x) : f32[4]
           %q = quantize(%f) : i8[4] q(0.5, 1)
           %k = const [1, 2, 3, 4] : i8[4] q(0.25, 0)
           %kf = dequantize(%k) : f32[4]
           %r = dequantize(%q) : f32[4]
           %y = binary(%r, %kf) { f = \"mul\" } : f32[4]
           output %y
         }",
    );
    assert_eq!(out.matches("dequantize").count(), 2, "{out}");
    assert_eq!(out.matches(" quantize(").count(), 0, "{out}");
}

#[test]
fn what_cannot_be_computed_is_declined_not_lost() {
    let text = "graph @g {
           %x = input : f32[2]
           %k = const [1.0, 2.0] : f32[2]
           %e = unary(%k) { f = \"exp\" } : f32[2]
           %y = binary(%x, %e) { f = \"add\" } : f32[2]
           output %y
         }";
    let graph = parse(text).unwrap();
    let pipeline = Pipeline::parse("version = 1\n[[pass]]\nuse = \"cleanup\"").unwrap();
    let done = pipeline.run(&graph, &NoHost, &mut Default::default()).unwrap();
    assert_eq!(done.graph.nodes().count(), 2);
    assert!(done.report.steps[0].declined[0].why.contains("no executor"));
}
