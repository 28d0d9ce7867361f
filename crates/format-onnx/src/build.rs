//! The graph under construction and what the reader knows of its values.

use crate::reject::Reject;
use paring_ir::{Def, Graph, ValueId};
use paring_tensor::Tensor;
use std::collections::HashMap;
use std::rc::Rc;

/// What a name of the file stands for.
#[derive(Clone, Debug)]
pub(crate) enum Val {
    /// An optional input or output that is left out.
    Absent,
    /// A constant, which is in the graph once something computes with it.
    Const(Rc<Constant>),
    /// A value of the graph.
    Node(ValueId),
    /// A sequence of tensors.
    Sequence(Rc<Vec<Val>>),
    /// Something that an unsupported node would have computed.
    Unknown,
}

/// A constant of the file or one that was computed from such.
#[derive(Debug)]
pub(crate) struct Constant {
    pub(crate) name: String,
    pub(crate) tensor: Tensor,
    /// Whether the elements are the file's unsigned four-bit ones, kept as `u8`.
    pub(crate) unsigned4: bool,
}

impl Val {
    pub(crate) fn constant(name: impl Into<String>, tensor: Tensor) -> Self {
        let name = Some(name.into()).filter(|n: &String| !n.is_empty());
        let name = name.unwrap_or_else(|| "constant".to_owned());
        Self::Const(Rc::new(Constant { name, tensor, unsigned4: false }))
    }

    pub(crate) fn as_const(&self) -> Option<&Tensor> {
        match self {
            Self::Const(c) => Some(&c.tensor),
            _ => None,
        }
    }
}

/// A graph under construction: the model's, or one that evaluates a constant node.
#[derive(Default)]
pub(crate) struct Build {
    pub(crate) graph: Graph,
    /// Constants that are in the graph already.
    constants: HashMap<*const Constant, (Rc<Constant>, ValueId)>,
}

impl Build {
    pub(crate) fn new(name: &str) -> Self {
        Self { graph: Graph::new(name), constants: HashMap::new() }
    }

    /// The graph's value for something.
    pub(crate) fn value(&mut self, val: &Val) -> Result<ValueId, Reject> {
        match val {
            Val::Node(id) => Ok(*id),
            Val::Const(c) => {
                if let Some((_, id)) = self.constants.get(&Rc::as_ptr(c)) {
                    return Ok(*id);
                }
                let id = self.graph.add_const(c.name.clone(), c.tensor.clone(), None)?;
                self.constants.insert(Rc::as_ptr(c), (c.clone(), id));
                Ok(id)
            }
            Val::Absent => Err(Reject::malformed("a value is missing")),
            Val::Sequence(_) => Err(Reject::unsupported("a sequence where a tensor is needed")),
            Val::Unknown => Err(Reject::unsupported("depends on an unsupported node")),
        }
    }

    /// The tensor that a value of the graph is, if it is a plain constant.
    pub(crate) fn plain_const(&self, id: ValueId) -> Option<Tensor> {
        let value = self.graph.value(id);
        match value.def() {
            Def::Const(data) if value.ty.quant.is_none() => Some(data.dense()),
            _ => None,
        }
    }
}
