//! Removing somebody: what everybody gets, who may, and that nobody comes back, whatever happens at the
//! same time and wherever it ends.

use std::rc::Rc;

use serde_json::{Value, json};

use super::World;
use super::interleavings::{Crash, Orders, Run, Task, in_orders, message, sends};
use crate::ports::ConnectionId;

fn remove(name: &str) -> Value {
    json!({"type": "remove", "name": name})
}

/// A room that ann has made, with bob and cem in it, and the `resume` of each.
struct Scene {
    world: Rc<World>,
    room: String,
    ids: [ConnectionId; 3],
    resumes: [Value; 3],
}

impl Scene {
    async fn new() -> Self {
        let world = Rc::new(World::new());
        let ids = [
            world.connect("a").await,
            world.connect("b").await,
            world.connect("c").await,
        ];
        let created = world
            .send(&ids[0], json!({"type": "create", "name": "ann"}))
            .await;
        let room = created["room"].as_str().expect("a code").to_owned();
        let bob = world.join(&ids[1], &room, "bob").await;
        let cem = world.join(&ids[2], &room, "cem").await;
        world.outbox.take();
        Self {
            world,
            room,
            ids,
            resumes: [&created, &bob, &cem].map(|it| it["resume"].clone()),
        }
    }

    fn back(&self, number: usize, name: &str) -> Value {
        json!({"type": "join", "room": self.room, "name": name, "resume": self.resumes[number]})
    }
}

#[tokio::test]
async fn who_is_removed_is_told_and_the_others_hear_that_it_left() {
    let Scene {
        world,
        room,
        ids: [ann, bob, cem],
        ..
    } = Scene::new().await;
    let reply = world.send(&ann, remove(" BOB ")).await;
    let expected = json!({
        "type": "presence", "room": room, "event": "leave", "name": "bob",
        "members": ["ann", "cem"], "count": 2, "rev": 4,
    });
    assert_eq!(reply, expected);
    let posted = world.outbox.take();
    let read = |(id, frame): (ConnectionId, String)| {
        (id, serde_json::from_str::<Value>(&frame).expect("JSON"))
    };
    let posted: Vec<_> = posted.into_iter().map(read).collect();
    let told = json!({"type": "removed", "room": room});
    assert_eq!(posted, [(bob.clone(), told), (cem, expected)]);
    assert_eq!(world.store.traces_of(&bob), [""; 0]);
    world.say(&ann, "hello").await;
    assert_eq!(world.receivers(), ["c"]);
}

#[tokio::test]
async fn who_is_removed_does_nothing_more_on_its_connection_and_comes_back_as_another_only() {
    let scene = Scene::new().await;
    let (world, room) = (&scene.world, &scene.room);
    let [ann, bob, _] = &scene.ids;
    world.send(ann, remove("bob")).await;
    world.outbox.take();
    for frame in [
        message(room, "1", "still here"),
        json!({"type": "message", "from": "bob", "text": "for the room, and not for the lobby"}),
        json!({"type": "history"}),
        json!({"type": "typing"}),
        json!({"type": "ping"}),
        json!({"type": "rename", "name": "bobby"}),
        scene.back(1, "bob"),
    ] {
        let refused = world.send(bob, frame.clone()).await;
        assert_eq!(refused["code"], "not-connected", "{frame}: {refused}");
    }
    for (number, name) in ["bob", "Bob", "another"].iter().enumerate() {
        let new = world.connect(&format!("new {number}")).await;
        let refused = world.send(&new, scene.back(1, name)).await;
        assert_eq!(refused["code"], "removed", "{refused}");
        assert_eq!(
            world.send(&new, json!({"type": "ping"})).await["room"],
            "lobby"
        );
    }
    assert_eq!(world.outbox.take(), [], "nobody hears of the tries");
    let new = world.connect("new").await;
    let joined = world.join(&new, room, "bob").await;
    assert_eq!(
        joined["members"],
        json!(["ann", "bob", "cem"]),
        "a code is a code"
    );
    // And that one can be removed as well.
    let again = world.send(ann, remove("bob")).await;
    assert_eq!(again["members"], json!(["ann", "cem"]));
}

