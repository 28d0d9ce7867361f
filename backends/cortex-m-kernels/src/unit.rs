use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::KernelError;
use crate::coding::Coding;
use crate::cost::Loops;
use crate::helpers::Helper;

/// What the compiler may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Isa {
    /// ARMv6-M: Cortex-M0, M0+.
    V6m,
    /// ARMv7-M without the DSP extension: Cortex-M3.
    V7m,
    /// The DSP extension: Cortex-M4, M7, M33.
    Dsp,
    /// The vector extension: Cortex-M55, M85.
    Helium,
}

impl Isa {
    /// The optimization that suits the code: where hot loops are assembly only the size of the rest is left
    /// to gain.
    #[must_use]
    pub fn optimization(self) -> &'static str {
        match self {
            Self::V6m | Self::V7m => "-O2",
            Self::Dsp | Self::Helium => "-Os",
        }
    }
}

/// Where a kernel's output may lie relative to an input that dies with the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlap {
    /// Nowhere near: the two must not share a byte.
    Disjoint,
    /// Anywhere as long as `input address - output address` is at least this many bytes.
    AtLeast(i64),
    /// At the same address.
    Same,
}

/// A layer's kernel, ready to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kernel {
    pub(crate) template: String,
    /// The same for a band of rows: the fields of the record that a band changes, or the call itself.
    pub(crate) rows: Option<String>,
    /// Whether the layer can be called for one band of rows after the other ([`Unit::add_rows`]).
    pub in_rows: bool,
    /// The same for a patch.
    pub(crate) patches: Option<String>,
    /// Whether the layer can be called for one patch after the other ([`Unit::add_patches`]).
    pub in_patches: bool,
    pub(crate) patch_room: PatchRoom,
    /// Bytes of scratch memory the call needs, aligned to 4.
    pub scratch_bytes: usize,
    /// For each input, where the output may overlap it.
    pub overlap: Vec<Overlap>,
    /// Bytes past the end of the first input that the call may read (and ignore).
    pub overread: usize,
    /// A word on the variant chosen, for comments and reports.
    pub variant: &'static str,
    /// How often the loops of the functions it calls run; empty where no costs are known.
    pub loops: Vec<Loops>,
}

impl Kernel {
    pub(crate) fn new(template: impl Into<String>, variant: &'static str) -> Self {
        Self {
            template: template.into(),
            rows: None,
            in_rows: false,
            patches: None,
            in_patches: false,
            patch_room: PatchRoom::Fixed(0),
            scratch_bytes: 0,
            overlap: vec![Overlap::Disjoint],
            overread: 0,
            variant,
            loops: Vec::new(),
        }
    }

    pub(crate) fn scratch(mut self, bytes: usize) -> Self {
        self.scratch_bytes = bytes;
        self
    }

    pub(crate) fn overlap(mut self, overlap: &[Overlap]) -> Self {
        self.overlap = overlap.to_vec();
        self
    }

    pub(crate) fn overread(mut self, bytes: usize) -> Self {
        self.overread = bytes;
        self
    }

    /// Lets bands of rows be called: with a copy of the record in which these fields are set.
    pub(crate) fn band_fields(mut self, c_type: &str, name: &str, fields: &[(&str, &str)]) -> Self {
        let mut text = format!("{c_type} c = {name};");
        for (field, value) in fields {
            let _ = write!(text, "\nc.{field} = {value};");
        }
        let call = self.template.replace(&format!("(&{name},"), "(&c,");
        self.rows = Some(format!("{text}\n{call}"));
        self
    }

    /// Lets patches be called: with a copy of the record in which these fields are set, on what begins at
    /// `input`.
    pub(crate) fn patch_fields(
        mut self,
        c_type: &str,
        name: &str,
        fields: &[(&str, &str)],
        input: &str,
        room: PatchRoom,
    ) -> Self {
        let mut text = format!("{c_type} c = {name};");
        for (field, value) in fields {
            let _ = write!(text, "\nc.{field} = {value};");
        }
        let call = self.template.replace(&format!("(&{name},"), "(&c,").replace("@in0@", input);
        self.patches = Some(format!("{text}\n{call}"));
        self.patch_room = room;
        self
    }

    /// Bytes of scratch memory that a patch of so many rows and columns of the output needs, aligned to 4.
    #[must_use]
    pub fn patch_scratch(&self, rows: usize, cols: usize) -> usize {
        match self.patch_room {
            PatchRoom::Fixed(bytes) => bytes,
            PatchRoom::Plane { kernel, stride, fours, element } => {
                let [rows, cols] =
                    [rows, if fours { cols.next_multiple_of(4) } else { cols }].map(|n| n.max(1));
                let pitch = (cols - 1) * stride[1] + kernel[1] + if fours { 2 } else { 0 };
                ((rows - 1) * stride[0] + kernel[0]) * pitch.next_multiple_of(2) * element
            }
        }
    }

