//! Sizes, ages and rates, at their edges.

use std::time::{Duration, Instant};

use local::{FRAME_BYTES_MAX, Limits, MESSAGE_BYTES_MAX};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{App, Setup, message_of};

#[tokio::test(flavor = "multi_thread")]
async fn a_message_of_128_kb_in_frames_of_32_kb_passes_and_one_byte_more_closes() {
    let mut app = App::start().await;
    assert_eq!((MESSAGE_BYTES_MAX, FRAME_BYTES_MAX), (131_072, 32_768));
    let mut client = app.connect().await;
    client
        .send_frames(&message_of(131_072), 32_768)
        .await
        .unwrap();
    assert_eq!(client.text().await, "length 131072");
    client
        .send_frames(&message_of(131_073), 32_768)
        .await
        .unwrap();
    assert_eq!(client.closed().await, 1009);
    let event = app.event("DISCONNECT").await;
    assert_eq!(event["requestContext"]["disconnectStatusCode"], 1009);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_of_32_kb_passes_and_one_byte_more_closes() {
    let mut app = App::start().await;
    let mut client = app.connect().await;
    client.send(&message_of(32_768)).await;
    assert_eq!(client.text().await, "length 32768");
    client.send(&message_of(32_769)).await;
    assert_eq!(client.closed().await, 1009);
    let event = app.event("DISCONNECT").await;
    assert_eq!(event["requestContext"]["disconnectStatusCode"], 1009);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_in_the_middle_of_a_far_too_long_message_still_sees_the_close() {
    let app = App::start().await;
    let mut client = app.connect().await;
    // More than any buffer between the two holds: the rest is on its way when the close is sent.
    drop(
        client
            .send_frames(&message_of(20_000_000), 10_000_000)
            .await,
    );
    assert_eq!(client.closed().await, 1009);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binary_frame_closes_with_1003() {
    let mut app = App::start().await;
    let mut client = app.connect().await;
    client
        .send_message(Message::binary(&b"{\"action\":\"say\"}"[..]))
        .await;
    assert_eq!(client.closed().await, 1003);
    let event = app.event("DISCONNECT").await;
    assert_eq!(event["requestContext"]["disconnectStatusCode"], 1003);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_against_the_protocol_closes_with_1002() {
    let mut app = App::start().await;
    let mut client = app.connect().await;
    // A continuation of nothing, and not masked.
    client
        .socket
        .get_mut()
        .write_all(&[0x80, 0x00])
        .await
        .unwrap();
    assert_eq!(client.closed().await, 1002);
    let event = app.event("DISCONNECT").await;
    assert_eq!(event["requestContext"]["disconnectStatusCode"], 1002);
    app.stop().await;
}

fn short_lived(idle_timeout: Duration, connection_lifetime: Duration) -> Setup {
    Setup {
        limits: Limits {
            idle_timeout,
            connection_lifetime,
        },
        ..Setup::default()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_closed_as_going_away_and_a_busy_one_is_not() {
    // So long that no pause of the test's own, on a busy machine, is a silence.
    let idle = Duration::from_secs(6);
    let mut app = short_lived(idle, Duration::from_mins(5)).start().await;
    let mut silent = app.connect().await;
    let mut busy = app.connect().await;
    let started = Instant::now();
    while started.elapsed() < idle * 3 / 2 {
        busy.send_message(Message::Ping("".into())).await;
        assert!(matches!(busy.next().await, Message::Pong(_)));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(silent.closed().await, 1001);
    let event = app.event("DISCONNECT").await;
    assert_eq!(event["requestContext"]["disconnectStatusCode"], 1001);
    assert_eq!(event["requestContext"]["disconnectReason"], "Going away");
    busy.turn("still here").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_ends_at_its_age_however_busy_it_is() {
    let lifetime = Duration::from_secs(3);
    let mut app = short_lived(Duration::from_mins(5), lifetime).start().await;
    let started = Instant::now();
    let mut client = app.connect().await;
    let closed = async {
        loop {
            client.send_message(Message::Ping("".into())).await;
            match client.next().await {
                Message::Close(frame) => return frame.map(|frame| u16::from(frame.code)),
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    };
    assert_eq!(closed.await, Some(1001));
    assert!(started.elapsed() >= lifetime);
    let event = app.event("DISCONNECT").await;
    assert_eq!(event["requestContext"]["disconnectReason"], "Going away");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn beyond_the_stages_burst_frames_and_handshakes_are_too_many_requests() {
    let mut setup = Setup::default();
    // So slow that the test never sees another token.
    setup.template["Resources"]["Stage"]["Properties"]["DefaultRouteSettings"] =
        json!({"ThrottlingRateLimit": 0.001, "ThrottlingBurstLimit": 3});
    let mut app = setup.start().await;
    let (mut client, id) = app.connect_with_id().await;
    client.turn("one").await;
    client.turn("two").await;
    client.send(r#"{"action":"say","text":"three"}"#).await;
    let frame = client.text().await;
    let start =
        format!(r#"{{"message": "Too Many Requests", "connectionId":"{id}", "requestId":""#);
    assert!(frame.starts_with(&start), "{frame}");
    let refusal = app.try_connect("", "").await.err().expect("refused");
    assert_eq!(refusal.status, 429);
    app.stop().await;
}
