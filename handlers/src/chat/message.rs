//! A message: its place in the order, once, and then to everybody.
//!
//! The conditional write of a message at the next place *is* the commit: a place is taken by a message
//! that is there, and by nothing else. So a crash leaves no hole and blocks nobody. Who loses the race
//! for a place reads on from there and takes the next one.
//!
//! A message with an `id` is claimed before: the claim tells how far the room was when it was first
//! sent. Sent again, it is looked for from there on. Both of two attempts at once look at all places
//! from the claim up to the one that they then take, so one of them finds the other's.

use futures_util::future::try_join;

use super::fan_out::Effort;
use super::identity::hex;
use super::{
    CONNECTION_TTL, Chat, Failure, MARGIN, Room, lost_every_race, name_needed, not_in_room,
    overtaken,
};
use crate::log;
use crate::ports::{
    Connection, ConnectionId, Member, Message, Outbox, Part, Store, Timestamp, View,
};
use crate::protocol::{Code, Refusal, Said, ServerFrame};

/// Characters of a text at most.
pub const TEXT_CHARS_MAX: usize = 4_000;

/// Characters of a message's id at most.
pub const ID_CHARS_MAX: usize = 64;

/// Tries for a place. Each loss means that another message got one.
const TRIES: u32 = 200;

/// Messages read at once in search of one.
const SEARCH_PAGE: usize = 100;

/// A `message` frame.
pub(super) struct Spoken {
    pub(super) from: Option<String>,
    pub(super) room: Option<String>,
    pub(super) id: Option<String>,
    pub(super) text: String,
}

/// Where a search for a message ended.
enum Search {
    Found(Message),
    /// It is not among those up to this one, which is the newest.
    Absent(u64),
}

impl<S: Store, O: Outbox> Chat<S, O> {
    pub(super) async fn message(
        &self,
        sender: &ConnectionId,
        spoken: Spoken,
    ) -> Result<ServerFrame, Failure> {
        check_text(&spoken.text)?;
        check_id(spoken.id.as_deref())?;
        let (room, view, newest) = self.place_of(sender, &spoken).await?;
        let speaker = speaker(&view, sender).ok_or_else(overtaken)?;
        let tail = newest.max(view.head.as_ref().map_or(0, |head| head.tail));
        let draft = self.draft(speaker, spoken)?;
        let (message, fresh) = self.commit(&room, draft, tail).await?;
        let frame = ServerFrame::Message {
            room: room.to_string(),
            said: said(&message),
        };
        // One that was sent before was handed out then; who missed it asks for it.
        if fresh {
            log::said();
            let others = view.members.iter().filter(|it| it.connection != *sender);
            let frame = frame.to_json();
            let gone = self.fan_out(&room, others, &frame, Effort::Stubborn).await;
            if gone.is_empty() {
                self.heal(&room, &view).await;
            } else {
                self.mourn(gone).await;
            }
        }
        Ok(frame)
    }

    /// The room that a message is for, with the sender in it by name.
    async fn place_of(
        &self,
        sender: &ConnectionId,
        spoken: &Spoken,
    ) -> Result<(Room, View, u64), Failure> {
        let said = spoken.room.as_deref().map(Room::parse);
        if let Some(Some(room)) = &said {
            let (view, newest) = self.look(room).await?;
            if speaker(&view, sender).is_some() {
                return Ok((room.clone(), view, newest));
            }
        }
        let mut connection = self.connection(sender).await?;
        check_place(&connection, said.as_ref())?;
        if connection.name.is_none() {
            connection = self.introduce(connection, spoken.from.as_deref()).await?;
            check_place(&connection, said.as_ref())?;
        }
        let (view, newest) = self.look(&connection.room).await?;
        Ok((connection.room, view, newest))
    }

    async fn look(&self, room: &Room) -> Result<(View, u64), Failure> {
        let view = self.store.view(room, self.clock.now());
        Ok(try_join(view, self.store.newest(room)).await?)
    }

