//! What people read when something goes wrong on AWS: what happened and what to do about it. And that
//! running the same command again is right, whatever it was. `../ministack/README.md` says how AWS is
//! made to refuse, and how we know that it words it so.

use std::path::PathBuf;
use std::process::Output;
use std::time::Duration;

use e2e::chatctl;
use e2e::ministack::{Machine, Ministack, Moment, OTHER_REGION};
use serde_json::{Value, json};

/// A call is tried eight times, with pauses that grow up to 20 s.
const PATIENCE: Duration = Duration::from_mins(10);

const NOT_NOW: &str = "hint: wait a minute and run the same command again; it goes on where it was";

/// How AWS names whoever may not do something, and what.
const USER: &str = "User: arn:aws:iam::123456789012:user/ann is not authorized to perform:";

#[tokio::test]
async fn what_aws_refuses_is_told_with_its_remedy_and_the_next_deploy_goes_on() {
    let ministack = Ministack::start().await;
    let machine = ministack.machine().await;
    let files = Files::new("refused");
    let unrecognized = "hint: check `--profile` and the credentials, that this machine's clock is \
         right, and that the account has enabled the Region";
    for (action, with, expected) in [
        (
            "cloudformation:DescribeStacks",
            "expired",
            "error: the AWS credentials have expired: The security token included in the request is \
             expired\n\
             hint: sign in again (`aws sso login`, or new temporary credentials) and run the same \
             command; it goes on where it was"
                .to_owned(),
        ),
        (
            "cloudformation:DescribeStacks",
            "unknown key",
            format!(
                "error: `cloudformation:DescribeStacks`: AWS does not accept these credentials: The \
                 security token included in the request is invalid.\n{unrecognized}"
            ),
        ),
        (
            "cloudformation:DescribeStacks",
            "wrong secret",
            format!(
                "error: `cloudformation:DescribeStacks`: AWS does not accept these credentials: The \
                 request signature we calculated does not match the signature you provided. Check \
                 your AWS Secret Access Key and signing method. Consult the service documentation \
                 for details.\n{unrecognized}"
            ),
        ),
        (
            "s3:ListObjectsV2",
            "elsewhere",
            "error: `s3:ListBucket`: what is asked for is in another Region: The bucket you are \
             attempting to access must be addressed using the specified endpoint. Please send all \
             future requests to this endpoint.\n\
             hint: name the Region of the first deploy with `--region`"
                .to_owned(),
        ),
        (
            "s3:PutObject",
            "denied without a word",
            "error: the permission `s3:PutObject` is missing: Access Denied\n\
             hint: ask whoever manages the account to allow `s3:PutObject`, then run the same \
             command again; `chatctl synth --deployer-policy` prints all that is needed"
                .to_owned(),
        ),
    ] {
        machine.refuse(action, with, 1).await;
        let output = machine.run(&files.deploy()).await;
        assert_eq!(error(&output), expected, "{action}: {with}");
    }
    // Each is met further on than the one before: the next deploy goes on where it was.
    for action in [
        "cloudformation:DescribeStacks",
        "cloudformation:CreateChangeSet",
        "cloudformation:DescribeChangeSet",
        "cloudformation:ExecuteChangeSet",
        "cloudformation:DescribeStackEvents",
        "s3:PutObject",
        "cloudfront:CreateInvalidation",
        "cloudfront:GetInvalidation",
    ] {
        machine.refuse(action, "denied", 1).await;
        let output = machine.run(&files.deploy()).await;
        let error = error(&output);
        let lines: Vec<_> = error.lines().collect();
        let start = format!("error: the permission `{action}` is missing: {USER} {action} on ");
        assert!(lines[0].starts_with(&start), "{error}");
        let hint = format!(
            "hint: ask whoever manages the account to allow `{action}`, then run the same command \
             again; `chatctl synth --deployer-policy` prints all that is needed"
        );
        assert_eq!(lines[1..], [hint], "{error}");
    }
    succeeded(&machine.run(&files.deploy()).await);
}

