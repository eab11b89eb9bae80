//! Rollbacks that are cut off, that find the chat broken, or that somebody else comes between.

use std::process::Output;

use e2e::ministack::{Machine, Ministack, Moment, changes_something};
use e2e::within_deadline;
use serde_json::{Value, json};

use super::{Folder, good_bootstrap, stderr, text};

/// The object that tells where a rollback goes.
const MARK: &str = ".going-to";

#[tokio::test]
async fn a_rollback_that_is_killed_after_any_step_goes_to_the_same_release_when_it_is_run_again() {
    let ministack = Ministack::start().await;
    let machine = ministack.machine().await;
    machine.plan("slow", json!({"slow": true})).await;
    let versions = Versions::deployed(&machine, "killed", 3).await;
    let [newest, target, _] = versions.releases(&machine).await.try_into().expect("three");
    assert_eq!(runs(&machine).await, newest);

    machine.hold_nothing().await;
    let before = machine.requests().len();
    let undisturbed = result(&machine, &["rollback", "--json"]).await;
    assert_eq!(undisturbed["release"], target.as_str());
    let steps: Vec<_> = machine.requests()[before..]
        .iter()
        .filter(|it| changes_something(text(&it["action"])))
        .map(|it| {
            let nth = it["nth"].as_u64().expect("they are counted");
            (text(&it["action"]).to_owned(), nth)
        })
        .collect();
    let has = |action: &str| steps.iter().any(|(it, _)| it == action);
    assert!(
        has("cloudformation:ExecuteChangeSet") && has("cloudfront:CreateInvalidation"),
        "{steps:?}"
    );
    let noted = steps.iter().position(|(it, _)| it == "s3:PutObject");
    let noted = noted.expect("it is noted where it goes");
    assert!(
        steps[..noted]
            .iter()
            .all(|(it, _)| it == "s3:DeleteObjects")
    );
    let first = (&steps[0], Moment::Before);
    let points = std::iter::once(first).chain(steps.iter().map(|it| (it, Moment::After)));

    let last = steps.len();
    for (count, ((action, nth), moment)) in points.enumerate() {
        let name = format!("killed {moment:?} no. {nth} of {action}");
        let reset = result(&machine, &["rollback", "--to", &newest, "--json"]).await;
        assert_eq!(reset["release"], newest.as_str(), "{name}");
        assert!(!versions.is_marked(&machine).await, "{name}");
        machine.hold(action, *nth, moment).await;
        let killed = killed(&machine, &["rollback"], &name).await;
        if count == last {
            // All was done by then, and said.
            assert!(killed.contains("  rolled back in "), "{name}: {killed}");
            assert_eq!(runs(&machine).await, target, "{name}");
        } else {
            // Up to there nothing of the chat was changed.
            assert_eq!(versions.is_marked(&machine).await, count > noted, "{name}");
            let again = result(&machine, &["rollback", "--json"]).await;
            assert_eq!(again["release"], target.as_str(), "{name}");
        }
        let listed = list(&machine).await;
        assert_eq!(listed[0]["release"], target.as_str(), "{name}: {listed}");
        assert_eq!(listed[0]["runs"], true, "{name}: {listed}");
        assert_eq!(listed[1]["left"], true, "{name}: {listed}");
        assert!(unfinished(&listed).is_none(), "{name}: {listed}");
    }
}

#[tokio::test]
async fn a_rollback_that_finds_the_chat_broken_tries_the_same_release_again_or_an_older_one() {
    let ministack = Ministack::start().await;
    let machine = ministack.machine().await;
    let versions = Versions::deployed(&machine, "broken", 3).await;
    let [newest, target, oldest] = versions.releases(&machine).await.try_into().expect("three");
    // Neither code nor page.
    let route = versions.take_route_away(&machine).await;
    let short = ["rollback", "--verify-timeout", "2s"];
    for _ in 0..2 {
        let broken = machine.run(&short).await;
        let said = stderr(&broken);
        assert_eq!(broken.status.code(), Some(1), "{said}");
        assert!(said.contains("does not work after 2s"), "{said}");
        let ways = format!(
            "hint: `chatctl rollback --stage dev --to {target}` tries it again; `chatctl rollback \
             --stage dev --to {oldest}` goes back to the code and the page that worked on 20"
        );
        assert!(said.contains(&ways), "{said}");
        assert_eq!(runs(&machine).await, target);
        assert_eq!(unfinished(&list(&machine).await), Some(target.clone()));
    }
    versions.bring_route_back(&machine, route).await;
    let good = result(&machine, &["rollback", "--json"]).await;
    assert_eq!(good["release"], target.as_str());
    for field in ["site", "websocket", "direct"] {
        assert!(text(&good[field]).contains("://"), "{field}: {good}");
    }
    assert_eq!(good.get("dns"), Some(&Value::Null), "{good}");

    // Each further one goes further back, and none to what was left.
    let further = result(&machine, &["rollback", "--json"]).await;
    assert_eq!(further["release"], oldest.as_str());
    let end = machine.run(&["rollback"]).await;
    let said = stderr(&end);
    assert_eq!(end.status.code(), Some(1), "{said}");
    let left = format!("already, and what was gone back from: `{target}`, `{newest}`");
    assert!(said.contains(&left), "{said}");
    assert!(said.contains("`chatctl rollback --to NAME`"), "{said}");

    // A deploy that works is the end of one that was cut off, even if it changes nothing.
    result(&machine, &versions.deploy(0, &[])).await;
    machine.hold("s3:PutObject", 1, Moment::After).await;
    killed(&machine, &["rollback", "--to", &target], "after the mark").await;
    assert_eq!(unfinished(&list(&machine).await), Some(target.clone()));
    let deployed = result(&machine, &versions.deploy(0, &[])).await;
    assert_eq!(deployed["changed"], false, "what ran was the oldest");
    assert_eq!(unfinished(&list(&machine).await), None);
}

