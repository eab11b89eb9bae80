//! One function, and which of its processes an invocation goes to.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep};

use super::process::{Process, Request};
use super::report::{Report, Status};
use super::turns::Turns;
use super::{All, Code, FunctionOptions, InitError, InvokeError};
use crate::faults::Dice;
use crate::observer::{Event, Observer};
use crate::template;

/// The first milliseconds of an invocation, in which a process crashes where it does on purpose. Few
/// functions take longer; one that has answered within them loses its answer.
const CRASH_WINDOW: Duration = Duration::from_millis(10);

/// What is waited before a throttled asynchronous invocation is tried again, at first and at most
/// (AWS's Developer Guide, “How Lambda handles errors and retries with asynchronous invocation”).
const THROTTLED_PAUSE: Duration = Duration::from_secs(1);
const THROTTLED_PAUSE_MAX: Duration = Duration::from_mins(5);

/// One function with its processes.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) id: String,
    pub(super) declared: template::Function,
    /// What new processes run.
    pub(super) code: Mutex<Current>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) options: FunctionOptions,
    pub(super) dice: Arc<Dice>,
    pub(super) observer: Observer,
    /// All functions, this one too, for those that invoke others.
    pub(super) all: All,
    /// Invocations that may be under way at once; one more is refused.
    pub(super) concurrency: Option<Arc<Semaphore>>,
    /// Processes that may be there at once; one more is waited for.
    pub(super) turns: Arc<Turns>,
    /// Processes between invocations, the one used last at the end: reusing that one first keeps
    /// few of them warm, as Lambda does.
    pub(super) idle: Mutex<Vec<Idle>>,
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) alive: watch::Sender<usize>,
}

/// The code of new processes, counted so that those of older code are told apart.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) code: Code,
    pub(super) generation: u64,
}

/// A process between invocations.
#[derive(Debug)]
pub(super) struct Idle {
    process: Process,
    since: Instant,
}

/// How long an invocation waits for a process: as long as API Gateway waits for its outcome (AWS's
/// quota page, “Integration timeout”).
const WAIT_MAX: Duration = Duration::from_secs(29);

impl Function {
    /// Starts a process to have ready, unless starts are slow on purpose: then it is only seen that
    /// it does start.
    pub(super) async fn warm_up(&self) -> Result<(), InitError> {
        let process = self.start(&self.current(), Duration::ZERO).await?;
        self.keep_warm(process).await;
        Ok(())
    }

    /// Starts a process of other code, to see that it does start.
    pub(super) async fn try_code(&self, code: &Code) -> Result<Process, InitError> {
        let next = Current {
            code: code.clone(),
            generation: self.current().generation + 1,
        };
        self.start(&next, Duration::ZERO).await
    }

    /// Has new invocations run other code, of which `process` is the first. Those under way end with
    /// the code that they began with.
    pub(super) async fn swap(&self, code: Code, process: Process) {
        let old = {
            // Both locks, so that no process of the old code rests after this.
            let mut idle = self.idle();
            *self.code() = Current {
                code,
                generation: process.generation(),
            };
            std::mem::take(&mut *idle)
        };
        self.keep_warm(process).await;
        for idle in old {
            idle.process.stop().await;
        }
    }

    async fn keep_warm(&self, process: Process) {
        if self.dice.cold_start().is_zero() {
            self.rest(process);
        } else {
            process.stop().await;
        }
    }

    pub(super) async fn invoke(
        &self,
        asker: &str,
        request_id: &str,
        event: Bytes,
    ) -> Result<Bytes, InvokeError> {
        let _permit = self.admit()?;
        // Nobody waits for it any longer than that, and AWS never starts one so late.
        let turn = tokio::time::timeout(WAIT_MAX, self.turns.take(asker)).await;
        let turn = turn.map_err(|_| InvokeError::Throttled)?;
        let _turn = turn.ok_or(InvokeError::Stopping)?;
        tokio::select! {
            outcome = self.run(request_id, event) => outcome,
            () = self.stopped() => Err(InvokeError::Stopping),
        }
    }

    /// Invokes until it succeeds, has failed as often as it may or is too old.
    pub(super) async fn deliver(&self, request_id: &str, event: Bytes) {
        let accepted = Instant::now();
        let events = self.declared.events;
        let mut retries = self.options.event_retries.into_iter().take(events.retries);
        let mut throttled_pause = THROTTLED_PAUSE;
        loop {
            let pause = match self.invoke("", request_id, event.clone()).await {
                Ok(_) | Err(InvokeError::Stopping) => return,
                Err(InvokeError::Throttled) => {
                    let pause = throttled_pause;
                    throttled_pause = (pause * 2).min(THROTTLED_PAUSE_MAX);
                    Some(pause)
                }
                Err(_) => retries.next(),
            };
            let pause = pause.filter(|pause| accepted.elapsed() + *pause < events.age_max);
            let Some(pause) = pause else {
                self.tell(format!("RequestId: {request_id} Error: event discarded"));
                return;
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.stopped() => return,
            }
        }
    }

