use crate::{DType, Tensor, TensorError};
use bytes::Bytes;

/// How a constant is stored. The stored numbers are the same whichever way: [`dense`](Self::dense)
/// gives them back exactly.
#[derive(Clone, Debug, PartialEq)]
pub enum ConstData {
    /// Every element.
    Dense(Tensor),
    /// Codes into a small codebook: what clustering makes.
    Palette(Palette),
    /// Only the elements that are kept: what pruning makes.
    Sparse(Sparse),
}

/// Elements as codes into a codebook.
#[derive(Clone, Debug, PartialEq)]
pub struct Palette {
    shape: Vec<usize>,
    codes: Bytes,
    codebook: Tensor,
}

impl Palette {
    /// A palette.
    ///
    /// `codes` holds one byte an element, in row-major order. `codebook` is `[entries]` for one
    /// book, or `[groups, entries]` for one book each group of the outermost axis, which then has to
    /// be a multiple of `groups` long.
    ///
    /// # Errors
    /// If lengths disagree or a code has no entry.
    pub fn new(
        shape: impl Into<Vec<usize>>,
        codes: Bytes,
        codebook: Tensor,
    ) -> Result<Self, TensorError> {
        let shape = shape.into();
        let fail = |why: String| Err(TensorError::Storage("palette", why));
        let len = shape
            .iter()
            .try_fold(1_usize, |n, &d| n.checked_mul(d))
            .ok_or_else(|| TensorError::TooLarge(shape.clone()))?;
        if codes.len() != len {
            return fail(format!("{} codes for {len} elements", codes.len()));
        }
        let (groups, entries) = match *codebook.shape() {
            [entries] => (1, entries),
            [groups, entries] => (groups, entries),
            ref other => return fail(format!("a codebook of shape {other:?}")),
        };
        if entries == 0 || entries > 256 {
            return fail(format!("{entries} codebook entries; 1 to 256 are possible"));
        }
        if groups != 1 && (groups == 0 || shape.first().is_none_or(|n| !n.is_multiple_of(groups))) {
            return fail(format!("{groups} codebooks for the outermost axis of {shape:?}"));
        }
        if let Some(code) = codes.iter().find(|c| usize::from(**c) >= entries) {
            return fail(format!("code {code} in a codebook of {entries} entries"));
        }
        Ok(Self { shape, codes, codebook })
    }

    /// Shape of the constant.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// One code an element, in row-major order.
    #[must_use]
    pub fn codes(&self) -> &Bytes {
        &self.codes
    }

    /// `[entries]` or `[groups, entries]`.
    #[must_use]
    pub fn codebook(&self) -> &Tensor {
        &self.codebook
    }

    /// Entries of one codebook.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.codebook.shape().last().copied().unwrap_or(0)
    }

    /// Bits that a code needs.
    #[must_use]
    pub fn bits(&self) -> u32 {
        usize::BITS - (self.entries() - 1).leading_zeros()
    }

    fn dense(&self) -> Tensor {
        let size = self.codebook.dtype().size();
        let entries = self.entries();
        let groups = self.codebook.len() / entries;
        let per_group = self.codes.len().div_ceil(groups).max(1);
        let book = self.codebook.bytes();
        let mut out = Vec::with_capacity(self.codes.len() * size);
        for (i, &code) in self.codes.iter().enumerate() {
            let at = ((i / per_group) * entries + usize::from(code)) * size;
            out.extend_from_slice(&book[at..at + size]);
        }
        Tensor::new(self.codebook.dtype(), self.shape.clone(), out.into())
            .unwrap_or_else(|e| unreachable!("checked on construction: {e}"))
    }
}

