//! Many at once: sockets that are idle, come and go, or are more than there are files for.

use std::process::Stdio;
use std::time::{Duration, Instant};

use e2e::chatctl::{self, Dev};
use e2e::client::Client;
use e2e::within_deadline;
use futures_util::StreamExt;
use futures_util::stream;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::beside::{Conversation, TALKATIVE};
use crate::frames::resident_kb;
use crate::raw::{Raw, authority, tcp};

/// How many there are if the machine lets one process have as many files.
const CROWD: usize = 10_000;

/// Files of this process for everything else.
const SPARE_FILES: u64 = 500;

/// How long all of them may take to come: each is an invocation of a function.
const CROWD_DEADLINE: Duration = Duration::from_mins(10);

/// Lets this process have as many files as it may, and gives how many sockets that allows.
fn sockets() -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("up to the maximum is allowed");
    let most = limit.maximum.unwrap_or(u64::MAX) - SPARE_FILES;
    CROWD.min(usize::try_from(most).unwrap_or(CROWD))
}

/// Opens one; the stage's throttle, which 10,000 at once are too many for, is waited for.
async fn admitted(websocket: &str) -> Raw {
    loop {
        match Raw::try_open(websocket).await {
            Ok(raw) => return raw,
            Err(429) => tokio::time::sleep(Duration::from_millis(100)).await,
            Err(status) => panic!("refused with {status}"),
        }
    }
}

#[tokio::test]
async fn ten_thousand_idle_sockets_leave_a_conversation_undisturbed() {
    let crowd = sockets();
    let dev = Dev::start(&TALKATIVE).await;
    let conversation = Conversation::begin(&dev.websocket).await;
    let (before, since) = (resident_kb(dev.pid()), Instant::now());
    let comers = stream::iter(0..crowd)
        .map(|_| admitted(&dev.websocket))
        .buffer_unordered(64)
        .collect::<Vec<_>>();
    let idle = tokio::time::timeout(CROWD_DEADLINE, comers).await;
    let idle = idle.expect("all of them in time");
    let took = since.elapsed();
    conversation.end("a crowd that comes").await;
    let each = (resident_kb(dev.pid()).saturating_sub(before)) / u64::try_from(crowd).expect("few");
    let conversation = Conversation::begin(&dev.websocket).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    conversation.end("a crowd that is there").await;
    let figures = format!("{crowd} sockets, {each} kB each, all there after {took:?}");
    let line = format!("{figures}\n");
    std::io::Write::write_all(&mut std::io::stderr(), line.as_bytes()).expect("written");
    assert!(each < 64, "{figures}");
    drop(idle);
    dev.end("TERM").await;
}

#[tokio::test]
async fn who_comes_and_goes_all_the_time_leaves_a_conversation_undisturbed() {
    let dev = Dev::start(&TALKATIVE).await;
    let conversation = Conversation::begin(&dev.websocket).await;
    let until = Instant::now() + Duration::from_secs(8);
    let storm = (0..50).map(async |number| {
        let mut rounds = 0_u64;
        // On however slow a machine, there are some of each.
        while Instant::now() < until || rounds < 3 {
            match number % 3 {
                // Without a word to the other side.
                0 => drop(Raw::try_open(&dev.websocket).await),
                // Before there is an answer.
                1 => {
                    let mut stream = tcp(authority(&dev.websocket)).await;
                    let request = crate::raw::handshake(authority(&dev.websocket), "");
                    let write =
                        tokio::io::AsyncWriteExt::write_all(&mut stream, request.as_bytes());
                    let _ = within_deadline("room for a request", write).await;
                }
                _ => drop(tcp(authority(&dev.websocket)).await),
            }
            rounds += 1;
        }
        rounds
    });
    let rounds: u64 = futures_util::future::join_all(storm).await.iter().sum();
    assert!(rounds > 100, "{rounds}");
    conversation
        .end(&format!("{rounds} who came and went"))
        .await;
    dev.end("TERM").await;
}

/// `chatctl dev` under a limit of open files, `soft:hard`.
async fn limited(soft: u32, hard: u32) -> (tokio::process::Child, Value) {
    let _ = chatctl::bootstrap();
    let script = format!("ulimit -Sn {soft} && ulimit -Hn {hard} && exec \"$0\" \"$@\"");
    let mut child = tokio::process::Command::new("sh")
        .args(["-c", &script])
        .arg(chatctl::program())
        .args(["dev", "--port", "0", "--json"])
        .args(TALKATIVE)
        .current_dir(chatctl::checkout())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("a shell");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let line = within_deadline("URLs", lines.next_line()).await;
    let line = line.expect("readable").expect("a line");
    (child, serde_json::from_str(&line).expect("JSON"))
}

#[tokio::test]
async fn a_low_limit_of_files_is_raised_as_far_as_it_may_be() {
    sockets();
    let (mut child, urls) = limited(256, 4000).await;
    let websocket = urls["websocket"].as_str().expect("a URL");
    let conversation = Conversation::begin(websocket).await;
    let comers = stream::iter(0..1000)
        .map(|_| admitted(websocket))
        .buffer_unordered(32)
        .collect::<Vec<_>>();
    let comers = tokio::time::timeout(CROWD_DEADLINE, comers).await;
    assert_eq!(comers.expect("in time").len(), 1000);
    conversation
        .end("1,000 sockets, begun with 256 files")
        .await;
    chatctl::send_signal("TERM", child.id().expect("it runs"));
    within_deadline("end", child.wait()).await.expect("ended");
}

#[tokio::test]
async fn more_sockets_than_files_wait_and_leave_a_conversation_undisturbed() {
    sockets();
    let (mut child, urls) = limited(200, 200).await;
    let websocket = urls["websocket"].as_str().expect("a URL");
    let conversation = Conversation::begin(websocket).await;
    let mut silent = Vec::new();
    for _ in 0..400 {
        silent.push(tcp(authority(websocket)).await);
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    conversation.end("more sockets than files").await;
    drop(silent);
    // Once they are gone there is room again.
    let mut client = Client::connect(websocket).await;
    let pong = client.ask(serde_json::json!({"type": "ping"})).await;
    assert_eq!(pong["type"], "pong");
    chatctl::send_signal("TERM", child.id().expect("it runs"));
    within_deadline("end", child.wait()).await.expect("ended");
}
