//! What layers take, without running them.

use paring_cortex_m_kernels::Core;
use paring_cortex_m_kernels::cost::{Calls, Cost};

use crate::lower::{Lowering, Step};

/// What each step takes on a core; `None` where the costs of one of its kernels are not known.
pub(crate) fn steps(lowering: &Lowering<'_>, core: Core) -> Vec<Option<Cost>> {
    let kernels = lowering.steps.iter().flat_map(|s| &s.calls).flat_map(|c| &c.kernel.loops);
    let calls = Calls::of(kernels);
    let step =
        |step: &Step| calls.total(step.calls.iter().flat_map(|c| &c.kernel.loops), core, None);
    lowering.steps.iter().map(step).collect()
}
