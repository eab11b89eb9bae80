//! Lambda on one machine: the functions' own processes behind the Runtime API.
//!
//! A process serves one invocation at a time, and there are as many processes as there are
//! concurrent invocations, up to a cap; beyond it invocations wait. A process whose function took
//! too long, or that ended, is not used again; one that has nothing to do for a while is ended.
//!
//! # Layout
//!
//! - `mod.rs`: all functions together: invoking, starting, reaping, stopping.
//! - `function.rs`: one function, and which of its processes an invocation goes to.
//! - `process.rs`: one process from start to end.
//! - `runtime_api.rs`: what that process talks to; `invoke_api.rs`: how it invokes functions.
//! - `turns.rs`: whose turn it is where there are more invocations than processes.
//! - `report.rs`: what Lambda would log about an invocation.
//! - `error.rs`: what can go wrong, in AWS's words.

mod error;
mod function;
mod invoke_api;
mod process;
mod report;
mod runtime_api;
#[cfg(test)]
mod tests;
mod turns;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

pub use self::error::{InitError, InvokeError};
use self::function::{Current, Function};
pub use self::report::{Report, Status};
use self::turns::Turns;
use crate::faults::Dice;
use crate::observer::Observer;
use crate::template;

/// What is started for a function: its `bootstrap`, or any program that speaks the Runtime API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Code {
    /// The executable.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
}

impl Code {
    /// A program without arguments.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self {
            program: program.into(),
            arguments: Vec::new(),
        }
    }
}

/// How functions are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionOptions {
    /// Processes of one function at most. Invocations beyond that wait for one, which AWS never
    /// lets them: it has more machines than this one. Default 10.
    pub processes_max: usize,
    /// Invocations under way at once over all functions at most. One more is refused, as AWS does
    /// by an account's quota: 1000 by default, 10 in a new account. `None`, the default, refuses
    /// none.
    pub account_concurrency: Option<usize>,
    /// How long a process may take to ask for its first invocation. Default 10 s, as AWS's
    /// (Developer Guide, “Lambda execution environment lifecycle”, init phase).
    pub init_timeout: Duration,
    /// How long a process without anything to do is kept. AWS names no number. Default 5 minutes.
    pub idle_timeout: Duration,
    /// What is waited before the second and the third attempt at an asynchronous invocation whose
    /// function failed. Default 1 and 2 minutes, as AWS's (Developer Guide, “How Lambda handles
    /// errors and retries with asynchronous invocation”).
    pub event_retries: [Duration; 2],
    /// Whether each invocation's end is told, which costs some time each. Default no.
    pub reports: bool,
}

impl Default for FunctionOptions {
    fn default() -> Self {
        Self {
            processes_max: 10,
            account_concurrency: None,
            init_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_mins(5),
            event_retries: [Duration::from_mins(1), Duration::from_mins(2)],
            reports: false,
        }
    }
}

/// The programs of a stack, what they are given, and who is told.
pub(crate) struct Setting<'a> {
    /// The program of a function, by its logical id.
    pub(crate) code: &'a dyn Fn(&str) -> Code,
    /// What Lambda itself sets for every function.
    pub(crate) environment: &'a BTreeMap<String, String>,
    pub(crate) options: FunctionOptions,
    pub(crate) dice: &'a Arc<Dice>,
    pub(crate) observer: &'a Observer,
}

/// All functions of a stack, once there are all, for one that invokes another.
type All = Arc<OnceLock<Vec<Weak<Function>>>>;

/// The functions of a stack.
#[derive(Debug)]
pub(crate) struct Functions {
    by_id: BTreeMap<String, Arc<Function>>,
    stopping: watch::Sender<bool>,
    /// Processes that have not ended yet.
    alive: watch::Sender<usize>,
    reaper: AbortHandle,
}

impl Functions {
    /// To be called in a runtime.
    pub(crate) fn new(
        functions: &BTreeMap<String, template::Function>,
        setting: &Setting<'_>,
    ) -> Arc<Self> {
        let stopping = watch::Sender::new(false);
        let alive = watch::Sender::new(0);
        let unreserved = unreserved(functions, setting.options.account_concurrency);
        let all = All::default();
        let by_id = functions.iter().map(|(id, declared)| {
            let reserved = declared.reserved_concurrency;
            let own = reserved.map(|reserved| Arc::new(Semaphore::new(reserved)));
            let processes = setting
                .options
                .processes_max
                .min(reserved.unwrap_or(usize::MAX));
            let function = Function {
                id: id.clone(),
                declared: declared.clone(),
                code: std::sync::Mutex::new(Current {
                    code: (setting.code)(id),
                    generation: 0,
                }),
                environment: setting.environment.clone(),
                options: setting.options,
                dice: Arc::clone(setting.dice),
                observer: setting.observer.clone(),
                all: Arc::clone(&all),
                concurrency: own.or_else(|| unreserved.clone()),
                turns: Turns::new(processes),
                idle: std::sync::Mutex::default(),
                stopping: stopping.subscribe(),
                alive: alive.clone(),
            };
            (id.clone(), Arc::new(function))
        });
        let by_id: BTreeMap<_, _> = by_id.collect();
        let period = (setting.options.idle_timeout / 4).max(Duration::from_millis(10));
        let reaped: Vec<_> = by_id.values().map(Arc::downgrade).collect();
        // Nobody else sets it.
        drop(all.set(reaped.clone()));
        Arc::new(Self {
            by_id,
            stopping,
            alive,
            reaper: tokio::spawn(reap(reaped, period)).abort_handle(),
        })
    }

