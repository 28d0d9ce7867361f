//! Rounding weights to integers: scales, the integers, and the error.

use paring_pass::consts;
use paring_tensor::{ConstData, DType, Palette, Quant, Tensor, TensorError};

/// What shares a scale of weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// The weights of an output channel.
    Channel,
    /// All weights of a layer.
    Tensor,
}

/// What may share a scale of a constant so that it keeps its storage: clusters of what pruning left are
/// shared by all channels, and stay the same only at one scale.
#[must_use]
pub fn sharing(data: &ConstData, wanted: Per) -> Per {
    match data {
        ConstData::Sparse(s) if s.values().palette().is_some() => Per::Tensor,
        _ => wanted,
    }
}

/// How a scale of weights is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Range {
    /// The largest weight is the largest integer.
    Max,
    /// The squared error is least; the largest weights may saturate.
    Mse,
}

/// Candidates for a scale, from the whole range down to half of it.
const CANDIDATES: usize = 100;

/// The smallest scale there is; products of scales stay normal numbers.
const SMALLEST: f32 = 1e-18;

/// Chooses symmetric scales for weights whose outermost axis is the output channel; `limit` is the
/// largest magnitude of an integer.
#[must_use]
pub fn scales(data: &[f32], channels: usize, limit: f32, per: Per, range: Range) -> Vec<f32> {
    let rows = match per {
        Per::Channel => channels.max(1),
        Per::Tensor => 1,
    };
    let inner = (data.len() / rows).max(1);
    let mut scales: Vec<f32> = data.chunks(inner).map(|row| scale_of(row, limit, range)).collect();
    scales.resize(rows, 0.0);
    // A row of zeros may have any scale; that of the widest row keeps its multiplier ordinary.
    let widest = scales.iter().fold(0.0_f32, |a, b| a.max(*b));
    for s in &mut scales {
        if *s < SMALLEST {
            *s = if widest >= SMALLEST { widest } else { 1.0 / limit };
        }
    }
    scales
}

fn scale_of(row: &[f32], limit: f32, range: Range) -> f32 {
    let largest = row.iter().fold(0.0_f32, |a, x| a.max(x.abs()));
    let whole = largest / limit;
    if range == Range::Max || largest == 0.0 {
        return whole;
    }
    let error = |scale: f32| -> f64 {
        row.iter()
            .map(|x| {
                let q = (x / scale).round().clamp(-limit, limit);
                f64::from(x - q * scale).powi(2)
            })
            .sum()
    };
    let candidate = |i: usize| whole * (1.0 - 0.5 * i as f32 / CANDIDATES as f32);
    (0..CANDIDATES)
        .map(candidate)
        .map(|s| (error(s), s))
        .fold((f64::INFINITY, whole), |best, next| if next.0 < best.0 { next } else { best })
        .1
}

/// The integers nearest to weights, in the storage that the weights have.
///
/// # Errors
/// If the scales do not fit the weights.
pub fn round(
    data: &ConstData,
    scales: &[f32],
    limit: f32,
    dtype: DType,
) -> Result<ConstData, TensorError> {
    let outer = data.shape().first().copied().unwrap_or(1).max(1);
    let inner = (data.len() / outer).max(1);
    let scale = |o: usize| scales[o.min(scales.len() - 1)];
    let to_int = |x: f32, s: f32| (x / s).round().clamp(-limit, limit) as i8;
    if let ConstData::Palette(p) = data {
        let entries = p.entries();
        let book = p.codebook().to_f32();
        let groups = (book.len() / entries).max(1);
        let many = if scales.len() == 1 { groups } else { outer };
        let codebook: Vec<i8> = (0..many)
            .flat_map(|g| {
                let o = g * outer / many;
                let from = (g * groups / many) * entries;
                book[from..from + entries].iter().map(move |x| to_int(*x, scale(o)))
            })
            .collect();
        let shape = if many == 1 { vec![entries] } else { vec![many, entries] };
        let codebook = Tensor::from_vec(shape, codebook)?.reinterpret(dtype)?;
        return Ok(ConstData::Palette(Palette::new(p.shape(), p.codes().clone(), codebook)?));
    }
    if let (ConstData::Sparse(s), [one]) = (data, scales)
        && s.values().palette().is_some()
    {
        let values = round(s.values(), &[*one], limit, dtype)?;
        return Ok(ConstData::Sparse(s.with_values(values)?));
    }
    let ints: Vec<i8> = data
        .dense()
        .to_f32()
        .into_iter()
        .enumerate()
        .map(|(i, x)| to_int(x, scale(i / inner)))
        .collect();
    let ints = Tensor::from_vec(data.shape(), ints)?.reinterpret(dtype)?;
    consts::with_elements(data, &ints)
}

/// What weights stand for after rounding to the nearest of so many bits, with a scale for each output channel,
/// as `quantize` rounds them.
///
/// # Errors
/// If the numbers are not those of the constant.
pub fn nearest(data: &ConstData, real: &[f32], bits: u32) -> Result<Tensor, TensorError> {
    let limit = ((1_u32 << (bits.clamp(2, 8) - 1)) - 1) as f32;
    let channels = data.shape().first().copied().unwrap_or(1);
    let scales = scales(real, channels, limit, Per::Channel, Range::Max);
    let stored = round(data, &scales, limit, DType::I8)?;
    quant(scales).dequantize(&stored.dense())
}

/// The quantization of weights.
#[must_use]
pub fn quant(scales: Vec<f32>) -> Quant {
    match scales.as_slice() {
        [one] => Quant::per_tensor(*one, 0),
        _ => Quant::symmetric(0, scales),
    }
}

/// The ratio of signal to quantization error of weights, in decibels; infinite if there is no error.
#[must_use]
pub fn sqnr(real: &[f32], stored: &Tensor, quant: &Quant) -> f64 {
    quant.dequantize(stored).map_or(f64::NAN, |back| ratio(real, &back.to_f32()))
}

/// The ratio of signal to difference of two lists of numbers, in decibels; infinite if they are equal.
#[must_use]
pub fn ratio(real: &[f32], other: &[f32]) -> f64 {
    let (mut signal, mut noise) = (0.0_f64, 0.0_f64);
    for (x, y) in real.iter().zip(other) {
        signal += f64::from(*x).powi(2);
        noise += f64::from(x - y).powi(2);
    }
    if noise == 0.0 { f64::INFINITY } else { 10.0 * (signal / noise).log10() }
}
