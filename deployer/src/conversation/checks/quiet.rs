//! Who disturbs the others: put out, or made to wait.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Room, ensure, is_as, joined, list, listed, made, number, told};
use crate::conversation::fault::Fault;
use crate::conversation::peer::Peer;
use crate::conversation::scene::Scene;

pub(crate) async fn remove(scene: &Scene<'_>) -> Result<(), Fault> {
    let mut ann = scene.open("ann").await?;
    let create = json!({"type": "create", "name": "ann"});
    let created = ann.ask(&create, "joined").await?;
    is_as(&created, &json!({"creator": true}))?;
    let code = super::text(&created, "room")?;
    let (mut bob, came) = joined(scene, "bob", &code).await?;
    is_as(&came, &json!({"creator": null}))?;
    let (mut cat, _) = joined(scene, "cat", &code).await?;
    let remove = |name: &str| json!({"type": "remove", "name": name});
    for name in ["cat", "ann", "bob"] {
        bob.refused(&remove(name), "not-allowed").await?;
    }
    ann.refused(&remove("ann"), "not-allowed").await?;
    ann.refused(&remove("dan"), "no-such-member").await?;

    ann.send(&remove("BOB"))?;
    let left = json!({"room": code, "name": "bob", "members": ["ann", "cat"], "count": 2});
    for peer in [&mut ann, &mut cat] {
        let is_leave = |it: &Value| it["type"] == "presence" && it["event"] == "leave";
        let news = peer.wait("`presence` that tells of a `leave`", is_leave);
        is_as(&news.await?, &left)?;
    }
    is_as(&bob.next("removed").await?, &json!({"room": code}))?;
    let late = json!({"type": "message", "room": code, "text": "from outside"});
    match bob.refused(&late, "not-connected").await {
        // Or it is closed, which ends it as well.
        Ok(_) | Err(Fault::Closed { .. } | Fault::Socket(_)) => {}
        Err(fault) => return Err(fault),
    }
    let mut back = scene.open("bob2").await?;
    let join = json!({"type": "join", "room": code, "name": "bob", "resume": came["resume"]});
    back.refused(&join, "removed").await?;
    is_as(&back.settle().await?, &json!({"room": "lobby"}))?;
    is_as(&ann.say(&code, "among us").await?, &json!({"seq": 1}))?;
    cat.hear("among us").await?;
    let heard = bob.take("message");
    ensure(heard.is_empty(), || {
        format!("bob was removed, and heard {}", listed(&told(&heard)))
    })
}

/// Messages that are sent at most until one is refused: more than may come at once. Where as many are
/// taken, more may be said, or they take longer.
const FLOOD: usize = 32;

/// Messages under way at once: a few, for an account may have only ten functions run at once.
const AT_ONCE: usize = 4;

/// How much longer than it was told to somebody waits.
const PATIENCE: Duration = Duration::from_millis(50);

pub(crate) async fn flood(scene: &Scene<'_>) -> Result<(), Fault> {
    let Room { code, mut ann, .. } = made(scene).await?;
    let (mut bob, _) = joined(scene, "bob", &code).await?;
    let message = |id: usize, text: &str| json!({"type": "message", "room": code, "id": id.to_string(), "text": text});
    let (mut taken, mut refused) = (0, Vec::new());
    for first in (0..FLOOD).step_by(AT_ONCE) {
        for id in first..first + AT_ONCE {
            ann.send(&message(id, "at once"))?;
        }
        for _ in 0..AT_ONCE {
            let answer = answer(&mut ann).await?;
            if answer["type"] == "message" {
                taken += 1;
            } else {
                refused.push(answer);
            }
        }
        if !refused.is_empty() {
            break;
        }
    }
    // Nobody waits for somebody else.
    bob.say(&code, "what is that?").await?;
    let mut said = taken + 1;
    if let Some(error) = refused.first() {
        let wait = Duration::from_millis(number(error, "wait")?);
        let id = error["id"].as_str().and_then(|id| id.parse().ok());
        let Some(id) = id else {
            return Err(Fault::Broken(format!("{error} is not for a message")));
        };
        let mut answer = again(&mut ann, &message(id, "again"), wait).await?;
        // What was under way beside it may have been taken after that, and made the wait longer.
        // Nothing is under way now.
        if answer["code"] == "too-fast" {
            let wait = Duration::from_millis(number(&answer, "wait")?);
            answer = again(&mut ann, &message(id, "again"), wait).await?;
        }
        let expected = json!({"type": "message", "id": id.to_string(), "text": "again"});
        is_as(&answer, &expected)?;
        said += 1;
    }
    let page = json!({"type": "history", "after": 0, "limit": 100});
    let kept = bob.ask(&page, "history").await?;
    let kept = told(list(&kept, "messages")?);
    ensure(kept.len() == said, || {
        let answered = said - 1;
        format!("ann had {answered} taken, and there are {}", listed(&kept))
    })
}

/// What becomes of a message of one's own that is sent again after it was told to wait so long.
async fn again(peer: &mut Peer, message: &Value, wait: Duration) -> Result<Value, Fault> {
    tokio::time::sleep(wait + PATIENCE).await;
    peer.take("message");
    peer.send(message)?;
    answer(peer).await
}

/// What becomes of a message of one's own: it, or that it was too fast.
async fn answer(peer: &mut Peer) -> Result<Value, Fault> {
    let is_answer =
        |it: &Value| it["type"] == "message" && it["from"] == "ann" || it["code"] == "too-fast";
    peer.wait("answer to a `message`", is_answer).await
}
