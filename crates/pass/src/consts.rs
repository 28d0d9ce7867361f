//! What passes ask of constants, and changes to constants that keep their storage.

use paring_ir::{Graph, ValueId};
use paring_tensor::{ConstData, DType, Palette, Shape, Sparse, Tensor, TensorError};
use std::collections::HashMap;

/// The elements of a constant of plain `f32` numbers.
#[must_use]
pub fn dense_f32(graph: &Graph, value: ValueId) -> Option<Vec<f32>> {
    let value = graph.get_value(value)?;
    if value.ty.dtype != DType::F32 {
        return None;
    }
    Some(value.constant()?.dense().to_f32())
}

/// The one number that every element of a constant of plain `f32` numbers has.
#[must_use]
pub fn splat(graph: &Graph, value: ValueId) -> Option<f32> {
    let data = dense_f32(graph, value)?;
    let first = *data.first()?;
    data.iter().all(|x| x.to_bits() == first.to_bits()).then_some(first)
}

/// The numbers that a constant operand has for each channel (last axis) of a result of shape
/// `result`, if it broadcasts to that shape and is the same at every other place.
#[must_use]
pub fn per_channel(graph: &Graph, value: ValueId, result: &Shape) -> Option<Vec<f32>> {
    let channels = result.dims().last()?.fixed()?;
    let shape = graph.get_value(value)?.ty.shape.fixed()?;
    if shape.len() > result.rank() {
        return None;
    }
    let data = dense_f32(graph, value)?;
    match data.as_slice() {
        [one] => Some(vec![*one; channels]),
        all if all.len() == channels && shape.last() == Some(&channels) => Some(data),
        _ => None,
    }
}

/// Multiplies the elements at each index of the outermost axis by a factor of its own, in `f32`.
///
/// Sparse storage keeps its mask. A palette gets a codebook for each index, so that it keeps its
/// codes; the palette of a sparse constant's values cannot, and those values become dense.
///
/// # Errors
/// If the factors are not as many as the axis is long.
pub fn scale_outer(data: &ConstData, factors: &[f32]) -> Result<ConstData, TensorError> {
    let outer = data.shape().first().copied().unwrap_or(0);
    if outer != factors.len() || outer == 0 {
        return Err(TensorError::Shape(format!(
            "{} factors for the outermost axis of {:?}",
            factors.len(),
            data.shape()
        )));
    }
    let inner = data.len() / outer;
    let scaled = |values: Vec<f32>, at: &dyn Fn(usize) -> usize| -> Vec<f32> {
        values.into_iter().enumerate().map(|(i, x)| x * factors[at(i)]).collect()
    };
    Ok(match data {
        ConstData::Dense(t) => {
            Tensor::from_vec(t.shape(), scaled(t.to_f32(), &|i| i / inner.max(1)))?.into()
        }
        ConstData::Palette(p) => {
            let entries = p.entries();
            let book = p.codebook().to_f32();
            let groups = book.len() / entries;
            let per_group = outer.div_ceil(groups).max(1);
            let books: Vec<f32> = (0..outer)
                .flat_map(|o| {
                    let from = (o / per_group) * entries;
                    book[from..from + entries].iter().map(move |x| x * factors[o])
                })
                .collect();
            let codebook = Tensor::from_vec([outer, entries], books)?;
            ConstData::Palette(Palette::new(p.shape(), p.codes().clone(), codebook)?)
        }
        ConstData::Sparse(s) => {
            let kept = s.kept();
            let values = scaled(s.values().dense().to_f32(), &|i| kept[i] / inner.max(1));
            ConstData::Sparse(s.with_values(Tensor::from_vec([kept.len()], values)?.into())?)
        }
    })
}

/// The constant with other elements, given in row-major order, in the same storage where the new
/// elements allow it: a sparse constant stays sparse with its mask if everything outside of the mask
/// is still zero. A palette becomes dense.
///
/// # Errors
/// If the number of elements differs.
pub fn with_elements(data: &ConstData, elements: &Tensor) -> Result<ConstData, TensorError> {
    let elements = elements.reshape(data.shape())?;
    let ConstData::Sparse(s) = data else { return Ok(elements.into()) };
    let size = elements.dtype().size();
    let mut outside = vec![true; elements.len()];
    let mut values = Vec::with_capacity(s.values().len() * size);
    for i in s.kept() {
        outside[i] = false;
        values.extend_from_slice(&elements.bytes()[i * size..(i + 1) * size]);
    }
    let zero = Tensor::scalar(s.fill()).cast(elements.dtype());
    let blank = |i: usize| elements.bytes()[i * size..(i + 1) * size] == zero.bytes()[..];
    if outside.iter().enumerate().any(|(i, out)| *out && !blank(i)) {
        return Ok(elements.into());
    }
    let kept = values.len() / size;
    let values = Tensor::new(elements.dtype(), [kept], values.into())?;
    Ok(ConstData::Sparse(s.with_values(values.into())?))
}

