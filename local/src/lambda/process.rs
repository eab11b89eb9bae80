//! One process of a function, from start to end.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::runtime_api::{InitState, Invocation, RuntimeApi};
use super::{Function, InitError, InvokeError};
use crate::observer::Event;

/// Lines kept to explain why a process did not start.
const LINES_KEPT: usize = 5;

/// How long is waited for the last lines of a process that has ended.
const LAST_LINES: Duration = Duration::from_millis(500);

/// A running process. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    api: RuntimeApi,
    output: Output,
}

impl Process {
    /// Starts a process and waits until it asks for its first invocation.
    pub(super) async fn start(function: &Function, limit: Duration) -> Result<Self, InitError> {
        let failed = |error: std::io::Error| InitError::Start {
            function: function.id.clone(),
            reason: error.to_string(),
        };
        let api = RuntimeApi::start(function.arn()).await.map_err(failed)?;
        let mut command = Command::new(&function.code.program);
        command
            .args(&function.code.arguments)
            .env_clear()
            .envs(function.variables(api.address()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        // Ctrl-C on a terminal goes to the whole foreground group; only this process decides when
        // its functions end.
        command.process_group(0);
        let mut child = command.spawn().map_err(failed)?;
        let output = Output::of(function, &mut child);
        let mut process = Self { child, api, output };
        let status = tokio::select! {
            state = process.api.initialized() => match state {
                InitState::Ready => return Ok(process),
                InitState::Failed(reason) => reason,
                InitState::Starting => "its runtime API ended".to_owned(),
            },
            ended = process.child.wait() => described(ended),
            () = tokio::time::sleep(limit) => {
                let output = process.output.last_lines().await;
                return Err(InitError::TimedOut { function: function.id.clone(), limit, output });
            }
        };
        let output = process.output.last_lines().await;
        Err(InitError::Ended {
            function: function.id.clone(),
            status,
            output,
        })
    }

    /// Whether the process still runs, as far as is known.
    pub(super) fn is_alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Hands over one event and waits for the response, the process's end, or the timeout.
    pub(super) async fn invoke(
        &mut self,
        event: Bytes,
        timeout: Duration,
    ) -> Result<Bytes, InvokeError> {
        let request_id = uuid::Uuid::new_v4().to_string();
        let (reply, mut outcome) = oneshot::channel();
        let invocation = Invocation {
            request_id: request_id.clone(),
            event,
            timeout,
            reply,
        };
        self.api.send(invocation).await;
        tokio::select! {
            biased;
            outcome = &mut outcome => outcome.unwrap_or(Err(InvokeError::Stopping)),
            ended = self.child.wait() => {
                let status = described(ended);
                Err(InvokeError::Exited { request_id, status })
            }
            () = tokio::time::sleep(timeout) => Err(InvokeError::TimedOut { request_id, timeout }),
        }
    }

    /// Kills the process and waits until it is gone.
    pub(super) async fn stop(mut self) {
        // It fails only for a process that has ended already.
        drop(self.child.kill().await);
        self.output.last_lines().await;
    }
}

/// How a process ended, in Lambda's words.
fn described(ended: std::io::Result<ExitStatus>) -> String {
    match ended {
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(9)) => "signal: killed".to_owned(),
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
        for reader in &mut self.readers {
            drop(tokio::time::timeout(LAST_LINES, reader).await);
        }
        self.readers.clear();
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .cloned()
            .collect()
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
