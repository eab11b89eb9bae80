//! The ports in memory, for tests of the rules: stateful, and able to fail and to interfere.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::task::Poll;

use super::{Barred, Errand, Name, Room, RoomCode};
use crate::ports::{
    Bookmark, Clock, Connection, ConnectionId, Delivery, Entry, Frame, Head, Identity, List,
    Member, MemberId, Message, Move, Outbox, Part, PortError, Randomness, Roll, Store, Timestamp,
    Touched,
};

/// What a test calls when the rules reach a certain point.
type Interference = Box<dyn FnOnce(&MemoryStore)>;

/// What is kept by room and another key, with its expiry.
type InRooms<Key, Value> = RefCell<BTreeMap<(String, Key), (Value, Timestamp)>>;

/// A store that a test can look into.
#[derive(Clone, Default)]
pub(crate) struct MemoryStore(Rc<State>);

#[derive(Default)]
struct State {
    connections: RefCell<BTreeMap<ConnectionId, Connection>>,
    heads: RefCell<BTreeMap<String, (Head, Timestamp)>>,
    lists: RefCell<BTreeMap<String, (List, Timestamp)>>,
    members_read: Cell<usize>,
    members: InRooms<MemberId, (ConnectionId, Option<Name>, Option<String>)>,
    names: InRooms<String, (ConnectionId, MemberId)>,
    messages: RefCell<BTreeMap<(String, u64), Message>>,
    claims: InRooms<(MemberId, String), u64>,
    counts: RefCell<BTreeMap<String, u64>>,
    failing: Cell<bool>,
    stepping: Cell<bool>,
    takes: Cell<std::time::Duration>,
    works_for: Cell<Option<usize>>,
    calls: Cell<usize>,
    before_enter: RefCell<Option<Interference>>,
    contended: Cell<u32>,
    part: PartSize,
}

/// How many members are read at once.
struct PartSize(Cell<usize>);

impl Default for PartSize {
    fn default() -> Self {
        Self(Cell::new(usize::MAX))
    }
}

impl MemoryStore {
    /// Members are read so many at once.
    pub(crate) fn in_parts_of(&self, members: usize) {
        self.0.part.0.set(members);
    }

    /// Every call fails from now on, or works again.
    pub(crate) fn fail(&self, failing: bool) {
        self.0.failing.set(failing);
    }

    /// From now on every call waits to be polled once more before it does anything, so that a test can
    /// stop between any two of them.
    pub(crate) fn step(&self, stepping: bool) {
        self.0.stepping.set(stepping);
    }

    /// How many calls there were.
    pub(crate) fn calls(&self) -> usize {
        self.0.calls.get()
    }

    /// How many members were read.
    pub(crate) fn members_read(&self) -> usize {
        self.0.members_read.get()
    }

    /// Loses the lists that are kept, as a crash before one is written does.
    pub(crate) fn lose_lists(&self) {
        self.0.lists.borrow_mut().clear();
    }

    /// Makes the lists that are kept those of an announcement before the last one, of nobody.
    pub(crate) fn outdate_lists(&self) {
        for (list, _) in self.0.lists.borrow_mut().values_mut() {
            *list = List {
                rev: list.rev.saturating_sub(1),
                ..List::default()
            };
        }
    }

    /// Runs `interference` once, right before the next `enter`.
    pub(crate) fn before_enter(&self, interference: impl FnOnce(&Self) + 'static) {
        *self.0.before_enter.borrow_mut() = Some(Box::new(interference));
    }

    /// The next so many calls of `enter` meet others that write the same.
    pub(crate) fn contend(&self, times: u32) {
        self.0.contended.set(times);
    }

    /// Loses the connection's own record alone, as a crash in the middle of a removal does.
    pub(crate) fn lose_record(&self, id: &ConnectionId) {
        self.0.connections.borrow_mut().remove(id);
    }

    /// Removes everything that a connection had, as `$disconnect` does in the end.
    pub(crate) fn forget(&self, id: &ConnectionId) {
        self.lose_record(id);
        self.0
            .members
            .borrow_mut()
            .retain(|_, ((it, ..), _)| it != id);
        self.0.names.borrow_mut().retain(|_, ((it, _), _)| it != id);
    }

