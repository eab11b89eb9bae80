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
    let known = "create history join leave message ping rename typing";
    assert_eq!(headings, known.split(' ').collect());
    for (number, (heading, mut frame)) in client_examples.into_iter().enumerate() {
        assert_eq!(frame["type"], heading.as_str());
        if frame["room"].is_string() {
            frame["room"] = room.clone();
        }
        let mut client = Client::connect(&url).await;
        if heading != "join" && heading != "create" {
            let name = format!("guest {number}");
            let join = json!({"type": "join", "room": room, "name": name});
            client.ask(join).await;
        }
        let reply = client.ask(frame).await;
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
