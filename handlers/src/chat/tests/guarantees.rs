//! What `PROTOCOL.md` promises beyond a message's way to those who are there, one by one.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::{HISTORY, World};
use crate::chat::presence::CROWD;
use crate::chat::{CONNECTION_TTL, Name, Room, TEXT_CHARS_MAX};
use crate::ports::{Clock, ConnectionId, Store};
use crate::protocol::FRAME_BYTES_MAX;

fn seqs(frame: &Value) -> Vec<u64> {
    let messages = frame["messages"].as_array().expect("a list");
    let seqs = messages
        .iter()
        .map(|it| it["seq"].as_u64().expect("a number"));
    seqs.collect()
}

/// Connections `a` and `b`, in one room as ann and bob.
async fn pair(world: &World) -> (ConnectionId, ConnectionId, String) {
    let (ann, bob) = (world.connect("a").await, world.connect("b").await);
    let room = world.create(&ann, "ann").await;
    world.join(&bob, &room, "bob").await;
    world.outbox.take();
    (ann, bob, room)
}

async fn back(world: &World, id: &ConnectionId, room: &str, name: &str, resume: &Value) -> Value {
    let join = json!({"type": "join", "room": room, "name": name, "resume": resume});
    world.send(id, join).await
}

async fn members(world: &World, room: &str) -> usize {
    let room = Room::parse(room).expect("a code");
    let view = world.store.view(&room, world.clock.now()).await;
    view.expect("the store works").members.len()
}

async fn history(world: &World, id: &ConnectionId, fields: Value) -> Value {
    let mut frame = json!({"type": "history"});
    for (name, value) in fields.as_object().expect("fields") {
        frame[name] = value.clone();
    }
    world.send(id, frame).await
}

#[tokio::test]
async fn what_was_missed_comes_with_the_join_or_by_history_in_order_and_once() {
    let world = World::new();
    let (ann, bob, room) = pair(&world).await;
    for number in 1..=250 {
        let said = world.say(&ann, &format!("text {number}")).await;
        assert_eq!(said["seq"], number);
    }
    world.chat.depart(&bob).await.expect("the store works");
    let bob = world.connect("b2").await;
    let join = json!({"type": "join", "room": room, "name": "bob", "after": 20});
    let joined = world.send(&bob, join).await;
    assert_eq!(seqs(&joined), (21..=120).collect::<Vec<_>>());
    assert_eq!(
        (&joined["more"], &joined["seq"], &joined["oldest"]),
        (&json!(true), &json!(250), &json!(1))
    );
    let next = history(&world, &bob, json!({"after": 120, "limit": 100})).await;
    assert_eq!(
        (seqs(&next), &next["more"]),
        ((121..=220).collect(), &json!(true))
    );
    let last = history(&world, &bob, json!({"after": 220})).await;
    assert_eq!(
        (seqs(&last), &last["more"]),
        ((221..=250).collect(), &json!(false))
    );
    assert_eq!(last["messages"][0]["text"], "text 221");
    let none = history(&world, &bob, json!({"after": 250})).await;
    assert_eq!((seqs(&none), &none["more"]), (vec![], &json!(false)));

    let newest = history(&world, &bob, json!({})).await;
    assert_eq!(
        (seqs(&newest), &newest["more"]),
        ((201..=250).collect(), &json!(true))
    );
    let before = history(&world, &bob, json!({"before": 4, "limit": 2})).await;
    assert_eq!((seqs(&before), &before["more"]), (vec![2, 3], &json!(true)));
    let first = history(&world, &bob, json!({"before": 3, "limit": 9})).await;
    assert_eq!((seqs(&first), &first["more"]), (vec![1, 2], &json!(false)));
    let pong = world.send(&bob, json!({"type": "ping"})).await;
    assert_eq!(
        pong,
        json!({"type": "pong", "room": room, "seq": 250, "rev": 4})
    );
}