#[tokio::test]
async fn a_resource_that_fails_is_told_first_and_the_next_deploy_makes_the_stack_anew() {
    let ministack = Ministack::start().await;
    let machine = ministack.machine().await;
    let mut console = machine.console();
    let files = Files::new("resources");
    a_condition_is_never_met(&machine, true).await;
    let output = machine.run(&files.deploy()).await;
    tells(
        &output,
        "`Never` (AWS::CloudFormation::WaitCondition)",
        "WaitCondition timed out. Received 0 conditions when expecting 1",
        "run the same command again",
    );
    is_in("ROLLBACK_COMPLETE", &console.inventory().await);
    a_condition_is_never_met(&machine, false).await;

    for (resource, kind, reason, remedy) in [
        (
            "ActionFunction",
            "AWS::Lambda::Function",
            "Resource handler returned message: \"Specified ReservedConcurrentExecutions for \
             function decreases account's UnreservedConcurrentExecution below its minimum value of \
             [10]. (Service: Lambda, Status Code: 400, Request ID: \
             204aa629-d46e-47b8-a3f6-95fea8fcf590)\" (RequestToken: \
             a35c5eb0-d1a2-cc17-adff-8a1fd84cd738, HandlerErrorCode: InvalidRequest)",
            "a new account may run ten functions at once: ask for more under Service Quotas",
        ),
        (
            "SiteBucket",
            "AWS::S3::Bucket",
            "chat-dev-sitebucket-1gsq7wv6xqmqf already exists",
            "something else has that name: delete it, or take another `--stage`",
        ),
        (
            "ActionRole",
            "AWS::IAM::Role",
            "Resource handler returned message: \"User: arn:aws:iam::123456789012:user/ann is not \
             authorized to perform: iam:CreateRole on resource: \
             arn:aws:iam::123456789012:role/chat-dev-ActionRole because no identity-based policy \
             allows the iam:CreateRole action (Service: Iam, Status Code: 403)\" (RequestToken: \
             a35c5eb0-d1a2-cc17-adff-8a1fd84cd738, HandlerErrorCode: AccessDenied)",
            "ask whoever manages the account for the permission",
        ),
        (
            "SiteDistribution",
            "AWS::CloudFront::Distribution",
            "Resource handler returned message: \"Access denied for operation \
             'AWS::CloudFront::Distribution: Your account must be verified before you can add new \
             CloudFront resources. To verify your account, please contact AWS Support.'\" \
             (RequestToken: a35c5eb0-d1a2-cc17-adff-8a1fd84cd738, HandlerErrorCode: AccessDenied)",
            "AWS has to verify the account",
        ),
    ] {
        fails(&machine, resource, reason).await;
        let output = machine.run(&files.deploy()).await;
        tells(&output, &format!("`{resource}` ({kind})"), reason, remedy);
    }
    succeeded(&machine.run(&files.deploy()).await);
    is_in("CREATE_COMPLETE", &console.inventory().await);
}

#[tokio::test]
async fn an_update_that_fails_leaves_the_chat_as_it_was_and_the_next_one_changes_it() {
    let ministack = Ministack::start().await;
    let machine = ministack.machine().await;
    let mut console = machine.console();
    let files = Files::new("update");
    succeeded(&machine.run(&files.deploy()).await);
    let before = console.inventory().await;

    files.change();
    a_condition_is_never_met(&machine, true).await;
    let output = machine.run(&files.deploy()).await;
    tells(
        &output,
        "`Never` (AWS::CloudFormation::WaitCondition)",
        "WaitCondition timed out. Received 0 conditions when expecting 1",
        "run the same command again",
    );
    let after = console.inventory().await;
    is_in("UPDATE_ROLLBACK_COMPLETE", &after);
    assert_eq!(after["code"], before["code"], "{after:#}");
    succeeded(&machine.run(&["urls"]).await);

    a_condition_is_never_met(&machine, false).await;
    succeeded(&machine.run(&files.deploy()).await);
    let after = console.inventory().await;
    is_in("CREATE_COMPLETE", &after);
    assert_ne!(after["code"], before["code"], "{after:#}");

    files.change();
    let reason =
        "The following hook(s)/validation failed: [AWS::EarlyValidation::PropertyValidation].";
    let order = json!({"stack": "chat-dev", "reason": reason});
    machine.plan("reject", order).await;
    let before = console.inventory().await;
    let output = machine.run(&files.deploy()).await;
    tells(&output, "`chat-dev`", reason, "run the same command again");
    assert_eq!(console.inventory().await["stacks"], before["stacks"]);
    machine.plan("forget", json!({})).await;

    let order = json!({"stack": "chat-dev", "resources": {"It": {"Type": "AWS::No::Such"}}});
    machine.plan("add", order).await;
    let output = machine.run(&files.deploy()).await;
    let reason = "Template format error: Unrecognized resource types: [AWS::No::Such]";
    tells(&output, "", reason, "run the same command again");
    assert_eq!(console.inventory().await["stacks"], before["stacks"]);
    machine.plan("forget", json!({})).await;
    succeeded(&machine.run(&files.deploy()).await);
}

