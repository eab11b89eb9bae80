//! `chatctl destroy`: delete a deployed chat and all that is in it.

use serde_json::json;

use super::receipt::{self, Entry, Fate};
use super::{ARTIFACTS_OWNER, ARTIFACTS_STACK, CHAT_OWNER, STACK_PREFIX, until_interrupted};
use crate::cloud::aws::Aws;
use crate::cloud::{Cloud, Packages, Presence, StackView};
use crate::error::Error;
use crate::output::Output;
use crate::packages;
use crate::settings::DestroySettings;
use crate::stack;

/// Deletes a chat, and with the last one of the Region the bucket of packages. A chat that is not
/// there is no failure.
///
/// # Errors
/// [`Error`], if the user does not agree, or AWS does not do it.
pub(crate) fn run(settings: &DestroySettings, output: &mut Output) -> Result<(), Error> {
    output.for_programs(settings.json);
    until_interrupted(async {
        let aws = Aws::connect(&settings.account).await?;
        destroy(&aws, &aws.region, settings, output).await
    })
}

async fn destroy(
    cloud: &(impl Cloud + Packages + Presence),
    region: &str,
    settings: &DestroySettings,
    output: &mut Output,
) -> Result<(), Error> {
    let name = settings.stage.stack_name();
    let found = cloud.find(&name).await?;
    let mut gone = Vec::new();
    if let Some(stack) = found.filter(|it| !it.status.is_gone()) {
        stack::check_owner(&stack, &name, CHAT_OWNER)?;
        let resources = cloud.resources(&stack.id).await?.len();
        output.step(&format!(
            "`{name}` of the account {} in {region} goes, with its {} resources, the rooms and the page",
            stack.account(),
            resources
        ))?;
        if settings.asks {
            confirm(settings, output).await?;
        }
        gone.extend(delete(cloud, &stack, &name, CHAT_OWNER, settings, output).await?);
    } else {
        output.step(&format!(
            "there is no stack `{name}` in {region}: nothing to destroy"
        ))?;
    }
    let cleared = clear_packages(cloud, settings, &mut gone, output).await;
    // What is gone is told even if the packages are not.
    tell(settings, &name, &gone, output)?;
    cleared?;
    receipt::check(&name, &gone)
}

/// Removes what the stage had in the bucket of packages, or with the last stage all of it.
async fn clear_packages(
    cloud: &(impl Cloud + Packages + Presence),
    settings: &DestroySettings,
    gone: &mut Vec<Entry>,
    output: &mut Output,
) -> Result<(), Error> {
    let is_last =
        !settings.keep_artifacts && cloud.names(STACK_PREFIX, CHAT_OWNER).await?.is_empty();
    let is_ours = |it: &StackView| stack::check_owner(it, ARTIFACTS_STACK, ARTIFACTS_OWNER).is_ok();
    if is_last && let Some(artifacts) = cloud.find(ARTIFACTS_STACK).await?.filter(is_ours) {
        output.step("no chat is left in this Region: the bucket of packages goes too")?;
        let name = ARTIFACTS_STACK;
        gone.extend(delete(cloud, &artifacts, name, ARTIFACTS_OWNER, settings, output).await?);
    } else {
        packages::remove_all(cloud, &settings.stage).await?;
    }
    Ok(())
}

/// Deletes a stack, and looks for what was in it.
async fn delete(
    cloud: &(impl Cloud + Presence),
    stack: &StackView,
    name: &str,
    owner: &'static str,
    settings: &DestroySettings,
    output: &mut Output,
) -> Result<Vec<Entry>, Error> {
    let resources = cloud.resources(&stack.id).await?;
    stack::delete(cloud, name, owner, &settings.terms, output).await?;
    output.step(&format!("`{name}` is deleted: looking for what was in it"))?;
    Ok(receipt::of(cloud, &stack.id, resources).await?)
}

/// The receipt.
fn tell(
    settings: &DestroySettings,
    name: &str,
    gone: &[Entry],
    output: &mut Output,
) -> Result<(), Error> {
    if settings.json {
        let (left, gone): (Vec<_>, Vec<_>) = gone.iter().partition(|it| it.fate == Fate::Stays);
        let [left, gone] =
            [left, gone].map(|it| it.into_iter().map(Entry::json).collect::<Vec<_>>());
        let result = json!({"event": "result", "stack": name, "gone": gone, "left": left});
        output.data(&format!("{result}\n"))?;
        return Ok(());
    }
    if !gone.is_empty() {
        output.note("what has become of it:");
    }
    for entry in gone {
        output.note(&entry.line());
    }
    Ok(())
}

async fn confirm(settings: &DestroySettings, output: &mut Output) -> Result<(), Error> {
    let stage = settings.stage.as_str();
    let question = format!("type the stage's name, {stage}, to go on:");
    let answer = output.ask(&question).await;
    if answer == stage {
        Ok(())
    } else {
        Err(Error::Unconfirmed)
    }
}