#[tokio::test]
async fn no_frame_is_longer_than_32_kb_and_more_is_told_instead() {
    let world = World::new();
    let (ann, bob, room) = pair(&world).await;
    // A control character is six bytes of JSON.
    let long = "\u{1}".repeat(TEXT_CHARS_MAX - 1) + "x";
    for number in 0..250 {
        let id = world.connect(&format!("m{number}")).await;
        let name = format!("{number:03}{}", "𝒳".repeat(29));
        world.join(&id, &room, &name).await;
    }
    for _ in 0..3 {
        world.say(&ann, &long).await;
    }
    let frames = world.outbox.take();
    assert!(
        frames
            .iter()
            .all(|(_, frame)| frame.len() <= FRAME_BYTES_MAX)
    );
    let joined = world.join(&bob, &room, "bob").await;
    assert!(joined.to_string().len() <= FRAME_BYTES_MAX);
    assert_eq!(
        (seqs(&joined), &joined["more"]),
        (vec![], &json!(true)),
        "no room beside the names"
    );
    for (ask, seq) in [
        (json!({}), 3),
        (json!({"after": 1}), 2),
        (json!({"before": 3}), 2),
    ] {
        let page = history(&world, &bob, ask.clone()).await;
        assert!(page.to_string().len() <= FRAME_BYTES_MAX);
        assert_eq!(
            (seqs(&page), &page["more"]),
            (vec![seq], &json!(true)),
            "{ask}"
        );
    }
    let join = json!({"type": "join", "room": room, "name": "bob", "after": 2});
    let joined = world.send(&bob, join).await;
    assert_eq!((seqs(&joined), &joined["more"]), (vec![], &json!(true)));
}

#[tokio::test]
async fn a_resumed_member_has_its_name_at_once_and_the_old_connection_is_out() {
    let world = World::new();
    let (ann, bob, room) = pair(&world).await;
    let joined = world.join(&bob, &room, "bob").await;
    let resume = &joined["resume"];
    let hi = json!({"type": "message", "room": room, "id": "1", "text": "hi"});
    assert_eq!(world.send(&bob, hi.clone()).await["seq"], 1);
    world.outbox.take();

    let new = world.connect("new").await;
    assert_eq!(
        world.join(&new, &room, "Bob").await["code"],
        "name-taken",
        "without the secret"
    );
    let joined = back(&world, &new, &room, "bob", resume).await;
    assert_eq!(
        (&joined["name"], &joined["resume"]),
        (&json!("bob"), resume)
    );
    assert_eq!(joined["members"], json!(["ann", "bob"]));
    assert_eq!(world.heard("presence"), [], "nobody came or went");
    assert_eq!(world.send(&bob, hi.clone()).await["code"], "not-connected");
    assert_eq!(
        world.send(&new, hi).await["seq"],
        1,
        "ids are known across it"
    );
    world.say(&ann, "hello").await;
    assert_eq!(world.receivers(), ["new"]);

    world.chat.depart(&bob).await.expect("late");
    assert_eq!(world.join(&ann, &room, "bob").await["code"], "name-taken");
    // Its answer was lost: the same secret serves again, under another name as well.
    let third = world.connect("third").await;
    let joined = back(&world, &third, &room, "bobby", resume).await;
    assert_eq!(joined["members"], json!(["ann", "bobby"]));
    let heard = world.heard("presence");
    assert_eq!(heard.len(), 1);
    let was = (&heard[0].1["event"], &heard[0].1["was"]);
    assert_eq!(was, (&json!("rename"), &json!("bob")));
}

#[tokio::test]
async fn a_member_whose_disconnect_was_seen_is_still_the_same_when_it_comes_back() {
    let world = World::new();
    let (_, bob, room) = pair(&world).await;
    let resume = world.join(&bob, &room, "bob").await["resume"].clone();
    let hi = json!({"type": "message", "room": room, "id": "1", "text": "hi"});
    world.send(&bob, hi.clone()).await;
    world.chat.depart(&bob).await.expect("the store works");
    let new = world.connect("new").await;
    back(&world, &new, &room, "bob", &resume).await;
    assert_eq!(world.send(&new, hi.clone()).await["seq"], 1);
    let other = world.connect("other").await;
    for wrong in [json!("0".repeat(26)), json!("x"), json!(null)] {
        let refused = back(&world, &other, &room, "bob", &wrong).await;
        assert_eq!(refused["code"], "name-taken", "{wrong}");
    }
    world.join(&other, &room, "eve").await;
    assert_eq!(
        world.send(&other, hi).await["seq"],
        2,
        "an id is its member's own"
    );
}

