//! Talking to a chat from outside, as its clients do, to see which promises of PROTOCOL.md it keeps.
//! What it takes to get there, and who is told, is not known here.
//!
//! Whoever talks has a room of its own and leaves it in the end. Nobody is disturbed: in the lobby,
//! where others may be, no name is taken and nothing is said, so what only a name or a message there
//! could show is not looked at.
//!
//! # Layout
//! * `check`: what is looked at, one promise each, and what came of it.
//! * `checks/`: how each is looked at.
//! * `scene`: the people of one check, with its deadline and its transcript.
//! * `peer`: one of them, at a socket.
//! * `transcript`: what they sent and got.
//! * `fault`: what can be wrong.
//! * `foreign`: a page that is not to be let in.
//! * `strangers`: nor who has not signed in, where people do.

mod check;
mod checks;
mod fault;
mod foreign;
mod peer;
mod scene;
mod strangers;
mod transcript;

pub(crate) use check::{Check, Outcome, Verdict, not_tried, reasons, try_check, try_two_ways};
pub(crate) use checks::pass_both_ways;
pub(crate) use fault::Fault;
pub(crate) use foreign::{refuses_foreign_pages, try_foreign_pages};
pub(crate) use scene::{Scene, Server};
pub(crate) use strangers::{refuses_strangers, try_strangers};
pub(crate) use transcript::Transcript;