/// A sparse constant whose values take the codes that they have in `old`, a palette with the same elements
/// wherever `sparse` keeps them. Values below a mask have one codebook: it takes the place of several where
/// they hold 256 different numbers or fewer. As it is where `old` has no such palette.
///
/// # Errors
/// If the shapes differ.
pub fn with_palette(sparse: Sparse, old: &ConstData) -> Result<Sparse, TensorError> {
    if old.shape() != sparse.shape() {
        return Err(TensorError::Shape(format!("{:?} for {:?}", sparse.shape(), old.shape())));
    }
    // The code of each element that has one.
    let (palette, at) = match old {
        ConstData::Palette(p) => (p, None),
        ConstData::Sparse(s) => match s.values().palette() {
            Some(p) => {
                let mut at = vec![usize::MAX; old.len()];
                s.kept().into_iter().enumerate().for_each(|(rank, i)| at[i] = rank);
                (p, Some(at))
            }
            None => return Ok(sparse),
        },
        ConstData::Dense(_) => return Ok(sparse),
    };
    let Some((codes, codebook)) = one_book(palette)? else { return Ok(sparse) };
    let code = |i: usize| codes.get(at.as_ref().map_or(i, |at| at[i])).copied();
    let kept = sparse.kept();
    let Some(codes) = kept.iter().map(|i| code(*i)).collect::<Option<Vec<u8>>>() else {
        return Ok(sparse);
    };
    let values = Palette::new([kept.len()], codes.into(), codebook)?;
    sparse.with_values(ConstData::Palette(values))
}

/// The codes of a palette in one codebook, and that; `None` if it would be longer than codes reach.
fn one_book(palette: &Palette) -> Result<Option<(Vec<u8>, Tensor)>, TensorError> {
    let book = palette.codebook();
    let &[groups, entries] = book.shape() else {
        return Ok(Some((palette.codes().to_vec(), book.clone())));
    };
    let size = book.dtype().size();
    let per_group = (palette.codes().len() / groups.max(1)).max(1);
    let mut places = HashMap::new();
    let mut numbers = Vec::new();
    let mut codes = Vec::with_capacity(palette.codes().len());
    for (i, code) in palette.codes().iter().enumerate() {
        let from = ((i / per_group) * entries + usize::from(*code)) * size;
        let number = &book.bytes()[from..from + size];
        let next = places.len();
        let place = *places.entry(number).or_insert_with(|| {
            numbers.extend_from_slice(number);
            next
        });
        let Ok(place) = u8::try_from(place) else { return Ok(None) };
        codes.push(place);
    }
    if codes.is_empty() {
        numbers.extend_from_slice(book.bytes().get(..size).unwrap_or_default());
    }
    let count = numbers.len() / size.max(1);
    Ok(Some((codes, Tensor::new(book.dtype(), [count], numbers.into())?)))
}

/// Some indices of an axis of a constant, in the given order. Sparse storage stays sparse (with its
/// blocks), a palette stays a palette, also below a mask.
///
/// # Errors
/// If the axis or an index is out of range.
pub fn select(data: &ConstData, axis: usize, indices: &[usize]) -> Result<ConstData, TensorError> {
    Ok(match data {
        ConstData::Dense(t) => select_tensor(t, axis, indices)?.into(),
        ConstData::Palette(p) => {
            let codes = Tensor::new(DType::U8, p.shape(), p.codes().clone())?;
            let codes = select_tensor(&codes, axis, indices)?;
            let books = if axis == 0 { select_books(p, indices)? } else { p.codebook().clone() };
            ConstData::Palette(Palette::new(codes.shape(), codes.bytes().clone(), books)?)
        }
        ConstData::Sparse(s) => moved(s, s.block(), &|t| select_tensor(t, axis, indices))?,
    })
}