/// Who came back kept asking for the name that it had asked for first, and got the next number.
#[tokio::test]
async fn who_comes_back_to_the_lobby_keeps_its_number_and_nobody_hears_of_it() {
    let world = World::new();
    let (ann, second) = (world.connect("a").await, world.connect("b").await);
    world.join(&ann, "lobby", "ann").await;
    let first = world.join(&second, "lobby", "ann").await;
    let resume = &first["resume"];
    world.outbox.take();

    let new = world.connect("new").await;
    for (id, contended) in [(&second, 0), (&second, 2), (&new, 0), (&new, 2)] {
        world.store.contend(contended);
        let joined = back(&world, id, "lobby", "ann", resume).await;
        assert_eq!(joined["name"], "ann-2", "{id} {contended}: {joined}");
        assert_eq!(joined["members"], json!(["ann", "ann-2"]), "{joined}");
        assert_eq!(joined["rev"], first["rev"], "{joined}");
        assert_eq!(world.outbox.take(), [], "{id} {contended}");
    }
    // Before the end of its former connection is seen, which changes nothing.
    world.chat.depart(&second).await.expect("late");
    let again = back(&world, &new, "lobby", "ann", resume).await;
    assert_eq!(again["members"], json!(["ann", "ann-2"]), "{again}");
    assert_eq!(world.heard("presence"), []);
}

#[tokio::test]
async fn only_a_numbered_form_of_the_name_asked_for_is_kept() {
    for (held, asked, got) in [
        ("ann-2", "ann", "ann-2"),
        ("ANN-7", "ann", "ann-7"),
        ("ann-1", "ann", "ann-2"),
        ("ann-02", "ann", "ann-2"),
        ("ann-+4", "ann", "ann-2"),
        ("ann-1000000", "ann", "ann-2"),
        ("anna-3", "ann", "ann-2"),
        ("ann-3", "anna", "anna-2"),
    ] {
        let world = World::new();
        for (id, name) in [("a", "ann"), ("b", "anna")] {
            world.join(&world.connect(id).await, "lobby", name).await;
        }
        let member = world.connect("c").await;
        let resume = world.join(&member, "lobby", held).await["resume"].clone();
        let joined = back(&world, &member, "lobby", asked, &resume).await;
        assert_eq!(joined["name"], got, "{held} asks for {asked}");
        assert_eq!(joined["count"], 3, "{held} asks for {asked}");
    }
}

#[tokio::test]
async fn a_number_that_was_lost_to_somebody_else_is_not_insisted_on() {
    let world = World::new();
    let (second, other) = (world.connect("b").await, world.connect("c").await);
    world.join(&world.connect("a").await, "lobby", "ann").await;
    let resume = world.join(&second, "lobby", "ann").await["resume"].clone();
    let lost = Name::recorded("ann-2".to_owned());
    let freed = world.store.free_name(&Room::Lobby, &lost, &second).await;
    freed.expect("the store works");
    assert_eq!(world.join(&other, "lobby", "ann").await["name"], "ann-2");
    let joined = back(&world, &second, "lobby", "ann", &resume).await;
    assert_eq!(joined["name"], "ann-3", "{joined}");
}

#[tokio::test]
async fn a_number_from_one_room_is_not_brought_into_the_lobby() {
    let world = World::new();
    let (ann, other) = (world.connect("a").await, world.connect("b").await);
    world.join(&ann, "lobby", "ann").await;
    world.create(&other, "ann-7").await;
    assert_eq!(world.join(&other, "lobby", "ann").await["name"], "ann-2");
}

#[tokio::test]
async fn a_message_sent_again_is_answered_as_the_first_time_and_heard_once() {
    let world = World::new();
    let (ann, _, room) = pair(&world).await;
    let hi = json!({"type": "message", "room": room, "id": "one", "text": "hi"});
    let first = world.send(&ann, hi.clone()).await;
    assert_eq!((&first["seq"], &first["id"]), (&json!(1), &json!("one")));
    assert_eq!(world.receivers(), ["b"]);
    world.say(&ann, "between").await;
    world.clock.advance(Duration::from_mins(5));
    world.outbox.take();
    assert_eq!(
        world.send(&ann, hi).await,
        first,
        "with the first one's time, too"
    );
    assert_eq!(world.receivers(), [""; 0]);
    for id in ["", &"x".repeat(65)] {
        let bad = json!({"type": "message", "id": id, "text": "hi"});
        assert_eq!(world.send(&ann, bad).await["code"], "bad-field", "{id}");
    }
    let refused = json!({"type": "message", "id": "two", "text": ""});
    assert_eq!(world.send(&ann, refused).await["id"], "two");
}

