/// How a layer's weights lie in flash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Coding {
    /// A byte each.
    #[default]
    Plain,
    /// Four bits each: weights of -8 to 7.
    Nibbles,
    /// Four bits each: codes of at most 16 different weights.
    Palette,
    /// A byte each, without the blocks of four inputs by four channels that are zero.
    Sparse,
    /// Codes of at most 16 different weights, without the blocks that are zero.
    SparsePalette,
    /// Two bytes each, 16 for the nine of a 3x3 filter: transformed for tiles of 2x2 outputs.
    Winograd,
    /// Codes of so many bits, 2 to 6, of a palette that all channels share, decoded for several pixels at a time.
    Codes(u8),
    /// The same with a palette for each channel.
    ChannelCodes(u8),
    /// Prefix codes, short ones for frequent values, decoded as these are.
    Prefix,
}

impl Coding {
    /// Every coding, the plainest first.
    pub const ALL: [Self; 17] = [
        Self::Plain,
        Self::Nibbles,
        Self::Palette,
        Self::Sparse,
        Self::SparsePalette,
        Self::Winograd,
        Self::Codes(2),
        Self::Codes(3),
        Self::Codes(4),
        Self::Codes(5),
        Self::Codes(6),
        Self::ChannelCodes(2),
        Self::ChannelCodes(3),
        Self::ChannelCodes(4),
        Self::ChannelCodes(5),
        Self::ChannelCodes(6),
        Self::Prefix,
    ];

    /// A word for reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "int8",
            Self::Nibbles => "int4",
            Self::Palette => "palette of 16",
            Self::Sparse => "sparse blocks",
            Self::SparsePalette => "sparse blocks of a palette of 16",
            Self::Winograd => "Winograd tiles",
            Self::Codes(2) => "palette of 4",
            Self::Codes(3) => "palette of 8",
            Self::Codes(4) => "palette of 16 in groups",
            Self::Codes(5) => "palette of 32",
            Self::Codes(_) => "palette of 64",
            Self::ChannelCodes(2) => "palettes of 4, one a channel",
            Self::ChannelCodes(3) => "palettes of 8, one a channel",
            Self::ChannelCodes(4) => "palettes of 16, one a channel",
            Self::ChannelCodes(5) => "palettes of 32, one a channel",
            Self::ChannelCodes(_) => "palettes of 64, one a channel",
            Self::Prefix => "prefix codes",
        }
    }

    pub(crate) fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Nibbles => "_nibbles",
            Self::Palette => "_palette",
            Self::Sparse => "_sparse",
            Self::SparsePalette => "_sparse_palette",
            Self::Winograd => "_winograd",
            Self::Codes(_) | Self::ChannelCodes(_) | Self::Prefix => "_packed",
        }
    }

    /// Whether groups of channels are decoded into scratch memory.
    pub(crate) fn is_packed(self) -> bool {
        matches!(self, Self::Codes(_) | Self::ChannelCodes(_) | Self::Prefix)
    }

    pub(crate) fn has_palette(self) -> bool {
        matches!(self, Self::Palette | Self::SparsePalette)
    }
}