#[tokio::test]
async fn throttling_is_waited_out_and_told_only_when_it_never_ends() {
    let ministack = Ministack::start().await;
    let machine = ministack.machine().await;
    let files = Files::new("throttled");
    for (action, with) in [
        ("cloudformation:DescribeStacks", "throttled"),
        ("cloudformation:CreateChangeSet", "throttled"),
        ("cloudformation:DescribeStackEvents", "throttled"),
        ("s3:PutObject", "slow down"),
        ("cloudfront:CreateInvalidation", "throttled"),
    ] {
        machine.refuse(action, with, 2).await;
    }
    succeeded(&machine.run(&files.deploy()).await);
    let throttled = machine.requests().into_iter();
    let throttled = throttled.filter(|it| it["error"].to_string().contains("Rate exceeded"));
    assert_eq!(throttled.count(), 8);

    // At the same time: they mostly wait.
    let action = "cloudformation:DescribeStacks";
    machine.refuse(action, "throttled", usize::MAX >> 1).await;
    let ends_at_last = async |environment| {
        let command = chatctl::command(&["urls"]).envs(environment).output();
        let output = tokio::time::timeout(PATIENCE, command).await;
        error(&output.expect("an end").expect("chatctl runs"))
    };
    // Nobody listens there, and nobody else can: it is kept, and refuses.
    let nobody = tokio::net::TcpSocket::new_v4().expect("a socket");
    let any = "127.0.0.1:0".parse().expect("an address");
    nobody.bind(any).expect("a free port");
    let proxy = format!("http://{}", nobody.local_addr().expect("bound"));
    let offline = with_variable(&machine, "HTTPS_PROXY", &proxy);
    let (throttled, offline) =
        tokio::join!(ends_at_last(machine.environment()), ends_at_last(offline));
    assert_eq!(
        throttled,
        format!("error: `{action}`: AWS asks to slow down: Rate exceeded\n{NOT_NOW}")
    );
    assert_eq!(
        offline,
        format!(
            "error: `{action}`: AWS cannot be reached: tunnel error: failed to create underlying \
             connection: tcp connect error: Connection refused (os error 111)\n\
             hint: check the network, `HTTPS_PROXY`, and that `--region` is a Region of AWS"
        )
    );
}

#[tokio::test]
async fn a_stack_that_somebody_else_made_is_not_touched() {
    let ministack = Ministack::start().await;
    let machine = ministack.machine().await;
    let mut console = machine.console();
    let files = Files::new("foreign");
    let bucket = json!({"Resources": {"Bucket": {"Type": "AWS::S3::Bucket"}}}).to_string();
    let foreign = |name, owner| {
        format!(
            "error: the stack `{name}` was not made by this program: it lacks the tag `chatctl` with \
             the value `{owner}`\n\
             hint: nothing was done; choose another name with `--stage`, or another Region or account"
        )
    };

    let stack = json!({"StackName": "chat-dev", "TemplateBody": bucket});
    console.aws("cloudformation", "create_stack", stack).await;
    let before = console.inventory().await;
    for command in [&files.deploy()[..], &["destroy", "--yes"], &["urls"]] {
        let output = machine.run(command).await;
        assert_eq!(error(&output), foreign("chat-dev", "chat"), "{command:?}");
    }
    assert_eq!(console.inventory().await, before);
    let stack = json!({"StackName": "chat-dev"});
    console.aws("cloudformation", "delete_stack", stack).await;

    let stack = json!({"StackName": "chatctl-artifacts", "TemplateBody": bucket});
    console.aws("cloudformation", "create_stack", stack).await;
    let before = console.inventory().await;
    let output = machine.run(&files.deploy()).await;
    assert_eq!(error(&output), foreign("chatctl-artifacts", "artifacts"));
    // There is no chat, and no bucket of ours either.
    succeeded(&machine.run(&["destroy", "--yes"]).await);
    assert_eq!(console.inventory().await, before);
}

