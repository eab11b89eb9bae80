//! What the rules need from outside. The traits speak of rooms and connections; how those are kept
//! or reached is the adapters' business.

use std::error::Error;
use std::fmt;
use std::future::Future;

use bytes::Bytes;
use sha2::{Digest, Sha256};

use crate::chat::{Barred, Errand, Name, Pace, Room, RoomCode};

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
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

/// Who somebody is in a room, over all the connections that are resumed. Kept by the server alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(String);

impl MemberId {
    /// Takes over an id that was kept.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// Who has joined nothing is known by the connection alone.
    #[must_use]
    pub fn of_connection(id: &ConnectionId) -> Self {
        Self(id.as_str().to_owned())
    }

    /// The id as it is kept.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Who has signed in, by the word of whoever knows accounts. A connection has it from its beginning and
/// never another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The account, which is nobody else's.
    pub subject: String,
    /// What it is called.
    pub name: Name,
}

/// The server's record of one open connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its id.
    pub id: ConnectionId,
    /// Where it is.
    pub room: Room,
    /// Who it is there.
    pub member: MemberId,
    /// What it is called there; only a connection in the lobby can be without a name.
    pub name: Option<Name>,
    /// Whose it is, where people sign in.
    pub identity: Option<Identity>,
    /// When the record stops counting.
    pub expires: Timestamp,
}

impl Connection {
    /// The account of who has signed in.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        self.identity.as_ref().map(|it| it.subject.as_str())
    }
}

/// A member as its room lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who it is.
    pub id: MemberId,
    /// The connection that it is reached by.
    pub connection: ConnectionId,
    /// What it is called in this room.
    pub name: Option<Name>,
    /// The account of who has signed in.
    pub subject: Option<String>,
    /// When its record stops counting.
    pub expires: Timestamp,
}

impl Member {
    /// Whether it has sent a `join` or `create`, and so knows more frames than `message`.
    #[must_use]
    pub fn has_joined(&self) -> bool {
        self.id.as_str() != self.connection.as_str()
    }
}

impl From<Connection> for Member {
    fn from(connection: Connection) -> Self {
        Self {
            subject: connection.subject().map(str::to_owned),
            id: connection.member,
            connection: connection.id,
            name: connection.name,
            expires: connection.expires,
        }
    }
}

/// What a room knows beside its members and messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// How often its list of members was announced.
    pub rev: u64,
    /// A message's `seq` that was the newest one once. Newer ones may be there.
    pub tail: u64,
    /// What the list that was announced last came to (see `chat/presence/list.rs`).
    pub roster: String,
    /// How many were on it.
    pub present: usize,
    /// When it was announced, or when a crowd was last read to see whether it still is the right one.
    pub announced: Timestamp,
    /// Who made the room; nobody made the lobby.
    pub creator: Option<MemberId>,
    /// Who was removed from it.
    pub barred: Barred,
}

impl Head {
    /// Whether a member was removed, whose record is there still.
    #[must_use]
    pub fn bars(&self, member: &Member) -> bool {
        self.barred.has(&member.id, member.subject.as_deref())
    }

    /// Whether somebody was removed: as this member, or as the person whose connection it is.
    #[must_use]
    pub fn keeps_out(&self, member: &MemberId, connection: &Connection) -> bool {
        self.barred.has(member, connection.subject())
    }
}

/// A list of members as it was announced. Only those of crowds are kept, so that who comes need not read
/// the room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// Which state of the list it is.
    pub rev: u64,
    /// How many there are.
    pub count: usize,
    /// The first names in their order, as many as are told.
    pub names: Vec<Name>,
}

/// A room, as of the last write to each of its records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// `None` for a room that nobody has entered, or that is past its time.
    pub head: Option<Head>,
    /// Every member.
    pub members: Vec<Member>,
}

impl View {
    /// The same without those who were removed: whose record is there still is no member.
    #[must_use]
    pub fn without_barred(mut self) -> Self {
        if let Some(head) = &self.head {
            self.members.retain(|it| !head.bars(it));
        }
        self
    }
}

/// A part of a room: its head, in the first one, and some of its members.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roll {
    /// As in [`View`]; `None` in every part but the first.
    pub head: Option<Head>,
    /// Members, each in one part of all.
    pub members: Vec<Member>,
    /// Where the next part begins; `None` in the last one.
    pub next: Option<Bookmark>,
}

/// How far a room has been read, in its store's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bookmark(pub String);

/// A frame on its way to many: one text and one digest for all of them.
#[derive(Clone, Debug)]
pub struct Frame {
    text: Bytes,
    digest: String,
}

