//! Symbols under contexts of their neighbours: masks of pruned weights, codes of clustered ones, bytes.
//!
//! Each element may first be asked "is it the most common symbol?", a decision mixed from what lies
//! around it in its filter, in the filters before, and from how dense its row and column are so far.
//! What is left goes bit by bit down a binary tree whose probabilities depend on the neighbours' side of
//! the middle symbol. Rows and columns of nothing but the common symbol cost a flag.

use crate::CodecError;
use crate::geometry::Geometry;
use crate::mix::Mixer;
use crate::range::{Coder, Decoder, Encoder, Prob};

/// What the encoder chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Settings {
    kind: u8,
    /// Whether tree decisions are mixed from several contexts, which is slower.
    mixed: bool,
    /// Whether "the common symbol?" is asked first.
    asks: bool,
    /// Whether rows and columns are flagged when they hold only the common symbol.
    dead: bool,
    common: u8,
    middle: u8,
    /// Bits of the tree.
    bits: u8,
}

const HEADER: usize = 4;

impl Settings {
    fn write(&self) -> [u8; HEADER] {
        let flags = u8::from(self.mixed) | u8::from(self.asks) << 1 | u8::from(self.dead) << 2;
        [self.kind | flags << 4, self.common, self.middle, self.bits]
    }

    fn read([a, common, middle, bits]: [u8; HEADER]) -> Result<Self, CodecError> {
        let flag = |n: u8| a >> (4 + n) & 1 == 1;
        let settings = Self {
            kind: a & 15,
            mixed: flag(0),
            asks: flag(1),
            dead: flag(2),
            common,
            middle,
            bits,
        };
        if flag(3) || bits > 8 || settings.dead && !settings.asks {
            return Err(CodecError::corrupt("impossible settings of a context coder"));
        }
        Ok(settings)
    }
}

/// Neighbourhood of the present element, as classes: 0 nothing or the common symbol, 1 below the
/// middle, 2 at or above it.
struct Around {
    left: usize,
    up: usize,
    /// Whether three more neighbours have other symbols.
    others: [bool; 3],
}

fn run<C: Coder>(
    coder: &mut C,
    s: &Settings,
    g: &Geometry,
    present: Option<&[u8]>,
    data: &mut [u8],
) {
    let is_here = |place: usize| present.is_none_or(|p| p[place] != 0);
    let mut dead_row = vec![false; g.rows];
    let mut dead_column = vec![false; g.inner];
    if s.dead {
        let mut prob = Prob::new();
        for (o, dead) in dead_row.iter_mut().enumerate() {
            let mut all = (0..g.inner).flat_map(|i| (0..g.taps).map(move |t| (i, t)));
            let is = C::WRITES && all.all(|(i, t)| data[g.index(o, i, t)] == s.common);
            *dead = coder.adaptive(&mut prob, is);
        }
        let mut prob = Prob::new();
        for (i, dead) in dead_column.iter_mut().enumerate() {
            let mut all = (0..g.rows).flat_map(|o| (0..g.taps).map(move |t| (o, t)));
            let is = C::WRITES && all.all(|(o, t)| data[g.index(o, i, t)] == s.common);
            *dead = coder.adaptive(&mut prob, is);
        }
    }

    let row_len = g.row_len();
    // Classes of this row and the two before it.
    let mut classes = [vec![0_u8; row_len], vec![0_u8; row_len], vec![0_u8; row_len]];
    let mut ask_mixer: Mixer<3> = Mixer::new();
    let mut near = [Prob::new(); 32];
    let mut column = vec![Prob::new(); g.inner];
    let mut overall = Prob::new();
    let nodes = 1_usize << s.bits;
    let mut tree_mixers: Vec<Mixer<2>> = (0..8).map(|_| Mixer::new()).collect();
    let mut tree = vec![Prob::new(); nodes * 9];
    let mut tree_plain = vec![Prob::new(); if s.mixed { nodes } else { 0 }];

    for o in 0..g.rows {
        classes.rotate_right(1);
        let [now, one, two] = &mut classes;
        now.fill(0);
        if dead_row[o] {
            for i in 0..g.inner {
                for t in 0..g.taps {
                    data[g.index(o, i, t)] = s.common;
                }
            }
            continue;
        }
        let mut row = overall.slowed(8);
        for i in 0..g.inner {
            if dead_column[i] {
                for t in 0..g.taps {
                    data[g.index(o, i, t)] = s.common;
                }
                continue;
            }
            let (mut tap_x, start) = (0, i * g.taps);
            for t in 0..g.taps {
                let at = start + t;
                let place = g.index(o, i, t);
                let class = |row: &[u8], back: usize| -> usize {
                    row.get(at.wrapping_sub(back)).map_or(0, |&c| usize::from(c))
                };
                let x = tap_x;
                tap_x = if x + 1 == g.width { 0 } else { x + 1 };
                if !is_here(place) {
                    continue;
                }
                let around = if g.taps == 1 {
                    Around {
                        left: class(now, 1),
                        up: class(one, 0),
                        others: [class(now, 2) != 0, class(now, 3) != 0, class(two, 0) != 0],
                    }
                } else {
                    let inside = |dy: usize, ok: bool| ok && t >= dy * g.width;
                    let tap = |back: usize, ok: bool| if ok { class(now, back) } else { 0 };
                    Around {
                        left: tap(1, x > 0),
                        up: tap(g.width, inside(1, true)),
                        others: [
                            tap(g.width + 1, inside(1, x > 0)) != 0,
                            tap(g.width - 1, inside(1, x + 1 < g.width)) != 0,
                            class(now, g.taps) != 0,
                        ],
                    }
                };
                let Around { left, up, others } = around;
                let mut common = false;
                if s.asks {
                    let bits = others.iter().fold(0, |n, &b| n << 1 | usize::from(b));
                    let near_at = (usize::from(left != 0) << 1 | usize::from(up != 0)) << 3 | bits;
                    let (row_logit, column_logit) =
                        (ask_mixer.stretch(row), ask_mixer.stretch(column[i]));
                    let inputs = [&mut near[near_at], &mut row, &mut column[i]];
                    let logits = [ask_mixer.stretch(*inputs[0]), row_logit, column_logit];
                    common = ask_mixer.code_with(coder, inputs, logits, data[place] == s.common);
                    overall.update(common);
                }
                if common {
                    data[place] = s.common;
                    continue;
                }
                let value = usize::from(data[place]);
                let mut node = 1_usize;
                let sides = left * 3 + up;
                for depth in 0..s.bits {
                    let bit = value >> (s.bits - 1 - depth) & 1 == 1;
                    let bit = if s.mixed {
                        let inputs = [&mut tree[sides * nodes + node], &mut tree_plain[node]];
                        tree_mixers[usize::from(depth & 7)].code(coder, inputs, bit)
                    } else {
                        coder.adaptive(&mut tree[sides * nodes + node], bit)
                    };
                    node = node << 1 | usize::from(bit);
                }
                let symbol = if s.bits == 0 { s.common ^ 1 } else { (node - nodes) as u8 };
                data[place] = symbol;
                now[at] = if symbol < s.middle { 1 } else { 2 };
            }
        }
    }
}

