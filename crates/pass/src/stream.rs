use crate::{Host, PassError, Samples};
use paring_ir::{Graph, Session, ValueId};
use paring_tensor::Tensor;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Runs a network on calibration data, several samples at a time, and shows the values it computes.
///
/// The samples are dealt to a fixed number of *lanes*, sample `i` to lane `i % LANES`. Each lane runs
/// its samples in order and gathers into an accumulator of its own, so that sums come out the same
/// on any number of threads.
pub struct Stream<'a> {
    host: &'a dyn Host,
    samples: Arc<dyn Samples>,
    count: usize,
    lanes: Vec<Vec<Box<dyn Session>>>,
}

impl<'a> Stream<'a> {
    /// Number of lanes.
    pub const LANES: usize = 8;

    /// Prepares the network and opens the data; the first `limit` samples are used. Symbolic batch
    /// sizes become 1.
    ///
    /// # Errors
    /// If there is no executor, no data, or the executor refuses the network.
    pub fn open(
        host: &'a dyn Host,
        graph: &Graph,
        data: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Self, PassError> {
        Self::open_all(host, &[graph], data, limit)
    }

    /// As [`open`](Self::open), for several forms of one network that all run on each sample. The data
    /// is shaped for the first.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_all(
        host: &'a dyn Host,
        graphs: &[&Graph],
        data: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Self, PassError> {
        let executor = host.executor()?;
        let Some(first) = graphs.first() else {
            return Err(PassError::Internal("a stream of no network".into()));
        };
        let samples = host.samples(data, first)?;
        let count = limit.map_or(samples.len(), |n| n.min(samples.len()));
        if count == 0 {
            return Err(PassError::Input("there are no samples to calibrate with".into()));
        }
        let sessions: Vec<Box<dyn Session>> =
            graphs.iter().map(|g| prepare(executor, g)).collect::<Result<_, _>>()?;
        let fork = |_| sessions.iter().map(|s| s.fork()).collect();
        let mut lanes: Vec<Vec<_>> = (1..Self::LANES.min(count)).map(fork).collect();
        lanes.push(sessions);
        Ok(Self { host, samples, count, lanes })
    }

    /// How many samples there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are no samples; [`open`](Self::open) never gives such a stream.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// An accumulator for each lane that will run.
    pub fn accumulators<A>(&self, make: impl Fn() -> A) -> Vec<A> {
        self.lanes.iter().map(|_| make()).collect()
    }

    /// Runs the samples of a range and shows `see` every input and computed value of each, with the
    /// lane's accumulator and the sample's index. `done` beside `what` is what progress begins at.
    ///
    /// # Errors
    /// What is wrong with a sample, or kept the network from running; of the earliest lane.
    pub fn run<A: Send>(
        &mut self,
        what: &str,
        range: Range<usize>,
        accumulators: &mut [A],
        see: impl Fn(&mut A, usize, ValueId, &Tensor) + Sync,
    ) -> Result<(), PassError> {
        self.run_all(what, range, accumulators, |acc, sample, _, v, t| see(acc, sample, v, t))
    }

    /// As [`run`](Self::run); `see` is also told which of the networks computed the value. All
    /// networks run on a sample before the next one.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_all<A: Send>(
        &mut self,
        what: &str,
        range: Range<usize>,
        accumulators: &mut [A],
        see: impl Fn(&mut A, usize, usize, ValueId, &Tensor) + Sync,
    ) -> Result<(), PassError> {
        let lanes = self.lanes.len();
        let range = range.start..range.end.min(self.count);
        let done = AtomicUsize::new(range.start);
        let (host, samples, total) = (self.host, &self.samples, self.count);
        let one = |lane: usize, sessions: &mut Vec<Box<dyn Session>>, acc: &mut A| {
            for sample in range.clone().filter(|i| i % lanes == lane) {
                let inputs = samples.get(sample).map_err(PassError::Input)?;
                for (network, session) in sessions.iter_mut().enumerate() {
                    session.reset();
                    session.run_observed(&inputs, &mut |v, t| see(acc, sample, network, v, t))?;
                }
                host.progress(what, done.fetch_add(1, Ordering::Relaxed) + 1, total);
            }
            Ok(())
        };
        let results: Vec<Result<(), PassError>> = self
            .lanes
            .par_iter_mut()
            .zip(accumulators.par_iter_mut())
            .enumerate()
            .map(|(lane, (sessions, acc))| one(lane, sessions, acc))
            .collect();
        results.into_iter().collect()
    }
}

/// A session over a graph whose symbolic batch sizes are 1.
///
/// # Errors
/// If the executor refuses the network, or a dimension that is not a batch is unbound.
pub fn prepare(
    executor: &dyn paring_ir::Executor,
    graph: &Graph,
) -> Result<Box<dyn Session>, PassError> {
    let batches: BTreeMap<String, usize> = graph
        .inputs()
        .iter()
        .filter_map(|p| graph.ty(p.value).shape.dims().first())
        .filter(|d| d.fixed().is_none())
        .map(|d| (d.to_string(), 1))
        .collect();
    let bound = graph.bind(&batches)?;
    let verified = bound.verified().map_err(PassError::Faulty)?;
    Ok(executor.prepare(verified)?)
}
