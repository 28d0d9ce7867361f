//! The integers of one layer.

use crate::Per;
use paring_ir::{Graph, NodeId};
use paring_layerwise::{Coded, Geometry, Problem};
use paring_pass::{PassError, consts};
use paring_tensor::{ConstData, Quant, Tensor};
use rayon::prelude::*;

/// The largest integer.
const LIMIT: i32 = 127;

/// Times that integers are chosen, each time with the code lengths of the last.
const ROUNDS: usize = 3;

/// How far apart the steps are that are tried for a layer.
const APART: f64 = 1.189_207_115_002_721; // the fourth root of two

/// Steps of channels are finer by this.
const FINE: f64 = 1.090_507_732_665_257_7; // the eighth root of two

/// A layer whose weights are rounded.
pub(crate) struct Layer {
    pub(crate) id: NodeId,
    data: ConstData,
    weights: Vec<f32>,
    groups: usize,
    mask: Option<Vec<bool>>,
}

/// New weights of a layer.
pub(crate) struct Rounded {
    pub(crate) data: ConstData,
    pub(crate) quant: Quant,
    pub(crate) shifts: Vec<f64>,
    /// Bits in an ideal code.
    pub(crate) coded: f64,
    pub(crate) noise: f64,
    pub(crate) signal: f64,
}

/// Integers of all filters at their steps.
#[derive(Clone)]
struct Choice {
    ints: Vec<Vec<i32>>,
    steps: Vec<f64>,
    noise: f64,
    bits: f64,
}

impl Layer {
    pub(crate) fn of(graph: &Graph, id: NodeId) -> Option<Self> {
        let node = graph.node(id);
        let data = graph.constant(node.inputs()[1])?.clone();
        let mask = data.sparse().map(|s| {
            let mut kept = vec![false; data.len()];
            s.kept().into_iter().for_each(|i| kept[i] = true);
            kept
        });
        let weights = data.dense().to_f32();
        let groups = Geometry::of(graph, node)?.groups();
        Some(Self { id, data, weights, groups, mask })
    }

    pub(crate) fn len(&self) -> usize {
        self.weights.len()
    }

    fn outputs(&self) -> usize {
        self.data.shape()[0]
    }

    fn depth(&self) -> usize {
        self.len() / self.outputs().max(1)
    }

    fn filter(&self, o: usize) -> &[f32] {
        &self.weights[o * self.depth()..(o + 1) * self.depth()]
    }

    fn mask(&self, o: usize) -> Option<&[bool]> {
        Some(&self.mask.as_ref()?[o * self.depth()..(o + 1) * self.depth()])
    }