#[tokio::test]
async fn the_creator_alone_can_remove_and_stays_it_over_reconnects() {
    let scene = Scene::new().await;
    let (world, room) = (&scene.world, &scene.room);
    let [ann, bob, _] = &scene.ids;
    let refusal = async |id: &ConnectionId, name: &str| {
        let refused = world.send(id, remove(name)).await;
        refused["code"].as_str().unwrap_or_default().to_owned()
    };
    let lobby = world.connect("l").await;
    world.join(&lobby, "lobby", "lou").await;
    world.outbox.take();
    for (what, id, name, code) in [
        ("another member", bob, "cem", "not-allowed"),
        ("itself, of another member", bob, "bob", "not-allowed"),
        ("the creator, of another member", bob, "ann", "not-allowed"),
        ("oneself", ann, "ann", "not-allowed"),
        ("oneself in another case", ann, "ANN", "not-allowed"),
        ("the absent", ann, "dan", "no-such-member"),
        ("whom nobody can be called", ann, "", "bad-name"),
        ("from the lobby", &lobby, "lou", "not-allowed"),
        ("nobody from the lobby", &lobby, "dan", "not-allowed"),
        (
            "without a connection",
            &ConnectionId::new("none"),
            "bob",
            "not-connected",
        ),
    ] {
        assert_eq!(refusal(id, name).await, code, "{what}");
    }
    assert_eq!(world.outbox.take(), []);
    assert_eq!(
        world.send(bob, json!({"type": "ping"})).await["room"],
        room.as_str(),
        "nobody was removed"
    );

    // Its connection breaks, and it comes back; a second one of the same person is another member.
    let new = world.connect("new").await;
    let joined = world.send(&new, scene.back(0, "ann")).await;
    assert_eq!(
        (&joined["creator"], &joined["count"]),
        (&json!(true), &json!(3))
    );
    let second = world.connect("second").await;
    let other = world.join(&second, room, "ann2").await;
    assert_eq!(other["creator"], json!(null));
    assert_eq!(refusal(&second, "bob").await, "not-allowed");
    // Gone for a while, in another room of its own.
    world.chat.depart(&new).await.expect("the store works");
    world.create(&second, "ann").await;
    assert_eq!(refusal(&second, "bob").await, "no-such-member");
    let third = world.connect("third").await;
    assert_eq!(
        world.send(&third, scene.back(0, "anna")).await["creator"],
        true
    );
    assert_eq!(world.send(&third, remove("bob")).await["event"], "leave");
}

#[tokio::test]
async fn what_is_removed_is_the_member_and_its_name_is_free_at_once() {
    let scene = Scene::new().await;
    let (world, room) = (&scene.world, &scene.room);
    let [ann, bob, cem] = &scene.ids;
    world.send(ann, remove("bob")).await;
    assert_eq!(
        world.send(ann, remove("bob")).await["code"],
        "no-such-member"
    );
    let renamed = world
        .send(cem, json!({"type": "rename", "name": "bob"}))
        .await;
    assert_eq!(renamed["members"], json!(["ann", "bob"]), "{renamed}");
    // The end of the removed one's connection changes nothing for whoever has its name now.
    world.chat.depart(bob).await.expect("the store works");
    assert_eq!(world.join(bob, room, "bob").await["code"], "not-connected");
    assert_eq!(world.say(cem, "still here").await["from"], "bob");
}

