//! Configuration and weights in a file.

use crate::error::{KerasError, Result};
use paring_format::hdf5::{self, Hdf5};
use paring_format::{FormatError, Source};
use paring_tensor::{Bytes, Tensor};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

/// An opened model.
pub(crate) struct Store {
    /// The configuration, in JSON.
    pub(crate) config: String,
    /// The Keras that wrote it: 1, 2 or 3.
    pub(crate) version: u32,
    /// Whether filters are mirrored, as Theano has them.
    pub(crate) mirrored: bool,
    file: Hdf5,
    /// Whether weights lie as Keras 3 has them.
    tree: bool,
    /// Where the groups of the layers of a flat file are.
    root: &'static str,
    /// The weights of groups of a flat file, in order.
    groups: RefCell<BTreeMap<String, Rc<Vec<Weight>>>>,
    /// Which weights of nested models belong to which layer.
    owned: RefCell<BTreeMap<String, Rc<Vec<Weight>>>>,
    taken: RefCell<BTreeSet<String>>,
}

/// A weight, not read yet.
#[derive(Clone, Debug)]
pub(crate) struct Weight {
    pub(crate) name: String,
    path: String,
}

/// Weights of a layer, or of a part of it.
#[derive(Clone)]
pub(crate) enum Weights {
    /// The group of a tree.
    Tree(String),
    /// Some of a flat file's, in order.
    Flat(Rc<Vec<Weight>>),
}

fn hdf(why: String) -> KerasError {
    KerasError::malformed("the HDF5 file", why)
}

/// Major version, as text that begins with it says.
fn major(version: &str) -> u32 {
    version.split('.').next().and_then(|n| n.parse().ok()).unwrap_or(2)
}

impl Store {
    /// Opens a model of which the whole file, or one of its two files, is given.
    pub(crate) fn open(source: &Source) -> std::result::Result<Self, FormatError> {
        let fail = |error: KerasError| error.into_format(source);
        if source.bytes.starts_with(b"PK") {
            return Self::open_archive(&source.bytes).map_err(fail);
        }
        if source.bytes.starts_with(hdf5::MAGIC) {
            return Self::open_file(source);
        }
        let config = String::from_utf8(source.bytes.to_vec())
            .map_err(|_| source.malformed("the file", "is no model of Keras"))?;
        let Some(path) = weights_beside(&source.path) else {
            let why = "the file holds no weights; put the .h5 file beside it, with the same name";
            return Err(source.malformed("the configuration", why));
        };
        let weights = Source::open(&path)?;
        let file = Hdf5::open(&weights.bytes).map_err(|e| weights.malformed("the HDF5 file", e))?;
        Self::beside(config, file).map_err(fail)
    }

    /// A file of HDF5: the whole model, or weights with the configuration beside.
    fn open_file(source: &Source) -> std::result::Result<Self, FormatError> {
        let fail = |error: KerasError| error.into_format(source);
        let file = Hdf5::open(&source.bytes).map_err(|e| fail(hdf(e)))?;
        let attributes = file.attributes("").map_err(|e| fail(hdf(e)))?;
        if let Some(config) = attributes.text("model_config") {
            let version = attributes.text("keras_version").map_or(1, major);
            let mirrored = attributes.text("backend") == Some("theano");
            let root = if file.has_group("model_weights") { "model_weights" } else { "" };
            return Ok(Self::new(config.to_owned(), version, mirrored, file, false, root));
        }
        let Some(path) = config_beside(&source.path) else {
            let why = "has no `model_config`: it holds weights only; save the whole model, or put the \
                       configuration (model.to_json()) beside it with the same name and .json";
            return Err(source.malformed("the file", why));
        };
        let json = Source::open(&path)?;
        let config = String::from_utf8(json.bytes.to_vec())
            .map_err(|_| json.malformed("the configuration", "is no text"))?;
        Self::beside(config, file).map_err(fail)
    }

