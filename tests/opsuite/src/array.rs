use paring_tensor::{DType, Tensor};

/// A dense array of real numbers that is read and made by index.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// Extents.
    pub shape: Vec<usize>,
    /// Elements in row-major order.
    pub data: Vec<f64>,
}

impl Array {
    /// The elements of a tensor.
    #[must_use]
    pub fn of(tensor: &Tensor) -> Self {
        Self { shape: tensor.shape().to_vec(), data: tensor.to_f64() }
    }

    /// An array whose elements are a function of their index.
    pub fn from_fn(shape: &[usize], mut f: impl FnMut(&[usize]) -> f64) -> Self {
        let len: usize = shape.iter().product();
        let mut index = vec![0; shape.len()];
        let mut data = Vec::with_capacity(len);
        for i in 0..len {
            let mut rest = i;
            for axis in (0..shape.len()).rev() {
                index[axis] = rest % shape[axis];
                rest /= shape[axis];
            }
            data.push(f(&index));
        }
        Self { shape: shape.to_vec(), data }
    }

    /// The element at an index.
    ///
    /// # Panics
    /// If the index is outside.
    #[must_use]
    pub fn at(&self, index: &[usize]) -> f64 {
        assert_eq!(index.len(), self.shape.len());
        let at = index.iter().zip(&self.shape).fold(0, |at, (i, n)| {
            assert!(i < n, "{index:?} in {:?}", self.shape);
            at * n + i
        });
        self.data[at]
    }

    /// The element at an index that may lie outside, where the array is zero.
    #[must_use]
    pub fn padded(&self, index: &[i64]) -> f64 {
        let inside: Option<Vec<usize>> = index
            .iter()
            .zip(&self.shape)
            .map(|(i, n)| usize::try_from(*i).ok().filter(|i| i < n))
            .collect();
        inside.map_or(0.0, |i| self.at(&i))
    }

    /// The element that NumPy's broadcasting brings to an index of a larger shape.
    #[must_use]
    pub fn broadcast(&self, index: &[usize]) -> f64 {
        let missing = index.len() - self.shape.len();
        let own: Vec<usize> = index[missing..]
            .iter()
            .zip(&self.shape)
            .map(|(i, n)| if *n == 1 { 0 } else { *i })
            .collect();
        self.at(&own)
    }

    /// A function of each element.
    #[must_use]
    pub fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        Self { shape: self.shape.clone(), data: self.data.iter().map(|x| f(*x)).collect() }
    }

    /// As a tensor.
    #[must_use]
    pub fn tensor(&self, dtype: DType) -> Tensor {
        let t = Tensor::from_vec(self.shape.clone(), self.data.clone());
        t.unwrap_or_else(|e| panic!("{e}")).cast(dtype)
    }
}
