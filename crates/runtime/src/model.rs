use crate::buffer::Buffer;
use crate::package::PackageError;
use crate::program::{Port, Program, Source};
use crate::threads::{bring, together};
use paring_kernels::Kernels;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// Why a run gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// Not as many inputs or outputs as the network has.
    #[error("the network has {expected} {what}, {found} were given")]
    Count {
        /// `inputs` or `outputs`.
        what: &'static str,
        /// How many there are.
        expected: usize,
        /// How many were given.
        found: usize,
    },
    /// A slice of another length.
    #[error("{what} {index} has {expected} bytes, {found} were given")]
    Length {
        /// `input` or `output`.
        what: &'static str,
        /// Which one.
        index: usize,
        /// Its bytes.
        expected: usize,
        /// The bytes of the slice.
        found: usize,
    },
    /// There is no result for these inputs: a division of an integer by zero, or an index out of range.
    #[error("step {step}: {why}")]
    Data {
        /// Which step, counted from 0.
        step: usize,
        /// What is wrong.
        why: String,
    },
    /// The package contradicts itself.
    #[error("a step failed; the package is damaged (or this is a bug; please report it)")]
    Step,
}

/// A network that is ready to run; runners share it.
#[derive(Clone)]
pub struct Model {
    shared: Arc<Shared>,
}

struct Shared {
    program: Program,
    kernels: Box<dyn Kernels>,
    /// What a run takes.
    work: usize,
}

impl Shared {
    /// Brings the inputs in and does all steps, with `after` before the first and after each.
    fn run(
        &self,
        inputs: &[&[u8]],
        arena: &mut [u8],
        mut after: impl FnMut(),
    ) -> Result<(), RunError> {
        for (port, x) in self.program.inputs.iter().zip(inputs) {
            if let Source::Arena(span) = port.source {
                bring(x, &mut span.of_mut(arena)[..port.len]);
            }
        }
        after();
        for (step, run) in self.program.runs.iter().enumerate() {
            let done = run.run(&*self.kernels, &self.program.consts, arena);
            done.map_err(|why| RunError::Data { step, why })?;
            after();
        }
        Ok(())
    }
}

impl Model {
    /// Takes a package as it lies in memory.
    ///
    /// # Errors
    /// See [`PackageError`].
    pub fn load(
        package: impl AsRef<[u8]> + Send + Sync + 'static,
        kernels: Box<dyn Kernels>,
    ) -> Result<Self, PackageError> {
        let program = Program::of_package(Arc::new(package), kernels.family())?;
        if program.computes_in_half() && !kernels.computes_in_half() {
            return Err(PackageError::Half);
        }
        let work = program.runs.iter().fold(0, |all: usize, r| all.saturating_add(r.work()));
        Ok(Self { shared: Arc::new(Shared { program, kernels, work }) })
    }

    /// The inputs.
    #[must_use]
    pub fn inputs(&self) -> &[Port] {
        &self.shared.program.inputs
    }

    /// The outputs.
    #[must_use]
    pub fn outputs(&self) -> &[Port] {
        &self.shared.program.outputs
    }

    /// Bytes that each runner needs.
    #[must_use]
    pub fn arena(&self) -> usize {
        self.shared.program.arena
    }

    /// A runner with memory of its own.
    #[must_use]
    pub fn runner(&self) -> Runner {
        let mut runner = Runner {
            shared: Arc::clone(&self.shared),
            arena: Buffer::zeroed(self.arena()),
            states: Vec::new(),
            shapes: self.outputs().iter().map(|p| p.shape.clone()).collect(),
        };
        runner.reset();
        runner
    }
}

/// Runs a network: the arena and the states.
pub struct Runner {
    shared: Arc<Shared>,
    arena: Buffer,
    states: Vec<Vec<u8>>,
    /// The extents of the outputs.
    shapes: Vec<Vec<usize>>,
}

fn check(
    what: [&'static str; 2],
    ports: &[Port],
    given: impl ExactSizeIterator<Item = usize>,
) -> Result<(), RunError> {
    if ports.len() != given.len() {
        return Err(RunError::Count { what: what[0], expected: ports.len(), found: given.len() });
    }
    for (index, (port, found)) in ports.iter().zip(given).enumerate() {
        if port.len != found {
            return Err(RunError::Length { what: what[1], index, expected: port.len, found });
        }
    }
    Ok(())
}

impl Runner {
    /// Computes the outputs for inputs, both as bytes. Nothing is allocated.
    ///
    /// # Errors
    /// If there are not as many slices of the lengths that the network has, or no result for these inputs.
    pub fn run(&mut self, inputs: &[&[u8]], outputs: &mut [&mut [u8]]) -> Result<(), RunError> {
        self.run_by(inputs, outputs, |shared, arena| {
            together(shared.work, || shared.run(inputs, arena, || ()))
        })
    }

    /// As [`Runner::run`]; `watch` is called before the first step and after each one.
    ///
    /// # Errors
    /// See [`Runner::run`].
    pub fn run_watched(
        &mut self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        watch: impl FnMut(),
    ) -> Result<(), RunError> {
        self.run_by(inputs, outputs, |shared, arena| shared.run(inputs, arena, watch))
    }

    /// Brings the states in, lets `steps` compute, and brings the outputs out.
    fn run_by(
        &mut self,
        inputs: &[&[u8]],
        outputs: &mut [&mut [u8]],
        steps: impl FnOnce(&Shared, &mut [u8]) -> Result<(), RunError>,
    ) -> Result<(), RunError> {
        let program = &self.shared.program;
        check(["inputs", "input"], &program.inputs, inputs.iter().map(|x| x.len()))?;
        check(["outputs", "output"], &program.outputs, outputs.iter().map(|y| y.len()))?;
        let arena = self.arena.bytes_mut();
        for (state, bytes) in program.states.iter().zip(&self.states) {
            if let Source::Arena(span) = state.current {
                span.of_mut(arena)[..bytes.len()].copy_from_slice(bytes);
            }
        }
        // What a checked package still could do wrong is caught by the steps' own checks.
        let steps = AssertUnwindSafe(|| steps(&self.shared, arena));
        catch_unwind(steps).unwrap_or(Err(RunError::Step))?;
        let arena = self.arena.bytes();
        for (state, bytes) in program.states.iter().zip(&mut self.states) {
            let n = bytes.len();
            bytes.copy_from_slice(&program.bytes(arena, state.next)[..n]);
        }
        for (port, (y, shape)) in
            program.outputs.iter().zip(outputs.iter_mut().zip(&mut self.shapes))
        {
            y.copy_from_slice(&program.bytes(arena, port.source)[..port.len]);
            port.settle(program, arena, shape);
        }
        Ok(())
    }

    /// The extents of an output after the last run: those of its [`Port`], but that which depends on the data as it came
    /// out. The elements are then the first of the output's bytes; what follows means nothing.
    #[must_use]
    pub fn shape(&self, output: usize) -> Option<&[usize]> {
        self.shapes.get(output).map(Vec::as_slice)
    }

    /// Sets the states to what they begin with.
    pub fn reset(&mut self) {
        let states = self.shared.program.states.iter();
        self.states = states.map(|s| s.initial.bytes().to_vec()).collect();
    }
}
