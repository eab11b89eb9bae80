//! The commands that look: each is run as a user would, on a chat that is well, on one that is not, and
//! where something is missing. What CloudWatch would have measured and written is put there, for the AWS
//! of the tests measures nothing by itself.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use e2e::chatctl::{self, Dev, eventually, send_signal};
use e2e::ministack::{Console, Machine, Ministack, User};
use e2e::within_deadline;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};

#[tokio::test]
async fn status_tells_how_a_chat_is_and_what_is_not_as_it_should_be() {
    let ministack = Ministack::start().await;
    let machine = ministack.machine().await;
    let mut console = machine.console();
    let files = Files::new("status");
    let alarm = json!({"Type": "AWS::CloudWatch::Alarm", "Properties": {
        "MetricName": "Errors", "Namespace": "AWS/Lambda", "Statistic": "Sum", "Period": 60,
        "EvaluationPeriods": 1, "Threshold": 0, "ComparisonOperator": "GreaterThanThreshold",
    }});
    let order = json!({"stack": "chat-dev", "resources": {"TestsAlarm": alarm}});
    machine.plan("add", order).await;
    deploy(&machine).await;
    machine.plan("forget", json!({})).await;

    let well = result(&machine, &["status", "--json", "--drift"]).await;
    assert_eq!(well["status"], "CREATE_COMPLETE");
    assert_eq!(well["drift"]["status"], "IN_SYNC");
    assert_eq!(well["page"]["as_here"], true);
    assert_eq!(well["code"]["swapped"], json!([]));
    assert_eq!(well["code"]["as_here"], Value::Null);
    assert_eq!(well["connections"]["about"], 0);
    assert_eq!(well["not_known"], json!({}));

    measure(&mut console).await;
    let alarms = well["alarms"].as_array().expect("alarms");
    let names = alarms.iter().filter_map(|it| it["name"].as_str());
    let name = names.into_iter().find(|it| it.contains("TestsAlarm"));
    let order = json!({"AlarmName": name, "StateValue": "ALARM", "StateReason": "as a test wants"});
    console.aws("cloudwatch", "set_alarm_state", order).await;
    let functions = function_names(&mut console).await;
    let order = json!({"FunctionName": functions[2], "MemorySize": 512});
    let configure = "update_function_configuration";
    console.aws("lambda", configure, order).await;
    let program = files.path("other");
    let swap = ["deploy", "--hotswap", "--bootstrap", &program];
    succeeded(&machine.run(&swap).await);

    let page = files.path("page");
    let look = ["status", "--json", "--drift", "--history-days", "9"];
    let look = [&look[..], &["--wwwroot", &page, "--bootstrap", &program]].concat();
    let ill = result(&machine, &look).await;
    assert_eq!(ill["drift"]["status"], "DRIFTED");
    let drifted = &ill["drift"]["resources"][0];
    assert_eq!(drifted["resource"], "ActionFunction");
    assert_eq!(drifted["properties"], json!(["/MemorySize"]));
    assert_eq!(ill["code"]["swapped"].as_array().map(Vec::len), Some(3));
    assert_eq!(ill["code"]["as_here"], true);
    assert_eq!(ill["page"]["as_here"], false);
    assert_eq!(ill["settings_as_here"], false);
    let ringing = ill["alarms"].as_array().expect("alarms").iter();
    let mut ringing = ringing.filter(|it| it["state"] == "ALARM");
    let is_ours = |it: &Value| it["reason"] == "as a test wants";
    assert!(ringing.any(is_ours), "{ill}");
    assert_eq!(ill["connections"]["about"], 5);
    assert_eq!(ill["connections"]["at_most"], 7);
    assert_eq!(ill["traffic"]["came"]["sum"], 7.0);
    assert_eq!(ill["traffic"]["actions"]["sum"], 90.0);
    assert_eq!(ill["traffic"]["messages"]["sum"], 42.0);
    assert_eq!(ill["traffic"]["deliveries"]["sum"], 420.0);
    assert_eq!(ill["traffic"]["throttles"]["sum"], 3.0);
    assert_eq!(ill["traffic"]["latency_ms"]["p99"], 80.0);

    // Without a new look, the last one is told.
    let before = machine.requests().len();
    let output = machine.run(&["status"]).await;
    succeeded(&output);
    let requests = machine.requests();
    let asked: Vec<_> = requests[before..].iter().map(|it| &it["action"]).collect();
    // The stack twice, its drift, template and resources, three functions, the page, the alarms, and
    // what was measured in an hour and in a day.
    assert_eq!(asked.len(), 12, "{asked:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    for words in [
        "drift         1 resource changed by hand,",
        "MODIFIED ActionFunction (AWS::Lambda::Function) /MemorySize",
        "3 of 3 functions run another one: swapped, or changed by hand",
        "TestsAlarm",
        "connections   about 5, at most 7",
        "messages                42  ",
        "throttles                3  ",
        "latency              80 ms",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    let bars = text.lines().filter(|it| it.contains('█')).count();
    assert!(bars >= 5, "{text}");
    for line in text.lines() {
        let is_a_name = !line.trim().contains(' ') || line.contains("://");
        assert!(line.chars().count() <= 80 || is_a_name, "{line}");
    }
}

#[tokio::test]
async fn status_of_what_is_not_there_never_came_up_or_is_somebody_elses_says_so() {
    let ministack = Ministack::start().await;
    let machine = ministack.machine().await;
    for command in ["status", "logs", "open"] {
        let output = machine.run(&[command]).await;
        fails(&output, "error: there is no stack `chat-dev` in us-east-1");
        fails(&output, "hint: `chatctl deploy` makes it");
        let mut nowhere = chatctl::command(&[command]);
        nowhere.envs(machine.environment()).env_remove("AWS_REGION");
        let output = within_deadline("end of chatctl", nowhere.output()).await;
        fails(
            &output.expect("chatctl runs"),
            "error: no AWS Region is set",
        );
    }
    let mut console = machine.console();
    let body = json!({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}).to_string();
    let order = json!({"StackName": "chat-other", "TemplateBody": body});
    console.aws("cloudformation", "create_stack", order).await;
    for command in ["status", "logs", "open"] {
        let output = machine.run(&[command, "--stage", "other"]).await;
        fails(&output, "not made by this");
    }
    let body = json!({"Resources": {"Waiting": {
        "Type": "AWS::CloudFormation::WaitCondition", "Properties": {"Timeout": "1", "Count": 1},
    }}});
    let order = json!({"StackName": "chat-broken", "TemplateBody": body.to_string(),
        "Tags": [{"Key": "chatctl", "Value": "chat"}]});
    console.aws("cloudformation", "create_stack", order).await;
    let told = within_deadline("a stack that failed", async {
        loop {
            let told = result(&machine, &["status", "--json", "--stage", "broken"]).await;
            let status = told["status"].as_str().expect("a status").to_owned();
            if !status.ends_with("IN_PROGRESS") {
                return told;
            }
        }
    });
    assert_eq!(told.await["status"], "ROLLBACK_COMPLETE");
    let output = machine.run(&["status", "--stage", "broken"]).await;
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("never came up: `chatctl deploy`"), "{text}");
    let output = machine.run(&["logs", "--stage", "broken"]).await;
    fails(&output, "has no log group of the function `connect`");
}