#[tokio::test]
async fn over_a_deletion_that_has_failed_no_deploy_leaves_the_kept_table_behind() {
    let ministack = Ministack::start().await;
    let machine = ministack.machine().await;
    let mut console = machine.console();
    let files = Files::new("kept");
    succeeded(
        &machine
            .run(&[&files.deploy()[..], &["--protect", "on"]].concat())
            .await,
    );
    let resources = json!({"StackName": "chat-dev"});
    let resources = console.aws("cloudformation", "list_stack_resources", resources);
    let resources = resources.await;
    let id = |kind: &str| {
        let all = resources["StackResourceSummaries"].as_array();
        let found = all.into_iter().flatten();
        let found = found
            .filter(|it| it["ResourceType"] == kind)
            .collect::<Vec<_>>();
        let id = found[0]["PhysicalResourceId"].as_str();
        id.expect("it has one").to_owned()
    };
    let (table, bucket) = (id("AWS::DynamoDB::Table"), id("AWS::S3::Bucket"));

    // Somebody goes on writing to the bucket.
    let keep = ["destroy", "--yes", "--keep-table"];
    machine
        .hold("cloudformation:DeleteStack", 1, Moment::Before)
        .await;
    let destroyed = machine.run(&keep);
    let refilled = async {
        e2e::within_deadline("the deletion", machine.held()).await;
        let object = json!({"Bucket": bucket, "Key": "late", "Body": files.functions});
        console.aws("s3", "put_object", object).await;
        machine.let_go().await;
    };
    let (destroyed, ()) = futures_util::join!(destroyed, refilled);
    tells(&destroyed, "is in DELETE_FAILED", "not empty", "hint: ");
    let said = String::from_utf8_lossy(&destroyed.stderr);
    assert!(said.contains(&format!("the table `{table}` in ")), "{said}");

    let refused = "error: the stack `chat-dev` is in DELETE_FAILED: to start over would leave its table behind, \
         with all messages, and nothing was done\n\
         hint: `chatctl destroy --stage dev --keep-table` ends the deletion and tells what the table is \
         called; docs/protection.md tells how to go back to it";
    let diff = ["diff", "--bootstrap", &files.functions];
    for command in [&files.deploy()[..], &diff] {
        assert_eq!(error(&machine.run(command).await), refused, "{command:?}");
    }
    is_in("DELETE_FAILED", &console.inventory().await);
    // The deletion has passed over it already, and then the stack is gone altogether.
    for _ in 0..2 {
        let output = machine.run(&keep).await;
        succeeded(&output);
        let said = String::from_utf8_lossy(&output.stderr);
        let named = format!("the table `{table}` stays, with all messages: arn:aws:dynamodb:");
        assert!(said.contains(&named), "{said}");
        assert!(said.contains(&format!("(AWS::DynamoDB::Table) {table}: kept")));
    }
    let gone = json!({"TableName": table});
    console.aws("dynamodb", "delete_table", gone).await;
    let output = machine.run(&keep).await;
    succeeded(&output);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !said.contains(&table),
        "nobody is told of what is gone: {said}"
    );
}

