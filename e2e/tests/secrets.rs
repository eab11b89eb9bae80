//! Whoever deploys does it with credentials. They are on no command line, in nothing that is said or written,
//! on this machine or on AWS, and no program gets them but `chatctl`.

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use e2e::ministack::Ministack;
use e2e::{chatctl, within_deadline};
use serde_json::{Value, json};

/// Between two looks at all processes. One that ends sooner may be missed in one run, not in all of them.
const BETWEEN_LOOKS: Duration = Duration::from_millis(3);

#[tokio::test]
async fn no_credential_is_on_a_command_line_in_anything_said_or_written_or_with_who_builds() {
    // Built before a deadline runs.
    let _ = chatctl::packaged_bootstrap();
    let ministack = Ministack::start().await;
    let keeper = Keeper::new(&ministack, "deploy").await;
    let watch = Watch::start(keeper.secrets());
    // As loud as it gets: what libraries would say.
    let loud = [("RUST_LOG", "trace"), ("RUST_BACKTRACE", "1")];

    let mut said = Vec::new();
    let commands: [&[&str]; 11] = [
        &["doctor"],
        // Nothing is there yet.
        &["status"],
        &["deploy"],
        &["deploy", "--json"],
        &["diff"],
        &["urls", "--json"],
        &["status", "--json"],
        &["logs", "--since", "1h"],
        &["verify"],
        &["rollback"],
        &["deploy", "--stage", "a-bad-name-"],
    ];
    for arguments in commands {
        said.push((arguments, keeper.run(arguments, &loud).await));
    }
    let succeeded = said.iter().filter(|(_, it)| it.status.success()).count();
    assert!(succeeded >= 7, "{said:?}");
    for (arguments, output) in &said {
        for stream in [&output.stdout, &output.stderr] {
            keeper.is_not_in(stream, &format!("what {arguments:?} said"));
        }
    }
    keeper.is_not_in_aws().await;
    keeper.is_not_in_files();
    let destroyed = keeper.run(&["destroy", "--yes"], &loud).await;
    keeper.is_not_in(&destroyed.stderr, "what `destroy` said");

    let seen = watch.end();
    assert!(seen.looked_at_chatctl, "the processes were looked at");
    assert_eq!(seen.secrets, BTreeSet::new());
}

#[tokio::test]
async fn no_help_shows_a_credential_and_no_flag_takes_one() {
    let ministack = Ministack::start().await;
    let keeper = Keeper::new(&ministack, "help").await;
    let help = keeper.run(&["--help"], &[]).await;
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|it| !it.starts_with("Commands:"))
        .skip(1)
        .take_while(|it| it.starts_with("  "))
        .filter(|it| !it.starts_with("   "))
        .filter_map(|it| it.split_whitespace().next())
        .collect();
    assert!(commands.len() > 8, "{help}");
    for command in commands {
        let help = keeper.run(&[command, "--help"], &[]).await;
        keeper.is_not_in(&help.stdout, &format!("the help of `{command}`"));
        let help = String::from_utf8_lossy(&help.stdout);
        let flags = help
            .split_whitespace()
            .filter(|it| it.starts_with("--"))
            .map(|it| it.trim_end_matches(|it: char| !it.is_alphanumeric()));
        for flag in flags {
            let secrets = ["secret", "password", "token", "key"];
            let takes = secrets
                .iter()
                .any(|it| flag.split('-').next_back() == Some(it));
            assert!(
                !takes,
                "`{command} {flag}` is on a command line for all to read"
            );
        }
    }
}

#[tokio::test]
async fn what_is_wrong_with_credentials_is_told_without_them() {
    let ministack = Ministack::start().await;
    let secret = "aSecretThatNobodyMayRead";
    let folder = Folder::new("wrong");
    for (name, content) in [
        (
            "no-equals",
            format!("[default]\naws_secret_access_key {secret}\n"),
        ),
        (
            "no-bracket",
            format!("[default\naws_secret_access_key = {secret}\n"),
        ),
        (
            "alone",
            format!("[default]\naws_secret_access_key = {secret}\n"),
        ),
        (
            "process",
            format!("[default]\ncredential_process = /bin/echo {{\"SecretAccessKey\": {secret}\n"),
        ),
    ] {
        let file = folder.0.join(name);
        std::fs::write(&file, content).expect("a file in a new folder");
        let mut command = chatctl::command(&["urls"]);
        command
            .envs(ministack.environment())
            .env_remove("AWS_ACCESS_KEY_ID")
            .env_remove("AWS_SECRET_ACCESS_KEY")
            .env("AWS_SHARED_CREDENTIALS_FILE", &file)
            .env("AWS_CONFIG_FILE", &file);
        let output = within_deadline("end of chatctl", command.output()).await;
        let output = output.expect("chatctl runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{name}: {said}");
        assert!(said.contains("no AWS credentials"), "{name}: {said}");
        assert!(!said.contains(secret), "{name}: {said}");
    }
}

