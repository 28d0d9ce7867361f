use paring_ir::text::{Large, parse, print};
use paring_pass::{NoHost, Pipeline};

fn layout(body: &str, settings: &str) -> String {
    let graph = parse(&format!("graph @g {{\n{body}\n}}")).unwrap();
    let text = format!("version = 1\n[[pass]]\nuse = \"layout\"\n{settings}");
    let pipeline = Pipeline::parse(&text).unwrap();
    let done =
        pipeline.run(&graph, &NoHost, &mut Default::default()).unwrap_or_else(|e| panic!("{e}"));
    print(&done.graph, Large::Inline).text
}

/// A network as a reader of NCHW images writes it: an addition across two branches, a pad, a
/// concatenation of channels, and a flattening before a dense layer.
const NET: &str = r#"
  %x = input : f32[n,2,4,4]
  %m = const [1.0, 2.0] : f32[1,2,1,1]
  %x0 = binary(%x, %m) { f = "sub" } : f32[n,2,4,4]
  %x1 = transpose(%x0) { perm = [0, 2, 3, 1] } : f32[n,4,4,2]
  %w = const fill(seed=1) : f32[2,1,1,2]
  %c = conv2d(%x1, %w) { groups = 1, pad = "valid", stride = [1, 1] } : f32[n,4,4,2]
  %c1 = transpose(%c) { perm = [0, 3, 1, 2] } : f32[n,2,4,4]
  %a = binary(%c1, %x0) { f = "add" } : f32[n,2,4,4]
  %r = unary(%a) { f = "relu" } : f32[n,2,4,4]
  %p = pad(%r) { mode = { constant = 0.0 }, pads = [[0, 0], [1, 0], [0, 0], [0, 0]] } : f32[n,3,4,4]
  %k = concat(%p, %r) { axis = 1 } : f32[n,5,4,4]
  %k1 = transpose(%k) { perm = [0, 2, 3, 1] } : f32[n,4,4,5]
  %q = pool(%k1) { kernel = [2, 2], kind = "max", pad = "valid", stride = [2, 2] } : f32[n,2,2,5]
  %q1 = transpose(%q) { perm = [0, 3, 1, 2] } : f32[n,5,2,2]
  %f = reshape(%q1) { shape = [-1, 20] } : f32[n,20]
  %v = const fill(seed=2) : f32[3,20]
  %y = dense(%f, %v) : f32[n,3]
  output %y
"#;

#[test]
fn an_ordinary_network_has_no_transposes_left() {
    let out = layout(NET, "");
    assert!(!out.contains("transpose"), "{out}");
    assert!(out.contains("%x = input : f32[n,4,4,2] external [0, 3, 1, 2]"), "{out}");
    assert!(out.contains("axis = 3"), "{out}");
    assert!(out.contains("pads = [[0, 0], [0, 0], [0, 0], [1, 0]]"), "{out}");
    assert!(out.contains("f32[1,1,1,2]"), "{out}");
}

#[test]
fn ports_can_be_left_alone() {
    let out = layout(NET, "ports = false");
    assert_eq!(out.matches("transpose(").count(), 1, "{out}");
    assert!(out.contains("%x = input : f32[n,2,4,4]\n"), "{out}");
}

#[test]
fn dense_weights_follow_the_flattening() {
    let out = layout(
        r#"
  %x = input : f32[1,1,2,2]
  %u = unary(%x) { f = "abs" } : f32[1,1,2,2]
  %t = transpose(%u) { perm = [0, 3, 1, 2] } : f32[1,2,1,2]
  %f = reshape(%t) { shape = [1, 4] } : f32[1,4]
  %r = unary(%f) { f = "relu" } : f32[1,4]
  %w = const [0.0, 1.0, 2.0, 3.0] : f32[1,4]
  %y = dense(%r, %w) : f32[1,1]
  output %y"#,
        "ports = false",
    );
    assert!(!out.contains("transpose"), "{out}");
    assert!(out.contains("const [0.0, 2.0, 1.0, 3.0]"), "{out}");
}

#[test]
fn reductions_take_transposes_up() {
    let out = layout(
        r#"
  %x = input : f32[n,4,4,3]
  %u = unary(%x) { f = "abs" } : f32[n,4,4,3]
  %t = transpose(%u) { perm = [0, 3, 1, 2] } : f32[n,3,4,4]
  %y = reduce(%t) { axes = [2, 3], f = "mean", keep_dims = false } : f32[n,3]
  output %y"#,
        "",
    );
    assert!(!out.contains("transpose"), "{out}");
    assert!(out.contains("axes = [1, 2]"), "{out}");
}

#[test]
fn a_needed_transpose_stays_and_is_counted() {
    let graph = parse(
        "graph @g {
           %x = input : f32[2,3]
           %t = transpose(%x) { perm = [1, 0] } : f32[3,2]
           %y = matmul(%x, %t) : f32[2,2]
           output %y
         }",
    )
    .unwrap();
    let pipeline = Pipeline::parse("version = 1\n[[pass]]\nuse = \"layout\"").unwrap();
    let done = pipeline.run(&graph, &NoHost, &mut Default::default()).unwrap();
    assert_eq!(done.report.steps[0].notes, ["1 of 1 transposes are left: `t`"]);
}

#[test]
fn a_pixel_shuffle_is_one_op() {
    let shuffle = |channels: usize, order: &str| {
        let out = layout(
            &format!(
                r#"
  %x = input : f32[1,{depth},4,5]
  %s = reshape(%x) {{ shape = [1, {channels}, 3, 3, 4, 5] }} : f32[1,{channels},3,3,4,5]
  %t = transpose(%s) {{ perm = [0, 1, 4, 2, 5, 3] }} : f32[1,{channels},4,3,5,3]
  %y = reshape(%t) {{ shape = [1, {channels}, 12, 15] }} : f32[1,{channels},12,15]
  output %y
"#,
                depth = 9 * channels
            ),
            "",
        );
        assert!(!out.contains("transpose("), "{out}");
        assert!(out.contains(order), "{out}");
    };
    shuffle(1, "depth_to_space(%x) { block = 3 }");
    shuffle(2, "depth_to_space(%x) { block = 3, order = \"crd\" }");
}
