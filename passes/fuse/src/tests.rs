use paring_ir::text::{Large, parse, print};
use paring_pass::{NoHost, Pipeline};

fn fuse(body: &str) -> String {
    let graph = parse(&format!("graph @g {{\n{body}\n}}")).unwrap();
    let pipeline = Pipeline::parse("version = 1\n[[pass]]\nuse = \"fuse\"").unwrap();
    let done = pipeline.run(&graph, &NoHost, &mut Default::default()).unwrap();
    print(&done.graph, Large::Inline).text
}

#[test]
fn clamps_in_every_form_become_activations() {
    let out = fuse(
        r#"%x = input : f32[4]
           %zero = const [0.0] : f32[1]
           %six = const [6.0] : f32[1]
           %a = binary(%x, %x) { f = "add" } : f32[4]
           %b = binary(%a, %zero) { f = "max" } : f32[4]
           %c = binary(%six, %b) { f = "min" } : f32[4]
           %d = binary(%c, %x) { f = "mul" } : f32[4]
           %e = unary(%d) { f = "clip", max = inf, min = 0.0 } : f32[4]
           output %e"#,
    );
    assert!(out.contains(r#"%c = binary(%x, %x) { activation = "relu6", f = "add" }"#), "{out}");
    assert!(out.contains(r#"%e = binary(%c, %x) { activation = "relu", f = "mul" }"#), "{out}");
    assert_eq!(out.matches('(').count(), 2, "{out}");
}

#[test]
fn a_clamp_of_no_fused_form_stays() {
    let out = fuse(
        r#"%x = input : f32[4]
           %a = binary(%x, %x) { f = "add" } : f32[4]
           %b = unary(%a) { f = "clip", max = 2.0, min = 0.0 } : f32[4]
           %c = unary(%b) { f = "relu6" } : f32[4]
           output %c"#,
    );
    assert!(out.contains(r#"f = "clip", max = 2.0, min = 0.0"#), "{out}");
    assert_eq!(out.matches('(').count(), 2, "{out}");
}

#[test]
fn zeros_around_an_image_become_padding() {
    let body = |value: &str| {
        format!(
            r#"%x = input : i8[1,4,4,1] q(0.5, 3)
           %p = pad(%x) {{ mode = {{ constant = {value} }}, pads = [[0, 0], [1, 1], [1, 1], [0, 0]] }} : i8[1,6,6,1] q(0.5, 3)
           %w = const splat(1) : i8[1,3,3,1] q(0.5, 0)
           %y = conv2d(%p, %w) {{ groups = 1, pad = "valid", stride = [1, 1] }} : i8[1,4,4,1] q(1.0, 0)
           output %y"#
        )
    };
    let out = fuse(&body("0.0"));
    assert!(out.contains(r#"conv2d(%x, %w) { groups = 1, pad = "same""#), "{out}");
    assert!(fuse(&body("1.0")).contains("pad(%x)"));
}

#[test]
fn exactly_means_padding_alone() {
    let graph = parse(
        r#"graph @g {
           %x = input : i8[1,4,4,1] q(0.5, 3)
           %p = pad(%x) { mode = { constant = 0.0 }, pads = [[0, 0], [1, 1], [1, 1], [0, 0]] } : i8[1,6,6,1] q(0.5, 3)
           %w = const splat(1) : i8[1,3,3,1] q(0.5, 0)
           %y = conv2d(%p, %w) { groups = 1, pad = "valid", stride = [1, 1] } : i8[1,4,4,1] q(1.0, 0)
           %z = unary(%y) { f = "relu" } : i8[1,4,4,1] q(1.0, 0)
           output %z
         }"#,
    )
    .unwrap();
    let text = "version = 1\n[[pass]]\nuse = \"fuse\"\nexact = true";
    let done =
        Pipeline::parse(text).unwrap().run(&graph, &NoHost, &mut Default::default()).unwrap();
    let out = print(&done.graph, Large::Inline).text;
    assert!(out.contains("conv2d(%x") && out.contains("unary(%y)"), "{out}");
}

#[test]
fn composed_activations_are_recognised() {
    let silu = fuse(
        r#"%x = input : f32[4]
           %s = unary(%x) { f = "sigmoid" } : f32[4]
           %y = binary(%s, %x) { f = "mul" } : f32[4]
           output %y"#,
    );
    assert!(silu.contains(r#"%y = unary(%x) { f = "silu" }"#), "{silu}");
    let hard = fuse(
        r#"%x = input : f32[4]
           %three = const [3.0] : f32[1]
           %six = const [6.0] : f32[1]
           %a = binary(%x, %three) { f = "add" } : f32[4]
           %b = unary(%a) { f = "clip", max = 6.0, min = 0.0 } : f32[4]
           %c = binary(%x, %b) { f = "mul" } : f32[4]
           %y = binary(%c, %six) { f = "div" } : f32[4]
           output %y"#,
    );
    assert!(hard.contains(r#"%y = unary(%x) { f = "hard_swish" }"#), "{hard}");
    let gelu = fuse(
        r#"%u = input : f32[4]
           %x = binary(%u, %u) { f = "mul" } : f32[4]
           %r = const [1.4142135] : f32[1]
           %one = const [1.0] : f32[1]
           %half = const [0.5] : f32[1]
           %a = binary(%x, %r) { f = "div" } : f32[4]
           %b = unary(%a) { f = "erf" } : f32[4]
           %c = binary(%b, %one) { f = "add" } : f32[4]
           %d = binary(%x, %c) { f = "mul" } : f32[4]
           %y = binary(%d, %half) { f = "mul" } : f32[4]
           output %y"#,
    );
    assert!(gelu.contains(r#"%y = unary(%x) { f = "gelu", tanh = false }"#), "{gelu}");
    let plain = fuse(
        r#"%x = input : f32[4]
           %z = input : f32[4]
           %s = unary(%x) { f = "sigmoid" } : f32[4]
           %y = binary(%s, %z) { f = "mul" } : f32[4]
           output %y"#,
    );
    assert!(plain.contains("sigmoid"), "{plain}");
}

#[test]
fn products_with_constants_become_dense_layers() {
    let out = fuse(
        r#"%x = input : f32[n,2]
           %k = const [1.0, 2.0, 3.0, 4.0, 5.0, 6.0] : f32[2,3]
           %m = matmul(%x, %k) : f32[n,3]
           %y = unary(%m) { f = "relu" } : f32[n,3]
           output %y"#,
    );
    assert!(out.contains(r#"dense(%x, %k) { activation = "relu" }"#), "{out}");
    assert!(out.contains("[1.0, 4.0, 2.0, 5.0, 3.0, 6.0] : f32[3,2]"), "{out}");
}

#[test]
fn averages_of_the_whole_image_become_means() {
    let pool = |kernel: &str, out: &str| {
        fuse(&format!(
            r#"%x = input : f32[n,4,4,3]
               %y = pool(%x) {{ kernel = {kernel}, kind = "average", pad = "valid", stride = [1, 1] }} : f32[n,{out},3]
               output %y"#
        ))
    };
    let whole = pool("[4, 4]", "1,1");
    assert!(
        whole.contains(r#"reduce(%x) { axes = [1, 2], f = "mean", keep_dims = true }"#),
        "{whole}"
    );
    assert!(pool("[4, 3]", "1,2").contains("pool("));
}
