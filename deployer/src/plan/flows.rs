//! How much of what there is in a second.

use super::Load;
use super::figures::{
    CONNECTION_WRITES, DATABASE_MS, INVOKE_MS, MEMBER_BYTES, MESSAGE_READS, MESSAGE_WRITES,
    PING_EVERY_S, PING_READS, POST_CPU_MS, POST_MS, POSTS_AT_ONCE, PROCESSOR_SHARE,
    READ_UNIT_BYTES, RENEWED_EVERY_S, RETURN_READS, RETURN_WRITES, SHARE_MEMBERS,
};

/// A second of the load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Flows {
    /// Connections that are renewed.
    pub(super) renewals: f64,
    /// Pings of those who say nothing.
    pub(super) pings: f64,
    /// Frames from clients: messages, pings, and a `join` for each new connection.
    pub(super) frames_in: f64,
    /// Frames to clients.
    pub(super) frames_out: f64,
    /// Those of them that are posted through `@connections`.
    pub(super) posts: f64,
    /// Invocations of all functions.
    pub(super) invocations: f64,
    /// Functions that are at work at the same time.
    pub(super) concurrency: f64,
    /// Read units.
    pub(super) reads: f64,
    /// Write units.
    pub(super) writes: f64,
    /// Messages in one room.
    pub(super) room_rate: f64,
    /// Read units in one room.
    pub(super) room_reads: f64,
    /// Write units in one room.
    pub(super) room_writes: f64,
    /// From the first post of a message to the last one's answer, ms.
    pub(super) broadcast_ms: f64,
}

impl Flows {
    /// `requests` is what API Gateway lets through in a second.
    pub(super) fn of(load: &Load, requests: f64) -> Self {
        let (connections, rate) = (f64::from(load.connections), load.rate);
        let (rooms, receivers) = (f64::from(load.rooms()), f64::from(load.room_size - 1));
        let renewals = connections / RENEWED_EVERY_S;
        let pings = pings(connections, rate);
        let room_units = (f64::from(load.room_size) * MEMBER_BYTES / READ_UNIT_BYTES).ceil();

        let message_reads = room_units + MESSAGE_READS;
        let reads = rate * message_reads
            + pings * (room_units + PING_READS)
            + renewals * (room_units + RETURN_READS);
        let writes = rate * MESSAGE_WRITES + renewals * (CONNECTION_WRITES + RETURN_WRITES);
        let shares = (receivers / SHARE_MEMBERS).ceil();
        let broadcast_ms = broadcast_ms(receivers, shares, requests);
        // A message's reads are made at once, its claim and itself after each other; a return takes
        // some calls more; the start and the end of a connection are one each.
        let busy_ms = rate * (3.0 * DATABASE_MS + shares * broadcast_ms)
            + pings * DATABASE_MS
            + renewals * (4.0 + 1.0 + 1.0) * DATABASE_MS;
        let frames_in = rate + pings + renewals;
        Self {
            renewals,
            pings,
            frames_in,
            frames_out: frames_in + rate * receivers,
            posts: rate * receivers,
            invocations: frames_in + 2.0 * renewals + rate * (shares - 1.0).max(0.0),
            concurrency: busy_ms / 1000.0,
            reads,
            writes,
            room_rate: rate / rooms,
            room_reads: reads / rooms,
            room_writes: rate / rooms * MESSAGE_WRITES,
            broadcast_ms,
        }
    }
}

/// Pings of `connections` that say `rate` messages together, each at random moments: one every four
/// minutes of a silence.
fn pings(connections: f64, rate: f64) -> f64 {
    let said_meanwhile = PING_EVERY_S * rate / connections;
    if said_meanwhile < 1e-9 {
        return connections / PING_EVERY_S;
    }
    rate / said_meanwhile.exp_m1()
}

/// How long a message is on its way to all, ms: whichever is slowest of waiting for answers, the
/// processor, and API Gateway's quota, of which nobody else takes anything.
///
/// Each share of a large room has a function of its own, and all but the first begin one invocation
/// later.
fn broadcast_ms(receivers: f64, shares: f64, requests: f64) -> f64 {
    let share = receivers / shares.max(1.0);
    let waves = (share / POSTS_AT_ONCE).ceil() * POST_MS;
    let processor = share * POST_CPU_MS / PROCESSOR_SHARE;
    let quota = receivers / requests * 1000.0;
    let later = if shares > 1.0 { INVOKE_MS } else { 0.0 };
    (later + waves.max(processor)).max(quota)
}
