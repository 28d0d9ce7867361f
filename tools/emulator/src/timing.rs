//! What instructions take on each core, for memory without wait states.
//!
//! M0, M0+, M3, M4 and M33 by the timing tables of their reference manuals (M0 and M0+: with the
//! single-cycle multiplier; the M33 counts as the M4), with a taken branch refilling the pipeline in 2
//! further cycles (M0+: 1). The M7 issues two instructions at a time: what it takes is the M4's cycles times
//! 0.62, the ratio of the best published figures of both cores for the MLPerf Tiny networks. On the M55 a
//! vector instruction takes two beats; loads and stores on one side and arithmetic on the other
//! overlap, so a block takes the longest of its instructions, twice its vector loads and stores, and
//! twice its other vector instructions.

use std::fmt::Write as _;

use crate::Core;

/// An instruction of a listing.
struct Instruction<'a> {
    address: u32,
    name: &'a str,
    operands: &'a str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Load,
    Store,
    Multiple,
    Branch,
    Divide,
    Other,
}

fn class(name: &str) -> Class {
    let base = name.split('.').next().unwrap_or(name);
    let any = |prefixes: &[&str]| prefixes.iter().any(|p| base.starts_with(p));
    let branches = [
        "b", "bl", "bx", "blx", "cbz", "cbnz", "tbb", "tbh", "beq", "bne", "bcs", "bcc", "bmi",
        "bpl", "bvs", "bvc", "bhi", "bls", "bge", "blt", "bgt", "ble", "bhs", "blo", "le", "letp",
    ];
    if any(&["ldm", "pop", "stm", "push", "vpush", "vpop", "vldm", "vstm"]) {
        Class::Multiple
    } else if any(&["ldr", "vldr"]) {
        Class::Load
    } else if any(&["str", "vstr"]) {
        Class::Store
    } else if any(&["sdiv", "udiv"]) {
        Class::Divide
    } else if branches.contains(&base) {
        Class::Branch
    } else {
        Class::Other
    }
}

/// Registers in a list such as `{r4-r7, lr}`.
fn listed(operands: &str) -> u32 {
    let Some(list) = operands.split_once('{').and_then(|(_, l)| l.split_once('}')) else {
        return 1;
    };
    let number = |name: &str| -> u32 {
        let digits: String = name.chars().filter(char::is_ascii_digit).collect();
        match name.trim() {
            "sl" => 10,
            "fp" => 11,
            "ip" => 12,
            "sp" => 13,
            "lr" => 14,
            "pc" => 15,
            _ => digits.parse().unwrap_or(0),
        }
    };
    list.0
        .split(',')
        .map(|part| match part.split_once('-') {
            Some((a, b)) => number(b).saturating_sub(number(a)) + 1,
            None => 1,
        })
        .sum()
}

/// Whether an instruction writes a register that another's address needs.
fn feeds(before: &Instruction<'_>, operands: &str) -> bool {
    let target = before.operands.split([',', ' ']).next().unwrap_or("");
    let address = operands.split_once('[').map_or("", |(_, a)| a);
    let address = address.split(']').next().unwrap_or("");
    !target.is_empty() && address.split([',', ' ']).any(|r| r == target)
}

