//! A stage, and what is kept of it.

use super::super::deploy::{Found, function_names, host, look};
use super::super::urls::{Urls, required};
use super::super::{CHAT_OWNER, no_stack};
use crate::cloud::{Cloud, Code, Functions, Packages, StackView, Templates, Wanted};
use crate::error::Error;
use crate::functions;
use crate::packages;
use crate::releases::{self, Kept, ReleaseError};
use crate::settings::RollbackSettings;
use crate::site;
use crate::template::StageName;

/// A stage, and what is kept of it.
pub(super) struct Here {
    pub(super) stack: StackView,
    /// The bucket of packages.
    pub(super) bucket: String,
    pub(super) kept: Kept,
}

impl Here {
    /// Looks at it as it is now.
    ///
    /// # Errors
    /// [`Error`], if there is no such chat, or AWS does not say.
    pub(super) async fn find(
        cloud: &(impl Cloud + Packages + Templates),
        region: &str,
        settings: &RollbackSettings,
    ) -> Result<Self, Error> {
        let stage = &settings.stage;
        let Found {
            stack, artifacts, ..
        } = look(cloud, &stage.stack_name()).await?;
        let stack = stack.filter(|it| !it.status.is_gone());
        let stack = stack.ok_or_else(|| no_stack(stage, region))?;
        let bucket = packages::existing_bucket(artifacts.as_ref())?;
        let bucket = bucket.ok_or_else(|| ReleaseError::None {
            stack: stage.stack_name(),
        })?;
        Ok(Self {
            kept: releases::look(cloud, &bucket, stage).await?,
            stack,
            bucket,
        })
    }

    /// Whether each release is what runs now: neither what the stack names nor what was last found to
    /// work need be that.
    ///
    /// # Errors
    /// [`Error`], if AWS does not say.
    pub(super) async fn runs(
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
            return Ok(vec![false; self.kept.releases.len()]);
        };
        let mut runs = Vec::new();
        for release in &self.kept.releases {
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
}

/// The stack as it is, but for its code.
pub(super) fn wanted(
    stage: &StageName,
    stack: &StackView,
    template: String,
    code: &Code,
) -> Wanted {
    let parameters = stack.parameters.iter().map(|(name, value)| {
        let value = match name.as_str() {
            "CodeBucket" => &code.bucket,
            "CodeKey" => &code.key,
            "Architecture" => code.architecture,
            _ => value,
        };
        (name.clone(), value.to_owned())
    });
    Wanted {
        name: stage.stack_name(),
        template,
        parameters: parameters.collect(),
        owner: CHAT_OWNER,
        tags: stack.given_tags().cloned().collect(),
        aside: Some(releases::aside(&code.bucket, stage)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::OWNER_TAG;
    use crate::releases::Release;
    use crate::stack::Status;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn all_of_the_stack_but_its_code_stays_as_it_is() {
        let stack = StackView {
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
            changed: None,
        };
        let release = Release {
            package: "a".repeat(64),
            page: "b".repeat(64),
            architecture: "x86_64",
            written_ms: 1_800_000_000_000,
        };
        let stage: StageName = "dev".parse().unwrap();
        let code = release.code(&stage, "bucket".to_owned());
        let wanted = wanted(&stage, &stack, "Resources: {}".to_owned(), &code);
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
    }
}
