//! The ports in memory, for tests of the rules: stateful, and able to fail and to interfere.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::{Name, Room, RoomCode};
use crate::ports::{
    Clock, Connection, ConnectionId, Delivery, Entry, Member, Outbox, PortError, Randomness, Seen,
    Store, Timestamp,
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
    rooms: RefCell<BTreeMap<String, Timestamp>>,
    members: InRooms<ConnectionId, Option<Name>>,
    names: InRooms<String, ConnectionId>,
    failing: Cell<bool>,
    before_enter: RefCell<Option<Interference>>,
    contended: Cell<u32>,
}

impl MemoryStore {
    /// Every call fails from now on, or works again.
    pub(crate) fn fail(&self, failing: bool) {
        self.0.failing.set(failing);
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

    /// Renames a connection behind the rules' back.
    pub(crate) fn overwrite(&self, connection: Connection) {
        self.0
            .connections
            .borrow_mut()
            .insert(connection.id.clone(), connection);
    }

    /// Everything that is stored about a connection, as text.
    pub(crate) fn traces_of(&self, id: &ConnectionId) -> Vec<String> {
        let connections = self.0.connections.borrow();
        let members = self.0.members.borrow();
        let names = self.0.names.borrow();
        let mut traces = Vec::new();
        traces.extend(
            connections
                .get(id)
                .map(|connection| format!("in {}", connection.room)),
        );
        traces.extend(
            members
                .keys()
                .filter(|key| key.1 == *id)
                .map(|key| format!("member of {}", key.0)),
        );
        let held = names.iter().filter(|(_, (holder, _))| holder == id);
        traces.extend(held.map(|((room, key), _)| format!("holds {key} in {room}")));
        traces
    }

    fn check(&self) -> Result<(), PortError> {
        if self.0.failing.get() {
            return Err(PortError::new("reach the store", "secret cause"));
        }
        Ok(())
    }

    fn drop_member(&self, id: &ConnectionId, seen: Seen<'_>) {
        let room = seen.room.to_string();
        self.0
            .members
            .borrow_mut()
            .remove(&(room.clone(), id.clone()));
        if let Some(name) = seen.name {
            let key = (room, name.key().to_owned());
            let mut names = self.0.names.borrow_mut();
            if names.get(&key).is_some_and(|(holder, _)| holder == id) {
                names.remove(&key);
            }
        }
    }
}

impl Store for MemoryStore {
    async fn open(&self, id: &ConnectionId, expires: Timestamp) -> Result<(), PortError> {
        self.check()?;
        let connection = Connection {
            id: id.clone(),
            room: Room::Lobby,
            name: None,
            expires,
        };
        self.0
            .connections
            .borrow_mut()
            .insert(id.clone(), connection);
        let key = (Room::Lobby.to_string(), id.clone());
        self.0.members.borrow_mut().insert(key, (None, expires));
        Ok(())
    }

    async fn connection(
        &self,
        id: &ConnectionId,
        now: Timestamp,
    ) -> Result<Option<Connection>, PortError> {
        self.check()?;
        Ok(self
            .0
            .connections
            .borrow()
            .get(id)
            .filter(|it| it.expires > now)
            .cloned())
    }

    async fn close(&self, id: &ConnectionId, seen: Option<Seen<'_>>) -> Result<(), PortError> {
        self.check()?;
        let removed = self.0.connections.borrow_mut().remove(id);
        if let Some(Connection { room, name, .. }) = &removed {
            self.drop_member(
                id,
                Seen {
                    room,
                    name: name.as_ref(),
                },
            );
        }
        if let Some(seen) = seen {
            self.drop_member(id, seen);
        }
        Ok(())
    }

