use super::depthwise;
use super::product::{Left, add_product};
use super::ranges::Ranges;
use crate::Geometry;
use paring_ir::ops::{
    Activation, Binary, BinaryFn, Conv2d, Dense, Pool, PoolKind, Reduce, ReduceFn, Reshape, Unary,
};
use paring_ir::{Graph, Node, NodeId, ValueId};
use paring_tensor::DType;
use std::collections::HashMap;

/// A block of a network, for runs of single samples forward and back.
pub struct Program {
    steps: Vec<Step>,
    slots: Vec<Slot>,
    output: usize,
    /// The layers of the block, as steps refer to them.
    layers: Vec<NodeId>,
    /// What values are rounded by.
    ranges: Ranges,
}

/// A value of the block; the first is its input.
struct Slot {
    len: usize,
    /// The range that readers see the value rounded by.
    range: Option<usize>,
}

struct Step {
    kind: Kind,
    inputs: Vec<usize>,
    output: usize,
    /// The clamp of the result.
    bounds: (f32, f32),
}

enum Kind {
    Layer {
        layer: usize,
        geometry: Geometry,
    },
    Add,
    Copy,
    /// Means over places: for each result, which numbers it is the mean of.
    Mean(Vec<Vec<u32>>),
    Max(Vec<Vec<u32>>),
}

/// What is on the way back: where slopes of weights go, those of ranges if they are wanted, and who is shown
/// inputs and slopes.
struct Back<'a, 's> {
    layers: &'a mut [Slope],
    ranges: Option<&'a mut [[f32; 2]]>,
    see: Option<Seeing<'s>>,
}

/// The weights of a layer as a run uses them, `[outputs, depth]`, and the same transposed for each group.
#[derive(Clone)]
pub struct Real {
    weights: Vec<f32>,
    transposed: Vec<f32>,
    bias: Vec<f32>,
}

impl Real {
    /// Of weights `[outputs, depth]` and a bias for each output.
    #[must_use]
    pub fn new(weights: Vec<f32>, bias: Vec<f32>, groups: usize) -> Self {
        let outputs = bias.len();
        let depth = weights.len() / outputs.max(1);
        let per = outputs / groups.max(1);
        let mut transposed = vec![0.0; weights.len()];
        for (g, to) in transposed.chunks_exact_mut((per * depth).max(1)).enumerate() {
            for o in 0..per {
                for k in 0..depth {
                    to[k * per + o] = weights[(g * per + o) * depth + k];
                }
            }
        }
        Self { weights, transposed, bias }
    }

    /// The weights, `[outputs, depth]`.
    #[must_use]
    pub fn weights(&self) -> &[f32] {
        &self.weights
    }

    /// One for each output.
    #[must_use]
    pub fn bias(&self) -> &[f32] {
        &self.bias
    }

    /// A slope of zero for each weight and bias.
    #[must_use]
    pub fn flat(&self) -> Slope {
        Slope { weights: vec![0.0; self.weights.len()], bias: vec![0.0; self.bias.len()] }
    }
}

/// What a loss says of the weights and bias of a layer.
#[derive(Clone)]
pub struct Slope {
    /// One a weight.
    pub weights: Vec<f32>,
    /// One an output channel.
    pub bias: Vec<f32>,
}

/// What is shown of a layer on the way back: its place among the layers, the group, inputs and slopes.
pub type Seeing<'a> = &'a mut dyn FnMut(usize, usize, &[f32], &[f32]);

/// The values of one run: as computed, and as readers see them.
pub struct Run {
    raw: Vec<Vec<f32>>,
    /// Where that differs.
    seen: Vec<Option<Vec<f32>>>,
}