#[tokio::test]
async fn everyone_hears_who_comes_goes_and_is_called_otherwise_with_a_growing_rev() {
    let world = World::new();
    let (ann, bob, room) = pair(&world).await;
    let eve = world.connect("e").await;
    world.join(&eve, &room, "eve").await;
    let renamed = world
        .send(&eve, json!({"type": "rename", "name": "Eva"}))
        .await;
    assert_eq!(renamed["type"], "presence");
    world.send(&eve, json!({"type": "leave"})).await;
    world
        .send(&bob, json!({"type": "create", "name": "bob"}))
        .await;
    let heard = world.heard("presence").into_iter();
    let mut heard: Vec<_> = heard.filter(|(id, _)| *id == ann).collect();
    heard.sort_by_key(|(_, frame)| frame["rev"].as_u64());
    let expected = [
        ("join", "eve", json!(null), json!(["ann", "bob", "eve"])),
        ("rename", "Eva", json!("eve"), json!(["ann", "bob", "Eva"])),
        ("leave", "Eva", json!(null), json!(["ann", "bob"])),
        ("leave", "bob", json!(null), json!(["ann"])),
    ];
    assert_eq!(heard.len(), expected.len(), "{heard:?}");
    for (number, ((_, frame), (event, name, was, members))) in
        heard.iter().zip(&expected).enumerate()
    {
        assert_eq!(frame["event"], *event);
        assert_eq!(
            (&frame["name"], &frame["was"], &frame["members"]),
            (&json!(name), was, members)
        );
        assert_eq!(frame["rev"], number + 3);
    }
    assert_eq!(
        world
            .send(&eve, json!({"type": "rename", "name": "a\u{0}"}))
            .await["code"],
        "bad-name"
    );
}

#[tokio::test]
async fn who_dies_in_silence_is_announced_by_the_next_message_or_when_its_time_is_over() {
    let world = World::new();
    let (ann, bob, room) = pair(&world).await;
    let eve = world.connect("e").await;
    world.join(&eve, &room, "eve").await;
    world.outbox.take();
    world.outbox.gone(&bob);
    world.say(&ann, "anyone?").await;
    let heard = world.heard("presence");
    let to_eve: Vec<_> = heard.iter().filter(|(id, _)| *id == eve).collect();
    assert_eq!(to_eve.len(), 1);
    assert_eq!(
        (&to_eve[0].1["event"], &to_eve[0].1["name"]),
        (&json!("leave"), &json!("bob"))
    );
    assert_eq!(to_eve[0].1["members"], json!(["ann", "eve"]));

    world.clock.advance(CONNECTION_TTL / 2);
    let late = world.connect("late").await;
    world.join(&late, &room, "late").await;
    world.clock.advance(CONNECTION_TTL / 2);
    world.outbox.take();
    world.send(&late, json!({"type": "ping"})).await;
    let heard = world.heard("presence");
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert_eq!(
        (&heard[0].1["event"], &heard[0].1["members"]),
        (&json!("sync"), &json!(["late"]))
    );
    assert!(heard[0].1.get("name").is_none());
}

#[tokio::test]
async fn in_a_crowd_changes_of_a_second_are_announced_together_and_none_is_lost() {
    let world = World::new();
    let (ann, bob, room) = pair(&world).await;
    for number in 0..CROWD {
        let id = world.connect(&format!("m{number}")).await;
        world.join(&id, &room, &format!("{number:03}")).await;
    }
    world.clock.advance(Duration::from_secs(1));
    world.outbox.take();
    let mut joined = Value::Null;
    for number in 0..10 {
        let id = world.connect(&format!("n{number}")).await;
        joined = world.join(&id, &room, &format!("new {number}")).await;
    }
    let to_bob = |heard: Vec<(ConnectionId, Value)>| {
        heard
            .into_iter()
            .filter(|(id, _)| *id == bob)
            .map(|it| it.1)
            .collect::<Vec<_>>()
    };
    let heard = to_bob(world.heard("presence"));
    assert_eq!(heard.len(), 1, "{heard:?}");
    // The first of the ten was announced with the list; each of the others sees that list and itself.
    assert_eq!(joined["count"], CROWD + 4);
    assert_eq!(
        joined["rev"],
        heard[0]["rev"].as_u64().expect("a number") - 1
    );
    let listed = joined["members"].as_array().expect("names");
    assert!(listed.contains(&json!("new 9")), "{joined}");
    world.clock.advance(Duration::from_secs(1));
    world.send(&ann, json!({"type": "ping"})).await;
    let heard = to_bob(world.heard("presence"));
    assert_eq!((heard.len(), &heard[0]["count"]), (1, &json!(CROWD + 12)));
    world.send(&ann, json!({"type": "ping"})).await;
    assert_eq!(world.heard("presence"), [], "and once");
    world.send(&ann, json!({"type": "typing"})).await;
    assert_eq!(world.heard("typing"), [], "too many to tell");
}

