//! Weights of products that take less memory than they are computed with: bytes of at most sixteen values, as weights
//! of four bits and palettes have them, and numbers that half precision holds. Where rows are few there are kernels that
//! multiply with such weights; otherwise a panel at a time is brought to the form that kernels take, by registers, in
//! memory that stays in a cache while the rows go by. The results are the same, and half as much comes from memory.

use super::gemm::Panel;
use crate::blob::Blob;
use crate::step::{numbers, numbers_mut};
use crate::wire::{Fault, Reader, Wire, Writer, wire};
use paring_kernels::{CODES, CodedPanel, Codes, Kernels, as_half};
use std::ops::Range;

/// Bytes of weights below which they are stored as they are.
const LEAST: usize = 16 << 10;

/// What is stored of the weights of a panel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// All of it.
    Whole,
    /// Bytes as codes.
    Codes(Codes),
    /// Numbers of half precision.
    Halves,
}

/// The packed weights of a layer.
#[derive(Debug)]
pub(super) struct Stored {
    form: Form,
    bytes: Blob,
}

/// Bytes and where each panel is among them.
type Packed = (Stored, Vec<usize>);

/// Calls `put` with what is stored of each panel: what is outside of its weights, then what `code` makes of those.
fn store(
    form: Form,
    packed: &[u8],
    panels: &[(Range<usize>, Range<usize>)],
    code: impl Fn(&[u8], &mut Vec<u8>),
) -> Packed {
    let (mut bytes, mut places) = (Vec::new(), Vec::new());
    for (panel, weights) in panels {
        places.push(bytes.len());
        let panel = &packed[panel.clone()];
        bytes.extend_from_slice(&panel[..weights.start]);
        bytes.extend_from_slice(&panel[weights.end..]);
        code(&panel[weights.clone()], &mut bytes);
        bytes.resize(bytes.len().next_multiple_of(64), 0);
    }
    (Stored { form, bytes: Blob::of(&bytes) }, places)
}

impl Stored {
    /// Weights as they are.
    pub(super) fn whole(packed: Blob) -> Self {
        Self { form: Form::Whole, bytes: packed }
    }

    /// Weights as codes, where they are bytes of few values. `panels` are the panels, and the weights in each; `numbers`
    /// says whether codes are to be numbers where they can.
    pub(super) fn codes(
        packed: &[u8],
        panels: &[(Range<usize>, Range<usize>)],
        numbers: bool,
    ) -> Option<Packed> {
        let (mut code_of, mut table, mut n) = ([None; 256], [0; 16], 0);
        let mut numbers = numbers;
        for (panel, weights) in panels {
            if packed.len() < LEAST || weights.len() % (2 * CODES) > 0 {
                return None;
            }
            for byte in &packed[panel.clone()][weights.clone()] {
                numbers &= Codes::is_number(*byte);
                let code = &mut code_of[usize::from(*byte)];
                if code.is_none() {
                    *table.get_mut(n)? = *byte;
                    *code = Some(n as u8);
                    n += 1;
                }
            }
        }
        let code = |byte: u8| code_of[usize::from(byte)].unwrap_or_default();
        let both = |low: u8, high: u8| match numbers {
            true => Codes::both(low, high),
            false => code(low) | code(high) << 4,
        };
        let by = if numbers { Codes::Numbers } else { Codes::Table(table) };
        Some(store(Form::Codes(by), packed, panels, |weights, bytes| {
            for pieces in weights.chunks_exact(2 * CODES) {
                let (low, high) = pieces.split_at(CODES);
                bytes.extend(low.iter().zip(high).map(|(l, h)| both(*l, *h)));
            }
        }))
    }

    /// Weights in half precision, where that holds all of them.
    pub(super) fn halves(
        packed: &[f32],
        panels: &[(Range<usize>, Range<usize>)],
    ) -> Option<Packed> {
        let bytes: &[u8] = bytemuck::cast_slice(packed);
        let halves = |weights: &[u8]| -> Option<Vec<u16>> {
            weights.as_chunks().0.iter().map(|x| as_half(f32::from_le_bytes(*x))).collect()
        };
        let held = |(panel, weights): &(Range<usize>, Range<usize>)| {
            halves(&bytes[panel.clone()][weights.clone()]).is_some()
        };
        (bytes.len() >= LEAST && panels.iter().all(held)).then(|| {
            store(Form::Halves, bytes, panels, |weights, bytes| {
                for half in halves(weights).unwrap_or_default() {
                    bytes.extend_from_slice(&half.to_le_bytes());
                }
            })
        })
    }

