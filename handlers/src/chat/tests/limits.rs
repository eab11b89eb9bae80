//! What may be done how often.

use std::time::Duration;

use serde_json::{Value, json};

use super::{HISTORY, World};
use crate::chat::memory::Stuttering;
use crate::chat::{Chat, Tempo};
use crate::ports::ConnectionId;

/// A world where each connection may say five messages a second.
fn with_tempo() -> World {
    let world = World::new();
    let chat = Chat::new(
        world.store.clone(),
        world.outbox.clone(),
        world.clock.clone(),
        Stuttering::default(),
        HISTORY,
    );
    World {
        chat: chat.with_tempo(Tempo::per_second(5)),
        ..world
    }
}

#[tokio::test]
async fn who_speaks_too_fast_is_told_how_long_to_wait_and_the_others_are_not_hindered() {
    let world = with_tempo();
    let (ann, bob) = (world.connect("a").await, world.connect("b").await);
    let room = world.create(&ann, "ann").await;
    world.join(&bob, &room, "bob").await;
    for number in 1..=20 {
        assert_eq!(world.say(&ann, "a flood").await["seq"], number);
    }
    world.outbox.take();
    let frame = json!({"type": "message", "room": room, "id": "one", "text": "too much"});
    let refused = world.send(&ann, frame.clone()).await;
    let told = (&refused["code"], &refused["wait"], &refused["id"]);
    assert_eq!(
        told,
        (&json!("too-fast"), &json!(200), &json!("one")),
        "{refused}"
    );
    assert_eq!(world.receivers(), [""; 0]);
    assert_eq!(world.say(&bob, "what is that?").await["seq"], 21);
    world.clock.advance(Duration::from_millis(200));
    let taken = world.send(&ann, frame.clone()).await;
    assert_eq!(
        (&taken["seq"], &taken["text"]),
        (&json!(22), &json!("too much"))
    );
    world.clock.advance(Duration::from_secs(5));
    assert_eq!(
        world.send(&ann, frame).await["seq"],
        22,
        "and sent again it is the same one"
    );
}

#[tokio::test]
async fn coming_back_to_a_room_as_another_member_is_no_faster_and_each_room_has_a_pace_of_its_own()
{
    let world = with_tempo();
    let ann = world.connect("a").await;
    let lobby = |text: &str| json!({"type": "message", "from": "ann", "text": text});
    for _ in 0..20 {
        assert_eq!(world.send(&ann, lobby("a flood")).await["type"], "message");
    }
    world.create(&ann, "ann").await;
    assert_eq!(world.say(&ann, "elsewhere").await["seq"], 1);
    world.send(&ann, json!({"type": "leave"})).await;
    assert_eq!(world.send(&ann, lobby("more")).await["code"], "too-fast");
    world.join(&ann, "lobby", "anna").await;
    assert_eq!(world.send(&ann, lobby("more")).await["code"], "too-fast");
    world.send(&ann, json!({"type": "leave"})).await;
    assert_eq!(world.send(&ann, lobby("more")).await["code"], "too-fast");
}

#[tokio::test]
async fn messages_at_the_same_time_are_counted_each() {
    let world = with_tempo();
    let ann = world.connect("a").await;
    let room = world.create(&ann, "ann").await;
    let frames = (0..60).map(|number| {
        json!({"type": "message", "room": room, "id": format!("{number}"), "text": "at once"})
    });
    world.store.step(true);
    let replies = futures_util::future::join_all(frames.map(|frame| world.send(&ann, frame))).await;
    world.store.step(false);
    let refused = replies.iter().filter(|it| it["code"] == "too-fast").count();
    assert_eq!((refused, world.store.messages(&room).len()), (40, 20));
}

#[tokio::test]
async fn rooms_are_made_so_often_a_minute_by_one_connection_and_by_all() {
    let world = World::new();
    let create = async |id: &ConnectionId| -> Value {
        world
            .send(id, json!({"type": "create", "name": "ann"}))
            .await
    };
    world.clock.advance(Duration::from_secs(15));
    let ann = world.connect("a").await;
    for _ in 0..60 {
        assert_eq!(create(&ann).await["type"], "joined");
    }
    let refused = create(&ann).await;
    assert_eq!(refused["code"], "too-fast", "{refused}");
    let wait = refused["wait"].as_u64().expect("a number");
    assert!((1..=60_000).contains(&wait), "{refused}");
    assert_eq!(create(&world.connect("b").await).await["type"], "joined");
    world.clock.advance(Duration::from_millis(wait));
    assert_eq!(create(&ann).await["type"], "joined", "in the next minute");

    let mut made = 1;
    for number in 0..25 {
        let id = world.connect(&format!("many {number}")).await;
        for _ in 0..60 {
            made += u32::from(create(&id).await["type"] == "joined");
        }
    }
    assert_eq!(made, 1_200);
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(create(&ann).await["type"], "joined");
}

