//! What the user asked for, from the command line and the environment, checked once and before
//! anything is done. `clap` has merged the two already: a flag wins over its variable.
//! What several commands are given is read here.
//!
//! # Layout
//! * `access`: who is let in.
//! * `deploy`: the verb that deploys, and those that go with it: `diff` and `rollback`.
//! * `destroy`: the verb that deletes.
//! * `dev`: the verb that runs the stack on this machine.
//! * `error`: what is wrong with a setting, and what the user can do about it.
//! * `init`: the verb that begins an app.
//! * `operations`: how a chat is watched and bounded.
//! * `plan`: the verb that tells what a load needs and costs.
//! * `see`: the verbs that look and change nothing.
//! * `synth`: the verb that prints the template, or a policy.
//! * `verify`: the verb that tries a chat.

mod access;
mod deploy;
mod destroy;
mod dev;
mod error;
mod init;
mod operations;
mod plan;
mod see;
mod synth;
mod verify;

use std::path::Path;

pub(crate) use access::{Access, Where};
pub(crate) use deploy::{DeploySettings, DiffSettings, RollbackSettings};
pub(crate) use destroy::DestroySettings;
pub(crate) use dev::DevSettings;
pub(crate) use error::SettingsError;
pub(crate) use init::InitSettings;
pub(crate) use operations::{Operations, log_retention};
pub(crate) use plan::PlanSettings;
pub(crate) use see::{
    DoctorSettings, Lines, LogsSettings, ManSettings, OpenSettings, StatusSettings, UrlsSettings,
    Whereabouts,
};
pub(crate) use synth::SynthSettings;
pub(crate) use verify::{VerifySettings, Whose};

use crate::build::{Origin, Sources};
use crate::cli::{CloudArgs, OriginArgs, StageArgs};
use crate::cloud::aws::Account;
use crate::template::TemplateSettings;

/// `arn:<partition>:iam::<account>:role/<path and name>`
fn role_arn(arn: Option<&str>) -> Result<Option<String>, SettingsError> {
    let Some(arn) = arn else {
        return Ok(None);
    };
    let parts: Vec<_> = arn.splitn(6, ':').collect();
    let is_good = match parts.as_slice() {
        ["arn", partition, "iam", "", account, role] => {
            partition.starts_with("aws")
                && account.len() == 12
                && account.bytes().all(|it| it.is_ascii_digit())
                && role.strip_prefix("role/").is_some_and(|name| {
                    !name.is_empty() && !name.ends_with('/') && name.bytes().all(is_of_role)
                })
        }
        _ => false,
    };
    if is_good {
        Ok(Some(arn.to_owned()))
    } else {
        Err(SettingsError::RoleArn(arn.to_owned()))
    }
}

fn is_of_role(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/_+=,.@-".contains(&byte)
}

fn account(args: &CloudArgs) -> Account {
    Account {
        region: args.region.clone(),
        profile: args.profile.clone(),
    }
}

/// Reads a port: its range is worth a sentence that names it.
pub(crate) fn port(text: &str) -> Result<u16, &'static str> {
    text.parse().map_err(|_| "not a number from 0 to 65535")
}

fn template_settings(args: &StageArgs, origin: &Origin) -> Result<TemplateSettings, SettingsError> {
    let stage = args.stage.parse()?;
    let fragments = origin.sources().map(Sources::fragments).transpose();
    let fragments = fragments.map_err(|error| SettingsError::Template(error.to_string()))?;
    Ok(TemplateSettings {
        stage,
        fragments: fragments.unwrap_or_default(),
    })
}