/// In every order of its calls, and with a crash between any two, the room is rid of bob.
async fn is_rid_of_bob(scene: &Scene, run: &Run, crash: Crash) {
    let world = &run.world;
    let room = scene.room.as_str();
    if let Some(Some(reply)) = run.replies.first() {
        assert_eq!(reply["event"], "leave", "{reply}");
    } else {
        // Somebody who does not know whether it was done does it again.
        let again = world.send(&scene.ids[0], remove("bob")).await;
        let done = again["event"] == "leave" || again["code"] == "no-such-member";
        assert!(done, "{again}");
    }
    if crash == Crash::Never {
        for id in ["b", "new"] {
            let traces = world.store.traces_of(&ConnectionId::new(id));
            assert!(
                !traces.iter().any(|it| it.contains(room)),
                "{id} {traces:?}: {:?}",
                run.replies
            );
        }
    }
    world.outbox.take();
    let said = world.say(&scene.ids[0], "among us").await;
    assert_eq!(said["type"], "message");
    assert_eq!(world.receivers(), ["c"], "{:?}", run.replies);
    world.send(&scene.ids[0], json!({"type": "ping"})).await;
    for id in ["b", "new"] {
        let id = ConnectionId::new(id);
        for frame in [
            message(room, "late", "from outside"),
            json!({"type": "rename", "name": "bobby"}),
            json!({"type": "typing"}),
            json!({"type": "history"}),
            scene.back(1, "bob"),
        ] {
            let refused = world.send(&id, frame.clone()).await;
            let kind = frame["type"].as_str().unwrap_or_default();
            let of_lobby =
                ["history", "rename", "typing"].contains(&kind) && refused["room"] == "lobby";
            assert!(refused["type"] == "error" || of_lobby, "{frame}: {refused}");
        }
    }
    let texts: Vec<_> = world
        .store
        .messages(room)
        .into_iter()
        .map(|it| it.text)
        .collect();
    assert!(!texts.contains(&"from outside".to_owned()), "{texts:?}");
    let eve = world.connect("e").await;
    let joined = world.join(&eve, room, "eve").await;
    assert_eq!(
        joined["members"],
        json!(["ann", "cem", "eve"]),
        "{:?}",
        run.replies
    );
    if crash == Crash::Never {
        let renamed = world
            .send(&eve, json!({"type": "rename", "name": "bob"}))
            .await;
        assert_eq!(renamed["name"], "bob", "{renamed}");
    }
}

#[tokio::test]
async fn nobody_comes_back_by_a_join_at_the_same_time_in_any_order_and_after_any_crash() {
    let scene = Scene::new().await;
    for (orders, crash) in [
        (Orders::Some(2_000), Crash::Never),
        (Orders::Some(3_000), Crash::Once),
    ] {
        let begin = async || {
            let scene = Scene::new().await;
            let new = scene.world.connect("new").await;
            let join = scene.back(1, "bob");
            let tasks: Vec<Task> = vec![
                sends(&scene.world, &scene.ids[0], remove("bob")),
                sends(&scene.world, &new, join),
            ];
            (scene.world, tasks)
        };
        let check = async |run: &Run| {
            is_rid_of_bob(&scene, run, crash).await;
        };
        in_orders(orders, crash, begin, check).await;
    }
}

#[tokio::test]
async fn nothing_is_said_after_a_removal_by_a_message_at_the_same_time_in_any_order() {
    let scene = Scene::new().await;
    for crash in [Crash::Never, Crash::Once] {
        let begin = async || {
            let scene = Scene::new().await;
            let last = message(&scene.room, "last", "my last words");
            let tasks: Vec<Task> = vec![
                sends(&scene.world, &scene.ids[0], remove("bob")),
                sends(&scene.world, &scene.ids[1], last),
            ];
            (scene.world, tasks)
        };
        let check = async |run: &Run| {
            is_rid_of_bob(&scene, run, crash).await;
        };
        in_orders(Orders::Some(1_500), crash, begin, check).await;
    }
}

#[tokio::test]
async fn two_removals_of_one_member_are_one_in_every_order() {
    let scene = Scene::new().await;
    let begin = async || {
        let scene = Scene::new().await;
        let again = || sends(&scene.world, &scene.ids[0], remove("bob"));
        let tasks: Vec<Task> = vec![again(), again()];
        (scene.world, tasks)
    };
    let runs = in_orders(
        Orders::Some(1_500),
        Crash::Never,
        begin,
        async |run: &Run| {
            for reply in run.replies.iter().flatten() {
                let done = reply["event"] == "leave" || reply["code"] == "no-such-member";
                assert!(done, "{reply}");
            }
            let told = run.world.heard("removed");
            assert!((1..=2).contains(&told.len()), "{told:?}");
            let left = run.world.send(&scene.ids[0], json!({"type": "ping"})).await;
            assert_eq!(left["type"], "pong");
            let joined = run.world.connect("e").await;
            let joined = run.world.join(&joined, &scene.room, "bob").await;
            assert_eq!(joined["members"], json!(["ann", "bob", "cem"]), "{joined}");
        },
    );
    assert_eq!(runs.await, 1_500);
}

