//! Order, once, and what was missed.

use serde_json::{Value, json};

use super::{Room, ensure, is_as, joined, list, listed, made, number, told};
use crate::conversation::fault::Fault;
use crate::conversation::peer::Peer;
use crate::conversation::scene::Scene;

/// Messages of each of two who talk at once.
const EACH: usize = 8;

/// Messages that are missed. With this length they do not fit one frame.
const MISSED: u64 = 10;
const MISSED_CHARS: usize = 4_000;

pub(crate) async fn order(scene: &Scene<'_>) -> Result<(), Fault> {
    let Room { code, mut ann, .. } = made(scene).await?;
    let (mut bob, _) = joined(scene, "bob", &code).await?;
    let (mut cat, _) = joined(scene, "cat", &code).await?;
    let (by_ann, by_bob) =
        tokio::try_join!(talk(&mut ann, "a", &code), talk(&mut bob, "b", &code))?;
    let own = [by_ann, by_bob];
    let mut heard = Vec::new();
    for (who, peer, own) in [
        ("ann", &mut ann, &own[..1]),
        ("bob", &mut bob, &own[1..]),
        ("cat", &mut cat, &[][..]),
    ] {
        let mut all: Vec<Value> = own.concat();
        while all.len() < 2 * EACH {
            all.push(peer.next("message").await?);
        }
        let mut all = told(&all);
        all.sort();
        heard.push((who, all));
    }
    let (_, first) = &heard[0];
    for (who, other) in &heard {
        ensure(other == first, || {
            format!(
                "ann heard {}, and {who} heard {}",
                listed(first),
                listed(other)
            )
        })?;
    }
    let is_dense = first.iter().map(|(seq, _)| *seq).eq(1..=2 * EACH as u64);
    ensure(is_dense, || {
        format!("the places have a hole, or one twice: {}", listed(first))
    })?;
    let own_order = |prefix: &str| {
        let said = first.iter().filter(|(_, text)| text.starts_with(prefix));
        let texts: Vec<String> = said.map(|(_, text)| text.clone()).collect();
        texts == lines(prefix)
    };
    ensure(own_order("a") && own_order("b"), || {
        format!("who waits for a reply speaks in order: {}", listed(first))
    })?;
    let kept = cat
        .ask(&json!({"type": "history", "after": 0}), "history")
        .await?;
    let kept = told(list(&kept, "messages")?);
    ensure(kept == *first, || {
        format!(
            "the history is {} instead of {}",
            listed(&kept),
            listed(first)
        )
    })
}

fn lines(prefix: &str) -> Vec<String> {
    (1..=EACH).map(|it| format!("{prefix}{it}")).collect()
}

/// Says one thing after the other, each after the reply to the one before. Gives the replies.
async fn talk(peer: &mut Peer, prefix: &str, code: &str) -> Result<Vec<Value>, Fault> {
    let mut replies = Vec::new();
    for line in lines(prefix) {
        replies.push(peer.say(code, &line).await?);
    }
    Ok(replies)
}

pub(crate) async fn once(scene: &Scene<'_>) -> Result<(), Fault> {
    let Room { code, mut ann, .. } = made(scene).await?;
    let (mut bob, _) = joined(scene, "bob", &code).await?;
    let first = json!({"type": "message", "room": code, "id": "id-1", "text": "first"});
    let reply = ann.ask(&first, "message").await?;
    is_as(&reply, &json!({"seq": 1, "id": "id-1"}))?;
    let again = ann.ask(&first, "message").await?;
    ensure(again == reply, || {
        format!("sent again, it is answered {again} instead of {reply}")
    })?;
    // Both in flight at once.
    let second = json!({"type": "message", "room": code, "id": "id-2", "text": "second"});
    ann.send(&second)?;
    ann.send(&second)?;
    let replies = [ann.hear("second").await?, ann.hear("second").await?];
    for reply in &replies {
        is_as(reply, &json!({"seq": 2, "id": "id-2"}))?;
    }
    // The same id of another member is another message.
    let other = json!({"type": "message", "room": code, "id": "id-1", "text": "third"});
    bob.send(&other)?;
    is_as(&bob.hear("third").await?, &json!({"seq": 3, "from": "bob"}))
        .map_err(|_| Fault::Broken("bob's `id-1` is taken for ann's".to_owned()))?;
    ann.hear("third").await?;
    bob.hear("first").await?;
    bob.hear("second").await?;
    is_as(&bob.settle().await?, &json!({"seq": 3}))?;
    let more = bob.take("message");
    ensure(more.is_empty(), || {
        format!("bob heard it twice: {}", listed(&told(&more)))
    })?;
    let kept = bob.ask(&json!({"type": "history"}), "history").await?;
    is_told(&kept, &[(1, "first"), (2, "second"), (3, "third")])
}

