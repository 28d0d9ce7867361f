//! The C of a stream.

use std::fmt::Write as _;

use super::patches::{Kind, Patches};
use super::{Link, Stream};
use crate::lower::{Call, Lowering, Step};
use crate::memory::Memory;

/// Writes the function of a stream over steps `first..`, and gives its name.
pub(crate) fn write(
    stream: &Stream,
    lowering: &Lowering<'_>,
    memory: &Memory,
    first: usize,
    heading: impl Fn(usize, &Step) -> String,
    text: &mut String,
) -> String {
    let steps = Steps { stream, lowering, first, heading };
    match &stream.patches {
        Some(patches) => steps.by_patches(patches, memory, text),
        None => steps.by_rows(memory, text),
    }
}

/// The layers of a stream as steps of a network, with what is said above each.
struct Steps<'a, H> {
    stream: &'a Stream,
    lowering: &'a Lowering<'a>,
    first: usize,
    heading: H,
}

impl<H: Fn(usize, &Step) -> String> Steps<'_, H> {
    fn by_rows(&self, memory: &Memory, text: &mut String) -> String {
        let Self { stream, first, .. } = self;
        let name = format!("pr_stream_{first}");
        let last = stream.links.len() - 1;
        let _ = writeln!(text, "static const pr_stream {name}_layers[{}] = {{", last + 1);
        for (at, link) in stream.links.iter().enumerate() {
            let pair = |links: &[usize]| {
                let one = |i: usize| links.get(i).map_or(-1, |&l| l as i64);
                format!("{{{}, {}}}", one(0), one(1))
            };
            // Of the input nothing is given up, however many read it.
            let users = if at == 0 { pair(&[]) } else { pair(&link.users) };
            let window = link.window;
            let _ = writeln!(
                text,
                "    {{{}, {}, {}, {}, {users}, {}, {}, {}}},",
                memory.offset(link.value),
                link.row,
                link.height,
                pair(&link.inputs),
                window.stride,
                window.pad,
                window.kernel - window.pad
            );
        }
        let _ = writeln!(
            text,
            "}};\n\nstatic __attribute__((noinline)) void {name}(int8_t *arena, void *memory)\n{{\n    \
             pr_done d[{}] = {{{{0, {}, 0}}}};\n    pr_band b;\n    (void)memory;\n    \
             while (pr_rows_want({name}_layers, d, {last}, {})) {{",
            last + 1,
            stream.links[0].height,
            stream.rows
        );
        let next = |index| format!("pr_rows_next(arena, {name}_layers, d, {index}, &b)");
        self.layers(text, next, |at, link, call| {
            let scratch = format!("(void *)(arena + {})", memory.scratch(at));
            call.kernel.call_rows("b", link.row, &scratch)
        });
        name
    }

    fn by_patches(&self, patches: &Patches, memory: &Memory, text: &mut String) -> String {
        let Self { stream, first, .. } = self;
        let name = format!("pr_patches_{first}");
        let last = stream.links.len() - 1;
        let _ = writeln!(text, "static const pr_patched {name}_layers[{}] = {{", last + 1);
        for link in &stream.links {
            let (down, across) = (link.window, link.across);
            let _ = writeln!(
                text,
                "    {{{}, {}, {}, {}, {{{}, {}}}, {{{}, {}}}, {{{}, {}}}}},",
                memory.offset(link.value),
                link.height,
                link.width,
                link.channels(),
                down.stride,
                across.stride,
                down.pad,
                across.pad,
                down.kernel,
                across.kernel
            );
        }
        let kinds = &patches.kinds;
        let _ = writeln!(text, "}};\n\nstatic const pr_patches {name}_kinds[{}] = {{", kinds.len());
        for Kind { times, rows, cols, room } in kinds {
            let _ = writeln!(text, "    {{{times}, {rows}, {cols}, {room}}},");
        }
        let _ = writeln!(
            text,
            "}};\n\nstatic __attribute__((noinline)) void {name}(int8_t *arena, void *memory)\n{{\n    \
             pr_part part[{}];\n    pr_patch p;\n    pr_cut b;\n    (void)memory;\n    memset(part, 0, sizeof part);\n    memset(&p, 0, sizeof p);\n    \
             while (pr_patch_next(arena, {name}_layers, part, {last}, {name}_kinds, {}, &p)) {{",
            last + 1,
            i32::from(patches.upward)
        );
        let next =
            |index| format!("pr_patch_cut(arena, {name}_layers, part, {last}, &p, {index}, &b)");
        self.layers(text, next, |_, link, call| call.kernel.call_patch("b", link.channels()));
        name
    }

    /// The layers, each called where `next` says that there is something for it to do, and the end of the function.
    fn layers(
        &self,
        text: &mut String,
        next: impl Fn(usize) -> String,
        write: impl Fn(usize, &Link, &Call) -> Option<String>,
    ) {
        for (index, link) in self.stream.links.iter().enumerate().skip(1) {
            let at = self.first + index - 1;
            let Some(step) = self.lowering.steps.get(at) else { continue };
            let heading = (self.heading)(at, step);
            let _ = writeln!(
                text,
                "{heading}        if ({}) {{\n            PR_LAYER({at})",
                next(index)
            );
            for call in &step.calls {
                let calls = write(at, link, call).unwrap_or_default();
                for line in calls.lines() {
                    let _ = writeln!(text, "            {line}");
                }
            }
            text.push_str("        }\n");
        }
        text.push_str("    }\n}\n\n");
    }
}