    /// Starts one process of each function, so that what cannot start shows at once.
    pub(crate) async fn warm_up(&self) -> Result<(), InitError> {
        let starts = self.by_id.values().map(|function| function.warm_up());
        futures_util::future::try_join_all(starts).await.map(drop)
    }

    /// Has new invocations of all functions run other code, if a process of it starts for each of
    /// them; else all stays as it is.
    pub(crate) async fn swap(&self, code: &Code) -> Result<(), InitError> {
        let tries = self.by_id.values().map(|function| function.try_code(code));
        let processes = futures_util::future::try_join_all(tries).await?;
        for (function, process) in self.by_id.values().zip(processes) {
            function.swap(code.clone(), process).await;
        }
        Ok(())
    }

    /// Invokes a function and waits for its response (invocation type `RequestResponse`). When it is
    /// cancelled, the process is killed: call it in a task of its own.
    pub(crate) async fn invoke(&self, function: &str, event: Bytes) -> Result<Bytes, InvokeError> {
        self.invoke_for("", function, event).await
    }

    /// Likewise for somebody, who takes turns with others where there are more invocations than
    /// processes.
    pub(crate) async fn invoke_for(
        &self,
        asker: &str,
        function: &str,
        event: Bytes,
    ) -> Result<Bytes, InvokeError> {
        let function = self.get(function)?;
        function.invoke(asker, &new_request_id(), event).await
    }

    /// Accepts an invocation and lets it happen (invocation type `Event`), with as many more attempts as
    /// the template says where the function fails. Gives the request id.
    pub(crate) fn invoke_event(&self, function: &str, event: Bytes) -> Result<String, InvokeError> {
        Ok(accept(self.get(function)?, event))
    }

    /// Lets no more invocations in, and cuts off those under way.
    pub(crate) fn close(&self) {
        self.stopping.send_replace(true);
        for function in self.by_id.values() {
            function.close();
        }
    }

    /// Kills processes between invocations, without waiting for their end.
    pub(crate) fn kill_idle(&self) {
        for function in self.by_id.values() {
            function.kill_idle();
        }
    }

    /// Ends all processes, and waits until they are gone.
    pub(crate) async fn stop(&self) {
        self.close();
        let stops = self.by_id.values().map(|function| function.stop());
        futures_util::future::join_all(stops).await;
        // It fails only when the sender is gone, which is `self`'s.
        drop(self.alive.subscribe().wait_for(|alive| *alive == 0).await);
    }

    fn get(&self, function: &str) -> Result<&Arc<Function>, InvokeError> {
        self.by_id
            .get(function)
            .ok_or_else(|| InvokeError::NotFound {
                function: function.to_owned(),
            })
    }
}

impl Drop for Functions {
    fn drop(&mut self) {
        self.reaper.abort();
    }
}

/// What functions without reserved concurrency share: the account's, less what others reserve.
fn unreserved(
    functions: &BTreeMap<String, template::Function>,
    account: Option<usize>,
) -> Option<Arc<Semaphore>> {
    let reserved: usize = functions
        .values()
        .filter_map(|function| function.reserved_concurrency)
        .sum();
    account.map(|account| Arc::new(Semaphore::new(account.saturating_sub(reserved))))
}

/// Ends processes that have nothing to do, until the functions are gone.
async fn reap(functions: Vec<Weak<Function>>, period: Duration) {
    loop {
        tokio::time::sleep(period).await;
        for function in &functions {
            let Some(function) = function.upgrade() else {
                return;
            };
            function.reap().await;
        }
    }
}

/// Has an event delivered some time, and gives the request id.
fn accept(function: &Arc<Function>, event: Bytes) -> String {
    let function = Arc::clone(function);
    let request_id = new_request_id();
    let id = request_id.clone();
    tokio::spawn(async move { function.deliver(&id, event).await });
    request_id
}

fn new_request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}
