//! Who is who, and who is where.

use serde_json::{Value, json};

use super::{Room, ensure, is_as, joined, listed, made, number, text, told};
use crate::conversation::fault::Fault;
use crate::conversation::peer::Peer;
use crate::conversation::scene::Scene;

pub(crate) async fn resume(scene: &Scene<'_>) -> Result<(), Fault> {
    let Room { code, mut ann, .. } = made(scene).await?;
    let (mut old, came) = joined(scene, "bob", &code).await?;
    let said = json!({"type": "message", "room": code, "id": "id-1", "text": "before"});
    old.ask(&said, "message").await?;
    ann.hear("before").await?;
    presence_of(&mut ann, &["ann", "bob"], 0).await?;

    // The old connection is there still, as one that nobody has noticed yet to be dead.
    let mut new = scene.open("bob2").await?;
    let secret = text(&came, "resume")?;
    let join = json!({
        "type": "join", "room": code, "name": "bob", "after": 0, "resume": secret,
    });
    let back = new.ask(&join, "joined").await?;
    let same = json!({
        "name": "bob", "members": ["ann", "bob"], "count": 2, "seq": 1, "resume": secret,
    });
    is_as(&back, &same)?;
    let again = new.ask(&said, "message").await?;
    is_as(&again, &json!({"seq": 1}))?;

    let late = json!({"type": "message", "room": code, "text": "from the old one"});
    let refused = match old.refused(&late, "not-connected").await {
        // Or it is closed, which ends it as well.
        Ok(_) | Err(Fault::Closed { .. } | Fault::Socket(_)) => Ok(()),
        Err(fault) => Err(fault),
    };
    refused?;
    new.say(&code, "from the new one").await?;
    let heard = ann.hear("from the new one").await?;
    is_as(&heard, &json!({"from": "bob", "seq": 2}))?;
    ann.settle().await?;
    let others = ann.take("message");
    ensure(others.is_empty(), || {
        format!("ann also heard {}", listed(&told(&others)))
    })?;
    let news = ann.take("presence");
    ensure(news.iter().all(|it| it["event"] != "leave"), || {
        "bob was announced to have left, and is the same member".to_owned()
    })
}

pub(crate) async fn identity(scene: &Scene<'_>) -> Result<(), Fault> {
    let Room {
        code,
        mut ann,
        resume,
    } = made(scene).await?;
    let (mut bob, came) = joined(scene, "bob", &code).await?;
    // As a client sends it that knows no more than this.
    let forged = json!({"type": "message", "from": "ann", "text": "I am ann"});
    let reply = bob.ask(&forged, "message").await?;
    is_as(&reply, &json!({"from": "bob", "room": code}))?;
    is_as(&ann.hear("I am ann").await?, &json!({"from": "bob"}))?;
    ensure(text(&came, "resume")? != resume, || {
        "two members have the same `resume`".to_owned()
    })?;
    // A secret that was never given out makes nobody another.
    let mut eve = scene.open("eve").await?;
    let guess = "0".repeat(resume.chars().count());
    let join = json!({"type": "join", "room": code, "name": "ann", "resume": guess});
    eve.refused(&join, "name-taken").await?;
    is_as(&ann.settle().await?, &json!({"room": code}))
}

