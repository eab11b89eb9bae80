//! The table that outlives its stack: what it is called is told before the deletion, after it, and by
//! whoever asks again, for nothing else remembers it.

use super::super::receipt::{Entry, Fate};
use super::{CHAT_OWNER, receipt};
use crate::cloud::{Cloud, CloudError, Presence, StackResource, StackView};
use crate::error::Error;
use crate::output::Output;
use crate::protection;
use crate::template::TABLE;

/// What a stack has, with the table that a deletion has passed over already: one that was cut off goes on,
/// and its receipt is given by the next run.
///
/// # Errors
/// [`CloudError`]
pub(super) async fn resources(
    cloud: &(impl Cloud + Presence),
    stack: &StackView,
) -> Result<Vec<StackResource>, CloudError> {
    let mut resources = cloud.resources(&stack.id).await?;
    if protection::keeps_table(stack) {
        resources.extend(passed_over(cloud, stack).await?);
    }
    Ok(resources)
}

/// The chat that was deleted last, if AWS still knows of it and lets it be known.
///
/// # Errors
/// [`CloudError`]
pub(super) async fn last_gone(
    cloud: &(impl Cloud + Presence),
    name: &str,
) -> Result<Option<StackView>, CloudError> {
    let id = match cloud.last_gone(name).await {
        // Not everybody may ask, and all that is to be done is done.
        Err(CloudError::Denied { .. } | CloudError::Refused { .. }) => None,
        other => other?,
    };
    let Some(id) = id else { return Ok(None) };
    let stack = cloud.find(&id).await?;
    Ok(stack.filter(|it| it.owner.as_deref() == Some(CHAT_OWNER)))
}

/// The table that a stack has left behind, if it is still there.
///
/// # Errors
/// [`CloudError`]
pub(super) async fn left_behind(
    cloud: &(impl Cloud + Presence),
    stack: &StackView,
) -> Result<Vec<Entry>, CloudError> {
    let tables = passed_over(cloud, stack).await?;
    let mut entries = receipt::of(cloud, &stack.id, tables, &[TABLE]).await?;
    // Somebody has deleted it since, as they were told how to.
    entries.retain(|it| it.fate == Fate::Kept);
    Ok(entries)
}

async fn passed_over(
    cloud: &impl Presence,
    stack: &StackView,
) -> Result<Vec<StackResource>, CloudError> {
    let fates = cloud.fates(&stack.id).await?.into_iter();
    let tables = fates.filter(|(it, status)| it.kind == TABLE && status == "DELETE_SKIPPED");
    Ok(tables.map(|(table, _)| table).collect())
}

/// Where what a stack leaves behind is.
pub(super) struct Origin {
    region: String,
    /// The beginning of an ARN of DynamoDB's there.
    arn: String,
}

impl Origin {
    /// Of a stack.
    pub(super) fn of(stack: &StackView, region: &str) -> Self {
        let (partition, account) = (stack.partition(), stack.account());
        Self {
            region: region.to_owned(),
            arn: format!("arn:{partition}:dynamodb:{region}:{account}:table/"),
        }
    }

    /// Of a table.
    pub(super) fn arn(&self, table: &StackResource) -> String {
        let name = table.physical_id.as_deref();
        format!("{}{}", self.arn, name.unwrap_or_default())
    }

    /// What will stay, as long as nothing is deleted yet.
    ///
    /// # Errors
    /// [`Error`], if nobody can be told.
    pub(super) fn announce(
        &self,
        resources: &[StackResource],
        output: &mut Output,
    ) -> Result<(), Error> {
        for table in resources.iter().filter(|it| it.kind == TABLE) {
            let name = table.physical_id.as_deref().unwrap_or_default();
            output.step(&format!(
                "the table `{name}` in {} stays: {}",
                self.region,
                self.arn(table)
            ))?;
        }
        // Not only on its way: whoever is killed from here on has it before their eyes.
        output.finish();
        Ok(())
    }

    /// What has stayed, and what can be done with it.
    pub(super) fn tell(&self, table: &StackResource, output: &mut Output) {
        let name = table.physical_id.as_deref().unwrap_or_default();
        for line in [
            format!(
                "the table `{name}` stays, with all messages: {}",
                self.arn(table)
            ),
            "  it costs what its storage and its recovery cost, and nobody writes to it any more"
                .to_owned(),
            "  a new deploy makes a new table: docs/protection.md tells how to go back to this one"
                .to_owned(),
            format!(
                "  to delete it: aws dynamodb delete-table --region {} --table-name {name}",
                self.region
            ),
        ] {
            output.note(&line);
        }
    }
}
