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
    /// it is another than `z`) and in the changed one (`z`).
    pub fn add(
        &mut self,
        geometry: &Geometry,
        x: Option<&Tensor>,
        z: &Tensor,
        positions: usize,
        sample: usize,
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
        let mut vectors: (Vec<f32>, Vec<f32>) = (Vec::new(), Vec::new());
        for (g, sums) in self.groups.iter_mut().enumerate() {
            vectors.0.clear();
            vectors.1.clear();
            for i in 0..taken {
                // Evenly spaced, beginning elsewhere in each sample.
                let at = (i * total / taken + sample.wrapping_mul(2_654_435_761) % total) % total;
                let from = (at / area) * size;
                if let Some(x) = &x {
                    geometry.gather(&x[from..from + size], at % area, g, &mut xs);
                    vectors.0.extend_from_slice(&xs);
                }
                geometry.gather(&z[from..from + size], at % area, g, &mut zs);
                vectors.1.extend_from_slice(&zs);
                if vectors.1.len() >= BLOCK * n {
                    sums.add(n, &vectors.0, &vectors.1);
                    vectors.0.clear();
                    vectors.1.clear();
                }
            }
            sums.add(n, &vectors.0, &vectors.1);
        }
        self.count += taken as f64;
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

impl Sums {
    /// Adds a block of vectors that lie one after another; no `x` if it is `z`.
    fn add(&mut self, n: usize, x: &[f32], z: &[f32]) {
        if n == 0 || z.is_empty() {
            return;
        }
        let sum = |to: &mut [f64], vectors: &[f32]| {
            for vector in vectors.chunks_exact(n) {
                to.iter_mut().zip(vector).for_each(|(t, v)| *t += f64::from(*v));
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
