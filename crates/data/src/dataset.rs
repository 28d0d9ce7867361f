use crate::rng::Rng;
use crate::{DataError, Result};
use paring_tensor::{Bytes, Tensor};

/// One sample: the model's inputs without a batch axis, and the class if it is known.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// One tensor a model input; pictures are height, width, channels.
    pub inputs: Vec<Tensor>,
    /// Class index.
    pub label: Option<usize>,
}

/// Samples that can be read in any order and from many threads, each when it is asked for.
pub trait Dataset: Send + Sync {
    /// Number of samples.
    fn len(&self) -> usize;

    /// Whether there are no samples.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads a sample.
    ///
    /// # Errors
    /// If `index` is not below the length, or the file behind it is damaged.
    fn sample(&self, index: usize) -> Result<Sample>;

    /// Class names by label, where the data set has them.
    fn classes(&self) -> &[String] {
        &[]
    }
}

impl<D: Dataset + ?Sized> Dataset for Box<D> {
    fn len(&self) -> usize {
        (**self).len()
    }

    fn sample(&self, index: usize) -> Result<Sample> {
        (**self).sample(index)
    }

    fn classes(&self) -> &[String] {
        (**self).classes()
    }
}

/// Refuses an index beyond the end.
pub(crate) fn check_index(index: usize, len: usize) -> Result<()> {
    if index < len { Ok(()) } else { Err(DataError::Index { index, len }) }
}

/// Some samples of another data set, in a stated order.
pub struct Subset<D> {
    data: D,
    indices: Vec<usize>,
}

impl<D: Dataset> Subset<D> {
    /// The samples at these indices, in this order.
    ///
    /// # Errors
    /// If an index is beyond the end.
    pub fn new(data: D, indices: Vec<usize>) -> Result<Self> {
        let len = data.len();
        indices.iter().try_for_each(|&index| check_index(index, len))?;
        Ok(Self { data, indices })
    }

    /// The samples that `select` picks.
    pub fn select(data: D, select: &Select) -> Self {
        let indices = select.indices(data.len());
        Self { data, indices }
    }

    /// Which samples of the whole these are.
    #[must_use]
    pub fn indices(&self) -> &[usize] {
        &self.indices
    }
}

impl<D: Dataset> Dataset for Subset<D> {
    fn len(&self) -> usize {
        self.indices.len()
    }

    fn sample(&self, index: usize) -> Result<Sample> {
        check_index(index, self.indices.len())?;
        self.data.sample(self.indices[index])
    }

    fn classes(&self) -> &[String] {
        self.data.classes()
    }
}

/// Which samples to take: shuffled first if a seed is given, then from `offset` on every
/// `stride`-th, then the first `limit` of those.
///
/// ```
/// use paring_data::Select;
///
/// let every_third = Select { stride: Some(3), limit: Some(2), ..Select::default() };
/// assert_eq!(every_third.indices(10), [0, 3]);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Select {
    /// Seed of a shuffle; none keeps the order.
    pub shuffle: Option<u64>,
    /// Samples to leave out at the start.
    pub offset: Option<usize>,
    /// Take every so many; zero counts as one.
    pub stride: Option<usize>,
    /// Take at most so many.
    pub limit: Option<usize>,
}

impl Select {
    /// Indices of the samples taken out of `len`. The same seed gives the same order on every
    /// machine.
    #[must_use]
    pub fn indices(&self, len: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..len).collect();
        if let Some(seed) = self.shuffle {
            Rng::new(seed, 0).shuffle(&mut order);
        }
        order
            .into_iter()
            .skip(self.offset.unwrap_or(0))
            .step_by(self.stride.unwrap_or(1).max(1))
            .take(self.limit.unwrap_or(usize::MAX))
            .collect()
    }
}

/// The inputs of several samples as one batch: each with a leading sample axis.
///
/// # Errors
/// If the samples differ in number, type or shape of their inputs.
pub fn stack(samples: &[Sample]) -> Result<Vec<Tensor>> {
    let Some(first) = samples.first() else { return Ok(Vec::new()) };
    let differ = |what: String| DataError::Mismatch(format!("samples of one batch: {what}"));
    let stack_input = |k: usize, like: &Tensor| {
        let mut bytes = Vec::with_capacity(like.bytes().len() * samples.len());
        for sample in samples {
            let input = sample.inputs.get(k).ok_or_else(|| differ(format!("no input {k}")))?;
            if input.dtype() != like.dtype() || input.shape() != like.shape() {
                return Err(differ(format!(
                    "input {k} is {}{:?} and {}{:?}",
                    like.dtype(),
                    like.shape(),
                    input.dtype(),
                    input.shape()
                )));
            }
            bytes.extend_from_slice(input.bytes());
        }
        let shape: Vec<usize> = [samples.len()].iter().chain(like.shape()).copied().collect();
        Tensor::new(like.dtype(), shape, Bytes::from(bytes)).map_err(|e| differ(e.to_string()))
    };
    first.inputs.iter().enumerate().map(|(k, like)| stack_input(k, like)).collect()
}
