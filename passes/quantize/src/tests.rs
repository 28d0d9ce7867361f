use crate as _;
use paring_ir::Graph;
use paring_ir::text::{Large, parse, print};
use paring_pass::{
    Effect, NoHost, Pass, PassContext, PassError, PassInfo, Pipeline, facts, register_pass,
};

/// Stands for the passes that ranges come from; the tests write the ranges into the graph.
#[derive(serde::Deserialize)]
struct Known {}

register_pass!(
    Known,
    PassInfo {
        name: "known-ranges",
        summary: "",
        effect: Effect::Exact,
        needs: &[],
        gives: &[facts::CALIBRATED, facts::NO_BATCH_NORM],
        breaks: &[],
    }
);

impl Pass for Known {
    fn run(&self, _: &mut Graph, _: &mut PassContext<'_>) -> Result<(), PassError> {
        Ok(())
    }
}

fn run(body: &str, settings: &str) -> Result<String, String> {
    let graph = parse(&format!("graph @g {{\n{body}\n}}")).unwrap();
    let text = format!(
        "version = 1\n[[pass]]\nuse = \"known-ranges\"\n[[pass]]\nuse = \"quantize\"\n{settings}"
    );
    let pipeline = Pipeline::parse(&text).map_err(|e| e.to_string())?;
    let done = pipeline.run(&graph, &NoHost, &mut Default::default()).map_err(|e| e.to_string())?;
    Ok(print(&done.graph, Large::Inline).text)
}

fn quantize(body: &str, settings: &str) -> String {
    run(body, settings).unwrap_or_else(|e| panic!("{e}"))
}

const NET: &str = r#"
  %x = input : f32[n,4,4,1] in [-1.0, 1.0]
  %w = const [1.0, -2.0] : f32[2,1,1,1]
  %b = const [0.5, -0.25] : f32[2]
  %c = conv2d(%x, %w, %b) { activation = "relu", groups = 1, pad = "same", stride = [1, 1] } : f32[n,4,4,2] in [0.0, 2.55]
  %p = pool(%c) { kernel = [4, 4], kind = "average", pad = "valid", stride = [4, 4] } : f32[n,1,1,2] in [0.0, 2.0]
  %r = reshape(%p) { shape = [-1, 2] } : f32[n,2] in [0.0, 2.0]
  %s = softmax(%r) { axis = 1, beta = 1.0 } : f32[n,2] in [0.1, 0.9]
  output %s as "scores"
"#;

#[test]
fn a_network_becomes_integer_with_shared_and_fixed_scales() {
    let out = quantize(NET, "");
    assert!(out.contains("%x = input : i8[n,4,4,1] q(0.007843138, "), "{out}");
    assert!(out.contains("const [127, -127] : i8[2,1,1,1]"), "{out}");
    assert_eq!(out.matches("q(0.01, -128)").count(), 1, "{out}");
    assert_eq!(out.matches("q(0.007843138, -128)").count(), 2, "{out}");
    let pool = quantize(NET, "global_average = \"pool\"");
    assert_eq!(pool.matches("q(0.01, -128)").count(), 3, "{pool}");
    assert!(out.contains("q(0.00390625, -128)"), "{out}");
    assert!(!out.contains("f32["), "{out}");
    assert!(out.contains("as \"scores\""), "{out}");
    // 0.5 / (0.0078431 * 1 / 127) and -0.25 / (0.0078431 * 2 / 127)
    assert!(out.contains("const [8096, -2024] : i32[2]"), "{out}");
}

#[test]
fn inputs_and_outputs_can_stay_real() {
    let out = quantize(NET, "io = \"f32\"");
    assert!(out.contains("%x = input : f32[n,4,4,1]"), "{out}");
    assert!(out.contains("quantize(%x)"), "{out}");
    assert!(out.contains("%s = dequantize("), "{out}");
}

#[test]
fn sixteen_bit_activations_are_symmetric_with_wide_biases() {
    let out = quantize(NET, "activations = { dtype = \"i16\" }");
    assert!(out.contains("%x = input : i16[n,4,4,1] q(3.051851e-5, 0)"), "{out}");
    assert!(out.contains(": i64[2]"), "{out}");
    assert!(out.contains("q(3.0517578e-5, 0)"), "softmax: {out}");
}

#[test]
fn four_bit_weights_per_tensor() {
    let out = quantize(NET, "weights = { dtype = \"i4\", per = \"tensor\" }");
    assert!(out.contains("const [3, -7] : i4[2,1,1,1] q(0.2857143, 0)"), "{out}");
    let three = quantize(NET, "weights = { dtype = \"i4\", bits = 3 }");
    assert!(three.contains("const [3, -3] : i4[2,1,1,1]"), "{three}");
    assert!(run(NET, "weights = { dtype = \"i4\", bits = 5 }").unwrap_err().contains("5 bits"));
}

