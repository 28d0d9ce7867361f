//! Sequences of passes drawn at random: after each step, what was zero by a mask is zero, and what had few
//! values has no more of them; or the step fails and names what it would undo.

use paring_backend::ExecOptions;
use paring_ir::ops::{Conv2d, Dense, Dequantize};
use paring_ir::{Executor, Graph, text};
use paring_pass::{Host, PassError, Pipeline, RunOptions, Samples};
use paring_tensor::{ConstData, Tensor};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Runs networks on the reference.
struct Data(Box<dyn Executor>);

/// Gives 24 samples of the network's input.
struct Shared;

impl Samples for Shared {
    fn len(&self) -> usize {
        24
    }

    fn get(&self, i: usize) -> Result<Vec<Tensor>, String> {
        Ok(vec![sample(i)])
    }
}

fn sample(i: usize) -> Tensor {
    let number = |k: usize| ((i * 192 + k) * 2_654_435_761 % 1000) as f32 / 500.0 - 1.0;
    Tensor::from_vec([1, 8, 8, 3], (0..192).map(number).collect()).unwrap()
}

impl Host for Data {
    fn executor(&self) -> Result<&dyn Executor, PassError> {
        Ok(self.0.as_ref())
    }

    fn samples(&self, _: Option<&str>, _: &Graph) -> Result<Arc<dyn Samples>, PassError> {
        Ok(Arc::new(Shared))
    }
}

const NETWORK: &str = "graph @g {
  %x = input : f32[1,8,8,3]
  %w = const fill(seed=1) : f32[8,3,3,3]
  %a = conv2d(%x, %w) { activation = \"relu\", groups = 1, pad = \"same\", stride = [1, 1] } : f32[1,8,8,8] @\"first\"
  %v = const fill(seed=2) : f32[8,3,3,8]
  %b = conv2d(%a, %v) { groups = 1, pad = \"same\", stride = [1, 1] } : f32[1,8,8,8] @\"second\"
  %s = binary(%a, %b) { f = \"add\" } : f32[1,8,8,8]
  %u = const fill(seed=3) : f32[12,1,1,8]
  %c = conv2d(%s, %u) { activation = \"relu\", groups = 1, pad = \"valid\", stride = [2, 2] } : f32[1,4,4,12] @\"third\"
  %m = reduce(%c) { axes = [1, 2], f = \"mean\", keep_dims = false } : f32[1,12]
  %t = const fill(seed=4) : f32[5,12]
  %y = dense(%m, %t) : f32[1,5] @\"last\"
  output %y
}";

const STEPS: [&str; 20] = [
    "use = \"cleanup\"",
    "use = \"layout\"",
    "use = \"fuse\"",
    "use = \"equalize\"",
    "use = \"remove-dead-channels\"",
    "use = \"recognise\"",
    "use = \"calibrate\"",
    "use = \"quantize\"",
    "use = \"prune\"\nsparsity = 0.5\ncriterion = \"magnitude\"",
    "use = \"prune\"\nsparsity = 0.6\nscope = \"global\"",
    "use = \"prune\"\nstructure = \"2:4\"",
    "use = \"prune\"\nsparsity = 0.5\nstructure = \"4x1\"\ncriterion = \"taylor\"",
    "use = \"cluster\"\nclusters = 6",
    "use = \"cluster\"\nclusters = 9\nper = \"channel\"",
    "use = \"cluster\"\nclusters = 8\ngrid = \"i8\"",
    "use = \"gptq\"\nbits = 4\nactivations = \"f32\"",
    "use = \"gptq\"\nbits = 8\nactivations = \"f32\"",
    "use = \"rate\"\nlambda = 0.05",
    "use = \"prune-channels\"\nchannels = 0.25",
    "use = \"prune-channels\"\nchannels = 0.25\ncriterion = \"l2\"\nupdate = false",
];

/// What is known of the weights of a layer.
struct Weights {
    shape: Vec<usize>,
    elements: Vec<f64>,
    /// Elements that are zero by a mask.
    masked: Option<Vec<usize>>,
    palette: bool,
}

impl Weights {
    fn of(data: &ConstData) -> Self {
        let elements = data.dense().to_f64();
        let masked = data.sparse().map(|s| {
            let kept: BTreeSet<usize> = s.kept().into_iter().collect();
            (0..elements.len()).filter(|i| !kept.contains(i)).collect()
        });
        let inner = data.sparse().map_or(data, |s| s.values());
        Self { shape: data.shape().to_vec(), elements, masked, palette: inner.palette().is_some() }
    }

    fn values(&self) -> usize {
        self.elements.iter().map(|x| x.to_bits()).collect::<BTreeSet<u64>>().len()
    }
}

fn weights(graph: &Graph) -> BTreeMap<String, Weights> {
    let layers = graph.nodes().filter(|n| n.op.is::<Conv2d>() || n.op.is::<Dense>());
    layers
        .filter_map(|node| {
            let v = node.inputs()[1];
            let stored = match graph.producer(v) {
                Some(real) if real.op.is::<Dequantize>() => real.inputs()[0],
                _ => v,
            };
            Some((node.name.clone(), Weights::of(graph.constant(stored)?)))
        })
        .collect()
}

/// What a step did to what earlier ones made of the weights.
fn check(before: &BTreeMap<String, Weights>, after: &Graph, steps: &str) {
    for (name, new) in weights(after) {
        let Some(old) = before.get(&name) else { continue };
        let same = old.shape == new.shape;
        if let Some(masked) = &old.masked {
            assert!(new.masked.is_some(), "{name} is not sparse any more:\n{steps}");
            if same {
                let kept = masked.iter().all(|i| new.elements[*i] == 0.0);
                assert!(kept, "zeros of {name} are gone:\n{steps}");
            }
        }
        if old.palette {
            let (old, new) = (old.values(), new.values());
            assert!(new <= old, "{name} had {old} values and has {new}:\n{steps}");
        }
    }
}

#[test]
fn sequences_of_passes_keep_masks_and_palettes_or_fail() {
    let executor = paring_bundle::executor("reference", ExecOptions::default()).unwrap();
    let host = Data(executor);
    let graph = text::parse(NETWORK).unwrap();
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut draw = |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % n as u64) as usize
    };
    let (mut ended, mut undone, mut structured) = (0, 0, 0);
    for _ in 0..3000 {
        let steps: Vec<&str> = (0..2 + draw(4)).map(|_| STEPS[draw(STEPS.len())]).collect();
        let file = steps.iter().fold("version = 1\nseed = 7\n".to_owned(), |file, step| {
            file + "[[pass]]\n" + step + "\n"
        });
        // Steps in an order that cannot be are refused when the file is read.
        let Ok(pipeline) = Pipeline::parse(&file) else { continue };
        let mut before = weights(&graph);
        let mut after = |_: &paring_pass::StepReport, graph: &Graph| {
            check(&before, graph, &file);
            before = weights(graph);
        };
        let mut options = RunOptions { after: Some(&mut after), stop_after: None };
        match pipeline.run(&graph, &host, &mut options) {
            Ok(_) => ended += 1,
            Err(error) => match error.source {
                PassError::Undoes(lost) => {
                    assert!(!lost.is_empty(), "{file}");
                    undone += 1;
                }
                PassError::Faulty(_) | PassError::Internal(_) => panic!("{error}\n{file}"),
                _ => {}
            },
        }
        structured += usize::from(before.values().any(|w| w.masked.is_some() || w.palette));
    }
    println!("{ended} ran, {undone} would have undone a structure, {structured} had one");
    assert!(ended > 200 && undone > 20 && structured > 200, "{ended} {undone} {structured}");
}
