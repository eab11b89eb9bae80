//! What functions are given, against events recorded from AWS.

use std::time::Duration;

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use serde_json::{Value, json};

use crate::support::{App, Client, Setup};

/// Fields whose values are the same here, and not only their types.
const SAME_VALUES: [&str; 9] = [
    "/isBase64Encoded",
    "/requestContext/routeKey",
    "/requestContext/eventType",
    "/requestContext/messageDirection",
    "/requestContext/stage",
    "/requestContext/disconnectStatusCode",
    "/requestContext/disconnectReason",
    "/body",
    "/headers/x-api-key",
];

fn sample(text: &str) -> Value {
    let mut sample: Value = serde_json::from_str(text).expect("a sample");
    let source = sample.as_object_mut().expect("a map").remove("_source");
    assert!(source.is_some(), "a sample says where it is from");
    sample
}

/// The same fields, and the same types in them.
fn assert_same_shape(ours: &Value, sample: &Value, place: &str) {
    match (ours, sample) {
        (Value::Object(ours), Value::Object(sample)) => {
            let names = |map: &serde_json::Map<String, Value>| {
                let mut names: Vec<_> = map.keys().cloned().collect();
                names.sort();
                names
            };
            assert_eq!(names(ours), names(sample), "fields of {place}");
            for (name, value) in sample {
                assert_same_shape(&ours[name], value, &format!("{place}/{name}"));
            }
        }
        (Value::Array(ours), Value::Array(sample)) => {
            assert_eq!(ours.len(), sample.len(), "items of {place}");
            for (ours, sample) in ours.iter().zip(sample) {
                assert_same_shape(ours, sample, place);
            }
        }
        (Value::Number(ours), Value::Number(sample)) => {
            assert_eq!(ours.is_u64(), sample.is_u64(), "kind of number of {place}");
        }
        (Value::String(_), Value::String(_)) | (Value::Bool(_), Value::Bool(_)) => {}
        _ => panic!("{place} is {ours}, and {sample} on AWS"),
    }
}

fn assert_like(event: &Value, text: &str) {
    let sample = sample(text);
    assert_same_shape(event, &sample, "");
    for place in SAME_VALUES {
        assert_eq!(event.pointer(place), sample.pointer(place), "{place}");
    }
    let context = &event["requestContext"];
    for id in ["connectionId", "requestId"] {
        let id = context[id].as_str().expect("a string");
        assert!(id.len() == 16 && id.ends_with('='), "{id}");
    }
    assert_eq!(context["requestId"], context["extendedRequestId"]);
    let age = context["requestTimeEpoch"].as_u64().expect("an integer")
        - context["connectedAt"].as_u64().expect("an integer");
    assert!(age < 60_000, "{age} ms");
    let time = context["requestTime"].as_str().expect("a string");
    assert_eq!(time.len(), "01/Jan/2024:00:00:00 +0000".len(), "{time}");
    let typed: ApiGatewayWebsocketProxyRequest =
        serde_json::from_value(event.clone()).expect("what Rust functions are given");
    let connected_at = typed.request_context.connected_at;
    assert_eq!(json!(connected_at), context["connectedAt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_have_the_fields_and_types_of_awss_samples() {
    let mut app = App::start().await;
    let extensions = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let mut client = app.try_connect("", extensions).await.unwrap();
    let connect = app.event("CONNECT").await;
    assert_like(&connect, include_str!("../samples/connect.json"));
    assert!(
        connect["headers"]["X-Amzn-Trace-Id"]
            .as_str()
            .unwrap()
            .starts_with("Root=1-")
    );

    client.send(r#"{"action":"say","text":"hi"}"#).await;
    let message = app.event("MESSAGE").await;
    assert_like(&message, include_str!("../samples/message.json"));
    assert_ne!(
        message["requestContext"]["messageId"],
        message["requestContext"]["requestId"]
    );
    client.text().await;

    close_without_status(client).await;
    let disconnect = app.event("DISCONNECT").await;
    assert_like(&disconnect, include_str!("../samples/disconnect.json"));

    let ids =
        [&connect, &message, &disconnect].map(|event| &event["requestContext"]["connectionId"]);
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
    assert_eq!(connect["requestContext"]["domainName"], app.authority());
    app.stop().await;
}

async fn close_without_status(mut client: Client) {
    client
        .send_message(tokio_tungstenite::tungstenite::Message::Close(None))
        .await;
    // Held until the other side has closed.
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(5)).await;
        drop(client);
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn headers_and_query_strings_are_given_single_and_multiple_in_the_clients_case() {
    let mut app = App::start().await;
    let headers = "User-Agent: test/1\r\nX-myHeader: one\r\nX-myHeader: two\r\nCookie: a=b\r\n";
    let client = app
        .try_connect("?name=a&name=b%20c&flag", headers)
        .await
        .unwrap();
    let event = app.event("CONNECT").await;
    assert_eq!(
        event["queryStringParameters"],
        json!({"name": "b c", "flag": ""})
    );
    assert_eq!(
        event["multiValueQueryStringParameters"],
        json!({"name": ["a", "b c"], "flag": [""]})
    );
    assert_eq!(event["headers"]["X-myHeader"], "two");
    assert_eq!(
        event["multiValueHeaders"]["X-myHeader"],
        json!(["one", "two"])
    );
    assert_eq!(event["headers"]["Cookie"], "a=b");
    assert_eq!(event["headers"]["Connection"], Value::Null);
    assert_eq!(event["requestContext"]["identity"]["userAgent"], "test/1");
    client.close(1000, "").await;
    let event = app.event("DISCONNECT").await;
    assert_eq!(event["requestContext"]["identity"]["userAgent"], "test/1");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_cannot_forge_where_it_comes_from() {
    let mut app = App::start().await;
    let forged = "X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n";
    let _client = app.try_connect("", forged).await.unwrap();
    let event = app.event("CONNECT").await;
    assert_eq!(
        event["multiValueHeaders"]["X-Forwarded-For"],
        json!(["127.0.0.1"])
    );
    assert_eq!(event["requestContext"]["identity"]["sourceIp"], "127.0.0.1");
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn disconnect_tells_the_clients_code_and_reason() {
    let mut app = App::start().await;
    for (code, reason) in [(1000, "bye"), (1001, ""), (4321, "my own")] {
        let client = app.connect().await;
        client.close(code, reason).await;
        let event = app.event("DISCONNECT").await;
        let context = &event["requestContext"];
        assert_eq!(context["disconnectStatusCode"], code);
        assert_eq!(context["disconnectReason"], reason);
    }
    // Gone without a word.
    let client = app.connect().await;
    drop(client);
    let event = app.event("DISCONNECT").await;
    assert_eq!(event["requestContext"]["disconnectStatusCode"], 1006);
    app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn message_ids_and_request_ids_differ_from_message_to_message() {
    let mut app = Setup::default().start().await;
    let mut client = app.connect().await;
    let mut seen = std::collections::HashSet::new();
    for _ in 0..5 {
        client.send("hi").await;
        let event = app.event("MESSAGE").await;
        for id in ["messageId", "requestId"] {
            assert!(seen.insert(event["requestContext"][id].clone()), "{id}");
        }
    }
    app.stop().await;
}
