use crate::{DataError, Result};
use paring_tensor::{Bytes, DType, Tensor};
use std::path::Path;

const MAGIC: &[u8] = b"\x93NUMPY";
const ADVICE: &str = "write it with numpy.save or numpy.savez as a numeric array";

/// Longer headers are not written for plain numeric arrays; NumPy itself refuses them.
const MAX_HEADER: usize = 10_000;
/// NumPy's own limit.
const MAX_RANK: usize = 64;

/// What stands before the elements.
#[derive(Debug)]
pub(super) struct Header {
    dtype: DType,
    big_endian: bool,
    fortran: bool,
    shape: Vec<usize>,
    /// Where the elements begin.
    pub data_start: usize,
}

impl Header {
    /// How many bytes at the start of an array are enough for [`Header::parse`].
    pub const ENOUGH: usize = MAX_HEADER + 12;

    pub fn parse(bytes: &[u8], origin: &Path) -> Result<Self> {
        let fault = |what: &str| DataError::file(origin, what, ADVICE);
        let rest =
            bytes.strip_prefix(MAGIC).ok_or_else(|| fault("does not start as an .npy array"))?;
        let (len, start) = match *rest {
            [1, _, a, b, ..] => (usize::from(u16::from_le_bytes([a, b])), MAGIC.len() + 4),
            [2 | 3, _, a, b, c, d, ..] => {
                (u32::from_le_bytes([a, b, c, d]) as usize, MAGIC.len() + 6)
            }
            [major, ..] if major > 3 => {
                return Err(fault(&format!("has version {major} of the .npy format")));
            }
            _ => return Err(fault("ends inside the .npy header")),
        };
        if len > MAX_HEADER {
            return Err(fault(&format!("has an .npy header of {len} bytes")));
        }
        let text = bytes
            .get(start..start + len)
            .ok_or_else(|| fault("ends inside the .npy header"))
            .and_then(|raw| std::str::from_utf8(raw).map_err(|_| fault("has a garbled header")))?;
        let mut parser = Parser { text, at: 0 };
        let fields =
            parser.dict().map_err(|what| fault(&format!("has a bad .npy header: {what}")))?;
        let (dtype, big_endian) = dtype_of(&fields.descr).ok_or_else(|| {
            fault(&format!("holds elements of type `{}`, which are not numbers", fields.descr))
        })?;
        Ok(Self {
            dtype,
            big_endian,
            fortran: fields.fortran,
            shape: fields.shape,
            data_start: start + len,
        })
    }

    /// Bytes of the elements.
    pub fn data_len(&self, origin: &Path) -> Result<usize> {
        self.shape
            .iter()
            .try_fold(self.dtype.size(), |n, &d| n.checked_mul(d))
            .filter(|&n| isize::try_from(n).is_ok())
            .ok_or_else(|| {
                let fault = format!("declares shape {:?}, more than memory can hold", self.shape);
                DataError::file(origin, fault, "the file is damaged; write it again")
            })
    }

    pub fn truncated(&self, origin: &Path, needed: usize, got: usize) -> DataError {
        let fault = format!(
            "declares {}{:?}, which takes {needed} bytes, but holds {got}",
            self.dtype, self.shape
        );
        DataError::file(origin, fault, "the file is cut off; write or copy it again")
    }

    /// The tensor over `data`, which has the length that [`Header::data_len`] told.
    pub fn tensor(&self, data: Bytes, origin: &Path) -> Result<Tensor> {
        let size = self.dtype.size();
        let data = if self.big_endian && size > 1 {
            let mut swapped = data.to_vec();
            swapped.chunks_exact_mut(size).for_each(<[u8]>::reverse);
            swapped.into()
        } else {
            data
        };
        let build = || {
            if !self.fortran || self.shape.len() < 2 {
                return Tensor::new(self.dtype, self.shape.as_slice(), data);
            }
            let reversed: Vec<usize> = self.shape.iter().rev().copied().collect();
            let axes: Vec<usize> = (0..self.shape.len()).rev().collect();
            Tensor::new(self.dtype, reversed, data)?.transpose(&axes)
        };
        build().map_err(|e| DataError::file(origin, e.to_string(), ADVICE))
    }
}

