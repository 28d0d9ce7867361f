//! The `split-outliers` pass: input channels whose weights reach furthest are computed twice, and read twice with
//! half of their weights.
//!
//! The largest weight decides the step of all that share its scale, so halving the few largest makes every step
//! smaller (outlier channel splitting: Zhao and others, "Improving neural network quantization without
//! retraining using outlier channel splitting", 2019). The network computes the same, in another order of sums; it
//! has a few channels more.
//!
//! A layer's input channels can be split where what it reads comes from one layer, through activations, pools and
//! depthwise convolutions that nothing else reads.

use paring_ir::ops::{Conv2d, Dense, Pool, Unary};
use paring_ir::{Graph, Node, NodeId, Patch, ValueId};
use paring_pass::{Effect, Pass, PassContext, PassError, PassInfo, consts, facts, register_pass};
use paring_tensor::{ConstData, Tensor, TensorType};

/// Settings of the pass.
#[derive(Clone, Debug, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SplitOutliers {
    /// Channels that are added to each layer's input, as a share of those it has; at least one.
    pub share: f64,
}

impl Default for SplitOutliers {
    fn default() -> Self {
        Self { share: 0.02 }
    }
}

register_pass!(
    SplitOutliers,
    PassInfo {
        name: "split-outliers",
        summary: "compute channels with outlying weights twice and halve what reads them",
        effect: Effect::Rounding,
        needs: &[facts::NO_BATCH_NORM],
        gives: &[],
        breaks: &[facts::CALIBRATED],
    }
);

/// Channels of the widened value: which old one each is, and by what its readers' weights are multiplied.
type Copies = Vec<(usize, f32)>;

/// Splits the channel with the largest weight, so many times.
fn copies(largest: &[f32], more: usize) -> Copies {
    let mut all: Copies = (0..largest.len()).map(|c| (c, 1.0)).collect();
    for _ in 0..more {
        let reach = |at: &usize| largest[all[*at].0] * all[*at].1;
        let most = (0..all.len()).max_by(|a, b| reach(a).total_cmp(&reach(b)).then(b.cmp(a)));
        let Some(at) = most.filter(|at| reach(at) > 0.0) else { break };
        all[at].1 *= 0.5;
        all.push(all[at]);
    }
    all
}

/// The layer that a value comes from, and the nodes on the way, the last first.
fn chain(graph: &Graph, from: ValueId) -> Option<(&Node, Vec<&Node>)> {
    let mut way = Vec::new();
    let mut at = from;
    loop {
        if graph.is_visible(at) || graph.only_user(at).is_none() {
            return None;
        }
        let node = graph.producer(at)?;
        let depthwise = node.op_as::<Conv2d>().is_some_and(|c| c.groups > 1);
        if is_whole(node) {
            return Some((node, way));
        }
        if !(depthwise && is_depthwise(graph, node)
            || node.op.is::<Unary>()
            || node.op.is::<Pool>())
        {
            return None;
        }
        way.push(node);
        at = *node.inputs().first()?;
    }
}

/// Whether a node is a layer in which every filter reads every channel.
fn is_whole(node: &Node) -> bool {
    node.op.is::<Dense>() || node.op_as::<Conv2d>().is_some_and(|c| c.groups == 1)
}

/// Whether each filter of a convolution reads the one channel of its place.
fn is_depthwise(graph: &Graph, node: &Node) -> bool {
    let last = |v: ValueId| graph.ty(v).shape.dims().last().and_then(|d| d.fixed());
    let channels = last(node.inputs()[0]);
    let groups = node.op_as::<Conv2d>().map(|c| c.groups);
    channels == groups && last(node.outputs()[0]) == groups
}

/// The real numbers of a constant that is stored one by one.
fn plain(graph: &Graph, value: ValueId) -> Option<(Vec<usize>, Vec<f32>)> {
    let data = graph.constant(value)?;
    let numbers = consts::dense_f32(graph, value)?;
    matches!(data, ConstData::Dense(_)).then(|| (data.shape().to_vec(), numbers))
}

