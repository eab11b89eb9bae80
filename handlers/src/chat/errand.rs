//! A part of a fan-out that another invocation is to carry out: a frame, and to whom it goes.
//!
//! It travels as the event of an asynchronous invocation, within the account. Each receiver is a short
//! list, for there are many of them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Name, Room};
use crate::ports::{ConnectionId, Member, MemberId, Timestamp};

/// After this nobody waits for the frame any more: whoever missed it sees the gap, and asks.
const WORTH: Duration = Duration::from_secs(10);

/// A frame for some members of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Errand {
    room: String,
    frame: String,
    receivers: Vec<Receiver>,
    /// When it stops being worth anything, in ms since 1970-01-01 UTC. Functions of before there was one
    /// set none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<u64>,
    /// The time of the message in the frame, if it is one, in ms since 1970-01-01 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    said: Option<u64>,
}

/// Connection, member, name, and when its record stops counting, in seconds since 1970-01-01 UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Receiver(String, String, Option<String>, u64);

impl Errand {
    /// A frame for `members` of a room.
    pub(crate) fn new<'a>(
        room: &Room,
        frame: String,
        members: impl IntoIterator<Item = &'a Member>,
    ) -> Self {
        let receivers = members.into_iter().map(|member| {
            Receiver(
                member.connection.as_str().to_owned(),
                member.id.as_str().to_owned(),
                member.name.as_ref().map(|name| name.shown().to_owned()),
                member.expires.seconds(),
            )
        });
        Self {
            room: room.to_string(),
            frame,
            receivers: receivers.collect(),
            until: None,
            said: None,
        }
    }

    /// The same, handed over now, with the time of the message that it is about, if it is about one.
    pub(super) fn handed_over(self, now: Timestamp, said: Option<Timestamp>) -> Self {
        Self {
            until: Some(now.after(WORTH).millis()),
            said: said.map(Timestamp::millis),
            ..self
        }
    }

    /// Whether it comes too late.
    pub(super) fn is_late(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| now.millis() > until)
    }

    /// The time of the message that it is about.
    pub(super) fn said(&self) -> Option<Timestamp> {
        self.said.map(Timestamp::from_millis)
    }

    /// The room, the frame and the members; `None` where the room cannot be one.
    pub(super) fn unpack(self) -> Option<(Room, String, Vec<Member>)> {
        let room = Room::parse(&self.room)?;
        let members = self.receivers.into_iter();
        let members = members.map(|Receiver(connection, id, name, expires)| Member {
            id: MemberId::new(id),
            connection: ConnectionId::new(connection),
            name: name.map(Name::recorded),
            subject: None,
            expires: Timestamp::from_seconds(expires),
        });
        Some((room, self.frame, members.collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::{NAME_CHARS_MAX, RoomCode, SHARE_MAX, TEXT_CHARS_MAX};

    /// Bytes of an asynchronous invocation's event for which AWS charges one request.
    const EVENT_BYTES_MAX: usize = 256 * 1024;

    fn member(number: u32, name: Option<Name>) -> Member {
        let connection = ConnectionId::new(format!("L0SM9c{number:08}hw="));
        let id = match &name {
            Some(_) => MemberId::new(format!("{number:032x}")),
            None => MemberId::of_connection(&connection),
        };
        Member {
            id,
            connection,
            name,
            subject: None,
            expires: Timestamp::from_seconds(1_800_000_000 + u64::from(number)),
        }
    }

    #[test]
    fn an_errand_arrives_as_it_was_sent() {
        let coded = Room::Coded(RoomCode::from_random([7; RoomCode::RANDOM_BYTES]));
        for room in [Room::Lobby, coded] {
            let name = Name::parse("Änn \"q\"").expect("a name");
            let members = vec![member(1, Some(name)), member(2, None)];
            let errand = Errand::new(&room, "{\"a\":\"b\"}".to_owned(), &members);
            let json = serde_json::to_string(&errand).expect("JSON");
            let read: Errand = serde_json::from_str(&json).expect("an errand");
            assert_eq!(
                read.unpack(),
                Some((room, "{\"a\":\"b\"}".to_owned(), members))
            );
        }
    }

    #[test]
    fn an_errand_of_before_there_were_times_is_never_late() {
        let json = r#"{"room":"lobby","frame":"{}","receivers":[["b=","b=",null,1]]}"#;
        let errand: Errand = serde_json::from_str(json).expect("an errand");
        assert!(!errand.is_late(Timestamp::from_seconds(1_900_000_000)));
        assert_eq!(errand.said(), None);
    }

    #[test]
    fn the_longest_names_and_the_longest_frame_are_one_request() {
        let name = Name::parse(&"🦀".repeat(NAME_CHARS_MAX)).expect("a name");
        let members: Vec<Member> = (0..)
            .take(SHARE_MAX)
            .map(|number| member(number, Some(name.clone())))
            .collect();
        // What takes the most bytes once it is a text within a text.
        let frame = serde_json::json!({ "text": "\u{1}".repeat(TEXT_CHARS_MAX) }).to_string();
        let now = Timestamp::from_seconds(1_800_000_000);
        let errand = Errand::new(&Room::Lobby, frame, &members).handed_over(now, Some(now));
        let bytes = serde_json::to_string(&errand).expect("JSON").len();
        assert!(bytes + 1024 < EVENT_BYTES_MAX, "{bytes}");
    }
}
