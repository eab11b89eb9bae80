//! The settings of `deploy`, and of the verbs that go with it: `diff` and `rollback`.

use std::path::PathBuf;
use std::time::Duration;

use super::{
    Access, Operations, SettingsError, Where, account, origin, role_arn, template_settings,
};
use crate::build::{Architecture, Origin};
use crate::cli::{
    CloudArgs, DeployArgs, DiffArgs, DomainArgs, LimitArgs, RollbackArgs, SourceArgs,
};
use crate::cloud::aws::Account;
use crate::cloud::{StackView, Terms};
use crate::protection;
use crate::releases::Which;
use crate::sign_in::SignInError;
use crate::stack::Losses;
use crate::tags;
use crate::template::{Cdn, Domain, DomainError, Protection, StageName, TemplateSettings};

/// The longest that a deployed chat is tried.
pub(super) const VERIFY_TIMEOUT_MAX: Duration = Duration::from_hours(1);

/// How long it is unless somebody says otherwise.
const VERIFY_TIMEOUT: Duration = Duration::from_mins(10);

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
    pub(super) fn of(cloud: &CloudArgs, source: &SourceArgs) -> Result<Self, SettingsError> {
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

fn verify_timeout(args: &LimitArgs) -> Result<Duration, SettingsError> {
    let given = humantime::parse_duration(&args.verify_timeout).ok();
    let given = given.filter(|it| !it.is_zero() && *it <= VERIFY_TIMEOUT_MAX);
    given.ok_or_else(|| SettingsError::VerifyTimeout(args.verify_timeout.clone()))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::super::tests::deploy;
    use super::*;
    use crate::cli;

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
}
