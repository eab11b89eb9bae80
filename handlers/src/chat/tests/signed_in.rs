//! Who has signed in is called what the account is called, whatever frames say.

use serde_json::json;

use super::World;
use crate::ports::Store;

#[tokio::test]
async fn the_accounts_name_counts_and_not_what_a_frame_says() {
    let world = World::new();
    let ann = world.sign_in("a", "sub-1", "Ann Lee").await;
    let room = world.create(&ann, "root").await;
    let joined = world.join(&ann, &room, "somebody else").await;
    assert_eq!(joined["name"], "Ann Lee");
    assert_eq!(joined["members"], json!(["Ann Lee"]));
    assert_eq!(world.say(&ann, "hi").await["from"], "Ann Lee");

    // Not even one that nobody could have.
    let bob = world.sign_in("b", "sub-2", "bob").await;
    let joined = world.join(&bob, &room, "").await;
    assert_eq!(joined["name"], "bob", "{joined}");
    let lobby = world.join(&bob, "lobby", "\u{200b}").await;
    assert_eq!(lobby["name"], "bob", "{lobby}");
}

#[tokio::test]
async fn in_the_lobby_the_first_message_is_the_accounts() {
    let world = World::new();
    let ann = world.sign_in("a", "sub-1", "ann").await;
    for frame in [
        json!({"type": "message", "from": "bob", "text": "hi"}),
        json!({"type": "message", "text": "hi"}),
    ] {
        let said = world.send(&ann, frame).await;
        assert_eq!(said["from"], "ann", "{said}");
    }
    let bob = world.sign_in("b", "sub-2", "bob").await;
    let said = world.say(&bob, "no `from` is needed").await;
    assert_eq!(said["from"], "bob", "{said}");
}

#[tokio::test]
async fn nobody_who_has_signed_in_is_called_something_else_later() {
    let world = World::new();
    let ann = world.sign_in("a", "sub-1", "ann").await;
    for place in ["a room", "the lobby"] {
        if place == "a room" {
            world.create(&ann, "ann").await;
        }
        let refused = world
            .send(&ann, json!({"type": "rename", "name": "bob"}))
            .await;
        assert_eq!(refused["code"], "name-fixed", "{place}: {refused}");
        assert_eq!(world.say(&ann, "hi").await["from"], "ann", "{place}");
        world.send(&ann, json!({"type": "leave"})).await;
    }
    assert!(world.heard("presence").is_empty());
}

#[tokio::test]
async fn two_accounts_of_one_name_are_both_let_into_a_room_and_told_apart() {
    let world = World::new();
    let (one, two) = (
        world.sign_in("a", "sub-1", "Ann").await,
        world.sign_in("b", "sub-2", "ann").await,
    );
    let room = world.create(&one, "").await;
    let second = world.join(&two, &room, "").await;
    assert_eq!(second["name"], "ann-2", "{second}");
    // Coming back with its secret it keeps that number.
    let again = world.sign_in("c", "sub-2", "ann").await;
    let resume = json!({"type": "join", "room": room, "name": "", "resume": second["resume"]});
    let resumed = world.send(&again, resume).await;
    assert_eq!(resumed["name"], "ann-2", "{resumed}");
    assert_eq!(resumed["members"], json!(["Ann", "ann-2"]));
}

#[tokio::test]
async fn who_has_signed_in_stays_that_wherever_the_connection_goes() {
    let world = World::new();
    let ann = world.sign_in("a", "sub-1", "ann").await;
    let room = world.create(&ann, "").await;
    world.send(&ann, json!({"type": "leave"})).await;
    world.join(&ann, &room, "").await;
    let record = world
        .store
        .connection(&ann, crate::ports::Timestamp::default());
    let record = record.await.expect("it works").expect("there");
    let identity = record.identity.expect("signed in");
    assert_eq!(
        (identity.subject.as_str(), identity.name.shown()),
        ("sub-1", "ann")
    );
}

#[tokio::test]
async fn without_signing_in_a_taken_name_is_refused_as_ever() {
    let world = World::new();
    let (ann, bob) = (world.connect("a").await, world.connect("b").await);
    let room = world.create(&ann, "ann").await;
    assert_eq!(world.join(&bob, &room, "ann").await["code"], "name-taken");
    assert_eq!(world.join(&bob, &room, "").await["code"], "bad-name");
}
