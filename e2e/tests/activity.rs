//! `chatctl dev` tells what the functions do: a line of each invocation, and on a terminal a last line
//! about all of them.

use std::process::Stdio;

use e2e::chatctl::{Dev, eventually};
use e2e::client::Client;
use e2e::terminal::Terminal;
use serde_json::json;
use tokio::io::{AsyncReadExt, BufReader};

/// What tells the last line from all others.
const STATUS: &str = " connected | ";

/// Two who talk, and get one thing wrong each.
async fn talk(url: &str) -> [Client; 2] {
    let mut ann = Client::connect(url).await;
    let room = ann.ask(json!({"type": "create", "name": "ann"})).await["room"].clone();
    let mut bob = Client::connect(url).await;
    let join = json!({"type": "join", "room": room, "name": "bob"});
    bob.ask_for("joined", join).await;
    let message = json!({"type": "message", "text": "a secret"});
    ann.ask_for("message", message).await;
    bob.next_of("message").await;
    ann.send_text("no JSON").await;
    ann.next_of("error").await;
    let nowhere = json!({"type": "join", "room": "AAAAA-AAAAA", "name": "bob"});
    bob.ask_for("error", nowhere).await;
    [ann, bob]
}

async fn started(arguments: &[&str], variables: &[(&str, &str)], stderr: Stdio) -> Dev {
    let _ = e2e::chatctl::bootstrap();
    Dev::start_in(arguments, variables, stderr, e2e::DEADLINE).await
}

/// What is on standard error, after two have talked and gone.
async fn told(arguments: &[&str]) -> Vec<String> {
    let mut dev = started(arguments, &[], Stdio::piped()).await;
    let stderr = dev.take_stderr().expect("a pipe");
    for client in talk(&dev.websocket).await {
        client.close().await;
    }
    dev.end("TERM").await;
    let mut text = String::new();
    let read = BufReader::new(stderr).read_to_string(&mut text).await;
    read.expect("readable");
    text.lines().map(str::to_owned).collect()
}

/// Whether it is the line of an invocation of this function and event with this outcome.
fn is_of(line: &str, function: &str, event: &str, outcome: &str) -> bool {
    line.starts_with(&format!("{function:<10}  {event:<10}  {outcome:<12}  "))
}

/// The lines of what [`talk`] does.
const OF_A_TALK: [(&str, &str, &str); 6] = [
    ("connect", "connect", "ok"),
    ("action", "create", "ok"),
    ("action", "join", "ok"),
    ("action", "message", "ok"),
    ("action", "invalid", "bad-json"),
    ("action", "join", "no-such-room"),
];

fn assert_no_noise(lines: &[String]) {
    for line in lines {
        assert!(!line.contains('{') && !line.contains("_aws"), "{line}");
        assert!(!line.contains("a secret"), "{line}");
    }
}

#[tokio::test]
async fn each_invocation_is_a_line_with_event_and_outcome_and_there_is_no_other() {
    let lines = told(&[]).await;
    for (function, event, outcome) in OF_A_TALK {
        let found = lines.iter().find(|it| is_of(it, function, event, outcome));
        let found = found.unwrap_or_else(|| panic!("no {event} {outcome}: {lines:#?}"));
        assert!(found.contains(" ms"), "{found}");
        assert!(found.chars().count() < 80, "{found}");
    }
    let message = lines
        .iter()
        .rfind(|it| is_of(it, "action", "message", "ok"));
    let message = message.expect("looked for above");
    assert!(message.ends_with("  1 delivered"), "{message}");
    assert_no_noise(&lines);
    let status = lines.iter().find(|it| it.contains(STATUS));
    assert_eq!(status, None, "there is no terminal");
    assert!(lines.iter().all(|it| !it.contains('\u{1b}')), "{lines:#?}");
}

