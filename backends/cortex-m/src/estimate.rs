//! What layers take, without running them.

use std::collections::HashMap;

use paring_cortex_m_kernels::cost::{Core, Cost};

use crate::lower::{Lowering, Step};

/// What each step takes on a core; `None` where the costs of one of its kernels are not known.
pub(crate) fn steps(lowering: &Lowering<'_>, core: Option<Core>) -> Vec<Option<Cost>> {
    let mut calls: HashMap<&str, usize> = HashMap::new();
    for loops in lowering.steps.iter().flat_map(|s| &s.calls).flat_map(|c| &c.kernel.loops) {
        *calls.entry(&loops.function).or_default() += 1;
    }
    let step = |step: &Step| {
        let mut sum = Cost::default();
        for loops in step.calls.iter().flat_map(|c| &c.kernel.loops) {
            let once = calls.get(loops.function.as_str()) == Some(&1);
            sum += loops.cost(core?, once)?;
        }
        Some(sum)
    };
    lowering.steps.iter().map(step).collect()
}
