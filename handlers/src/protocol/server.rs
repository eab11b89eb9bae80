//! What the server says.

use std::time::Duration;

use serde::Serialize;

/// Names listed in a frame at most, so that it fits one 32 KB frame of API Gateway.
pub const MEMBERS_LISTED_MAX: usize = 200;

/// Bytes of a frame at most: API Gateway splits what is longer (its quota page, “`WebSocket` frame
/// size”), and not every client puts it together again.
pub const FRAME_BYTES_MAX: usize = 32 * 1024;

/// What the server says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum ServerFrame {
    /// Somebody said something.
    Message {
        /// Where.
        room: String,
        /// What.
        #[serde(flatten)]
        said: Said,
    },
    /// The connection is in a room now.
    Joined {
        /// The room's code as people read it, or `lobby`.
        room: String,
        /// The name held there.
        name: String,
        /// The secret that makes the next connection the same member.
        resume: String,
        /// Names in the room, sorted, the own one among them, at most [`MEMBERS_LISTED_MAX`].
        members: Vec<String>,
        /// How many are in the room by name.
        count: usize,
        /// Which state of the list this is.
        rev: u64,
        /// The newest message's, 0 before the first one.
        seq: u64,
        /// The first message's that can still be had, or the next one's when there is none.
        oldest: u64,
        /// What was missed or, for one who is new, what was said last.
        messages: Vec<Said>,
        /// Whether there is more: newer ones of what was missed, else older ones.
        more: bool,
        /// Whether it made the room, and so can remove others.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        creator: bool,
    },
    /// The connection is back in the lobby.
    Left {
        /// The room it left.
        room: String,
    },
    /// The room's creator has removed the receiver, whose connection is over.
    Removed {
        /// From where.
        room: String,
    },
    /// The list of members has changed.
    Presence {
        /// Where.
        room: String,
        /// By what.
        event: PresenceEvent,
        /// Of whom; not there when that is not known.
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        /// The former name.
        #[serde(skip_serializing_if = "Option::is_none")]
        was: Option<String>,
        /// As in `joined`.
        members: Vec<String>,
        /// As in `joined`.
        count: usize,
        /// As in `joined`.
        rev: u64,
    },
    /// What was said before.
    History {
        /// Where.
        room: String,
        /// In order.
        messages: Vec<Said>,
        /// As in `joined`.
        oldest: u64,
        /// Whether there is more on that side.
        more: bool,
    },
    /// Somebody is writing.
    Typing {
        /// Where.
        room: String,
        /// Who.
        from: String,
    },
    /// The connection lives.
    Pong {
        /// The room it is in.
        room: String,
        /// The newest message's, 0 before the first one.
        seq: u64,
        /// Which state of the list of members is the newest.
        rev: u64,
    },
    /// The frame was not carried out.
    Error(Refusal),
}

/// A message as everybody sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Said {
    /// Its place in the room's order, from 1.
    pub seq: u64,
    /// What its sender calls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Who, by the server's record.
    pub from: String,
    /// What.
    pub text: String,
    /// When the server took it: milliseconds since 1970-01-01 UTC.
    pub at: u64,
}

/// What changed a list of members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PresenceEvent {
    /// Somebody came.
    Join,
    /// Somebody went, or was found to be gone.
    Leave,
    /// Somebody is called something else.
    Rename,
    /// Something that nobody got to tell of.
    Sync,
}

impl ServerFrame {
    /// Which room it is about, if any.
    #[must_use]
    pub fn room(&self) -> Option<&str> {
        match self {
            Self::Message { room, .. }
            | Self::Joined { room, .. }
            | Self::Left { room }
            | Self::Removed { room }
            | Self::Presence { room, .. }
            | Self::History { room, .. }
            | Self::Typing { room, .. }
            | Self::Pong { room, .. } => Some(room),
            Self::Error(_) => None,
        }
    }

    /// The frame as JSON text.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "such structs always serialize")]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("frames are plain structs of strings and numbers")
    }
}

/// Why a frame was not carried out, in words that the client may see.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// For programs.
    pub code: Code,
    /// For people: what to send instead.
    pub message: String,
    /// The `id` of the `message` that was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// After how many milliseconds it can be sent again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wait: Option<u64>,
}

impl Refusal {
    /// A refusal with its sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            id: None,
            wait: None,
        }
    }

    /// A refusal of what was sent too soon.
    pub fn too_fast(message: impl Into<String>, wait: Duration) -> Self {
        Self {
            wait: u64::try_from(wait.as_millis()).ok(),
            ..Self::new(Code::TooFast, message)
        }
    }
}

/// The stable codes of `error` frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// Not a JSON object in UTF-8.
    BadJson,
    /// `type` missing, not a string, or unknown.
    BadType,
    /// A field missing or of the wrong type.
    BadField,
    /// A text empty or too long.
    BadText,
    /// A name empty, too long, or with characters that cannot be seen.
    BadName,
    /// No room has this code.
    NoSuchRoom,
    /// Somebody in the room has this name.
    NameTaken,
    /// Names are those of the accounts that people sign in with.
    NameFixed,
    /// A first message in the lobby says not who speaks.
    NameNeeded,
    /// The connection is not in the room that a message is for.
    NotInRoom,
    /// The server has no record of the connection.
    NotConnected,
    /// Whoever asks may not do that.
    NotAllowed,
    /// Nobody in the room has this name.
    NoSuchMember,
    /// The room's creator has removed this member.
    Removed,
    /// Sooner after the last ones than may be.
    TooFast,
    /// It did not work just now.
    TryAgain,
}

impl Code {
    /// All of them.
    pub const ALL: [Self; 16] = [
        Self::BadJson,
        Self::BadType,
        Self::BadField,
        Self::BadText,
        Self::BadName,
        Self::NoSuchRoom,
        Self::NameTaken,
        Self::NameFixed,
        Self::NameNeeded,
        Self::NotInRoom,
        Self::NotConnected,
        Self::NotAllowed,
        Self::NoSuchMember,
        Self::Removed,
        Self::TooFast,
        Self::TryAgain,
    ];
}

impl std::fmt::Display for Code {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Its name on the wire.
        self.serialize(formatter)
    }
}