    /// Puts a connection where it says to be, with its membership.
    pub(crate) fn overwrite(&self, connection: Connection) {
        let id = connection.id.clone();
        let key = (connection.room.to_string(), connection.member.clone());
        let subject = connection.subject().map(str::to_owned);
        let value = (
            (id.clone(), connection.name.clone(), subject),
            connection.expires,
        );
        self.0.members.borrow_mut().insert(key, value);
        self.0.connections.borrow_mut().insert(id, connection);
    }

    /// Removes what is past its time, where `chosen` says so, as `DynamoDB` does some day.
    pub(crate) fn sweep(&self, now: Timestamp, mut chosen: impl FnMut() -> bool) {
        let mut messages = self.0.messages.borrow_mut();
        messages.retain(|_, message| message.expires > now || !chosen());
        let mut heads = self.0.heads.borrow_mut();
        heads.retain(|_, (_, expires)| *expires > now || !chosen());
        let mut claims = self.0.claims.borrow_mut();
        claims.retain(|_, (_, expires)| *expires > now || !chosen());
    }

    /// All messages of a room that are there, in order.
    pub(crate) fn messages(&self, room: &str) -> Vec<Message> {
        let messages = self.0.messages.borrow();
        let found = messages.iter().filter(|((in_room, _), _)| in_room == room);
        found.map(|(_, message)| message.clone()).collect()
    }

    /// Everything that is stored about a connection, as text.
    pub(crate) fn traces_of(&self, id: &ConnectionId) -> Vec<String> {
        let connections = self.0.connections.borrow();
        let members = self.0.members.borrow();
        let names = self.0.names.borrow();
        let mut traces = Vec::new();
        let record = connections.get(id);
        traces.extend(record.map(|connection| format!("in {}", connection.room)));
        let memberships = members.iter().filter(|(_, ((it, ..), _))| it == id);
        traces.extend(memberships.map(|((room, _), _)| format!("member of {room}")));
        let held = names.iter().filter(|(_, ((holder, _), _))| holder == id);
        traces.extend(held.map(|((room, key), _)| format!("holds {key} in {room}")));
        traces
    }

    /// The next `calls` work, and no more of them; all, with `None`.
    pub(crate) fn works_for(&self, calls: Option<usize>) {
        self.0.works_for.set(calls);
    }

    /// Each call takes this long.
    pub(crate) fn takes(&self, time: std::time::Duration) {
        self.0.takes.set(time);
    }

    /// A call begins.
    async fn called(&self) -> Result<(), PortError> {
        self.0.calls.set(self.0.calls.get() + 1);
        let mut waits = self.0.stepping.get();
        std::future::poll_fn(|context| {
            if std::mem::take(&mut waits) {
                // Some futures poll only those of theirs that asked for it.
                context.waker().wake_by_ref();
                Poll::Pending
            } else {
                Poll::Ready(())
            }
        })
        .await;
        if !self.0.takes.get().is_zero() {
            tokio::time::sleep(self.0.takes.get()).await;
        }
        let left = self.0.works_for.get();
        self.0.works_for.set(left.map(|it| it.saturating_sub(1)));
        if self.0.failing.get() || left == Some(0) {
            return Err(PortError::new("reach the store", "secret cause"));
        }
        Ok(())
    }

    fn remove_member(&self, room: &Room, member: &MemberId, connection: &ConnectionId) -> bool {
        let key = (room.to_string(), member.clone());
        let mut members = self.0.members.borrow_mut();
        let there = members
            .get(&key)
            .is_some_and(|((it, ..), _)| it == connection);
        there && members.remove(&key).is_some()
    }

    fn remove_name(&self, room: &Room, name: &Name, connection: &ConnectionId) {
        let key = (room.to_string(), name.key().to_owned());
        let mut names = self.0.names.borrow_mut();
        if names
            .get(&key)
            .is_some_and(|((holder, _), _)| holder == connection)
        {
            names.remove(&key);
        }
    }

