use paring_ir::GraphError;
use paring_tensor::TensorError;

/// Why one node of the file is not imported.
#[derive(Debug)]
pub(crate) enum Reject {
    /// The file contradicts itself or the operator's definition.
    Malformed(String),
    /// The reader has no form for this.
    Unsupported(String),
}

impl Reject {
    pub(crate) fn malformed(why: impl Into<String>) -> Self {
        Self::Malformed(why.into())
    }

    pub(crate) fn unsupported(why: impl Into<String>) -> Self {
        Self::Unsupported(why.into())
    }
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