fn origin(args: &OriginArgs, bootstrap: Option<&Path>) -> Result<Origin, SettingsError> {
    // A folder that was deleted under the user's feet has no sources above it either.
    let folder = std::env::current_dir().unwrap_or_default();
    let origin = Origin::choose(bootstrap, args.source.as_deref(), &folder);
    origin.map_err(SettingsError::NoCheckout)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli;

    pub(super) fn dev(arguments: &[&str]) -> Result<DevSettings, SettingsError> {
        let arguments = ["chatctl", "dev"].iter().chain(arguments);
        let cli = cli::Cli::try_parse_from(arguments).unwrap();
        let cli::Command::Dev(args) = cli.command else {
            panic!("{cli:?}");
        };
        DevSettings::new(&args)
    }

    pub(super) fn deploy(arguments: &[&str]) -> Result<DeploySettings, SettingsError> {
        let arguments = ["chatctl", "deploy"].iter().chain(arguments);
        let cli = cli::Cli::try_parse_from(arguments).unwrap();
        let cli::Command::Deploy(args) = cli.command else {
            panic!("{cli:?}");
        };
        DeploySettings::new(&args)
    }

    #[test]
    fn a_role_is_known_by_the_form_of_its_arn() {
        for arn in [
            "arn:aws:iam::123456789012:role/chat",
            "arn:aws-us-gov:iam::123456789012:role/service/of+all=kinds,x.y@z-1",
        ] {
            let settings = deploy(&["--express", "--role-arn", arn]).unwrap();
            assert_eq!(settings.terms.role_arn.as_deref(), Some(arn));
            assert!(settings.terms.is_express);
        }
        for arn in [
            "",
            "chat",
            "arn:aws:iam::123456789012:user/chat",
            "arn:aws:iam::12345:role/chat",
            "arn:aws:iam:us-east-1:123456789012:role/chat",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/a b",
            "arn:gcp:iam::123456789012:role/chat",
        ] {
            let error = deploy(&["--role-arn", arn]).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("`{arn}` is not the ARN of a role")
            );
            assert!(
                error.hint().contains("CHATCTL_ROLE_ARN"),
                "{}",
                error.hint()
            );
        }
    }

    #[test]
    fn the_arn_of_a_role_is_looked_at_wherever_one_is_given() {
        let bad = ["--role-arn", "chat"];
        let arguments = |command| [&["chatctl", command][..], &bad].concat();
        let parsed = |command| {
            cli::Cli::try_parse_from(arguments(command))
                .unwrap()
                .command
        };
        let refused = SettingsError::RoleArn("chat".to_owned());
        let synth = match parsed("synth") {
            cli::Command::Synth(args) => SynthSettings::new(&args).map(drop),
            other => panic!("{other:?}"),
        };
        let rollback = match parsed("rollback") {
            cli::Command::Rollback(args) => RollbackSettings::new(&args).map(drop),
            other => panic!("{other:?}"),
        };
        let destroy = match parsed("destroy") {
            cli::Command::Destroy(args) => DestroySettings::new(&args).map(drop),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            [synth, rollback, destroy],
            [(); 3].map(|()| Err(refused_again(&refused)))
        );
    }

    fn refused_again(error: &SettingsError) -> SettingsError {
        match error {
            SettingsError::RoleArn(arn) => SettingsError::RoleArn(arn.clone()),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn messages_are_kept_for_seven_days_unless_told_otherwise() {
        for (arguments, expected) in [(&[][..], 7), (&["--history-days", "0"], 0)] {
            assert_eq!(deploy(arguments).unwrap().history_days, expected);
            assert_eq!(dev(arguments).unwrap().history_days, expected);
        }
        for days in ["3651", "-1", "1.5"] {
            let arguments = ["chatctl", "deploy", &format!("--history-days={days}")];
            assert!(cli::Cli::try_parse_from(arguments).is_err(), "{days}");
        }
    }

    #[test]
    fn a_wrong_setting_is_wrong_usage() {
        for arguments in [
            ["--fault", "gone=2"],
            ["--idle-timeout", "x"],
            ["--stage", "A"],
        ] {
            let error = crate::error::Error::from(dev(&arguments).unwrap_err());
            assert_eq!(error.exit_code() as u8, 2, "{arguments:?}");
        }
    }
}
