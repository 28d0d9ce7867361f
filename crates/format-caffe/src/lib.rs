//! Reads Caffe networks: the layers from a prototxt, the weights from a caffemodel (protocol buffers, or
//! HDF5 as `.caffemodel.h5`). The oldest forms of both are read too.
//!
//! Either file may be named. The other one is looked for beside it: the file of the same name, else
//! the only one whose name fits, without the words that say what a file is for and how long it was
//! trained (`caffe_lenet5_original.caffemodel` and `lenet5.prototxt`, `net_iter_300000.caffemodel.h5`
//! and `net_train_test.prototxt`, anything and `deploy.prototxt`).
//!
//! The first extent of an input is the batch: it is the size given for `batch`, or the default
//! one, whatever the file says. The extents of an input that is a data layer are those given for
//! `channels`, `height` and `width`. Layers of training (data of the training phase, losses,
//! accuracies) are left out; a loss with a softmax becomes the softmax.
//!
//! Images are `NCHW` in the file and `NHWC` here: each image layer stands between transposes, which the
//! `layout` pass removes.
//!
//! Memory: weights that need no other order stay where they lie in the file; reading takes at most 64
//! times the two files together and some mebibytes.
//!
//! ```
//! use paring_format::{ReadOptions, Source};
//!
//! let damaged = Source { path: "damaged.caffemodel".into(), bytes: vec![0xFF; 64].into() };
//! let error = paring_format_caffe::read(&damaged, &ReadOptions::default()).unwrap_err();
//! assert!(error.to_string().contains("damaged.caffemodel"));
//! ```
#![forbid(unsafe_code)]

mod layer;
mod net;
mod ops;
mod text;
mod upgrade;
mod weights;

use paring_format::{FormatError, ReadOptions, Source};
use paring_ir::Graph;
use std::path::{Path, PathBuf};

paring_format::register_format! {
    paring_format::Format {
        name: "caffe",
        summary: "Caffe networks (prototxt and caffemodel)",
        extensions: &["prototxt", "caffemodel", "caffemodel.h5"],
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
    let (text, weights) = if is_weights(&source.path) {
        (Source::open(&beside(source, "prototxt", is_text)?)?, source.clone())
    } else {
        (source.clone(), Source::open(&beside(source, "caffemodel", is_weights)?)?)
    };
    read_parts(&text, &weights, options)
}

/// Reads a network of its two files, wherever they are.
///
/// # Errors
/// As [`read`].
pub fn read_parts(
    text: &Source,
    weights: &Source,
    options: &ReadOptions<'_>,
) -> Result<Graph, FormatError> {
    let tree = std::str::from_utf8(&text.bytes)
        .map_err(|_| text.malformed("the file", "is not text"))
        .and_then(|t| text::parse(t).map_err(|e| text.malformed(e.place(), e.why)))?;
    let blobs = weights::read(weights)?;
    net::build(text, &upgrade::upgraded(tree), blobs, options)
}

fn ends_with(path: &Path, end: &str) -> bool {
    path.file_name().is_some_and(|n| n.to_string_lossy().to_lowercase().ends_with(end))
}

fn is_weights(path: &Path) -> bool {
    ends_with(path, ".caffemodel") || ends_with(path, ".caffemodel.h5")
}

/// A solver's settings are no network.
fn is_text(path: &Path) -> bool {
    ends_with(path, ".prototxt") && !ends_with(path, "solver.prototxt")
}

/// What a file's name says of the network: without the words that say what the file is for.
fn core(path: &Path) -> String {
    const WORDS: [&str; 13] = [
        "train",
        "test",
        "val",
        "trainval",
        "deploy",
        "iter",
        "inference",
        "original",
        "caffe",
        "model",
        "weights",
        "final",
        "net",
    ];
    let name = path.file_name().map(|n| n.to_string_lossy().to_lowercase()).unwrap_or_default();
    let stem = name.split(".caffemodel").next().unwrap_or(&name);
    let stem = stem.strip_suffix(".prototxt").unwrap_or(stem);
    let words = stem.split(['_', '-', '.']);
    let count = |w: &str| w.len() > 3 && w.bytes().all(|b| b.is_ascii_digit());
    words.filter(|w| !w.is_empty() && !WORDS.contains(w) && !count(w)).collect::<Vec<_>>().join("_")
}

/// The file of another kind that goes with a file.
fn beside(
    source: &Source,
    extension: &str,
    kind: fn(&Path) -> bool,
) -> Result<PathBuf, FormatError> {
    let name = source.path.file_name().map(|n| n.to_string_lossy().into_owned());
    let name = name.unwrap_or_default();
    let stem = [".caffemodel.h5", ".caffemodel", ".prototxt"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(&name);
    for extension in [extension.to_owned(), format!("{extension}.h5")] {
        let same = source.path.with_file_name(format!("{stem}.{extension}"));
        if same.is_file() {
            return Ok(same);
        }
    }
    let folder = source.path.parent().filter(|p| !p.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let mut all: Vec<PathBuf> = std::fs::read_dir(folder)
        .map_err(|e| FormatError::Io { path: folder.to_owned(), source: e })?
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| kind(p))
        .collect();
    all.sort();
    // The best fit that any has: the same name, one in the other, a name that says nothing.
    let own = core(&source.path);
    let fit = |p: &PathBuf| {
        let other = core(p);
        if other == own {
            2
        } else if own.is_empty() || other.is_empty() {
            0
        } else {
            i32::from(other.contains(&own) || own.contains(&other)) * 2 - 1
        }
    };
    let best = all.iter().map(fit).max().filter(|f| *f >= 0);
    let found: Vec<&PathBuf> = all.iter().filter(|p| Some(fit(p)) == best).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
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

#[cfg(test)]
mod tests {
    use super::core;
    use std::path::Path;

    #[test]
    fn names_of_files_that_belong_together_have_one_core() {
        for (file, wanted) in [
            ("cifar10_m7_iter_300000.caffemodel.h5", "cifar10_m7"),
            ("cifar10_m7_train_test.prototxt", "cifar10_m7"),
            ("caffe_lenet5_original.caffemodel", "lenet5"),
            ("SqueezeNet_deploy.prototxt", "squeezenet"),
            ("squeezenet_v1.0.caffemodel", "squeezenet_v1_0"),
            ("deploy.prototxt", ""),
        ] {
            assert_eq!(core(Path::new(file)), wanted);
        }
    }
}
