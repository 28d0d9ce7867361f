use paring_format::{FormatError, Source};
use paring_ir::{GraphError, OpError, Refusal};
use paring_tensor::TensorError;

/// Why a model cannot be read; the caller adds the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KerasError {
    #[error("{place}: {why}")]
    Malformed { place: String, why: String },
    #[error("{layer} ({class}): {why}")]
    Unsupported { layer: String, class: String, why: String },
    #[error(transparent)]
    Graph(#[from] GraphError),
}

pub(crate) type Result<T, E = KerasError> = std::result::Result<T, E>;

impl KerasError {
    pub(crate) fn malformed(place: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Malformed { place: place.into(), why: why.into() }
    }

    pub(crate) fn into_format(self, source: &Source) -> FormatError {
        match self {
            Self::Malformed { place, why } => source.malformed(place, why),
            Self::Unsupported { layer, class, why } => FormatError::Unsupported {
                path: source.path.clone(),
                refused: vec![Refusal { node: layer, op: class, why }],
            },
            Self::Graph(error) => FormatError::Graph { path: source.path.clone(), source: error },
        }
    }
}

impl From<TensorError> for KerasError {
    fn from(error: TensorError) -> Self {
        Self::malformed("a weight", error.to_string())
    }
}

impl From<OpError> for KerasError {
    fn from(error: OpError) -> Self {
        Self::malformed("a layer", error.to_string())
    }
}
