//! FlatBuffers, as far as the format uses them (<https://flatbuffers.dev/internals/>).
//!
//! A table is found through offsets, and its fields through a table of their places. Nothing read is
//! trusted: every access checks that it stays inside of the file. Writing goes forward through the file,
//! each table before what it refers to.

use std::collections::HashMap;
use std::marker::PhantomData;

/// Where a file is damaged.
#[derive(Debug)]
pub(crate) struct Damaged {
    /// The byte.
    pub(crate) at: usize,
    pub(crate) why: &'static str,
}

type Result<T, E = Damaged> = std::result::Result<T, E>;

fn outside<T>(at: usize) -> Result<T> {
    Err(Damaged { at, why: "it refers to a place outside of the file" })
}

fn array<const N: usize>(file: &[u8], at: usize) -> Result<[u8; N]> {
    let bytes = at.checked_add(N).and_then(|end| file.get(at..end));
    bytes.and_then(|b| b.try_into().ok()).map_or_else(|| outside(at), Ok)
}

/// What the offset at this place points to.
fn follow(file: &[u8], at: usize) -> Result<usize> {
    let offset = u32::from_le_bytes(array(file, at)?);
    at.checked_add(offset as usize).map_or_else(|| outside(at), Ok)
}

/// A table.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    file: &'a [u8],
    at: usize,
    /// Places of the fields relative to the table, two bytes each.
    fields: &'a [u8],
}

impl<'a> Table<'a> {
    /// The table that the file begins with.
    pub(crate) fn root(file: &'a [u8]) -> Result<Self> {
        Self::from_field(file, 0)
    }

    /// The table that the offset at this place points to.
    fn from_field(file: &'a [u8], at: usize) -> Result<Self> {
        let at = follow(file, at)?;
        let back = i64::from(i32::from_le_bytes(array(file, at)?));
        let list = (at as i64).checked_sub(back).and_then(|n| usize::try_from(n).ok());
        let Some(list) = list else { return outside(at) };
        let size = usize::from(u16::from_le_bytes(array(file, list)?));
        if size < 4 || size % 2 != 0 {
            return Err(Damaged { at: list, why: "a list of fields has an impossible length" });
        }
        let fields = list.checked_add(size).and_then(|end| file.get(list + 4..end));
        fields.map_or_else(|| outside(list), |fields| Ok(Self { file, at, fields }))
    }

    /// Where a field lies, if the table has it.
    fn place(&self, field: usize) -> Option<usize> {
        let entry = self.fields.get(2 * field..2 * field + 2)?;
        let offset = u16::from_le_bytes(entry.try_into().ok()?);
        (offset != 0).then(|| self.at + usize::from(offset))
    }

    /// A field, if the table has it.
    pub(crate) fn get<T: Field<'a>>(&self, field: usize) -> Result<Option<T>> {
        self.place(field).map(|at| T::read(self.file, at)).transpose()
    }

    /// A union: its tag in one field and its table in the next. No tag, or the tag 0, says that there is
    /// nothing.
    pub(crate) fn union(&self, field: usize) -> Result<Option<(u8, Table<'a>)>> {
        let tag = self.get::<u8>(field)?.unwrap_or(0);
        let table = self.place(field + 1).filter(|_| tag != 0);
        Ok(table.map(|at| Self::from_field(self.file, at)).transpose()?.map(|table| (tag, table)))
    }
}

/// What a field can hold.
pub(crate) trait Field<'a>: Sized {
    fn read(file: &'a [u8], at: usize) -> Result<Self>;
}

impl<'a> Field<'a> for Table<'a> {
    fn read(file: &'a [u8], at: usize) -> Result<Self> {
        Self::from_field(file, at)
    }
}

impl<'a> Field<'a> for &'a [u8] {
    fn read(file: &'a [u8], at: usize) -> Result<Self> {
        let at = follow(file, at)?;
        let len = u32::from_le_bytes(array(file, at)?) as usize;
        let bytes = file.get(at + 4..).and_then(|rest| rest.get(..len));
        bytes.map_or_else(|| outside(at), Ok)
    }
}

impl<'a> Field<'a> for &'a str {
    fn read(file: &'a [u8], at: usize) -> Result<Self> {
        let bytes = <&[u8]>::read(file, at)?;
        std::str::from_utf8(bytes).map_err(|_| Damaged { at, why: "a name is not text" })
    }
}

/// What a vector is made of.
pub(crate) trait Item<'a> {
    const SIZE: usize;
    type Out;
    fn item(file: &'a [u8], at: usize) -> Self::Out;
}

/// Numbers that a vector holds; they can always be read from inside of the file.
pub(crate) trait Number: Copy {
    /// Little-endian bytes, padded to eight.
    fn store(self) -> [u8; 8];
}