/// Within the second somebody goes and comes back, and so nobody announces anything. Who comes back in
/// between, where the list is neither the former nor the next one, must not keep what is not right: neither
/// a list that was kept, nor, should that be lost, one that was read then.
#[tokio::test]
async fn who_comes_into_a_crowd_between_two_changes_that_undo_each_other_has_the_right_list() {
    for is_lost in [false, true] {
        comes_between_two_changes(is_lost).await;
    }
}

async fn comes_between_two_changes(is_lost: bool) {
    let world = World::new();
    let (ann, bob, room) = pair(&world).await;
    for number in 0..CROWD {
        let id = world.connect(&format!("m{number}")).await;
        world.join(&id, &room, &format!("{number:03}")).await;
    }
    let resume = world.join(&bob, &room, "bob").await["resume"].clone();
    world.clock.advance(Duration::from_secs(1));
    world.send(&ann, json!({"type": "ping"})).await;
    let anew = world.connect("b2").await;
    world.send(&ann, json!({"type": "leave"})).await;
    if is_lost {
        world.store.lose_lists();
        // Its list may not be on its way any more.
    }
    let between = back(&world, &anew, &room, "bob", &resume).await;
    let without_ann = if is_lost { CROWD + 1 } else { CROWD + 2 };
    assert_eq!(between["count"], without_ann, "{between}");
    world.join(&ann, &room, "ann").await;
    world.clock.advance(Duration::from_secs(1));
    let pong = world.send(&anew, json!({"type": "ping"})).await;
    let is_older = pong["rev"].as_u64() > between["rev"].as_u64();
    assert_eq!(is_older, is_lost, "{pong} {between}");
    let joined = back(&world, &anew, &room, "bob", &resume).await;
    assert_eq!(
        (&joined["count"], &joined["rev"]),
        (&json!(CROWD + 2), &pong["rev"])
    );
}

/// A `join` that was carried out and neither answered nor announced is sent again.
#[tokio::test]
async fn who_joins_again_after_a_crash_is_announced_then() {
    let world = World::new();
    let (ann, _, room) = pair(&world).await;
    let eve = world.connect("e").await;
    // As many calls as it takes until she is in the room, and no more.
    let mut calls = 0;
    while members(&world, &room).await < 3 {
        calls += 1;
        world.store.works_for(Some(calls));
        world.join(&eve, &room, "eve").await;
        world.store.works_for(None);
    }
    assert_eq!(world.heard("presence"), [], "nobody told of her");
    let joined = world.join(&eve, &room, "eve").await;
    let heard = world.heard("presence");
    let to_ann = heard.iter().find(|(id, _)| *id == ann);
    let (_, presence) = to_ann.expect("ann hears of her");
    assert_eq!(
        (&presence["members"], &presence["rev"]),
        (&joined["members"], &joined["rev"])
    );
}

/// A train with most of a room in it enters a tunnel.
#[tokio::test(start_paused = true)]
async fn many_who_are_gone_are_removed_together_and_told_of_once() {
    const GONE: u32 = 150;
    let world = World::new();
    let (ann, bob, room) = pair(&world).await;
    let mut train = Vec::new();
    for number in 0..GONE {
        let id = world.connect(&format!("m{number}")).await;
        world.join(&id, &room, &format!("{number:03}")).await;
        train.push(id);
    }
    for id in &train {
        world.outbox.gone(id);
    }
    world.clock.advance(Duration::from_secs(1));
    world.outbox.take();
    let call = Duration::from_millis(10);
    world.store.takes(call);
    let started = Instant::now();
    world.say(&ann, "anyone there?").await;
    let took = started.elapsed();
    assert!(took < call * GONE, "one after another, it seems: {took:?}");
    world.store.takes(Duration::ZERO);
    assert_eq!(members(&world, &room).await, 2);
    let heard = world.heard("presence");
    let to_bob = heard.iter().filter(|(id, _)| *id == bob);
    assert_eq!(to_bob.count(), 1, "{heard:?}");
}

