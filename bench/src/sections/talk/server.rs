//! Those who are measured, started each as its users would start it.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Deserialize;

use super::profile;
use crate::error::BenchError;
use crate::section::Context;
use crate::{peers, process};

/// A server may have to be built first.
const START_TIMEOUT: Duration = Duration::from_mins(15);
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Peer {
    /// `chatctl dev --release`.
    Chatctl,
    /// The Node room chat on serverless-offline, with dynalite.
    Offline,
    /// MiniStack with our own template and bootstrap.
    Ministack,
    /// The bare axum server.
    Ceiling,
}

impl Peer {
    pub(super) const ALL: [Self; 4] =
        [Self::Chatctl, Self::Offline, Self::Ministack, Self::Ceiling];

    /// As in the report.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Chatctl => "chatctl dev",
            Self::Offline => "serverless-offline 13.9.0",
            Self::Ministack => "MiniStack 1.5.33",
            Self::Ceiling => "bare axum 0.8 broadcast",
        }
    }
}

/// All that has to be installed and built before anything is measured.
#[derive(Debug)]
pub(super) struct Kit {
    checkout: PathBuf,
    logs: PathBuf,
    chatctl: PathBuf,
    bootstrap: PathBuf,
    /// What the functions' program is built with.
    environment: Option<(&'static str, &'static str)>,
    room_chat: Option<PathBuf>,
    ministack: Option<PathBuf>,
}

impl Kit {
    /// Installs and builds what these want.
    ///
    /// # Errors
    /// Whatever cannot be.
    pub(super) fn new(context: &Context, peers: &[Peer]) -> Result<Self, BenchError> {
        let with = |peer| peers.contains(&peer);
        let environment = profile::is_there().then_some(profile::WITH_SYMBOLS);
        let logs = context.folder().join("logs");
        std::fs::create_dir_all(&logs).map_err(|source| BenchError::File {
            path: logs.clone(),
            source,
        })?;
        Ok(Self {
            checkout: context.checkout.clone(),
            logs,
            chatctl: context.program("chatctl")?,
            bootstrap: context.bootstrap(environment)?,
            environment,
            room_chat: with(Peer::Offline)
                .then(|| peers::node(context, "room-chat"))
                .transpose()?,
            ministack: with(Peer::Ministack)
                .then(|| peers::python(context, "ministack"))
                .transpose()?,
        })
    }

