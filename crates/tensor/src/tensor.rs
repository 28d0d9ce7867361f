use crate::{DType, Element, TensorError};
use bytes::Bytes;
use half::{bf16, f16};
use std::borrow::Cow;
use std::fmt;

/// A dense array in row-major order over shared bytes. Cloning shares the bytes.
///
/// Bytes that come from a file may lie at any address; [`view`](Tensor::view) borrows them where the
/// alignment allows and copies otherwise.
#[derive(Clone)]
pub struct Tensor {
    dtype: DType,
    shape: Vec<usize>,
    data: Bytes,
}

/// Lets a vector of elements be the owner of shared bytes without a copy.
struct Owner<T>(Vec<T>);

impl<T: Element> AsRef<[u8]> for Owner<T> {
    fn as_ref(&self) -> &[u8] {
        bytemuck::cast_slice(&self.0)
    }
}

fn byte_len(dtype: DType, shape: &[usize]) -> Result<usize, TensorError> {
    shape
        .iter()
        .try_fold(dtype.size(), |n, &d| n.checked_mul(d))
        .filter(|&n| isize::try_from(n).is_ok())
        .ok_or_else(|| TensorError::TooLarge(shape.to_vec()))
}

impl Tensor {
    /// A tensor over little-endian bytes, shared, not copied.
    ///
    /// # Errors
    /// If the length of the bytes is not what the shape needs.
    pub fn new(
        dtype: DType,
        shape: impl Into<Vec<usize>>,
        data: Bytes,
    ) -> Result<Self, TensorError> {
        let shape = shape.into();
        let needed = byte_len(dtype, &shape)?;
        if needed != data.len() {
            return Err(TensorError::Length { dtype, shape, needed, got: data.len() });
        }
        Ok(Self { dtype, shape, data })
    }

    /// A tensor that takes over a vector of elements.
    ///
    /// # Errors
    /// If the number of elements is not what the shape needs.
    pub fn from_vec<T: Element>(
        shape: impl Into<Vec<usize>>,
        elements: Vec<T>,
    ) -> Result<Self, TensorError> {
        Self::new(T::DTYPE, shape, Bytes::from_owner(Owner(elements)))
    }

    /// A scalar.
    pub fn scalar<T: Element>(value: T) -> Self {
        let data = Bytes::copy_from_slice(bytemuck::bytes_of(&value));
        Self { dtype: T::DTYPE, shape: Vec::new(), data }
    }

    /// A tensor of zeros.
    ///
    /// # Errors
    /// If the shape is too large for memory.
    pub fn zeros(dtype: DType, shape: impl Into<Vec<usize>>) -> Result<Self, TensorError> {
        let shape = shape.into();
        let mut data = Vec::new();
        let len = byte_len(dtype, &shape)?;
        data.try_reserve_exact(len).map_err(|_| TensorError::TooLarge(shape.clone()))?;
        data.resize(len, 0);
        Ok(Self { dtype, shape, data: data.into() })
    }

    /// The same bytes read as another element type of the same stored size, such as `i8` as `i4`
    /// or `u8` as `bool`.
    ///
    /// # Errors
    /// If the two element sizes differ.
    pub fn reinterpret(&self, dtype: DType) -> Result<Self, TensorError> {
        Self::new(dtype, self.shape.clone(), self.data.clone())
    }

