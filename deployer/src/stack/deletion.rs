//! Getting rid of a stack and of what is in its buckets.

use super::follow::Watch;
use super::settle::wait_out;
use super::state::{self, OnDestroy};
use super::{Job, REPAIRS_MAX, StackError, check_owner, unexplained};
use crate::cloud::{Buckets, Cloud, Order, StackView, Stacks, Terms};
use crate::output::Output;

/// The type of what has to be empty before it can be deleted.
pub(super) const BUCKET: &str = "AWS::S3::Bucket";

/// Deletes a stack and all that is in its buckets, from whatever state it is in.
///
/// # Errors
/// [`StackError`]. Calling this again is always right.
pub(crate) async fn delete(
    cloud: &impl Cloud,
    name: &str,
    owner: &'static str,
    terms: &Terms,
    output: &mut Output,
) -> Result<(), StackError> {
    let job = Job {
        cloud,
        name,
        owner,
        terms,
    };
    let mut last = None;
    for _ in 0..REPAIRS_MAX {
        let found = cloud.find(name).await?;
        let step = state::on_destroy(found.as_ref().map(|it| &it.status));
        let Some(stack) = found else { return Ok(()) };
        check_owner(&stack, name, owner)?;
        match step {
            OnDestroy::Nothing => return Ok(()),
            OnDestroy::Wait => wait_out(&job, &stack, output).await?,
            OnDestroy::Delete => return delete_now(&job, &stack, output).await,
        }
        last = Some(stack.status);
    }
    Err(unexplained(name, last))
}

pub(super) async fn delete_now(
    job: &Job<'_, impl Cloud>,
    stack: &StackView,
    output: &mut Output,
) -> Result<(), StackError> {
    empty_buckets(job.cloud, &stack.id, output).await?;
    let order = Order::new(job.terms);
    let watch = Watch::begin(job, &stack.id, output).await?;
    job.cloud.delete(&stack.id, &order).await?;
    watch.of(&order).until_gone(output).await
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
