//! Sparse storage: a tree of levels, one an axis (axes of blocks last), each dense or compressed.

use crate::budget::Budget;
use crate::error::{ReadError, Result};
use crate::export::int;
use crate::model::{natural, numbers};
use crate::schema::{self, DimensionMetadataRef, SparseIndexVectorRef, SparsityParametersRef};
use paring_tensor::{Bytes, ConstData, DType, Sparse, Tensor};

enum Level {
    Dense(usize),
    /// As the rows of a compressed sparse matrix: where the indices of each parent begin, and the
    /// indices.
    Compressed(Vec<usize>, Vec<usize>),
}

impl Level {
    fn read(table: &DimensionMetadataRef<'_>, budget: &mut Budget) -> Result<Self> {
        match table.format()? {
            0 => Ok(Self::Dense(natural("a dense level", i64::from(table.dense_size()?))?)),
            1 => {
                let segments = indices(table.array_segments()?, budget)?;
                let indices = indices(table.array_indices()?, budget)?;
                let ascending = segments.is_sorted() && segments.first() == Some(&0);
                if !ascending || segments.last() != Some(&indices.len()) {
                    return Err(ReadError::malformed(
                        "the segments of a sparse level do not cover its indices in order",
                    ));
                }
                Ok(Self::Compressed(segments, indices))
            }
            other => Err(ReadError::malformed(format!("sparse level format {other}"))),
        }
    }
}

fn indices(vector: Option<SparseIndexVectorRef<'_>>, budget: &mut Budget) -> Result<Vec<usize>> {
    fn widen<T: TryInto<usize>>(values: Option<Vec<T>>) -> Result<Vec<usize>> {
        let values = values.unwrap_or_default().into_iter().map(TryInto::try_into);
        values.collect::<Result<_, _>>().map_err(|_| ReadError::malformed("a negative index"))
    }
    match vector {
        Some(SparseIndexVectorRef::Int32Vector(v)) => widen(numbers(budget, v.values()?)?),
        Some(SparseIndexVectorRef::Uint16Vector(v)) => widen(numbers(budget, v.values()?)?),
        Some(SparseIndexVectorRef::Uint8Vector(v)) => {
            let bytes = v.values()?.unwrap_or_default();
            budget.take(bytes.len().saturating_mul(8))?;
            Ok(bytes.iter().map(|b| usize::from(*b)).collect())
        }
        Some(SparseIndexVectorRef::Other(tag)) => {
            Err(ReadError::unsupported(format!("indices of a sparse level in form {tag}")))
        }
        None => Err(ReadError::malformed("a sparse level has no indices")),
    }
}