    async fn read(
        &self,
        room: &Room,
        from: Option<&Bookmark>,
        most: usize,
        now: Timestamp,
    ) -> Result<Roll, PortError> {
        let head = match from {
            None => self.head(room, now).await?,
            Some(_) => None,
        };
        self.called().await?;
        let room = room.to_string();
        let members = self.0.members.borrow();
        let mut left = members.iter().filter(|((in_room, id), (_, expires))| {
            let after = from.is_none_or(|bookmark| id.as_str() > bookmark.0.as_str());
            *in_room == room && *expires > now && after
        });
        let part = left.by_ref().take(most);
        let part = part.map(|((_, id), ((connection, name, subject), expires))| Member {
            id: id.clone(),
            connection: connection.clone(),
            name: name.clone(),
            subject: subject.clone(),
            expires: *expires,
        });
        let members: Vec<Member> = part.collect();
        let read = &self.0.members_read;
        read.set(read.get() + members.len());
        let last = members.last().map(|it| Bookmark(it.id.as_str().to_owned()));
        Ok(Roll {
            head,
            members,
            next: last.filter(|_| left.next().is_some()),
        })
    }

    /// Whether the member that a step resumes is as it was read.
    fn is_as_read(&self, step: &Move<'_>, now: Timestamp) -> bool {
        let key = (step.room.to_string(), step.member.clone());
        let members = self.0.members.borrow();
        let there = members.get(&key).filter(|(_, expires)| *expires > now);
        there.is_none_or(|((connection, ..), _)| {
            *connection == step.connection.id
                || step.resumed.is_some_and(|it| it.connection == *connection)
        })
    }
}

impl Store for MemoryStore {
    async fn open_as(
        &self,
        id: &ConnectionId,
        identity: Option<&Identity>,
        expires: Timestamp,
    ) -> Result<(), PortError> {
        self.called().await?;
        let member = MemberId::of_connection(id);
        self.overwrite(Connection {
            id: id.clone(),
            room: Room::Lobby,
            member,
            name: None,
            identity: identity.cloned(),
            expires,
        });
        Ok(())
    }

    async fn connection(
        &self,
        id: &ConnectionId,
        now: Timestamp,
    ) -> Result<Option<Connection>, PortError> {
        self.called().await?;
        let connections = self.0.connections.borrow();
        let found = connections.get(id).filter(|it| it.expires > now);
        Ok(found.cloned())
    }

    async fn drop_connection(&self, id: &ConnectionId) -> Result<Option<Connection>, PortError> {
        self.called().await?;
        Ok(self.0.connections.borrow_mut().remove(id))
    }

    async fn drop_member(
        &self,
        room: &Room,
        member: &MemberId,
        connection: &ConnectionId,
    ) -> Result<bool, PortError> {
        self.called().await?;
        Ok(self.remove_member(room, member, connection))
    }

    async fn free_name(
        &self,
        room: &Room,
        name: &Name,
        connection: &ConnectionId,
    ) -> Result<(), PortError> {
        self.called().await?;
        self.remove_name(room, name, connection);
        Ok(())
    }

