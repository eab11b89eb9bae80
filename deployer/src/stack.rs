//! Stacks: what it takes to get one from the state it is in to the one that is wanted.
//!
//! # Layout
//! * `state`: what to do in which state, as a pure table.
//! * `changes`: change sets as people read them.
//! * `cause`: why a stack failed.
//! * `follow`: waiting for what a stack is doing.

mod cause;
mod changes;
mod follow;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use changes::{line, word};
pub(crate) use state::Status;

use std::time::Duration;

use crate::cloud::{
    Buckets, Change, Cloud, CloudError, Proposal, ProposalView, StackEvent, StackView, Stacks,
    Wanted,
};
use crate::output::{Output, OutputError};
use crate::progress::Progress;
use crate::wait::Patience;

use follow::Watch;
use state::{OnDeploy, OnDestroy};

/// The type of what has to be empty before it can be deleted.
const BUCKET: &str = "AWS::S3::Bucket";

/// A change set is put together in seconds.
const PROPOSAL_TIMEOUT: Duration = Duration::from_mins(5);

/// How often a stack in a bad state is put right before that counts as hopeless.
const REPAIRS_MAX: usize = 6;

/// Why a stack is not as it is wanted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StackError {
    /// A call failed.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// What is going on cannot be told.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A resource could not be made, changed or deleted.
    #[error("{cause}; the stack `{stack}` is in {status}")]
    Failed {
        /// The stack.
        stack: String,
        /// Where it ended.
        status: Status,
        /// What failed first.
        cause: Box<Cause>,
    },
    /// It failed without telling why.
    #[error("the stack `{stack}` is in {status}")]
    Unexplained {
        /// The stack.
        stack: String,
        /// Where it ended.
        status: Status,
    },
    /// It takes longer than it ever should.
    #[error("the stack `{stack}` is still in {status} after {}", humantime::format_duration(*.limit))]
    Deadline {
        /// The stack.
        stack: String,
        /// What it is doing.
        status: String,
        /// How long it was waited for.
        limit: Duration,
        /// The last call that failed while waiting.
        #[source]
        last: Option<Box<CloudError>>,
    },
    /// It is somebody else's stack.
    #[error(
        "the stack `{stack}` was not made by this program: it lacks the tag `chatctl` with the value `{owner}`"
    )]
    Foreign {
        /// The stack.
        stack: String,
        /// What would be written on it.
        owner: &'static str,
    },
    /// AWS refuses the template.
    #[error("AWS refuses the template of `{stack}`: {reason}")]
    Rejected {
        /// The stack.
        stack: String,
        /// In AWS's words.
        reason: String,
    },
    /// The change would take people's data.
    #[error("the change would {action} `{resource}` ({kind}), and what is in it would be lost")]
    LosesData {
        /// What would be done.
        action: &'static str,
        /// The resource.
        resource: String,
        /// Its type.
        kind: String,
    },
}

impl StackError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Cloud(error) => error.hint(),
            Self::Output(_) => "AWS goes on: run the same command again".to_owned(),
            Self::Failed { cause, .. } => cause::hint(&cause.reason).to_owned(),
            Self::Unexplained { .. } => {
                "look at the stack's events in the CloudFormation console, then run the same \
                 command again"
                    .to_owned()
            }
            Self::Deadline { .. } => {
                "AWS goes on: run the same command again to go on waiting".to_owned()
            }
            Self::Foreign { .. } => {
                "nothing was done; choose another name with `--stage`, or another Region or account"
                    .to_owned()
            }
            Self::Rejected { .. } => {
                "correct `cloudformation/` and run the same command again".to_owned()
            }
            Self::LosesData { .. } => {
                "nothing was done; if that is meant, run it again with `--allow-replacement`"
                    .to_owned()
            }
        }
    }
}

/// The resource that failed first.
#[derive(Debug, thiserror::Error)]
#[error("`{resource}` ({kind}) failed: {reason}")]
pub(crate) struct Cause {
    /// Its name in the template.
    resource: String,
    /// Its type.
    kind: String,
    /// In AWS's words.
    reason: String,
}

/// Whether a change may take people's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Losses {
    /// The user said so.
    Allowed,
    /// Nobody said so.
    Refused,
}