macro_rules! numbers {
    ($($t:ty)*) => { $(
        impl<'a> Field<'a> for $t {
            fn read(file: &'a [u8], at: usize) -> Result<Self> {
                array(file, at).map(Self::from_le_bytes)
            }
        }
        impl<'a> Item<'a> for $t {
            const SIZE: usize = size_of::<$t>();
            type Out = $t;
            fn item(file: &'a [u8], at: usize) -> $t {
                array(file, at).map(Self::from_le_bytes).unwrap_or_default()
            }
        }
        impl Number for $t {
            fn store(self) -> [u8; 8] {
                let mut all = [0; 8];
                all[..size_of::<$t>()].copy_from_slice(&self.to_le_bytes());
                all
            }
        }
    )* };
}
numbers! { i8 u8 u16 i32 u32 i64 u64 f32 }

impl<'a> Field<'a> for bool {
    fn read(file: &'a [u8], at: usize) -> Result<Self> {
        u8::read(file, at).map(|b| b != 0)
    }
}

impl Number for bool {
    fn store(self) -> [u8; 8] {
        u8::from(self).store()
    }
}

/// A vector of numbers or tables.
pub(crate) struct Vector<'a, T> {
    file: &'a [u8],
    first: usize,
    len: usize,
    item: PhantomData<T>,
}

impl<T> Clone for Vector<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Vector<'_, T> {}

impl<'a, T: Item<'a>> Field<'a> for Vector<'a, T> {
    fn read(file: &'a [u8], at: usize) -> Result<Self> {
        let at = follow(file, at)?;
        let len = u32::from_le_bytes(array(file, at)?) as usize;
        let rest = file.len() - at - 4;
        if len.checked_mul(T::SIZE).is_none_or(|bytes| bytes > rest) {
            return outside(at);
        }
        Ok(Self { file, first: at + 4, len, item: PhantomData })
    }
}

impl<'a, T: Item<'a>> Vector<'a, T> {
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(crate) fn get(&self, i: usize) -> Option<T::Out> {
        (i < self.len).then(|| T::item(self.file, self.first + i * T::SIZE))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = T::Out> + use<'a, T> {
        let all = *self;
        (0..all.len).filter_map(move |i| all.get(i))
    }
}

impl<'a, T: Item<'a> + 'a> IntoIterator for Vector<'a, T> {
    type Item = T::Out;
    type IntoIter = Box<dyn Iterator<Item = T::Out> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}

