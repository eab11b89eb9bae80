//! The rules of the chat: rooms, names, who hears what. Everything from outside comes through
//! [`crate::ports`]; no SDK, Lambda or HTTP type is known here.
//!
//! # Layout
//!
//! - `mod.rs`: coming, going, and [`Chat`], which answers frames.
//! - `entry.rs`: entering rooms and settling who has which name there.
//! - `code.rs`, `name.rs`, `room.rs`: the values.

mod code;
mod entry;
#[cfg(test)]
pub(crate) mod memory;
mod name;
mod room;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::time::Duration;

use futures_util::StreamExt;

pub use code::RoomCode;
pub use name::{NAME_CHARS_MAX, Name};
pub use room::Room;

use crate::log;
use crate::ports::{
    Clock, Connection, ConnectionId, Delivery, Member, Outbox, PortError, Randomness, Seen, Store,
};
use crate::protocol::{ClientFrame, Code, Refusal, ServerFrame};

/// Characters of a text at most.
pub const TEXT_CHARS_MAX: usize = 4_000;

/// How long a connection's record counts: API Gateway closes a WebSocket after 2 hours (its quota
/// page, “Connection duration for WebSocket API”), and clocks differ.
pub const CONNECTION_TTL: Duration = Duration::from_mins(130);

/// How long after its opening a connection may still be unknown to `@connections`: its record is
/// written during `$connect`, and only when that integration has returned, after 29 s at the longest
/// (API Gateway's quota page, “Integration timeout”), is the connection established. Until then a post
/// to it is answered 410.
const HANDSHAKE: Duration = Duration::from_secs(30);

/// Posts under way at once for one message: enough to hide each one's latency, few enough that a
/// Lambda function's file descriptors and memory are never in question.
const POSTS_AT_ONCE: usize = 64;

/// A connection was opened.
///
/// # Errors
/// [`PortError`] when it could not be recorded; it is to be refused then.
pub async fn arrive(
    store: &impl Store,
    clock: &dyn Clock,
    id: &ConnectionId,
) -> Result<(), PortError> {
    store.open(id, clock.now().after(CONNECTION_TTL)).await
}

/// A connection was closed.
///
/// # Errors
/// [`PortError`] when something it held may be left; the next message to it removes that.
pub async fn depart(store: &impl Store, id: &ConnectionId) -> Result<(), PortError> {
    store.close(id, None).await
}

/// What answers the frames of connections.
#[expect(
    missing_debug_implementations,
    reason = "ports hold clients and secrets"
)]
pub struct Chat<S, O> {
    store: S,
    outbox: O,
    clock: Box<dyn Clock>,
    randomness: Box<dyn Randomness>,
    room_ttl: Duration,
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
    /// A room lives for `room_ttl` after somebody last entered it.
    pub fn new(
        store: S,
        outbox: O,
        clock: impl Clock + 'static,
        randomness: impl Randomness + 'static,
        room_ttl: Duration,
    ) -> Self {
        Self {
            store,
            outbox,
            clock: Box::new(clock),
            randomness: Box::new(randomness),
            room_ttl,
        }
    }

    /// Carries out one frame and gives the reply to its sender. What others get has been posted
    /// when this returns.
    pub async fn answer(&self, sender: &ConnectionId, frame: &str) -> ServerFrame {
        match self.carry_out(sender, frame).await {
            Ok(reply) => reply,
            Err(Failure::Refused(refusal)) => ServerFrame::Error(refusal),
            Err(failure @ (Failure::Overtaken | Failure::Port(_))) => {
                log::error("a frame was not carried out", &failure);
                ServerFrame::Error(Refusal::new(
                    Code::TryAgain,
                    "the server could not do that just now, or does not know whether it did; send it again",
                ))
            }
        }
    }

    async fn carry_out(&self, sender: &ConnectionId, frame: &str) -> Result<ServerFrame, Failure> {
        match ClientFrame::parse(frame)? {
            ClientFrame::Message { from, room, text } => {
                self.message(sender, from.as_deref(), room.as_deref(), text)
                    .await
            }
            ClientFrame::Create { name } => self.create(sender, &name).await,
            ClientFrame::Join { room, name } => self.join(sender, &room, &name).await,
            ClientFrame::Leave => self.leave(sender).await,
            ClientFrame::Ping => {
                let room = self.connection(sender).await?.room.to_string();
                Ok(ServerFrame::Pong { room })
            }
        }
    }

