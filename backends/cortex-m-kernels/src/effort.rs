//! What products with weights in each coding take on the Cortex-M4, from their instruction
//! sequences: to compare the codings of one layer.

use crate::{Coding, Isa};

/// Executed instructions and, by the Cortex-M4's timing table, cycles of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Effort {
    /// Instructions.
    pub instructions: u64,
    /// Cycles.
    pub cycles: u64,
}

impl Effort {
    /// `count` times `instructions` and `cycles`.
    pub(crate) fn of(count: usize, instructions: usize, cycles: usize) -> Self {
        let times = |n: usize| (count as u64).saturating_mul(n as u64);
        Self { instructions: times(instructions), cycles: times(cycles) }
    }
}

impl std::ops::Add for Effort {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            instructions: self.instructions.saturating_add(other.instructions),
            cycles: self.cycles.saturating_add(other.cycles),
        }
    }
}

/// The product of a pair of windows (or, on Helium, of all of them) with all output channels.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Product {
    pub isa: Isa,
    pub coding: Coding,
    /// Windows.
    pub pixels: usize,
    /// Groups of four channels.
    pub groups: usize,
    /// Inputs of a window, padded as the kernel wants them.
    pub inputs: usize,
    /// Blocks of four inputs by four channels that are not skipped.
    pub blocks: usize,
    /// Whether the output's zero point is -128.
    pub relu: bool,
}

impl Product {
    pub fn effort(&self) -> Effort {
        let pairs = self.pixels.div_ceil(2);
        let groups = pairs * self.groups;
        // Two inputs by four channels by two pixels.
        let steps = pairs * 2 * self.blocks;
        match self.isa {
            Isa::Dsp => {
                let plain_relu = self.relu && self.coding == Coding::Plain;
                let end = if plain_relu { (65, 86) } else { (75, 96) };
                let group = Effort::of(groups, end.0, end.1);
                let rest = match self.coding {
                    Coding::Plain => {
                        let rounds = (self.inputs / 2).div_ceil(8);
                        Effort::of(pairs, 19, 32)
                            + Effort::of(groups, 8 + 3 * rounds - 1, 15 + 6 * rounds - 2)
                            + Effort::of(steps, 12, 16)
                    }
                    Coding::Nibbles => {
                        Effort::of(pairs, 18 + 2 * self.inputs, 30 + 3 * self.inputs)
                            + Effort::of(groups, 17 + 3 * self.inputs / 8, 25 + 6 * self.inputs / 8)
                            + Effort::of(steps, 15, 18)
                    }
                    Coding::Palette => {
                        Effort::of(pairs, 13, 25)
                            + Effort::of(groups, 7 + 3 * self.inputs / 4, 13 + 6 * self.inputs / 4)
                            + Effort::of(steps, 17, 27)
                            + Effort::of(1, 780, 850)
                    }
                    Coding::Sparse => {
                        Effort::of(pairs, 11, 22)
                            + Effort::of(groups, 10, 17)
                            + Effort::of(steps, 14, 19)
                    }
                    // Such layers state their own.
                    Coding::Winograd => Effort::default(),
                    Coding::SparsePalette => {
                        Effort::of(pairs, 13, 25)
                            + Effort::of(groups, 14, 22)
                            + Effort::of(steps, 19, 31)
                            + Effort::of(1, 780, 850)
                    }
                };
                group + rest
            }
            Isa::V6m | Isa::V7m => {
                let (instructions, cycles) = match self.coding {
                    Coding::Plain => (30, 42),
                    Coding::Nibbles | Coding::Sparse => (34, 48),
                    _ if self.isa == Isa::V6m => (42, 60),
                    _ => (56, 76),
                };
                Effort::of(groups, 110, 150) + Effort::of(steps, instructions, cycles)
            }
            // With one coding there is nothing to compare.
            Isa::Helium => Effort::of(steps, 14, 20),
        }
    }
}
