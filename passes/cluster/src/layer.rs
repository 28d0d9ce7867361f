//! The clusters of one layer.

use crate::{Assign, Cluster, Per, Points, Random, Start, Weighting};
use paring_ir::{Graph, NodeId};
use paring_layerwise::{Codebook, Geometry, Levels, Problem};
use paring_pass::PassError;
use paring_tensor::{ConstData, DType, Palette, Quant, Sparse, Tensor};
use rayon::prelude::*;

/// Rounds of giving weights to values and fitting the scales of channels.
const ROUNDS: usize = 4;

/// Scales between one and its double.
const FINE: f64 = 8.0;

/// A layer whose weights are clustered.
pub(crate) struct Layer {
    pub(crate) id: NodeId,
    weights: Vec<f32>,
    shape: Vec<usize>,
    groups: usize,
    /// The storage of weights that were pruned, and which of them are kept.
    sparse: Option<(Sparse, Vec<bool>)>,
}

/// New weights of a layer.
pub(crate) struct Clustered {
    pub(crate) data: ConstData,
    pub(crate) quant: Option<Quant>,
    pub(crate) shifts: Vec<f64>,
    /// Different values, zero included.
    pub(crate) used: usize,
    pub(crate) signal: f64,
    pub(crate) noise: f64,
}

impl Layer {
    pub(crate) fn of(graph: &Graph, id: NodeId) -> Option<Self> {
        let node = graph.node(id);
        let data = graph.constant(node.inputs()[1])?;
        let sparse = data.sparse().map(|s| {
            let mut kept = vec![false; data.len()];
            s.kept().into_iter().for_each(|i| kept[i] = true);
            (s.clone(), kept)
        });
        Some(Self {
            id,
            weights: data.dense().to_f32(),
            shape: data.shape().to_vec(),
            groups: Geometry::of(graph, node)?.groups(),
            sparse,
        })
    }

    pub(crate) fn len(&self) -> usize {
        self.weights.len()
    }

    /// Weights that are not pruned.
    pub(crate) fn kept(&self) -> usize {
        self.sparse.as_ref().map_or(self.len(), |(_, k)| k.iter().filter(|k| **k).count())
    }

    /// Values of their own that kept weights have where a layer has `clusters`.
    pub(crate) fn values(&self, clusters: usize) -> usize {
        clusters - usize::from(self.sparse.is_some())
    }

    fn outputs(&self) -> usize {
        self.shape[0]
    }

    fn depth(&self) -> usize {
        self.len() / self.outputs().max(1)
    }

    fn filter(&self, o: usize) -> &[f32] {
        &self.weights[o * self.depth()..(o + 1) * self.depth()]
    }

    fn mask(&self, o: usize) -> Option<&[bool]> {
        let (_, kept) = self.sparse.as_ref()?;
        Some(&kept[o * self.depth()..(o + 1) * self.depth()])
    }

