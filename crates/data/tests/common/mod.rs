//! What several of these tests need.

/// The error, as text, of something that must fail.
pub fn error<T>(result: paring_data::Result<T>) -> String {
    match result {
        Ok(_) => panic!("this must fail"),
        Err(error) => error.to_string(),
    }
}
