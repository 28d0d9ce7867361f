use crate::Geometry;
use paring_tensor::Tensor;

/// Sums over input vectors of a layer's filters: of the quantized prefix (`z`) and of the original
/// network (`x`), one set a group.
pub struct Moments {
    pub(crate) depth: usize,
    pub(crate) groups: Vec<Sums>,
    pub(crate) count: f64,
}

/// Sums of one group; matrices are row-major, `depth * depth`.
pub(crate) struct Sums {
    /// Of `z zᵀ`, the upper triangle.
    pub(crate) zz: Vec<f64>,
    /// Of `z xᵀ`; empty while `x` and `z` are the same.
    pub(crate) zx: Vec<f64>,
    pub(crate) z: Vec<f64>,
    pub(crate) x: Vec<f64>,
}

/// Vectors whose products are summed in single precision before they enter the double sums.
const BLOCK: usize = 64;

/// Vectors that lie one after another, each times the root of what it weighs.
#[derive(Default)]
struct Block {
    /// Empty if it is `z`.
    x: Vec<f32>,
    z: Vec<f32>,
    roots: Vec<f32>,
}

impl Block {
    fn clear(&mut self) {
        self.x.clear();
        self.z.clear();
        self.roots.clear();
    }
}

impl Moments {
    /// Nothing seen yet.
    #[must_use]
    pub fn new(geometry: &Geometry) -> Self {
        let n = geometry.depth();
        let sums =
            || Sums { zz: vec![0.0; n * n], zx: Vec::new(), z: vec![0.0; n], x: vec![0.0; n] };
        let groups = (0..geometry.groups).map(|_| sums()).collect();
        Self { depth: n, groups, count: 0.0 }
    }

    /// Bytes that the sums of a layer take up.
    #[must_use]
    pub fn bytes(geometry: &Geometry) -> usize {
        let n = geometry.depth();
        2 * geometry.groups * n * (n + 1) * size_of::<f64>()
    }

    /// Groups of filters, each of which sees inputs of its own.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Adds evenly spaced positions of one sample: the layer's input in the original network (`x`, where
    /// it is another than `z`) and in the changed one (`z`). Each counts as much as it `weighs`, or 1
    /// where that is not known.
    pub fn add(
        &mut self,
        geometry: &Geometry,
        (x, z): (Option<&Tensor>, &Tensor),
        positions: usize,
        sample: usize,
        weighs: Option<&[f32]>,
    ) {
        let Ok(z) = z.view::<f32>() else { return };
        let x = match x.map(Tensor::view::<f32>) {
            None => None,
            Some(Ok(x)) if x.len() == z.len() => Some(x),
            Some(_) => return,
        };
        let size: usize = geometry.input.iter().product();
        if size == 0 {
            return;
        }
        let area = geometry.output[0] * geometry.output[1];
        let images = z.len() / size;
        let total = area * images;
        let taken = total.min(positions.max(1));
        let n = self.depth;
        let (mut xs, mut zs) = (Vec::new(), Vec::new());
        let weighs = weighs.filter(|w| w.len() == total);
        let mut block = Block::default();
        for (g, sums) in self.groups.iter_mut().enumerate() {
            for i in 0..taken {
                // Evenly spaced, beginning elsewhere in each sample.
                let at = (i * total / taken + sample.wrapping_mul(2_654_435_761) % total) % total;
                let from = (at / area) * size;
                let weight = weighs.map_or(1.0, |w| w[at]);
                let root = weight.sqrt();
                if g == 0 {
                    self.count += f64::from(weight);
                }
                if let Some(x) = &x {
                    geometry.gather(&x[from..from + size], at % area, g, &mut xs);
                    block.x.extend(xs.iter().map(|x| x * root));
                }
                geometry.gather(&z[from..from + size], at % area, g, &mut zs);
                block.z.extend(zs.iter().map(|z| z * root));
                block.roots.push(root);
                if block.roots.len() >= BLOCK {
                    sums.add(n, &block);
                    block.clear();
                }
            }
            sums.add(n, &block);
            block.clear();
        }
    }

    /// Adds what another has seen.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        for (a, b) in self.groups.iter_mut().zip(&other.groups) {
            a.zx.resize(a.zx.len().max(b.zx.len()), 0.0);
            let pairs =
                [(&mut a.zz, &b.zz), (&mut a.zx, &b.zx), (&mut a.z, &b.z), (&mut a.x, &b.x)];
            for (to, from) in pairs {
                to.iter_mut().zip(from).for_each(|(t, f)| *t += f);
            }
        }
    }
}

struct Adding<'a> {
    sums: &'a mut Sums,
    n: usize,
    block: &'a Block,
}

impl pulp::NullaryFnOnce for Adding<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        self.sums.add_block(self.n, self.block);
    }
}

impl Sums {
    /// Adds a block of vectors.
    fn add(&mut self, n: usize, block: &Block) {
        // The widest vectors that there are; products and sums stay apart, so that they round alike.
        pulp::Arch::new().dispatch(Adding { sums: self, n, block });
    }

    #[inline(always)]
    fn add_block(&mut self, n: usize, block: &Block) {
        let (x, z) = (block.x.as_slice(), block.z.as_slice());
        if n == 0 || z.is_empty() {
            return;
        }
        let sum = |to: &mut [f64], vectors: &[f32]| {
            for (vector, root) in vectors.chunks_exact(n).zip(&block.roots) {
                to.iter_mut().zip(vector).for_each(|(t, v)| *t += f64::from(v * root));
            }
        };
        sum(&mut self.z, z);
        sum(&mut self.x, if x.is_empty() { z } else { x });
        let mut row = vec![0.0_f32; n];
        for i in 0..n {
            row[i..].fill(0.0);
            for z in z.chunks_exact(n).filter(|z| z[i] != 0.0) {
                let f = z[i];
                row[i..].iter_mut().zip(&z[i..]).for_each(|(r, z)| *r += f * z);
            }
            let to = &mut self.zz[i * n + i..(i + 1) * n];
            to.iter_mut().zip(&row[i..]).for_each(|(t, r)| *t += f64::from(*r));
        }
        if x.is_empty() {
            return;
        }
        self.zx.resize(n * n, 0.0);
        for i in 0..n {
            row.fill(0.0);
            for (x, z) in x.chunks_exact(n).zip(z.chunks_exact(n)).filter(|(_, z)| z[i] != 0.0) {
                let f = z[i];
                row.iter_mut().zip(x).for_each(|(r, x)| *r += f * x);
            }
            let to = &mut self.zx[i * n..(i + 1) * n];
            to.iter_mut().zip(&row).for_each(|(t, r)| *t += f64::from(*r));
        }
    }
}