impl Program {
    /// The program of the nodes that lead from one value to another.
    ///
    /// # Errors
    /// The node that has no program.
    pub fn new<'g>(
        graph: &'g Graph,
        nodes: &[NodeId],
        (from, to): (ValueId, ValueId),
        activations: DType,
    ) -> Result<Self, &'g Node> {
        let mut slots = Vec::new();
        let mut ranges = Ranges::new(activations);
        let slot = |v: ValueId, like: Option<usize>, slots: &mut Vec<Slot>, ranges: &mut Ranges| {
            let value = graph.value(v);
            let dims = value.ty.shape.dims().iter().skip(1);
            let len = dims.map(|d| d.fixed()).product::<Option<usize>>()?;
            let like = like.and_then(|at| slots.get(at)).and_then(|s: &Slot| s.range);
            slots.push(Slot { len, range: ranges.add(v, value.range, like) });
            Some(slots.len() - 1)
        };
        let mut layers = Vec::new();
        let mut steps = Vec::new();
        let Some(first) = nodes.first().map(|id| graph.node(*id)) else {
            return Ok(Self { steps, slots, output: 0, layers, ranges });
        };
        slot(from, None, &mut slots, &mut ranges).ok_or(first)?;
        let mut places: HashMap<ValueId, usize> = HashMap::from([(from, 0)]);
        for &id in nodes {
            let node = graph.node(id);
            let (kind, bounds, shares) = kind(graph, node, &mut layers).ok_or(node)?;
            let operands = if matches!(kind, Kind::Add) { 2 } else { 1 };
            let inputs = node.inputs()[..operands].iter().map(|v| places.get(v).copied());
            let inputs = inputs.collect::<Option<Vec<_>>>().ok_or(node)?;
            let like = inputs.first().copied().filter(|_| shares);
            let output = slot(node.outputs()[0], like, &mut slots, &mut ranges).ok_or(node)?;
            places.insert(node.outputs()[0], output);
            let fits = match &kind {
                Kind::Add => inputs.iter().all(|i| slots[*i].len == slots[output].len),
                Kind::Copy => slots[inputs[0]].len == slots[output].len,
                _ => true,
            };
            if !fits || node.outputs().len() != 1 {
                return Err(node);
            }
            steps.push(Step { kind, inputs, output, bounds });
        }
        let output = places.get(&to).copied().ok_or(first)?;
        Ok(Self { steps, slots, output, layers, ranges })
    }

    /// The layers of the block, in the order in which runs take their weights.
    #[must_use]
    pub fn layers(&self) -> &[NodeId] {
        &self.layers
    }

    /// The value that the block computes.
    #[must_use]
    pub fn output(&self) -> usize {
        self.output
    }

    /// The value that a layer computes.
    #[must_use]
    pub fn result(&self, of: usize) -> usize {
        let step = self
            .steps
            .iter()
            .find(|s| matches!(&s.kind, Kind::Layer { layer, .. } if *layer == of));
        step.map_or(self.output, |s| s.output)
    }

    /// The values that all that comes later is computed from, in the order in which they are computed;
    /// the last is the output.
    #[must_use]
    pub fn cuts(&self) -> Vec<usize> {
        let mut last = vec![0; self.slots.len()];
        for (i, step) in self.steps.iter().enumerate() {
            step.inputs.iter().for_each(|slot| last[*slot] = i);
        }
        last[self.output] = usize::MAX;
        let mut cuts = Vec::new();
        for (i, step) in self.steps.iter().enumerate() {
            let known = self.steps[..=i].iter().map(|s| s.output).chain([0]);
            let open: Vec<usize> = known.filter(|slot| last[*slot] > i).collect();
            if open == [step.output] {
                cuts.push(step.output);
            }
        }
        cuts
    }

    /// Groups of the filters of a layer.
    #[must_use]
    pub fn groups(&self, of: usize) -> usize {
        let groups = self.steps.iter().find_map(|s| match &s.kind {
            Kind::Layer { layer, geometry } if *layer == of => Some(geometry.groups()),
            _ => None,
        });
        groups.unwrap_or(1)
    }

    /// Runs one sample.
    #[must_use]
    pub fn run(&self, input: &[f32], layers: &[Real]) -> Run {
        let count = self.slots.len();
        let mut run = Run { raw: vec![Vec::new(); count], seen: vec![None; count] };
        self.put(&mut run, 0, input.to_vec());
        let mut columns = Vec::new();
        for step in &self.steps {
            let len = self.slots[step.output].len;
            let x = run.seen(step.inputs[0]);
            let mut y = match &step.kind {
                Kind::Layer { layer, geometry } => {
                    forward(geometry, &layers[*layer], x, &mut columns)
                }
                Kind::Add => x.iter().zip(run.seen(step.inputs[1])).map(|(a, b)| a + b).collect(),
                Kind::Copy => x.to_vec(),
                Kind::Mean(places) => {
                    let mean = |from: &Vec<u32>| {
                        let sum: f32 = from.iter().map(|i| x[*i as usize]).sum();
                        sum / from.len().max(1) as f32
                    };
                    places.iter().map(mean).collect()
                }
                Kind::Max(places) => {
                    let most = |from: &Vec<u32>| {
                        from.iter().fold(f32::NEG_INFINITY, |m, i| m.max(x[*i as usize]))
                    };
                    places.iter().map(most).collect()
                }
            };
            let (low, high) = step.bounds;
            y.iter_mut().for_each(|y| *y = y.clamp(low, high));
            y.resize(len, 0.0);
            self.put(&mut run, step.output, y);
        }
        run
    }

    fn put(&self, run: &mut Run, slot: usize, raw: Vec<f32>) {
        run.seen[slot] = self.slots[slot].range.map(|range| self.ranges.rounded(range, &raw));
        run.raw[slot] = raw;
    }

    /// What values are rounded by.
    #[must_use]
    pub fn ranges(&self) -> &Ranges {
        &self.ranges
    }

    /// What values are rounded by, to change it.
    pub fn ranges_mut(&mut self) -> &mut Ranges {
        &mut self.ranges
    }

    /// Numbers of a value in one sample.
    #[must_use]
    pub fn len(&self, slot: usize) -> usize {
        self.slots[slot].len
    }

    /// Carries the slopes that a loss has at some values back to the weights, and adds them there.
    pub fn back(
        &self,
        run: &Run,
        given: Vec<(usize, Vec<f32>)>,
        layers: &[Real],
        to: &mut [Slope],
    ) {
        let mut back = Back { layers: to, ranges: None, see: None };
        self.carry(run, self.at_values(given), layers, &mut back);
    }

    /// As [`back`](Self::back), for slopes at values as their readers see them; those of the ends of the
    /// ranges are added to `ranges`.
    pub fn back_to_ranges(
        &self,
        run: &Run,
        given: Vec<(usize, Vec<f32>)>,
        layers: &[Real],
        (to, ranges): (&mut [Slope], &mut [[f32; 2]]),
    ) {
        let mut back = Back { layers: to, ranges: Some(ranges), see: None };
        let mut slopes = self.at_values(Vec::new());
        for (slot, slope) in given {
            self.pass(run, &mut slopes, slot, &slope, &mut back.ranges);
        }
        self.carry(run, slopes, layers, &mut back);
    }

    /// As [`back`](Self::back); `see` is shown, for each layer and group, the inputs of its filters at each
    /// place and the slopes at their results there, one place after another.
    pub fn back_seeing(
        &self,
        run: &Run,
        given: Vec<(usize, Vec<f32>)>,
        layers: &[Real],
        to: &mut [Slope],
        see: Seeing<'_>,
    ) {
        let mut back = Back { layers: to, ranges: None, see: Some(see) };
        self.carry(run, self.at_values(given), layers, &mut back);
    }

    /// Slopes at the values as computed.
    fn at_values(&self, given: Vec<(usize, Vec<f32>)>) -> Vec<Vec<f32>> {
        let mut slopes: Vec<Vec<f32>> = self.slots.iter().map(|_| Vec::new()).collect();
        for (slot, slope) in given {
            slopes[slot] = slope;
        }
        slopes
    }

    fn carry(
        &self,
        run: &Run,
        mut slopes: Vec<Vec<f32>>,
        layers: &[Real],
        back: &mut Back<'_, '_>,
    ) {
        let mut columns = Vec::new();
        for step in self.steps.iter().rev() {
            let mut own = std::mem::take(&mut slopes[step.output]);
            if own.is_empty() {
                continue;
            }
            let (low, high) = step.bounds;
            if low.is_finite() || high.is_finite() {
                for (s, y) in own.iter_mut().zip(&run.raw[step.output]) {
                    if *y <= low || *y >= high {
                        *s = 0.0;
                    }
                }
            }
            let wanted = |slot: usize| slot != 0;
            match &step.kind {
                Kind::Layer { layer, geometry } => {
                    let x = run.seen(step.inputs[0]);
                    let mut input =
                        if wanted(step.inputs[0]) { vec![0.0; x.len()] } else { Vec::new() };
                    let given = (x, own.as_slice());
                    let slope = &mut back.layers[*layer];
                    let real = &layers[*layer];
                    match &mut back.see {
                        Some(see) => {
                            let mut seen =
                                |group: usize, x: &[f32], own: &[f32]| see(*layer, group, x, own);
                            let to = (slope, input.as_mut_slice());
                            backward(geometry, real, given, &mut columns, to, &mut seen);
                        }
                        None if depthwise::is(geometry, real.bias.len()) => {
                            let to = (slope, input.as_mut_slice());
                            depthwise::backward(geometry, &real.weights, given, to);
                        }
                        None => {
                            let to = (slope, input.as_mut_slice());
                            backward(geometry, real, given, &mut columns, to, &mut |_, _, _| {});
                        }
                    }
                    self.pass(run, &mut slopes, step.inputs[0], &input, &mut back.ranges);
                }
                Kind::Add => {
                    for slot in &step.inputs {
                        self.pass(run, &mut slopes, *slot, &own, &mut back.ranges);
                    }
                }
                Kind::Copy => self.pass(run, &mut slopes, step.inputs[0], &own, &mut back.ranges),
                Kind::Mean(places) => {
                    let mut input = vec![0.0; self.slots[step.inputs[0]].len];
                    for (from, s) in places.iter().zip(&own) {
                        let share = s / from.len().max(1) as f32;
                        from.iter().for_each(|i| input[*i as usize] += share);
                    }
                    self.pass(run, &mut slopes, step.inputs[0], &input, &mut back.ranges);
                }
                Kind::Max(places) => {
                    let x = run.seen(step.inputs[0]);
                    let mut input = vec![0.0; x.len()];
                    for ((from, s), y) in places.iter().zip(&own).zip(&run.raw[step.output]) {
                        if let Some(i) = from.iter().find(|i| x[**i as usize] == *y) {
                            input[*i as usize] += s;
                        }
                    }
                    self.pass(run, &mut slopes, step.inputs[0], &input, &mut back.ranges);
                }
            }
        }
    }

    /// Adds the slope that a reader has to that of the value: none where rounding saturates.
    fn pass(
        &self,
        run: &Run,
        slopes: &mut [Vec<f32>],
        slot: usize,
        slope: &[f32],
        ranges: &mut Option<&mut [[f32; 2]]>,
    ) {
        if slot == 0 || slope.is_empty() {
            return;
        }
        let raw = &run.raw[slot];
        slopes[slot].resize(raw.len(), 0.0);
        let Some(range) = self.slots[slot].range else {
            slopes[slot].iter_mut().zip(slope).for_each(|(to, from)| *to += from);
            return;
        };
        self.ranges.pass(range, raw, slope, &mut slopes[slot]);
        if let Some(ends) = ranges.as_mut().and_then(|all| all.get_mut(range)) {
            let [low, high] = self.ranges.slopes(range, (raw, run.seen(slot)), slope);
            ends[0] += low;
            ends[1] += high;
        }
    }
}

