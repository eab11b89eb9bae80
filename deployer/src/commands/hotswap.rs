//! `chatctl deploy --hotswap`: have the functions run other code, and leave all else.

use std::time::Instant;

use serde_json::json;

use super::deploy::{ACTION, announce, code, function_names, listed, while_building};
use super::urls::{Urls, required};
use super::{CHAT_OWNER, no_stack};
use crate::cloud::{Buckets, Functions, Packages, StackView, Stacks};
use crate::error::Error;
use crate::functions;
use crate::output::Output;
use crate::packages;
use crate::settings::DeploySettings;
use crate::site::{self, Action, Extent};
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
    let look = async || swappable(cloud.find(&name).await?, region, settings);
    let ((stack, bucket), package) = while_building(look, settings, output).await?;
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
    let urls = Urls::of(stage, &stack)?;
    if settings.verify {
        let function = &required(stage, &stack, ACTION)?;
        let (chat, action) = (urls.chat(), Action { cloud, function });
        let limit = settings.verify_timeout;
        site::verify(chat, action, Extent::Whole, limit, output).await?;
        urls.tell_of_domain(output).await?;
    }
    let result = json!({"changed": !outdated.is_empty()});
    announce(settings.json, stage, &urls, result, output)
}

/// The stack and its bucket of packages, if it is a finished chat whose functions run on the processor
/// that is asked for.
fn swappable(
    found: Option<StackView>,
    region: &str,
    settings: &DeploySettings,
) -> Result<(StackView, String), Error> {
    let stage = &settings.template.stage;
    let name = stage.stack_name();
    let found = found.filter(|it| !it.status.is_gone());
    let stack = found.ok_or_else(|| no_stack(stage, region))?;
    stack::check_owner(&stack, &name, CHAT_OWNER)?;
    let bucket = stack.parameter("CodeBucket").map(str::to_owned);
    let Some(bucket) = bucket.filter(|_| stack.status.is_usable()) else {
        return Err(Error::NotSwappable {
            stack: name,
            status: stack.status.to_string(),
        });
    };
    let wanted = settings.architecture.as_str();
    match stack.parameter("Architecture") {
        Some(deployed) if deployed != wanted => Err(Error::OtherArchitecture {
            stack: name,
            deployed: deployed.to_owned(),
            wanted: wanted.to_owned(),
        }),
        _ => Ok((stack, bucket)),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::stack::Status;

    fn settings(arguments: &[&str]) -> DeploySettings {
        let arguments = [&["chatctl", "deploy", "--hotswap"], arguments].concat();
        match Cli::try_parse_from(arguments).unwrap().command {
            Command::Deploy(args) => DeploySettings::new(&args).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn stack(status: &str) -> StackView {
        let parameters = [("CodeBucket", "bucket"), ("Architecture", "x86_64")];
        StackView {
            id: "arn:aws:cloudformation:us-east-1:1:stack/chat-dev/1".to_owned(),
            status: Status::new(status),
            outputs: Vec::new(),
            parameters: parameters
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            tags: Vec::new(),
            owner: Some(CHAT_OWNER.to_owned()),
            is_protected: false,
            changed: None,
        }
    }

    fn refusal(found: Option<StackView>, arguments: &[&str]) -> (String, String) {
        let error = swappable(found, "us-east-1", &settings(arguments)).unwrap_err();
        (error.to_string(), error.hint().unwrap())
    }

    #[test]
    fn a_finished_chat_can_be_swapped() {
        for status in [
            "CREATE_COMPLETE",
            "UPDATE_COMPLETE",
            "UPDATE_ROLLBACK_COMPLETE",
        ] {
            let (_, bucket) = swappable(Some(stack(status)), "us-east-1", &settings(&[])).unwrap();
            assert_eq!(bucket, "bucket");
        }
    }

    #[test]
    fn what_is_no_finished_chat_is_deployed_first() {
        for found in [None, Some(stack("DELETE_COMPLETE"))] {
            let (error, hint) = refusal(found, &[]);
            assert_eq!(error, "there is no stack `chat-dev` in us-east-1");
            assert!(hint.contains("`chatctl deploy` makes it"), "{hint}");
        }
        for status in ["UPDATE_IN_PROGRESS", "ROLLBACK_COMPLETE", "UPDATE_FAILED"] {
            let (error, hint) = refusal(Some(stack(status)), &[]);
            assert!(error.ends_with(&format!("the stack is in {status}")));
            assert!(hint.contains("without `--hotswap` first"), "{hint}");
        }
        let foreign = StackView {
            owner: None,
            ..stack("CREATE_COMPLETE")
        };
        assert!(refusal(Some(foreign), &[]).0.contains("not made by this"));
    }

    #[test]
    fn code_for_another_processor_is_not_swapped_in() {
        let (error, hint) = refusal(Some(stack("CREATE_COMPLETE")), &["--arch", "arm64"]);
        assert_eq!(
            error,
            "the functions of `chat-dev` run on `x86_64`, and the package is for `arm64`"
        );
        assert!(hint.contains("`--arch x86_64`"), "{hint}");
    }
}