    /// The C statements that run the kernel on a patch, to be put in a block of their own; `patch` is a
    /// `pr_cut`, and `channels` those of the output.
    #[must_use]
    pub fn call_patch(&self, patch: &str, channels: usize) -> Option<String> {
        let mut text = self.patches.as_ref()?.clone();
        for (mark, field) in [
            ("@scratch@", "scratch"),
            ("@out0@", "out"),
            ("@in0@", "row"),
            ("@in_rows@", "in_rows"),
            ("@in_cols@", "in_cols"),
            ("@rows@", "rows"),
            ("@cols@", "cols"),
            ("@above@", "above"),
            ("@left@", "left"),
            ("@line@", "line"),
            ("@x@", "x"),
        ] {
            text = text.replace(mark, &format!("{patch}.{field}"));
        }
        Some(text.replace("@row@", &format!("{patch}.cols * {channels}")))
    }

    /// The C statements that run the kernel on a band of output rows, to be put in a block of their own;
    /// `band` is a `pr_band`, and `row` the elements of an output row.
    #[must_use]
    pub fn call_rows(&self, band: &str, row: usize, scratch: &str) -> Option<String> {
        let text = self.rows.as_ref()?;
        let text = text
            .replace("@scratch@", scratch)
            .replace("@out0@", &format!("{band}.out"))
            .replace("@in0@", &format!("{band}.in[0]"))
            .replace("@in1@", &format!("{band}.in[1]"))
            .replace("@in_rows@", &format!("{band}.in_rows"))
            .replace("@rows@", &format!("{band}.rows"))
            .replace("@above@", &format!("{band}.above"))
            .replace("@row@", &row.to_string());
        Some(text)
    }

    /// The C statements that run the kernel on pointer expressions.
    #[must_use]
    pub fn call(&self, inputs: &[&str], outputs: &[&str], scratch: &str) -> String {
        let mut text = self.template.replace("@scratch@", scratch);
        for (index, input) in inputs.iter().enumerate() {
            text = text.replace(&format!("@in{index}@"), input);
        }
        for (index, output) in outputs.iter().enumerate() {
            text = text.replace(&format!("@out{index}@"), output);
        }
        text
    }
}

/// Some rows of a layer's output and the rows of its input that they see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Band {
    /// Rows of the output.
    pub rows: usize,
    /// Rows of the input that are there.
    pub in_rows: usize,
    /// Rows of padding above them.
    pub above: usize,
    /// Elements of an output row.
    pub row: usize,
}

/// Some columns of some rows of a layer's output, and what they see of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Patch {
    /// Rows of the output.
    pub rows: usize,
    /// Columns of the output.
    pub cols: usize,
    /// Rows of the input that are there.
    pub in_rows: usize,
    /// Columns of the input that are there.
    pub in_cols: usize,
    /// Rows of padding above them.
    pub above: usize,
    /// Columns of padding to their left.
    pub left: usize,
}

/// What decides how much scratch memory a patch needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PatchRoom {
    /// Nothing: it is always as much.
    Fixed(usize),
    /// A plane of one channel holds what the patch sees.
    Plane {
        kernel: [usize; 2],
        stride: [usize; 2],
        /// Whether four outputs are done at a time.
        fours: bool,
        /// Bytes of an element.
        element: usize,
    },
}

/// A description that can be lowered to a call.
pub trait Layer {
    /// Checks the description and adds what its kernel needs to `unit`.
    ///
    /// # Errors
    /// When the description contradicts itself or no kernel can do it.
    fn lower(&self, unit: &mut Unit, name: &str) -> Result<Kernel, KernelError>;

    /// The same layer with its weights in another coding; `None` for a layer whose weights have only
    /// one.
    fn coded(&self, coding: Coding) -> Option<Box<dyn Layer + '_>> {
        let _ = coding;
        None
    }

    /// The layer on some of its rows alone; `None` where it cannot be cut.
    fn band(&self, band: Band) -> Option<Box<dyn Layer + '_>> {
        let _ = band;
        None
    }

    /// The layer on a patch alone; `None` where it cannot be cut.
    fn patch(&self, patch: Patch) -> Option<Box<dyn Layer + '_>> {
        let _ = patch;
        None
    }

    /// How often the loops of a function run that [`Layer::lower`] chose; nothing where that is not
    /// known.
    fn rounds(&self, function: &str, isa: Isa) -> Vec<(&'static str, u64)> {
        let _ = (function, isa);
        Vec::new()
    }

    /// The same for a loop of its own that some channels have: the function whose loops are like it.
    fn other_rounds(&self, function: &str, isa: Isa) -> Option<Loops> {
        let _ = (function, isa);
        None
    }

    /// The same for the clamp of the output that may follow.
    fn clamp_rounds(&self) -> Option<Vec<(&'static str, u64)>> {
        None
    }
}