impl Frame {
    /// A frame of this text.
    #[must_use]
    pub fn new(text: String) -> Self {
        use fmt::Write;
        let mut digest = String::with_capacity(64);
        for byte in Sha256::digest(&text) {
            // A string takes everything.
            let _ = write!(digest, "{byte:02x}");
        }
        Self {
            text: text.into(),
            digest,
        }
    }

    /// Its text, shared.
    #[must_use]
    pub fn text(&self) -> Bytes {
        self.text.clone()
    }

    /// Its text's SHA-256 in hexadecimal digits, which each post of it is signed with.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.digest
    }
}

/// A message as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Its place in the room's order.
    pub seq: u64,
    /// Who said it.
    pub member: MemberId,
    /// What its sender calls it.
    pub id: Option<String>,
    /// What no other attempt to send a message has, the same one's included.
    pub nonce: String,
    /// The sender's name when it was said.
    pub from: String,
    /// What was said.
    pub text: String,
    /// When.
    pub at: Timestamp,
    /// Who spoke how fast up to it.
    pub pace: Pace,
    /// When the record may go.
    pub expires: Timestamp,
}

/// A part of a room's messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The oldest ones with a greater `seq`.
    After(u64),
    /// The newest ones with a smaller `seq`, the newest first.
    Before(u64),
}

/// What a connection is to become.
#[derive(Clone, Copy, Debug)]
pub struct Move<'a> {
    /// The connection as it was read.
    pub connection: &'a Connection,
    /// Where it is to be.
    pub room: &'a Room,
    /// Who it is to be there.
    pub member: &'a MemberId,
    /// What it is to be called there.
    pub name: Option<&'a Name>,
    /// The same member on another connection, which ends with this step.
    pub resumed: Option<&'a Member>,
}

/// How an attempt to enter a room, or to take a name there, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// The connection is there, under that name.
    Done,
    /// Another connection holds the name.
    NameTaken {
        /// Which one.
        holder: ConnectionId,
        /// Who that is.
        member: MemberId,
    },
    /// The connection, or the member that it resumes, is no longer as it was read.
    Stale,
    /// Others were writing the same records all the time; nothing was changed.
    Contended,
}

/// How an attempt to keep a room for longer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Touched {
    /// It is kept.
    Done {
        /// Who was removed from it.
        barred: Barred,
    },
    /// There is no such room.
    Absent,
    /// It is there and knows a newer message; nothing was changed.
    Ahead {
        /// That message's `seq`.
        tail: u64,
    },
}

/// What became of one frame for one receiver.
#[derive(Debug)]
pub enum Delivery {
    /// API Gateway took it.
    Delivered,
    /// The connection no longer exists (HTTP 410).
    Gone,
    /// API Gateway refused it this time, for the account's quota or the connection's (HTTP 429).
    Throttled(PortError),
    /// It could not be handed over this time.
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

/// Where connections, rooms, names and messages are kept.
///
/// Each method is one step that is done or not; what takes several steps is the rules' business, so
/// that a test can stop them between any two. Only [`Store::open_as`] is two, of which the second is
/// worth nothing without the first. A record past its expiry counts as absent in every method but
/// [`Store::newest`] and [`Store::page`], for which a message is there until it has gone. A write for
/// a connection takes effect only while the connection's record exists, so a late frame cannot
/// revive a closed one.
///
/// # Errors
/// Every method gives a [`PortError`] when the store could not be reached. Whether a write took
/// effect is unknown then.
pub trait Store {
    /// Records a new connection of nobody who has signed in, nameless, in the lobby.
    fn open(
        &self,
        id: &ConnectionId,
        expires: Timestamp,
    ) -> impl Future<Output = Result<(), PortError>> {
        self.open_as(id, None, expires)
    }

    /// Records a new connection, nameless, in the lobby, with who has signed in.
    fn open_as(
        &self,
        id: &ConnectionId,
        identity: Option<&Identity>,
        expires: Timestamp,
    ) -> impl Future<Output = Result<(), PortError>>;

