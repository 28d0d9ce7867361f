//! The importers, one file for each family of operators.

mod activation;
mod binary;
mod cast;
mod constant;
mod conv;
mod detect;
mod gather;
mod integer;
mod matmul;
mod norm;
mod pad;
mod pool;
mod qlinear;
mod quant;
mod recurrent;
mod reduce;
mod resize;
mod scatter;
mod sequence;
mod shape;
mod slice;
mod softmax;
mod unary;

use crate::cx::Cx;
use crate::reject::Reject;
use std::collections::HashMap;
use std::sync::OnceLock;

/// What an importer gives.
pub(crate) type Outcome = Result<(), Reject>;

/// How one operator is imported.
pub(crate) struct Entry {
    /// The operator's domain; empty for the standard one.
    pub(crate) domain: &'static str,
    /// The operator's name.
    pub(crate) name: &'static str,
    /// The version taken when the file imports none for the domain.
    pub(crate) opset: Option<i64>,
    /// Whether it is evaluated when all its inputs are constants.
    pub(crate) fold: bool,
    /// The importer.
    pub(crate) import: fn(&mut Cx<'_, '_>) -> Outcome,
}

impl Entry {
    /// An operator of the standard domain.
    const fn new(name: &'static str, import: fn(&mut Cx<'_, '_>) -> Outcome) -> Self {
        Self { domain: "", name, opset: None, fold: true, import }
    }

    /// One that stays in the graph even if its inputs are constants.
    const fn kept(name: &'static str, import: fn(&mut Cx<'_, '_>) -> Outcome) -> Self {
        Self { domain: "", name, opset: None, fold: false, import }
    }

    /// An operator of ONNX Runtime's own domain.
    const fn microsoft(name: &'static str, import: fn(&mut Cx<'_, '_>) -> Outcome) -> Self {
        Self { domain: "com.microsoft", name, opset: Some(1), fold: true, import }
    }
}

const FAMILIES: [&[Entry]; 22] = [
    activation::ENTRIES,
    binary::ENTRIES,
    cast::ENTRIES,
    constant::ENTRIES,
    conv::ENTRIES,
    detect::ENTRIES,
    gather::ENTRIES,
    matmul::ENTRIES,
    norm::ENTRIES,
    pad::ENTRIES,
    pool::ENTRIES,
    qlinear::ENTRIES,
    quant::ENTRIES,
    recurrent::ENTRIES,
    reduce::ENTRIES,
    resize::ENTRIES,
    scatter::ENTRIES,
    sequence::ENTRIES,
    shape::ENTRIES,
    slice::ENTRIES,
    softmax::ENTRIES,
    unary::ENTRIES,
];

/// The importer of an operator.
pub(crate) fn find(domain: &str, name: &str) -> Option<&'static Entry> {
    type Table = HashMap<(&'static str, &'static str), &'static Entry>;
    static TABLE: OnceLock<Table> = OnceLock::new();
    let table = TABLE.get_or_init(|| {
        FAMILIES.iter().flat_map(|f| f.iter()).map(|e| ((e.domain, e.name), e)).collect()
    });
    table.get(&(domain, name)).copied()
}

/// Indices of the axes that bring channels, axis 1, to the end.
fn channels_last(rank: usize) -> Vec<usize> {
    let mut perm: Vec<usize> = (0..rank).collect();
    if rank > 2 {
        perm.remove(1);
        perm.push(1);
    }
    perm
}

/// The inverse of [`channels_last`].
fn channels_first(rank: usize) -> Vec<usize> {
    let mut perm: Vec<usize> = (0..rank).collect();
    if rank > 2 {
        perm.remove(rank - 1);
        perm.insert(1, rank - 1);
    }
    perm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_operator_is_listed_twice() {
        let mut names: Vec<_> =
            FAMILIES.iter().flat_map(|f| f.iter()).map(|e| (e.domain, e.name)).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn layouts_are_inverse() {
        for rank in 0..6 {
            let (to, back) = (channels_last(rank), channels_first(rank));
            assert!((0..rank).all(|i| to[back[i]] == i), "{rank}");
        }
        assert_eq!(channels_last(4), [0, 2, 3, 1]);
        assert_eq!(channels_first(4), [0, 3, 1, 2]);
    }
}
