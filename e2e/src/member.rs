//! A member of a room that loses nothing, as PROTOCOL.md tells clients to, on the worst of connections:
//! it drops them, leaves them half-open and resumes, as a stream of numbers has it.

mod hearing;
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, interval};

use crate::client::Client;
use crate::conversation::{Breach, Conversation, Roster, Said};
pub use trace::Trace;
use trace::brief;

/// How often it looks what is due.
const TICK: Duration = Duration::from_millis(50);

/// Messages that it has sent and got no answer for, at most.
const WINDOW: usize = 3;

/// How long it waits for answers before it asks again, and for any before it connects again.
const PATIENCE: Duration = Duration::from_secs(4);
const PATIENCE_END: Duration = Duration::from_secs(10);

/// How long a gap may fill by itself.
const GRACE: Duration = Duration::from_millis(150);

/// How often it asks for the newest message.
const PING_EVERY: Duration = Duration::from_secs(2);

/// How soon it sends again what could not be done just now.
const AGAIN: Duration = Duration::from_millis(200);

/// Numbers that repeat with their seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Draws(u64);

impl Draws {
    /// The stream of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit.max(1)
    }
}

/// What a member is to do.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the socket is.
    pub url: String,
    /// The room's code.
    pub room: String,
    /// What it is called, as nobody else of any room.
    pub name: String,
    /// The texts of its messages by their ids.
    pub says: Vec<(String, String)>,
    /// How many messages there are in the room at last.
    pub total: u64,
    /// Who is in the room at last; nobody looks otherwise.
    pub roster: Option<BTreeSet<String>>,
    /// Chooses its troubles.
    pub seed: u64,
    /// Its connection is in trouble again after from half this long to one and a half times as long,
    /// for as long as it has something to say.
    pub trouble_every: Option<Duration>,
}

/// What happened to it, and what it did about that.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// What it knows of the room.
    pub conversation: Conversation,
    /// The places of its own messages, as their replies or the room told them.
    pub answered: BTreeMap<String, u64>,
    /// How often what happened.
    pub happened: BTreeMap<String, u64>,
}

/// Who has all there is and knows who is there.
pub type Settled = watch::Sender<BTreeSet<String>>;

/// Takes part until `done`. Tells `settled` when it lacks nothing, and when it does so again.
///
/// # Errors
/// The first [`Breach`] of a promise.
pub async fn take_part(
    plan: Plan,
    settled: &Settled,
    done: watch::Receiver<bool>,
    trace: Trace,
) -> Result<Outcome, Breach> {
    let mut member = Member::new(plan, trace);
    let mut former = Vec::new();
    while !*done.borrow() {
        let Ok(client) = Client::try_connect(&member.plan.url).await else {
            member.happens("handshakes refused");
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        let mut session = Session::new(client);
        let end = member.attend(&mut session, settled, &done).await?;
        member.unsettle(settled);
        member.happens(end.name());
        match end {
            End::Closed => session.client.close().await,
            // The server knows nothing of it, and this end never reads again.
            End::HalfOpen => former.push(session.client),
            _ => session.client.vanish(),
        }
    }
    Ok(member.outcome)
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Done,
    Ended,
    Unknown,
    Silent,
    Dropped,
    Closed,
    HalfOpen,
}

impl End {
    fn name(self) -> &'static str {
        match self {
            Self::Done => "ends",
            Self::Ended => "connections ended by the server",
            Self::Unknown => "connections unknown to the server",
            Self::Silent => "connections given up",
            Self::Dropped => "connections dropped",
            Self::Closed => "connections closed",
            Self::HalfOpen => "connections left half-open",
        }
    }
}

/// A question without an answer yet.
#[derive(Clone, Copy, Debug)]
struct Asked {
    first: Instant,
    last: Instant,
}

impl Asked {
    fn now() -> Self {
        let now = Instant::now();
        Self {
            first: now,
            last: now,
        }
    }
}

struct Session {
    client: Client,
    joined: bool,
    join: Option<Asked>,
    history: Option<Asked>,
    ping: Option<Asked>,
    pinged: Instant,
    /// Since when it has lacked something without interruption.
    gap: Option<Instant>,
    trouble: Option<Instant>,
}

impl Session {
    fn new(client: Client) -> Self {
        Self {
            client,
            joined: false,
            join: None,
            history: None,
            ping: None,
            pinged: Instant::now(),
            gap: None,
            trouble: None,
        }
    }
}

struct Member {
    plan: Plan,
    trace: Trace,
    draws: Draws,
    started: Instant,
    resume: Option<String>,
    roster: Roster,
    /// Ids of its messages that are sent and not answered, and when they are to be sent again.
    pending: BTreeMap<String, (String, Instant)>,
    next: usize,
    /// Since when it has lacked nothing.
    complete: Option<Instant>,
    outcome: Outcome,
}

impl Member {
    fn new(plan: Plan, trace: Trace) -> Self {
        Self {
            draws: Draws::new(plan.seed),
            plan,
            trace,
            started: Instant::now(),
            resume: None,
            roster: Roster::default(),
            pending: BTreeMap::new(),
            next: 0,
            complete: None,
            outcome: Outcome::default(),
        }
    }

    fn happens(&mut self, what: &str) {
        self.tell(&format!("-- {what}"));
        *self.outcome.happened.entry(what.to_owned()).or_default() += 1;
    }

    fn tell(&self, line: &str) {
        let at = self.started.elapsed().as_secs_f64();
        self.trace
            .tell(format!("{at:8.3} {:>5} {line}", self.plan.name));
    }