#[tokio::test]
async fn who_wants_quiet_hears_of_what_fails_and_of_nothing_else() {
    let is_an_invocations = |line: &&String| line.contains(" ms");
    let lines = told(&["--quiet"]).await;
    let noisy = lines.iter().find(is_an_invocations);
    assert_eq!(noisy, None, "all went well");

    let arguments = ["--quiet", "--fault", "db-throttle=100%"];
    let mut dev = started(&arguments, &[], Stdio::piped()).await;
    let mut stderr = dev.take_stderr().expect("a pipe");
    let refused = Client::try_connect(&dev.websocket).await;
    assert!(refused.is_err(), "nothing can be stored");
    dev.end("TERM").await;
    let mut text = String::new();
    stderr.read_to_string(&mut text).await.expect("readable");
    let lines: Vec<_> = text.lines().map(str::to_owned).collect();
    let failed = lines
        .iter()
        .find(|it| is_of(it, "connect", "connect", "refused"));
    let failed = failed.unwrap_or_else(|| panic!("it is not told: {lines:#?}"));
    assert!(failed.contains("hrottl"), "why is told: {failed}");
    assert_no_noise(&lines);
}

#[tokio::test]
async fn on_a_terminal_the_last_line_tells_how_much_goes_on() {
    let terminal = Terminal::new();
    let variables = [("TERM", "xterm"), ("NO_COLOR", "1")];
    let dev = started(&[], &variables, terminal.stdio()).await;
    let clients = talk(&dev.websocket).await;
    let last = || terminal.lines().pop().unwrap_or_default();
    let two = "2 connected | ";
    eventually("two connected", || last().starts_with(two)).await;
    // A line of each invocation is above it then, and each state of it has replaced the one before: one
    // that had not would stay.
    let [mut ann, bob] = clients;
    let since = std::time::Instant::now();
    loop {
        // It tells of the last seconds alone, and a look may come while it is drawn.
        ann.ask_for("message", json!({"type": "message", "text": "a secret"}))
            .await;
        let lines = terminal.lines();
        let is_told = |of: &(&str, &str, &str)| lines.iter().any(|it| is_of(it, of.0, of.1, of.2));
        let status: Vec<_> = lines.iter().filter(|it| it.contains(STATUS)).collect();
        let is_last = status.len() == 1 && lines.last() == status.first().copied();
        let is_well = |it: &str| {
            let has = |part: &str| it.contains(part);
            !has(" 0.0 messages/s")
                && has(" messages/s | p50 ")
                && has(" ms, p99 ")
                && it.ends_with(" ms | 0 errors")
                && it.chars().count() < 80
        };
        if OF_A_TALK.iter().all(is_told) && is_last && is_well(status[0]) {
            assert_no_noise(&lines);
            break;
        }
        assert!(since.elapsed() < e2e::DEADLINE, "{lines:#?}");
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    for client in [ann, bob] {
        client.close().await;
    }
    eventually("nobody connected", || last().starts_with("0 connected | ")).await;
    dev.end("INT").await;
    let written = terminal.written();
    let color = written.split("\u{1b}[").skip(1).find(|code| {
        let end = code.find(|it: char| it.is_ascii_alphabetic());
        end.is_some_and(|end| code[end..].starts_with('m'))
    });
    assert_eq!(color, None, "`NO_COLOR` is set");
}

#[tokio::test]
async fn a_terminal_that_cannot_go_back_gets_lines_alone() {
    let terminal = Terminal::new();
    let variables = [("TERM", "dumb"), ("NO_COLOR", "1")];
    let dev = started(&[], &variables, terminal.stdio()).await;
    let _clients = talk(&dev.websocket).await;
    let is_told = || {
        let lines = terminal.lines();
        lines
            .iter()
            .any(|it| is_of(it, "action", "join", "no-such-room"))
    };
    eventually("told", is_told).await;
    dev.end("TERM").await;
    let written = terminal.written();
    assert!(!written.contains(STATUS), "{written}");
    assert!(!written.contains('\u{1b}'), "{written}");
}
