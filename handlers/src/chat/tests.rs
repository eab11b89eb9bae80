//! The rules against the ports in memory: what is stored and delivered in the end.

use std::time::Duration;

use serde_json::{Value, json};

use super::memory::{MemoryOutbox, MemoryStore, SetClock, Stuttering};
use super::{CONNECTION_TTL, Chat, Name, TEXT_CHARS_MAX, arrive};
use crate::ports::{Clock, Connection, ConnectionId, Identity, MemberId};

const HISTORY: Duration = Duration::from_hours(24);

mod crowd;
mod guarantees;
mod interleavings;
mod large;
mod limits;
mod model;
mod remove;
mod signed_in;

/// Numbers that repeat by their seed (xorshift64*).
struct Dice(u64);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(seed * 2 + 1)
    }

    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(drawn).expect("31 bits") % limit
    }
}

struct World {
    store: MemoryStore,
    outbox: MemoryOutbox,
    clock: SetClock,
    chat: Chat<MemoryStore, MemoryOutbox>,
}

impl World {
    fn new() -> Self {
        let (store, outbox) = (MemoryStore::default(), MemoryOutbox::default());
        let clock = SetClock::default();
        clock.advance(Duration::from_secs(1_700_000_000));
        let randomness = Stuttering::default();
        let chat = Chat::new(
            store.clone(),
            outbox.clone(),
            clock.clone(),
            randomness,
            HISTORY,
        );
        Self {
            store,
            outbox,
            clock,
            chat,
        }
    }

    async fn connect(&self, id: &str) -> ConnectionId {
        let id = ConnectionId::new(id);
        arrive(&self.store, &self.clock, &id, None)
            .await
            .expect("the store works");
        id
    }

    /// Connects somebody who has signed in.
    async fn sign_in(&self, id: &str, subject: &str, name: &str) -> ConnectionId {
        let id = ConnectionId::new(id);
        let identity = Identity {
            subject: subject.to_owned(),
            name: Name::parse(name).expect("a name"),
        };
        arrive(&self.store, &self.clock, &id, Some(&identity))
            .await
            .expect("the store works");
        id
    }

    async fn send(&self, from: &ConnectionId, frame: Value) -> Value {
        self.send_text(from, &frame.to_string()).await
    }

    async fn send_text(&self, from: &ConnectionId, frame: &str) -> Value {
        let reply = self.chat.answer(from, frame).await.to_json();
        serde_json::from_str(&reply).expect("a reply is JSON")
    }

    /// Creates a room and gives its code.
    async fn create(&self, id: &ConnectionId, name: &str) -> String {
        let joined = self.send(id, json!({"type": "create", "name": name})).await;
        assert_eq!(joined["type"], "joined", "{joined}");
        joined["room"].as_str().expect("a code").to_owned()
    }

    async fn join(&self, id: &ConnectionId, room: &str, name: &str) -> Value {
        self.send(id, json!({"type": "join", "room": room, "name": name}))
            .await
    }

    async fn say(&self, id: &ConnectionId, text: &str) -> Value {
        self.send(id, json!({"type": "message", "text": text}))
            .await
    }

    /// Who was posted something since the last time.
    fn receivers(&self) -> Vec<String> {
        let messages = self.heard("message").into_iter();
        messages.map(|(id, _)| id.to_string()).collect()
    }

    /// What was posted of one type since the last time; the rest is forgotten.
    fn heard(&self, kind: &str) -> Vec<(ConnectionId, Value)> {
        let posted = self.outbox.take().into_iter();
        let read = posted.map(|(id, frame)| (id, serde_json::from_str(&frame).expect("JSON")));
        read.filter(|(_, frame): &(_, Value)| frame["type"] == kind)
            .collect()
    }
}

#[tokio::test]
async fn a_message_without_anything_else_reaches_everyone_in_the_lobby_and_the_sender() {
    let world = World::new();
    let ann = world.connect("a").await;
    world.connect("b").await;
    world.connect("c").await;

    let reply = world
        .send(
            &ann,
            json!({"type": "message", "from": "ann", "text": "hi"}),
        )
        .await;

    let expected = json!({
        "type": "message", "room": "lobby", "seq": 1, "from": "ann", "text": "hi",
        "at": 1_700_000_000_000_u64,
    });
    assert_eq!(reply, expected);
    let delivered = world.outbox.take();
    assert_eq!(delivered.len(), 2);
    for (_, frame) in delivered {
        assert_eq!(
            serde_json::from_str::<Value>(&frame).expect("JSON"),
            expected
        );
    }
}

