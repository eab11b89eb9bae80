//! What is gone after a deletion, and how that is known.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::{Value, json};

use crate::cloud::{CloudError, Presence, StackResource};
use crate::error::Error;
use crate::wait::Patience;

/// Looks at the same time.
const LOOKS_AT_ONCE: usize = 8;

/// Some services go on showing for a while what is gone.
const LIMIT: Duration = Duration::from_secs(30);

/// A resource of a deleted stack.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The resource.
    pub(super) resource: StackResource,
    /// What became of it.
    pub(super) fate: Fate,
}

/// What became of a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its service was asked, and has none of that id.
    Looked,
    /// CloudFormation says that it deleted it.
    Told,
    /// It never got an id, so there was nothing to delete.
    NeverThere,
    /// It is still there.
    Stays,
    /// It is still there, as it was meant to be.
    Kept,
    /// It was meant to stay, and is not there.
    Lost,
}

impl Fate {
    /// As people read it.
    fn words(self) -> &'static str {
        match self {
            Self::Looked => "looked for and not there",
            Self::Told => "deleted, says CloudFormation",
            Self::NeverThere => "never was there",
            Self::Stays => "still there",
            Self::Kept => "kept",
            Self::Lost => "meant to stay, and not there",
        }
    }
}

impl Entry {
    /// For people.
    pub(super) fn line(&self) -> String {
        format!("  {}: {}", name(&self.resource), self.fate.words())
    }

    /// For programs.
    pub(super) fn json(&self) -> Value {
        json!({
            "resource": self.resource.resource,
            "type": self.resource.kind,
            "id": self.resource.physical_id,
            "established": match self.fate {
                Fate::Looked => "looked",
                Fate::Told => "told",
                Fate::NeverThere => "never-there",
                Fate::Stays => "still-there",
                Fate::Kept => "kept",
                Fate::Lost => "lost",
            },
        })
    }
}

fn name(resource: &StackResource) -> String {
    let id = resource.physical_id.as_deref().unwrap_or_default();
    let name = format!("{} ({}) {id}", resource.resource, resource.kind);
    name.trim_end().to_owned()
}

