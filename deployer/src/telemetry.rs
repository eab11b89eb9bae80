//! What a chat that runs tells of itself, made readable.
//!
//! # Layout
//! * `line`: a line of a function's log: what it says, and how it is shown. Pure.
//! * `tail`: the logs of the functions, merged by time and followed.
//! * `traffic`: what is measured of a chat, and what it comes to. Pure.
//! * `crowd`: how many are connected, as far as anybody can know. Pure.
//! * `words`: numbers, times and curves for people. Pure.
//! * `error`: what could not be found out.

mod crowd;
mod error;
mod line;
mod tail;
mod traffic;
mod words;

pub(crate) use crowd::{Crowd, Movements};
pub(crate) use error::TelemetryError;
pub(crate) use line::{COUNTS, Function, Level, Line};
pub(crate) use tail::{Going, Source, Tail};
pub(crate) use traffic::{Measured, Place, Traffic};
pub(crate) use words::{ago, date, grouped, wrapped};
