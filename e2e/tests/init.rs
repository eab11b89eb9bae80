//! An app of one's own: what `chatctl init` writes is the same chat, and is changed where it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant, SystemTime};

use e2e::chatctl::{self, Dev};
use e2e::client::Client;
use e2e::ministack::Ministack;
use serde_json::{Value, json};
use tokio::process::Command;

/// The functions are compiled, as they are tested or as they are packaged; in a fresh clone with all that they need.
const BUILD_DEADLINE: Duration = Duration::from_mins(15);

/// Both tests that build do so in the same folder.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// Of the functions as they are tried here. Any number but cargo's own does: then what is built of an app that
/// has been changed is never taken for the checkout's.
const OWN_PROFILE: &str = "[profile.dev.package.handlers]\ncodegen-units = 250\n";

/// What may be added to an app's stack, a parameter of each kind and every section among it.
const OWN_STACK: &str = "\
Parameters:
  Club:
    Type: String
    Default: ours
  Seats:
    Type: Number
    Default: 12
Rules:
  Seated:
    Assertions:
      - Assert: !Not [!Equals [!Ref Seats, 0]]
        AssertDescription: A club has seats
Mappings:
  Titles:
    ours:
      Title: \"Our club\"
Resources:
  ClubTopic:
    Type: AWS::SNS::Topic
    Properties:
      DisplayName: !FindInMap [Titles, !Ref Club, Title]
Outputs:
  Club:
    Description: Ours
    Value: !FindInMap [Titles, !Ref Club, Title]
";

/// An app in a folder of its own, with nothing of the checkout around it. It goes with the test.
struct App {
    root: PathBuf,
    folder: PathBuf,
}

impl App {
    /// Where one may be begun.
    fn place(name: &str) -> Self {
        let root = format!("chatctl-app-{name}-{}", std::process::id());
        let root = std::env::temp_dir().join(root);
        let _ = std::fs::remove_dir_all(&root);
        std::fs::create_dir_all(root.join(".cargo")).expect("a folder");
        std::fs::write(root.join(".cargo/config.toml"), OWN_PROFILE).expect("a file");
        let root = root.canonicalize().expect("made");
        let folder = root.join("app");
        Self { root, folder }
    }

    async fn begun(name: &str) -> Self {
        let app = Self::place(name);
        let begun = run(app.command(&app.root, &["init", "app"])).await;
        assert_eq!(begun.status.code(), Some(0), "{begun:?}");
        app
    }

    /// `chatctl` in a folder. What others have compiled is used, and nothing that is needed is fetched.
    fn command(&self, folder: &Path, arguments: &[&str]) -> Command {
        let mut command = chatctl::command(arguments);
        command.current_dir(folder);
        command.envs(self.builds());
        command
    }

    fn builds(&self) -> [(&'static str, PathBuf); 3] {
        [
            ("CARGO_TARGET_DIR", self.root.join("target")),
            ("CARGO_BUILD_BUILD_DIR", chatctl::target()),
            ("CARGO_NET_OFFLINE", PathBuf::from("true")),
        ]
    }

    /// `chatctl` in the app, to a good end.
    async fn says(&self, arguments: &[&str]) -> String {
        self.says_to(&[], arguments).await
    }

    async fn says_to(&self, variables: &[(&str, String)], arguments: &[&str]) -> String {
        let mut command = self.command(&self.folder, arguments);
        command.envs(variables.iter().map(|(name, value)| (name, value)));
        let output = run(command).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Has its files look older than what was built of the checkout. cargo then builds only where something else
    /// differs: a version, a feature, a lint, a profile.
    fn aged(self) -> Self {
        let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        for path in files(&self.folder).into_keys() {
            let file = std::fs::File::options()
                .append(true)
                .open(self.folder.join(path));
            let aged = file.and_then(|it| it.set_modified(long_ago));
            aged.expect("a time that can be set");
        }
        self
    }

    fn replace(&self, file: &str, from: &str, to: &str) {
        let path = self.folder.join(file);
        let text = std::fs::read_to_string(&path).expect("a file of the app");
        assert!(text.contains(from), "{file}: {from}");
        std::fs::write(path, text.replace(from, to)).expect("a file of the app");
    }
}

impl Drop for App {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.root);
    }
}

async fn run(mut command: Command) -> Output {
    let output = tokio::time::timeout(BUILD_DEADLINE, command.output()).await;
    output.expect("an end in time").expect("it can be run")
}

/// Looks until there is something.
async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(since.elapsed() < BUILD_DEADLINE, "no sign of {what}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// All files of a folder, by their paths from it.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<PathBuf, Vec<u8>>) {
        for entry in std::fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                collect(root, &path, files);
            } else {
                let name = path.strip_prefix(root).expect("below it").to_owned();
                files.insert(name, std::fs::read(path).expect("a file"));
            }
        }
    }
    let mut files = BTreeMap::new();
    collect(folder, folder, &mut files);
    files
}

