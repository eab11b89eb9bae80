use std::cell::RefCell;
use std::rc::Rc;

use serde_json::{Value, json};

use super::*;
use crate::action;
use crate::chat::Chat;
use crate::chat::memory::{MemoryOutbox, MemoryStore, SetClock, Stuttering};
use crate::config::ConnectSettings;
use crate::event::{ActionEvent, tests::event as event_of};
use crate::event::{NoConnection, reply, status};
use crate::origin::AllowedOrigins;
use crate::ports::{PortError, Store, Timestamp};
use crate::{connect, disconnect};

type Lines = Rc<RefCell<Vec<String>>>;

fn settings(metrics_of: Option<&str>) -> LogSettings {
    LogSettings {
        metrics_of: metrics_of.map(str::to_owned),
        room_key: Some(
            "arn:aws:cloudformation:eu-central-1:123456789012:stack/chat-dev/5b1c4ba0".to_owned(),
        ),
    }
}

fn journal(function: Function, metrics_of: Option<&str>) -> (Journal<impl Fn(&str)>, Lines) {
    let lines = Lines::default();
    let written = Rc::clone(&lines);
    let write = move |line: &str| written.borrow_mut().push(line.to_owned());
    (Journal::new(function, settings(metrics_of), write), lines)
}

fn only(lines: &Lines) -> Value {
    match lines.take().as_slice() {
        [line] => {
            assert!(!line.contains('\n'), "{line}");
            serde_json::from_str(line).expect("JSON")
        }
        lines => panic!("one line: {lines:#?}"),
    }
}

/// Of one invocation of the action function, without metrics.
async fn told_of(work: impl Future<Output = Outcome>) -> Value {
    let (journal, lines) = journal(Function::Action, None);
    drop(journal.invocation("r-1", work).await);
    only(&lines)
}

fn tally() -> Tally {
    Tally {
        delivered: 7,
        gone: 1,
        throttled: 2,
        retried: 3,
        unreached: 4,
        handed: 0,
        message: Some(Duration::from_micros(23_456)),
        took: Duration::from_micros(12_345),
    }
}

/// Everything that can be noted.
fn note_everything() {
    connection(&ConnectionId::new("c-1"));
    event("message");
    said();
    posted(tally());
    error(
        "some step failed",
        &PortError::new("reach the store", "cause"),
    );
    answered(&ServerFrame::Left {
        room: "7K3M9-QX2TB".to_owned(),
    });
}

fn noting_everything() -> impl Future<Output = Outcome> {
    std::future::poll_fn(|_| {
        note_everything();
        std::task::Poll::Ready(Ok(status(200)))
    })
}

#[tokio::test]
async fn an_invocation_is_one_line_with_all_that_was_noted() {
    let (journal, lines) = journal(Function::Action, Some("chat-dev"));
    journal
        .invocation("r-1", noting_everything())
        .await
        .expect("done");
    let mut line = only(&lines);
    let duration = line["durationMs"].take();
    assert!(
        duration
            .as_f64()
            .is_some_and(|it| (0.0..5000.0).contains(&it)),
        "{duration}"
    );
    let timestamp = line["_aws"]["Timestamp"].take();
    assert!(timestamp.as_u64() > Some(1_600_000_000_000), "{timestamp}");
    let count = |name: &str| json!({"Name": name, "Unit": "Count"});
    let time = json!({"Name": "BroadcastTime", "Unit": "Milliseconds"});
    let expected = json!({
        "level": "warn",
        "function": "action",
        "requestId": "r-1",
        "connectionId": "c-1",
        "event": "message",
        "outcome": "ok",
        // The first digits of `printf '%s\n%s' "$key" 7K3M9-QX2TB | sha256sum`.
        "room": "3f52",
        "durationMs": null,
        "broadcastMs": 12.35,
        "deliveries": 7,
        "gone": 1,
        "throttled": 2,
        "retries": 3,
        "unreached": 4,
        "error": "some step failed: could not reach the store: cause",
        "_aws": {
            "Timestamp": null,
            "CloudWatchMetrics": [{
                "Namespace": "chatctl",
                "Dimensions": [["Stack"]],
                "Metrics": [count("Messages"), count("Deliveries"), count("Gone"), count("Throttled"), time],
            }],
        },
        "Stack": "chat-dev",
        "Messages": 1,
        "Deliveries": 7,
        "Gone": 1,
        "Throttled": 2,
        "BroadcastTime": 23.46,
    });
    assert_eq!(line, expected);
}