#[tokio::test]
async fn a_stack_that_never_came_up_and_was_protected_by_hand_is_no_dead_end() {
    let ministack = Ministack::start().await;
    let machine = ministack.machine().await;
    let mut console = machine.console();
    let files = Files::new("by-hand");
    fails(&machine, "ActionFunction", "no such thing").await;
    let failed = machine.run(&files.deploy()).await;
    tells(&failed, "`ActionFunction`", "no such thing", "");
    is_in("ROLLBACK_COMPLETE", &console.inventory().await);
    let by_hand = json!({"StackName": "chat-dev", "EnableTerminationProtection": true});
    console
        .aws("cloudformation", "update_termination_protection", by_hand)
        .await;
    let before = console.inventory().await;

    let remedy = "`aws cloudformation update-termination-protection --region us-east-1 --stack-name \
         chat-dev --no-enable-termination-protection`";
    let diff = ["diff", "--bootstrap", &files.functions];
    for command in [&files.deploy()[..], &diff] {
        assert_eq!(
            error(&machine.run(command).await),
            format!(
                "error: the stack `chat-dev` is in ROLLBACK_COMPLETE and protected against deletion: \
                 nothing was done\n\
                 hint: `chatctl deploy --protect off` lifts that and starts over; {remedy} lifts it alone"
            ),
            "{command:?}"
        );
    }
    for more in [&[][..], &["--keep-table"]] {
        let output = machine.run(&[&["destroy", "--yes"], more].concat()).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        let told = format!(
            "error: `chat-dev` is in ROLLBACK_COMPLETE and somebody has protected it against deletion: \
             nothing was done\n\
             hint: {remedy} lifts that; then run the same command again"
        );
        assert!(said.contains(&told), "{said}");
    }
    assert_eq!(console.inventory().await, before);

    succeeded(
        &machine
            .run(&[&files.deploy()[..], &["--protect", "off"]].concat())
            .await,
    );
    is_in("CREATE_COMPLETE", &console.inventory().await);
    succeeded(&machine.run(&["destroy", "--yes"]).await);
}