    async fn create_room(
        &self,
        code: &RoomCode,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<bool, PortError> {
        self.check()?;
        let mut rooms = self.0.rooms.borrow_mut();
        let free = rooms
            .get(code.symbols())
            .is_none_or(|expires| *expires <= now);
        if free {
            rooms.insert(code.symbols().to_owned(), expires);
        }
        Ok(free)
    }

    async fn extend_room(
        &self,
        code: &RoomCode,
        expires: Timestamp,
        now: Timestamp,
    ) -> Result<bool, PortError> {
        self.check()?;
        let mut rooms = self.0.rooms.borrow_mut();
        let present = rooms
            .get(code.symbols())
            .is_some_and(|expires| *expires > now);
        if present {
            rooms.insert(code.symbols().to_owned(), expires);
        }
        Ok(present)
    }

    async fn enter(
        &self,
        connection: &Connection,
        room: &Room,
        name: Option<&Name>,
        now: Timestamp,
    ) -> Result<Entry, PortError> {
        let interference = self.0.before_enter.borrow_mut().take();
        if let Some(interference) = interference {
            interference(self);
        }
        if let Some(fewer) = self.0.contended.get().checked_sub(1) {
            self.0.contended.set(fewer);
            return Ok(Entry::Contended);
        }
        if self.connection(&connection.id, now).await?.as_ref() != Some(connection) {
            return Ok(Entry::Stale);
        }
        if let Some(name) = name {
            let key = (room.to_string(), name.key().to_owned());
            let mut names = self.0.names.borrow_mut();
            if let Some((holder, expires)) = names.get(&key)
                && *expires > now
                && *holder != connection.id
            {
                return Ok(Entry::NameTaken {
                    holder: holder.clone(),
                });
            }
            names.insert(key, (connection.id.clone(), connection.expires));
        }
        let former = Seen {
            room: &connection.room,
            name: connection.name.as_ref(),
        };
        if connection.room != *room || former.name.map(Name::key) != name.map(Name::key) {
            self.drop_member(&connection.id, former);
        }
        let key = (room.to_string(), connection.id.clone());
        self.0
            .members
            .borrow_mut()
            .insert(key, (name.cloned(), connection.expires));
        self.overwrite(Connection {
            room: room.clone(),
            name: name.cloned(),
            ..connection.clone()
        });
        Ok(Entry::Done)
    }

    async fn members(&self, room: &Room, now: Timestamp) -> Result<Vec<Member>, PortError> {
        self.check()?;
        let members = self.0.members.borrow();
        let present = members
            .iter()
            .filter(|((in_room, _), (_, expires))| *in_room == room.to_string() && *expires > now);
        Ok(present
            .map(|((_, id), (name, expires))| Member {
                id: id.clone(),
                name: name.clone(),
                expires: *expires,
            })
            .collect())
    }

    async fn name_keys(
        &self,
        room: &Room,
        prefix: &str,
        now: Timestamp,
    ) -> Result<Vec<String>, PortError> {
        self.check()?;
        let names = self.0.names.borrow();
        let held = names.iter().filter(|((in_room, key), (_, expires))| {
            *in_room == room.to_string() && key.starts_with(prefix) && *expires > now
        });
        Ok(held.map(|((_, key), _)| key.clone()).collect())
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

    /// Whether connections exist can no longer be found out.
    pub(crate) fn blind(&self) {
        self.0.blind.set(true);
    }

    /// Takes out what was delivered since the last time, sorted by receiver.
    pub(crate) fn take(&self) -> Vec<(ConnectionId, String)> {
        let mut delivered = self.0.delivered.take();
        delivered.sort();
        delivered
    }
}

impl Outbox for MemoryOutbox {
    async fn post(&self, to: &ConnectionId, frame: &str) -> Delivery {
        if self.0.gone.borrow().contains(to) {
            return Delivery::Gone;
        }
        if self.0.failing.borrow().contains(to) {
            return Delivery::Failed(PortError::new("post", "throttled"));
        }
        self.0
            .delivered
            .borrow_mut()
            .push((to.clone(), frame.to_owned()));
        Delivery::Delivered
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

/// Randomness that repeats each value once before it goes on, so that codes collide.
#[derive(Clone, Default)]
pub(crate) struct Stuttering(Rc<Cell<u16>>);

impl Randomness for Stuttering {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), PortError> {
        let calls = self.0.get();
        self.0.set(calls + 1);
        let [high, low] = (calls / 2).to_be_bytes();
        bytes.fill(0);
        bytes[0] = high;
        bytes[1] = low;
        Ok(())
    }
}