/// What a table to be written has in a field.
pub(crate) enum Value<'v> {
    Number {
        bytes: [u8; 8],
        size: usize,
    },
    Text(&'v str),
    /// Begins at a multiple of sixteen, as runtimes that map the file want it.
    Bytes(&'v [u8]),
    /// Elements of this size.
    Numbers {
        bytes: Vec<u8>,
        size: usize,
    },
    Table(&'v dyn Record),
    Tables(Vec<&'v dyn Record>),
}

impl<'v> Value<'v> {
    pub(crate) fn number<T: Number>(number: T) -> Self {
        Self::Number { bytes: number.store(), size: size_of::<T>() }
    }

    pub(crate) fn numbers<T: Number>(numbers: &[T]) -> Self {
        let size = size_of::<T>();
        let bytes = numbers.iter().flat_map(|n| n.store().into_iter().take(size)).collect();
        Self::Numbers { bytes, size }
    }

    pub(crate) fn tables<T: Record>(tables: &'v [T]) -> Self {
        Self::Tables(tables.iter().map(|t| t as &dyn Record).collect())
    }

    /// Bytes that it takes in its table.
    fn size(&self) -> usize {
        match self {
            Self::Number { size, .. } => *size,
            _ => 4,
        }
    }
}

/// A table to be written.
pub(crate) trait Record {
    /// The fields that are not left out, by their numbers.
    fn fields(&self) -> Vec<(usize, Value<'_>)>;
}

/// A file with this table and this identifier.
pub(crate) fn write(root: &dyn Record, identifier: [u8; 4]) -> Vec<u8> {
    let mut writer = Writer { file: vec![0; 4], lists: HashMap::new() };
    writer.file.extend(identifier);
    writer.refer(0, &Value::Table(root));
    writer.file
}

struct Writer {
    file: Vec<u8>,
    /// Lists of places that were written, which tables of the same form share.
    lists: HashMap<Vec<u8>, usize>,
}

impl Writer {
    /// Goes to the next place that, `ahead` bytes further, is a multiple of `align`.
    fn align(&mut self, align: usize, ahead: usize) {
        let to = (self.file.len() + ahead).next_multiple_of(align) - ahead;
        self.file.resize(to, 0);
    }

    /// Makes the offset at a place point to the end of the file.
    fn point(&mut self, from: usize) {
        let offset = (self.file.len() - from) as u32;
        self.file[from..from + 4].copy_from_slice(&offset.to_le_bytes());
    }

    /// Writes a value to the end of the file, and its offset to a place before.
    fn refer(&mut self, from: usize, value: &Value<'_>) {
        match value {
            Value::Number { .. } => {}
            Value::Text(text) => {
                self.align(4, 0);
                self.point(from);
                self.file.extend((text.len() as u32).to_le_bytes());
                self.file.extend(text.as_bytes());
                self.file.push(0);
            }
            Value::Bytes(bytes) => {
                self.align(16, 4);
                self.point(from);
                self.file.extend((bytes.len() as u32).to_le_bytes());
                self.file.extend_from_slice(bytes);
            }
            Value::Numbers { bytes, size } => {
                self.align(*size.max(&4), 4);
                self.point(from);
                self.file.extend(((bytes.len() / size) as u32).to_le_bytes());
                self.file.extend(bytes);
            }
            Value::Table(table) => self.table(from, *table),
            Value::Tables(tables) => {
                self.align(4, 0);
                self.point(from);
                self.file.extend((tables.len() as u32).to_le_bytes());
                let first = self.file.len();
                self.file.resize(first + 4 * tables.len(), 0);
                for (i, table) in tables.iter().enumerate() {
                    self.table(first + 4 * i, *table);
                }
            }
        }
    }

    fn table(&mut self, from: usize, table: &dyn Record) {
        let fields = table.fields();
        let count = fields.iter().map(|(id, _)| id + 1).max().unwrap_or(0);
        // Larger fields first, so that there is no room between them.
        let mut order: Vec<usize> = (0..fields.len()).collect();
        order.sort_by_key(|i| std::cmp::Reverse(fields[*i].1.size()));
        let largest = order.first().map_or(4, |i| fields[*i].1.size().max(4));
        let mut end = if largest == 8 { 8 } else { 4 };
        let mut places = vec![0_u16; count];
        for i in &order {
            let (id, value) = &fields[*i];
            places[*id] = end as u16;
            end += value.size();
        }
        let head = [(4 + 2 * count) as u16, end as u16];
        let list: Vec<u8> = head.iter().chain(&places).flat_map(|n| n.to_le_bytes()).collect();
        let known = self.lists.get(&list).copied();
        let list = known.unwrap_or_else(|| {
            self.align(2, 0);
            let at = self.file.len();
            self.file.extend(&list);
            self.lists.insert(list, at);
            at
        });
        self.align(largest, 0);
        self.point(from);
        let at = self.file.len();
        self.file.extend(((at - list) as i32).to_le_bytes());
        self.file.resize(at + end, 0);
        for (id, value) in &fields {
            if let Value::Number { bytes, size } = value {
                let place = at + usize::from(places[*id]);
                self.file[place..place + size].copy_from_slice(&bytes[..*size]);
            }
        }
        for (id, value) in &fields {
            self.refer(at + usize::from(places[*id]), value);
        }
    }
}

/// Declares tables: a type to write, with its defaults, and one to read.
///
/// A field is its number, its name and what it holds: `number(type = default)`, `text()`, `bytes()`,
/// `numbers(type)`, `table(Type, TypeRef)`, `tables(Type, TypeRef)` or `union(Type, TypeRef)`, which
/// takes the next number as well.
macro_rules! tables {
    ($($(#[$doc:meta])* $name:ident, $reader:ident {
        $($id:literal $field:ident: $kind:ident($($of:tt)*)),* $(,)?
    })*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name {
            $(pub(crate) $field: $crate::flat::owned!($kind $($of)*),)*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $crate::flat::default!($kind $($of)*),)* }
            }
        }

        impl $crate::flat::Record for $name {
            fn fields(&self) -> Vec<(usize, $crate::flat::Value<'_>)> {
                #[allow(unused_mut)]
                let mut fields = Vec::new();
                $($crate::flat::put!(fields, $id, self.$field, $kind $($of)*);)*
                fields
            }
        }

        /// The same in a file.
        #[derive(Clone, Copy)]
        pub(crate) struct $reader<'a>(#[allow(dead_code)] pub(crate) $crate::flat::Table<'a>);

        #[allow(dead_code)]
        impl<'a> $reader<'a> {
            $($crate::flat::get!($id, $field, $kind $($of)*);)*
        }

        impl<'a> $crate::flat::Field<'a> for $reader<'a> {
            fn read(file: &'a [u8], at: usize) -> Result<Self, $crate::flat::Damaged> {
                $crate::flat::Field::read(file, at).map(Self)
            }
        }

        impl<'a> $crate::flat::Item<'a> for $reader<'a> {
            const SIZE: usize = 4;
            type Out = Result<Self, $crate::flat::Damaged>;
            fn item(file: &'a [u8], at: usize) -> Self::Out {
                $crate::flat::Field::read(file, at)
            }
        }
    )* };
}

