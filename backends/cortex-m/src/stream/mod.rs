//! Streams: neighbouring layers that work on rows as they come, so that of the values between them
//! only the rows are kept that are still wanted.
//!
//! Either nothing is computed twice, or, where that takes less memory, the output comes in patches and what they share
//! is computed anew for each ([`patches`]). A stream has one value that it reads, whole, and one that it writes,
//! whole, and the one may lie over the other as far as rows already written lie below rows still to be read.

mod choose;
mod patches;
mod text;

pub(crate) use choose::find;
pub(crate) use patches::Patches;
pub(crate) use text::write;

use paring_cortex_m_kernels::Band;
use paring_ir::ops::{Binary, Conv2d, Pool, Quantize, Unary};
use paring_ir::{Graph, Node, NodeId, ValueId};
use paring_tensor::DType;

/// How a layer's rows depend on those of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    kernel: usize,
    stride: usize,
    pad: usize,
}

/// A layer of a stream, or, at the front, the value that it reads.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    /// The layer; `None` for the input.
    pub node: Option<NodeId>,
    /// What it writes.
    pub value: ValueId,
    /// Links whose rows it reads.
    pub inputs: Vec<usize>,
    /// Links that read its rows.
    pub users: Vec<usize>,
    /// Bytes of a row.
    pub row: usize,
    /// Rows.
    pub height: usize,
    /// Pixels of a row.
    pub width: usize,
    window: Window,
    /// How its columns depend on those of its input.
    across: Window,
}

impl Link {
    /// Bytes of a pixel.
    pub fn channels(&self) -> usize {
        self.row / self.width.max(1)
    }
}

/// Layers that run together.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    /// The input and then the layers, each after those that it reads.
    pub links: Vec<Link>,
    /// Rows of the output that a round gives.
    pub rows: usize,
    /// Bytes in which each link's rows are kept; 0 for the first and the last, which are whole.
    pub kept: Vec<usize>,
    /// Bands of each link, in order.
    pub bands: Vec<Vec<Band>>,
    /// How far above the output the input has to begin if they overlap.
    pub distance: i64,
    /// Bytes that are moved so that rows stay together.
    pub moved: usize,
    /// The patches in which the output comes, if it does; then no rows are kept.
    pub patches: Option<Patches>,
}

/// Height and width of an image in int8 and bytes of its rows.
fn image(graph: &Graph, value: ValueId) -> Option<(usize, usize, usize)> {
    let ty = graph.ty(value);
    match (ty.dtype, ty.shape.fixed()?.as_slice()) {
        (DType::I8, &[1, h, w, c]) if h <= 65_535 => Some((h, w, w * c)),
        _ => None,
    }
}

/// The window of a node down and across, and the values whose rows it reads, if its rows can be had one after the
/// other.
fn window(graph: &Graph, node: &Node) -> Option<([Window; 2], Vec<ValueId>)> {
    let data: Vec<ValueId> =
        node.inputs().iter().copied().filter(|&v| graph.constant(v).is_none()).collect();
    let &[output] = node.outputs() else { return None };
    let (&first, shape) = (data.first()?, graph.ty(output).shape.fixed()?);
    let from = graph.ty(first).shape.fixed()?;
    let sides = |s: &[usize]| Some([*s.get(1)?, *s.get(2)?]);
    let found = if let Some(op) = node.op_as::<Conv2d>() {
        let kernel = sides(&graph.ty(*node.inputs().get(1)?).shape.fixed()?)?;
        let pad = op.padding(sides(&from)?, kernel);
        [0, 1].map(|i| Window {
            kernel: (kernel[i] - 1) * op.dilation[i] + 1,
            stride: op.stride[i],
            pad: pad[i],
        })
    } else if let Some(op) = node.op_as::<Pool>() {
        let pad = op.pad.resolve(sides(&from)?, op.kernel, op.stride);
        [0, 1].map(|i| Window { kernel: op.kernel[i], stride: op.stride[i], pad: pad[i] })
    } else if node.op_as::<Binary>().is_some()
        || node.op_as::<Unary>().is_some()
        || node.op_as::<Quantize>().is_some()
    {
        // An operand that is a constant has no rows of its own.
        let same = data.len() == node.inputs().len()
            && data.iter().all(|&v| graph.ty(v).shape.fixed().as_ref() == Some(&shape));
        same.then_some([Window { kernel: 1, stride: 1, pad: 0 }; 2])?
    } else {
        return None;
    };
    // Every window has to see a row, and a column where its patches are cut.
    let (down, across) = (found[0], found[1]);
    let sees =
        |w: Window, out: usize, size: usize| w.pad < w.kernel && out * w.stride < w.pad + size;
    let sees = sees(down, shape.get(1)?.checked_sub(1)?, *from.get(1)?);
    let small = down.kernel <= 127 && down.stride <= 127;
    (sees && small && data.len() <= 2).then_some(([down, across], data))
}

/// A stream in the making.
#[derive(Clone, Debug)]
struct Chain {
    links: Vec<Link>,
}

