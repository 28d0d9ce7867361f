use crate::buffer::Buffer;
use std::fmt;
use std::sync::Arc;

/// Bytes that others may share.
pub(crate) type Shared = Arc<dyn AsRef<[u8]> + Send + Sync>;

#[derive(Clone)]
enum Data {
    Own(Arc<Buffer>),
    Part(Shared),
}

/// Bytes that do not change: in memory, or a part of a package.
#[derive(Clone)]
pub struct Blob {
    data: Data,
    at: usize,
    len: usize,
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.len)
    }
}

impl Blob {
    /// A part of shared bytes; `None` where it is not inside.
    pub(crate) fn part(data: &Shared, at: usize, len: usize) -> Option<Self> {
        let all = (**data).as_ref();
        all.get(at..at.checked_add(len)?)?;
        Some(Self { data: Data::Part(Arc::clone(data)), at, len })
    }

    /// A copy of some numbers.
    #[must_use]
    pub fn of<T: bytemuck::NoUninit>(numbers: &[T]) -> Self {
        Buffer::of(bytemuck::cast_slice(numbers), 0).into()
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.data {
            Data::Own(buffer) => &buffer.bytes()[self.at..self.at + self.len],
            Data::Part(all) => &(**all).as_ref()[self.at..self.at + self.len],
        }
    }

    /// The bytes as numbers.
    pub(crate) fn numbers<T: bytemuck::AnyBitPattern>(&self) -> &[T] {
        bytemuck::cast_slice(self.bytes())
    }
}

impl From<Buffer> for Blob {
    fn from(buffer: Buffer) -> Self {
        let len = buffer.bytes().len();
        Self { data: Data::Own(Arc::new(buffer)), at: 0, len }
    }
}
