//! What the user asked for, from the command line and the environment, checked once and before
//! anything is done. `clap` has merged the two already: a flag wins over its variable.
//!
//! # Layout
//! * `access`: who is let in.
//! * `init`: the verb that begins an app.
//! * `operations`: how a chat is watched and bounded.
//! * `see`: the verbs that look and change nothing.

mod access;
mod init;
mod see;

mod operations;

use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use access::{Access, Where};
pub(crate) use init::InitSettings;
use local::{FaultError, Faults, Limits};
pub(crate) use operations::{Operations, log_retention};

use crate::build::{Architecture, Origin, Profile, Sources};
use crate::cli::{
    self, CloudArgs, DeployArgs, DestroyArgs, DevArgs, DiffArgs, DomainArgs, LimitArgs, OriginArgs,
    PlanArgs, RollbackArgs, SourceArgs, StageArgs, SynthArgs, TemplateFormat, UrlsArgs, VerifyArgs,
};
use crate::cloud::aws::Account;
use crate::cloud::{StackView, Terms};
use crate::plan::{Load, LoadError, Region, RegionError};
use crate::policy::Principal;
use crate::protection;
use crate::releases::Which;
use crate::sign_in::SignInError;
use crate::stack::Losses;
use crate::tags::{self, TagsError};
use crate::template::{
    Cdn, Domain, DomainError, Protection, StageName, StageNameError, TemplateSettings,
};

pub(crate) use see::{
    DoctorSettings, Lines, LogsSettings, ManSettings, OpenSettings, StatusSettings, Whereabouts,
};

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

/// The longest that a check may take.
const TIMEOUT_MAX: Duration = Duration::from_mins(10);

/// The longest that a deployed chat is tried.
const VERIFY_TIMEOUT_MAX: Duration = Duration::from_hours(1);

/// How long it is unless somebody says otherwise.
const VERIFY_TIMEOUT: Duration = Duration::from_mins(10);

fn verify_timeout(args: &LimitArgs) -> Result<Duration, SettingsError> {
    let given = humantime::parse_duration(&args.verify_timeout).ok();
    let given = given.filter(|it| !it.is_zero() && *it <= VERIFY_TIMEOUT_MAX);
    given.ok_or_else(|| SettingsError::VerifyTimeout(args.verify_timeout.clone()))
}

fn either([one, other]: &[&str; 2]) -> String {
    format!("`{one}` or `{other}`")
}

/// The settings of `dev`.
#[derive(Debug, PartialEq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line, and any of them goes with any other"
)]
pub(crate) struct DevSettings {
    /// What the template depends on.
    pub(crate) template: TemplateSettings,
    /// Where to listen on 127.0.0.1; 0 is a free port.
    pub(crate) port: u16,
    /// Where the table is kept, if anywhere.
    pub(crate) data: Option<PathBuf>,
    /// For how many days messages are kept.
    pub(crate) history_days: u16,
    /// How many messages a second one connection may send; 0 is no limit.
    pub(crate) messages_per_second: u16,
    /// Who is let in.
    pub(crate) access: Access,
    /// How the functions are built.
    pub(crate) profile: Profile,
    /// Whether what is edited is taken up at once.
    pub(crate) watch: bool,
    /// Where functions, template and page come from.
    pub(crate) origin: Origin,
    /// When connections end by themselves.
    pub(crate) limits: Limits,
    /// What goes wrong on purpose.
    pub(crate) faults: Faults,
    /// When it does, if that is to be repeated.
    pub(crate) seed: Option<u64>,
    /// Invocations at once at most, if more are to be refused.
    pub(crate) account_concurrency: Option<usize>,
    /// Whether only invocations that went wrong are shown.
    pub(crate) quiet: bool,
    /// Whether each invocation is reported.
    pub(crate) reports: bool,
    /// Whether the URLs are printed for programs.
    pub(crate) json: bool,
}

