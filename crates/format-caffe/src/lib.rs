//! Reads Caffe networks: the layers from a prototxt, the weights from a caffemodel.
//!
//! Either file may be named. The other one is looked for beside it: the file of the same name, else
//! the only one whose name contains the other's (`caffe_lenet5_original.caffemodel` and
//! `lenet5.prototxt`).
//!
//! The first extent of an input is the batch: it is the size given for `batch`, or the default
//! one, whatever the file says. The extents of an input that is a data layer are those given for
//! `channels`, `height` and `width`. Layers of training (data of the training phase, losses,
//! accuracies) are left out; a loss with a softmax becomes the softmax.
//!
//! Images are `NCHW` in the file and `NHWC` here: each image layer stands between transposes, which the
//! `layout` pass removes.
//!
//! Memory: reading takes at most about 60 times the two files together.
//!
//! ```
//! use paring_format::{ReadOptions, Source};
//!
//! let dimensions = Default::default();
//! let options =
//!     ReadOptions { dimensions: &dimensions, default_dimension: 1, executor: None, values: &[] };
//! let damaged = Source { path: "damaged.caffemodel".into(), bytes: vec![0xFF; 64].into() };
//! let error = paring_format_caffe::read(&damaged, &options).unwrap_err();
//! assert!(error.to_string().contains("damaged.caffemodel"));
//! ```
#![forbid(unsafe_code)]

mod layer;
mod net;
mod ops;
mod text;
mod weights;

use paring_format::{FormatError, ReadOptions, Source};
use paring_ir::Graph;
use std::path::{Path, PathBuf};

paring_format::register_format! {
    paring_format::Format {
        name: "caffe",
        summary: "Caffe networks (prototxt and caffemodel)",
        extensions: &["prototxt", "caffemodel"],
        sniff: |_| false,
        read: Some(read),
        write: None,
    }
}

/// Reads a network of which one of its two files is given.
///
/// # Errors
/// If the other file is not there, a file is malformed, or layers are not supported: all of them.
pub fn read(source: &Source, options: &ReadOptions<'_>) -> Result<Graph, FormatError> {
    let is = |ext: &str| source.path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ext));
    let (text, weights) = if is("caffemodel") {
        (Source::open(&beside(source, "prototxt")?)?, source.clone())
    } else {
        (source.clone(), Source::open(&beside(source, "caffemodel")?)?)
    };
    let tree = std::str::from_utf8(&text.bytes)
        .map_err(|_| text.malformed("the file", "is not text"))
        .and_then(|t| text::parse(t).map_err(|e| text.malformed(e.place(), e.why)))?;
    let blobs = weights::read(&weights)?;
    net::build(&text, &tree, blobs, options)
}

/// The file of another extension that goes with a file.
fn beside(source: &Source, extension: &str) -> Result<PathBuf, FormatError> {
    let same = source.path.with_extension(extension);
    if same.is_file() {
        return Ok(same);
    }
    let stem =
        |p: &Path| p.file_stem().map(|s| s.to_string_lossy().to_lowercase()).unwrap_or_default();
    let own = stem(&source.path);
    let folder = source.path.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(|e| FormatError::Io { path: folder.to_owned(), source: e })?
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension)))
        .filter(|p| {
            let other = stem(p);
            !other.is_empty() && !own.is_empty() && (other.contains(&own) || own.contains(&other))
        })
        .collect();
    found.sort();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(source.malformed(
            "the network",
            format!("also needs its .{extension} file; put it beside this one with the same name"),
        )),
        many => {
            let names: Vec<_> = many.iter().map(|p| p.display().to_string()).collect();
            Err(source.malformed(
                "the network",
                format!(
                    "has several .{extension} files beside it: {}; give one the same name",
                    names.join(", ")
                ),
            ))
        }
    }
}
