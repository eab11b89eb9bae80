//! What the rules need from outside. The traits speak of rooms and connections; how those are kept
//! or reached is the adapters' business.

use std::error::Error;
use std::fmt;
use std::future::Future;

use crate::chat::{Name, Room, RoomCode};

/// API Gateway's id of one WebSocket connection. Never reused.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionId(String);

impl ConnectionId {
    /// Takes over the id of an event.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The id as API Gateway writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ConnectionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// A point in time: milliseconds since 1970-01-01 UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// From whole seconds since 1970-01-01 UTC, the unit of DynamoDB's TTL.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds * 1000)
    }

    /// Milliseconds since 1970-01-01 UTC.
    #[must_use]
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since 1970-01-01 UTC, rounded down.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// This point, `duration` later.
    #[must_use]
    pub fn after(self, duration: std::time::Duration) -> Self {
        Self(
            self.0
                .saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)),
        )
    }
}

/// The server's record of one open connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// Where it is.
    pub room: Room,
    /// What it is called there; only a connection in the lobby can be without a name.
    pub name: Option<Name>,
    /// When the record stops counting.
    pub expires: Timestamp,
}

/// A connection as its room lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub id: ConnectionId,
    /// What it is called in this room.
    pub name: Option<Name>,
    /// When its record stops counting.
    pub expires: Timestamp,
}

/// What a connection was seen to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen<'a> {
    /// A room that it is listed in.
    pub room: &'a Room,
    /// Its name there.
    pub name: Option<&'a Name>,
}

/// How an attempt to enter a room, or to take a name there, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The connection is there, under that name.
    Done,
    /// Another connection holds the name.
    NameTaken {
        /// Who holds it.
        holder: ConnectionId,
    },
    /// The connection is no longer as it was read: it was closed or has moved meanwhile.
    Stale,
    /// Others were writing the same records all the time; nothing was changed.
    Contended,
}

/// What became of one frame for one receiver.
#[derive(Debug)]
pub enum Delivery {
    /// API Gateway took it.
    Delivered,
    /// The connection no longer exists (HTTP 410).
    Gone,
    /// It could not be handed over, after the adapter's own retries.
    Failed(PortError),
}

/// A store or an outbox could not do its work just now. Callers have one decision: try again later.
#[derive(Debug, thiserror::Error)]
#[error("could not {attempt}")]
pub struct PortError {
    attempt: &'static str,
    #[source]
    cause: Box<dyn Error + Send + Sync>,
}

impl PortError {
    /// `attempt` completes the sentence “could not …”.
    pub fn new(attempt: &'static str, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            attempt,
            cause: cause.into(),
        }
    }
}

/// Where connections, rooms and names are kept.
///
/// A record past its expiry counts as absent in every method. A write for a connection takes effect
/// only while the connection's record exists, so a late frame cannot revive a closed one.
pub trait Store {
    /// Records a new connection, nameless, in the lobby.
    ///
    /// # Errors
    /// [`PortError`] when the store could not be reached; something may have been written then.
    fn open(
        &self,
        id: &ConnectionId,
        expires: Timestamp,
    ) -> impl Future<Output = Result<(), PortError>>;

    /// The record of a connection, as of the last write.
    ///
    /// # Errors
    /// [`PortError`] when the store could not be read.
    fn connection(
        &self,
        id: &ConnectionId,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Connection>, PortError>>;

    /// Removes a connection and whatever it held. `seen` is a membership that was read and is to go
    /// even when the connection's own record does not tell of it. Removing twice is no error.
    ///
    /// # Errors
    /// [`PortError`] when something may be left. Calling again with the membership as `seen`, as
    /// whoever finds the connection gone does, removes the rest.
    fn close(
        &self,
        id: &ConnectionId,
        seen: Option<Seen<'_>>,
    ) -> impl Future<Output = Result<(), PortError>>;

    /// Makes a room; `false` when the code is in use.
    ///
    /// # Errors
    /// [`PortError`] when the store could not be written.
    fn create_room(
        &self,
        code: &RoomCode,
        expires: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, PortError>>;

    /// Keeps a room until `expires`; `false` when there is no such room.
    ///
    /// # Errors
    /// [`PortError`] when the store could not be written.
    fn extend_room(
        &self,
        code: &RoomCode,
        expires: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, PortError>>;

    /// Moves a connection, given as it was read, to a room under a name, in one step: it leaves its
    /// former room and name in the same moment, or nothing changes. The room is the one it is in
    /// already when only the name changes. Entering again with the same values is [`Entry::Done`].
    ///
    /// # Errors
    /// [`PortError`] when the store could not be written; whether it was is unknown then.
    fn enter(
        &self,
        connection: &Connection,
        room: &Room,
        name: Option<&Name>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Entry, PortError>>;

    /// Every member of a room, all pages of it, as of the last write.
    ///
    /// # Errors
    /// [`PortError`] when a page could not be read; no partial list is returned.
    fn members(
        &self,
        room: &Room,
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<Member>, PortError>>;

    /// The keys of the names held in a room that start with `prefix` (see [`Name::key`]).
    ///
    /// # Errors
    /// [`PortError`] when a page could not be read.
    fn name_keys(
        &self,
        room: &Room,
        prefix: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<String>, PortError>>;
}

/// The way to other connections.
pub trait Outbox {
    /// Hands a frame to one connection.
    fn post(&self, to: &ConnectionId, frame: &str) -> impl Future<Output = Delivery>;

    /// Whether a connection still exists.
    ///
    /// # Errors
    /// [`PortError`] when that could not be found out.
    fn is_connected(&self, id: &ConnectionId) -> impl Future<Output = Result<bool, PortError>>;
}

/// The time.
pub trait Clock {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Randomness that nobody can guess.
pub trait Randomness {
    /// Fills `bytes`.
    ///
    /// # Errors
    /// [`PortError`] when the operating system gives none.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), PortError>;
}
