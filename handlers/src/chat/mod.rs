//! The rules of the chat: rooms, names, who hears what. Everything from outside comes through
//! [`crate::ports`]; no SDK, Lambda or HTTP type is known here.
//!
//! # Layout
//!
//! - `mod.rs`: coming, going, and [`Chat`], which answers frames.
//! - `entry.rs`: entering rooms and settling who has which name there; `identity.rs`: being the same
//!   member on another connection.
//! - `message.rs`: a message's place in the order, once; `history.rs`: what was said before.
//! - `remove.rs`: putting somebody out of a room; `bar.rs`: who was, and does not come back.
//! - `limits.rs`: what one connection, or all of them, may do how often; `pace.rs`: how fast one speaks.
//! - `presence.rs`: who is there, and everybody's knowing it; `fan_out.rs`: one frame to many, of which
//!   others may carry out a part, an `errand.rs`; `tally.rs`: what came of it, in numbers.
//! - `code.rs`, `name.rs`, `room.rs`: the values.

mod bar;
mod code;
mod entry;
mod errand;
mod fan_out;
mod history;
mod identity;
mod limits;
#[cfg(test)]
pub(crate) mod memory;
mod message;
mod name;
mod pace;
mod presence;
mod remove;
mod room;
mod tally;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::time::Duration;

pub use bar::Barred;
pub use code::RoomCode;
pub use errand::Errand;
pub use message::{ID_CHARS_MAX, TEXT_CHARS_MAX};
pub use name::{NAME_CHARS_MAX, Name};
pub use pace::{Pace, Tempo};
pub use room::Room;
pub use tally::Tally;

use crate::log;
use crate::ports::{
    Clock, Connection, ConnectionId, Identity, Outbox, PortError, Randomness, Store, View,
};
use crate::protocol::{ClientFrame, Code, Refusal, ServerFrame};
use entry::Return;
use message::Spoken;

/// How long a connection's record counts: API Gateway closes a `WebSocket` after 2 hours (its quota
/// page, “Connection duration for `WebSocket` API”), and clocks differ.
pub const CONNECTION_TTL: Duration = Duration::from_mins(130);

/// What clocks may differ by, and frames take, many times over.
const MARGIN: Duration = Duration::from_hours(1);

/// How much longer than it counts a room's record is kept: until none of its messages can be there,
/// so that a new room of the same code, should there ever be one, has none of them.
const GRACE: Duration = Duration::from_secs(CONNECTION_TTL.as_secs() + MARGIN.as_secs());

/// The longest wait after losing a race.
const BACKOFF_MAX: Duration = Duration::from_millis(100);

/// Races that are lost before it is worth waiting: two who meet once seldom meet again.
const BACKOFF_AFTER: u32 = 3;

/// Members at most that one invocation may take as its share: their names at their longest and a
/// frame at its longest are less than 256 KB, for which an asynchronous invocation is one request.
pub const SHARE_MAX: usize = 1_000;

/// A connection was opened, by who has signed in where people do.
///
/// # Errors
/// [`PortError`] when it could not be recorded; it is to be refused then.
pub async fn arrive(
    store: &impl Store,
    clock: &dyn Clock,
    id: &ConnectionId,
    identity: Option<&Identity>,
) -> Result<(), PortError> {
    let expires = clock.now().after(CONNECTION_TTL);
    store.open_as(id, identity, expires).await
}

/// What answers the frames of connections, and sees them go.
#[expect(
    missing_debug_implementations,
    reason = "ports hold clients and secrets"
)]
pub struct Chat<S, O> {
    store: S,
    outbox: O,
    clock: Box<dyn Clock>,
    randomness: Box<dyn Randomness>,
    history: Duration,
    share: usize,
    tempo: Option<Tempo>,
    tally: Cell<Tally>,
}

