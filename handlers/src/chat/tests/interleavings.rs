//! Every order in which the store's calls of two tasks can come, and every crash between two of them.

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use serde_json::{Value, json};

use super::{Dice, World};
use crate::ports::ConnectionId;

pub(super) type Task = Pin<Box<dyn Future<Output = Value>>>;

/// Whether one of the tasks may end in the middle.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Crash {
    Never,
    Once,
}

/// How many of all the orders are run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Orders {
    All,
    /// So many, by chance, where all are too many.
    Some(usize),
}

/// How one run went: what each task came to, `None` for one that crashed.
pub(super) struct Run {
    pub(super) world: Rc<World>,
    pub(super) replies: Vec<Option<Value>>,
}

/// Runs the tasks that `begin` makes in every order of their steps, each run in a new world. Gives
/// the number of runs.
pub(super) async fn in_orders(
    orders: Orders,
    crash: Crash,
    begin: impl AsyncFn() -> (Rc<World>, Vec<Task>),
    check: impl AsyncFn(&Run),
) -> usize {
    let (mut runs, mut prefix) = (0, Vec::new());
    let mut dice = Dice::new(7);
    loop {
        let (world, tasks) = begin().await;
        let chosen = matches!(orders, Orders::Some(_)).then_some(&mut dice);
        let (run, mut trail) = follow(world, tasks, &prefix, chosen, crash);
        check(&run).await;
        runs += 1;
        if let Orders::Some(enough) = orders {
            if runs == enough {
                return runs;
            }
            continue;
        }
        let next = loop {
            match trail.pop() {
                Some((choice, choices)) if choice + 1 < choices => break Some(choice + 1),
                Some(_) => {}
                None => break None,
            }
        };
        let Some(next) = next else { return runs };
        prefix = trail.iter().map(|(choice, _)| *choice).collect();
        prefix.push(next);
    }
}

/// One run: the choices of `prefix`, then always the first. Gives the choices that there were.
fn follow(
    world: Rc<World>,
    tasks: Vec<Task>,
    prefix: &[usize],
    mut dice: Option<&mut Dice>,
    crash: Crash,
) -> (Run, Vec<(usize, usize)>) {
    world.store.step(true);
    let mut replies = vec![None; tasks.len()];
    let mut running: Vec<(usize, Task)> = tasks.into_iter().enumerate().collect();
    let (mut trail, mut crashed) = (Vec::new(), crash == Crash::Never);
    while !running.is_empty() {
        assert!(trail.len() < 500, "a task never ends");
        let choices = if crashed {
            running.len()
        } else {
            2 * running.len()
        };
        let choice = match &mut dice {
            Some(dice) => dice.below(choices),
            None => prefix.get(trail.len()).copied().unwrap_or(0),
        };
        trail.push((choice, choices));
        if choice >= running.len() {
            crashed = true;
            drop(running.remove(choice - running.len()));
            continue;
        }
        let (number, task) = &mut running[choice];
        // All of a run is one turn of the runtime's, after a while of which its channels would say that
        // they are not ready, to let others have theirs.
        let mut task = std::pin::pin!(tokio::task::unconstrained(task.as_mut()));
        if let Poll::Ready(reply) = task.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            replies[*number] = Some(reply);
            drop(running.remove(choice));
        }
    }
    world.store.step(false);
    (Run { world, replies }, trail)
}

impl Run {
    /// The messages of the room, which are to be 1, 2, 3 and so on.
    fn texts(&self, room: &str) -> Vec<String> {
        let messages = self.world.store.messages(room);
        for (place, message) in messages.iter().enumerate() {
            assert_eq!(message.seq, place as u64 + 1, "no hole");
        }
        messages.into_iter().map(|message| message.text).collect()
    }

    /// The replies to messages that were taken.
    fn seqs(&self) -> Vec<u64> {
        let replies = self.replies.iter().flatten();
        let taken = replies.filter(|it| it["type"] == "message");
        taken.filter_map(|it| it["seq"].as_u64()).collect()
    }

    /// The list of the greatest `rev` that `observer` heard of.
    pub(super) fn list_of(&self, observer: &str, joined: &Value) -> Value {
        let heard = self.world.outbox.take().into_iter();
        let heard = heard.filter(|(id, _)| id.as_str() == observer);
        let frames = heard.map(|(_, frame)| serde_json::from_str(&frame).expect("JSON"));
        let lists = frames.filter(|frame: &Value| frame["type"] == "presence");
        let lists = lists.chain([joined.clone()]);
        let newest = lists.max_by_key(|frame| frame["rev"].as_u64());
        newest.expect("at least one")["members"].clone()
    }
}

