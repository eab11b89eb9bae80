//! Large rooms: read in parts, and posted to by several invocations.

use std::time::Duration;

use serde_json::json;

use super::World;
use crate::chat::{Errand, Room, Tally};
use crate::ports::{Clock, ConnectionId, Store};

/// A chat of which one invocation posts to so many members.
fn sharing(members: usize) -> World {
    let world = World::new();
    World {
        chat: world.chat.with_share(members),
        ..world
    }
}

/// A room of so many, the last of whom is given, with nothing left that anybody was posted.
async fn room_of(world: &World, members: usize) -> (ConnectionId, String) {
    let first = world.connect("m00").await;
    let room = world.create(&first, "00").await;
    let mut last = first;
    for number in 1..members {
        last = world.connect(&format!("m{number:02}")).await;
        let joined = world.join(&last, &room, &format!("{number:02}")).await;
        assert_eq!(joined["type"], "joined", "{joined}");
        carry_out_errands(world).await;
    }
    world.outbox.take();
    world.chat.take_tally();
    (last, room)
}

/// Does what was handed over, as other invocations would, and gives how much that was.
async fn carry_out_errands(world: &World) -> usize {
    let errands = world.outbox.errands();
    for errand in &errands {
        let errand: Errand = serde_json::from_str(errand).expect("an errand");
        world.chat.run_errand(errand).await;
    }
    errands.len()
}

fn all_but(sender: &ConnectionId, members: usize) -> Vec<String> {
    let all = (0..members).map(|number| format!("m{number:02}"));
    all.filter(|id| id != sender.as_str()).collect()
}

#[tokio::test]
async fn a_room_that_is_read_in_parts_hears_a_message_once_each_whoever_says_it() {
    let world = World::new();
    let (last, room) = room_of(&world, 12).await;
    let first = ConnectionId::new("m00");
    for part in [1, 2, 5, 11, 12, 100] {
        world.store.in_parts_of(part);
        for sender in [&first, &last] {
            let asks = [json!({}), json!({ "room": room })];
            for mut frame in asks {
                frame["type"] = json!("message");
                frame["text"] = json!("hi");
                let said = world.send(sender, frame).await;
                assert_eq!(said["type"], "message", "{said}");
                assert_eq!(world.receivers(), all_but(sender, 12), "parts of {part}");
            }
        }
    }
    assert_eq!(world.heard("presence"), [], "the list was announced");
}

#[tokio::test]
async fn a_list_that_nobody_announced_is_seen_in_whatever_part_it_differs() {
    for absent in ["m01", "m06", "m11"] {
        let world = World::new();
        let (last, _) = room_of(&world, 12).await;
        world.store.forget(&ConnectionId::new(absent));
        world.store.in_parts_of(4);
        let sender = if last.as_str() == absent {
            ConnectionId::new("m00")
        } else {
            last
        };
        world.say(&sender, "hi").await;
        let heard = world.heard("presence");
        assert_eq!(heard.len(), 11, "{absent}: {heard:?}");
        assert_eq!(heard[0].1["event"], "sync");
    }
}

#[tokio::test]
async fn a_part_that_cannot_be_read_keeps_the_message_and_those_before_it_hear_it() {
    let world = World::new();
    let (last, room) = room_of(&world, 12).await;
    world.store.in_parts_of(4);
    let before = world.store.calls();
    world.say(&last, "how many calls is that?").await;
    let calls = world.store.calls() - before;
    world.outbox.take();
    // The last one reads the last part.
    world.store.works_for(Some(calls - 1));
    let said = world.say(&last, "hi").await;
    world.store.works_for(None);
    assert_eq!(said["type"], "message", "{said}");
    assert_eq!(world.store.messages(&room).len(), 2);
    let heard = world.receivers().len();
    assert!(matches!(heard, 7 | 8), "two parts of four: {heard}");
    // And who missed it asks for it.
    let pong = world
        .send(&ConnectionId::new("m10"), json!({"type": "ping"}))
        .await;
    assert_eq!(pong["seq"], 2);
}

#[tokio::test]
async fn who_left_a_room_of_many_parts_says_nothing_in_it() {
    let world = World::new();
    let (last, room) = room_of(&world, 12).await;
    world.store.in_parts_of(4);
    world.send(&last, json!({"type": "leave"})).await;
    world.outbox.take();
    let frame = json!({"type": "message", "room": room, "text": "hi"});
    let refused = world.send(&last, frame).await;
    assert_eq!(refused["code"], "not-in-room");
    assert_eq!(world.receivers(), Vec::<String>::new());
}

#[tokio::test]
async fn members_above_a_share_are_handed_over_and_everybody_hears_it_once() {
    for (members, share, errands) in [(10, 3, 2), (10, 9, 0), (10, 8, 1), (3, 1, 1), (12, 5, 2)] {
        let world = sharing(share);
        let (last, _) = room_of(&world, members).await;
        let said = world.say(&last, "hi").await;
        assert_eq!(said["type"], "message");
        let own = world.chat.take_tally();
        assert!(own.delivered <= share, "{own:?}");
        assert_eq!(own.delivered + own.handed, members - 1);
        assert_eq!(
            carry_out_errands(&world).await,
            errands,
            "{members} in shares of {share}"
        );
        assert_eq!(world.chat.take_tally().delivered, own.handed);
        assert_eq!(world.receivers(), all_but(&last, members));
    }
}

