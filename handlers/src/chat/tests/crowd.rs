//! Rooms that many come to: nobody who comes, goes or pings has all of them read.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use super::World;
use super::interleavings::{Crash, Orders, Run, in_orders, sends};
use crate::chat::presence::CROWD;
use crate::ports::ConnectionId;
use crate::protocol::MEMBERS_LISTED_MAX;

/// After this any room of these tests may be announced again.
const LONG: Duration = Duration::from_secs(10);

/// A room of so many, each of whom came at once after the one before.
async fn crowd(world: &World, members: usize) -> (ConnectionId, String) {
    let first = world.connect("m0000").await;
    let room = world.create(&first, "n0000").await;
    for number in 1..members {
        let id = world.connect(&format!("m{number:04}")).await;
        let joined = world.join(&id, &room, &format!("n{number:04}")).await;
        assert_eq!(joined["type"], "joined", "{joined}");
    }
    (first, room)
}

/// All is announced that was not.
async fn settle(world: &World, by: &ConnectionId) -> Value {
    world.clock.advance(LONG);
    let pong = world.send(by, json!({"type": "ping"})).await;
    world.outbox.take();
    pong
}

fn list_of(frame: &Value) -> (usize, u64, Vec<String>) {
    let number = |field: &str| frame[field].as_u64().expect("a number");
    let names = frame["members"].as_array().expect("names").iter();
    let names = names.map(|it| it.as_str().expect("a name").to_owned());
    let count = usize::try_from(number("count")).expect("few");
    (count, number("rev"), names.collect())
}

#[tokio::test]
async fn a_room_of_twice_as_many_costs_each_who_comes_no_more_reading() {
    let mut read_by_each = Vec::new();
    for members in [200, 400] {
        let world = World::new();
        let (first, room) = crowd(&world, members).await;
        settle(&world, &first).await;
        let before = world.store.members_read();
        for number in 0..50 {
            let id = world.connect(&format!("x{number}")).await;
            let joined = world.join(&id, &room, &format!("x{number}")).await;
            assert_eq!(joined["type"], "joined", "{joined}");
        }
        read_by_each.push((world.store.members_read() - before) / 50);
    }
    assert_eq!(read_by_each[0], read_by_each[1]);
    assert!(read_by_each[0] <= CROWD, "{read_by_each:?}");
}

#[tokio::test]
async fn who_pings_types_renames_itself_leaves_or_breaks_off_in_a_crowd_has_not_all_of_it_read() {
    let world = World::new();
    let (first, _) = crowd(&world, 300).await;
    settle(&world, &first).await;
    let id = |number: usize| ConnectionId::new(format!("m{number:04}"));
    let before = world.store.members_read();
    for frame in [
        json!({"type": "ping"}),
        json!({"type": "typing"}),
        json!({"type": "rename", "name": "other"}),
        json!({"type": "leave"}),
    ] {
        let kind = frame["type"].clone();
        let answer = world.send(&id(7), frame).await;
        assert_ne!(answer["type"], "error", "{kind}: {answer}");
    }
    world.chat.depart(&id(8)).await.expect("the store works");
    let read = world.store.members_read() - before;
    assert!(read < 300, "{read}");
}

#[tokio::test]
async fn of_many_who_come_when_a_crowd_may_be_announced_again_one_reads_all_of_it() {
    let world = World::new();
    let (first, room) = crowd(&world, 300).await;
    settle(&world, &first).await;
    world.clock.advance(LONG);
    let mut ids = Vec::new();
    for number in 0..8 {
        ids.push(world.connect(&format!("x{number}")).await);
    }
    let before = world.store.members_read();
    world.store.step(true);
    let joins = ids.iter().map(|id| world.join(id, &room, id.as_str()));
    for joined in futures_util::future::join_all(joins).await {
        assert_eq!(joined["type"], "joined", "{joined}");
    }
    world.store.step(false);
    let read = world.store.members_read() - before;
    // Each glances at most twice.
    assert!(read <= 308 + 8 * 2 * CROWD, "{read}");
    let heard = world.heard("presence");
    let revs: std::collections::BTreeSet<_> = heard.iter().map(|it| it.1["rev"].as_u64()).collect();
    assert_eq!(revs.len(), 1, "one announcement");
}

