use crate::picture::{Filter, Picture, resize};
use crate::text::Text;
use crate::{DataError, Result};
use paring_tensor::Tensor;
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// What happens to a sample between its file and the model, in the order of the fields. Pictures
/// come out as `f32` in height, width, channels; bringing them to the model's own type and layout
/// is the caller's part.
///
/// On the command line it is a list such as `size=176,range=-1..1`; in a pipeline file the same
/// keys make a table. Numbers per channel are `104/117/123` there and an array here.
///
/// ```
/// use paring_data::Preprocess;
///
/// let p: Preprocess = "size=227,color=bgr,mean=104/117/123".parse()?;
/// assert_eq!(p.to_string(), "size=227,color=bgr,mean=104/117/123");
/// assert!("sise=227".parse::<Preprocess>().unwrap_err().to_string().contains("size"));
/// # Ok::<(), paring_data::DataError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Preprocess {
    /// Cut out the central square whose side is this fraction of the shorter side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub central: Option<f64>,
    /// Resize so that the shorter side has this length; the longer one follows, rounded down.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub short: Option<usize>,
    /// Resize to exactly this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<Extent>,
    /// Cut out the middle.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<Extent>,
    /// How resizing is done.
    #[serde(skip_serializing_if = "is_default")]
    pub filter: Filter,
    /// Channels wanted; as the data set has them if not given, and `rgb` for a folder of pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub color: Option<Color>,
    /// Where the bytes of a picture are mapped.
    #[serde(skip_serializing_if = "is_default")]
    pub range: Range,
    /// Subtracted, in units of the range.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<PerChannel>,
    /// Divided by, after the mean is subtracted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<PerChannel>,
    /// A file of `f32`, little-endian, channels by height by width, subtracted value by value; its
    /// channels are in the order of `color`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_image: Option<PathBuf>,
    /// Subtract each sample's own mean and divide by its own standard deviation plus 1e-6.
    #[serde(skip_serializing_if = "is_default")]
    pub samplewise: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A height and a width: `224` or `240x320`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// Longer sides than this are taken for a mistake.
const MAX_SIDE: usize = 1 << 14;

impl FromStr for Extent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |s: &str| s.parse().ok().filter(|n| (1..=MAX_SIDE).contains(n));
        let (height, width) = text.split_once('x').unwrap_or((text, text));
        match (side(height), side(width)) {
            (Some(height), Some(width)) => Ok(Self { height, width }),
            _ => Err(format!(
                "`{text}` is no size; write a side such as 224 or HEIGHTxWIDTH such as 240x320, \
                 up to {MAX_SIDE}"
            )),
        }
    }
}

impl fmt::Display for Extent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.height == self.width {
            write!(f, "{}", self.height)
        } else {
            write!(f, "{}x{}", self.height, self.width)
        }
    }
}

impl Serialize for Extent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.height == self.width {
            serializer.serialize_u64(self.height as u64)
        } else {
            serializer.collect_str(self)
        }
    }
}

impl<'de> Deserialize<'de> for Extent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Read;
        impl Visitor<'_> for Read {
            type Value = Extent;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a side such as 224 or \"240x320\"")
            }

            fn visit_u64<E: de::Error>(self, side: u64) -> Result<Extent, E> {
                self.visit_str(&side.to_string())
            }

            fn visit_i64<E: de::Error>(self, side: i64) -> Result<Extent, E> {
                self.visit_str(&side.to_string())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Extent, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Read)
    }
}

/// The channels of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// Red, green, blue; gray is repeated.
    Rgb,
    /// Blue, green, red; gray is repeated.
    Bgr,
    /// Luma only.
    Gray,
}

/// What a byte of a picture becomes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Range {
    /// `0..255`: the number itself.
    #[default]
    #[serde(rename = "raw")]
    Raw,
    /// `0..1`: divided by 255.
    #[serde(rename = "0..1")]
    Unit,
    /// `-1..1`: divided by 127.5, less 1.
    #[serde(rename = "-1..1")]
    Signed,
}

impl Range {
    fn map(self, value: f32) -> f32 {
        match self {
            Self::Raw => value,
            Self::Unit => value / 255.0,
            Self::Signed => value / 127.5 - 1.0,
        }
    }
}

/// One number for all channels or one for each.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PerChannel {
    /// The same for all.
    One(f32),
    /// One a channel.
    Each(Vec<f32>),
}

impl PerChannel {
    fn values(&self) -> &[f32] {
        match self {
            Self::One(value) => std::slice::from_ref(value),
            Self::Each(values) => values,
        }
    }
}

impl FromStr for Preprocess {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self> {
        let pairs = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let pairs: Vec<_> = pairs.map(|part| part.split_once('=').unwrap_or((part, ""))).collect();
        Self::from_pairs(&pairs)
    }
}