#[tokio::test]
async fn logs_are_merged_followed_and_told_apart() {
    let ministack = Ministack::start().await;
    let machine = ministack.machine().await;
    let mut console = machine.console();
    deploy(&machine).await;
    let mut journal = Journal::new(&mut console).await;
    let now = now_ms();
    let minutes = |it: i64| now - it * 60_000;
    journal
        .write("Action", minutes(20), &record("message", "info", "ok"))
        .await;
    journal
        .write("Connect", minutes(30), &record("connect", "info", "ok"))
        .await;
    journal
        .write(
            "Disconnect",
            minutes(10),
            &record("disconnect", "error", "failed"),
        )
        .await;
    journal
        .write(
            "Action",
            minutes(15),
            "START RequestId: r-2 Version: $LATEST\n",
        )
        .await;
    journal
        .write("Action", minutes(5), "thread 'main' panicked at x.rs")
        .await;
    journal
        .write("Action", minutes(90), &record("ancient", "info", "ok"))
        .await;

    // Those of the deploy's own try are there as well; these are told by what is in them.
    let told = lines(&machine, &["logs", "--json"]).await;
    let mine: Vec<_> = told.iter().filter(|it| is_of_this_test(it)).collect();
    let times: Vec<_> = told
        .iter()
        .map(|it| it["time"].as_str().expect("a time"))
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    let events: Vec<_> = mine.iter().filter_map(|it| it["event"].as_str()).collect();
    assert_eq!(events, ["connect", "message", "disconnect"]);
    assert_eq!(mine[0]["function"], "connect");
    assert!(told.iter().all(|it| it["_aws"].is_null()));
    assert!(!told.iter().any(|it| {
        it["text"]
            .as_str()
            .is_some_and(|it| it.starts_with("START"))
    }));

    let all = lines(&machine, &["logs", "--json", "--all"]).await;
    assert!(
        all.iter()
            .any(|it| it["text"] == "START RequestId: r-2 Version: $LATEST")
    );
    let earlier = lines(&machine, &["logs", "--json", "--since", "2h"]).await;
    assert!(earlier.iter().any(|it| it["event"] == "ancient"));
    let errors = lines(&machine, &["logs", "--json", "--errors"]).await;
    let errors: Vec<_> = errors.iter().filter(|it| is_of_this_test(it)).collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    let arguments = ["logs", "--json", "--function", "connect,disconnect"];
    let some = lines(&machine, &arguments).await;
    assert!(some.iter().all(|it| it["function"] != "action"));
    let short = machine.run(&["logs", "--since", "1s", "--errors"]).await;
    succeeded(&short);
    assert_eq!(String::from_utf8_lossy(&short.stdout), "");
    assert!(String::from_utf8_lossy(&short.stderr).contains("nothing went wrong in the last 1s"));

    let mut coloured = chatctl::command(&["logs"]);
    coloured
        .envs(machine.environment())
        .env("CLICOLOR_FORCE", "1");
    coloured.env_remove("NO_COLOR");
    let output = within_deadline("end of chatctl", coloured.output()).await;
    let coloured = String::from_utf8_lossy(&output.expect("it runs").stdout).into_owned();
    assert!(coloured.contains("\u{1b}[32mok"), "{coloured}");
    let plain = machine.run(&["logs"]).await;
    let plain = String::from_utf8_lossy(&plain.stdout).into_owned();
    assert!(!plain.contains('\u{1b}'), "{plain}");
    assert!(
        plain.contains("action      message     ok           12 ms  1a2b  3 delivered\n"),
        "{plain}"
    );
    assert!(plain.contains("request r-1\n"), "{plain}");

    follow(&machine, &mut journal).await;
}

