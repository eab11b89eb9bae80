//! What follows once stack and functions are as they should be: the page is published, the chat is tried,
//! what works is kept, and the user is told where it is.

use std::time::Duration;

use serde_json::Value;

use super::ACTION;
use crate::cloud::{Buckets, Cloud, Functions, Packages, StackView};
use crate::commands::urls::{Urls, required};
use crate::error::{BadDeploy, Error};
use crate::output::Output;
use crate::packages;
use crate::releases::{self, Release};
use crate::site::{self, Action, Extent, Host, Listing, Page, Published, SiteError};
use crate::template::StageName;

/// Who serves the page.
pub(crate) fn host(stage: &StageName, stack: &StackView) -> Result<Host, Error> {
    Ok(match stack.output("SitePolicy") {
        Some(policy) => Host::Website {
            policy: policy.to_owned(),
        },
        None => Host::Distribution(required(stage, stack, "SiteDistributionId")?),
    })
}

pub(crate) async fn publish(
    cloud: &impl Cloud,
    stage: &StageName,
    stack: &StackView,
    page: Page,
    urls: &Urls,
    listing: Option<Listing>,
    output: &mut Output,
) -> Result<Published, Error> {
    let bucket = required(stage, stack, "SiteBucketName")?;
    let host = host(stage, stack)?;
    let page = page.with_config(urls.config());
    Ok(site::publish(cloud, &bucket, &host, page, listing, output).await?)
}

/// What was deployed.
pub(crate) struct Deployed<'a> {
    pub(crate) stage: &'a StageName,
    pub(crate) stack: &'a StackView,
    /// What the chat is made from, if that is known beyond doubt.
    pub(crate) proof: Option<String>,
    pub(crate) urls: &'a Urls,
    /// The bucket of packages.
    pub(crate) packages: &'a str,
    pub(crate) release: &'a Release,
    pub(crate) page: &'a Page,
    /// Whether it was gone back to.
    pub(crate) is_rollback: bool,
}

/// Looks at the chat from outside, and remembers whether it works: a deploy that is run again after one
/// that failed here has nothing to change, and must not take that for a chat that works. What works is
/// kept, to go back to, and what is older goes only then; before that is noted, so that whatever is cut off
/// here is done by the next.
pub(crate) async fn verify(
    cloud: &(impl Buckets + Functions + Packages),
    deployed: &Deployed<'_>,
    extent: Extent,
    limit: Duration,
    output: &mut Output,
) -> Result<(), Error> {
    let Deployed { stage, stack, .. } = deployed;
    let bucket = required(stage, stack, "SiteBucketName")?;
    let function = &required(stage, stack, ACTION)?;
    let (chat, action) = (deployed.urls.chat(), Action { cloud, function });
    let verified = site::verify(chat, action, extent, limit, output).await;
    if extent != Extent::Whole {
        return Ok(verified?);
    }
    if let Err(error) = verified {
        // What is wrong with the chat is worth more than what is wrong with this.
        drop(site::forget_verified(cloud, &bucket).await);
        return Err(with_way_back(cloud, deployed, error).await);
    }
    let (packages, release) = (deployed.packages, deployed.release);
    let kept = releases::record(cloud, packages, stage, release, deployed.page).await?;
    packages::prune(cloud, packages, stage, &kept.releases).await?;
    if !deployed.is_rollback {
        releases::arrive(cloud, packages, stage, release, &kept).await?;
    }
    match deployed.proof.clone() {
        Some(proof) => Ok(site::note_verified(cloud, &bucket, proof).await?),
        None => Ok(()),
    }
}

/// What is wrong with a deploy, and how to go back from it if something is kept that worked.
async fn with_way_back(
    cloud: &(impl Buckets + Packages),
    deployed: &Deployed<'_>,
    error: SiteError,
) -> Error {
    let Deployed { stage, release, .. } = deployed;
    let kept = releases::look(cloud, deployed.packages, stage).await;
    let Ok(kept) = kept else { return error.into() };
    let used: Vec<_> = kept.releases.iter().chain([*release]).cloned().collect();
    // A chat that never works has its packages go as well.
    drop(packages::prune(cloud, deployed.packages, stage, &used).await);
    if !matches!(error, SiteError::NotWorking { .. }) {
        return error.into();
    }
    let back = releases::before(&stage.stack_name(), kept, release);
    let again = deployed.is_rollback.then(|| release.to_string());
    if back.is_none() && again.is_none() {
        return error.into();
    }
    Error::from(Box::new(BadDeploy {
        error,
        stage: stage.to_string(),
        again,
        back: back.map(|it| (it.to_string(), it.time())),
    }))
}

/// Tells where the chat is, and for programs what a command has come to.
pub(crate) fn announce(
    is_json: bool,
    stage: &StageName,
    urls: &Urls,
    result: Value,
    output: &mut Output,
) -> Result<(), Error> {
    let text = if is_json {
        let mut all = urls.json();
        all["event"] = "result".into();
        all["stage"] = stage.as_str().into();
        if let (Some(all), Value::Object(result)) = (all.as_object_mut(), result) {
            all.extend(result);
        }
        format!("{all}\n")
    } else {
        urls.lines()
    };
    output.data(&text)?;
    Ok(())
}
