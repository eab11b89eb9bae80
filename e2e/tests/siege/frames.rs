//! Frames that are broken, too large, too many or never end.

use std::time::{Duration, Instant};

use e2e::chatctl::Dev;
use e2e::within_deadline;

use crate::beside::{Conversation, TALKATIVE};
use crate::raw::{CLOSE, CONTINUE, FIN, PING, Raw, TEXT, close, frame, head};

/// How long a flood goes on.
const FLOOD: Duration = Duration::from_secs(5);

/// Each broken frame, and the code that it is closed with (RFC 6455, section 7.4.1; the sizes are API
/// Gateway's).
fn broken() -> Vec<(&'static str, Vec<u8>, u16)> {
    let long = vec![b'x'; 1_000_000];
    let euro = "€".as_bytes();
    let half = |first| frame(first, &euro[..2]);
    let many: Vec<u8> = std::iter::once(frame(TEXT, b"x"))
        .chain((0..140_000).map(|_| frame(CONTINUE, b"x")))
        .flatten()
        .collect();
    vec![
        ("a frame of 1 MB", frame(FIN | TEXT, &long), 1009),
        (
            "the head of a frame of 2^40 bytes",
            head(FIN | TEXT, 1 << 40),
            1009,
        ),
        (
            "a length with its highest bit",
            [&[0x81, 0xff][..], &[0xff; 8], &[0; 4]].concat(),
            1009,
        ),
        ("140,000 continuations of a byte", many, 1009),
        (
            "a frame that is not masked",
            vec![FIN | TEXT, 2, b'h', b'i'],
            1002,
        ),
        (
            "the first reserved bit",
            frame(FIN | 0x40 | TEXT, b"hi"),
            1002,
        ),
        (
            "the second reserved bit",
            frame(FIN | 0x20 | TEXT, b"hi"),
            1002,
        ),
        (
            "the third reserved bit",
            frame(FIN | 0x10 | TEXT, b"hi"),
            1002,
        ),
        ("opcode 3", frame(FIN | 3, b"hi"), 1002),
        ("opcode 11", frame(FIN | 0xb, b""), 1002),
        ("opcode 15", frame(FIN | 0xf, b""), 1002),
        (
            "a continuation of nothing",
            frame(FIN | CONTINUE, b"hi"),
            1002,
        ),
        (
            "a message within a message",
            [frame(TEXT, b"a"), frame(TEXT, b"b")].concat(),
            1002,
        ),
        ("a ping in two frames", frame(PING, b"hi"), 1002),
        ("a ping of 126 bytes", frame(FIN | PING, &[b'x'; 126]), 1002),
        ("a close of 126 bytes", close(1000, &[b'x'; 124]), 1002),
        ("a close of one byte", frame(FIN | CLOSE, &[3]), 1002),
        ("a close with code 0", close(0, b""), 1002),
        ("a close with code 999", close(999, b""), 1002),
        ("a close with code 1004", close(1004, b""), 1002),
        ("a close with code 1005", close(1005, b""), 1002),
        ("a close with code 1006", close(1006, b""), 1002),
        ("a close with code 1015", close(1015, b""), 1002),
        ("a close with code 2999", close(2999, b""), 1002),
        ("a close with code 5000", close(5000, b""), 1002),
        ("a close with code 65535", close(65_535, b""), 1002),
        (
            "a close whose reason is not UTF-8",
            close(1000, b"\xff"),
            1007,
        ),
        (
            "text that is not UTF-8",
            frame(FIN | TEXT, b"\xc3\x28"),
            1007,
        ),
        (
            "an encoded surrogate",
            frame(FIN | TEXT, b"\xed\xa0\x80"),
            1007,
        ),
        ("half a character, and no more", half(FIN | TEXT), 1007),
        (
            "a character that is broken off between two frames",
            [half(TEXT), frame(FIN | CONTINUE, b"x")].concat(),
            1007,
        ),
        ("bytes", frame(FIN | 2, b"hi"), 1003),
    ]
}

#[tokio::test]
async fn each_broken_frame_is_closed_with_its_code_and_disturbs_nobody() {
    let dev = Dev::start(&TALKATIVE).await;
    let conversation = Conversation::begin(&dev.websocket).await;
    for (what, bytes, code) in broken() {
        let mut raw = Raw::open(&dev.websocket).await;
        raw.write(&bytes).await;
        assert_eq!(raw.close_code().await, Some(code), "{what}");
    }
    conversation.end("broken frames").await;
    dev.end("TERM").await;
}

