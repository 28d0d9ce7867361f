//! What kernels take on each core, without running them.
//!
//! A kernel knows how often each of its loops runs for a layer ([`Loops`]); a table knows what one
//! round of each loop takes on each core. The table is made by counting: the example `fit_cost` runs
//! layers of many shapes under the emulator and solves for the rounds. It holds for the compiler
//! that counted, GCC 12.2 with the flags that packages name, and tells uses of a function apart that this
//! compiler tells apart ([`Use`]).

mod conv;
mod depthwise;
mod simple;

pub(crate) use simple::each;

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use crate::{Core, Isa};

/// How often each loop of a function runs: `function`, then names and rounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loops {
    /// The C function.
    pub function: String,
    /// Loops and how often each runs in all.
    pub rounds: Vec<(&'static str, u64)>,
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

/// How a program uses a function, which decides what the compiler makes of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Use {
    /// It is called in one place: the compiler fits it to that call.
    pub once: bool,
    /// No other function there shares its helpers: the compiler puts them into it.
    pub alone: bool,
}

impl Use {
    /// Every use, the most general first.
    pub const ALL: [Self; 4] = [
        Self { once: false, alone: false },
        Self { once: false, alone: true },
        Self { once: true, alone: false },
        Self { once: true, alone: true },
    ];

    /// What the table adds to the function's name.
    #[must_use]
    pub fn mark(self) -> &'static str {
        match (self.once, self.alone) {
            (false, false) => "",
            (false, true) => "@alone",
            (true, false) => "@once",
            (true, true) => "@only",
        }
    }
}

/// Functions that share large helpers have one name here.
#[must_use]
pub fn family(function: &str) -> &str {
    let starts = |prefix: &str| function.starts_with(prefix);
    let own = ["pr_conv2d_any", "pr_conv2d_winograd", "pr_conv2d_packed"].contains(&function);
    if starts("pr_pointwise") || starts("pr_conv2d") && !own {
        "product"
    } else if starts("pr_depthwise") {
        "plane"
    } else {
        function
    }
}

/// Whether a function calls the products of windows with groups of channels.
fn is_product(function: &str) -> bool {
    family(function) == "product" || function == "pr_conv2d_packed"
}

/// Functions that are put into every place that calls them.
const INLINE: [&str; 4] = ["pr_add", "pr_mul", "pr_add16", "pr_mul16"];

/// The functions that a program calls.
#[derive(Clone, Debug, Default)]
pub struct Calls<'a> {
    calls: HashMap<&'a str, usize>,
    families: HashMap<&'a str, HashSet<&'a str>>,
    /// Whether some product needs the form for any zero point.
    any_zero: bool,
    /// Whether some product has a channel whose multiplier is a half or more: then all groups are asked.
    any_left: bool,
}

impl<'a> Calls<'a> {
    /// Of all kernels of a program.
    #[must_use]
    pub fn of(kernels: impl IntoIterator<Item = &'a Loops>) -> Self {
        let mut all = Self::default();
        for loops in kernels {
            let function = loops.function.as_str();
            *all.calls.entry(function).or_default() += 1;
            all.families.entry(family(function)).or_default().insert(function);
            let has = |name: &str| loops.rounds.iter().any(|r| r.0 == name && r.1 > 0);
            // The product that skips blocks has a form of its own.
            let own = function.ends_with("_sparse");
            all.any_zero |= is_product(function) && !own && has("group");
            all.any_left |= has("left");
        }
        all
    }

    /// Loops as they run in this program: groups are asked for channels whose multipliers are a half or more where one
    /// has such, and with Helium one form of the product serves all, so that a group
    /// is that of any zero point where one has such.
    #[must_use]
    pub fn settled(&self, loops: &Loops, isa: Isa) -> Loops {
        let mut loops = loops.clone();
        let asked = is_product(&loops.function) || loops.function.contains("_each");
        if self.any_left && asked {
            let groups =
                loops.rounds.iter().filter(|r| r.0.starts_with("group")).map(|r| r.1).sum();
            loops.rounds.push(("tested", groups));
        }
        if isa == Isa::Helium && self.any_zero {
            for round in loops.rounds.iter_mut().filter(|r| r.0 == "group_relu") {
                round.0 = "group";
            }
        }
        loops
    }

    /// What loops of this program take together on a core, with their functions used as the program does or as
    /// `usage` says; `None` where the costs of one are not known.
    #[must_use]
    pub fn total<'l>(
        &self,
        loops: impl IntoIterator<Item = &'l Loops>,
        core: Core,
        usage: Option<Use>,
    ) -> Option<Cost> {
        let mut sum = Cost::default();
        for loops in loops {
            let used = usage.unwrap_or_else(|| self.usage(&loops.function, core.isa()));
            sum += self.settled(loops, core.isa()).cost(core, used)?;
        }
        Some(sum)
    }

    /// How the program uses a function. Products in plain C are the same in every use.
    #[must_use]
    pub fn usage(&self, function: &str, isa: Isa) -> Use {
        if is_product(function) && matches!(isa, Isa::V6m | Isa::V7m) {
            return Use::default();
        }
        if INLINE.contains(&function) {
            return Use { once: true, alone: true };
        }
        let once = self.calls.get(function).is_none_or(|n| *n <= 1);
        let alone = self.families.get(family(function)).is_none_or(|f| f.len() <= 1);
        Use { once, alone }
    }
}

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
    /// What these rounds take on a core where the function is used like this; `None` where the table has
    /// no figure for one of them.
    #[must_use]
    pub fn cost(&self, core: Core, usage: Use) -> Option<Cost> {
        if self.rounds.is_empty() {
            return None;
        }
        let all = |usage: Use| {
            let mut sum = Cost::default();
            for &(name, rounds) in self.rounds.iter().filter(|r| r.1 > 0) {
                let one =
                    table().get(&(core, format!("{}{}.{name}", self.function, usage.mark())))?;
                sum += Cost {
                    instructions: one.instructions * rounds as f64,
                    cycles: one.cycles * rounds as f64,
                };
            }
            Some(sum)
        };
        // Another use of the same function is the next best guess.
        let near = |other: &Use| {
            usize::from(other.alone != usage.alone) + 2 * usize::from(other.once != usage.once)
        };
        let mut uses = Use::ALL;
        uses.sort_by_key(near);
        uses.into_iter().find_map(all)
    }
}
