//! What a file says of its tensors, checked.

use crate::budget::Budget;
use crate::error::{ReadError, Result};
use crate::flat::{Damaged, Item, Vector};
use crate::schema::{BufferRef, ModelRef, SubGraphRef, TensorRef};
use crate::sparse;
use paring_tensor::{Bytes, ConstData, DType, Quant, Tensor, TensorType};

/// More axes than any kernel of the format has.
const LARGEST_RANK: usize = 32;

/// A tensor of a subgraph.
pub(crate) struct TensorInfo<'a> {
    /// Its name, or one made from its index where the file has none.
    pub(crate) name: String,
    /// The element type, as the format numbers it.
    type_code: i8,
    pub(crate) shape: Vec<usize>,
    /// Whether it keeps its contents from run to run.
    pub(crate) variable: bool,
    /// The contents, if it is a constant.
    data: Option<Bytes>,
    table: TensorRef<'a>,
}

/// The element type of a number of the format; `None` for types that graphs do not have.
pub(crate) fn dtype(code: i8) -> Option<DType> {
    Some(match code {
        0 => DType::F32,
        1 => DType::F16,
        2 => DType::I32,
        3 => DType::U8,
        4 => DType::I64,
        6 => DType::Bool,
        7 => DType::I16,
        9 => DType::I8,
        10 => DType::F64,
        12 => DType::U64,
        15 => DType::U32,
        16 => DType::U16,
        17 => DType::I4,
        18 => DType::BF16,
        _ => return None,
    })
}

/// Names of the element types that graphs do not have.
fn foreign_type(code: i8) -> String {
    match code {
        5 => "strings",
        8 | 11 => "complex numbers",
        13 => "resource handles",
        14 => "variants",
        19 => "2-bit integers",
        20 => "unsigned 4-bit integers",
        21 | 22 => "8-bit floats",
        _ => return format!("elements of unknown type {code}"),
    }
    .to_owned()
}

/// A dimension or index that must not be negative.
pub(crate) fn natural(what: &str, n: i64) -> Result<usize> {
    usize::try_from(n).map_err(|_| ReadError::malformed(format!("{what} is {n}")))
}

/// Collects a vector of numbers, bounded by the budget.
pub(crate) fn numbers<'a, T>(
    budget: &mut Budget,
    vector: Option<Vector<'a, T>>,
) -> Result<Option<Vec<T>>>
where
    T: Item<'a, Out = T>,
{
    let Some(vector) = vector else { return Ok(None) };
    budget.take(vector.len().saturating_mul(size_of::<T>()))?;
    Ok(Some(vector.iter().collect()))
}

impl<'a> TensorInfo<'a> {
    fn new(
        index: usize,
        table: TensorRef<'a>,
        buffers: Option<Vector<'a, BufferRef<'a>>>,
        file: &Bytes,
        budget: &mut Budget,
    ) -> Result<Self> {
        // A name that is not text does not make the model useless.
        let name = table.name().ok().flatten().unwrap_or_default();
        budget.take(name.len().saturating_add(128))?;
        let name = if name.is_empty() { format!("tensor_{index}") } else { name.to_owned() };
        let shape = numbers(budget, table.shape()?)?.unwrap_or_default();
        if shape.len() > LARGEST_RANK {
            return Err(ReadError::malformed(format!("has {} dimensions", shape.len())));
        }
        let shape = shape.into_iter().map(|n| natural("a dimension", i64::from(n)));
        let shape = shape.collect::<Result<Vec<_>>>()?;
        let data = data(table.buffer()?, buffers, file)?;
        let variable = table.is_variable()?;
        Ok(Self { name, type_code: table.type_()?, shape, variable, data, table })
    }

    /// The element type.
    pub(crate) fn dtype(&self) -> Result<DType> {
        dtype(self.type_code).ok_or_else(|| {
            ReadError::unsupported(format!(
                "tensor `{}` holds {}",
                self.name,
                foreign_type(self.type_code)
            ))
        })
    }

    /// Whether the file holds its contents.
    pub(crate) fn is_const(&self) -> bool {
        // An empty tensor has no bytes to hold; its buffer tells it apart from a computed one.
        self.data.is_some() && !self.variable
    }

    /// Whether an empty buffer is all there can be.
    pub(crate) fn is_empty(&self) -> bool {
        self.shape.contains(&0)
    }

