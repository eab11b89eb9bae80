//! `@connections`.

use std::time::{Duration, Instant};

use tokio_tungstenite::tungstenite::Message;

use crate::support::App;

fn xs(bytes: usize) -> Vec<u8> {
    vec![b'x'; bytes]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_arrives_as_text_whatever_it_is() {
    let mut app = App::start().await;
    let (mut client, id) = app.connect_with_id().await;
    for (posted, received) in [
        ("grüße".as_bytes(), "grüße"),
        (b"", ""),
        (b"a\xffb\0", "a\u{fffd}b\0"),
    ] {
        assert_eq!(app.manage("POST", &id, posted).await.status, 200);
        assert_eq!(client.next().await, Message::text(received));
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_gone_or_never_was_is_answered_with_410() {
    let mut app = App::start().await;
    let (client, id) = app.connect_with_id().await;
    client.close(1000, "").await;
    app.event("DISCONNECT").await;
    for id in [id.as_str(), "AAAAAAAAAAAAAAA=", "nonsense"] {
        for method in ["POST", "GET", "DELETE"] {
            let answer = app.manage(method, id, b"").await;
            assert_eq!(answer.status, 410, "{method} {id}");
            assert!(
                answer.head.contains("x-amzn-errortype: goneexception"),
                "{}",
                answer.head
            );
        }
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn during_its_own_connect_a_connection_is_not_there_yet() {
    let mut app = App::start().await;
    let _client = app.try_connect("?post=1&look=1", "").await.unwrap();
    assert_eq!(app.line("POSTED ").await, "410");
    assert_eq!(app.line("LOOKED ").await, "410");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_of_128_kb_passes_and_one_byte_more_is_too_large() {
    let mut app = App::start().await;
    let (mut client, id) = app.connect_with_id().await;
    assert_eq!(app.manage("POST", &id, &xs(131_072)).await.status, 200);
    assert_eq!(client.text().await.len(), 131_072);
    let answer = app.manage("POST", &id, &xs(131_073)).await;
    assert_eq!(answer.status, 413);
    assert!(
        answer.head.contains("payloadtoolargeexception"),
        "{}",
        answer.head
    );
    client.turn("still open").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_look_tells_who_it_is_and_when_it_was_last_active() {
    let mut app = App::start().await;
    let mut client = app.try_connect("", "User-Agent: test/1\r\n").await.unwrap();
    let event = app.event("CONNECT").await;
    let id = event["requestContext"]["connectionId"].as_str().unwrap();
    let first = app.manage("GET", id, b"").await.json();
    assert_eq!(first["identity"]["sourceIp"], "127.0.0.1");
    assert_eq!(first["identity"]["userAgent"], "test/1");
    tokio::time::sleep(Duration::from_millis(50)).await;
    client.turn("hi").await;
    let second = app.manage("GET", id, b"").await.json();
    assert_eq!(first["connectedAt"], second["connectedAt"]);
    // Both in RFC 3339 and UTC, so that the order of text is the order of time.
    let times =
        [&first["lastActiveAt"], &second["lastActiveAt"]].map(|time| time.as_str().unwrap());
    assert!(times[0] < times[1] && times[1].ends_with('Z'), "{times:?}");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delete_closes_normally_and_delivers_what_was_queued_before() {
    let mut app = App::start().await;
    let (mut client, id) = app.connect_with_id().await;
    assert_eq!(app.manage("POST", &id, b"last words").await.status, 200);
    assert_eq!(app.manage("DELETE", &id, b"").await.status, 204);
    assert_eq!(client.text().await, "last words");
    assert_eq!(client.closed().await, 1000);
    let event = app.event("DISCONNECT").await;
    assert_eq!(event["requestContext"]["disconnectStatusCode"], 1000);
    assert_eq!(app.manage("POST", &id, b"").await.status, 410);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn other_methods_are_refused() {
    let mut app = App::start().await;
    let (_client, id) = app.connect_with_id().await;
    assert_eq!(app.manage("PUT", &id, b"").await.status, 403);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_read_gets_429_while_nobody_else_notices() {
    const BYTES: usize = 100_000;
    let mut app = App::start().await;
    let (mut slow, slow_id) = app.connect_with_id().await;
    let (mut other, other_id) = app.connect_with_id().await;
    let started = Instant::now();
    let mut accepted = 0;
    loop {
        let answer = app.manage("POST", &slow_id, &xs(BYTES)).await;
        if answer.status == 429 {
            assert!(
                answer.head.contains("limitexceededexception"),
                "{}",
                answer.head
            );
            break;
        }
        assert_eq!(answer.status, 200);
        accepted += 1;
        assert!(accepted < 1000, "its buffer never fills");
        // The other one is served all the while.
        assert_eq!(app.manage("POST", &other_id, b"hi").await.status, 200);
        assert_eq!(other.text().await, "hi");
    }
    assert!(
        accepted * BYTES > 500_000,
        "{accepted} posts in {:?}",
        started.elapsed()
    );
    other.turn("undisturbed").await;
    // What was accepted arrives, once the client reads, and then there is room again.
    for _ in 0..accepted {
        assert_eq!(slow.text().await.len(), BYTES);
    }
    assert_eq!(app.manage("POST", &slow_id, b"again").await.status, 200);
    assert_eq!(slow.text().await, "again");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_buffer_does_not_keep_a_connection_from_being_deleted() {
    let mut app = App::start().await;
    let (_slow, id) = app.connect_with_id().await;
    let mut posts = 0;
    while app.manage("POST", &id, &xs(100_000)).await.status == 200 {
        posts += 1;
        assert!(posts < 1000, "its buffer never fills");
    }
    assert_eq!(app.manage("DELETE", &id, b"").await.status, 204);
    app.event("DISCONNECT").await;
    assert_eq!(app.manage("POST", &id, b"").await.status, 410);
    app.stop().await;
}