    /// One connection, to its end.
    async fn attend(
        &mut self,
        session: &mut Session,
        settled: &Settled,
        done: &watch::Receiver<bool>,
    ) -> Result<End, Breach> {
        session.trouble = self.next_trouble();
        let mut tick = interval(TICK);
        let mut done = done.clone();
        loop {
            let end = tokio::select! {
                () = over(&mut done) => Some(End::Done),
                frame = session.client.receive() => match frame {
                    Some(frame) => self.hear(session, &frame, settled)?,
                    None => Some(End::Ended),
                },
                _ = tick.tick() => self.act(session).await,
            };
            if let Some(end) = end {
                return Ok(end);
            }
        }
    }

    fn next_trouble(&mut self) -> Option<Instant> {
        let every = u64::try_from(self.plan.trouble_every?.as_millis()).ok()?;
        let after = Duration::from_millis(every / 2 + self.draws.below(every));
        Some(Instant::now() + after)
    }

    /// Does what is due.
    async fn act(&mut self, session: &mut Session) -> Option<End> {
        let now = Instant::now();
        if let Some(end) = self.trouble(session, now).await {
            return Some(end);
        }
        let waits = [session.join, session.history, session.ping];
        let silent = waits.into_iter().flatten();
        if silent.into_iter().any(|it| now - it.first > PATIENCE_END) {
            return Some(End::Silent);
        }
        // A second `join` without a secret would be a second member, and either one's `joined` could
        // come last. A connection that is gone gives its name back.
        let first = session.join.filter(|_| self.resume.is_none());
        if first.is_some_and(|it| now - it.last > PATIENCE) {
            return Some(End::Silent);
        }
        for frame in self.due(session, now) {
            self.tell(&format!("> {}", brief(&frame)));
            if !session.client.try_send(&frame).await {
                return Some(End::Ended);
            }
        }
        None
    }

    /// The end of the connection, or its leaving the room for a moment, when that is due.
    async fn trouble(&mut self, session: &mut Session, now: Instant) -> Option<End> {
        let has_said_all = self.next == self.plan.says.len() && self.pending.is_empty();
        if has_said_all || session.trouble.is_none_or(|at| at > now) {
            return None;
        }
        session.trouble = self.next_trouble();
        match self.draws.below(6) {
            0 | 1 => Some(End::Dropped),
            2 => Some(End::Closed),
            3 | 4 => Some(End::HalfOpen),
            _ if session.joined => {
                self.happens("rooms left for a moment");
                // `left` is waited for, for as long as for an answer to `join`.
                (session.joined, session.join) = (false, Some(Asked::now()));
                let left = session.client.try_send(&json!({"type": "leave"})).await;
                (!left).then_some(End::Ended)
            }
            _ => None,
        }
    }

    fn due(&mut self, session: &mut Session, now: Instant) -> Vec<Value> {
        let mut frames = Vec::new();
        let overdue = |asked: Option<Asked>| asked.is_some_and(|it| now - it.last > PATIENCE);
        let again = |asked: &mut Option<Asked>| {
            let first = asked.map_or(now, |it| it.first);
            *asked = Some(Asked { first, last: now });
        };
        if (!session.joined && session.join.is_none()) || overdue(session.join) {
            again(&mut session.join);
            frames.push(self.join());
        }
        if !session.joined {
            return frames;
        }
        let lacks = self.outcome.conversation.misses_some();
        session.gap = if lacks {
            session.gap.or(Some(now))
        } else {
            None
        };
        let waited = session.gap.is_some_and(|since| now - since > GRACE);
        if (waited && session.history.is_none()) || overdue(session.history) {
            again(&mut session.history);
            let after = self.outcome.conversation.newest();
            frames.push(json!({"type": "history", "after": after, "limit": 100}));
        }
        if now - session.pinged > PING_EVERY {
            session.pinged = now;
            again(&mut session.ping);
            frames.push(json!({"type": "ping"}));
        }
        frames.extend(self.messages(now));
        frames
    }

    fn join(&self) -> Value {
        let mut frame = json!({
            "type": "join", "room": self.plan.room, "name": self.plan.name,
            "after": self.outcome.conversation.newest(),
        });
        if let Some(resume) = &self.resume {
            frame["resume"] = json!(resume);
        }
        frame
    }

    /// New messages, and those to be sent again.
    fn messages(&mut self, now: Instant) -> Vec<Value> {
        while self.pending.len() < WINDOW
            && let Some((id, text)) = self.plan.says.get(self.next)
        {
            self.next += 1;
            // Another member's frame may have told of it, should a former run have sent it.
            self.pending.insert(id.clone(), (text.clone(), now));
        }
        let mut frames = Vec::new();
        for (id, (text, at)) in &mut self.pending {
            if *at <= now {
                *at = now + PATIENCE;
                frames.push(
                    json!({"type": "message", "room": self.plan.room, "id": id, "text": text}),
                );
            }
        }
        frames
    }

    /// Sends whatever is not answered again, soon.
    fn hurry(&mut self) {
        let soon = Instant::now() + AGAIN;
        for (_, at) in self.pending.values_mut() {
            *at = (*at).min(soon);
        }
    }
}

async fn over(done: &mut watch::Receiver<bool>) {
    // Who has gone away needs nobody any more.
    let _ = done.wait_for(|done| *done).await;
}

/// Whether two say the same, for the tests' last look.
#[must_use]
pub fn first_difference<'a>(
    one: &'a [Said],
    other: &'a [Said],
) -> Option<(Option<&'a Said>, Option<&'a Said>)> {
    let longest = one.len().max(other.len());
    let mut pairs = (0..longest).map(|at| (one.get(at), other.get(at)));
    pairs.find(|(one, other)| one != other)
}
