//! Header and directory, see the crate's documentation.

use crate::codec::Codec;
use paring_tensor::Bytes;

pub(crate) const MAGIC: [u8; 8] = *b"\x89PARING\n";
const VERSION: u16 = 1;
const HEADER: usize = 64;
const ALIGN: usize = 64;
const ENTRY: usize = 40;

pub(crate) const GRAPH: u16 = 1;
pub(crate) const BLOB: u16 = 2;
const IGNORABLE: u16 = 1;

/// A place in the file and what is wrong there.
type Fault = (String, String);

/// Reads little-endian numbers, nothing beyond the end.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, tail) = self.0.split_at_checked(n)?;
        self.0 = tail;
        Some(head)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take(4)?.try_into().ok().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_le_bytes)
    }
}

/// The bytes at an offset, if the file has them.
fn part(file: &Bytes, offset: u64, len: u64) -> Option<Bytes> {
    let start = usize::try_from(offset).ok()?;
    let end = start.checked_add(usize::try_from(len).ok()?)?;
    (end <= file.len()).then(|| file.slice(start..end))
}

/// A part of the file with a meaning of its own.
pub(crate) struct Section {
    pub(crate) kind: u16,
    flags: u16,
    pub(crate) codec: u32,
    offset: u64,
    stored_len: u64,
    pub(crate) raw_len: u64,
    crc: u32,
    pub(crate) name: String,
}

impl Section {
    fn read(cursor: &mut Cursor<'_>) -> Option<Self> {
        let (kind, flags, codec) = (cursor.u16()?, cursor.u16()?, cursor.u32()?);
        let (offset, stored_len, raw_len) = (cursor.u64()?, cursor.u64()?, cursor.u64()?);
        let (crc, name_len) = (cursor.u32()?, cursor.u32()? as usize);
        let name = str::from_utf8(cursor.take(name_len)?).ok()?.to_owned();
        cursor.take(name_len.next_multiple_of(8) - name_len)?;
        Some(Self { kind, flags, codec, offset, stored_len, raw_len, crc, name })
    }

    /// Whether a reader that does not know the kind may go on.
    pub(crate) fn ignorable(&self) -> bool {
        self.flags & IGNORABLE != 0
    }

    /// For messages.
    pub(crate) fn place(&self) -> String {
        let kind = if self.kind == GRAPH { "section" } else { "blob" };
        format!("{kind} `{}`", self.name)
    }

    /// The stored bytes, if they are in the file and are what was written.
    pub(crate) fn checked(&self, file: &Bytes) -> Result<Bytes, Fault> {
        let fail = |why: String| Err((self.place(), why));
        let Some(stored) = part(file, self.offset, self.stored_len) else {
            return fail(format!(
                "{} bytes at {} lie outside of the file of {} bytes",
                self.stored_len,
                self.offset,
                file.len()
            ));
        };
        if crc32fast::hash(&stored) != self.crc {
            return fail("is damaged: its checksum does not match".to_owned());
        }
        Ok(stored)
    }
}

/// What a file consists of.
pub(crate) struct Directory {
    pub(crate) sections: Vec<Section>,
}

impl Directory {
    pub(crate) fn read(file: &Bytes) -> Result<Self, Fault> {
        let fail = |why: &str| ("the header".to_owned(), why.to_owned());
        let header = file.get(..HEADER).ok_or_else(|| fail("is cut short"))?;
        if header[..8] != MAGIC {
            return Err(fail("does not begin as a .paring file does"));
        }
        let mut cursor = Cursor(&header[8..40]);
        let version = cursor.u16().unwrap_or(0);
        if version != VERSION {
            return Err(fail(&format!(
                "has version {version} of the layout; this program reads version {VERSION}"
            )));
        }
        let _revision = cursor.u16();
        let _zero = cursor.u32();
        let (offset, len) = (cursor.u64().unwrap_or(0), cursor.u64().unwrap_or(0));
        let (directory_crc, header_crc) = (cursor.u32(), cursor.u32());
        if Some(crc32fast::hash(&header[..36])) != header_crc {
            return Err(fail("is damaged: its checksum does not match"));
        }
        let fail = |why: String| ("the directory".to_owned(), why);
        let bytes = part(file, offset, len).ok_or_else(|| {
            fail(format!("{len} bytes at {offset} lie outside of the file of {} bytes", file.len()))
        })?;
        if Some(crc32fast::hash(&bytes)) != directory_crc {
            return Err(fail("is damaged: its checksum does not match".to_owned()));
        }
        let mut cursor = Cursor(&bytes);
        let mut sections = Vec::new();
        while !cursor.0.is_empty() {
            let section = Section::read(&mut cursor)
                .ok_or_else(|| fail(format!("entry {} is not complete", sections.len())))?;
            sections.push(section);
        }
        Ok(Self { sections })
    }
}

/// Puts a file together.
pub(crate) struct Writer {
    bytes: Vec<u8>,
    directory: Vec<u8>,
}

impl Writer {
    pub(crate) fn new() -> Self {
        Self { bytes: vec![0; HEADER], directory: Vec::new() }
    }

    /// Adds a section whose stored bytes are the raw ones.
    pub(crate) fn section(&mut self, kind: u16, name: &str, codec: &Codec, raw: &[u8]) {
        self.coded(kind, name, codec, raw, raw.len());
    }

    /// Adds a section of stored bytes that stand for `raw_len` raw ones.
    pub(crate) fn coded(
        &mut self,
        kind: u16,
        name: &str,
        codec: &Codec,
        stored: &[u8],
        raw_len: usize,
    ) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
        let offset = self.bytes.len();
        self.bytes.extend_from_slice(stored);
        let entry = &mut self.directory;
        entry.extend(kind.to_le_bytes());
        entry.extend(0_u16.to_le_bytes());
        entry.extend(codec.id.to_le_bytes());
        for n in [offset, stored.len(), raw_len] {
            entry.extend((n as u64).to_le_bytes());
        }
        entry.extend(crc32fast::hash(stored).to_le_bytes());
        // Names come from value names; one of four gigabytes does not fit in memory beside its graph.
        let name_len = u32::try_from(name.len()).unwrap_or(u32::MAX);
        entry.extend(name_len.to_le_bytes());
        debug_assert_eq!(entry.len() % 8, ENTRY % 8);
        entry.extend_from_slice(&name.as_bytes()[..name_len as usize]);
        entry.resize(entry.len().next_multiple_of(8), 0);
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGN), 0);
        let mut header = MAGIC.to_vec();
        header.extend(VERSION.to_le_bytes());
        header.extend([0; 6]);
        header.extend((self.bytes.len() as u64).to_le_bytes());
        header.extend((self.directory.len() as u64).to_le_bytes());
        header.extend(crc32fast::hash(&self.directory).to_le_bytes());
        header.extend(crc32fast::hash(&header).to_le_bytes());
        self.bytes[..header.len()].copy_from_slice(&header);
        self.bytes.extend_from_slice(&self.directory);
        self.bytes
    }
}
