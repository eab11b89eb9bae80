//! Who is there: the list of members, and how everybody comes to have the same one.
//!
//! A change is announced after it was made: the room is read, and its `rev` is made one greater if
//! nobody did so since. Who made the greatest `rev` has read the room after all changes that were
//! announced before, so its list is the right one, and receivers keep that of the greatest `rev`.
//! What the list came to is recorded with it. Where a change was made and not announced, by a crash
//! in between or because a record's time was over, the next one to read the room sees the difference
//! and announces it.
//!
//! # Layout
//!
//! - `presence.rs`: seeing a room, and announcing what has changed there; `typing` and `ping`.
//! - `presence/list.rs`: the list itself, without any effect.
//! - `presence/news.rs`: a change to it, and how that is told.

mod list;
mod news;

use std::collections::VecDeque;
use std::future::ready;
use std::time::Duration;

use futures_util::future::join;
use futures_util::stream;

pub(super) use list::{is_of, listed, with};
pub(super) use news::News;

use super::fan_out::Effort;
use super::{Chat, Failure, GRACE, Room, lost_every_race, name_needed, overtaken};
use crate::log;
use crate::ports::{
    Connection, ConnectionId, Frame, Head, List, Member, MemberId, Outbox, PortError, Store,
    Timestamp, View,
};
use crate::protocol::{PresenceEvent, ServerFrame};
use list::{is_announced, list_of, names, roster};
use news::changed;

/// In rooms with more members changes are announced together, and who is writing is not told.
pub(super) const CROWD: usize = 50;

/// The time between two announcements in such a room, at least, for each [`TOLD_AT_ONCE`] members. A change
/// in between is announced by the next message or `ping` of anybody there.
const ANNOUNCED_EVERY: Duration = Duration::from_secs(1);

/// Members that are told of changes within a second at most, of the 10,000 posts that an account has.
const TOLD_AT_ONCE: usize = 1_000;

/// How long after an announcement its list may still be on its way to the store.
const KEPT_WITHIN: Duration = Duration::from_secs(5);

/// Announcing those who were found gone ends after this, for somebody waits. The next one to read the
/// room goes on.
const AFTERMATH: Duration = Duration::from_secs(2);

/// Tries of an announcement. Each loss means that another one won.
const TRIES: u32 = 60;

/// Lost races after which a change that is in another one's list needs no announcement of its own: of
/// many who come at once, each would else have to wait for all others.
const ALONE: u32 = 2;

/// A room as somebody is told of it.
pub(super) struct Scene {
    pub(super) head: Option<Head>,
    pub(super) list: List,
}

impl Scene {
    fn of(view: View) -> Self {
        Self {
            list: list_of(&view),
            head: view.head,
        }
    }

    /// Whether somebody was removed: as this member, or as the person whose connection it is.
    pub(super) fn keeps_out(&self, member: &MemberId, connection: &Connection) -> bool {
        let head = self.head.as_ref();
        head.is_some_and(|it| it.keeps_out(member, connection))
    }
}

/// A room, as much of it as had to be read.
enum Look {
    /// All of it.
    Whole(View),
    /// The head of a room with too many members to read each time.
    Crowd(Head),
}

impl Look {
    fn head(&self) -> Option<&Head> {
        match self {
            Self::Whole(view) => view.head.as_ref(),
            Self::Crowd(head) => Some(head),
        }
    }

    fn into_head(self) -> Option<Head> {
        match self {
            Self::Whole(view) => view.head,
            Self::Crowd(head) => Some(head),
        }
    }

    /// Whether there may be something to announce that nobody announced.
    fn is_to_be_announced(&self, now: Timestamp) -> bool {
        match self {
            Self::Whole(view) => !is_announced(view),
            Self::Crowd(head) => is_due(head, now),
        }
    }
}

/// Whether a crowd may be announced again, and is to be looked through for that.
fn is_due(head: &Head, now: Timestamp) -> bool {
    let times = head.present.div_ceil(TOLD_AT_ONCE).max(1);
    let times = u32::try_from(times).unwrap_or(u32::MAX);
    head.announced.after(ANNOUNCED_EVERY.saturating_mul(times)) <= now
}

impl<S: Store, O: Outbox> Chat<S, O> {
    /// Announces a change to all that joined the room but `except`, and gives the room as it was
    /// announced; where a crowd is announced later, as it was announced last and with this change.
    pub(super) async fn tell(
        &self,
        room: &Room,
        news: &News,
        except: Option<&ConnectionId>,
    ) -> Result<Scene, PortError> {
        self.tell_from(room, None, news, except).await
    }