    /// Starts one of them with nothing in it.
    ///
    /// # Errors
    /// If it does not come up; with the end of what it said.
    pub(super) fn start(&self, peer: Peer) -> Result<Server, BenchError> {
        let mut command = match peer {
            Peer::Chatctl => {
                let mut chatctl = process::program(&self.chatctl);
                chatctl.args(["dev", "--release", "--port", "0", "--json"]);
                // A member speaks as fast as it is answered.
                chatctl.args(["--messages-per-second", "0"]);
                chatctl.envs(self.environment);
                chatctl
            }
            Peer::Offline => {
                let mut node = process::program("node");
                node.arg("start.mjs")
                    .current_dir(installed(self.room_chat.as_ref(), peer)?);
                node
            }
            Peer::Ministack => return self.start_ministack(),
            Peer::Ceiling => {
                let bench = std::env::current_exe().map_err(|source| BenchError::Start {
                    program: "bench".to_owned(),
                    source,
                })?;
                let mut bench = process::program(bench);
                bench.arg("ceiling");
                bench
            }
        };
        if peer != Peer::Offline {
            command.current_dir(&self.checkout);
        }
        let mut server = Server::spawn(&mut command, self.log(peer), Stdio::piped())?;
        let (sender, line) = mpsc::channel();
        if let Some(stdout) = server.child.stdout.take() {
            // Read to its end, so that it is never full.
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        let line = line.recv_timeout(START_TIMEOUT);
        server.url = line
            .ok()
            .and_then(|line| url_in(line.as_bytes()))
            .ok_or_else(|| server.failed("tells no URL"))?;
        Ok(server)
    }

    fn start_ministack(&self) -> Result<Server, BenchError> {
        let programs = installed(self.ministack.as_ref(), Peer::Ministack)?;
        let here = programs.join("../..");
        let template = here.join("template.json");
        let mut synth = process::program(&self.chatctl);
        synth.args(["synth", "--format", "json"]);
        let synthesized = process::output_of(synth.current_dir(&self.checkout))?;
        std::fs::write(&template, synthesized).map_err(|source| BenchError::File {
            path: template.clone(),
            source,
        })?;
        let port = free_port()?;
        let url = format!("http://127.0.0.1:{port}");
        let mut serve = process::program(programs.join("python"));
        serve
            .arg(here.join("serve.py"))
            .arg(self.checkout.join("e2e/ministack"))
            // Its functions inherit all of it.
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", &here)
            .env("TMPDIR", &here)
            .env("GATEWAY_PORT", port.to_string())
            .env("AWS_ENDPOINT_URL", &url)
            .envs([
                ("BIND_HOST", "127.0.0.1"),
                ("MINISTACK_HOST", "127.0.0.1"),
                ("IOT_MTLS_ENABLED", "0"),
                ("LAMBDA_ACCOUNT_CONCURRENCY", "0"),
            ])
            // Its functions are in it, and end with it.
            .process_group(0);
        let log = self.log(Peer::Ministack);
        let output = open(&log)?;
        let mut server = Server::spawn(&mut serve, log, Stdio::from(output))?;
        let mut deploy = process::program(programs.join("python"));
        deploy.arg(here.join("deploy.py")).args([
            url.as_ref(),
            template.as_path(),
            &self.bootstrap,
        ]);
        let said = process::output_of(&mut deploy)?;
        server.url = url_in(&said).ok_or_else(|| server.failed("has no chat"))?;
        Ok(server)
    }

    /// Where what is no result may be kept.
    pub(super) fn folder(&self) -> &Path {
        &self.logs
    }

    fn log(&self, peer: Peer) -> PathBuf {
        let name = peer.name().replace(' ', "-");
        self.logs.join(format!("{name}.log"))
    }
}

/// A server that runs, and ends with this value.
#[derive(Debug)]
pub(super) struct Server {
    /// Where its socket is.
    pub(super) url: String,
    child: Child,
    log: PathBuf,
}

impl Server {
    fn spawn(command: &mut Command, log: PathBuf, stdout: Stdio) -> Result<Self, BenchError> {
        let child = command
            // The leash of those that have one.
            .stdin(Stdio::piped())
            .stdout(stdout)
            .stderr(Stdio::from(open(&log)?))
            .spawn()
            .map_err(|source| BenchError::Start {
                program: command.get_program().to_string_lossy().into_owned(),
                source,
            })?;
        Ok(Self {
            url: String::new(),
            child,
            log,
        })
    }

    /// The root of its processes.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    fn failed(&self, how: &str) -> BenchError {
        BenchError::Failed {
            program: self.log.display().to_string(),
            how: how.to_owned(),
            said: process::tail(&std::fs::read(&self.log).unwrap_or_default()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let (Some(id), Ok(None)) = (id, self.child.try_wait()) {
            // It may have ended by itself since.
            let _ = kill_process(id, Signal::TERM);
        }
        let since = Instant::now();
        while since.elapsed() < END_TIMEOUT && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn installed(folder: Option<&PathBuf>, peer: Peer) -> Result<&PathBuf, BenchError> {
    folder.ok_or_else(|| BenchError::Measurement(format!("{} is not installed", peer.name())))
}

fn open(log: &Path) -> Result<File, BenchError> {
    File::create(log).map_err(|source| BenchError::File {
        path: log.to_owned(),
        source,
    })
}

fn url_in(said: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Urls {
        websocket: String,
    }
    let urls: Urls = serde_json::from_slice(said).ok()?;
    Some(urls.websocket)
}

fn free_port() -> Result<u16, BenchError> {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|it| Ok(it.local_addr()?.port()));
    port.map_err(|source| BenchError::Start {
        program: "a listener".to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_named_with_the_versions_that_are_pinned() {
        let npm = include_str!("../../../peers/room-chat/package.json");
        let pip = include_str!("../../../peers/ministack/requirements.txt");
        let version = |text: &str, key: &str| {
            let (_, rest) = text.split_once(key).expect("pinned");
            rest.split(['\n', '"']).next().map(str::to_owned)
        };
        let named = |peer: Peer| peer.name().rsplit(' ').next().map(str::to_owned);
        let offline = version(npm, "\"serverless-offline\": \"");
        assert_eq!(named(Peer::Offline), offline);
        assert_eq!(named(Peer::Ministack), version(pip, "ministack=="));
    }
}