/// Looks for each resource of a stack that was deleted. Those of the types `kept` were to stay.
///
/// # Errors
/// [`CloudError`], if AWS cannot be asked.
pub(super) async fn of(
    cloud: &impl Presence,
    stack_id: &str,
    resources: Vec<StackResource>,
    kept: &[&str],
) -> Result<Vec<Entry>, CloudError> {
    let told = match cloud.fates(stack_id).await {
        Ok(told) => told,
        // Not of this stack any more: it is gone as a whole.
        Err(CloudError::Refused { .. } | CloudError::Denied { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    stream::iter(resources)
        .map(|resource| async {
            let told = told.iter().find(|(it, _)| it.resource == resource.resource);
            let told = told.map(|(_, status)| status.as_str());
            let fate = if kept.contains(&resource.kind.as_str()) {
                fate_of_kept(cloud, &resource, told).await?
            } else {
                fate(cloud, &resource, told).await?
            };
            Ok(Entry { resource, fate })
        })
        .buffered(LOOKS_AT_ONCE)
        .try_collect()
        .await
}

async fn fate(
    cloud: &impl Presence,
    resource: &StackResource,
    told: Option<&str>,
) -> Result<Fate, CloudError> {
    if resource.physical_id.is_none() {
        // It may have been made since it was listed.
        let is_gone = told.is_none_or(|it| it == "DELETE_COMPLETE");
        return Ok(if is_gone {
            Fate::NeverThere
        } else {
            Fate::Stays
        });
    }
    let mut patience = Patience::new(LIMIT, Duration::from_millis(250), Duration::from_secs(4));
    loop {
        match cloud.is_there(resource).await {
            Ok(Some(false)) => return Ok(Fate::Looked),
            // Who cannot look has CloudFormation's word: without one of its own the stack's, which is gone
            // only once all is that is not meant to stay.
            Ok(None) | Err(CloudError::Denied { .. } | CloudError::Refused { .. }) => {
                let is_gone = told.is_none_or(|it| it == "DELETE_COMPLETE");
                return Ok(if is_gone { Fate::Told } else { Fate::Stays });
            }
            Ok(Some(true)) => {}
            Err(error) if error.is_passing() => {}
            Err(error) => return Err(error),
        }
        if told.is_some_and(|it| it != "DELETE_COMPLETE") || !patience.pause().await {
            return Ok(Fate::Stays);
        }
    }
}

/// What has become of something that was to stay.
async fn fate_of_kept(
    cloud: &impl Presence,
    resource: &StackResource,
    told: Option<&str>,
) -> Result<Fate, CloudError> {
    if resource.physical_id.is_none() {
        return Ok(Fate::NeverThere);
    }
    let is_there = match cloud.is_there(resource).await {
        Ok(Some(is_there)) => is_there,
        // Who cannot look has CloudFormation's word.
        Ok(None) | Err(CloudError::Denied { .. } | CloudError::Refused { .. }) => {
            told.is_none_or(|it| it != "DELETE_COMPLETE")
        }
        Err(error) => return Err(error),
    };
    Ok(if is_there { Fate::Kept } else { Fate::Lost })
}

/// # Errors
/// [`Error::StillThere`] or [`Error::Lost`], naming what is.
pub(super) fn check(stack: &str, entries: &[Entry]) -> Result<(), Error> {
    let named = |fate| -> Vec<_> {
        let entries = entries.iter().filter(|it| it.fate == fate);
        entries.map(|it| name(&it.resource)).collect()
    };
    let (stack, lost, resources) = (stack.to_owned(), named(Fate::Lost), named(Fate::Stays));
    if !lost.is_empty() {
        return Err(Error::Lost {
            stack,
            resources: lost,
        });
    }
    if resources.is_empty() {
        return Ok(());
    }
    Err(Error::StillThere { stack, resources })
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// Services that have what they have, and may take a while to see that it is gone.
    struct Fake {
        there: Vec<&'static str>,
        blind: Vec<&'static str>,
        refuses: bool,
        lags: Cell<usize>,
        told: Result<Vec<(StackResource, String)>, CloudError>,
    }

    impl Fake {
        fn new(told: &[(&str, &str)]) -> Self {
            let told = told.iter().map(|(name, status)| {
                let resource = StackResource {
                    resource: (*name).to_owned(),
                    kind: String::new(),
                    physical_id: None,
                };
                (resource, (*status).to_owned())
            });
            Self {
                there: Vec::new(),
                blind: vec!["AWS::IAM::Role"],
                refuses: false,
                lags: Cell::new(0),
                told: Ok(told.collect()),
            }
        }
    }

    impl Presence for Fake {
        async fn is_there(&self, resource: &StackResource) -> Result<Option<bool>, CloudError> {
            if self.refuses {
                return Err(CloudError::of_answer("s3:ListBucket", "AccessDenied", "no"));
            }
            if self.blind.contains(&resource.kind.as_str()) {
                return Ok(None);
            }
            if self.lags.get() > 0 {
                self.lags.set(self.lags.get() - 1);
                return Ok(Some(true));
            }
            Ok(Some(self.there.contains(&resource.resource.as_str())))
        }

        async fn fates(&self, _: &str) -> Result<Vec<(StackResource, String)>, CloudError> {
            self.told.clone()
        }

        async fn last_gone(&self, _: &str) -> Result<Option<String>, CloudError> {
            Ok(None)
        }
    }

    fn resources() -> Vec<StackResource> {
        let resource = |name: &str, kind: &str, id: Option<&str>| StackResource {
            resource: name.to_owned(),
            kind: kind.to_owned(),
            physical_id: id.map(str::to_owned),
        };
        vec![
            resource("Table", "AWS::DynamoDB::Table", Some("table-1")),
            resource("Role", "AWS::IAM::Role", Some("role-1")),
            resource("Bucket", "AWS::S3::Bucket", None),
        ]
    }

    async fn fates(fake: &Fake) -> Vec<Fate> {
        let entries = of(fake, "id", resources(), &[]).await.unwrap();
        entries.into_iter().map(|it| it.fate).collect()
    }

    const TOLD: [(&str, &str); 2] = [("Table", "DELETE_COMPLETE"), ("Role", "DELETE_COMPLETE")];

    #[tokio::test]
    async fn each_resource_is_looked_for_and_where_nobody_can_look_cloudformation_is_believed() {
        let fake = Fake::new(&TOLD);
        let expected = [Fate::Looked, Fate::Told, Fate::NeverThere];
        assert_eq!(fates(&fake).await, expected);
        fake.lags.set(1);
        assert_eq!(fates(&fake).await, expected, "after a second look");
        let nobody = Fake {
            told: Err(CloudError::of_answer("c", "ValidationError", "no stack")),
            ..Fake::new(&[])
        };
        assert_eq!(fates(&nobody).await, expected, "the stack itself is gone");
        let refused = Fake {
            refuses: true,
            ..Fake::new(&TOLD)
        };
        assert_eq!(
            fates(&refused).await,
            [Fate::Told, Fate::Told, Fate::NeverThere]
        );
    }

    #[tokio::test]
    async fn what_was_skipped_is_named_as_still_there() {
        let fake = Fake {
            there: vec!["Table"],
            ..Fake::new(&[("Table", "DELETE_SKIPPED"), ("Role", "DELETE_SKIPPED")])
        };
        let entries = of(&fake, "id", resources(), &[]).await.unwrap();
        let error = check("chat-dev", &entries).unwrap_err();
        assert_eq!(
            error.to_string(),
            "2 resources of the stack `chat-dev` are still there: Table (AWS::DynamoDB::Table) table-1, Role (AWS::IAM::Role) role-1"
        );
        assert_eq!(
            entries[0].line(),
            "  Table (AWS::DynamoDB::Table) table-1: still there"
        );
        assert_eq!(entries[2].json()["established"], "never-there");
    }

    #[tokio::test]
    async fn a_table_that_was_to_stay_is_told_as_kept_and_missed_where_it_is_not() {
        let kept = ["AWS::DynamoDB::Table"];
        let fake = Fake {
            there: vec!["Table"],
            ..Fake::new(&[("Table", "DELETE_SKIPPED"), ("Role", "DELETE_COMPLETE")])
        };
        let entries = of(&fake, "id", resources(), &kept).await.unwrap();
        let fates: Vec<_> = entries.iter().map(|it| it.fate).collect();
        assert_eq!(fates, [Fate::Kept, Fate::Told, Fate::NeverThere]);
        check("chat-dev", &entries).unwrap();
        assert_eq!(entries[0].json()["established"], "kept");

        let lost = of(&Fake::new(&TOLD), "id", resources(), &kept).await;
        let error = check("chat-dev", &lost.unwrap()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "what was to stay of the stack `chat-dev` is not there: Table (AWS::DynamoDB::Table) table-1"
        );
        for (told, fate) in [
            ("DELETE_SKIPPED", Fate::Kept),
            ("DELETE_COMPLETE", Fate::Lost),
        ] {
            let blind = Fake {
                refuses: true,
                ..Fake::new(&[("Table", told)])
            };
            let entries = of(&blind, "id", resources(), &kept).await.unwrap();
            assert_eq!(entries[0].fate, fate, "by CloudFormation's word");
        }
    }

    #[tokio::test]
    async fn a_look_that_fails_is_no_receipt() {
        let fake = Fake {
            told: Err(CloudError::of_answer("c", "ExpiredToken", "expired")),
            ..Fake::new(&[])
        };
        let error = of(&fake, "id", resources(), &[]).await.unwrap_err();
        assert!(matches!(error, CloudError::Expired { .. }), "{error:?}");
    }
}
