//! Stacks: what it takes to get one from the state it is in to the one that is wanted.
//!
//! # Layout
//! * `state`: what to do in which state, as a pure table.
//! * `settle`: doing it, until there is a stack to update or none.
//! * `rest`: waiting until nothing goes on.
//! * `proposal`: change sets: made, waited for, thrown away.
//! * `sending`: templates that are too large for a request.
//! * `changes`: change sets as people read them.
//! * `follow`: waiting for what a stack is doing.
//! * `cause`: why a stack failed, out of what AWS tells.
//! * `deletion`: getting rid of a stack and of what is in its buckets.
//! * `compare`: what would be done, without doing it.
//! * `error`: why a stack is not as it is wanted.

mod cause;
mod changes;
mod compare;
mod deletion;
mod error;
mod follow;
mod proposal;
mod rest;
mod sending;
mod settle;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use cause::STACK;
pub(crate) use changes::{line, sorted, word};
pub(crate) use compare::{Comparison, compare};
pub(crate) use deletion::delete;
pub(crate) use error::StackError;
pub(crate) use rest::{Rest, at_rest};
#[cfg(test)]
pub(crate) use sending::TEMPLATE_BYTES_MAX;
pub(crate) use state::Status;

use std::time::Duration;

use crate::cloud::{Change, Cloud, CloudError, Order, Proposal, StackView, Terms, Wanted};
use crate::output::Output;
use crate::progress::Progress;
use crate::wait::Patience;

use follow::Watch;
use proposal::Offer;

/// How often a stack in a bad state is put right before that counts as hopeless.
const REPAIRS_MAX: usize = 6;

/// How long it takes at first until whoever was faster shows, and at most.
const OVERTAKEN_PAUSE: Duration = Duration::from_millis(500);
const OVERTAKEN_LIMIT: Duration = Duration::from_secs(30);

/// Whether a change may take people's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Losses {
    /// The user said so.
    Allowed,
    /// Nobody said so, and nobody is to be asked.
    Refused,
    /// If the user types this name; where there is nobody to type, it is refused.
    Asked(String),
}

/// A stack as it is wanted.
#[derive(Debug)]
pub(crate) struct Applied {
    /// The stack.
    pub(crate) stack: StackView,
    /// Whether there was anything to do.
    pub(crate) is_changed: bool,
}

/// A stack that is worked on.
struct Job<'a, C> {
    cloud: &'a C,
    name: &'a str,
    owner: &'static str,
    terms: &'a Terms,
}

/// How one try to make a stack as it is wanted has ended.
enum Attempt {
    /// It is.
    Done(Applied),
    /// Somebody else was faster, and so this was refused.
    Overtaken(CloudError),
    /// AWS wants what failed to be undone first.
    WantsRollback(StackView),
}

/// Makes a stack as it is wanted, from whatever state it is in.
///
/// # Errors
/// [`StackError`]. Calling this again is always right.
pub(crate) async fn apply(
    cloud: &impl Cloud,
    wanted: &Wanted,
    terms: &Terms,
    losses: &Losses,
    output: &mut Output,
) -> Result<Applied, StackError> {
    let job = Job {
        cloud,
        name: &wanted.name,
        owner: wanted.owner,
        terms,
    };
    let same = async |_: Option<&StackView>| Ok(wanted.clone());
    let (applied, _) = bring::<StackError>(&job, same, losses, output).await?;
    Ok(applied)
}