/// Puts a constant with other rows in the place of an operand.
fn rows(
    graph: &Graph,
    patch: &mut Patch,
    value: ValueId,
    copies: &Copies,
) -> Result<Option<ValueId>, PassError> {
    let Some((mut shape, numbers)) = plain(graph, value) else { return Ok(None) };
    let Some(outer) = shape.first_mut() else { return Ok(None) };
    let inner = (numbers.len() / (*outer).max(1)).max(1);
    *outer = copies.len();
    let row = |c: &(usize, f32)| numbers.iter().skip(c.0 * inner).take(inner).copied();
    let tensor: Tensor =
        Tensor::from_vec(shape, copies.iter().flat_map(row).collect::<Vec<f32>>())?;
    Ok(Some(patch.constant(&graph.value(value).name, tensor, None)))
}

/// The type of a value with so many channels.
fn widened(ty: &TensorType, channels: usize) -> Option<TensorType> {
    let mut dims = ty.shape.dims().to_vec();
    *dims.last_mut()? = channels.into();
    Some(TensorType::new(ty.dtype, paring_tensor::Shape::new(dims)))
}

impl SplitOutliers {
    /// The patch for a layer, and how many channels it splits.
    fn split(
        &self,
        graph: &Graph,
        id: NodeId,
    ) -> Result<Result<(Patch, usize), &'static str>, PassError> {
        let reader = graph.node(id);
        let (x, w) = (reader.inputs()[0], reader.inputs()[1]);
        let Some((shape, weights)) = plain(graph, w) else {
            return Ok(Err("its weights are stored as a palette or sparse"));
        };
        let Some((maker, way)) = chain(graph, x) else {
            return Ok(Err("what it reads does not come from one layer alone"));
        };
        let channels = shape.last().copied().unwrap_or(0);
        let made = graph.ty(maker.outputs()[0]).shape.dims().last().and_then(|d| d.fixed());
        if channels == 0 || made != Some(channels) {
            return Ok(Err("its channels are not those of the layer that makes them"));
        }
        let mut largest = vec![0.0_f32; channels];
        for (i, w) in weights.iter().enumerate() {
            let own = &mut largest[i % channels];
            *own = own.max(w.abs());
        }
        let copies = copies(&largest, (self.share * channels as f64).ceil() as usize);
        let mut patch = Patch::new(graph, "split-outliers");
        for node in way.iter().copied().chain([maker]) {
            let mut operands = vec![node.inputs()[0]];
            for value in &node.inputs()[1..] {
                match rows(graph, &mut patch, *value, &copies)? {
                    Some(new) => operands.push(new),
                    None => return Ok(Err("weights before it are stored as a palette or sparse")),
                }
            }
            if let Some(conv) = node.op_as::<Conv2d>().filter(|c| c.groups > 1) {
                patch.set_op(node.id, Conv2d { groups: copies.len(), ..conv.clone() });
            }
            patch.set_operands(node.id, operands);
            let y = node.outputs()[0];
            let Some(ty) = widened(graph.ty(y), copies.len()) else {
                return Ok(Err("what it reads has no channels"));
            };
            patch.set_type(y, ty);
        }
        let mut shape = shape;
        if let Some(last) = shape.last_mut() {
            *last = copies.len();
        }
        let halved: Vec<f32> = weights
            .chunks_exact(channels)
            .flat_map(|row| copies.iter().map(|(c, by)| row[*c] * by))
            .collect();
        let tensor: Tensor = Tensor::from_vec(shape, halved)?;
        let mut operands = reader.inputs().to_vec();
        operands[1] = patch.constant(&graph.value(w).name, tensor, None);
        patch.set_operands(id, operands);
        Ok(Ok((patch, copies.len() - channels)))
    }
}

