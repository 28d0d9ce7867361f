//! Variables that operators read and assign. Graphs have states instead; these are refused with their
//! names.

use super::{Read, options};
use crate::error::ReadError;

pub(super) const READERS: &[(&str, Read)] = &[
    ("VAR_HANDLE", |cx| {
        let options = options!(cx, VarHandleOptions);
        let name = options.as_ref().and_then(|o| o.shared_name().ok().flatten()).unwrap_or("");
        let container = options.as_ref().and_then(|o| o.container().ok().flatten()).unwrap_or("");
        let name =
            if container.is_empty() { name.to_owned() } else { format!("{container}/{name}") };
        Err(ReadError::unsupported(format!(
            "variable `{name}`; export the model with its state as inputs and outputs"
        )))
    }),
    ("READ_VARIABLE", |_| Err(ReadError::unsupported("reads a variable"))),
    ("ASSIGN_VARIABLE", |_| Err(ReadError::unsupported("assigns a variable"))),
];