#[tokio::test]
async fn without_metrics_the_line_has_all_else() {
    let line = told_of(noting_everything()).await;
    assert_eq!(
        (&line["deliveries"], &line["outcome"]),
        (&json!(7), &json!("ok"))
    );
    for metric in ["_aws", "Stack"]
        .into_iter()
        .chain(Metric::ALL.map(Metric::name))
    {
        assert_eq!(line.get(metric), None, "{metric}");
    }
}

#[tokio::test]
async fn a_line_that_counts_nothing_is_no_metric() {
    let (journal, lines) = journal(Function::Action, Some("chat-dev"));
    let pong = async {
        event("ping");
        Ok(reply(String::new()))
    };
    journal.invocation("r-1", pong).await.expect("done");
    let line = only(&lines);
    assert_eq!(
        (line.get("_aws"), line.get("Stack")),
        (None, None),
        "{line}"
    );
}

#[tokio::test]
async fn what_is_refused_rightly_is_no_error_and_what_could_not_be_done_is() {
    use crate::protocol::{Code, Refusal};
    for code in Code::ALL {
        let line = told_of(async {
            answered(&ServerFrame::Error(Refusal::new(code, "no")));
            Ok(status(200))
        })
        .await;
        let level = if code == Code::TryAgain {
            "error"
        } else {
            "info"
        };
        assert_eq!(line["level"], level, "{line}");
        assert_eq!(line["outcome"], serde_json::to_value(code).expect("a word"));
    }
    for (response, level, outcome) in [
        (status(200), "info", "ok"),
        (status(400), "info", "bad-event"),
        (status(403), "info", "forbidden"),
        (status(503), "error", "refused"),
    ] {
        let line = told_of(async { Ok(response) }).await;
        assert_eq!(
            (&line["level"], &line["outcome"]),
            (&json!(level), &json!(outcome))
        );
    }
    let line = told_of(async { Err(NoConnection.into()) }).await;
    assert_eq!(
        (&line["level"], &line["outcome"]),
        (&json!("error"), &json!("failed"))
    );
    assert!(
        line["error"]
            .as_str()
            .is_some_and(|it| it.contains("`requestContext")),
        "{line}"
    );
}

#[tokio::test]
async fn many_errors_are_counted_and_long_ones_cut() {
    let line = told_of(async {
        for number in 0..10 {
            let cause = format!("cause {number} {}", "x".repeat(1000));
            error("some step failed", &PortError::new("go on", cause));
        }
        Ok(status(200))
    })
    .await;
    let text = line["error"].as_str().expect("errors");
    assert!(
        text.contains("cause 3 ") && !text.contains("cause 4 "),
        "{text}"
    );
    assert!(text.ends_with("…; and 6 more"), "{text}");
    assert!(text.chars().count() < 2000, "{}", text.chars().count());
}

