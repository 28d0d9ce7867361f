use super::{Pictures, labels};
use crate::dataset::check_index;
use crate::picture::{Picture, decode};
use crate::{DataError, Result};
use std::path::{Path, PathBuf};

const ENDINGS: [&str; 3] = ["jpg", "jpeg", "png"];
/// Larger files are no pictures that would be read.
const MAX_BYTES: u64 = 1 << 28;

/// A folder of JPEG and PNG files. Labels come from `labels.csv` (columns `file` and `class_index`)
/// or from subfolders, one a class, numbered by their sorted names; a folder with neither gives
/// pictures without labels, sorted by name. Class names are those of the subfolders or the lines of
/// `classes.txt`.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    files: Vec<(PathBuf, Option<usize>)>,
    classes: Vec<String>,
}

impl Folder {
    /// Lists the pictures; they are decoded when asked for.
    ///
    /// # Errors
    /// If the folder has no pictures, or `labels.csv` is damaged or names a file that is missing.
    pub fn open(folder: &Path) -> Result<Self> {
        let list = folder.join("labels.csv");
        if list.exists() {
            let mut files = Vec::new();
            for (name, label) in labels::read(&list, 1)? {
                let path = folder.join(&name);
                if !path.is_file() {
                    let fault = format!("names `{name}`, which is not there");
                    let advice = "add the file or remove its row";
                    return Err(DataError::file(&list, fault, advice));
                }
                files.push((path, Some(label)));
            }
            return Ok(Self { files, classes: class_names(folder)? });
        }
        let entries = entries(folder)?;
        let folders: Vec<&PathBuf> = entries.iter().filter(|path| path.is_dir()).collect();
        let mut files: Vec<_> =
            entries.iter().filter(|path| is_picture(path)).map(|p| (p.clone(), None)).collect();
        let mut classes = Vec::new();
        if files.is_empty() {
            for class in folders {
                let pictures = self::entries(class)?.into_iter().filter(|path| is_picture(path));
                files.extend(pictures.map(|path| (path, Some(classes.len()))));
                classes.push(class.file_name().unwrap_or_default().to_string_lossy().into_owned());
            }
        }
        if files.is_empty() {
            let advice = "give a folder with pictures and labels.csv, or with a subfolder a class";
            return Err(DataError::file(folder, "holds no JPEG or PNG files", advice));
        }
        Ok(Self { files, classes })
    }
}

/// What the folder holds, sorted, hidden files left out.
fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(DataError::io(folder))? {
        let entry = entry.map_err(DataError::io(folder))?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_picture(path: &Path) -> bool {
    let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase());
    ending.is_some_and(|e| ENDINGS.contains(&e.as_str())) && path.is_file()
}

fn class_names(folder: &Path) -> Result<Vec<String>> {
    let path = folder.join("classes.txt");
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = std::fs::read_to_string(&path).map_err(DataError::io(&path))?;
    Ok(text.lines().map(|line| line.trim().to_owned()).collect())
}

impl Pictures for Folder {
    fn len(&self) -> usize {
        self.files.len()
    }

    fn picture(&self, index: usize) -> Result<(Picture, Option<usize>)> {
        check_index(index, self.files.len())?;
        let (path, label) = &self.files[index];
        let size = std::fs::metadata(path).map_err(DataError::io(path))?.len();
        if size > MAX_BYTES {
            let fault = format!("has {size} bytes; up to {MAX_BYTES} are read");
            return Err(DataError::file(path, fault, "replace or remove the picture"));
        }
        let bytes = std::fs::read(path).map_err(DataError::io(path))?;
        Ok((decode(&bytes, path)?, *label))
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }
}