/// Only some blocks of elements, the rest zero.
///
/// The constant is cut into blocks of `block` elements along each axis (all ones for unstructured
/// sparsity). `mask` has one bit a block, in row-major order, lowest bit first; `values` holds the
/// elements of the blocks whose bit is set, block after block, each in row-major order, edges of the
/// constant cut off.
///
/// "Zero" is the stored number that stands for the real zero; it is the bit pattern 0 except for
/// asymmetrically quantized constants, where the `fill` says which.
#[derive(Clone, Debug, PartialEq)]
pub struct Sparse {
    shape: Vec<usize>,
    block: Vec<usize>,
    mask: Bytes,
    fill: i64,
    values: Box<ConstData>,
}

impl Sparse {
    /// A sparse constant from its parts; see the type for what they mean.
    ///
    /// # Errors
    /// If the parts contradict each other.
    pub fn new(
        shape: impl Into<Vec<usize>>,
        block: impl Into<Vec<usize>>,
        mask: Bytes,
        fill: i64,
        values: ConstData,
    ) -> Result<Self, TensorError> {
        let sparse =
            Self { shape: shape.into(), block: block.into(), mask, fill, values: Box::new(values) };
        let fail = |why: String| Err(TensorError::Storage("sparse", why));
        if sparse.shape.len() != sparse.block.len() || sparse.block.contains(&0) {
            return fail(format!("blocks of {:?} in {:?}", sparse.block, sparse.shape));
        }
        let total = sparse.shape.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
        if total.is_none() {
            return Err(TensorError::TooLarge(sparse.shape));
        }
        let blocks: usize = sparse.grid().iter().product();
        if sparse.mask.len() != blocks.div_ceil(8) {
            return fail(format!("{} mask bytes for {blocks} blocks", sparse.mask.len()));
        }
        if matches!(*sparse.values, ConstData::Sparse(_)) {
            return fail("values that are sparse themselves".into());
        }
        if !blocks.is_multiple_of(8)
            && sparse.mask.last().is_some_and(|&last| last >> (blocks % 8) != 0)
        {
            return fail("mask bits beyond the last block".into());
        }
        let kept: usize = if sparse.block.iter().all(|&b| b == 1) {
            sparse.mask.iter().map(|byte| byte.count_ones() as usize).sum()
        } else {
            (0..blocks)
                .filter(|b| sparse.mask[b / 8] >> (b % 8) & 1 == 1)
                .map(|b| sparse.bounds(b).iter().map(|(from, to)| to - from).product::<usize>())
                .sum()
        };
        if sparse.values.shape() != [kept] {
            return fail(format!("values of shape {:?} for {kept} kept", sparse.values.shape()));
        }
        Ok(sparse)
    }

    /// Stores `dense` without its blocks that are all zero. Every other element is kept exactly.
    ///
    /// # Errors
    /// If `block` does not have one extent, at least 1, for each axis.
    pub fn from_dense(dense: &Tensor, block: &[usize], fill: i64) -> Result<Self, TensorError> {
        let zero = Tensor::scalar(fill).cast(dense.dtype());
        let size = dense.dtype().size();
        let is_zero = |i: usize| {
            let bytes = &dense.bytes()[i * size..(i + 1) * size];
            bytes == zero.bytes().as_ref()
        };
        let mut sparse = Self {
            shape: dense.shape().to_vec(),
            block: block.to_vec(),
            mask: Bytes::new(),
            fill,
            values: Box::new(ConstData::Dense(zero.clone())),
        };
        if block.len() != dense.shape().len() || block.contains(&0) {
            let why = format!("blocks of {block:?} in {:?}", dense.shape());
            return Err(TensorError::Storage("sparse", why));
        }
        let blocks: usize = sparse.grid().iter().product();
        let mut mask = vec![0_u8; blocks.div_ceil(8)];
        let mut values = Vec::new();
        for b in 0..blocks {
            let mut any = false;
            sparse.for_each_in_block(b, |i| any |= !is_zero(i));
            if any {
                mask[b / 8] |= 1 << (b % 8);
                sparse.for_each_in_block(b, |i| {
                    values.extend_from_slice(&dense.bytes()[i * size..(i + 1) * size]);
                });
            }
        }
        sparse.mask = mask.into();
        let kept = values.len() / size;
        *sparse.values = ConstData::Dense(Tensor::new(dense.dtype(), [kept], values.into())?);
        Ok(sparse)
    }

