//! What `chatctl` makes of a stack that is busy and of one that has failed, and that `chatctl diff`
//! changes nothing: run as a person runs it, on the AWS of the tests.

use std::process::{Output, Stdio};

use e2e::ministack::{Ministack, is_by_a_function};
use e2e::{chatctl, within_deadline};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

/// Seconds that a stack takes to fail: long enough for it to be found at work twice.
const FAILS_AFTER: &str = "50";

#[tokio::test]
async fn a_stack_is_followed_left_found_again_and_put_right() {
    let ministack = Ministack::start().await;
    let bootstrap = chatctl::packaged_bootstrap();
    let bootstrap = bootstrap.to_str().expect("a path of characters");
    begin_a_failure(&ministack).await;

    // Somebody follows what goes on, and has to leave.
    let left = leave_it(&ministack, &["deploy", "--bootstrap", bootstrap]).await;
    assert_eq!(left.status.code(), Some(130), "{}", stderr(&left));
    assert!(
        stderr(&left).ends_with(
            "error: interrupted\n\
             hint: AWS goes on with `chat-dev`: run the same command again to follow it to its end\n"
        ),
        "{}",
        stderr(&left)
    );

    // The same command takes it up, says why it failed, and makes it anew.
    let deploy = ["deploy", "--express", "--bootstrap", bootstrap];
    let deployed = run(&ministack, &deploy).await;
    let text = stderr(&deployed);
    assert_eq!(deployed.status.code(), Some(0), "{text}");
    let steps = [
        "`chat-dev` is in CREATE_IN_PROGRESS: waiting for its end",
        "`chat-dev` is in ROLLBACK_COMPLETE (Wait: WaitCondition timed out.",
        "+ add          ChatTable (AWS::DynamoDB::Table)",
        "all done in",
    ];
    let places = steps.map(|it| text.find(it).unwrap_or_else(|| panic!("no {it}: {text}")));
    assert!(places.is_sorted(), "{text}");

    let destroyed = run(&ministack, &["destroy", "--yes", "--json"]).await;
    let result = result(&destroyed);
    assert_eq!(result["left"], json!([]), "{result}");
    let gone = result["gone"].as_array().expect("a list");
    assert!(gone.len() > 20, "{result}");
    for entry in gone {
        let looks_itself = [
            "AWS::S3::Bucket",
            "AWS::DynamoDB::Table",
            "AWS::Lambda::Function",
            "AWS::CloudFront::Distribution",
            "AWS::CloudFront::OriginAccessControl",
            "AWS::CloudFront::ResponseHeadersPolicy",
        ];
        let kind = entry["type"].as_str().expect("a type");
        let is_looked_for = looks_itself.contains(&kind);
        let expected = if is_looked_for { "looked" } else { "told" };
        assert_eq!(entry["established"], expected, "{entry}");
    }
}