fn last_line(text: &str) -> Value {
    let line = text.lines().last().expect("a result");
    serde_json::from_str(line).expect("a line of JSON")
}

#[tokio::test]
async fn an_app_is_begun_where_nothing_is_and_nothing_that_is_there_is_touched() {
    let app = App::place("begun");
    let begun = run(app.command(&app.root, &["init", "app", "--name", "club"])).await;
    let said = String::from_utf8(begun.stderr).expect("text");
    assert_eq!(begun.status.code(), Some(0), "{said}");
    assert!(begun.stdout.is_empty());
    for part in ["wwwroot/", "cloudformation/", "handlers/", "chatctl deploy"] {
        assert!(said.contains(part), "{said}");
    }
    assert!(said.lines().all(|it| it.chars().count() <= 80), "{said}");

    let before = files(&app.folder);
    let refused = run(app.command(&app.root, &["init", "app"])).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    let found = "`app` is not empty: it has `.gitignore`, `Cargo.lock`, `Cargo.toml` and";
    assert!(said.contains(found) && said.contains("hint: "), "{said}");
    assert_eq!(files(&app.folder), before);

    let wrong = run(app.command(&app.root, &["init", "other", "--name", "My Club"])).await;
    let said = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert_eq!(wrong.status.code(), Some(2), "{said}");
    assert!(
        said.contains("`My Club`") && said.contains("--name"),
        "{said}"
    );
    let mut there: Vec<_> = std::fs::read_dir(&app.root)
        .expect("a folder")
        .map(|it| it.expect("an entry").file_name())
        .collect();
    there.sort();
    assert_eq!(there, [".cargo", "app"]);

    // Where the user stands in it does not matter: it is called so.
    for folder in [app.folder.clone(), app.folder.join("handlers/src")] {
        let synth = run(app.command(&folder, &["synth", "--format", "json"])).await;
        let template: Value = serde_json::from_slice(&synth.stdout).expect("JSON");
        assert_eq!(template["Parameters"]["StageName"]["Default"], "club");
    }

    // Its template is its own.
    let own = "Outputs:\n  Club:\n    Description: Ours\n    Value: ours\n";
    std::fs::write(app.folder.join("cloudformation/club.yaml"), own).expect("a file");
    for source in [
        vec![],
        vec!["--source", app.folder.to_str().expect("characters")],
    ] {
        let is_named = !source.is_empty();
        let folder = if is_named { &app.root } else { &app.folder };
        let synth = [&["synth", "--format", "json"], &source[..]].concat();
        let synth = run(app.command(folder, &synth)).await;
        let template: Value = serde_json::from_slice(&synth.stdout).expect("JSON");
        assert_eq!(template["Outputs"]["Club"]["Value"], "ours", "{is_named}");
    }
}

#[tokio::test]
async fn an_app_passes_its_tests_runs_here_and_shows_what_is_changed_in_it() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let app = App::begun("changed").await;
    let before = files(&app.folder);
    let ours = chatctl::run(&["synth"]).await;
    assert_eq!(app.says(&["synth"]).await.as_bytes(), ours.stdout);

    it_passes_its_tests(&app).await;

    let arguments = ["dev", "--port", "0", "--json", "--watch"];
    let arguments = [&arguments[..], &["--messages-per-second", "0"]].concat();
    let command = app.command(&app.folder, &arguments);
    let dev = Dev::of(command, Stdio::inherit(), BUILD_DEADLINE).await;
    let verify = [
        "verify",
        "--url",
        &dev.websocket,
        "--site",
        &dev.site,
        "--json",
    ];
    let verified = last_line(&app.says(&verify).await);
    for empty in ["failed", "not_tried"] {
        assert_eq!(verified[empty], json!([]), "{verified}");
    }
    assert_eq!(
        files(&app.folder),
        before,
        "what is run leaves no trace in it"
    );

    let page = dev.get("").await;
    assert!(page.contains("<title>Chat</title>"), "{page}");
    app.replace("wwwroot/index.html", "<title>Chat<", "<title>Club<");
    let shows_it = async || {
        let page = dev.get("").await;
        page.contains("<title>Club</title>").then_some(())
    };
    eventually("the changed page", shows_it).await;

    let mut ann = Client::connect(&dev.websocket).await;
    ann.ask(json!({"type": "create", "name": "ann"})).await;
    let text = json!({"type": "message", "text": "x".repeat(12)});
    assert_eq!(ann.ask(text.clone()).await["type"], "message");
    let rule = "TEXT_CHARS_MAX: usize = ";
    let (from, to) = (format!("{rule}4_000;"), format!("{rule}11;"));
    app.replace("handlers/src/chat/message.rs", &from, &to);
    let is_refused = async || {
        let answer = ann.ask(text.clone()).await;
        (answer["type"] == "error").then_some(answer)
    };
    let refused = eventually("the changed rule", is_refused).await;
    let told = refused["message"].as_str().expect("words");
    assert!(told.contains("1 to 11 characters"), "{refused}");
    let (code, _, _) = dev.end("TERM").await;
    assert_eq!(code, Some(0));
}

