//! A deployed chat that changes: its functions swapped by `chatctl deploy --hotswap` or by hand, its
//! packages, and what a deploy asks of AWS when there is nothing to do.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use e2e::ministack::{Ministack, is_by_a_function};
use e2e::{chatctl, within_deadline};
use serde_json::{Value, json};

/// A stage's packages that are kept.
const KEPT: usize = 5;

/// What a deploy with nothing to do asks of AWS. The stack is compared by its own parameters and by when it
/// was last changed, each function by its code, the page and what is noted by objects, and the packages'
/// stack is there or not: what any of these calls tells, no other does.
const CALLS_OF_NO_CHANGE: [&str; 6] = [
    "DescribeStacks",
    "DescribeStacks",
    "GetFunctionConfiguration",
    "GetFunctionConfiguration",
    "GetFunctionConfiguration",
    "ListObjects site",
];

/// What a hotswap asks of AWS when the functions run the package already.
const CALLS_OF_NO_SWAP: [&str; 4] = [
    "DescribeStacks",
    "GetFunctionConfiguration",
    "GetFunctionConfiguration",
    "GetFunctionConfiguration",
];

#[tokio::test]
async fn functions_that_were_swapped_or_changed_by_hand_are_put_right_by_the_next_deploy() {
    let ministack = Ministack::start().await;
    let program = Program::copied("swapped");
    let deploy = ["deploy", "--json", "--bootstrap", program.path()];
    let hotswap = [&deploy[..], &["--hotswap"]].concat();

    let refused = chatctl::run_on(&ministack, &hotswap).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("there is no stack `chat-dev`"), "{said}");
    assert_eq!(buckets(&ministack).await, Vec::<String>::new());

    let (first, _) = result(&ministack, &deploy).await;
    let (unchanged, calls) = result(&ministack, &deploy).await;
    assert_eq!(unchanged["changed"], false);
    assert_eq!(calls, CALLS_OF_NO_CHANGE);

    let mut ann = ministack.socket(text(&first["websocket"])).await;
    ann.send(json!({"type": "create", "name": "ann"})).await;
    assert_eq!(ann.next().await["type"], "joined");
    let deployed = codes(&ministack).await;
    program.change();
    let (swapped, calls) = result(&ministack, &hotswap).await;
    assert_eq!(swapped["changed"], true);
    assert_eq!(swapped["websocket"], first["websocket"]);
    assert_eq!(count(&calls, "UpdateFunctionCode"), 3, "{calls:?}");
    assert_eq!(count(&calls, "PutObject packages"), 1, "{calls:?}");
    assert_eq!(count(&calls, "CreateChangeSet"), 0, "{calls:?}");
    let hotswapped = codes(&ministack).await;
    assert!(hotswapped.iter().all(|it| !deployed.contains(it)));
    assert_eq!(ann.ask(json!({"type": "ping"})).await["type"], "pong");
    let (again, calls) = result(&ministack, &hotswap).await;
    assert_eq!(again["changed"], false);
    assert_eq!(calls, CALLS_OF_NO_SWAP);

    // The stack names the package of before, the functions run another: neither is what is wanted.
    program.change();
    let (reconciled, calls) = result(&ministack, &deploy).await;
    assert_eq!(reconciled["changed"], true);
    assert_eq!(count(&calls, "ExecuteChangeSet"), 1, "{calls:?}");
    let deployed = codes(&ministack).await;
    assert!(deployed.iter().all(|it| !hotswapped.contains(it)));

    // The stack names what is wanted, the functions run another.
    let original = program.read();
    program.change();
    result(&ministack, &hotswap).await;
    assert_ne!(codes(&ministack).await, deployed);
    program.write(&original);
    let (reconciled, calls) = result(&ministack, &deploy).await;
    assert_eq!(reconciled["changed"], true);
    assert_eq!(count(&calls, "UpdateFunctionCode"), 3, "{calls:?}");
    assert_eq!(count(&calls, "CreateChangeSet"), 0, "{calls:?}");
    assert_eq!(codes(&ministack).await, deployed);

    // Something else of the stack differs, the package that it names does not.
    program.change();
    result(&ministack, &hotswap).await;
    program.write(&original);
    without_stage_tag(&ministack).await;
    let (reconciled, calls) = result(&ministack, &deploy).await;
    assert_eq!(reconciled["changed"], true);
    assert_eq!(count(&calls, "ExecuteChangeSet"), 1, "{calls:?}");
    assert_eq!(count(&calls, "UpdateFunctionCode"), 3, "{calls:?}");
    assert_eq!(codes(&ministack).await, deployed);

    // By hand: another package, and the same one for another processor.
    let used = parameter(&ministack, "CodeKey").await;
    let kept = packages(&ministack, "dev").await;
    let unused = kept.iter().find(|it| **it != used).expect("swapped in");
    for (key, architecture) in [(unused, "x86_64"), (&used, "arm64")] {
        let by_hand = json!({
            "FunctionName": function(&ministack, "ActionFunctionName").await,
            "S3Bucket": parameter(&ministack, "CodeBucket").await,
            "S3Key": key,
            "Architectures": [architecture],
        });
        ministack
            .aws("lambda", "update_function_code", by_hand)
            .await;
        let (put_right, calls) = result(&ministack, &deploy).await;
        assert_eq!(put_right["changed"], true, "{key} {architecture}");
        assert_eq!(count(&calls, "UpdateFunctionCode"), 1, "{calls:?}");
        assert_eq!(codes(&ministack).await, deployed);
        let (unchanged, calls) = result(&ministack, &deploy).await;
        assert_eq!(unchanged["changed"], false, "{key} {architecture}");
        assert_eq!(calls, CALLS_OF_NO_CHANGE);
    }

    let arm = chatctl::run_on(&ministack, &[&hotswap[..], &["--arch", "arm64"]].concat()).await;
    assert_eq!(arm.status.code(), Some(1), "the program is not for arm64");
    assert_eq!(ann.ask(json!({"type": "ping"})).await["type"], "pong");
    ann.close().await;
}

