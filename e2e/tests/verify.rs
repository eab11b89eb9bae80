//! `chatctl verify`: it finds nothing wrong with a chat that keeps its promises, and finds each one
//! that is broken on purpose.

use std::process::Output;
use std::time::Duration;

use e2e::chatctl::{self, Dev, children_of};
use e2e::client::Client;
use e2e::meddler::{Habits, Meddle, Meddler, Way};
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

/// Broken chats that are looked at at the same time.
const AT_ONCE: usize = 4;

/// How long each check may take: most of a look at a broken chat is waiting for what does not come, and
/// those before the one that has to find it have to be done in that time. Where they are not, the machine is
/// busy, and the next one counts.
const EACH: [&str; 3] = ["10s", "1m", "3m"];

/// How long a look at a broken chat takes at most: many checks fail there.
const LOOK_DEADLINE: Duration = Duration::from_mins(10);

/// Looks at a chat, to the end; each check takes so long at most.
async fn looked_at(arguments: &[&str], url: &str, each: &str) -> Output {
    let verify = ["verify", "--timeout", each, "--url", url];
    let output = chatctl::command(&[&verify, arguments].concat()).output();
    let output = tokio::time::timeout(LOOK_DEADLINE, output).await;
    output.expect("an end").expect("chatctl runs")
}

/// Ample for each check where nothing is broken, on any machine.
const AMPLE: &str = "3m";

#[tokio::test]
async fn all_holds_on_this_machine_and_nobody_in_the_lobby_is_disturbed() {
    let dev = Dev::start(&[]).await;
    let mut bystander = Client::connect(&dev.websocket).await;
    let join = json!({"type": "join", "room": "lobby", "name": "bystander"});
    bystander.ask_for("joined", join).await;
    let output = looked_at(&["--site", &dev.site], &dev.websocket, AMPLE).await;
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{stdout}");
    assert_eq!(stdout.lines().count(), 22, "{stdout}");
    for line in stdout.lines() {
        assert!(line.starts_with("held "), "{line}");
        assert!(line.chars().count() <= 80, "{line}");
    }
    let disturbed = bystander.frames_until_pong().await;
    assert_eq!(disturbed, Vec::<Value>::new());
    dev.end("TERM").await;
}

#[tokio::test]
async fn nobody_is_left_in_any_room() {
    let stack = e2e::stack::start(|_| {}).await;
    let output = looked_at(&[], &stack.websocket_url(), AMPLE).await;
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let connections = || e2e::stack::sort_keys(&stack, "CONNECTION#");
    chatctl::eventually("gone", || connections().is_empty()).await;
    let mut client = Client::connect(&stack.websocket_url()).await;
    client.ask(json!({"type": "ping"})).await;
    assert_eq!(connections().len(), 1, "this is how connections are kept");
    stack.stop().await;
}

#[tokio::test]
async fn a_chat_that_is_not_there_fails_the_first_check_and_the_others_are_not_tried() {
    let output = chatctl::run(&["verify", "--json", "--url", "ws://127.0.0.1:1/dev"]).await;
    assert_eq!(output.status.code(), Some(1));
    let (result, _) = told(&output.stdout);
    assert_eq!(result["failed"], json!(["connection"]));
    assert_eq!(result["not_tried"].as_array().map(Vec::len), Some(20));
}

#[tokio::test]
async fn messages_are_kept_for_as_long_as_is_said() {
    let dev = Dev::start(&["--history-days", "30"]).await;
    let children = children_of(dev.pid());
    assert!(!children.is_empty());
    let days = children.iter().filter_map(|child| {
        let variables = std::fs::read(format!("/proc/{child}/environ")).ok()?;
        let variables = String::from_utf8_lossy(&variables).into_owned();
        let mut variables = variables.split('\0');
        let days = variables.find_map(|it| it.strip_prefix("HISTORY_DAYS="));
        days.map(str::to_owned)
    });
    let days: Vec<_> = days.collect();
    assert!(days.contains(&"30".to_owned()), "{days:?}");
    assert!(days.iter().all(|it| it == "30"), "{days:?}");
    dev.end("TERM").await;
}

#[tokio::test]
async fn each_promise_that_is_broken_is_found_and_told_with_what_was_said() {
    let dev = Dev::start(&[]).await;
    // On a busy machine nobody is too fast for what is allowed otherwise.
    let strict = Dev::start(&["--messages-per-second", "1"]).await;
    let looked = stream::iter(BROKEN).map(|broken| {
        let dev = if broken.1 == "flood" { &strict } else { &dev };
        look(&dev.websocket, broken)
    });
    let problems: Vec<String> = looked
        .buffer_unordered(AT_ONCE)
        .filter_map(|it| async { it })
        .collect()
        .await;
    assert!(problems.is_empty(), "{}", problems.join("\n"));
    strict.end("TERM").await;
    dev.end("TERM").await;
}

