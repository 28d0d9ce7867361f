use paring_ir::Graph;
use paring_pass::{NoHost, Pipeline};

/// Attention of two heads of two features over three steps, the second head of larger values; `mask` is added to the scores.
fn attention(mask: &str, softmax: usize) -> Graph {
    paring_ir::text::parse(&format!(
        "graph @attention {{
           %x = input : f32[1,3,4]
           %wq = const fill(seed=1) : f32[4,4]
           %wk = const fill(seed=2) : f32[4,4]
           %wv = const [0.1, 0.0, 0.0, 0.0, 0.0, 0.1, 0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 4.0] : f32[4,4]
           %bv = const [1.0, 2.0, 3.0, 4.0] : f32[4]
           %wo = const fill(seed=3) : f32[4,4]
           %mask = const {mask}
           %q = dense(%x, %wq) : f32[1,3,4]
           %k = dense(%x, %wk) : f32[1,3,4]
           %v = dense(%x, %wv, %bv) : f32[1,3,4]
           %qs = reshape(%q) {{ shape = [1, 3, 2, 2] }} : f32[1,3,2,2]
           %ks = reshape(%k) {{ shape = [1, 3, 2, 2] }} : f32[1,3,2,2]
           %vs = reshape(%v) {{ shape = [1, 3, 2, 2] }} : f32[1,3,2,2]
           %qh = transpose(%qs) {{ perm = [0, 2, 1, 3] }} : f32[1,2,3,2]
           %kh = transpose(%ks) {{ perm = [0, 2, 3, 1] }} : f32[1,2,2,3]
           %vh = transpose(%vs) {{ perm = [0, 2, 1, 3] }} : f32[1,2,3,2]
           %s = matmul(%qh, %kh) : f32[1,2,3,3]
           %m = binary(%s, %mask) {{ f = \"add\" }} : f32[1,2,3,3]
           %p = softmax(%m) {{ axis = {softmax}, beta = 0.7 }} : f32[1,2,3,3]
           %c = matmul(%p, %vh) : f32[1,2,3,2]
           %t = transpose(%c) {{ perm = [0, 2, 1, 3] }} : f32[1,3,2,2]
           %j = reshape(%t) {{ shape = [1, 3, 4] }} : f32[1,3,4]
           %y = dense(%j, %wo) : f32[1,3,4]
           output %y
         }}"
    ))
    .unwrap()
}

fn pruned(graph: &Graph, settings: &str) -> Result<Graph, String> {
    let pipeline = Pipeline::single("prune-channels", settings).map_err(|e| e.to_string())?;
    // The cause stands behind the step that failed.
    let full =
        |e: &dyn std::error::Error| e.source().map_or_else(|| e.to_string(), |s| s.to_string());
    match pipeline.run(graph, &NoHost, &mut Default::default()) {
        Ok(done) => Ok(done.graph),
        Err(e) => Err(full(&e)),
    }
}

#[test]
fn the_weaker_head_goes_and_every_shape_shrinks() {
    let graph = attention("splat(0.0) : f32[1,1,3,3]", 3);
    let after = pruned(&graph, "{ structure = \"heads\", channels = 0.5 }").unwrap();
    let dims = |name: &str| {
        let shape = &after.ty(after.value_named(name).unwrap().id).shape;
        shape.fixed().unwrap()
    };
    for (name, shape) in [
        ("q", vec![1, 3, 2]),
        ("qs", vec![1, 3, 1, 2]),
        ("kh", vec![1, 1, 2, 3]),
        ("p", vec![1, 1, 3, 3]),
        ("c", vec![1, 1, 3, 2]),
        ("j", vec![1, 3, 2]),
        ("y", vec![1, 3, 4]),
    ] {
        assert_eq!(dims(name), shape, "{name}");
    }
    let numbers = |g: &Graph, name: &str| {
        g.constant(g.value_named(name).unwrap().id).unwrap().dense().to_f32()
    };
    assert_eq!(numbers(&after, "wv"), [0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 4.0]);
    assert_eq!(numbers(&after, "bv"), [3.0, 4.0]);
    let rows: Vec<f32> = numbers(&graph, "wo").chunks(4).flat_map(|r| r[2..].to_vec()).collect();
    assert_eq!(numbers(&after, "wo"), rows);
    assert_eq!(numbers(&after, "wq"), numbers(&graph, "wq")[8..]);
}

#[test]
fn what_is_no_attention_is_named() {
    let heads = "{ structure = \"heads\", channels = 0.5 }";
    let plain = paring_ir::text::parse(
        "graph @g {
           %x = input : f32[1,4]
           %y = softmax(%x) { axis = 1, beta = 1.0 } : f32[1,4]
           output %y
         }",
    )
    .unwrap();
    let why = pruned(&plain, heads).unwrap_err();
    assert!(why.contains("no attention was found") && why.contains("Supported are"), "{why}");
    let why = pruned(&attention("fill(seed=4) : f32[1,2,3,3]", 3), heads).unwrap_err();
    assert!(why.contains("`mask` differs from head to head"), "{why}");
    let why = pruned(&attention("splat(0.0) : f32[1,1,3,3]", 1), heads).unwrap_err();
    assert!(why.contains("over the heads"), "{why}");
    let why = pruned(&plain, "{ structure = \"heads\", macs = 0.5 }").unwrap_err();
    assert!(why.contains("takes `channels`"), "{why}");
}
