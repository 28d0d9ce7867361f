use crate::curvature::{Curvature, signs};
use crate::gradient::{Program, Real, inputs, reals, whole};
use paring_ir::{Graph, NodeId};
use paring_pass::{Host, PassError};
use paring_tensor::DType;
use rayon::prelude::*;

/// Lanes that samples are dealt to, so that sums come out the same on any number of threads.
const LANES: usize = 8;

/// How far each weight of some layers moves the network's outputs when it becomes zero, to first order:
/// the mean over samples of `|w ∂y/∂w|²`, the outputs `y` taken together (after Molchanov and others,
/// 2019, with the change of the outputs in place of that of a loss, so that no labels are needed).
///
/// The outputs are weighted with signs drawn anew for each sample, whose mean is the sum over them.
/// `Ok(Err(why))` if slopes of the network are not known.
///
/// # Errors
/// If there is no data, or what is wrong with it.
pub fn taylor(
    graph: &Graph,
    layers: &[NodeId],
    data: (Option<&str>, Option<usize>),
    (host, seed, what): (&dyn Host, u64, &str),
) -> Result<Result<Vec<Vec<f64>>, String>, PassError> {
    let (program, real, places) = match prepared(graph, layers) {
        Ok(prepared) => prepared,
        Err(why) => return Ok(Err(why)),
    };
    let inputs = inputs(host, graph, data)?;
    if inputs.is_empty() {
        return Err(PassError::Input("there are no samples to calibrate with".into()));
    }
    let fresh = || -> Vec<Vec<f64>> {
        places.iter().map(|at| vec![0.0; real[*at].weights().len()]).collect()
    };
    host.progress(what, 0, inputs.len());
    let lanes: Vec<Vec<Vec<f64>>> = (0..LANES.min(inputs.len()))
        .into_par_iter()
        .map(|lane| {
            let mut sums = fresh();
            for (i, input) in inputs.iter().enumerate().skip(lane).step_by(LANES) {
                let run = program.run(input, &real);
                let outputs = run.raw(program.output()).len();
                let signs = signs(outputs, seed ^ (i as u64 + 1));
                let mut slopes = real.iter().map(Real::flat).collect::<Vec<_>>();
                program.back(&run, vec![(program.output(), signs)], &real, &mut slopes);
                for (sum, at) in sums.iter_mut().zip(&places) {
                    let each = real[*at].weights().iter().zip(&slopes[*at].weights);
                    sum.iter_mut().zip(each).for_each(|(s, (w, g))| *s += f64::from(w * g).powi(2));
                }
            }
            sums
        })
        .collect();
    host.progress(what, inputs.len(), inputs.len());
    let mut total = fresh();
    for lane in &lanes {
        for (to, from) in total.iter_mut().zip(lane) {
            to.iter_mut().zip(from).for_each(|(t, f)| *t += f / inputs.len() as f64);
        }
    }
    Ok(Ok(total))
}

/// How far changes of what a layer computes move the network's outputs, whose signal is 1.
pub struct Influence {
    /// For each output of the layer, the mean over samples of the squared slopes, added up over places and
    /// outputs of the network.
    pub filters: Vec<f64>,
    /// What each place of each sample counts for, 1 in the mean.
    pub places: Vec<Vec<f32>>,
}