#[test]
fn what_cannot_be_quantized_is_named_all_at_once() {
    let body = r#"
  %x = input : f32[1,4] in [-1.0, 1.0]
  %a = binary(%x, %x) { f = "pow" } : f32[1,4] in [0.0, 1.0] @"first"
  %b = cum_sum(%a) { axis = 1 } : f32[1,4] in [0.0, 4.0] @"second"
  %y = unary(%b) { f = "relu" } : f32[1,4] in [0.0, 4.0]
  output %y"#;
    let error = run(body, "").unwrap_err();
    assert!(error.contains("`first`") && error.contains("`second`"), "{error}");
    let out = quantize(body, "unsupported = \"float\"");
    assert!(out.contains("@\"first\""), "{out}");
    assert!(out.contains("%x = input : f32") && out.contains("quantize(%b)"), "{out}");
    let skipped = quantize(body, "skip = [\"first\", \"second\"]");
    assert_eq!(out, skipped);
}

#[test]
fn what_a_recipe_names_is_never_left_float_in_silence() {
    let body = r#"
  %x = input : f32[1,4] in [-1.0, 1.0]
  %a = cum_sum(%x) { axis = 1 } : f32[1,4] in [-4.0, 4.0] @"first"
  %y = unary(%a) { f = "relu" } : f32[1,4] in [0.0, 4.0] @"second"
  output %y"#;
    assert!(run(body, "unsupported = \"float\"").is_ok());
    let error = run(body, "unsupported = \"float\"\nonly = [\"first\", \"second\"]").unwrap_err();
    assert!(error.contains("`first`"), "{error}");
    let error = run(body, "only = [\"third*\"]").unwrap_err();
    assert!(error.contains("`third*`"), "{error}");
    assert!(run(body, "only = [\"sec*\"]").is_ok());
}

#[test]
fn states_become_integers_with_their_values() {
    let out = quantize(
        r#"
  %x = input : f32[1,2] in [-1.0, 1.0]
  %s = state splat(0.5) : f32[1,2] in [-1.0, 1.0]
  %y = binary(%x, %s) { f = "max" } : f32[1,2] in [-1.0, 1.0]
  output %y
  next %s = %y"#,
        "",
    );
    assert!(!out.contains("f32["), "{out}");
}

#[test]
fn a_recurrent_layer_takes_the_integer_form() {
    let out = quantize(
        r#"
  %x = input : f32[5,1,1] in [-1.0, 1.0]
  %w = const [0.1, 0.1, 0.2, 0.2, 0.3, 0.3, 0.4, 0.4] : f32[1,8,1]
  %r = const splat(0.5) : f32[1,8,2]
  %b = const splat(0.1) : f32[1,8]
  %z = const splat(0.0) : f32[1,1,2]
  %y, %h, %c = lstm(%x, %w, %r, %b, %z, %z) : f32[5,1,1,2] in [-0.5, 0.5], f32[1,1,2], f32[1,1,2] in [-1.0, 1.0]
  output %y"#,
        "",
    );
    assert!(out.contains("i16[1,1,2] q(0.00024414063, 0)"), "{out}");
    assert!(out.contains(": i32[1,8]") && !out.contains("f32["), "{out}");
}

#[test]
fn missing_ranges_are_named() {
    let error = run(&NET.replace(" in [0.0, 2.55]", "").replace(" in [0.0, 2.0]", ""), "");
    let error = error.unwrap_err();
    assert!(error.contains("`c`") && error.contains("calibrate"), "{error}");
}

