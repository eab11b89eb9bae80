//! Routes, replies and refusals.

use std::path::Path;

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{App, Setup};

#[tokio::test(flavor = "multi_thread")]
async fn a_named_route_with_a_response_answers_and_one_without_has_to_post() {
    let app = App::start().await;
    let mut client = app.connect().await;
    client.send(r#"{"action":"say","text":"hi"}"#).await;
    assert_eq!(client.text().await, "said hi");
    client.send(r#"{"action":"tell","text":"you"}"#).await;
    assert_eq!(client.text().await, "told you");
    // What `tell` returned is not in between.
    client.send(r#"{"action":"say","text":"more"}"#).await;
    assert_eq!(client.text().await, "said more");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_response_without_a_selection_expression_or_the_reverse_sends_nothing() {
    for missing in [
        "/Resources/SayRoute/Properties/RouteResponseSelectionExpression",
        "/Resources/SayResponse",
    ] {
        let mut setup = Setup::default();
        let (parent, key) = missing.rsplit_once('/').unwrap();
        setup
            .template
            .pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap()
            .remove(key)
            .unwrap();
        let mut app = setup.start().await;
        let mut client = app.connect().await;
        client.send(r#"{"action":"say","text":"hi"}"#).await;
        app.event("MESSAGE").await;
        client.send("hello").await;
        assert_eq!(client.text().await, "length 5", "{missing}");
        app.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_route_is_for_goes_to_default() {
    let mut app = App::start().await;
    let mut client = app.connect().await;
    for (body, key) in [
        ("hello", "$default"),
        (r#"{"action":"dance"}"#, "$default"),
        (r#"{"action":"$connect"}"#, "$default"),
        (r#"{"action":"say","text":"x"}"#, "say"),
    ] {
        client.send(body).await;
        client.text().await;
        let event = app.event("MESSAGE").await;
        assert_eq!(event["requestContext"]["routeKey"], key, "{body}");
        assert_eq!(event["body"], body);
    }
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_default_route_the_client_is_told_forbidden_as_aws_words_it() {
    let mut app = Setup::default().without(&["Other"]).start().await;
    let (mut client, id) = app.connect_with_id().await;
    client.send("hello").await;
    let text = client.text().await;
    let start = format!(r#"{{"message": "Forbidden", "connectionId":"{id}", "requestId":""#);
    assert!(text.starts_with(&start), "{text}");
    client.turn("still open").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_function_is_an_internal_server_error_and_the_next_message_works() {
    let mut app = App::start().await;
    let (mut client, id) = app.connect_with_id().await;
    client.send(r#"{"action":"say","fail":true}"#).await;
    let text = client.text().await;
    let event = app.event("MESSAGE").await;
    let request_id = event["requestContext"]["requestId"].as_str().unwrap();
    assert_eq!(
        text,
        format!(
            r#"{{"message": "Internal server error", "connectionId":"{id}", "requestId":"{request_id}"}}"#
        )
    );
    client.turn("next").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replys_status_does_not_matter_to_the_client() {
    let app = App::start().await;
    let mut client = app.connect().await;
    client
        .send(r#"{"action":"say","text":"hi","status":500}"#)
        .await;
    assert_eq!(client.text().await, "said hi");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_one_connection_are_handled_at_the_same_time() {
    let app = App::start().await;
    let mut client = app.connect().await;
    let name = format!("said-fast-{}", std::process::id());
    let gate = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let slow = json!({"action": "say", "text": "slow", "until": gate});
    client.send(&slow.to_string()).await;
    client.send(r#"{"action":"say","text":"fast"}"#).await;
    assert_eq!(client.text().await, "said fast");
    std::fs::write(&gate, "").unwrap();
    assert_eq!(client.text().await, "said slow");
    std::fs::remove_file(&gate).unwrap();
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connect_refuses_with_the_functions_status() {
    let mut app = App::start().await;
    for (query, status) in [
        ("?status=401", 401),
        ("?status=403", 403),
        ("?status=500", 500),
        // A function that fails, and an answer that is not a proxy response.
        ("?fail=1", 502),
        ("?answer=ok", 502),
    ] {
        let refusal = app.try_connect(query, "").await.err().expect("refused");
        assert_eq!(refusal.status, status, "{query}");
        let event = app.event("CONNECT").await;
        let context = &event["requestContext"];
        if status == 502 {
            let expected = json!({
                "message": "Internal server error",
                "connectionId": context["connectionId"],
                "requestId": context["requestId"],
            });
            assert_eq!(refusal.json(), expected);
        } else {
            assert_eq!(refusal.body, "", "{query}");
        }
    }
    // None of them was a connection, so none has ended.
    let client = app.connect().await;
    client.close(1000, "").await;
    let event = app.event("DISCONNECT").await;
    assert_eq!(event["requestContext"]["disconnectStatusCode"], 1000);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_subprotocol_is_what_the_function_answers_and_nothing_else() {
    let app = App::start().await;
    let offer = "Sec-WebSocket-Protocol: chat.v1, chat.v2\r\n";
    let chosen = app.try_connect("?protocol=chat.v2", offer).await.unwrap();
    assert!(
        chosen
            .head
            .to_lowercase()
            .contains("sec-websocket-protocol: chat.v2\r\n")
    );
    let ignored = app.try_connect("", offer).await.unwrap();
    assert!(
        !ignored
            .head
            .to_lowercase()
            .contains("sec-websocket-protocol")
    );
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_connect_and_disconnect_routes_a_client_gets_in_and_out() {
    let app = Setup::default()
        .without(&["Connect", "Disconnect"])
        .start()
        .await;
    let mut client = app.connect().await;
    client.turn("hi").await;
    client.close(1000, "").await;
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_during_its_connect_is_disconnected_afterwards() {
    let mut app = App::start().await;
    let mut early = app.tcp().await;
    let request = format!(
        "GET /live?wait=1500 HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        app.authority()
    );
    early.write_all(request.as_bytes()).await.unwrap();
    let connect = app.event("CONNECT").await;
    drop(early);
    let disconnect = app.event("DISCONNECT").await;
    let id = |event: &serde_json::Value| event["requestContext"]["connectionId"].clone();
    assert_eq!(id(&connect), id(&disconnect));
    assert_eq!(disconnect["requestContext"]["disconnectStatusCode"], 1006);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_a_handshake_is_told_to_upgrade() {
    let app = App::start().await;
    for path in ["/live", "/live/"] {
        let answer = app.http("GET", path, b"").await;
        assert_eq!(answer.status, 426, "{path}");
    }
    assert_eq!(app.http("GET", "/other", b"").await.status, 403);
    assert_eq!(app.http("GET", "/lively", b"").await.status, 403);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_are_answered() {
    let app = App::start().await;
    let mut client = app.connect().await;
    client
        .send_message(Message::Ping("still there?".into()))
        .await;
    assert_eq!(client.next().await, Message::Pong("still there?".into()));
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_outputs_speak_of_the_local_address() {
    let app = App::start().await;
    let url = format!("ws://{}/live", app.authority());
    assert_eq!(app.stack().websocket_url(), url);
    let outputs = &app.stack().template().outputs;
    assert_eq!(json!(outputs), json!({"SocketUrl": url}));
    app.stop().await;
}
