use super::{Pictures, Split};
use crate::Result;
use crate::dataset::check_index;
use crate::picture::Picture;
use crate::shapes;

/// The pictures of [`crate::shapes`], drawn when asked for.
#[derive(Clone, Debug)]
pub(crate) struct Shapes {
    split: Split,
    classes: Vec<String>,
}

impl Shapes {
    /// One split of the set.
    #[must_use]
    pub fn new(split: Split) -> Self {
        Self { split, classes: shapes::CLASSES.map(String::from).to_vec() }
    }
}

impl Pictures for Shapes {
    fn len(&self) -> usize {
        shapes::len(self.split)
    }

    fn picture(&self, index: usize) -> Result<(Picture, Option<usize>)> {
        check_index(index, shapes::len(self.split))?;
        let drawn = shapes::draw(self.split, index);
        let picture = Picture {
            height: shapes::SIDE,
            width: shapes::SIDE,
            channels: 1,
            pixels: drawn.pixels,
        };
        Ok((picture, Some(drawn.label)))
    }

    fn classes(&self) -> &[String] {
        &self.classes
    }
}
