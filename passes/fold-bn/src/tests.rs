use paring_ir::text::{Large, parse, print};
use paring_pass::{NoHost, Pipeline};

fn fold(body: &str) -> String {
    let graph = parse(&format!("graph @g {{\n{body}\n}}")).unwrap();
    let pipeline = Pipeline::parse("version = 1\n[[pass]]\nuse = \"fold-bn\"").unwrap();
    let done = pipeline.run(&graph, &NoHost, &mut Default::default()).unwrap();
    print(&done.graph, Large::Inline).text
}

#[test]
fn into_the_convolution_before() {
    let out = fold(
        r#"%x = input : f32[n,4,4,1]
           %w = const [1.0, 2.0] : f32[2,1,1,1]
           %b = const [1.0, -1.0] : f32[2]
           %c = conv2d(%x, %w, %b) { groups = 1, pad = "same", stride = [1, 1] } : f32[n,4,4,2]
           %s = const [2.0, 3.0] : f32[2]
           %t = const [0.5, 0.0] : f32[2]
           %m = const [1.0, 1.0] : f32[2]
           %v = const [4.0, 1.0] : f32[2]
           %y = batch_norm(%c, %s, %t, %m, %v) { epsilon = 0.0 } : f32[n,4,4,2]
           output %y"#,
    );
    assert!(out.contains("%w = const [1.0, 6.0] : f32[2,1,1,1]"), "{out}");
    assert!(out.contains("%b = const [0.5, -6.0] : f32[2]"), "{out}");
    assert_eq!(out.matches('(').count(), 1, "{out}");
}

#[test]
fn into_the_convolution_after_unless_padding_forbids_it() {
    let body = |pad: &str, h: usize, t: &str| {
        format!(
            r#"%x = input : f32[1,4,4,2]
           %r = unary(%x) {{ f = "relu" }} : f32[1,4,4,2]
           %s = const [2.0, 3.0] : f32[2]
           %t = const {t} : f32[2]
           %m = const [0.0, 0.0] : f32[2]
           %v = const [1.0, 1.0] : f32[2]
           %n = batch_norm(%r, %s, %t, %m, %v) {{ epsilon = 0.0 }} : f32[1,4,4,2]
           %w = const [1.0, 2.0, 1.0, 2.0, 1.0, 2.0, 1.0, 2.0] : f32[1,2,2,2]
           %y = conv2d(%n, %w) {{ groups = 1, pad = "{pad}", stride = [1, 1] }} : f32[1,{h},{h},1]
           output %y"#
        )
    };
    let out = fold(&body("valid", 3, "[1.0, -1.0]"));
    assert!(out.contains("[2.0, 6.0, 2.0, 6.0, 2.0, 6.0, 2.0, 6.0]"), "{out}");
    assert!(out.contains("const [-4.0]"), "{out}");
    let out = fold(&body("same", 4, "[0.0, 0.0]"));
    assert!(out.contains("[2.0, 6.0, 2.0, 6.0, 2.0, 6.0, 2.0, 6.0]"), "{out}");
    let out = fold(&body("same", 4, "[1.0, -1.0]"));
    assert!(out.contains("groups = 2"), "a depthwise convolution stands for it: {out}");
    assert!(!out.contains("batch_norm"), "{out}");
}

#[test]
fn masks_stay_and_a_shared_result_is_not_folded() {
    let out = fold(
        r#"%x = input : f32[1,2]
           %w = const sparse(block = [1, 1], fill = 0, mask = [9], values = [1.0, 2.0] : f32[2]) : f32[2,2]
           %d = dense(%x, %w) : f32[1,2]
           %k = const [3.0, 5.0] : f32[2]
           %y = binary(%d, %k) { f = "mul" } : f32[1,2]
           %q = const [1.0, 1.0] : f32[2]
           %z = binary(%y, %q) { f = "add" } : f32[1,2]
           output %z"#,
    );
    assert!(out.contains("sparse("), "{out}");
    assert!(out.contains("[3.0, 10.0]"), "{out}");
    assert_eq!(out.matches("binary").count(), 0, "{out}");
    let shared = r#"%x = input : f32[1,2]
           %w = const [1.0, 2.0, 3.0, 4.0] : f32[2,2]
           %d = dense(%x, %w) : f32[1,2]
           %k = const [3.0, 5.0] : f32[2]
           %y = binary(%d, %k) { f = "mul" } : f32[1,2]
           output %y
           output %d"#;
    assert!(fold(shared).contains("binary"), "{}", fold(shared));
}

#[test]
fn computed_statistics_are_refused_by_name() {
    let graph = parse(
        r#"graph @g {
           %x = input : f32[1,2]
           %s = input : f32[2]
           %y = batch_norm(%x, %s, %s, %s, %s) { epsilon = 0.1 } : f32[1,2] @"norm 1"
           output %y
         }"#,
    )
    .unwrap();
    let pipeline = Pipeline::parse("version = 1\n[[pass]]\nuse = \"fold-bn\"").unwrap();
    let error = pipeline.run(&graph, &NoHost, &mut Default::default()).unwrap_err();
    assert!(error.source.to_string().contains("`norm 1`"), "{}", error.source);
}