/// Follows the logs while something is written into them.
async fn follow(machine: &Machine<'_>, journal: &mut Journal<'_>) {
    let mut follower = Follower::start(machine, &["logs", "-f", "--json", "--since", "20s"]);
    journal
        .write("Action", now_ms(), &record("one", "info", "ok"))
        .await;
    assert_eq!(follower.next_of_this_test().await["event"], "one");
    // Throttled once or twice, it goes on; what comes late is told, and nothing twice.
    machine.refuse("logs:FilterLogEvents", "throttled", 2).await;
    journal
        .write("Connect", now_ms() - 15_000, &record("late", "info", "ok"))
        .await;
    assert_eq!(follower.next_of_this_test().await["event"], "late");
    journal
        .write("Action", now_ms(), &record("two", "info", "ok"))
        .await;
    assert_eq!(follower.next_of_this_test().await["event"], "two");
    assert_eq!(follower.interrupted().await, Some(130));

    // Whoever reads no more ends it, with or without more to come.
    let mut follower = Follower::start(machine, &["logs", "-f", "--json"]);
    follower.next_of_this_test().await;
    journal
        .write("Action", now_ms(), &record("three", "info", "ok"))
        .await;
    assert_eq!(follower.abandoned().await, Some(0));
}

#[tokio::test]
async fn whoever_may_only_look_can_and_changes_nothing() {
    let ministack = Ministack::start().await;
    let bootstrap = chatctl::bootstrap().display().to_string();
    let deploy = ["deploy", "--json", "--bootstrap", &bootstrap];
    let deployed = chatctl::result_on(&ministack, &deploy).await;
    let printed = chatctl::run(&["synth", "--operator-policy"]).await;
    let policy = String::from_utf8(printed.stdout).expect("text");
    // How CloudFormation calls a log group that has no name here, and on AWS.
    let (aws, here) = (
        "log-group:chat-dev-*",
        "log-group:/aws/cloudformation/chat-dev/*",
    );
    assert!(policy.contains(aws), "{policy}");
    let policy = policy.replace(aws, here);
    let operator = User::new(&ministack, "operator", &policy).await;
    for arguments in [
        &["status", "--drift"][..],
        &["status"],
        &["logs"],
        &["urls"],
        &["doctor"],
    ] {
        succeeded(&operator.run(arguments).await);
    }
    let who = operator.run(&["doctor", "--json"]).await;
    let who = String::from_utf8_lossy(&who.stdout).into_owned();
    assert!(who.contains("user/operator in account"), "{who}");
    let files = Files::new("operator");
    let other = files.path("page");
    let changed = [&deploy[..], &["--wwwroot", &other]].concat();
    for refused in [
        &changed[..],
        &["destroy", "--yes"],
        &["status", "--stage", "prod"],
    ] {
        let output = operator.run(refused).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
    }
    let page = ministack
        .get(deployed["site"].as_str().expect("a URL"))
        .await;
    assert_eq!(page.status(), 200);

    // Without those for logs and measurements, what can be told is told all the same.
    let mut less: Value = serde_json::from_str(&policy).expect("JSON");
    for statement in less["Statement"].as_array_mut().expect("statements") {
        let actions = statement["Action"].as_array_mut().expect("actions");
        actions.retain(|it| {
            !["cloudwatch:", "logs:"]
                .iter()
                .any(|no| it.as_str().expect("text").starts_with(no))
        });
        if actions.is_empty() {
            actions.push(json!("sts:GetCallerIdentity"));
        }
    }
    let blind = User::new(&ministack, "blind", &less.to_string()).await;
    let output = blind.run(&["status"]).await;
    fails(
        &output,
        "error: could not be looked up: the alarms, the connections, the traffic",
    );
    fails(
        &output,
        "`chatctl synth --operator-policy` prints all that is needed",
    );
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("page          the same as here"), "{text}");
    let output = blind.run(&["logs"]).await;
    fails(
        &output,
        "error: the permission `logs:FilterLogEvents` is missing",
    );
}