/// One C file in the making: the shared functions and the constants of its layers.
#[derive(Clone, Debug)]
pub struct Unit {
    isa: Isa,
    helpers: BTreeSet<Helper>,
    constants: String,
    constant_bytes: usize,
}

impl Unit {
    /// An empty unit.
    #[must_use]
    pub fn new(isa: Isa) -> Self {
        Self { isa, helpers: BTreeSet::new(), constants: String::new(), constant_bytes: 0 }
    }

    /// The instruction set it is for.
    #[must_use]
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// Adds a layer; `name` becomes the prefix of its constants and must be a C identifier that is
    /// unique in the unit.
    ///
    /// # Errors
    /// As [`Layer::lower`].
    pub fn add(&mut self, layer: &dyn Layer, name: &str) -> Result<Kernel, KernelError> {
        let mut kernel = layer.lower(self, name)?;
        kernel.in_rows = layer.band(Band { rows: 1, in_rows: 1, above: 0, row: 1 }).is_some();
        let patch = Patch { rows: 1, cols: 1, in_rows: 1, in_cols: 1, above: 0, left: 0 };
        kernel.in_patches = kernel.patches.is_some() && layer.patch(patch).is_some();
        self.count(&mut kernel, layer);
        Ok(kernel)
    }

    /// Adds a layer that is called for one band of its rows after the other, with
    /// [`Kernel::call_rows`].
    ///
    /// # Errors
    /// As [`Layer::lower`], and when the layer cannot be cut into bands.
    pub fn add_rows(
        &mut self,
        layer: &dyn Layer,
        name: &str,
        bands: &[Band],
    ) -> Result<Kernel, KernelError> {
        let uncut =
            || KernelError::Unsupported { layer: name.into(), what: "bands of rows".into() };
        let tallest = bands.iter().max_by_key(|b| (b.rows, b.in_rows)).ok_or_else(uncut)?;
        let whole = layer.band(*tallest).ok_or_else(uncut)?;
        let mut kernel = whole.lower(self, name)?;
        if kernel.rows.is_none() {
            return Err(uncut());
        }
        self.need(Helper::Rows);
        let mut different: Vec<(Band, usize)> = Vec::new();
        for band in bands {
            match different.iter_mut().find(|(known, _)| known == band) {
                Some((_, times)) => *times += 1,
                None => different.push((*band, 1)),
            }
        }
        for (band, times) in different {
            let part = layer.band(band).ok_or_else(uncut)?;
            let before = kernel.loops.len();
            self.count(&mut kernel, part.as_ref());
            for loops in kernel.loops.iter_mut().skip(before) {
                loops.rounds.iter_mut().for_each(|r| r.1 *= times as u64);
            }
        }
        Ok(kernel)
    }

    /// Adds a layer that is called for one patch after the other, with [`Kernel::call_patch`]; the patches
    /// come with how often each runs.
    ///
    /// # Errors
    /// As [`Layer::lower`], and when the layer cannot be cut into patches.
    pub fn add_patches(
        &mut self,
        layer: &dyn Layer,
        name: &str,
        patches: &[(Patch, u64)],
    ) -> Result<Kernel, KernelError> {
        let uncut = || KernelError::Unsupported { layer: name.into(), what: "patches".into() };
        let largest = patches.iter().max_by_key(|(p, _)| p.rows * p.cols).ok_or_else(uncut)?;
        let whole = layer.patch(largest.0).ok_or_else(uncut)?;
        let mut kernel = whole.lower(self, name)?;
        if kernel.patches.is_none() {
            return Err(uncut());
        }
        kernel.scratch_bytes = 0;
        self.need(Helper::Patches);
        for (patch, times) in patches {
            let part = layer.patch(*patch).ok_or_else(uncut)?;
            let before = kernel.loops.len();
            self.count(&mut kernel, part.as_ref());
            for loops in kernel.loops.iter_mut().skip(before) {
                loops.rounds.iter_mut().for_each(|r| r.1 *= times);
            }
        }
        Ok(kernel)
    }