#[tokio::test]
async fn a_template_that_was_changed_by_hand_and_nothing_else_is_put_right_by_the_next_deploy() {
    let ministack = Ministack::start().await;
    let program = Program::copied("by-hand");
    let deploy = ["deploy", "--json", "--bootstrap", program.path()];
    result(&ministack, &deploy).await;

    // No parameter, no tag and no function tells of it.
    let own = template(&ministack).await;
    let other = with_more_memory(&own, "ActionFunction");
    with_template(&ministack, &other).await;
    let (reconciled, calls) = result(&ministack, &deploy).await;
    assert_eq!(reconciled["changed"], true);
    assert_eq!(count(&calls, "ExecuteChangeSet"), 1, "{calls:?}");
    assert_eq!(template(&ministack).await, own);
    // One that tells less as well: what to look at is not known before there is the right one again.
    let silent = without_output(&other, "SiteBucketName");
    with_template(&ministack, &silent).await;
    let told = stack(&ministack).await["Outputs"].to_string();
    assert!(!told.contains("SiteBucketName"), "{told}");
    let (reconciled, _) = result(&ministack, &deploy).await;
    assert_eq!(reconciled["changed"], true);
    assert_eq!(template(&ministack).await, own);
    // And back: the stack is looked at anew, and the chat tried.
    with_template(&ministack, &other).await;
    with_template(&ministack, &own).await;
    let (unchanged, calls) = result(&ministack, &deploy).await;
    assert_eq!(unchanged["changed"], false);
    assert_eq!(count(&calls, "GetTemplate"), 1, "{calls:?}");
    assert_eq!(count(&calls, "CreateChangeSet"), 0, "{calls:?}");
    assert_eq!(count(&calls, "PutObject site"), 1, "{calls:?}");
    // One that comes to the same, for nobody signs in: AWS is asked, and that is noted.
    with_template(&ministack, &with_more_memory(&own, "AuthorizeFunction")).await;
    let (unchanged, calls) = result(&ministack, &deploy).await;
    assert_eq!(unchanged["changed"], false);
    assert_ne!(count(&calls, "CreateChangeSet"), 0, "{calls:?}");
    assert_eq!(count(&calls, "ExecuteChangeSet"), 0, "{calls:?}");
    let (_, calls) = result(&ministack, &deploy).await;
    assert_eq!(calls, CALLS_OF_NO_CHANGE);
}