/// What is wrong with the way in which a broken chat is told of.
async fn look(websocket: &str, (name, expected, leaks, meddle): Broken) -> Option<String> {
    let meddler = Meddler::start(websocket, Habits { meddle, leaks }).await;
    let mut output = looked_at(&["--json"], &meddler.url, EACH[0]).await;
    let (mut result, mut checks) = told(&output.stdout);
    for each in &EACH[1..] {
        let not_tried = result["not_tried"].as_array();
        if !not_tried.is_some_and(|it| it.contains(&expected.into())) {
            break;
        }
        output = looked_at(&["--json"], &meddler.url, each).await;
        (result, checks) = told(&output.stdout);
    }
    let failed = result["failed"].as_array().cloned().unwrap_or_default();
    if output.status.code() != Some(1) || !failed.contains(&expected.into()) {
        return Some(format!("{name}: {result} instead of `{expected}`"));
    }
    let check = checks.iter().find(|it| it["check"] == expected)?;
    let reason = check["reasons"][0].as_str().unwrap_or_default();
    let frames = check["transcript"].as_array().map_or(0, Vec::len);
    (reason.is_empty() || frames < 2).then(|| format!("{name}: {check}"))
}

/// The result, and what came before it.
fn told(stdout: &[u8]) -> (Value, Vec<Value>) {
    let stdout = String::from_utf8_lossy(stdout);
    let lines = stdout.lines().map(serde_json::from_str);
    let mut events: Vec<Value> = lines.collect::<Result<_, _>>().expect("JSON a line");
    let result = events.pop().expect("a result");
    assert_eq!(result["event"], "result", "{stdout}");
    (result, events)
}

#[tokio::test]
async fn what_was_said_is_told_to_people_in_80_columns() {
    let dev = Dev::start(&[]).await;
    let meddle = forged;
    let leaks = false;
    let meddler = Meddler::start(&dev.websocket, Habits { meddle, leaks }).await;
    let output = looked_at(&[], &meddler.url, "1m").await;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stdout}");
    for line in stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let after = stdout.split("identity: nobody speaks as another").nth(1);
    let explained = after.expect(&stdout);
    let reason = r#"`from` of a `message` is "ann" instead of "bob""#;
    assert!(explained.contains(reason), "{explained}");
    let said = r#"bob > {"type":"message","from":"ann","text":"I am ann"}"#;
    assert!(explained.contains(said), "{explained}");
    assert!(
        explained.contains(r#"bob < {"type":"message""#),
        "{explained}"
    );
    assert!(stderr.contains("checks failed: "), "{stderr}");
    assert!(stderr.contains("identity"), "{stderr}");
    dev.end("TERM").await;
}

/// What is broken, the check that has to find it, whether messages get into other rooms, and what
/// becomes of the frames.
type Broken = (&'static str, &'static str, bool, Meddle);

