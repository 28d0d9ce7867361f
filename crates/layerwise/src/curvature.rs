use crate::gradient::{Left, Program, Real, add_product};
use rayon::prelude::*;

/// How a sum of squared differences grows around a network's weights, layer by layer: as if inputs and
/// slopes of a layer varied independently of each other and of their place (K-FAC: Martens and Grosse,
/// 2015; for convolutions: Grosse and Martens, 2016).
#[derive(Default)]
pub(crate) struct Curvature {
    /// For each group, the second moments of the inputs of a filter, the bias counted as the last of them
    /// with an input of 1; row-major.
    pub(crate) inputs: Vec<Vec<f64>>,
    /// For each output, the mean over samples of the squared slopes, added up over places.
    pub(crate) outputs: Vec<f64>,
    /// For each sample, the squared slopes at each place, added up over outputs.
    pub(crate) places: Vec<Vec<f32>>,
}

/// Lanes that samples are dealt to, so that sums come out the same on any number of threads.
const LANES: usize = 8;

/// The most places of a sample whose inputs are looked at.
const PLACES: usize = 64;

impl Curvature {
    /// Around the weights `real` of a program, of the sum over `values` of the squared differences there,
    /// each times what stands beside it. With `moments` of the inputs, or else with `places`.
    pub(crate) fn of(
        program: &Program,
        real: &[Real],
        samples: &[&Vec<f32>],
        (values, moments): (&[(usize, f32)], bool),
        seed: u64,
    ) -> Vec<Self> {
        let fresh = || -> Vec<Self> {
            let one = |(l, r): (usize, &Real)| {
                let n = r.weights().len() / r.bias().len().max(1) + 1;
                let groups = if moments { program.groups(l) } else { 0 };
                let places = vec![Vec::new(); if moments { 0 } else { samples.len() }];
                let inputs = vec![vec![0.0; n * n]; groups];
                Self { inputs, outputs: vec![0.0; r.bias().len()], places }
            };
            real.iter().enumerate().map(one).collect()
        };
        let lanes: Vec<Vec<Self>> = (0..LANES.min(samples.len()))
            .into_par_iter()
            .map(|lane| {
                let mut sums = fresh();
                let mut slopes: Vec<_> = real.iter().map(Real::flat).collect();
                let (mut taken, mut block) = (Vec::new(), Vec::new());
                for (i, sample) in samples.iter().enumerate().skip(lane).step_by(LANES) {
                    let run = program.run(sample, real);
                    // Signs drawn anew: on average, products of different values cancel.
                    let drawn = values.iter().enumerate().map(|(k, (slot, scale))| {
                        let own = seed ^ (((i as u64) << 20) | (k as u64 + 1));
                        let signs = signs(run.raw(*slot).len(), own);
                        (*slot, signs.into_iter().map(|s| s * scale.sqrt()).collect())
                    });
                    let drawn = drawn.collect();
                    program.back_seeing(&run, drawn, real, &mut slopes, &mut |l, g, x, own| {
                        sums[l].add((g, program.groups(l)), (x, own), i, (&mut taken, &mut block));
                    });
                }
                sums
            })
            .collect();
        let mut total = fresh();
        let count = samples.len().max(1) as f64;
        for lane in &lanes {
            for (to, from) in total.iter_mut().zip(lane) {
                for (to, from) in to.inputs.iter_mut().zip(&from.inputs) {
                    to.iter_mut().zip(from).for_each(|(t, f)| *t += f / count);
                }
                to.outputs.iter_mut().zip(&from.outputs).for_each(|(t, f)| *t += f / count);
                for (to, from) in to.places.iter_mut().zip(&from.places) {
                    if !from.is_empty() {
                        to.clone_from(from);
                    }
                }
            }
        }
        total
    }

    /// Adds what one sample has for a group.
    fn add(
        &mut self,
        (group, groups): (usize, usize),
        (x, own): (&[f32], &[f32]),
        sample: usize,
        (taken, block): (&mut Vec<f32>, &mut Vec<f32>),
    ) {
        let per = self.outputs.len() / groups.max(1);
        let outputs = &mut self.outputs[group * per..(group + 1) * per];
        for row in own.chunks_exact(per.max(1)) {
            outputs.iter_mut().zip(row).for_each(|(o, s)| *o += f64::from(*s).powi(2));
        }
        if let Some(places) = self.places.get_mut(sample) {
            let rows = own.chunks_exact(per.max(1));
            places.resize(rows.len(), 0.0);
            for (place, row) in places.iter_mut().zip(rows) {
                *place += row.iter().map(|s| s * s).sum::<f32>();
            }
        }
        let Some(moments) = self.inputs.get_mut(group) else { return };
        let places = own.len() / per.max(1);
        let depth = x.len() / places.max(1);
        let (n, count) = (depth + 1, places.min(PLACES));
        taken.clear();
        for i in 0..count {
            // Evenly spaced, beginning elsewhere in each sample.
            let at = (i * places / count + sample.wrapping_mul(2_654_435_761) % places) % places;
            taken.extend_from_slice(&x[at * depth..(at + 1) * depth]);
            taken.push(1.0);
        }
        block.clear();
        block.resize(n * n, 0.0);
        add_product((n, n, count), Left { data: taken, steps: (1, n) }, taken, block);
        let share = 1.0 / count.max(1) as f64;
        moments.iter_mut().zip(block).for_each(|(m, b)| *m += f64::from(*b) * share);
    }
}

/// So many signs, by the finalizer of SplitMix64 (Steele and others, 2014).
pub(crate) fn signs(count: usize, seed: u64) -> Vec<f32> {
    let mixed = |i: usize| {
        let mut z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(i as u64);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (0..count).map(|i| if mixed(i) & 1 == 0 { 1.0 } else { -1.0 }).collect()
}