#[tokio::test]
async fn the_first_from_names_a_connection_and_later_ones_change_nothing() {
    let world = World::new();
    let ann = world.connect("a").await;
    world
        .send(&ann, json!({"type": "message", "from": "ann", "text": "1"}))
        .await;
    let reply = world
        .send(&ann, json!({"type": "message", "from": "bob", "text": "2"}))
        .await;
    assert_eq!(reply["from"], "ann");
    assert_eq!(world.say(&ann, "3").await["from"], "ann");
}

#[tokio::test]
async fn a_name_taken_in_the_lobby_gets_the_lowest_free_number() {
    let world = World::new();
    let mut names = Vec::new();
    for id in ["a", "b", "c", "d"] {
        let id = world.connect(id).await;
        let from = if names.len() == 1 { "ANN" } else { "ann" };
        let reply = world
            .send(&id, json!({"type": "message", "from": from, "text": "hi"}))
            .await;
        names.push(reply["from"].as_str().expect("a name").to_owned());
    }
    assert_eq!(names, ["ann", "ANN-2", "ann-3", "ann-4"]);

    world
        .chat
        .depart(&ConnectionId::new("b"))
        .await
        .expect("the store works");
    let late = world.connect("e").await;
    assert_eq!(world.join(&late, "lobby", "ann").await["name"], "ann-2");
}

#[tokio::test]
async fn a_taken_name_whose_holder_is_gone_is_free_again_in_the_lobby_and_in_a_room() {
    let world = World::new();
    for place in ["lobby", "room"] {
        let ghost = world.connect("ghost").await;
        let ann = world.connect("ann").await;
        let room = if place == "lobby" {
            world.join(&ghost, "lobby", "ann").await;
            "lobby".to_owned()
        } else {
            world.create(&ghost, "ann").await
        };
        world.outbox.gone(&ghost);
        let joined = world.join(&ann, &room, "ann").await;
        assert_eq!(joined["name"], "ann", "{joined}");
        assert_eq!(joined["count"], 1, "{joined}");
        assert_eq!(world.store.traces_of(&ghost), Vec::<String>::new());
        world.chat.depart(&ann).await.expect("the store works");
    }
}

#[tokio::test]
async fn a_name_left_behind_by_a_half_done_removal_is_free_again() {
    let world = World::new();
    let ghost = world.connect("ghost").await;
    let room = world.create(&ghost, "ann").await;
    world.store.lose_record(&ghost);
    world.outbox.gone(&ghost);
    let ann = world.connect("a").await;
    assert_eq!(
        world.join(&ann, &room, "ann").await["members"],
        json!(["ann"])
    );
    assert_eq!(world.store.traces_of(&ghost), Vec::<String>::new());
}

#[tokio::test]
async fn a_holder_that_cannot_be_looked_at_keeps_its_name() {
    let world = World::new();
    let ann = world.connect("a").await;
    let room = world.create(&ann, "ann").await;
    world.outbox.blind();
    let other = world.connect("b").await;
    assert_eq!(world.join(&other, &room, "ann").await["code"], "name-taken");
}

#[tokio::test]
async fn created_rooms_get_different_codes_even_when_chance_repeats_itself() {
    let world = World::new();
    let ann = world.connect("a").await;
    let bob = world.connect("b").await;
    let first = world.create(&ann, "ann").await;
    let second = world.create(&bob, "bob").await;
    assert_ne!(first, second);
    assert_eq!(first.len(), 11, "{first}");
}

#[tokio::test]
async fn what_is_said_in_a_room_stays_among_its_members() {
    let world = World::new();
    let (ann, bob, eve) = (
        world.connect("a").await,
        world.connect("b").await,
        world.connect("e").await,
    );
    let room = world.create(&ann, "ann").await;
    let joined = world
        .join(&bob, &room.to_lowercase().replace('-', " "), "bob")
        .await;
    let expected = json!({
        "type": "joined", "room": room, "name": "bob", "resume": joined["resume"],
        "members": ["ann", "bob"], "count": 2, "rev": 2, "seq": 0, "oldest": 1, "messages": [],
        "more": false,
    });
    assert_eq!(joined, expected);

    assert_eq!(world.say(&bob, "hi").await["room"], json!(room));
    assert_eq!(world.receivers(), ["a"]);
    world
        .send(
            &eve,
            json!({"type": "message", "from": "eve", "text": "anyone?"}),
        )
        .await;
    assert_eq!(world.receivers(), Vec::<String>::new());
}