    async fn create_room(
        &self,
        code: &RoomCode,
        creator: &MemberId,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<bool, PortError> {
        self.called().await?;
        let key = Room::Coded(code.clone()).to_string();
        let mut heads = self.0.heads.borrow_mut();
        let free = heads.get(&key).is_none_or(|(_, expires)| *expires <= now);
        if free {
            let creator = Some(creator.clone());
            let head = Head {
                creator,
                ..Head::default()
            };
            heads.insert(key, (head, expires));
        }
        Ok(free)
    }

    async fn touch(
        &self,
        room: &Room,
        tail: u64,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<Touched, PortError> {
        self.called().await?;
        let mut heads = self.0.heads.borrow_mut();
        if *room == Room::Lobby {
            heads.entry(room.to_string()).or_default();
        } else if heads.get(&room.to_string()).is_none_or(|it| it.1 <= now) {
            return Ok(Touched::Absent);
        }
        let Some((head, kept)) = heads.get_mut(&room.to_string()) else {
            return Ok(Touched::Absent);
        };
        if head.tail > tail {
            return Ok(Touched::Ahead { tail: head.tail });
        }
        (head.tail, *kept) = (tail, expires);
        let barred = head.barred.clone();
        Ok(Touched::Done { barred })
    }

    async fn head(&self, room: &Room, now: Timestamp) -> Result<Option<Head>, PortError> {
        self.called().await?;
        let heads = self.0.heads.borrow();
        let found = heads.get(&room.to_string()).filter(|it| it.1 > now);
        Ok(found.map(|(head, _)| head.clone()))
    }

    async fn roll(
        &self,
        room: &Room,
        from: Option<&Bookmark>,
        now: Timestamp,
    ) -> Result<Roll, PortError> {
        self.read(room, from, self.0.part.0.get(), now).await
    }

    async fn glance(&self, room: &Room, members: usize, now: Timestamp) -> Result<Roll, PortError> {
        let part = self.0.part.0.get().min(members);
        self.read(room, None, part, now).await
    }

    async fn member(
        &self,
        room: &Room,
        member: &MemberId,
        now: Timestamp,
    ) -> Result<Option<Member>, PortError> {
        self.called().await?;
        let members = self.0.members.borrow();
        let found = members.get(&(room.to_string(), member.clone()));
        let present = found.filter(|(_, expires)| *expires > now);
        Ok(
            present.map(|((connection, name, subject), expires)| Member {
                id: member.clone(),
                connection: connection.clone(),
                name: name.clone(),
                subject: subject.clone(),
                expires: *expires,
            }),
        )
    }

    async fn enter(&self, step: Move<'_>, now: Timestamp) -> Result<Entry, PortError> {
        let interference = self.0.before_enter.borrow_mut().take();
        if let Some(interference) = interference {
            interference(self);
        }
        if let Some(fewer) = self.0.contended.get().checked_sub(1) {
            self.0.contended.set(fewer);
            return Ok(Entry::Contended);
        }
        self.called().await?;
        let was = step.connection;
        let current = self.0.connections.borrow().get(&was.id).cloned();
        if current.filter(|it| it.expires > now).as_ref() != Some(was)
            || !self.is_as_read(&step, now)
        {
            return Ok(Entry::Stale);
        }
        let room = step.room.to_string();
        if let Some(name) = step.name {
            let key = (room.clone(), name.key().to_owned());
            let mut names = self.0.names.borrow_mut();
            if let Some(((holder, member), expires)) = names.get(&key)
                && *expires > now
                && *holder != was.id
                && member != step.member
            {
                return Ok(Entry::NameTaken {
                    holder: holder.clone(),
                    member: member.clone(),
                });
            }
            names.insert(key, ((was.id.clone(), step.member.clone()), was.expires));
        }
        let kept = |place: &Room, name: &Name| {
            *place == *step.room && step.name.is_some_and(|it| it.key() == name.key())
        };
        if let Some(name) = was.name.as_ref().filter(|name| !kept(&was.room, name)) {
            self.remove_name(&was.room, name, &was.id);
        }
        self.remove_member(&was.room, &was.member, &was.id);
        if let Some(resumed) = step.resumed {
            self.lose_record(&resumed.connection);
            if let Some(name) = resumed.name.as_ref().filter(|name| !kept(step.room, name)) {
                self.remove_name(step.room, name, &resumed.connection);
            }
        }
        self.overwrite(Connection {
            room: step.room.clone(),
            member: step.member.clone(),
            name: step.name.cloned(),
            ..was.clone()
        });
        Ok(Entry::Done)
    }

    async fn name_keys(
        &self,
        room: &Room,
        prefix: &str,
        now: Timestamp,
    ) -> Result<Vec<String>, PortError> {
        self.called().await?;
        let names = self.0.names.borrow();
        let held = names.iter().filter(|((in_room, key), (_, expires))| {
            *in_room == room.to_string() && key.starts_with(prefix) && *expires > now
        });
        Ok(held.map(|((_, key), _)| key.clone()).collect())
    }

    async fn announce(
        &self,
        room: &Room,
        rev: u64,
        roster: &str,
        present: usize,
        now: Timestamp,
    ) -> Result<bool, PortError> {
        self.called().await?;
        let mut heads = self.0.heads.borrow_mut();
        let Some((head, _)) = heads
            .get_mut(&room.to_string())
            .filter(|it| it.0.rev == rev)
        else {
            return Ok(false);
        };
        head.rev += 1;
        roster.clone_into(&mut head.roster);
        (head.present, head.announced) = (present, now);
        Ok(true)
    }

    async fn take_turn(&self, room: &Room, was: &Head, now: Timestamp) -> Result<bool, PortError> {
        self.called().await?;
        let mut heads = self.0.heads.borrow_mut();
        let head = heads.get_mut(&room.to_string());
        let head = head.filter(|(it, _)| (it.rev, it.announced) == (was.rev, was.announced));
        let Some((head, _)) = head else {
            return Ok(false);
        };
        head.announced = now;
        Ok(true)
    }

    async fn keep_list(
        &self,
        room: &Room,
        list: &List,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<(), PortError> {
        self.called().await?;
        let mut lists = self.0.lists.borrow_mut();
        let kept = lists.get(&room.to_string());
        if kept.is_none_or(|(kept, expires)| kept.rev < list.rev || *expires <= now) {
            lists.insert(room.to_string(), (list.clone(), expires));
        }
        Ok(())
    }

    async fn list(&self, room: &Room, now: Timestamp) -> Result<Option<List>, PortError> {
        self.called().await?;
        let lists = self.0.lists.borrow();
        let kept = lists.get(&room.to_string()).filter(|it| it.1 > now);
        Ok(kept.map(|(list, _)| list.clone()))
    }

    async fn bar(&self, room: &Room, was: &Barred, barred: &Barred) -> Result<bool, PortError> {
        self.called().await?;
        let mut heads = self.0.heads.borrow_mut();
        let Some((head, _)) = heads
            .get_mut(&room.to_string())
            .filter(|it| it.0.barred == *was)
        else {
            return Ok(false);
        };
        head.barred = barred.clone();
        Ok(true)
    }

    async fn count(&self, what: &str, most: u64, _: Timestamp) -> Result<bool, PortError> {
        // Nothing else reads what is counted, so orders that differ in when it was are many and tell nothing.
        let stepping = self.0.stepping.replace(false);
        let called = self.called().await;
        self.0.stepping.set(stepping);
        called?;
        let mut counts = self.0.counts.borrow_mut();
        let count = counts.entry(what.to_owned()).or_default();
        let counted = *count < most;
        *count += u64::from(counted);
        Ok(counted)
    }

    async fn newest(&self, room: &Room) -> Result<u64, PortError> {
        self.called().await?;
        let newest = self.messages(&room.to_string());
        Ok(newest.last().map_or(0, |message| message.seq))
    }

    async fn claim(
        &self,
        room: &Room,
        message: &Message,
        floor: u64,
        now: Timestamp,
    ) -> Result<Option<u64>, PortError> {
        self.called().await?;
        let id = message.id.clone().expect("only such are claimed");
        let key = (room.to_string(), (message.member.clone(), id));
        let mut claims = self.0.claims.borrow_mut();
        let before = claims.get(&key).filter(|(_, expires)| *expires > now);
        if let Some((floor, _)) = before {
            return Ok(Some(*floor));
        }
        claims.insert(key, (floor, message.expires));
        Ok(None)
    }

    async fn append(&self, room: &Room, message: &Message) -> Result<bool, PortError> {
        self.called().await?;
        let key = (room.to_string(), message.seq);
        let mut messages = self.0.messages.borrow_mut();
        let free = !messages.contains_key(&key);
        if free {
            messages.insert(key, message.clone());
        }
        Ok(free)
    }

    async fn page(&self, room: &Room, part: Part, limit: usize) -> Result<Vec<Message>, PortError> {
        self.called().await?;
        let mut messages = self.messages(&room.to_string());
        match part {
            Part::After(after) => messages.retain(|it| it.seq > after),
            Part::Before(before) => {
                messages.retain(|it| it.seq < before);
                messages.reverse();
            }
        }
        messages.truncate(limit);
        Ok(messages)
    }
}

/// An outbox that keeps what it was given.
#[derive(Clone, Default)]
pub(crate) struct MemoryOutbox(Rc<Posts>);

#[derive(Default)]
struct Posts {
    delivered: RefCell<Vec<(ConnectionId, String)>>,
    gone: RefCell<BTreeSet<ConnectionId>>,
    failing: RefCell<BTreeSet<ConnectionId>>,
    blind: Cell<bool>,
    attempts: Cell<usize>,
    alone: Cell<bool>,
    errands: RefCell<Vec<String>>,
}

impl MemoryOutbox {
    /// The connection no longer exists, whatever the store says.
    pub(crate) fn gone(&self, id: &ConnectionId) {
        self.0.gone.borrow_mut().insert(id.clone());
    }

    /// Posts to the connection fail.
    pub(crate) fn failing(&self, id: &ConnectionId) {
        self.0.failing.borrow_mut().insert(id.clone());
    }

    /// Posts to the connection work again.
    pub(crate) fn working(&self, id: &ConnectionId) {
        self.0.failing.borrow_mut().remove(id);
    }

    /// How many posts were tried to those that are not gone.
    pub(crate) fn attempts(&self) -> usize {
        self.0.attempts.get()
    }

    /// Whether connections exist can no longer be found out.
    pub(crate) fn blind(&self) {
        self.0.blind.set(true);
    }

    /// Nothing can be handed over from now on.
    pub(crate) fn alone(&self) {
        self.0.alone.set(true);
    }

    /// Takes out the errands that were handed over, as they travel.
    pub(crate) fn errands(&self) -> Vec<String> {
        self.0.errands.take()
    }

    /// Takes out what was delivered since the last time, sorted by receiver.
    pub(crate) fn take(&self) -> Vec<(ConnectionId, String)> {
        let mut delivered = self.0.delivered.take();
        delivered.sort();
        delivered
    }
}

impl Outbox for MemoryOutbox {
    async fn post(&self, to: &ConnectionId, frame: &Frame) -> Delivery {
        if self.0.gone.borrow().contains(to) {
            return Delivery::Gone;
        }
        self.0.attempts.set(self.0.attempts.get() + 1);
        if self.0.failing.borrow().contains(to) {
            return Delivery::Throttled(PortError::new("post", "throttled"));
        }
        let text = String::from_utf8(frame.text().to_vec()).expect("frames are text");
        self.0.delivered.borrow_mut().push((to.clone(), text));
        Delivery::Delivered
    }

    async fn hand_over(&self, errand: &Errand) -> Result<(), PortError> {
        if self.0.alone.get() {
            return Err(PortError::new("hand over", "throttled"));
        }
        let json = serde_json::to_string(errand).expect("an errand is JSON");
        self.0.errands.borrow_mut().push(json);
        Ok(())
    }

    async fn is_connected(&self, id: &ConnectionId) -> Result<bool, PortError> {
        if self.0.blind.get() {
            return Err(PortError::new("look", "throttled"));
        }
        Ok(!self.0.gone.borrow().contains(id))
    }
}

/// A clock that a test sets.
#[derive(Clone, Default)]
pub(crate) struct SetClock(Rc<Cell<u64>>);

impl SetClock {
    /// Moves the time on.
    pub(crate) fn advance(&self, by: std::time::Duration) {
        self.0.set(self.now().after(by).millis());
    }
}

impl Clock for SetClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.get())
    }
}

/// Randomness that repeats what is a room's code once before it goes on, so that codes collide.
#[derive(Clone, Default)]
pub(crate) struct Stuttering {
    codes: Rc<Cell<u32>>,
    others: Rc<Cell<u32>>,
}

impl Randomness for Stuttering {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), PortError> {
        let stutters = bytes.len() == RoomCode::RANDOM_BYTES;
        let calls = if stutters { &self.codes } else { &self.others };
        let value = if stutters {
            calls.get() / 2
        } else {
            calls.get()
        };
        calls.set(calls.get() + 1);
        bytes.fill(u8::from(stutters));
        // Five bits of each byte make a symbol.
        for (place, byte) in bytes.iter_mut().take(4).enumerate() {
            *byte = u8::try_from(value >> (5 * place) & 31).expect("five bits");
        }
        Ok(())
    }
}
