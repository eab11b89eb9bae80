//! One process of a function, from start to end.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::function::{Current, Function};
use super::runtime_api::{InitState, Invocation, RuntimeApi};
use super::{InitError, InvokeError};
use crate::observer::Event;

/// Lines kept to explain why a process did not start.
const LINES_KEPT: usize = 5;

/// How long is waited for the last lines of a process that has ended.
const LAST_LINES: Duration = Duration::from_millis(500);

/// A running process with all that it starts itself. Dropping it kills them.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    group: Option<Pid>,
    api: RuntimeApi,
    output: Output,
    /// Of which code it is.
    generation: u64,
    /// Until its first invocation has ended.
    init_duration: Option<Duration>,
    _alive: Alive,
}

/// One invocation of a process.
pub(super) struct Request<'a> {
    pub(super) id: &'a str,
    pub(super) event: Bytes,
    pub(super) timeout: Duration,
    /// When the process is killed on purpose, if it is; whatever it has answered until then is lost.
    pub(super) crash_after: Option<Duration>,
}

impl Process {
    /// Starts a process and waits until it asks for its first invocation, and `extra` more.
    pub(super) async fn start(
        function: &Function,
        current: &Current,
        extra: Duration,
    ) -> Result<Self, InitError> {
        let begun = Instant::now();
        let failed = |error: std::io::Error| InitError::Start {
            function: function.id.clone(),
            reason: error.to_string(),
        };
        let api = RuntimeApi::start(function.arn(), Arc::clone(&function.all)).await;
        let api = api.map_err(failed)?;
        let mut process = Self::spawn(function, current, api).map_err(failed)?;
        let limit = function.options.init_timeout;
        let status = tokio::select! {
            biased;
            state = process.api.initialized() => match state {
                InitState::Ready => {
                    tokio::time::sleep(extra).await;
                    process.init_duration = Some(begun.elapsed());
                    return Ok(process);
                }
                InitState::Failed(reason) => Some(reason),
                InitState::Starting => Some("its runtime API ended".to_owned()),
            },
            ended = process.child.wait() => Some(described(ended)),
            () = tokio::time::sleep(limit) => None,
        };
        let output = process.stop().await;
        let function = function.id.clone();
        Err(match status {
            Some(status) => InitError::Ended {
                function,
                status,
                output,
            },
            None => InitError::TimedOut {
                function,
                limit,
                output,
            },
        })
    }

    fn spawn(function: &Function, current: &Current, api: RuntimeApi) -> std::io::Result<Self> {
        let mut command = Command::new(&current.code.program);
        command
            .args(&current.code.arguments)
            .env_clear()
            .envs(function.variables(api.address()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // Ctrl-C on a terminal goes to the whole foreground group; only the stack decides when its
        // functions end. And what a function starts itself ends with it, as with Lambda's sandbox.
        command.process_group(0);
        let mut child = command.spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let output = Output::of(function, &mut child);
        Ok(Self {
            child,
            group,
            api,
            output,
            generation: current.generation,
            init_duration: None,
            _alive: Alive::new(&function.alive),
        })
    }

    /// Of which code it is.
    pub(super) fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether the process still runs, as far as is known.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Hands over one event and waits for the response, the process's end, or the timeout. After any
    /// error but the function's own the process is of no use any more.
    pub(super) async fn invoke(&mut self, request: Request<'_>) -> Result<Bytes, InvokeError> {
        let (reply, mut outcome) = oneshot::channel();
        let (request_id, timeout) = (request.id.to_owned(), request.timeout);
        let crashes = request.crash_after.is_some();
        self.api
            .send(Invocation {
                request_id: request_id.clone(),
                event: request.event,
                timeout,
                reply,
            })
            .await;
        tokio::select! {
            biased;
            outcome = &mut outcome, if !crashes => outcome.unwrap_or(Err(InvokeError::Stopping)),
            ended = self.child.wait() => {
                let status = described(ended);
                Err(InvokeError::Exited { request_id, status })
            }
            () = tokio::time::sleep(request.crash_after.unwrap_or_default()), if crashes => {
                self.kill();
                let status = described(self.child.wait().await);
                Err(InvokeError::Exited { request_id, status })
            }
            () = tokio::time::sleep(timeout) => {
                let at = SystemTime::now();
                Err(InvokeError::TimedOut { at, request_id, timeout })
            }
        }
    }

    /// The most memory that the process ever used, where the system says so.
    pub(super) fn max_memory_used_mb(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()?)).ok()?;
        let high = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kilobytes: u64 = high.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
        Some(kilobytes.div_ceil(1024))
    }

    /// How long it took to start; once.
    pub(super) fn take_init_duration(&mut self) -> Option<Duration> {
        self.init_duration.take()
    }

    /// Kills the process, waits until it is gone, and gives the last lines that it wrote.
    pub(super) async fn stop(mut self) -> Vec<String> {
        self.kill();
        // It fails only for a process that has ended already.
        drop(self.child.kill().await);
        self.output.last_lines().await
    }

    fn kill(&mut self) {
        if let Some(group) = self.group.take() {
            // It fails only when all of the group have ended already.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Counts a process for as long as it is there.
#[derive(Debug)]
struct Alive(watch::Sender<usize>);

impl Alive {
    fn new(count: &watch::Sender<usize>) -> Self {
        count.send_modify(|alive| *alive += 1);
        Self(count.clone())
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.send_modify(|alive| *alive -= 1);
    }
}

/// How a process ended, in Lambda's words.
fn described(ended: std::io::Result<ExitStatus>) -> String {
    match ended {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(9)) => "signal: killed".to_owned(),
            (None, Some(6)) => "signal: aborted".to_owned(),
            (None, Some(11)) => "signal: segmentation fault".to_owned(),
            (None, signal) => format!("signal: {}", signal.unwrap_or_default()),
        },
        Err(error) => error.to_string(),
    }
}

/// The readers of a process's standard output and error.
#[derive(Debug)]
struct Output {
    last: Arc<Mutex<VecDeque<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Output {
    fn of(function: &Function, child: &mut Child) -> Self {
        let last = Arc::default();
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            readers.push(tokio::spawn(read_lines(
                stdout,
                function.line_teller(),
                Arc::clone(&last),
            )));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.push(tokio::spawn(read_lines(
                stderr,
                function.line_teller(),
                Arc::clone(&last),
            )));
        }
        Self { last, readers }
    }

    /// Reads what is left and gives the last lines.
    async fn last_lines(&mut self) -> Vec<String> {
        let readers = futures_util::future::join_all(self.readers.drain(..));
        // A reader goes on for as long as anybody has the other end open.
        drop(tokio::time::timeout(LAST_LINES, readers).await);
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.iter().cloned().collect()
    }
}

impl Function {
    fn line_teller(&self) -> impl Fn(String) + Send + 'static {
        let (observer, function) = (self.observer.clone(), self.id.clone());
        move |line| {
            observer.tell(Event::Log {
                function: function.clone(),
                line,
            });
        }
    }
}

async fn read_lines(
    stream: impl AsyncRead + Unpin,
    tell: impl Fn(String),
    last: Arc<Mutex<VecDeque<String>>>,
) {
    let mut reader = BufReader::new(stream);
    let mut line = Vec::new();
    // Bytes rather than `lines()`: a function may write what is not UTF-8.
    while reader
        .read_until(b'\n', &mut line)
        .await
        .is_ok_and(|bytes| bytes > 0)
    {
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == LINES_KEPT {
            last.pop_front();
        }
        last.push_back(text.clone());
        drop(last);
        tell(text);
    }
}
