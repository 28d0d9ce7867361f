//! Keras models: `.h5` and `.hdf5` files of Keras 1 and 2 with their configuration, and `.keras`
//! archives of Keras 3.
//!
//! A file of weights alone (`net.h5`, `net.weights.h5`) is read with the configuration beside it
//! (`net.json`, what `model.to_json()` gives); either may be named.
//!
//! Layers become nodes of their names; a layer with an activation gets a second node, `name/relu`.
//! Weights are rearranged to the graph's layout. Layers that the reader does not know are listed in one
//! error.
//!
//! Masks of steps (`Masking`, `Embedding` with `mask_zero`) reach recurrent layers and means; layers that
//! keep a state (`stateful`) have it in the graph. Volumes become images. Layers that change their input
//! at random do nothing.
//!
//! Memory: reading takes at most [`paring_format::hdf5::EXPANSION`] times the file for weights that are
//! compressed, the graph's own copy of them, and a few mebibytes.
//!
//! ```
//! use paring_format::{ReadOptions, Source};
//!
//! let damaged = Source { path: "damaged.h5".into(), bytes: vec![0xFF; 64].into() };
//! let error = paring_format_keras::read(&damaged, &ReadOptions::default()).unwrap_err();
//! assert!(error.to_string().contains("damaged.h5"));
//! ```
#![forbid(unsafe_code)]

mod build;
mod config;
mod error;
mod layers;
mod store;

use error::KerasError;
use paring_format::{Format, FormatError, ReadOptions, Source, register_format};
use paring_ir::Graph;
use serde_json::Value;

register_format!(Format {
    name: "keras",
    summary: "Keras",
    extensions: &["h5", "hdf5", "keras", "json"],
    sniff: |bytes| {
        // The first member of an archive that Keras 3 writes.
        bytes.starts_with(paring_format::hdf5::MAGIC)
            || (bytes.starts_with(b"PK\x03\x04") && bytes.get(30..43) == Some(b"metadata.json"))
    },
    read: Some(read),
    write: None,
});

/// Reads a model.
///
/// # Errors
/// [`FormatError::Malformed`] with the place of what is wrong, [`FormatError::Unsupported`] with every
/// layer that is not known.
pub fn read(source: &Source, options: &ReadOptions<'_>) -> Result<Graph, FormatError> {
    let fail = |error: KerasError| error.into_format(source);
    let store = store::Store::open(source)?;
    let json: Value = serde_json::from_str(&store.config)
        .map_err(|e| fail(KerasError::malformed("the configuration", e.to_string())))?;
    let model = config::Model::parse(&json, store.version).map_err(fail)?;
    let refused = layers::unknown(&model, store.version);
    if !refused.is_empty() {
        return Err(FormatError::Unsupported { path: source.path.clone(), refused });
    }
    build::build(&model, &store, options).map_err(fail)
}