/// The constant that `stored` holds the elements of. `unpack` makes stored bytes of this many elements
/// of what lies in the file.
pub(crate) fn read(
    table: &SparsityParametersRef<'_>,
    dtype: DType,
    shape: &[usize],
    fill: i64,
    stored: &Bytes,
    budget: &mut Budget,
) -> Result<Sparse> {
    let order = numbers(budget, table.traversal_order()?)?.unwrap_or_default();
    let order = order.into_iter().map(|a| natural("the traversal order", i64::from(a)));
    let order = order.collect::<Result<Vec<_>>>()?;
    let map = numbers(budget, table.block_map()?)?.unwrap_or_default();
    let map = map.into_iter().map(|a| natural("the block map", i64::from(a)));
    let map = map.collect::<Result<Vec<_>>>()?;
    let mut levels = Vec::new();
    for level in table.dim_metadata()?.into_iter().flatten() {
        budget.take(64)?;
        levels.push(Level::read(&level?, budget)?);
    }
    let rank = shape.len();
    let mut sorted = order.clone();
    sorted.sort_unstable();
    let permutes = map.len() <= rank && sorted.iter().copied().eq(0..rank + map.len());
    let blocks_last = order.len() >= rank && order[..rank].iter().all(|a| *a < rank);
    if !permutes || !blocks_last || levels.len() != order.len() || map.iter().any(|a| *a >= rank) {
        return Err(ReadError::malformed(format!(
            "the traversal order {order:?} with blocks along {map:?} and {} levels does not fit rank {rank}",
            levels.len()
        )));
    }
    // Extents of a block along each axis.
    let mut block = vec![1; rank];
    for (axis, level) in order.iter().zip(&levels).skip(rank) {
        let axis = map[*axis - rank];
        match level {
            Level::Dense(n) if *n > 0 && block[axis] == 1 => block[axis] = *n,
            _ => return Err(ReadError::unsupported("blocks that are sparse in themselves")),
        }
    }
    if shape.iter().zip(&block).any(|(n, b)| n % b != 0) {
        return Err(ReadError::malformed(format!("blocks of {block:?} in shape {shape:?}")));
    }
    let size = dtype.size();
    let total = shape.iter().try_fold(1_usize, |n, d| n.checked_mul(*d));
    let bytes = total.and_then(|n| n.checked_mul(size)).unwrap_or(usize::MAX);
    budget.expand(bytes)?;
    let total = bytes / size;
    let zero = Tensor::scalar(fill).cast(dtype);
    let mut dense = zero.bytes().repeat(total);
    let mut walk = Walk {
        levels: &levels,
        order: &order,
        map: &map,
        shape,
        block: &block,
        at: vec![0; order.len()],
        next: 0,
        // Dense levels can be walked without any element being stored.
        steps: bytes.saturating_mul(4).saturating_add(1 << 10),
    };
    walk.level(0, 0, &mut |element, index| {
        let from = stored.get(element * size..(element + 1) * size);
        let to = dense.get_mut(index * size..(index + 1) * size);
        match (from, to) {
            (Some(from), Some(to)) => {
                to.copy_from_slice(from);
                Ok(())
            }
            _ => Err(ReadError::malformed(format!(
                "element {element} is missing: {} bytes are stored",
                stored.len()
            ))),
        }
    })?;
    if walk.next * size != stored.len() {
        let (used, has) = (walk.next * size, stored.len());
        return Err(ReadError::malformed(format!("{used} of {has} stored bytes belong somewhere")));
    }
    let dense = Tensor::new(dtype, shape, dense.into())?;
    Ok(Sparse::from_dense(&dense, &block, fill)?)
}

struct Walk<'l> {
    levels: &'l [Level],
    order: &'l [usize],
    map: &'l [usize],
    shape: &'l [usize],
    block: &'l [usize],
    /// The coordinate along each axis and block axis.
    at: Vec<usize>,
    /// Elements met.
    next: usize,
    steps: usize,
}

impl Walk<'_> {
    /// Visits every stored element below a node: its position in the storage and in the tensor.
    fn level(
        &mut self,
        depth: usize,
        node: usize,
        visit: &mut dyn FnMut(usize, usize) -> Result<()>,
    ) -> Result<()> {
        self.steps = self.steps.checked_sub(1).ok_or_else(|| {
            ReadError::malformed("its levels have far more entries than elements")
        })?;
        let (Some(level), Some(&axis)) = (self.levels.get(depth), self.order.get(depth)) else {
            let index = self.index()?;
            let element = self.next;
            self.next += 1;
            return visit(element, index);
        };
        match level {
            Level::Dense(n) => {
                for i in 0..*n {
                    self.at[axis] = i;
                    let child = node.checked_mul(*n).and_then(|c| c.checked_add(i));
                    let child = child.ok_or_else(|| ReadError::malformed("too many entries"))?;
                    self.level(depth + 1, child, visit)?;
                }
            }
            Level::Compressed(segments, indices) => {
                let (Some(&from), Some(&to)) = (segments.get(node), segments.get(node + 1)) else {
                    return Err(ReadError::malformed(format!("level {depth} has no row {node}")));
                };
                for (k, i) in (from..to).zip(indices.get(from..to).unwrap_or_default()) {
                    self.at[axis] = *i;
                    self.level(depth + 1, k, visit)?;
                }
            }
        }
        Ok(())
    }

    /// The row-major index of the current coordinates.
    fn index(&self) -> Result<usize> {
        let rank = self.shape.len();
        let mut at: Vec<usize> =
            self.at[..rank].iter().zip(self.block).map(|(x, b)| x.saturating_mul(*b)).collect();
        for (k, axis) in self.map.iter().enumerate() {
            at[*axis] = at[*axis].saturating_add(self.at[rank + k]);
        }
        let inside = at.iter().zip(self.shape).all(|(x, n)| x < n);
        if !inside {
            return Err(ReadError::malformed(format!("element {at:?} of shape {:?}", self.shape)));
        }
        Ok(at.iter().zip(self.shape).fold(0, |i, (x, n)| i * n + x))
    }
}

