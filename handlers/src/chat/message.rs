//! A message: its place in the order, once, and then to everybody.
//!
//! The conditional write of a message at the next place *is* the commit: a place is taken by a message
//! that is there, and by nothing else. So a crash leaves no hole and blocks nobody. Who loses the race
//! for a place reads on from there and takes the next one.
//!
//! A message with an `id` is claimed before: the claim tells how far the room was when it was first
//! sent. Sent again, it is looked for from there on. Both of two attempts at once look at all places
//! from the claim up to the one that they then take, so one of them finds the other's.

use std::rc::Rc;

use futures_util::future::{join, try_join};
use futures_util::stream;
use tokio::sync::mpsc::{Sender, channel};

use super::identity::hex;
use super::presence::is_of;
use super::{
    CONNECTION_TTL, Chat, Failure, MARGIN, Name, Pace, Room, lost_every_race, not_in_room,
    overtaken,
};
use crate::log;
use crate::ports::{
    Connection, ConnectionId, Frame, Member, MemberId, Message, Outbox, Part, PortError, Roll,
    Store, Timestamp,
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

/// Where a message is said, and by whom.
struct Place {
    room: Room,
    /// The room's beginning.
    roll: Roll,
    /// The newest message's place, and who spoke how fast up to it.
    newest: Newest,
    member: MemberId,
    name: Name,
    subject: Option<String>,
}

/// Where a room's messages end.
#[derive(Clone, Default)]
struct Newest {
    seq: u64,
    pace: Pace,
}

impl Newest {
    fn of(message: Message) -> Self {
        Self {
            seq: message.seq,
            pace: message.pace,
        }
    }
}

/// Where a search for a message ended.
enum Search {
    Found(Message),
    /// It is not among those up to this one, which is the newest; `None` where there are none.
    Absent(Option<Newest>),
}

impl<S: Store, O: Outbox> Chat<S, O> {
    pub(super) async fn message(
        &self,
        sender: &ConnectionId,
        spoken: Spoken,
    ) -> Result<ServerFrame, Failure> {
        check_text(&spoken.text)?;
        check_id(spoken.id.as_deref())?;
        let mut place = self.place_of(sender, &spoken).await?;
        let head = place.roll.head.as_ref();
        if head.is_some_and(|head| head.barred.has(&place.member, place.subject.as_deref())) {
            let Place {
                room, member, name, ..
            } = place;
            return Err(self.turn_away(sender, &room, member, name).await);
        }
        let tail = head.map_or(0, |head| head.tail);
        let newest = std::mem::take(&mut place.newest);
        let newest = Newest {
            seq: newest.seq.max(tail),
            ..newest
        };
        let draft = self.draft(&place, spoken)?;
        let (message, fresh) = self.commit(&place.room, sender, draft, newest).await?;
        let frame = ServerFrame::Message {
            room: place.room.to_string(),
            said: said(&message),
        };
        // One that was sent before was handed out then; who missed it asks for it.
        if fresh {
            log::said();
            let text = Frame::new(frame.to_json());
            self.broadcast(sender, &place.room, place.roll, &text, message.at)
                .await;
        }
        Ok(frame)
    }

    /// Hands a message to everybody in the room but its sender, whose copy is the reply.
    async fn broadcast(
        &self,
        sender: &ConnectionId,
        room: &Room,
        roll: Roll,
        frame: &Frame,
        said: Timestamp,
    ) {
        let (pages, mut read) = channel(1);
        let read = stream::poll_fn(|context| read.poll_recv(context));
        let reading = self.read_on(sender, room, roll, pages);
        let posting = self.fan_out_message(room, read, frame, said);
        let (announced, gone) = join(reading, posting).await;
        if let Err(error) = &announced {
            log::error("a message missed a part of its room", error);
        }
        if !gone.is_empty() {
            self.mourn(gone).await;
        } else if matches!(announced, Ok(false)) {
            self.heal(room).await;
        }
    }

    /// Reads a room to its end while what was read is posted to, two pages ahead at most. Gives whether
    /// its list of members is the one that was announced.
    async fn read_on(
        &self,
        sender: &ConnectionId,
        room: &Room,
        mut roll: Roll,
        pages: Sender<Vec<Rc<Member>>>,
    ) -> Result<bool, PortError> {
        let head = roll.head.take();
        let mut all: Vec<Rc<Member>> = Vec::new();
        loop {
            let page: Vec<_> = roll.members.into_iter().map(Rc::new).collect();
            let is_there = |it: &Rc<Member>| head.as_ref().is_none_or(|head| !head.bars(it));
            let page: Vec<_> = page.into_iter().filter(is_there).collect();
            all.extend_from_slice(&page);
            let others = page.into_iter().filter(|it| it.connection != *sender);
            // It fails only when nobody posts any more.
            drop(pages.send(others.collect()).await);
            let Some(next) = roll.next else {
                return Ok(is_of(head.as_ref(), &all));
            };
            roll = self.store.roll(room, Some(&next), self.clock.now()).await?;
        }
    }

    /// The room that a message is for, and who its sender is there.
    async fn place_of(&self, sender: &ConnectionId, spoken: &Spoken) -> Result<Place, Failure> {
        let said = spoken.room.as_deref().map(Room::parse);
        let mut looked = None;
        if let Some(Some(room)) = &said {
            let (roll, newest) = self.look(room).await?;
            if let Some((member, name, subject)) = speaker(&roll, sender) {
                return Ok(Place {
                    room: room.clone(),
                    roll,
                    newest,
                    member,
                    name,
                    subject,
                });
            }
            looked = Some((room, roll, newest));
        }
        let mut connection = self.connection(sender).await?;
        check_place(&connection, said.as_ref())?;
        // In a room of many pages the sender's own record tells what the first page does not.
        if let (Some((room, roll, newest)), Some(name)) = (looked, &connection.name)
            && roll.next.is_some()
        {
            return Ok(Place {
                room: room.clone(),
                roll,
                newest,
                subject: connection.subject().map(str::to_owned),
                name: name.clone(),
                member: connection.member,
            });
        }
        if connection.name.is_none() {
            connection = self.introduce(connection, spoken.from.as_deref()).await?;
            check_place(&connection, said.as_ref())?;
        }
        let (roll, newest) = self.look(&connection.room).await?;
        let subject = connection.subject().map(str::to_owned);
        let own = connection
            .name
            .filter(|_| roll.next.is_some())
            .map(|name| (connection.member, name, subject));
        let (member, name, subject) = speaker(&roll, sender).or(own).ok_or_else(overtaken)?;
        Ok(Place {
            room: connection.room,
            roll,
            newest,
            member,
            name,
            subject,
        })
    }

    /// The beginning of a room, and the place of its newest message.
    async fn look(&self, room: &Room) -> Result<(Roll, Newest), Failure> {
        let roll = self.store.roll(room, None, self.clock.now());
        let newest = self.store.page(room, Part::Before(u64::MAX), 1);
        let (roll, newest) = try_join(roll, newest).await?;
        let newest = newest.into_iter().next().map(Newest::of);
        Ok((roll, newest.unwrap_or_default()))
    }

    fn draft(&self, place: &Place, spoken: Spoken) -> Result<Message, Failure> {
        let mut nonce = [0; 12];
        self.randomness.fill(&mut nonce)?;
        Ok(Message {
            seq: 0,
            member: place.member.clone(),
            id: spoken.id,
            nonce: hex(&nonce),
            from: place.name.shown().to_owned(),
            text: spoken.text,
            at: Timestamp::default(),
            pace: Pace::default(),
            expires: Timestamp::default(),
        })
    }

    /// Gives a message its place, after the newest one, and tells whether it has it only now.
    async fn commit(
        &self,
        room: &Room,
        sender: &ConnectionId,
        mut message: Message,
        mut newest: Newest,
    ) -> Result<(Message, bool), Failure> {
        self.place_after(&newest, &mut message, sender)?;
        if message.id.is_some() {
            let now = self.clock.now();
            let claimed = self.store.claim(room, &message, newest.seq, now).await?;
            if let Some(floor) = claimed {
                match self.search(room, &message, floor).await? {
                    Search::Found(first) => return Ok((first, false)),
                    Search::Absent(Some(newer)) if newer.seq > newest.seq => {
                        newest = newer;
                        self.place_after(&newest, &mut message, sender)?;
                    }
                    Search::Absent(_) => {}
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
                Search::Absent(Some(newer)) => newest = newer,
                // Whatever had the place has gone.
                Search::Absent(None) => {}
            }
            self.backoff(lost).await?;
            self.place_after(&newest, &mut message, sender)?;
        }
        Err(lost_every_race("find a place for a message", TRIES).into())
    }

    /// A message's record outlives its visible time by more than a connection's lifetime, so that it
    /// is there until everyone who can send has come in after it, and recorded that it was.
    fn place_after(
        &self,
        newest: &Newest,
        message: &mut Message,
        sender: &ConnectionId,
    ) -> Result<(), Refusal> {
        message.seq = newest.seq + 1;
        message.at = self.clock.now();
        if let Some(tempo) = self.tempo {
            let pace = newest.pace.after(sender, message.at, tempo);
            message.pace = pace.map_err(|wait| {
                Refusal::too_fast(
                    "you speak faster than anybody can read; wait a little",
                    wait,
                )
            })?;
        }
        message.expires = message.at.after(self.history + CONNECTION_TTL + MARGIN);
        Ok(())
    }

    async fn search(&self, room: &Room, message: &Message, floor: u64) -> Result<Search, Failure> {
        let same = |it: &Message| {
            it.nonce == message.nonce
                || (it.id.is_some() && it.id == message.id && it.member == message.member)
        };
        let mut newest = None;
        loop {
            let after = newest.as_ref().map_or(floor, |it: &Newest| it.seq);
            let page = self
                .store
                .page(room, Part::After(after), SEARCH_PAGE)
                .await?;
            let full = page.len() == SEARCH_PAGE;
            for other in page {
                if same(&other) {
                    return Ok(Search::Found(other));
                }
                newest = Some(Newest::of(other));
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
fn speaker(roll: &Roll, sender: &ConnectionId) -> Option<(MemberId, Name, Option<String>)> {
    let own = roll.members.iter().find(|it| it.connection == *sender)?;
    Some((own.id.clone(), own.name.clone()?, own.subject.clone()))
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
