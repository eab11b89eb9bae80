//! What becomes of a client, and of the processes, when functions fail, hang or are to end. Functions
//! are a small program in Python that does what it is told.

use std::time::Duration;

use local::{Code, InvokeError};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::support::{App, Client, Setup, soon};

fn python() -> Setup {
    let mut code = Code::new("python3");
    let program = include_str!("../../src/lambda/tests/function.py");
    code.arguments = ["-c", program].map(Into::into).to_vec();
    Setup {
        code: Some(code),
        ..Setup::default()
    }
}

/// Has the function of the `$default` route do something.
async fn ask(client: &mut Client, what: &Value) -> Value {
    client.send(&what.to_string()).await;
    serde_json::from_str(&client.text().await).expect("JSON")
}

fn kill_9(pid: &Value) {
    let pid = pid.as_i64().and_then(|pid| i32::try_from(pid).ok());
    let pid = pid.and_then(Pid::from_raw).expect("a process id");
    kill_process(pid, Signal::KILL).expect("it runs");
}

async fn eventually_gone(pid: &Value) {
    let gone = async {
        // Its state follows its name, in parentheses: Z is dead and not yet waited for.
        while std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.contains(") Z "))
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    soon("the end of a process", gone).await;
}

#[tokio::test]
async fn a_process_killed_in_the_middle_is_an_internal_server_error_and_the_next_message_works() {
    let mut app = python().start().await;
    let mut client = app.connect().await;
    let pid = ask(&mut client, &json!({"do": "pid"})).await["pid"].take();
    client.send(r#"{"do": "sleep", "s": 60}"#).await;
    app.line("sleeping").await;
    kill_9(&pid);
    let frame: Value = serde_json::from_str(&client.text().await).expect("JSON");
    assert_eq!(frame["message"], "Internal server error");
    let line = app.line("RequestId: ").await;
    assert!(
        line.ends_with(" Error: Runtime exited with error: signal: killed"),
        "{line}"
    );
    let next = ask(&mut client, &json!({"do": "pid"})).await;
    assert_ne!(next["pid"], pid);
    app.stop().await;
}

#[tokio::test]
async fn a_function_that_sleeps_past_its_timeout_is_an_internal_server_error_and_killed() {
    let mut setup = python();
    // Long enough for what takes no time, on any machine.
    setup.template["Resources"]["OtherFunction"]["Properties"]["Timeout"] = json!(3);
    let app = setup.start().await;
    let mut client = app.connect().await;
    let pid = ask(&mut client, &json!({"do": "pid"})).await["pid"].take();
    let frame = ask(&mut client, &json!({"do": "sleep", "s": 60})).await;
    assert_eq!(frame["message"], "Internal server error");
    eventually_gone(&pid).await;
    let next = ask(&mut client, &json!({"do": "pid"})).await;
    assert_ne!(next["pid"], pid);
    app.stop().await;
}

#[tokio::test]
async fn functions_are_invoked_through_the_library() {
    let app = python().start().await;
    let invoked = app
        .stack()
        .invoke("OtherFunction", r#"{"do": "pid"}"#.into());
    let response = soon("the response", invoked).await.expect("a response");
    let response: Value = serde_json::from_slice(&response).expect("JSON");
    assert!(response["pid"].is_u64());
    let accepted = app
        .stack()
        .invoke_event("OtherFunction", r#"{"do": "pid"}"#.into());
    assert!(accepted.is_ok());
    let unknown = app.stack().invoke_event("Unknown", "{}".into());
    assert!(matches!(unknown, Err(InvokeError::NotFound { .. })));
    app.stop().await;
}

#[tokio::test]
async fn a_stack_that_is_dropped_leaves_no_process() {
    let app: App = python().start().await;
    let mut idle = app.connect().await;
    let pid = ask(&mut idle, &json!({"do": "pid"})).await["pid"].take();
    // One more under way, and both connections open.
    let mut busy = app.connect().await;
    busy.send(r#"{"do": "sleep", "s": 60}"#).await;
    let busy_pid = ask(&mut idle, &json!({"do": "pid"})).await["pid"].take();
    drop(app.into_stack());
    for pid in [pid, busy_pid] {
        eventually_gone(&pid).await;
    }
}