impl DevSettings {
    /// # Errors
    /// [`SettingsError`], if an argument cannot be used.
    pub(crate) fn new(args: &DevArgs) -> Result<Self, SettingsError> {
        let origin = origin(&args.origin, None)?;
        Ok(Self {
            template: template_settings(&args.stage, &origin)?,
            origin,
            port: args.port,
            data: args.data.clone(),
            history_days: args.history_days,
            messages_per_second: args.messages_per_second,
            access: Access::new(&args.access, Where::Anywhere)?,
            profile: if args.release {
                Profile::Lambda
            } else {
                Profile::Dev
            },
            watch: args.watch,
            limits: limits(args)?,
            faults: args.fault.join(",").parse()?,
            seed: args.seed,
            account_concurrency: args.account_concurrency,
            quiet: args.quiet,
            reports: args.reports,
            json: args.json,
        })
    }
}

/// The settings of `deploy`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeploySettings {
    /// What the template depends on.
    pub(crate) template: TemplateSettings,
    /// Where to deploy, and as whom.
    pub(crate) account: Account,
    /// How CloudFormation is to work.
    pub(crate) terms: Terms,
    /// Whether the table may go.
    pub(crate) losses: Losses,
    /// The page, if not that of the clone.
    pub(crate) wwwroot: Option<PathBuf>,
    /// Who serves the page.
    pub(crate) cdn: Cdn,
    /// The domain that it answers at, if not CloudFront's.
    pub(crate) domain: Option<Domain>,
    /// For how many days messages are kept.
    pub(crate) history_days: u16,
    /// How many messages a second one connection may send; 0 is no limit.
    pub(crate) messages_per_second: u16,
    /// Who is let in.
    pub(crate) access: Access,
    /// Whether the chat is to be protected, if that was said.
    pub(crate) protect: Option<Protection>,
    /// Tags of the stack.
    pub(crate) tags: Vec<(String, String)>,
    /// How it is watched and bounded.
    pub(crate) operations: Operations,
    /// Whether the page and the chat are tried even if nothing has changed.
    pub(crate) verify: bool,
    /// How long they are tried.
    pub(crate) verify_timeout: Duration,
    /// The processor that the functions run on.
    pub(crate) architecture: Architecture,
    /// Where functions, template and page come from.
    pub(crate) origin: Origin,
    /// Whether only the functions' code is swapped.
    pub(crate) hotswap: bool,
    /// Whether the output is for programs.
    pub(crate) json: bool,
}

impl DeploySettings {
    /// # Errors
    /// [`SettingsError`], if an argument cannot be used.
    pub(crate) fn new(args: &DeployArgs) -> Result<Self, SettingsError> {
        let stage = &args.cloud.stage.stage;
        Ok(Self {
            terms: Terms {
                is_express: args.express,
                role_arn: role_arn(args.role.role_arn.as_deref())?,
            },
            losses: match (args.allow_replacement, args.yes) {
                (true, _) => Losses::Allowed,
                (false, true) => Losses::Refused,
                (false, false) => Losses::Asked(stage.clone()),
            },
            verify: args.verify,
            verify_timeout: verify_timeout(&args.limit)?,
            hotswap: args.hotswap,
            ..Self::of(&args.cloud, &args.source)?
        })
    }

    /// The same, with the protection that the stack has that is there, and whom it lets in, where nothing was
    /// asked for.
    ///
    /// # Errors
    /// [`SettingsError`], if what is kept does not go with what is asked for.
    pub(crate) fn keeping(&self, stack: Option<&StackView>) -> Result<Self, SettingsError> {
        let Some(stack) = stack else {
            return Ok(self.clone());
        };
        Ok(Self {
            protect: self.protect.or(Some(protection::asked_for(stack))),
            access: self.access.keeping(stack, self.cdn)?,
            ..self.clone()
        })
    }

    /// The same, with what the provider that people sign in with says of itself.
    ///
    /// # Errors
    /// [`SignInError`], if nobody could sign in there.
    pub(crate) async fn discovered(&self) -> Result<Self, SignInError> {
        Ok(Self {
            access: self.access.discovered().await?,
            ..self.clone()
        })
    }