    fn problem<'a>(&self, problems: &'a [Problem], o: usize) -> &'a Problem {
        &problems[o * self.groups / self.outputs().max(1)]
    }

    /// Chooses step and integers.
    pub(crate) fn round(
        &self,
        problems: &[Problem],
        price: f64,
        per: Per,
    ) -> Result<Rounded, PassError> {
        let targets: Vec<Vec<f64>> = (0..self.outputs())
            .into_par_iter()
            .map(|o| self.problem(problems, o).target(self.filter(o)))
            .collect();
        let largest = targets.iter().flatten().fold(0.0_f64, |m, w| m.max(w.abs()));
        let mut best: Option<(f64, Choice)> = None;
        if largest > 0.0 {
            // Where a bit more or less of every weight would be worth its price: D = h s²/12.
            let h = problems.iter().map(Problem::curvature).sum::<f64>() / problems.len() as f64;
            let guess = (6.0 * price / (std::f64::consts::LN_2 * h.max(1e-30))).sqrt();
            let low = largest / f64::from(LIMIT);
            let start = guess.clamp(low, 2.0 * largest);
            let mut tried = |step: f64| -> f64 {
                let steps = vec![step; self.outputs()];
                let choice = self.choose(problems, &targets, steps, price, per);
                let all = choice.noise + price * choice.bits;
                if best.as_ref().is_none_or(|b| all < b.0) {
                    best = Some((all, choice));
                }
                all
            };
            let mut at = tried(start);
            for ratio in [APART, 1.0 / APART] {
                let mut step = start;
                let mut moved = false;
                loop {
                    step *= ratio;
                    if step < low || step > 4.0 * largest {
                        break;
                    }
                    let next = tried(step);
                    if next >= at {
                        break;
                    }
                    at = next;
                    moved = true;
                }
                if moved {
                    break;
                }
            }
        }
        let blank = || Choice {
            ints: vec![vec![0; self.depth()]; self.outputs()],
            steps: vec![1.0; self.outputs()],
            noise: 0.0,
            bits: 0.0,
        };
        let choice = best.map_or_else(blank, |b| b.1);
        let scales: Vec<f32> = choice.steps.iter().map(|s| *s as f32).collect();
        let mut shifts = Vec::with_capacity(self.outputs());
        let mut signal = 0.0;
        for (o, ints) in choice.ints.iter().enumerate() {
            let real: Vec<f64> =
                ints.iter().map(|q| f64::from(*q) * f64::from(scales[o])).collect();
            let problem = self.problem(problems, o);
            shifts.push(problem.shift(self.filter(o), &real));
            signal += problem.signal(self.filter(o));
        }
        let ints: Vec<i8> = choice.ints.iter().flatten().map(|q| *q as i8).collect();
        let ints = Tensor::from_vec(self.data.shape(), ints)?;
        let data = consts::with_elements(&self.data, &ints)?;
        let same = scales.iter().all(|s| *s == scales[0]);
        let quant =
            if same { Quant::per_tensor(scales[0], 0) } else { Quant::symmetric(0, scales) };
        let (coded, noise) = (choice.bits, choice.noise);
        Ok(Rounded { data, quant, shifts, coded, noise, signal })
    }

    /// The integers at given steps.
    fn choose(
        &self,
        problems: &[Problem],
        targets: &[Vec<f64>],
        mut steps: Vec<f64>,
        price: f64,
        per: Per,
    ) -> Choice {
        let plain: Vec<Vec<i32>> = targets
            .iter()
            .enumerate()
            .map(|(o, row)| {
                row.iter().map(|w| ((w / steps[o]).round() as i32).clamp(-LIMIT, LIMIT)).collect()
            })
            .collect();
        let mut lengths = lengths(&plain);
        let mut choice =
            Choice { ints: plain, steps: steps.clone(), noise: f64::INFINITY, bits: 0.0 };
        for round in 0..ROUNDS {
            let costs: Vec<f64> = lengths.iter().map(|l| l * price).collect();
            let one = |o: usize, scale: f64| {
                let problem = self.problem(problems, o);
                let levels = Coded { scale, limit: LIMIT, costs: &costs, mask: self.mask(o) };
                problem.decide(&targets[o], &levels)
            };
            let rows: Vec<(Vec<f64>, f64)> = (0..self.outputs())
                .into_par_iter()
                .map(|o| {
                    let (mut values, mut all) = one(o, steps[o]);
                    let mut step = steps[o];
                    if per == Per::Channel && round + 1 == ROUNDS {
                        for k in [-4, -3, -2, -1, 1, 2, 3, 4] {
                            let scale = steps[o] * FINE.powi(k);
                            let (v, a) = one(o, scale);
                            if a < all {
                                (values, all, step) = (v, a, scale);
                            }
                        }
                    }
                    (values, step)
                })
                .collect();
            let mut noise = 0.0;
            let mut ints = Vec::with_capacity(rows.len());
            for (o, (values, step)) in rows.into_iter().enumerate() {
                noise += self.problem(problems, o).loss(&values, &targets[o]);
                ints.push(values.iter().map(|v| (v / step).round() as i32).collect());
                steps[o] = step;
            }
            lengths = crate::layer::lengths(&ints);
            let bits = ints
                .iter()
                .flat_map(|row: &Vec<i32>| row.iter().map(|q| lengths[(q + LIMIT) as usize]))
                .sum();
            choice = Choice { ints, steps: steps.clone(), noise, bits };
        }
        choice
    }
}

/// Bits of each integer from `-LIMIT` to `LIMIT` in an ideal code for how often they occur.
fn lengths(ints: &[Vec<i32>]) -> Vec<f64> {
    let mut counts = vec![0.0; 2 * LIMIT as usize + 1];
    for q in ints.iter().flatten() {
        counts[(q + LIMIT) as usize] += 1.0;
    }
    let total: f64 = counts.iter().sum::<f64>() + 0.02 * counts.len() as f64;
    counts.into_iter().map(|c| (total / (c + 0.02)).log2()).collect()
}