/// Somebody with credentials of a role: a secret and a session's token.
struct Keeper<'a> {
    ministack: &'a Ministack,
    folder: Folder,
    key: String,
    secret: String,
    token: String,
}

impl<'a> Keeper<'a> {
    async fn new(ministack: &'a Ministack, name: &str) -> Self {
        let anyone = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}]});
        let role = json!({"RoleName": "keeper", "AssumeRolePolicyDocument": anyone.to_string()});
        let role = ministack.aws("iam", "create_role", role).await;
        let all = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "*", "Resource": "*"}]});
        let policy =
            json!({"RoleName": "keeper", "PolicyName": "all", "PolicyDocument": all.to_string()});
        ministack.aws("iam", "put_role_policy", policy).await;
        let assume = json!({"RoleArn": role["Role"]["Arn"], "RoleSessionName": "test"});
        let assumed = ministack.aws("sts", "assume_role", assume).await;
        let field = |name: &str| {
            let value = assumed["Credentials"][name].as_str().expect(name);
            assert!(value.len() >= 16, "{name} can be told from other words");
            value.to_owned()
        };
        let folder = Folder::new(name);
        folder.cargo();
        Self {
            ministack,
            key: field("AccessKeyId"),
            secret: field("SecretAccessKey"),
            token: field("SessionToken"),
            folder,
        }
    }

    fn secrets(&self) -> Vec<String> {
        vec![self.secret.clone(), self.token.clone()]
    }

    async fn run(&self, arguments: &[&str], loud: &[(&str, &str)]) -> Output {
        let mut command = chatctl::command(arguments);
        command
            .envs(self.ministack.environment())
            .env("AWS_ACCESS_KEY_ID", &self.key)
            .env("AWS_SECRET_ACCESS_KEY", &self.secret)
            .env("AWS_SESSION_TOKEN", &self.token)
            .env("CARGO", self.folder.0.join("cargo"))
            .env("TMPDIR", &self.folder.0)
            .envs(loud.iter().copied());
        let output = within_deadline("end of chatctl", command.output()).await;
        output.expect("chatctl runs")
    }

    fn is_not_in(&self, bytes: &[u8], what: &str) {
        let text = String::from_utf8_lossy(bytes);
        for secret in self.secrets() {
            assert!(!text.contains(&secret), "a secret is in {what}: {text}");
        }
    }

    /// Neither in what the stack was made from, nor in what it serves, nor in what its functions know and
    /// say, nor in any address that was asked for: one that is signed would open AWS to whoever reads it.
    async fn is_not_in_aws(&self) {
        let aws = self.ministack;
        let stack = json!({"StackName": "chat-dev"});
        for operation in ["describe_stacks", "get_template", "describe_stack_events"] {
            let told = aws.aws("cloudformation", operation, stack.clone()).await;
            self.is_not_in(told.to_string().as_bytes(), operation);
        }
        let stacks = aws.aws("cloudformation", "describe_stacks", stack).await;
        let outputs = stacks["Stacks"][0]["Outputs"].as_array().expect("outputs");
        let output = |key: &str| {
            let output = outputs.iter().find(|it| it["OutputKey"] == key);
            output.and_then(|it| it["OutputValue"].as_str()).expect(key)
        };
        let site = output("SiteUrl");
        let config = aws.get(&format!("{site}config.json")).await;
        let served: Value = serde_json::from_slice(config.body()).expect("JSON");
        assert_eq!(served, json!({"server": "/dev"}), "and no more");
        for file in ["", "main.js"] {
            let page = aws.get(&format!("{site}{file}")).await;
            assert_eq!(page.status(), 200, "{file}");
            self.is_not_in(page.body(), "the page");
        }
        let functions = aws.aws("lambda", "list_functions", json!({})).await;
        let functions = functions["Functions"].as_array().expect("functions");
        assert_eq!(functions.len(), 3);
        self.is_not_in(json!(functions).to_string().as_bytes(), "the functions");
        let groups = aws.aws("logs", "describe_log_groups", json!({})).await;
        let groups = groups["logGroups"].as_array().expect("log groups").iter();
        let mut lines = 0;
        for group in groups.map(|it| it["logGroupName"].clone()) {
            let events = aws.aws("logs", "filter_log_events", json!({"logGroupName": group}));
            let events = events.await;
            lines += events["events"].as_array().map_or(0, Vec::len);
            self.is_not_in(events.to_string().as_bytes(), "a log");
        }
        assert!(lines > 0, "the functions have said something");
        let requests = self.ministack.requests();
        assert!(requests.len() > 50, "{}", requests.len());
        for request in requests {
            let address = format!("{}{}", request["path"], request["query"]);
            self.is_not_in(address.as_bytes(), "an address");
            for part in ["X-Amz-Signature", "X-Amz-Security-Token"] {
                let is_signed = address.to_lowercase().contains(&part.to_lowercase());
                assert!(!is_signed, "an address that is signed: {address}");
            }
        }
    }

    /// Neither in what is left on this machine, nor in what cargo was given.
    fn is_not_in_files(&self) {
        let mut files = Vec::new();
        for folder in [self.folder.0.clone(), chatctl::checkout().join(".chatctl")] {
            collect(&folder, &mut files);
        }
        let of_cargo = self.folder.0.join("cargo.log");
        assert!(files.contains(&of_cargo), "it was built");
        for file in files {
            let content = std::fs::read(&file).unwrap_or_default();
            self.is_not_in(&content, &file.display().to_string());
        }
        let told = std::fs::read_to_string(of_cargo).expect("cargo has said what it was given");
        assert!(
            told.contains("AWS_REGION="),
            "the rest is as it was: {told}"
        );
    }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(&path, files);
        } else {
            files.push(path);
        }
    }
}

