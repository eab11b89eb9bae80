//! `chatctl deploy`: put the chat on AWS, or bring it up to date. The steps are here, in their order.
//!
//! # Layout
//! * `building`: the functions' package, made while AWS is asked what is there, and the page.
//! * `finishing`: publishing the page, trying the chat, and telling where it is.
//! * `found`: what is there before, and whether that is as it is wanted.
//! * `standing`: whether stack and functions are as they are wanted, without packing the program.
//! * `wanting`: what the settings want of the stack.

mod building;
mod finishing;
mod found;
mod standing;
mod wanting;

use std::time::Instant;

use serde_json::json;
use tokio::try_join;

use building::{tell_of, timed, while_compiling};
use found::{find_chat, is_template_of};
use standing::{Standing, proof};

pub(super) use building::{page, while_building};
pub(super) use finishing::{Deployed, announce, host, publish, verify};
pub(super) use found::{Found, look};
pub(super) use wanting::{code, keeping, wanted};

use super::urls::{Urls, required};
use super::{ARTIFACTS_STACK, hotswap, until_interrupted};
use crate::build::{Package, Program};
use crate::cloud::aws::Aws;
use crate::cloud::{Cloud, Code, Functions, Packages, StackView, Templates};
use crate::error::Error;
use crate::functions;
use crate::output::Output;
use crate::packages;
use crate::protection;
use crate::releases::Release;
use crate::settings::DeploySettings;
use crate::site::{self, Extent};
use crate::stack::{self, Applied};
use crate::template::{self, Protection, StageName};

/// The stack's outputs that name its functions.
pub(super) const FUNCTIONS: [&str; 3] = ["ConnectFunctionName", "DisconnectFunctionName", ACTION];

/// The one that answers frames.
pub(super) const ACTION: &str = "ActionFunctionName";

/// And of the one that is there where people sign in.
pub(super) const AUTHORIZER: &str = "AuthorizeFunctionName";

/// Deploys a chat. Whatever state an earlier try has left, this goes on from there.
///
/// # Errors
/// [`Error`], if any step fails. Running it again is always right.
pub(crate) fn run(settings: &DeploySettings, output: &mut Output) -> Result<(), Error> {
    output.for_programs(settings.json);
    until_interrupted(async {
        // Before the build, which takes minutes and would be in vain without credentials.
        let aws = Aws::connect(&settings.account).await?;
        if settings.hotswap {
            Box::pin(hotswap::hotswap(&aws, &aws.region, settings, output)).await
        } else {
            Box::pin(deploy(&aws, &aws.region, settings, output)).await
        }
    })
}

async fn deploy(
    cloud: &(impl Cloud + Functions + Packages + Templates),
    region: &str,
    settings: &DeploySettings,
    output: &mut Output,
) -> Result<(), Error> {
    let since = Instant::now();
    let stage = &settings.template.stage;
    let name = stage.stack_name();
    output.step(&format!("deploying `{name}` to {region}"))?;
    let settings = &settings.discovered().await?;
    let page = page(settings)?;
    // What is wrong with the template is told before the build, which may take minutes.
    template::synthesize(&settings.template)?;
    let look = async || find_chat(cloud, &name).await;
    let (found, program) = while_compiling(look, settings, output).await?;
    let settings = &keeping(settings, found.as_ref(), output)?;
    let standing = match standing::look(cloud, settings, found.as_ref(), &program, output).await? {
        Some(standing) => standing,
        None => bring_up(cloud, settings, found, program, output).await?,
    };
    let Standing {
        stack,
        wanted,
        proof,
        code,
        package_sha256,
        package,
        is_changed,
        listing,
        is_configured,
    } = standing;
    if !is_changed {
        output.step(&format!("stack `{}`: nothing to change", wanted.name))?;
    }
    let protect = settings.protect.unwrap_or_default();
    let is_switched = protection::switch(cloud, &stack, protect, output).await?;
    let release = Release::new(&package_sha256, &page, code.architecture);
    let put_right = match package {
        Some(package) => put_functions_right(cloud, stage, &stack, &code, package, output).await?,
        None => false,
    };
    if settings.terms.is_express
        && let Some(distribution) = stack.output("SiteDistributionId")
    {
        site::until_deployed(cloud, distribution, output).await?;
    }
    let urls = Urls::of(stage, &stack)?;
    let published = publish(cloud, stage, &stack, page.clone(), &urls, listing, output).await?;
    let is_changed = is_changed || is_switched || put_right || published.is_changed;
    let is_proven = proof.as_deref().is_some_and(|it| published.is_verified(it));
    let extent = if is_changed || settings.verify || !is_proven {
        Extent::Whole
    } else {
        Extent::Configuration
    };
    let deployed = Deployed {
        stage,
        stack: &stack,
        proof,
        urls: &urls,
        packages: &code.bucket,
        release: &release,
        page: &page,
        is_rollback: false,
    };
    if extent == Extent::Configuration && is_configured {
        output.step("verified: the page's configuration")?;
    } else {
        verify(cloud, &deployed, extent, settings.verify_timeout, output).await?;
    }
    urls.tell_of_domain(output).await?;
    if let Some(address) = settings
        .operations
        .alarm_email
        .as_ref()
        .filter(|_| is_changed)
    {
        output.step(&format!(
            "alarms reach `{address}` once AWS's mail to it has been confirmed"
        ))?;
    }
    output.step(&format!("all done in {} s", since.elapsed().as_secs()))?;
    let result = json!({"changed": is_changed});
    announce(settings.json, stage, &urls, result, output)
}

