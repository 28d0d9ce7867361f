use crate::classes::Class;
use paring_ir::{Graph, ValueId};
use paring_pass::{PassError, Stream};
use paring_tensor::Tensor;
use std::collections::BTreeMap;

/// How far the channels of a value reach: means over the samples of each sample's extremes, the largest
/// number of all, and the mean square.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    pub(crate) low: Vec<f64>,
    pub(crate) high: Vec<f64>,
    pub(crate) square: Vec<f64>,
    pub(crate) peak: Vec<f64>,
    samples: f64,
}

impl Reach {
    fn new(channels: usize) -> Self {
        let zeros = || vec![0.0; channels];
        Self { low: zeros(), high: zeros(), square: zeros(), peak: zeros(), samples: 0.0 }
    }

    fn add(&mut self, tensor: &Tensor) {
        let channels = self.low.len();
        let Ok(numbers) = tensor.view::<f32>() else { return };
        let (mut low, mut high) = (vec![0.0_f32; channels], vec![0.0_f32; channels]);
        let mut square = vec![0.0_f64; channels];
        for row in numbers.chunks_exact(channels) {
            for (c, x) in row.iter().enumerate() {
                low[c] = low[c].min(*x);
                high[c] = high[c].max(*x);
                square[c] += f64::from(*x) * f64::from(*x);
            }
        }
        let places = (numbers.len() / channels).max(1) as f64;
        for c in 0..channels {
            self.low[c] += f64::from(low[c]);
            self.high[c] += f64::from(high[c]);
            self.peak[c] = self.peak[c].max(f64::from(high[c]));
            self.square[c] += square[c] / places;
        }
        self.samples += 1.0;
    }

    fn merge(&mut self, other: &Self) {
        let pairs = [
            (&mut self.low, &other.low),
            (&mut self.high, &other.high),
            (&mut self.square, &other.square),
        ];
        for (to, from) in pairs {
            to.iter_mut().zip(from).for_each(|(t, f)| *t += f);
        }
        self.peak.iter_mut().zip(&other.peak).for_each(|(t, f)| *t = t.max(*f));
        self.samples += other.samples;
    }

    fn mean(&mut self) {
        let n = self.samples.max(1.0);
        for all in [&mut self.low, &mut self.high, &mut self.square] {
            all.iter_mut().for_each(|x| *x /= n);
        }
    }
}

/// The reach of every value of the classes.
pub(crate) fn observe(
    stream: &mut Stream<'_>,
    graph: &Graph,
    classes: &[Class],
) -> Result<BTreeMap<ValueId, Reach>, PassError> {
    let channels: BTreeMap<ValueId, usize> =
        classes.iter().flat_map(|c| c.values.iter().map(|v| (*v, c.channels))).collect();
    let fresh = || -> BTreeMap<ValueId, Reach> {
        channels.iter().map(|(v, n)| (*v, Reach::new(*n))).collect()
    };
    let mut lanes = stream.accumulators(fresh);
    let all = 0..stream.len();
    stream.run("equalizing", all, &mut lanes, |seen, _, v, tensor| {
        if let Some(reach) = seen.get_mut(&v) {
            reach.add(tensor);
        }
    })?;
    let mut total = fresh();
    for lane in &lanes {
        for (v, reach) in lane {
            if let Some(sum) = total.get_mut(v) {
                sum.merge(reach);
            }
        }
    }
    for (v, reach) in &mut total {
        reach.mean();
        let all = reach.low.iter().chain(&reach.high).chain(&reach.square);
        if all.into_iter().any(|x| !x.is_finite()) {
            let name = &graph.value(*v).name;
            return Err(PassError::Input(format!("`{name}` has numbers that are not finite")));
        }
    }
    Ok(total)
}