    /// As [`Chat::tell`], of a room that may have been looked at already.
    async fn tell_from(
        &self,
        room: &Room,
        look: Option<Look>,
        news: &News,
        except: Option<&ConnectionId>,
    ) -> Result<Scene, PortError> {
        let (mut look, gone) = self.announce(room, look, news, except).await?;
        if !gone.is_empty() {
            self.mourn(gone).await;
            look = self.look_at(room).await?;
        }
        self.scene(room, look, news).await
    }

    /// A room as somebody is told of it who was there before, and what nobody announced is announced; in a
    /// crowd once it may be again, for in the lobby no `ping` sees to that.
    pub(super) async fn see(
        &self,
        room: &Room,
        except: Option<&ConnectionId>,
    ) -> Result<Scene, PortError> {
        let news = News::unknown();
        let look = self.look_at(room).await?;
        if look.is_to_be_announced(self.clock.now()) {
            return self.tell_from(room, Some(look), &news, except).await;
        }
        self.scene(room, look, &news).await
    }

    /// The beginning of a room, which is all of it but in a crowd.
    async fn look_at(&self, room: &Room) -> Result<Look, PortError> {
        let roll = self.store.glance(room, CROWD, self.clock.now()).await?;
        let (head, members) = (roll.head, roll.members);
        match head {
            Some(head) if roll.next.is_some() && head.present > CROWD => Ok(Look::Crowd(head)),
            _ if roll.next.is_some() => Ok(Look::Whole(self.view(room).await?)),
            head => Ok(Look::Whole(View { head, members }.without_barred())),
        }
    }

    async fn scene(&self, room: &Room, look: Look, news: &News) -> Result<Scene, PortError> {
        let head = match look {
            Look::Whole(view) => return Ok(Scene::of(view)),
            Look::Crowd(head) => head,
        };
        let now = self.clock.now();
        let kept = self.store.list(room, now).await?;
        let is_right = |list: &List| {
            let is_on_its_way = head.announced.after(KEPT_WITHIN) > now;
            list.rev == head.rev || (list.rev + 1 == head.rev && is_on_its_way)
        };
        if let Some(list) = kept.filter(is_right) {
            return Ok(Scene {
                head: Some(head),
                list: changed(list, news),
            });
        }
        // Whoever announced it last did not come to keep it.
        let scene = Scene::of(self.view(room).await?);
        self.keep_list(room, &scene.list).await;
        Ok(scene)
    }

    /// Keeps the list of a crowd. Where that fails, the next one to read all of the room does it.
    async fn keep_list(&self, room: &Room, list: &List) {
        if list.count <= CROWD {
            return;
        }
        let now = self.clock.now();
        // Each who is on it has kept the head for at least so long, so no list outlives its head, and none
        // is in the way of a head that begins anew.
        let expires = now.after(self.history + GRACE);
        if let Err(error) = self.store.keep_list(room, list, expires, now).await {
            log::error("the list of a crowd was not kept", &error);
        }
    }

    /// Keeps the list that was announced last, should whoever announced it not have come to that.
    async fn keep_list_again(&self, room: &Room, view: &View) {
        let list = list_of(view);
        let kept = self.store.list(room, self.clock.now()).await;
        // Even one that is refused would cost as much as a write.
        if !matches!(kept, Ok(Some(kept)) if kept.rev >= list.rev) {
            self.keep_list(room, &list).await;
        }
    }

    /// As [`Chat::tell`], where nobody asked: what fails is healed by the next one to read the room.
    pub(super) async fn mention(&self, room: &Room, news: &News) {
        self.mention_from(room, None, news).await;
    }

    /// As [`Chat::mention`], of a room that may have been looked at already. Gives what it came to, unless
    /// it failed or more has changed since.
    async fn mention_from(&self, room: &Room, look: Option<Look>, news: &News) -> Option<Look> {
        match self.announce(room, look, news, None).await {
            Ok((look, gone)) if gone.is_empty() => return Some(look),
            Ok((_, gone)) => self.mourn(gone).await,
            Err(error) => log::error("a change of members was not announced", &error),
        }
        None
    }