/// Reads what [`encode`] wrote into `data`. Elements where `present` is 0 are left alone.
pub(crate) fn decode(
    bytes: &[u8],
    shape: &[usize],
    present: Option<&[u8]>,
    data: &mut [u8],
) -> Result<(), CodecError> {
    let Some((header, rest)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(CodecError::corrupt("the settings of a context coder are cut off"));
    };
    let settings = Settings::read(*header)?;
    let geometry = Geometry::new(settings.kind, shape)
        .ok_or_else(|| CodecError::corrupt("a context coder for another shape"))?;
    let mut decoder = Decoder::new(rest);
    run(&mut decoder, &settings, &geometry, present, data);
    decoder.finish()
}

/// Elements that are enough to choose settings on.
const SAMPLE: usize = 1 << 17;
/// Mixed decisions an element that still decode fast enough.
const MIXED_DECISIONS: f64 = 2.0;

/// Codes symbols, trying settings. `middle` is the first symbol that stands for
/// a number above zero, where that is known.
pub(crate) fn encode(
    shape: &[usize],
    present: Option<&[u8]>,
    middle: Option<u8>,
    data: &[u8],
) -> Option<Vec<u8>> {
    let mut counts = [0_usize; 256];
    match present {
        None => data.iter().for_each(|&b| counts[usize::from(b)] += 1),
        Some(p) => {
            for (&b, _) in data.iter().zip(p).filter(|(_, p)| **p != 0) {
                counts[usize::from(b)] += 1;
            }
        }
    }
    let total: usize = counts.iter().sum();
    let top = counts.iter().rposition(|&n| n > 0)?;
    let used = counts.iter().filter(|&&n| n > 0).count();
    let common = (0..256).rev().max_by_key(|&v| counts[v])?;
    // Two symbols that differ in the last bit need no tree once the common one is asked for.
    let pair = used <= 2 && (0..256).all(|v| counts[v] == 0 || v | 1 == common | 1);
    let mut half = 0;
    let median = (0..256).position(|v| {
        half += counts[v];
        half * 2 >= total
    })?;
    let bits = if pair { 0 } else { (usize::BITS - top.leading_zeros()) as u8 };
    let asks = pair || counts[common] * 4 > total;
    let kept = if asks { total - counts[common] } else { total };
    let decisions = kept as f64 * f64::from(bits) / data.len() as f64 + f64::from(u8::from(asks));
    let start = Settings {
        kind: 0,
        mixed: bits > 0 && decisions <= MIXED_DECISIONS,
        asks,
        dead: asks,
        common: common as u8,
        middle: middle.unwrap_or(if asks { common } else { median } as u8),
        bits,
    };
    let sampled_len = |next: &Settings| {
        let mut geometry = Geometry::new(next.kind, shape)?;
        geometry.rows = geometry.rows.min(SAMPLE.div_ceil(geometry.row_len().max(1)));
        Some(code(next, &geometry, present, data).len())
    };
    let shortest = |tries: &[Settings]| {
        let known = tries.iter().filter_map(|next| Some((sampled_len(next)?, *next)));
        known.min_by_key(|(len, _)| *len).map(|(_, next)| next)
    };
    let kinds: Vec<_> = (0..Geometry::KINDS).map(|kind| Settings { kind, ..start }).collect();
    let found = shortest(&kinds)?;
    let plain = Settings { mixed: false, ..found };
    let best = shortest(&[found, Settings { dead: false, ..found }, plain])?;
    let geometry = Geometry::new(best.kind, shape)?;
    let mut out = best.write().to_vec();
    out.extend_from_slice(&code(&best, &geometry, present, data));
    Some(out)
}

fn code(s: &Settings, g: &Geometry, present: Option<&[u8]>, data: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new();
    // The model writes each symbol back where it took it from.
    let mut copy = data.to_vec();
    run(&mut encoder, s, g, present, &mut copy);
    encoder.finish()
}
