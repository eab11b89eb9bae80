//! What a rollback notes in the bucket before it does anything: where it goes, until it is there, and what
//! was gone back from. What runs does not tell it: half-way, or there and broken, the release being left
//! looks like the one to go back to.

use serde::{Deserialize, Serialize};

use super::{Release, prefix};
use crate::cloud::{Buckets, CloudError, NewObject, Packages};
use crate::template::StageName;

/// Releases by their names in the bucket.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Mark {
    /// What is being gone back to.
    going_to: Option<String>,
    /// What was gone back from, and not deployed again since.
    left: Vec<String>,
}

impl Mark {
    /// What is being gone back to, if that is one of these.
    pub(super) fn going_to<'a>(&self, releases: &'a [Release]) -> Option<&'a Release> {
        let name = self.going_to.as_ref()?;
        releases.iter().find(|it| it.name() == *name)
    }

    /// Whether it is being gone back to.
    pub(crate) fn leads_to(&self, release: &Release) -> bool {
        self.going_to.as_ref() == Some(&release.name())
    }

    /// Whether it was gone back from.
    pub(crate) fn has_left(&self, release: &Release) -> bool {
        self.left.contains(&release.name())
    }

    /// Once it is gone to `target`, away from what `runs` if that is a release. Who goes to one that was
    /// gone back from takes that back, and goes back from nothing.
    pub(crate) fn toward(&self, target: &Release, runs: Option<&Release>) -> Self {
        if self.leads_to(target) {
            return self.clone();
        }
        let mut left = self.left.clone();
        match runs.filter(|it| !it.is_same(target) && !self.has_left(it)) {
            _ if self.has_left(target) => left.retain(|it| *it != target.name()),
            Some(runs) => left.push(runs.name()),
            None => {}
        }
        Self {
            going_to: Some(target.name()),
            left,
        }
    }

    /// Without the way that it leads.
    pub(super) fn given_up(&self) -> Self {
        Self {
            going_to: None,
            ..self.clone()
        }
    }

    /// Once `release` is found to work. Of what was gone back from, only what is still kept is of use.
    fn arrived(&self, release: &Release, kept: &[Release]) -> Self {
        let is_left = |it: &&Release| !it.is_same(release) && self.has_left(it);
        Self {
            going_to: None,
            left: kept.iter().filter(is_left).map(Release::name).collect(),
        }
    }
}

/// Where a stage's mark is.
pub(super) fn key(stage: &StageName) -> String {
    format!("{}.going-to", prefix(stage))
}

/// Reads it; nothing, if it is none.
///
/// # Errors
/// [`CloudError`], if AWS does not say.
pub(super) async fn read(
    cloud: &impl Packages,
    bucket: &str,
    stage: &StageName,
) -> Result<Option<Mark>, CloudError> {
    match cloud.read(bucket, &key(stage)).await {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
        // Removed since it was listed.
        Err(CloudError::Refused { code, .. }) if code == "NoSuchKey" => Ok(Some(Mark::default())),
        Err(error) => Err(error),
    }
}

/// Notes it in place of the `old` one.
///
/// # Errors
/// [`CloudError`], if AWS does not do it.
pub(crate) async fn note(
    cloud: &impl Buckets,
    bucket: &str,
    stage: &StageName,
    old: Option<&Mark>,
    new: &Mark,
) -> Result<(), CloudError> {
    if old == Some(new) {
        return Ok(());
    }
    if *new == Mark::default() {
        return cloud.remove(bucket, &[key(stage)]).await;
    }
    let object = NewObject {
        key: key(stage),
        body: serde_json::json!(new).to_string().into(),
        content_type: "application/json".to_owned(),
        cache_control: None,
    };
    cloud.put(bucket, object).await
}

/// Notes that `release` is found to work: nothing is under way any more.
///
/// # Errors
/// [`CloudError`], if AWS does not do it.
pub(crate) async fn arrive(
    cloud: &impl Buckets,
    bucket: &str,
    stage: &StageName,
    release: &Release,
    kept: &super::Kept,
) -> Result<(), CloudError> {
    let old = kept.mark.as_ref();
    let new = old.map_or_else(Mark::default, |it| it.arrived(release, &kept.releases));
    note(cloud, bucket, stage, old, &new).await
}
