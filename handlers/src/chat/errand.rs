//! A part of a fan-out that another invocation is to carry out: a frame, and to whom it goes.
//!
//! It travels as the event of an asynchronous invocation, within the account. Each receiver is a short
//! list, for there are many of them.

use serde::{Deserialize, Serialize};

use super::{Name, Room};
use crate::ports::{ConnectionId, Member, MemberId, Timestamp};

/// A frame for some members of a room.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Errand {
    room: String,
    frame: String,
    receivers: Vec<Receiver>,
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
        }
    }

    /// The room, the frame and the members; `None` where the room cannot be one.
    pub(super) fn unpack(self) -> Option<(Room, String, Vec<Member>)> {
        let room = Room::parse(&self.room)?;
        let members = self.receivers.into_iter();
        let members = members.map(|Receiver(connection, id, name, expires)| Member {
            id: MemberId::new(id),
            connection: ConnectionId::new(connection),
            name: name.map(Name::recorded),
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
    fn the_longest_names_and_the_longest_frame_are_one_request() {
        let name = Name::parse(&"🦀".repeat(NAME_CHARS_MAX)).expect("a name");
        let members: Vec<Member> = (0..)
            .take(SHARE_MAX)
            .map(|number| member(number, Some(name.clone())))
            .collect();
        // What takes the most bytes once it is a text within a text.
        let frame = serde_json::json!({ "text": "\u{1}".repeat(TEXT_CHARS_MAX) }).to_string();
        let errand = Errand::new(&Room::Lobby, frame, &members);
        let bytes = serde_json::to_string(&errand).expect("JSON").len();
        assert!(bytes + 1024 < EVENT_BYTES_MAX, "{bytes}");
    }
}
