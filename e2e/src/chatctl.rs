//! The program `chatctl`, built and run as a person would.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::sync::OnceLock;

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::ministack::Ministack;
use crate::{DEADLINE, within_deadline};

/// The checkout that the tests are part of.
///
/// # Panics
/// Never: the folder of this package has a parent.
#[must_use]
pub fn checkout() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("e2e is in a checkout")
        .to_owned()
}

/// Where cargo builds, and where everything else goes that is made.
#[must_use]
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| checkout().join("target"), PathBuf::from)
}

/// cargo, in the checkout.
#[must_use]
pub fn cargo() -> std::process::Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut cargo = std::process::Command::new(cargo);
    // The variables that tell a test which package it is of would make some build scripts run again.
    for (variable, _) in std::env::vars()
        .filter(|(name, _)| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_"))
    {
        cargo.env_remove(variable);
    }
    cargo.current_dir(checkout());
    cargo
}

/// Builds a program of the workspace, once for each test process, and gives its path.
fn built(package: &str, program: &str, profile: &str) -> PathBuf {
    let output = cargo()
        .args([
            "build",
            "--package",
            package,
            "--bin",
            program,
            "--profile",
            profile,
        ])
        .args(["--message-format", "json-render-diagnostics"])
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo builds `{program}`");
    let messages = String::from_utf8_lossy(&output.stdout);
    let artifacts = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let path = artifacts
        .filter(|artifact| artifact["target"]["name"] == program)
        .find_map(|artifact| artifact["executable"].as_str().map(PathBuf::from));
    path.expect("cargo tells where the program is")
}

/// The path of `chatctl`.
#[must_use]
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| built("chatctl", "chatctl", "dev"))
}

/// The path of the functions' `bootstrap`.
#[must_use]
pub fn bootstrap() -> &'static Path {
    static BOOTSTRAP: OnceLock<PathBuf> = OnceLock::new();
    BOOTSTRAP.get_or_init(|| built("handlers", "bootstrap", "dev"))
}

/// The path of the functions' `bootstrap` as it is packaged. Built here, it takes minutes; within
/// `chatctl dev --release` a test would wait for that with a deadline meant for starting.
#[must_use]
pub fn packaged_bootstrap() -> PathBuf {
    built("handlers", "bootstrap", "lambda")
}

/// Runs `chatctl` to its end, without variables of the tester's own.
///
/// # Panics
/// When it does not end.
pub async fn run(arguments: &[&str]) -> Output {
    let output = command(arguments).output();
    within_deadline("end of chatctl", output)
        .await
        .expect("chatctl runs")
}

/// `chatctl`, to be run in the checkout without variables of the tester's own.
#[must_use]
pub fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .args(arguments)
        .current_dir(checkout())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let own = |name: &std::ffi::OsStr| {
        let name = name.to_string_lossy();
        name.starts_with("CHATCTL_") || name.starts_with("AWS_")
    };
    for (variable, _) in std::env::vars_os().filter(|(name, _)| own(name)) {
        command.env_remove(variable);
    }
    command
}

/// Runs `chatctl` to its end, with an AWS of the tests'.
///
/// # Panics
/// When it does not end.
pub async fn run_on(ministack: &Ministack, arguments: &[&str]) -> Output {
    let output = command(arguments).envs(ministack.environment()).output();
    within_deadline("end of chatctl", output)
        .await
        .expect("chatctl runs")
}

/// Runs `chatctl` with `--json` among its arguments to a good end, with an AWS of the tests', and gives its
/// result.
///
/// # Panics
/// When it fails, or tells no result.
pub async fn result_on(ministack: &Ministack, arguments: &[&str]) -> Value {
    let output = run_on(ministack, arguments).await;
    let stdout = String::from_utf8_lossy(&output.stdout);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.code(),
        Some(0),
        "{arguments:?}\n{stdout}\n{stderr}\n{}",
        ministack.log()
    );
    let last = stdout.lines().last().expect("a result");
    let result: Value = serde_json::from_str(last).expect("a line of JSON");
    assert_eq!(result["event"], "result", "{stdout}");
    result
}

/// The template of the stage `dev` as JSON, as `chatctl synth` prints it.
///
/// # Panics
/// When `chatctl synth` fails.
pub async fn synthesized() -> Value {
    let output = run(&["synth", "--format", "json"]).await;
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("the template is JSON")
}

/// `chatctl dev`, running.
#[derive(Debug)]
pub struct Dev {
    child: Child,
    stdout: Lines<BufReader<ChildStdout>>,
    /// Where the page is.
    pub site: String,
    /// Where the socket is.
    pub websocket: String,
}