#[tokio::test]
async fn in_the_lobby_a_connect_is_not_announced_and_who_did_not_join_hears_messages_alone() {
    let world = World::new();
    let plain = world.connect("plain").await;
    let ann = world.connect("a").await;
    let joined = world.join(&ann, "lobby", "ann").await;
    assert_eq!(
        (&joined["members"], &joined["rev"]),
        (&json!(["ann"]), &json!(1))
    );
    let bob = world.connect("b").await;
    world.chat.depart(&bob).await.expect("the store works");
    assert_eq!(world.outbox.take(), []);
    let hi = json!({"type": "message", "from": "plain", "text": "hi"});
    assert_eq!(world.send(&plain, hi).await["seq"], 1);
    let heard: Vec<_> = world.outbox.take().into_iter().map(|(id, _)| id).collect();
    assert_eq!(
        heard,
        [ann.clone(), ann.clone()],
        "the name, and the message"
    );
    world.send(&ann, json!({"type": "typing"})).await;
    world
        .send(&ann, json!({"type": "rename", "name": "anna"}))
        .await;
    world.join(&world.connect("c").await, "lobby", "ann").await;
    let heard = world.outbox.take().into_iter();
    assert_eq!(heard.filter(|(id, _)| *id == plain).count(), 0);
    assert_eq!(world.say(&ann, "hello").await["seq"], 2);
    let mut receivers = world.receivers();
    receivers.sort();
    assert_eq!(receivers, ["c", "plain"]);
    let pong = world.send(&plain, json!({"type": "ping"})).await;
    assert_eq!(
        pong,
        json!({"type": "pong", "room": "lobby", "seq": 2, "rev": 4})
    );
}

#[tokio::test]
async fn typing_reaches_the_others_and_nothing_is_kept_of_it() {
    let world = World::new();
    let (ann, _, room) = pair(&world).await;
    let reply = world.send(&ann, json!({"type": "typing"})).await;
    assert_eq!(
        reply,
        json!({"type": "typing", "room": room, "from": "ann"})
    );
    let heard = world.heard("typing");
    assert_eq!(heard, [(ConnectionId::new("b"), reply)]);
    let nobody = world.connect("n").await;
    assert_eq!(
        world.send(&nobody, json!({"type": "typing"})).await["code"],
        "name-needed"
    );
    assert_eq!(world.say(&ann, "hi").await["seq"], 1);
}

#[tokio::test]
async fn only_members_hear_read_and_see_a_room() {
    let world = World::new();
    let (ann, bob, room) = pair(&world).await;
    world.say(&ann, "secret").await;
    world.send(&bob, json!({"type": "leave"})).await;
    world.outbox.take();
    let page = history(&world, &bob, json!({})).await;
    assert_eq!((&page["room"], seqs(&page)), (&json!("lobby"), vec![]));
    let intruding = json!({"type": "message", "room": room, "id": "1", "text": "hi"});
    assert_eq!(world.send(&bob, intruding).await["code"], "not-in-room");
    world
        .send(&ann, json!({"type": "rename", "name": "anna"}))
        .await;
    world.say(&ann, "more").await;
    assert_eq!(world.outbox.take(), []);
}

