//! Items: their keys, their attributes, and what they say in the rules' words. What cannot be read
//! counts as not there.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

use crate::chat::{Barred, Name, Pace, Room, RoomCode};
use crate::ports::{
    Bookmark, Connection, ConnectionId, Head, Identity, List, Member, MemberId, Message, Timestamp,
};

const CONNECTION: &str = "CONNECTION";
const COUNT: &str = "COUNT";
const NAME_PREFIX: &str = "NAME#";
const MESSAGE_PREFIX: &str = "MSG#";
const LIST: &str = "LIST";

/// Sort key of a room's head, and the beginning of those of its members: one query reads them all,
/// the head first.
pub(super) const ROOM: &str = "ROOM";
const MEMBER_PREFIX: &str = "ROOM#MEMBER#";

pub(super) const ROOM_ATTRIBUTE: &str = "room";
pub(super) const MEMBER_ATTRIBUTE: &str = "member";
pub(super) const CONNECTION_ATTRIBUTE: &str = "connection";
pub(super) const NAME_ATTRIBUTE: &str = "name";
/// Whose connection it is, and what that account is called: never written again.
pub(super) const SUBJECT_ATTRIBUTE: &str = "subject";
const CALLED_ATTRIBUTE: &str = "called";
pub(super) const HOLDER_ATTRIBUTE: &str = "holder";
pub(super) const FLOOR_ATTRIBUTE: &str = "floor";
pub(super) const CREATOR_ATTRIBUTE: &str = "creator";
pub(super) const BARRED_ATTRIBUTE: &str = "barred";
pub(super) const PRESENT_ATTRIBUTE: &str = "present";
pub(super) const LISTED_ATTRIBUTE: &str = "listed";
const PACE_ATTRIBUTE: &str = "pace";
pub(super) const EXPIRES_ATTRIBUTE: &str = "expires";

/// An item's primary key.
pub(super) struct Key {
    pub(super) pk: String,
    pub(super) sk: String,
}

impl Key {
    pub(super) fn connection(id: &ConnectionId) -> Self {
        Self {
            pk: format!("{CONNECTION}#{id}"),
            sk: CONNECTION.to_owned(),
        }
    }

    pub(super) fn room(room: &Room) -> Self {
        Self {
            pk: room_pk(room),
            sk: ROOM.to_owned(),
        }
    }

    pub(super) fn code(code: &RoomCode) -> Self {
        Self::room(&Room::Coded(code.clone()))
    }

    pub(super) fn member(room: &Room, id: &MemberId) -> Self {
        Self {
            pk: room_pk(room),
            sk: format!("{MEMBER_PREFIX}{}", id.as_str()),
        }
    }

    /// Where reading a room's head and members has ended.
    pub(super) fn bookmarked(room: &Room, bookmark: &Bookmark) -> Self {
        Self {
            pk: room_pk(room),
            sk: bookmark.0.clone(),
        }
    }

    pub(super) fn name(room: &Room, key: &str) -> Self {
        Self {
            pk: room_pk(room),
            sk: format!("{NAME_PREFIX}{key}"),
        }
    }

    pub(super) fn list(room: &Room) -> Self {
        Self {
            pk: room_pk(room),
            sk: LIST.to_owned(),
        }
    }

    pub(super) fn message(room: &Room, seq: u64) -> Self {
        Self {
            pk: room_pk(room),
            sk: message_sk(seq),
        }
    }

    /// A member's id for a message. Neither connection ids nor digests have a `#`.
    pub(super) fn claim(room: &Room, member: &MemberId, id: &str) -> Self {
        Self {
            pk: room_pk(room),
            sk: format!("SENT#{}#{id}", member.as_str()),
        }
    }

    /// How often something was done.
    pub(super) fn count(what: &str) -> Self {
        Self {
            pk: format!("{COUNT}#{what}"),
            sk: COUNT.to_owned(),
        }
    }

    pub(super) fn into_map(self) -> HashMap<String, AttributeValue> {
        HashMap::from([
            ("pk".to_owned(), text(self.pk)),
            ("sk".to_owned(), text(self.sk)),
        ])
    }
}

pub(super) fn room_pk(room: &Room) -> String {
    match room {
        Room::Lobby => format!("{ROOM}#{room}"),
        Room::Coded(code) => format!("{ROOM}#{}", code.symbols()),
    }
}

/// As many digits as the greatest number has, so that keys are in the numbers' order.
pub(super) fn message_sk(seq: u64) -> String {
    format!("{MESSAGE_PREFIX}{seq:020}")
}

pub(super) fn name_sk(prefix: &str) -> String {
    format!("{NAME_PREFIX}{prefix}")
}

/// An item with its attributes.
pub(super) struct Item(pub(super) HashMap<String, AttributeValue>);

impl Item {
    pub(super) fn new(key: Key, expires: Timestamp) -> Self {
        let mut attributes = key.into_map();
        attributes.insert(EXPIRES_ATTRIBUTE.to_owned(), seconds(expires));
        Self(attributes)
    }

    pub(super) fn with(mut self, attribute: &str, value: &str) -> Self {
        self.0.insert(attribute.to_owned(), text(value));
        self
    }

