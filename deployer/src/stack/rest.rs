//! Waiting until nothing goes on with a stack, and mending nothing of it.

use super::settle::wait_out;
use super::state::{self, OnDeploy};
use super::{Job, REPAIRS_MAX, StackError, Status, check_owner, unexplained};
use crate::cloud::{Cloud, Terms};
use crate::output::Output;

/// What is there once nothing goes on.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Rest {
    /// No stack.
    Nothing,
    /// One that was never finished, or is half gone: a deploy would delete it to start over.
    Unmade(Status),
    /// One that can be changed.
    There,
}

/// Waits for the end of whatever goes on with a stack.
///
/// # Errors
/// [`StackError`], if it is somebody else's, or AWS does not come to an end.
pub(crate) async fn at_rest(
    cloud: &impl Cloud,
    name: &str,
    owner: &'static str,
    output: &mut Output,
) -> Result<Rest, StackError> {
    let terms = Terms::default();
    let job = Job {
        cloud,
        name,
        owner,
        terms: &terms,
    };
    let mut last = None;
    for _ in 0..REPAIRS_MAX {
        let Some(stack) = cloud.find(name).await? else {
            return Ok(Rest::Nothing);
        };
        check_owner(&stack, name, owner)?;
        match state::on_deploy(Some(&stack.status)) {
            OnDeploy::Wait => wait_out(&job, &stack, output).await?,
            OnDeploy::Create => return Ok(Rest::Nothing),
            OnDeploy::StartOver | OnDeploy::DeleteFailed => return Ok(Rest::Unmade(stack.status)),
            OnDeploy::Update | OnDeploy::Resume | OnDeploy::ContinueRollback => {
                return Ok(Rest::There);
            }
            OnDeploy::Stop => return Err(unexplained(name, Some(stack.status))),
        }
        last = Some(stack.status);
    }
    Err(unexplained(name, last))
}
