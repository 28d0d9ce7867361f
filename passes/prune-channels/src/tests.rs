use paring_ir::{Executor, Graph};
use paring_pass::{Done, Estimate, Host, LayerEstimate, NoHost, PassError, Pipeline, Samples};
use std::sync::Arc;

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

/// Knows one target, which works on so many channels at a time and takes a cycle for each product of theirs.
struct Target(u64);

impl Host for Target {
    fn executor(&self) -> Result<&dyn Executor, PassError> {
        Err(PassError::Input("there is none".into()))
    }

    fn samples(&self, _: Option<&str>, _: &Graph) -> Result<Arc<dyn Samples>, PassError> {
        Err(PassError::Input("there are none".into()))
    }

    fn estimate(&self, target: &str, graph: &Graph) -> Result<Estimate, PassError> {
        if target != "t" {
            return Err(PassError::Input(format!("no target `{target}`")));
        }
        let layers: Vec<LayerEstimate> = graph
            .nodes()
            .map(|n| {
                let shape = graph.ty(n.outputs()[0]).shape.fixed().unwrap();
                let width = *shape.last().unwrap() as u64;
                let macs = paring_ir::macs(graph, n).unwrap_or(0);
                let cycles = Some(macs / width * width.next_multiple_of(self.0));
                LayerEstimate { name: n.name.clone(), cycles, ..Default::default() }
            })
            .collect();
        let cycles = layers.iter().map(|l| l.cycles).sum();
        Ok(Estimate { cycles, layers, ..Estimate::default() })
    }
}

/// Takes channels of two convolutions away, for a target that works on so many at a time.
fn fast(at_once: u64, settings: &str) -> Result<Done, String> {
    let graph = paring_ir::text::parse(
        "graph @g {
           %x = input : f32[1,8,8,4]
           %w = const fill(seed=1) : f32[16,3,3,4]
           %a = conv2d(%x, %w) { groups = 1, pad = \"same\", stride = [1, 1] } : f32[1,8,8,16]
           %v = const fill(seed=2) : f32[32,3,3,16]
           %b = conv2d(%a, %v) { groups = 1, pad = \"same\", stride = [2, 2] } : f32[1,4,4,32]
           %m = reduce(%b) { axes = [1, 2], f = \"mean\", keep_dims = false } : f32[1,32]
           %u = const fill(seed=3) : f32[10,32]
           %y = dense(%m, %u) : f32[1,10]
           output %y
         }",
    )
    .unwrap();
    let settings = format!("{{ criterion = \"l2\", update = false, {settings} }}");
    let pipeline = Pipeline::single("prune-channels", &settings).map_err(|e| e.to_string())?;
    let done = pipeline.run(&graph, &Target(at_once), &mut Default::default());
    done.map_err(|e| std::error::Error::source(&e).unwrap().to_string())
}

#[test]
fn channels_go_until_the_target_is_as_fast_as_asked_for() {
    let cycles =
        |at_once, done: &Done| Target(at_once).estimate("t", &done.graph).unwrap().cycles.unwrap();
    for at_once in [1, 4] {
        let before = cycles(at_once, &fast(at_once, "channels = 0.0").unwrap());
        for (aim, allowed) in [("0.6", before * 6 / 10), ("\"60k\"", 60_000)] {
            let done = fast(at_once, &format!("latency = {aim}, target = \"t\"")).unwrap();
            let after = cycles(at_once, &done);
            // The last channels that went may have taken a fifth of the work.
            assert!(after <= allowed && after * 5 >= allowed * 4, "{at_once} {aim}: {after}");
            let notes = done.report.steps[0].notes.join("\n");
            assert!(notes.contains(&format!("about {before} cycles before")), "{notes}");
            assert!(notes.contains(&format!("about {after} cycles after")), "{notes}");
        }
    }
    // Channels in between save nothing where four are computed at a time.
    let done = fast(4, "latency = 0.6, target = \"t\"").unwrap();
    for name in ["a", "b"] {
        let value = done.graph.value_named(name).unwrap();
        let width = *value.ty.shape.fixed().unwrap().last().unwrap();
        assert!(width.is_multiple_of(4), "{name}: {width}");
    }
}

#[test]
fn aims_of_latency_that_make_no_sense_are_refused() {
    let why = |settings: &str| fast(1, settings).unwrap_err();
    assert!(why("latency = \"10\", target = \"t\"").contains("cannot be reached"));
    assert!(why("latency = 0.5, target = \"u\"").contains("no target `u`"));
    assert!(why("latency = 0.5").contains("go together"));
    assert!(why("channels = 0.5, target = \"t\"").contains("go together"));
    assert!(why("latency = \"20ms\", target = \"t\"").contains("needs the clock"));
    assert!(why("latency = 0.5, macs = 0.5, target = \"t\"").contains("give one of"));
}
