//! Lambda on one machine: the functions' own processes behind the Runtime API.
//!
//! A process serves one invocation at a time, and there are as many processes as there are
//! concurrent invocations, up to a cap; beyond it invocations wait. A process whose function took
//! too long, or that ended, is not used again.
//!
//! # Layout
//!
//! - `mod.rs`: functions, and which process an invocation goes to.
//! - `process.rs`: one process from start to end.
//! - `runtime_api.rs`: what that process talks to.

mod process;
mod runtime_api;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;

use self::process::Process;
use crate::observer::{Event, Observer};
use crate::template;

/// How long a process may take to ask for its first invocation (AWS's Developer Guide, “Lambda
/// execution environment lifecycle”, init phase).
const INIT_TIMEOUT: Duration = Duration::from_secs(10);

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

/// Why an invocation gave no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvokeError {
    /// The function said so.
    #[error("{kind}: {message}")]
    Function {
        /// The error's type, by the function.
        kind: String,
        /// The error's message, by the function.
        message: String,
    },
    /// It took longer than its timeout and was killed.
    #[error("{request_id} Task timed out after {:.2} seconds", .timeout.as_secs_f64())]
    TimedOut {
        /// The invocation.
        request_id: String,
        /// The function's timeout.
        timeout: Duration,
    },
    /// Its process ended in the middle.
    #[error("RequestId: {request_id} Error: Runtime exited with error: {status}")]
    Exited {
        /// The invocation.
        request_id: String,
        /// How the process ended, in Lambda's words: `signal: killed`, `exit status 1`.
        status: String,
    },
    /// Its process did not get ready.
    #[error(transparent)]
    Init(#[from] InitError),
    /// The stack is stopping.
    #[error("the local stack is stopping")]
    Stopping,
}

/// Why a process did not get ready.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InitError {
    /// It could not be started at all.
    #[error("the program of `{function}` could not be started: {reason}")]
    Start {
        /// The function's logical id.
        function: String,
        /// The operating system's reason.
        reason: String,
    },
    /// It ended, or said that it cannot start.
    #[error("the program of `{function}` stopped while starting ({status}){}", said(.output))]
    Ended {
        /// The function's logical id.
        function: String,
        /// How it ended.
        status: String,
        /// The last lines that it wrote.
        output: Vec<String>,
    },
    /// It never asked for an invocation.
    #[error("the program of `{function}` did not ask for its first invocation within {} s{}", .limit.as_secs(), said(.output))]
    TimedOut {
        /// The function's logical id.
        function: String,
        /// How long it was waited for.
        limit: Duration,
        /// The last lines that it wrote.
        output: Vec<String>,
    },
}

fn said(output: &[String]) -> String {
    if output.is_empty() {
        String::new()
    } else {
        format!("; it wrote: {}", output.join(" | "))
    }
}

/// The functions of a stack.
#[derive(Debug)]
pub(crate) struct Functions(BTreeMap<String, Arc<Function>>);

impl Functions {
    /// `environment` is what Lambda itself sets for every function.
    pub(crate) fn new(
        functions: &BTreeMap<String, template::Function>,
        code: &dyn Fn(&str) -> Code,
        environment: &BTreeMap<String, String>,
        concurrency_max: usize,
        observer: &Observer,
    ) -> Self {
        let functions = functions.iter().map(|(id, declared)| {
            let concurrency = declared.reserved_concurrency.unwrap_or(concurrency_max);
            let function = Function {
                id: id.clone(),
                declared: declared.clone(),
                code: code(id),
                environment: environment.clone(),
                observer: observer.clone(),
                idle: Mutex::default(),
                free: Semaphore::new(concurrency),
            };
            (id.clone(), Arc::new(function))
        });
        Self(functions.collect())
    }

    /// Starts one process of each function, so that what cannot start shows at once.
    pub(crate) async fn warm_up(&self) -> Result<(), InitError> {
        let starts = self.0.values().map(|function| async {
            let process = function.start().await?;
            function.rest(process);
            Ok(())
        });
        futures_util::future::try_join_all(starts).await.map(|_| ())
    }

    /// Invokes a function and waits for its response. To be called in a task of its own: when it is
    /// cancelled, the process is killed.
    pub(crate) async fn invoke(&self, function: &str, event: Bytes) -> Result<Bytes, InvokeError> {
        match self.0.get(function) {
            Some(function) => function.invoke(event).await,
            None => Err(InvokeError::Stopping),
        }
    }

    /// Ends all processes. Invocations under way are cut off, later ones refused.
    pub(crate) async fn stop(&self) {
        for function in self.0.values() {
            function.free.close();
            for process in function.take_idle() {
                process.stop().await;
            }
        }
    }
}

/// One function with its processes.
#[derive(Debug)]
struct Function {
    id: String,
    declared: template::Function,
    code: Code,
    environment: BTreeMap<String, String>,
    observer: Observer,
    /// Processes between invocations, the one used last at the end: reusing that one first keeps
    /// few of them warm, as Lambda does.
    idle: Mutex<Vec<Process>>,
    free: Semaphore,
}

impl Function {
    async fn invoke(&self, event: Bytes) -> Result<Bytes, InvokeError> {
        let _permit = self
            .free
            .acquire()
            .await
            .map_err(|_| InvokeError::Stopping)?;
        let mut process = match self.next_idle() {
            Some(process) => process,
            None => self.start().await?,
        };
        let outcome = process.invoke(event, self.declared.timeout).await;
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
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(mut process) = idle.pop() {
            if process.is_alive() {
                return Some(process);
            }
        }
        None
    }

    fn take_idle(&self) -> Vec<Process> {
        std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn rest(&self, process: Process) {
        if self.free.is_closed() {
            return; // Dropping a process kills it.
        }
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(process);
    }

    async fn start(&self) -> Result<Process, InitError> {
        let started = Process::start(self, INIT_TIMEOUT).await;
        if let Err(error) = &started {
            self.tell(error.to_string());
        }
        started
    }

    fn tell(&self, line: String) {
        self.observer.tell(Event::Platform {
            function: self.id.clone(),
            line,
        });
    }

    /// The variables of a process (AWS's Developer Guide, “Defined runtime environment variables”),
    /// the function's own and the runtime's.
    fn variables(&self, runtime_api: &str) -> BTreeMap<String, String> {
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
            ("_HANDLER", self.declared.handler.clone()),
        ] {
            variables.insert(variable.to_owned(), value);
        }
        variables
    }

    fn arn(&self) -> String {
        let (region, account) = (template::REGION, template::ACCOUNT_ID);
        format!(
            "arn:aws:lambda:{region}:{account}:function:{}",
            self.declared.name
        )
    }
}