    /// Announces those who were found gone, and whom that finds gone, and so on: all of a room at once,
    /// for they are out of its list already.
    pub(super) async fn mourn(&self, gone: Vec<(Room, News)>) {
        let mut queue = VecDeque::from(gone);
        let all = async {
            while let Some((room, news)) = queue.pop_front() {
                queue.retain(|(other, _)| *other != room);
                match self.announce(&room, None, &news, None).await {
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
        self.heal_from(room, None).await;
    }

    /// As [`Chat::heal`], and as [`Chat::mention_from`].
    async fn heal_from(&self, room: &Room, look: Option<Look>) -> Option<Look> {
        let news = News::unknown();
        let healing = self.mention_from(room, look, &news);
        let healed = tokio::time::timeout(AFTERMATH, healing).await;
        healed.unwrap_or_else(|_| {
            let error = PortError::new("announce a change in time", "it took too long");
            log::error("a change of members was not announced to all", &error);
            None
        })
    }

    /// The whole room where it may be announced now, and whether that may be done however many there are.
    async fn take_turn(
        &self,
        room: &Room,
        look: Look,
        news: &News,
        now: Timestamp,
    ) -> Result<(Look, bool), PortError> {
        let Look::Crowd(head) = look else {
            return Ok((look, news.is_urgent));
        };
        // The others need not read all of it at the same time.
        let is_turn = news.is_urgent
            || (is_due(&head, now) && self.store.take_turn(room, &head, now).await?);
        if is_turn {
            Ok((Look::Whole(self.view(room).await?), true))
        } else {
            Ok((Look::Crowd(head), false))
        }
    }

    /// Gives the room as it was announced, or as it was looked at where there was nothing to announce now;
    /// and those who were found gone.
    async fn announce(
        &self,
        room: &Room,
        mut seen: Option<Look>,
        news: &News,
        except: Option<&ConnectionId>,
    ) -> Result<(Look, Vec<(Room, News)>), PortError> {
        for lost in 0..TRIES {
            let now = self.clock.now();
            let look = match seen.take() {
                Some(look) => look,
                None => self.look_at(room).await?,
            };
            let (look, is_turn) = self.take_turn(room, look, news, now).await?;
            let Look::Whole(mut view) = look else {
                return Ok((look, Vec::new()));
            };
            let names = names(&view);
            let (count, roster) = (names.len(), roster(&names));
            let Some(head) = &mut view.head else {
                return Ok((Look::Whole(view), Vec::new()));
            };
            let known = head.roster == roster;
            let soon = !is_turn && !is_due(head, now);
            let enough = news.event == PresenceEvent::Sync || lost >= ALONE;
            if (known && enough) || (count > CROWD && (known || soon)) {
                if known && is_turn {
                    self.keep_list_again(room, &view).await;
                }
                return Ok((Look::Whole(view), Vec::new()));
            }
            let announcing = self.store.announce(room, head.rev, &roster, count, now);
            if announcing.await? {
                head.rev += 1;
                (head.roster, head.present) = (roster, count);
                let gone = self.hand_out(room, news, &view, except).await;
                return Ok((Look::Whole(view), gone));
            }
            self.backoff(lost).await?;
        }
        Err(lost_every_race("announce a change of members", TRIES))
    }

    /// Sends the list that was announced, and keeps that of a crowd.
    async fn hand_out(
        &self,
        room: &Room,
        news: &News,
        view: &View,
        except: Option<&ConnectionId>,
    ) -> Vec<(Room, News)> {
        let list = list_of(view);
        let frame = Frame::new(news.frame(room, &list).to_json());
        let others = view.members.iter();
        let others = others.filter(|it| it.has_joined() && Some(&it.connection) != except);
        let page = stream::once(ready(others.collect()));
        let posting = self.fan_out(room, page, &frame, Effort::Stubborn);
        // Neither waits for the other, for both may be cut off.
        join(self.keep_list(room, &list), posting).await.1
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
        let look = self.look_at(&room).await?;
        let head = look.head();
        if head.is_some_and(|it| it.keeps_out(&connection.member, &connection)) {
            return Err(self.turn_away(sender, &room, connection.member, name).await);
        }
        let view = match look {
            Look::Whole(view) => view,
            Look::Crowd(_) => return Ok(frame),
        };
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
            let look = self.look_at(&room);
            let (look, newest) = futures_util::future::try_join(look, newest).await?;
            let head = look.head();
            if head.is_some_and(|it| it.keeps_out(&connection.member, &connection))
                && let Some(name) = connection.name
            {
                let member = connection.member;
                return Err(self.turn_away(sender, &room, member, name).await);
            }
            let look = if look.is_to_be_announced(now) {
                self.heal_from(&room, Some(look)).await
            } else {
                Some(look)
            };
            match look {
                Some(look) => (look.into_head(), newest),
                None => (self.store.head(&room, now).await?, newest),
            }
        };
        let head = head.unwrap_or_default();
        Ok(ServerFrame::Pong {
            room: room.to_string(),
            seq: newest.max(head.tail),
            rev: head.rev,
        })
    }
}
