//! The settings of the verbs that look and change nothing.

use std::path::PathBuf;
use std::time::Duration;

use super::{DeploySettings, SettingsError, account};
use crate::cli::{Cli, DoctorArgs, LogsArgs, ManArgs, OpenArgs, StatusArgs, UrlsArgs};
use crate::cloud::aws::Account;
use crate::telemetry::Function;
use crate::template::StageName;

/// The longest that CloudWatch keeps a log.
const SINCE_MAX: Duration = Duration::from_hours(24 * 3653);

/// The settings of `status`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StatusSettings {
    /// The deploy that would bring the chat up to date.
    pub(crate) deploy: DeploySettings,
    /// Whether the functions are built, to be compared.
    pub(crate) build: bool,
    /// Whether AWS is to look for drift.
    pub(crate) drift: bool,
}

impl StatusSettings {
    /// # Errors
    /// [`SettingsError`], if an argument cannot be used.
    pub(crate) fn new(args: &StatusArgs) -> Result<Self, SettingsError> {
        let deploy = DeploySettings::of(&args.cloud, &args.source)?;
        Ok(Self {
            build: args.build || args.source.bootstrap.is_some(),
            drift: args.drift,
            deploy,
        })
    }
}

/// The settings of `logs`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LogsSettings {
    /// Which chat.
    pub(crate) stage: StageName,
    /// Where it is.
    pub(crate) account: Account,
    /// Whether it goes on with what comes.
    pub(crate) follow: bool,
    /// How far back it begins.
    pub(crate) since: Duration,
    /// Whose logs.
    pub(crate) functions: Vec<Function>,
    /// What of them.
    pub(crate) which: Lines,
    /// Whether the output is for programs.
    pub(crate) json: bool,
}

impl LogsSettings {
    /// # Errors
    /// [`SettingsError`], if an argument cannot be used.
    pub(crate) fn new(args: &LogsArgs) -> Result<Self, SettingsError> {
        let since = humantime::parse_duration(&args.since).ok();
        let since = since.filter(|it| !it.is_zero() && *it <= SINCE_MAX);
        let mut functions = args.function.clone();
        functions.sort_unstable();
        functions.dedup();
        if functions.is_empty() {
            functions = Function::ALL.into();
        }
        Ok(Self {
            stage: args.cloud.stage.stage.parse()?,
            account: account(&args.cloud),
            follow: args.follow,
            since: since.ok_or_else(|| SettingsError::Since(args.since.clone()))?,
            functions,
            which: match (args.errors, args.all) {
                // Of Lambda's own, too.
                (true, _) => Lines::Errors,
                (false, true) => Lines::All,
                (false, false) => Lines::Told,
            },
            json: args.cloud.json,
        })
    }
}

/// Which lines of a log are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lines {
    /// Lambda's own as well.
    All,
    /// What the functions tell.
    Told,
    /// What went wrong.
    Errors,
}

/// The settings of `doctor`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DoctorSettings {
    /// For which chat.
    pub(crate) stage: StageName,
    /// Where it is, or will be; nothing, if AWS is not asked.
    pub(crate) account: Option<Account>,
    /// Whether the output is for programs.
    pub(crate) json: bool,
    /// Where the user is.
    pub(crate) folder: PathBuf,
}

impl DoctorSettings {
    /// # Errors
    /// [`SettingsError`], if an argument cannot be used.
    pub(crate) fn new(args: &DoctorArgs) -> Result<Self, SettingsError> {
        Ok(Self {
            stage: args.cloud.stage.stage.parse()?,
            account: (!args.local).then(|| account(&args.cloud)),
            json: args.cloud.json,
            folder: std::env::current_dir().unwrap_or_default(),
        })
    }
}

/// The settings of `open`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OpenSettings {
    /// Whose page.
    pub(crate) page: Whereabouts,
    /// Whether the output is for programs.
    pub(crate) json: bool,
}

