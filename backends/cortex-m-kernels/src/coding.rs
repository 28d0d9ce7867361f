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
}

impl Coding {
    /// Every coding, the plainest first.
    pub const ALL: [Self; 6] = [
        Self::Plain,
        Self::Nibbles,
        Self::Palette,
        Self::Sparse,
        Self::SparsePalette,
        Self::Winograd,
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
        }
    }

    pub(crate) fn has_palette(self) -> bool {
        matches!(self, Self::Palette | Self::SparsePalette)
    }
}
