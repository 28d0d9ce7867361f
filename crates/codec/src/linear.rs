//! Whole numbers as innovations of a Gaussian vector whose covariance is learnt on the way.
//!
//! The taps of a filter are correlated: neighbours in a 3x3 kernel resemble each other. After each row
//! the covariance of the taps seen so far is factored as `L D L^T`; row `t` of `L` predicts tap `t` from
//! the errors of the taps before it, and `D` gives the variances of the errors. The spread of a row
//! (output channel) and of a column (input channel) is estimated from what is already coded. So nothing
//! but a few bytes of settings is sent. A tensor that was quantized per channel has just about one
//! element of greatest magnitude in each row; rows can say where it is, and the others then lie
//! strictly below.

use crate::CodecError;
use crate::density::{REACH, Shape, Table, log2_64, scale_of};
use crate::geometry::Geometry;
use crate::range::{Coder, Decoder, Encoder, Prob};

const ROW_PRIORS: [f64; 6] = [4.0, 10.0, 24.0, 64.0, 160.0, 1e9];
const COLUMN_PRIORS: [f64; 4] = [1e9, 120.0, 40.0, 12.0];
const TAP_PRIORS: [f64; 4] = [2.0, 8.0, 30.0, 120.0];
/// Fraction bits of the prediction coefficients.
const FRACTION: u32 = 12;

/// What the encoder chooses for a whole tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Settings {
    kind: u8,
    shape: u8,
    row_prior: u8,
    column_prior: u8,
    tap_prior: u8,
    peaks: bool,
    dead: bool,
    signed: bool,
    center: u8,
    low: i16,
    high: i16,
    spread: u8,
}

const HEADER: usize = 9;

impl Settings {
    fn write(&self) -> [u8; HEADER] {
        let flags = u8::from(self.peaks) | u8::from(self.dead) << 1 | u8::from(self.signed) << 2;
        let [low0, low1] = self.low.to_le_bytes();
        let [high0, high1] = self.high.to_le_bytes();
        [
            self.kind | flags << 4,
            self.shape | self.row_prior << 4,
            self.column_prior | self.tap_prior << 4,
            self.center,
            low0,
            low1,
            high0,
            high1,
            self.spread,
        ]
    }

    fn read(bytes: [u8; HEADER]) -> Result<Self, CodecError> {
        let [a, b, c, center, low0, low1, high0, high1, spread] = bytes;
        let settings = Self {
            kind: a & 15,
            shape: b & 15,
            row_prior: b >> 4,
            column_prior: c & 15,
            tap_prior: c >> 4,
            peaks: a >> 4 & 1 == 1,
            dead: a >> 5 & 1 == 1,
            signed: a >> 6 & 1 == 1,
            center,
            low: i16::from_le_bytes([low0, low1]),
            high: i16::from_le_bytes([high0, high1]),
            spread,
        };
        let (low, high) = (i32::from(settings.low), i32::from(settings.high));
        let least = -i32::from(center);
        let known = usize::from(settings.shape) < Shape::ALL.len()
            && usize::from(settings.row_prior) < ROW_PRIORS.len()
            && usize::from(settings.column_prior) < COLUMN_PRIORS.len()
            && usize::from(settings.tap_prior) < TAP_PRIORS.len()
            && a >> 7 == 0;
        let peak = low.abs().max(high.abs());
        let room = !settings.peaks || low.max(1 - peak) <= high.min(peak - 1);
        if !known || !room || low > high || low < least || high > least + 255 {
            return Err(CodecError::corrupt("impossible settings of a prediction coder"));
        }
        Ok(settings)
    }
}

/// The learnt covariance of the taps and what follows from it.
struct Taps {
    n: usize,
    /// Sum of outer products, rows scaled to variance 1: the lower triangle, row after row.
    covariance: Vec<f64>,
    weight: f64,
    prior: f64,
    fitted: f64,
    /// Prediction coefficients in fixed point, `n` a tap.
    coefficients: Vec<i32>,
    log_variance: Vec<i32>,
    precision: Vec<f64>,
    /// Outer products of the present row, as in `covariance`.
    row: Vec<i64>,
    row_count: usize,
}

/// Elements of a lower triangle of so many rows.
fn triangle(rows: usize) -> usize {
    rows * (rows + 1) / 2
}

impl Taps {
    fn new(n: usize, prior: f64) -> Self {
        Self {
            n,
            covariance: vec![0.0; triangle(n)],
            weight: 0.0,
            prior,
            fitted: 0.0,
            coefficients: vec![0; n * n],
            log_variance: vec![0; n],
            precision: vec![1.0; n],
            row: vec![0; triangle(n)],
            row_count: 0,
        }
    }