#[tokio::test]
async fn many_wrong_codes_end_a_connection_and_a_few_do_not() {
    let world = World::new();
    let (ann, eve) = (world.connect("a").await, world.connect("e").await);
    let room = world.create(&ann, "ann").await;
    let guess = async |number: usize| {
        let code = format!("{number:010}");
        world.join(&eve, &code, "eve").await["code"].clone()
    };
    for number in 0..19 {
        assert_eq!(guess(number).await, "no-such-room");
    }
    // What cannot be a code is no guess.
    assert_eq!(world.join(&eve, "?", "eve").await["code"], "no-such-room");
    assert_eq!(world.join(&eve, &room, "eve").await["type"], "joined");
    assert_eq!(guess(19).await, "no-such-room");
    assert_eq!(guess(20).await, "not-connected");
    for code in [room.as_str(), "0000000000"] {
        assert_eq!(world.join(&eve, code, "eve").await["code"], "not-connected");
    }
    assert_eq!(world.store.traces_of(&eve), [""; 0]);
    let again = world.connect("again").await;
    assert_eq!(world.join(&again, &room, "eve").await["type"], "joined");
}

#[tokio::test]
async fn an_account_is_counted_with_all_its_connections_and_leaves_rooms_to_others() {
    let world = World::new();
    let create = json!({"type": "create", "name": ""});
    let mut made = 0;
    for number in 0..30 {
        let id = world
            .sign_in(&format!("m{number}"), "sub-many", "many")
            .await;
        for _ in 0..60 {
            made += u32::from(world.send(&id, create.clone()).await["type"] == "joined");
        }
    }
    assert_eq!(made, 60);
    let ann = world.sign_in("a", "sub-ann", "ann").await;
    assert_eq!(world.send(&ann, create).await["type"], "joined");
}

#[tokio::test]
async fn an_account_that_has_tried_many_codes_pays_each_further_one_with_a_connection_for_a_while()
{
    let world = World::new();
    let guess = async |number: usize| {
        let id = world.sign_in(&format!("g{number}"), "sub-eve", "eve").await;
        let code = format!("{number:010}");
        world.join(&id, &code, "").await["code"].clone()
    };
    for number in 0..20 {
        assert_eq!(guess(number).await, "no-such-room");
    }
    assert_eq!(guess(20).await, "not-connected");
    let other = world.sign_in("o", "sub-other", "other").await;
    let told = world.join(&other, "0000000000", "").await;
    assert_eq!(told["code"], "no-such-room", "another account");
    world.clock.advance(Duration::from_mins(130));
    assert_eq!(guess(21).await, "no-such-room", "and later again");
}

/// Ann and bob in a room of ann's at the beginning of a minute.
async fn two_in_a_room(world: &World) -> (ConnectionId, ConnectionId, String) {
    world.clock.advance(Duration::from_secs(40));
    let (ann, bob) = (world.connect("a").await, world.connect("b").await);
    let room = world.create(&ann, "ann").await;
    world.join(&bob, &room, "bob").await;
    world.clock.advance(Duration::from_mins(1));
    world.outbox.take();
    (ann, bob, room)
}

#[tokio::test]
async fn names_comings_and_goings_are_told_so_often_a_minute_and_others_are_not_hindered() {
    let world = World::new();
    let (ann, bob, room) = two_in_a_room(&world).await;
    let change = async |number: usize| match number % 3 {
        0 => {
            let name = format!("bob {number}");
            let rename = json!({"type": "rename", "name": name});
            world.send(&bob, rename).await
        }
        1 => world.send(&bob, json!({"type": "leave"})).await,
        _ => world.join(&bob, &room, "bob").await,
    };
    for number in 0..30 {
        let reply = change(number).await;
        assert_ne!(reply["type"], "error", "{number}: {reply}");
    }
    assert_eq!(world.heard("presence").len(), 30);
    for number in 0..300 {
        let refused = change(number).await;
        assert_eq!(refused["code"], "too-fast", "{number}: {refused}");
        assert!(
            (1..=60_000).contains(&refused["wait"].as_u64().expect("a number")),
            "{refused}"
        );
    }
    assert_eq!(world.heard("presence"), []);
    // What changes nothing is no change, and somebody else is somebody else.
    assert_eq!(world.say(&bob, "hi").await["from"], "bob");
    let rename = json!({"type": "rename", "name": "anna"});
    assert_eq!(world.send(&ann, rename).await["type"], "presence");
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(change(1).await["type"], "left", "in the next minute");
}

#[tokio::test]
async fn coming_back_to_where_one_is_counts_as_no_change_however_often() {
    let world = World::new();
    let (_, bob, room) = two_in_a_room(&world).await;
    let resume = world.join(&bob, &room, "bob").await["resume"].clone();
    let again = json!({"type": "join", "room": room, "name": "bob", "resume": resume});
    for _ in 0..100 {
        assert_eq!(world.send(&bob, again.clone()).await["type"], "joined");
    }
    assert_eq!(world.heard("presence"), []);
}

#[tokio::test]
async fn that_somebody_writes_is_told_so_often_a_minute_and_then_silently_not() {
    let world = World::new();
    let (ann, bob, _) = two_in_a_room(&world).await;
    let typing = json!({"type": "typing"});
    for _ in 0..200 {
        assert_eq!(world.send(&bob, typing.clone()).await["type"], "typing");
    }
    assert_eq!(world.heard("typing").len(), 60);
    world.send(&ann, typing.clone()).await;
    assert_eq!(world.heard("typing").len(), 1, "somebody else's");
    world.clock.advance(Duration::from_mins(1));
    world.send(&bob, typing).await;
    assert_eq!(world.heard("typing").len(), 1, "in the next minute");
}