impl Pass for SplitOutliers {
    fn run(&self, graph: &mut Graph, cx: &mut PassContext<'_>) -> Result<(), PassError> {
        if !(self.share > 0.0 && self.share <= 1.0) {
            return Err(PassError::Input("`share` is over 0 and at most 1".into()));
        }
        let layers: Vec<NodeId> = graph
            .topological()
            .into_iter()
            .filter(|id| is_whole(graph.node(*id)) && graph.node(*id).inputs().len() > 1)
            .filter(|id| cx.selects(graph.node(*id)))
            .collect();
        cx.all_named(layers.iter().map(|id| graph.node(*id)), "convolution or dense layer")?;
        let mut split = 0;
        for id in layers {
            let name = graph.node(id).name.clone();
            match self.split(graph, id)? {
                Ok((_, 0)) => {}
                Ok((patch, more)) => {
                    if !cx.apply(graph, patch)? {
                        return Ok(());
                    }
                    split += more;
                }
                Err(why) => cx.decline(&name, why),
            }
        }
        cx.note(format!("{split} channels are computed twice"));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use paring_pass::{Done, NoHost, Pipeline};

    fn split(share: f64) -> Done {
        let graph = paring_ir::text::parse(
            "graph @g {
               %x = input : f32[1,4,4,2]
               %w = const [1.0, 2.0, 3.0, 4.0] : f32[2,1,1,2]
               %b = const [0.5, 1.5] : f32[2]
               %a = conv2d(%x, %w, %b) { activation = \"relu\", groups = 1, pad = \"valid\", stride = [1, 1] } : f32[1,4,4,2]
               %d = const fill(seed=1) : f32[2,3,3,1]
               %c = conv2d(%a, %d) { groups = 2, pad = \"same\", stride = [1, 1] } : f32[1,4,4,2]
               %r = unary(%c) { f = \"relu\" } : f32[1,4,4,2]
               %v = const [1.0, -8.0, 0.5, 2.0, 1.0, 1.0] : f32[3,1,1,2]
               %y = conv2d(%r, %v) { groups = 1, pad = \"valid\", stride = [1, 1] } : f32[1,4,4,3]
               output %y
             }",
        )
        .unwrap();
        let settings = format!("{{ share = {share} }}");
        let pipeline = Pipeline::single("split-outliers", &settings).unwrap();
        pipeline.run(&graph, &NoHost, &mut Default::default()).unwrap()
    }

    #[test]
    fn a_split_channel_is_made_twice_and_read_twice_with_half() {
        let done = split(0.5);
        let operand = |name: &str, i: usize| {
            let node = done.graph.node_named(name).unwrap();
            done.graph.constant(node.inputs()[i]).unwrap().dense().to_f32()
        };
        assert_eq!(operand("y", 1), [1.0, -4.0, -4.0, 0.5, 1.0, 1.0, 1.0, 0.5, 0.5]);
        assert_eq!(operand("a", 1), [1.0, 2.0, 3.0, 4.0, 3.0, 4.0]);
        assert_eq!(operand("a", 2), [0.5, 1.5, 1.5]);
        let taps = operand("c", 1);
        assert_eq!(taps[9..18], taps[18..27]);
        assert_eq!(done.graph.node_named("c").unwrap().op_as::<Conv2d>().unwrap().groups, 3);
        assert!(done.graph.verified().is_ok());
        // The first layer reads the network's input, whose channels stay.
        assert_eq!(done.report.steps[0].declined[0].node, "a");
    }

    #[test]
    fn what_is_split_often_adds_up_to_what_it_was() {
        let all = copies(&[8.0, 1.0, 3.0], 5);
        for c in 0..3 {
            let sum: f32 = all.iter().filter(|(of, _)| *of == c).map(|(_, by)| by).sum();
            assert_eq!(sum, 1.0);
        }
        let most = all.iter().map(|(c, by)| [8.0, 1.0, 3.0][*c] * by).fold(0.0, f32::max);
        assert!(most <= 2.0, "{all:?}");
        assert_eq!(copies(&[0.0, 0.0], 3).len(), 2);
    }
}