    /// Notes how often the loops of a kernel's functions run.
    fn count(&self, kernel: &mut Kernel, layer: &dyn Layer) {
        let called =
            ["pr_", "memcpy", "memset"].iter().filter_map(|f| kernel.template.find(f)).min();
        let function: String = called
            .and_then(|at| kernel.template.get(at..))
            .and_then(|text| text.split('(').next())
            .unwrap_or_default()
            .to_owned();
        let rounds = layer.rounds(&function, self.isa);
        let others = layer.other_rounds(&function, self.isa);
        kernel.loops.push(Loops { function, rounds });
        kernel.loops.extend(others);
        let clamp = ["pr_clamp", "pr_clamp16"]
            .into_iter()
            .find(|name| kernel.template.contains(&format!("{name}(")));
        if let (Some(clamp), Some(rounds)) = (clamp, layer.clamp_rounds()) {
            kernel.loops.push(Loops { function: clamp.into(), rounds });
        }
    }

    /// The C text: includes, shared functions in order of need, constants of the layers.
    #[must_use]
    pub fn text(&self) -> String {
        format!(
            "#include <stdint.h>\n#include <string.h>\n\n{}{}",
            self.functions(),
            self.constants
        )
    }

    /// The shared functions alone; they need `stdint.h` and `string.h`.
    #[must_use]
    pub fn functions(&self) -> String {
        self.helpers.iter().map(|h| h.text(self.isa, &self.helpers) + "\n").collect()
    }

    /// The constants alone; they need the types among the functions.
    #[must_use]
    pub fn constants(&self) -> &str {
        &self.constants
    }

    /// Bytes of the constant arrays: weights, biases, multipliers, tables.
    #[must_use]
    pub fn constant_bytes(&self) -> usize {
        self.constant_bytes
    }

    /// Adds an array of int8 that calls can name as an operand.
    pub fn operand(&mut self, name: &str, values: &[i8]) {
        self.i8s(name, values);
    }

    /// The same of int16.
    pub fn operand_wide(&mut self, name: &str, values: &[i16]) {
        self.i16s(name, values);
    }

    pub(crate) fn need(&mut self, helper: Helper) {
        if self.helpers.insert(helper) {
            for &other in helper.needs(self.isa) {
                self.need(other);
            }
        }
    }

    pub(crate) fn record(&mut self, c_type: &str, name: &str, fields: &str) {
        let _ = writeln!(self.constants, "static const {c_type} {name} = {{{fields}}};");
    }

    pub(crate) fn words(&mut self, name: &str, words: &[u32]) {
        self.array("uint32_t", name, words.iter().map(|w| format!("0x{w:x}")), 10);
    }

    pub(crate) fn i32s(&mut self, name: &str, values: &[i32]) {
        self.array("int32_t", name, values.iter().map(|&v| int(v)), 10);
    }

    pub(crate) fn i16s(&mut self, name: &str, values: &[i16]) {
        self.array("int16_t", name, values.iter().map(i16::to_string), 16);
    }

    pub(crate) fn i64s(&mut self, name: &str, values: &[i64]) {
        let literal = |&v: &i64| match v {
            i64::MIN => "(-9223372036854775807LL - 1)".to_owned(),
            _ => format!("{v}LL"),
        };
        self.array("int64_t", name, values.iter().map(literal), 6);
    }

    pub(crate) fn u16s(&mut self, name: &str, values: &[u16]) {
        self.array("uint16_t", name, values.iter().map(u16::to_string), 16);
    }

    pub(crate) fn bytes(&mut self, name: &str, bytes: &[u8]) {
        self.array("uint8_t", name, bytes.iter().map(u8::to_string), 24);
    }

    pub(crate) fn i8s(&mut self, name: &str, values: &[i8]) {
        self.array("int8_t", name, values.iter().map(i8::to_string), 24);
    }

    fn array(
        &mut self,
        c_type: &str,
        name: &str,
        items: impl ExactSizeIterator<Item = String>,
        per_line: usize,
    ) {
        let size = match c_type {
            "int8_t" | "uint8_t" => 1,
            "int16_t" | "uint16_t" => 2,
            "int64_t" => 8,
            _ => 4,
        };
        self.constant_bytes += items.len() * size;
        let _ = write!(self.constants, "static const {c_type} {name}[{}] = {{", items.len().max(1));
        for (index, item) in items.enumerate() {
            let gap = if index % per_line == 0 { "\n    " } else { " " };
            let _ = write!(self.constants, "{gap}{item},");
        }
        self.constants.push_str("\n};\n");
    }
}

/// An `i32` as a C expression; the most negative one has no literal.
pub(crate) fn int(value: i32) -> String {
    if value == i32::MIN { "(-2147483647 - 1)".into() } else { value.to_string() }
}