/// Changes a stack from what it is: what it is to become is asked for each time that nothing goes on with
/// it, for what was seen before may never have come to be, or is no more. Gives that as well.
///
/// # Errors
/// [`StackError`], or whatever keeps that from being known. Calling this again is always right.
pub(crate) async fn revise<E: From<StackError>>(
    cloud: &impl Cloud,
    (name, owner): (&str, &'static str),
    wanted: impl AsyncFn(Option<&StackView>) -> Result<Wanted, E>,
    terms: &Terms,
    output: &mut Output,
) -> Result<(Applied, Wanted), E> {
    let job = Job {
        cloud,
        name,
        owner,
        terms,
    };
    bring(&job, wanted, &Losses::Refused, output).await
}

async fn bring<E: From<StackError>>(
    job: &Job<'_, impl Cloud>,
    wanted: impl AsyncFn(Option<&StackView>) -> Result<Wanted, E>,
    losses: &Losses,
    output: &mut Output,
) -> Result<(Applied, Wanted), E> {
    let mut pauses = Patience::new(OVERTAKEN_LIMIT, OVERTAKEN_PAUSE, OVERTAKEN_LIMIT);
    let (mut last, mut has_rolled_back) = (None, false);
    for _ in 0..REPAIRS_MAX {
        let existing = settle::settle(job, output).await?;
        let wanted = wanted(existing.as_ref()).await?;
        match attempt(job, &wanted, existing, losses, output).await? {
            Attempt::Done(applied) => return Ok((applied, wanted)),
            Attempt::Overtaken(refusal) => {
                last = Some(refusal);
                let told = output.step(&format!(
                    "`{}` is being changed by somebody else at the same time: looking again",
                    job.name
                ));
                told.map_err(StackError::from)?;
                pauses.pause().await;
            }
            Attempt::WantsRollback(stack) if has_rolled_back => {
                let failed = follow::failed(job.cloud, &stack, job.name, None).await;
                return Err(failed.map_err(StackError::from)?.into());
            }
            Attempt::WantsRollback(stack) => {
                has_rolled_back = true;
                settle::roll_back(job, &stack, output).await?;
            }
        }
    }
    let error = last.map_or_else(|| unexplained(job.name, None), StackError::from);
    Err(error.into())
}

async fn attempt(
    job: &Job<'_, impl Cloud>,
    wanted: &Wanted,
    existing: Option<StackView>,
    losses: &Losses,
    output: &mut Output,
) -> Result<Attempt, StackError> {
    let is_new = existing.is_none();
    let mut order = Order::new(job.terms);
    // AWS goes on with an update that was left failed only if it is left so should it fail again.
    order.keeps_failure = existing
        .as_ref()
        .is_some_and(|it| it.status.is_left_failed());
    let keeps_failure = order.keeps_failure;
    let offer = proposal::offer(job, wanted, is_new, &order).await?;
    let (proposal, changes) = match (offer, existing) {
        (Offer::Overtaken(refusal), _) => return Ok(Attempt::Overtaken(refusal)),
        // What fails is undone by replacing it back: without the undoing AWS replaces nothing.
        (Offer::Ready(proposal, changes), Some(stack))
            if keeps_failure && changes::replaces(&changes) =>
        {
            job.cloud.discard(&proposal).await?;
            return Ok(Attempt::WantsRollback(stack));
        }
        (Offer::Ready(proposal, changes), _) => (proposal, changes),
        (Offer::Refused(_) | Offer::NoChange, Some(stack)) if keeps_failure => {
            return Ok(Attempt::WantsRollback(stack));
        }
        (Offer::NoChange, Some(stack)) => {
            return Ok(Attempt::Done(Applied {
                stack,
                is_changed: false,
            }));
        }
        (Offer::NoChange, None) => return Err(unexplained(job.name, None)),
        (Offer::Refused(error), _) => return Err(error),
    };
    for change in changes::sorted(&changes) {
        output.progress(&Progress::Change(change))?;
    }
    if let Some(loss) = refused_loss(job.name, &changes, losses, output).await {
        proposal::discard(job, &proposal, is_new).await?;
        return Err(loss);
    }
    execute(job, &proposal, &order, output).await
}

/// Carries a proposal out.
async fn execute(
    job: &Job<'_, impl Cloud>,
    proposal: &Proposal,
    order: &Order<'_>,
    output: &mut Output,
) -> Result<Attempt, StackError> {
    let watch = Watch::begin(job, &proposal.stack_id, output).await?;
    if let Err(error) = job.cloud.execute(proposal, order).await {
        output.ends();
        if error.is_overtaken() {
            return Ok(Attempt::Overtaken(error));
        }
        if order.keeps_failure && matches!(error, CloudError::Refused { .. }) {
            let stack = job.cloud.find(&proposal.stack_id).await?;
            return stack.map(Attempt::WantsRollback).ok_or(error.into());
        }
        return Err(error.into());
    }
    Ok(Attempt::Done(Applied {
        stack: watch.of(order).until_good(output).await?,
        is_changed: true,
    }))
}

/// Why the changes are not made, if they would take people's data and nobody wants that.
async fn refused_loss(
    name: &str,
    changes: &[Change],
    losses: &Losses,
    output: &mut Output,
) -> Option<StackError> {
    let loss = *changes::losing_data(changes).first()?;
    let is_meant = match losses {
        Losses::Allowed => true,
        Losses::Refused => false,
        Losses::Asked(_) if !output.is_interactive() => false,
        Losses::Asked(stage) => {
            let question = format!(
                "this would {} `{}` of `{name}`: all that is in it is lost\n\
                 type the stage's name, {stage}, to go on:",
                changes::verb(loss.action),
                loss.resource
            );
            output.ask(&question).await == *stage
        }
    };
    (!is_meant).then(|| StackError::LosesData {
        action: changes::verb(loss.action),
        resource: loss.resource.clone(),
        kind: loss.kind.clone(),
    })
}

/// Whatever is called like one of ours is not ours for that: nothing is changed, emptied or deleted
/// that this program has not made.
///
/// # Errors
/// [`StackError::Foreign`]
pub(crate) fn check_owner(
    stack: &StackView,
    name: &str,
    owner: &'static str,
) -> Result<(), StackError> {
    let is_ours = stack.owner.as_deref() == Some(owner);
    // A change set's tags are the stack's only once it is executed; until then there is nothing in it.
    if is_ours || stack.status.is_gone() || stack.status.is_empty() {
        return Ok(());
    }
    Err(StackError::Foreign {
        stack: name.to_owned(),
        owner,
    })
}

fn unexplained(name: &str, status: Option<Status>) -> StackError {
    StackError::Unexplained {
        stack: name.to_owned(),
        status: status.unwrap_or_else(|| Status::new("UNKNOWN")),
    }
}