/// A stack as it is wanted.
#[derive(Debug)]
pub(crate) struct Applied {
    /// The stack.
    pub(crate) stack: StackView,
    /// Whether there was anything to do.
    pub(crate) is_changed: bool,
}

/// Makes a stack as it is wanted, from whatever state it is in.
///
/// # Errors
/// [`StackError`]. Calling this again is always right.
pub(crate) async fn apply(
    cloud: &impl Cloud,
    wanted: &Wanted,
    losses: Losses,
    output: &mut Output,
) -> Result<Applied, StackError> {
    let existing = settle(cloud, &wanted.name, wanted.owner, output).await?;
    let proposal = cloud.propose(wanted, existing.is_none()).await?;
    let changes = match changes_of(cloud, &wanted.name, &proposal).await? {
        Ok(changes) => changes,
        Err(reason) => {
            discard(cloud, &proposal, existing.is_none()).await?;
            return match existing {
                Some(stack) if changes::is_no_change(&reason) => Ok(Applied {
                    stack,
                    is_changed: false,
                }),
                _ => Err(StackError::Rejected {
                    stack: wanted.name.clone(),
                    reason,
                }),
            };
        }
    };
    for change in changes::sorted(&changes) {
        output.progress(&Progress::Change(change))?;
    }
    if let Some(&loss) = changes::losing_data(&changes).first()
        && losses == Losses::Refused
    {
        discard(cloud, &proposal, existing.is_none()).await?;
        return Err(StackError::LosesData {
            action: changes::word(loss.action),
            resource: loss.resource.clone(),
            kind: loss.kind.clone(),
        });
    }
    let watch = Watch::begin(cloud, &proposal.stack_id, &wanted.name).await?;
    cloud.execute(&proposal).await?;
    let stack = watch.until_good(output).await?;
    Ok(Applied {
        stack,
        is_changed: true,
    })
}

/// Waits and repairs until there is either a stack that can be updated or none.
async fn settle(
    cloud: &impl Cloud,
    name: &str,
    owner: &'static str,
    output: &mut Output,
) -> Result<Option<StackView>, StackError> {
    let (mut last, mut has_continued) = (None, false);
    for _ in 0..REPAIRS_MAX {
        let found = cloud.find(name).await?;
        let step = state::on_deploy(found.as_ref().map(|it| &it.status));
        let Some(stack) = found else { return Ok(None) };
        check_owner(&stack, name, owner)?;
        match step {
            OnDeploy::Create => return Ok(None),
            OnDeploy::Update => return Ok(Some(stack)),
            OnDeploy::Wait => wait_out(cloud, &stack, name, output).await?,
            OnDeploy::StartOver => {
                output.step(&format!("`{name}` was begun and never made: starting over"))?;
                delete_now(cloud, &stack, name, output).await?;
            }
            OnDeploy::DeleteFailed => {
                let events = cloud.events(&stack.id, None).await?;
                let why = cause::root_cause(&events).and_then(|it| it.reason.as_deref());
                output.step(&format!(
                    "`{name}` is in {} ({}): deleting it to start over",
                    stack.status,
                    why.unwrap_or("for no reason that AWS tells")
                ))?;
                delete_now(cloud, &stack, name, output).await?;
            }
            OnDeploy::ContinueRollback if has_continued => {
                return Err(failed(cloud, &stack, name).await?);
            }
            OnDeploy::ContinueRollback => {
                has_continued = true;
                output.step(&format!(
                    "`{name}` is in {}: its rollback goes on",
                    stack.status
                ))?;
                let watch = Watch::begin(cloud, &stack.id, name).await?;
                cloud.continue_rollback(&stack.id).await?;
                watch.until_settled(output).await?;
            }
            OnDeploy::Stop => return Err(unexplained(name, stack.status)),
        }
        last = Some(stack.status);
    }
    let status = last.unwrap_or_else(|| Status::new("UNKNOWN"));
    Err(unexplained(name, status))
}