    #[inline]
    fn add(&mut self, x: &[i32]) {
        for (t, &xt) in x.iter().enumerate() {
            let row = &mut self.row[triangle(t)..triangle(t + 1)];
            for (c, &xq) in row.iter_mut().zip(x) {
                *c += i64::from(xt * xq);
            }
        }
        self.row_count += 1;
    }

    fn end_row(&mut self) {
        let trace: i64 = (1..=self.n).map(|t| self.row[triangle(t) - 1]).sum();
        if self.row_count > 0 && trace > 0 {
            let scale = (self.row_count * self.n) as f64 / trace as f64;
            for (sum, &c) in self.covariance.iter_mut().zip(&self.row) {
                *sum += c as f64 * scale;
            }
            self.weight += self.row_count as f64;
        }
        self.row.fill(0);
        self.row_count = 0;
        if self.n > 1 && self.weight >= self.fitted * 1.25 {
            self.fit();
            self.fitted = self.weight;
        }
    }

    fn fit(&mut self) {
        let n = self.n;
        let mut lower = vec![0.0_f64; n * n];
        let mut diagonal = vec![0.0_f64; n];
        for t in 0..n {
            let covariance = &self.covariance[triangle(t)..triangle(t + 1)];
            let (before, row) = lower.split_at_mut(t * n);
            for q in 0..t {
                let (known, rest) = row.split_at_mut(q);
                let known = known.iter().zip(&before[q * n..]).zip(&diagonal);
                let known: f64 = known.map(|((a, b), d)| a * b * d).sum();
                rest[0] = (covariance[q] - known) / diagonal[q];
            }
            let known: f64 = row[..t].iter().zip(&diagonal).map(|(l, d)| l * l * d).sum();
            let own = covariance[t] + self.prior;
            diagonal[t] = (own - known).max(own * 1e-4);
        }
        for (to, &from) in self.coefficients.iter_mut().zip(&lower) {
            *to = (from.clamp(-8.0, 8.0) * f64::from(1 << FRACTION)) as i32;
        }
        for (t, own) in diagonal.iter().enumerate() {
            let variance = own / (self.weight + self.prior);
            self.log_variance[t] = log2_64(variance);
            self.precision[t] = 1.0 / variance;
        }
    }
}