    /// Ends processes that have had nothing to do for long, and buries those that ended themselves.
    pub(super) async fn reap(&self) {
        let limit = self.options.idle_timeout;
        let reaped: Vec<Idle> = {
            let mut idle = self.idle();
            let all = std::mem::take(&mut *idle);
            let (kept, reaped) = all
                .into_iter()
                .map(|mut idle| {
                    (
                        idle.process.is_alive() && idle.since.elapsed() < limit,
                        idle,
                    )
                })
                .partition::<Vec<_>, _>(|(keep, _)| *keep);
            idle.extend(kept.into_iter().map(|(_, idle)| idle));
            reaped.into_iter().map(|(_, idle)| idle).collect()
        };
        for idle in reaped {
            idle.process.stop().await;
        }
    }

    /// Lets no more processes be used.
    pub(super) fn close(&self) {
        self.turns.close();
    }

    /// Kills idle processes. To be closed before, so that no more come.
    pub(super) fn kill_idle(&self) {
        self.idle().clear();
    }

    /// Ends idle processes. To be closed before, so that no more come.
    pub(super) async fn stop(&self) {
        let idle = std::mem::take(&mut *self.idle());
        let stops = idle.into_iter().map(|idle| idle.process.stop());
        futures_util::future::join_all(stops).await;
    }

    /// Lets an invocation in, or refuses it as Lambda does.
    fn admit(&self) -> Result<Option<OwnedSemaphorePermit>, InvokeError> {
        let Some(concurrency) = &self.concurrency else {
            return Ok(None);
        };
        let permit = Arc::clone(concurrency).try_acquire_owned();
        let permit = permit.map_err(|_| InvokeError::Throttled);
        if let Err(error) = &permit {
            self.tell(error.to_string());
        }
        permit.map(Some)
    }

    async fn run(&self, request_id: &str, event: Bytes) -> Result<Bytes, InvokeError> {
        let mut process = match self.next_idle() {
            Some(process) => process,
            None => self.start(&self.current(), self.dice.cold_start()).await?,
        };
        let begun = Instant::now();
        let outcome = process
            .invoke(Request {
                id: request_id,
                event,
                timeout: self.declared.timeout,
                crash_after: self.dice.crash(CRASH_WINDOW),
            })
            .await;
        if self.options.reports {
            self.report(request_id, &mut process, begun.elapsed(), &outcome);
        }
        match &outcome {
            Ok(_) | Err(InvokeError::Function { .. }) => self.rest(process),
            Err(error) => {
                self.tell(error.to_string());
                process.stop().await;
            }
        }
        outcome
    }

    /// The idle process used last that still lives.
    fn next_idle(&self) -> Option<Process> {
        let mut idle = self.idle();
        while let Some(mut last) = idle.pop() {
            if last.process.is_alive() {
                return Some(last.process);
            }
        }
        None
    }

    fn rest(&self, process: Process) {
        let mut idle = self.idle();
        // Looked at with the lock held: whoever closes takes the idle ones after that.
        if self.turns.is_closed() || process.generation() != self.current().generation {
            return; // Dropping a process kills it.
        }
        let since = Instant::now();
        idle.push(Idle { process, since });
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn current(&self) -> Current {
        self.code().clone()
    }

    fn code(&self) -> MutexGuard<'_, Current> {
        self.code.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn start(&self, current: &Current, extra: Duration) -> Result<Process, InitError> {
        let started = Process::start(self, current, extra).await;
        if let Err(error) = &started {
            self.tell(error.to_string());
        }
        started
    }

    async fn stopped(&self) {
        // It fails only when all functions are gone, and so are their invocations.
        drop(self.stopping.clone().wait_for(|stopping| *stopping).await);
    }

    fn tell(&self, line: String) {
        self.observer.tell(Event::Platform {
            function: self.id.clone(),
            line,
        });
    }

    fn report(
        &self,
        request_id: &str,
        process: &mut Process,
        duration: Duration,
        outcome: &Result<Bytes, InvokeError>,
    ) {
        let report = Report {
            request_id: request_id.to_owned(),
            duration,
            memory_size_mb: self.declared.memory_mb,
            max_memory_used_mb: process.max_memory_used_mb(),
            init_duration: process.take_init_duration(),
            status: Status::of(outcome),
        };
        self.observer.tell(Event::Report {
            function: self.id.clone(),
            report,
        });
    }

    /// The variables of a process (AWS's Developer Guide, “Defined runtime environment variables”),
    /// the function's own and the runtime's.
    pub(super) fn variables(&self, runtime_api: &str) -> BTreeMap<String, String> {
        let mut variables = self.environment.clone();
        variables.extend(self.declared.environment.clone());
        let name = &self.declared.name;
        for (variable, value) in [
            (
                "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
                self.declared.memory_mb.to_string(),
            ),
            ("AWS_LAMBDA_FUNCTION_NAME", name.clone()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}")),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "local".to_owned()),
            ("AWS_LAMBDA_RUNTIME_API", runtime_api.to_owned()),
            // The SDKs' way to Lambda: the listener that only this process knows of.
            ("AWS_ENDPOINT_URL_LAMBDA", format!("http://{runtime_api}")),
            ("_HANDLER", self.declared.handler.clone()),
        ] {
            variables.insert(variable.to_owned(), value);
        }
        variables
    }

    pub(super) fn arn(&self) -> String {
        let (region, account) = (template::REGION, template::ACCOUNT_ID);
        format!(
            "arn:aws:lambda:{region}:{account}:function:{}",
            self.declared.name
        )
    }
}