/// `cargo test`, as its reader types it, but that neither the lock may be changed nor anything fetched.
async fn it_passes_its_tests(app: &App) {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = Command::new(cargo);
    let is_of_a_package =
        |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars().filter(|(name, _)| is_of_a_package(name)) {
        cargo.env_remove(name);
    }
    cargo
        .args(["test", "--locked"])
        .current_dir(&app.folder)
        .envs(app.builds())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let tested = run(cargo).await;
    let said = String::from_utf8_lossy(&tested.stdout);
    let told = String::from_utf8_lossy(&tested.stderr);
    assert!(tested.status.success(), "{said}\n{told}");
    assert!(!told.contains("warning"), "{told}");
    let passed = said.lines().filter(|it| it.ends_with("... ok")).count();
    assert!(passed > 100, "{passed} tests: {said}");
}

#[tokio::test]
async fn an_app_as_it_was_begun_is_deployed_like_the_checkout_and_destroyed() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let _ = chatctl::packaged_bootstrap();
    let ministack = Ministack::start().await;
    let app = App::begun("deployed").await.aged();
    let aws = ministack.environment();
    let mut deploy = app.command(&app.folder, &["deploy", "--json"]);
    deploy.envs(aws.clone());
    let deploy = run(deploy).await;
    let told = String::from_utf8_lossy(&deploy.stderr);
    assert_eq!(deploy.status.code(), Some(0), "{told}");
    assert!(!told.contains("Compiling"), "another program: {told}");
    assert!(told.contains("Finished `lambda` profile"), "{told}");
    let deployed = last_line(&String::from_utf8_lossy(&deploy.stdout));
    assert_eq!(deployed["changed"], true, "{deployed}");
    let page = ministack
        .get(deployed["site"].as_str().expect("a URL"))
        .await;
    let own = std::fs::read(app.folder.join("wwwroot/index.html"));
    assert_eq!(page.body().as_ref(), own.expect("the page"));

    // Template, functions and page are those of the checkout, to the byte.
    let mut diff = chatctl::command(&["diff", "--json"]);
    diff.envs(aws.clone());
    let diff = run(diff).await;
    let said = String::from_utf8_lossy(&diff.stderr);
    let diff = last_line(&String::from_utf8_lossy(&diff.stdout));
    assert_eq!(diff["differs"], false, "{diff}\n{said}");

    // What is changed in it is what a deploy would bring.
    app.replace("wwwroot/index.html", "<title>Chat<", "<title>Club<");
    let diff = last_line(&app.says_to(&aws, &["diff", "--json"]).await);
    assert_eq!(diff["differs"], true, "{diff}");
    assert_eq!(diff["page"]["send"], json!(["index.html"]), "{diff}");

    // So is what is added to its stack, and once only.
    let own = app.folder.join("cloudformation/club.yaml");
    std::fs::write(own, OWN_STACK).expect("a file");
    for changed in [true, false] {
        let mut deploy = app.command(&app.folder, &["deploy", "--json"]);
        deploy.envs(aws.clone());
        let deploy = run(deploy).await;
        let (told, said) = (
            String::from_utf8_lossy(&deploy.stdout),
            String::from_utf8_lossy(&deploy.stderr),
        );
        assert_eq!(deploy.status.code(), Some(0), "{said}");
        assert_eq!(last_line(&told)["changed"], changed, "{told}");
        assert_eq!(told.contains(": as deployed"), !changed, "{told}");
    }
    let status = last_line(&app.says_to(&aws, &["status", "--json"]).await);
    assert_eq!(status["settings_as_here"], true, "{status}");
    let stack = json!({"StackName": "chat-dev"});
    let stacks = ministack
        .aws("cloudformation", "describe_stacks", stack)
        .await;
    let outputs = stacks["Stacks"][0]["Outputs"].to_string();
    assert!(outputs.contains("\"Our club\""), "{stacks}");

    let destroy = ["destroy", "--yes", "--json"];
    let destroyed = last_line(&app.says_to(&aws, &destroy).await);
    assert_eq!(destroyed["stack"], "chat-dev", "{destroyed}");
}