/// The messages of a frame are these.
fn is_told(frame: &Value, expected: &[(u64, &str)]) -> Result<(), Fault> {
    let found = told(list(frame, "messages")?);
    let expected: Vec<_> = expected
        .iter()
        .map(|(seq, text)| (*seq, (*text).to_owned()))
        .collect();
    ensure(found == expected, || {
        let kind = frame["type"].as_str().unwrap_or("frame");
        format!(
            "a `{kind}` has {} instead of {}",
            listed(&found),
            listed(&expected)
        )
    })
}

pub(crate) async fn recovery(scene: &Scene<'_>) -> Result<(), Fault> {
    let Room { code, mut ann, .. } = made(scene).await?;
    let (mut bob, came) = joined(scene, "bob", &code).await?;
    ann.say(&code, "heard").await?;
    bob.hear("heard").await?;
    bob.vanish().await;
    let missed: Vec<String> = (2..=MISSED + 1)
        .map(|it| format!("{it:0>MISSED_CHARS$}"))
        .collect();
    for text in &missed {
        ann.say(&code, text).await?;
    }
    let mut bob = scene.open("bob").await?;
    let join = json!({
        "type": "join", "room": code, "name": "bob", "after": 1, "resume": came["resume"],
    });
    let back = bob.ask(&join, "joined").await?;
    is_as(
        &back,
        &json!({"seq": MISSED + 1, "oldest": 1, "more": true}),
    )?;
    let mut found = told(list(&back, "messages")?);
    let mut more = true;
    while more {
        let last = found.last().map_or(1, |(seq, _)| *seq);
        let page = json!({"type": "history", "after": last});
        let page = bob.ask(&page, "history").await?;
        let messages = told(list(&page, "messages")?);
        more = page["more"] == true;
        ensure(!more || !messages.is_empty(), || {
            format!("`more` is promised after {last}, and nothing comes")
        })?;
        found.extend(messages);
    }
    let expected: Vec<_> = (2..).zip(missed).collect();
    ensure(found == expected, || {
        format!(
            "what bob missed is {} instead of {}",
            listed(&found),
            listed(&expected)
        )
    })
}

pub(crate) async fn history(scene: &Scene<'_>) -> Result<(), Fault> {
    let Room { code, mut ann, .. } = made(scene).await?;
    let all: Vec<(u64, String)> = (1..=7).map(|it| (it, format!("m{it}"))).collect();
    for (_, text) in &all {
        ann.say(&code, text).await?;
    }
    let all: Vec<(u64, &str)> = all
        .iter()
        .map(|(seq, text)| (*seq, text.as_str()))
        .collect();
    for (part, expected, more) in [
        (json!({}), &all[..], false),
        (json!({"limit": 2}), &all[5..], true),
        (json!({"before": 5, "limit": 3}), &all[1..4], true),
        (json!({"before": 3}), &all[..2], false),
        (json!({"before": 1}), &[], false),
        (json!({"after": 3, "limit": 2}), &all[3..5], true),
        (json!({"after": 5, "limit": 100}), &all[5..], false),
        (json!({"after": 7}), &[], false),
    ] {
        let mut frame = part.clone();
        frame["type"] = "history".into();
        let page = ann.ask(&frame, "history").await?;
        is_told(&page, expected)
            .and_then(|()| is_as(&page, &json!({"room": code, "oldest": 1, "more": more})))
            .map_err(|fault| Fault::Broken(format!("asked for {part}: {fault}")))?;
    }
    Ok(())
}

pub(crate) async fn pong(scene: &Scene<'_>) -> Result<(), Fault> {
    let Room { code, mut ann, .. } = made(scene).await?;
    let (mut bob, came) = joined(scene, "bob", &code).await?;
    let newest = json!({"room": code, "seq": 0, "rev": came["rev"]});
    is_as(&bob.settle().await?, &newest)?;
    for text in ["one", "two"] {
        ann.say(&code, text).await?;
    }
    // To one who says nothing, as if the last message had been lost.
    is_as(&bob.settle().await?, &json!({"room": code, "seq": 2}))?;
    let renamed = json!({"type": "rename", "name": "anna"});
    let renamed = ann.ask(&renamed, "presence").await?;
    let pong = bob.settle().await?;
    ensure(number(&pong, "rev")? >= number(&renamed, "rev")?, || {
        "`pong` has an older `rev` than the newest `presence`".to_owned()
    })
}