impl Run {
    /// A value as computed.
    #[must_use]
    pub fn raw(&self, slot: usize) -> &[f32] {
        &self.raw[slot]
    }

    /// A value as its readers see it.
    #[must_use]
    pub fn seen(&self, slot: usize) -> &[f32] {
        self.seen[slot].as_ref().unwrap_or(&self.raw[slot])
    }
}

/// What a node is in a program, the clamp of its result, and whether integers of its operand and result have
/// one scale.
fn kind(graph: &Graph, node: &Node, layers: &mut Vec<NodeId>) -> Option<(Kind, (f32, f32), bool)> {
    let computed = |i: usize| graph.constant(node.inputs()[i]).is_none();
    let dims = |v: ValueId| -> Option<Vec<usize>> {
        graph.ty(v).shape.dims().iter().skip(1).map(|d| d.fixed()).collect()
    };
    let activation = match (node.op_as::<Conv2d>(), node.op_as::<Dense>()) {
        (Some(conv), _) => Some(conv.activation),
        (_, Some(dense)) => Some(dense.activation),
        _ => None,
    };
    if let Some(activation) = activation {
        let geometry = Geometry::of(graph, node)?;
        layers.push(node.id);
        return Some((
            Kind::Layer { layer: layers.len() - 1, geometry },
            activation.bounds(),
            false,
        ));
    }
    if let Some(op) = node.op_as::<Binary>() {
        let plain = op.f == BinaryFn::Add && computed(0) && computed(1);
        return plain.then(|| (Kind::Add, op.activation.bounds(), false));
    }
    let none = Activation::None.bounds();
    match node.op_as::<Unary>() {
        Some(Unary::Relu) => return Some((Kind::Copy, Activation::Relu.bounds(), false)),
        Some(_) => return None,
        None => {}
    }
    if node.op.is::<Reshape>() {
        return Some((Kind::Copy, none, true));
    }
    let (input, output) = (node.inputs()[0], node.outputs()[0]);
    if let Some(op) = node.op_as::<Reduce>() {
        let &[h, w, c] = dims(input)?.as_slice() else { return None };
        let places = (0..c).map(|c0| (0..h * w).map(|i| (i * c + c0) as u32).collect()).collect();
        let over = op.f == ReduceFn::Mean && op.axes == [1, 2];
        return over.then_some((Kind::Mean(places), none, false));
    }
    let op = node.op_as::<Pool>()?;
    let (&[h, w, c], &[oh, ow, _]) = (dims(input)?.as_slice(), dims(output)?.as_slice()) else {
        return None;
    };
    let window = [0, 1].map(|i| (op.kernel[i].max(1) - 1) * op.dilation[i] + 1);
    let pad = op.pad.resolve([h, w], window, op.stride);
    if op.count_include_pad && pad != [0; 4] {
        return None;
    }
    let inside = |o: usize, k: usize, axis: usize, size: usize| {
        let at = (o * op.stride[axis] + k * op.dilation[axis]).checked_sub(pad[axis])?;
        (at < size).then_some(at)
    };
    let mut places = Vec::with_capacity(oh * ow * c);
    for i in 0..oh * ow * c {
        let (oy, ox, c0) = (i / (ow * c), i / c % ow, i % c);
        let mut from = Vec::new();
        for ky in 0..op.kernel[0] {
            for kx in 0..op.kernel[1] {
                if let (Some(y), Some(x)) = (inside(oy, ky, 0, h), inside(ox, kx, 1, w)) {
                    from.push(((y * w + x) * c + c0) as u32);
                }
            }
        }
        places.push(from);
    }
    let kind = match op.kind {
        PoolKind::Average => Kind::Mean(places),
        PoolKind::Max => Kind::Max(places),
        _ => return None,
    };
    // An average over a whole image becomes a mean, which has a scale of its own.
    let shares = op.kind == PoolKind::Max || oh * ow > 1;
    Some((kind, op.activation.bounds(), shares))
}

