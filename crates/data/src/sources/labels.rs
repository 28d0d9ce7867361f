use crate::{DataError, Result};
use std::path::Path;

/// Rows larger than this many bytes in all are no list of labels.
const MAX_BYTES: u64 = 1 << 28;

/// Reads a CSV list of files and labels. A first row with names is recognized by a label that is
/// no number; then the columns are found by name, otherwise the file is the first and the label the
/// `label_column`-th.
pub(super) fn read(path: &Path, label_column: usize) -> Result<Vec<(String, usize)>> {
    let advice = "write rows of file name and class index, such as `cat.jpg,3`";
    let size = std::fs::metadata(path).map_err(DataError::io(path))?.len();
    if size > MAX_BYTES {
        return Err(DataError::file(path, format!("has {size} bytes"), advice));
    }
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .trim(csv::Trim::All)
        .from_path(path)
        .map_err(|e| DataError::file(path, e.to_string(), advice))?;
    let (mut file_at, mut label_at) = (0, label_column);
    let mut rows = Vec::new();
    for (number, row) in reader.records().enumerate() {
        let row = row.map_err(|e| DataError::file(path, e.to_string(), advice))?;
        if row.iter().all(str::is_empty) {
            continue;
        }
        if number == 0 {
            let find = |names: &[&str]| {
                row.iter().position(|field| names.contains(&field.to_lowercase().as_str()))
            };
            let file = find(&["file", "filename", "image", "path"]);
            let label = find(&["class_index", "label", "class", "index"]);
            if let (Some(file), Some(label)) = (file, label) {
                (file_at, label_at) = (file, label);
                continue;
            }
        }
        let line = row.position().map_or(number as u64 + 1, csv::Position::line);
        let fault = |what: String| DataError::file(path, format!("line {line} {what}"), advice);
        let file = row
            .get(file_at)
            .filter(|name| !name.is_empty())
            .ok_or_else(|| fault("names no file".into()))?;
        let label = row.get(label_at).ok_or_else(|| fault("has no label".into()))?;
        let label =
            label.parse().map_err(|_| fault(format!("has label `{label}`, which is no number")))?;
        rows.push((file.to_owned(), label));
    }
    if rows.is_empty() {
        return Err(DataError::file(path, "lists no files", advice));
    }
    Ok(rows)
}
