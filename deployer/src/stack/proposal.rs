//! Change sets: what it takes to get one, and to leave nothing of it.

use std::time::Duration;

use super::error::Reason;
use super::sending::Laid;
use super::{Job, StackError, changes};
use crate::cloud::{
    Change, Cloud, CloudError, Order, Proposal, ProposalView, Sent, Subject, Wanted,
};
use crate::wait::Patience;

/// A change set is put together in seconds.
const LIMIT: Duration = Duration::from_mins(5);

/// What AWS would do.
pub(super) enum Offer {
    /// This.
    Ready(Proposal, Vec<Change>),
    /// Nothing: all is as it is wanted.
    NoChange,
    /// It does not take it.
    Refused(StackError),
    /// Somebody else has begun something, and so this was refused.
    Overtaken(CloudError),
}

/// Asks AWS what it would do. Nothing is left of what it does not offer.
pub(super) async fn offer(
    job: &Job<'_, impl Cloud>,
    wanted: &Wanted,
    is_new: bool,
    order: &Order<'_>,
) -> Result<Offer, StackError> {
    let laid = match Laid::of(job.cloud, wanted, order).await {
        Err(StackError::Cloud(error)) if error.is_overtaken() => {
            return Ok(Offer::Overtaken(error));
        }
        other => other?,
    };
    let sent = laid.as_ref().map_or(Sent::Inside, Laid::sent);
    let offer = ask(job, wanted, sent, is_new, order).await;
    if let Some(laid) = laid {
        laid.take_away(job.cloud).await;
    }
    offer
}

async fn ask(
    job: &Job<'_, impl Cloud>,
    wanted: &Wanted,
    sent: Sent<'_>,
    is_new: bool,
    order: &Order<'_>,
) -> Result<Offer, StackError> {
    let proposal = match job.cloud.propose(wanted, sent, is_new, order).await {
        Ok(proposal) => proposal,
        Err(error) if error.is_overtaken() => return Ok(Offer::Overtaken(error)),
        Err(error @ CloudError::Refused { .. }) => return Ok(Offer::Refused(error.into())),
        Err(error) => return Err(error.into()),
    };
    match made(job, &proposal).await {
        Ok(Ok(changes)) => Ok(Offer::Ready(proposal, changes)),
        Ok(Err(reason)) => {
            let is_no_change = !is_new && changes::is_no_change(&reason);
            // What was found is told of the change set, as long as it is there.
            let reason = if is_no_change {
                reason
            } else {
                complaints(job, &proposal).await.unwrap_or(reason)
            };
            discard(job, &proposal, is_new).await?;
            if is_no_change {
                return Ok(Offer::NoChange);
            }
            Ok(Offer::Refused(StackError::Rejected {
                stack: job.name.to_owned(),
                reason: Reason::new(&reason),
            }))
        }
        Err(StackError::Cloud(error)) if error.is_overtaken() => Ok(Offer::Overtaken(error)),
        Err(error) => Err(error),
    }
}

/// The changes, or why there are none.
async fn made(
    job: &Job<'_, impl Cloud>,
    proposal: &Proposal,
) -> Result<Result<Vec<Change>, String>, StackError> {
    let mut patience = Patience::new(LIMIT, Duration::from_millis(250), Duration::from_secs(2));
    let mut last = None;
    loop {
        match job.cloud.proposal(proposal).await {
            Ok(ProposalView::Ready(changes)) => return Ok(Ok(changes)),
            Ok(ProposalView::Failed(reason)) => return Ok(Err(reason)),
            Ok(ProposalView::Pending) => {}
            Err(error) if error.is_passing() => last = Some(Box::new(error)),
            Err(error) => return Err(error.into()),
        }
        if !patience.pause().await {
            return Err(StackError::Deadline {
                stack: job.name.to_owned(),
                status: "the making of its change set".to_owned(),
                limit: LIMIT,
                last,
            });
        }
    }
}

/// What AWS has found in a change set before it would do anything, resource by resource. The change
/// set itself names only the check that failed.
async fn complaints(job: &Job<'_, impl Cloud>, proposal: &Proposal) -> Option<String> {
    // Where that call is refused or not there, what the change set says has to do.
    let failures = job.cloud.failures(Subject::Proposal(proposal)).await.ok()?;
    let lines: Vec<_> = failures
        .iter()
        .filter(|it| !it.resource.is_empty())
        .map(|it| format!("`{}` ({}): {}", it.resource, it.kind, it.reason))
        .collect();
    (!lines.is_empty()).then(|| lines.join("; "))
}

/// Leaves nothing of a proposal: the one for a new stack has made an empty stack.
pub(super) async fn discard(
    job: &Job<'_, impl Cloud>,
    proposal: &Proposal,
    is_new: bool,
) -> Result<(), CloudError> {
    match job.cloud.discard(proposal).await {
        // Somebody else's change set has taken its place.
        Err(error) if error.is_overtaken() => return Ok(()),
        other => other?,
    }
    if !is_new {
        return Ok(());
    }
    // By now it may be somebody else's, with something in it.
    let stack = job.cloud.find(&proposal.stack_id).await?;
    if stack.is_some_and(|it| it.status.is_empty()) {
        let order = Order::new(job.terms);
        job.cloud.delete(&proposal.stack_id, &order).await?;
    }
    Ok(())
}