/// The influence of some layers. `Ok(Err(why))` if slopes of the network are not known.
///
/// # Errors
/// If there is no data, or what is wrong with it.
pub fn influence(
    graph: &Graph,
    layers: &[NodeId],
    data: (Option<&str>, Option<usize>),
    (host, seed): (&dyn Host, u64),
) -> Result<Result<Vec<Influence>, String>, PassError> {
    let (program, real, places) = match prepared(graph, layers) {
        Ok(prepared) => prepared,
        Err(why) => return Ok(Err(why)),
    };
    let inputs = inputs(host, graph, data)?;
    let samples: Vec<&Vec<f32>> = inputs.iter().collect();
    let power = |x: &Vec<f32>| -> f64 {
        program.run(x, &real).raw(program.output()).iter().map(|y| f64::from(*y).powi(2)).sum()
    };
    let probes = samples.len().min(64);
    let signal = samples[..probes].iter().map(|x| power(x)).sum::<f64>() / probes.max(1) as f64;
    let values = [(program.output(), (1.0 / signal.max(1e-30)) as f32)];
    let mut all = Curvature::of(&program, &real, &samples, (&values, false), seed);
    let one = |at: &usize| {
        let Curvature { outputs, mut places, .. } = std::mem::take(&mut all[*at]);
        let count = places.iter().map(Vec::len).sum::<usize>().max(1) as f64;
        let mean = places.iter().flatten().map(|s| f64::from(*s)).sum::<f64>() / count;
        let share = ((1.0 - EVEN) / mean.max(1e-30)) as f32;
        places.iter_mut().flatten().for_each(|s| *s = EVEN as f32 + *s * share);
        Influence { filters: outputs, places }
    };
    Ok(Ok(places.iter().map(one).collect()))
}

/// What places count for at least: slopes at them are drawn by chance, and tell of small changes only.
const EVEN: f64 = 0.1;

/// The network as a program, its weights, and where the layers are in it.
fn prepared(graph: &Graph, layers: &[NodeId]) -> Result<(Program, Vec<Real>, Vec<usize>), String> {
    let program = whole(graph, DType::F32)?;
    let real = reals(&program, graph).ok_or("some weights are not constants of real numbers")?;
    let place = |id: &NodeId| program.layers().iter().position(|l| l == id);
    let places = layers.iter().map(place).collect::<Option<Vec<_>>>();
    let places = places.ok_or("some layers do not lead to the output")?;
    Ok((program, real, places))
}

#[cfg(test)]
mod tests {
    use super::*;
    use paring_ir::Executor;
    use paring_pass::Samples;
    use paring_tensor::Tensor;
    use std::sync::Arc;

    /// Gives 64 samples of two numbers.
    struct Given;

    impl Samples for Given {
        fn len(&self) -> usize {
            64
        }

        fn get(&self, i: usize) -> Result<Vec<Tensor>, String> {
            let x = (i as f32 - 31.5) / 32.0;
            Ok(vec![Tensor::from_vec([1, 2], vec![x, 2.0 * x]).map_err(|e| e.to_string())?])
        }
    }

    impl Host for Given {
        fn executor(&self) -> Result<&dyn Executor, PassError> {
            Err(PassError::Input("there is none".into()))
        }

        fn samples(&self, _: Option<&str>, _: &Graph) -> Result<Arc<dyn Samples>, PassError> {
            Ok(Arc::new(Given))
        }
    }

    #[test]
    fn a_linear_network_moves_by_the_square_of_weight_and_input() {
        let graph = paring_ir::text::parse(
            "graph @g {
               %x = input : f32[1,2]
               %w = const [3.0, 1.0] : f32[1,2]
               %h = dense(%x, %w) : f32[1,1]
               %v = const [1.0, 2.0] : f32[2,1]
               %y = dense(%h, %v) : f32[1,2]
               output %y
             }",
        )
        .unwrap();
        let first = graph.topological()[0];
        let found = taylor(&graph, &[first], (None, None), (&Given, 7, "")).unwrap().unwrap();
        let mean = (0..64).map(|i| ((f64::from(i) - 31.5) / 32.0).powi(2)).sum::<f64>() / 64.0;
        // Both outputs move: by x w and 2 x w, squared 5 (x w)², the signs' cross terms by chance aside.
        let (one, two) = (found[0][0] / (9.0 * mean), found[0][1] / (4.0 * mean));
        assert!((one - two).abs() < 1e-5 && (2.0..8.0).contains(&one), "{one} {two}");
    }
}