#[tokio::test]
async fn join_of_unknown_room_is_refused_and_keeps_the_former_place() {
    let world = World::new();
    let ann = world.connect("a").await;
    let room = world.create(&ann, "ann").await;
    for unknown in ["ZZZZZ-ZZZZZ", "kitchen", ""] {
        assert_eq!(
            world.join(&ann, unknown, "ann").await["code"],
            "no-such-room",
            "{unknown}"
        );
    }
    assert_eq!(
        world.send(&ann, json!({"type": "ping"})).await["room"],
        json!(room)
    );
}

#[tokio::test]
async fn a_name_taken_in_a_room_is_refused_in_any_case_and_keeps_the_lobby() {
    let world = World::new();
    let (ann, other) = (world.connect("a").await, world.connect("b").await);
    let room = world.create(&ann, "Ann").await;
    assert_eq!(world.join(&other, &room, "aNN").await["code"], "name-taken");
    assert_eq!(
        world.store.traces_of(&other),
        ["in lobby", "member of lobby"]
    );
}

#[tokio::test]
async fn joining_again_under_another_name_renames_and_frees_the_former_one() {
    let world = World::new();
    let (ann, bob) = (world.connect("a").await, world.connect("b").await);
    let room = world.create(&ann, "ann").await;
    assert_eq!(
        world.join(&ann, &room, "anna").await["members"],
        json!(["anna"])
    );
    assert_eq!(
        world.join(&bob, &room, "ann").await["members"],
        json!(["ann", "anna"])
    );
}

#[tokio::test]
async fn a_move_from_room_to_room_leaves_nothing_in_the_first() {
    let world = World::new();
    let ann = world.connect("a").await;
    let first = world.create(&ann, "ann").await;
    let second = world.create(&ann, "ann").await;
    assert_eq!(
        world.store.traces_of(&ann),
        [
            format!("in {second}"),
            format!("member of {second}"),
            format!("holds ann in {second}")
        ]
    );
    assert_ne!(first, second);
}

#[tokio::test]
async fn leave_goes_back_to_the_lobby_without_a_name() {
    let world = World::new();
    let ann = world.connect("a").await;
    let room = world.create(&ann, "ann").await;
    assert_eq!(
        world.send(&ann, json!({"type": "leave"})).await,
        json!({"type": "left", "room": room})
    );
    assert_eq!(world.store.traces_of(&ann), ["in lobby", "member of lobby"]);
    assert_eq!(world.say(&ann, "hi").await["code"], "name-needed");
    assert_eq!(
        world.send(&ann, json!({"type": "leave"})).await["room"],
        "lobby"
    );
}

#[tokio::test]
async fn a_closed_connection_leaves_no_trace_and_its_late_frames_revive_nothing() {
    let world = World::new();
    let ann = world.connect("a").await;
    let room = world.create(&ann, "ann").await;
    world.chat.depart(&ann).await.expect("the store works");
    world.chat.depart(&ann).await.expect("again is no error");

    for frame in [
        json!({"type": "message", "from": "ann", "text": "late"}),
        json!({"type": "create", "name": "ann"}),
        json!({"type": "join", "room": room, "name": "ann"}),
        json!({"type": "leave"}),
        json!({"type": "ping"}),
    ] {
        assert_eq!(
            world.send(&ann, frame.clone()).await["code"],
            "not-connected",
            "{frame}"
        );
    }
    assert_eq!(world.store.traces_of(&ann), Vec::<String>::new());
}

#[tokio::test]
async fn a_join_that_a_disconnect_overtakes_revives_nothing() {
    let world = World::new();
    let (ann, bob) = (world.connect("a").await, world.connect("b").await);
    let room = world.create(&ann, "ann").await;
    let gone = bob.clone();
    world.store.before_enter(move |store| {
        // Everything of the connection goes between the rules' read and their write.
        store.forget(&gone);
    });
    assert_eq!(
        world.join(&bob, &room, "bob").await["code"],
        "not-connected"
    );
    assert_eq!(world.store.traces_of(&bob), Vec::<String>::new());
}

#[tokio::test]
async fn a_join_that_another_frame_of_the_connection_overtakes_is_carried_out_after_it() {
    let world = World::new();
    let (ann, bob) = (world.connect("a").await, world.connect("b").await);
    let room = world.create(&ann, "ann").await;
    let named = Connection {
        id: bob.clone(),
        room: super::Room::Lobby,
        member: MemberId::of_connection(&bob),
        name: Some(Name::parse("bob").expect("a name")),
        identity: None,
        expires: world.clock.now().after(CONNECTION_TTL),
    };
    world
        .store
        .before_enter(move |store| store.overwrite(named));
    assert_eq!(
        world.join(&bob, &room, "bob").await["members"],
        json!(["ann", "bob"])
    );
}

