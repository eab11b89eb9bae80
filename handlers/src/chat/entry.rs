//! Entering rooms and leaving them, and who has which name there.

use std::collections::HashSet;

use super::identity::Resume;
use super::name::NUMBER_MAX;
use super::presence::{News, Scene, listed, with};
use super::{
    Barred, Chat, Failure, GRACE, Name, Room, RoomCode, lost_every_race, name_fixed, name_needed,
    no_such_room, removed,
};
use crate::ports::{
    Connection, ConnectionId, Entry, Member, MemberId, Move, Outbox, Part, Store, Touched,
};
use crate::protocol::{Code, Refusal, ServerFrame};

/// How often a step that lost a race is tried again. Each loss means that another one won, so this
/// many in a row are never bad luck alone.
const TRIES: u32 = 8;

/// The newest messages that somebody gets who comes in for the first time.
const FIRST_PAGE: usize = 50;

/// What a client brings along when it comes back.
pub(super) struct Return {
    pub(super) after: Option<u64>,
    pub(super) resume: Option<String>,
}

/// Who comes in.
struct Newcomer {
    resume: Resume,
    /// Whether it may have been there before.
    returns: bool,
    after: Option<u64>,
}

/// A move that was made.
struct Moved {
    from: Connection,
    resumed: Option<Member>,
    name: Name,
}

impl<S: Store, O: Outbox> Chat<S, O> {
    pub(super) async fn create(
        &self,
        sender: &ConnectionId,
        name: &str,
    ) -> Result<ServerFrame, Failure> {
        let connection = self.connection(sender).await?;
        let name = called(&connection, name)?;
        self.count_creation(&connection).await?;
        let resume = Resume::random(&*self.randomness)?;
        let room = Room::Coded(self.new_room(&resume.member()).await?);
        let newcomer = Newcomer {
            resume,
            returns: false,
            after: None,
        };
        self.enter(sender, &room, &name, newcomer).await
    }

    pub(super) async fn join(
        &self,
        sender: &ConnectionId,
        room: &str,
        name: &str,
        back: Return,
    ) -> Result<ServerFrame, Failure> {
        let connection = self.connection(sender).await?;
        let name = called(&connection, name)?;
        let room = Room::parse(room).ok_or_else(no_such_room)?;
        let barred = match self.keep(&room).await {
            Ok(barred) => barred,
            Err(failure) => return Err(self.after_a_wrong_code(&connection, failure).await),
        };
        let known = back.resume.as_deref().and_then(Resume::parse);
        let returns = known.is_some();
        let resume = match known {
            Some(known) => known,
            None => Resume::random(&*self.randomness)?,
        };
        if barred.has(&resume.member(), connection.subject()) {
            return Err(removed().into());
        }
        let is_there = connection.room == room && connection.member == resume.member();
        if !is_there || connection.name.as_ref() != Some(&name) {
            self.count_change(&connection).await?;
        }
        let newcomer = Newcomer {
            resume,
            returns,
            after: back.after,
        };
        self.enter(sender, &room, &name, newcomer).await
    }

    /// Makes a room with a code that no other room has.
    async fn new_room(&self, creator: &MemberId) -> Result<RoomCode, Failure> {
        for _ in 0..TRIES {
            let mut bytes = [0; RoomCode::RANDOM_BYTES];
            self.randomness.fill(&mut bytes)?;
            let code = RoomCode::from_random(bytes);
            let now = self.clock.now();
            let expires = now.after(self.kept_for());
            let made = self.store.create_room(&code, creator, expires, now);
            if made.await? {
                return Ok(code);
            }
        }
        Err(lost_every_race("find a free room code", TRIES).into())
    }

    /// Keeps a room for as long as the connection that enters now can last, and its history besides. Gives
    /// who was removed from it.
    ///
    /// It also records which message is the newest. Messages are removed when their time is over, and
    /// their places must not be given away again. Everyone who sends has come through here, less than
    /// a connection's lifetime ago; a message's record lives longer than that. So when it goes, the
    /// room has a record of it or of a later one.
    async fn keep(&self, room: &Room) -> Result<Barred, Failure> {
        let mut tail = self.store.newest(room).await?;
        for _ in 0..TRIES {
            let now = self.clock.now();
            let expires = now.after(self.kept_for());
            let touched = self
                .store
                .touch(room, tail, expires, now.after(GRACE))
                .await?;
            match touched {
                Touched::Done { barred } => return Ok(barred),
                Touched::Absent => return Err(no_such_room().into()),
                Touched::Ahead { tail: known } => tail = known,
            }
        }
        Err(lost_every_race("keep a room", TRIES).into())
    }

