//! Builds the functions' `bootstrap` with cargo, looks whether Lambda can run it, and packs it.
//!
//! # Layout
//!
//! - `origin.rs`: where code, template and page come from; `sources.rs`: a checkout; `carried.rs`: what is
//!   inside this program.
//! - `cargo.rs`: the calls of cargo.
//! - `lambda.rs`: which of them makes a program for Lambda, and the whole way to a package.
//! - `elf.rs`: whether Lambda's runtime can load a program.
//! - `package.rs`: the zip file that Lambda takes.

mod cargo;
pub(crate) mod carried;
mod elf;
mod lambda;
mod origin;
mod package;
mod sources;

pub(crate) use cargo::{BuildError, Profile, bootstrap};
pub(crate) use elf::{GLIBC, PreflightError};
pub(crate) use lambda::{Architecture, Made, Program, has_zigbuild, program};
pub(crate) use origin::{Code, Origin};
pub(crate) use package::Package;
pub(crate) use sources::Sources;
