//! `chatctl` is killed, without a chance to say or do anything, at every request that it makes of AWS:
//! before AWS knows of it, and when AWS has done it but nobody has heard. Then the same command is run
//! again, and all has to be as if nothing had happened: nothing missing, doubled or left behind.
//!
//! Two that run at the same time are no different: while one waits for AWS, the other does all of its own.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::process::Output;

use e2e::ministack::{Console, Machine, Ministack, Moment, REGION, changes_something};
use e2e::{chatctl, within_deadline};
use futures_util::future::join_all;
use serde_json::{Value, json};

/// Accounts that are worked on at the same time: a program mostly waits.
const LANES: usize = 3;

#[tokio::test]
async fn a_first_deploy_and_a_destroy_that_are_killed_anywhere_are_finished_by_the_next_one() {
    let ministack = slow_ministack().await;
    let files = Files::new("first");
    let machine = ministack.machine().await;
    let mut console = machine.console();
    let empty = console.inventory().await;
    let deploys = Kills::of(&machine, &files.deploy("dev")).await;
    let whole = console.inventory().await;
    let destroys = Kills::of(&machine, &destroy("dev")).await;
    assert_eq!(console.inventory().await, empty);

    join_all((0..LANES).map(async |lane| {
        let stage = &format!("lane-{lane}");
        let machine = ministack.machine().await;
        let mut console = machine.console();
        loop {
            let (of_deploy, of_destroy) = (deploys.next(), destroys.next());
            if of_deploy.is_none() && of_destroy.is_none() {
                break;
            }
            let name =
                finished_by_the_next(&machine, &files.deploy(stage), of_deploy, &deploys).await;
            assert_eq!(console.inventory().await, whole, "{name}");
            let name = finished_by_the_next(&machine, &destroy(stage), of_destroy, &destroys).await;
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
    succeeded(&machine.run(&words(&files.deploy("dev"))).await, "deploy");
    files.change(&["page", "functions"]);
    let updates = Kills::of(&machine, &files.deploy("dev")).await;
    // Once, for what the update has left: its change set.
    files.change(&["page"]);
    succeeded(&machine.run(&words(&files.deploy("dev"))).await, "deploy");
    files.change(&["page"]);
    let of_the_page = Kills::of(&machine, &files.deploy("dev")).await;
    let whole = shape(console.inventory().await);

    join_all((0..LANES).map(async |lane| {
        let stage = &format!("lane-{lane}");
        let machine = ministack.machine().await;
        let mut console = machine.console();
        let files = Files::new(&format!("update-{lane}"));
        succeeded(&machine.run(&words(&files.deploy(stage))).await, "deploy");
        let stack = stack_id(&mut console, stage).await;
        let mut before = console.inventory().await;
        for (kills, changed) in [
            (&updates, &["page", "functions"][..]),
            (&of_the_page, &["page"]),
        ] {
            while let Some(kill) = kills.next() {
                files.change(changed);
                let asked = machine.requests().len();
                let name =
                    finished_by_the_next(&machine, &files.deploy(stage), Some(kill), kills).await;
                let after = console.inventory().await;
                for (what, is_changed) in [("objects", true), ("code", changed.len() == 2)] {
                    assert_eq!(
                        after[what] != before[what],
                        is_changed,
                        "{what}, {name}: {after:#}"
                    );
                }
                the_edges_know(&machine.requests()[asked..], &name);
                // Of one package, and not of the old one here and the new one there.
                assert_eq!(after["code"].as_array().map_or(0, Vec::len), 1, "{name}");
                assert_eq!(stack_id(&mut console, stage).await, stack, "{name}");
                assert_eq!(shape(after.clone()), whole, "{name}");
                before = after;
            }
        }
    }))
    .await;
    updates.were_everywhere();
    of_the_page.were_everywhere();
}

#[tokio::test]
async fn a_table_that_is_kept_is_named_before_the_deletion_and_again_wherever_that_was_killed() {
    let ministack = slow_ministack().await;
    let files = Files::new("kept");
    let machine = ministack.machine().await;
    let mut console = machine.console();
    let protected = |stage: &str| [files.deploy(stage), with("--protect", "on")].concat();
    let keep = |stage: &str| [destroy(stage), vec!["--keep-table".to_owned()]].concat();
    succeeded(&machine.run(&words(&protected("dev"))).await, "deploy");
    let kills = Kills::of(&machine, &keep("dev")).await;
    delete_tables(&mut console).await;

    join_all((0..LANES).map(async |lane| {
        let stage = &format!("lane-{lane}");
        let machine = ministack.machine().await;
        let mut console = machine.console();
        while let Some(kill) = kills.next() {
            if !changes_something(&kill.action) {
                continue;
            }
            let name = format!("`chatctl destroy --keep-table` {kill}");
            succeeded(&machine.run(&words(&protected(stage))).await, &name);
            let tables = console.aws("dynamodb", "list_tables", json!({})).await;
            let table = text(&tables["TableNames"][0]).to_owned();
            let killed = killed(&machine, &keep(stage), &kill, &name).await;
            let said = killed.map(|it| String::from_utf8_lossy(&it.stderr).into_owned());
            if let Some(said) = said {
                let named =
                    format!("the table `{table}` in {REGION} stays: arn:aws:dynamodb:{REGION}:");
                assert!(said.contains(&named), "{name}: {said}");
            }
            let again = [keep(stage), vec!["--json".to_owned()]].concat();
            let output = machine.run(&words(&again)).await;
            succeeded(&output, &name);
            let stdout = String::from_utf8_lossy(&output.stdout);
            let result = stdout.lines().next_back().unwrap_or_default();
            let result: Value = serde_json::from_str(result).expect("the last line is the result");
            assert_eq!(result["kept"][0]["id"], table.as_str(), "{name}: {result}");
            assert_eq!(result["kept"].as_array().map(Vec::len), Some(1), "{name}");
            let arn = text(&result["kept"][0]["arn"]);
            assert!(arn.ends_with(&format!(":table/{table}")), "{name}: {arn}");
            delete_tables(&mut console).await;
        }
    }))
    .await;
}

async fn delete_tables(console: &mut Console) {
    let tables = console.aws("dynamodb", "list_tables", json!({})).await;
    for table in tables["TableNames"].as_array().into_iter().flatten() {
        let table = json!({"TableName": table});
        console.aws("dynamodb", "delete_table", table).await;
    }
}

#[tokio::test]
async fn two_commands_at_the_same_time_both_end_and_the_next_deploy_is_right() {
    let ministack = slow_ministack().await;
    let files = Files::new("together");
    let machine = ministack.machine().await;
    let mut console = machine.console();
    let empty = console.inventory().await;
    let of_deploy = Kills::of(&machine, &files.deploy("dev")).await;
    let whole = console.inventory().await;
    let of_destroy = Kills::of(&machine, &destroy("dev")).await;
    let mut meetings = VecDeque::new();
    for (one, other) in [
        ("deploy", "deploy"),
        ("deploy", "destroy"),
        ("destroy", "deploy"),
        ("destroy", "destroy"),
    ] {
        let points = if one == "deploy" {
            &of_deploy
        } else {
            &of_destroy
        };
        let points = points.left.borrow().clone();
        let points = points
            .into_iter()
            .filter(|it| it.moment == Moment::Before && changes_something(&it.action));
        meetings.extend(points.map(|point| (one, other, point)));
    }
    let meetings = RefCell::new(meetings);
    let next = || meetings.borrow_mut().pop_front();

    join_all((0..LANES).map(async |lane| {
        let stage = &format!("lane-{lane}");
        let command = |verb: &str| match verb {
            "deploy" => files.deploy(stage),
            _ => destroy(stage),
        };
        let machine = ministack.machine().await;
        let colleagues = machine.another().await;
        let mut console = machine.console();
        while let Some((one, other, point)) = next() {
            let Kill { action, nth, .. } = &point;
            let name = format!("`{other}` while `{one}` waits before no. {nth} of {action}");
            if one == "destroy" {
                succeeded(&machine.run(&words(&command("deploy"))).await, &name);
            }
            let commands = (command(one), command(other));
            let outputs = met(
                &machine,
                &commands.0,
                &colleagues,
                &commands.1,
                &point,
                &name,
            );
            for output in outputs.await {
                ended_with_a_word(&output, &name);
            }
            succeeded(&machine.run(&words(&command("deploy"))).await, &name);
            assert_eq!(console.inventory().await, whole, "{name}");
            succeeded(&machine.run(&words(&command("destroy"))).await, &name);
            assert_eq!(console.inventory().await, empty, "{name}");
        }
    }))
    .await;
}

/// Runs one command up to a request, then all of another, and then the rest of the one.
async fn met(
    machine: &Machine<'_>,
    one: &[String],
    colleagues: &Machine<'_>,
    other: &[String],
    point: &Kill,
    name: &str,
) -> Vec<Output> {
    machine.hold(&point.action, point.nth, point.moment).await;
    let one = words(one);
    let first = machine.run(&one);
    tokio::pin!(first);
    tokio::select! {
        _ = within_deadline(name, machine.held()) => {}
        output = &mut first => {
            machine.hold_nothing().await;
            return vec![output];
        }
    }
    let other = colleagues.run(&words(other)).await;
    machine.let_go().await;
    vec![first.await, other]
}

/// Whoever was overtaken is told that it is nothing that has to be put right.
fn ended_with_a_word(output: &Output, name: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    let error = stderr.split_once("error: ").map(|(_, error)| error);
    match (output.status.code(), error) {
        (Some(0), _) => {}
        (Some(1), Some(error)) => {
            let says = |phrase| error.contains(phrase);
            assert!(
                says("\nhint: ") && says("run the same command again"),
                "{name}: {error}"
            );
            assert!(!says("correct what AWS complains about"), "{name}: {error}");
        }
        (code, _) => panic!("{name} ended with {code:?}: {stderr}"),
    }
}

/// After the last change of a file CloudFront was told to forget the old one.
fn the_edges_know(requests: &[Value], name: &str) {
    let last = |is_it: &dyn Fn(&Value) -> bool| requests.iter().rposition(is_it);
    let changed =
        last(&|it| it["action"] == "s3:PutObject" && text(&it["path"]).ends_with("style.css"));
    let told = last(&|it| it["action"] == "cloudfront:CreateInvalidation");
    assert!(
        changed.is_some() && told > changed,
        "{name}: {changed:?}, {told:?}"
    );
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
        if killed(machine, command, &kill, &name).await.is_none() {
            kills.missed.borrow_mut().push(kill);
        }
    }
    succeeded(&machine.run(&words(command)).await, &name);
    name
}

/// What the command has said, if it has come to where it is to be killed.
async fn killed(
    machine: &Machine<'_>,
    command: &[String],
    kill: &Kill,
    name: &str,
) -> Option<Output> {
    machine.hold(&kill.action, kill.nth, kill.moment).await;
    match machine.killed(&words(command), name).await {
        Ok(output) => Some(output),
        Err(output) => {
            succeeded(&output, name);
            None
        }
    }
}

fn succeeded(output: &Output, name: &str) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{name}, then again:\n{stderr}"
    );
}

async fn stack_id(console: &mut Console, stage: &str) -> Value {
    let stacks = json!({"StackName": format!("chat-{stage}")});
    let stacks = console.aws("cloudformation", "describe_stacks", stacks);
    stacks.await["Stacks"][0]["StackId"].clone()
}

/// Without what an update changes.
fn shape(mut inventory: Value) -> Value {
    inventory["objects"] = Value::Null;
    inventory["code"] = Value::Null;
    inventory
}

fn with(flag: &str, value: &str) -> Vec<String> {
    [flag, value].map(str::to_owned).into()
}

fn destroy(stage: &str) -> Vec<String> {
    let command = ["destroy", "--stage", stage, "--yes"];
    command.map(str::to_owned).into()
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

    /// MiniStack tells functions of one name apart only while those of another account stay as they
    /// are: so each account has a stage of its own.
    fn deploy(&self, stage: &str) -> Vec<String> {
        let (functions, page) = (self.functions(), self.0.join("page"));
        let [functions, page] = [functions, page].map(|it| it.display().to_string());
        let command = ["deploy", "--stage", stage, "--bootstrap", &functions];
        let command = command.into_iter().chain(["--wwwroot", &page]);
        command.map(str::to_owned).collect()
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