    /// The quantization, if the tensor has one that means something.
    ///
    /// Floats carry the range seen in training here, and tensors that are not quantized an empty or
    /// zero scale.
    pub(crate) fn quant(&self, budget: &mut Budget) -> Result<Option<Quant>> {
        let Some(table) = self.table.quantization()? else { return Ok(None) };
        let integer = self.dtype().is_ok_and(DType::is_integer);
        let scales = numbers(budget, table.scale()?)?.unwrap_or_default();
        if !integer || scales.is_empty() || scales == [0.0] {
            return Ok(None);
        }
        if table.details()?.is_some() {
            return Err(ReadError::unsupported(format!(
                "tensor `{}` has a custom quantization",
                self.name
            )));
        }
        let zeros = numbers(budget, table.zero_point()?)?.unwrap_or_default();
        let zeros = zeros
            .into_iter()
            .map(|z| i32::try_from(z).map_err(|_| ReadError::malformed(format!("zero point {z}"))))
            .collect::<Result<Vec<_>>>()?;
        let zeros = match zeros.len() {
            0 => vec![0; scales.len()],
            n if n == scales.len() => zeros,
            1 => vec![zeros[0]; scales.len()],
            n => {
                return Err(ReadError::malformed(format!(
                    "{} scales but {n} zero points",
                    scales.len()
                )));
            }
        };
        let mut scales = scales;
        if self.is_const() {
            make_positive(&mut scales);
        }
        if let ([scale], [zero]) = (scales.as_slice(), zeros.as_slice()) {
            return Ok(Some(Quant::per_tensor(*scale, *zero)));
        }
        // Vectors have one axis, whatever the file says: old converters wrote the axis of the
        // weights for the bias.
        let axis = if self.shape.len() == 1 {
            0
        } else {
            natural("the quantized dimension", i64::from(table.quantized_dimension()?))?
        };
        Ok(Some(Quant::PerAxis { axis, scales: scales.into(), zero_points: zeros.into() }))
    }

    /// Element type, shape and quantization, which fit each other.
    pub(crate) fn ty(&self, budget: &mut Budget) -> Result<TensorType> {
        let ty = TensorType {
            dtype: self.dtype()?,
            shape: self.shape.as_slice().into(),
            quant: self.quant(budget)?,
        };
        ty.check()?;
        Ok(ty)
    }

    /// The contents of a constant.
    pub(crate) fn constant(&self, budget: &mut Budget) -> Result<Option<ConstData>> {
        let Some(bytes) = &self.data else { return Ok(None) };
        let dtype = self.dtype()?;
        if let Some(sparsity) = self.table.sparsity()? {
            if dtype.bits() < 8 {
                return Err(ReadError::unsupported(format!("sparse storage of {dtype} elements")));
            }
            let quant = self.quant(budget)?;
            let zeros = quant.as_ref().map_or(&[0][..], Quant::zero_points);
            let fill = zeros.first().copied().unwrap_or(0);
            if zeros.iter().any(|z| *z != fill) {
                return Err(ReadError::unsupported("sparse storage with many zero points"));
            }
            let sparse =
                sparse::read(&sparsity, dtype, &self.shape, i64::from(fill), bytes, budget)?;
            return Ok(Some(ConstData::Sparse(sparse)));
        }
        let tensor = match dtype {
            DType::I4 => {
                budget.take(bytes.len().saturating_mul(2))?;
                Tensor::new(dtype, self.shape.clone(), unpack_i4(bytes, &self.shape)?)?
            }
            _ => Tensor::new(dtype, self.shape.clone(), bytes.clone())?,
        };
        if dtype == DType::Bool && tensor.bytes().iter().any(|b| *b > 1) {
            return Err(ReadError::malformed("a boolean is neither 0 nor 1"));
        }
        Ok(Some(self.fix_signs(tensor, budget)?.into()))
    }