    pub(super) fn with_number(mut self, attribute: &str, value: u64) -> Self {
        self.0.insert(attribute.to_owned(), number(value));
        self
    }

    pub(super) fn with_identity(self, identity: Option<&Identity>) -> Self {
        match identity {
            Some(Identity { subject, name }) => self
                .with(SUBJECT_ATTRIBUTE, subject)
                .with(CALLED_ATTRIBUTE, name.shown()),
            None => self,
        }
    }

    fn identity(&self) -> Option<Identity> {
        Some(Identity {
            subject: self.text(SUBJECT_ATTRIBUTE)?,
            name: Name::recorded(self.text(CALLED_ATTRIBUTE)?),
        })
    }

    pub(super) fn of_message(room: &Room, message: &Message) -> Self {
        let item = Self::new(Key::message(room, message.seq), message.expires)
            .with(MEMBER_ATTRIBUTE, message.member.as_str())
            .with("nonce", &message.nonce)
            .with("from", &message.from)
            .with("text", &message.text)
            .with_number("at", message.at.millis());
        let item = match message.pace.to_string() {
            pace if pace.is_empty() => item,
            pace => item.with(PACE_ATTRIBUTE, &pace),
        };
        match &message.id {
            Some(id) => item.with("id", id),
            None => item,
        }
    }

    pub(super) fn text(&self, attribute: &str) -> Option<String> {
        self.0.get(attribute)?.as_s().ok().cloned()
    }

    pub(super) fn number(&self, attribute: &str) -> Option<u64> {
        self.0.get(attribute)?.as_n().ok()?.parse().ok()
    }

    pub(super) fn expires(&self) -> Timestamp {
        Timestamp::from_seconds(self.number(EXPIRES_ATTRIBUTE).unwrap_or(0))
    }

    fn name(&self) -> Option<Name> {
        self.text(NAME_ATTRIBUTE).map(Name::recorded)
    }

    /// The key of the name that the item is.
    pub(super) fn name_key(&self) -> Option<String> {
        Some(self.text("sk")?.strip_prefix(NAME_PREFIX)?.to_owned())
    }

    pub(super) fn connection(&self, id: &ConnectionId) -> Option<Connection> {
        Some(Connection {
            id: id.clone(),
            room: Room::parse(&self.text(ROOM_ATTRIBUTE)?)?,
            member: MemberId::new(self.text(MEMBER_ATTRIBUTE)?),
            name: self.name(),
            identity: self.identity(),
            expires: self.expires(),
        })
    }

    pub(super) fn member(&self) -> Option<Member> {
        let id = self.text("sk")?.strip_prefix(MEMBER_PREFIX)?.to_owned();
        Some(Member {
            id: MemberId::new(id),
            connection: ConnectionId::new(self.text(CONNECTION_ATTRIBUTE)?),
            name: self.name(),
            subject: self.text(SUBJECT_ATTRIBUTE),
            expires: self.expires(),
        })
    }

    pub(super) fn is_head(&self) -> bool {
        self.text("sk").as_deref() == Some(ROOM)
    }

    pub(super) fn head(&self) -> Head {
        Head {
            rev: self.number("rev").unwrap_or(0),
            tail: self.number("tail").unwrap_or(0),
            roster: self.text("roster").unwrap_or_default(),
            present: self.present(),
            announced: Timestamp::from_millis(self.number("announced").unwrap_or(0)),
            creator: self.text(CREATOR_ATTRIBUTE).map(MemberId::new),
            barred: Barred::recorded(&self.text(BARRED_ATTRIBUTE).unwrap_or_default()),
        }
    }

    fn present(&self) -> usize {
        let present = self.number(PRESENT_ATTRIBUTE).unwrap_or(0);
        usize::try_from(present).unwrap_or(usize::MAX)
    }

    pub(super) fn list(&self) -> Option<List> {
        let names = self.text(LISTED_ATTRIBUTE)?;
        Some(List {
            rev: self.number("rev")?,
            count: self.present(),
            names: names
                .lines()
                .map(|it| Name::recorded(it.to_owned()))
                .collect(),
        })
    }

    /// The `seq` of the message that the item is.
    pub(super) fn seq(&self) -> Option<u64> {
        self.text("sk")?.strip_prefix(MESSAGE_PREFIX)?.parse().ok()
    }

    pub(super) fn message(&self) -> Option<Message> {
        Some(Message {
            seq: self.seq()?,
            member: MemberId::new(self.text(MEMBER_ATTRIBUTE)?),
            id: self.text("id"),
            nonce: self.text("nonce")?,
            from: self.text("from")?,
            text: self.text("text")?,
            at: Timestamp::from_millis(self.number("at")?),
            pace: Pace::recorded(&self.text(PACE_ATTRIBUTE).unwrap_or_default()),
            expires: self.expires(),
        })
    }
}

/// The names of a list, as they are kept: no name has a line's end.
pub(super) fn listed(list: &List) -> String {
    let names: Vec<&str> = list.names.iter().map(Name::shown).collect();
    names.join("\n")
}

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub(super) fn number(value: u64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

pub(super) fn seconds(time: Timestamp) -> AttributeValue {
    number(time.seconds())
}