/// The codebooks of some indices of a palette's outermost axis: as few as groups of one length allow.
fn select_books(p: &Palette, indices: &[usize]) -> Result<Tensor, TensorError> {
    let &[books, entries] = p.codebook().shape() else { return Ok(p.codebook().clone()) };
    let rows = p.shape().first().copied().unwrap_or(0) / books.max(1);
    let book = |i: &usize| i / rows.max(1);
    let alike = |group: &[usize]| group.windows(2).all(|w| book(&w[0]) == book(&w[1]));
    let n = indices.len();
    let fits = |size: &usize| n.is_multiple_of(*size) && indices.chunks(*size).all(alike);
    let size = (1..=n).rev().find(fits).unwrap_or(1);
    let groups: Vec<usize> = indices.chunks(size).filter_map(|g| g.first().map(book)).collect();
    if groups.is_empty() {
        // Nothing is left that a book could be for.
        return select_tensor(p.codebook(), 0, &[0])?.reshape([entries]);
    }
    select_tensor(p.codebook(), 0, &groups)
}

/// The constant in another shape. A palette is kept where its codebooks still are for indices of the
/// outermost axis, and so is unstructured sparsity.
///
/// # Errors
/// If the number of elements differs.
pub fn reshape(data: &ConstData, shape: &[usize]) -> Result<ConstData, TensorError> {
    match data {
        ConstData::Palette(p)
            if shape.iter().product::<usize>() == p.codes().len() && books_divide(p, shape) =>
        {
            Palette::new(shape, p.codes().clone(), p.codebook().clone()).map(ConstData::Palette)
        }
        ConstData::Sparse(s) if s.block().iter().all(|b| *b == 1) => {
            let (mask, values) = (s.mask().clone(), s.values().clone());
            Sparse::new(shape, vec![1; shape.len()], mask, s.fill(), values).map(ConstData::Sparse)
        }
        other => other.dense().reshape(shape).map(ConstData::Dense),
    }
}

/// Whether codebooks can be for equal groups of the outermost axis of a shape.
fn books_divide(p: &Palette, shape: &[usize]) -> bool {
    match *p.codebook().shape() {
        [books, _] => shape.first().is_some_and(|n| n.is_multiple_of(books)),
        _ => true,
    }
}

/// The constant with its axes in another order, as [`Tensor::transpose`]. A palette and sparsity are
/// kept, also both at once; a palette of several codebooks where the outermost axis stays.
///
/// # Errors
/// If `perm` is not a permutation of the axes.
pub fn permute(data: &ConstData, perm: &[usize]) -> Result<ConstData, TensorError> {
    match data {
        ConstData::Palette(p) if p.codebook().shape().len() == 1 || perm.first() == Some(&0) => {
            let codes = Tensor::new(DType::U8, p.shape(), p.codes().clone())?.transpose(perm)?;
            let palette = Palette::new(codes.shape(), codes.bytes().clone(), p.codebook().clone())?;
            Ok(ConstData::Palette(palette))
        }
        ConstData::Sparse(s) => {
            let block: Vec<usize> = perm.iter().map(|&p| s.block()[p]).collect();
            moved(s, &block, &|t| t.transpose(perm))
        }
        other => other.dense().transpose(perm).map(ConstData::Dense),
    }
}

/// A sparse constant whose elements a function moves, in blocks of another shape.
fn moved(
    s: &Sparse,
    block: &[usize],
    by: &dyn Fn(&Tensor) -> Result<Tensor, TensorError>,
) -> Result<ConstData, TensorError> {
    let dense = by(&ConstData::Sparse(s.clone()).dense())?;
    let sparse = Sparse::from_dense(&dense, block, s.fill())?;
    let Some((own, codebook)) = s.values().palette().map(one_book).transpose()?.flatten() else {
        return Ok(ConstData::Sparse(sparse));
    };
    // Codes take the way of their elements; what has none can only be the fill.
    let mut codes = vec![-1_i16; s.shape().iter().product()];
    for (i, code) in s.kept().into_iter().zip(&own) {
        codes[i] = i16::from(*code);
    }
    let codes = by(&Tensor::from_vec(s.shape(), codes)?)?.to_f64();
    let book = codebook.to_f64();
    let fill = book.iter().position(|c| *c == s.fill() as f64).and_then(|at| u8::try_from(at).ok());
    let kept = sparse.kept();
    let code = |i: &usize| if codes[*i] < 0.0 { fill } else { Some(codes[*i] as u8) };
    let Some(codes) = kept.iter().map(code).collect::<Option<Vec<u8>>>() else {
        // Blocks cut differently hold zeros that the codebook does not have. Without blocks there are none.
        let single = vec![1; block.len()];
        return if block == single { Ok(ConstData::Sparse(sparse)) } else { moved(s, &single, by) };
    };
    let values = Palette::new([kept.len()], codes.into(), codebook)?;
    sparse.with_values(ConstData::Palette(values)).map(ConstData::Sparse)
}