#[tokio::test]
async fn what_was_handed_over_is_not_handed_on() {
    let world = sharing(2);
    let (last, _) = room_of(&world, 9).await;
    world.say(&last, "hi").await;
    let errands = world.outbox.errands();
    assert!(!errands.is_empty());
    let narrow = world.chat.with_share(1);
    for errand in &errands {
        let errand: Errand = serde_json::from_str(errand).expect("an errand");
        narrow.run_errand(errand).await;
    }
    assert_eq!(world.outbox.errands(), Vec::<String>::new());
}

#[tokio::test]
async fn an_errand_that_comes_too_late_posts_nothing_and_counts_whom_it_did_not_reach() {
    for (late, is_carried_out) in [(10_000, true), (10_001, false)] {
        let world = sharing(3);
        let (last, _) = room_of(&world, 12).await;
        world.say(&last, "hi").await;
        let own = world.chat.take_tally();
        world.outbox.take();
        world.clock.advance(Duration::from_millis(late));
        carry_out_errands(&world).await;
        let tally = world.chat.take_tally();
        let (delivered, unreached) = if is_carried_out {
            (own.handed, 0)
        } else {
            (0, own.handed)
        };
        assert!(own.handed > 0, "{own:?}");
        assert_eq!((tally.delivered, tally.unreached), (delivered, unreached));
        assert_eq!(world.receivers().len(), delivered, "{late} ms");
    }
}

#[tokio::test]
async fn an_errand_tells_the_time_since_its_message_and_announcements_tell_none() {
    let world = sharing(3);
    let (last, _) = room_of(&world, 12).await;
    world.outbox.gone(&ConnectionId::new("m05"));
    world.say(&last, "hi").await;
    let own = world.chat.take_tally();
    assert_eq!(own.message, Some(Duration::ZERO), "{own:?}");
    world.clock.advance(Duration::from_secs(4));
    carry_out_errands(&world).await;
    let errand = world.chat.take_tally();
    assert_eq!(errand.message, Some(Duration::from_secs(4)), "{errand:?}");
    world.send(&last, json!({"type": "typing"})).await;
    carry_out_errands(&world).await;
    assert_eq!(world.chat.take_tally().message, None);
}

#[tokio::test(start_paused = true)]
async fn the_announcement_after_a_message_is_no_part_of_its_time() {
    let world = World::new();
    let (last, _) = room_of(&world, 3).await;
    let gone = ConnectionId::new("m01");
    world.outbox.gone(&gone);
    world.outbox.failing(&ConnectionId::new("m00"));
    world.say(&last, "hi").await;
    let tally = world.chat.take_tally();
    // The message and the announcement of who is gone both were tried for a while.
    assert!(
        tally.unreached == 2 && tally.took >= Duration::from_millis(1_500),
        "{tally:?}"
    );
    assert_eq!(
        tally.message,
        Some(Duration::ZERO),
        "by the clock, which stands"
    );
}

#[tokio::test]
async fn a_share_that_nobody_takes_is_posted_to_here() {
    let world = sharing(3);
    let (last, _) = room_of(&world, 12).await;
    world.outbox.alone();
    world.store.in_parts_of(5);
    world.say(&last, "hi").await;
    assert_eq!(world.receivers(), all_but(&last, 12));
    let tally = world.chat.take_tally();
    let expected = Tally {
        delivered: 11,
        took: tally.took,
        message: tally.message,
        ..Tally::default()
    };
    assert_eq!(tally, expected);
}

#[tokio::test]
async fn who_is_found_gone_by_an_errand_is_removed_then_and_told_of_by_the_next_message() {
    let world = sharing(3);
    let (last, room) = room_of(&world, 12).await;
    let gone = ConnectionId::new("m05");
    world.outbox.gone(&gone);
    world.say(&last, "hi").await;
    carry_out_errands(&world).await;
    assert_eq!(world.store.traces_of(&gone), Vec::<String>::new());
    assert_eq!(world.heard("presence"), []);
    assert_eq!(world.chat.take_tally().gone, 1);
    world.say(&last, "more").await;
    carry_out_errands(&world).await;
    let heard = world.heard("presence");
    assert_eq!(heard.len(), 11, "{heard:?}");
    assert!(heard.iter().all(|(_, frame)| frame["count"] == 11));
    let view = world
        .store
        .view(&Room::parse(&room).expect("a room"), world.clock.now())
        .await;
    assert_eq!(view.expect("the store works").members.len(), 11);
}

#[tokio::test(start_paused = true)]
async fn a_tally_tells_who_was_gone_throttled_tried_again_and_given_up() {
    let world = World::new();
    let (last, _) = room_of(&world, 6).await;
    world.outbox.gone(&ConnectionId::new("m01"));
    world.outbox.failing(&ConnectionId::new("m02"));
    let typing = world.send(&last, json!({"type": "typing"})).await;
    assert_eq!(typing["type"], "typing");
    let tally = world.chat.take_tally();
    // Who is gone is told of, and that does not reach the throttled one either, however often.
    assert_eq!((tally.gone, tally.unreached), (1, 2), "{tally:?}");
    assert_eq!((tally.retried, tally.throttled), (4, 6), "{tally:?}");
    assert_eq!(tally.delivered, 3 + 4, "{tally:?}");
    assert!(tally.took >= Duration::from_millis(750), "{tally:?}");
    assert_eq!(
        world.chat.take_tally(),
        Tally::default(),
        "since the last time"
    );
}