    /// What says what is deployed, and where, if nothing else is asked for.
    fn of(cloud: &CloudArgs, source: &SourceArgs) -> Result<Self, SettingsError> {
        let origin = origin(&source.origin, source.bootstrap.as_deref())?;
        Ok(Self {
            template: template_settings(&cloud.stage, &origin)?,
            origin,
            account: account(cloud),
            terms: Terms::default(),
            losses: Losses::Refused,
            wwwroot: source.wwwroot.clone(),
            cdn: source.cdn,
            domain: domain(source)?,
            history_days: source.history_days,
            messages_per_second: source.messages_per_second,
            access: Access::new(&source.access, Where::Cloud(source.cdn))?,
            protect: source.protect,
            tags: tags::all(&source.tag)?,
            operations: Operations::new(&source.operations)?,
            verify: false,
            verify_timeout: VERIFY_TIMEOUT,
            hotswap: false,
            architecture: source.arch,
            json: cloud.json,
        })
    }
}

fn domain(source: &SourceArgs) -> Result<Option<Domain>, DomainError> {
    let DomainArgs {
        domain,
        certificate_arn,
    } = &source.domain;
    let domain = Domain::new(domain.as_deref(), certificate_arn.as_deref())?;
    if domain.is_some() && source.cdn == Cdn::Off {
        return Err(DomainError::WithoutCdn);
    }
    Ok(domain)
}

/// The settings of `diff`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct DiffSettings {
    /// The deploy whose effect is asked for.
    pub(crate) deploy: DeploySettings,
}

impl DiffSettings {
    /// # Errors
    /// [`SettingsError`], if an argument cannot be used.
    pub(crate) fn new(args: &DiffArgs) -> Result<Self, SettingsError> {
        Ok(Self {
            deploy: DeploySettings::of(&args.cloud, &args.source)?,
        })
    }
}

/// The settings of `rollback`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RollbackSettings {
    /// Which chat.
    pub(crate) stage: StageName,
    /// Where it is.
    pub(crate) account: Account,
    /// How CloudFormation is to work.
    pub(crate) terms: Terms,
    /// What to go back to; nothing, if what there is is only to be shown.
    pub(crate) to: Option<Which>,
    /// How long the chat is tried.
    pub(crate) verify_timeout: Duration,
    /// Whether the output is for programs.
    pub(crate) json: bool,
}