pub(crate) async fn names(scene: &Scene<'_>) -> Result<(), Fault> {
    let Room { code, ann, .. } = made(scene).await?;
    let mut bob = scene.open("bob").await?;
    let as_name = |name: &str| json!({"type": "join", "room": code, "name": name});
    for taken in ["ann", "ANN", " Ann\t"] {
        bob.refused(&as_name(taken), "name-taken").await?;
    }
    let bobs = bob.ask(&as_name("Zo\u{eb}"), "joined").await?;
    is_as(&bobs, &json!({"members": ["ann", "Zo\u{eb}"]}))?;
    let mut cat = scene.open("cat").await?;
    // The same, in another case and put together from two characters.
    cat.refused(&as_name("ZOE\u{308}"), "name-taken").await?;
    let rename = |name: &str| json!({"type": "rename", "name": name});
    bob.refused(&rename("Ann"), "name-taken").await?;
    bob.ask(&rename("bob"), "presence").await?;
    let cats = cat.ask(&as_name("ZOE\u{308}"), "joined").await?;
    is_as(&cats, &json!({"name": "ZO\u{cb}"}))?;
    ann.leave().await?;
    let renamed = json!({"type": "rename", "name": "ANN"});
    cat.send(&renamed)?;
    let is_own = |it: &Value| it["type"] == "presence" && it["name"] == "ANN";
    cat.wait("`presence` that names it `ANN`", is_own).await?;
    Ok(())
}

/// The `presence` of a newer list than `rev`, with these members. Gives its `rev`.
async fn presence_of(peer: &mut Peer, members: &[&str], rev: u64) -> Result<u64, Fault> {
    let frame = presence_until(peer, members, None).await?;
    newer(&frame, rev)
}

fn newer(frame: &Value, than: u64) -> Result<u64, Fault> {
    let rev = number(frame, "rev")?;
    let count = frame["members"].as_array().map_or(0, Vec::len);
    is_as(frame, &json!({"count": count}))?;
    ensure(rev > than, || {
        format!("`rev` of a `presence` is {rev}, and an older list's is {than}")
    })?;
    Ok(rev)
}

async fn presence_until(
    peer: &mut Peer,
    members: &[&str],
    until: Option<tokio::time::Instant>,
) -> Result<Value, Fault> {
    let wanted = json!(members);
    let is_wanted = |it: &Value| it["type"] == "presence" && it["members"] == wanted;
    let expected = format!("`presence` with the members {wanted}");
    match until {
        Some(until) => peer.wait_until(until, &expected, is_wanted).await,
        None => peer.wait(&expected, is_wanted).await,
    }
}

pub(crate) async fn presence(scene: &Scene<'_>) -> Result<(), Fault> {
    let Room { code, mut ann, .. } = made(scene).await?;
    let (mut bob, came) = joined(scene, "bob", &code).await?;
    let rev = presence_of(&mut ann, &["ann", "bob"], 0).await?;
    is_as(&came, &json!({"rev": rev}))?;

    let renamed = bob
        .ask(&json!({"type": "rename", "name": "bo"}), "presence")
        .await?;
    let expected = json!({
        "room": code, "event": "rename", "name": "bo", "was": "bob", "members": ["ann", "bo"],
    });
    is_as(&renamed, &expected)?;
    let rev = presence_of(&mut ann, &["ann", "bo"], rev).await?;

    let (cat, _) = joined(scene, "cat", &code).await?;
    let rev = presence_of(&mut ann, &["ann", "bo", "cat"], rev).await?;
    cat.leave().await?;
    let rev = presence_of(&mut ann, &["ann", "bo"], rev).await?;

    let (dan, _) = joined(scene, "dan", &code).await?;
    let rev = presence_of(&mut ann, &["ann", "bo", "dan"], rev).await?;
    dan.vanish().await;
    let halfway = ann.halfway();
    let gone = presence_until(&mut ann, &["ann", "bo"], Some(halfway)).await;
    let gone = match gone {
        // API Gateway does not promise to notice. Then whoever is posted to next is found to be gone.
        Err(Fault::Silence { .. }) => {
            ann.say(&code, "is dan there?").await?;
            presence_until(&mut ann, &["ann", "bo"], None).await
        }
        other => other,
    };
    let rev = newer(&gone?, rev)?;
    is_as(&ann.settle().await?, &json!({"rev": rev}))?;
    // The others know as much.
    presence_until(&mut bob, &["ann", "bo", "dan"], None).await?;
    is_as(&bob.settle().await?, &json!({"rev": rev}))
}

