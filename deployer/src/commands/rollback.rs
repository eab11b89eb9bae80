//! `chatctl rollback`: go back to code and page that were found to work.
//!
//! The stack's template, its other parameters and its tags stay as they are on AWS, whatever checkout
//! this is run from: what was bad is code or page, and a template of before could take the table away.
//! Code that does not work with the template of now is found by the same trial as after a deploy.
//!
//! # Layout
//! * `here`: a stage, and what is kept of it.
//! * `list`: showing that.

mod here;
mod list;

use std::time::Instant;

use serde_json::json;

use self::here::Here;
use super::deploy::{Deployed, announce, function_names, listed, publish, verify};
use super::urls::{Urls, required};
use super::{CHAT_OWNER, no_stack, until_interrupted};
use crate::cloud::aws::Aws;
use crate::cloud::{Cloud, Code, Functions, Packages, StackView, Templates, Wanted};
use crate::error::Error;
use crate::functions;
use crate::output::Output;
use crate::releases::{self, Kept, Mark, Release, ReleaseError, Which};
use crate::settings::RollbackSettings;
use crate::site::{self, Extent, Page};
use crate::stack::{self, Applied, Rest};

/// Goes back, or shows what there is to go back to.
///
/// # Errors
/// [`Error`], if there is nothing, or any step fails. Running it again is always right.
pub(crate) fn run(settings: &RollbackSettings, output: &mut Output) -> Result<(), Error> {
    output.for_programs(settings.json);
    until_interrupted(async {
        let aws = Aws::connect(&settings.account).await?;
        match &settings.to {
            None => {
                let here = Here::find(&aws, &aws.region, settings).await?;
                list::show(&aws, &here, settings, output).await
            }
            Some(which) => Box::pin(roll_back(&aws, &aws.region, which, settings, output)).await,
        }
    })
}

async fn roll_back(
    cloud: &(impl Cloud + Functions + Packages + Templates),
    region: &str,
    which: &Which,
    settings: &RollbackSettings,
    output: &mut Output,
) -> Result<(), Error> {
    let since = Instant::now();
    let (stage, name) = (&settings.stage, settings.stage.stack_name());
    // What is seen while something goes on may never come to be.
    match stack::at_rest(cloud, &name, CHAT_OWNER, output).await? {
        Rest::There => {}
        Rest::Nothing => return Err(no_stack(stage, region)),
        Rest::Unmade(status) => {
            let stack = name;
            return Err(ReleaseError::Unmade { stack, status }.into());
        }
    }
    let here = Here::find(cloud, region, settings).await?;
    let way = Way::find(cloud, &here, which, settings).await?;
    let release = &way.release;
    output.step(&format!(
        "{} `{name}` in {region} to {release}, found to work on {}; the template stays",
        if way.is_resumed {
            "going on rolling back"
        } else {
            "rolling back"
        },
        release.time()
    ))?;
    way.mark(cloud, &here, settings).await?;
    let changed = Box::pin(change(cloud, region, &way, settings, output)).await?;
    output.step(&format!("rolled back in {} s", since.elapsed().as_secs()))?;
    // The last thing of all: whoever has not read that it is done has it done again, to the same end.
    let kept = Kept {
        mark: Some(way.mark),
        ..here.kept
    };
    releases::arrive(cloud, &here.bucket, stage, release, &kept).await?;
    output.step("the next `chatctl deploy` goes forward again")?;
    let result = json!({"changed": changed.is_changed, "release": release.to_string()});
    announce(settings.json, stage, &changed.urls, result, output)
}

/// What is gone back to.
struct Way {
    release: Release,
    page: Page,
    code: Code,
    /// What is noted of it.
    mark: Mark,
    /// Whether that was noted before.
    is_resumed: bool,
}

impl Way {
    /// Changes nothing: what cannot be gone back to is found out here.
    async fn find(
        cloud: &(impl Cloud + Functions + Packages),
        here: &Here,
        which: &Which,
        settings: &RollbackSettings,
    ) -> Result<Self, Error> {
        let (stage, bucket, kept) = (&settings.stage, &here.bucket, &here.kept);
        let runs = here.runs(cloud, stage).await?;
        let release = releases::choose(&stage.stack_name(), kept, &runs, which)?;
        let page = releases::page(cloud, bucket, stage, release).await?;
        let code = release.code(stage, bucket.clone());
        if cloud.packages(&code.bucket, &code.key).await?.is_empty() {
            return Err(Error::Release(ReleaseError::NoPackage {
                release: release.to_string(),
                bucket: code.bucket,
            }));
        }
        let old = kept.mark.clone().unwrap_or_default();
        let mut running = kept.releases.iter().zip(&runs).filter(|(_, runs)| **runs);
        Ok(Self {
            mark: old.toward(release, running.next().map(|(release, _)| release)),
            is_resumed: old.leads_to(release),
            release: release.clone(),
            page,
            code,
        })
    }

    /// Notes it, before anything is done. Before that the chat is not known to work any more: the next
    /// deploy tries it, and takes the mark away, even if it has nothing to change.
    async fn mark(
        &self,
        cloud: &impl Cloud,
        here: &Here,
        settings: &RollbackSettings,
    ) -> Result<(), Error> {
        let (stage, old) = (&settings.stage, here.kept.mark.as_ref());
        let site = required(stage, &here.stack, "SiteBucketName")?;
        site::forget_verified(cloud, &site).await?;
        Ok(releases::note(cloud, &here.bucket, stage, old, &self.mark).await?)
    }
}

/// What has become of the chat.
struct Changed {
    is_changed: bool,
    urls: Urls,
}

/// Changes code and page, and tries the chat.
async fn change(
    cloud: &(impl Cloud + Functions + Packages + Templates),
    region: &str,
    way: &Way,
    settings: &RollbackSettings,
    output: &mut Output,
) -> Result<Changed, Error> {
    let (stage, code) = (&settings.stage, &way.code);
    let name = stage.stack_name();
    cloud.refresh(&code.bucket, &code.key).await?;
    let wanted = async |stack: Option<&StackView>| {
        let template = cloud.template(&name).await?;
        let (Some(stack), Some(template)) = (stack, template) else {
            return Err(no_stack(stage, region));
        };
        Ok::<Wanted, Error>(here::wanted(stage, stack, template, code))
    };
    let of = (name.as_str(), CHAT_OWNER);
    let (applied, _) = stack::revise(cloud, of, wanted, &settings.terms, output).await?;
    let Applied { stack, is_changed } = applied;
    let outdated = functions::outdated(cloud, &function_names(stage, &stack)?, code).await?;
    if !outdated.is_empty() {
        output.step(&format!("put right as well: {}", listed(&outdated)))?;
        functions::replace(cloud, &outdated, code).await?;
    }
    let urls = Urls::of(stage, &stack)?;
    let published = publish(cloud, stage, &stack, way.page.clone(), &urls, None, output).await?;
    let deployed = Deployed {
        stage,
        stack: &stack,
        // Of which program the package was made nobody knows any more: the next deploy tries the chat.
        proof: None,
        urls: &urls,
        packages: &code.bucket,
        release: &way.release,
        page: &way.page,
        is_rollback: true,
    };
    let limit = settings.verify_timeout;
    verify(cloud, &deployed, Extent::Whole, limit, output).await?;
    urls.tell_of_domain(output).await?;
    Ok(Changed {
        is_changed: is_changed || !outdated.is_empty() || published.is_changed,
        urls,
    })
}
