//! The C of a stream.

use std::fmt::Write as _;

use super::Stream;
use crate::lower::{Lowering, Step};
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
    if let Some(patches) = &stream.patches {
        return super::patches::write((stream, patches), lowering, memory, first, heading, text);
    }
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
    for (index, link) in stream.links.iter().enumerate().skip(1) {
        let at = first + index - 1;
        let Some(step) = lowering.steps.get(at) else { continue };
        let _ = write!(text, "{}", heading(at, step));
        let _ = writeln!(
            text,
            "        if (pr_rows_next(arena, {name}_layers, d, {index}, &b)) {{\n            PR_LAYER({at})"
        );
        let scratch = format!("(void *)(arena + {})", memory.scratch(at));
        for call in &step.calls {
            let calls = call.kernel.call_rows("b", link.row, &scratch).unwrap_or_default();
            for line in calls.lines() {
                let _ = writeln!(text, "            {line}");
            }
        }
        text.push_str("        }\n");
    }
    text.push_str("    }\n}\n\n");
    name
}
