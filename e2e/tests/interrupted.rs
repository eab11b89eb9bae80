//! `chatctl` is killed, without a chance to say or do anything, at every request that it makes of AWS:
//! before AWS knows of it, and when AWS has done it but nobody has heard. Then the same command is run
//! again, and all has to be as if nothing had happened: nothing missing, doubled or left behind.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::{Output, Stdio};

use e2e::ministack::{Console, Machine, Ministack, Moment};
use e2e::{chatctl, within_deadline};
use futures_util::future::join_all;
use serde_json::{Value, json};

/// Accounts that are worked on at the same time: a program mostly waits.
const LANES: usize = 3;

const DESTROY: [&str; 2] = ["destroy", "--yes"];

#[tokio::test]
async fn a_first_deploy_and_a_destroy_that_are_killed_anywhere_are_finished_by_the_next_one() {
    let ministack = slow_ministack().await;
    let files = Files::new("first");
    let machine = ministack.machine().await;
    let mut console = machine.console();
    let empty = console.inventory().await;
    let deploys = Kills::of(&machine, &files.deploy()).await;
    let whole = console.inventory().await;
    let destroys = Kills::of(&machine, &DESTROY.map(str::to_owned)).await;
    assert_eq!(console.inventory().await, empty);

    join_all((0..LANES).map(async |_| {
        let machine = ministack.machine().await;
        let mut console = machine.console();
        loop {
            let (deploy, destroy) = (deploys.next(), destroys.next());
            if deploy.is_none() && destroy.is_none() {
                break;
            }
            let name = finished_by_the_next(&machine, &files.deploy(), deploy, &deploys).await;
            assert_eq!(console.inventory().await, whole, "{name}");
            let command = DESTROY.map(str::to_owned);
            let name = finished_by_the_next(&machine, &command, destroy, &destroys).await;
            assert_eq!(console.inventory().await, empty, "{name}");
        }
    }))
    .await;
    deploys.were_everywhere();
    destroys.were_everywhere();
}

#[tokio::test]
async fn an_update_that_is_killed_anywhere_is_finished_by_the_next_one() {
    let ministack = slow_ministack().await;
    let machine = ministack.machine().await;
    let files = Files::new("update");
    let mut console = machine.console();
    succeeded(&machine.run(&words(&files.deploy())).await, "deploy");
    files.change(&["page", "functions"]);
    let updates = Kills::of(&machine, &files.deploy()).await;
    // Once, for what the update has left: its change set.
    files.change(&["page"]);
    succeeded(&machine.run(&words(&files.deploy())).await, "deploy");
    files.change(&["page"]);
    let of_the_page = Kills::of(&machine, &files.deploy()).await;
    let whole = shape(console.inventory().await);

    join_all((0..LANES).map(async |lane| {
        let machine = ministack.machine().await;
        let mut console = machine.console();
        let files = Files::new(&format!("update-{lane}"));
        succeeded(&machine.run(&words(&files.deploy())).await, "deploy");
        let stack = stack_id(&mut console).await;
        let mut before = console.inventory().await;
        for (kills, changed) in [
            (&updates, &["page", "functions"][..]),
            (&of_the_page, &["page"]),
        ] {
            while let Some(kill) = kills.next() {
                files.change(changed);
                let name = finished_by_the_next(&machine, &files.deploy(), Some(kill), kills).await;
                let after = console.inventory().await;
                for (what, is_changed) in [("objects", true), ("code", changed.len() == 2)] {
                    assert_eq!(
                        after[what] != before[what],
                        is_changed,
                        "{what}, {name}: {after:#}"
                    );
                }
                // Of one package, and not of the old one here and the new one there.
                assert_eq!(after["code"].as_array().map_or(0, Vec::len), 1, "{name}");
                assert_eq!(stack_id(&mut console).await, stack, "{name}");
                assert_eq!(shape(after.clone()), whole, "{name}");
                before = after;
            }
        }
    }))
    .await;
    updates.were_everywhere();
    of_the_page.were_everywhere();
}

async fn slow_ministack() -> Ministack {
    let ministack = Ministack::start().await;
    let machine = ministack.machine().await;
    // What AWS does takes its time, so that the next command comes while it goes on.
    machine.plan("slow", json!({"slow": true})).await;
    drop(machine);
    ministack
}

/// A request at which a command is killed, and when: the nth of its action.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Kill {
    action: String,
    nth: u64,
    moment: Moment,
}

impl std::fmt::Display for Kill {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            action,
            nth,
            moment,
        } = self;
        write!(formatter, "killed {moment:?} no. {nth} of {action}")
    }
}

/// All the requests of a command, and what became of those that it was killed at.
struct Kills {
    left: RefCell<VecDeque<Kill>>,
    missed: RefCell<Vec<Kill>>,
}

