use paring_ir::{Executor, Graph, Node, text};
use paring_pass::{Done, Estimate, Host, LayerEstimate, PassError, Pipeline, Samples, StepError};
use std::sync::Arc;

/// Knows one target, which leaves out blocks of the layers named `fast`: each takes 10 cycles for a weight that is
/// not zero, and all the rest takes 200.
struct Targets;

impl Host for Targets {
    fn executor(&self) -> Result<&dyn Executor, PassError> {
        Err(PassError::Input("there is none".into()))
    }

    fn samples(&self, _: Option<&str>, _: &Graph) -> Result<Arc<dyn Samples>, PassError> {
        Err(PassError::Input("there are none".into()))
    }

    fn skips(&self, target: &str, _: &Graph, node: &Node) -> Result<Option<[usize; 2]>, PassError> {
        if target != "t" {
            return Err(PassError::Input(format!("no target `{target}`")));
        }
        Ok((node.name == "fast").then_some([4, 2]))
    }

    fn estimate(&self, _: &str, graph: &Graph) -> Result<Estimate, PassError> {
        let layers: Vec<LayerEstimate> = graph
            .nodes()
            .filter(|n| n.name == "fast")
            .map(|n| {
                let weights = graph.constant(n.inputs()[1]).unwrap().dense().to_f32();
                let cycles = 10 * weights.iter().filter(|w| **w != 0.0).count() as u64;
                LayerEstimate { name: n.name.clone(), cycles: Some(cycles), ..Default::default() }
            })
            .collect();
        let cycles = Some(200 + layers.iter().filter_map(|l| l.cycles).sum::<u64>());
        Ok(Estimate { cycles, layers, ..Estimate::default() })
    }
}

fn network() -> Graph {
    text::parse(
        "graph @g {
           %x = input : f32[1,8,8,8]
           %w = const fill(seed=1) : f32[16,1,1,8]
           %h = conv2d(%x, %w) { groups = 1, pad = \"valid\", stride = [1, 1] } : f32[1,8,8,16] @\"fast\"
           %m = reduce(%h) { axes = [1, 2], f = \"mean\", keep_dims = false } : f32[1,16]
           %v = const fill(seed=2) : f32[8,16]
           %y = dense(%m, %v) : f32[1,8] @\"slow\"
           output %y
         }",
    )
    .unwrap()
}

fn prune(settings: &str) -> Result<Done, StepError> {
    let settings = format!("{{ criterion = \"magnitude\", {settings} }}");
    Pipeline::single("prune", &settings).unwrap().run(&network(), &Targets, &mut Default::default())
}

fn kept(done: &Done, name: &str) -> Option<usize> {
    let data = done.graph.value_named(name)?.constant()?;
    Some(data.sparse()?.kept().len())
}

#[test]
fn weights_and_masks_take_no_more_than_asked_for() {
    for (scope, bytes) in [("layer", 700), ("global", 700), ("global", 200)] {
        let done = prune(&format!("bytes = {bytes}, scope = \"{scope}\"")).unwrap();
        let packed: usize =
            done.graph.values().filter_map(|v| v.constant()).map(|c| c.packed_bytes()).sum();
        // Rounding to whole weights leaves less than a weight for each layer.
        assert!(packed <= bytes + 8 && packed + 16 >= bytes, "{scope}: {packed} of {bytes}");
    }
    let error = prune("bytes = 30").unwrap_err().to_string();
    assert!(error.contains("masks alone"), "{error}");
}

#[test]
fn work_is_shared_by_what_each_weight_does() {
    // A weight of the convolution works at 64 positions.
    let done = prune("macs = 0.25, scope = \"global\"").unwrap();
    let (conv, dense) = (kept(&done, "w").unwrap(), kept(&done, "v").unwrap());
    let (work, all) = (64 * conv + dense, 64 * 128 + 128);
    assert!(work * 4 <= all + 4 * 64 && work * 4 > all - 4 * 128, "{conv} {dense}");
}

#[test]
fn only_layers_that_a_target_has_a_use_for_are_pruned() {
    let done = prune("sparsity = 0.5, target = \"t\"").unwrap();
    let data = done.graph.value_named("w").unwrap().constant().unwrap();
    assert_eq!(data.sparse().unwrap().block(), [4, 1, 1, 2]);
    assert_eq!(kept(&done, "w"), Some(64));
    assert_eq!(kept(&done, "v"), None);
    let declined: Vec<&str> =
        done.report.steps[0].declined.iter().map(|d| d.node.as_str()).collect();
    assert_eq!(declined, ["slow"]);
    assert!(prune("sparsity = 0.5, target = \"u\"").is_err());
    let error = prune("target = \"t\", structure = \"2:4\"").unwrap_err().to_string();
    assert!(error.contains("`target` says"), "{error}");
}

#[test]
fn zeros_are_made_until_the_target_is_as_fast_as_asked_for() {
    for scope in ["layer", "global"] {
        // 128 weights; 840 cycles leave 64 of them.
        for (aim, allowed) in [("\"840\"", 64), ("0.5", 54), ("\"1ms@840kHz\"", 64)] {
            let done =
                prune(&format!("latency = {aim}, target = \"t\", scope = \"{scope}\"")).unwrap();
            let left = kept(&done, "w").unwrap();
            assert!(left <= allowed && left + 8 >= allowed, "{scope} {aim}: {left}");
            let notes = done.report.steps[0].notes.join("\n");
            assert!(notes.contains("about 1480 cycles before"), "{notes}");
            assert!(notes.contains(&format!("about {} cycles after", 200 + 10 * left)), "{notes}");
        }
    }
    let nothing = prune("latency = \"2k\", target = \"t\"").unwrap();
    assert_eq!(kept(&nothing, "w"), None);
    let why = |settings: &str| {
        std::error::Error::source(&prune(settings).unwrap_err()).unwrap().to_string()
    };
    assert!(why("latency = \"200\", target = \"t\"").contains("cannot be reached so"));
    assert!(why("latency = 0.5").contains("needs a `target`"));
    assert!(why("latency = 1.5, target = \"t\"").contains("share that stays"));
    assert!(why("latency = 0.5, sparsity = 0.5, target = \"t\"").contains("give one of"));
}

#[test]
fn stages_need_weights_that_are_fitted_and_an_aim_to_share() {
    let why = |settings: &str| {
        let step = Pipeline::single("prune", settings).unwrap();
        let failed = step.run(&network(), &Targets, &mut Default::default()).unwrap_err();
        std::error::Error::source(&failed).unwrap().to_string()
    };
    assert!(why("{ sparsity = 0.5, stages = 0 }").contains("at least 1"));
    let unfitted = why("{ sparsity = 0.5, stages = 2, criterion = \"magnitude\" }");
    assert!(unfitted.contains("`update = true`"), "{unfitted}");
    assert!(why("{ structure = \"2:4\", stages = 2 }").contains("leave `stages` out"));
}