    /// Weights and a configuration of two files.
    fn beside(config: String, file: Hdf5) -> Result<Self> {
        let attributes = file.attributes("").map_err(hdf)?;
        let flat = !attributes.texts("layer_names").is_empty();
        // The configuration states a version; where it is missing the oldest wrote it.
        let json: serde_json::Value = serde_json::from_str(&config)
            .map_err(|e| KerasError::malformed("the configuration", e.to_string()))?;
        let stated = json.get("keras_version").and_then(serde_json::Value::as_str);
        let version = match (stated.or_else(|| attributes.text("keras_version")), flat) {
            (Some(text), _) => major(text),
            (None, true) => 1,
            (None, false) => 3,
        };
        let backend = json.get("backend").and_then(serde_json::Value::as_str);
        let mirrored = backend.or_else(|| attributes.text("backend")) == Some("theano");
        Ok(Self::new(config, version, mirrored, file, !flat, ""))
    }

    fn open_archive(bytes: &Bytes) -> Result<Self> {
        let zip = |e: zip::result::ZipError| KerasError::malformed("the archive", e.to_string());
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes.clone())).map_err(zip)?;
        let limit = (bytes.len() as u64).saturating_mul(hdf5::EXPANSION).saturating_add(1 << 20);
        let mut member = |name: &str| {
            let file = archive.by_name(name).map_err(zip)?;
            // What is not compressed is used where it lies.
            if file.compression() == zip::CompressionMethod::Stored
                && let Some(start) = file.data_start().and_then(|n| usize::try_from(n).ok())
                && let Ok(size) = usize::try_from(file.size())
                && let Some(end) = start.checked_add(size).filter(|end| *end <= bytes.len())
            {
                return Ok(bytes.slice(start..end));
            }
            let mut data = Vec::new();
            let read = file.take(limit + 1).read_to_end(&mut data);
            read.map_err(|e| KerasError::malformed(name, e.to_string()))?;
            match data.len() as u64 > limit {
                true => Err(KerasError::malformed(name, "expands to many times the file's size")),
                false => Ok(Bytes::from(data)),
            }
        };
        let config = String::from_utf8(member("config.json")?.to_vec())
            .map_err(|e| KerasError::malformed("config.json", e.to_string()))?;
        let file = Hdf5::open(&member("model.weights.h5")?).map_err(hdf)?;
        Ok(Self::new(config, 3, false, file, true, ""))
    }

    fn new(
        config: String,
        version: u32,
        mirrored: bool,
        file: Hdf5,
        tree: bool,
        root: &'static str,
    ) -> Self {
        let (groups, owned, taken) = Default::default();
        Self { config, version, mirrored, file, tree, root, groups, owned, taken }
    }

    /// The weights of a layer. In a tree they lie at `path`. In a flat file they lie in the group of
    /// the layer, or among those of the outermost nested model around it.
    pub(crate) fn of(&self, layer: &str, nested_in: Option<&str>, path: &str) -> Result<Weights> {
        if self.tree {
            return Ok(Weights::Tree(path.to_owned()));
        }
        let Some(outer) = nested_in else { return Ok(Weights::Flat(self.flat(layer)?)) };
        if let Some(known) = self.owned.borrow().get(path) {
            return Ok(Weights::Flat(known.clone()));
        }
        let all = self.flat(outer)?;
        let named = |w: &&Weight| w.name.split('/').rev().skip(1).any(|part| part == layer);
        let found: Vec<&Weight> = all.iter().filter(named).collect();
        // Models inside of one model may have layers of one name; each takes its own in turn.
        let (mut taken, mut own, mut names) =
            (self.taken.borrow_mut(), Vec::new(), BTreeSet::new());
        for (i, weight) in found.iter().enumerate() {
            let key = format!("{outer}/{layer}/{i}");
            if !taken.contains(&key) && names.insert(weight.name.as_str()) {
                taken.insert(key);
                own.push((*weight).clone());
            }
        }
        let own = Rc::new(own);
        self.owned.borrow_mut().insert(path.to_owned(), own.clone());
        Ok(Weights::Flat(own))
    }

    /// Every weight in a group of a flat file, in order.
    fn flat(&self, group: &str) -> Result<Rc<Vec<Weight>>> {
        if let Some(known) = self.groups.borrow().get(group) {
            return Ok(known.clone());
        }
        let place =
            if self.root.is_empty() { group.into() } else { format!("{}/{group}", self.root) };
        let mut all = Vec::new();
        if self.file.has_group(&place) {
            let attributes = self.file.attributes(&place).map_err(hdf)?;
            for name in attributes.texts("weight_names") {
                all.push(Weight { path: format!("{place}/{name}"), name });
            }
        }
        let all = Rc::new(all);
        self.groups.borrow_mut().insert(group.to_owned(), all.clone());
        Ok(all)
    }

    /// Whether weights lie at paths, as Keras 3 has them.
    pub(crate) fn is_tree(&self) -> bool {
        self.tree
    }

    /// Whether there is anything at a path of a tree.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.file.has_group(path)
    }

    /// How many weights there are.
    pub(crate) fn count(&self, weights: &Weights) -> usize {
        match weights {
            Weights::Flat(all) => all.len(),
            Weights::Tree(path) => self.file.count(&format!("{path}/vars")),
        }
    }

    /// A weight by its own name, or by its position where names are numbers or of another version.
    pub(crate) fn weight(
        &self,
        weights: &Weights,
        key: &str,
        position: usize,
    ) -> Result<Option<Tensor>> {
        let path = match weights {
            Weights::Tree(path) if position < self.count(weights) => {
                format!("{path}/vars/{position}")
            }
            Weights::Tree(_) => return Ok(None),
            Weights::Flat(all) => {
                let own = |w: &&Weight| {
                    let last = w.name.rsplit('/').next().unwrap_or(&w.name);
                    last.split(':').next() == Some(key)
                };
                match all.iter().find(own).or_else(|| all.get(position)) {
                    Some(weight) => weight.path.clone(),
                    None => return Ok(None),
                }
            }
        };
        let place = |why: String| KerasError::malformed(format!("weight `{path}`"), why);
        self.file.tensor(&path).map(Some).map_err(place)
    }
}

