use crate::blob::Blob;
use crate::step::{Io, Span, Step, carve, numbers, numbers_mut};
use crate::steps::AnyStep;
use crate::wire::{Fault, Reader, Wire, Writer, wire};
use paring_kernels::Kernels;

/// Where bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// In the arena.
    Arena(Span),
    /// In a constant, by its number.
    Const(usize),
}

impl Wire for Source {
    fn put(&self, w: &mut Writer) {
        match self {
            Self::Arena(span) => (true, *span).put(w),
            Self::Const(index) => (false, *index).put(w),
        }
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        Ok(if bool::get(r)? { Self::Arena(Span::get(r)?) } else { Self::Const(usize::get(r)?) })
    }
}

/// A step with its places.
#[derive(Debug)]
pub struct Run {
    /// What is computed.
    pub step: AnyStep,
    /// The first operand.
    pub a: Source,
    /// Bytes after the end of `a` that may be read.
    pub slack: usize,
    /// The second operand.
    pub b: Option<Source>,
    /// The result.
    pub out: Span,
    /// Memory that the step needs besides.
    pub scratch: Span,
}

wire!(Run { step, a, slack, b, out, scratch });

impl Run {
    /// What it takes, in `f32` multiply-accumulates or the like, as far as that is worth counting.
    #[must_use]
    pub fn work(&self) -> usize {
        self.step.work()
    }

    /// Computes the result in the arena.
    ///
    /// # Errors
    /// Why there is no result for what the operands are.
    pub fn run(
        &self,
        kernels: &dyn Kernels,
        consts: &[Blob],
        arena: &mut [u8],
    ) -> Result<(), String> {
        let constant = |source: Source| match source {
            Source::Const(index) => consts.get(index).map_or(&[][..], Blob::bytes),
            Source::Arena(_) => &[],
        };
        let span = |source: Option<Source>| match source {
            Some(Source::Arena(span)) => span,
            _ => Span::default(),
        };
        let (a, b) = (self.a, self.b);
        let mut a_span = span(Some(a));
        if a_span.len > 0 {
            a_span.len += self.slack;
        }
        let b_span = span(b);
        let same = a_span.len > 0 && b_span.len > 0 && a_span.at == b_span.at;
        let b_own = if same { Span::default() } else { b_span };
        let [part_a, part_b, out, scratch] = carve(arena, [a_span, b_own, self.out, self.scratch]);
        let a: &[u8] = if let Source::Const(_) = a { constant(a) } else { part_a };
        let b: &[u8] = match b {
            Some(b @ Source::Const(_)) => constant(b),
            Some(Source::Arena(_)) if same => &a[..b_span.len],
            Some(Source::Arena(_)) => part_b,
            None => &[],
        };
        let io = Io { a, b, out, scratch };
        if let Some(why) = self.step.refusal(&io) {
            return Err(why);
        }
        self.step.run(kernels, io);
        Ok(())
    }
}

/// The element types of inputs and outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Element {
    /// 32-bit floating point.
    F32 = 0,
    /// Signed bytes.
    I8 = 1,
    /// Bytes.
    U8 = 2,
    /// 16-bit integers.
    I16 = 3,
    /// 32-bit integers.
    I32 = 4,
    /// 64-bit integers.
    I64 = 5,
    /// Truth values, one a byte.
    Bool = 6,
    /// 16-bit floating point.
    F16 = 7,
}

impl Element {
    /// The `i`-th of some elements; of real numbers there is none.
    pub(crate) fn whole(self, bytes: &[u8], i: usize) -> i64 {
        match self {
            Self::I8 => i64::from(bytes[i] as i8),
            Self::U8 | Self::Bool => i64::from(bytes[i]),
            Self::I16 => i64::from(numbers::<i16>(bytes)[i]),
            Self::I32 => i64::from(numbers::<i32>(bytes)[i]),
            Self::I64 => numbers::<i64>(bytes)[i],
            Self::F32 | Self::F16 => 0,
        }
    }

