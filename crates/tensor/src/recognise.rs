use crate::{ConstData, DType, Palette, Sparse, Tensor};
use std::collections::BTreeMap;

impl Tensor {
    /// The same elements in the storage that they show: sparse where three tenths or more are `fill`
    /// (the stored number for zero), a palette where few different values occur. Exact: the dense form
    /// of the result is this tensor, to the bit.
    ///
    /// A palette pays where codes are much narrower than elements: up to 256 values for elements of
    /// several bytes, up to 32 for 8-bit ones, and four elements or more for each value. Vectors and
    /// scalars, four-bit and boolean elements stay as they are.
    #[must_use]
    pub fn recognise(&self, fill: i64) -> ConstData {
        let dense = || ConstData::Dense(self.clone());
        if self.shape().len() < 2 || matches!(self.dtype(), DType::I4 | DType::Bool) {
            return dense();
        }
        let Ok(sparse) = Sparse::from_dense(self, &vec![1; self.shape().len()], fill) else {
            return dense();
        };
        let kept = sparse.values().dense();
        if (self.len() - kept.len()) * 10 >= self.len() * 3 && !self.is_empty() {
            return match kept.palette() {
                Some(palette) => sparse.with_values(ConstData::Palette(palette)),
                None => Ok(sparse),
            }
            .map_or_else(|_| dense(), ConstData::Sparse);
        }
        self.palette().map_or_else(dense, ConstData::Palette)
    }

    /// The elements as codes into a codebook in ascending order, if few enough values occur.
    fn palette(&self) -> Option<Palette> {
        let size = self.dtype().size();
        let most = if size == 1 { 32 } else { 256 };
        let mut codes: BTreeMap<&[u8], u8> = BTreeMap::new();
        for element in self.bytes().chunks_exact(size) {
            codes.entry(element).or_insert(0);
            if codes.len() > most {
                return None;
            }
        }
        if codes.is_empty() || codes.len() * 4 > self.len() {
            return None;
        }
        let book: Vec<u8> = codes.keys().copied().flatten().copied().collect();
        let book = Self::new(self.dtype(), [codes.len()], book.into()).ok()?;
        // Ties (the two zeros, NaNs) keep the order of their bits.
        let values = book.to_f64();
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
        let sorted: Vec<u8> = order
            .iter()
            .flat_map(|&i| book.bytes()[i * size..(i + 1) * size].iter().copied())
            .collect();
        for (code, element) in sorted.chunks_exact(size).enumerate() {
            *codes.get_mut(element)? = code as u8;
        }
        let found: Vec<u8> = self.bytes().chunks_exact(size).map(|e| codes[e]).collect();
        let codebook = Self::new(self.dtype(), [order.len()], sorted.clone().into()).ok()?;
        Palette::new(self.shape(), found.into(), codebook).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_are_found_and_exact() {
        let few = Tensor::from_vec([8, 8], (0..64).map(|i| [1.5_f32, -2.0, -0.0][i % 3]).collect());
        let few = few.unwrap();
        let ConstData::Palette(palette) = few.recognise(0) else { panic!("a palette") };
        assert_eq!(palette.codebook().to_f64(), [-2.0, 0.0, 1.5]);
        assert_eq!(ConstData::Palette(palette).dense(), few);

        let pruned: Vec<f32> = (0..400).map(|i| if i % 2 == 0 { 0.0 } else { i as f32 }).collect();
        let pruned = Tensor::from_vec([20, 20], pruned).unwrap();
        let ConstData::Sparse(sparse) = pruned.recognise(0) else { panic!("sparse") };
        assert!(matches!(sparse.values(), ConstData::Dense(_)));
        assert_eq!(ConstData::Sparse(sparse).dense(), pruned);

        let both: Vec<i8> = (0..400).map(|i| [0, 0, 7, -7][i % 4]).collect();
        let both = Tensor::from_vec([20, 20], both).unwrap();
        let ConstData::Sparse(sparse) = both.recognise(0) else { panic!("sparse") };
        assert!(matches!(sparse.values(), ConstData::Palette(_)));
        assert_eq!(ConstData::Sparse(sparse).dense(), both);

        let any = Tensor::from_vec([20, 20], (0..400).map(|i| i as f32 + 1.0).collect()).unwrap();
        assert_eq!(any.recognise(0), ConstData::Dense(any));
    }
}
