use crate::flat::Damaged;
use paring_ir::GraphError;
use paring_tensor::TensorError;

/// Why an operator or tensor cannot be read; the caller adds the file and the place.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// Something that this reader does not support.
    #[error("{0}")]
    Unsupported(String),
    /// The file contradicts itself or its format.
    #[error("{why}")]
    Malformed {
        /// Within the operator or tensor.
        part: Option<String>,
        why: String,
    },
    #[error(transparent)]
    Graph(#[from] GraphError),
}

impl ReadError {
    pub(crate) fn malformed(why: impl Into<String>) -> Self {
        Self::Malformed { part: None, why: why.into() }
    }

    pub(crate) fn unsupported(why: impl Into<String>) -> Self {
        Self::Unsupported(why.into())
    }

    /// Says which part of the operator is meant, unless that is known already.
    pub(crate) fn at(self, part: impl FnOnce() -> String) -> Self {
        match self {
            Self::Malformed { part: None, why } => Self::Malformed { part: Some(part()), why },
            other => other,
        }
    }
}

impl From<Damaged> for ReadError {
    fn from(error: Damaged) -> Self {
        Self::malformed(format!("the file is damaged at byte {}: {}", error.at, error.why))
    }
}

impl From<TensorError> for ReadError {
    fn from(error: TensorError) -> Self {
        Self::malformed(error.to_string())
    }
}

pub(crate) type Result<T, E = ReadError> = std::result::Result<T, E>;