/// Codes `data`, which an encoder reads and a decoder fills.
fn run<C: Coder>(coder: &mut C, s: &Settings, g: &Geometry, data: &mut [u8]) {
    let shape = Shape::ALL[usize::from(s.shape)];
    let (low, high) = (i32::from(s.low), i32::from(s.high));
    let stride = if high - low <= 160 { 3 } else { 1 };
    let fine = if stride == 3 { 101 } else { 0 };
    let flip = if s.signed { 0x80 } else { 0 };
    let center = i32::from(s.center);
    let peak = low.abs().max(high.abs());
    let (inside_low, inside_high) =
        if s.peaks { (low.max(1 - peak), high.min(peak - 1)) } else { (low, high) };
    let value = |byte: u8| i32::from(byte ^ flip) - center;
    let byte = |value: i32| (value + center).clamp(0, 255) as u8 ^ flip;

    let mut dead_row = vec![false; g.rows];
    let mut dead_column = vec![false; g.inner];
    if s.dead {
        let zero = byte(0);
        let mut prob = Prob::new();
        for (o, dead) in dead_row.iter_mut().enumerate() {
            let mut all = (0..g.inner).flat_map(|i| (0..g.taps).map(move |t| (i, t)));
            let is = C::WRITES && all.all(|(i, t)| data[g.index(o, i, t)] == zero);
            *dead = coder.adaptive(&mut prob, is);
        }
        let mut prob = Prob::new();
        for (i, dead) in dead_column.iter_mut().enumerate() {
            let mut all = (0..g.rows).flat_map(|o| (0..g.taps).map(move |t| (o, t)));
            let is = C::WRITES && all.all(|(o, t)| data[g.index(o, i, t)] == zero);
            *dead = coder.adaptive(&mut prob, is);
        }
    }
    let live: Vec<usize> = (0..g.inner).filter(|&i| !dead_column[i]).collect();
    let row_len = live.len() * g.taps;

    let row_prior = ROW_PRIORS[usize::from(s.row_prior)];
    let column_prior = COLUMN_PRIORS[usize::from(s.column_prior)];
    let use_columns = s.column_prior != 0;
    let mut taps = Taps::new(g.taps, TAP_PRIORS[usize::from(s.tap_prior)]);
    let mut column_sum = vec![0.0_f64; g.inner];
    let mut column_count = 0.0_f64;
    let mut column_log = vec![0_i32; g.inner];
    let mut column_precision = vec![1.0_f64; g.inner];
    let mut spread = {
        let d = crate::density::deviation(usize::from(s.spread).min(crate::density::SCALES - 1));
        d * d
    };
    let mut rows_seen = 0.0_f64;
    let mut x = vec![0_i32; g.taps];
    let mut errors = vec![0_i32; g.taps];
    let mut squares = vec![0.0_f64; g.inner];
    let mut peak_counts = [Prob::new(); 4];
    let mut peaks: Vec<(usize, i32)> = Vec::new();
    let unit = 1.0 / f64::from(stride * stride);

    for o in 0..g.rows {
        if dead_row[o] {
            let zero = byte(0);
            for i in 0..g.inner {
                for t in 0..g.taps {
                    data[g.index(o, i, t)] = zero;
                }
            }
            continue;
        }
        if s.peaks {
            peaks.clear();
            // An encoder finds them in the data; a decoder is told.
            let found: Vec<(usize, i32)> = live[..if C::WRITES { live.len() } else { 0 }]
                .iter()
                .flat_map(|&i| (0..g.taps).map(move |t| (i, t)))
                .map(|(i, t)| value(data[g.index(o, i, t)]))
                .enumerate()
                .filter(|(_, v)| v.abs() == peak)
                .collect();
            let mut at = 0;
            while at < row_len {
                let n = peaks.len();
                if !coder.adaptive(&mut peak_counts[n.min(3)], n < found.len()) {
                    break;
                }
                let (place, known) = found.get(n).copied().unwrap_or((at, peak));
                let place = at + coder.uniform((row_len - at) as u32, (place - at) as u32) as usize;
                let negative = coder.bit(1 << 15, known < 0);
                peaks.push((place, if negative { -peak } else { peak }));
                at = place + 1;
            }
        }
        let mut next_peak = peaks.iter().copied();
        let (mut peak_at, mut peak_value) = next_peak.next().unwrap_or((usize::MAX, 0));

        let mut row_sum = 0.0_f64;
        let mut row_count = 0.0_f64;
        let mut row_log = log2_64(spread);
        let mut since = 0;
        let mut at = 0;
        for &i in &live {
            let base = row_log + column_log[i];
            let mut column_square = 0.0;
            for t in 0..g.taps {
                let place = g.index(o, i, t);
                let coefficients = &taps.coefficients[t * g.taps..t * g.taps + t];
                let dot: i32 = coefficients.iter().zip(&errors).map(|(c, e)| c * e).sum();
                let mean =
                    ((dot + (1 << (FRACTION - 1))) >> FRACTION).clamp(stride * low, stride * high);
                let v = if at == peak_at {
                    let v = peak_value;
                    (peak_at, peak_value) = next_peak.next().unwrap_or((usize::MAX, 0));
                    v
                } else {
                    let table = Table::get(shape, scale_of(base + taps.log_variance[t], fine));
                    let offset = REACH - (stride - 1) / 2 - mean;
                    let first = table.below(stride * inside_low + offset);
                    let last = table.below(stride * (inside_high + 1) + offset);
                    let v = coder.symbol(
                        last - first,
                        value(data[place]),
                        |v| {
                            let from = table.below(stride * v + offset);
                            let to = table.below(stride * (v + 1) + offset);
                            (from - first, to - from)
                        },
                        |slot| {
                            let k = table.find(slot + first) - offset;
                            if stride == 1 { k } else { k.div_euclid(3) }
                        },
                    );
                    let error = f64::from(stride * v - mean);
                    let square = error * error * unit * taps.precision[t];
                    column_square += square;
                    row_count += 1.0;
                    v
                };
                data[place] = byte(v);
                x[t] = v;
                errors[t] = stride * v - mean;
                at += 1;
            }
            squares[i] = column_square;
            row_sum += column_square * column_precision[i];
            if g.taps > 1 {
                taps.add(&x);
            }
            since += g.taps;
            if since >= 4 {
                since = 0;
                row_log = log2_64((row_prior * spread + row_sum) / (row_prior + row_count));
            }
        }
        if row_count > 0.0 {
            let own = (row_sum / row_count).max(1e-3);
            rows_seen += 1.0;
            let rate = f64::max(1.0 / (rows_seen + 1.0), 1.0 / 16.0);
            let blended =
                (row_prior.min(16.0) * spread + row_sum) / (row_prior.min(16.0) + row_count);
            spread += (own - spread) * rate;
            if use_columns {
                column_count += g.taps as f64;
                for &i in &live {
                    column_sum[i] += squares[i] / blended;
                    let variance = (column_prior + column_sum[i]) / (column_prior + column_count);
                    column_log[i] = log2_64(variance);
                    column_precision[i] = 1.0 / variance;
                }
            }
        }
        taps.end_row();
    }
    for (i, _) in dead_column.iter().enumerate().filter(|(_, dead)| **dead) {
        for o in 0..g.rows {
            for t in 0..g.taps {
                data[g.index(o, i, t)] = byte(0);
            }
        }
    }
}

