use paring_backend::requantize;
use paring_cortex_m_kernels::{Mean, Wide};
use paring_ir::ops::{Activation, Reduce, ReduceFn};

use crate::lower::Site;

pub(crate) fn lower(site: &mut Site<'_, '_>) -> Result<(), String> {
    let op: Reduce = super::attributes(site)?;
    let (x, y) = (site.input(0)?, site.output()?);
    if op.f != ReduceFn::Mean {
        return Err(format!("there is no integer kernel for the {:?} along axes", op.f));
    }
    let shape = site.shape(x)?;
    let (Some(&first), Some(&last)) = (op.axes.first(), op.axes.last()) else {
        return Err("the mean is along no axis".into());
    };
    if last - first + 1 != op.axes.len() || shape[..first].iter().product::<usize>() != 1 {
        return Err(format!("the mean of {shape:?} is along axes {:?}, not over pixels", op.axes));
    }
    let count: usize = shape[first..=last].iter().product();
    let (_, in_zero) = site.like(y, "the input", x)?;
    let folded = u32::try_from(count).map_err(|_| format!("a mean of {count} numbers"))?;
    let multiplier = requantize::mean_multiplier(site.ty(x), site.ty(y), folded)?;
    let requant = site.requant(vec![multiplier], Activation::None)?;
    let channels = shape[last + 1..].iter().product();
    let layer = Mean { count, channels, in_zero, requant };
    if site.is_wide(x) { site.call_on_input(&Wide(layer)) } else { site.call_on_input(&layer) }
}
