//! Limits, codes and errors.

use serde_json::{Value, json};

use super::{Room, ensure, is_as, made, text};
use crate::conversation::fault::Fault;
use crate::conversation::peer::Peer;
use crate::conversation::scene::Scene;

const TEXT_CHARS_MAX: usize = 4_000;
const NAME_CHARS_MAX: usize = 32;
const ID_CHARS_MAX: usize = 64;

pub(crate) async fn limits(scene: &Scene<'_>) -> Result<(), Fault> {
    let Room { code, mut ann, .. } = made(scene).await?;
    // Characters count, not bytes.
    let longest = "ü".repeat(TEXT_CHARS_MAX);
    is_as(&ann.say(&code, &longest).await?, &json!({"seq": 1}))?;
    let message =
        |id: &str, text: &str| json!({"type": "message", "room": code, "id": id, "text": text});
    for text in [format!("{longest}ü"), String::new()] {
        let refused = ann.refused(&message("id-1", &text), "bad-text").await?;
        is_as(&refused, &json!({"id": "id-1"}))?;
    }
    let id = "i".repeat(ID_CHARS_MAX);
    is_as(
        &ann.ask(&message(&id, "hi"), "message").await?,
        &json!({"seq": 2, "id": id}),
    )?;
    for id in [format!("{id}i"), String::new()] {
        ann.refused(&message(&id, "hi"), "bad-field").await?;
    }
    let rename = |name: &str| json!({"type": "rename", "name": name});
    let name = "ñ".repeat(NAME_CHARS_MAX);
    is_as(
        &ann.ask(&rename(&name), "presence").await?,
        &json!({"name": name}),
    )?;
    for name in [
        format!("{name}ñ"),
        String::new(),
        " ".to_owned(),
        "a\u{7}b".to_owned(),
        "a\u{202e}b".to_owned(),
    ] {
        ann.refused(&rename(&name), "bad-name").await?;
    }
    // What was refused has left no trace.
    is_as(&ann.settle().await?, &json!({"room": code, "seq": 2}))
}

pub(crate) async fn fields(scene: &Scene<'_>) -> Result<(), Fault> {
    let unknown = |mut frame: Value| {
        frame["x-unknown"] = json!({"of": ["a", "newer", "client"]});
        frame
    };
    let mut ann = scene.open("ann").await?;
    let create = unknown(json!({"type": "create", "name": "ann"}));
    let room = ann.ask(&create, "joined").await?["room"].clone();
    let join = unknown(json!({"type": "join", "room": room, "name": "bob"}));
    let mut bob = scene.open("bob").await?;
    bob.ask(&join, "joined").await?;
    let message = unknown(json!({"type": "message", "room": room, "text": "hi"}));
    is_as(&bob.ask(&message, "message").await?, &json!({"text": "hi"}))?;
    for (frame, reply) in [
        (json!({"type": "history"}), "history"),
        (json!({"type": "typing"}), "typing"),
        (json!({"type": "rename", "name": "bo"}), "presence"),
        (json!({"type": "ping"}), "pong"),
        (json!({"type": "leave"}), "left"),
    ] {
        bob.ask(&unknown(frame), reply).await?;
    }
    Ok(())
}

/// Rooms that are made until there is one for each symbol that is misread. One room in four has a `0`.
const ROOMS_MAX: usize = 40;

pub(crate) async fn codes(scene: &Scene<'_>) -> Result<(), Fault> {
    let Room { code, mut ann, .. } = made(scene).await?;
    let mut bob = scene.open("bob").await?;
    let plain = code.replace('-', "");
    let (first, second) = plain.split_at(plain.len() / 2);
    for written in [
        code.to_lowercase(),
        plain.clone(),
        format!(" {first} - {second} "),
    ] {
        enter(&mut bob, &written, &code).await?;
    }
    let longer = format!("{code}0");
    let shorter: String = code.chars().take(4).collect();
    for wrong in [longer, shorter, String::new(), "UUUUU-UUUUU".to_owned()] {
        let join = json!({"type": "join", "room": wrong, "name": "bob"});
        bob.refused(&join, "no-such-room").await?;
    }
    // It has stayed where it was.
    is_as(&bob.settle().await?, &json!({"room": code}))?;

    // Nobody can choose a code.
    let mut left = vec![('0', "oO"), ('1', "iIlL")];
    let mut code = code;
    for _ in 0..ROOMS_MAX {
        let (found, others) = left
            .into_iter()
            .partition(|(symbol, _)| code.contains(*symbol));
        left = others;
        let found: Vec<(char, &str)> = found;
        for (symbol, letters) in found {
            for letter in letters.chars() {
                let misread = code.replace(symbol, &letter.to_string());
                enter(&mut bob, &misread, &code).await?;
            }
        }
        if left.is_empty() {
            break;
        }
        let create = json!({"type": "create", "name": "ann"});
        code = text(&ann.ask(&create, "joined").await?, "room")?;
    }
    Ok(())
}

/// Comes into a room by its code as somebody wrote it.
async fn enter(peer: &mut Peer, written: &str, code: &str) -> Result<(), Fault> {
    let join = json!({"type": "join", "room": written, "name": "bob"});
    is_as(&peer.ask(&join, "joined").await?, &json!({"room": code}))
        .map_err(|fault| Fault::Broken(format!("`{written}` was written: {fault}")))
}

pub(crate) async fn errors(scene: &Scene<'_>) -> Result<(), Fault> {
    let Room { code, mut ann, .. } = made(scene).await?;
    for text in ["hi", "[]", "{"] {
        ann.refused_text(text.to_owned(), "message", "bad-json")
            .await?;
    }
    for (frame, expected) in [
        (json!({}), "bad-type"),
        (json!({"type": 1}), "bad-type"),
        (json!({"type": "shout"}), "bad-type"),
        (json!({"type": "message"}), "bad-field"),
        (json!({"type": "message", "text": 1}), "bad-field"),
        (json!({"type": "join", "name": "ann"}), "bad-field"),
        (json!({"type": "create"}), "bad-field"),
        (
            json!({"type": "history", "before": 2, "after": 1}),
            "bad-field",
        ),
        (json!({"type": "history", "limit": -1}), "bad-field"),
        (
            json!({"type": "message", "room": "lobby", "text": "hi", "id": "id-1"}),
            "not-in-room",
        ),
        (json!({"type": "create", "name": ""}), "bad-name"),
    ] {
        let error = ann.refused(&frame, expected).await?;
        if frame["id"].is_string() {
            is_as(&error, &json!({"id": frame["id"]}))?;
        } else {
            ensure(error["id"].is_null(), || {
                format!("the refusal of {frame} has an `id`")
            })?;
        }
    }
    // The connection is open, and where it was, with nothing said.
    is_as(&ann.settle().await?, &json!({"room": code, "seq": 0}))
}