impl fmt::Display for Preprocess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts: Vec<String> = Vec::new();
        let mut add = |key: &str, value: Option<String>| {
            parts.extend(value.map(|value| format!("{key}={value}")));
        };
        let channels = |values: &PerChannel| {
            values.values().iter().map(f32::to_string).collect::<Vec<_>>().join("/")
        };
        let name = |value: &dyn fmt::Debug| format!("{value:?}").to_lowercase();
        add("central", self.central.map(|v| v.to_string()));
        add("short", self.short.map(|v| v.to_string()));
        add("size", self.size.map(|v| v.to_string()));
        add("crop", self.crop.map(|v| v.to_string()));
        add("filter", (self.filter != Filter::default()).then(|| name(&self.filter)));
        add("color", self.color.map(|v| name(&v)));
        add(
            "range",
            match self.range {
                Range::Raw => None,
                Range::Unit => Some("0..1".into()),
                Range::Signed => Some("-1..1".into()),
            },
        );
        add("mean", self.mean.as_ref().map(channels));
        add("std", self.std.as_ref().map(channels));
        add("mean_image", self.mean_image.as_ref().map(|p| p.display().to_string()));
        add("samplewise", self.samplewise.then(|| "true".into()));
        f.write_str(&parts.join(","))
    }
}

impl Preprocess {
    /// The keys, in the order in which their steps are done.
    pub const KEYS: [&str; 11] = [
        "central",
        "short",
        "size",
        "crop",
        "filter",
        "color",
        "range",
        "mean",
        "std",
        "mean_image",
        "samplewise",
    ];

    pub(crate) fn from_pairs(pairs: &[(&str, &str)]) -> Result<Self> {
        let spec = || pairs.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join(",");
        let known = format!("the keys are {}", Self::KEYS.join(", "));
        let entries = pairs.iter().map(|&(key, value)| (key, Text(value)));
        let map = de::value::MapDeserializer::<_, de::value::Error>::new(entries);
        Self::deserialize(map).map_err(|e| DataError::spec(spec(), e.to_string(), known))
    }

    /// Checks the parameters and reads the mean image; `set` names the data in errors, and a
    /// relative path of the mean image starts at `base`.
    ///
    /// # Errors
    /// If a parameter has no meaning or the mean image cannot be read.
    pub fn prepare(&self, set: &str, base: &Path) -> Result<Prepared> {
        let refuse = |fault: String, advice: &str| DataError::Preprocess {
            set: set.into(),
            fault,
            advice: advice.into(),
        };
        if let Some(fraction) = self.central
            && !(fraction > 0.0 && fraction <= 1.0)
        {
            return Err(refuse(format!("central={fraction}"), "give a fraction up to 1"));
        }
        if let Some(side) = self.short
            && !(1..=MAX_SIDE).contains(&side)
        {
            return Err(refuse(format!("short={side}"), "give a side of 1 to 16384"));
        }
        for (key, values) in [("mean", &self.mean), ("std", &self.std)] {
            let values = values.as_ref().map_or(&[1.0_f32][..], PerChannel::values);
            let bad = |v: &f32| !v.is_finite() || (key == "std" && *v == 0.0);
            if values.is_empty() || values.iter().any(bad) {
                let advice = "give one number, or one a channel; std cannot be zero";
                return Err(refuse(format!("{key}={values:?}"), advice));
            }
        }
        let mean_image = match &self.mean_image {
            None => None,
            Some(path) => {
                let path = base.join(path);
                let bytes = std::fs::read(&path).map_err(DataError::io(&path))?;
                if !bytes.len().is_multiple_of(4) {
                    let fault =
                        format!("has {} bytes, which are not whole f32 numbers", bytes.len());
                    return Err(DataError::file(&path, fault, "write it as f32, little-endian"));
                }
                let read = |b: &[u8]| f32::from_le_bytes([b[0], b[1], b[2], b[3]]);
                Some(bytes.chunks_exact(4).map(read).collect())
            }
        };
        Ok(Prepared { steps: self.clone(), set: set.into(), mean_image })
    }

    /// The keys given here that only have a meaning for pictures.
    fn picture_keys(&self) -> Vec<&'static str> {
        [
            ("central", self.central.is_some()),
            ("short", self.short.is_some()),
            ("size", self.size.is_some()),
            ("crop", self.crop.is_some()),
            ("filter", !is_default(&self.filter)),
            ("color", self.color.is_some()),
            ("range", !is_default(&self.range)),
            ("mean_image", self.mean_image.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, given)| given.then_some(key))
        .collect()
    }
}

/// Preprocessing that has been checked and has read its files.
#[derive(Clone, Debug)]
pub struct Prepared {
    steps: Preprocess,
    set: String,
    mean_image: Option<Vec<f32>>,
}

impl Prepared {
    fn refuse(&self, fault: impl Into<String>, advice: impl Into<String>) -> DataError {
        DataError::Preprocess { set: self.set.clone(), fault: fault.into(), advice: advice.into() }
    }

