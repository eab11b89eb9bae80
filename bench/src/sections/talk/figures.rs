//! What is measured of one server, and how much of it.

use std::rc::Rc;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tokio::time::sleep;

use super::member::Ear;
use super::profile::{Profile, Recording};
use super::room::{self, Room};
use super::server::{Kit, Peer, Server};
use crate::error::BenchError;
use crate::process;
use crate::section::Context;
use crate::statistics::Summary;

/// Idle connections that are made before memory is looked at: by then every function runs.
const CONNECTIONS_BEFORE: usize = 100;
/// A server may still be busy with the last of them.
const REST: Duration = Duration::from_secs(1);
/// How long the first room may take to fill, without which there is nothing to compare, and one of
/// [`LARGE`] size.
const LONG_PATIENCE: Duration = Duration::from_mins(3);
const LARGE: usize = 5_000;
/// Members of the room in which servers are driven to their limit.
pub(super) const SATURATED_ROOM: usize = 100;

/// How many connections memory is measured with.
pub(super) fn sockets(is_quick: bool) -> u64 {
    if is_quick { 1_000 } else { 10_000 }
}

/// How much is measured of one server.
#[derive(Debug)]
pub(super) struct Plan {
    pair_runs: usize,
    pair_messages: usize,
    sizes: Vec<usize>,
    room_messages: usize,
    /// How long messages are said in a room of one size, at most, once there are enough for a median.
    room_patience: Duration,
    /// How long members may take to join.
    grow_patience: Duration,
    speakers: Vec<usize>,
    window: Duration,
    sockets: usize,
    idle_patience: Duration,
}

impl Plan {
    pub(super) fn of(peer: Peer, context: &Context, sockets: u64) -> Self {
        let is_quick = context.is_quick;
        let is_slow = matches!(peer, Peer::Offline | Peer::Ministack);
        let sizes: &[usize] = match (is_quick, is_slow) {
            (true, true) => &[30, 100],
            (true, false) | (false, true) => &[30, 100, 300, 1_000],
            (false, false) => &[30, 100, 300, 1_000, 5_000],
        };
        let seconds =
            |quickly, usually| Duration::from_secs(if is_quick { quickly } else { usually });
        Self {
            pair_runs: context.runs(3, 2),
            pair_messages: context.runs(120, 50),
            sizes: sizes.to_vec(),
            room_messages: context.runs(30, 10),
            room_patience: seconds(2, 6),
            grow_patience: seconds(8, 25),
            speakers: if is_quick { vec![1, 8] } else { vec![1, 4, 16] },
            window: seconds(1, 3),
            sockets: usize::try_from(sockets).unwrap_or(usize::MAX),
            idle_patience: seconds(5, 20),
        }
    }
}

/// What was measured of one server. Times are in milliseconds.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) pair: Pair,
    pub(super) rooms: Vec<Heard>,
    /// The size at which members took too long to join.
    pub(super) too_large: Option<usize>,
    pub(super) saturation: Saturation,
    pub(super) memory: Memory,
    pub(super) losses: u64,
    pub(super) repeats: u64,
    pub(super) complaints: Vec<String>,
}

/// Two who talk: a message from one to the other, and there and back.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) one_way_p50: Summary,
    pub(super) one_way_p99: f64,
    pub(super) round_p50: Summary,
    pub(super) round_p99: f64,
    pub(super) messages: usize,
}

/// A room of one size.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) size: usize,
    /// How many came in a second when it grew to this size.
    pub(super) joins_a_second: f64,
    /// Until the last of the others had heard a message.
    pub(super) last: Summary,
    /// Milliseconds of processor time for a message: of the server's first process, of its other
    /// processes, and of the clients.
    pub(super) processor: [f64; 3],
}

/// As much as a server can.
#[derive(Debug)]
pub(super) struct Saturation {
    /// Deliveries a second.
    pub(super) rate: Summary,
    pub(super) speakers: usize,
    /// What other numbers of them came to, in one try each.
    pub(super) tried: Vec<(usize, f64)>,
    /// Microseconds of processor time for a delivery, as [`Heard`] has them.
    pub(super) processor: [f64; 3],
    pub(super) profile: Option<Profile>,
}

