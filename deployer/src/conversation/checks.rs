//! How each promise is looked at. All of them begin with people of their own in a room of their own.
//!
//! # Layout
//! * `basics`: coming in, and one message.
//! * `talk`: order, once, and what was missed.
//! * `people`: who is who, who is where.
//! * `rules`: limits, codes, errors.
//! * `quiet`: who disturbs the others, by what they say or at all.

mod basics;
mod people;
mod quiet;
mod rules;
mod talk;

pub(super) use basics::{connection, message, room};
pub(super) use people::{identity, lobby, membership, names, presence, resume, typing};
pub(super) use quiet::{flood, remove};
pub(super) use rules::{codes, errors, fields, limits};
pub(super) use talk::{history, once, order, pong, recovery};

pub(crate) use basics::pass_both_ways;

use serde_json::{Value, json};

use super::fault::{Fault, ensure};
use super::peer::Peer;
use super::scene::Scene;
use super::transcript::shown;

/// A room with its maker in it.
struct Room {
    code: String,
    ann: Peer,
    /// How the maker can come back.
    resume: String,
}

/// Makes a room.
async fn made(scene: &Scene<'_>) -> Result<Room, Fault> {
    let mut ann = scene.open("ann").await?;
    let joined = ann
        .ask(&json!({"type": "create", "name": "ann"}), "joined")
        .await?;
    Ok(Room {
        code: text(&joined, "room")?,
        resume: text(&joined, "resume")?,
        ann,
    })
}

/// Somebody who comes into a room, and the `joined`.
async fn joined(scene: &Scene<'_>, name: &'static str, code: &str) -> Result<(Peer, Value), Fault> {
    let mut peer = scene.open(name).await?;
    let frame = json!({"type": "join", "room": code, "name": name});
    let joined = peer.ask(&frame, "joined").await?;
    Ok((peer, joined))
}

fn text(frame: &Value, field: &str) -> Result<String, Fault> {
    let value = frame[field].as_str().filter(|it| !it.is_empty());
    let missing = || Fault::Broken(format!("no `{field}` in {}", shown(frame)));
    value.map(str::to_owned).ok_or_else(missing)
}

fn number(frame: &Value, field: &str) -> Result<u64, Fault> {
    let missing = || Fault::Broken(format!("no number `{field}` in {}", shown(frame)));
    frame[field].as_u64().ok_or_else(missing)
}

fn list<'a>(frame: &'a Value, field: &str) -> Result<&'a [Value], Fault> {
    let missing = || Fault::Broken(format!("no list `{field}` in {}", shown(frame)));
    frame[field]
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(missing)
}

/// The fields are as they should be.
fn is_as(frame: &Value, expected: &Value) -> Result<(), Fault> {
    for (field, expected) in expected.as_object().into_iter().flatten() {
        ensure(frame[field] == *expected, || {
            let kind = frame["type"].as_str().unwrap_or("frame");
            let found = shown(&frame[field]);
            let expected = shown(expected);
            format!("`{field}` of a `{kind}` is {found} instead of {expected}")
        })?;
    }
    Ok(())
}

/// Each message's place and text, as they stand.
fn told(messages: &[Value]) -> Vec<(u64, String)> {
    let told = messages.iter().map(|it| {
        let text = it["text"].as_str().unwrap_or_default();
        (it["seq"].as_u64().unwrap_or(0), text.to_owned())
    });
    told.collect()
}

fn listed(told: &[(u64, String)]) -> String {
    let each = told.iter().map(|(seq, text)| {
        let text: String = text.chars().take(12).collect();
        format!("{seq} `{text}`")
    });
    each.collect::<Vec<_>>().join(", ")
}