fn select_tensor(t: &Tensor, axis: usize, indices: &[usize]) -> Result<Tensor, TensorError> {
    let shape = t.shape();
    let Some(&n) = shape.get(axis) else {
        return Err(TensorError::Shape(format!("axis {axis} is not in {shape:?}")));
    };
    if let Some(i) = indices.iter().find(|i| **i >= n) {
        return Err(TensorError::Shape(format!("index {i} is not in axis {axis} of {shape:?}")));
    }
    let run = shape[axis + 1..].iter().product::<usize>() * t.dtype().size();
    let outer: usize = shape[..axis].iter().product();
    let mut data = Vec::with_capacity(outer * indices.len() * run);
    for o in 0..outer {
        for &i in indices {
            let at = (o * n + i) * run;
            data.extend_from_slice(&t.bytes()[at..at + run]);
        }
    }
    let mut shape = shape.to_vec();
    shape[axis] = indices.len();
    Tensor::new(t.dtype(), shape, data.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use paring_tensor::Bytes;

    #[test]
    fn selecting_and_permuting_keep_codes_below_a_mask() {
        let dense = Tensor::from_vec([2, 3], vec![1.0_f32, 0.0, 2.0, 0.0, 2.0, 1.0]).unwrap();
        let sparse = Sparse::from_dense(&dense, &[1, 1], 0).unwrap();
        let book = Tensor::from_vec([2], vec![1.0_f32, 2.0]).unwrap();
        let values = Palette::new([4], Bytes::from_static(&[0, 1, 1, 0]), book).unwrap();
        let old = ConstData::Sparse(sparse.with_values(ConstData::Palette(values)).unwrap());
        let entries = |data: &ConstData| {
            let palette = data.sparse().unwrap().values().palette().unwrap().clone();
            (data.dense().to_f32(), palette.codes().to_vec())
        };
        let some = select(&old, 1, &[2, 1]).unwrap();
        assert_eq!(entries(&some), (vec![2.0, 0.0, 1.0, 2.0], vec![1, 0, 1]));
        let turned = permute(&old, &[1, 0]).unwrap();
        assert_eq!(entries(&turned), (vec![1.0, 0.0, 0.0, 2.0, 2.0, 1.0], vec![0, 1, 1, 0]));
    }

    #[test]
    fn several_codebooks_go_where_their_indices_do() {
        let book = Tensor::from_vec([2, 2], vec![1.0_f32, 2.0, 10.0, 20.0]).unwrap();
        let codes = Bytes::from_static(&[0, 1, 1, 0, 0, 0, 1, 1]);
        let old = ConstData::Palette(Palette::new([4, 2], codes, book).unwrap());
        let books = |data: &ConstData| data.palette().unwrap().codebook().shape().to_vec();
        let check = |new: &ConstData, dense: Tensor, shape: [usize; 2]| {
            assert_eq!((new.dense(), books(new)), (dense, shape.to_vec()));
        };
        for (indices, shape) in [
            (vec![0, 1], [1, 2]),
            (vec![0, 3], [2, 2]),
            (vec![3, 0, 1], [3, 2]),
            (vec![2, 0], [2, 2]),
        ] {
            let want = select_tensor(&old.dense(), 0, &indices).unwrap();
            check(&select(&old, 0, &indices).unwrap(), want, shape);
        }
        let want = select_tensor(&old.dense(), 1, &[1]).unwrap();
        check(&select(&old, 1, &[1]).unwrap(), want, [2, 2]);
        let want = old.dense().reshape([2, 2, 2]).unwrap();
        check(&reshape(&old, &[2, 2, 2]).unwrap(), want, [2, 2]);
        assert!(reshape(&old, &[1, 8]).unwrap().palette().is_none());
        assert!(permute(&old, &[1, 0]).unwrap().palette().is_none());
        assert_eq!(select(&old, 0, &[]).unwrap().shape(), [0, 2]);
    }

    #[test]
    fn several_codebooks_become_one_below_a_mask() {
        let book = Tensor::from_vec([2, 2], vec![1.0_f32, 2.0, 2.0, 20.0]).unwrap();
        let codes = Bytes::from_static(&[0, 1, 1, 0, 0, 0, 1, 1]);
        let old = ConstData::Palette(Palette::new([4, 2], codes, book.clone()).unwrap());
        let masked = vec![1.0_f32, 2.0, 0.0, 1.0, 2.0, 0.0, 20.0, 0.0];
        let dense = Tensor::from_vec([4, 2], masked).unwrap();
        let sparse = Sparse::from_dense(&dense, &[1, 1], 0).unwrap();
        let new = with_palette(sparse, &old).unwrap();
        let numbers = |s: &Sparse| s.values().palette().unwrap().codebook().to_f32();
        assert_eq!(numbers(&new), [1.0, 2.0, 20.0]);
        assert_eq!(ConstData::Sparse(new.clone()).dense(), dense);

        // The same for values that come with two codebooks.
        let values = Palette::new([4], Bytes::from_static(&[0, 1, 0, 1]), book).unwrap();
        let dense = Tensor::from_vec([2, 3], vec![1.0_f32, 0.0, 2.0, 2.0, 20.0, 0.0]).unwrap();
        let sparse = Sparse::from_dense(&dense, &[1, 1], 0).unwrap();
        let old = ConstData::Sparse(sparse.with_values(ConstData::Palette(values)).unwrap());
        assert_eq!(old.dense(), dense);
        for new in [select(&old, 1, &[2, 0]), permute(&old, &[1, 0])] {
            assert_eq!(numbers(new.unwrap().sparse().unwrap()), [1.0, 2.0, 20.0]);
        }
        let turned = permute(&old, &[1, 0]).unwrap().dense();
        assert_eq!(turned, dense.transpose(&[1, 0]).unwrap());
    }

    #[test]
    fn codebooks_of_too_many_numbers_are_not_joined() {
        let numbers: Vec<f32> = (0..400).map(|i| i as f32).collect();
        let book = Tensor::from_vec([2, 200], numbers).unwrap();
        let codes: Vec<u8> = (0..400).map(|i| (i % 200) as u8).collect();
        let palette = Palette::new([2, 200], codes.into(), book).unwrap();
        assert!(one_book(&palette).unwrap().is_none());
    }

    #[test]
    fn blocks_that_are_cut_keep_codes_without_blocks() {
        let dense = Tensor::from_vec([2, 4], vec![1_i8, 2, 0, 0, 2, 1, 1, 2]).unwrap();
        let sparse = Sparse::from_dense(&dense, &[1, 2], 0).unwrap();
        let book = Tensor::from_vec([2], vec![1_i8, 2]).unwrap();
        let values = Palette::new([6], Bytes::from_static(&[0, 1, 1, 0, 0, 1]), book).unwrap();
        let old = ConstData::Sparse(sparse.with_values(ConstData::Palette(values)).unwrap());
        let some = select(&old, 1, &[0, 2, 3]).unwrap();
        assert_eq!(some.dense().to_i64(), [1, 0, 0, 2, 1, 2]);
        let some = some.sparse().unwrap();
        assert_eq!((some.block(), some.values().palette().unwrap().entries()), (&[1, 1][..], 2));
    }

    #[test]
    fn scaling_keeps_masks_and_codes() {
        let dense = Tensor::from_vec([2, 3], vec![1.0_f32, 0.0, 2.0, 0.0, 3.0, 0.0]).unwrap();
        let want = [2.0, 0.0, 4.0, 0.0, -3.0, 0.0];
        let sparse = Sparse::from_dense(&dense, &[1, 1], 0).unwrap();
        let scaled = scale_outer(&ConstData::Sparse(sparse.clone()), &[2.0, -1.0]).unwrap();
        assert_eq!(scaled.sparse().unwrap().mask(), sparse.mask());
        assert_eq!(scaled.dense().to_f32(), want);
        let book = Tensor::from_vec([4], vec![0.0_f32, 1.0, 2.0, 3.0]).unwrap();
        let palette = Palette::new([2, 3], Bytes::from_static(&[1, 0, 2, 0, 3, 0]), book).unwrap();
        let scaled = scale_outer(&ConstData::Palette(palette.clone()), &[2.0, -1.0]).unwrap();
        assert_eq!(scaled.palette().unwrap().codes(), palette.codes());
        assert_eq!(scaled.dense().to_f32(), [2.0, 0.0, 4.0, -0.0, -3.0, -0.0]);
        assert!(scale_outer(&dense.into(), &[1.0]).is_err());
    }

    #[test]
    fn selecting_takes_slices_of_any_axis() {
        let t = Tensor::from_vec([2, 3], vec![1_i8, 2, 3, 4, 5, 6]).unwrap();
        assert_eq!(select(&t.clone().into(), 1, &[2, 0]).unwrap().dense().to_i64(), [3, 1, 6, 4]);
        assert_eq!(select(&t.clone().into(), 0, &[1]).unwrap().dense().to_i64(), [4, 5, 6]);
        assert!(select(&t.clone().into(), 0, &[2]).is_err());
        assert!(select(&t.into(), 2, &[0]).is_err());
    }
}