#[tokio::test]
async fn a_message_for_a_room_that_its_sender_is_not_in_is_heard_by_nobody() {
    let world = World::new();
    let (ann, bob) = (world.connect("a").await, world.connect("b").await);
    let room = world.create(&ann, "ann").await;
    let secret = json!({"type": "message", "room": room, "from": "bob", "text": "secret"});
    assert_eq!(
        world.send(&bob, secret.clone()).await["code"],
        "not-in-room"
    );
    assert_eq!(world.receivers(), Vec::<String>::new());
    assert_eq!(
        world.store.traces_of(&bob),
        ["in lobby", "member of lobby"],
        "not even named"
    );

    world.join(&bob, &room, "bob").await;
    assert_eq!(world.send(&bob, secret).await["type"], "message");
    assert_eq!(world.receivers(), ["a"]);
    let to_the_lobby = json!({"type": "message", "room": "lobby", "text": "hi"});
    assert_eq!(world.send(&bob, to_the_lobby).await["code"], "not-in-room");
}

#[tokio::test]
async fn where_many_write_at_once_the_lobby_numbers_and_a_room_tries_again() {
    let world = World::new();
    let (ann, bob) = (world.connect("a").await, world.connect("b").await);
    world.store.contend(1);
    assert_eq!(world.join(&ann, "lobby", "ann").await["name"], "ann-2");
    let room = world.create(&bob, "bob").await;
    world.store.contend(3);
    assert_eq!(world.join(&ann, &room, "ann").await["name"], "ann");
    world.store.contend(1000);
    assert_eq!(world.join(&ann, &room, "anna").await["code"], "try-again");
    world.store.contend(0);
    assert_eq!(
        world.send(&ann, json!({"type": "ping"})).await["room"],
        json!(room)
    );
}

/// Its record is written during `$connect`, before API Gateway knows the connection.
#[tokio::test]
async fn a_connection_still_in_its_handshake_is_not_taken_for_gone() {
    let world = World::new();
    let ann = world.connect("a").await;
    let young = world.connect("b").await;
    world.outbox.gone(&young);
    let hi = json!({"type": "message", "from": "ann", "text": "hi"});
    assert_eq!(world.send(&ann, hi.clone()).await["type"], "message");
    assert_eq!(
        world.store.traces_of(&young),
        ["in lobby", "member of lobby"]
    );

    world.clock.advance(super::fan_out::HANDSHAKE);
    world.send(&ann, hi).await;
    assert_eq!(
        world.store.traces_of(&young),
        Vec::<String>::new(),
        "by now it would be known"
    );
}

#[tokio::test]
async fn two_first_frames_at_once_settle_on_one_name() {
    let world = World::new();
    let ann = world.connect("a").await;
    let faster = Connection {
        id: ann.clone(),
        room: super::Room::Lobby,
        member: MemberId::of_connection(&ann),
        name: Some(Name::parse("first").expect("a name")),
        identity: None,
        expires: world.clock.now().after(CONNECTION_TTL),
    };
    world
        .store
        .before_enter(move |store| store.overwrite(faster));
    let reply = world
        .send(
            &ann,
            json!({"type": "message", "from": "second", "text": "hi"}),
        )
        .await;
    assert_eq!(reply["from"], "first", "{reply}");
}

#[tokio::test(start_paused = true)]
async fn a_receiver_found_gone_is_removed_and_the_others_are_served() {
    let world = World::new();
    let ann = world.connect("a").await;
    let room = world.create(&ann, "ann").await;
    let mut others = Vec::new();
    for number in 0..100 {
        let id = world.connect(&format!("m{number:03}")).await;
        world.join(&id, &room, &format!("member {number}")).await;
        others.push(id);
    }
    for id in others.iter().step_by(2) {
        world.outbox.gone(id);
    }
    world.outbox.failing(&others[1]);

    assert_eq!(world.say(&ann, "hi").await["type"], "message");
    assert_eq!(world.receivers().len(), 49);
    for (index, id) in others.iter().enumerate() {
        assert_eq!(world.store.traces_of(id).is_empty(), index % 2 == 0, "{id}");
    }
}

#[tokio::test]
async fn a_failing_store_is_told_without_its_inner_error_and_nothing_is_posted() {
    let world = World::new();
    let ann = world.connect("a").await;
    world.connect("b").await;
    world.store.fail(true);
    let reply = world
        .send(
            &ann,
            json!({"type": "message", "from": "ann", "text": "hi"}),
        )
        .await;
    assert_eq!(reply["code"], "try-again");
    assert!(!reply.to_string().contains("secret"), "{reply}");
    assert_eq!(world.receivers(), Vec::<String>::new());
    assert!(
        arrive(&world.store, &world.clock, &ann, None)
            .await
            .is_err()
    );
    world.store.fail(false);
    let reply = world
        .send(
            &ann,
            json!({"type": "message", "from": "ann", "text": "hi"}),
        )
        .await;
    assert_eq!(reply["type"], "message");
}