    /// Element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        self.dtype
    }

    /// Extents, outermost first.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.data.len() / self.dtype.size()
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The stored bytes, little-endian.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.data
    }

    /// The elements, borrowed if the bytes are aligned and copied if not.
    ///
    /// # Errors
    /// If `T` is not how the elements are stored.
    pub fn view<T: Element>(&self) -> Result<Cow<'_, [T]>, TensorError> {
        if !T::stores(self.dtype) {
            return Err(TensorError::WrongDType { asked: T::DTYPE, actual: self.dtype });
        }
        Ok(match bytemuck::try_cast_slice(&self.data) {
            Ok(slice) => Cow::Borrowed(slice),
            Err(_) => Cow::Owned(bytemuck::allocation::pod_collect_to_vec(&self.data)),
        })
    }

    /// The same elements in another shape.
    ///
    /// # Errors
    /// If the number of elements differs.
    pub fn reshape(&self, shape: impl Into<Vec<usize>>) -> Result<Self, TensorError> {
        Self::new(self.dtype, shape, self.data.clone())
    }

    /// The axes in another order: axis `i` of the result is axis `perm[i]` of this tensor.
    ///
    /// # Errors
    /// If `perm` is not a permutation of the axes.
    pub fn transpose(&self, perm: &[usize]) -> Result<Self, TensorError> {
        let rank = self.shape.len();
        let mut seen = vec![false; rank];
        for &p in perm {
            if p >= rank || std::mem::replace(&mut seen[p], true) {
                return Err(TensorError::Shape(format!("{perm:?} does not reorder {rank} axes")));
            }
        }
        if perm.len() != rank {
            return Err(TensorError::Shape(format!("{perm:?} does not reorder {rank} axes")));
        }
        let shape: Vec<usize> = perm.iter().map(|&p| self.shape[p]).collect();
        if perm.iter().enumerate().all(|(i, &p)| i == p) {
            return Ok(self.clone());
        }
        let mut strides = vec![1_usize; rank];
        for i in (0..rank.saturating_sub(1)).rev() {
            strides[i] = strides[i + 1] * self.shape[i + 1];
        }
        let steps: Vec<usize> = perm.iter().map(|&p| strides[p]).collect();
        let size = self.dtype.size();
        let mut out = Vec::with_capacity(self.data.len());
        let mut index = vec![0_usize; rank];
        let mut offset = 0_usize;
        for _ in 0..self.len() {
            out.extend_from_slice(&self.data[offset * size..(offset + 1) * size]);
            for axis in (0..rank).rev() {
                index[axis] += 1;
                offset += steps[axis];
                if index[axis] < shape[axis] {
                    break;
                }
                offset -= steps[axis] * shape[axis];
                index[axis] = 0;
            }
        }
        Ok(Self { dtype: self.dtype, shape, data: out.into() })
    }

    /// The elements as `f64`, whatever their type; quantization is not applied.
    #[must_use]
    pub fn to_f64(&self) -> Vec<f64> {
        self.convert(|x| x, |x| x as f64)
    }

    /// The elements as `f32`, whatever their type; quantization is not applied.
    #[must_use]
    pub fn to_f32(&self) -> Vec<f32> {
        if self.dtype == DType::F32 {
            return bytemuck::allocation::pod_collect_to_vec(&self.data);
        }
        self.convert(|x| x as f32, |x| x as f32)
    }

    /// The elements as `i64`; floats are cut toward zero and saturate, `u64` saturates.
    #[must_use]
    pub fn to_i64(&self) -> Vec<i64> {
        self.convert(|x| x as i64, |x| x.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64)
    }

    fn convert<R>(&self, float: impl Fn(f64) -> R, int: impl Fn(i128) -> R) -> Vec<R> {
        macro_rules! each {
            ($t:ty, $f:expr) => {
                self.data
                    .chunks_exact(size_of::<$t>())
                    .map(|b| $f(bytemuck::pod_read_unaligned::<$t>(b)))
                    .collect()
            };
        }
        match self.dtype {
            DType::F32 => each!(f32, |x| float(f64::from(x))),
            DType::F64 => each!(f64, &float),
            DType::F16 => each!(f16, |x: f16| float(x.to_f64())),
            DType::BF16 => each!(bf16, |x: bf16| float(x.to_f64())),
            DType::I4 | DType::I8 => each!(i8, |x| int(i128::from(x))),
            DType::U8 | DType::Bool => each!(u8, |x| int(i128::from(x))),
            DType::I16 => each!(i16, |x| int(i128::from(x))),
            DType::U16 => each!(u16, |x| int(i128::from(x))),
            DType::I32 => each!(i32, |x| int(i128::from(x))),
            DType::U32 => each!(u32, |x| int(i128::from(x))),
            DType::I64 => each!(i64, |x| int(i128::from(x))),
            DType::U64 => each!(u64, |x| int(i128::from(x))),
        }
    }

    /// The elements converted to another type: floats to integers cut toward zero and saturate,
    /// integers to narrower ones wrap, anything to `bool` is "not zero".
    #[must_use]
    pub fn cast(&self, dtype: DType) -> Self {
        if dtype == self.dtype {
            return self.clone();
        }
        macro_rules! ints {
            ($t:ty) => {
                Owner(self.convert(|x| x as $t, |x| x as $t)).as_ref().to_vec()
            };
        }
        let data: Vec<u8> = match dtype {
            DType::F32 => ints!(f32),
            DType::F64 => ints!(f64),
            DType::F16 => {
                Owner(self.convert(f16::from_f64, |x| f16::from_f64(x as f64))).as_ref().to_vec()
            }
            DType::BF16 => {
                Owner(self.convert(bf16::from_f64, |x| bf16::from_f64(x as f64))).as_ref().to_vec()
            }
            DType::I4 => {
                self.convert(|x| (x as i64).clamp(-8, 7) as u8, |x| (((x as i8) << 4) >> 4) as u8)
            }
            DType::I8 => ints!(i8),
            DType::U8 => ints!(u8),
            DType::I16 => ints!(i16),
            DType::U16 => ints!(u16),
            DType::I32 => ints!(i32),
            DType::U32 => ints!(u32),
            DType::I64 => ints!(i64),
            DType::U64 => ints!(u64),
            DType::Bool => self.convert(|x| u8::from(x != 0.0), |x| u8::from(x != 0)),
        };
        Self { dtype, shape: self.shape.clone(), data: data.into() }
    }
}

