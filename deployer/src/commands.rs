//! One verb per file. A command reads like the steps that it takes; how each is done is elsewhere.

pub(crate) mod dev;
pub(crate) mod synth;
