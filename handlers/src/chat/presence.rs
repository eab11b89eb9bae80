//! Who is there: the list of members, and how everybody comes to have the same one.
//!
//! A change is announced after it was made: the room is read, and its `rev` is made one greater if
//! nobody did so since. Who made the greatest `rev` has read the room after all changes that were
//! announced before, so its list is the right one, and receivers keep that of the greatest `rev`.
//! What the list came to is recorded with it. Where a change was made and not announced, by a crash
//! in between or because a record's time was over, the next one to read the room sees the difference
//! and announces it.

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::future::ready;
use std::time::Duration;

use futures_util::stream;
use sha2::{Digest, Sha256};

use super::fan_out::Effort;
use super::identity::hex;
use super::{Chat, Failure, Name, Room, lost_every_race, name_needed, overtaken};
use crate::log;
use crate::ports::{ConnectionId, Frame, Head, Member, Outbox, PortError, Store, View};
use crate::protocol::{MEMBERS_LISTED_MAX, PresenceEvent, ServerFrame};

/// In rooms with more members changes are announced together, and who is writing is not told.
pub(super) const CROWD: usize = 50;

/// The time between two announcements in such a room, at least. A change in between is announced by
/// the next message or `ping` of anybody there.
const ANNOUNCED_EVERY: Duration = Duration::from_secs(1);

/// Announcing those who were found gone ends after this, for somebody waits. The next one to read the
/// room goes on.
const AFTERMATH: Duration = Duration::from_secs(2);

/// Tries of an announcement. Each loss means that another one won.
const TRIES: u32 = 60;

/// Lost races after which a change that is in another one's list needs no announcement of its own: of
/// many who come at once, each would else have to wait for all others.
const ALONE: u32 = 2;

/// A change to the list of members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct News {
    event: PresenceEvent,
    name: Option<String>,
    was: Option<String>,
}

impl News {
    pub(super) fn joined(name: &Name) -> Self {
        Self::of(PresenceEvent::Join, name)
    }

    pub(super) fn left(name: &Name) -> Self {
        Self::of(PresenceEvent::Leave, name)
    }

    /// Of somebody whom nobody told of.
    pub(super) fn unknown() -> Self {
        Self {
            event: PresenceEvent::Sync,
            name: None,
            was: None,
        }
    }

    pub(super) fn renamed(was: &Name, name: &Name) -> Self {
        Self {
            was: Some(was.shown().to_owned()),
            ..Self::of(PresenceEvent::Rename, name)
        }
    }

    fn of(event: PresenceEvent, name: &Name) -> Self {
        Self {
            event,
            name: Some(name.shown().to_owned()),
            was: None,
        }
    }

    /// The frame that tells of it.
    pub(super) fn frame(&self, room: &Room, view: &View) -> ServerFrame {
        let names = names(view);
        ServerFrame::Presence {
            room: room.to_string(),
            event: self.event,
            name: self.name.clone(),
            was: self.was.clone(),
            count: names.len(),
            members: listed(&names, None),
            rev: rev(view),
        }
    }
}

/// The names in a room, sorted.
pub(super) fn names(view: &View) -> Vec<&Name> {
    names_of(&view.members)
}

/// The names of some members, sorted.
fn names_of<M: Borrow<Member>>(members: &[M]) -> Vec<&Name> {
    let names = members.iter().map(Borrow::borrow);
    let mut names: Vec<&Name> = names.filter_map(|it| it.name.as_ref()).collect();
    names.sort_by_key(|name| name.key());
    names
}

/// The first names, and the own one among them even in a long list.
pub(super) fn listed(sorted: &[&Name], own: Option<&Name>) -> Vec<String> {
    let mut listed: Vec<&Name> = sorted.iter().copied().take(MEMBERS_LISTED_MAX).collect();
    if let Some(own) = own
        && listed.len() == MEMBERS_LISTED_MAX
        && !listed.iter().any(|name| name.key() == own.key())
        && let Some(last) = listed.last_mut()
    {
        *last = own;
    }
    let shown = listed.into_iter().map(|name| name.shown().to_owned());
    shown.collect()
}

/// Which state of the list a view has. A list that was not announced is given out as older than what
/// was: should it be the announced one again before anybody announces it, then nobody will, and only
/// the `rev` of a `pong` tells who has it that it is not right.
pub(super) fn rev(view: &View) -> u64 {
    let rev = view.head.as_ref().map_or(0, |head| head.rev);
    if is_announced(view) {
        rev
    } else {
        rev.saturating_sub(1)
    }
}

/// What a list of members comes to: the same only for the same names.
fn roster(names: &[&Name]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let mut digest = Sha256::new();
    for name in names {
        digest.update(name.shown());
        // In no name.
        digest.update("\n");
    }
    hex(&digest.finalize()[..8])
}

/// Whether the list is the one that was announced last.
pub(super) fn is_announced(view: &View) -> bool {
    is_of(view.head.as_ref(), &view.members)
}

/// Whether these, all members of a room, are the list that was announced last.
pub(super) fn is_of<M: Borrow<Member>>(head: Option<&Head>, members: &[M]) -> bool {
    head.is_none_or(|head| head.roster == roster(&names_of(members)))
}

impl<S: Store, O: Outbox> Chat<S, O> {
    /// Announces a change to all that joined the room but `except`, and gives the room as it was
    /// announced.
    pub(super) async fn tell(
        &self,
        room: &Room,
        news: &News,
        except: Option<&ConnectionId>,
    ) -> Result<View, PortError> {
        let (view, gone) = self.announce(room, news, except).await?;
        if gone.is_empty() {
            return Ok(view);
        }
        self.mourn(gone).await;
        self.view(room).await
    }

