//! What pruning and clustering made of constants, and whether a step leaves it.

use paring_ir::ops::Dequantize;
use paring_ir::{Graph, ValueId};
use paring_tensor::{ConstData, Palette, Sparse};
use std::fmt;

/// A property of constants that their storage carries. A step that would undo it fails, unless the
/// pipeline file allows that by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Structure {
    /// Zeros outside of a mask.
    Sparsity,
    /// Few values, shared by many elements.
    Clusters,
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sparsity => "sparsity",
            Self::Clusters => "clusters",
        })
    }
}

/// A constant that would lose a structure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// Name of the constant.
    pub constant: String,
    /// What it would lose.
    pub structure: Structure,
}

impl Lost {
    /// The clusters of some constants: what a pass undoes that gives each weight a value of its own.
    pub fn clusters(graph: &Graph, constants: impl IntoIterator<Item = ValueId>) -> Vec<Self> {
        let values = constants.into_iter().filter_map(|v| graph.get_value(v));
        values
            .filter(|v| v.constant().is_some_and(|c| palette(c).is_some()))
            .map(|v| Self { constant: v.name.clone(), structure: Structure::Clusters })
            .collect()
    }
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} of `{}`", self.structure, self.constant)
    }
}

/// What was lost from one graph to another. Constants that are gone, with the nodes that read them,
/// have lost nothing.
///
/// A constant is the same one in both graphs if the same operand of a node of the same name reads it,
/// directly or through `dequantize`, or if it has the same name.
pub(crate) fn lost(before: &Graph, after: &Graph) -> Vec<Lost> {
    let mut lost = Vec::new();
    for value in before.values() {
        let Some(old) = value.constant().filter(|c| !matches!(c, ConstData::Dense(_))) else {
            continue;
        };
        let Some(new) = counterpart(before, value.id, after) else { continue };
        let mut add = |structure, kept: bool| {
            if !kept {
                lost.push(Lost { constant: value.name.clone(), structure });
            }
        };
        if let Some(old) = old.sparse() {
            add(Structure::Sparsity, new.sparse().is_some_and(|new| zeros_kept(old, new)));
        }
        if let Some(old) = palette(old) {
            add(Structure::Clusters, palette(new).is_some_and(|new| clusters_kept(old, new)));
        }
    }
    lost.sort_by(|a, b| (a.structure, &a.constant).cmp(&(b.structure, &b.constant)));
    lost
}

fn palette(data: &ConstData) -> Option<&Palette> {
    match data {
        ConstData::Sparse(sparse) => palette(sparse.values()),
        other => other.palette(),
    }
}

/// Whether codebooks are no longer than they were; one may take the place of several that hold as much.
fn clusters_kept(old: &Palette, new: &Palette) -> bool {
    new.entries() <= old.entries() || new.codebook().len() <= old.codebook().len()
}

/// Whether all that was zero by the mask still is; only the storage counts where the shape is another.
fn zeros_kept(old: &Sparse, new: &Sparse) -> bool {
    if old.shape() != new.shape() {
        return true;
    }
    let mut free = vec![false; old.shape().iter().product()];
    old.kept().into_iter().for_each(|i| free[i] = true);
    if new.kept().into_iter().all(|i| free[i]) {
        return true;
    }
    // Other blocks may keep zeros.
    let dense = ConstData::Sparse(new.clone()).dense().to_f64();
    dense.iter().zip(free).all(|(element, free)| free || *element == new.fill() as f64)
}

/// The constant of the other graph that stands where this one stood.
fn counterpart<'g>(before: &Graph, value: ValueId, after: &'g Graph) -> Option<&'g ConstData> {
    let mut read = before.value(value);
    if let Some(&(node, _)) = read.uses().first()
        && before.node(node).op.is::<Dequantize>()
    {
        read = before.value(before.node(node).outputs()[0]);
    }
    for &(reader, operand) in read.uses() {
        let Some(node) = after.node_named(&before.node(reader).name) else { continue };
        let Some(&operand) = node.inputs().get(operand) else { continue };
        let stored = match after.producer(operand) {
            Some(real) if real.op.is::<Dequantize>() => real.inputs()[0],
            _ => operand,
        };
        if let Some(data) = after.constant(stored) {
            return Some(data);
        }
    }
    after.value_named(&before.value(value).name)?.constant()
}
