//! Entering rooms, and who has which name there.

use std::collections::HashSet;

use super::name::NUMBER_MAX;
use super::{Chat, Failure, Name, Room, RoomCode};
use crate::log;
use crate::ports::{Connection, ConnectionId, Entry, Outbox, PortError, Seen, Store};
use crate::protocol::{Code, MEMBERS_LISTED_MAX, Refusal, ServerFrame};

/// How often a step that lost a race is tried again. Each loss means that another one won, so this
/// many in a row are never bad luck alone.
const TRIES: u32 = 8;

impl<S: Store, O: Outbox> Chat<S, O> {
    /// Makes a room with a code that no other room has.
    pub(super) async fn new_room(&self) -> Result<RoomCode, Failure> {
        for _ in 0..TRIES {
            let mut bytes = [0; RoomCode::RANDOM_BYTES];
            self.randomness.fill(&mut bytes)?;
            let code = RoomCode::from_random(bytes);
            let now = self.clock.now();
            if self
                .store
                .create_room(&code, now.after(self.room_ttl), now)
                .await?
            {
                return Ok(code);
            }
        }
        Err(lost_every_race("find a free room code"))
    }

    /// Moves the connection to `room` and tells it who is there. Of several frames of a connection
    /// at once, each is carried out, in some order.
    pub(super) async fn enter(
        &self,
        sender: &ConnectionId,
        room: &Room,
        name: &Name,
    ) -> Result<ServerFrame, Failure> {
        let mut settled = Err(Failure::Overtaken);
        for _ in 0..TRIES {
            let connection = self.connection(sender).await?;
            settled = self.settle(&connection, room, name).await;
            if !matches!(settled, Err(Failure::Overtaken)) {
                break;
            }
        }
        let name = settled?;
        let members = self.store.members(room, self.clock.now()).await?;
        let mut names: Vec<&Name> = members
            .iter()
            .filter_map(|member| member.name.as_ref())
            .collect();
        names.sort_by_key(|name| name.key());
        let count = names.len();
        Ok(ServerFrame::Joined {
            room: room.to_string(),
            name: name.shown().to_owned(),
            members: listed(&names, &name),
            count,
        })
    }

    /// Gives a nameless connection in the lobby the name that it says it has, or the next best.
    pub(super) async fn introduce(
        &self,
        connection: Connection,
        from: Option<&str>,
    ) -> Result<Connection, Failure> {
        let from = from.ok_or_else(|| {
            Refusal::new(
                Code::NameNeeded,
                "say who you are: send `from` with your first message, or `join` with a `name`",
            )
        })?;
        match self
            .settle(&connection, &Room::Lobby, &Name::parse(from)?)
            .await
        {
            Ok(name) => Ok(Connection {
                name: Some(name),
                ..connection
            }),
            Err(Failure::Overtaken) => {
                let connection = self.connection(&connection.id).await?;
                if connection.name.is_some() {
                    Ok(connection)
                } else {
                    Err(Failure::Overtaken)
                }
            }
            Err(failure) => Err(failure),
        }
    }

    /// Back to the lobby, nameless.
    pub(super) async fn leave(&self, sender: &ConnectionId) -> Result<ServerFrame, Failure> {
        for _ in 0..TRIES {
            let connection = self.connection(sender).await?;
            let now = self.clock.now();
            match self
                .store
                .enter(&connection, &Room::Lobby, None, now)
                .await?
            {
                Entry::Done => {
                    return Ok(ServerFrame::Left {
                        room: connection.room.to_string(),
                    });
                }
                Entry::Stale | Entry::Contended | Entry::NameTaken { .. } => {}
            }
        }
        Err(lost_every_race("leave a room"))
    }

    /// Enters a room under `name` or, in the lobby, under that name with a number.
    async fn settle(
        &self,
        connection: &Connection,
        room: &Room,
        wanted: &Name,
    ) -> Result<Name, Failure> {
        let mut name = wanted.clone();
        for refusals in 0..TRIES {
            let now = self.clock.now();
            match self.store.enter(connection, room, Some(&name), now).await? {
                Entry::Done => return Ok(name),
                Entry::Stale => return Err(Failure::Overtaken),
                Entry::NameTaken { holder } => {
                    let checked = refusals > 0;
                    if checked || self.holds(room, &holder, &name).await? {
                        name = self.another_name(room, wanted, refusals).await?;
                    }
                }
                Entry::Contended if *room == Room::Lobby => {
                    name = self.another_name(room, wanted, refusals).await?;
                }
                Entry::Contended => {}
            }
        }
        Err(lost_every_race("find a free name"))
    }

    /// Whether the holder of a name is still there. One that is gone loses it.
    async fn holds(
        &self,
        room: &Room,
        holder: &ConnectionId,
        name: &Name,
    ) -> Result<bool, Failure> {
        match self.outbox.is_connected(holder).await {
            Ok(true) => Ok(true),
            Ok(false) => {
                self.store
                    .close(
                        holder,
                        Some(Seen {
                            room,
                            name: Some(name),
                        }),
                    )
                    .await?;
                Ok(false)
            }
            Err(error) => {
                log::error("the holder of a name counts as connected", &error);
                Ok(true)
            }
        }
    }

    /// What to do about a name that is taken: the lobby numbers, a room refuses.
    ///
    /// The first time the lowest free number is taken. Whoever loses that as well is one of many, and
    /// takes any out of a range that grows with each refusal, for else only one of them would win
    /// each time.
    async fn another_name(
        &self,
        room: &Room,
        wanted: &Name,
        refusals: u32,
    ) -> Result<Name, Failure> {
        if *room != Room::Lobby {
            return Err(Failure::Refused(Refusal::new(
                Code::NameTaken,
                format!(
                    "`{}` is taken in this room; choose another name",
                    wanted.shown()
                ),
            )));
        }
        let prefix = wanted.numbered_key_prefix();
        let taken = self
            .store
            .name_keys(room, &prefix, self.clock.now())
            .await?;
        let taken: HashSet<&str> = taken.iter().map(String::as_str).collect();
        let mut random = [0; 4];
        self.randomness.fill(&mut random)?;
        let range = 8_u32.saturating_pow(refusals).min(RANGE_MAX);
        let skipped = u32::from_be_bytes(random) % range;
        (2..=NUMBER_MAX)
            .map(|number| wanted.numbered(number))
            .filter(|name| !taken.contains(name.key()))
            .nth(skipped as usize)
            .ok_or_else(|| lost_every_race("find a free number"))
    }
}

/// The widest range that a number is picked from.
const RANGE_MAX: u32 = 4_096;

/// The first names, and the own one among them even in a long list.
fn listed(sorted: &[&Name], own: &Name) -> Vec<String> {
    let mut listed: Vec<&Name> = sorted.iter().copied().take(MEMBERS_LISTED_MAX).collect();
    if listed.len() == MEMBERS_LISTED_MAX
        && !listed.iter().any(|name| name.key() == own.key())
        && let Some(last) = listed.last_mut()
    {
        *last = own;
    }
    listed
        .into_iter()
        .map(|name| name.shown().to_owned())
        .collect()
}

fn lost_every_race(attempt: &'static str) -> Failure {
    Failure::Port(PortError::new(
        attempt,
        format!("another one was faster {TRIES} times in a row"),
    ))
}