/// Why a frame was not carried out: for the client, or for our log alone.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("{}", .0.message)]
    Refused(Refusal),
    #[error("another frame of the same connection was faster")]
    Overtaken,
    #[error(transparent)]
    Port(#[from] PortError),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl<S: Store, O: Outbox> Chat<S, O> {
    /// Messages can be seen for `history`, and a room lives on for that long without members.
    pub fn new(
        store: S,
        outbox: O,
        clock: impl Clock + 'static,
        randomness: impl Randomness + 'static,
        history: Duration,
    ) -> Self {
        Self {
            store,
            outbox,
            clock: Box::new(clock),
            randomness: Box::new(randomness),
            history,
            share: usize::MAX,
            tempo: None,
            tally: Cell::default(),
        }
    }

    /// Posts to so many members of a room at most, and hands over the others. By default nothing is
    /// handed over.
    #[must_use]
    pub fn with_share(self, members: usize) -> Self {
        Self {
            share: members.max(1),
            ..self
        }
    }

    /// Lets each connection speak so fast and no faster. By default nobody looks.
    #[must_use]
    pub fn with_tempo(self, tempo: Option<Tempo>) -> Self {
        Self { tempo, ..self }
    }

    /// What was posted since the last time.
    pub fn take_tally(&self) -> Tally {
        self.tally.take()
    }

    /// A connection was closed. Whatever it held goes, and its room is told.
    ///
    /// # Errors
    /// [`PortError`] when something it held may be left; the next message to it removes that.
    pub async fn depart(&self, id: &ConnectionId) -> Result<(), PortError> {
        let Some(record) = self.store.drop_connection(id).await? else {
            return Ok(());
        };
        let room = record.room.clone();
        log::room(&room);
        let left = self.take_out(&room, &record.into()).await?;
        self.mourn(left.into_iter().collect()).await;
        Ok(())
    }

    /// Carries out one frame and gives the reply to its sender. What others get has been posted
    /// when this returns.
    pub async fn answer(&self, sender: &ConnectionId, frame: &str) -> ServerFrame {
        let (id, answer) = match ClientFrame::parse(frame) {
            Ok(frame) => {
                log::event(frame.kind());
                let id = match &frame {
                    ClientFrame::Message { id, .. } => id.clone(),
                    _ => None,
                };
                (id, self.carry_out(sender, frame).await)
            }
            Err(refusal) => (None, Err(refusal.into())),
        };
        let refusal = match answer {
            Ok(reply) => return reply,
            Err(Failure::Refused(refusal)) => refusal,
            Err(failure @ (Failure::Overtaken | Failure::Port(_))) => {
                log::error("a frame was not carried out", &failure);
                Refusal::new(
                    Code::TryAgain,
                    "the server could not do that just now, or does not know whether it did; send it again",
                )
            }
        };
        // Not one of any length: it may be what was refused.
        let id = id.filter(|id| id.chars().count() <= ID_CHARS_MAX);
        ServerFrame::Error(Refusal { id, ..refusal })
    }

    async fn carry_out(
        &self,
        sender: &ConnectionId,
        frame: ClientFrame,
    ) -> Result<ServerFrame, Failure> {
        match frame {
            ClientFrame::Message {
                from,
                room,
                id,
                text,
            } => {
                let spoken = Spoken {
                    from,
                    room,
                    id,
                    text,
                };
                self.message(sender, spoken).await
            }
            ClientFrame::Create { name } => self.create(sender, &name).await,
            ClientFrame::Join {
                room,
                name,
                after,
                resume,
            } => {
                self.join(sender, &room, &name, Return { after, resume })
                    .await
            }
            ClientFrame::Leave => self.leave(sender).await,
            ClientFrame::Remove { name } => self.remove(sender, &name).await,
            ClientFrame::Rename { name } => self.rename(sender, &name).await,
            ClientFrame::History { part, limit } => self.history(sender, part, limit).await,
            ClientFrame::Typing => self.typing(sender).await,
            ClientFrame::Ping => self.ping(sender).await,
        }
    }

    async fn connection(&self, id: &ConnectionId) -> Result<Connection, Failure> {
        let connection = self.store.connection(id, self.clock.now()).await?;
        Ok(connection.ok_or_else(not_connected)?)
    }

    /// A room without those who were removed.
    async fn view(&self, room: &Room) -> Result<View, PortError> {
        let view = self.store.view(room, self.clock.now()).await?;
        Ok(view.without_barred())
    }

    /// How long a room's record counts, for who comes into it now.
    fn kept_for(&self) -> Duration {
        self.history + CONNECTION_TTL + GRACE
    }

    /// Waits after losing a race for so many times, longer and longer, and never as long as another.
    async fn backoff(&self, lost: u32) -> Result<(), PortError> {
        let Some(waits) = lost.checked_sub(BACKOFF_AFTER) else {
            return Ok(());
        };
        let mut random = [0; 4];
        self.randomness.fill(&mut random)?;
        let fraction = f64::from(u32::from_be_bytes(random)) / f64::from(u32::MAX);
        let longest = Duration::from_millis(2 << waits.min(10)).min(BACKOFF_MAX);
        tokio::time::sleep(longest.mul_f64(fraction)).await;
        Ok(())
    }
}

fn not_connected() -> Refusal {
    Refusal::new(
        Code::NotConnected,
        "the server has no record of this connection; connect again",
    )
}

fn no_such_room() -> Refusal {
    Refusal::new(
        Code::NoSuchRoom,
        "no room has this code; check it with who gave it to you, or create a room",
    )
}

fn removed() -> Refusal {
    Refusal::new(
        Code::Removed,
        "the room's creator has removed you from this room",
    )
}

fn not_in_room(room: &Room) -> Refusal {
    Refusal::new(
        Code::NotInRoom,
        format!("this connection is in `{room}`; `join` the other room first"),
    )
}

fn name_fixed(identity: &Identity) -> Refusal {
    Refusal::new(
        Code::NameFixed,
        format!(
            "who signs in is called what the account is called: `{}`; change it there and sign in again",
            identity.name.shown()
        ),
    )
}

fn name_needed() -> Refusal {
    Refusal::new(
        Code::NameNeeded,
        "say who you are: send `from` with your first message, or `join` with a `name`",
    )
}

const fn overtaken() -> Failure {
    Failure::Overtaken
}

fn lost_every_race(attempt: &'static str, times: u32) -> PortError {
    PortError::new(
        attempt,
        format!("another one was faster {times} times in a row"),
    )
}
