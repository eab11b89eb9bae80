//! What our own chat consumes, measured in two runs of the same stack: with a meter in front of what the
//! functions talk to, and, for the time that Lambda would bill, as `chatctl dev --release --reports`.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use local::{Code, Options, Stack};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::crowd::Crowd;
use super::meter::Meter;
use crate::error::BenchError;
use crate::section::Context;
use crate::statistics::Summary;

/// Messages that are measured in each room.
const MESSAGES: usize = 5;
/// The functions may have to be built first.
const START_TIMEOUT: Duration = Duration::from_mins(15);
/// A report comes right after its invocation.
const REPORT_TIMEOUT: Duration = Duration::from_secs(10);

/// One message in a room of so many, the middle one of some.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message {
    pub(super) members: u32,
    pub(super) read_units: f64,
    pub(super) write_units: f64,
    pub(super) posts: f64,
    /// As reported on this machine.
    pub(super) lambda_ms: f64,
}

/// Measures messages in rooms of these sizes; and gives how many copies were lost.
///
/// # Errors
/// What stopped it.
pub(super) async fn measure(
    context: &Context,
    sizes: &[u32],
) -> Result<(Vec<Message>, u64), BenchError> {
    allow_sockets();
    let (metered, lost) = consumption(context, sizes).await?;
    let (times, lost_then) = times(context, sizes).await?;
    let messages = metered.into_iter().zip(times);
    let messages = messages.map(|(message, lambda_ms)| Message {
        lambda_ms,
        ..message
    });
    Ok((messages.collect(), lost + lost_then))
}

/// Two sockets for each member, one here and one in a child process: some systems allow 1,024.
fn allow_sockets() {
    let limit = getrlimit(Resource::Nofile);
    let raised = rustix::process::Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Where that is refused, a smaller room may still do; a larger one says what it lacks.
    let _ = setrlimit(Resource::Nofile, raised);
}

async fn consumption(context: &Context, sizes: &[u32]) -> Result<(Vec<Message>, u64), BenchError> {
    let meter = Meter::start().await?;
    let folder = context.folder().join("cost");
    let program = meter.wrapper(&context.bootstrap(None)?, &folder)?;
    let mut synth = std::process::Command::new(context.program("chatctl")?);
    synth.args(["synth", "--format", "json"]);
    let template = crate::process::output_of(synth.current_dir(&context.checkout))?;
    let template: Value = serde_json::from_slice(&template).map_err(|source| BenchError::Json {
        path: "chatctl synth".into(),
        source,
    })?;
    let mut parameters = e2e::stack::parameters();
    // The first one speaks as fast as everybody has heard it.
    parameters.insert("MessagesPerSecond".to_owned(), "0".to_owned());
    let options = Options {
        parameters,
        stack_name: "chat-dev".to_owned(),
        ..Options::new(&template, Code::new(program))
    };
    let stack = Stack::start(options)
        .await
        .map_err(|error| BenchError::Measurement(format!("the local stack: {error}")))?;
    let mut crowd = Crowd::new(&stack.websocket_url()).await;
    let mut messages = Vec::new();
    for members in sizes {
        crowd.grow(*members as usize).await?;
        let (mut reads, mut writes, mut posts) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..MESSAGES {
            meter.take();
            crowd.say().await?;
            let reading = meter.take();
            if reading.unknown > 0 {
                return Err(BenchError::Measurement(format!(
                    "{} calls in a room of {members} do not tell what they consume",
                    reading.unknown
                )));
            }
            reads.push(reading.read_units);
            writes.push(reading.write_units);
            posts.push(reading.posts);
        }
        messages.push(Message {
            members: *members,
            read_units: median(&reads)?,
            write_units: median(&writes)?,
            posts: median(&posts)?,
            lambda_ms: 0.0,
        });
    }
    let losses = crowd.losses;
    stack.stop().await;
    Ok((messages, losses))
}

