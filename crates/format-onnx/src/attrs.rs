//! Attributes of a node, those of the function that it stands in taken into account.

use crate::proto::{AttributeProto, NodeProto, TensorProto, attribute_type};
use crate::reject::Reject;
use std::collections::HashMap;

/// What the attributes of an inlined function are bound to.
pub(crate) type Bindings<'p> = HashMap<String, &'p AttributeProto>;

/// The attributes of one node.
#[derive(Clone, Copy)]
pub(crate) struct Attrs<'n, 'p> {
    node: &'n NodeProto,
    bindings: &'n Bindings<'p>,
}

impl<'n, 'p: 'n> Attrs<'n, 'p> {
    pub(crate) fn new(node: &'n NodeProto, bindings: &'n Bindings<'p>) -> Self {
        Self { node, bindings }
    }

    /// The attribute of this name; one that refers to a function's attribute gives that.
    pub(crate) fn get(&self, name: &str) -> Option<&'n AttributeProto> {
        let own = self.node.attribute.iter().find(|a| a.name == name)?;
        self.resolve(own)
    }

    fn resolve(&self, own: &'n AttributeProto) -> Option<&'n AttributeProto> {
        if own.ref_attr_name.is_empty() {
            Some(own)
        } else {
            self.bindings.get(&own.ref_attr_name).copied()
        }
    }

    fn typed(
        &self,
        name: &str,
        kind: i32,
        what: &str,
    ) -> Result<Option<&'n AttributeProto>, Reject> {
        match self.get(name) {
            // The oldest exporters leave the type out.
            Some(a) if a.r#type == kind || a.r#type == 0 => Ok(Some(a)),
            Some(_) => Err(Reject::malformed(format!("attribute `{name}` is not {what}"))),
            None => Ok(None),
        }
    }

    pub(crate) fn opt_int(&self, name: &str) -> Result<Option<i64>, Reject> {
        let a = self.typed(name, attribute_type::INT, "an integer")?;
        Ok(a.map(|a| a.i.unwrap_or(0)))
    }

    pub(crate) fn int(&self, name: &str, default: i64) -> Result<i64, Reject> {
        Ok(self.opt_int(name)?.unwrap_or(default))
    }

    pub(crate) fn flag(&self, name: &str, default: bool) -> Result<bool, Reject> {
        Ok(self.int(name, i64::from(default))? != 0)
    }

    pub(crate) fn opt_float(&self, name: &str) -> Result<Option<f32>, Reject> {
        let a = self.typed(name, attribute_type::FLOAT, "a float")?;
        Ok(a.map(|a| a.f.unwrap_or(0.0)))
    }

    pub(crate) fn float(&self, name: &str, default: f32) -> Result<f32, Reject> {
        Ok(self.opt_float(name)?.unwrap_or(default))
    }

    pub(crate) fn opt_text(&self, name: &str) -> Result<Option<&'n str>, Reject> {
        let Some(a) = self.typed(name, attribute_type::STRING, "a string")? else {
            return Ok(None);
        };
        match std::str::from_utf8(a.s.as_deref().unwrap_or(&[])) {
            Ok(s) => Ok(Some(s)),
            Err(_) => Err(Reject::malformed(format!("attribute `{name}` is not UTF-8"))),
        }
    }

    pub(crate) fn text(&self, name: &str, default: &'n str) -> Result<&'n str, Reject> {
        Ok(self.opt_text(name)?.unwrap_or(default))
    }

    pub(crate) fn ints(&self, name: &str) -> Result<Option<&'n [i64]>, Reject> {
        let a = self.typed(name, attribute_type::INTS, "a list of integers")?;
        Ok(a.map(|a| a.ints.as_slice()))
    }

    pub(crate) fn floats(&self, name: &str) -> Result<Option<&'n [f32]>, Reject> {
        let a = self.typed(name, attribute_type::FLOATS, "a list of floats")?;
        Ok(a.map(|a| a.floats.as_slice()))
    }

    pub(crate) fn texts(&self, name: &str) -> Result<Option<Vec<&'n str>>, Reject> {
        let Some(a) = self.get(name) else { return Ok(None) };
        let text = |s: &'n bytes::Bytes| {
            std::str::from_utf8(s)
                .map_err(|_| Reject::malformed(format!("attribute `{name}` is not UTF-8")))
        };
        a.strings.iter().map(text).collect::<Result<_, _>>().map(Some)
    }

    pub(crate) fn tensor(&self, name: &str) -> Result<Option<&'n TensorProto>, Reject> {
        let a = self.typed(name, attribute_type::TENSOR, "a tensor")?;
        Ok(a.and_then(|a| a.t.as_deref()))
    }
}
