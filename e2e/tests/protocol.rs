//! `PROTOCOL.md` against the real thing: every example in it, and its list of error codes.

use std::collections::{BTreeMap, BTreeSet};

use e2e::client::Client;
use e2e::{chatctl, stack};
use handlers::protocol::Code;
use serde_json::{Value, json};

fn document() -> String {
    std::fs::read_to_string(chatctl::checkout().join("PROTOCOL.md")).expect("PROTOCOL.md is there")
}

/// The examples of one section, by the heading above each.
fn examples(section: &str) -> Vec<(String, Value)> {
    let document = document();
    let start = document.find(&format!("\n## {section}\n")).expect(section);
    let rest = &document[start + 4..];
    let section = &rest[..rest.find("\n## ").unwrap_or(rest.len())];
    let mut examples = Vec::new();
    for part in section.split("\n### ").skip(1) {
        let heading = part
            .lines()
            .next()
            .unwrap_or_default()
            .trim_matches('`')
            .to_owned();
        for block in part.split("```json\n").skip(1) {
            let block = block.split("```").next().unwrap_or_default();
            examples.push((heading.clone(), serde_json::from_str(block).expect(block)));
        }
    }
    examples
}

/// Field names with the kind of their values.
fn shape(frame: &Value) -> BTreeMap<String, &'static str> {
    let kind = |value: &Value| match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let fields = frame.as_object().expect("an object");
    fields
        .iter()
        .map(|(name, value)| (name.clone(), kind(value)))
        .collect()
}

#[tokio::test]
async fn every_documented_client_frame_is_carried_out_and_every_server_frame_looks_as_documented() {
    let stack = stack::start(|_| {}).await;
    let url = stack.websocket_url();
    let mut host = Client::connect(&url).await;
    let room = host.ask(json!({"type": "create", "name": "host"})).await["room"].clone();
    host.ask(json!({"type": "message", "text": "said before"}))
        .await;

    let mut seen: BTreeMap<String, Value> = BTreeMap::new();
    let mut keep = |frame: Value| {
        seen.insert(frame["type"].as_str().expect("a type").to_owned(), frame);
    };
    let client_examples = examples("Client frames");
    let headings: BTreeSet<&str> = client_examples.iter().map(|(it, _)| it.as_str()).collect();
    let known = "create history join leave message ping remove rename typing";
    assert_eq!(headings, known.split(' ').collect());
    for (number, (heading, mut frame)) in client_examples.into_iter().enumerate() {
        assert_eq!(frame["type"], heading.as_str());
        if frame["room"].is_string() {
            frame["room"] = room.clone();
        }
        let mut client = Client::connect(&url).await;
        if heading == "remove" {
            // Only in a room of its own.
            let own = json!({"type": "create", "name": "maker"});
            let own = client.ask_for("joined", own).await["room"].clone();
            let mut guest = Client::connect(&url).await;
            let join = json!({"type": "join", "room": own, "name": frame["name"]});
            guest.ask_for("joined", join).await;
            client.send(frame).await;
            while client.next_of("presence").await["event"] != "leave" {}
            keep(guest.next_of("removed").await);
            client.close().await;
            continue;
        }
        if heading != "join" && heading != "create" {
            let name = format!("guest {number}");
            let join = json!({"type": "join", "room": room, "name": name});
            client.ask_for("joined", join).await;
        }
        client.send(frame).await;
        // The end of the guest before may be told of in between.
        let reply = loop {
            let reply = client.next().await;
            if reply["type"] != "presence" || reply["event"] == "rename" {
                break reply;
            }
        };
        assert_ne!(reply["type"], "error", "{heading}: {reply}");
        keep(reply);
        client.close().await;
    }
    keep(host.ask_for("error", json!({"type": "nothing"})).await);

    let server_examples = examples("Server frames");
    let documented: BTreeSet<&str> = server_examples.iter().map(|(it, _)| it.as_str()).collect();
    assert_eq!(documented, seen.keys().map(String::as_str).collect());
    for (heading, example) in &server_examples {
        assert_eq!(shape(example), shape(&seen[heading]), "{heading}");
    }
    stack.stop().await;
}

/// What the page of the first release sent, and the fields that it read of each answer, as recorded from
/// it. Pages stay open for days, and are cached: an older one talks to newer handlers.
const RECORDED: [(&str, &str, &[&str]); 9] = [
    (
        r#"{"type":"create","name":"ann"}"#,
        "joined",
        &["room", "name", "members", "count"],
    ),
    (
        r#"{"type":"message","text":"one"}"#,
        "message",
        &["room", "from", "text", "at"],
    ),
    (
        r#"{"type":"join","room":"ROOM","name":"anna"}"#,
        "joined",
        &["room", "name", "members", "count"],
    ),
    (
        r#"{"type":"join","room":"ROOM","name":"anna"}"#,
        "joined",
        &["room", "name", "members", "count"],
    ),
    (
        r#"{"type":"message","text":"two"}"#,
        "message",
        &["room", "from", "text", "at"],
    ),
    (r#"{"type":"ping"}"#, "pong", &[]),
    (
        r#"{"type":"join","room":"ROOM","name":"Bob"}"#,
        "error",
        &["code", "message"],
    ),
    (r#"{"type":"leave"}"#, "left", &[]),
    (
        r#"{"type":"message","text":"three"}"#,
        "error",
        &["code", "message"],
    ),
];

#[tokio::test]
async fn an_older_page_keeps_working() {
    let stack = stack::start(|_| {}).await;
    let url = stack.websocket_url();
    let (mut page, mut bob) = (Client::connect(&url).await, Client::connect(&url).await);
    let mut room = Value::Null;
    for (step, (sent, kind, read)) in RECORDED.iter().enumerate() {
        let frame = sent.replace("ROOM", room.as_str().unwrap_or_default());
        page.send_text(&frame).await;
        // It ignores the frames of types that it does not know.
        let known = ["message", "joined", "left", "pong", "error"];
        let reply = loop {
            let frame = page.next().await;
            if known.contains(&frame["type"].as_str().expect("a type")) {
                break frame;
            }
        };
        assert_eq!(reply["type"], *kind, "{sent}: {reply}");
        let fields = shape(&reply);
        for field in *read {
            let expected = match *field {
                "members" => "array",
                "count" | "at" => "number",
                _ => "string",
            };
            assert_eq!(fields.get(*field), Some(&expected), "{sent}: {reply}");
        }
        if step == 0 {
            room = reply["room"].clone();
            let join = json!({"type": "join", "room": room, "name": "bob"});
            bob.ask(join).await;
        }
    }
    let heard = bob.messages_until_pong().await;
    let heard: Vec<_> = heard.iter().map(|it| (&it["from"], &it["text"])).collect();
    assert_eq!(
        heard,
        [
            (&json!("ann"), &json!("one")),
            (&json!("anna"), &json!("two"))
        ]
    );
    stack.stop().await;
}

#[test]
fn every_error_code_is_documented_and_no_other() {
    let document = document();
    let table = document
        .split("| code | meaning |")
        .nth(1)
        .expect("the table of codes");
    let rows = table
        .lines()
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let documented: BTreeSet<String> = rows
        .filter_map(|row| Some(row.split('`').nth(1)?.to_owned()))
        .collect();
    let codes = Code::ALL.map(|code| serde_json::to_value(code).expect("a string"));
    let codes = codes
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect();
    assert_eq!(documented, codes);
}
