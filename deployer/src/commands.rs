//! One verb per file. A command reads like the steps that it takes; how each is done is elsewhere.

pub(crate) mod completions;
pub(crate) mod deploy;
pub(crate) mod destroy;
pub(crate) mod dev;
pub(crate) mod diff;
pub(crate) mod doctor;
mod hotswap;
pub(crate) mod init;
pub(crate) mod logs;
pub(crate) mod man;
pub(crate) mod open;
pub(crate) mod plan;
mod receipt;
pub(crate) mod rollback;
pub(crate) mod status;
pub(crate) mod synth;
pub(crate) mod urls;
pub(crate) mod verify;

use tokio::signal::unix::{SignalKind, signal};

use crate::error::Error;
use crate::packages::{ARTIFACTS_OWNER, ARTIFACTS_STACK};
use crate::template::StageName;

/// What is written on a chat's stack.
const CHAT_OWNER: &str = "chat";

/// What AWS is at meanwhile, `main` knows.
const INTERRUPTED: Error = Error::Interrupted { goes_on: None };

/// Runs a command that talks to AWS, until the user ends it.
fn until_interrupted<T>(command: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(Error::Machine)?;
    let outcome = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Error::Machine)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(Error::Machine)?;
        tokio::select! {
            outcome = command => outcome,
            _ = interrupt.recv() => Err(INTERRUPTED),
            _ = terminate.recv() => Err(INTERRUPTED),
        }
    });
    // Somebody who was asked something may never answer.
    runtime.shutdown_background();
    outcome
}

fn no_stack(stage: &StageName, region: &str) -> Error {
    Error::NoStack {
        stack: stage.stack_name(),
        region: region.to_owned(),
    }
}
