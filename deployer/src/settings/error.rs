//! What is wrong with a setting, and what the user can do about it.

use std::path::PathBuf;
use std::time::Duration;

use local::FaultError;

use super::deploy::VERIFY_TIMEOUT_MAX;
use super::verify::TIMEOUT_MAX;
use crate::cli;
use crate::plan::{LoadError, RegionError};
use crate::tags::TagsError;
use crate::template::{DomainError, StageName, StageNameError};

/// A setting that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SettingsError {
    /// `--stage` or `CHATCTL_STAGE`.
    #[error(transparent)]
    Stage(#[from] StageNameError),
    /// `--name`.
    #[error("`{0}` cannot be the name of an app: it is its stage's as well")]
    Name(String),
    /// `--fault`.
    #[error(transparent)]
    Fault(#[from] FaultError),
    /// What a plan is to be made for.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// `--region`, of a plan, which AWS does not see.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// `--domain` or `--certificate-arn`.
    #[error(transparent)]
    Domain(#[from] DomainError),
    /// `--tag`.
    #[error(transparent)]
    Tags(#[from] TagsError),
    /// `--source`.
    #[error("`{}` is not a checkout of this project", .0.display())]
    NoCheckout(PathBuf),
    /// The sources' template.
    #[error("the template of the sources cannot be read: {0}")]
    Template(String),
    /// `--role-arn` or `CHATCTL_ROLE_ARN`.
    #[error("`{0}` is not the ARN of a role")]
    RoleArn(String),
    /// `--allowed-origins`.
    #[error("`{0}` is not the origin of a page")]
    AllowedOrigin(String),
    /// `--auth oidc` without another flag.
    #[error("with `--auth oidc`, `{0}` has to be given as well")]
    SignIn(&'static str),
    /// `--issuer` or `--audience` without `--auth`.
    #[error("`--issuer` and `--audience` count with `--auth oidc` alone")]
    NoAuth,
    /// `--issuer`.
    #[error("`{0}` is not the address of a provider that a chat could trust")]
    Issuer(String),
    /// `--audience`.
    #[error("`{0}` is not a client id")]
    Audience(String),
    /// `--auth oidc` with `--cdn off`.
    #[error(
        "nobody can sign in with `--cdn off`: the page comes over HTTP, where browsers have no cryptography"
    )]
    SignInWithoutCdn,
    /// `--alarm-email`.
    #[error("`{0}` is not an e-mail address")]
    AlarmEmail(String),
    /// `--alarm-topic`.
    #[error("`{0}` is not the ARN of an SNS topic")]
    AlarmTopic(String),
    /// `--alarms off`, and somebody to tell.
    #[error("with `--alarms off` there is nothing to tell anybody of")]
    NoAlarms,
    /// `--url` or `--site`.
    #[error("`{flag} {value}` is not a URL that begins with {}", either(schemes))]
    Url {
        /// The flag.
        flag: &'static str,
        /// What was given.
        value: String,
        /// What it may begin with.
        schemes: [&'static str; 2],
    },
    /// `--verify-timeout`.
    #[error("`--verify-timeout {0}` is not a duration that a chat can be tried for")]
    VerifyTimeout(String),
    /// `--since`.
    #[error("`--since {0}` is not a duration that logs are kept for")]
    Since(String),
    /// Of `man`.
    #[error("there is no command `{0}`")]
    NoCommand(String),
    /// `--timeout`.
    #[error("`--timeout {0}` is not a duration that a check can be given")]
    Timeout(String),
    /// `--idle-timeout` or `--connection-lifetime`.
    #[error("`{flag} {value}` is not a duration that a connection can be given")]
    Duration {
        /// The flag.
        flag: &'static str,
        /// What was given.
        value: String,
        /// The most that AWS gives.
        most: Duration,
    },
}

impl SettingsError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::Stage(_) => format!(
                "set `--stage` or `CHATCTL_STAGE` to lower-case letters, digits and inner hyphens, \
                 at most {}, such as `dev`",
                StageName::LENGTH_MAX
            ),
            Self::Name(_) => format!(
                "give `--name` lower-case letters, digits and inner hyphens, at most {}, such as \
                 `my-chat`",
                StageName::LENGTH_MAX
            ),
            Self::Fault(_) => format!("give `--fault` one of these:\n{}", cli::faults()),
            Self::Load(error) => error.hint().to_owned(),
            Self::Region(_) => {
                "set `--region` or `CHATCTL_REGION` to one such as `eu-central-1`".to_owned()
            }
            Self::Domain(error) => error.hint(),
            Self::Tags(error) => error.hint(),
            Self::NoCheckout(_) => {
                "set `--source` or `CHATCTL_SOURCE` to the folder that `git clone` or \
                 `chatctl init` made, with `Cargo.toml`, `handlers/`, `wwwroot/` and `cloudformation/` in it"
                    .to_owned()
            }
            Self::Template(_) => {
                "each `.yaml` file in `cloudformation/` has to be a text that you may read"
                    .to_owned()
            }
            Self::RoleArn(_) => "set `--role-arn` or `CHATCTL_ROLE_ARN` to an ARN such as \
                 `arn:aws:iam::123456789012:role/chat`"
                .to_owned(),
            Self::AllowedOrigin(_) => {
                "set `--allowed-origins` or `CHATCTL_ALLOWED_ORIGINS` to `any`, `site`, or \
                 origins without a path, such as `https://www.example.org,https://example.org:8443`"
                    .to_owned()
            }
            Self::SignIn(_) | Self::Audience(_) => "set `--issuer` to the provider's address and `--audience` to the \
                 chat's client id there; docs/sign-in.md says how to get both"
                .to_owned(),
            Self::NoAuth => "give `--auth oidc` as well, or neither of them".to_owned(),
            Self::Issuer(_) => "set `--issuer` or `CHATCTL_ISSUER` to an address that begins with `https://`, \
                 such as `https://login.example.org`; `chatctl dev` takes `http://127.0.0.1:3000` as well"
                .to_owned(),
            Self::SignInWithoutCdn => "leave out `--cdn off`, or let everybody in with `--auth none`".to_owned(),
            Self::AlarmEmail(_) => {
                "set `--alarm-email` or `CHATCTL_ALARM_EMAIL` to an address such as \
                 `me@example.org`"
                    .to_owned()
            }
            Self::AlarmTopic(_) => {
                "set `--alarm-topic` or `CHATCTL_ALARM_TOPIC` to an ARN such as \
                 `arn:aws:sns:eu-central-1:123456789012:on-call`"
                    .to_owned()
            }
            Self::NoAlarms => {
                "leave out `--alarms off`, or `--alarm-email` and `--alarm-topic`".to_owned()
            }
            Self::Url { flag, .. } => format!(
                "set `{flag}` as `chatctl dev`, `chatctl deploy` and `chatctl urls` print it"
            ),
            Self::VerifyTimeout(_) => format!(
                "set `--verify-timeout` or `CHATCTL_VERIFY_TIMEOUT` to a duration such as `1m`, at \
                 most `{}`",
                humantime::format_duration(VERIFY_TIMEOUT_MAX)
            ),
            Self::Since(_) => {
                "set `--since` or `CHATCTL_SINCE` to a duration such as `5m`, `1h` or `2d`"
                    .to_owned()
            }
            Self::NoCommand(_) => format!("there are these: {}", cli::Cli::commands().join(", ")),
            Self::Timeout(_) => format!(
                "set `--timeout` or `CHATCTL_TIMEOUT` to a duration such as `10s` or `1m`, at most \
                 `{}`",
                humantime::format_duration(TIMEOUT_MAX)
            ),
            Self::Duration { flag, most, .. } => format!(
                "set `{flag}` to a duration such as `10s` or `5m`, or a number of seconds, at most \
                 `{}`, as on AWS",
                humantime::format_duration(*most)
            ),
        }
    }
}

fn either([one, other]: &[&str; 2]) -> String {
    format!("`{one}` or `{other}`")
}
