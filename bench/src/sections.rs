//! The sections, a file or folder each: `measure(context, blank)` fills the blank findings.

pub(crate) mod cold_start;
pub(crate) mod cost;
pub(crate) mod deploy;
pub(crate) mod page;
pub(crate) mod talk;