#[tokio::test]
async fn what_one_is_told_in_a_crowd_has_oneself_and_the_last_word_is_the_same_for_all() {
    for members in [CROWD + 10, MEMBERS_LISTED_MAX + 50] {
        let world = World::new();
        let (first, room) = crowd(&world, members).await;
        settle(&world, &first).await;
        // Sorted before all others, and after them.
        for name in ["aaa", "zzz"] {
            let id = world.connect(name).await;
            world.clock.advance(LONG);
            world.send(&first, json!({"type": "ping"})).await;
            let joined = world.join(&id, &room, name).await;
            let (_, rev, names) = list_of(&joined);
            assert!(names.contains(&name.to_owned()), "{joined}");
            assert!(names.len() <= MEMBERS_LISTED_MAX);
            let pong = settle(&world, &first).await;
            assert!(pong["rev"].as_u64() > Some(rev), "{pong} {rev}");
            let again = back(&world, &id, &room, name, &joined).await;
            let (_, rev, _) = list_of(&again);
            assert_eq!(Some(rev), pong["rev"].as_u64());
        }
        let again = world.connect("late").await;
        let joined = world.join(&again, &room, "m").await;
        assert_eq!(list_of(&joined).0, members + 3, "{joined}");
    }
}

#[tokio::test]
async fn a_list_that_was_not_kept_is_read_from_the_room() {
    let world = World::new();
    let (first, room) = crowd(&world, CROWD + 20).await;
    settle(&world, &first).await;
    world.store.lose_lists();
    let id = world.connect("x").await;
    let joined = world.join(&id, &room, "x").await;
    let (count, _, names) = list_of(&joined);
    assert_eq!((count, names.len()), (CROWD + 21, CROWD + 21));
}

#[tokio::test]
async fn a_list_that_is_no_longer_the_last_one_is_not_told_once_the_next_had_time_to_be_kept() {
    let world = World::new();
    let (first, room) = crowd(&world, CROWD + 20).await;
    settle(&world, &first).await;
    world.store.outdate_lists();
    world.clock.advance(LONG);
    let joined = world.join(&first, &room, "n0000").await;
    assert_eq!(list_of(&joined).0, CROWD + 20, "{joined}");
}

#[tokio::test]
async fn a_list_that_was_not_kept_is_kept_by_the_next_one_to_look_the_crowd_through() {
    let world = World::new();
    let (first, room) = crowd(&world, CROWD + 20).await;
    settle(&world, &first).await;
    world.store.outdate_lists();
    let pong = settle(&world, &first).await;
    let joined = world.join(&first, &room, "n0000").await;
    let (count, rev, _) = list_of(&joined);
    assert_eq!((count, Some(rev)), (CROWD + 20, pong["rev"].as_u64()));
}

#[tokio::test]
async fn a_list_that_is_lost_is_read_from_the_room_once() {
    let world = World::new();
    let (first, room) = crowd(&world, 300).await;
    settle(&world, &first).await;
    world.store.lose_lists();
    let comes = async |name: &str| {
        let before = world.store.members_read();
        let id = world.connect(name).await;
        let joined = world.join(&id, &room, name).await;
        (list_of(&joined).0, world.store.members_read() - before)
    };
    let (count, read) = comes("x").await;
    assert!(count == 301 && read > 300, "{count} {read}");
    let (count, read) = comes("y").await;
    assert!(count == 302 && read <= 2 * CROWD, "{count} {read}");
}

/// Whatever step of it is the last one that is done: what was announced was heard, and who looks when the
/// crowd may be announced again finds the list that a `pong` speaks of.
#[tokio::test]
async fn an_arrival_in_a_crowd_that_ends_in_the_middle_leaves_the_right_list_behind() {
    let begin = async |pinged: bool| {
        let world = Rc::new(World::new());
        let (first, room) = crowd(&world, CROWD + 2).await;
        settle(&world, &first).await;
        world.clock.advance(LONG);
        let eve = world.connect("e").await;
        let join = json!({"type": "join", "room": room, "name": "eve"});
        let mut tasks = vec![sends(&world, &eve, join)];
        if pinged {
            tasks.push(sends(&world, &first, json!({"type": "ping"})));
        }
        (world, tasks)
    };
    let world = World::new();
    let (first, room) = crowd(&world, CROWD + 2).await;
    let before = settle(&world, &first).await["rev"].as_u64();
    let check = async |run: &Run| {
        let world = &run.world;
        let pong = world.send(&first, json!({"type": "ping"})).await;
        let heard = world.heard("presence").into_iter();
        let newest = heard.map(|(_, frame)| frame["rev"].as_u64()).max();
        assert_eq!(newest.unwrap_or(before), pong["rev"].as_u64());
        let pong = settle(world, &first).await;
        let kept = list_of(&world.join(&first, &room, "n0000").await);
        world.store.lose_lists();
        let read = list_of(&world.join(&first, &room, "n0000").await);
        assert_eq!(kept, read);
        assert_eq!(Some(kept.1), pong["rev"].as_u64());
    };
    let runs = in_orders(Orders::All, Crash::Once, async || begin(false).await, check);
    assert!(runs.await > 10);
    let some = Orders::Some(100);
    in_orders(some, Crash::Once, async || begin(true).await, check).await;
}

