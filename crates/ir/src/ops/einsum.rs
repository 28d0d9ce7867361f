use super::same_dtype;
use crate::{CostEntry, Op, OpError, register_op};
use paring_tensor::{Dim, TensorType};
use serde::{Deserialize, Serialize};
use std::any::TypeId;
use std::collections::BTreeMap;

/// Sums of products in Einstein's notation, such as `bij,bjk->bik`.
///
/// Each operand has a letter an axis; letters that the result lacks are summed over; a letter may
/// stand twice in an operand (a diagonal). The result is always stated. Ellipses are for readers to
/// spell out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Einsum {
    /// The letters of each operand, and after `->` those of the result.
    pub equation: String,
}

register_op!(Einsum, "einsum", "sums of products in Einstein's notation");

impl Einsum {
    /// The letters of each operand and of the result.
    ///
    /// # Errors
    /// If the equation is not of the stated form.
    pub fn terms(&self) -> Result<(Vec<Vec<char>>, Vec<char>), OpError> {
        let fail = || OpError::new(format!("`{}` is not like `ij,jk->ik`", self.equation));
        let (left, right) = self.equation.split_once("->").ok_or_else(fail)?;
        let letters = |term: &str| -> Result<Vec<char>, OpError> {
            term.chars()
                .filter(|c| !c.is_whitespace())
                .map(|c| if c.is_alphabetic() { Ok(c) } else { Err(fail()) })
                .collect()
        };
        let operands: Vec<_> = left.split(',').map(letters).collect::<Result<_, _>>()?;
        let result = letters(right)?;
        for (i, c) in result.iter().enumerate() {
            if result[..i].contains(c) || !operands.iter().any(|o| o.contains(c)) {
                return Err(fail());
            }
        }
        Ok((operands, result))
    }

    /// The extent of each letter.
    ///
    /// # Errors
    /// If the operands' axes do not fit the letters or each other.
    pub fn extents(&self, inputs: &[&TensorType]) -> Result<BTreeMap<char, Dim>, OpError> {
        let (operands, _) = self.terms()?;
        if operands.len() != inputs.len() {
            let why = format!("`{}` is not for {} operands", self.equation, inputs.len());
            return Err(OpError::new(why));
        }
        let mut extents: BTreeMap<char, Dim> = BTreeMap::new();
        for (letters, ty) in operands.iter().zip(inputs) {
            let fail = || OpError::new(format!("{} does not fit `{}`", ty.shape, self.equation));
            if letters.len() != ty.shape.rank() {
                return Err(fail());
            }
            for (c, dim) in letters.iter().zip(ty.shape.dims()) {
                let known = extents.entry(*c).or_insert_with(|| dim.clone());
                if *known == Dim::Fixed(1) {
                    *known = dim.clone();
                } else if known != dim && *dim != Dim::Fixed(1) {
                    return Err(fail());
                }
            }
        }
        Ok(extents)
    }
}

impl Op for Einsum {
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError> {
        let dtype = same_dtype(inputs)?;
        let extents = self.extents(inputs)?;
        let (_, result) = self.terms()?;
        let dims: Vec<Dim> = result.iter().filter_map(|c| extents.get(c).cloned()).collect();
        Ok(vec![TensorType::new(dtype, dims)])
    }
}

inventory::submit! {
    CostEntry {
        key: || TypeId::of::<Einsum>(),
        macs: |node, inputs, _| {
            let extents = node.op_as::<Einsum>()?.extents(inputs).ok()?;
            extents.values().try_fold(1_u64, |n, d| n.checked_mul(d.fixed()? as u64))
        },
    }
}