    /// A picture as the `f32` tensor that the model expects, before its own quantization.
    ///
    /// # Errors
    /// If the picture is smaller than the crop, or the numbers per channel or the mean image do
    /// not fit it.
    pub fn picture(&self, picture: Picture) -> Result<Tensor> {
        let picture = self.geometry(picture)?;
        let Picture { height, width, channels, pixels } = picture;
        let range = self.steps.range;
        let mut values: Vec<f32> = pixels.iter().map(|&p| range.map(f32::from(p))).collect();
        self.scale(&mut values, channels)?;
        if let Some(mean) = &self.mean_image {
            let plane = height * width;
            if mean.len() != values.len() {
                return Err(self.refuse(
                    format!(
                        "the mean image has {} numbers, the picture {height}x{width}x{channels}",
                        mean.len()
                    ),
                    "bring the pictures to the size of the mean image with size= or crop=",
                ));
            }
            for (i, value) in values.iter_mut().enumerate() {
                *value -= mean[(i % channels) * plane + i / channels];
            }
        }
        self.samplewise(&mut values);
        Tensor::from_vec([height, width, channels], values)
            .map_err(|e| self.refuse(e.to_string(), "report this as a bug"))
    }

    /// An array that is no picture: unchanged if nothing is asked, otherwise scaled as `f32` with
    /// the last axis as channels.
    ///
    /// # Errors
    /// If a step for pictures is asked, or the numbers per channel do not fit.
    pub fn array(&self, array: Tensor) -> Result<Tensor> {
        self.check_array()?;
        if self.steps == Preprocess::default() {
            return Ok(array);
        }
        let mut values = array.to_f32();
        self.scale(&mut values, array.shape().last().copied().unwrap_or(1))?;
        self.samplewise(&mut values);
        Tensor::from_vec(array.shape(), values)
            .map_err(|e| self.refuse(e.to_string(), "report this as a bug"))
    }

    /// Refuses steps that have no meaning for arrays.
    pub(crate) fn check_array(&self) -> Result<()> {
        let keys = self.steps.picture_keys();
        if keys.is_empty() {
            return Ok(());
        }
        Err(self.refuse(
            format!("{} applies to pictures, and these are arrays", keys.join(", ")),
            "leave it out; mean, std and samplewise work on arrays",
        ))
    }

    fn geometry(&self, mut picture: Picture) -> Result<Picture> {
        let steps = &self.steps;
        let too_small = |p: &Picture, what: &str| {
            self.refuse(
                format!("{what} does not fit a picture of {}x{}", p.height, p.width),
                "crop less, or resize first with size= or short=",
            )
        };
        if let Some(fraction) = steps.central {
            let short = picture.height.min(picture.width);
            let side = ((short as f64 * fraction).round() as usize).max(1);
            picture =
                picture.crop_centre(side, side).ok_or_else(|| too_small(&picture, "central"))?;
        }
        if let Some(side) = steps.short {
            let short = picture.height.min(picture.width).max(1);
            let scaled = |n: usize| {
                n.checked_mul(side).map(|n| n / short).filter(|&n| n <= MAX_SIDE).ok_or_else(|| {
                    self.refuse(
                        format!("short={side} makes a picture longer than {MAX_SIDE}"),
                        "give a smaller side, or use size=",
                    )
                })
            };
            let (height, width) = (scaled(picture.height)?, scaled(picture.width)?);
            picture = resize(&picture, height, width, steps.filter);
        }
        if let Some(size) = steps.size {
            picture = resize(&picture, size.height, size.width, steps.filter);
        }
        if let Some(crop) = steps.crop {
            picture = picture
                .crop_centre(crop.height, crop.width)
                .ok_or_else(|| too_small(&picture, &format!("crop={crop}")))?;
        }
        Ok(match steps.color {
            None => picture,
            Some(Color::Rgb) => picture.into_rgb(),
            Some(Color::Bgr) => picture.into_rgb().swap_red_blue(),
            Some(Color::Gray) => picture.into_gray(),
        })
    }

    fn scale(&self, values: &mut [f32], channels: usize) -> Result<()> {
        let fit = |key: &str, given: &Option<PerChannel>| match given {
            Some(PerChannel::Each(each)) if each.len() != channels && each.len() != 1 => Err(self
                .refuse(
                    format!("{key} has {} numbers for {channels} channels", each.len()),
                    "give one number, or one a channel",
                )),
            _ => Ok(()),
        };
        fit("mean", &self.steps.mean)?;
        fit("std", &self.steps.std)?;
        if let Some(mean) = &self.steps.mean {
            let mean = mean.values();
            values.iter_mut().zip(mean.iter().cycle()).for_each(|(v, m)| *v -= m);
        }
        if let Some(std) = &self.steps.std {
            let std = std.values();
            values.iter_mut().zip(std.iter().cycle()).for_each(|(v, s)| *v /= s);
        }
        Ok(())
    }

    fn samplewise(&self, values: &mut [f32]) {
        if !self.steps.samplewise || values.is_empty() {
            return;
        }
        let count = values.len() as f64;
        let mean = values.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
        let square = |v: &f32| (f64::from(*v) - mean) * (f64::from(*v) - mean);
        let deviation = (values.iter().map(square).sum::<f64>() / count).sqrt() + 1e-6;
        values.iter_mut().for_each(|v| *v = ((f64::from(*v) - mean) / deviation) as f32);
    }
}
