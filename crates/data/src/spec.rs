use crate::dataset::{Dataset, Select, Subset};
use crate::preprocess::{Color, Preprocess};
use crate::sources::{Cifar10, Folder, Kws01, Mnist, NpzSet, Prepare, Shapes, Split};
use crate::{DataError, Result};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Where samples come from.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// `npz:FILE`
    Npz(PathBuf),
    /// `cifar10:DIR:train|test`
    Cifar10(PathBuf, Split),
    /// `mnist:DIR:train|test`
    Mnist(PathBuf, Split),
    /// `images:DIR`: a folder of pictures, three channels unless `color=gray` asks for one
    Images(PathBuf),
    /// `kws01:DIR`
    Kws01(PathBuf),
    /// `shapes:train|test`
    Shapes(Split),
}

/// Names a data set, which of its samples to take, and their preprocessing.
///
/// As text: the source, then `key=value` parts behind commas; the keys are `shuffle`, `offset`,
/// `stride`, `limit` and those of [`Preprocess`]. A file that ends in `.npz` needs no `npz:`. In a
/// pipeline file it is that text, or a table with the source under `from`, the same keys, and the
/// preprocessing in a table of its own:
/// `{ from = "images:photos", limit = 512, preprocess = { size = 176, range = "-1..1" } }`.
///
/// ```
/// use paring_data::{Dataset, DataSpec};
///
/// let spec: DataSpec = "shapes:test,limit=16,range=0..1".parse()?;
/// let data = spec.open()?;
/// assert_eq!(data.len(), 16);
/// assert_eq!(data.sample(3)?.inputs[0].shape(), [32, 32, 1]);
/// # Ok::<(), paring_data::DataError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct DataSpec {
    /// Where the samples come from.
    pub source: Source,
    /// Which of them.
    pub select: Select,
    /// What happens to them.
    pub preprocess: Preprocess,
}

/// The forms of [`Source`], for help and errors.
pub const SOURCES: [&str; 6] = [
    "npz:FILE",
    "cifar10:DIR:train|test",
    "mnist:DIR:train|test",
    "images:DIR",
    "kws01:DIR",
    "shapes:train|test",
];

const SELECT_KEYS: [&str; 4] = ["shuffle", "offset", "stride", "limit"];

impl FromStr for Source {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self> {
        let known = || format!("known are {}", SOURCES.join(", "));
        let Some((kind, rest)) = text.split_once(':') else {
            if text.ends_with(".npz") {
                return Ok(Self::Npz(text.into()));
            }
            return Err(DataError::spec(text, "names no kind of data", known()));
        };
        let path = |p: &str| {
            if p.is_empty() {
                Err(DataError::spec(text, "names no path", known()))
            } else {
                Ok(PathBuf::from(p))
            }
        };
        let split_path = || {
            let (folder, split) = rest.rsplit_once(':').ok_or_else(|| {
                let advice = format!("write {kind}:DIR:train or {kind}:DIR:test");
                DataError::spec(text, "names no split", advice)
            })?;
            Ok::<_, DataError>((path(folder)?, split.parse()?))
        };
        match kind {
            "npz" => path(rest).map(Self::Npz),
            "images" => path(rest).map(Self::Images),
            "kws01" => path(rest).map(Self::Kws01),
            "cifar10" => split_path().map(|(p, s)| Self::Cifar10(p, s)),
            "mnist" => split_path().map(|(p, s)| Self::Mnist(p, s)),
            "shapes" => rest.parse().map(Self::Shapes),
            // A drive letter of a path without a kind.
            _ if text.ends_with(".npz") && kind.len() == 1 => Ok(Self::Npz(text.into())),
            _ => Err(DataError::spec(text, format!("unknown kind `{kind}`"), known())),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Npz(path) => write!(f, "npz:{}", path.display()),
            Self::Cifar10(path, split) => write!(f, "cifar10:{}:{split}", path.display()),
            Self::Mnist(path, split) => write!(f, "mnist:{}:{split}", path.display()),
            Self::Images(path) => write!(f, "images:{}", path.display()),
            Self::Kws01(path) => write!(f, "kws01:{}", path.display()),
            Self::Shapes(split) => write!(f, "shapes:{split}"),
        }
    }
}