#[tokio::test]
async fn a_rollback_keeps_what_somebody_else_has_changed_of_the_stack_meanwhile() {
    let ministack = Ministack::start().await;
    let machine = ministack.machine().await;
    let colleagues = machine.another().await;
    let versions = Versions::deployed(&machine, "meanwhile", 2).await;
    let [newest, target] = versions.releases(&machine).await.try_into().expect("two");
    for (action, days) in [
        ("cloudformation:GetTemplate", "2"),
        ("cloudformation:ExecuteChangeSet", "3"),
    ] {
        machine.hold(action, 1, Moment::Before).await;
        let rollback = machine.run(&["rollback", "--json"]);
        tokio::pin!(rollback);
        tokio::select! {
            _ = within_deadline(action, machine.held()) => {}
            ended = &mut rollback => panic!("{action}: {}", stderr(&ended)),
        }
        let deploy = versions.deploy(1, &["--history-days", days]);
        assert_eq!(result(&colleagues, &deploy).await["changed"], true);
        machine.let_go().await;
        let rolled_back = read(&rollback.await);
        assert_eq!(rolled_back["release"], target.as_str(), "{action}");
        let stack = versions.stack(&machine, "chat-dev").await;
        let found = super::field(&stack["Parameters"], "Parameter", "HistoryDays");
        assert_eq!(found, days, "{action}");
        result(&machine, &["rollback", "--to", &newest, "--json"]).await;
    }

    // What was never finished is not made by going back.
    machine.hold_nothing().await;
    let unfinished = machine.run(&["rollback", "--stage", "none"]).await;
    let said = stderr(&unfinished);
    assert_eq!(unfinished.status.code(), Some(1), "{said}");
    assert!(said.contains("there is no stack `chat-none`"), "{said}");
}

#[tokio::test]
async fn a_bad_deploy_costs_none_of_the_five_releases_that_are_kept() {
    let ministack = Ministack::start().await;
    let machine = ministack.machine().await;
    let versions = Versions::deployed(&machine, "five", 5).await;
    let kept = versions.releases(&machine).await;
    assert_eq!(kept.len(), 5);
    versions.take_route_away(&machine).await;
    for count in 5..8 {
        versions.write(count);
        let bad = machine
            .run(&versions.deploy(count, &["--verify-timeout", "2s"])[..])
            .await;
        let said = stderr(&bad);
        assert_eq!(bad.status.code(), Some(1), "{said}");
        assert!(said.contains("does not work after 2s"), "{said}");
        assert!(
            said.contains(&format!("--stage dev --to {}`", kept[0])),
            "{said}"
        );
        assert_eq!(versions.releases(&machine).await, kept);
    }
    // Those of the releases, and what runs.
    let packages = versions.keys(&machine, "functions/").await;
    assert_eq!(packages.len(), 6, "{packages:?}");
}

/// Versions of a chat, each with code and a page of its own, by their numbers.
struct Versions {
    folder: Folder,
    bootstrap: Vec<u8>,
    arguments: Vec<Vec<String>>,
}

impl Versions {
    /// So many, deployed one after the other to the stage `dev`.
    async fn deployed(machine: &Machine<'_>, name: &str, count: usize) -> Self {
        let folder = Folder::new(name);
        let path = |name: String| folder.0.join(name).display().to_string();
        let arguments = (0..8).map(|it| {
            let (functions, page) = (path(format!("functions-{it}")), path(format!("page-{it}")));
            let words = ["deploy", "--json", "--bootstrap", &functions];
            let words = words.into_iter().chain(["--wwwroot", &page]);
            words.map(str::to_owned).collect()
        });
        let versions = Self {
            arguments: arguments.collect(),
            bootstrap: good_bootstrap(),
            folder,
        };
        for it in 0..count {
            versions.write(it);
            result(machine, &versions.deploy(it, &[])).await;
        }
        versions
    }

