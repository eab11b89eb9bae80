//! Clients that mean no good, or are broken, and a conversation beside them.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{App, Client, soon};

/// A conversation's turn is a few milliseconds; this is what a busy machine may make of it.
const UNDISTURBED: Duration = Duration::from_secs(20);

async fn assert_undisturbed(client: &mut Client) {
    for turn in 0..10 {
        let took = client.turn(&format!("turn {turn}")).await;
        assert!(took < UNDISTURBED, "{took:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_never_end_are_cut_off_and_disturb_nobody() {
    let app = App::start().await;
    let mut beside = app.connect().await;
    let mut lorises = Vec::new();
    for _ in 0..200 {
        let mut stream = app.tcp().await;
        stream
            .write_all(b"GET /live HTTP/1.1\r\nHost: ")
            .await
            .unwrap();
        lorises.push(stream);
    }
    let started = Instant::now();
    assert_undisturbed(&mut beside).await;
    // A byte now and then does not help them.
    let mut left = lorises.pop().unwrap();
    let cut_off = async {
        let mut answer = Vec::new();
        loop {
            let mut buffer = [0; 256];
            tokio::select! {
                read = left.read(&mut buffer) => match read {
                    Ok(0) | Err(_) => return answer,
                    Ok(bytes) => answer.extend_from_slice(&buffer[..bytes]),
                },
                () = tokio::time::sleep(Duration::from_millis(500)) => {
                    // It fails once the other side has closed, which the next read tells.
                    drop(left.write_all(b"x").await);
                }
            }
        }
    };
    soon("being cut off", cut_off).await;
    assert!(
        started.elapsed() >= Duration::from_secs(8),
        "{:?}",
        started.elapsed()
    );
    assert_undisturbed(&mut beside).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_never_ends_is_cut_off() {
    let mut app = App::start().await;
    let (_client, id) = app.connect_with_id().await;
    let mut stream = app.tcp().await;
    let id = id
        .replace('=', "%3D")
        .replace('+', "%2B")
        .replace('/', "%2F");
    let head = format!(
        "POST /live/@connections/{id} HTTP/1.1\r\nHost: {}\r\nContent-Length: 100\r\n\r\nnot yet",
        app.authority()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    soon("an answer", stream.read_exact(&mut answer))
        .await
        .unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_with_a_body_is_refused() {
    let app = App::start().await;
    for header in ["Transfer-Encoding: chunked\r\n", "Content-Length: 5\r\n"] {
        let refusal = app.try_connect("", header).await.err().expect("refused");
        assert_eq!(refusal.status, 400, "{header}");
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_too_long_are_refused() {
    let app = App::start().await;
    let mut stream = app.tcp().await;
    let sent = async {
        let mut head = b"GET /live HTTP/1.1\r\n".to_vec();
        head.extend_from_slice("X-Long: x\r\n".repeat(100_000).as_bytes());
        drop(stream.write_all(&head).await);
        let mut answer = Vec::new();
        // The rest of it is unread, so the end may be a reset.
        drop(stream.read_to_end(&mut answer).await);
        answer
    };
    let answer = soon("an answer", sent).await;
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431"));
    app.connect().await.turn("next").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_never_answers_the_close_is_left_after_a_while() {
    let mut app = App::start().await;
    let (mut half_open, id) = app.connect_with_id().await;
    assert_eq!(app.manage("DELETE", &id, b"").await.status, 204);
    // The function hears of the end without waiting for the client.
    app.event("DISCONNECT").await;
    let stream = half_open.socket.get_mut();
    let ended = async {
        let mut answer = Vec::new();
        drop(stream.read_to_end(&mut answer).await);
        // It still sends, into nothing; at some point the operating system says so.
        while stream.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    soon("the end", ended).await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_messages_waits_with_its_sender_and_disturbs_nobody() {
    let app = App::start().await;
    let mut beside = app.connect().await;
    beside.turn("before").await;
    let mut flooder = app.connect().await;
    let flood = tokio::spawn(async move {
        // To `$default`, whose function is another one than the conversation's.
        let message = Message::text(crate::support::message_of(30_000));
        for _ in 0..2000 {
            flooder.send_message(message.clone()).await;
        }
    });
    assert_undisturbed(&mut beside).await;
    flood.abort();
    app.stop().await;
}