pub(super) fn sends(world: &Rc<World>, from: &ConnectionId, frame: Value) -> Task {
    let (world, from) = (Rc::clone(world), from.clone());
    Box::pin(async move { world.send(&from, frame).await })
}

pub(super) fn departs(world: &Rc<World>, id: &ConnectionId) -> Task {
    let (world, id) = (Rc::clone(world), id.clone());
    Box::pin(async move {
        world.chat.depart(&id).await.expect("the store works");
        json!({"type": "departed"})
    })
}

/// A world with a room of two, `a` and `b`.
pub(super) async fn room_of_two() -> (Rc<World>, String, [ConnectionId; 2]) {
    let world = Rc::new(World::new());
    let (ann, bob) = (world.connect("a").await, world.connect("b").await);
    let room = world.create(&ann, "ann").await;
    world.join(&bob, &room, "bob").await;
    (world, room, [ann, bob])
}

pub(super) fn message(room: &str, id: &str, text: &str) -> Value {
    json!({"type": "message", "room": room, "id": id, "text": text})
}

#[tokio::test]
async fn two_senders_get_two_places_in_every_order_and_a_crash_leaves_no_hole() {
    let begin = async || {
        let (world, room, [ann, bob]) = room_of_two().await;
        let tasks = vec![
            sends(&world, &ann, message(&room, "1", "of ann")),
            sends(&world, &bob, message(&room, "1", "of bob")),
        ];
        (world, tasks)
    };
    let room = room_of_two().await.1;
    let runs = in_orders(Orders::All, Crash::Never, begin, async |run: &Run| {
        let mut texts = run.texts(&room);
        texts.sort();
        assert_eq!(texts, ["of ann", "of bob"]);
        let mut seqs = run.seqs();
        seqs.sort_unstable();
        assert_eq!(seqs, [1, 2]);
    });
    assert!(runs.await > 200);
    let runs = in_orders(Orders::All, Crash::Once, begin, async |run: &Run| {
        let before = run.texts(&room).len() as u64;
        assert!(run.seqs().iter().all(|seq| *seq <= before));
        let eve = run.world.connect("e").await;
        run.world.join(&eve, &room, "eve").await;
        let next = run.world.say(&eve, "next").await;
        assert_eq!(next["seq"], before + 1, "nobody is blocked");
    });
    assert!(runs.await > 1_000);
}

#[tokio::test]
async fn two_resends_of_one_id_are_one_message_in_every_order_and_after_every_crash() {
    let begin = async || {
        let (world, room, [ann, bob]) = room_of_two().await;
        world.say(&bob, "before").await;
        let again = || sends(&world, &ann, message(&room, "1", "once"));
        let tasks = vec![again(), again()];
        (world, tasks)
    };
    let room = room_of_two().await.1;
    let check = async |run: &Run| {
        let ann = ConnectionId::new("a");
        let again = run.world.send(&ann, message(&room, "1", "once")).await;
        assert_eq!(run.texts(&room), ["before", "once"]);
        assert_eq!(again["seq"], 2);
        assert!(run.seqs().iter().all(|seq| *seq == 2), "{:?}", run.replies);
    };
    assert!(in_orders(Orders::All, Crash::Never, begin, check).await > 200);
    assert!(in_orders(Orders::All, Crash::Once, begin, check).await > 1_000);
}

/// The old connection's message is under way while the same member comes back and repeats it.
#[tokio::test]
async fn a_message_repeated_on_a_resumed_connection_is_one_message_in_every_order() {
    let begin = async || {
        let (world, room, [ann, _]) = room_of_two().await;
        let joined = world.join(&ann, &room, "ann").await;
        let new = world.connect("new").await;
        let back = json!({"type": "join", "room": room, "name": "ann", "resume": joined["resume"]});
        let first = sends(&world, &ann, message(&room, "1", "once"));
        let returns = {
            let (world, room) = (Rc::clone(&world), room.clone());
            let comes_back = async move {
                let joined = world.send(&new, back).await;
                assert_eq!(joined["name"], "ann", "{joined}");
                world.send(&new, message(&room, "1", "once")).await
            };
            Box::pin(comes_back) as Task
        };
        (world, vec![first, returns])
    };
    let room = room_of_two().await.1;
    let runs = in_orders(Orders::All, Crash::Never, begin, async |run: &Run| {
        assert_eq!(run.texts(&room), ["once"], "{:?}", run.replies);
        assert_eq!(run.replies[1].as_ref().expect("a reply")["seq"], 1);
    });
    assert!(runs.await > 1_000);
}