    /// The record of a connection, as of the last write.
    fn connection(
        &self,
        id: &ConnectionId,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Connection>, PortError>>;

    /// Removes the record of a connection and gives it, if there was one. From then on nothing can
    /// be written for that connection.
    fn drop_connection(
        &self,
        id: &ConnectionId,
    ) -> impl Future<Output = Result<Option<Connection>, PortError>>;

    /// Removes a member that is reached by the given connection; `false` when there is none such.
    fn drop_member(
        &self,
        room: &Room,
        member: &MemberId,
        connection: &ConnectionId,
    ) -> impl Future<Output = Result<bool, PortError>>;

    /// Frees a name if the given connection holds it.
    fn free_name(
        &self,
        room: &Room,
        name: &Name,
        connection: &ConnectionId,
    ) -> impl Future<Output = Result<(), PortError>>;

    /// Makes a room; `false` when the code is in use.
    fn create_room(
        &self,
        code: &RoomCode,
        creator: &MemberId,
        expires: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, PortError>>;

    /// Keeps a room until `expires`, and the knowledge that a message of the `seq` `tail` was there.
    /// It has to be kept until after `now` already; the lobby is made if it is not.
    fn touch(
        &self,
        room: &Room,
        tail: u64,
        expires: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<Touched, PortError>>;

    /// What a room knows, as of the last write.
    fn head(
        &self,
        room: &Room,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Head>, PortError>>;

    /// A part of a room, from its beginning or from where an earlier part ended. The head is read before
    /// all members.
    fn roll(
        &self,
        room: &Room,
        from: Option<&Bookmark>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Roll, PortError>>;

    /// The beginning of a room: its head, and `members` of its members at most.
    fn glance(
        &self,
        room: &Room,
        members: usize,
        now: Timestamp,
    ) -> impl Future<Output = Result<Roll, PortError>>;

    /// What a room knows and, read after that, all its members: never a part of them.
    fn view(&self, room: &Room, now: Timestamp) -> impl Future<Output = Result<View, PortError>> {
        async move {
            let mut roll = self.roll(room, None, now).await?;
            let mut view = View {
                head: roll.head,
                members: roll.members,
            };
            while let Some(next) = roll.next {
                roll = self.roll(room, Some(&next), now).await?;
                view.members.append(&mut roll.members);
            }
            Ok(view)
        }
    }

    /// One member of a room, as of the last write.
    fn member(
        &self,
        room: &Room,
        member: &MemberId,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<Member>, PortError>>;

    /// Moves a connection to a room under a name, in one step: it leaves its former room and name in
    /// the same moment, or nothing changes. The room is the one it is in already when only the name
    /// changes. Entering again with the same values is [`Entry::Done`].
    fn enter(
        &self,
        step: Move<'_>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Entry, PortError>>;

    /// The keys of the names held in a room that start with `prefix` (see [`Name::key`]).
    fn name_keys(
        &self,
        room: &Room,
        prefix: &str,
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<String>, PortError>>;

    /// Makes the room's `rev` one greater and records what was announced with it, and how many were on that
    /// list; `false` when it is no longer `rev`.
    fn announce(
        &self,
        room: &Room,
        rev: u64,
        roster: &str,
        present: usize,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, PortError>>;

    /// Makes `now` the time of the last announcement, so that one alone reads a crowd to make the next one;
    /// `false` when another one did so since `head` was read.
    fn take_turn(
        &self,
        room: &Room,
        head: &Head,
        now: Timestamp,
    ) -> impl Future<Output = Result<bool, PortError>>;

    /// Keeps a list until `expires`, unless one of the same `rev` or a greater one is kept.
    fn keep_list(
        &self,
        room: &Room,
        list: &List,
        expires: Timestamp,
        now: Timestamp,
    ) -> impl Future<Output = Result<(), PortError>>;

    /// The list that is kept. Its `rev` tells whether it is the one that was announced last.
    fn list(
        &self,
        room: &Room,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<List>, PortError>>;

    /// Records who was removed from a room; `false` when that is no longer `was`.
    fn bar(
        &self,
        room: &Room,
        was: &Barred,
        barred: &Barred,
    ) -> impl Future<Output = Result<bool, PortError>>;

    /// Counts one more of something until `expires`; `false` when there were `most` already.
    fn count(
        &self,
        what: &str,
        most: u64,
        expires: Timestamp,
    ) -> impl Future<Output = Result<bool, PortError>>;

    /// The greatest `seq` of the messages that are there, 0 without any.
    fn newest(&self, room: &Room) -> impl Future<Output = Result<u64, PortError>>;

    /// Records that a member is about to send a message of this id when the newest one is `floor`.
    /// If it was before, gives what it was then.
    fn claim(
        &self,
        room: &Room,
        message: &Message,
        floor: u64,
        now: Timestamp,
    ) -> impl Future<Output = Result<Option<u64>, PortError>>;

    /// Keeps a message at its place; `false` when another one has that place.
    fn append(
        &self,
        room: &Room,
        message: &Message,
    ) -> impl Future<Output = Result<bool, PortError>>;

    /// At most `limit` messages; fewer only at the end.
    fn page(
        &self,
        room: &Room,
        part: Part,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Message>, PortError>>;
}

/// The way to other connections.
pub trait Outbox {
    /// Hands a frame to one connection, once: whether and when to try again is the rules' business.
    fn post(&self, to: &ConnectionId, frame: &Frame) -> impl Future<Output = Delivery>;

    /// Has another invocation carry out an errand, without waiting for that.
    ///
    /// # Errors
    /// [`PortError`] when it may not have been taken.
    fn hand_over(&self, errand: &Errand) -> impl Future<Output = Result<(), PortError>>;

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
