//! Ten thousand idle connections, and a conversation beside them. A process of its own, because it
//! measures its memory.

#[expect(dead_code, reason = "the other tests use the rest")]
#[path = "gateway/support.rs"]
mod support;

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Resource, getrlimit, setrlimit};
use support::Setup;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// How many there are if the machine lets one process have as many files.
const CROWD: usize = 10_000;

/// Files for everything else.
const SPARE_FILES: u64 = 500;

/// Lets this process have as many files as it may, and gives how many those are.
fn raise_file_limit() -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("up to the maximum is allowed");
    limit.maximum.unwrap_or(u64::MAX)
}

/// The memory that this process has, in bytes.
fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    kilobytes
        .and_then(|kb| kb.parse::<usize>().ok())
        .expect("a number")
        * 1024
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_idle_connections_leave_a_conversation_undisturbed() {
    let files = raise_file_limit() - SPARE_FILES;
    let crowd = CROWD.min(usize::try_from(files).expect("a machine of 64 bits"));
    let app = Setup::default()
        .without(&["Connect", "Disconnect"])
        .start()
        .await;
    let mut client = app.connect().await;
    client.turn("alone").await;
    let alone = median_turn(&mut client).await;
    let before = resident_bytes();

    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/app/crowd.mjs");
    let port = app.authority().rsplit_once(':').expect("a port").1;
    let mut holder = Command::new("node")
        .arg(script)
        .args([port, &crowd.to_string()])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("node starts");
    let mut lines = BufReader::new(holder.stdout.take().expect("a pipe")).lines();
    let opened = tokio::time::timeout(Duration::from_mins(5), lines.next_line()).await;
    let opened = opened.expect("in time").expect("readable");
    assert_eq!(opened, Some(format!("OPEN {crowd}")));

    let each = resident_bytes().saturating_sub(before) / crowd;
    let beside = median_turn(&mut client).await;
    let figures = format!(
        "{crowd} idle connections: {each} bytes each; a turn took {alone:?} alone and {beside:?} beside them"
    );
    // For whoever looks: `cargo test -p local --test crowd -- --nocapture`.
    std::io::Write::write_all(&mut std::io::stderr(), format!("{figures}\n").as_bytes())
        .expect("a standard error");
    assert!(each < 64 * 1024, "{figures}");
    assert!(beside < Duration::from_secs(5), "{figures}");
    let silence = tokio::time::timeout(Duration::from_millis(200), lines.next_line()).await;
    assert!(silence.is_err(), "none is lost: {silence:?}");
    app.stop().await;
}

async fn median_turn(client: &mut support::Client) -> Duration {
    let mut turns = Vec::new();
    for turn in 0..51 {
        turns.push(client.turn(&turn.to_string()).await);
    }
    turns.sort();
    turns[turns.len() / 2]
}