impl PartialEq for Tensor {
    /// Same type, shape and bytes: NaNs of one bit pattern are equal, `0.0` and `-0.0` are not.
    fn eq(&self, other: &Self) -> bool {
        self.dtype == other.dtype && self.shape == other.shape && self.data == other.data
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{:?}", self.dtype, self.shape)?;
        let head: Vec<f64> = Self {
            dtype: self.dtype,
            shape: vec![self.len().min(8)],
            data: self.data.slice(..self.len().min(8) * self.dtype.size()),
        }
        .to_f64();
        write!(f, " {head:?}{}", if self.len() > 8 { " .." } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unaligned_bytes_are_read_right() {
        let raw = Bytes::from(vec![9, 1, 0, 0, 0, 2, 0, 0, 0]).slice(1..);
        let t = Tensor::new(DType::I32, [2], raw).unwrap();
        assert_eq!(t.view::<i32>().unwrap().as_ref(), [1, 2]);
    }

    #[test]
    fn lengths_and_overflow_are_errors() {
        assert!(Tensor::new(DType::F32, [2], Bytes::from_static(&[0; 7])).is_err());
        assert!(matches!(
            Tensor::zeros(DType::F32, [usize::MAX, 2]),
            Err(TensorError::TooLarge(_))
        ));
        assert!(Tensor::zeros(DType::F32, [1]).unwrap().view::<i8>().is_err());
    }

    #[test]
    fn transpose_moves_axes() {
        let t = Tensor::from_vec([2, 3], vec![1_i16, 2, 3, 4, 5, 6]).unwrap();
        let u = t.transpose(&[1, 0]).unwrap();
        assert_eq!(u.shape(), [3, 2]);
        assert_eq!(u.view::<i16>().unwrap().as_ref(), [1, 4, 2, 5, 3, 6]);
        assert_eq!(u.transpose(&[1, 0]).unwrap(), t);
        assert!(t.transpose(&[0, 0]).is_err());
        assert!(t.transpose(&[0]).is_err());
    }

    #[test]
    fn casts_follow_the_stated_rules() {
        let t = Tensor::from_vec([4], vec![-1.9_f32, 300.0, 0.0, f32::NAN]).unwrap();
        assert_eq!(t.cast(DType::I8).view::<i8>().unwrap().as_ref(), [-1, 127, 0, 0]);
        assert_eq!(t.cast(DType::Bool).view::<u8>().unwrap().as_ref(), [1, 1, 0, 1]);
        let i = Tensor::from_vec([2], vec![257_i32, -1]).unwrap();
        assert_eq!(i.cast(DType::U8).view::<u8>().unwrap().as_ref(), [1, 255]);
        assert_eq!(i.cast(DType::I4).view::<i8>().unwrap().as_ref(), [1, -1]);
    }
}