#[tokio::test]
async fn of_a_variable_and_a_flag_that_exclude_each_other_the_flag_counts_and_says_so() {
    let topic = "arn:aws:sns:eu-central-1:123456789012:on-call";
    let run = async |variables: &[(&str, &str)], flags: &[&str]| {
        // Nothing is asked of AWS: there are no credentials.
        let command = chatctl::command(&[&["status"], flags].concat())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(variables.iter().copied())
            .output();
        let output = e2e::within_deadline("end of chatctl", command).await;
        let output = output.expect("chatctl runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), said)
    };
    let email = ("CHATCTL_ALARM_EMAIL", "ann@example.org");
    let (_, said) = run(&[email], &["--alarm-topic", topic]).await;
    assert!(
        said.contains("beside `--alarm-topic` this does not count: `CHATCTL_ALARM_EMAIL`\n"),
        "{said}"
    );
    assert!(!said.contains("cannot be used with"), "{said}");
    let (code, said) = run(&[email, ("CHATCTL_ALARM_TOPIC", topic)], &[]).await;
    assert_eq!(code, Some(2), "{said}");
    assert_eq!(
        said.trim_end(),
        "error: `CHATCTL_ALARM_TOPIC` does not go with `CHATCTL_ALARM_EMAIL`\n\
         hint: unset one of them; a flag wins over a variable, whatever that says"
    );
}

#[tokio::test]
async fn what_is_missing_on_the_machine_is_told_with_its_remedy() {
    let ministack = Ministack::start().await;
    let machine = ministack.machine().await;
    for (variable, value, expected) in [
        (
            "AWS_ACCESS_KEY_ID",
            "",
            "error: there are no AWS credentials: no credentials found in chain\n\
             hint: run `aws configure` or `aws sso login`, or set `AWS_ACCESS_KEY_ID` and \
             `AWS_SECRET_ACCESS_KEY`, or name a profile with `--profile`; `chatctl dev` runs the same \
             chat on this machine and needs none",
        ),
        (
            "AWS_REGION",
            "",
            "error: no AWS Region is set\n\
             hint: name one with `--region` or `AWS_REGION`, such as `us-east-1`, or give the profile \
             one with `aws configure`",
        ),
        (
            "AWS_REGION",
            OTHER_REGION,
            "error: there is no stack `chat-dev` in eu-west-1\n\
             hint: `chatctl deploy` makes it; if it is elsewhere, say so with `--stage`, `--region` or \
             `--profile`",
        ),
    ] {
        let environment = with_variable(&machine, variable, value);
        let command = chatctl::command(&["urls"]).envs(environment).output();
        let output = e2e::within_deadline("end of chatctl", command).await;
        assert_eq!(error(&output.expect("chatctl runs")), expected);
    }
}

/// The machine's environment, with another value of a variable, or without it where that is empty.
fn with_variable(
    machine: &Machine<'_>,
    variable: &'static str,
    value: &str,
) -> Vec<(&'static str, String)> {
    let mut environment = machine.environment();
    environment.retain(|(name, _)| *name != variable);
    if !value.is_empty() {
        environment.push((variable, value.to_owned()));
    }
    environment
}

/// A resource in each template of the stack from now on that never comes up; or no longer.
async fn a_condition_is_never_met(machine: &Machine<'_>, is_there: bool) {
    let resources = json!({
        "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
        "Never": {
            "Type": "AWS::CloudFormation::WaitCondition",
            "Properties": {"Handle": {"Ref": "Handle"}, "Timeout": "2"},
        },
    });
    let resources = if is_there { resources } else { json!({}) };
    let order = json!({"stack": "chat-dev", "resources": resources});
    machine.plan("add", order).await;
}

/// The next time that the resource is made, it is not.
async fn fails(machine: &Machine<'_>, resource: &str, reason: &str) {
    let order = json!({"stack": "chat-dev", "resource": resource, "reason": reason, "times": 1});
    machine.plan("fail", order).await;
}

/// What failed and why stand in the first three lines of the error, the remedy in the last.
fn tells(output: &Output, what: &str, why: &str, remedy: &str) {
    let error = error(output);
    let first: Vec<_> = error.lines().take(3).collect();
    let first = first.join("\n");
    assert!(first.contains(what) && first.contains(why), "{error}");
    let last = error.lines().next_back().unwrap_or_default();
    assert!(last.starts_with("hint: "), "{error}");
    assert!(last.contains(remedy), "{error}");
}

/// What is said of the failure, to the end, without a colour or another sequence for terminals.
fn error(output: &Output) -> String {
    let stderr = String::from_utf8(output.stderr.clone()).expect("text");
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(output.stdout.is_empty(), "data of a failure");
    assert!(!stderr.contains('\u{1b}'), "{stderr:?}");
    let position = stderr.find("error: ");
    let error = &stderr[position.unwrap_or_else(|| panic!("no error: {stderr}"))..];
    error.trim_end().to_owned()
}

fn succeeded(output: &Output) {
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{stderr}");
}

fn is_in(status: &str, inventory: &Value) {
    let chat = json!(format!("chat is in {status}, change sets left: 0"));
    let stacks = inventory["stacks"].as_array();
    assert!(stacks.is_some_and(|it| it.contains(&chat)), "{inventory:#}");
}

/// The functions and a page.
struct Files {
    folder: PathBuf,
    functions: String,
    page: String,
}

impl Files {
    fn new(name: &str) -> Self {
        let folder = format!("tmp/failures-{name}-{}", std::process::id());
        let folder = chatctl::target().join(folder);
        let (functions, page) = (folder.join("bootstrap"), folder.join("page"));
        std::fs::create_dir_all(&page).expect("a folder below cargo's own");
        std::fs::copy(chatctl::packaged_bootstrap(), &functions).expect("a file");
        std::fs::write(page.join("index.html"), "<!doctype html>").expect("a file");
        let [functions, page] = [functions, page].map(|it| it.display().to_string());
        Self {
            folder,
            functions,
            page,
        }
    }

    fn deploy(&self) -> [&str; 5] {
        let Self {
            functions, page, ..
        } = self;
        ["deploy", "--bootstrap", functions, "--wwwroot", page]
    }

    /// Another byte at the end of the functions, which nobody looks at.
    fn change(&self) {
        let mut content = std::fs::read(&self.functions).expect("it was written");
        content.push(b' ');
        std::fs::write(&self.functions, content).expect("it was written");
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