    /// Whether panels need memory to be brought to.
    pub(super) fn is_coded(&self) -> bool {
        self.form != Form::Whole
    }

    /// To take panels from.
    pub(super) fn open<T: bytemuck::AnyBitPattern>(&self) -> Opened<'_, T> {
        let bytes = self.bytes.bytes();
        let whole = if self.is_coded() { &[] } else { numbers(bytes) };
        Opened { form: self.form, bytes, whole }
    }
}

/// Weights that panels are taken from.
pub(super) struct Opened<'a, T> {
    form: Form,
    bytes: &'a [u8],
    /// All panels, where they are stored as they are.
    whole: &'a [T],
}

/// A panel in a shorter form.
pub(super) struct Short<'a> {
    /// What the weights are as codes; numbers of half precision otherwise.
    by: Option<&'a Codes>,
    /// The bytes that are no weights.
    outside: &'a [u8],
    /// The weights among the bytes of the panel.
    weights: Range<usize>,
    codes: &'a [u8],
}

impl<T: bytemuck::AnyBitPattern> Opened<'_, T> {
    /// A panel, where it is stored as it is.
    pub(super) fn whole(&self, panel: &Panel) -> &[T] {
        &self.whole[panel.start..panel.start + panel.len]
    }

    /// A panel, where it is stored in a shorter form; `weights` are the weights among its bytes.
    pub(super) fn short(
        &self,
        panel: &Panel,
        weights: impl FnOnce() -> Range<usize>,
    ) -> Option<Short<'_>> {
        let by = match &self.form {
            Form::Whole => return None,
            Form::Codes(by) => Some(by),
            Form::Halves => None,
        };
        let weights = weights();
        let rest = panel.len * size_of::<T>() - weights.len();
        let (outside, codes) = self.bytes[panel.stored..].split_at(rest);
        let codes = &codes[..weights.len() / 2];
        Some(Short { by, outside, weights, codes })
    }
}

impl<'a> Short<'a> {
    /// Weights that are codes.
    pub(super) fn codes(&self) -> Option<CodedPanel<'a>> {
        let (outside, weights, codes) = (self.outside, self.weights.clone(), self.codes);
        self.by.map(|by| CodedPanel { by, outside, weights, codes })
    }

    /// What comes before weights of half precision, and the weights.
    pub(super) fn halves<T: bytemuck::AnyBitPattern>(&self) -> Option<(&'a [T], &'a [u16])> {
        self.by.is_none().then(|| (numbers(self.outside), numbers(self.codes)))
    }

    /// The panel as kernels take it. `scratch` has room for it.
    pub(super) fn decoded<'b, T: bytemuck::AnyBitPattern>(
        &self,
        kernels: &dyn Kernels,
        scratch: &'b mut [u8],
    ) -> &'b [T] {
        let out = &mut scratch[..self.outside.len() + self.weights.len()];
        let (before, after) = self.outside.split_at(self.weights.start);
        out[..self.weights.start].copy_from_slice(before);
        out[self.weights.end..].copy_from_slice(after);
        let weights = &mut out[self.weights.clone()];
        match self.by {
            Some(by) => kernels.codes(by, self.codes, weights),
            None => kernels.halves(numbers(self.codes), numbers_mut(weights)),
        }
        numbers(out)
    }
}

impl Wire for Form {
    fn put(&self, w: &mut Writer) {
        match self {
            Self::Whole => 0_u8.put(w),
            Self::Codes(Codes::Table(table)) => (1_u8, *table).put(w),
            Self::Codes(Codes::Numbers) => 3_u8.put(w),
            Self::Halves => 2_u8.put(w),
        }
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(match u8::get(r)? {
            0 => Self::Whole,
            1 => Self::Codes(Codes::Table(Wire::get(r)?)),
            2 => Self::Halves,
            3 => Self::Codes(Codes::Numbers),
            _ => return Err(Fault),
        })
    }
}

wire!(Stored { form, bytes });
