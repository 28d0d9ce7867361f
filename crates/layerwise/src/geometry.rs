use paring_ir::ops::{Conv2d, Dense};
use paring_ir::{Graph, Node};

/// Whether a node is a layer of filters: a convolution or a dense layer.
#[must_use]
pub fn is_layer(node: &Node) -> bool {
    node.op.is::<Conv2d>() || node.op.is::<Dense>()
}

/// Where the inputs of a layer's filters lie.
#[derive(Clone, Debug)]
pub struct Geometry {
    /// Height, width and channels of the input.
    pub(crate) input: [usize; 3],
    /// Height and width of the output.
    pub(crate) output: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
    /// Zeros above and to the left.
    before: [usize; 2],
    pub(crate) groups: usize,
}

impl Geometry {
    /// The geometry of a layer of known shapes; a dense layer is a convolution of single points.
    #[must_use]
    pub fn of(graph: &Graph, node: &Node) -> Option<Self> {
        let fixed = |i: usize| -> Option<Vec<usize>> {
            let dims = graph.ty(*node.inputs().get(i)?).shape.dims();
            // The batch axis may be unbound.
            dims.iter().skip(usize::from(i == 0)).map(|d| d.fixed()).collect()
        };
        if let Some(conv) = node.op_as::<Conv2d>() {
            let (&[h, w, c], &[_, kh, kw, _]) = (&fixed(0)?[..], &fixed(1)?[..]) else {
                return None;
            };
            let pad = conv.padding([h, w], [kh, kw]);
            let dims = graph.ty(node.outputs()[0]).shape.dims();
            return Some(Self {
                input: [h, w, c],
                output: [dims.get(1)?.fixed()?, dims.get(2)?.fixed()?],
                kernel: [kh, kw],
                stride: conv.stride,
                dilation: conv.dilation,
                before: [pad[0], pad[1]],
                groups: conv.groups,
            });
        }
        let features = *fixed(1)?.get(1)?;
        Some(Self {
            input: [1, 1, features],
            output: [1, 1],
            kernel: [1, 1],
            stride: [1, 1],
            dilation: [1, 1],
            before: [0, 0],
            groups: 1,
        })
    }

    /// Positions of the output, each of which uses every weight once.
    #[must_use]
    pub fn positions(&self) -> usize {
        self.output[0] * self.output[1]
    }

