//! The data sets that a specification can name.

mod cifar10;
mod folder;
mod idx;
mod kws01;
mod labels;
mod mnist;
mod npz;
mod shapes;

pub(crate) use cifar10::Cifar10;
pub(crate) use folder::Folder;
pub(crate) use kws01::Kws01;
pub(crate) use mnist::Mnist;
pub(crate) use npz::NpzSet;
pub(crate) use shapes::Shapes;

use crate::dataset::{Dataset, Sample};
use crate::picture::Picture;
use crate::preprocess::Prepared;
use crate::{DataError, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The part of a data set that comes in two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// What the network learnt from; calibration takes these.
    Train,
    /// What judges it.
    Test,
}

impl FromStr for Split {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "train" => Ok(Self::Train),
            "test" => Ok(Self::Test),
            _ => Err(DataError::spec(text, "is no split", "write train or test")),
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Train => "train",
            Self::Test => "test",
        })
    }
}

/// Labelled pictures, before preprocessing.
pub(crate) trait Pictures: Send + Sync {
    fn len(&self) -> usize;
    fn picture(&self, index: usize) -> Result<(Picture, Option<usize>)>;
    fn classes(&self) -> &[String];
}

/// Pictures with their preprocessing.
pub(crate) struct Prepare<P> {
    pub pictures: P,
    pub prepared: Prepared,
}

impl<P: Pictures> Dataset for Prepare<P> {
    fn len(&self) -> usize {
        self.pictures.len()
    }

    fn sample(&self, index: usize) -> Result<Sample> {
        let (picture, label) = self.pictures.picture(index)?;
        Ok(Sample { inputs: vec![self.prepared.picture(picture)?], label })
    }

    fn classes(&self) -> &[String] {
        self.pictures.classes()
    }
}