/// Tenths of cycles: always, and more when the flow goes elsewhere.
fn cycles(core: Core, now: &Instruction<'_>, before: Option<&Instruction<'_>>) -> (u32, u32) {
    let base = now.name.split('.').next().unwrap_or(now.name);
    let this = class(now.name);
    let to_pc = now.operands.contains("pc") && matches!(this, Class::Multiple | Class::Load);
    if matches!(core, Core::M0 | Core::M0Plus) {
        // The M0+ has a stage less to refill.
        let refill = if core == Core::M0 { 20 } else { 10 };
        return match this {
            Class::Load | Class::Store => (20, 0),
            Class::Multiple => {
                (10 + 10 * listed(now.operands), if to_pc { refill + 10 } else { 0 })
            }
            Class::Branch => (if base == "bl" { 20 } else { 10 }, refill),
            _ => (10, 0),
        };
    }
    let vector = core == Core::M55 && base.starts_with('v');
    if vector && this != Class::Multiple {
        return (10, 0);
    }
    let stall = |i: &Instruction<'_>| {
        let arithmetic = class(i.name) == Class::Other && !i.name.starts_with("cmp");
        if arithmetic && feeds(i, now.operands) { 10 } else { 0 }
    };
    let stall = before.map_or(0, stall);
    let pipelined = |i: &Instruction<'_>| {
        class(i.name) == Class::Load && !i.name.starts_with("ldrd") && !feeds(i, now.operands)
    };
    let (plain, taken) = match this {
        Class::Load if base.starts_with("ldrd") => (30 + stall, 0),
        Class::Load if before.is_some_and(pipelined) => (10, 0),
        Class::Load => (20 + stall, 0),
        Class::Store if base.starts_with("strd") => (30 + stall, 0),
        Class::Store => (10 + stall, 0),
        Class::Multiple => (10 + 10 * listed(now.operands), 0),
        Class::Branch => (10, 20),
        Class::Divide => (60, 0),
        Class::Other => {
            let long = ["smull", "umull", "smlal", "umlal"].contains(&base);
            let cost = match (core, base) {
                (Core::M3, _) if long => 40,
                (Core::M3, "mla" | "mls") => 20,
                (_, "vdiv" | "vsqrt") => 140,
                (_, "vmla" | "vmls" | "vfma" | "vfms") => 30,
                _ => 10,
            };
            (cost, 0)
        }
    };
    let taken = if to_pc { 20 } else { taken };
    if core == Core::M7 {
        return (plain * 62 / 100, taken * 62 / 100);
    }
    (plain, taken)
}

/// The table of costs for a disassembly.
pub(crate) fn costs(core: Core, listing: &str) -> String {
    let instruction = |line| -> Option<Instruction<'_>> {
        let (address, rest) = str::split_once(line, ":\t")?;
        let address = u32::from_str_radix(address.trim(), 16).ok()?;
        let (name, operands) = rest.split_once('\t').unwrap_or((rest, ""));
        let operands = operands.split([';', '@']).next().unwrap_or("").trim();
        Some(Instruction { address, name: name.trim(), operands })
    };
    let mut all: Vec<_> = listing.lines().filter_map(instruction).collect();
    all.sort_by_key(|i| i.address);
    let mut text = String::new();
    for (index, now) in all.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|i| all.get(i));
        let (plain, taken) = cycles(core, now, before);
        let base = now.name.split('.').next().unwrap_or(now.name);
        let vector = match class(now.name) {
            Class::Load | Class::Store if base.starts_with('v') => 1,
            // Predication goes along with what it governs.
            Class::Other if base.starts_with('v') && !base.starts_with("vp") => 2,
            _ => 0,
        };
        let vector = if core == Core::M55 { vector } else { 0 };
        let _ = writeln!(text, "{:x} {plain} {taken} {vector}", now.address);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_becomes_costs() {
        let listing = "00000400 <f>:\n 400:\tpush\t{r4, r5, lr}\n 402:\tldr\tr3, [r0, #0]\n \
                       404:\tldr.w\tr2, [r1], #4\n 408:\tsmlad\tr4, r3, r2, r4\n 40c:\tbne.n\t402 <f+0x2>\n \
                       40e:\tpop\t{r4, r5, pc}\n";
        let m4 = costs(Core::M4, listing);
        let wanted =
            ["400 40 0 0", "402 20 0 0", "404 10 0 0", "408 10 0 0", "40c 10 20 0", "40e 40 20 0"];
        assert_eq!(m4.lines().collect::<Vec<_>>(), wanted);
        assert!(costs(Core::M0, listing).contains("402 20 0 0\n404 20 0 0"));
        let vector = " 10:\tvldrb.8\tq0, [r0], #16\n 14:\tvmladava.s8\tr2, q0, q1\n";
        assert_eq!(costs(Core::M55, vector), "10 10 0 1\n14 10 0 2\n");
    }
}
