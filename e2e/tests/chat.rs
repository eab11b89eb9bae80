//! The chat through real sockets, real functions and a real table.

use e2e::client::Client;
use e2e::{chatctl, stack, within_deadline};
use futures_util::future::join_all;
use serde_json::{Value, json};

fn message(text: &str) -> Value {
    json!({"type": "message", "text": text})
}

#[tokio::test]
async fn a_frame_from_a_client_that_does_nothing_else_reaches_the_whole_lobby() {
    let stack = stack::start(|_| {}).await;
    let mut ann = Client::connect(&stack.websocket_url()).await;
    let mut bob = Client::connect(&stack.websocket_url()).await;
    ann.send(json!({"type": "message", "from": "ann", "text": "hi"}))
        .await;
    for client in [&mut ann, &mut bob] {
        let frame = client.next().await;
        assert_eq!(
            (&frame["type"], &frame["from"], &frame["text"]),
            (&json!("message"), &json!("ann"), &json!("hi"))
        );
        assert_eq!(frame["room"], "lobby");
    }
    stack.stop().await;
}

#[tokio::test]
async fn a_second_ann_in_the_lobby_is_heard_under_a_number() {
    let stack = stack::start(|_| {}).await;
    let mut first = Client::connect(&stack.websocket_url()).await;
    let mut second = Client::connect(&stack.websocket_url()).await;
    let hi = json!({"type": "message", "from": "ann", "text": "hi"});
    assert_eq!(first.ask(hi.clone()).await["from"], "ann");
    second.next().await;
    assert_eq!(second.ask(hi).await["from"], "ann-2");
    assert_eq!(first.next().await["from"], "ann-2");
    stack.stop().await;
}

#[tokio::test]
async fn a_room_is_created_joined_by_code_talked_in_and_left() {
    let stack = stack::start(|_| {}).await;
    let mut ann = Client::connect(&stack.websocket_url()).await;
    let mut bob = Client::connect(&stack.websocket_url()).await;
    let mut eve = Client::connect(&stack.websocket_url()).await;

    let joined = ann.ask(json!({"type": "create", "name": "ann"})).await;
    assert_eq!(
        (&joined["type"], &joined["members"]),
        (&json!("joined"), &json!(["ann"]))
    );
    let room = joined["room"].clone();
    let taken = bob
        .ask(json!({"type": "join", "room": room, "name": "Ann"}))
        .await;
    assert_eq!(taken["code"], "name-taken");
    let joined = bob
        .ask(json!({"type": "join", "room": room, "name": "bob"}))
        .await;
    assert_eq!(joined["members"], json!(["ann", "bob"]));
    assert_eq!(bob.ask(message("hello")).await["from"], "bob");
    assert_eq!(ann.next_of("presence").await["members"], joined["members"]);
    assert_eq!(ann.next().await["text"], "hello");
    assert_eq!(ann.ask(message("hello yourself")).await["room"], room);
    assert_eq!(bob.next().await["from"], "ann");
    assert_eq!(
        bob.ask(json!({"type": "leave"})).await,
        json!({"type": "left", "room": room})
    );
    let left = ann.next_of("presence").await;
    assert_eq!(
        (&left["event"], &left["name"]),
        (&json!("leave"), &json!("bob"))
    );
    ann.ask(message("anyone there?")).await;
    assert_eq!(bob.frames_until_pong().await, Vec::<Value>::new());
    assert_eq!(
        eve.frames_until_pong().await,
        Vec::<Value>::new(),
        "the lobby hears nothing"
    );
    stack.stop().await;
}

