use crate::KernelError;
use crate::helpers::Helper;
use crate::unit::{Isa, Kernel, Layer, Unit};

/// A copy of a box between two strided layouts: transposes, slices, and the parts of a
/// concatenation or of a padded tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoxCopy {
    /// Bytes of an element.
    pub element: usize,
    /// The box's size, outermost axis first.
    pub size: Vec<usize>,
    /// Element steps along each axis in the source and where the box begins in it.
    pub from: (Vec<usize>, usize),
    /// The same for the destination.
    pub to: (Vec<usize>, usize),
}

impl BoxCopy {
    /// Axes that remain when those that are one run in both layouts merge, innermost first, and the
    /// bytes of a run of neighbours, which is copied at once.
    fn merged(&self) -> (Vec<(usize, usize, usize)>, usize) {
        let rank = self.size.len();
        let mut axes: Vec<(usize, usize, usize)> = vec![];
        let mut run = self.element;
        for axis in (0..rank).rev().filter(|&a| self.size[a] != 1) {
            let bytes = |steps: &[usize]| steps[axis] * self.element;
            let next = (self.size[axis], bytes(&self.from.0), bytes(&self.to.0));
            match axes.last_mut() {
                None if next.1 == run && next.2 == run => run *= next.0,
                Some(last) if next.1 == last.0 * last.1 && next.2 == last.0 * last.2 => {
                    last.0 *= next.0;
                }
                _ => axes.push(next),
            }
        }
        (axes, run)
    }
}

impl Layer for BoxCopy {
    fn lower(&self, unit: &mut Unit, name: &str) -> Result<Kernel, KernelError> {
        let rank = self.size.len();
        if self.from.0.len() != rank || self.to.0.len() != rank {
            return Err(KernelError::Invalid {
                layer: name.into(),
                what: "steps and sizes of a copy differ in rank".into(),
            });
        }
        let (mut axes, run) = self.merged();
        let (begin, end) = (self.from.1 * self.element, self.to.1 * self.element);
        if axes.is_empty() {
            let text =
                format!("memcpy((char *)@out0@ + {end}, (const char *)@in0@ + {begin}, {run});");
            return Ok(Kernel::new(text, "one run"));
        }
        if axes.len() > 5 {
            return Err(KernelError::Unsupported {
                layer: name.into(),
                what: format!("a copy over {} axes that do not merge", axes.len()),
            });
        }
        axes.resize(5, (1, 0, 0));
        axes.reverse();
        let list = |f: &dyn Fn(&(usize, usize, usize)) -> usize| {
            axes.iter().map(|a| f(a).to_string()).collect::<Vec<_>>().join(", ")
        };
        let fields = format!(
            "{{{}}}, {{{}}}, {{{}}}, {run}",
            list(&|a| a.0),
            list(&|a| a.1),
            list(&|a| a.2)
        );
        unit.need(Helper::Copy);
        unit.record("pr_box", name, &fields);
        let text =
            format!("pr_copy(&{name}, (const char *)@in0@ + {begin}, (char *)@out0@ + {end});");
        Ok(Kernel::new(text, "box"))
    }

    fn rounds(&self, _: &str, _: Isa) -> Vec<(&'static str, u64)> {
        let bytes = (self.size.iter().product::<usize>() * self.element) as u64;
        let (_, run) = self.merged();
        vec![("call", 1), ("run", bytes / run.max(1) as u64), ("byte", bytes)]
    }
}

/// Sets every byte of the output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Number of bytes.
    pub bytes: usize,
    /// The value.
    pub value: i8,
}

impl Layer for Fill {
    fn lower(&self, _unit: &mut Unit, _name: &str) -> Result<Kernel, KernelError> {
        let mut kernel =
            Kernel::new(format!("memset(@out0@, {}, {});", self.value, self.bytes), "fill");
        kernel.overlap.clear();
        Ok(kernel)
    }

    fn rounds(&self, _: &str, _: Isa) -> Vec<(&'static str, u64)> {
        vec![("call", 1), ("byte", self.bytes as u64)]
    }
}
