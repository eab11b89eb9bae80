//! Random lives of a room against a model: people come, speak, repeat themselves, come back and break
//! off, functions crash between any two calls of the store, days go by, and what is past its time is
//! removed in any order.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Dice, HISTORY, World};
use crate::ports::{Clock, ConnectionId, Timestamp};

/// API Gateway ends a connection after this.
const LIFETIME: Duration = Duration::from_hours(2);

/// One person, over all connections.
#[derive(Default)]
struct Person {
    connection: Option<(ConnectionId, u64)>,
    resume: Option<Value>,
    /// What was sent last and has no answer yet, and when it was sent first.
    unanswered: Option<(String, String, Timestamp)>,
    sent: u64,
}

/// What is known to have happened.
#[derive(Default)]
struct Model {
    /// By `seq`: the nonce, and what was said.
    stored: BTreeMap<u64, (String, String)>,
    texts: BTreeSet<String>,
    /// Of texts that were answered: their `seq`.
    answered: BTreeMap<String, u64>,
    crashes: u64,
    removed: u64,
}

struct Life {
    world: World,
    room: String,
    people: Vec<Person>,
    model: Model,
    dice: Dice,
    connections: u64,
}

impl Life {
    async fn new(seed: u64) -> Self {
        let world = World::new();
        let founder = world.connect("founder").await;
        let room = world.create(&founder, "founder").await;
        world.chat.depart(&founder).await.expect("the store works");
        let people = (0..4).map(|_| Person::default()).collect();
        Self {
            world,
            room,
            people,
            model: Model::default(),
            dice: Dice::new(seed),
            connections: 0,
        }
    }

    /// Sends a frame; the function may crash at any call of the store. `None` then.
    async fn send(&mut self, from: &ConnectionId, frame: Value) -> Option<Value> {
        if self.dice.below(4) > 0 {
            return Some(self.world.send(from, frame).await);
        }
        let steps = self.dice.below(25);
        self.world.store.step(true);
        let mut task = Box::pin(self.world.send(from, frame));
        let mut reply = None;
        for _ in 0..=steps {
            let polled = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            if let Poll::Ready(ready) = polled {
                reply = Some(ready);
                break;
            }
        }
        drop(task);
        self.world.store.step(false);
        self.model.crashes += u64::from(reply.is_none());
        reply
    }

    async fn comes(&mut self, who: usize) {
        self.connections += 1;
        let id = self.world.connect(&format!("c{}", self.connections)).await;
        let opened = self.world.clock.now().millis();
        let mut join = json!({"type": "join", "room": self.room, "name": format!("person {who}")});
        if let Some(resume) = &self.people[who].resume {
            join["resume"] = resume.clone();
        }
        match self.send(&id, join).await {
            Some(joined) if joined["type"] == "joined" => {
                let newest = self.model.stored.keys().next_back().copied().unwrap_or(0);
                assert_eq!(joined["seq"], newest, "{joined}");
                self.check_window(&joined);
                self.people[who].resume = Some(joined["resume"].clone());
                self.people[who].connection = Some((id, opened));
            }
            Some(refused) => {
                let code = refused["code"].as_str().unwrap_or_default();
                assert!(code == "no-such-room" || code == "name-taken", "{refused}");
                if code == "no-such-room" {
                    self.starts_anew(&id).await;
                }
                self.breaks_off(&id).await;
            }
            None => self.breaks_off(&id).await,
        }
    }

    async fn starts_anew(&mut self, by: &ConnectionId) {
        let newest = self.world.store.messages(&self.room);
        let last = newest.last().map(|it| it.at.after(HISTORY));
        let now = self.world.clock.now();
        assert!(
            last.is_none_or(|end| end <= now),
            "gone with visible messages"
        );
        let before = self.room.clone();
        while self.room == before {
            self.room = self.world.create(by, "founder").await;
        }
        (self.model.stored, self.model.answered) = (BTreeMap::new(), BTreeMap::new());
        for person in &mut self.people {
            *person = Person {
                sent: person.sent,
                ..Person::default()
            };
        }
    }

    /// Nobody is told, or `$disconnect` is.
    async fn breaks_off(&mut self, id: &ConnectionId) {
        self.world.outbox.gone(id);
        if self.dice.below(2) == 0 {
            self.world.chat.depart(id).await.expect("the store works");
        }
    }