#[tokio::test]
async fn a_room_is_told_by_a_digest_that_another_stack_makes_otherwise() {
    let told = |key: Option<&str>, code: &'static str| {
        let settings = LogSettings {
            room_key: key.map(str::to_owned),
            ..settings(None)
        };
        async move {
            let (_, lines) = journal(Function::Action, None);
            let written = Rc::clone(&lines);
            let write = move |line: &str| written.borrow_mut().push(line.to_owned());
            let journal = Journal::new(Function::Action, settings, write);
            let work = async {
                room(&code);
                Ok(status(200))
            };
            journal.invocation("r-1", work).await.expect("done");
            only(&lines)["room"].as_str().map(str::to_owned)
        }
    };
    let digest = async |key, code| told(Some(key), code).await.expect("a room");
    let one = digest("one", "7K3M9-QX2TB").await;
    // More digits would leave so few codes to whoever knows the stack's id that they can be tried out.
    assert_eq!(one.len(), 4);
    assert!(one.chars().all(|it| it.is_ascii_hexdigit()));
    assert_eq!(digest("one", "7K3M9-QX2TB").await, one);
    assert_ne!(digest("two", "7K3M9-QX2TB").await, one);
    assert_ne!(digest("one", "7K3M9-QX2TC").await, one);
    assert_eq!(digest("one", "lobby").await, "lobby");
    assert_eq!(told(None, "7K3M9-QX2TB").await, None);
    assert_eq!(told(None, "lobby").await.as_deref(), Some("lobby"));
}

#[tokio::test]
async fn two_invocations_at_once_are_two_lines_of_their_own() {
    let (journal, lines) = journal(Function::Action, None);
    let work = |name: &'static str| async move {
        connection(&ConnectionId::new(name));
        tokio::task::yield_now().await;
        event("ping");
        Ok(status(200))
    };
    let both = futures_util::future::join(
        journal.invocation("r-1", work("a")),
        journal.invocation("r-2", work("b")),
    );
    drop(both.await);
    let lines = lines.take();
    assert_eq!(lines.len(), 2);
    for (line, [request, connection]) in lines.iter().zip([["r-1", "a"], ["r-2", "b"]]) {
        let line: Value = serde_json::from_str(line).expect("JSON");
        assert_eq!(line["requestId"], request);
        assert_eq!(line["connectionId"], connection);
    }
}

/// A text of each kind that no log may have.
const SECRETS: [&str; 3] = ["marked-text", "marked-name", "MARKE-D0C0D"];

#[tokio::test]
async fn texts_names_and_codes_are_in_no_line_whatever_goes_wrong() {
    let store = MemoryStore::default();
    let outbox = MemoryOutbox::default();
    let chat = Chat::new(
        store.clone(),
        outbox.clone(),
        SetClock::default(),
        Stuttering::default(),
        Duration::from_hours(1),
    )
    .with_share(1);
    let expires = Timestamp::from_seconds(1_000_000);
    for id in ["a", "b", "c", "d"] {
        let id = ConnectionId::new(id);
        store.open(&id, expires).await.expect("opened");
    }
    let (journal, lines) = journal(Function::Action, Some("chat-dev"));
    let say = |id: &'static str, frame: String| {
        let (journal, chat) = (&journal, &chat);
        async move {
            let mut event = event_of("MESSAGE");
            event.request_context.connection_id = Some(id.to_owned());
            event.body = Some(frame);
            let event = ActionEvent::Message(Box::new(event));
            let answer = journal.invocation("r", action::handle(chat, event)).await;
            answer.expect("an answer").body
        }
    };
    let [text, name, code] = SECRETS;
    let created = say("a", json!({"type": "create", "name": name}).to_string()).await;
    let created = format!("{created:?}");
    let real = created
        .split("room\\\":\\\"")
        .nth(1)
        .and_then(|it| it.split('\\').next());
    let real = real.expect("a code").to_owned();
    let join = |room: &str| json!({"type": "join", "room": room, "name": format!("{name}-b")});
    for id in ["c", "d"] {
        let frame = json!({"type": "join", "room": real, "name": format!("{name}-{id}")});
        say(id, frame.to_string()).await;
    }
    let frames = [
        join(&real).to_string(),
        join(code).to_string(),
        json!({"type": "message", "text": text, "id": "marked-id"}).to_string(),
        json!({"type": "message", "text": text, "room": code}).to_string(),
        json!({"type": "message", "text": "", "from": name}).to_string(),
        json!({"type": "rename", "name": format!("{name}\n")}).to_string(),
        json!({"type": text}).to_string(),
        json!({"type": "message", "text": [text]}).to_string(),
        format!("{{{text}"),
        json!({"type": "typing"}).to_string(),
        json!({"type": "history"}).to_string(),
        json!({"type": "leave"}).to_string(),
    ];
    let mut errands = 0;
    for trouble in 0..4 {
        store.fail(trouble == 1);
        let ann = ConnectionId::new("a");
        match trouble {
            2 => outbox.failing(&ann),
            _ => outbox.working(&ann),
        }
        store.works_for((trouble == 3).then_some(6));
        for frame in &frames {
            say("b", frame.clone()).await;
        }
        for errand in outbox.errands() {
            let errand = json!({ "errand": serde_json::from_str::<Value>(&errand).expect("JSON") });
            let event = serde_json::from_value(errand).expect("an errand");
            let done = journal.invocation("r", action::handle(&chat, event)).await;
            done.expect("carried out");
            errands += 1;
        }
    }
    let lines = lines.take();
    assert!(errands > 0);
    assert_eq!(lines.len(), 3 + 4 * frames.len() + errands);
    let of_errands = lines
        .iter()
        .filter(|it| it.contains("\"event\":\"errand\""));
    let told = of_errands.filter(|it| it.contains("\"room\":\""));
    assert_eq!(told.count(), errands, "an errand's line tells its room");
    assert!(
        lines.iter().any(|it| it.contains("\"error\":\"")),
        "errors were told"
    );
    assert!(
        lines
            .iter()
            .any(|it| it.contains("\"outcome\":\"bad-json\""))
    );
    for line in lines {
        for secret in SECRETS.into_iter().chain(["marked", &real]) {
            assert!(!line.contains(secret), "{secret}: {line}");
        }
    }
}

