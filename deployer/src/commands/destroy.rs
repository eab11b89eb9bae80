//! `chatctl destroy`: delete a deployed chat and all that is in it.

use serde_json::json;

use super::{ARTIFACTS_OWNER, ARTIFACTS_STACK, CHAT_OWNER, STACK_PREFIX, until_interrupted};
use crate::cloud::aws::Aws;
use crate::cloud::{Cloud, StackView};
use crate::error::Error;
use crate::output::Output;
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
    cloud: &impl Cloud,
    region: &str,
    settings: &DestroySettings,
    output: &mut Output,
) -> Result<(), Error> {
    let name = settings.stage.stack_name();
    let found = cloud.find(&name).await?;
    let mut gone = Vec::new();
    if let Some(stack) = found.filter(|it| !it.status.is_gone()) {
        stack::check_owner(&stack, &name, CHAT_OWNER)?;
        let resources = cloud.resources(&stack.id).await?;
        output.step(&format!(
            "`{name}` of the account {} in {region} goes, with its {} resources, the rooms and the page",
            stack.account(),
            resources.len()
        ))?;
        if settings.asks {
            confirm(settings, output).await?;
        }
        stack::delete(cloud, &name, CHAT_OWNER, output).await?;
        gone.extend(resources);
    } else {
        output.step(&format!(
            "there is no stack `{name}` in {region}: nothing to destroy"
        ))?;
    }
    let is_last = !settings.keep_artifacts && cloud.names(STACK_PREFIX).await?.is_empty();
    let is_ours = |it: &StackView| stack::check_owner(it, ARTIFACTS_STACK, ARTIFACTS_OWNER).is_ok();
    if is_last && let Some(artifacts) = cloud.find(ARTIFACTS_STACK).await?.filter(is_ours) {
        output.step("no chat is left in this Region: the bucket of packages goes too")?;
        gone.extend(cloud.resources(&artifacts.id).await?);
        stack::delete(cloud, ARTIFACTS_STACK, ARTIFACTS_OWNER, output).await?;
    }
    if settings.json {
        let gone: Vec<_> = gone
            .iter()
            .map(|it| json!({"resource": it.resource, "type": it.kind, "id": it.physical_id}))
            .collect();
        let result = json!({"event": "result", "stack": name, "gone": gone});
        output.data(&format!("{result}\n"))?;
        return Ok(());
    }
    if !gone.is_empty() {
        output.step("gone:")?;
    }
    for it in gone {
        let id = it.physical_id.unwrap_or_default();
        output.step(&format!("  {} ({}) {id}", it.resource, it.kind))?;
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
