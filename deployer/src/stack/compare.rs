//! What a deploy would do to a stack, without doing it.

use super::proposal::{self, Offer};
use super::settle;
use super::state::{self, OnDeploy};
use super::{Job, StackError, Status, check_owner, unexplained};
use crate::cloud::{Change, Cloud, Order, StackView, Terms, Wanted};
use crate::protection;

/// What a deploy would do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    /// Make all of it, in place of what is in the state that is told, if anything is there.
    New(Option<Status>),
    /// These changes, to the stack as it is; none, if all is as it is wanted.
    Changes(Vec<Change>),
    /// Wait for the end of this, or go on with it; only then can anything be compared.
    Later(Status),
}

/// Asks what it would take to make a stack as it is wanted. Nothing is changed, and nothing left behind:
/// for a stack that is not there AWS is not even asked, for its answer would begin with an empty one.
///
/// # Errors
/// [`StackError`], if AWS would not take it, or does not say.
pub(crate) async fn compare(
    cloud: &impl Cloud,
    wanted: &Wanted,
    existing: Option<&StackView>,
) -> Result<Comparison, StackError> {
    let terms = Terms::default();
    let job = Job {
        cloud,
        name: &wanted.name,
        owner: wanted.owner,
        terms: &terms,
    };
    let status = existing.map(|it| it.status.clone());
    if let Some(stack) = existing {
        check_owner(stack, job.name, job.owner)?;
    }
    let step = state::on_deploy(status.as_ref());
    if let Some(stack) = existing.filter(|_| step == OnDeploy::DeleteFailed) {
        settle::may_start_over(stack, job.name, protection::is_lifted_by(wanted))?;
    }
    match (step, status) {
        (OnDeploy::Create | OnDeploy::StartOver | OnDeploy::DeleteFailed, status) => {
            Ok(Comparison::New(status.filter(|it| !it.is_gone())))
        }
        (OnDeploy::Wait | OnDeploy::ContinueRollback, Some(status)) => {
            Ok(Comparison::Later(status))
        }
        (OnDeploy::Update | OnDeploy::Resume, Some(status)) => {
            let order = Order::new(&terms);
            match proposal::offer(&job, wanted, false, &order).await? {
                Offer::Ready(proposal, changes) => {
                    proposal::discard(&job, &proposal, false).await?;
                    Ok(Comparison::Changes(changes))
                }
                Offer::NoChange => Ok(Comparison::Changes(Vec::new())),
                Offer::Overtaken(_) => Ok(Comparison::Later(status)),
                Offer::Refused(error) => Err(error),
            }
        }
        (_, status) => Err(unexplained(job.name, status)),
    }
}
