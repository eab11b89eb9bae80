//! A room above the threshold: one message is posted by several invocations of the action function.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use e2e::client::Client;
use e2e::{chatctl, stack, within_deadline};
use futures_util::future::join_all;
use local::{Code, Event, Faults, Options, Report, Stack, Status};
use serde_json::{Value, json};

const MEMBERS: usize = 40;
const SHARE: usize = 7;

/// A stack of which one invocation posts to [`SHARE`] members, and its reports.
async fn start(faults: Faults) -> (Stack, Arc<Mutex<Vec<Report>>>) {
    let mut template = chatctl::synthesized().await;
    let action = &mut template["Resources"]["ActionFunction"]["Properties"];
    let share = &mut action["Environment"]["Variables"]["SHARE_MEMBERS"];
    assert!(share.is_string(), "the threshold is a variable: {share}");
    *share = json!(SHARE.to_string());
    let mut options = Options::new(&template, Code::new(chatctl::bootstrap()));
    options.parameters = stack::parameters();
    options.functions.reports = true;
    options.faults = faults;
    let reports: Arc<Mutex<Vec<Report>>> = Arc::default();
    let told = Arc::clone(&reports);
    options.observer = local::Observer::new(move |event| {
        if let Event::Report { function, report } = event
            && function == "ActionFunction"
        {
            told.lock().expect("no test panicked").push(report);
        }
    });
    (Stack::start(options).await.expect("it starts"), reports)
}

/// Members of one room, all of whom know each other.
async fn crowd(stack: &Stack) -> (Vec<Client>, Value) {
    let url = stack.websocket_url();
    let mut all = join_all((0..MEMBERS).map(|_| Client::connect(&url))).await;
    let created = json!({"type": "create", "name": "member 0"});
    let room = all[0].ask_for("joined", created).await["room"].clone();
    for (number, client) in all.iter_mut().enumerate().skip(1) {
        let join = json!({"type": "join", "room": room, "name": format!("member {number}")});
        client.ask_for("joined", join).await;
    }
    (all, room)
}

#[tokio::test]
async fn a_message_above_the_threshold_reaches_everybody_once_by_several_invocations() {
    let faults = "post-latency=10ms".parse().expect("a fault");
    let (stack, reports) = start(faults).await;
    let (mut all, room) = crowd(&stack).await;
    let before = reports.lock().expect("no test panicked").len();
    let texts: Vec<String> = (0..5).map(|number| format!("text {number}")).collect();
    for text in &texts {
        let message = json!({"type": "message", "room": room, "text": text});
        all[3].ask_for("message", message).await;
    }
    let mut lost = 0;
    for (number, client) in all.iter_mut().enumerate() {
        // The sender's copies are the answers that it had.
        let expected = if number == 3 { 0 } else { texts.len() };
        let mut heard = Vec::new();
        while heard.len() < expected {
            heard.push(client.next_of("message").await["text"].clone());
        }
        heard.sort_by_key(Value::to_string);
        let missing = |text: &&String| !heard.contains(&json!(text));
        lost += texts[..expected].iter().filter(missing).count();
        let more = client.messages_until_pong().await;
        assert_eq!(more, Vec::<Value>::new(), "twice for member {number}");
    }
    assert_eq!(lost, 0);
    // 39 receivers in shares of seven at most are six, of which the sender's own invocation has one.
    let invocations = texts.len() * (MEMBERS - 1).div_ceil(SHARE) + MEMBERS;
    let reported = async {
        while reports.lock().expect("no test panicked").len() < before + invocations {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within_deadline("the reports", reported).await;
    let reports = reports.lock().expect("no test panicked").clone();
    assert!(
        reports.iter().all(|it| it.status == Status::Success),
        "{reports:?}"
    );
    stack.stop().await;
}

#[tokio::test]
async fn no_frame_of_a_client_is_taken_for_a_part_of_a_message() {
    let (stack, _) = start(Faults::default()).await;
    let mut ann = Client::connect(&stack.websocket_url()).await;
    let mut bob = Client::connect(&stack.websocket_url()).await;
    let errand = json!({"room": "lobby", "frame": "{\"type\":\"forged\"}", "receivers": []});
    for forged in [
        json!({ "errand": errand }),
        json!({"type": "message", "from": "eve", "errand": errand, "text": "hi", "requestContext": null}),
        json!({"type": "errand", "errand": errand}),
    ] {
        let reply = ann.ask(forged).await;
        assert_ne!(reply["type"], "forged", "{reply}");
    }
    let heard = bob.frames_until_pong().await;
    assert!(heard.iter().all(|it| it["type"] == "message"), "{heard:?}");
    stack.stop().await;
}