impl FromStr for DataSpec {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self> {
        // Commas before the first `key=value` belong to the path.
        let mut parts = text.split(',');
        let mut source = parts.next().unwrap_or_default().len();
        let mut options: Vec<&str> = Vec::new();
        for part in parts {
            if options.is_empty() && !part.contains('=') {
                source += 1 + part.len();
            } else {
                options.push(part.trim());
            }
        }
        let source = &text[..source];
        let mut select = Select::default();
        let mut pairs = Vec::new();
        let mut seen: Vec<&str> = Vec::new();
        for part in options {
            let keys = || {
                let keys: Vec<_> = SELECT_KEYS.iter().chain(&Preprocess::KEYS).copied().collect();
                format!("the keys are {}", keys.join(", "))
            };
            let Some((key, value)) = part.split_once('=') else {
                return Err(DataError::spec(text, format!("`{part}` is no key=value"), keys()));
            };
            if seen.contains(&key) {
                return Err(DataError::spec(text, format!("`{key}` stands twice"), "give it once"));
            }
            seen.push(key);
            if SELECT_KEYS.contains(&key) {
                set_select(&mut select, key, value)
                    .map_err(|fault| DataError::spec(text, fault, "give a whole number"))?;
            } else if Preprocess::KEYS.contains(&key) {
                pairs.push((key, value));
            } else {
                return Err(DataError::spec(text, format!("unknown key `{key}`"), keys()));
            }
        }
        Ok(Self { source: source.parse()?, select, preprocess: Preprocess::from_pairs(&pairs)? })
    }
}

fn set_select(select: &mut Select, key: &str, value: &str) -> Result<(), String> {
    let bad = |_| format!("`{key}={value}` is no number");
    if key == "shuffle" {
        select.shuffle = Some(value.parse().map_err(bad)?);
        return Ok(());
    }
    let number = Some(value.parse().map_err(bad)?);
    match key {
        "offset" => select.offset = number,
        "stride" => select.stride = number,
        _ => select.limit = number,
    }
    Ok(())
}

impl fmt::Display for DataSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.source)?;
        let Select { shuffle, offset, stride, limit } = self.select;
        let mut add = |key: &str, value: Option<String>| match value {
            Some(value) => write!(f, ",{key}={value}"),
            None => Ok(()),
        };
        add("shuffle", shuffle.map(|v| v.to_string()))?;
        add("offset", offset.map(|v| v.to_string()))?;
        add("stride", stride.map(|v| v.to_string()))?;
        add("limit", limit.map(|v| v.to_string()))?;
        if self.preprocess != Preprocess::default() {
            write!(f, ",{}", self.preprocess)?;
        }
        Ok(())
    }
}

/// The table form.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    from: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shuffle: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    offset: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stride: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    limit: Option<usize>,
    #[serde(default)]
    preprocess: Preprocess,
}

impl Serialize for DataSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Select { shuffle, offset, stride, limit } = self.select;
        let from = self.source.to_string();
        let preprocess = self.preprocess.clone();
        Table { from, shuffle, offset, stride, limit, preprocess }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for DataSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl<'de> de::Visitor<'de> for Read {
            type Value = DataSpec;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a data specification such as \"cifar10:DIR:train,limit=512\"")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<DataSpec, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<DataSpec, A::Error> {
                let table = Table::deserialize(de::value::MapAccessDeserializer::new(map))?;
                let Table { from, shuffle, offset, stride, limit, preprocess } = table;
                let source = from.parse().map_err(de::Error::custom)?;
                let select = Select { shuffle, offset, stride, limit };
                Ok(DataSpec { source, select, preprocess })
            }
        }
        deserializer.deserialize_any(Read)
    }
}

impl DataSpec {
    /// Opens the data; relative paths start at the working directory.
    ///
    /// # Errors
    /// If files are missing or damaged, or the preprocessing does not fit the data.
    pub fn open(&self) -> Result<Box<dyn Dataset>> {
        self.open_at(Path::new(""))
    }

    /// Opens the data; relative paths start at `base`, such as the folder of a pipeline file.
    ///
    /// # Errors
    /// If files are missing or damaged, or the preprocessing does not fit the data.
    pub fn open_at(&self, base: &Path) -> Result<Box<dyn Dataset>> {
        let mut preprocess = self.preprocess.clone();
        if matches!(self.source, Source::Images(_)) {
            // Photographs come with gray ones among them.
            preprocess.color.get_or_insert(Color::Rgb);
        }
        let prepared = preprocess.prepare(&self.source.to_string(), base)?;
        let all: Box<dyn Dataset> = match &self.source {
            Source::Npz(path) => Box::new(NpzSet::open(&base.join(path), prepared)?),
            Source::Kws01(path) => Box::new(Kws01::open(&base.join(path), prepared)?),
            Source::Cifar10(path, split) => {
                Box::new(Prepare { pictures: Cifar10::open(&base.join(path), *split)?, prepared })
            }
            Source::Mnist(path, split) => {
                Box::new(Prepare { pictures: Mnist::open(&base.join(path), *split)?, prepared })
            }
            Source::Images(path) => {
                Box::new(Prepare { pictures: Folder::open(&base.join(path))?, prepared })
            }
            Source::Shapes(split) => Box::new(Prepare { pictures: Shapes::new(*split), prepared }),
        };
        if self.select == Select::default() {
            return Ok(all);
        }
        Ok(Box::new(Subset::select(all, &self.select)))
    }
}