#[tokio::test]
async fn what_is_odd_and_allowed_is_understood() {
    let dev = Dev::start(&TALKATIVE).await;
    let mut raw = Raw::open(&dev.websocket).await;
    // A message a byte at a time, a character cut in two, with pings and empty frames in between.
    let text = r#"{"type":"create","name":"ännä"}"#.as_bytes();
    let mut bytes = frame(TEXT, b"");
    for byte in text {
        bytes.extend(frame(CONTINUE, &[*byte]));
        bytes.extend(frame(FIN | PING, b"?"));
        bytes.extend(frame(CONTINUE, b""));
    }
    bytes.extend(frame(FIN | CONTINUE, b""));
    raw.write(&bytes).await;
    let answered = within_deadline("answer", async {
        loop {
            let (opcode, payload) = raw.frame().await.expect("open");
            if opcode == TEXT {
                return String::from_utf8(payload).expect("text");
            }
        }
    });
    let answer = answered.await;
    assert!(answer.contains(r#""type":"joined""#), "{answer}");
    assert!(answer.contains("ännä"), "{answer}");
    for code in [1000, 1001, 1003, 1011, 3000, 4999] {
        let mut raw = Raw::open(&dev.websocket).await;
        raw.write(&close(code, "bye €".as_bytes())).await;
        assert_eq!(raw.close_code().await, Some(code));
    }
    dev.end("TERM").await;
}

/// Sends the same bytes for a while, as fast as they are taken, and reads or does not.
async fn flood(websocket: &str, bytes: Vec<u8>, reads: bool) -> usize {
    let Raw(stream) = Raw::open(websocket).await;
    let (mut reading, mut writing) = stream.into_split();
    let until = Instant::now() + FLOOD;
    let drain = tokio::spawn(async move {
        if reads {
            let _ = tokio::io::copy(&mut reading, &mut tokio::io::sink()).await;
        } else {
            tokio::time::sleep_until(until.into()).await;
        }
    });
    let mut sent = 0;
    while Instant::now() < until {
        let write = tokio::io::AsyncWriteExt::write_all(&mut writing, &bytes);
        match tokio::time::timeout_at(until.into(), write).await {
            Ok(Ok(())) => sent += 1,
            Ok(Err(error)) => panic!("closed after {sent}: {error}"),
            Err(_) => break,
        }
    }
    drain.abort();
    sent
}

async fn beside_floods(what: &str, floods: usize, bytes: Vec<u8>, reads: bool) {
    let dev = Dev::start(&TALKATIVE).await;
    let conversation = Conversation::begin(&dev.websocket).await;
    let before = resident_kb(dev.pid());
    let floods = (0..floods).map(|_| flood(&dev.websocket, bytes.clone(), reads));
    let sent: usize = futures_util::future::join_all(floods).await.iter().sum();
    assert!(sent > 0, "{what}");
    conversation.end(what).await;
    let grown = resident_kb(dev.pid()).saturating_sub(before);
    assert!(grown < 200_000, "{what}: {grown} kB more, for {sent} sent");
    dev.end("TERM").await;
}

/// The memory that a process has.
pub(crate) fn resident_kb(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|it| it.strip_prefix("VmRSS:"));
    let kb = line.and_then(|it| it.trim().strip_suffix(" kB")?.parse().ok());
    kb.expect("a number")
}

#[tokio::test]
async fn a_flood_of_messages_to_the_same_function_leaves_a_conversation_undisturbed() {
    let ping = frame(FIN | TEXT, br#"{"type":"ping"}"#);
    beside_floods("20 floods of frames", 20, ping, true).await;
}

#[tokio::test]
async fn clients_that_flood_and_never_read_leave_a_conversation_undisturbed() {
    let history = frame(FIN | TEXT, br#"{"type":"history"}"#);
    beside_floods("20 floods, never read", 20, history, false).await;
}

#[tokio::test]
async fn a_flood_of_pings_leaves_a_conversation_undisturbed() {
    for reads in [true, false] {
        let ping = frame(FIN | PING, &[b'x'; 125]).repeat(100);
        beside_floods("20 floods of pings", 20, ping, reads).await;
    }
}

#[tokio::test]
async fn a_message_that_never_ends_leaves_a_conversation_undisturbed() {
    // Empty ones: the message never grows, so no limit is ever reached.
    let nothing = frame(CONTINUE, b"").repeat(1000);
    let dev = Dev::start(&TALKATIVE).await;
    let conversation = Conversation::begin(&dev.websocket).await;
    let before = resident_kb(dev.pid());
    let mut raw = Raw::open(&dev.websocket).await;
    raw.write(&frame(TEXT, b"x")).await;
    let until = Instant::now() + FLOOD;
    let mut sent = 0;
    while Instant::now() < until {
        raw.write(&nothing).await;
        sent += 1;
    }
    conversation.end("a message that never ends").await;
    let grown = resident_kb(dev.pid()).saturating_sub(before);
    assert!(grown < 50_000, "{grown} kB more, for {sent},000 frames");
    raw.write(&frame(FIN | CONTINUE, b"x")).await;
    let answer = within_deadline("answer", raw.frame()).await.expect("open");
    assert_eq!(answer.0, TEXT, "it still is a message");
    dev.end("TERM").await;
}