impl Chain {
    /// A chain that begins with a node.
    fn start(graph: &Graph, node: &Node) -> Option<Self> {
        let (_, data) = window(graph, node)?;
        let value = *data.first()?;
        let (height, width, row) = image(graph, value)?;
        let window = Window { kernel: 1, stride: 1, pad: 0 };
        let across = window;
        let (node_of, inputs, users) = (None, vec![], vec![]);
        let input =
            Link { node: node_of, value, inputs, users, row, height, width, window, across };
        let mut chain = Self { links: vec![input] };
        chain.push(graph, node)?;
        Some(chain)
    }

    /// Appends a node that reads values of the chain only.
    fn push(&mut self, graph: &Graph, node: &Node) -> Option<()> {
        let ([window, across], data) = window(graph, node)?;
        let place = |v: &ValueId| self.links.iter().position(|l| l.value == *v);
        let inputs: Vec<usize> = data.iter().map(place).collect::<Option<_>>()?;
        let value = *node.outputs().first()?;
        let (height, width, row) = image(graph, value)?;
        let at = self.links.len();
        if at > 100 {
            return None;
        }
        for &input in &inputs {
            let users = &mut self.links[input].users;
            if !users.contains(&at) {
                users.push(at);
            }
            if users.len() > 2 && input > 0 {
                return None;
            }
        }
        let node = Some(node.id);
        let users = vec![];
        self.links.push(Link { node, value, inputs, users, row, height, width, window, across });
        Some(())
    }

    /// Runs the chain on paper, `rows` rows of the output at a time, as `pr_rows_want` and `pr_rows_next` do.
    fn run(&self, rows: usize) -> Option<Stream> {
        let links = &self.links;
        let last = links.len() - 1;
        let (mut base, mut done) = (vec![0_usize; links.len()], vec![0_usize; links.len()]);
        let mut kept = vec![0; links.len()];
        let mut bands = vec![Vec::new(); links.len()];
        let (mut distance, mut moved) = (0_i64, 0);
        *done.first_mut()? = links[0].height;
        // The first row that a link's next band reads.
        let next = |done: &[usize], i: usize| {
            (done[i] * links[i].window.stride) as i64 - links[i].window.pad as i64
        };
        while done[last] < links[last].height {
            let mut want = done.clone();
            want[last] = (done[last] + rows).min(links[last].height);
            for i in (1..=last).rev() {
                if want[i] > done[i] {
                    let Window { kernel, stride, pad } = links[i].window;
                    let end = (want[i] - 1) * stride + kernel - pad;
                    for &j in &links[i].inputs {
                        want[j] = want[j].max(end.min(links[j].height));
                    }
                }
            }
            for i in 1..=last {
                if want[i] <= done[i] {
                    continue;
                }
                let link = &links[i];
                if i < last {
                    let from = link.users.iter().map(|&u| next(&done, u)).min()?;
                    let low = from.clamp(0, done[i] as i64) as usize;
                    if low > base[i] {
                        moved += (done[i] - low) * link.row;
                        base[i] = low;
                    }
                    kept[i] = kept[i].max((want[i] - base[i]) * link.row);
                }
                let Window { kernel, stride, pad } = link.window;
                let top = next(&done, i);
                let first = top.max(0) as usize;
                let mut end = (want[i] - 1) * stride + kernel - pad;
                for &j in &link.inputs {
                    end = end.min(links[j].height);
                    if first < base[j] || end > done[j] {
                        return None;
                    }
                }
                if i == last {
                    // Rows of the stream's input that are still to be read, this band's among them.
                    let unread = links[0].users.iter().filter(|&&u| done[u] < links[u].height);
                    if let Some(low) = unread.map(|&u| next(&done, u).max(0)).min() {
                        let low = low.min(links[0].height as i64);
                        let written = (want[i] * link.row) as i64;
                        distance = distance.max(written - low * links[0].row as i64);
                    }
                }
                bands[i].push(Band {
                    rows: want[i] - done[i],
                    in_rows: end.checked_sub(first).filter(|&n| n > 0)?,
                    above: (first as i64 - top) as usize,
                    row: link.row,
                });
                done[i] = want[i];
            }
        }
        let links = links.clone();
        Some(Stream { links, rows, kept, bands, distance, moved, patches: None })
    }
}

impl Stream {
    /// The layers, in order.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.links.iter().filter_map(|l| l.node)
    }

    /// What it reads.
    pub fn input(&self) -> Option<ValueId> {
        self.links.first().map(|l| l.value)
    }

    /// What it writes.
    pub fn output(&self) -> Option<ValueId> {
        self.links.last().map(|l| l.value)
    }

    /// The bands of a layer.
    pub fn bands(&self, node: NodeId) -> Option<&[Band]> {
        let at = self.links.iter().position(|l| l.node == Some(node))?;
        self.bands.get(at).filter(|_| self.patches.is_none()).map(Vec::as_slice)
    }
}