#[test]
fn a_fixed_scale_beside_a_wider_range_is_rescaled() {
    let out = quantize(
        r#"
  %x = input : f32[1,4] in [-8.0, 8.0]
  %s = unary(%x) { f = "sigmoid" } : f32[1,4] in [0.0, 1.0]
  %y = concat(%s, %x) { axis = 1 } : f32[1,8] in [-8.0, 8.0]
  output %y"#,
        "",
    );
    assert!(out.contains(r#"unary(%x) { f = "sigmoid" } : i8[1,4] q(0.00390625, -128)"#), "{out}");
    assert!(out.contains("%s = quantize("), "{out}");
}

#[test]
fn weights_that_are_integers_already_are_kept_with_their_storage() {
    let out = quantize(
        r#"
  %x = input : f32[1,2] in [0.0, 2.55]
  %k = const sparse(block = [1, 1], fill = 0, mask = [9], values = [3, -5] : i4[2]) : i4[2,2] q(axis=0, [0.5, 0.25])
  %w = dequantize(%k) : f32[2,2]
  %y = dense(%x, %w) : f32[1,2] in [-2.55, 0.0]
  output %y"#,
        "",
    );
    assert!(out.contains("sparse(") && out.contains("#q0 = q(axis=0, [0.5, 0.25])"), "{out}");
    assert!(!out.contains("dequantize"), "{out}");
}

#[test]
fn sparse_and_clustered_weights_keep_their_storage() {
    let out = quantize(
        r#"
  %x = input : f32[1,2] in [0.0, 2.55]
  %w = const sparse(block = [1, 1], fill = 0, mask = [9], values = [3.0, -5.0] : f32[2]) : f32[2,2]
  %h = dense(%x, %w) : f32[1,2] in [-2.55, 0.0]
  %v = const palette(book = [0.0, 1.0] : f32[2], codes = [0, 1, 1, 1]) : f32[2,2]
  %y = dense(%h, %v) : f32[1,2] in [-2.55, 0.0]
  output %y"#,
        "",
    );
    assert!(out.contains("values = [127, -127] : i8[2]"), "{out}");
    assert!(out.contains("palette(") && out.contains("codes = [0, 1, 1, 1]"), "{out}");
}

#[test]
fn quantize_and_dequantize_pairs_set_the_scales() {
    let out = quantize(
        r#"
  %x = input : f32[1,2] in [0.0, 9.0]
  %q = quantize(%x) : i8[1,2] q(0.5, 3)
  %d = dequantize(%q) : f32[1,2]
  %w = const [1.0, 2.0, 3.0, 4.0] : f32[2,2]
  %y = dense(%d, %w) : f32[1,2] in [-2.55, 0.0]
  output %y"#,
        "",
    );
    assert!(out.contains("%x = input : i8[1,2] q(0.5, 3)"), "{out}");
    assert!(out.contains("= dense(%x, "), "{out}");
    assert!(!out.contains("quantize("), "{out}");
}

const WIDE: &str = r#"
  %x = input : f32[1,2,2,2] in [-1.0, 1.0]
  %w = const [1.0, -2.0, 0.5, 1.0] : f32[2,1,1,2]
  %b = const [0.5, -0.25] : f32[2]
  %c = conv2d(%x, %w, %b) { groups = 1, pad = "same", stride = [1, 1] } : f32[1,2,2,2] in [-2.0, 2.0]
  %a = binary(%c, %x) { f = "add" } : f32[1,2,2,2] in [-3.0, 3.0]
  %d = conv2d(%a, %w, %b) { groups = 1, pad = "same", stride = [1, 1] } : f32[1,2,2,2] in [-4.0, 4.0]
  output %d"#;

#[test]
fn named_nodes_have_16_bits_with_conversions_at_their_borders() {
    let out = quantize(WIDE, "activations = { wide = [\"c\", \"a\"] }");
    assert!(out.contains("%x = input : i8[1,2,2,2] q(0.007843138, "), "{out}");
    // One copy of the input serves both.
    assert!(out.contains("%x/i16 = quantize(%x) : i16[1,2,2,2] q(3.051851e-5, 0)"), "{out}");
    assert!(out.contains("%c = conv2d(%x/i16, %w, %b)"), "{out}");
    assert!(out.contains(": i16[1,2,2,2] q(6.103702e-5, 0)"), "{out}");
    assert!(out.contains("%b = const") && out.contains(": i64[2]"), "{out}");
    assert!(out.contains("%a = binary(%c, %x/i16)"), "{out}");
    assert!(out.contains("%a/i8 = quantize(%a) : i8[1,2,2,2] q(0.023529412, "), "{out}");
    assert!(out.contains("%d = conv2d(%a/i8, "), "{out}");
    assert_eq!(out.matches("= quantize(").count(), 2, "{out}");
    assert!(out.contains(": i32[2]") && !out.contains("f32["), "{out}");
}

#[test]
fn outputs_beside_nodes_of_16_bits_keep_the_type_of_the_activations() {
    let out = quantize(WIDE, "activations = { wide = [\"d\"] }");
    assert!(out.contains("quantize(") && out.contains("output %d"), "{out}");
    let shown = out.lines().find(|l| l.trim_start().starts_with("%d = ")).unwrap();
    assert!(shown.contains("quantize(%") && shown.contains(": i8[1,2,2,2]"), "{out}");
    let real = quantize(WIDE, "io = \"f32\"\nactivations = { wide = [\"*\"] }");
    assert!(real.contains("%d = dequantize("), "{real}");
    assert!(!real.contains("i8[1,2,2,2]"), "{real}");
    assert_eq!(quantize(WIDE, "activations = { wide = [] }"), quantize(WIDE, ""));
}

#[test]
fn what_wide_names_or_bounds_has_to_make_sense() {
    let error = run(WIDE, "activations = { wide = [\"c\", \"e*\"] }").unwrap_err();
    assert!(error.contains("`e*`") && !error.contains("`c`"), "{error}");
    let error = run(WIDE, "activations = { wide = { samples = 4 } }").unwrap_err();
    assert!(error.contains("`work` or `ram`"), "{error}");
    let error = run(WIDE, "activations = { wide = { work = -1.0 } }").unwrap_err();
    assert!(error.contains("0 or more"), "{error}");
    let error = run(WIDE, "activations = { dtype = \"i16\", wide = [\"c\"] }").unwrap_err();
    assert!(error.contains("beside activations of i8"), "{error}");
    let error = run(WIDE, "activations = { wide = { work = 0.5 } }").unwrap_err();
    assert!(error.contains("no executor"), "{error}");
}