impl Kills {
    /// Those of a command, which is run once undisturbed.
    async fn of(machine: &Machine<'_>, command: &[String]) -> Self {
        machine.hold_nothing().await;
        let before = machine.requests().len();
        succeeded(&machine.run(&words(command)).await, "undisturbed");
        let mut left = VecDeque::new();
        for request in &machine.requests()[before..] {
            let kill = Kill {
                action: text(&request["action"]).to_owned(),
                nth: request["nth"].as_u64().expect("they are counted"),
                moment: Moment::Before,
            };
            // What only asks leaves AWS as it was, heard or not.
            if changes_something(&kill.action) {
                let moment = Moment::After;
                left.push_back(Kill {
                    moment,
                    ..kill.clone()
                });
            }
            left.push_back(kill);
        }
        assert!(left.len() > 10, "{left:?}");
        Self {
            left: RefCell::new(left),
            missed: RefCell::default(),
        }
    }

    fn next(&self) -> Option<Kill> {
        self.left.borrow_mut().pop_front()
    }

    /// One run may ask more often than another whether something is done, and nothing else.
    fn were_everywhere(&self) {
        let missed = self.missed.borrow();
        let missed: Vec<_> = missed
            .iter()
            .filter(|it| changes_something(&it.action))
            .collect();
        assert!(missed.is_empty(), "never {missed:?}");
    }
}

fn changes_something(action: &str) -> bool {
    let (_, operation) = action.split_once(':').unwrap_or_default();
    let reads = ["Describe", "Get", "List", "Head"];
    !operation.is_empty() && !reads.iter().any(|it| operation.starts_with(it))
}

/// Runs a command, kills it where it is to be killed, and runs it again. Gives what was done, in words.
async fn finished_by_the_next(
    machine: &Machine<'_>,
    command: &[String],
    kill: Option<Kill>,
    kills: &Kills,
) -> String {
    let mut name = format!("`chatctl {}`", command[0]);
    if let Some(kill) = kill {
        name = format!("{name} {kill}");
        if !is_killed(machine, command, &kill, &name).await {
            kills.missed.borrow_mut().push(kill);
        }
    }
    succeeded(&machine.run(&words(command)).await, &name);
    name
}

/// Whether the command has come to where it is to be killed.
async fn is_killed(machine: &Machine<'_>, command: &[String], kill: &Kill, name: &str) -> bool {
    machine.hold(&kill.action, kill.nth, kill.moment).await;
    let process = chatctl::command(&words(command))
        .envs(machine.environment())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("chatctl starts");
    let pid = process.id().expect("not waited for yet");
    let ended = process.wait_with_output();
    tokio::pin!(ended);
    tokio::select! {
        _ = within_deadline(name, machine.held()) => {}
        output = &mut ended => {
            machine.hold_nothing().await;
            succeeded(&output.expect("waited for"), name);
            return false;
        }
    }
    chatctl::send_signal("KILL", pid);
    let output = within_deadline(name, ended).await.expect("waited for");
    assert_eq!(output.status.code(), None, "{name}");
    machine.lose().await;
    true
}

fn succeeded(output: &Output, name: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{name}, then again:\n{stderr}"
    );
}

async fn stack_id(console: &mut Console) -> Value {
    let stacks = json!({"StackName": "chat-dev"});
    let stacks = console.aws("cloudformation", "describe_stacks", stacks);
    stacks.await["Stacks"][0]["StackId"].clone()
}

/// Without what an update changes.
fn shape(mut inventory: Value) -> Value {
    inventory["objects"] = Value::Null;
    inventory["code"] = Value::Null;
    inventory
}

fn words(command: &[String]) -> Vec<&str> {
    command.iter().map(String::as_str).collect()
}

/// The functions and a page.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let folder = format!("tmp/interrupted-{name}-{}", std::process::id());
        let files = Self(chatctl::target().join(folder));
        std::fs::create_dir_all(files.0.join("page")).expect("a folder below cargo's own");
        std::fs::copy(chatctl::packaged_bootstrap(), files.functions()).expect("a file");
        for (name, content) in [("index.html", "<!doctype html>"), ("style.css", "* {}")] {
            std::fs::write(files.0.join("page").join(name), content).expect("a file");
        }
        files
    }

    fn functions(&self) -> PathBuf {
        self.0.join("bootstrap")
    }

    fn deploy(&self) -> Vec<String> {
        let (functions, page) = (self.functions(), self.0.join("page"));
        let [functions, page] = [functions, page].map(|it| it.display().to_string());
        ["deploy", "--bootstrap", &functions, "--wwwroot", &page]
            .map(str::to_owned)
            .into()
    }

    /// Another byte at the end of each, which nobody looks at.
    fn change(&self, which: &[&str]) {
        for it in which {
            let path = match *it {
                "functions" => self.functions(),
                _ => self.0.join("page/style.css"),
            };
            let mut content = std::fs::read(&path).expect("it was written");
            content.push(b' ');
            std::fs::write(&path, content).expect("it was written");
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
