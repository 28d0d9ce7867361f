//! x
#![forbid(unsafe_code)]
mod density; mod geometry; mod linear; mod context; mod mix; mod range;

/// What can be wrong with coded bytes.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// The bytes contradict themselves or the constant's type.
    #[error("coded constant is damaged: {0}")]
    Corrupt(String),
}
impl CodecError {
    pub(crate) fn corrupt(why: impl Into<String>) -> Self { Self::Corrupt(why.into()) }
}
#[doc(hidden)]
pub fn lin_enc(shape: &[usize], signed: bool, data: &[u8]) -> Option<Vec<u8>> { linear::encode(shape, signed, data) }
#[doc(hidden)]
pub fn lin_dec(b: &[u8], shape: &[usize], data: &mut [u8]) -> Result<(), CodecError> { linear::decode(b, shape, data) }

#[doc(hidden)]
pub fn ctx_enc(shape: &[usize], present: Option<&[u8]>, m: Option<u8>, data: &[u8]) -> Option<Vec<u8>> { context::encode(shape, present, m, data) }
#[doc(hidden)]
pub fn ctx_dec(b: &[u8], shape: &[usize], present: Option<&[u8]>, data: &mut [u8]) -> Result<(), CodecError> { context::decode(b, shape, present, data) }
