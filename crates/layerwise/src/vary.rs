use paring_ir::Graph;

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

    /// Puts items into another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// How samples that are pictures are changed each time they are learned from: moved, and mirrored or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vary {
    /// Height and width.
    size: [usize; 2],
    /// The most pixels that they are moved by.
    by: usize,
}

impl Vary {
    /// For the first input of a graph, by up to so many pixels; `None` unless that is one of pictures, which
    /// have three channels.
    #[must_use]
    pub fn of(graph: &Graph, by: usize) -> Option<Self> {
        let ty = graph.ty(graph.inputs().first()?.value);
        let dims: Vec<_> = ty.shape.dims().iter().map(|d| d.fixed()).collect();
        match dims[..] {
            [_, Some(height), Some(width), Some(3)] if height * width > 0 => {
                Some(Self { size: [height, width], by: by.min(height.max(width)) })
            }
            _ => None,
        }
    }

    /// A picture, mirrored or not, and moved; what comes in is like the edge.
    #[must_use]
    pub fn picture(&self, picture: &[f32], random: &mut Random) -> Vec<f32> {
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

    #[test]
    fn pictures_are_moved_and_mirrored_within_their_edges() {
        let text = |c| {
            format!(
                "graph @g {{
                   %x = input : f32[1,2,3,{c}]
                   %y = unary(%x) {{ f = \"relu\" }} : f32[1,2,3,{c}]
                   output %y
                 }}"
            )
        };
        let of = |c: usize| Vary::of(&paring_ir::text::parse(&text(c)).unwrap(), 1);
        assert_eq!(of(1), None);
        let vary = of(3).unwrap();
        let picture: Vec<f32> = (0..18).map(|i| (i / 3) as f32).collect();
        let mut random = Random::new(5);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..200 {
            let out = vary.picture(&picture, &mut random);
            assert!(out.chunks(3).all(|p| p.iter().all(|c| *c == p[0])), "{out:?}");
            seen.insert(out.iter().map(|x| *x as u8).collect::<Vec<_>>());
        }
        // Two ways round, three places down, three across.
        assert_eq!(seen.len(), 18);
        let same: Vec<u8> = picture.iter().map(|x| *x as u8).collect();
        assert!(seen.contains(&same));
    }
}
