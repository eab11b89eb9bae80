//! What is handed out, as it comes out of its archive: in an empty folder, with an empty search path. And what
//! cargo installs.

#[path = "dist/installed.rs"]
mod installed;
#[path = "dist/moved.rs"]
mod moved;
#[path = "dist/released.rs"]
mod released;

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use e2e::chatctl::{self, children_of, send_signal};
use e2e::client::Client;
use e2e::ministack::Ministack;
use e2e::within_deadline;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

/// `chatctl` and the functions may have to be compiled.
const BUILD_DEADLINE: Duration = Duration::from_mins(30);

/// A local stack that is up.
struct Dev {
    process: Child,
    urls: Value,
}

impl Dev {
    async fn start(mut dev: Command) -> Self {
        let mut process = dev
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("chatctl starts");
        let mut stdout = BufReader::new(process.stdout.take().expect("piped")).lines();
        let line = within_deadline("URLs", stdout.next_line()).await;
        let line = line.expect("readable").expect("URLs");
        let urls = serde_json::from_str(&line).expect("JSON");
        Self { process, urls }
    }

    /// Ends it, and gives its notes.
    async fn end(mut self) -> String {
        send_signal("TERM", self.process.id().expect("running"));
        let status = within_deadline("end", self.process.wait()).await;
        assert_eq!(status.expect("waited for").code(), Some(0));
        let mut notes = String::new();
        let mut stderr = self.process.stderr.take().expect("piped");
        let read = within_deadline("notes", stderr.read_to_string(&mut notes)).await;
        read.expect("readable");
        notes
    }
}

/// An archive that was unpacked where nothing else is: the one that `CHAT_TEST_ARCHIVE` names, or a quick one. It
/// goes with the test.
struct HandedOut(PathBuf);

impl HandedOut {
    async fn new() -> Self {
        // Not below cargo's own folder: there the checkout would be around it.
        let root = std::env::temp_dir().join(format!("chatctl-dist-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&root);
        for folder in ["empty", "home", "tmp"] {
            std::fs::create_dir_all(root.join(folder)).expect("a folder");
        }
        let root = Self(root.canonicalize().expect("made"));
        let archive = match std::env::var_os("CHAT_TEST_ARCHIVE") {
            Some(archive) => PathBuf::from(archive),
            None => quick_archive().await,
        };
        let parent = archive.parent().expect("a folder");
        let sum = archive.with_added_extension("sha256");
        let checked = std::process::Command::new("sha256sum")
            .args(["--check", "--status"])
            .arg(sum)
            .current_dir(parent)
            .status();
        assert!(checked.expect("sha256sum runs").success());
        let unpacked = std::process::Command::new("tar")
            .args(["--extract", "--gzip", "--strip-components=1", "--file"])
            .arg(&archive)
            .current_dir(&root.0)
            .status();
        assert!(unpacked.expect("tar runs").success());
        root
    }

    /// `chatctl` with nothing around it.
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.0.join("chatctl"));
        command
            .args(arguments)
            .env_clear()
            .env("PATH", self.0.join("empty"))
            .env("HOME", self.0.join("home"))
            .env("TMPDIR", self.0.join("tmp"))
            .current_dir(self.0.join("empty"))
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    }

    async fn run(&self, ministack: Option<&Ministack>, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command.envs(ministack.map(Ministack::environment).into_iter().flatten());
        let output = within_deadline("end of chatctl", command.output()).await;
        output.expect("chatctl runs")
    }

    /// The result of a command that has one.
    async fn result(&self, ministack: &Ministack, arguments: &[&str]) -> Value {
        let output = self.run(Some(ministack), arguments).await;
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{stdout}\n{stderr}");
        serde_json::from_str(stdout.lines().last().expect("a result")).expect("JSON")
    }
}

/// Makes one from what has been compiled already.
async fn quick_archive() -> PathBuf {
    let mut cargo = Command::from(chatctl::cargo());
    cargo.kill_on_drop(true);
    cargo.args(["run", "--quiet", "--package", "xtask", "--"]);
    cargo.args(["dist", "--quick"]);
    let made = tokio::time::timeout(BUILD_DEADLINE, cargo.output()).await;
    let made = made.expect("an archive in time").expect("cargo runs");
    let told = String::from_utf8_lossy(&made.stdout);
    let stderr = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{told}\n{stderr}");
    PathBuf::from(told.lines().last().expect("the archive's path"))
}

