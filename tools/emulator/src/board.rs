use std::fmt;
use std::str::FromStr;

/// A core that can be compiled for and emulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Core {
    /// Cortex-M0: ARMv6-M code, run on the M3 board (a superset).
    M0,
    /// Cortex-M3 on mps2-an385.
    M3,
    /// Cortex-M4 on mps2-an386.
    M4,
    /// Cortex-M7 on mps2-an500.
    M7,
    /// Cortex-M33 on mps2-an505.
    M33,
    /// Cortex-M55 with Helium on mps3-an547.
    M55,
}

pub(crate) struct Board {
    pub machine: &'static str,
    pub flags: &'static [&'static str],
    pub vectors: &'static str,
    pub flash: &'static str,
    pub flash_length: &'static str,
    pub ram: &'static str,
    pub ram_length: &'static str,
}

impl Core {
    /// Every core, smallest first.
    pub const ALL: [Self; 6] = [Self::M0, Self::M3, Self::M4, Self::M7, Self::M33, Self::M55];

    /// The short name: `m0`, `m3`, `m4`, `m7`, `m33` or `m55`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::M0 => "m0",
            Self::M3 => "m3",
            Self::M4 => "m4",
            Self::M7 => "m7",
            Self::M33 => "m33",
            Self::M55 => "m55",
        }
    }

    /// The compiler flags that select the core, as given to GCC.
    #[must_use]
    pub fn compiler_flags(self) -> &'static [&'static str] {
        self.board().flags
    }

    pub(crate) fn board(self) -> Board {
        let mps2 = |machine, flags| Board {
            machine,
            flags,
            vectors: "0x0",
            flash: "0x400",
            flash_length: "0x3ffc00",
            ram: "0x20000000",
            ram_length: "0x400000",
        };
        match self {
            Self::M0 => {
                mps2("mps2-an385", &["-mcpu=cortex-m0", "-mthumb", "-mfloat-abi=soft"] as &[_])
            }
            Self::M3 => mps2("mps2-an385", &["-mcpu=cortex-m3", "-mthumb", "-mfloat-abi=soft"]),
            Self::M4 => mps2(
                "mps2-an386",
                &["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
            ),
            Self::M7 => mps2(
                "mps2-an500",
                &["-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-d16"],
            ),
            Self::M33 => Board {
                machine: "mps2-an505",
                flags: &["-mcpu=cortex-m33", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"],
                vectors: "0x10000000",
                flash: "0x10000400",
                flash_length: "0x3ffc00",
                ram: "0x38000000",
                ram_length: "0x200000",
            },
            Self::M55 => Board {
                machine: "mps3-an547",
                flags: &["-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard", "-mfpu=auto"],
                vectors: "0x10000000",
                flash: "0x11000000",
                flash_length: "0x200000",
                ram: "0x31000000",
                ram_length: "0x200000",
            },
        }
    }
}

impl fmt::Display for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Core {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let short = s.strip_prefix("cortex-").unwrap_or(s);
        Self::ALL.into_iter().find(|c| c.name() == short).ok_or_else(|| {
            format!("unknown core `{s}`; known: {}", Self::ALL.map(Self::name).join(", "))
        })
    }
}
