use std::path::{Path, PathBuf};

/// What can go wrong between a data specification and a sample.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system refused a file.
    #[error("{}: {source}; check the path and its permissions", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Its reason.
        source: std::io::Error,
    },
    /// A file is there but does not hold what it should.
    #[error("{}: {fault}; {advice}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
        /// What to do about it.
        advice: String,
    },
    /// A data specification cannot be understood.
    #[error("data specification `{spec}`: {fault}; {advice}")]
    Spec {
        /// The text, or the part of it.
        spec: String,
        /// What is wrong with it.
        fault: String,
        /// What to write instead.
        advice: String,
    },
    /// The preprocessing does not fit the data.
    #[error("preprocessing of {set}: {fault}; {advice}")]
    Preprocess {
        /// The data set.
        set: String,
        /// What does not fit.
        fault: String,
        /// What to change.
        advice: String,
    },
    /// A sample was asked for beyond the end.
    #[error("sample {index} of a data set of {len}")]
    Index {
        /// The sample asked for.
        index: usize,
        /// How many there are.
        len: usize,
    },
    /// Two things that are compared do not match.
    #[error("cannot compare: {0}")]
    Mismatch(String),
}

impl DataError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| Self::Io { path: path.into(), source }
    }

    pub(crate) fn file(path: &Path, fault: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::File { path: path.into(), fault: fault.into(), advice: advice.into() }
    }

    pub(crate) fn spec(
        spec: impl Into<String>,
        fault: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self::Spec { spec: spec.into(), fault: fault.into(), advice: advice.into() }
    }
}

/// The result of this crate's functions.
pub type Result<T, E = DataError> = std::result::Result<T, E>;