const BROKEN: [Broken; 29] = [
    (
        "the first pong is of nowhere",
        "connection",
        false,
        |_, _, it| with(it, "pong", |pong| pong["room"] = "nowhere".into()),
    ),
    ("`left` names another room", "room", false, |_, _, it| {
        with(it, "left", |left| left["room"] = "0000000000".into())
    }),
    (
        "a text is changed for one",
        "message",
        false,
        |number, _, it| {
            with(it, "message", |message| {
                if number % 2 == 1 && message["seq"].is_number() {
                    message["text"] = format!("{} ", text(message, "text")).into();
                }
            })
        },
    ),
    ("a message is lost", "order", false, |_, way, it| {
        let is_lost = way == Way::ToClient && it["type"] == "message" && it["seq"] == 5;
        if is_lost { vec![] } else { vec![it] }
    }),
    (
        "two places are swapped for one",
        "order",
        false,
        |number, _, it| {
            with(it, "message", |message| {
                let seq = message["seq"].as_u64();
                if let (true, Some(seq @ 2..=3)) = (number % 2 == 1, seq) {
                    message["seq"] = (5 - seq).into();
                }
            })
        },
    ),
    ("a place is left out", "order", false, |_, _, it| {
        with(it, "message", |message| {
            if let Some(seq @ 3..) = message["seq"].as_u64() {
                message["seq"] = (seq + 1).into();
            }
        })
    }),
    (
        "a message is handed out twice",
        "once",
        false,
        |_, way, it| {
            let is_message = way == Way::ToClient && it["type"] == "message";
            vec![it; if is_message { 2 } else { 1 }]
        },
    ),
    ("ids are not looked at", "once", false, |_, way, it| {
        to_server(way, it, "message", |message| message["id"] = Value::Null)
    }),
    ("`joined` brings nothing", "recovery", false, |_, _, it| {
        with(it, "joined", |joined| {
            joined["messages"] = json!([]);
            joined["more"] = false.into();
        })
    }),
    ("`more` is never told", "history", false, |_, _, it| {
        with(it, "history", |history| history["more"] = false.into())
    }),
    (
        "the history is out of order",
        "history",
        false,
        |_, _, it| {
            with(it, "history", |history| {
                if let Some(messages) = history["messages"].as_array_mut() {
                    messages.reverse();
                }
            })
        },
    ),
    (
        "`resume` is not looked at",
        "resume",
        false,
        |_, way, it| to_server(way, it, "join", |join| join["resume"] = Value::Null),
    ),
    ("a name is forged", "identity", false, |_, way, it| {
        forged(0, way, it)
    }),
    (
        "names differ by their case",
        "names",
        false,
        |_, way, it| {
            to_server(way, it, "join", |join| {
                let name = text(join, "name");
                if name != name.to_lowercase() {
                    join["name"] = format!("{name}x").into();
                }
            })
        },
    ),
    ("nobody hears who leaves", "presence", false, |_, _, it| {
        let is_lost = it["type"] == "presence" && it["event"] == "leave";
        if is_lost { vec![] } else { vec![it] }
    }),
    (
        "the list never gets newer",
        "presence",
        false,
        |_, _, it| with(it, "presence", |presence| presence["rev"] = 1.into()),
    ),
    ("nobody sees who writes", "typing", false, |_, way, it| {
        let is_lost = way == Way::ToClient && it["type"] == "typing";
        if is_lost { vec![] } else { vec![it] }
    }),
    ("`pong` has an old place", "pong", false, |_, _, it| {
        with(it, "pong", |pong| pong["seq"] = 0.into())
    }),
    ("other rooms hear it", "membership", true, |_, _, it| {
        vec![it]
    }),
    (
        "nobody asks for the room",
        "membership",
        false,
        |_, way, it| to_server(way, it, "message", |message| message["room"] = Value::Null),
    ),
    (
        "the lobby takes it without a name",
        "lobby",
        false,
        |_, _, it| {
            with(it, "error", |error| {
                if error["code"] == "name-needed" {
                    error["code"] = "bad-text".into();
                }
            })
        },
    ),
    ("codes are read strictly", "codes", false, |_, way, it| {
        to_server(way, it, "join", |join| {
            let code = text(join, "room");
            let is_strict = code.len() == 11 && code == code.to_uppercase();
            if !is_strict {
                join["room"] = "?".into();
            }
        })
    }),
    ("texts are cut to length", "limits", false, |_, way, it| {
        to_server(way, it, "message", |message| {
            let short: String = text(message, "text").chars().take(4_000).collect();
            message["text"] = short.into();
        })
    }),
    ("what is wrong is not told", "errors", false, |_, _, it| {
        with(it, "error", |error| {
            if error["code"] == "bad-type" {
                error["code"] = "bad-json".into();
            }
        })
    }),
    (
        "who is removed is not told",
        "remove",
        false,
        |_, way, it| {
            let is_lost = way == Way::ToClient && it["type"] == "removed";
            if is_lost { vec![] } else { vec![it] }
        },
    ),
    (
        "who is removed comes back",
        "remove",
        false,
        |_, way, it| to_server(way, it, "join", |join| join["resume"] = Value::Null),
    ),
    (
        "nobody is told how long to wait",
        "flood",
        false,
        |_, _, it| with(it, "error", |error| error["wait"] = Value::Null),
    ),
    (
        "what is refused for a while is said all the same",
        "flood",
        false,
        |_, way, it| {
            with(it, "message", |message| {
                if way == Way::ToServer && text(message, "text") == "again" {
                    message["id"] = "another".into();
                    message["text"] = "more".into();
                }
            })
        },
    ),
    (
        "unknown fields are refused",
        "fields",
        false,
        |_, way, it| {
            let is_new = way == Way::ToServer && it.get("x-unknown").is_some();
            vec![if is_new { json!({"type": "new"}) } else { it }]
        },
    ),
];

fn forged(_: usize, _: Way, frame: Value) -> Vec<Value> {
    with(frame, "message", |message| {
        if message["seq"].is_number() {
            message["from"] = "ann".into();
        }
    })
}

/// Frames of a type, changed. `message` and `history` have two ways: one of the client has no `seq`, and
/// no `more`, so that what is changed there is ignored.
fn with(mut frame: Value, kind: &str, change: impl FnOnce(&mut Value)) -> Vec<Value> {
    if frame["type"] == kind {
        change(&mut frame);
    }
    vec![frame]
}

fn to_server(
    way: Way,
    mut frame: Value,
    kind: &str,
    change: impl FnOnce(&mut Value),
) -> Vec<Value> {
    if way == Way::ToServer && frame["type"] == kind {
        change(&mut frame);
    }
    vec![frame]
}

fn text(frame: &Value, field: &str) -> String {
    frame[field].as_str().unwrap_or_default().to_owned()
}
