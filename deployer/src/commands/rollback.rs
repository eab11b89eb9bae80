//! `chatctl rollback`: go back to code and page that were found to work.
//!
//! The stack's template, its other parameters and its tags stay as they are on AWS, whatever checkout
//! this is run from: what was bad is code or page, and a template of before could take the table away.
//! Code that does not work with the template of now is found by the same trial as after a deploy.

use std::time::Instant;

use serde_json::json;

use super::deploy::{Deployed, Found, function_names, host, listed, look, publish, verify};
use super::urls::{Urls, required};
use super::{CHAT_OWNER, no_stack, until_interrupted};
use crate::cloud::aws::Aws;
use crate::cloud::{Cloud, Code, Functions, OWNER_TAG, Packages, StackView, Templates, Wanted};
use crate::error::Error;
use crate::functions;
use crate::output::Output;
use crate::packages;
use crate::releases::{self, Release, ReleaseError, Which};
use crate::settings::RollbackSettings;
use crate::site::{self, Extent};
use crate::stack::{self, Applied, Losses};
use crate::template::StageName;

/// Goes back, or shows what there is to go back to.
///
/// # Errors
/// [`Error`], if there is nothing, or any step fails. Running it again is always right.
pub(crate) fn run(settings: &RollbackSettings, output: &mut Output) -> Result<(), Error> {
    output.for_programs(settings.json);
    until_interrupted(async {
        let aws = Aws::connect(&settings.account).await?;
        let here = Here::find(&aws, &aws.region, settings).await?;
        match &settings.to {
            None => show(&aws, &here, settings, output).await,
            Some(which) => {
                Box::pin(roll_back(&aws, &aws.region, &here, which, settings, output)).await
            }
        }
    })
}

/// A stage, and what is kept of it.
struct Here {
    stack: StackView,
    template: String,
    bucket: String,
    releases: Vec<Release>,
}

impl Here {
    async fn find(
        cloud: &(impl Cloud + Packages + Templates),
        region: &str,
        settings: &RollbackSettings,
    ) -> Result<Self, Error> {
        let stage = &settings.stage;
        let Found {
            stack,
            template,
            artifacts,
        } = look(cloud, &stage.stack_name()).await?;
        let stack = stack.filter(|it| !it.status.is_gone());
        let (Some(stack), Some(template)) = (stack, template) else {
            return Err(no_stack(stage, region));
        };
        let bucket = packages::existing_bucket(artifacts.as_ref())?;
        let bucket = bucket.ok_or_else(|| ReleaseError::None {
            stack: stage.stack_name(),
        })?;
        Ok(Self {
            releases: releases::list(cloud, &bucket, stage).await?,
            stack,
            template,
            bucket,
        })
    }

    /// Whether each release is what runs now: neither what the stack names nor what was last found to
    /// work need be that.
    async fn runs(
        &self,
        cloud: &(impl Cloud + Functions + Packages),
        stage: &StageName,
    ) -> Result<Vec<bool>, Error> {
        // What was never finished runs nothing that could be compared.
        let (Ok(names), Ok(urls), Ok(host), Ok(bucket)) = (
            function_names(stage, &self.stack),
            Urls::of(stage, &self.stack),
            host(stage, &self.stack),
            required(stage, &self.stack, "SiteBucketName"),
        ) else {
            return Ok(vec![false; self.releases.len()]);
        };
        let mut runs = Vec::new();
        for release in &self.releases {
            let code = release.code(stage, self.bucket.clone());
            let is_code = functions::outdated(cloud, &names, &code).await?.is_empty();
            let is_page = is_code && {
                // One that cannot be read is none that runs.
                match releases::page(cloud, &self.bucket, stage, release).await {
                    Ok(page) => {
                        let page = page.with_config(urls.config());
                        site::edits(cloud, &bucket, &host, page).await?.is_none()
                    }
                    Err(Error::Release(_)) => false,
                    Err(error) => return Err(error),
                }
            };
            runs.push(is_code && is_page);
        }
        Ok(runs)
    }

    /// The stack as it is, but for its code.
    fn wanted(&self, stage: &StageName, code: &Code) -> Wanted {
        let parameters = self.stack.parameters.iter().map(|(name, value)| {
            let value = match name.as_str() {
                "CodeBucket" => &code.bucket,
                "CodeKey" => &code.key,
                "Architecture" => code.architecture,
                _ => value,
            };
            (name.clone(), value.to_owned())
        });
        let is_given = |it: &&(String, String)| it.0 != OWNER_TAG && !it.0.starts_with("aws:");
        Wanted {
            name: stage.stack_name(),
            template: self.template.clone(),
            parameters: parameters.collect(),
            owner: CHAT_OWNER,
            tags: self.stack.tags.iter().filter(is_given).cloned().collect(),
        }
    }
}