/// The worst receiver there is: it answers 429 for ever.
#[tokio::test(start_paused = true)]
async fn a_receiver_that_is_always_throttled_holds_nobody_up_beyond_the_budget() {
    let world = World::new();
    let (ann, bob, room) = pair(&world).await;
    let eve = world.connect("e").await;
    world.join(&eve, &room, "eve").await;
    world.outbox.take();
    world.outbox.failing(&bob);
    let before = world.outbox.attempts();
    let started = Instant::now();
    let saying = world.say(&ann, "hi");
    let watching = async {
        while world.outbox.attempts() < before + 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(world.receivers(), ["e"], "before it was tried again");
    };
    let (said, ()) = futures_util::future::join(saying, watching).await;
    assert_eq!(said["seq"], 1);
    assert!(
        started.elapsed() < Duration::from_secs(3),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(
        world.outbox.attempts() - before,
        6,
        "five times, and once to who works"
    );
    world.outbox.working(&bob);
    let missed = history(&world, &bob, json!({"after": 0})).await;
    assert_eq!(missed["messages"][0]["text"], "hi");
}

#[tokio::test]
async fn a_message_whose_time_is_over_is_not_shown_and_its_place_is_not_given_again() {
    let world = World::new();
    let (ann, _, room) = pair(&world).await;
    for _ in 0..30 {
        world.say(&ann, "old").await;
    }
    world.clock.advance(CONNECTION_TTL.mul_f64(0.99));
    world.say(&ann, "young").await;
    // All connections are over by now, and somebody comes while the room is kept.
    world.clock.advance(HISTORY.mul_f64(0.95));
    let late = world.connect("late").await;
    let joined = world.join(&late, &room, "late").await;
    assert_eq!(
        (&joined["oldest"], &joined["seq"]),
        (&json!(31), &json!(31))
    );
    assert_eq!((seqs(&joined), &joined["more"]), (vec![31], &json!(false)));
    for hours in [0, 1, 1, 2, 1] {
        world.clock.advance(Duration::from_hours(hours));
        let mut odd = false;
        world.store.sweep(world.clock.now(), || {
            odd = !odd;
            odd
        });
        let page = history(&world, &late, json!({"after": 0})).await;
        if page["type"] == "history" {
            let visible = if world
                .store
                .messages(&room)
                .last()
                .is_some_and(|it| it.at.after(HISTORY) > world.clock.now())
            {
                vec![31]
            } else {
                vec![]
            };
            assert_eq!(seqs(&page), visible, "{page}");
            assert_eq!(page["oldest"], if visible.is_empty() { 32 } else { 31 });
        }
    }
    world.store.sweep(world.clock.now(), || true);
    assert_eq!(world.store.messages(&room), []);
    let later = world.connect("later").await;
    let joined = world.join(&later, &room, "later").await;
    assert_eq!(
        (&joined["seq"], &joined["oldest"]),
        (&json!(31), &json!(32))
    );
    assert_eq!(world.say(&later, "next").await["seq"], 32);
}

/// A `presence` that did not arrive is found out by `pong`, and `join` brings the list again.
#[tokio::test(start_paused = true)]
async fn who_missed_a_change_of_members_learns_of_it_by_pong_and_of_the_list_by_joining_again() {
    let world = World::new();
    let (_, bob, room) = pair(&world).await;
    let joined = world.join(&bob, &room, "bob").await;
    world.outbox.failing(&bob);
    let eve = world.connect("e").await;
    world.join(&eve, &room, "eve").await;
    world.outbox.working(&bob);
    world.outbox.take();
    let pong = world.send(&bob, json!({"type": "ping"})).await;
    assert_eq!((&joined["rev"], &pong["rev"]), (&json!(2), &json!(3)));
    let joined = back(&world, &bob, &room, "bob", &joined["resume"]).await;
    assert_eq!((&joined["rev"], &joined["count"]), (&json!(3), &json!(3)));
    assert_eq!(world.outbox.take(), [], "nobody else hears of it");
}

/// At every step of a message there is: as long as it is not stored, nobody has it.
#[tokio::test]
async fn nobody_gets_a_message_at_a_moment_when_it_is_not_stored() {
    let world = World::new();
    let (ann, _, room) = pair(&world).await;
    let hi = json!({"type": "message", "room": room, "id": "1", "text": "hi"});
    world.store.step(true);
    let mut saying = Box::pin(world.send(&ann, hi));
    let mut steps = 0;
    loop {
        let polled = futures_util::poll!(saying.as_mut());
        if polled.is_ready() {
            break;
        }
        steps += 1;
        if world.store.messages(&room).is_empty() {
            assert_eq!(world.outbox.take(), [], "step {steps}");
        }
    }
    drop(saying);
    world.store.step(false);
    assert!(steps >= 4, "{steps}");
    assert_eq!(world.receivers(), ["b"]);
}

#[tokio::test]
async fn a_failing_store_sends_nothing_and_a_message_takes_no_more_calls_than_it_needs() {
    let world = World::new();
    let (ann, _, room) = pair(&world).await;
    let hi = json!({"type": "message", "room": room, "text": "hi"});
    let calls = world.store.calls();
    world.send(&ann, hi.clone()).await;
    // Head and members, newest, append: with the room given nothing else is asked.
    assert_eq!(world.store.calls() - calls, 4);
    world.store.fail(true);
    world.outbox.take();
    assert_eq!(world.send(&ann, hi).await["code"], "try-again");
    assert_eq!(world.outbox.take(), []);
    assert_eq!(world.store.messages(&room).len(), 1);
}
