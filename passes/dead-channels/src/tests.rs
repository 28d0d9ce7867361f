use paring_ir::text::{Large, parse, print};
use paring_pass::{NoHost, Pipeline};

fn remove(body: &str) -> String {
    let graph = parse(&format!("graph @g {{\n{body}\n}}")).unwrap();
    graph.verified().unwrap();
    let pipeline =
        Pipeline::parse("version = 1\n[[pass]]\nuse = \"remove-dead-channels\"").unwrap();
    let done =
        pipeline.run(&graph, &NoHost, &mut Default::default()).unwrap_or_else(|e| panic!("{e}"));
    print(&done.graph, Large::Inline).text
}

/// Three channels: one lives, one is constant 1, one is constant -2 (the zero point).
fn integer(pad: &str, size: usize) -> String {
    remove(&format!(
        r#"
  %x = input : i8[1,4,4,1] q(1.0, 0)
  %w = const [1, 0, 0] : i8[3,1,1,1] q(axis=0, [1.0, 1.0, 1.0])
  %b = const [0, 3, 0] : i32[3] q(axis=0, [1.0, 1.0, 1.0])
  %h = conv2d(%x, %w, %b) {{ groups = 1, pad = "valid", stride = [1, 1] }} : i8[1,4,4,3] q(1.0, -2)
  %v = const splat(2) : i8[1,2,2,3] q(1.0, 0)
  %c = const [10] : i32[1] q(1.0, 0)
  %y = conv2d(%h, %v, %c) {{ groups = 1, pad = "{pad}", stride = [1, 1] }} : i8[1,{size},{size},1] q(8.0, 0)
  output %y"#
    ))
}

#[test]
fn constant_channels_become_bias_without_padding() {
    let out = integer("valid", 3);
    assert!(out.contains("i8[1,4,4,1] q(1.0, -2)"), "{out}");
    assert!(out.contains("%v = const splat(2) : i8[1,2,2,1]"), "{out}");
    // Channel 1 is 1, which is 3 above the zero point, under four taps of 2.
    assert!(out.contains("%c = const [34] : i32[1]"), "{out}");
}

#[test]
fn with_padding_only_the_zero_point_goes() {
    let out = integer("same", 4);
    assert!(out.contains("i8[1,4,4,2] q(1.0, -2)"), "{out}");
    assert!(out.contains("%c = const [10] : i32[1]"), "{out}");
}

#[test]
fn a_constant_on_which_the_roundings_differ_stays() {
    // A quarter of -6 is -1.5: away from zero it is -2, toward positive infinity -1.
    let out = remove(
        r#"
  %x = input : i8[1,2] q(1.0, 0)
  %w = const [1, 1, 0, 0] : i8[2,2] q(1.0, 0)
  %b = const [0, -6] : i32[2] q(1.0, 0)
  %h = dense(%x, %w, %b) : i8[1,2] q(4.0, 0)
  %v = const [1, 1] : i8[1,2] q(1.0, 0)
  %y = dense(%h, %v) : i8[1,1] q(4.0, 0)
  output %y"#,
    );
    assert!(out.contains("%h = dense(%x, %w, %b) : i8[1,2]"), "{out}");
}

#[test]
fn channels_go_together_through_everything_that_ties_them() {
    let out = remove(
        r#"
  %x = input : f32[n,4,4,1]
  %w = const [1.0, 0.0, 2.0] : f32[3,1,1,1]
  %b = const [0.5, -1.0, 0.0] : f32[3]
  %a = conv2d(%x, %w, %b) { activation = "relu", groups = 1, pad = "valid", stride = [1, 1] } : f32[n,4,4,3]
  %wd = const splat(1.0) : f32[3,3,3,1]
  %d = conv2d(%a, %wd) { groups = 3, pad = "same", stride = [1, 1] } : f32[n,4,4,3]
  %s = binary(%a, %d) { f = "add" } : f32[n,4,4,3]
  %k = const [1.0, 2.0, 3.0] : f32[3]
  %p = pad(%s) { mode = { constant = 0.0 }, pads = [[0, 0], [0, 0], [1, 1], [0, 0]] } : f32[n,4,6,3]
  %q = pool(%p) { kernel = [4, 3], kind = "max", pad = "valid", stride = [4, 3] } : f32[n,1,2,3]
  %c = concat(%q, %q) { axis = 3 } : f32[n,1,2,6]
  %f = reshape(%c) { shape = [-1, 12] } : f32[n,12]
  %v = const [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0] : f32[1,12]
  %y = dense(%f, %v) : f32[n,1]
  output %y"#,
    );
    assert!(out.contains("[1.0, 2.0] : f32[2,1,1,1]"), "{out}");
    assert!(out.contains("groups = 2"), "{out}");
    assert!(out.contains("reshape(%c) { shape = [-1, 8] }"), "{out}");
    assert!(out.contains("const [1.0, 3.0, 4.0, 6.0, 7.0, 9.0, 10.0, 12.0] : f32[1,8]"), "{out}");
}

#[test]
fn filters_that_nothing_reads_go_and_their_inputs_with_them() {
    let out = remove(
        r#"
  %x = input : f32[1,2]
  %w = const [1.0, 2.0, 3.0, 4.0] : f32[2,2]
  %a = dense(%x, %w) : f32[1,2]
  %u = const [1.0, 0.0, 0.0, 5.0] : f32[2,2]
  %h = dense(%a, %u) { activation = "relu" } : f32[1,2]
  %v = const [7.0, 0.0] : f32[1,2]
  %y = dense(%h, %v) : f32[1,1]
  output %y"#,
    );
    assert!(out.contains("%w = const [1.0, 2.0] : f32[1,2]"), "{out}");
    assert!(out.contains("%u = const [1.0] : f32[1,1]"), "{out}");
    assert!(out.contains("%v = const [7.0] : f32[1,1]"), "{out}");
}

#[test]
fn outputs_and_unknown_readers_keep_their_channels_and_one_always_stays() {
    let body = |reader: &str| {
        format!(
            r#"
  %x = input : f32[1,2]
  %w = const [1.0, 2.0, 0.0, 0.0] : f32[2,2]
  %h = dense(%x, %w) : f32[1,2]
  {reader}"#
        )
    };
    assert!(remove(&body("output %h")).contains("f32[2,2]"));
    let soft = "%y = softmax(%h) { axis = 1, beta = 1.0 } : f32[1,2]\n  output %y";
    assert!(remove(&body(soft)).contains("f32[2,2]"));
    let none = "%v = const [0.0, 0.0] : f32[1,2]\n  %y = dense(%h, %v) : f32[1,1]\n  output %y";
    assert!(remove(&body(none)).contains("%h = dense(%x, %w) : f32[1,1]"));
}