    fn draft(&self, speaker: &Member, spoken: Spoken) -> Result<Message, Failure> {
        let mut nonce = [0; 12];
        self.randomness.fill(&mut nonce)?;
        let from = speaker.name.as_ref().ok_or_else(name_needed)?;
        Ok(Message {
            seq: 0,
            member: speaker.id.clone(),
            id: spoken.id,
            nonce: hex(&nonce),
            from: from.shown().to_owned(),
            text: spoken.text,
            at: Timestamp::default(),
            expires: Timestamp::default(),
        })
    }

    /// Gives a message its place, and tells whether it has it only now. `tail` is the newest one's.
    async fn commit(
        &self,
        room: &Room,
        mut message: Message,
        tail: u64,
    ) -> Result<(Message, bool), Failure> {
        message.seq = tail + 1;
        self.stamp(&mut message);
        if message.id.is_some() {
            let now = self.clock.now();
            let claimed = self.store.claim(room, &message, tail, now).await?;
            if let Some(floor) = claimed {
                match self.search(room, &message, floor).await? {
                    Search::Found(first) => return Ok((first, false)),
                    Search::Absent(newest) => message.seq = message.seq.max(newest + 1),
                }
            }
        }
        for lost in 0..TRIES {
            if self.store.append(room, &message).await? {
                return Ok((message, true));
            }
            match self.search(room, &message, message.seq - 1).await? {
                // A write whose answer was lost is done again by itself, and then finds its own.
                Search::Found(first) => {
                    let own = first.nonce == message.nonce;
                    return Ok((first, own));
                }
                Search::Absent(newest) => message.seq = newest + 1,
            }
            self.backoff(lost).await?;
            self.stamp(&mut message);
        }
        Err(lost_every_race("find a place for a message", TRIES).into())
    }

    /// A message's record outlives its visible time by more than a connection's lifetime, so that it
    /// is there until everyone who can send has come in after it, and recorded that it was.
    fn stamp(&self, message: &mut Message) {
        message.at = self.clock.now();
        message.expires = message.at.after(self.history + CONNECTION_TTL + MARGIN);
    }

    async fn search(&self, room: &Room, message: &Message, floor: u64) -> Result<Search, Failure> {
        let same = |it: &Message| {
            it.nonce == message.nonce
                || (it.id.is_some() && it.id == message.id && it.member == message.member)
        };
        let mut newest = floor;
        loop {
            let page = self
                .store
                .page(room, Part::After(newest), SEARCH_PAGE)
                .await?;
            let full = page.len() == SEARCH_PAGE;
            for other in page {
                if same(&other) {
                    return Ok(Search::Found(other));
                }
                newest = other.seq;
            }
            if !full {
                return Ok(Search::Absent(newest));
            }
        }
    }
}

/// A message as everybody sees it.
pub(super) fn said(message: &Message) -> Said {
    Said {
        seq: message.seq,
        id: message.id.clone(),
        from: message.from.clone(),
        text: message.text.clone(),
        at: message.at.millis(),
    }
}

/// The sender among the members, if it has a name there.
fn speaker<'a>(view: &'a View, sender: &ConnectionId) -> Option<&'a Member> {
    let mut members = view.members.iter();
    members.find(|it| it.connection == *sender && it.name.is_some())
}

/// Frames of one connection are carried out at the same time, so a client that does not wait for
/// `joined` can say where it believes to be.
fn check_place(connection: &Connection, said: Option<&Option<Room>>) -> Result<(), Refusal> {
    match said {
        Some(room) if room.as_ref() != Some(&connection.room) => Err(not_in_room(&connection.room)),
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

fn check_id(id: Option<&str>) -> Result<(), Refusal> {
    match id.map(|id| id.chars().count()) {
        None | Some(1..=ID_CHARS_MAX) => Ok(()),
        Some(_) => Err(Refusal::new(
            Code::BadField,
            format!("send `id` as a string of 1 to {ID_CHARS_MAX} characters"),
        )),
    }
}