/// Deletes a stack and all that is in its buckets, from whatever state it is in.
///
/// # Errors
/// [`StackError`]. Calling this again is always right.
pub(crate) async fn delete(
    cloud: &impl Cloud,
    name: &str,
    owner: &'static str,
    output: &mut Output,
) -> Result<(), StackError> {
    let mut last = None;
    for _ in 0..REPAIRS_MAX {
        let found = cloud.find(name).await?;
        let step = state::on_destroy(found.as_ref().map(|it| &it.status));
        let Some(stack) = found else { return Ok(()) };
        check_owner(&stack, name, owner)?;
        match step {
            OnDestroy::Nothing => return Ok(()),
            OnDestroy::Wait => wait_out(cloud, &stack, name, output).await?,
            OnDestroy::Delete => return delete_now(cloud, &stack, name, output).await,
        }
        last = Some(stack.status);
    }
    let status = last.unwrap_or_else(|| Status::new("UNKNOWN"));
    Err(unexplained(name, status))
}

/// Waits for the end of what somebody else has begun, or an earlier run of this.
async fn wait_out(
    cloud: &impl Cloud,
    stack: &StackView,
    name: &str,
    output: &mut Output,
) -> Result<(), StackError> {
    output.step(&format!(
        "`{name}` is in {}: waiting for its end",
        stack.status
    ))?;
    let watch = Watch::begin(cloud, &stack.id, name).await?.attached();
    watch.until_settled(output).await
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

/// Why a stack is in the bad state that it is in.
async fn failed(
    cloud: &impl Stacks,
    stack: &StackView,
    name: &str,
) -> Result<StackError, CloudError> {
    let events = cloud.events(&stack.id, None).await?;
    Ok(explained(&events, name, stack.status.clone()))
}

async fn delete_now(
    cloud: &impl Cloud,
    stack: &StackView,
    name: &str,
    output: &mut Output,
) -> Result<(), StackError> {
    empty_buckets(cloud, &stack.id, output).await?;
    let watch = Watch::begin(cloud, &stack.id, name).await?;
    cloud.delete(&stack.id).await?;
    watch.until_gone(output).await
}

/// AWS deletes no bucket that has anything in it, be it an older version or a delete marker.
async fn empty_buckets(
    cloud: &(impl Stacks + Buckets),
    stack_id: &str,
    output: &mut Output,
) -> Result<(), StackError> {
    let resources = cloud.resources(stack_id).await?;
    let buckets = resources.iter().filter(|it| it.kind == BUCKET);
    for bucket in buckets.filter_map(|it| it.physical_id.as_deref()) {
        let emptied = cloud.empty(bucket).await?;
        if emptied > 0 {
            output.step(&format!(
                "bucket `{bucket}` emptied, {emptied} versions and delete markers"
            ))?;
        }
    }
    Ok(())
}

/// The changes, or why there are none.
async fn changes_of(
    cloud: &impl Stacks,
    name: &str,
    proposal: &Proposal,
) -> Result<Result<Vec<Change>, String>, StackError> {
    let mut patience = Patience::new(
        PROPOSAL_TIMEOUT,
        Duration::from_millis(250),
        Duration::from_secs(2),
    );
    loop {
        match cloud.proposal(proposal).await? {
            ProposalView::Ready(changes) => return Ok(Ok(changes)),
            ProposalView::Failed(reason) => return Ok(Err(reason)),
            ProposalView::Pending if patience.pause().await => {}
            ProposalView::Pending => {
                return Err(StackError::Deadline {
                    stack: name.to_owned(),
                    status: "the making of its change set".to_owned(),
                    limit: PROPOSAL_TIMEOUT,
                    last: None,
                });
            }
        }
    }
}

/// Leaves nothing of a proposal: the one for a new stack has made an empty stack.
async fn discard(cloud: &impl Stacks, proposal: &Proposal, is_new: bool) -> Result<(), CloudError> {
    cloud.discard(proposal).await?;
    if is_new {
        cloud.delete(&proposal.stack_id).await?;
    }
    Ok(())
}

/// A stack's failure, by the events that led to it.
fn explained(events: &[StackEvent], name: &str, status: Status) -> StackError {
    match cause::root_cause(events) {
        Some(event) => StackError::Failed {
            stack: name.to_owned(),
            status,
            cause: Box::new(Cause {
                resource: event.resource.clone(),
                kind: event.kind.clone(),
                reason: event.reason.clone().unwrap_or_else(|| event.status.clone()),
            }),
        },
        None => unexplained(name, status),
    }
}

fn unexplained(name: &str, status: Status) -> StackError {
    StackError::Unexplained {
        stack: name.to_owned(),
        status,
    }
}