    fn write(&self, number: usize) {
        let functions = [self.bootstrap.clone(), vec![0; number]].concat();
        self.folder
            .write(&format!("functions-{number}"), &functions);
        self.folder
            .page(&format!("page-{number}"), &number.to_string());
    }

    fn deploy<'a>(&'a self, number: usize, more: &[&'a str]) -> Vec<&'a str> {
        let words = self.arguments[number].iter().map(String::as_str);
        words.chain(more.iter().copied()).collect()
    }

    /// The names of those that are kept, the newest first.
    async fn releases(&self, machine: &Machine<'_>) -> Vec<String> {
        let listed = list(machine).await;
        let listed = listed.as_array().expect("a list").iter();
        listed.map(|it| text(&it["release"]).to_owned()).collect()
    }

    async fn stack(&self, machine: &Machine<'_>, name: &str) -> Value {
        let name = json!({"StackName": name});
        let mut console = machine.console();
        let stacks = console.aws("cloudformation", "describe_stacks", name).await;
        stacks["Stacks"][0].clone()
    }

    /// The objects in the bucket of packages whose keys begin so.
    async fn keys(&self, machine: &Machine<'_>, prefix: &str) -> Vec<String> {
        let stack = self.stack(machine, "chatctl-artifacts").await;
        let bucket = super::field(&stack["Outputs"], "Output", "ArtifactsBucketName");
        let wanted = json!({"Bucket": bucket, "Prefix": prefix});
        let listed = machine.console().aws("s3", "list_objects_v2", wanted).await;
        let objects = listed["Contents"].as_array().cloned().unwrap_or_default();
        let keys = objects.iter().map(|it| text(&it["Key"]).to_owned());
        keys.collect()
    }

    async fn is_marked(&self, machine: &Machine<'_>) -> bool {
        let keys = self.keys(machine, "releases/dev/").await;
        keys.iter().any(|it| it.ends_with(MARK))
    }

    /// Takes what leads messages to the chat away, by hand; gives the API and what it took.
    async fn take_route_away(&self, machine: &Machine<'_>) -> (String, Value) {
        let mut console = machine.console();
        let apis = console.aws("apigatewayv2", "get_apis", json!({})).await;
        let api = text(&apis["Items"][0]["ApiId"]).to_owned();
        let of_api = json!({"ApiId": api});
        let routes = console.aws("apigatewayv2", "get_routes", of_api).await;
        let routes = routes["Items"].as_array().expect("routes");
        let route = routes.iter().find(|it| it["RouteKey"] == "$default");
        let route = route.expect("a route for messages").clone();
        let named = json!({"ApiId": api, "RouteId": route["RouteId"]});
        console.aws("apigatewayv2", "delete_route", named).await;
        (api, route)
    }

    async fn bring_route_back(&self, machine: &Machine<'_>, (api, route): (String, Value)) {
        let again = json!({
            "ApiId": api,
            "RouteKey": route["RouteKey"],
            "Target": route["Target"],
            "RouteResponseSelectionExpression": "$default",
        });
        let mut console = machine.console();
        let made = console.aws("apigatewayv2", "create_route", again).await;
        let response = json!({
            "ApiId": api,
            "RouteId": made["RouteId"],
            "RouteResponseKey": "$default",
        });
        console
            .aws("apigatewayv2", "create_route_response", response)
            .await;
    }
}

/// Runs a command with `--json` to a good end, and gives its result.
async fn result(machine: &Machine<'_>, arguments: &[&str]) -> Value {
    read(&machine.run(arguments).await)
}

fn read(output: &Output) -> Value {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    let stdout = String::from_utf8_lossy(&output.stdout);
    let last = stdout.lines().last().expect("a result");
    serde_json::from_str(last).expect("a line of JSON")
}

async fn list(machine: &Machine<'_>) -> Value {
    let listed = result(machine, &["rollback", "--list", "--json"]).await;
    listed["releases"].clone()
}

/// The release that runs.
async fn runs(machine: &Machine<'_>) -> String {
    named(&list(machine).await, "runs").expect("one that runs")
}

/// The release that a rollback goes to.
fn unfinished(listed: &Value) -> Option<String> {
    named(listed, "unfinished")
}

fn named(listed: &Value, what: &str) -> Option<String> {
    let mut listed = listed.as_array().expect("a list").iter();
    let found = listed.find(|it| it[what] == true);
    found.map(|it| text(&it["release"]).to_owned())
}

/// What `chatctl` had said when it was killed where its request is held.
async fn killed(machine: &Machine<'_>, arguments: &[&str], name: &str) -> String {
    let killed = machine.killed(arguments, name).await;
    let came_to_its_end =
        |output: Output| panic!("{name}: it came to its end\n{}", stderr(&output));
    stderr(&killed.unwrap_or_else(came_to_its_end))
}