/// Declares unions by the numbers of their members. Every other number is read as `Other`.
macro_rules! unions {
    ($($(#[$doc:meta])* $name:ident, $reader:ident {
        $($tag:literal $variant:ident($of:ident, $of_reader:ident)),* $(,)?
    })*) => { $(
        $(#[$doc])*
        #[derive(Clone, Debug)]
        #[allow(dead_code, clippy::enum_variant_names)]
        pub(crate) enum $name {
            $($variant(Box<$of>),)*
        }

        impl $name {
            fn member(&self) -> (u8, &dyn $crate::flat::Record) {
                match self {
                    $(Self::$variant(table) => ($tag, table.as_ref()),)*
                }
            }
        }

        /// The same in a file.
        #[allow(dead_code)]
        pub(crate) enum $reader<'a> {
            $($variant($of_reader<'a>),)*
            Other(u8),
        }

        impl<'a> $reader<'a> {
            fn of((tag, table): (u8, $crate::flat::Table<'a>)) -> Self {
                match tag {
                    $($tag => Self::$variant($of_reader(table)),)*
                    other => Self::Other(other),
                }
            }
        }
    )* };
}

macro_rules! owned {
    (number $t:ty = $default:expr) => { $t };
    (text) => { Option<String> };
    (bytes) => { paring_tensor::Bytes };
    (numbers $t:ty) => { Option<Vec<$t>> };
    (table $t:ident, $r:ident) => { Option<Box<$t>> };
    (tables $t:ident, $r:ident) => { Option<Vec<$t>> };
    (union $t:ident, $r:ident) => { Option<$t> };
}

macro_rules! default {
    (number $t:ty = $default:expr) => {
        $default
    };
    ($($other:tt)*) => {
        Default::default()
    };
}

macro_rules! put {
    ($fields:ident, $id:literal, $value:expr, number $t:ty = $default:expr) => {
        if $value != $default {
            $fields.push(($id, $crate::flat::Value::number($value)));
        }
    };
    ($fields:ident, $id:literal, $value:expr, bytes) => {
        if !$value.is_empty() {
            $fields.push(($id, $crate::flat::Value::Bytes(&$value)));
        }
    };
    ($fields:ident, $id:literal, $value:expr, union $t:ident, $r:ident) => {
        if let Some(union) = &$value {
            let (tag, table) = union.member();
            $fields.push(($id, $crate::flat::Value::number(tag)));
            $fields.push(($id + 1, $crate::flat::Value::Table(table)));
        }
    };
    ($fields:ident, $id:literal, $value:expr, $kind:ident $($of:tt)*) => {
        if let Some(value) = &$value {
            $fields.push(($id, $crate::flat::put!(@ value, $kind)));
        }
    };
    (@ $value:ident, text) => { $crate::flat::Value::Text($value) };
    (@ $value:ident, numbers) => { $crate::flat::Value::numbers($value) };
    (@ $value:ident, table) => { $crate::flat::Value::Table($value.as_ref()) };
    (@ $value:ident, tables) => { $crate::flat::Value::tables($value) };
}

macro_rules! get {
    ($id:literal, $field:ident, number $t:ty = $default:expr) => {
        pub(crate) fn $field(&self) -> Result<$t, $crate::flat::Damaged> {
            Ok(self.0.get($id)?.unwrap_or($default))
        }
    };
    ($id:literal, $field:ident, union $t:ident, $r:ident) => {
        pub(crate) fn $field(&self) -> Result<Option<$r<'a>>, $crate::flat::Damaged> {
            Ok(self.0.union($id)?.map($r::of))
        }
    };
    ($id:literal, $field:ident, $kind:ident $($of:tt)*) => {
        pub(crate) fn $field(
            &self,
        ) -> Result<Option<$crate::flat::get!(@ $kind $($of)*)>, $crate::flat::Damaged> {
            self.0.get($id)
        }
    };
    (@ text) => { &'a str };
    (@ bytes) => { &'a [u8] };
    (@ numbers $t:ty) => { $crate::flat::Vector<'a, $t> };
    (@ table $t:ident, $r:ident) => { $r<'a> };
    (@ tables $t:ident, $r:ident) => { $crate::flat::Vector<'a, $r<'a>> };
}

pub(crate) use {default, get, owned, put, tables, unions};