    /// Moves the connection to `room` and tells it who is there and what was said. Of several frames
    /// of a connection at once, each is carried out, in some order.
    async fn enter(
        &self,
        sender: &ConnectionId,
        room: &Room,
        name: &Name,
        newcomer: Newcomer,
    ) -> Result<ServerFrame, Failure> {
        let (member, returns) = (newcomer.resume.member(), newcomer.returns);
        let mut settled = Err(Failure::Overtaken);
        for _ in 0..TRIES {
            let from = self.connection(sender).await?;
            settled = self.step(from, room, name, &member, returns).await;
            if !matches!(settled, Err(Failure::Overtaken)) {
                break;
            }
        }
        let moved = settled?;
        let scene = self.tell_of(&moved, room).await?;
        if scene.keeps_out(&member, &moved.from) {
            // It was removed after it was let in.
            return Err(self.turn_away(sender, room, member, moved.name).await);
        }
        self.joined(room, &moved.name, newcomer, scene).await
    }

    async fn step(
        &self,
        from: Connection,
        room: &Room,
        name: &Name,
        member: &MemberId,
        returns: bool,
    ) -> Result<Moved, Failure> {
        let resumed = if returns && from.member != *member {
            let resumed = self.store.member(room, member, self.clock.now()).await?;
            resumed.filter(|it| it.connection != from.id)
        } else {
            None
        };
        let step = Move {
            connection: &from,
            room,
            member,
            name: None,
            resumed: resumed.as_ref(),
        };
        let name = self.settle(step, name).await?;
        Ok(Moved {
            from,
            resumed,
            name,
        })
    }

    /// Announces what the others saw of a move, and gives the room as it is then.
    async fn tell_of(&self, moved: &Moved, room: &Room) -> Result<Scene, Failure> {
        let Moved {
            from,
            resumed,
            name,
        } = moved;
        let here = from.room == *room;
        if let Some(left) = &from.name
            && (!here || (resumed.is_some() && left != name))
        {
            self.mention(&from.room, &News::left(left)).await;
        }
        let was = match resumed {
            Some(member) => member.name.as_ref(),
            None => from.name.as_ref().filter(|_| here),
        };
        let news = match was {
            None => News::joined(name),
            Some(was) if was.shown() == name.shown() => {
                // Its own coming may be what nobody announced, at the end of a try that failed.
                return Ok(self.see(room, Some(&from.id)).await?);
            }
            Some(was) => News::renamed(was, name),
        };
        Ok(self.tell(room, &news, Some(&from.id)).await?)
    }

    async fn joined(
        &self,
        room: &Room,
        name: &Name,
        newcomer: Newcomer,
        scene: Scene,
    ) -> Result<ServerFrame, Failure> {
        let Newcomer { resume, after, .. } = newcomer;
        // Who is on the list for certain is put on it and `rev` stays: with one that is less, whoever comes
        // would join again at each `pong`, and be given the same list, until the next announcement.
        let (head, list) = (scene.head.unwrap_or_default(), with(scene.list, name));
        let creator = head.creator == Some(resume.member());
        let (part, limit) = match after {
            Some(after) => (Some(Part::After(after)), super::history::LIMIT_MAX),
            None => (None, FIRST_PAGE),
        };
        let mut window = self.window(room, head.tail, part, limit).await?;
        let mut frame = ServerFrame::Joined {
            room: room.to_string(),
            name: name.shown().to_owned(),
            resume: resume.into_secret(),
            members: listed(&list, Some(name)),
            count: list.count,
            rev: list.rev,
            seq: window.seq,
            oldest: window.oldest,
            messages: Vec::new(),
            more: false,
            creator,
        };
        let fitting = window.fit(&frame);
        if let ServerFrame::Joined { messages, more, .. } = &mut frame {
            (*messages, *more) = fitting;
        }
        Ok(frame)
    }