/// The levels that describe a sparse constant, and its stored elements.
///
/// Every axis is dense but the last, along which the blocks that are kept are listed; the axes of
/// blocks follow.
pub(crate) fn write(sparse: &Sparse) -> Result<(schema::SparsityParameters, Bytes), String> {
    let (shape, block) = (sparse.shape(), sparse.block());
    if shape.iter().zip(block).any(|(n, b)| n % b != 0) {
        // Blocks at the edge are cut off here and whole in the format.
        let ones = vec![1; shape.len()];
        let dense = ConstData::Sparse(sparse.clone()).dense();
        let single = Sparse::from_dense(&dense, &ones, sparse.fill()).map_err(|e| e.to_string())?;
        return write(&single);
    }
    let rank = shape.len();
    let grid: Vec<usize> = shape.iter().zip(block).map(|(n, b)| n / b).collect();
    let last = *grid.last().ok_or("a scalar is not sparse")?;
    let rows: usize = grid[..rank - 1].iter().product();
    let mask = sparse.mask();
    let kept = |b: usize| mask.get(b / 8).is_some_and(|byte| byte >> (b % 8) & 1 == 1);
    let (mut segments, mut indices) = (vec![0_usize], Vec::new());
    for row in 0..rows {
        indices.extend((0..last).filter(|i| kept(row * last + i)));
        segments.push(indices.len());
    }
    let dense = |n: usize| {
        Ok::<_, String>(schema::DimensionMetadata { dense_size: int(n)?, ..Default::default() })
    };
    let mut levels = grid[..rank - 1].iter().map(|n| dense(*n)).collect::<Result<Vec<_>, _>>()?;
    levels.push(schema::DimensionMetadata {
        format: 1,
        dense_size: 0,
        array_segments: Some(index_vector(&segments)?),
        array_indices: Some(index_vector(&indices)?),
    });
    let blocked: Vec<usize> = (0..rank).filter(|a| block[*a] > 1).collect();
    for axis in &blocked {
        levels.push(dense(block[*axis])?);
    }
    let order = (0..rank + blocked.len()).map(int).collect::<Result<Vec<_>, _>>()?;
    let map = blocked.iter().map(|a| int(*a)).collect::<Result<Vec<_>, _>>()?;
    let levels = schema::SparsityParameters {
        traversal_order: Some(order),
        block_map: (!map.is_empty()).then_some(map),
        dim_metadata: Some(levels),
    };
    Ok((levels, sparse.values().dense().bytes().clone()))
}

/// Indices in the narrowest type that holds them.
fn index_vector(indices: &[usize]) -> Result<schema::SparseIndexVector, String> {
    use schema::{Int32Vector, SparseIndexVector, Uint8Vector, Uint16Vector};
    let largest = indices.iter().copied().max().unwrap_or(0);
    Ok(if largest <= usize::from(u8::MAX) {
        let values = indices.iter().map(|i| *i as u8).collect();
        SparseIndexVector::Uint8Vector(Box::new(Uint8Vector { values }))
    } else if largest <= usize::from(u16::MAX) {
        let values = Some(indices.iter().map(|i| *i as u16).collect());
        SparseIndexVector::Uint16Vector(Box::new(Uint16Vector { values }))
    } else {
        let values = Some(indices.iter().map(|i| int(*i)).collect::<Result<_, _>>()?);
        SparseIndexVector::Int32Vector(Box::new(Int32Vector { values }))
    })
}