#[tokio::test]
async fn a_ping_that_looks_a_crowd_through_glances_at_it_once() {
    let world = World::new();
    let (first, room) = crowd(&world, CROWD + 20).await;
    settle(&world, &first).await;
    world.clock.advance(LONG);
    let (read, calls) = (world.store.members_read(), world.store.calls());
    let pong = world.send(&first, json!({"type": "ping"})).await;
    assert_eq!(
        world.store.members_read() - read,
        CROWD + CROWD + 20,
        "{pong}"
    );
    // The connection, the newest message, the turn, the list that is kept; a room is two.
    assert_eq!(world.store.calls() - calls, 4 + 2 * 2);
    let eve = world.connect("e").await;
    let joined = world.join(&eve, &room, "eve").await;
    world.clock.advance(LONG);
    let pong = world.send(&first, json!({"type": "ping"})).await;
    let heard = world.heard("presence");
    assert_eq!(heard[0].1["rev"], pong["rev"], "as it was announced");
    assert!(pong["rev"].as_u64() > joined["rev"].as_u64());
}

#[tokio::test]
async fn who_is_removed_from_a_crowd_is_on_no_list_any_more_whenever_that_is() {
    let world = World::new();
    let (first, room) = crowd(&world, CROWD + 10).await;
    settle(&world, &first).await;
    for (removed, left) in [("n0003", CROWD + 9), ("n0004", CROWD + 8)] {
        let remove = json!({"type": "remove", "name": removed});
        let reply = world.send(&first, remove).await;
        let (count, rev, names) = list_of(&reply);
        assert_eq!(count, left, "{reply}");
        assert!(!names.contains(&removed.to_owned()), "{reply}");
        let heard = world.heard("presence");
        assert_eq!(heard.len(), left - 1, "all others, at once");
        assert_eq!(list_of(&heard[0].1), (count, rev, names));
        let other = ConnectionId::new("m0007");
        let joined = world.join(&other, &room, "n0007").await;
        assert_eq!(list_of(&joined), list_of(&reply));
    }
}

/// In the lobby a `ping` announces nothing.
#[tokio::test]
async fn who_comes_back_to_a_crowd_in_the_lobby_announces_who_left_it_meanwhile() {
    let world = World::new();
    for number in 0..CROWD + 10 {
        let id = world.connect(&format!("m{number:04}")).await;
        world.join(&id, "lobby", &format!("n{number:04}")).await;
    }
    world.clock.advance(LONG);
    for (id, is_announced) in [("m0003", true), ("m0004", false)] {
        world.outbox.take();
        let id = ConnectionId::new(id);
        world.chat.depart(&id).await.expect("the store works");
        assert_eq!(!world.heard("presence").is_empty(), is_announced);
    }
    let comes_back = async || {
        let id = ConnectionId::new("m0007");
        let joined = world.join(&id, "lobby", "n0007").await;
        (list_of(&joined).0, world.heard("presence"))
    };
    let (count, heard) = comes_back().await;
    assert_eq!((count, heard), (CROWD + 9, Vec::new()), "not yet");
    world.clock.advance(LONG);
    let (count, heard) = comes_back().await;
    assert_eq!(count, CROWD + 8);
    assert_eq!(heard.len(), CROWD + 7, "all others");
    assert_eq!(heard[0].1["count"], CROWD + 8);
}

#[tokio::test]
async fn the_larger_a_crowd_the_longer_it_takes_until_it_is_announced_again() {
    for (members, seconds) in [(900, 1), (1_010, 2)] {
        let world = World::new();
        let (first, room) = crowd(&world, members).await;
        settle(&world, &first).await;
        let announced = async |name: &str| {
            let id = world.connect(name).await;
            world.join(&id, &room, name).await;
            !world.heard("presence").is_empty()
        };
        world.clock.advance(LONG);
        assert!(announced("one").await);
        world
            .clock
            .advance(Duration::from_millis(seconds * 1_000 - 1));
        assert!(!announced("two").await, "{members}");
        world.clock.advance(Duration::from_millis(1));
        assert!(announced("three").await, "{members}");
    }
}

async fn back(world: &World, id: &ConnectionId, room: &str, name: &str, joined: &Value) -> Value {
    let resume = &joined["resume"];
    let join = json!({"type": "join", "room": room, "name": name, "resume": resume});
    world.send(id, join).await
}