/// What a layer makes of a sample before it clamps it.
pub(crate) fn forward(
    geometry: &Geometry,
    layer: &Real,
    x: &[f32],
    columns: &mut Vec<f32>,
) -> Vec<f32> {
    let (places, depth, groups) = (geometry.positions(), geometry.depth(), geometry.groups());
    let outputs = layer.bias.len();
    let per = outputs / groups.max(1);
    let mut y: Vec<f32> = Vec::with_capacity(places * outputs);
    (0..places).for_each(|_| y.extend_from_slice(&layer.bias));
    if depthwise::is(geometry, outputs) {
        depthwise::forward(geometry, &layer.weights, x, &mut y);
        return y;
    }
    let mut part = Vec::new();
    for g in 0..groups {
        geometry.columns(x, g, columns);
        let weights = &layer.transposed[g * per * depth..(g + 1) * per * depth];
        let left = Left { data: columns, steps: (depth, 1) };
        if groups == 1 {
            add_product((places, per, depth), left, weights, &mut y);
            continue;
        }
        part.clear();
        part.resize(places * per, 0.0);
        add_product((places, per, depth), left, weights, &mut part);
        for (to, from) in y.chunks_exact_mut(outputs).zip(part.chunks_exact(per)) {
            to[g * per..(g + 1) * per].iter_mut().zip(from).for_each(|(t, f)| *t += f);
        }
    }
    y
}

