//! Conversations on this machine: the same clients talk on `chatctl dev`, on its peers, and on a server
//! that does nothing but hand messages on.
//!
//! # Layout
//!
//! - `board.rs`: who has heard what.
//! - `member.rs`: a member on its socket.
//! - `room.rs`: a room of them, and what is done in it.
//! - `server.rs`: those who are measured.
//! - `ceiling.rs`: the bare server among them.
//! - `figures.rs`: what is measured of one of them.
//! - `profile.rs`: where the processors' time goes.
//! - `told.rs`: the figures of all as tables, goals and a plot.

mod board;
pub(crate) mod ceiling;
mod figures;
mod member;
mod profile;
mod room;
mod server;
mod told;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::error::BenchError;
use crate::result::Findings;
use crate::section::Context;
use figures::{Figures, Plan};
use server::{Kit, Peer};

/// Files that a process needs beside its sockets.
const FILES: u64 = 200;

/// # Errors
/// What stopped it.
pub(crate) fn measure(context: &Context, blank: Findings) -> Result<Findings, BenchError> {
    let sockets = figures::sockets(context.is_quick);
    let sockets = sockets.min(allow_files(sockets + FILES)?.saturating_sub(FILES));
    let peers = if context.is_alone {
        &Peer::ALL[..1]
    } else {
        &Peer::ALL
    };
    let kit = Kit::new(context, peers)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|source| BenchError::Start {
            program: "the clients".to_owned(),
            source,
        })?;
    let mut all = Vec::new();
    for peer in peers.iter().copied() {
        crate::tell(&format!("    {}", peer.name()));
        let plan = Plan::of(peer, context, sockets);
        let members = tokio::task::LocalSet::new();
        let figures = members.block_on(&runtime, Figures::measure(&kit, peer, &plan))?;
        all.push((peer, figures));
    }
    Ok(told::told(&all, context.is_quick, blank))
}

/// Lets this process, and those that it starts, have so many files open, or as many as there may be.
fn allow_files(count: u64) -> Result<u64, BenchError> {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX);
    if limit.current.is_none_or(|now| now >= count) {
        return Ok(count);
    }
    let current = count.min(most);
    let raised = Rlimit {
        current: Some(current),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised)
        .map_err(|error| BenchError::Measurement(format!("files cannot be opened: {error}")))?;
    Ok(current)
}