    /// Puts a number there as the `i`-th element, of which it keeps the low bits.
    pub(crate) fn put_whole(self, bytes: &mut [u8], i: usize, x: i64) {
        match self {
            Self::I8 | Self::U8 | Self::Bool => bytes[i] = x as u8,
            Self::I16 => numbers_mut::<i16>(bytes)[i] = x as i16,
            Self::I32 => numbers_mut::<i32>(bytes)[i] = x as i32,
            Self::I64 => numbers_mut::<i64>(bytes)[i] = x,
            Self::F32 | Self::F16 => {}
        }
    }

    /// The least and the largest of integers.
    pub(crate) fn range(self) -> (i64, i64) {
        match self {
            Self::I8 => (-128, 127),
            Self::U8 => (0, 255),
            Self::Bool => (0, 1),
            Self::I16 => (-32768, 32767),
            Self::I32 => (i64::from(i32::MIN), i64::from(i32::MAX)),
            Self::I64 | Self::F32 | Self::F16 => (i64::MIN, i64::MAX),
        }
    }
}

impl Wire for Element {
    fn put(&self, w: &mut Writer) {
        (*self as u8).put(w);
    }

    fn get(r: &mut Reader<'_>) -> Result<Self, Fault> {
        use Element::{Bool, F16, F32, I8, I16, I32, I64, U8};
        let all = [F32, I8, U8, I16, I32, I64, Bool, F16];
        all.get(usize::from(u8::get(r)?)).copied().ok_or(Fault)
    }
}

/// An input or output.
#[derive(Clone, Debug, PartialEq)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub element: Element,
    /// Its extents.
    pub shape: Vec<usize>,
    /// Scale and zero point of quantized elements.
    pub quant: Option<(f32, i32)>,
    /// Where it is.
    pub source: Source,
    /// Its bytes.
    pub len: usize,
}

wire!(Port { name, element, shape, quant, source, len });

/// What stays from run to run.
#[derive(Clone, Debug)]
pub struct State {
    /// Where it is read.
    pub current: Source,
    /// What it becomes.
    pub next: Source,
    /// What it begins with.
    pub initial: Blob,
}

wire!(State { current, next, initial });

/// A planned network.
#[derive(Debug)]
pub struct Program {
    /// The steps in order.
    pub runs: Vec<Run>,
    /// The constants.
    pub consts: Vec<Blob>,
    /// Bytes of the arena.
    pub arena: usize,
    /// The inputs.
    pub inputs: Vec<Port>,
    /// The outputs.
    pub outputs: Vec<Port>,
    /// The states.
    pub states: Vec<State>,
}

wire!(Program { runs, consts, arena, inputs, outputs, states });

impl Program {
    /// Whether it takes a processor that computes in half precision.
    #[must_use]
    pub fn computes_in_half(&self) -> bool {
        self.runs.iter().any(|r| r.step.in_half())
    }

    /// The bytes at a place, as far as they are there.
    pub(crate) fn bytes<'a>(&'a self, arena: &'a [u8], source: Source) -> &'a [u8] {
        match source {
            Source::Arena(span) => span.of(arena),
            Source::Const(index) => self.consts.get(index).map_or(&[], Blob::bytes),
        }
    }

    /// Whether every place is inside the arena or a constant.
    pub(crate) fn is_sound(&self) -> bool {
        let span = |s: &Span| s.at.checked_add(s.len).is_some_and(|end| end <= self.arena);
        let source = |s: &Source, len: usize| match s {
            Source::Arena(place) => span(place) && place.len >= len,
            Source::Const(i) => self.consts.get(*i).is_some_and(|c| c.bytes().len() >= len),
        };
        self.runs.iter().all(|r| {
            let slack = match r.a {
                Source::Arena(s) => s.len.checked_add(r.slack).map(|len| Span { len, ..s }),
                Source::Const(_) => Some(Span::default()),
            };
            source(&r.a, 0)
                && slack.is_some_and(|s| span(&s))
                && r.b.is_none_or(|b| source(&b, 0))
                && span(&r.out)
                && span(&r.scratch)
        }) && self.inputs.iter().chain(&self.outputs).all(|p| source(&p.source, p.len))
            && self.states.iter().all(|s| {
                let len = s.initial.bytes().len();
                source(&s.current, len) && source(&s.next, len)
            })
    }
}