async fn roll_back(
    cloud: &(impl Cloud + Functions + Packages),
    region: &str,
    here: &Here,
    which: &Which,
    settings: &RollbackSettings,
    output: &mut Output,
) -> Result<(), Error> {
    let since = Instant::now();
    let stage = &settings.stage;
    let name = stage.stack_name();
    let runs = match which {
        Which::Previous => here.runs(cloud, stage).await?,
        _ => vec![false; here.releases.len()],
    };
    let release = releases::choose(&name, &here.releases, &runs, which)?;
    output.step(&format!(
        "rolling back `{name}` in {region} to {release}, found to work on {}; the template stays",
        release.time()
    ))?;
    let page = releases::page(cloud, &here.bucket, stage, release).await?;
    let code = release.code(stage, here.bucket.clone());
    if cloud.packages(&code.bucket, &code.key).await?.is_empty() {
        return Err(Error::Release(ReleaseError::NoPackage {
            release: release.to_string(),
            bucket: code.bucket,
        }));
    }
    cloud.refresh(&code.bucket, &code.key).await?;
    let wanted = here.wanted(stage, &code);
    let losses = Losses::Refused;
    let applied = stack::apply(cloud, &wanted, &settings.terms, &losses, output).await?;
    let Applied { stack, is_changed } = applied;
    let outdated = functions::outdated(cloud, &function_names(stage, &stack)?, &code).await?;
    if !outdated.is_empty() {
        output.step(&format!("put right as well: {}", listed(&outdated)))?;
        functions::replace(cloud, &outdated, &code).await?;
    }
    let urls = Urls::of(stage, &stack)?;
    let published = publish(cloud, stage, &stack, page.clone(), &urls, output).await?;
    let deployed = Deployed {
        stage,
        stack: &stack,
        wanted: &wanted,
        urls: &urls,
        packages: &code.bucket,
        release,
        page: &page,
    };
    let limit = settings.verify_timeout;
    verify(cloud, &deployed, Extent::Whole, limit, output).await?;
    output.step(&format!("rolled back in {} s", since.elapsed().as_secs()))?;
    output.step("the next `chatctl deploy` goes forward again")?;
    let text = if settings.json {
        let result = json!({
            "event": "result",
            "stage": stage.as_str(),
            "changed": is_changed || !outdated.is_empty() || published.is_changed,
            "release": release.to_string(),
            "site": urls.site,
            "websocket": urls.websocket,
        });
        format!("{result}\n")
    } else {
        urls.lines()
    };
    output.data(&text)?;
    Ok(())
}

/// What there is to go back to, the newest first.
async fn show(
    cloud: &(impl Cloud + Functions + Packages),
    here: &Here,
    settings: &RollbackSettings,
    output: &mut Output,
) -> Result<(), Error> {
    let runs = here.runs(cloud, &settings.stage).await?;
    let pairs = || here.releases.iter().zip(&runs).enumerate();
    let text = if settings.json {
        let releases = pairs().map(|(index, (release, runs))| {
            json!({
                "number": index + 1,
                "release": release.to_string(),
                "worked": release.time(),
                "package": release.package,
                "page": release.page,
                "architecture": release.architecture,
                "runs": runs,
            })
        });
        let result = json!({"event": "result", "releases": releases.collect::<Vec<_>>()});
        format!("{result}\n")
    } else if here.releases.is_empty() {
        "nothing is kept yet: a deploy that is found to work is, from then on\n".to_owned()
    } else {
        pairs()
            .map(|(index, (release, runs))| line(index + 1, release, *runs))
            .collect()
    };
    output.data(&text)?;
    Ok(())
}

fn line(number: usize, release: &Release, runs: bool) -> String {
    let now = if runs { "  runs now" } else { "" };
    let Release { architecture, .. } = release;
    format!(
        "{number:>2}  {release}  {}  {architecture}{now}\n",
        release.time()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stack::Status;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn all_of_the_stack_but_its_code_stays_as_it_is() {
        let here = Here {
            stack: StackView {
                id: "id".to_owned(),
                status: Status::new("UPDATE_COMPLETE"),
                outputs: Vec::new(),
                parameters: pairs(&[
                    ("CodeBucket", "old"),
                    ("CodeKey", "old"),
                    ("Architecture", "arm64"),
                    ("HistoryDays", "30"),
                    ("OfALaterVersion", "x"),
                ]),
                tags: pairs(&[("aws:x", "y"), (OWNER_TAG, "chat"), ("team", "chat")]),
                owner: Some(CHAT_OWNER.to_owned()),
                is_protected: true,
            },
            template: "Resources: {}".to_owned(),
            bucket: "bucket".to_owned(),
            releases: Vec::new(),
        };
        let release = Release {
            package: "a".repeat(64),
            page: "b".repeat(64),
            architecture: "x86_64",
            written_ms: 1_800_000_000_000,
        };
        let stage: StageName = "dev".parse().unwrap();
        let code = release.code(&stage, "bucket".to_owned());
        let wanted = here.wanted(&stage, &code);
        assert_eq!(wanted.template, "Resources: {}");
        assert_eq!(wanted.tags, pairs(&[("team", "chat")]));
        let key = format!("functions/dev/{}.zip", "a".repeat(64));
        assert_eq!(
            wanted.parameters,
            pairs(&[
                ("CodeBucket", "bucket"),
                ("CodeKey", &key),
                ("Architecture", "x86_64"),
                ("HistoryDays", "30"),
                ("OfALaterVersion", "x"),
            ])
        );
        assert_eq!(
            line(2, &release, true),
            " 2  aaaaaaaaaaaa-bbbbbbbbbbbb  2027-01-15T08:00:00Z  x86_64  runs now\n"
        );
    }
}