    /// As [`Chat::tell`], where nobody asked: what fails is healed by the next one to read the room.
    pub(super) async fn mention(&self, room: &Room, news: &News) {
        if let Err(error) = self.tell(room, news, None).await {
            log::error("a change of members was not announced", &error);
        }
    }

    /// Announces those who were found gone, and whom that finds gone, and so on: all of a room at once,
    /// for they are out of its list already.
    pub(super) async fn mourn(&self, gone: Vec<(Room, News)>) {
        let mut queue = VecDeque::from(gone);
        let all = async {
            while let Some((room, news)) = queue.pop_front() {
                queue.retain(|(other, _)| *other != room);
                match self.announce(&room, &news, None).await {
                    Ok((_, more)) => queue.extend(more),
                    Err(error) => log::error("somebody's end was not announced", &error),
                }
            }
        };
        if tokio::time::timeout(AFTERMATH, all).await.is_err() {
            let left = queue.len();
            let error = PortError::new("announce all in time", format!("{left} are left"));
            log::error("the end of some was not announced", &error);
        }
    }

    /// Announces what nobody announced.
    pub(super) async fn heal(&self, room: &Room) {
        let news = News::unknown();
        let healing = self.mention(room, &news);
        if tokio::time::timeout(AFTERMATH, healing).await.is_err() {
            let error = PortError::new("announce a change in time", "it took too long");
            log::error("a change of members was not announced to all", &error);
        }
    }

    async fn announce(
        &self,
        room: &Room,
        news: &News,
        except: Option<&ConnectionId>,
    ) -> Result<(View, Vec<(Room, News)>), PortError> {
        for lost in 0..TRIES {
            let now = self.clock.now();
            let mut view = self.view(room).await?;
            let names = names(&view);
            let (count, roster) = (names.len(), roster(&names));
            let Some(head) = &mut view.head else {
                return Ok((view, Vec::new()));
            };
            let known = head.roster == roster;
            let soon = head.announced.after(ANNOUNCED_EVERY) > now;
            let enough = news.event == PresenceEvent::Sync || lost >= ALONE;
            if (known && enough) || (count > CROWD && (known || soon)) {
                return Ok((view, Vec::new()));
            }
            if self.store.announce(room, head.rev, &roster, now).await? {
                head.rev += 1;
                head.roster = roster;
                let frame = Frame::new(news.frame(room, &view).to_json());
                let others = view.members.iter();
                let others = others.filter(|it| it.has_joined() && Some(&it.connection) != except);
                let page = stream::once(ready(others.collect()));
                let gone = self.fan_out(room, page, &frame, Effort::Stubborn).await;
                return Ok((view, gone));
            }
            self.backoff(lost).await?;
        }
        Err(lost_every_race("announce a change of members", TRIES))
    }

    /// Tells the others that somebody is writing. Nobody is tried twice: it is worth nothing later.
    pub(super) async fn typing(&self, sender: &ConnectionId) -> Result<ServerFrame, Failure> {
        let connection = self.connection(sender).await?;
        let name = connection.name.clone().ok_or_else(name_needed)?;
        let room = connection.room.clone();
        let frame = ServerFrame::Typing {
            room: room.to_string(),
            from: name.shown().to_owned(),
        };
        let view = self.view(&room).await?;
        if view.bars(&connection.member, &connection) {
            return Err(self.turn_away(sender, &room, connection.member, name).await);
        }
        let speaks = |it: &&Member| it.connection == *sender;
        if !view.members.iter().any(|it| speaks(&it)) {
            return Err(overtaken());
        }
        let others = view.members.iter();
        let others: Vec<_> = others.filter(|it| it.has_joined() && !speaks(it)).collect();
        let worth_telling = !others.is_empty() && names(&view).len() <= CROWD;
        if worth_telling && self.may_tell_typing(&connection).await? {
            let page = stream::once(ready(others));
            let text = Frame::new(frame.to_json());
            let gone = self.fan_out(&room, page, &text, Effort::Once).await;
            self.mourn(gone).await;
        }
        Ok(frame)
    }

    /// Tells the newest message there is, so that one who missed it and hears nothing else learns of
    /// it. In a room, not in the lobby, what was not announced is announced.
    pub(super) async fn ping(&self, sender: &ConnectionId) -> Result<ServerFrame, Failure> {
        let connection = self.connection(sender).await?;
        let room = connection.room.clone();
        let now = self.clock.now();
        let newest = self.store.newest(&room);
        let (head, newest) = if room == Room::Lobby {
            futures_util::future::try_join(self.store.head(&room, now), newest).await?
        } else {
            let view = self.view(&room);
            let (mut view, newest) = futures_util::future::try_join(view, newest).await?;
            if view.bars(&connection.member, &connection)
                && let Some(name) = connection.name
            {
                let member = connection.member;
                return Err(self.turn_away(sender, &room, member, name).await);
            }
            if !is_announced(&view) {
                self.heal(&room).await;
                view.head = self.store.head(&room, now).await?;
            }
            (view.head, newest)
        };
        let head = head.unwrap_or_default();
        Ok(ServerFrame::Pong {
            room: room.to_string(),
            seq: newest.max(head.tail),
            rev: head.rev,
        })
    }
}
