use paring_ir::Graph;
use paring_tensor::Shape;

/// Numbers drawn the same way in every run.
pub struct Random(u64);

impl Random {
    /// From a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 11) % n.max(1) as u64) as usize
    }

    /// A number from 0 to less than 1.
    pub fn part(&mut self) -> f32 {
        self.below(1 << 24) as f32 / (1 << 24) as f32
    }

    /// Puts items into another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// How samples are changed each time they are learned from: pictures moved, and mirrored or not; samples of
/// any kind blended with others, which is between what the original network was made for and so asks more of
/// what is to compute the same (mixup: Zhang and others, 2018; with the original's own outputs for blends:
/// Beyer and others, 2022).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Vary {
    moves: Option<Moves>,
    /// The share of samples that are blended.
    mix: f32,
}

impl Vary {
    /// For the first input of a graph: pictures, which have three channels, moved by up to so many pixels,
    /// and a share of samples blended if they are real numbers. `None` if that leaves them as they are.
    #[must_use]
    pub fn of(graph: &Graph, by: Option<usize>, mix: f32) -> Option<Self> {
        let ty = graph.ty(graph.inputs().first()?.value);
        let moves = by.and_then(|by| Moves::of(&ty.shape, by));
        let mix = if ty.dtype.is_float() { mix } else { 0.0 };
        (moves.is_some() || mix > 0.0).then_some(Self { moves, mix })
    }

    /// One of the samples, changed; if it is blended, with another of `others`.
    #[must_use]
    pub fn sample(
        &self,
        samples: &[Vec<f32>],
        (one, others): (usize, &[usize]),
        random: &mut Random,
    ) -> Vec<f32> {
        let mut sample = self.moved(&samples[one], random);
        if self.mix > 0.0 && !others.is_empty() && random.part() < self.mix {
            let other = self.moved(&samples[others[random.below(others.len())]], random);
            let part = random.part();
            sample.iter_mut().zip(&other).for_each(|(x, y)| *x += part * (y - *x));
        }
        sample
    }

    fn moved(&self, sample: &[f32], random: &mut Random) -> Vec<f32> {
        match &self.moves {
            Some(moves) => moves.picture(sample, random),
            None => sample.to_vec(),
        }
    }
}

/// How pictures are moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moves {
    /// Height and width.
    size: [usize; 2],
    /// The most pixels that they are moved by.
    by: usize,
}

impl Moves {
    fn of(shape: &Shape, by: usize) -> Option<Self> {
        let dims: Vec<_> = shape.dims().iter().map(|d| d.fixed()).collect();
        match dims[..] {
            [_, Some(height), Some(width), Some(3)] if height * width > 0 => {
                Some(Self { size: [height, width], by: by.min(height.max(width)) })
            }
            _ => None,
        }
    }

    /// A picture, mirrored or not, and moved; what comes in is like the edge.
    fn picture(&self, picture: &[f32], random: &mut Random) -> Vec<f32> {
        let ([height, width], by) = (self.size, self.by);
        let channels = picture.len() / (height * width).max(1);
        let mirrored = random.below(2) == 1;
        let (down, right) = (random.below(2 * by + 1), random.below(2 * by + 1));
        let mut out = Vec::with_capacity(picture.len());
        for y in 0..height {
            let y = (y + down).saturating_sub(by).min(height - 1);
            for x in 0..width {
                let x = (x + right).saturating_sub(by).min(width - 1);
                let x = if mirrored { width - 1 - x } else { x };
                let from = (y * width + x) * channels;
                out.extend_from_slice(&picture[from..from + channels]);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(channels: usize) -> Graph {
        paring_ir::text::parse(&format!(
            "graph @g {{
               %x = input : f32[1,2,3,{channels}]
               %y = unary(%x) {{ f = \"relu\" }} : f32[1,2,3,{channels}]
               output %y
             }}"
        ))
        .unwrap()
    }

    #[test]
    fn pictures_are_moved_and_mirrored_within_their_edges() {
        assert_eq!(Vary::of(&graph(1), Some(1), 0.0), None);
        let vary = Vary::of(&graph(3), Some(1), 0.0).unwrap();
        let pictures = [(0..18).map(|i| (i / 3) as f32).collect::<Vec<f32>>()];
        let mut random = Random::new(5);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..200 {
            let out = vary.sample(&pictures, (0, &[0]), &mut random);
            assert!(out.chunks(3).all(|p| p.iter().all(|c| *c == p[0])), "{out:?}");
            seen.insert(out.iter().map(|x| *x as u8).collect::<Vec<_>>());
        }
        // Two ways round, three places down, three across.
        assert_eq!(seen.len(), 18);
        let same: Vec<u8> = pictures[0].iter().map(|x| *x as u8).collect();
        assert!(seen.contains(&same));
    }

    #[test]
    fn a_share_of_the_samples_is_blended_with_the_others_evenly() {
        let vary = Vary::of(&graph(1), Some(1), 0.25).unwrap();
        let samples = [vec![0.0; 6], vec![1.0; 6], vec![9.0; 6]];
        let mut random = Random::new(5);
        let drawn: Vec<f32> = (0..8000)
            .map(|_| {
                let out = vary.sample(&samples, (0, &[1]), &mut random);
                assert!(out.iter().all(|x| *x == out[0] && *x < 1.0), "{out:?}");
                out[0]
            })
            .collect();
        let blended: Vec<f32> = drawn.into_iter().filter(|x| *x > 0.0).collect();
        let count = blended.len() as f32;
        assert!((count / 8000.0 - 0.25).abs() < 0.02, "{count}");
        for quarter in 1..4 {
            let end = quarter as f32 / 4.0;
            let below = blended.iter().filter(|x| **x < end).count() as f32 / count;
            assert!((below - end).abs() < 0.04, "{below} below {end}");
        }
    }
}
