//! Publishing a page to a bucket behind a distribution.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};

use super::page::Difference;
use super::{Page, SiteError};
use crate::cloud::{Buckets, CloudError, Distributions, NewObject};
use crate::output::Output;
use crate::wait::Patience;

/// Puts at the same time: enough to hide the way to the Region, and few enough for any line.
const PUTS_AT_ONCE: usize = 8;

/// An invalidation takes a minute, in the worst case a quarter of an hour.
const INVALIDATION_LIMIT: Duration = Duration::from_mins(20);

/// Makes a bucket hold a page and nothing else, and the distribution show it. Gives whether there was
/// anything to do.
///
/// # Errors
/// [`SiteError`], if AWS does not do it.
pub(crate) async fn publish(
    cloud: &(impl Buckets + Distributions),
    bucket: &str,
    distribution: &str,
    page: Page,
    output: &mut Output,
) -> Result<bool, SiteError> {
    let difference = Difference::new(page, &cloud.objects(bucket, "").await?);
    if difference.is_none() {
        output.step("page: nothing to change")?;
        return Ok(false);
    }
    output.step(&format!(
        "page: {} files to send, {} to remove",
        difference.first.len() + difference.last.len(),
        difference.stale.len()
    ))?;
    put_all(cloud, bucket, difference.first).await?;
    put_all(cloud, bucket, difference.last).await?;
    if !difference.stale.is_empty() {
        cloud.remove(bucket, &difference.stale).await?;
    }
    output.step("page: CloudFront forgets the old one (about a minute)")?;
    invalidate(cloud, distribution).await?;
    Ok(true)
}

async fn put_all(
    cloud: &impl Buckets,
    bucket: &str,
    objects: Vec<NewObject>,
) -> Result<(), CloudError> {
    stream::iter(objects)
        .map(|object| cloud.put(bucket, object))
        .buffer_unordered(PUTS_AT_ONCE)
        .try_collect()
        .await
}

async fn invalidate(cloud: &impl Distributions, distribution: &str) -> Result<(), SiteError> {
    let id = cloud.invalidate(distribution).await?;
    let mut patience = Patience::new(
        INVALIDATION_LIMIT,
        Duration::from_millis(500),
        Duration::from_secs(5),
    );
    let mut last = None;
    loop {
        match cloud.is_invalidated(distribution, &id).await {
            Ok(true) => return Ok(()),
            Ok(false) => {}
            Err(error @ (CloudError::Unreachable { .. } | CloudError::Throttled { .. })) => {
                last = Some(error);
            }
            Err(error) => return Err(error.into()),
        }
        if !patience.pause().await {
            return Err(SiteError::NotInvalidated {
                limit: INVALIDATION_LIMIT,
                last,
            });
        }
    }
}
