//! One layer of the description while it is imported.

use crate::text::Tree;
use paring_ir::ops::{Reshape, Transpose};
use paring_ir::{DynOp, Graph, GraphError, ValueId};
use paring_tensor::{Shape, Tensor, TensorError};

/// Why a layer is not imported.
#[derive(Debug)]
pub(crate) enum Reject {
    /// The description contradicts itself or the weights.
    Malformed(String),
    /// There is no form for this.
    Unsupported(String),
}

impl From<GraphError> for Reject {
    fn from(e: GraphError) -> Self {
        match e {
            GraphError::Op { source, .. } => Self::Malformed(source.to_string()),
            other => Self::Malformed(other.to_string()),
        }
    }
}

impl From<TensorError> for Reject {
    fn from(e: TensorError) -> Self {
        Self::Malformed(e.to_string())
    }
}

/// A layer: its bottoms, its blobs, its text, and the graph to add to.
pub(crate) struct Layer<'l> {
    pub(crate) name: &'l str,
    pub(crate) text: &'l Tree,
    pub(crate) bottoms: Vec<ValueId>,
    pub(crate) tops: usize,
    pub(crate) blobs: &'l [Tensor],
    pub(crate) graph: &'l mut Graph,
    pub(crate) empty: &'l Tree,
}

pub(crate) type Outputs = Result<Vec<ValueId>, Reject>;

impl<'l> Layer<'l> {
    /// A message of parameters; an empty one if it is left out.
    pub(crate) fn parameters(&self, name: &str) -> &'l Tree {
        self.text.message(name).unwrap_or(self.empty)
    }

    /// The only bottom, or the first.
    pub(crate) fn bottom(&self) -> Result<ValueId, Reject> {
        self.bottoms.first().copied().ok_or_else(|| Reject::Malformed("has no bottom".to_owned()))
    }

    pub(crate) fn blob(&self, i: usize, what: &str) -> Result<&'l Tensor, Reject> {
        self.blobs.get(i).ok_or_else(|| {
            Reject::Malformed(format!("the caffemodel has no {what} for it (blob {i})"))
        })
    }

    pub(crate) fn shape(&self, id: ValueId) -> Vec<usize> {
        self.graph.ty(id).shape.fixed().unwrap_or_default()
    }

    /// Adds the node that the layer is about.
    pub(crate) fn emit(&mut self, op: impl DynOp, inputs: &[ValueId]) -> Result<ValueId, Reject> {
        self.add(self.name.to_owned(), op, inputs)
    }

    /// Adds a node with several outputs.
    pub(crate) fn many(
        &mut self,
        op: impl DynOp,
        inputs: &[ValueId],
    ) -> Result<Vec<ValueId>, Reject> {
        let outputs = self.graph.add_node(self.name.to_owned(), op, inputs)?;
        self.fit(&outputs)?;
        Ok(outputs)
    }

    /// Checks that memory can hold the values, so that their extents multiply.
    fn fit(&self, values: &[ValueId]) -> Result<(), Reject> {
        let large = values.iter().map(|v| self.graph.ty(*v)).find(|t| !fits(&t.shape));
        match large {
            Some(ty) => Err(Reject::Malformed(format!("{ty} is larger than memory can be"))),
            None => Ok(()),
        }
    }

    /// Adds a node that helps.
    pub(crate) fn aux(&mut self, op: impl DynOp, inputs: &[ValueId]) -> Result<ValueId, Reject> {
        let name = format!("{}.{}", self.name, DynOp::name(&op));
        self.add(name, op, inputs)
    }

    fn add(&mut self, name: String, op: impl DynOp, inputs: &[ValueId]) -> Result<ValueId, Reject> {
        let outputs = self.graph.add_node(name, op, inputs)?;
        self.fit(&outputs)?;
        outputs.first().copied().ok_or_else(|| Reject::Malformed("no output".to_owned()))
    }

    pub(crate) fn constant(&mut self, what: &str, tensor: Tensor) -> Result<ValueId, Reject> {
        Ok(self.graph.add_const(format!("{}.{what}", self.name), tensor, None)?)
    }

    pub(crate) fn scalar(&mut self, what: &str, x: f32) -> Result<ValueId, Reject> {
        self.constant(what, Tensor::scalar(x))
    }

    pub(crate) fn transpose(&mut self, x: ValueId, perm: &[usize]) -> Result<ValueId, Reject> {
        self.aux(Transpose { perm: perm.to_vec() }, &[x])
    }

    pub(crate) fn reshape(&mut self, x: ValueId, shape: &[usize]) -> Result<ValueId, Reject> {
        if self.shape(x) == shape {
            return Ok(x);
        }
        self.aux(Reshape::to(shape), &[x])
    }

    /// An image with its channels last.
    pub(crate) fn image(&mut self, x: ValueId) -> Result<ValueId, Reject> {
        if self.shape(x).len() != 4 {
            let why = format!("{} is no image", self.graph.ty(x).shape);
            return Err(Reject::Malformed(why));
        }
        self.transpose(x, &[0, 2, 3, 1])
    }

    /// An image with its channels second again.
    pub(crate) fn planar(&mut self, y: ValueId) -> Result<ValueId, Reject> {
        self.transpose(y, &[0, 3, 1, 2])
    }
}

/// Whether extents multiply, those of 0 counted as 1.
pub(crate) fn fits(shape: &Shape) -> bool {
    let extents = shape.fixed().unwrap_or_default();
    let all = extents.iter().try_fold(8_usize, |n, d| n.checked_mul((*d).max(1)));
    all.is_some_and(|n| isize::try_from(n).is_ok())
}

/// A number of a message.
pub(crate) fn number<T: std::str::FromStr>(
    text: &Tree,
    name: &str,
    default: T,
) -> Result<T, Reject> {
    match text.word(name) {
        None => Ok(default),
        Some(w) => w
            .trim_end_matches('f')
            .parse()
            .map_err(|_| Reject::Malformed(format!("`{name}: {w}` is not a number of its kind"))),
    }
}

/// A switch of a message.
pub(crate) fn switch(text: &Tree, name: &str, default: bool) -> bool {
    match text.word(name) {
        None => default,
        Some(w) => matches!(w, "true" | "True" | "t" | "1"),
    }
}

/// An axis counted from the front.
pub(crate) fn axis(text: &Tree, name: &str, default: i64, rank: usize) -> Result<usize, Reject> {
    let stated: i64 = number(text, name, default)?;
    let from_front = if stated < 0 { stated.checked_add(rank as i64) } else { Some(stated) };
    from_front
        .and_then(|a| usize::try_from(a).ok())
        .filter(|a| *a < rank)
        .ok_or_else(|| Reject::Malformed(format!("axis {stated} is not one of {rank} axes")))
}