    async fn message(
        &self,
        sender: &ConnectionId,
        from: Option<&str>,
        room: Option<&str>,
        text: String,
    ) -> Result<ServerFrame, Failure> {
        check_text(&text)?;
        let mut connection = self.connection(sender).await?;
        check_place(&connection, room)?;
        if connection.name.is_none() {
            connection = self.introduce(connection, from).await?;
            check_place(&connection, room)?;
        }
        let frame = ServerFrame::Message {
            room: connection.room.to_string(),
            from: connection
                .name
                .as_ref()
                .map_or_else(String::new, |name| name.shown().to_owned()),
            text,
            at: self.clock.now().millis(),
        };
        let members = self
            .store
            .members(&connection.room, self.clock.now())
            .await?;
        self.broadcast(&connection, &members, &frame.to_json())
            .await;
        Ok(frame)
    }

    async fn create(&self, sender: &ConnectionId, name: &str) -> Result<ServerFrame, Failure> {
        let name = Name::parse(name)?;
        self.connection(sender).await?;
        let code = self.new_room().await?;
        self.enter(sender, &Room::Coded(code), &name).await
    }

    async fn join(
        &self,
        sender: &ConnectionId,
        room: &str,
        name: &str,
    ) -> Result<ServerFrame, Failure> {
        let name = Name::parse(name)?;
        self.connection(sender).await?;
        let room = Room::parse(room).ok_or_else(no_such_room)?;
        if let Room::Coded(code) = &room {
            let now = self.clock.now();
            if !self
                .store
                .extend_room(code, now.after(self.room_ttl), now)
                .await?
            {
                return Err(no_such_room().into());
            }
        }
        self.enter(sender, &room, &name).await
    }

    async fn connection(&self, id: &ConnectionId) -> Result<Connection, Failure> {
        let connection = self.store.connection(id, self.clock.now()).await?;
        Ok(connection.ok_or_else(not_connected)?)
    }

    /// Posts to every member but the sender, who gets the frame as the reply. Members found gone
    /// are removed; a failed post concerns nobody else.
    async fn broadcast(&self, sender: &Connection, members: &[Member], frame: &str) {
        let failures = RefCell::new(Vec::new());
        let others = members.iter().filter(|member| member.id != sender.id);
        futures_util::stream::iter(others)
            .for_each_concurrent(POSTS_AT_ONCE, |member| async {
                match self.outbox.post(&member.id, frame).await {
                    Delivery::Delivered => {}
                    Delivery::Gone => self.remove(&sender.room, member).await,
                    Delivery::Failed(error) => failures.borrow_mut().push(error),
                }
            })
            .await;
        let failures = failures.into_inner();
        let (failed, members) = (failures.len(), members.len());
        if let Some(last) = failures.into_iter().next_back() {
            log::error(
                "a message missed some members",
                &Undelivered {
                    failed,
                    members,
                    last,
                },
            );
        }
    }

    async fn remove(&self, room: &Room, member: &Member) {
        let opened_just_now =
            member.expires.after(HANDSHAKE) > self.clock.now().after(CONNECTION_TTL);
        // Only who has sent a frame has a name, and only who is connected can send one.
        if member.name.is_none() && opened_just_now {
            return;
        }
        let seen = Seen {
            room,
            name: member.name.as_ref(),
        };
        if let Err(error) = self.store.close(&member.id, Some(seen)).await {
            log::error("a connection that is gone was not removed", &error);
        }
    }
}

/// For the log: how many did not get a message.
#[derive(Debug, thiserror::Error)]
#[error("{failed} of {members} members were not reached")]
struct Undelivered {
    failed: usize,
    members: usize,
    #[source]
    last: PortError,
}

/// Frames of one connection are carried out at the same time, so a client that does not wait for
/// `joined` can say where it believes to be.
fn check_place(connection: &Connection, room: Option<&str>) -> Result<(), Refusal> {
    match room {
        Some(room) if Room::parse(room).as_ref() != Some(&connection.room) => Err(Refusal::new(
            Code::NotInRoom,
            format!(
                "this connection is in `{}`; `join` the other room first",
                connection.room
            ),
        )),
        _ => Ok(()),
    }
}

fn check_text(text: &str) -> Result<(), Refusal> {
    let problem = if text.trim().is_empty() {
        "`text` is empty"
    } else if text.chars().count() > TEXT_CHARS_MAX {
        "`text` is too long"
    } else {
        return Ok(());
    };
    Err(Refusal::new(
        Code::BadText,
        format!("{problem}; send 1 to {TEXT_CHARS_MAX} characters"),
    ))
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