impl RollbackSettings {
    /// # Errors
    /// [`SettingsError`], if an argument cannot be used.
    pub(crate) fn new(args: &RollbackArgs) -> Result<Self, SettingsError> {
        let to = args.to.clone().unwrap_or(Which::Previous);
        Ok(Self {
            stage: args.cloud.stage.stage.parse()?,
            account: account(&args.cloud),
            terms: Terms {
                is_express: false,
                role_arn: role_arn(args.role.role_arn.as_deref())?,
            },
            to: (!args.list).then_some(to),
            verify_timeout: verify_timeout(&args.limit)?,
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

/// The settings of `plan`.
#[derive(Debug, PartialEq)]
pub(crate) struct PlanSettings {
    /// What there will be.
    pub(crate) load: Load,
    /// Where.
    pub(crate) region: Region,
    /// Whether the output is for programs.
    pub(crate) json: bool,
}

impl PlanSettings {
    /// # Errors
    /// [`SettingsError`], if an argument cannot be used.
    pub(crate) fn new(args: &PlanArgs) -> Result<Self, SettingsError> {
        // The variables of AWS's SDKs, in their order; no profile is looked at for a table.
        let of_environment = || {
            let names = ["AWS_REGION", "AWS_DEFAULT_REGION"];
            let values = names.into_iter().filter_map(|it| std::env::var(it).ok());
            values.into_iter().find(|it| !it.is_empty())
        };
        let region = args.region.clone().or_else(of_environment);
        Ok(Self {
            load: Load::new(args.connections, args.room_size, args.rate)?,
            region: region.as_deref().unwrap_or("us-east-1").parse()?,
            json: args.json,
        })
    }
}

/// The settings of `verify`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct VerifySettings {
    /// Which chat.
    pub(crate) whose: Whose,
    /// How long a check may take.
    pub(crate) timeout: Duration,
    /// Whether the output is for programs.
    pub(crate) json: bool,
}

/// Where a chat is, or who knows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// AWS knows.
    Stage {
        /// The stage.
        stage: StageName,
        /// Where it is.
        account: Account,
    },
    /// It was said.
    Urls {
        /// The socket.
        websocket: String,
        /// The page, if it is to be looked at.
        site: Option<String>,
    },
}

impl VerifySettings {
    /// # Errors
    /// [`SettingsError`], if an argument cannot be used.
    pub(crate) fn new(args: &VerifyArgs) -> Result<Self, SettingsError> {
        let whose = match &args.url {
            Some(websocket) => Whose::Urls {
                websocket: url("--url", websocket, ["ws://", "wss://"])?,
                site: site(args.site.as_deref())?,
            },
            None => Whose::Stage {
                stage: args.cloud.stage.stage.parse()?,
                account: account(&args.cloud),
            },
        };
        let bad = || SettingsError::Timeout(args.timeout.clone());
        let timeout = humantime::parse_duration(&args.timeout).map_err(|_| bad())?;
        if timeout.is_zero() || timeout > TIMEOUT_MAX {
            return Err(bad());
        }
        Ok(Self {
            whose,
            timeout,
            json: args.cloud.json,
        })
    }
}

/// The page's URL as it is printed elsewhere, with its last slash.
fn site(value: Option<&str>) -> Result<Option<String>, SettingsError> {
    let Some(value) = value else {
        return Ok(None);
    };
    let url = url("--site", value, ["http://", "https://"])?;
    let slash = if url.ends_with('/') { "" } else { "/" };
    Ok(Some(url + slash))
}

fn url(
    flag: &'static str,
    value: &str,
    schemes: [&'static str; 2],
) -> Result<String, SettingsError> {
    let is_known = schemes.iter().any(|it| value.starts_with(it));
    let has_host = value
        .parse()
        .is_ok_and(|url: hyper::Uri| url.host().is_some());
    if is_known && has_host {
        Ok(value.to_owned())
    } else {
        Err(SettingsError::Url {
            flag,
            value: value.to_owned(),
            schemes,
        })
    }
}

/// The settings of `destroy`.
#[derive(Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line, and any of them goes with any other"
)]
pub(crate) struct DestroySettings {
    /// Which chat.
    pub(crate) stage: StageName,
    /// Where it is.
    pub(crate) account: Account,
    /// How CloudFormation is to work.
    pub(crate) terms: Terms,
    /// Whether to ask first.
    pub(crate) asks: bool,
    /// Whether the table of a protected chat stays, and all else goes.
    pub(crate) keep_table: bool,
    /// Whether the bucket of packages stays, come what may.
    pub(crate) keep_artifacts: bool,
    /// Whether the output is for programs.
    pub(crate) json: bool,
}

impl DestroySettings {
    /// # Errors
    /// [`SettingsError`], if an argument cannot be used.
    pub(crate) fn new(args: &DestroyArgs) -> Result<Self, SettingsError> {
        Ok(Self {
            stage: args.cloud.stage.stage.parse()?,
            account: account(&args.cloud),
            // Never in express mode: what is then called gone may still be going, and the receipt says
            // what is gone.
            terms: Terms {
                is_express: false,
                role_arn: role_arn(args.role.role_arn.as_deref())?,
            },
            asks: !args.yes,
            keep_table: args.keep_table,
            keep_artifacts: args.keep_artifacts,
            json: args.cloud.json,
        })
    }
}

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

/// The settings of `synth`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SynthSettings {
    /// What the template depends on.
    pub(crate) template: TemplateSettings,
    /// Whether it is of a protected chat.
    pub(crate) protect: Protection,
    /// Who is let in.
    pub(crate) access: Access,
    /// How it is written.
    pub(crate) format: TemplateFormat,
    /// Whose policy is printed instead, if one is.
    pub(crate) policy: Option<Principal>,
    /// Whether the role for access logs is printed instead.
    pub(crate) access_logs_role: bool,
}

impl SynthSettings {
    /// # Errors
    /// [`SettingsError`], if an argument cannot be used.
    pub(crate) fn new(args: &SynthArgs) -> Result<Self, SettingsError> {
        Ok(Self {
            template: template_settings(&args.stage, &origin(&args.origin, None)?)?,
            protect: args.protect,
            access: Access::new(&args.access, Where::Anywhere)?,
            format: args.format,
            policy: principal(args)?,
            access_logs_role: args.access_logs_role,
        })
    }
}

