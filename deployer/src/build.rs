//! Builds the functions' `bootstrap` with cargo.

mod cargo;
mod sources;

pub(crate) use cargo::{BuildError, Profile, bootstrap};
pub(crate) use sources::Sources;
