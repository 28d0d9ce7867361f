use std::fmt;
use std::str::FromStr;

use crate::Isa;

/// A core that code is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Core {
    /// Cortex-M0, with the single-cycle multiplier.
    M0,
    /// Cortex-M0+, with the single-cycle multiplier.
    M0Plus,
    /// Cortex-M3.
    M3,
    /// Cortex-M4.
    M4,
    /// Cortex-M7.
    M7,
    /// Cortex-M33 with the DSP extension.
    M33,
    /// Cortex-M55 with Helium.
    M55,
}

impl Core {
    /// Every core, smallest first.
    pub const ALL: [Self; 7] =
        [Self::M0, Self::M0Plus, Self::M3, Self::M4, Self::M7, Self::M33, Self::M55];

    /// The short name, such as `m0plus` or `m4`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        let target = self.target();
        target.split_at("cortex-".len()).1
    }

    /// The name of the target, such as `cortex-m0plus` or `cortex-m4`.
    #[must_use]
    pub const fn target(self) -> &'static str {
        match self {
            Self::M0 => "cortex-m0",
            Self::M0Plus => "cortex-m0plus",
            Self::M3 => "cortex-m3",
            Self::M4 => "cortex-m4",
            Self::M7 => "cortex-m7",
            Self::M33 => "cortex-m33",
            Self::M55 => "cortex-m55",
        }
    }

    /// What the compiler may use.
    #[must_use]
    pub const fn isa(self) -> Isa {
        match self {
            Self::M0 | Self::M0Plus => Isa::V6m,
            Self::M3 => Isa::V7m,
            Self::M4 | Self::M7 | Self::M33 => Isa::Dsp,
            Self::M55 => Isa::Helium,
        }
    }

    /// The flags that select the core, as given to GCC.
    #[must_use]
    pub const fn compiler_flags(self) -> &'static [&'static str] {
        match self {
            Self::M0 => &["-mcpu=cortex-m0", "-mthumb", "-mfloat-abi=soft"],
            Self::M0Plus => &["-mcpu=cortex-m0plus", "-mthumb", "-mfloat-abi=soft"],
            Self::M3 => &["-mcpu=cortex-m3", "-mthumb", "-mfloat-abi=soft"],
            Self::M4 => &["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"],
            Self::M7 => &["-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-d16"],
            Self::M33 => &["-mcpu=cortex-m33", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"],
            Self::M55 => &["-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard", "-mfpu=auto"],
        }
    }

    /// Picojoules a cycle of a part whose data sheet states its current in run mode, at 3 V; `None` where
    /// no data sheet is cited here.
    ///
    /// M0+: STM32L072, down to 93 uA/MHz. M3: STM32L152xB, 214 uA/MHz. M4: STM32L412 (DS12469), 79 uA/MHz with
    /// the linear regulator. Other parts of the same core take from half to four times as much.
    #[must_use]
    pub const fn picojoules_per_cycle(self) -> Option<f64> {
        match self {
            Self::M0Plus => Some(279.0),
            Self::M3 => Some(642.0),
            Self::M4 => Some(237.0),
            Self::M0 | Self::M7 | Self::M33 | Self::M55 => None,
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

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|c| c.name() == text || c.target() == text);
        found.ok_or_else(|| {
            format!("unknown core `{text}`; known: {}", Self::ALL.map(Self::name).join(", "))
        })
    }
}