    async fn speaks(&mut self, who: usize) {
        let Some((id, _)) = self.people[who].connection.clone() else {
            return self.comes(who).await;
        };
        let again = self.people[who].unanswered.clone();
        // An id is known for as long as its message can be seen.
        let now = self.world.clock.now();
        let again = again.filter(|(_, _, since)| since.after(HISTORY) > now);
        let (sent, text, since) = again.unwrap_or_else(|| {
            let person = &mut self.people[who];
            person.sent += 1;
            let sent = format!("{who}-{}", person.sent);
            (sent.clone(), format!("text {sent}"), now)
        });
        let frame = json!({"type": "message", "room": self.room, "id": sent, "text": text});
        self.people[who].unanswered = Some((sent, text.clone(), since));
        let Some(reply) = self.send(&id, frame).await else {
            return;
        };
        if reply["type"] == "error" {
            // A later connection of the same person took over, though its answer never came.
            assert_eq!(reply["code"], "not-connected", "{reply}");
            self.people[who].connection = None;
            return;
        }
        assert_eq!(reply["type"], "message", "{reply}");
        let seq = reply["seq"].as_u64().expect("a number");
        let first = *self.model.answered.entry(text).or_insert(seq);
        assert_eq!(seq, first, "the reply is the first one's");
        // Now and then the answer is lost, and the person does not know.
        if self.dice.below(5) > 0 {
            self.people[who].unanswered = None;
        }
    }

    async fn passes(&mut self) {
        let minutes = match self.dice.below(12) {
            0 => 60 * 24,
            1 => 60 * 3,
            2..6 => 40,
            _ => 1,
        };
        let minutes = self.dice.below(minutes) as u64 + 1;
        self.world.clock.advance(Duration::from_mins(minutes));
        let now = self.world.clock.now();
        for who in 0..self.people.len() {
            if let Some((id, opened)) = self.people[who].connection.clone()
                && u128::from(now.millis() - opened) > LIFETIME.as_millis()
            {
                self.people[who].connection = None;
                self.breaks_off(&id).await;
            }
        }
        let dice = &mut self.dice;
        let before = self.world.store.messages(&self.room).len();
        self.world.store.sweep(now, || dice.below(2) == 0);
        let after = self.world.store.messages(&self.room).len();
        self.model.removed += (before - after) as u64;
    }

    /// What is stored is what was, and perhaps the next ones.
    fn check(&mut self) {
        for message in self.world.store.messages(&self.room) {
            let next = self
                .model
                .stored
                .keys()
                .next_back()
                .map_or(1, |last| last + 1);
            let said = (message.nonce, message.text.clone());
            if let Some(before) = self.model.stored.get(&message.seq) {
                assert_eq!(*before, said, "{} is given twice", message.seq);
                continue;
            }
            let text = message.text;
            assert_eq!(
                message.seq, next,
                "a hole, or a place that was taken before"
            );
            assert!(self.model.texts.insert(text.clone()), "{text} twice");
            self.model.stored.insert(next, said);
        }
        for (text, seq) in &self.model.answered {
            let stored = self.model.stored.get(seq).map(|(_, text)| text);
            assert_eq!(stored, Some(text), "answered and not stored");
        }
    }

    /// All that can still be seen is there from `oldest` on, and nothing else.
    fn check_window(&self, joined: &Value) {
        let now = self.world.clock.now();
        let messages = self.world.store.messages(&self.room);
        let visible: Vec<u64> = messages
            .iter()
            .filter(|it| it.at.after(HISTORY) > now)
            .map(|it| it.seq)
            .collect();
        let seq = joined["seq"].as_u64().expect("a number");
        let oldest = visible.first().copied().unwrap_or(seq + 1);
        assert_eq!(joined["oldest"], oldest, "{joined}");
        let shown: Vec<u64> = joined["messages"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|it| it["seq"].as_u64())
            .collect();
        assert!(visible.ends_with(&shown), "{shown:?} of {visible:?}");
        assert_eq!(joined["more"], shown.len() < visible.len(), "{joined}");
    }
}

#[tokio::test]
async fn whatever_happens_places_are_dense_and_never_given_twice_and_nothing_answered_is_lost() {
    let (mut crashes, mut removed, mut stored) = (0, 0, 0);
    for seed in 1..=150 {
        let mut life = Life::new(seed).await;
        for _ in 0..120 {
            let who = life.dice.below(life.people.len());
            match life.dice.below(8) {
                0..5 => life.speaks(who).await,
                5 => life.comes(who).await,
                _ => life.passes().await,
            }
            life.check();
        }
        crashes += life.model.crashes;
        removed += life.model.removed;
        stored += life.model.texts.len();
    }
    assert!(crashes > 500, "{crashes}");
    assert!(removed > 500, "{removed}");
    assert!(stored > 2_000, "{stored}");
}