/// The header for a row-major array, padded so that the elements start at a multiple of 64.
pub(super) fn encode(dtype: DType, shape: &[usize]) -> Vec<u8> {
    let list: Vec<String> = shape.iter().map(usize::to_string).collect();
    let comma = if shape.len() == 1 { "," } else { "" };
    let mut text = format!(
        "{{'descr': '{}', 'fortran_order': False, 'shape': ({}{comma}), }}",
        descr(dtype),
        list.join(", ")
    );
    let before = MAGIC.len() + 4;
    let padding = 63 - (before + text.len()) % 64;
    text.extend(std::iter::repeat_n(' ', padding));
    text.push('\n');
    // The text stays far below 64 KiB: rank and digits are limited.
    let len = (text.len() as u16).to_le_bytes();
    [MAGIC, &[1, 0], &len, text.as_bytes()].concat()
}

fn descr(dtype: DType) -> &'static str {
    match dtype {
        DType::F32 | DType::BF16 => "<f4",
        DType::F16 => "<f2",
        DType::F64 => "<f8",
        DType::I4 | DType::I8 => "|i1",
        DType::U8 => "|u1",
        DType::I16 => "<i2",
        DType::U16 => "<u2",
        DType::I32 => "<i4",
        DType::U32 => "<u4",
        DType::I64 => "<i8",
        DType::U64 => "<u8",
        DType::Bool => "|b1",
    }
}

/// The element type and whether it is stored with the high byte first.
fn dtype_of(text: &str) -> Option<(DType, bool)> {
    let mut chars = text.chars();
    let big_endian = match chars.next()? {
        '<' | '|' | '=' => false,
        '>' => true,
        _ => return None,
    };
    let dtype = match chars.as_str() {
        "f2" => DType::F16,
        "f4" => DType::F32,
        "f8" => DType::F64,
        "i1" => DType::I8,
        "u1" => DType::U8,
        "i2" => DType::I16,
        "u2" => DType::U16,
        "i4" => DType::I32,
        "u4" => DType::U32,
        "i8" => DType::I64,
        "u8" => DType::U64,
        "b1" => DType::Bool,
        _ => return None,
    };
    Some((dtype, big_endian))
}

#[derive(Default)]
struct Fields {
    descr: String,
    fortran: bool,
    shape: Vec<usize>,
}

/// Reads the one form of Python dictionary that headers take.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip_blanks();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    fn need(&mut self, token: &str) -> Result<(), String> {
        if self.take(token) { Ok(()) } else { Err(format!("no `{token}` at byte {}", self.at)) }
    }

    fn string(&mut self) -> Result<String, String> {
        let quote = if self.take("'") { '\'' } else { self.need("\"").map(|()| '"')? };
        let rest = self.rest();
        let end = rest.find(quote).ok_or("a string does not end")?;
        let value = rest[..end].to_owned();
        self.at += end + 1;
        Ok(value)
    }

    fn boolean(&mut self) -> Result<bool, String> {
        if self.take("True") {
            return Ok(true);
        }
        self.need("False").map(|()| false)
    }

    fn number(&mut self) -> Result<usize, String> {
        self.skip_blanks();
        let rest = self.rest();
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let value = rest[..end]
            .parse()
            .map_err(|_| format!("no extent at `{}`", rest.chars().take(24).collect::<String>()))?;
        self.at += end;
        // Python 2 wrote long integers with a suffix.
        let _ = self.take("L");
        Ok(value)
    }

    fn tuple(&mut self) -> Result<Vec<usize>, String> {
        self.need("(")?;
        let mut shape = Vec::new();
        while !self.take(")") {
            if shape.len() == MAX_RANK {
                return Err(format!("more than {MAX_RANK} axes"));
            }
            shape.push(self.number()?);
            if !self.take(",") {
                self.need(")")?;
                break;
            }
        }
        Ok(shape)
    }

    fn dict(&mut self) -> Result<Fields, String> {
        let mut fields = Fields::default();
        let mut seen = [false; 3];
        self.need("{")?;
        while !self.take("}") {
            let key = self.string()?;
            self.need(":")?;
            let slot = match key.as_str() {
                "descr" => {
                    fields.descr = self.string()?;
                    0
                }
                "fortran_order" => {
                    fields.fortran = self.boolean()?;
                    1
                }
                "shape" => {
                    fields.shape = self.tuple()?;
                    2
                }
                other => return Err(format!("unknown key `{other}`")),
            };
            if std::mem::replace(&mut seen[slot], true) {
                return Err(format!("`{key}` stands twice"));
            }
            if !self.take(",") {
                self.need("}")?;
                break;
            }
        }
        match seen.iter().position(|&s| !s) {
            None => Ok(fields),
            Some(missing) => Err(format!("no `{}`", ["descr", "fortran_order", "shape"][missing])),
        }
    }
}