    /// Elements for the scales that [`quant`](Self::quant) gives, see [`make_positive`].
    fn fix_signs(&self, tensor: Tensor, budget: &mut Budget) -> Result<Tensor> {
        let Some(table) = self.table.quantization()? else { return Ok(tensor) };
        let scales = numbers(budget, table.scale()?)?.unwrap_or_default();
        let Some(quant) = self.quant(budget)? else { return Ok(tensor) };
        if scales.iter().all(|s| *s > 0.0) {
            return Ok(tensor);
        }
        let axis = match &quant {
            Quant::PerAxis { axis, .. } if *axis < self.shape.len() => *axis,
            Quant::PerAxis { .. } => return Ok(tensor),
            _ => 0,
        };
        let inner = match scales.len() {
            1 => tensor.len().max(1),
            _ => self.shape[axis + 1..].iter().product::<usize>().max(1),
        };
        let (low, high) = tensor.dtype().int_range().unwrap_or((i64::MIN, i64::MAX));
        budget.take(tensor.len().saturating_mul(24))?;
        let mut elements = tensor.to_i64();
        for (i, x) in elements.iter_mut().enumerate() {
            let c = i / inner % scales.len();
            let zero = i64::from(quant.zero_points().get(c).copied().unwrap_or(0));
            if scales[c] == 0.0 {
                *x = zero;
            } else if scales[c] < 0.0 {
                *x = zero.saturating_mul(2).saturating_sub(*x);
            }
            if !(low..=high).contains(x) {
                return Err(ReadError::unsupported(format!(
                    "`{}` has a negative scale and an element without a negative",
                    self.name
                )));
            }
        }
        Ok(Tensor::from_vec(self.shape.clone(), elements)?.cast(tensor.dtype()))
    }
}

/// Some converters give weights negative or zero scales. Graphs have positive ones: the elements
/// change their sign instead, or become zero, which leaves the real numbers, and with them every
/// product and its rounding, as they are.
fn make_positive(scales: &mut [f32]) {
    let largest = scales.iter().copied().filter(|s| s.is_finite()).fold(0.0_f32, f32::max);
    for s in scales {
        if *s == 0.0 {
            *s = if largest > 0.0 { largest } else { 1.0 };
        } else if *s < 0.0 {
            *s = -*s;
        }
    }
}

/// Two elements a byte, the first in the low half.
fn unpack_i4(bytes: &[u8], shape: &[usize]) -> Result<Bytes> {
    let count = shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d));
    let count = count.filter(|n| n.div_ceil(2) == bytes.len()).ok_or_else(|| {
        ReadError::malformed(format!("{} bytes of 4-bit elements for shape {shape:?}", bytes.len()))
    })?;
    let sign = |nibble: u8| ((nibble << 4) as i8 >> 4) as u8;
    let mut out = Vec::with_capacity(count);
    out.extend(bytes.iter().flat_map(|b| [sign(b & 15), sign(b >> 4)]).take(count));
    Ok(out.into())
}

/// The bytes of a buffer: inside of the tables, or after them in files over two gigabytes. The empty
/// buffer stands for no contents.
fn data<'a>(
    index: u32,
    buffers: Option<Vector<'a, BufferRef<'a>>>,
    file: &Bytes,
) -> Result<Option<Bytes>> {
    if index == 0 {
        return Ok(None);
    }
    let buffer = buffers
        .and_then(|b| b.get(index as usize))
        .ok_or_else(|| ReadError::malformed(format!("buffer {index} does not exist")))??;
    if let Some(data) = buffer.data()?
        && !data.is_empty()
    {
        return Ok(Some(file.slice_ref(data)));
    }
    let (offset, size) = (buffer.offset()?, buffer.size()?);
    if offset <= 1 || size == 0 {
        return Ok(None);
    }
    let range = usize::try_from(offset).ok().zip(usize::try_from(size).ok()).and_then(|(o, s)| {
        let end = o.checked_add(s)?;
        (end <= file.len()).then_some(o..end)
    });
    match range {
        Some(range) => Ok(Some(file.slice(range))),
        None => Err(ReadError::malformed(format!(
            "buffer {index} of {size} bytes at {offset} lies outside of the file of {} bytes",
            file.len()
        ))),
    }
}

/// All tensors of a subgraph; a fault names the tensor.
pub(crate) fn tensors<'a>(
    model: &ModelRef<'a>,
    subgraph: &SubGraphRef<'a>,
    file: &Bytes,
    budget: &mut Budget,
) -> Result<Vec<TensorInfo<'a>>> {
    let buffers = model.buffers()?;
    let Some(tensors) = subgraph.tensors()? else { return Ok(Vec::new()) };
    budget.take(tensors.len())?;
    let read = |(i, table): (usize, Result<TensorRef<'a>, Damaged>)| {
        let info = table
            .map_err(ReadError::from)
            .and_then(|table| TensorInfo::new(i, table, buffers, file, budget));
        info.map_err(|e| e.at(|| format!("tensor {i}")))
    };
    tensors.iter().enumerate().map(read).collect()
}