#[tokio::test]
async fn a_wrong_code_and_bad_frames_are_answered_and_the_connection_stays() {
    let stack = stack::start(|_| {}).await;
    let mut client = Client::connect(&stack.websocket_url()).await;
    for (frame, code) in [
        (
            r#"{"type":"join","room":"00000-00000","name":"ann"}"#,
            "no-such-room",
        ),
        ("hello", "bad-json"),
        (r#"{"type":"shout"}"#, "bad-type"),
        (r#"{"type":"$disconnect"}"#, "bad-type"),
        (r#"{"type":"message","text":"hi"}"#, "name-needed"),
    ] {
        client.send_text(frame).await;
        let reply = client.next().await;
        assert_eq!(
            (&reply["type"], &reply["code"]),
            (&json!("error"), &json!(code)),
            "{frame}"
        );
    }
    assert_eq!(client.frames_until_pong().await, Vec::<Value>::new());
    stack.stop().await;
}

#[tokio::test]
async fn whoever_closes_the_socket_leaves_no_row() {
    let stack = stack::start(|_| {}).await;
    let mut ann = Client::connect(&stack.websocket_url()).await;
    let mut bob = Client::connect(&stack.websocket_url()).await;
    let room = ann.ask(json!({"type": "create", "name": "ann"})).await["room"].clone();
    bob.ask(json!({"type": "join", "room": room, "name": "bob"}))
        .await;
    bob.close().await;
    ann.vanish();
    chatctl::eventually(
        "only the room itself is left, and how many were made",
        || {
            let mut items = stack::items(&stack);
            items.retain(|it| it["sk"]["S"] != "COUNT");
            items.len() == 1 && items[0]["sk"]["S"] == "ROOM"
        },
    )
    .await;
    stack.stop().await;
}

/// Many members, and then many that vanish without `$disconnect`, as happens on AWS.
#[tokio::test]
async fn two_hundred_hear_one_and_fifty_lost_ones_are_cleared_away_by_the_next_message() {
    let stack = stack::start(|options| {
        options.faults.lose_disconnect = 1.0;
        // One says something until nobody who is gone is left, however often that is.
        let unlimited = ("MessagesPerSecond".to_owned(), "0".to_owned());
        options.parameters.extend([unlimited]);
    })
    .await;
    let url = stack.websocket_url();
    let mut sender = Client::connect(&url).await;
    let room = sender
        .ask(json!({"type": "create", "name": "sender"}))
        .await["room"]
        .clone();
    let joins = (0..199).map(|number| {
        let (url, room) = (&url, &room);
        async move {
            let mut client = Client::connect(url).await;
            let frame = json!({"type": "join", "room": room, "name": format!("member {number}")});
            // Others who join at the same time may be announced before.
            client.ask_for("joined", frame).await;
            client
        }
    });
    let mut others = join_all(joins).await;
    let member_rows = || {
        stack::sort_keys(&stack, "ROOM#")
            .iter()
            .filter(|key| key.starts_with("ROOM#MEMBER#"))
            .count()
    };
    assert_eq!(member_rows(), 200);

    let said = sender.ask_for("message", message("one")).await;
    assert_eq!(said["text"], "one");
    for frames in join_all(others.iter_mut().map(Client::messages_until_pong)).await {
        assert_eq!(frames.len(), 1, "each gets it once: {frames:?}");
        assert_eq!(frames[0]["text"], "one");
    }
    assert_eq!(
        sender.messages_until_pong().await,
        Vec::<Value>::new(),
        "so does the sender"
    );

    for client in others.drain(..50) {
        client.vanish();
    }
    assert_eq!(member_rows(), 200, "nobody told the table");
    // API Gateway, too, takes a moment to notice that a client is gone.
    let mut number = 0;
    within_deadline("clearing away", async {
        while member_rows() > 150 {
            number += 1;
            let more = message(&format!("more {number}"));
            let said = sender.ask_for("message", more).await;
            assert_eq!(said["seq"], number + 1);
        }
    })
    .await;
    for frames in join_all(others.iter_mut().map(Client::messages_until_pong)).await {
        assert_eq!(frames.len(), number, "each gets every one once: {frames:?}");
    }
    let keys = |prefix| stack::sort_keys(&stack, prefix);
    assert_eq!(keys("CONNECTION#").len(), 150, "the connections' own rows");
    let names = keys("ROOM#")
        .iter()
        .filter(|key| key.starts_with("NAME#"))
        .count();
    assert_eq!(names, 150, "and their names");
    stack.stop().await;
}