#[tokio::test]
async fn the_doctor_says_what_is_missing_and_what_mends_it() {
    let local = chatctl::run(&["doctor", "--local"]).await;
    succeeded(&local);
    let text = String::from_utf8_lossy(&local.stdout);
    assert!(text.ends_with("`chatctl dev` can run\n"), "{text}");
    assert!(!text.contains("credentials"), "{text}");

    let ministack = Ministack::start().await;
    let output = chatctl::run_on(&ministack, &["doctor", "--json"]).await;
    succeeded(&output);
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&told["dev"], &told["deploy"]),
        (&json!(true), &json!(true))
    );
    let checks = told["checks"].as_array().expect("checks");
    let verdict = |name: &str| {
        let found = checks.iter().find(|it| it["check"] == name);
        found.map(|it| it["verdict"].as_str().expect("a verdict").to_owned())
    };
    for name in ["sources", "rust", "credentials", "region", "clock", "stack"] {
        assert_eq!(verdict(name).as_deref(), Some("good"), "{name}: {told}");
    }
    // Nobody knows whether an account without any may have one.
    assert_eq!(verdict("cloudfront").as_deref(), Some("warning"));

    let mut poor = chatctl::command(&["doctor"]);
    poor.env("AWS_EC2_METADATA_DISABLED", "true");
    poor.env("AWS_CONFIG_FILE", "/nowhere")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nowhere");
    let output = within_deadline("end of chatctl", poor.output())
        .await
        .expect("it runs");
    fails(
        &output,
        "error: one thing is needed and not as it should be: credentials",
    );
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("`chatctl dev` can run\n"), "{text}");
    assert!(
        text.contains("`chatctl deploy` cannot run without: credentials\n"),
        "{text}"
    );
    for line in text.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }

    // What a deploy alone lacks is no matter then.
    let tools = Files::new("no-zig");
    for (name, status) in [("cargo-zigbuild", 0), ("zig", 1), ("python3", 1)] {
        let path = tools.path(name);
        std::fs::write(&path, format!("#!/bin/sh\nexit {status}\n")).expect("a file of ours");
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&path, executable).expect("a file of ours");
    }
    let mut without_zig = chatctl::command(&["doctor", "--local"]);
    let path = std::env::var("PATH").expect("a search path");
    without_zig.env("PATH", format!("{}:{path}", tools.0.display()));
    let output = within_deadline("end of chatctl", without_zig.output())
        .await
        .expect("it runs");
    succeeded(&output);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.contains("lambda"), "{text}");

    let empty = Files::new("empty-path");
    let mut bare = chatctl::command(&["doctor", "--local"]);
    bare.env("PATH", &empty.0);
    let output = within_deadline("end of chatctl", bare.output())
        .await
        .expect("it runs");
    fails(
        &output,
        "error: some things are needed and not as they should be",
    );
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("MISSING   rust"), "{text}");
    assert!(
        text.contains("-> install Rust with rustup: https://rustup.rs"),
        "{text}"
    );
    assert!(
        text.contains("`chatctl dev` cannot run without: rust, c compiler"),
        "{text}"
    );
}