/// Where a page is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// AWS knows.
    Stage {
        /// The stage.
        stage: StageName,
        /// Where it is.
        account: Account,
    },
    /// On this machine.
    Here {
        /// The port of 127.0.0.1.
        port: u16,
    },
}

impl OpenSettings {
    /// # Errors
    /// [`SettingsError`], if an argument cannot be used.
    pub(crate) fn new(args: &OpenArgs) -> Result<Self, SettingsError> {
        let page = if args.dev {
            Whereabouts::Here { port: args.port }
        } else {
            Whereabouts::Stage {
                stage: args.cloud.stage.stage.parse()?,
                account: account(&args.cloud),
            }
        };
        Ok(Self {
            page,
            json: args.cloud.json,
        })
    }
}

/// The settings of `urls`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UrlsSettings {
    /// Which chat.
    pub(crate) stage: StageName,
    /// Where it is.
    pub(crate) account: Account,
    /// Whether the output is for programs.
    pub(crate) json: bool,
}

impl UrlsSettings {
    /// # Errors
    /// [`SettingsError`], if an argument cannot be used.
    pub(crate) fn new(args: &UrlsArgs) -> Result<Self, SettingsError> {
        Ok(Self {
            stage: args.cloud.stage.stage.parse()?,
            account: account(&args.cloud),
            json: args.cloud.json,
        })
    }
}

/// The settings of `man`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ManSettings {
    /// A page is printed: that of a command, or of the whole.
    Print(Option<String>),
    /// All pages are written to a folder.
    Write(PathBuf),
}

impl ManSettings {
    /// # Errors
    /// [`SettingsError`], if there is no such command.
    pub(crate) fn new(args: &ManArgs) -> Result<Self, SettingsError> {
        if let Some(folder) = &args.out {
            return Ok(Self::Write(folder.clone()));
        }
        let Some(name) = &args.command else {
            return Ok(Self::Print(None));
        };
        if Cli::commands().contains(name) {
            Ok(Self::Print(Some(name.clone())))
        } else {
            Err(SettingsError::NoCommand(name.clone()))
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::Command;

    fn logs(arguments: &[&str]) -> Result<LogsSettings, SettingsError> {
        let arguments = [&["chatctl", "logs"], arguments].concat();
        match Cli::try_parse_from(arguments).unwrap().command {
            Command::Logs(args) => LogsSettings::new(&args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn logs_begin_an_hour_ago_unless_told_otherwise() {
        for (arguments, minutes) in [
            (&[][..], 60),
            (&["--since", "90s"], 1),
            (&["--since", "1h 30m"], 90),
            (&["--since", "2d"], 2 * 24 * 60),
        ] {
            let settings = logs(arguments).unwrap();
            assert_eq!(settings.since.as_secs() / 60, minutes, "{arguments:?}");
        }
        for wrong in ["0s", "ten", "-1m", "", "11y"] {
            let error = logs(&[&format!("--since={wrong}")]).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("`--since {wrong}` is not a duration that logs are kept for")
            );
            assert!(error.hint().contains("`5m`"), "{}", error.hint());
        }
    }

    #[test]
    fn all_functions_are_meant_unless_some_are_named() {
        assert_eq!(logs(&[]).unwrap().functions, Function::ALL);
        for arguments in [
            &["--function", "action", "--function", "connect"][..],
            &["--function", "action,connect,action"],
        ] {
            let functions = logs(arguments).unwrap().functions;
            assert_eq!(functions, [Function::Connect, Function::Action]);
        }
    }

    #[test]
    fn a_page_is_of_a_command_that_there_is() {
        let page = |command: &str| {
            let command = Some(command.to_owned());
            ManSettings::new(&ManArgs { command, out: None })
        };
        assert_eq!(
            page("logs"),
            Ok(ManSettings::Print(Some("logs".to_owned())))
        );
        let error = page("frobnicate").unwrap_err();
        assert_eq!(error.to_string(), "there is no command `frobnicate`");
        assert!(error.hint().contains("deploy"), "{}", error.hint());
    }
}
