//! One module a command.

pub mod bench;
pub mod compile;
pub mod compress;
pub mod convert;
pub mod demo;
pub mod eval;
pub mod inspect;
pub mod lists;
pub mod run;
pub mod sweep;
pub mod verify;
pub mod verify_aarch64;
