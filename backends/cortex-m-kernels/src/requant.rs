use paring_qmath::Multiplier;

use crate::helpers::{Helper, Wide};
use crate::unit::{Kernel, Unit};

/// Bits of activations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Width {
    Eight,
    Sixteen,
}

impl Width {
    /// The smallest and the largest value.
    pub fn bounds(self) -> [i32; 2] {
        match self {
            Self::Eight => [-128, 127],
            Self::Sixteen => [-32768, 32767],
        }
    }

    /// What the names of functions end with.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Eight => "",
            Self::Sixteen => "16",
        }
    }

    pub fn bytes(self) -> usize {
        match self {
            Self::Eight => 1,
            Self::Sixteen => 2,
        }
    }

    /// An input of a call as this type.
    pub fn input(self, index: usize) -> String {
        match self {
            Self::Eight => format!("@in{index}@"),
            Self::Sixteen => format!("(const int16_t *)(@in{index}@)"),
        }
    }

    /// The output of a call as this type.
    pub fn output(self) -> &'static str {
        match self {
            Self::Eight => "@out0@",
            Self::Sixteen => "(int16_t *)(@out0@)",
        }
    }
}

/// How sums become int8 or int16: a multiplier for all channels or one each, zero point and clamp.
#[derive(Clone, Debug, PartialEq)]
pub struct Requant {
    /// One multiplier, or one per output channel.
    pub multipliers: Vec<Multiplier>,
    /// The output's zero point.
    pub zero: i32,
    /// The smallest value; without an activation the smallest of its type.
    pub low: i32,
    /// The largest value; without an activation the largest of its type.
    pub high: i32,
}

/// Marks the shifts of multipliers of a half and more.
pub(crate) const LEFT: u32 = 32;

impl Requant {
    /// One multiplier, no activation, to int8.
    #[must_use]
    pub fn per_tensor(multiplier: Multiplier, zero: i32) -> Self {
        Self { multipliers: vec![multiplier], zero, low: -128, high: 127 }
    }

    /// The multiplier of a channel.
    pub(crate) fn of(&self, channel: usize) -> Multiplier {
        let index = if self.multipliers.len() == 1 { 0 } else { channel };
        self.multipliers.get(index).copied().unwrap_or(Multiplier::ZERO)
    }

    pub(crate) fn fits(&self, channels: usize) -> bool {
        (self.multipliers.len() == 1 || self.multipliers.len() == channels)
            && (-128..=127).contains(&self.zero)
    }

    /// Mantissa and right shift minus one, when the fast sequence can do it.
    pub(crate) fn fast(&self, channel: usize) -> Option<(i32, u32)> {
        let m = self.of(channel);
        if m.mantissa == 0 {
            return Some((0, 0));
        }
        let right = -m.shift;
        (1..=21).contains(&right).then(|| (m.mantissa, right as u32 - 1))
    }

    /// Mantissa and left shift, for multipliers of one half and more.
    pub(crate) fn left(&self, channel: usize) -> Option<(i32, u32)> {
        let m = self.of(channel);
        (m.mantissa != 0 && (0..=8).contains(&m.shift)).then_some((m.mantissa, m.shift as u32))
    }

    /// Mantissa and shift as products take them: a right shift minus one, or with [`LEFT`] set a left shift
    /// plus one. Beyond 14 every sum but 0 saturates.
    pub(crate) fn either(&self, channel: usize) -> Option<(i32, u32)> {
        let m = self.of(channel);
        let left = || {
            let shift = u32::try_from(m.shift).ok()?;
            Some((m.mantissa, LEFT | (shift.min(14) + 1)))
        };
        self.fast(channel).or_else(left)
    }

    /// `2 * zero + 1`, the rounding constant of the fast sequence before its shift.
    pub(crate) fn zero_term(&self) -> i32 {
        2 * self.zero + 1
    }

    /// Appends the clamp an activation needs beyond saturation.
    pub(crate) fn clamp(&self, unit: &mut Unit, kernel: Kernel, count: usize) -> Kernel {
        self.clamp_to(Width::Eight, unit, kernel, count)
    }

    /// The same for either type.
    pub(crate) fn clamp_to(
        &self,
        width: Width,
        unit: &mut Unit,
        mut kernel: Kernel,
        count: usize,
    ) -> Kernel {
        let [least, most] = width.bounds();
        let (low, high) = (self.low.max(least), self.high.min(most));
        if low > least || high < most {
            unit.need(match width {
                Width::Eight => Helper::Clamp,
                Width::Sixteen => Helper::Wide(Wide::Clamp),
            });
            let (name, out) = (format!("pr_clamp{}", width.suffix()), width.output());
            let clamp = |count: &str| format!("\n{name}({out}, {count}, {low}, {high});");
            kernel.template.push_str(&clamp(&count.to_string()));
            if let Some(rows) = &mut kernel.rows {
                rows.push_str(&clamp("@rows@ * @row@"));
            }
            if let Some(patches) = &mut kernel.patches {
                patches.push_str(&clamp("@rows@ * @row@"));
            }
        }
        kernel
    }
}
