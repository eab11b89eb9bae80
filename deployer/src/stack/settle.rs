//! From whatever state a stack is in to one that a change set can be made for.

use super::cause;
use super::deletion::delete_now;
use super::follow::{self, Watch};
use super::state::{self, OnDeploy};
use super::{Job, REPAIRS_MAX, StackError, check_owner, unexplained};
use crate::cloud::{Cloud, CloudError, Order, StackView};
use crate::output::Output;
use crate::protection;
use crate::template::StageName;

/// Waits and repairs until there is either a stack that can be updated or none.
pub(super) async fn settle(
    job: &Job<'_, impl Cloud>,
    output: &mut Output,
) -> Result<Option<StackView>, StackError> {
    let name = job.name;
    let (mut last, mut continued) = (None, None);
    for _ in 0..REPAIRS_MAX {
        let found = job.cloud.find(name).await?;
        let step = state::on_deploy(found.as_ref().map(|it| &it.status));
        let Some(stack) = found else { return Ok(None) };
        check_owner(&stack, name, job.owner)?;
        let status = &stack.status;
        match step {
            OnDeploy::Create => return Ok(None),
            OnDeploy::Update => return Ok(Some(stack)),
            OnDeploy::Resume => {
                output.step(&format!(
                    "`{name}` is in {status} ({}): going on from there",
                    why(job, &stack).await?
                ))?;
                return Ok(Some(stack));
            }
            OnDeploy::StartOver => {
                output.step(&format!("`{name}` was begun and never made: starting over"))?;
                return Ok(None);
            }
            OnDeploy::Wait => wait_out(job, &stack, output).await?,
            OnDeploy::DeleteFailed => {
                may_start_over(&stack, name, false)?;
                output.step(&format!(
                    "`{name}` is in {status} ({}): deleting it to start over",
                    why(job, &stack).await?
                ))?;
                delete_now(job, &stack, output).await?;
            }
            OnDeploy::ContinueRollback if continued.is_some() => {
                let token = continued.as_deref();
                return Err(follow::failed(job.cloud, &stack, name, token).await?);
            }
            OnDeploy::ContinueRollback => {
                output.step(&format!("`{name}` is in {status}: its rollback goes on"))?;
                let order = Order::new(job.terms);
                let watch = Watch::begin(job, &stack.id, output).await?;
                job.cloud.continue_rollback(&stack.id, &order).await?;
                watch.of(&order).until_settled(output).await?;
                continued = Some(order.token);
            }
            OnDeploy::Stop => return Err(unexplained(name, Some(stack.status))),
        }
        last = Some(stack.status);
    }
    Err(unexplained(name, last))
}

/// A table that outlives its stack would be left behind, and a new and empty chat stand in its place, without
/// a word: whoever wants that says so, by `chatctl destroy`. `is_lifted` is whether a deploy lifts the stack's
/// own protection first.
pub(super) fn may_start_over(
    stack: &StackView,
    name: &str,
    is_lifted: bool,
) -> Result<(), StackError> {
    let (stack_name, status) = (name.to_owned(), stack.status.clone());
    if protection::forbids_starting_over(stack) {
        return Err(StackError::LeavesTable {
            stage: StageName::of_stack(name).to_owned(),
            stack: stack_name,
            status,
        });
    }
    if stack.is_protected && !is_lifted {
        return Err(StackError::Protected {
            stack: stack_name,
            status,
            region: stack.region().to_owned(),
        });
    }
    Ok(())
}

/// Undoes an update that failed and was left so.
pub(super) async fn roll_back(
    job: &Job<'_, impl Cloud>,
    stack: &StackView,
    output: &mut Output,
) -> Result<(), StackError> {
    output.step(&format!(
        "AWS does not go on with `{}` as it is: undoing what failed first",
        job.name
    ))?;
    let order = Order::new(job.terms);
    let watch = Watch::begin(job, &stack.id, output).await?;
    match job.cloud.roll_back(&stack.id, &order).await {
        Ok(()) => watch.of(&order).until_settled(output).await,
        // What was last changed in express mode is never undone.
        Err(reason @ CloudError::Refused { .. }) if !reason.is_overtaken() => {
            Err(StackError::Stuck {
                stack: job.name.to_owned(),
                reason,
            })
        }
        Err(error) => Err(error.into()),
    }
}

/// Waits for the end of what somebody else has begun, or an earlier run of this.
pub(super) async fn wait_out(
    job: &Job<'_, impl Cloud>,
    stack: &StackView,
    output: &mut Output,
) -> Result<(), StackError> {
    output.step(&format!(
        "`{}` is in {}: waiting for its end",
        job.name, stack.status
    ))?;
    let watch = Watch::attach(job, &stack.id, output);
    watch.until_settled(output).await
}

/// Why a stack is in the bad state that it is in, in a few words.
async fn why(job: &Job<'_, impl Cloud>, stack: &StackView) -> Result<String, CloudError> {
    let cause = follow::cause_of(job.cloud, &stack.id, None, &[]).await?;
    let in_words = |it: cause::Cause| format!("{}: {}", it.resource, it.reason);
    Ok(cause.map_or_else(|| "for no reason that AWS tells".to_owned(), in_words))
}