/// What is shown of a group of a layer: inputs and slopes.
type Showing<'a> = &'a mut dyn FnMut(usize, &[f32], &[f32]);

/// Adds the slopes of a layer's weights and bias to `slope`, and those of its input to `input` unless
/// that is empty.
fn backward(
    geometry: &Geometry,
    layer: &Real,
    (x, own): (&[f32], &[f32]),
    columns: &mut Vec<f32>,
    (slope, input): (&mut Slope, &mut [f32]),
    see: Showing<'_>,
) {
    let (places, depth, groups) = (geometry.positions(), geometry.depth(), geometry.groups());
    let outputs = layer.bias.len();
    let per = outputs / groups.max(1);
    for row in own.chunks_exact(outputs.max(1)) {
        slope.bias.iter_mut().zip(row).for_each(|(b, s)| *b += s);
    }
    let mut part = Vec::new();
    for g in 0..groups {
        geometry.columns(x, g, columns);
        let own: &[f32] = if groups == 1 {
            own
        } else {
            part.clear();
            for row in own.chunks_exact(outputs) {
                part.extend_from_slice(&row[g * per..(g + 1) * per]);
            }
            &part
        };
        let range = g * per * depth..(g + 1) * per * depth;
        see(g, columns, own);
        let left = Left { data: own, steps: (1, per) };
        add_product((per, depth, places), left, columns, &mut slope.weights[range.clone()]);
        if !input.is_empty() {
            columns.fill(0.0);
            let left = Left { data: own, steps: (per, 1) };
            add_product((places, depth, per), left, &layer.weights[range], columns);
            geometry.scatter(columns, g, input);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A residual block with a strided, a grouped and a dense layer behind a mean.
    const BLOCK: &str = "graph @g {
      %x = input : f32[1,5,5,4]
      %w = const fill(seed=1) : f32[4,3,3,4]
      %b = const fill(seed=2) : f32[4]
      %v = const fill(seed=3) : f32[4,3,3,1]
      %u = const fill(seed=4) : f32[3,4]
      %c = conv2d(%x, %w, %b) { activation = \"relu\", groups = 1, pad = \"same\", stride = [1, 1] } : f32[1,5,5,4]
      %d = conv2d(%c, %v) { groups = 4, pad = \"same\", stride = [1, 1] } : f32[1,5,5,4]
      %e = binary(%d, %c) { f = \"add\" } : f32[1,5,5,4]
      %m = reduce(%e) { axes = [1, 2], f = \"mean\", keep_dims = false } : f32[1,4]
      %y = dense(%m, %u) : f32[1,3]
      output %y
    }";

    #[test]
    fn slopes_are_those_of_small_differences() {
        let graph = paring_ir::text::parse(BLOCK).unwrap();
        let nodes: Vec<NodeId> = graph.topological().to_vec();
        let ends = (graph.inputs()[0].value, graph.outputs()[0].value);
        let program = Program::new(&graph, &nodes, ends, DType::F32).unwrap();
        assert_eq!(program.layers.len(), 3);
        let sizes = [(144, 4, 1), (36, 4, 4), (12, 3, 1)];
        let number = |i: usize| ((i * 2_654_435_761 % 1000) as f32 / 500.0 - 1.0) * 0.5;
        let real = |changed: Option<(usize, usize, f32)>| -> Vec<Real> {
            let one = |(l, (n, outputs, groups)): (usize, &(usize, usize, usize))| {
                let mut w: Vec<f32> = (0..*n).map(|i| number(i + 31 * l)).collect();
                if let Some((_, i, by)) = changed.filter(|c| c.0 == l) {
                    w[i] += by;
                }
                Real::new(w, (0..*outputs).map(|i| number(i + 7 * l) * 0.3).collect(), *groups)
            };
            sizes.iter().enumerate().map(one).collect()
        };
        let input: Vec<f32> = (0..100).map(|i| number(i + 999)).collect();
        let loss = |layers: &[Real]| -> f64 {
            let run = program.run(&input, layers);
            run.raw(program.output).iter().map(|y| f64::from(*y).powi(2)).sum()
        };
        let plain = real(None);
        let run = program.run(&input, &plain);
        let slope: Vec<f32> = run.raw(program.output).iter().map(|y| 2.0 * y).collect();
        let mut found: Vec<Slope> = sizes
            .iter()
            .map(|(n, o, _)| Slope { weights: vec![0.0; *n], bias: vec![0.0; *o] })
            .collect();
        program.back(&run, vec![(program.output, slope)], &plain, &mut found);
        for (l, (n, ..)) in sizes.iter().enumerate() {
            let most = found[l].weights.iter().fold(0.0_f32, |m, s| m.max(s.abs()));
            assert!(most > 0.0);
            for i in (0..*n).step_by(5) {
                let step = 1e-3;
                let two = loss(&real(Some((l, i, step)))) - loss(&real(Some((l, i, -step))));
                let measured = two / (2.0 * f64::from(step));
                let slope = f64::from(found[l].weights[i]);
                assert!(
                    (measured - slope).abs() < 0.02 * f64::from(most),
                    "layer {l}, weight {i}: {slope}, measured {measured}"
                );
            }
        }
    }
}
