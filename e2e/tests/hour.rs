//! An hour of a lively chat in minutes: nothing is lost, and `chatctl dev` and its functions need no more
//! memory at the end than after they have warmed up.
//!
//! The table is on the disk (`--data`), for what people said is kept there, and only there may it add up.
//! `HOUR_MESSAGES` is how many messages each of the 20 rooms hears in a run of the long one.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use e2e::chatctl::{self, Dev, children_of};
use e2e::client::Client;
use futures_util::future::join_all;
use serde_json::{Value, json};

const ROOMS: usize = 20;
const MEMBERS: usize = 10;

/// Of so many messages of a room, one is followed by somebody's connection breaking, one by somebody's going
/// to the lobby and back, and one by a visitor.
const BREAK_EVERY: u64 = 30;
const STEP_OUT_EVERY: u64 = 50;
const VISIT_EVERY: u64 = 40;

/// How many looks there are at the memory.
const LOOKS: usize = 40;

/// What memory may differ by without anything being kept: allocators give back when they like.
const SLACK_KIB: u64 = 2 * 1024;

/// 36,000 messages are ten a second for an hour.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "some minutes; the short one is for every day"]
async fn an_hour_of_traffic_needs_no_more_memory_than_its_first_half() {
    let given = std::env::var("HOUR_MESSAGES").ok();
    let messages = given.map_or(1_800, |it| it.parse().expect("a number"));
    pass(messages).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_minutes_of_traffic_need_no_more_memory_than_their_first_half() {
    pass(150).await;
}

async fn pass(messages: u64) {
    let folder = Folder::new(messages);
    // As packaged, for the time is best spent on messages.
    let _ = chatctl::packaged_bootstrap();
    let data = folder.0.to_str().expect("UTF-8");
    let arguments = ["--release", "--quiet", "--data", data];
    let dev = Dev::start_with(&arguments, Stdio::inherit()).await;
    let said = Arc::new(AtomicU64::new(0));
    let since = Instant::now();
    let rooms = (0..ROOMS).map(|number| {
        let (url, said) = (dev.websocket.clone(), Arc::clone(&said));
        tokio::spawn(async move { Room::open(url, number).await.live(messages, &said).await })
    });
    let rooms = rooms.collect::<Vec<_>>();
    let all = messages * ROOMS as u64;
    let looks = watch(&dev, &said, all, || {
        rooms.iter().any(tokio::task::JoinHandle::is_finished)
    });
    let looks = looks.await;
    for room in rooms {
        room.await.expect("nothing is lost");
    }
    assert_eq!(said.load(Ordering::Relaxed), all);
    report(&looks, since.elapsed());
    assert!(looks.len() > LOOKS / 2, "{} looks tell little", looks.len());
    for (who, memory) in [
        ("chatctl", (|look| look.gateway_kib) as fn(&Look) -> u64),
        ("a function", |look| look.function_kib),
    ] {
        let most = |part: &[Look]| part.iter().map(memory).max().expect("some");
        let quarter = looks.len() / 4;
        let (early, late) = (
            most(&looks[quarter..2 * quarter]),
            most(&looks[3 * quarter..]),
        );
        assert!(
            late <= early * 110 / 100 + SLACK_KIB,
            "{who} grows: {early} KiB in the second quarter, {late} KiB in the last"
        );
    }
    dev.end("TERM").await;
}

/// A room, and those who are in it. They wait for each other, so that what comes is known to the last frame.
struct Room {
    url: String,
    code: Value,
    number: usize,
    members: VecDeque<Member>,
    newest: u64,
}

struct Member {
    client: Client,
    name: String,
    resume: Value,
}

impl Room {
    async fn open(url: String, number: usize) -> Self {
        let mut host = Client::connect(&url).await;
        let name = format!("r{number}m0");
        let created = host.ask(json!({"type": "create", "name": name})).await;
        let code = created["room"].clone();
        let first = Member {
            client: host,
            name,
            resume: created["resume"].clone(),
        };
        let mut room = Self {
            url,
            code,
            number,
            members: VecDeque::from([first]),
            newest: 0,
        };
        for other in 1..MEMBERS {
            let member = room.enter(format!("r{number}m{other}"), &Value::Null).await;
            room.members.push_back(member);
        }
        room
    }

    async fn live(mut self, messages: u64, said: &AtomicU64) {
        for count in 1..=messages {
            self.say().await;
            said.fetch_add(1, Ordering::Relaxed);
            // Not all rooms at the same moment.
            let turn = count + self.number as u64;
            if turn.is_multiple_of(BREAK_EVERY) {
                self.lose_one(turn.is_multiple_of(2 * BREAK_EVERY)).await;
            }
            if turn.is_multiple_of(STEP_OUT_EVERY) {
                self.step_out().await;
            }
            if turn.is_multiple_of(VISIT_EVERY) {
                let visitor = self.enter(format!("visitor{count}"), &Value::Null).await;
                visitor.client.close().await;
            }
        }
        for member in self.members {
            member.client.close().await;
        }
    }

    /// The next one says something, and everybody hears it: the next message, and this one.
    async fn say(&mut self) {
        self.members.rotate_left(1);
        let (seq, id) = (
            self.newest + 1,
            format!("{}-{}", self.number, self.newest + 1),
        );
        let text = format!("{id}: {}", "what people say to each other ".repeat(3));
        let frame = json!({"type": "message", "room": self.code, "id": id, "text": text});
        self.members[0].client.send(frame).await;
        let heard = self
            .members
            .iter_mut()
            .map(|it| it.client.next_of("message"));
        for heard in join_all(heard).await {
            assert_eq!((&heard["seq"], &heard["id"]), (&json!(seq), &json!(id)));
        }
        self.newest = seq;
    }

    /// Somebody's connection breaks; something is said meanwhile; the same member comes back and gets it.
    async fn lose_one(&mut self, without_a_word: bool) {
        let lost = self.members.pop_back().expect("ten members");
        if without_a_word {
            lost.client.vanish();
        } else {
            lost.client.close().await;
        }
        self.say().await;
        let back = self.enter(lost.name, &lost.resume).await;
        self.members.push_back(back);
    }

    async fn step_out(&mut self) {
        let newest = self.newest;
        let member = self.members.back_mut().expect("ten members");
        member
            .client
            .ask_for("left", json!({"type": "leave"}))
            .await;
        let join = json!({
            "type": "join", "room": self.code, "name": member.name, "resume": member.resume, "after": newest,
        });
        let joined = member.client.ask_for("joined", join).await;
        assert_eq!(joined["seq"], newest, "{joined}");
        member.resume = joined["resume"].clone();
    }

    /// Comes in, or back after one message was missed.
    async fn enter(&self, name: String, resume: &Value) -> Member {
        let mut client = Client::connect(&self.url).await;
        let mut join = json!({"type": "join", "room": self.code, "name": name});
        if !resume.is_null() {
            join["resume"] = resume.clone();
            join["after"] = json!(self.newest - 1);
        }
        let joined = client.ask_for("joined", join).await;
        assert_eq!(joined["seq"], self.newest, "{joined}");
        if !resume.is_null() {
            assert_eq!(joined["messages"][0]["seq"], self.newest, "{joined}");
        }
        let resume = joined["resume"].clone();
        Member {
            client,
            name,
            resume,
        }
    }
}

/// How much memory is in use when so many messages have been said.
struct Look {
    said: u64,
    gateway_kib: u64,
    /// The largest process of a function, how many there are, and all of them.
    function_kib: u64,
    functions: usize,
    functions_kib: u64,
}

/// Looks whenever another fortieth has been said.
async fn watch(dev: &Dev, said: &AtomicU64, all: u64, is_over: impl Fn() -> bool) -> Vec<Look> {
    let mut looks: Vec<Look> = Vec::new();
    while !is_over() {
        let now = said.load(Ordering::Relaxed);
        let last = looks.last().map_or(0, |it| it.said);
        if now >= last + all / LOOKS as u64 {
            let functions = children_of(dev.pid());
            let memory: Vec<_> = functions.into_iter().filter_map(resident_kib).collect();
            looks.push(Look {
                said: now,
                gateway_kib: resident_kib(dev.pid()).expect("it runs"),
                function_kib: memory.iter().copied().max().expect("some function"),
                functions: memory.len(),
                functions_kib: memory.iter().sum(),
            });
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    looks
}

/// The memory of a process; none if it is gone.
fn resident_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

#[expect(clippy::print_stdout, reason = "the figures are what it is for")]
fn report(looks: &[Look], took: Duration) {
    println!("{:.1} s", took.as_secs_f64());
    println!(
        "{:>8} {:>12} {:>14} {:>10} {:>10}",
        "said", "chatctl KiB", "function KiB", "functions", "all KiB"
    );
    for it in looks {
        println!(
            "{:>8} {:>12} {:>14} {:>10} {:>10}",
            it.said, it.gateway_kib, it.function_kib, it.functions, it.functions_kib
        );
    }
}

/// A folder for the table, which goes with the test.
struct Folder(PathBuf);

impl Folder {
    fn new(messages: u64) -> Self {
        let name = format!("hour-{messages}-{}", std::process::id());
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).expect("made");
        Self(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What stays behind is below `target/`.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