/// The store fails from each call on, in turn, and nobody does it again: bob is there for everything, or
/// for nothing.
#[tokio::test]
async fn a_removal_that_ends_halfway_is_one_or_none() {
    let (mut before, mut halfway) = (0, 0);
    for calls in 0..30 {
        for frame in ["message", "history", "typing", "ping", "rename", "join"] {
            let scene = Scene::new().await;
            let world = &scene.world;
            let [ann, bob, cem] = &scene.ids;
            world.store.works_for(Some(calls));
            let reply = world.send(ann, remove("bob")).await;
            world.store.works_for(None);
            let is_done = reply["event"] == "leave";
            world.outbox.take();

            world.say(ann, "who is here?").await;
            let hears = world.receivers().contains(&"b".to_owned());
            let again = world.send(cem, scene.back(2, "cem")).await;
            let listed = again["members"] == json!(["ann", "bob", "cem"]);
            assert_eq!(hears, listed, "{calls}: {again}");
            assert!(!(is_done && listed), "{calls}: {again}");
            let frame = match frame {
                "message" => message(&scene.room, "1", "still here"),
                "rename" => json!({"type": "rename", "name": "bobby"}),
                "join" => scene.back(1, "bob"),
                kind => json!({"type": kind}),
            };
            let has_record = !world.store.traces_of(bob).is_empty();
            let reply = world.send(bob, frame.clone()).await;
            let code = reply["code"].as_str().unwrap_or_default();
            assert_eq!(code.is_empty(), listed, "{calls}: {frame}: {reply}");
            assert!(
                listed || ["removed", "not-connected"].contains(&code),
                "{calls}: {reply}"
            );
            before += usize::from(listed);
            halfway += usize::from(code == "removed");
            // And that has gone on with it.
            let traces = world.store.traces_of(bob);
            let is_left = frame["type"] != "join" && has_record && code == "removed";
            assert!(
                !is_left || traces.is_empty(),
                "{calls}: {frame}: {traces:?}"
            );
        }
    }
    assert!(before > 5 && halfway > 5, "{before} {halfway}");
}

#[tokio::test]
async fn who_has_signed_in_is_out_as_a_person_on_each_connection_and_with_any_secret() {
    let world = World::new();
    let ann = world.sign_in("a", "sub-ann", "ann").await;
    let room = world.create(&ann, "").await;
    let bob = world.sign_in("b", "sub-bob", "bob").await;
    world.join(&bob, &room, "").await;
    let second = world.sign_in("b2", "sub-bob", "bob").await;
    assert_eq!(world.join(&second, &room, "").await["name"], "bob-2");
    let other = world.sign_in("c", "sub-other", "bob").await;
    let others = world.join(&other, &room, "").await;
    assert_eq!(others["name"], "bob-3");
    world.outbox.take();

    let reply = world.send(&ann, remove("bob")).await;
    assert_eq!(reply["members"], json!(["ann", "bob-3"]), "{reply}");
    let told: Vec<_> = world
        .heard("removed")
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert_eq!(told, [bob.clone(), second.clone()]);
    for id in [&bob, &second] {
        assert_eq!(world.store.traces_of(id), [""; 0]);
    }
    let new = world.sign_in("new", "sub-bob", "bob").await;
    assert_eq!(world.join(&new, &room, "").await["code"], "removed");
    let with_a_secret =
        json!({"type": "join", "room": room, "name": "", "resume": others["resume"]});
    assert_eq!(world.send(&new, with_a_secret).await["code"], "removed");
    assert_eq!(world.say(&other, "I am another bob").await["from"], "bob-3");

    // The creator's own second connection cannot be removed: the person would be out.
    let own = world.sign_in("a2", "sub-ann", "ann").await;
    assert_eq!(world.join(&own, &room, "").await["name"], "ann-2");
    assert_eq!(
        world.send(&ann, remove("ann-2")).await["code"],
        "not-allowed"
    );
}
