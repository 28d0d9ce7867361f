//! The memory plan as a picture: who lives where, when.

use std::fmt::Write as _;

use crate::lower::Lowering;
use crate::memory::{Memory, Room};

/// Rows of the text picture.
const ROWS: usize = 24;
/// Letters that stand for pieces of memory.
const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

fn letter(index: usize) -> char {
    char::from(LETTERS[index % LETTERS.len()])
}

/// Steps run to the right, addresses upward; a letter is a piece of memory, `+` two that share
/// bytes, `.` nothing.
pub(crate) fn text(lowering: &Lowering<'_>, memory: &Memory) -> String {
    let graph = lowering.graph;
    let steps = lowering.steps.len().max(1);
    let total = memory.arena_bytes.max(1);
    let mut out = format!(
        "Memory of {}: {} bytes. Layers run to the right, addresses upward, a row is {} bytes.\n\
         + is where an output lies over an input that dies with the layer. No plan for this order of\n\
         layers is below {} bytes; no order of layers has less than {} in use at once.\n\n",
        graph.name(),
        memory.arena_bytes,
        total.div_ceil(ROWS),
        memory.lower_bound,
        memory.order_bound,
    );
    for row in (0..ROWS).rev() {
        let (low, high) = (row * total / ROWS, (row + 1) * total / ROWS);
        let _ = write!(out, "{low:>9} ");
        for step in 0..steps {
            let there = |r: &Room| {
                let middle = low.midpoint(high);
                r.offset <= middle
                    && middle < r.offset + r.bytes
                    && r.steps.0 <= step
                    && step <= r.steps.1
            };
            let mut found = memory.rooms.iter().enumerate().filter(|(_, r)| there(r));
            out.push(match (found.next(), found.next()) {
                (None, _) => '.',
                (Some((index, _)), None) => letter(index),
                _ => '+',
            });
        }
        out.push('\n');
    }
    let _ = write!(out, "{:>9} ", "layer");
    for step in 0..steps {
        let _ = write!(out, "{}", step % 10);
    }
    out.push_str("\n\n      bytes    offset    layers  piece\n");
    for (index, room) in memory.rooms.iter().enumerate() {
        let span = format!("{}-{}", room.steps.0, room.steps.1);
        let (bytes, offset) = (room.bytes, room.offset);
        let _ = writeln!(out, "{} {bytes:>9} {offset:>9} {span:>9}  {}", letter(index), room.name);
    }
    out.push_str("\nlayer    in use  name\n");
    for (at, step) in lowering.steps.iter().enumerate() {
        let live = memory.live.get(at).copied().unwrap_or(0);
        let _ = writeln!(out, "{at:>5} {live:>9}  {}", graph.node(step.node).name);
    }
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// The same as SVG.
pub(crate) fn svg(lowering: &Lowering<'_>, memory: &Memory) -> String {
    let graph = lowering.graph;
    let steps = lowering.steps.len().max(1);
    let column = (900 / steps).clamp(8, 60);
    let (width, height) = (column * steps, 400);
    let total = memory.arena_bytes.max(1) as f64;
    let y = |bytes: usize| height as f64 - bytes as f64 * f64::from(height as u32) / total;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"-70 -30 {} {}\" font-family=\"sans-serif\" font-size=\"10\">\n\
         <title>Memory of {}</title>\n\
         <text x=\"0\" y=\"-14\">{}: {} bytes; layers to the right, addresses upward</text>\n\
         <rect x=\"0\" y=\"0\" width=\"{width}\" height=\"{height}\" fill=\"#f4f4f4\"/>\n",
        width + 90,
        height + 60,
        escape(graph.name()),
        escape(graph.name()),
        memory.arena_bytes,
    );
    for quarter in 0..=4 {
        let bytes = memory.arena_bytes * quarter / 4;
        let _ = writeln!(
            out,
            "<text x=\"-6\" y=\"{:.1}\" text-anchor=\"end\">{bytes}</text>",
            y(bytes) + 3.0
        );
    }
    for (index, room) in memory.rooms.iter().enumerate() {
        let hue = index * 47 % 360;
        let (x, w) = (room.steps.0 * column, (room.steps.1 + 1 - room.steps.0) * column);
        let (top, bottom) = (y(room.offset + room.bytes), y(room.offset));
        let light = if room.scratch { 88 } else { 70 };
        let _ = writeln!(
            out,
            "<rect x=\"{x}\" y=\"{top:.1}\" width=\"{w}\" height=\"{:.1}\" fill=\"hsl({hue} 60% {light}%)\" \
             fill-opacity=\"0.75\" stroke=\"#444\" stroke-width=\"0.5\"><title>{}: {} bytes at {}, layers {} to {}</title></rect>",
            bottom - top,
            escape(&room.name),
            room.bytes,
            room.offset,
            room.steps.0,
            room.steps.1
        );
        if bottom - top >= 11.0 && w >= 24 {
            let room_for: usize = w / 6;
            let name: String = room.name.chars().take(room_for).collect();
            let _ = writeln!(
                out,
                "<text x=\"{}\" y=\"{:.1}\">{}</text>",
                x + 2,
                top + 10.0,
                escape(&name)
            );
        }
    }
    for (at, step) in lowering.steps.iter().enumerate() {
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{at}<title>{}</title></text>",
            at * column + column / 2,
            height + 12,
            escape(&graph.node(step.node).name)
        );
    }
    out.push_str("</svg>\n");
    out
}