#[tokio::test]
async fn the_page_is_opened_by_the_browser_that_is_wanted() {
    let files = Files::new("browser");
    let browser = files.path("browser");
    let seen = files.path("seen");
    let script = format!("#!/bin/sh\nprintf '%s' \"$1\" > '{seen}'\n");
    std::fs::write(&browser, script).expect("a file in a new folder");
    let executable = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&browser, executable).expect("a file of ours");

    let dev = Dev::start(&[]).await;
    let port = dev
        .site
        .trim_end_matches('/')
        .rsplit(':')
        .next()
        .expect("a port")
        .to_owned();
    let open = ["open", "--dev", "--port", &port];
    let mut command = chatctl::command(&open);
    let output = command.env("BROWSER", &browser).output();
    let output = within_deadline("end of chatctl", output)
        .await
        .expect("it runs");
    succeeded(&output);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("{}\n", dev.site)
    );
    // Nobody waits for a browser to its end.
    let opened = |site: &str| std::fs::read_to_string(&seen).is_ok_and(|it| it == site);
    eventually("opened", || opened(&dev.site)).await;

    // Nothing here opens a browser: where the page is, is told all the same.
    let mut command = chatctl::command(&[&open[..], &["--json"]].concat());
    let output = command.env_remove("BROWSER").env("PATH", &files.0).output();
    let output = within_deadline("end of chatctl", output)
        .await
        .expect("it runs");
    succeeded(&output);
    let told: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(told, json!({"site": dev.site, "opened_by": null}));
    assert!(String::from_utf8_lossy(&output.stderr).contains("open it yourself"));
    dev.end("TERM").await;

    let output = chatctl::run(&open).await;
    fails(
        &output,
        &format!("error: nothing answers at http://127.0.0.1:{port}/"),
    );
    fails(&output, "hint: start it with `chatctl dev`");

    let ministack = Ministack::start().await;
    let machine = ministack.machine().await;
    let site = deploy(&machine).await["site"].clone();
    let mut command = chatctl::command(&["open"]);
    command
        .envs(machine.environment())
        .env("BROWSER", format!("{browser} %s"));
    let output = within_deadline("end of chatctl", command.output()).await;
    succeeded(&output.expect("it runs"));
    eventually("opened", || opened(site.as_str().expect("a URL"))).await;
}