    /// Shape of the constant.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Extents of a block; all ones when unstructured.
    #[must_use]
    pub fn block(&self) -> &[usize] {
        &self.block
    }

    /// One bit a block, lowest bit first.
    #[must_use]
    pub fn mask(&self) -> &Bytes {
        &self.mask
    }

    /// The stored number that stands for zero.
    #[must_use]
    pub fn fill(&self) -> i64 {
        self.fill
    }

    /// The kept elements as a vector, dense or as a palette.
    #[must_use]
    pub fn values(&self) -> &ConstData {
        &self.values
    }

    /// The same sparsity over other kept elements.
    ///
    /// # Errors
    /// If the number of values differs.
    pub fn with_values(&self, values: ConstData) -> Result<Self, TensorError> {
        Self::new(self.shape.clone(), self.block.clone(), self.mask.clone(), self.fill, values)
    }

    /// The row-major indices of the kept elements, in the order of [`values`](Self::values).
    #[must_use]
    pub fn kept(&self) -> Vec<usize> {
        let mut kept = Vec::new();
        self.for_each_kept(|i| kept.push(i));
        kept
    }

    fn grid(&self) -> Vec<usize> {
        self.shape.iter().zip(&self.block).map(|(&n, &b)| n.div_ceil(b)).collect()
    }

    fn for_each_kept(&self, mut f: impl FnMut(usize)) {
        let blocks: usize = self.grid().iter().product();
        let unstructured = self.block.iter().all(|&b| b == 1);
        for b in 0..blocks {
            if self.mask[b / 8] >> (b % 8) & 1 == 1 {
                if unstructured {
                    f(b);
                } else {
                    self.for_each_in_block(b, &mut f);
                }
            }
        }
    }

    /// First and past-the-end index of a block along each axis.
    fn bounds(&self, block: usize) -> Vec<(usize, usize)> {
        let grid = self.grid();
        let mut rest = block;
        let mut bounds = vec![(0, 0); grid.len()];
        for axis in (0..grid.len()).rev() {
            let start = (rest % grid[axis]) * self.block[axis];
            bounds[axis] = (start, start.saturating_add(self.block[axis]).min(self.shape[axis]));
            rest /= grid[axis];
        }
        bounds
    }

    fn for_each_in_block(&self, block: usize, mut f: impl FnMut(usize)) {
        let bounds = self.bounds(block);
        let mut at: Vec<usize> = bounds.iter().map(|b| b.0).collect();
        loop {
            f(at.iter().zip(&self.shape).fold(0, |i, (&x, &n)| i * n + x));
            let Some(axis) = (0..at.len()).rev().find(|&a| at[a] + 1 < bounds[a].1) else {
                return;
            };
            at[axis] += 1;
            for inner in axis + 1..at.len() {
                at[inner] = bounds[inner].0;
            }
        }
    }

    fn dense(&self) -> Tensor {
        let values = self.values.dense();
        let size = values.dtype().size();
        let zero = Tensor::scalar(self.fill).cast(values.dtype());
        let total: usize = self.shape.iter().product();
        let mut out = zero.bytes().repeat(total);
        for (from, to) in self.kept().into_iter().enumerate() {
            out[to * size..(to + 1) * size]
                .copy_from_slice(&values.bytes()[from * size..(from + 1) * size]);
        }
        Tensor::new(values.dtype(), self.shape.clone(), out.into())
            .unwrap_or_else(|e| unreachable!("checked on construction: {e}"))
    }
}

impl ConstData {
    /// Element type.
    #[must_use]
    pub fn dtype(&self) -> DType {
        match self {
            Self::Dense(t) => t.dtype(),
            Self::Palette(p) => p.codebook.dtype(),
            Self::Sparse(s) => s.values.dtype(),
        }
    }