/// A folder of a test's own.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = format!("tmp/secrets-{name}-{}", std::process::id());
        let folder = chatctl::target().join(folder);
        std::fs::create_dir_all(&folder).expect("a folder below cargo's own");
        Self(folder)
    }

    /// A cargo that writes down what it is given, and goes on as the real one.
    fn cargo(&self) {
        let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
        let log = self.0.join("cargo.log");
        let script = format!(
            "#!/bin/sh\n{{ env; echo \"$@\"; }} >> '{}'\nexec '{cargo}' \"$@\"\n",
            log.display()
        );
        let file = self.0.join("cargo");
        std::fs::write(&file, script).expect("a file in a new folder");
        let executable = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(&file, executable).expect("a file of our own");
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Looks at the command lines of all processes, again and again.
struct Watch {
    over: Arc<AtomicBool>,
    /// How often it has looked.
    looks: Arc<AtomicU64>,
    looking: JoinHandle<Seen>,
}

#[derive(Default)]
struct Seen {
    looked_at_chatctl: bool,
    /// Command lines with a secret in them.
    secrets: BTreeSet<String>,
}

impl Watch {
    fn start(secrets: Vec<String>) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let looks = Arc::<AtomicU64>::default();
        let (is_over, count) = (Arc::clone(&over), Arc::clone(&looks));
        let looking = std::thread::spawn(move || {
            let mut seen = Seen::default();
            while !is_over.load(Ordering::Relaxed) {
                for line in command_lines() {
                    seen.looked_at_chatctl |= line.contains("chatctl deploy --json");
                    if secrets.iter().any(|it| line.contains(it)) {
                        seen.secrets.insert(line);
                    }
                }
                count.fetch_add(1, Ordering::Relaxed);
                std::thread::sleep(BETWEEN_LOOKS);
            }
            seen
        });
        Self {
            over,
            looks,
            looking,
        }
    }

    fn end(self) -> Seen {
        self.over.store(true, Ordering::Relaxed);
        self.looking.join().expect("it looks on")
    }
}

fn command_lines() -> Vec<String> {
    let processes = std::fs::read_dir("/proc").expect("Linux").flatten();
    let lines = processes.filter_map(|it| std::fs::read(it.path().join("cmdline")).ok());
    let text = |line: Vec<u8>| String::from_utf8_lossy(&line).replace('\0', " ");
    lines.map(text).collect()
}

#[test]
fn a_secret_on_a_command_line_is_seen() {
    let secret = format!("a-secret-{}", std::process::id());
    let watch = Watch::start(vec![secret.clone()]);
    let mut shell = std::process::Command::new("sh");
    // It waits for its input's end, so it is there until it has been seen.
    let shell = shell.args(["-c", "read -r it", &secret]);
    let mut shell = shell
        .stdin(std::process::Stdio::piped())
        .spawn()
        .expect("a shell");
    let since = std::time::Instant::now();
    while !command_lines().iter().any(|it| it.contains(&secret)) {
        assert!(since.elapsed() < e2e::DEADLINE, "it is there");
        std::thread::yield_now();
    }
    // One look may have begun before that.
    let before = watch.looks.load(Ordering::Relaxed);
    while watch.looks.load(Ordering::Relaxed) < before + 2 {
        assert!(since.elapsed() < e2e::DEADLINE, "it looks on");
        std::thread::sleep(BETWEEN_LOOKS);
    }
    drop(shell.stdin.take());
    shell.wait().expect("it ends");
    assert_eq!(watch.end().secrets.len(), 1);
}