    /// Gives a nameless connection in the lobby the name that it says it has, or the next best.
    pub(super) async fn introduce(
        &self,
        connection: Connection,
        from: Option<&str>,
    ) -> Result<Connection, Failure> {
        let wanted = match &connection.identity {
            Some(identity) => identity.name.clone(),
            None => Name::parse(from.ok_or_else(name_needed)?)?,
        };
        self.keep(&Room::Lobby).await?;
        let step = Move {
            connection: &connection,
            room: &Room::Lobby,
            member: &connection.member,
            name: None,
            resumed: None,
        };
        match self.settle(step, &wanted).await {
            Ok(name) => {
                self.mention(&Room::Lobby, &News::joined(&name)).await;
                Ok(Connection {
                    name: Some(name),
                    ..connection
                })
            }
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

    /// Another name in the same room, for the same member.
    pub(super) async fn rename(
        &self,
        sender: &ConnectionId,
        name: &str,
    ) -> Result<ServerFrame, Failure> {
        let wanted = Name::parse(name)?;
        for attempt in 0..TRIES {
            let connection = self.connection(sender).await?;
            if let Some(identity) = &connection.identity {
                return Err(name_fixed(identity).into());
            }
            if attempt == 0 {
                self.count_change(&connection).await?;
            }
            let room = connection.room.clone();
            if connection.name.is_none() {
                self.keep(&room).await?;
            }
            let step = Move {
                connection: &connection,
                room: &room,
                member: &connection.member,
                name: None,
                resumed: None,
            };
            let name = match self.settle(step, &wanted).await {
                Err(Failure::Overtaken) => continue,
                settled => settled?,
            };
            let news = match &connection.name {
                Some(was) => News::renamed(was, &name),
                None => News::joined(&name),
            };
            let scene = self.tell(&room, &news, Some(sender)).await?;
            if scene.keeps_out(&connection.member, &connection) {
                return Err(self.turn_away(sender, &room, connection.member, name).await);
            }
            return Ok(news.frame(&room, &scene.list));
        }
        Err(lost_every_race("rename a member", TRIES).into())
    }

    /// Back to the lobby, nameless.
    pub(super) async fn leave(&self, sender: &ConnectionId) -> Result<ServerFrame, Failure> {
        for attempt in 0..TRIES {
            let connection = self.connection(sender).await?;
            if attempt == 0 && connection.name.is_some() {
                self.count_change(&connection).await?;
            }
            let step = Move {
                connection: &connection,
                room: &Room::Lobby,
                member: &MemberId::of_connection(sender),
                name: None,
                resumed: None,
            };
            let entry = self.store.enter(step, self.clock.now()).await?;
            if entry != Entry::Done {
                continue;
            }
            if let Some(name) = &connection.name {
                self.mention(&connection.room, &News::left(name)).await;
            }
            return Ok(ServerFrame::Left {
                room: connection.room.to_string(),
            });
        }
        Err(lost_every_race("leave a room", TRIES).into())
    }

    /// Enters a room under `wanted` or under that name with a number: in the lobby, and where somebody has
    /// signed in, who can choose no other name.
    async fn settle(&self, step: Move<'_>, wanted: &Name) -> Result<Name, Failure> {
        let room = step.room;
        let numbers = *room == Room::Lobby || step.connection.identity.is_some();
        let mut own = own_number(step, wanted);
        let mut name = wanted.clone();
        for refusals in 0..TRIES {
            let step = Move {
                name: Some(&name),
                ..step
            };
            match self.store.enter(step, self.clock.now()).await? {
                Entry::Done => return Ok(name),
                Entry::Stale => return Err(Failure::Overtaken),
                Entry::NameTaken { holder, member } => {
                    let checked = refusals > 0;
                    if checked || self.holds(room, &name, holder, member).await? {
                        if !numbers {
                            return Err(name_taken(wanted).into());
                        }
                        own = own.filter(|own| own.key() != name.key());
                        name = self
                            .another_name(room, wanted, own.as_ref(), refusals)
                            .await?;
                    }
                }
                Entry::Contended if *room == Room::Lobby => {
                    name = self
                        .another_name(room, wanted, own.as_ref(), refusals)
                        .await?;
                }
                Entry::Contended => {}
            }
        }
        Err(lost_every_race("find a free name", TRIES).into())
    }

    /// Whether the holder of a name is still there. One that is gone loses it.
    async fn holds(
        &self,
        room: &Room,
        name: &Name,
        holder: ConnectionId,
        member: MemberId,
    ) -> Result<bool, Failure> {
        let gone = Member {
            id: member,
            connection: holder.clone(),
            name: Some(name.clone()),
            subject: None,
            expires: self.clock.now(),
        };
        match self.free_from(room, name, &holder, gone).await? {
            Some(left) => {
                self.mourn(left).await;
                Ok(false)
            }
            None => Ok(true),
        }
    }

    /// What to do about a name that is taken and gets a number.
    ///
    /// Who has a number already keeps it, for else coming back would change it each time. Of the others
    /// each takes the lowest free number the first time. Whoever loses that as well is one of many, and
    /// takes any out of a range that grows with each refusal, for else only one of them would win
    /// each time.
    async fn another_name(
        &self,
        room: &Room,
        wanted: &Name,
        own: Option<&Name>,
        refusals: u32,
    ) -> Result<Name, Failure> {
        if let Some(own) = own {
            return Ok(own.clone());
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
            .ok_or_else(|| lost_every_race("find a free number", TRIES).into())
    }
}

/// What a connection is to be called: what it says, but where somebody has signed in.
fn called(connection: &Connection, said: &str) -> Result<Name, Refusal> {
    match &connection.identity {
        Some(identity) => Ok(identity.name.clone()),
        None => Name::parse(said),
    }
}

fn name_taken(wanted: &Name) -> Refusal {
    Refusal::new(
        Code::NameTaken,
        format!(
            "`{}` is taken in this room; choose another name",
            wanted.shown()
        ),
    )
}

/// The numbered form of `wanted` that whoever makes this step has in that place already.
fn own_number(step: Move<'_>, wanted: &Name) -> Option<Name> {
    let here = step.connection;
    let own = match step.resumed {
        Some(member) => member.name.as_ref(),
        None => here.name.as_ref().filter(|_| here.room == *step.room),
    }?;
    let number = own.key().strip_prefix(&wanted.numbered_key_prefix())?;
    let number = number.parse().ok()?;
    let numbered = wanted.numbered(number);
    // A name such as `ann-02` is no numbered one, and `ann-2` can be somebody else's.
    let is_own = (2..=NUMBER_MAX).contains(&number) && numbered.key() == own.key();
    is_own.then_some(numbered)
}

/// The widest range that a number is picked from.
const RANGE_MAX: u32 = 4_096;
