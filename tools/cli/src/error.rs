use paring_backend::{CompileError, Shortfall};
use paring_format::FormatError;
use paring_ir::{ExecError, Refusal};
use paring_pass::{PassError, StepError};

/// The work was done and does not meet a bound that was stated.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct BoundFailed(pub String);

/// Nodes that a command cannot handle.
#[derive(Debug, thiserror::Error)]
#[error("{what}:{}", refused.iter().map(|r| format!("\n  {r}")).collect::<String>())]
pub struct Refused {
    /// What cannot be done.
    pub what: String,
    /// Every node in the way.
    pub refused: Vec<Refusal>,
}

/// The error and its causes in one line of text; many a message already ends with its cause's.
#[must_use]
pub(crate) fn message(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text += ": ";
            text += &cause;
        }
    }
    text
}

/// The exit code for an error: 1 for a failed bound, 3 for what is not supported, 2 for the rest.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> i32 {
    if shortfall(error).is_some() {
        return 1;
    }
    for cause in error.chain() {
        if cause.is::<BoundFailed>() {
            return 1;
        }
        if !refused(cause).is_empty() || cause.is::<Refused>() {
            return 3;
        }
    }
    2
}

/// The budget that is not met, if that is the error.
pub(crate) fn shortfall(error: &anyhow::Error) -> Option<&Shortfall> {
    error.chain().find_map(|cause| match cause.downcast_ref() {
        Some(CompileError::Budget(shortfall)) => Some(&**shortfall),
        _ => None,
    })
}

/// The nodes that an error lists as not supported.
pub(crate) fn all_refused(error: &anyhow::Error) -> &[Refusal] {
    error.chain().map(refused).find(|r| !r.is_empty()).unwrap_or(&[])
}

fn refused<'e>(cause: &'e (dyn std::error::Error + 'static)) -> &'e [Refusal] {
    if let Some(FormatError::Unsupported { refused, .. }) = cause.downcast_ref() {
        return refused;
    }
    if let Some(CompileError::Unsupported { refused, .. }) = cause.downcast_ref() {
        return refused;
    }
    if let Some(ExecError::Unsupported { refused, .. }) = cause.downcast_ref() {
        return refused;
    }
    if let Some(PassError::Unsupported(refused)) = cause.downcast_ref() {
        return refused;
    }
    if let Some(StepError { source: PassError::Unsupported(refused), .. }) = cause.downcast_ref() {
        return refused;
    }
    cause.downcast_ref::<Refused>().map_or(&[], |r| &r.refused)
}
