//! `chatctl destroy`: delete a deployed chat and all that is in it.
//!
//! # Layout
//! * `kept`: the table that outlives its stack.

mod kept;

use serde_json::json;

use super::receipt::{self, Entry, Fate};
use super::{ARTIFACTS_OWNER, ARTIFACTS_STACK, CHAT_OWNER, until_interrupted};
use crate::cloud::aws::Aws;
use crate::cloud::{Cloud, Packages, Presence, StackView};
use crate::error::Error;
use crate::output::Output;
use crate::packages;
use crate::protection;
use crate::settings::DestroySettings;
use crate::stack;
use crate::template::{Protection, StageName, TABLE};
use kept::Origin;

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
    let (mut gone, mut origin) = (Vec::new(), None);
    if let Some(stack) = found.filter(|it| !it.status.is_gone()) {
        stack::check_owner(&stack, &name, CHAT_OWNER)?;
        check_protection(&stack, &name, settings)?;
        let resources = kept::resources(cloud, &stack).await?;
        let what = if settings.keep_table {
            "resources and the page; its table stays, with the rooms"
        } else {
            "resources, the rooms and the page"
        };
        output.step(&format!(
            "`{name}` of the account {} in {region} goes, with its {} {what}",
            stack.account(),
            resources.len()
        ))?;
        let from = Origin::of(&stack, region);
        // Before anything is deleted: whoever is cut off now has read it.
        if settings.keep_table {
            from.announce(&resources, output)?;
        }
        if settings.asks {
            confirm(settings, output).await?;
        }
        protection::switch(cloud, &stack, Protection::Off, output).await?;
        origin = Some(from);
        gone.extend(delete(cloud, &stack, &name, CHAT_OWNER, settings, output).await?);
    } else {
        output.step(&format!(
            "there is no stack `{name}` in {region}: nothing to destroy"
        ))?;
        // Who was cut off before the receipt learns by the next run what has stayed.
        if let Some(stack) = kept::last_gone(cloud, &name).await? {
            gone.extend(kept::left_behind(cloud, &stack).await?);
            origin = Some(Origin::of(&stack, region));
        }
    }
    let cleared = clear_packages(cloud, settings, &mut gone, output).await;
    // What is gone is told even if the packages are not.
    tell(settings, &name, &gone, origin.as_ref(), output)?;
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
    let is_last = !settings.keep_artifacts
        && cloud
            .names(StageName::STACK_PREFIX, CHAT_OWNER)
            .await?
            .is_empty();
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
    let resources = kept::resources(cloud, stack).await?;
    stack::delete(cloud, name, owner, &settings.terms, output).await?;
    output.step(&format!("`{name}` is deleted: looking for what was in it"))?;
    let kept: &[_] = if protection::keeps_table(stack) {
        &[TABLE]
    } else {
        &[]
    };
    Ok(receipt::of(cloud, &stack.id, resources, kept).await?)
}

/// Nobody deletes a protected chat by mistake, nor loses a table that was said to stay.
fn check_protection(
    stack: &StackView,
    name: &str,
    settings: &DestroySettings,
) -> Result<(), Error> {
    let (stack_name, stage) = (name.to_owned(), settings.stage.to_string());
    if protection::is_kept_by_hand(stack) {
        return Err(Error::ProtectedByHand {
            stack: stack_name,
            status: stack.status.to_string(),
            region: stack.region().to_owned(),
        });
    }
    if settings.keep_table && !protection::keeps_table(stack) {
        return Err(Error::NothingKept {
            stack: stack_name,
            stage,
        });
    }
    if !settings.keep_table && protection::forbids_deletion(stack) {
        return Err(Error::Protected {
            stack: stack_name,
            stage,
        });
    }
    Ok(())
}

/// The receipt.
fn tell(
    settings: &DestroySettings,
    name: &str,
    gone: &[Entry],
    origin: Option<&Origin>,
    output: &mut Output,
) -> Result<(), Error> {
    let kept = || gone.iter().filter(|it| it.fate == Fate::Kept);
    if settings.json {
        let of = |fates: &[Fate]| -> Vec<_> {
            let entries = gone.iter().filter(|it| fates.contains(&it.fate));
            entries.map(Entry::json).collect()
        };
        let kept = kept().map(|it| {
            let mut json = it.json();
            json["arn"] = origin.map(|origin| origin.arn(&it.resource)).into();
            json
        });
        let result = json!({
            "event": "result",
            "stack": name,
            "gone": of(&[Fate::Looked, Fate::Told, Fate::NeverThere]),
            "left": of(&[Fate::Stays]),
            "kept": kept.collect::<Vec<_>>(),
            "lost": of(&[Fate::Lost]),
        });
        output.data(&format!("{result}\n"))?;
        return Ok(());
    }
    if !gone.is_empty() {
        output.note("what has become of it:");
    }
    for entry in gone {
        output.note(&entry.line());
    }
    for (table, origin) in kept().zip(origin) {
        origin.tell(&table.resource, output);
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