#[tokio::test]
async fn an_expired_connection_counts_as_absent() {
    let world = World::new();
    let (ann, bob) = (world.connect("a").await, world.connect("b").await);
    let room = world.create(&ann, "ann").await;
    world.clock.advance(CONNECTION_TTL);
    assert_eq!(
        world.send(&ann, json!({"type": "ping"})).await["code"],
        "not-connected"
    );
    let late = world.connect("c").await;
    assert_eq!(
        world.join(&late, &room, "ann").await["members"],
        json!(["ann"]),
        "an expired holder's name is free"
    );
    world.send(&late, json!({"type": "leave"})).await;
    world
        .send(
            &late,
            json!({"type": "message", "from": "late", "text": "hi"}),
        )
        .await;
    assert_eq!(world.receivers(), Vec::<String>::new(), "{bob} expired");
}

#[tokio::test]
async fn a_room_lives_on_with_every_join_and_ends_after_the_last() {
    let world = World::new();
    let room = {
        let ann = world.connect("a").await;
        world.create(&ann, "ann").await
    };
    for day in 0..3 {
        world.clock.advance(CONNECTION_TTL + HISTORY.mul_f64(0.9));
        let id = world.connect(&format!("d{day}")).await;
        assert_eq!(
            world.join(&id, &room, "ann").await["type"],
            "joined",
            "day {day}"
        );
    }
    world.clock.advance(CONNECTION_TTL + HISTORY);
    let late = world.connect("late").await;
    assert_eq!(
        world.join(&late, &room, "ann").await["code"],
        "no-such-room"
    );
}

#[tokio::test]
async fn bad_frames_are_answered_and_change_nothing() {
    let world = World::new();
    let ann = world.connect("a").await;
    world.connect("b").await;
    let long = "x".repeat(TEXT_CHARS_MAX + 1);
    let cases = [
        ("", "bad-json"),
        ("[1]", "bad-json"),
        ("{}", "bad-type"),
        (r#"{"type":"shout"}"#, "bad-type"),
        (r#"{"type":"message","from":"ann"}"#, "bad-field"),
        (r#"{"type":"message","from":"ann","text":"  "}"#, "bad-text"),
        (
            &format!(r#"{{"type":"message","from":"ann","text":"{long}"}}"#),
            "bad-text",
        ),
        (r#"{"type":"message","text":"hi"}"#, "name-needed"),
        (
            r#"{"type":"message","from":"a\u0007b","text":"hi"}"#,
            "bad-name",
        ),
        (r#"{"type":"create","name":""}"#, "bad-name"),
        (
            r#"{"type":"join","room":"lobby","name":"\u202e"}"#,
            "bad-name",
        ),
    ];
    for (frame, code) in cases {
        let reply = world.send_text(&ann, frame).await;
        assert_eq!(
            (reply["type"].as_str(), reply["code"].as_str()),
            (Some("error"), Some(code))
        );
        assert!(
            reply["message"]
                .as_str()
                .is_some_and(|message| message.len() > 20),
            "{reply}"
        );
    }
    assert_eq!(world.receivers(), Vec::<String>::new());
    assert_eq!(world.store.traces_of(&ann), ["in lobby", "member of lobby"]);
}

#[tokio::test]
async fn a_text_of_the_greatest_length_passes_whole() {
    let world = World::new();
    let ann = world.connect("a").await;
    let text = "é".repeat(TEXT_CHARS_MAX);
    let reply = world
        .send(
            &ann,
            json!({"type": "message", "from": "ann", "text": text}),
        )
        .await;
    assert_eq!(reply["text"], json!(text));
}

#[tokio::test]
async fn a_full_room_lists_two_hundred_names_and_counts_all() {
    let world = World::new();
    let ann = world.connect("a").await;
    let room = world.create(&ann, "ann").await;
    for number in 0..250 {
        let id = world.connect(&format!("m{number}")).await;
        world.join(&id, &room, &format!("{number:03}")).await;
    }
    let joined = world.join(&ann, &room, "zoe").await;
    let members = joined["members"].as_array().expect("a list");
    assert_eq!((members.len(), joined["count"].as_u64()), (200, Some(251)));
    assert!(
        members.contains(&json!("zoe")),
        "one's own name is always listed"
    );
    assert!(
        joined.to_string().len() < 32 * 1024,
        "fits one frame of API Gateway"
    );
}