/// Longest row whose greatest elements can be placed.
const MAX_PEAK_ROW: usize = 1 << 24;

/// Reads what [`encode`] wrote into `data`, which has one byte an element.
pub(crate) fn decode(bytes: &[u8], shape: &[usize], data: &mut [u8]) -> Result<(), CodecError> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(CodecError::corrupt("the settings of a prediction coder are cut off"));
    };
    let settings = Settings::read(*header)?;
    let geometry = Geometry::new(settings.kind, shape)
        .filter(|g| !settings.peaks || g.row_len() < MAX_PEAK_ROW)
        .ok_or_else(|| CodecError::corrupt("a prediction coder for another shape"))?;
    let mut decoder = Decoder::new(rest);
    run(&mut decoder, &settings, &geometry, data);
    decoder.finish()
}

/// Elements that are enough to choose settings on.
const SAMPLE: usize = 1 << 16;

/// Codes bytes (`signed` ones as two's complement), trying settings.
pub(crate) fn encode(shape: &[usize], signed: bool, data: &[u8]) -> Option<Vec<u8>> {
    if data.is_empty() {
        return None;
    }
    let flip = if signed { 0x80 } else { 0 };
    let mut counts = [0_usize; 256];
    for &b in data {
        counts[usize::from(b ^ flip)] += 1;
    }
    let sum: usize = counts.iter().enumerate().map(|(v, n)| v * n).sum();
    let common = (0..256).max_by_key(|&v| counts[v]).unwrap_or(0);
    let center = if signed {
        128
    } else if counts[common] * 5 > data.len() {
        common
    } else {
        (sum + data.len() / 2) / data.len()
    };
    let low = counts.iter().position(|&n| n > 0)? as i32 - center as i32;
    let high = counts.iter().rposition(|&n| n > 0)? as i32 - center as i32;
    let squares: f64 =
        (0..256).map(|v| (v as f64 - center as f64).powi(2) * counts[v] as f64).sum::<f64>()
            / data.len() as f64;
    let peak = low.abs().max(high.abs());
    let mut best = Settings {
        kind: 0,
        shape: 1,
        row_prior: 2,
        column_prior: 1,
        tap_prior: 1,
        peaks: false,
        dead: false,
        signed,
        center: center as u8,
        low: low as i16,
        high: high as i16,
        spread: scale_of(log2_64(squares.max(1e-2)), 0) as u8,
    };
    let mut best_len = usize::MAX;
    let mut attempt = |best: &mut Settings, next: Settings| {
        if next == *best && best_len != usize::MAX {
            return;
        }
        let peak_room = low.max(1 - peak) <= high.min(peak - 1);
        let Some(mut geometry) = Geometry::new(next.kind, shape) else { return };
        if next.peaks && !(peak_room && geometry.row_len() < MAX_PEAK_ROW) {
            return;
        }
        geometry.rows = geometry.rows.min(SAMPLE.div_ceil(geometry.row_len().max(1)));
        let len = code(&next, &geometry, data).len();
        if len < best_len {
            best_len = len;
            *best = next;
        }
    };
    let start = best;
    attempt(&mut best, start);
    for _ in 0..2 {
        let before = best;
        for kind in 0..Geometry::KINDS {
            let now = best;
            attempt(&mut best, Settings { kind, ..now });
            attempt(&mut best, Settings { kind, peaks: !now.peaks, ..now });
        }
        let now = best;
        attempt(&mut best, Settings { dead: !now.dead, ..now });
        for shape in 0..Shape::ALL.len() as u8 {
            let now = best;
            attempt(&mut best, Settings { shape, ..now });
        }
        for row_prior in 0..ROW_PRIORS.len() as u8 {
            let now = best;
            attempt(&mut best, Settings { row_prior, ..now });
        }
        for column_prior in 0..COLUMN_PRIORS.len() as u8 {
            let now = best;
            attempt(&mut best, Settings { column_prior, ..now });
        }
        if Geometry::new(best.kind, shape).is_some_and(|g| g.taps > 1) {
            for tap_prior in 0..TAP_PRIORS.len() as u8 {
                let now = best;
                attempt(&mut best, Settings { tap_prior, ..now });
            }
        }
        if before == best {
            break;
        }
    }
    let geometry = Geometry::new(best.kind, shape)?;
    let mut out = best.write().to_vec();
    out.extend_from_slice(&code(&best, &geometry, data));
    Some(out)
}

fn code(settings: &Settings, geometry: &Geometry, data: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    // The models write each value back where they took it from.
    let mut copy = data.to_vec();
    run(&mut encoder, settings, geometry, &mut copy);
    encoder.finish()
}
