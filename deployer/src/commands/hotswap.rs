//! `chatctl deploy --hotswap`: have the functions run other code, and leave all else.

use std::time::Instant;

use super::deploy::{announce, code, function_names, listed, while_building};
use super::urls::Urls;
use super::{CHAT_OWNER, no_stack};
use crate::cloud::{Buckets, Functions, Packages, StackView, Stacks};
use crate::error::Error;
use crate::functions;
use crate::output::Output;
use crate::packages;
use crate::settings::DeploySettings;
use crate::stack;

/// Gives the functions of a finished chat the code as it is now. The stack does not learn of it.
///
/// # Errors
/// [`Error`], if there is no such chat, or AWS does not do it.
pub(super) async fn hotswap(
    cloud: &(impl Stacks + Buckets + Functions + Packages),
    region: &str,
    settings: &DeploySettings,
    output: &mut Output,
) -> Result<(), Error> {
    let since = Instant::now();
    let stage = &settings.template.stage;
    let name = stage.stack_name();
    output.step(&format!("swapping the functions of `{name}` in {region}"))?;
    let look = swappable(cloud, region, settings);
    let (stack, package) = while_building(look, settings, output).await?;
    let bucket = stack.parameter("CodeBucket").map(str::to_owned);
    let bucket = bucket.ok_or_else(|| not_swappable(&name, &stack))?;
    let code = code(settings, stage, bucket, &package);
    let names = function_names(stage, &stack)?;
    let outdated = functions::outdated(cloud, &names, &code).await?;
    if outdated.is_empty() {
        output.step("the functions run this package already: nothing to swap")?;
    } else {
        packages::upload(cloud, &code.bucket, &code.key, package, output).await?;
        functions::replace(cloud, &outdated, &code).await?;
        output.step(&format!(
            "swapped in {} s: {}",
            since.elapsed().as_secs(),
            listed(&outdated)
        ))?;
        output.step(
            "the stack does not know of it: the next `chatctl deploy` without `--hotswap` brings \
             both together",
        )?;
    }
    announce(
        settings,
        &Urls::of(stage, &stack)?,
        !outdated.is_empty(),
        output,
    )
}

/// The stack, if it is a finished chat whose functions run on the processor that is asked for.
async fn swappable(
    cloud: &impl Stacks,
    region: &str,
    settings: &DeploySettings,
) -> Result<StackView, Error> {
    let stage = &settings.template.stage;
    let name = stage.stack_name();
    let found = cloud.find(&name).await?.filter(|it| !it.status.is_gone());
    let stack = found.ok_or_else(|| no_stack(stage, region))?;
    stack::check_owner(&stack, &name, CHAT_OWNER)?;
    if !stack.status.is_good() {
        return Err(not_swappable(&name, &stack));
    }
    let wanted = settings.architecture.as_str();
    match stack.parameter("Architecture") {
        Some(deployed) if deployed != wanted => Err(Error::OtherArchitecture {
            stack: name,
            deployed: deployed.to_owned(),
            wanted: wanted.to_owned(),
        }),
        _ => Ok(stack),
    }
}

fn not_swappable(name: &str, stack: &StackView) -> Error {
    Error::NotSwappable {
        stack: name.to_owned(),
        status: stack.status.to_string(),
    }
}