pub(crate) async fn typing(scene: &Scene<'_>) -> Result<(), Fault> {
    let Room { code, mut ann, .. } = made(scene).await?;
    let (mut bob, _) = joined(scene, "bob", &code).await?;
    let reply = bob.ask(&json!({"type": "typing"}), "typing").await?;
    is_as(&reply, &json!({"room": code, "from": "bob"}))?;
    is_as(
        &ann.next("typing").await?,
        &json!({"room": code, "from": "bob"}),
    )
}

pub(crate) async fn membership(scene: &Scene<'_>) -> Result<(), Fault> {
    let Room { code, mut ann, .. } = made(scene).await?;
    let (mut bob, _) = joined(scene, "bob", &code).await?;
    ann.say(&code, "inside").await?;
    bob.hear("inside").await?;
    let intrusion = json!({"type": "message", "room": code, "text": "outside", "id": "id-1"});

    // From the lobby, and from another room.
    let mut dan = scene.open("dan").await?;
    dan.refused(&intrusion, "not-in-room").await?;
    let mut eve = scene.open("eve").await?;
    let elsewhere = eve
        .ask(&json!({"type": "create", "name": "ann"}), "joined")
        .await?;
    let elsewhere = text(&elsewhere, "room")?;
    ensure(elsewhere != code, || {
        format!("two rooms have the code `{code}`")
    })?;
    let refused = eve.refused(&intrusion, "not-in-room").await?;
    is_as(&refused, &json!({"id": "id-1"}))?;
    let page = eve.ask(&json!({"type": "history"}), "history").await?;
    is_as(&page, &json!({"room": elsewhere, "messages": []}))?;
    is_as(&eve.say(&elsewhere, "elsewhere").await?, &json!({"seq": 1}))?;

    // One who has left is outside as well.
    bob.ask(&json!({"type": "leave"}), "left").await?;
    bob.refused(&intrusion, "not-in-room").await?;
    ann.ask(&json!({"type": "typing"}), "typing").await?;
    ann.ask(&json!({"type": "rename", "name": "anna"}), "presence")
        .await?;
    is_as(&ann.say(&code, "among us").await?, &json!({"seq": 2}))?;
    for (who, peer) in [("bob", &mut bob), ("dan", &mut dan), ("eve", &mut eve)] {
        peer.settle().await?;
        for kind in ["message", "presence", "typing"] {
            let of_room = |it: &Value| it["room"] == code && it["name"] != "bob";
            let told = peer.take(kind).into_iter().find(of_room);
            ensure(told.is_none(), || {
                format!("{who} is not in `{code}`, and got a `{kind}` of it")
            })?;
        }
    }
    ann.settle().await?;
    let heard = ann.take("message");
    ensure(heard.is_empty(), || {
        format!("ann heard {} from outside", listed(&told(&heard)))
    })
}

pub(crate) async fn lobby(scene: &Scene<'_>) -> Result<(), Fault> {
    let Room { code, mut ann, .. } = made(scene).await?;
    let left = ann.ask(&json!({"type": "leave"}), "left").await?;
    is_as(&left, &json!({"room": code}))?;
    is_as(&ann.settle().await?, &json!({"room": "lobby"}))?;
    // Neither reaches anybody: they need a name, and nobody has one after leaving.
    ann.refused(&json!({"type": "typing"}), "name-needed")
        .await?;
    let nameless = json!({"type": "message", "text": "nobody says this"});
    ann.refused(&nameless, "name-needed").await?;
    let page = json!({"type": "history", "limit": 1});
    is_as(&ann.ask(&page, "history").await?, &json!({"room": "lobby"}))?;
    let left = ann.ask(&json!({"type": "leave"}), "left").await?;
    is_as(&left, &json!({"room": "lobby"}))?;
    // The room is there still, with all that was in it.
    let (_, back) = joined(scene, "bob", &code).await?;
    is_as(&back, &json!({"room": code, "members": ["bob"]}))
}