fn principal(args: &SynthArgs) -> Result<Option<Principal>, SettingsError> {
    if args.service_role_policy {
        return Ok(Some(Principal::ServiceRole));
    }
    if args.operator_policy {
        return Ok(Some(Principal::Operator));
    }
    let role = role_arn(args.role_arn.as_deref())?;
    let deployer = role.map_or(Principal::Deployer, Principal::DeployerWithRole);
    Ok(args.deployer_policy.then_some(deployer))
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

fn limits(args: &DevArgs) -> Result<Limits, SettingsError> {
    let aws = Limits::default();
    let or = |flag, value: &Option<String>, most| match value {
        Some(value) => duration(flag, value, most),
        None => Ok(most),
    };
    Ok(Limits {
        idle_timeout: or("--idle-timeout", &args.idle_timeout, aws.idle_timeout)?,
        connection_lifetime: or(
            "--connection-lifetime",
            &args.connection_lifetime,
            aws.connection_lifetime,
        )?,
    })
}

/// Reads `10s`, `5m`, `1h 30m`, or a number of seconds.
fn duration(flag: &'static str, value: &str, most: Duration) -> Result<Duration, SettingsError> {
    let seconds = value.parse().ok().map(Duration::from_secs);
    seconds
        .or_else(|| humantime::parse_duration(value).ok())
        .filter(|duration| !duration.is_zero() && *duration <= most)
        .ok_or_else(|| SettingsError::Duration {
            flag,
            value: value.to_owned(),
            most,
        })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn args(stage: &str) -> SynthArgs {
        SynthArgs {
            stage: StageArgs {
                stage: stage.to_owned(),
            },
            format: TemplateFormat::Json,
            protect: Protection::Off,
            access: cli::AccessArgs {
                allowed_origins: None,
                auth: None,
                issuer: None,
                audience: None,
            },
            origin: OriginArgs { source: None },
            deployer_policy: false,
            role_arn: None,
            service_role_policy: false,
            operator_policy: false,
            access_logs_role: false,
        }
    }

    #[test]
    fn good_arguments_become_settings() {
        let settings = SynthSettings::new(&args("prod")).unwrap();
        assert_eq!(settings.template.stage.as_str(), "prod");
        assert_eq!(settings.format, TemplateFormat::Json);
    }

    #[test]
    fn a_plan_is_for_a_load_and_a_region_that_there_can_be() {
        let args = |room_size: u32, region: &str| PlanArgs {
            connections: 100,
            room_size,
            rate: 0.5,
            region: Some(region.to_owned()),
            json: false,
        };
        let settings = PlanSettings::new(&args(10, "eu-south-1")).unwrap();
        assert_eq!(settings.load, Load::new(100, 10, 0.5).unwrap());
        assert_eq!(settings.region, "eu-south-1".parse().unwrap());
        let error = PlanSettings::new(&args(101, "eu-south-1")).unwrap_err();
        assert!(matches!(error, SettingsError::Load(_)), "{error}");
        let error = PlanSettings::new(&args(10, "Milan")).unwrap_err();
        assert_eq!(error.to_string(), "`Milan` is not the name of a Region");
        assert!(error.hint().contains("--region"), "{}", error.hint());
    }

    #[test]
    fn a_bad_stage_is_refused_with_the_rule() {
        let error = SynthSettings::new(&args("My Stage")).unwrap_err();
        assert_eq!(error.to_string(), "`My Stage` is not a stage name");
        assert!(error.hint().contains("CHATCTL_STAGE"));
    }

    fn dev(arguments: &[&str]) -> Result<DevSettings, SettingsError> {
        let arguments = ["chatctl", "dev"].iter().chain(arguments);
        let cli = cli::Cli::try_parse_from(arguments).unwrap();
        let cli::Command::Dev(args) = cli.command else {
            panic!("{cli:?}");
        };
        DevSettings::new(&args)
    }

    #[test]
    fn cloudfront_serves_the_page_unless_told_otherwise() {
        for (arguments, expected) in [(&[][..], "on"), (&["--cdn", "off"], "off")] {
            let arguments = ["chatctl", "deploy"].iter().chain(arguments);
            let cli = cli::Cli::try_parse_from(arguments).unwrap();
            let cli::Command::Deploy(args) = cli.command else {
                panic!("{cli:?}");
            };
            let settings = DeploySettings::new(&args).unwrap();
            // The word is the template's.
            assert_eq!(settings.cdn.to_string(), expected);
        }
    }

    #[test]
    fn connections_end_when_aws_ends_them_unless_told_otherwise() {
        assert_eq!(dev(&[]).unwrap().limits, Limits::default());
        for (text, seconds) in [
            ("10", 10),
            ("10s", 10),
            ("5m", 300),
            ("1m 30s", 90),
            ("10m", 600),
        ] {
            let settings = dev(&["--idle-timeout", text, "--connection-lifetime", text]).unwrap();
            let expected = Limits {
                idle_timeout: Duration::from_secs(seconds),
                connection_lifetime: Duration::from_secs(seconds),
            };
            assert_eq!(settings.limits, expected, "{text}");
        }
    }

    #[test]
    fn a_duration_that_no_connection_has_is_refused_with_the_rule() {
        for text in [
            "0",
            "0s",
            "11m",
            "-1",
            "ten",
            "1.5",
            "",
            "99999999999999999999s",
        ] {
            let value = format!("--idle-timeout={text}");
            let error = dev(&[&value]).unwrap_err();
            assert_eq!(
                error.to_string(),
                format!("`--idle-timeout {text}` is not a duration that a connection can be given")
            );
            assert!(
                error.hint().ends_with("at most `10m`, as on AWS"),
                "{}",
                error.hint()
            );
        }
        let error = dev(&["--connection-lifetime", "3h"]).unwrap_err();
        assert!(
            error.hint().ends_with("at most `2h`, as on AWS"),
            "{}",
            error.hint()
        );
    }

    #[test]
    fn faults_are_gathered() {
        let arguments = [
            "--fault",
            "gone=1%",
            "--fault",
            "reorder=50ms",
            "--seed",
            "7",
        ];
        let settings = dev(&arguments).unwrap();
        assert!((settings.faults.gone - 0.01).abs() < 1e-9);
        assert_eq!(settings.faults.reorder, Duration::from_millis(50));
        assert_eq!(settings.seed, Some(7));
        assert!(dev(&[]).unwrap().faults.is_none());
    }

    #[test]
    fn a_fault_that_there_is_not_is_refused_with_all_that_there_are() {
        let error = dev(&["--fault", "gnoe=1%"]).unwrap_err();
        assert_eq!(error.to_string(), "there is no fault `gnoe`");
        for fault in local::Fault::ALL {
            assert!(error.hint().contains(fault.usage().0), "{fault}");
        }
    }

    fn deploy(arguments: &[&str]) -> Result<DeploySettings, SettingsError> {
        let arguments = ["chatctl", "deploy"].iter().chain(arguments);
        let cli = cli::Cli::try_parse_from(arguments).unwrap();
        let cli::Command::Deploy(args) = cli.command else {
            panic!("{cli:?}");
        };
        DeploySettings::new(&args)
    }

    #[test]
    fn data_is_lost_only_where_it_is_said_so_or_asked() {
        let asked = Losses::Asked("prod".to_owned());
        for (arguments, losses) in [
            (&["--stage", "prod"][..], asked),
            (&["--yes"], Losses::Refused),
            (&["--allow-replacement"], Losses::Allowed),
            (&["--allow-replacement", "--yes"], Losses::Allowed),
        ] {
            assert_eq!(deploy(arguments).unwrap().losses, losses, "{arguments:?}");
        }
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

    fn verify(arguments: &[&str]) -> Result<VerifySettings, SettingsError> {
        let arguments = ["chatctl", "verify"].iter().chain(arguments);
        let cli = cli::Cli::try_parse_from(arguments).unwrap();
        let cli::Command::Verify(args) = cli.command else {
            panic!("{cli:?}");
        };
        VerifySettings::new(&args)
    }

    #[test]
    fn a_chat_is_verified_where_it_is_said_to_be_or_else_where_aws_knows() {
        let settings = verify(&["--stage", "prod"]).unwrap();
        assert!(matches!(&settings.whose, Whose::Stage { stage, .. } if stage.as_str() == "prod"));
        let url = ["--url", "ws://127.0.0.1:8765/dev"];
        let page = ["--site", "http://127.0.0.1:8765"];
        for (arguments, expected) in [
            (url.to_vec(), None),
            ([url, page].concat(), Some("http://127.0.0.1:8765/")),
        ] {
            let expected = Whose::Urls {
                websocket: url[1].to_owned(),
                site: expected.map(str::to_owned),
            };
            assert_eq!(verify(&arguments).unwrap().whose, expected);
        }
    }

    #[test]
    fn what_is_no_socket_no_page_and_no_duration_is_refused_with_the_rule() {
        let url = ["--url", "wss://x/dev"];
        for (arguments, expected) in [
            (
                ["--url", "http://x/"].to_vec(),
                "`--url http://x/` is not a URL that begins with `ws://` or `wss://`",
            ),
            (
                ["--url", "ws://"].to_vec(),
                "`--url ws://` is not a URL that begins with `ws://` or `wss://`",
            ),
            (
                [url, ["--site", "x"]].concat(),
                "`--site x` is not a URL that begins with `http://` or `https://`",
            ),
            (
                [url, ["--timeout", "11m"]].concat(),
                "`--timeout 11m` is not a duration that a check can be given",
            ),
            (
                [url, ["--timeout", "0s"]].concat(),
                "`--timeout 0s` is not a duration that a check can be given",
            ),
        ] {
            let error = verify(&arguments).unwrap_err();
            assert_eq!(error.to_string(), expected);
            assert!(error.hint().contains(arguments[arguments.len() - 2]));
        }
    }

    #[test]
    fn a_chat_is_tried_for_ten_minutes_unless_told_otherwise() {
        let minutes = |arguments: &[&str]| deploy(arguments).map(|it| it.verify_timeout);
        assert_eq!(minutes(&[]), Ok(Duration::from_mins(10)));
        assert_eq!(
            minutes(&["--verify-timeout", "90s"]),
            Ok(Duration::from_secs(90))
        );
        for bad in ["0s", "61m", "soon"] {
            let error = minutes(&["--verify-timeout", bad]).unwrap_err();
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("`--verify-timeout {bad}` is not"))
            );
            assert!(error.hint().contains("at most `1h`"), "{}", error.hint());
        }
    }

    /// The flags of a deploy that a swap goes by.
    const OF_A_SWAP: [&str; 12] = [
        "stage",
        "region",
        "profile",
        "json",
        "arch",
        "bootstrap",
        "source",
        "verify",
        "verify-timeout",
        "yes",
        "no-color",
        "config",
    ];

    #[test]
    fn a_swap_refuses_each_flag_of_a_deploy_that_it_would_not_look_at() {
        let mut cli = <cli::Cli as clap::CommandFactory>::command();
        cli.build();
        let deploy = cli.find_subcommand("deploy").unwrap();
        let flags = deploy.get_arguments().filter_map(clap::Arg::get_long);
        let flags: Vec<_> = flags
            .filter(|it| !["help", "hotswap"].contains(it))
            .collect();
        assert!(OF_A_SWAP.iter().all(|it| flags.contains(it)), "{flags:?}");
        for flag in flags {
            let is_switch = [
                "json",
                "verify",
                "express",
                "yes",
                "allow-replacement",
                "no-color",
            ];
            let value = match flag {
                _ if is_switch.contains(&flag) => String::new(),
                "cdn" | "protect" | "metrics" | "dashboard" | "alarms" | "access-logs" => {
                    "=off".to_owned()
                }
                "arch" => "=arm64".to_owned(),
                "auth" => "=oidc".to_owned(),
                "tag" => "=a=b".to_owned(),
                "log-retention" => "=30".to_owned(),
                _ => "=512".to_owned(),
            };
            let given = format!("--{flag}{value}");
            let parsed = cli::Cli::try_parse_from(["chatctl", "deploy", "--hotswap", &given]);
            let refused = parsed.map(drop).map_err(|it| it.kind());
            let expected = if OF_A_SWAP.contains(&flag) {
                Ok(())
            } else {
                Err(clap::error::ErrorKind::ArgumentConflict)
            };
            assert_eq!(refused, expected, "{given}: either looked at or refused");
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