impl Dev {
    /// Starts it on a free port with `--json` and more arguments, and waits for its URLs.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, Stdio::inherit()).await
    }

    /// Starts it as [`Dev::start`] does, with another standard error.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_with(arguments: &[&str], stderr: Stdio) -> Self {
        // Built before the deadline runs; `chatctl dev` then finds it up to date.
        let _ = bootstrap();
        Self::start_in(arguments, &[], stderr, DEADLINE).await
    }

    /// Starts it as [`Dev::start_with`] does, with more variables and a deadline that a build fits in.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start_in(
        arguments: &[&str],
        variables: &[(&str, &str)],
        stderr: Stdio,
        deadline: std::time::Duration,
    ) -> Self {
        let arguments = [&["dev", "--port", "0", "--json"], arguments].concat();
        let mut command = command(&arguments);
        command.envs(variables.iter().copied());
        Self::of(command, stderr, deadline).await
    }

    /// Starts a command that is `chatctl dev` with `--json`.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn of(mut command: Command, stderr: Stdio, deadline: std::time::Duration) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .expect("chatctl starts");
        let mut stdout = BufReader::new(child.stdout.take().expect("piped")).lines();
        let line = tokio::time::timeout(deadline, stdout.next_line()).await;
        let line = line.expect("URLs in time").expect("readable");
        let line = line.expect("chatctl dev prints its URLs before it ends");
        let urls: Value = serde_json::from_str(&line).expect("one line of JSON");
        let url = |name: &str| urls[name].as_str().expect(name).to_owned();
        assert_eq!(
            urls.as_object().map(serde_json::Map::len),
            Some(2),
            "{line}"
        );
        Self {
            child,
            stdout,
            site: url("site"),
            websocket: url("websocket"),
        }
    }

    /// Fetches a file of its page.
    ///
    /// # Panics
    /// When there is none.
    pub async fn get(&self, file: &str) -> String {
        let host = self
            .site
            .trim_start_matches("http://")
            .trim_end_matches('/');
        let fetched = async {
            let stream = TcpStream::connect(host).await?;
            let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
            let (mut sender, connection) = handshake.map_err(std::io::Error::other)?;
            let request = hyper::Request::get(format!("/{file}"))
                .header("host", host)
                .header("connection", "close")
                .body(Empty::<Bytes>::new())
                .map_err(std::io::Error::other)?;
            let answer = async {
                let response = sender.send_request(request).await?;
                assert_eq!(response.status(), 200, "{file}");
                Ok::<_, hyper::Error>(response.collect().await?.to_bytes())
            };
            let (answer, _) = tokio::join!(answer, connection);
            answer.map_err(std::io::Error::other)
        };
        let body = within_deadline(file, fetched).await.expect(file);
        String::from_utf8(body.to_vec()).expect("text")
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id().expect("still running")
    }

    /// Its standard error, if that is a pipe; once.
    pub fn take_stderr(&mut self) -> Option<ChildStderr> {
        self.child.stderr.take()
    }

    /// Sends a signal and gives the exit code, what else was printed on standard output, and how
    /// long the end took.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn end(mut self, signal: &str) -> (Option<i32>, String, std::time::Duration) {
        let since = std::time::Instant::now();
        send_signal(signal, self.pid());
        let status = within_deadline("end", self.child.wait())
            .await
            .expect("waited for");
        let took = since.elapsed();
        let mut rest = String::new();
        let read = self.stdout.get_mut().read_to_string(&mut rest);
        within_deadline("rest of the output", read)
            .await
            .expect("readable");
        (status.code(), rest, took)
    }
}

/// Sends a signal, `INT`, `TERM` or `KILL`, to a process of the tests' own.
///
/// # Panics
/// When there is no such process.
pub fn send_signal(signal: &str, pid: u32) {
    let signal = match signal {
        "INT" => Signal::INT,
        "TERM" => Signal::TERM,
        "KILL" => Signal::KILL,
        other => panic!("no test sends the signal {other}"),
    };
    let process = i32::try_from(pid).ok().and_then(Pid::from_raw);
    kill_process(process.expect("a process id"), signal)
        .unwrap_or_else(|error| panic!("process {pid} takes no signal: {error}"));
}

/// The processes whose parent is `pid`.
///
/// # Panics
/// When `/proc` cannot be read.
#[must_use]
pub fn children_of(pid: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").expect("Linux");
    let ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    ids.filter(|id| parent_of(*id) == Some(pid)).collect()
}

/// Whether a process is there, and not merely waiting to be reaped.
#[must_use]
pub fn is_running(pid: u32) -> bool {
    stat_fields(pid).is_some_and(|fields| fields.first().is_some_and(|state| state != "Z"))
}

fn parent_of(pid: u32) -> Option<u32> {
    stat_fields(pid)?.get(1)?.parse().ok()
}

/// The fields of `/proc/<pid>/stat` after the program's name.
fn stat_fields(pid: u32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some(fields.map(str::to_owned).collect())
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within [`DEADLINE`], naming `what`.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let since = std::time::Instant::now();
    while !condition() {
        assert!(
            since.elapsed() < DEADLINE,
            "not {what} within {} s",
            DEADLINE.as_secs()
        );
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}
