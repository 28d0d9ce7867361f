use paring_tensor::TensorType;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::any::{Any, TypeId};
use std::fmt::Debug;
use std::sync::Arc;

/// What an op's author writes: the attributes (the fields of the type) and the types of its outputs.
///
/// Everything else about an op lives elsewhere, keyed by its type: kernels in the backends, readers
/// and writers in the formats, gradients in the training crate.
pub trait Op: Any + Debug + Send + Sync {
    /// The types of the outputs for inputs of these types, as if nothing were quantized except where
    /// [`quant_rule`](Self::quant_rule) says that the output takes over its input's quantization.
    ///
    /// # Errors
    /// What is wrong with the number of inputs, their element types or their shapes.
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, OpError>;

    /// How the outputs of a quantized form of this op are typed.
    fn quant_rule(&self) -> QuantRule {
        QuantRule::Computes
    }
}

/// How a node's declared output types may differ from the inferred ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuantRule {
    /// New numbers are computed: an output may be declared with any integer type and quantization
    /// if an input is quantized.
    Computes,
    /// Stored numbers are moved, not changed: the outputs have the inferred types exactly.
    Moves,
    /// The op's purpose is to produce a quantized value: an output may be declared with any integer
    /// type and quantization.
    Quantizes,
}

/// Why an op does not accept its inputs.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{0}")]
pub struct OpError(pub String);

impl OpError {
    /// An error with this text.
    pub fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

/// Gives an op its name; [`register_op!`](crate::register_op) implements it.
pub trait NamedOp: Op {
    /// The name in the text form.
    const NAME: &'static str;
}

/// What the graph needs of an op, for every op alike. Implemented for each registered [`Op`].
pub trait DynOp: Op {
    /// The name in the text form.
    fn name(&self) -> &'static str;
    /// The attributes, keys sorted.
    fn attrs(&self) -> toml::Table;
    /// Whether `other` is the same op with the same attributes.
    fn same(&self, other: &dyn DynOp) -> bool;
    /// For downcasts.
    fn as_any(&self) -> &dyn Any;
}

impl<T: NamedOp + PartialEq + Serialize> DynOp for T {
    fn name(&self) -> &'static str {
        T::NAME
    }

    fn attrs(&self) -> toml::Table {
        toml::Table::try_from(self)
            .unwrap_or_else(|e| unreachable!("attributes of {} are a table: {e}", T::NAME))
    }

    fn same(&self, other: &dyn DynOp) -> bool {
        other.as_any().downcast_ref::<T>() == Some(self)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

impl dyn DynOp {
    /// The op as its own type, if it is that.
    #[must_use]
    pub fn downcast_ref<T: Op>(&self) -> Option<&T> {
        self.as_any().downcast_ref()
    }

    /// Whether the op is of this type.
    #[must_use]
    pub fn is<T: Op>(&self) -> bool {
        self.as_any().is::<T>()
    }

    /// The identity of the op's type, the key of kernel registries.
    #[must_use]
    pub fn key(&self) -> TypeId {
        self.as_any().type_id()
    }
}

/// A shared op.
pub type OpRef = Arc<dyn DynOp>;

/// A registered op.
pub struct OpEntry {
    /// The name in the text form.
    pub name: &'static str,
    /// One line for listings.
    pub summary: &'static str,
    /// The identity of the op's type.
    pub key: fn() -> TypeId,
    /// Makes the op from its attributes.
    pub parse: fn(toml::Table) -> Result<OpRef, String>,
}

inventory::collect!(OpEntry);

/// All registered ops, sorted by name.
#[must_use]
pub fn registered_ops() -> Vec<&'static OpEntry> {
    let mut all: Vec<_> = inventory::iter::<OpEntry>.into_iter().collect();
    all.sort_by_key(|e| e.name);
    all
}

/// Makes an op from its name and attributes.
///
/// # Errors
/// If no op, or more than one, has this name, or an attribute is missing, unknown or of a wrong type.
pub fn parse_op(name: &str, attrs: toml::Table) -> Result<OpRef, String> {
    let mut found = inventory::iter::<OpEntry>.into_iter().filter(|e| e.name == name);
    let Some(entry) = found.next() else {
        let known: Vec<_> = registered_ops().iter().map(|e| e.name).collect();
        return Err(format!("unknown op `{name}`; known: {}", known.join(", ")));
    };
    if found.next().is_some() {
        return Err(format!("two linked crates register an op named `{name}`"));
    }
    (entry.parse)(attrs)
}

/// Deserializes attributes; part of [`register_op!`](crate::register_op).
#[doc(hidden)]
pub fn parse_attrs<T: NamedOp + PartialEq + Serialize + DeserializeOwned>(
    attrs: toml::Table,
) -> Result<OpRef, String> {
    let text = |e: toml::de::Error| e.message().trim().to_owned();
    let op: T = attrs.clone().try_into().map_err(text)?;
    // Structs deny unknown fields themselves. Enums with an inner tag cannot: there, an attribute
    // that is not printed back was ignored.
    let mut probe = attrs.clone();
    probe.insert("\u{1}".to_owned(), toml::Value::Boolean(true));
    if probe.try_into::<T>().is_ok() {
        let known = op.attrs();
        if let Some(key) = attrs.keys().find(|k| !known.contains_key(*k)) {
            return Err(format!("unknown attribute `{key}`"));
        }
    }
    Ok(Arc::new(op))
}

/// Registers an op under a name, with one line that says what it computes.
///
/// The type implements [`Op`], `Clone`, `PartialEq`, and serde's two traits for its attributes, which
/// print as an inline TOML table. Optional attributes use `#[serde(default)]`.
#[macro_export]
macro_rules! register_op {
    ($op:ty, $name:literal, $summary:literal) => {
        impl $crate::NamedOp for $op {
            const NAME: &'static str = $name;
        }
        $crate::inventory::submit! {
            $crate::OpEntry {
                name: $name,
                summary: $summary,
                key: || ::std::any::TypeId::of::<$op>(),
                parse: $crate::parse_attrs::<$op>,
            }
        }
    };
}
