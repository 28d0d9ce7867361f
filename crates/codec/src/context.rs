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

/// Neighbourhood of an element. Classes of symbols are 0 for nothing or the common symbol, 1 below the
/// middle, 2 at or above it.
struct Around {
    /// Class to the left times three, plus class above.
    sides: usize,
    /// A bit for each of five neighbours that has another symbol than the common one.
    near: usize,
}

impl Around {
    #[inline]
    fn new(left: u8, up: u8, others: [u8; 3]) -> Self {
        let bit = |class: u8| usize::from(class != 0);
        let others = bit(others[0]) << 2 | bit(others[1]) << 1 | bit(others[2]);
        let sides = usize::from(left) * 3 + usize::from(up);
        Self { sides, near: bit(left) << 4 | bit(up) << 3 | others }
    }
}

/// What is learnt about symbols.
struct Model<'s> {
    settings: &'s Settings,
    nodes: usize,
    asked: Mixer<3>,
    near: [Prob; 32],
    overall: Prob,
    mixers: [Mixer<2>; 8],
    tree: Vec<Prob>,
    plain: Vec<Prob>,
}

impl<'s> Model<'s> {
    fn new(settings: &'s Settings) -> Self {
        let nodes = 1_usize << settings.bits;
        Self {
            settings,
            nodes,
            asked: Mixer::new(),
            near: [Prob::new(); 32],
            overall: Prob::new(),
            mixers: std::array::from_fn(|_| Mixer::new()),
            tree: vec![Prob::new(); nodes * 9],
            plain: vec![Prob::new(); if settings.mixed { nodes } else { 0 }],
        }
    }

    /// Codes a symbol and leaves it in `symbol`; gives its class.
    #[inline]
    fn code<C: Coder>(
        &mut self,
        coder: &mut C,
        around: &Around,
        [row, column]: [&mut Prob; 2],
        symbol: &mut u8,
    ) -> u8 {
        let s = self.settings;
        if s.asks {
            let inputs = [&mut self.near[around.near & 31], row, column];
            let common = self.asked.code(coder, inputs, *symbol == s.common);
            self.overall.update(common);
            if common {
                *symbol = s.common;
                return 0;
            }
        }
        let value = usize::from(*symbol);
        let mut node = 1_usize;
        let tree = &mut self.tree[around.sides * self.nodes..(around.sides + 1) * self.nodes];
        for depth in (0..s.bits).rev() {
            let bit = value >> depth & 1 == 1;
            let bit = if s.mixed {
                let inputs = [&mut tree[node], &mut self.plain[node]];
                self.mixers[usize::from((s.bits - 1 - depth) & 7)].code(coder, inputs, bit)
            } else {
                coder.adaptive(&mut tree[node], bit)
            };
            node = node << 1 | usize::from(bit);
        }
        *symbol = if s.bits == 0 { s.common ^ 1 } else { (node - self.nodes) as u8 };
        if *symbol < s.middle { 1 } else { 2 }
    }
}

/// Places for the classes of a vector of taps with a margin above and at either side: no fewer than any
/// vector of up to 64 taps takes.
const FRAME: usize = 256;

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

    let mut model = Model::new(s);
    let mut column = vec![Prob::new(); g.inner];
    // Classes of this row and the two before it.
    let mut classes: [Vec<u8>; 3] = std::array::from_fn(|_| vec![0; g.inner]);
    for o in 0..g.rows {
        classes.rotate_right(1);
        let [now, one, two] = &mut classes;
        now.fill(0);
        let mut row = model.overall.slowed(8);
        // Classes of the vector before and of this one.
        let mut frames = [[0_u8; FRAME]; 2];
        let stride = g.width + 2;
        let mut lefts = [0; 3];
        let above = now.iter_mut().zip(one.iter().zip(&*two));
        let columns = column.iter_mut().zip(&dead_column).zip(above).enumerate();
        for (i, ((column, dead), (now, (one, two)))) in columns {
            if dead_row[o] || *dead {
                (0..g.taps).for_each(|t| data[g.index(o, i, t)] = s.common);
                frames[i & 1] = [0; FRAME];
                lefts = [0, lefts[0], lefts[1]];
                continue;
            }
            if g.taps == 1 {
                let place = g.index(o, i, 0);
                if is_here(place) {
                    let around = Around::new(lefts[0], *one, [lefts[1], lefts[2], *two]);
                    *now = model.code(coder, &around, [&mut row, column], &mut data[place]);
                }
                lefts = [*now, lefts[0], lefts[1]];
                continue;
            }
            let [even, odd] = &mut frames;
            let (frame, before) = if i & 1 == 0 { (even, &*odd) } else { (odd, &*even) };
            *frame = [0; FRAME];
            let (mut at, mut x) = (stride + 1, 0);
            for t in 0..g.taps {
                let place = g.index(o, i, t);
                if is_here(place) {
                    let class = |back: usize| frame[(at - back) % FRAME];
                    let others = [class(stride + 1), class(stride - 1), before[at % FRAME]];
                    let around = Around::new(class(1), class(stride), others);
                    let probs = [&mut row, &mut *column];
                    frame[at % FRAME] = model.code(coder, &around, probs, &mut data[place]);
                }
                (at, x) = if x + 1 == g.width { (at + 3, 0) } else { (at + 1, x + 1) };
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