impl Drop for HandedOut {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn in_an_empty_folder_with_an_empty_search_path_it_runs_deploys_rolls_back_and_destroys() {
    let handed_out = HandedOut::new().await;
    it_has_what_belongs_to_a_program(&handed_out).await;
    it_runs_the_stack_here_and_leaves_nothing(&handed_out).await;
    it_refuses_to_watch_what_is_not_there(&handed_out).await;
    it_looks_after_a_chat_in_the_cloud(&handed_out).await;
}

async fn it_has_what_belongs_to_a_program(handed_out: &HandedOut) {
    for file in [
        "LICENSE",
        "README.md",
        "CHANGELOG.md",
        "THIRD-PARTY.txt",
        "RUST-LIBRARY.html",
        "completions/chatctl.bash",
        "completions/_chatctl",
        "completions/chatctl.fish",
        "man/chatctl.1",
        "man/chatctl-deploy.1",
    ] {
        let content = std::fs::read_to_string(handed_out.0.join(file)).expect(file);
        assert!(content.len() > 100, "{file}: {content}");
    }
    let version = handed_out.run(None, &["--version"]).await;
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    assert!(
        version.contains("carries the functions for x86_64"),
        "{version}"
    );
    // What was built here to be used here says that, too.
    let own = chatctl::run(&["--version"]).await;
    let own = String::from_utf8_lossy(&own.stdout).into_owned();
    assert!(own.contains("carries no functions"), "{own}");
}

async fn it_runs_the_stack_here_and_leaves_nothing(handed_out: &HandedOut) {
    let dev = Dev::start(handed_out.command(&["dev", "--port", "0", "--json"])).await;
    let children = children_of(dev.process.id().expect("running"));
    assert!(children.len() >= 3, "{children:?}");
    let temporary = handed_out.0.join("tmp");
    for child in children {
        let program = std::fs::read_link(format!("/proc/{child}/exe")).expect("it runs");
        assert!(program.starts_with(&temporary), "{}", program.display());
    }

    let site = dev.urls["site"].as_str().expect("a URL");
    let page = get(site).await;
    let index = std::fs::read_to_string(chatctl::checkout().join("wwwroot/index.html"));
    assert!(page.ends_with(&index.expect("the page")), "{page}");
    let socket = dev.urls["websocket"].as_str().expect("a URL");
    let mut ann = Client::connect(socket).await;
    let joined = ann.ask(json!({"type": "create", "name": "ann"})).await;
    assert_eq!(joined["type"], "joined");

    let verify = ["verify", "--url", socket, "--site", site];
    let verified = handed_out.run(None, &verify).await;
    let held = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert_eq!(verified.status.code(), Some(0), "{held}");
    assert!(held.lines().count() > 20, "{held}");

    let notes = dev.end().await;
    assert!(
        notes.contains("functions and template from this program itself"),
        "{notes}"
    );
    for folder in ["tmp", "empty", "home"] {
        let left = std::fs::read_dir(handed_out.0.join(folder)).expect("still there");
        let left: Vec<_> = left.map(|it| it.expect("readable").path()).collect();
        assert!(left.is_empty(), "{left:?}");
    }
}

async fn it_refuses_to_watch_what_is_not_there(handed_out: &HandedOut) {
    let refused = handed_out
        .run(None, &["dev", "--port", "0", "--watch"])
        .await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("no sources here to watch"), "{said}");
    assert!(said.contains("--source"), "{said}");

    let refused = handed_out.run(None, &["dev", "--source", "."]).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("is not a checkout"), "{said}");
}

async fn it_looks_after_a_chat_in_the_cloud(handed_out: &HandedOut) {
    let ministack = Ministack::start().await;
    let first = handed_out.result(&ministack, &["deploy", "--json"]).await;
    assert_eq!(first["changed"], true, "{first}");
    let site = first["site"].as_str().expect("a URL").to_owned();
    let page = ministack.get(&site).await;
    let index = std::fs::read(chatctl::checkout().join("wwwroot/index.html"));
    assert_eq!(page.body().as_ref(), index.expect("the page"));
    let again = handed_out.result(&ministack, &["deploy", "--json"]).await;
    assert_eq!(again["changed"], false, "{again}");
    let urls = handed_out.result(&ministack, &["urls", "--json"]).await;
    assert_eq!(urls["site"], first["site"], "{urls}");

    let other = handed_out.0.join("home/page");
    std::fs::create_dir(&other).expect("a folder");
    std::fs::write(other.join("index.html"), "<!doctype html>another").expect("a page");
    let other = other.to_str().expect("characters");
    let deploy = ["deploy", "--json", "--wwwroot", other];
    let changed = handed_out.result(&ministack, &deploy).await;
    assert_eq!(changed["changed"], true, "{changed}");
    let rollback = ["rollback", "--json"];
    handed_out.result(&ministack, &rollback).await;
    let page = ministack.get(&site).await;
    let index = std::fs::read(chatctl::checkout().join("wwwroot/index.html"));
    assert_eq!(page.body().as_ref(), index.expect("the page"));

    let destroyed = handed_out
        .result(&ministack, &["destroy", "--yes", "--json"])
        .await;
    assert_eq!(destroyed["stack"], "chat-dev");

    // It has no functions for the other processor, and says so before it asks AWS for anything else.
    let arm = ["deploy", "--arch", "arm64"];
    let refused = handed_out.run(Some(&ministack), &arm).await;
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1), "{said}");
    assert!(said.contains("carries no functions for `arm64`"), "{said}");
    assert!(
        said.contains("`chatctl --version` tells which it carries"),
        "{said}"
    );
}

async fn get(site: &str) -> String {
    let host = site.trim_start_matches("http://").trim_end_matches('/');
    let fetched = async {
        let mut stream = TcpStream::connect(host).await?;
        let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut response = String::new();
        stream.read_to_string(&mut response).await?;
        Ok::<_, std::io::Error>(response)
    };
    within_deadline("page", fetched).await.expect("the page")
}
