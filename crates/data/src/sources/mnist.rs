use super::idx::{self, Idx};
use super::{Pictures, Split};
use crate::dataset::check_index;
use crate::picture::Picture;
use crate::{DataError, Result};
use std::path::{Path, PathBuf};

/// MNIST and its kin (Fashion-MNIST, KMNIST): IDX files of gray pictures and labels in a folder,
/// packed with gzip or not. Packed files are unpacked in memory once.
#[derive(Clone, Debug)]
pub(crate) struct Mnist {
    images: Idx,
    labels: Idx,
}

impl Mnist {
    /// Opens a split.
    ///
    /// # Errors
    /// If a file is missing, is no IDX file, is cut off, or the two differ in number.
    pub fn open(folder: &Path, split: Split) -> Result<Self> {
        let prefix = match split {
            Split::Train => "train",
            Split::Test => "t10k",
        };
        let images_path = find(folder, &format!("{prefix}-images"), "idx3-ubyte")?;
        let labels_path = find(folder, &format!("{prefix}-labels"), "idx1-ubyte")?;
        let images = idx::read(&images_path, 3)?;
        let labels = idx::read(&labels_path, 1)?;
        if images.shape[0] != labels.shape[0] {
            let fault = format!(
                "has {} labels for the {} pictures of {}",
                labels.shape[0],
                images.shape[0],
                images_path.display()
            );
            return Err(DataError::file(&labels_path, fault, "take both files from one source"));
        }
        Ok(Self { images, labels })
    }
}

/// The file, with a dash or a dot before its ending as copies have either.
fn find(folder: &Path, stem: &str, ending: &str) -> Result<PathBuf> {
    let names = [
        format!("{stem}-{ending}"),
        format!("{stem}-{ending}.gz"),
        format!("{stem}.{ending}"),
        format!("{stem}.{ending}.gz"),
    ];
    names.iter().map(|name| folder.join(name)).find(|path| path.exists()).ok_or_else(|| {
        let fault = format!("holds no {} nor {}", names[0], names[1]);
        DataError::file(folder, fault, "name the folder that has the IDX files")
    })
}

impl Pictures for Mnist {
    fn len(&self) -> usize {
        self.images.shape[0]
    }

    fn picture(&self, index: usize) -> Result<(Picture, Option<usize>)> {
        check_index(index, self.len())?;
        let (height, width) = (self.images.shape[1], self.images.shape[2]);
        let size = height * width;
        let pixels = self.images.data[index * size..(index + 1) * size].to_vec();
        let label = usize::from(self.labels.data[index]);
        Ok((Picture { height, width, channels: 1, pixels }, Some(label)))
    }

    fn classes(&self) -> &[String] {
        &[]
    }
}
