//! What kernels take on each core, without running them.
//!
//! A kernel knows how often each of its loops runs for a layer ([`Loops`]); a table knows what one
//! round of each loop takes on each core. The table is made by counting: the example `fit_cost` runs
//! layers of many shapes under the emulator and solves for the rounds. It holds for the compiler
//! that counted, GCC 12.2 with the flags that packages name.

mod conv;
mod depthwise;
mod simple;

pub(crate) use simple::each;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

/// How often each loop of a function runs: `function`, then names and rounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loops {
    /// The C function.
    pub function: String,
    /// Loops and how often each runs in all.
    pub rounds: Vec<(&'static str, u64)>,
}

/// The cores that the table knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Core {
    /// Cortex-M0 and M0+, with the single-cycle multiplier.
    M0,
    /// Cortex-M3.
    M3,
    /// Cortex-M4.
    M4,
    /// Cortex-M7.
    M7,
    /// Cortex-M33.
    M33,
    /// Cortex-M55.
    M55,
}

impl Core {
    /// All of them, smallest first.
    pub const ALL: [Self; 6] = [Self::M0, Self::M3, Self::M4, Self::M7, Self::M33, Self::M55];

    /// Picojoules a cycle: the run-mode current per megahertz that a common part's data sheet leads with,
    /// at 3 V. M0+: STM32L0, 76 uA/MHz; M3: STM32L1, 195; M4: STM32L4, 100; M7: STM32H743, 275; M33: STM32L5,
    /// 106. For the M55 there is no such part of the same family; 22 uA/MHz at 3 V is what Alif states for
    /// the efficient core of the Ensemble.
    #[must_use]
    pub fn picojoules_per_cycle(self) -> f64 {
        match self {
            Self::M0 => 228.0,
            Self::M3 => 585.0,
            Self::M4 => 300.0,
            Self::M7 => 825.0,
            Self::M33 => 318.0,
            Self::M55 => 66.0,
        }
    }
}

impl fmt::Display for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::M0 => "m0",
            Self::M3 => "m3",
            Self::M4 => "m4",
            Self::M7 => "m7",
            Self::M33 => "m33",
            Self::M55 => "m55",
        })
    }
}

impl FromStr for Core {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let short = text.strip_prefix("cortex-").unwrap_or(text);
        Self::ALL.into_iter().find(|c| c.to_string() == short).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(ToString::to_string).collect();
            format!("no costs are known for `{text}`; known: {}", known.join(", "))
        })
    }
}

/// What something takes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Executed instructions.
    pub instructions: f64,
    /// Cycles for memory without wait states, by the core's timing table.
    pub cycles: f64,
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.instructions += other.instructions;
        self.cycles += other.cycles;
    }
}

/// Marks functions that a program calls once, which the compiler fits to that call.
pub const ONCE: &str = "@once";

type Table = HashMap<(Core, String), Cost>;

fn table() -> &'static Table {
    static TABLE: OnceLock<Table> = OnceLock::new();
    TABLE.get_or_init(|| {
        include_str!("table.txt")
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| {
                let mut fields = line.split_whitespace();
                let core = fields.next()?.parse().ok()?;
                let name = fields.next()?.to_owned();
                let instructions = fields.next()?.parse().ok()?;
                let cycles = fields.next()?.parse().ok()?;
                Some(((core, name), Cost { instructions, cycles }))
            })
            .collect()
    })
}

impl Loops {
    /// What these rounds take on a core; `None` where the table has no figure for one of them. `once`
    /// says that the program calls the function in one place only.
    #[must_use]
    pub fn cost(&self, core: Core, once: bool) -> Option<Cost> {
        if self.rounds.is_empty() {
            return None;
        }
        let once = if once { ONCE } else { "" };
        let mut sum = Cost::default();
        for &(name, rounds) in self.rounds.iter().filter(|r| r.1 > 0) {
            let find = |once| table().get(&(core, format!("{}{once}.{name}", self.function)));
            let one = find(once).or_else(|| find(""))?;
            sum += Cost {
                instructions: one.instructions * rounds as f64,
                cycles: one.cycles * rounds as f64,
            };
        }
        Some(sum)
    }
}