#[tokio::test]
async fn who_may_not_deploy_builds_nothing_in_vain() {
    let ministack = Ministack::start().await;
    let folder = chatctl::target().join(format!("tmp/vain-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder below cargo's own");
    let (cargo, begun) = (folder.join("cargo"), folder.join("begun"));
    let script = format!(
        "#!/bin/sh\necho $$ > '{}'\nexec sleep 600\n",
        begun.display()
    );
    std::fs::write(&cargo, script).expect("a file in a new folder");
    let anyone = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(&cargo, anyone).expect("a file of our own");

    for (key, says) in [
        ("", "there are no AWS credentials"),
        ("unknown", "AWS does not accept"),
    ] {
        let mut command = chatctl::command(&["deploy"]);
        command
            .envs(ministack.environment())
            .env("AWS_ACCESS_KEY_ID", key)
            .env("CARGO", &cargo);
        let output = within_deadline("end of chatctl", command.output()).await;
        let output = output.expect("chatctl runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(says), "{said}");
        if key.is_empty() {
            assert!(!begun.exists(), "there was nothing to sign a call with");
        } else if let Ok(pid) = std::fs::read_to_string(&begun) {
            let pid = pid.trim().parse().expect("a process id");
            chatctl::eventually("end of the build", || !chatctl::is_running(pid)).await;
        }
    }
    std::fs::remove_dir_all(&folder).expect("it was made");
}

#[tokio::test]
async fn the_last_packages_of_a_stage_are_kept_and_no_other_stage_misses_any() {
    let ministack = Ministack::start().await;
    an_older_stack_of_packages(&ministack).await;
    let program = Program::copied("pruned");
    let deploy = ["deploy", "--json", "--bootstrap", program.path()];
    let other = [&deploy[..], &["--stage", "dev-2"]].concat();

    let (_, calls) = result(&ministack, &deploy).await;
    assert_eq!(count(&calls, "ExecuteChangeSet"), 2, "{calls:?}");
    let (_, calls) = result(&ministack, &other).await;
    assert_eq!(count(&calls, "ExecuteChangeSet"), 1, "it is up to date");
    let others = packages(&ministack, "dev-2").await;
    assert_eq!(others.len(), 1);

    let first = packages(&ministack, "dev").await;
    assert_eq!(first.len(), 1);
    let original = program.read();
    let mut by_age = first.clone();
    for round in 1..=KEPT {
        program.change();
        result(&ministack, &deploy).await;
        by_age.push(parameter(&ministack, "CodeKey").await);
        let kept = packages(&ministack, "dev").await;
        assert_eq!(kept.len(), KEPT.min(round + 1), "{round}: {kept:?}");
    }
    let kept = packages(&ministack, "dev").await;
    assert!(!kept.contains(&first[0]), "{kept:?}");
    assert_eq!(packages(&ministack, "dev-2").await, others);

    // One that went is sent again.
    program.write(&original);
    let (_, calls) = result(&ministack, &deploy).await;
    assert_eq!(count(&calls, "PutObject packages"), 1, "{calls:?}");
    assert!(packages(&ministack, "dev").await.contains(&first[0]));

    // The oldest that is there is used again, and thereby the last but one after the next.
    let (oldest, next) = (&by_age[2], &by_age[3]);
    program.write(&original);
    program.change();
    program.change();
    result(&ministack, &deploy).await;
    assert_eq!(parameter(&ministack, "CodeKey").await, *oldest);
    program.write(&[&original[..], b"another"].concat());
    result(&ministack, &deploy).await;
    let kept = packages(&ministack, "dev").await;
    assert!(kept.contains(oldest) && !kept.contains(next), "{kept:?}");

    result(&ministack, &["destroy", "--yes", "--json"]).await;
    assert_eq!(packages(&ministack, "dev").await, Vec::<String>::new());
    assert_eq!(packages(&ministack, "dev-2").await, others);
    let last = ["destroy", "--yes", "--json", "--stage", "dev-2"];
    result(&ministack, &last).await;
    assert_eq!(buckets(&ministack).await, Vec::<String>::new());
}

/// Runs a command with `--json` and gives its result, and what it asked of AWS, sorted.
async fn result(ministack: &Ministack, arguments: &[&str]) -> (Value, Vec<String>) {
    let before = ministack.requests().len();
    let result = chatctl::result_on(ministack, arguments).await;
    let mut calls: Vec<_> = ministack.requests()[before..]
        .iter()
        .filter(|it| is_by_chatctl(it))
        .map(call)
        .collect();
    calls.sort();
    (result, calls)
}

/// Browsers do not sign.
fn is_by_chatctl(request: &Value) -> bool {
    !text(&request["caller"]).is_empty() && !is_by_a_function(request)
}

/// A request in AWS's words.
fn call(request: &Value) -> String {
    let (method, path) = (text(&request["method"]), text(&request["path"]));
    let host = text(&request["host"]);
    if !text(&request["operation"]).is_empty() {
        return text(&request["operation"]).to_owned();
    }
    if host.contains(".s3.") || host.starts_with("s3.") {
        let bucket = if path.starts_with("/releases/") {
            "releases"
        } else if host.starts_with("chatctl-artifacts") {
            "packages"
        } else {
            "site"
        };
        let operation = match (method, text(&request["query"])) {
            ("GET", query) if query.contains("list-type") => "ListObjects",
            ("PUT", _) => "PutObject",
            ("POST", query) if query.contains("delete") => "DeleteObjects",
            _ => return format!("{method} {host}{path}"),
        };
        return format!("{operation} {bucket}");
    }
    if path.ends_with("/configuration") && method == "GET" {
        return "GetFunctionConfiguration".to_owned();
    }
    if path.ends_with("/code") && method == "PUT" {
        return "UpdateFunctionCode".to_owned();
    }
    format!("{method} {host}{path}")
}

fn count(calls: &[String], name: &str) -> usize {
    calls.iter().filter(|it| *it == name).count()
}

/// What each function of the stage `dev` runs.
async fn codes(ministack: &Ministack) -> Vec<String> {
    let mut codes = Vec::new();
    for output in [
        "ConnectFunctionName",
        "DisconnectFunctionName",
        "ActionFunctionName",
    ] {
        let name = json!({"FunctionName": function(ministack, output).await});
        let view = ministack.aws("lambda", "get_function_configuration", name);
        codes.push(text(&view.await["CodeSha256"]).to_owned());
    }
    codes
}

async fn function(ministack: &Ministack, output: &str) -> String {
    let stack = stack(ministack).await;
    field(&stack["Outputs"], "Output", output)
}

async fn parameter(ministack: &Ministack, name: &str) -> String {
    let stack = stack(ministack).await;
    field(&stack["Parameters"], "Parameter", name)
}

async fn stack(ministack: &Ministack) -> Value {
    let name = json!({"StackName": "chat-dev"});
    let stacks = ministack.aws("cloudformation", "describe_stacks", name);
    stacks.await["Stacks"][0].clone()
}

/// Takes a tag off the stack, as somebody may by hand.
async fn without_stage_tag(ministack: &Ministack) {
    let parameters = ["StageName", "CodeBucket", "CodeKey", "Architecture"]
        .map(|name| json!({"ParameterKey": name, "UsePreviousValue": true}));
    let update = json!({
        "StackName": "chat-dev",
        "UsePreviousTemplate": true,
        "Parameters": parameters,
        "Tags": [{"Key": "chatctl", "Value": "chat"}],
        "Capabilities": ["CAPABILITY_IAM"],
    });
    updated_by_hand(ministack, update).await;
}

/// The stack's template, as it was given.
async fn template(ministack: &Ministack) -> String {
    let name = json!({"StackName": "chat-dev", "TemplateStage": "Original"});
    let template = ministack.aws("cloudformation", "get_template", name).await;
    text(&template["TemplateBody"]).to_owned()
}

/// The template, but that a function has other memory.
fn with_more_memory(template: &str, function: &str) -> String {
    let (before, of_function) = template
        .split_once(&format!("\n  {function}:\n"))
        .expect(function);
    let more = of_function.replacen("MemorySize: !Ref Memory", "MemorySize: 1024", 1);
    assert_ne!(more, of_function);
    format!("{before}\n  {function}:\n{more}")
}

/// The template without one of its outputs.
fn without_output(template: &str, output: &str) -> String {
    let (before, of_output) = template
        .split_once(&format!("\n  {output}:\n"))
        .expect(output);
    let lines = of_output.lines();
    let after: Vec<_> = lines.skip_while(|it| it.starts_with("    ")).collect();
    format!("{before}\n{}\n", after.join("\n"))
}

/// Updates the stack by another template and nothing else, as somebody may by hand.
async fn with_template(ministack: &Ministack, template: &str) {
    let before = stack(ministack).await;
    let parameters = before["Parameters"].as_array().cloned().unwrap_or_default();
    let parameters = parameters
        .iter()
        .map(|it| json!({"ParameterKey": it["ParameterKey"], "UsePreviousValue": true}));
    let update = json!({
        "StackName": "chat-dev",
        "TemplateBody": template,
        "Parameters": parameters.collect::<Vec<_>>(),
        "Tags": before["Tags"],
        "Capabilities": ["CAPABILITY_IAM"],
    });
    updated_by_hand(ministack, update).await;
    assert_eq!(self::template(ministack).await, template);
}

/// Updates the stack, and waits until it is.
async fn updated_by_hand(ministack: &Ministack, update: Value) {
    ministack
        .aws("cloudformation", "update_stack", update)
        .await;
    let finished =
        async { while text(&stack(ministack).await["StackStatus"]) != "UPDATE_COMPLETE" {} };
    within_deadline("updated stack", finished).await;
}

fn field(of: &Value, kind: &str, name: &str) -> String {
    let fields = of.as_array().expect("a finished stack");
    let (key, value) = (format!("{kind}Key"), format!("{kind}Value"));
    let found = fields.iter().find(|it| it[&key] == name);
    text(&found.expect(name)[&value]).to_owned()
}

async fn buckets(ministack: &Ministack) -> Vec<String> {
    let listed = ministack.aws("s3", "list_buckets", json!({})).await;
    let buckets = listed["Buckets"].as_array().cloned().unwrap_or_default();
    buckets
        .iter()
        .map(|it| text(&it["Name"]).to_owned())
        .collect()
}

fn is_of_packages(bucket: &str) -> bool {
    bucket.starts_with("chatctl-artifacts")
}

/// The keys of a stage's packages.
async fn packages(ministack: &Ministack, stage: &str) -> Vec<String> {
    let buckets = buckets(ministack).await;
    let bucket = buckets.iter().find(|it| is_of_packages(it));
    let prefix = format!("functions/{stage}/");
    let listed = json!({"Bucket": bucket.expect("packages"), "Prefix": prefix});
    let listed = ministack.aws("s3", "list_objects_v2", listed).await;
    let objects = listed["Contents"].as_array().cloned().unwrap_or_default();
    objects
        .iter()
        .map(|it| text(&it["Key"]).to_owned())
        .collect()
}

/// What an earlier version of `chatctl` may have left: the same stack from another template.
async fn an_older_stack_of_packages(ministack: &Ministack) {
    let template = "\
Resources:
  ArtifactsBucket:
    Type: AWS::S3::Bucket
Outputs:
  ArtifactsBucketName:
    Value: !Ref ArtifactsBucket
";
    let older = json!({
        "StackName": "chatctl-artifacts",
        "TemplateBody": template,
        "Tags": [{"Key": "chatctl", "Value": "artifacts"}],
    });
    ministack.aws("cloudformation", "create_stack", older).await;
}

/// A copy of the functions' program that a test may change.
struct Program(PathBuf);

impl Program {
    fn copied(name: &str) -> Self {
        let copy = chatctl::target().join(format!("tmp/{name}-{}.bootstrap", std::process::id()));
        let folder = copy.parent().expect("a file in a folder");
        std::fs::create_dir_all(folder).expect("a folder below cargo's own");
        std::fs::copy(chatctl::packaged_bootstrap(), &copy).expect("a file below cargo's own");
        Self(copy)
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("a path of characters")
    }

    fn read(&self) -> Vec<u8> {
        std::fs::read(&self.0).expect("it was copied")
    }

    fn write(&self, program: &[u8]) {
        std::fs::write(&self.0, program).expect("it was copied");
    }

    /// One byte more, which the program does not look at.
    fn change(&self) {
        let mut program = self.read();
        program.push(0);
        self.write(&program);
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