#[tokio::test]
async fn coming_and_going_are_counted_with_the_time_between() {
    let store = MemoryStore::default();
    let (connects, lines) = journal(Function::Connect, Some("chat-dev"));
    let (clock, begun) = (SetClock::default(), event_of("CONNECT"));
    let open = ConnectSettings {
        origins: AllowedOrigins::Any,
        sign_in: false,
    };
    let work = connect::handle(&store, &clock, &open, &begun);
    connects.invocation("r-1", work).await.expect("done");
    let line = only(&lines);
    assert_eq!(
        (&line["event"], &line["Connections"]),
        (&json!("connect"), &json!(1))
    );

    store.fail(true);
    let work = connect::handle(&store, &clock, &open, &begun);
    connects.invocation("r-2", work).await.expect("refused");
    let line = only(&lines);
    assert_eq!(
        (&line["outcome"], &line["Errors"]),
        (&json!("refused"), &json!(1))
    );
    assert_eq!(line.get("Connections"), None);
    store.fail(false);

    let chat = Chat::new(
        store.clone(),
        MemoryOutbox::default(),
        SetClock::default(),
        Stuttering::default(),
        Duration::from_hours(1),
    );
    let (disconnects, lines) = journal(Function::Disconnect, Some("chat-dev"));
    let mut ended = event_of("DISCONNECT");
    ended.request_context.connected_at = 1_600_000_000_000;
    ended.request_context.request_time_epoch = 1_600_000_090_500;
    let work = disconnect::handle(&chat, &ended);
    disconnects.invocation("r-3", work).await.expect("done");
    let line = only(&lines);
    assert_eq!(line["connectedMs"], 90_500);
    assert_eq!(
        (&line["Disconnections"], &line["ConnectionTime"]),
        (&json!(1), &json!(90.5))
    );
    assert_eq!(line["room"], "lobby");
}

#[test]
fn metrics_keep_to_the_formats_limits() {
    let names: std::collections::BTreeSet<_> = Metric::ALL.map(Metric::name).into();
    assert_eq!(names.len(), Metric::ALL.len());
    // As many as a line can have.
    assert!(names.len() <= 100);
    // CloudWatch's own ten that cost nothing.
    assert!(names.len() < 10);
}
