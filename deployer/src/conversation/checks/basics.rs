//! Coming in, and one message.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Room, ensure, is_as, joined, list, made, number, text};
use crate::conversation::fault::Fault;
use crate::conversation::peer::Peer;
use crate::conversation::scene::Scene;

/// What is early in 2026, in milliseconds since 1970: no message is older.
const EARLIEST_MS: u64 = 1_767_225_600_000;

/// Two sockets, one at the chat's address and one at another of the same chat, and a message both ways
/// in a room of its own, which is left again. Gives how long a message took.
pub(crate) async fn pass_both_ways(scene: &Scene<'_>, other: &str) -> Result<Duration, Fault> {
    let mut ann = scene.open("ann").await?;
    let mut bob = scene.open_at("bob", other).await?;
    let created = ann
        .ask(&json!({"type": "create", "name": "chatctl-1"}), "joined")
        .await?;
    let join = json!({"type": "join", "room": created["room"], "name": "chatctl-2"});
    bob.ask(&join, "joined").await?;
    pass(&ann, &mut bob, "there").await?;
    let took = pass(&bob, &mut ann, "back").await?;
    // One after the other, so that neither makes the other's functions start once more.
    bob.leave().await?;
    ann.leave().await?;
    Ok(took)
}

/// Says something on one socket, hears it on the other.
async fn pass(from: &Peer, to: &mut Peer, text: &str) -> Result<Duration, Fault> {
    let since = Instant::now();
    from.send(&json!({"type": "message", "text": text}))?;
    to.hear(text).await?;
    Ok(since.elapsed())
}

pub(crate) async fn connection(scene: &Scene<'_>) -> Result<(), Fault> {
    let mut ann = scene.open("ann").await?;
    let pong = ann.settle().await?;
    is_as(&pong, &json!({"room": "lobby"}))?;
    number(&pong, "seq")?;
    number(&pong, "rev")?;
    Ok(())
}

pub(crate) async fn room(scene: &Scene<'_>) -> Result<(), Fault> {
    let mut ann = scene.open("ann").await?;
    let created = ann
        .ask(&json!({"type": "create", "name": "ann"}), "joined")
        .await?;
    let code = text(&created, "room")?;
    let new = json!({
        "name": "ann", "members": ["ann"], "count": 1, "seq": 0, "oldest": 1, "messages": [],
        "more": false,
    });
    is_as(&created, &new)?;
    let resume = text(&created, "resume")?;
    let is_code = |it: char| it == '-' || it.is_ascii_digit() || it.is_ascii_uppercase();
    ensure(code.chars().all(is_code), || {
        format!("`{code}` is not a room's code")
    })?;
    let (mut bob, came) = joined(scene, "bob", &code).await?;
    let both = json!({"room": code, "name": "bob", "members": ["ann", "bob"], "count": 2});
    is_as(&came, &both)?;
    ensure(number(&came, "rev")? > number(&created, "rev")?, || {
        "`rev` did not grow when somebody came".to_owned()
    })?;
    ensure(text(&came, "resume")? != resume, || {
        "two members have the same `resume`".to_owned()
    })?;
    let left = bob.ask(&json!({"type": "leave"}), "left").await?;
    is_as(&left, &json!({"room": code}))?;
    is_as(&bob.settle().await?, &json!({"room": "lobby"}))?;
    is_as(&ann.settle().await?, &json!({"room": code}))
}

pub(crate) async fn message(scene: &Scene<'_>) -> Result<(), Fault> {
    pass_both_ways(scene, scene.url()).await?;
    let Room { code, mut ann, .. } = made(scene).await?;
    let (mut bob, _) = joined(scene, "bob", &code).await?;
    let said = json!({"type": "message", "room": code, "id": "m-1", "text": "<b>ä 😀\n\"\\</b>"});
    let reply = ann.ask(&said, "message").await?;
    let expected = json!({
        "room": code, "seq": 1, "id": "m-1", "from": "ann", "text": said["text"],
    });
    is_as(&reply, &expected)?;
    let at = number(&reply, "at")?;
    ensure(at >= EARLIEST_MS, || {
        format!("`at` is {at}, which is long ago")
    })?;
    let heard = bob.next("message").await?;
    ensure(heard == reply, || {
        format!("bob heard {heard}, and ann's reply is {reply}")
    })?;
    // Durable before it is delivered: whoever comes later has it as well.
    let (_cat, came) = joined(scene, "cat", &code).await?;
    is_as(&came, &json!({"seq": 1}))?;
    let kept = list(&came, "messages")?;
    ensure(kept.len() == 1, || {
        format!("{} messages are kept instead of 1", kept.len())
    })?;
    for field in ["seq", "from", "text", "at"] {
        is_as(&kept[0], &json!({field: reply[field]}))?;
    }
    Ok(())
}