/// The median duration, in ms, of the invocations that answer a message.
async fn times(context: &Context, sizes: &[u32]) -> Result<(Vec<f64>, u64), BenchError> {
    let dev = Dev::start(&context.program("chatctl")?, &context.checkout).await?;
    let mut crowd = Crowd::new(&dev.url).await;
    let mut times = Vec::new();
    for members in sizes {
        crowd.grow(*members as usize).await?;
        let before = dev.settled(0).await?.len();
        for _ in 0..MESSAGES {
            crowd.say().await?;
        }
        let reports = dev.settled(before + MESSAGES).await?;
        times.push(median(&reports[before..])?);
    }
    Ok((times, crowd.losses))
}

/// `chatctl dev --release --reports`, until it is dropped.
struct Dev {
    url: String,
    /// What the action function's reports say, ms.
    reports: Arc<Mutex<Vec<f64>>>,
    _child: Child,
}

impl Dev {
    async fn start(chatctl: &Path, checkout: &Path) -> Result<Self, BenchError> {
        let mut command = Command::new(chatctl);
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("CHATCTL_") {
                command.env_remove(variable);
            }
        }
        let spawned = command
            .args(["dev", "--release", "--reports", "--port", "0", "--json"])
            .args(["--messages-per-second", "0"])
            .current_dir(checkout)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn();
        let mut child = spawned.map_err(|source| BenchError::Start {
            program: "chatctl dev".to_owned(),
            source,
        })?;
        let failed = |how: &str| BenchError::Measurement(format!("`chatctl dev` {how}"));
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(failed("has no output"));
        };
        let reports = Arc::<Mutex<Vec<f64>>>::default();
        let told = Arc::clone(&reports);
        tokio::spawn(async move {
            let mut lines = BufReader::new(stderr).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some(ms) = reported_ms(&line) {
                    told.lock().unwrap_or_else(PoisonError::into_inner).push(ms);
                }
            }
        });
        let mut stdout = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(START_TIMEOUT, stdout.next_line()).await;
        let line = line.map_err(|_| failed("does not start"))?;
        let urls: Value = line
            .ok()
            .flatten()
            .and_then(|line| serde_json::from_str(&line).ok())
            .ok_or_else(|| failed("tells no URL"))?;
        let url = urls["websocket"].as_str();
        Ok(Self {
            url: url.ok_or_else(|| failed("tells no URL"))?.to_owned(),
            reports,
            _child: child,
        })
    }

    /// All reports so far, once there are so many and no more come.
    async fn settled(&self, at_least: usize) -> Result<Vec<f64>, BenchError> {
        let since = std::time::Instant::now();
        let mut last = 0;
        loop {
            let reports = self
                .reports
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .clone();
            if reports.len() >= at_least && reports.len() == last {
                return Ok(reports);
            }
            if since.elapsed() > REPORT_TIMEOUT {
                return Err(BenchError::Measurement(format!(
                    "{} reports of Lambda instead of {at_least}",
                    reports.len()
                )));
            }
            last = reports.len();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// What a `REPORT` line of the action function says that it took.
fn reported_ms(line: &str) -> Option<f64> {
    let (_, report) = line.split_once("ActionFunction: REPORT ")?;
    let (_, duration) = report.split_once("\tDuration: ")?;
    duration.split_once(" ms")?.0.parse().ok()
}

fn median(values: &[f64]) -> Result<f64, BenchError> {
    Summary::of(values)
        .map(|it| it.median)
        .ok_or_else(|| BenchError::Measurement("nothing was counted".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_action_functions_reports_are_read() {
        let report = "REPORT RequestId: 8fc6f963\tDuration: 1.23 ms\tBilled Duration: 2 ms";
        assert_eq!(
            reported_ms(&format!("ActionFunction: {report}")),
            Some(1.23)
        );
        assert_eq!(reported_ms(&format!("ConnectFunction: {report}")), None);
        assert_eq!(reported_ms("ActionFunction: something else"), None);
    }
}