#[tokio::test]
async fn a_diff_tells_what_a_deploy_would_do_and_changes_nothing() {
    let ministack = Ministack::start().await;
    let bootstrap = chatctl::packaged_bootstrap();
    let bootstrap = bootstrap.to_str().expect("a path of characters");
    let diff = ["diff", "--json", "--bootstrap", bootstrap];

    let nothing_there = run(&ministack, &diff).await;
    let new = result(&nothing_there);
    assert_eq!(new["differs"], true);
    let changes = new["changes"].as_array().expect("a list");
    assert!(
        changes.len() > 20 && changes.iter().all(|it| it["action"] == "add"),
        "{new}"
    );
    let sent = new["page"]["send"].as_array().expect("a list");
    assert!(sent.contains(&json!("index.html")), "{new}");
    for (service, operation, list) in [
        ("cloudformation", "describe_stacks", "Stacks"),
        ("s3", "list_buckets", "Buckets"),
    ] {
        let left = ministack.aws(service, operation, json!({})).await;
        assert_eq!(left[list], json!([]), "{operation}");
    }

    let deployed = run(&ministack, &["deploy", "--bootstrap", bootstrap]).await;
    assert_eq!(deployed.status.code(), Some(0), "{}", stderr(&deployed));
    let same = result(&run(&ministack, &diff).await);
    assert_eq!(same["differs"], false, "{same}");
    let text = run(&ministack, &["diff", "--bootstrap", bootstrap]).await;
    assert_eq!(String::from_utf8_lossy(&text.stdout), "no difference\n");

    let page = chatctl::target().join(format!("tmp/page-diff-{}", std::process::id()));
    std::fs::create_dir_all(&page).expect("a folder below cargo's own");
    std::fs::write(page.join("index.html"), "<!doctype html>").expect("a file");
    let program = longer_by_a_byte(bootstrap, "diff");
    let folder = page.to_str().expect("a path of characters");
    let before = ministack.requests().len();
    let other = [
        "diff",
        "--json",
        "--bootstrap",
        &program,
        "--wwwroot",
        folder,
    ];
    let other = result(&run(&ministack, &other).await);
    std::fs::remove_dir_all(&page).expect("it was made");
    std::fs::remove_file(&program).expect("it was made");
    let functions = other["changes"].as_array().expect("a list").iter();
    let mut functions: Vec<_> = functions
        .filter(|it| it["type"] == "AWS::Lambda::Function")
        .map(|it| format!("{} {}", it["action"], it["resource"]))
        .collect();
    functions.sort();
    let expected = ["Action", "Connect", "Disconnect"];
    assert_eq!(
        functions,
        expected.map(|it| format!("\"change\" \"{it}Function\""))
    );
    assert!(
        other["page"]["remove"]
            .as_array()
            .is_some_and(|it| it.contains(&json!("main.js"))),
        "{other}"
    );

    let tries = ["CreateChangeSet", "DeleteChangeSet"];
    let requests = ministack.requests().split_off(before);
    // The functions may still be clearing up after the deploy's own sockets.
    for request in requests.iter().filter(|it| !is_by_a_function(it)) {
        let operation = request["operation"].as_str().unwrap_or_default();
        let is_read = ["Describe", "Get", "List", "Head"]
            .iter()
            .any(|it| operation.starts_with(it));
        let is_read = is_read || request["method"] == "GET" || request["method"] == "HEAD";
        assert!(is_read || tries.contains(&operation), "{request}");
    }
    let stack = json!({"StackName": "chat-dev"});
    let left = ministack
        .aws("cloudformation", "list_change_sets", stack)
        .await;
    let left = left["Summaries"].as_array().expect("a list").iter();
    let pending: Vec<_> = left
        .filter(|it| it["ExecutionStatus"] == "AVAILABLE")
        .collect();
    assert_eq!(pending, Vec::<&Value>::new());
}

/// Another program, by what it is compared by.
fn longer_by_a_byte(bootstrap: &str, name: &str) -> String {
    let mut program = std::fs::read(bootstrap).expect("it is built");
    program.push(0);
    let path = chatctl::target().join(format!("tmp/bootstrap-{name}-{}", std::process::id()));
    std::fs::write(&path, program).expect("a file below cargo's own folder");
    path.to_str().expect("a path of characters").to_owned()
}

/// A stack of the chat's name that will fail.
async fn begin_a_failure(ministack: &Ministack) {
    let template = json!({"Resources": {
        "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "Wait": {
            "Type": "AWS::CloudFormation::WaitCondition",
            "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": FAILS_AFTER},
        },
    }});
    let stack = json!({
        "StackName": "chat-dev",
        "TemplateBody": template.to_string(),
        "Tags": [{"Key": "chatctl", "Value": "chat"}],
    });
    ministack.aws("cloudformation", "create_stack", stack).await;
}

async fn run(ministack: &Ministack, arguments: &[&str]) -> Output {
    chatctl::run_on(ministack, arguments).await
}

/// Presses Ctrl-C as soon as it waits for AWS.
async fn leave_it(ministack: &Ministack, arguments: &[&str]) -> Output {
    let mut child = chatctl::command(arguments)
        .envs(ministack.environment())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("chatctl starts");
    let mut lines = BufReader::new(child.stderr.take().expect("piped"));
    let mut stderr = String::new();
    while !stderr.contains("waiting for its end") {
        let read = within_deadline("it waits", lines.read_line(&mut stderr)).await;
        assert_ne!(read.expect("readable"), 0, "{stderr}");
    }
    chatctl::send_signal("INT", child.id().expect("it runs"));
    let read = within_deadline("its last words", lines.read_to_string(&mut stderr)).await;
    read.expect("readable");
    let status = within_deadline("its end", child.wait()).await;
    Output {
        status: status.expect("it ends"),
        stdout: Vec::new(),
        stderr: stderr.into_bytes(),
    }
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn result(output: &Output) -> Value {
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{stdout}\n{}",
        stderr(output)
    );
    let last = stdout.lines().last().expect("a result");
    serde_json::from_str(last).expect("a line of JSON")
}
