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
    /// Of `z xᵀ`.
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
        let sums = || Sums {
            zz: vec![0.0; n * n],
            zx: vec![0.0; n * n],
            z: vec![0.0; n],
            x: vec![0.0; n],
        };
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

    /// Adds evenly spaced positions of one sample: the layer's input in the original network (`x`) and
    /// in the changed one (`z`).
    pub fn add(
        &mut self,
        geometry: &Geometry,
        x: &Tensor,
        z: &Tensor,
        positions: usize,
        sample: usize,
    ) {
        let (Ok(x), Ok(z)) = (x.view::<f32>(), z.view::<f32>()) else { return };
        let size: usize = geometry.input.iter().product();
        if size == 0 || x.len() != z.len() {
            return;
        }
        let area = geometry.output[0] * geometry.output[1];
        let images = x.len() / size;
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
                geometry.gather(&x[from..from + size], at % area, g, &mut xs);
                geometry.gather(&z[from..from + size], at % area, g, &mut zs);
                vectors.0.extend_from_slice(&xs);
                vectors.1.extend_from_slice(&zs);
                if vectors.0.len() >= BLOCK * n {
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
            let pairs =
                [(&mut a.zz, &b.zz), (&mut a.zx, &b.zx), (&mut a.z, &b.z), (&mut a.x, &b.x)];
            for (to, from) in pairs {
                to.iter_mut().zip(from).for_each(|(t, f)| *t += f);
            }
        }
    }
}

impl Sums {
    /// Adds a block of vectors that lie one after another.
    fn add(&mut self, n: usize, x: &[f32], z: &[f32]) {
        if n == 0 || x.is_empty() {
            return;
        }
        for (x, z) in x.chunks_exact(n).zip(z.chunks_exact(n)) {
            for i in 0..n {
                self.x[i] += f64::from(x[i]);
                self.z[i] += f64::from(z[i]);
            }
        }
        let mut row = vec![0.0_f32; n];
        for i in 0..n {
            row[i..].fill(0.0);
            for z in z.chunks_exact(n).filter(|z| z[i] != 0.0) {
                let f = z[i];
                row[i..].iter_mut().zip(&z[i..]).for_each(|(r, z)| *r += f * z);
            }
            let to = &mut self.zz[i * n + i..(i + 1) * n];
            to.iter_mut().zip(&row[i..]).for_each(|(t, r)| *t += f64::from(*r));
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