    /// Extents.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Dense(t) => t.shape(),
            Self::Palette(p) => &p.shape,
            Self::Sparse(s) => &s.shape,
        }
    }

    /// Number of elements.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shape().iter().product()
    }

    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every element. Shares the bytes of dense storage and expands the others.
    #[must_use]
    pub fn dense(&self) -> Tensor {
        match self {
            Self::Dense(t) => t.clone(),
            Self::Palette(p) => p.dense(),
            Self::Sparse(s) => s.dense(),
        }
    }

    /// The codebook storage, of the whole or of the kept values.
    #[must_use]
    pub fn palette(&self) -> Option<&Palette> {
        match self {
            Self::Palette(p) => Some(p),
            Self::Sparse(s) => s.values.palette(),
            Self::Dense(_) => None,
        }
    }

    /// The sparse storage, if it is that.
    #[must_use]
    pub fn sparse(&self) -> Option<&Sparse> {
        match self {
            Self::Sparse(s) => Some(s),
            _ => None,
        }
    }

    /// Bytes of the storage when codes, masks and sub-byte elements are bit-packed.
    #[must_use]
    pub fn packed_bytes(&self) -> usize {
        match self {
            Self::Dense(t) => (t.len() * t.dtype().bits()).div_ceil(8),
            Self::Palette(p) => {
                (p.codes.len() * p.bits() as usize).div_ceil(8) + p.codebook.bytes().len()
            }
            Self::Sparse(s) => s.mask.len() + s.values.packed_bytes(),
        }
    }
}

impl From<Tensor> for ConstData {
    fn from(tensor: Tensor) -> Self {
        Self::Dense(tensor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_palette_looks_up_by_group() {
        let book = Tensor::from_vec([2, 2], vec![1.0_f32, 2.0, 3.0, 4.0]).unwrap();
        let p = Palette::new([2, 2], Bytes::from_static(&[0, 1, 1, 0]), book).unwrap();
        assert_eq!(p.bits(), 1);
        let dense = ConstData::Palette(p).dense();
        assert_eq!(dense.to_f32(), [1.0, 2.0, 4.0, 3.0]);
    }

    #[test]
    fn a_code_without_an_entry_is_refused() {
        let book = Tensor::from_vec([2], vec![1.0_f32, 2.0]).unwrap();
        assert!(Palette::new([1], Bytes::from_static(&[2]), book.clone()).is_err());
        assert!(Palette::new([2], Bytes::from_static(&[1]), book).is_err());
    }

    #[test]
    fn sparse_round_trips_with_ragged_blocks() {
        let mut data = vec![0_i8; 15];
        data[4] = 7;
        data[14] = -3;
        let t = Tensor::from_vec([3, 5], data).unwrap();
        for block in [[1, 1], [2, 2], [1, 4], [3, 5]] {
            let s = Sparse::from_dense(&t, &block, 0).unwrap();
            assert_eq!(s.dense(), t, "{block:?}");
            let again = Sparse::new([3, 5], block, s.mask.clone(), 0, (*s.values).clone()).unwrap();
            assert_eq!(again, s);
        }
        let s = Sparse::from_dense(&t, &[1, 1], 0).unwrap();
        assert_eq!(s.kept(), [4, 14]);
        assert_eq!(ConstData::Sparse(s).packed_bytes(), 4);
    }

    #[test]
    fn sparse_parts_that_disagree_are_refused() {
        let values = || ConstData::Dense(Tensor::from_vec([1], vec![1_i8]).unwrap());
        assert!(Sparse::new([2], [1], Bytes::from_static(&[1]), 0, values()).is_ok());
        assert!(Sparse::new([2], [1], Bytes::from_static(&[3]), 0, values()).is_err());
        assert!(Sparse::new([2], [1], Bytes::from_static(&[5]), 0, values()).is_err());
        assert!(Sparse::new([2], [0], Bytes::from_static(&[1]), 0, values()).is_err());
        assert!(Sparse::new([usize::MAX, 3], [1, 1], Bytes::new(), 0, values()).is_err());
    }
}