    /// Groups of filters, each of which sees channels of its own.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups
    }

    /// Inputs of one filter.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.kernel[0] * self.kernel[1] * self.per_group()
    }

    /// Input channels of one group.
    #[must_use]
    pub fn per_group(&self) -> usize {
        self.input[2] / self.groups.max(1)
    }

    /// The inputs of the filters of a group at every output position, one position after another.
    pub fn columns(&self, image: &[f32], group: usize, out: &mut Vec<f32>) {
        out.clear();
        out.resize(self.positions() * self.depth(), 0.0);
        self.runs(group, |column, from, len| {
            out[column..column + len].copy_from_slice(&image[from..from + len]);
        });
    }

    /// The reverse of [`columns`](Self::columns): adds what each position has for each of its inputs to
    /// the image.
    pub fn scatter(&self, columns: &[f32], group: usize, image: &mut [f32]) {
        self.runs(group, |column, to, len| {
            let from = &columns[column..column + len];
            image[to..to + len].iter_mut().zip(from).for_each(|(t, f)| *t += f);
        });
    }

    /// Calls with each run of numbers that lie side by side in the inputs of a group's filters at all output
    /// positions and in the image: where in the one, where in the other, and how many.
    fn runs(&self, group: usize, mut each: impl FnMut(usize, usize, usize)) {
        let [height, width, channels] = self.input;
        let (depth, per_group) = (self.depth(), self.per_group());
        // Neighbours in a row of the kernel lie side by side where there is one group.
        let together = self.groups == 1 && self.dilation[1] == 1;
        for at in 0..self.positions() {
            let (oy, ox) = (at / self.output[1], at % self.output[1]);
            for ky in 0..self.kernel[0] {
                let y = (oy * self.stride[0] + ky * self.dilation[0]).checked_sub(self.before[0]);
                let Some(y) = y.filter(|y| *y < height) else { continue };
                let row = at * depth + ky * self.kernel[1] * per_group;
                let first = ox * self.stride[1];
                if together {
                    let least = self.before[1].saturating_sub(first);
                    let most = (width + self.before[1]).saturating_sub(first).min(self.kernel[1]);
                    if least < most {
                        let x = first + least - self.before[1];
                        let len = (most - least) * channels;
                        each(row + least * channels, (y * width + x) * channels, len);
                    }
                    continue;
                }
                for kx in 0..self.kernel[1] {
                    let x = (first + kx * self.dilation[1]).checked_sub(self.before[1]);
                    let Some(x) = x.filter(|x| *x < width) else { continue };
                    let from = (y * width + x) * channels + group * per_group;
                    each(row + kx * per_group, from, per_group);
                }
            }
        }
    }

    /// Calls with each output position, each place of the kernel that lies inside the image there, and where
    /// in the image that is.
    pub(crate) fn taps(&self, mut each: impl FnMut(usize, usize, usize)) {
        let [height, width, channels] = self.input;
        for at in 0..self.positions() {
            let (oy, ox) = (at / self.output[1], at % self.output[1]);
            for ky in 0..self.kernel[0] {
                let y = (oy * self.stride[0] + ky * self.dilation[0]).checked_sub(self.before[0]);
                let Some(y) = y.filter(|y| *y < height) else { continue };
                for kx in 0..self.kernel[1] {
                    let x =
                        (ox * self.stride[1] + kx * self.dilation[1]).checked_sub(self.before[1]);
                    let Some(x) = x.filter(|x| *x < width) else { continue };
                    each(at, ky * self.kernel[1] + kx, (y * width + x) * channels);
                }
            }
        }
    }

    /// The inputs of the filters of a group at an output position, in the order of the weights.
    pub(crate) fn gather(&self, image: &[f32], at: usize, group: usize, out: &mut Vec<f32>) {
        out.clear();
        let [height, width, channels] = self.input;
        let (oy, ox) = (at / self.output[1], at % self.output[1]);
        let per_group = self.per_group();
        for ky in 0..self.kernel[0] {
            let y = (oy * self.stride[0] + ky * self.dilation[0]).checked_sub(self.before[0]);
            for kx in 0..self.kernel[1] {
                let x = (ox * self.stride[1] + kx * self.dilation[1]).checked_sub(self.before[1]);
                match (y, x) {
                    (Some(y), Some(x)) if y < height && x < width => {
                        let from = (y * width + x) * channels + group * per_group;
                        out.extend_from_slice(&image[from..from + per_group]);
                    }
                    _ => out.resize(out.len() + per_group, 0.0),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Filters beyond the edges, in groups, with holes, and larger than the image.
    const LAYERS: &str = "graph @g {
      %x = input : f32[1,5,4,4]
      %w = const fill(seed=1) : f32[2,3,3,4]
      %v = const fill(seed=2) : f32[4,3,3,2]
      %u = const fill(seed=3) : f32[2,5,7,4]
      %a = conv2d(%x, %w) { groups = 1, pad = \"same\", stride = [2, 1] } : f32[1,3,4,2]
      %b = conv2d(%x, %v) { dilation = [1, 2], groups = 2, pad = \"same\", stride = [1, 1] } : f32[1,5,4,4]
      %c = conv2d(%x, %u) { groups = 1, pad = \"same\", stride = [1, 1] } : f32[1,5,4,2]
      output %a
      output %b
      output %c
    }";

    #[test]
    fn columns_are_what_each_position_gathers_and_scatter_is_their_reverse() {
        let graph = paring_ir::text::parse(LAYERS).unwrap();
        let image: Vec<f32> = (1..=80).map(|i| i as f32).collect();
        for node in graph.nodes() {
            let geometry = Geometry::of(&graph, node).unwrap();
            for group in 0..geometry.groups() {
                let (mut all, mut one, mut wanted) = (vec![7.0], Vec::new(), Vec::new());
                for at in 0..geometry.positions() {
                    geometry.gather(&image, at, group, &mut one);
                    wanted.extend_from_slice(&one);
                }
                geometry.columns(&image, group, &mut all);
                assert_eq!(all, wanted, "{}", node.name);
                // Each number comes back as often as it was taken.
                let mut back = vec![0.0; image.len()];
                geometry.scatter(&all, group, &mut back);
                for (x, sum) in image.iter().zip(&back) {
                    let times = wanted.iter().filter(|y| *y == x).count();
                    assert_eq!(*sum, x * times as f32, "{}", node.name);
                }
            }
        }
    }
}