    fn problem<'a>(&self, problems: &'a [Problem], o: usize) -> Option<&'a Problem> {
        problems.get(o * self.groups / self.outputs().max(1))
    }

    /// What an error of each weight of a filter costs.
    fn costs(&self, settings: &Cluster, problems: &[Problem], o: usize) -> Vec<f64> {
        match (settings.weighting, self.problem(problems, o)) {
            (Weighting::Activation, Some(p)) => p.squares(),
            (Weighting::Hessian, Some(p)) => p.variances(),
            _ => vec![1.0; self.depth()],
        }
    }

    /// What the filters should be, before clustering.
    fn targets(&self, problems: &[Problem]) -> Vec<Vec<f64>> {
        (0..self.outputs())
            .into_par_iter()
            .map(|o| match self.problem(problems, o) {
                Some(problem) => problem.target(self.filter(o)),
                None => self.filter(o).iter().map(|w| f64::from(*w)).collect(),
            })
            .collect()
    }

    /// The kept weights of some filters over their scales, and what they weigh.
    fn points_of(
        &self,
        settings: &Cluster,
        problems: &[Problem],
        filters: std::ops::Range<usize>,
        rows: &[Vec<f64>],
        scales: &[f64],
    ) -> Points {
        let mut points = Vec::new();
        for o in filters {
            let costs = self.costs(settings, problems, o);
            let mask = self.mask(o);
            for (i, (x, cost)) in rows[o].iter().zip(&costs).enumerate() {
                if mask.is_none_or(|m| m[i]) {
                    points.push((x / scales[o], cost * scales[o] * scales[o]));
                }
            }
        }
        Points::new(points)
    }

    /// All weights with what they weigh.
    pub(crate) fn points(&self, settings: &Cluster, problems: &[Problem]) -> Points {
        let rows: Vec<Vec<f64>> = (0..self.outputs())
            .map(|o| self.filter(o).iter().map(|w| f64::from(*w)).collect())
            .collect();
        let scales = match settings.grid {
            Some(dtype) => self.scales(&rows, largest(dtype)),
            None => vec![1.0; self.outputs()],
        };
        self.points_of(settings, problems, 0..self.outputs(), &rows, &scales)
    }

    /// What the mean of points adds to the cost of leaving them out.
    pub(crate) fn square_of_mean(&self, points: &Points) -> f64 {
        (points.cost_of(&[0.0]) - points.least_costs(1).first().copied().unwrap_or(0.0)).max(0.0)
    }

    /// Scales that make the filters alike in their root mean square, and no weight larger than the
    /// largest integer.
    fn scales(&self, rows: &[Vec<f64>], limit: f64) -> Vec<f64> {
        let spread: Vec<f64> = rows
            .iter()
            .map(|row| (row.iter().map(|x| x * x).sum::<f64>() / row.len().max(1) as f64).sqrt())
            .collect();
        let ratio = rows
            .iter()
            .zip(&spread)
            .filter(|(_, s)| **s > 0.0)
            .map(|(row, s)| row.iter().fold(0.0_f64, |m, x| m.max(x.abs())) / s)
            .fold(0.0, f64::max);
        let widest = spread.iter().fold(0.0_f64, |a, b| a.max(*b)).max(1e-12);
        spread
            .iter()
            .map(|s| if *s > 1e-15 { *s } else { widest } * ratio.max(1.0) / limit)
            .collect()
    }

    fn centres(
        &self,
        settings: &Cluster,
        points: &Points,
        k: usize,
        random: &mut Random,
    ) -> Vec<f64> {
        match settings.start {
            Start::Optimal => points.optimal(k),
            start => points.lloyd(start, k, random),
        }
    }

    /// Clusters the weights.
    pub(crate) fn cluster(
        &self,
        settings: &Cluster,
        number: usize,
        problems: &[Problem],
        random: &mut Random,
    ) -> Result<Clustered, PassError> {
        let targets = self.targets(problems);
        // What pruned filters are best, so that clusters are not drawn to weights that are gone.
        let rows: Vec<Vec<f64>> = (0..self.outputs())
            .into_par_iter()
            .map(|o| match (self.problem(problems, o), self.mask(o)) {
                (Some(problem), Some(mask)) => problem.refit(&targets[o], mask),
                _ => targets[o].clone(),
            })
            .collect();
        let k = self.values(number).max(1);
        let (values, data, quant) = match settings.grid {
            Some(dtype) => self.on_grid(settings, dtype, k, problems, &targets, &rows, random)?,
            None => self.in_reals(settings, k, problems, &targets, &rows, random)?,
        };
        let (mut signal, mut noise) = (0.0, 0.0);
        let mut shifts = vec![0.0; self.outputs()];
        for (o, row) in values.iter().enumerate() {
            match self.problem(problems, o) {
                Some(problem) => {
                    signal += problem.signal(self.filter(o));
                    noise += problem.loss(row, &targets[o]);
                    shifts[o] = problem.shift(self.filter(o), row);
                }
                None => {
                    signal += targets[o].iter().map(|x| x * x).sum::<f64>();
                    noise += targets[o].iter().zip(row).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
                }
            }
        }
        let palette = data.palette();
        let used = palette.map_or(0, Palette::entries) + usize::from(self.sparse.is_some());
        Ok(Clustered { data, quant, shifts, used, signal, noise })
    }

    /// The values of a filter given those that it may have.
    fn assign(
        &self,
        settings: &Cluster,
        problems: &[Problem],
        o: usize,
        target: &[f64],
        row: &[f64],
        levels: &[f64],
        costs: &[f64],
    ) -> Vec<f64> {
        let codebook = Codebook { values: levels, costs, mask: self.mask(o) };
        match (settings.assign, self.problem(problems, o)) {
            (Assign::SecondOrder, Some(problem)) => problem.decide(target, &codebook).0,
            _ => row.iter().enumerate().map(|(i, x)| codebook.choose(i, *x, 1.0)).collect(),
        }
    }

    /// Integer values that the layer shares, times a scale for each channel.
    #[allow(clippy::type_complexity)]
    fn on_grid(
        &self,
        settings: &Cluster,
        dtype: DType,
        k: usize,
        problems: &[Problem],
        targets: &[Vec<f64>],
        rows: &[Vec<f64>],
        random: &mut Random,
    ) -> Result<(Vec<Vec<f64>>, ConstData, Option<Quant>), PassError> {
        let limit = largest(dtype);
        let mut scales = self.scales(rows, limit);
        let points = self.points_of(settings, problems, 0..self.outputs(), rows, &scales);
        let centres = self.centres(settings, &points, k, random);
        let mut book: Vec<f64> = centres.iter().map(|c| c.round().clamp(-limit, limit)).collect();
        book.dedup();
        if book.is_empty() {
            book.push(0.0);
        }
        let signal: f64 = (0..self.outputs())
            .filter_map(|o| Some(self.problem(problems, o)?.signal(self.filter(o))))
            .sum();
        let price = settings.lambda * signal / self.kept().max(1) as f64;
        let mut costs: Vec<f64> = Vec::new();
        let mut multiples: Vec<Vec<f64>> = Vec::new();
        for round in 0..ROUNDS {
            multiples = (0..self.outputs())
                .into_par_iter()
                .map(|o| {
                    let levels: Vec<f64> = book.iter().map(|b| b * scales[o]).collect();
                    self.assign(settings, problems, o, &targets[o], &rows[o], &levels, &costs)
                        .into_iter()
                        .map(|v| (v / scales[o]).round())
                        .collect()
                })
                .collect();
            if round + 1 == ROUNDS {
                break;
            }
            if price > 0.0 {
                costs = self.lengths(&book, &multiples).iter().map(|l| l * price).collect();
            }
            for (o, q) in multiples.iter().enumerate() {
                let fitted = match self.problem(problems, o) {
                    Some(problem) => problem.fit(q, &targets[o]),
                    None => {
                        let above: f64 = q.iter().zip(&rows[o]).map(|(q, t)| q * t).sum();
                        let below: f64 = q.iter().map(|q| q * q).sum();
                        (below > 0.0).then(|| above / below)
                    }
                };
                if let Some(fitted) = fitted.filter(|f| *f > 1e-18 && f.is_finite()) {
                    scales[o] = fitted;
                }
                // Few different scales are short to write down.
                scales[o] = ((scales[o].log2() * FINE).round() / FINE).exp2();
            }
        }
        let scales: Vec<f32> = scales.iter().map(|s| *s as f32).collect();
        let real = |o: usize| -> Vec<f64> {
            multiples[o].iter().map(|q| q * f64::from(scales[o])).collect()
        };
        let values = (0..self.outputs()).map(real).collect();
        let codes: Vec<u8> = multiples
            .iter()
            .flatten()
            .map(|q| book.partition_point(|b| b < q).min(book.len() - 1) as u8)
            .collect();
        let ints: Vec<i8> = book.iter().map(|b| *b as i8).collect();
        let codebook = Tensor::from_vec([ints.len()], ints)?.reinterpret(dtype)?;
        let data = self.stored(codes, codebook)?;
        Ok((values, data, Some(Quant::symmetric(0, scales))))
    }

    /// Real values.
    #[allow(clippy::type_complexity)]
    fn in_reals(
        &self,
        settings: &Cluster,
        k: usize,
        problems: &[Problem],
        targets: &[Vec<f64>],
        rows: &[Vec<f64>],
        random: &mut Random,
    ) -> Result<(Vec<Vec<f64>>, ConstData, Option<Quant>), PassError> {
        let outputs = self.outputs();
        let groups = match settings.per {
            Per::Tensor => 1,
            Per::Channel => outputs,
            Per::Groups { groups } => groups,
        };
        if groups > 1 && self.sparse.is_some() {
            return Err(PassError::Input(
                "pruned weights have one codebook a tensor: leave `per` out, or use `grid`, which \
                 scales each channel"
                    .into(),
            ));
        }
        if groups == 0 || !outputs.is_multiple_of(groups) {
            return Err(PassError::Input(format!(
                "{groups} groups do not divide {outputs} channels; `skip` the layer"
            )));
        }
        let per_group = outputs / groups;
        let ones = vec![1.0; outputs];
        let mut books: Vec<Vec<f64>> = Vec::with_capacity(groups);
        for g in 0..groups {
            let filters = g * per_group..(g + 1) * per_group;
            let points = self.points_of(settings, problems, filters, rows, &ones);
            let centres = self.centres(settings, &points, k, random);
            // As they are stored.
            let mut book: Vec<f64> = centres.iter().map(|c| f64::from(*c as f32)).collect();
            book.dedup();
            books.push(book);
        }
        let entries = books.iter().map(Vec::len).max().unwrap_or(0).max(1);
        for book in &mut books {
            let last = book.last().copied().unwrap_or(0.0);
            book.resize(entries, last);
        }
        let values: Vec<Vec<f64>> = (0..outputs)
            .into_par_iter()
            .map(|o| {
                let book = &books[o / per_group];
                self.assign(settings, problems, o, &targets[o], &rows[o], book, &[])
            })
            .collect();
        let codes: Vec<u8> = values
            .iter()
            .enumerate()
            .flat_map(|(o, row)| {
                let book = &books[o / per_group];
                row.iter().map(move |v| book.partition_point(|b| b < v).min(entries - 1) as u8)
            })
            .collect();
        let flat: Vec<f32> = books.iter().flatten().map(|b| *b as f32).collect();
        let shape = if groups == 1 { vec![entries] } else { vec![groups, entries] };
        let data = self.stored(codes, Tensor::from_vec(shape, flat)?)?;
        Ok((values, data, None))
    }

    /// Bits of each value in an ideal code for how often kept weights have it.
    fn lengths(&self, book: &[f64], multiples: &[Vec<f64>]) -> Vec<f64> {
        let mut counts = vec![0.02; book.len()];
        for (o, row) in multiples.iter().enumerate() {
            let mask = self.mask(o);
            for (_, q) in row.iter().enumerate().filter(|(i, _)| mask.is_none_or(|m| m[*i])) {
                let at = book.partition_point(|b| b < q).min(book.len() - 1);
                counts[at] += 1.0;
            }
        }
        let total: f64 = counts.iter().sum();
        counts.into_iter().map(|c| (total / c).log2()).collect()
    }

    /// The palette, of the kept weights only where the others are pruned.
    fn stored(&self, codes: Vec<u8>, codebook: Tensor) -> Result<ConstData, PassError> {
        let Some((sparse, _)) = &self.sparse else {
            let palette = Palette::new(self.shape.clone(), codes.into(), codebook)?;
            return Ok(ConstData::Palette(palette));
        };
        let kept: Vec<u8> = sparse.kept().into_iter().map(|i| codes[i]).collect();
        let palette = Palette::new([kept.len()], kept.into(), codebook)?;
        Ok(ConstData::Sparse(sparse.with_values(ConstData::Palette(palette))?))
    }
}

/// The largest weight of an integer type; symmetric.
fn largest(dtype: DType) -> f64 {
    if dtype == DType::I4 { 7.0 } else { 127.0 }
}