impl Weights {
    /// The weights of a part of the layer: below `name` in a tree, some of the list else.
    pub(crate) fn part(&self, name: &str, from: usize, count: usize) -> Self {
        match self {
            Self::Tree(path) => Self::Tree(format!("{path}/{name}")),
            Self::Flat(all) => {
                let part = all.iter().skip(from).take(count).cloned().collect();
                Self::Flat(Rc::new(part))
            }
        }
    }
}

/// The stem that files of one model share: `net` of `net.weights.h5` and `net_weights.h5`.
fn stems(path: &Path) -> Vec<String> {
    let stem = path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default();
    let mut stems = vec![stem.clone()];
    for suffix in [".weights", "_weights", "_config", ".config"] {
        stems.extend(stem.strip_suffix(suffix).map(str::to_owned));
    }
    stems
}

fn config_beside(weights: &Path) -> Option<PathBuf> {
    let names = stems(weights).into_iter().flat_map(|s| {
        [format!("{s}.json"), format!("{s}_config.json"), format!("{s}.config.json")]
    });
    names.map(|n| weights.with_file_name(n)).find(|p| p.is_file())
}

fn weights_beside(config: &Path) -> Option<PathBuf> {
    let names = stems(config).into_iter().flat_map(|s| {
        [".h5", ".weights.h5", "_weights.h5", ".hdf5"].map(|end| format!("{s}{end}"))
    });
    names.map(|n| config.with_file_name(n)).find(|p| p.is_file())
}