/// What connections weigh.
#[derive(Debug)]
pub(super) struct Memory {
    /// Bytes of all processes before.
    pub(super) before: u64,
    /// Bytes of each connection.
    pub(super) each: f64,
    pub(super) connections: usize,
}

impl Figures {
    /// # Errors
    /// If the server does not start, or refuses.
    pub(super) async fn measure(kit: &Kit, peer: Peer, plan: &Plan) -> Result<Self, BenchError> {
        let ear = Ear::new();
        let server = kit.start(peer)?;
        let mut room = Room::open(&server.url, &ear).await?;
        room.grow(2, plan.grow_patience).await?;
        let pair = pair(&mut room, plan).await?;

        let mut rooms = Vec::new();
        let (mut saturation, mut too_large) = (None, None);
        for size in &plan.sizes {
            let patience = if saturation.is_none() || *size >= LARGE {
                LONG_PATIENCE
            } else {
                plan.grow_patience
            };
            if !room.grow(*size, patience).await? {
                too_large = Some(*size);
                break;
            }
            rooms.push(last_receipts(&mut room, &server, plan).await?);
            if *size == SATURATED_ROOM {
                let mut most = saturated(&mut room, &server, plan).await?;
                if peer == Peer::Chatctl {
                    most.profile = profile(&mut room, kit, plan, most.speakers).await?;
                }
                saturation = Some(most);
            }
        }
        drop(room);
        drop(server);

        let memory = memory(&kit.start(peer)?, plan, &ear).await?;
        let board = ear.board.borrow();
        Ok(Self {
            pair,
            rooms,
            too_large,
            saturation: saturation.ok_or_else(|| {
                let name = peer.name();
                BenchError::Measurement(format!("{name} fills no room of {SATURATED_ROOM}"))
            })?,
            memory,
            losses: board.losses(),
            repeats: board.repeats(),
            complaints: ear.complaints(),
        })
    }
}

/// Each answers what the other has said, as soon as it is heard.
async fn pair(room: &mut Room, plan: &Plan) -> Result<Pair, BenchError> {
    let (mut one_way, mut round) = (latencies()?, latencies()?);
    let (mut one_way_runs, mut round_runs) = (Vec::new(), Vec::new());
    for _ in 0..plan.pair_runs {
        let (mut one_way_run, mut round_run) = (latencies()?, latencies()?);
        for _ in 0..plan.pair_messages / 2 {
            let there = room.say(0).await?;
            let back = room.say(1).await?;
            if let (Some(there), Some(back)) = (there, back) {
                one_way_run.saturating_record(nanoseconds(there));
                one_way_run.saturating_record(nanoseconds(back));
                round_run.saturating_record(nanoseconds(there + back));
            }
        }
        one_way_runs.push(milliseconds(one_way_run.value_at_quantile(0.5)));
        round_runs.push(milliseconds(round_run.value_at_quantile(0.5)));
        one_way.add(&one_way_run).map_err(wrong)?;
        round.add(&round_run).map_err(wrong)?;
    }
    Ok(Pair {
        one_way_p50: summary(&one_way_runs)?,
        one_way_p99: milliseconds(one_way.value_at_quantile(0.99)),
        round_p50: summary(&round_runs)?,
        round_p99: milliseconds(round.value_at_quantile(0.99)),
        messages: plan.pair_runs * plan.pair_messages,
    })
}

async fn last_receipts(room: &mut Room, server: &Server, plan: &Plan) -> Result<Heard, BenchError> {
    const ENOUGH: usize = 5;
    // The first one of a size finds buffers that have yet to grow.
    room.say(0).await?;
    let (before, since) = (Processors::now(server), Instant::now());
    let mut last = Vec::new();
    for index in 0..plan.room_messages {
        if index >= ENOUGH && since.elapsed() > plan.room_patience {
            break;
        }
        // Always by another one, and none of the newest alone.
        let by = index * room.size() / plan.room_messages;
        if let Some(heard) = room.say(by).await? {
            last.push(heard.as_secs_f64() * 1e3);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "a few messages")]
    let messages = last.len().max(1) as f64;
    let spent = Processors::now(server).since(&before);
    Ok(Heard {
        size: room.size(),
        joins_a_second: room.joins_a_second,
        processor: spent.map(|it| it * 1e3 / messages),
        last: summary(&last)?,
    })
}