#[tokio::test]
async fn a_real_bash_completes_commands_flags_and_values() {
    let files = Files::new("completions");
    let script = files.path("chatctl.bash");
    let printed = chatctl::run(&["completions", "bash"]).await;
    succeeded(&printed);
    std::fs::write(&script, &printed.stdout).expect("a file in a new folder");
    for (words, expected) in [
        (&["chatctl", "sta"][..], "status"),
        (&["chatctl", "deploy", "--hot"], "--hotswap"),
        (&["chatctl", "logs", "--function", "act"], "action"),
        (&["chatctl", "completions", "z"], "zsh"),
    ] {
        let quoted = words
            .iter()
            .map(|it| format!("'{it}'"))
            .collect::<Vec<_>>()
            .join(" ");
        let complete = format!(
            "set -eu; source '{script}'; complete -p chatctl >/dev/null\n\
             COMP_WORDS=({quoted}); COMP_CWORD={}; COMPREPLY=()\n\
             _chatctl chatctl '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            words.len() - 1,
            words[words.len() - 1],
            words[words.len() - 2],
        );
        let output = tokio::process::Command::new("bash")
            .args(["--norc", "-c", &complete])
            .kill_on_drop(true)
            .output();
        let output = within_deadline("end of bash", output)
            .await
            .expect("bash runs");
        let told = String::from_utf8_lossy(&output.stdout);
        assert!(
            told.lines().any(|it| it == expected),
            "{words:?}: {output:?}"
        );
    }
    for (shell, mark) in [
        ("zsh", "#compdef chatctl"),
        ("fish", "complete -c chatctl"),
        ("elvish", "edit:completion:arg-completer[chatctl]"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let printed = chatctl::run(&["completions", shell]).await;
        let script = String::from_utf8_lossy(&printed.stdout);
        assert!(
            script.contains(mark) && script.contains("hotswap"),
            "{shell}"
        );
    }
    let wrong = chatctl::run(&["completions", "tcsh"]).await;
    assert_eq!(wrong.status.code(), Some(2));
}

#[tokio::test]
async fn each_command_has_a_manual_page_that_man_shows() {
    let files = Files::new("man");
    let folder = files.path("man1");
    let output = chatctl::run(&["man", "--out", &folder]).await;
    succeeded(&output);
    let pages: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("it was made")
        .map(|it| it.expect("an entry").path())
        .collect();
    assert!(pages.len() > 12, "{pages:?}");
    let name = Path::new(&folder).join("chatctl-logs.1");
    assert_eq!(
        std::fs::read(&name).expect("a page"),
        chatctl::run(&["man", "logs"]).await.stdout
    );
    for page in &pages {
        // Its own messages are about what is wrong with a page.
        let shown = tokio::process::Command::new("groff")
            .args(["-man", "-Tascii", "-P-cbou", "-ww"])
            .arg(page)
            .kill_on_drop(true)
            .output();
        match within_deadline("end of groff", shown).await {
            Ok(output) => {
                let text = String::from_utf8_lossy(&output.stdout);
                assert!(text.contains("SYNOPSIS"), "{}: {text}", page.display());
                assert_eq!(
                    String::from_utf8_lossy(&output.stderr),
                    "",
                    "{}",
                    page.display()
                );
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => panic!("groff: {error}"),
        }
    }
    let output = chatctl::run(&["man", "frobnicate"]).await;
    assert_eq!(output.status.code(), Some(2));
    let file = files.path("a-file");
    std::fs::write(&file, "").expect("a file in a new folder");
    let output = chatctl::run(&["man", "--out", &file]).await;
    fails(&output, "hint: choose another folder with `--out`");
}

/// What a function writes of an invocation.
fn record(event: &str, level: &str, outcome: &str) -> String {
    json!({
        "level": level, "event": event, "outcome": outcome, "durationMs": 12.3,
        "requestId": "r-1", "room": "1a2b", "deliveries": 3, "_aws": {"Timestamp": 1},
    })
    .to_string()
}

/// Deploys the stage `dev`, and gives the result.
async fn deploy(machine: &Machine<'_>) -> Value {
    let bootstrap = chatctl::bootstrap().display().to_string();
    result(machine, &["deploy", "--json", "--bootstrap", &bootstrap]).await
}

async fn result(machine: &Machine<'_>, arguments: &[&str]) -> Value {
    let output = machine.run(arguments).await;
    succeeded(&output);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let result: Value = stdout
        .lines()
        .last()
        .and_then(|it| serde_json::from_str(it).ok())
        .expect("JSON");
    assert_eq!(result["event"], "result", "{stdout}");
    result
}

async fn lines(machine: &Machine<'_>, arguments: &[&str]) -> Vec<Value> {
    let output = machine.run(arguments).await;
    succeeded(&output);
    let stdout = String::from_utf8_lossy(&output.stdout);
    let lines = stdout
        .lines()
        .map(|it| serde_json::from_str(it).expect("a line of JSON"));
    lines.collect()
}

fn is_of_this_test(line: &Value) -> bool {
    line["requestId"] == "r-1"
        || line["text"]
            .as_str()
            .is_some_and(|it| it.ends_with("panicked at x.rs"))
}

fn succeeded(output: &Output) {
    let (stdout, stderr) = (&output.stdout, &output.stderr);
    let told = [stdout, stderr].map(|it| String::from_utf8_lossy(it).into_owned());
    assert_eq!(output.status.code(), Some(0), "{}\n{}", told[0], told[1]);
}

fn fails(output: &Output, words: &str) {
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(words), "{words}\n{told}");
}

/// What CloudWatch would have measured of some minutes.
async fn measure(console: &mut Console) {
    let functions = function_names(console).await;
    let api = resource(console, "WebSocketApi").await;
    let table = resource(console, "ChatTable").await;
    let stage = [("ApiId", api.as_str()), ("Stage", "dev")];
    let ago = |minutes: i64| now_ms() / 1000 - minutes * 60;
    for (namespace, metric, dimensions, minutes, value) in [
        (
            "AWS/Lambda",
            "Invocations",
            &[("FunctionName", functions[0].as_str())][..],
            30,
            4.0,
        ),
        (
            "AWS/Lambda",
            "Invocations",
            &[("FunctionName", &functions[0])],
            3,
            3.0,
        ),
        (
            "AWS/Lambda",
            "Invocations",
            &[("FunctionName", &functions[1])],
            3,
            2.0,
        ),
        (
            "AWS/Lambda",
            "Invocations",
            &[("FunctionName", &functions[2])],
            20,
            90.0,
        ),
        (
            "AWS/Lambda",
            "Throttles",
            &[("FunctionName", &functions[2])],
            20,
            2.0,
        ),
        (
            "AWS/DynamoDB",
            "WriteThrottleEvents",
            &[("TableName", &table)],
            20,
            1.0,
        ),
        ("chatctl", "Messages", &[("Stack", "chat-dev")], 20, 42.0),
        ("chatctl", "Deliveries", &[("Stack", "chat-dev")], 20, 420.0),
        // Another stage's.
        ("chatctl", "Messages", &[("Stack", "chat-prod")], 20, 1000.0),
        ("AWS/ApiGateway", "IntegrationLatency", &stage, 20, 80.0),
    ] {
        let dimensions = dimensions
            .iter()
            .map(|(name, value)| json!({"Name": name, "Value": value}));
        let dimensions: Vec<_> = dimensions.collect();
        let data = json!([{"MetricName": metric, "Dimensions": dimensions, "Timestamp": ago(minutes),
            "Value": value}]);
        let order = json!({"Namespace": namespace, "MetricData": data});
        console.aws("cloudwatch", "put_metric_data", order).await;
    }
}

async fn function_names(console: &mut Console) -> Vec<String> {
    let mut names = Vec::new();
    for function in ["ConnectFunction", "DisconnectFunction", "ActionFunction"] {
        names.push(resource(console, function).await);
    }
    names
}

/// What a resource of the stage `dev` is called on AWS.
async fn resource(console: &mut Console, logical: &str) -> String {
    let order = json!({"StackName": "chat-dev"});
    let found = console
        .aws("cloudformation", "list_stack_resources", order)
        .await;
    let resources = found["StackResourceSummaries"]
        .as_array()
        .expect("resources");
    let is_meant = |it: &&Value| it["LogicalResourceId"] == logical;
    let resource = resources.iter().find(is_meant).expect(logical);
    resource["PhysicalResourceId"]
        .as_str()
        .expect("a name")
        .to_owned()
}

/// Writes into the functions' logs, as Lambda would.
struct Journal<'a> {
    console: &'a mut Console,
    groups: Vec<(&'static str, String)>,
    streams: u32,
}

impl<'a> Journal<'a> {
    async fn new(console: &'a mut Console) -> Self {
        let mut groups = Vec::new();
        for function in ["Connect", "Disconnect", "Action"] {
            let group = resource(console, &format!("{function}LogGroup")).await;
            groups.push((function, group));
        }
        Self {
            console,
            groups,
            streams: 0,
        }
    }

    /// Each line in a stream of its own, as of so many processes.
    async fn write(&mut self, function: &str, at_ms: i64, line: &str) {
        let group = self.groups.iter().find(|(name, _)| *name == function);
        let (_, group) = group.expect("a function");
        self.streams += 1;
        let stream = format!("test-{}", self.streams);
        let made = json!({"logGroupName": group, "logStreamName": stream});
        self.console.aws("logs", "create_log_stream", made).await;
        let events = json!([{"timestamp": at_ms, "message": line}]);
        let written = json!({"logGroupName": group, "logStreamName": stream, "logEvents": events});
        self.console.aws("logs", "put_log_events", written).await;
    }
}

/// `chatctl logs -f`, running.
struct Follower {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Follower {
    fn start(machine: &Machine<'_>, arguments: &[&str]) -> Self {
        let mut child = chatctl::command(arguments)
            .envs(machine.environment())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chatctl starts");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        Self { child, lines }
    }

    async fn next_of_this_test(&mut self) -> Value {
        loop {
            let line = within_deadline("line", self.lines.next_line()).await;
            let line = line.expect("readable").expect("it goes on");
            let line = serde_json::from_str(&line).expect("a line of JSON");
            if is_of_this_test(&line) {
                return line;
            }
        }
    }

    async fn interrupted(mut self) -> Option<i32> {
        send_signal("INT", self.child.id().expect("it runs"));
        // Nothing was told twice before the end.
        let mut rest = String::new();
        let read = self.lines.get_mut().read_to_string(&mut rest);
        within_deadline("end of the output", read)
            .await
            .expect("text");
        let rest = rest
            .lines()
            .map(|it| serde_json::from_str(it).expect("JSON"));
        assert!(!rest.into_iter().any(|it: Value| is_of_this_test(&it)));
        let status = within_deadline("end", self.child.wait()).await;
        status.expect("waited for").code()
    }

    async fn abandoned(mut self) -> Option<i32> {
        drop(self.lines);
        let status = within_deadline("end", self.child.wait()).await;
        status.expect("waited for").code()
    }
}

fn now_ms() -> i64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    i64::try_from(now.as_millis()).expect("before the end of time")
}

/// A folder of a test's own, with another program and another page.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let folder = chatctl::target().join(format!("tmp/see-{name}-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("page")).expect("a folder below cargo's own");
        let mut program = std::fs::read(chatctl::bootstrap()).expect("it was built");
        // One byte more, which the program does not look at.
        program.push(0);
        std::fs::write(folder.join("other"), program).expect("a file in a new folder");
        std::fs::write(folder.join("page/index.html"), "new").expect("a file in a new folder");
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