#[tokio::test]
async fn a_join_and_a_disconnect_leave_no_trace_and_the_right_list_in_every_order() {
    let room = room_of_two().await.1;
    let (all, some) = (Orders::All, Orders::Some(5_000));
    for (orders, crash) in [(all, Crash::Never), (some, Crash::Once)] {
        let begin = async || {
            let (world, room, _) = room_of_two().await;
            let eve = world.connect("e").await;
            let join = json!({"type": "join", "room": room, "name": "eve"});
            let tasks = vec![sends(&world, &eve, join), departs(&world, &eve)];
            (world, tasks)
        };
        let runs = in_orders(orders, crash, begin, async |run: &Run| {
            let (ann, eve) = (ConnectionId::new("a"), ConnectionId::new("e"));
            run.world.outbox.gone(&eve);
            if crash == Crash::Once {
                // Somebody says something, and finds whatever was left.
                run.world.say(&ann, "anyone?").await;
                run.world.send(&ann, json!({"type": "ping"})).await;
            } else {
                assert_eq!(
                    run.world.store.traces_of(&eve),
                    [""; 0],
                    "{:?}",
                    run.replies
                );
            }
            let two = json!({"rev": 2, "members": ["ann", "bob"]});
            assert_eq!(run.list_of("b", &two), two["members"], "{:?}", run.replies);
            let free = run.world.connect("f").await;
            let joined = run.world.join(&free, &room, "eve").await;
            assert_eq!(joined["members"], json!(["ann", "bob", "eve"]), "{joined}");
        });
        assert!(runs.await > 100);
    }
}

#[tokio::test]
async fn of_two_who_want_one_name_one_gets_it_and_all_have_one_list_in_every_order() {
    let begin = async || {
        let (world, room, _) = room_of_two().await;
        let mut tasks = Vec::new();
        for id in ["c", "d"] {
            let id = world.connect(id).await;
            let join = json!({"type": "join", "room": room, "name": "Eve"});
            tasks.push(sends(&world, &id, join));
        }
        (world, tasks)
    };
    let runs = in_orders(Orders::All, Crash::Never, begin, async |run: &Run| {
        let replies: Vec<_> = run.replies.iter().flatten().collect();
        let joined = replies.iter().filter(|it| it["type"] == "joined").count();
        let refused = replies
            .iter()
            .filter(|it| it["code"] == "name-taken")
            .count();
        assert_eq!((joined, refused), (1, 1), "{replies:?}");
        let before = json!({"rev": 2});
        assert_eq!(run.list_of("a", &before), json!(["ann", "bob", "Eve"]));
    });
    assert!(runs.await > 1_000);
}

#[tokio::test]
async fn a_leave_and_a_rename_end_with_one_list_at_everyone_in_every_order() {
    let begin = async || {
        let (world, room, [ann, bob]) = room_of_two().await;
        let eve = world.connect("e").await;
        world.join(&eve, &room, "eve").await;
        world.outbox.take();
        let tasks = vec![
            sends(&world, &ann, json!({"type": "rename", "name": "anna"})),
            sends(&world, &bob, json!({"type": "leave"})),
        ];
        (world, tasks)
    };
    let runs = in_orders(Orders::All, Crash::Never, begin, async |run: &Run| {
        assert_eq!(run.list_of("e", &json!({"rev": 3})), json!(["anna", "eve"]));
    });
    assert!(runs.await > 200);
}

/// Somebody finds the old connection gone, and removes it, while the member comes back.
#[tokio::test]
async fn a_member_who_comes_back_is_not_removed_for_its_old_connection_in_any_order() {
    let begin = async || {
        let (world, room, [ann, bob]) = room_of_two().await;
        let joined = world.join(&bob, &room, "bob").await;
        world.outbox.gone(&bob);
        let new = world.connect("new").await;
        let back = json!({"type": "join", "room": room, "name": "bob", "resume": joined["resume"]});
        let tasks = vec![
            sends(&world, &ann, message(&room, "1", "bob?")),
            sends(&world, &new, back),
        ];
        world.outbox.take();
        (world, tasks)
    };
    let room = room_of_two().await.1;
    let runs = in_orders(
        Orders::Some(5_000),
        Crash::Never,
        begin,
        async |run: &Run| {
            let joined = run.replies[1].as_ref().expect("a reply");
            assert_eq!(joined["name"], "bob", "{joined}");
            let new = ConnectionId::new("new");
            let place = format!("in {room}");
            let traces = [
                place,
                format!("member of {room}"),
                format!("holds bob in {room}"),
            ];
            assert_eq!(run.world.store.traces_of(&new), traces);
            assert_eq!(run.world.store.traces_of(&ConnectionId::new("b")), [""; 0]);
            let ann = ConnectionId::new("a");
            run.world.send(&ann, json!({"type": "ping"})).await;
            let two = json!({"rev": 0, "members": ["ann", "bob"]});
            assert_eq!(run.list_of("a", &two), two["members"]);
        },
    );
    assert_eq!(runs.await, 5_000);
}