/// Processor time that was used so far: of the server's first process, of its other processes, and of the clients.
struct Processors([Duration; 3]);

impl Processors {
    fn now(server: &Server) -> Self {
        let (first, others) = process::processor_time_of_tree(server.id());
        let (clients, _) = process::processor_time_of_tree(std::process::id());
        Self([first, others, clients])
    }

    /// Seconds.
    fn since(&self, before: &Self) -> [f64; 3] {
        std::array::from_fn(|it| self.0[it].saturating_sub(before.0[it]).as_secs_f64())
    }
}

/// The best of several numbers of speakers, three times.
async fn saturated(
    room: &mut Room,
    server: &Server,
    plan: &Plan,
) -> Result<Saturation, BenchError> {
    let warm_up = plan.window / 4;
    let mut tried = Vec::new();
    for speakers in &plan.speakers {
        let rate = room.saturate(*speakers, warm_up, plan.window).await?;
        tried.push((*speakers, rate));
    }
    let best = tried
        .iter()
        .copied()
        .max_by(|one, other| one.1.total_cmp(&other.1));
    let (speakers, rate) = best.unwrap_or((1, 0.0));
    tried.retain(|it| it.0 != speakers);
    let mut rates = vec![rate];
    let (before, heard) = (Processors::now(server), room.deliveries());
    for _ in 0..2 {
        rates.push(room.saturate(speakers, warm_up, plan.window).await?);
    }
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let deliveries = (room.deliveries() - heard).max(1) as f64;
    let spent = Processors::now(server).since(&before);
    Ok(Saturation {
        rate: summary(&rates)?,
        speakers,
        tried,
        processor: spent.map(|it| it * 1e6 / deliveries),
        profile: None,
    })
}

/// Where the time goes meanwhile. What is delivered under a profiler is no figure.
async fn profile(
    room: &mut Room,
    kit: &Kit,
    plan: &Plan,
    speakers: usize,
) -> Result<Option<Profile>, BenchError> {
    let recording = Recording::start(kit.folder(), plan.window);
    room.saturate(speakers, plan.window / 4, plan.window)
        .await?;
    Ok(recording.and_then(Recording::end))
}

async fn memory(server: &Server, plan: &Plan, ear: &Rc<Ear>) -> Result<Memory, BenchError> {
    let first = room::idle(&server.url, CONNECTIONS_BEFORE, plan.idle_patience, ear).await?;
    sleep(REST).await;
    let before = process::memory_of_tree(server.id());
    let count = plan.sockets.saturating_sub(first.len());
    let more = room::idle(&server.url, count, plan.idle_patience, ear).await?;
    sleep(REST).await;
    let after = process::memory_of_tree(server.id());
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let each = after.saturating_sub(before) as f64 / more.len().max(1) as f64;
    Ok(Memory {
        before,
        each,
        connections: first.len() + more.len(),
    })
}

fn summary(runs: &[f64]) -> Result<Summary, BenchError> {
    Summary::of(runs)
        .ok_or_else(|| BenchError::Measurement("no message was heard by all".to_owned()))
}

/// Of latencies from a microsecond to a minute, in nanoseconds.
fn latencies() -> Result<Histogram<u64>, BenchError> {
    Histogram::new_with_bounds(1_000, 60_000_000_000, 3).map_err(wrong)
}

fn wrong(error: impl std::fmt::Display) -> BenchError {
    BenchError::Measurement(error.to_string())
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn milliseconds(nanoseconds: u64) -> f64 {
    Duration::from_nanos(nanoseconds).as_secs_f64() * 1e3
}