/// Brings stack and functions up to date.
async fn bring_up(
    cloud: &(impl Cloud + Functions + Packages + Templates),
    settings: &DeploySettings,
    stack: Option<StackView>,
    program: Program,
    output: &mut Output,
) -> Result<Standing, Error> {
    let stage = &settings.template.stage;
    let name = stage.stack_name();
    let program_sha256 = program.sha256.clone();
    let artifacts = async { Ok(cloud.find(ARTIFACTS_STACK).await?) };
    let template = async { Ok(cloud.template(&name).await?) };
    let (artifacts, template, (made, took)) =
        try_join!(artifacts, template, timed(program.pack()))?;
    let package = tell_of(made, took, output)?;
    let found = Found {
        stack,
        template,
        artifacts,
    };
    let bucket = packages::bucket(cloud, found.artifacts.clone(), &settings.terms, output).await?;
    let code = code(settings, stage, bucket, &package);
    let wanted = wanted(settings, &code)?;
    let as_wanted = found.stack_as(&wanted).cloned();
    let Applied { stack, is_changed } = if let Some(stack) = as_wanted {
        Applied {
            stack,
            is_changed: false,
        }
    } else {
        packages::upload(cloud, &code.bucket, &code.key, package.clone(), output).await?;
        // It has to be deleted to start over, and never had anything to lose.
        if let Some(stack) = found
            .stack
            .as_ref()
            .filter(|it| protection::hinders_starting_over(it))
            && protection::is_lifted_by(&wanted)
        {
            protection::switch(cloud, stack, Protection::Off, output).await?;
        }
        stack::apply(cloud, &wanted, &settings.terms, &settings.losses, output).await?
    };
    // What was not changed AWS or this program has compared already.
    let is_same = !is_changed || {
        let template = cloud.template(&stack.id).await?;
        template.is_some_and(|it| is_template_of(&wanted, &it))
    };
    let now = cloud.find(&stack.id).await?;
    let is_sure = is_same && standing::is_still(&stack, &wanted, now.as_ref());
    let proof = proof(&wanted, &program_sha256, &stack).filter(|_| is_sure);
    Ok(Standing {
        stack,
        wanted,
        proof,
        code,
        package_sha256: package.sha256.clone(),
        package: Some(package),
        is_changed,
        listing: None,
        is_configured: false,
    })
}

/// CloudFormation looks at templates alone: functions that were swapped or changed by hand are as
/// they should be in its eyes. Gives whether there were any.
async fn put_functions_right(
    cloud: &(impl Cloud + Functions + Packages),
    stage: &StageName,
    stack: &StackView,
    code: &Code,
    package: Package,
    output: &mut Output,
) -> Result<bool, Error> {
    let names = function_names(stage, stack)?;
    let outdated = functions::outdated(cloud, &names, code).await?;
    if outdated.is_empty() {
        return Ok(false);
    }
    output.step(&format!(
        "changed outside of the stack, and put right: {}",
        listed(&outdated)
    ))?;
    packages::upload(cloud, &code.bucket, &code.key, package, output).await?;
    functions::replace(cloud, &outdated, code).await?;
    Ok(true)
}

pub(super) fn function_names(stage: &StageName, stack: &StackView) -> Result<Vec<String>, Error> {
    let names = FUNCTIONS.into_iter();
    let names = names.map(|it| required(stage, stack, it));
    let authorizer = stack.output(AUTHORIZER).map(|it| Ok(it.to_owned()));
    names.chain(authorizer).collect()
}

pub(super) fn listed(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|it| format!("`{it}`")).collect();
    names.join(", ")
}
