//! The command line as types. No logic: texts are checked in `settings`.
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

use std::ffi::OsString;
use std::path::PathBuf;

pub(crate) use access::{AccessArgs, Auth};
use clap::builder::{FalseyValueParser, OsStringValueParser, TypedValueParser};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum, value_parser};
pub(crate) use init::InitArgs;
use local::Fault;
pub(crate) use operations::OperationsArgs;

use crate::build::{Architecture, carried};
use crate::releases::{self, Which};
use crate::settings;
use crate::tags::{self, Tag};
use crate::template::{Cdn, Protection, StageName};

pub(crate) use see::{CompletionsArgs, DoctorArgs, LogsArgs, ManArgs, OpenArgs, StatusArgs};

/// Your own real-time group chat, on AWS or on this machine
#[derive(Debug, Parser)]
#[command(version, long_version = carried::long_version(), max_term_width = 100)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,

    /// No colours; there are none either with `NO_COLOR`, or where no terminal is
    #[arg(long, env = NO_COLOR, value_parser = switch(), global = true, display_order = 900)]
    pub(crate) no_color: bool,

    /// The file of settings; by default the nearest `chatctl.toml`, up to the top of the checkout, and
    /// none if this is empty
    #[arg(
        long,
        env = "CHATCTL_CONFIG",
        value_name = "FILE",
        value_parser = OsStringValueParser::new(),
        global = true,
        display_order = 901
    )]
    pub(crate) config: Option<OsString>,
}

const NO_COLOR: &str = "CHATCTL_NO_COLOR";

/// Whether colours are switched off, for a command line that may be wrong as well: what is told of it
/// is plain then, too.
pub(crate) fn has_no_color(parsed: Option<&Cli>) -> bool {
    if let Some(cli) = parsed {
        return cli.no_color;
    }
    let is_on = |value: OsString| switch().parse_ref(&Cli::command(), None, &value);
    let variable = std::env::var_os(NO_COLOR).map(is_on);
    std::env::args_os().any(|it| it == "--no-color") || matches!(variable, Some(Ok(true)))
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the whole stack on this machine, without an AWS account
    #[command(after_help = format!("{DEV_EXAMPLES}\n\nFaults:\n{}", faults()))]
    Dev(DevArgs),

    /// Put the chat on AWS, or bring it up to date; running it again is always right
    #[command(after_help = DEPLOY_EXAMPLES)]
    Deploy(DeployArgs),

    /// Show what a deploy would change, without changing anything
    #[command(after_help = DIFF_EXAMPLES)]
    Diff(DiffArgs),

    /// Print where a deployed chat is
    #[command(after_help = URLS_EXAMPLES)]
    Urls(UrlsArgs),

    /// Tell how a deployed chat is: stack, code, page, alarms, connections and traffic
    #[command(after_help = see::STATUS_EXAMPLES)]
    Status(StatusArgs),

    /// Show what the functions log, all of them by time
    #[command(after_help = see::LOGS_EXAMPLES)]
    Logs(LogsArgs),

    /// Open the page in a browser
    #[command(after_help = see::OPEN_EXAMPLES)]
    Open(OpenArgs),

    /// Talk to a chat from outside and tell which promises it keeps
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify(VerifyArgs),

    /// Go back to the code and the page of before, which were found to work
    #[command(after_help = ROLLBACK_EXAMPLES)]
    Rollback(RollbackArgs),

    /// Delete a deployed chat and all that is in it
    #[command(after_help = DESTROY_EXAMPLES)]
    Destroy(DestroyArgs),

    /// Print what a load needs of AWS: quotas, latency, and what it costs a month
    #[command(after_help = PLAN_EXAMPLES)]
    Plan(PlanArgs),

    /// Print the CloudFormation template of a stage, or the policy of whoever deploys it
    #[command(after_help = SYNTH_EXAMPLES, next_line_help = true)]
    Synth(SynthArgs),

    /// Begin an app of your own: write page, template and functions to a folder
    #[command(after_help = init::EXAMPLES)]
    Init(InitArgs),

    /// Look whether this machine and the AWS account have what is needed, and say what mends it
    #[command(after_help = see::DOCTOR_EXAMPLES)]
    Doctor(DoctorArgs),

    /// Print what a shell needs to complete command lines
    #[command(after_help = see::COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),

    /// Print manual pages
    #[command(after_help = see::MAN_EXAMPLES)]
    Man(ManArgs),
}

impl Cli {
    /// The names of all commands.
    pub(crate) fn commands() -> Vec<String> {
        let cli = Self::command();
        let commands = cli.get_subcommands();
        commands.map(|it| it.get_name().to_owned()).collect()
    }
}

/// Shown below `chatctl dev --help`.
const DEV_EXAMPLES: &str = "\
Examples:
  chatctl dev                    build, start, print the URLs; Ctrl-C ends it
  chatctl dev --port 0 --json    on a free port; the URLs as one JSON line
  chatctl dev --data ./data      keep rooms and connections in a folder
  chatctl dev --release          the functions as they are packaged for Lambda
  chatctl dev --watch            what is edited is there at once
  chatctl dev --reports          what each invocation would be billed for
  chatctl dev --idle-timeout 10s --connection-lifetime 1m
                                 see clients reconnect without waiting for hours
  chatctl dev --fault crash=0.5% --fault gone=1% --fault reorder=50ms --seed 42
                                 a bad day in the cloud, and the same one again";

/// What can be asked for by `--fault`: a line each, with an example.
pub(crate) fn faults() -> String {
    let lines = Fault::ALL.map(|fault| {
        let (example, effect) = fault.usage();
        format!("  {example:<20} {effect}")
    });
    lines.join("\n")
}

/// Shown below `chatctl deploy --help`.
const DEPLOY_EXAMPLES: &str = "\
Examples:
  chatctl deploy                     the stage `dev`
  chatctl deploy --stage prod --profile work --region eu-central-1
  chatctl deploy --wwwroot ./page    another page
  chatctl deploy --protect on        so that nobody deletes it by mistake
  chatctl deploy --cdn off           without CloudFront: quick, and over HTTP
  chatctl deploy --alarm-email me@example.org
                                     mail when something is wrong
  chatctl deploy --express --yes     for a pipeline: sooner, and it asks nothing
  chatctl deploy --hotswap           the functions' code alone, in seconds
  chatctl deploy --json              an event a line, the URLs in the last one";

/// Shown below `chatctl diff --help`.
const DIFF_EXAMPLES: &str = "\
Examples:
  chatctl diff                   the stage `dev`; the functions are built for it
  chatctl diff --stage prod --json | jq .differs
                                 for programs; the exit code is 0 either way";

/// Shown below `chatctl urls --help`.
const URLS_EXAMPLES: &str = "\
Examples:
  chatctl urls                        where the stage `dev` is
  chatctl urls --stage prod --json    as one JSON object, for programs";

/// Shown below `chatctl verify --help`.
const VERIFY_EXAMPLES: &str = "\
Examples:
  chatctl verify                 the stage `dev`, its page as well
  chatctl verify --url ws://127.0.0.1:8765/dev
                                 what `chatctl dev` runs, or anybody else
  chatctl verify --stage prod --json
                                 a JSON object a check, the result last

Nobody is disturbed: it talks in rooms of its own and says nothing in the lobby.
The exit code is 0 if all that was tried holds, and 1 if not.";

/// Shown below `chatctl rollback --help`.
const ROLLBACK_EXAMPLES: &str = "\
Examples:
  chatctl rollback               after a bad deploy: what worked before it
  chatctl rollback --list        the last five that were found to work
  chatctl rollback --to 3        the third of that list
  chatctl rollback --stage prod --to 3f2a91
                                 by its name, or the beginning of it

The stack's template and settings stay as they are: only code and page change.
The next `chatctl deploy` goes forward again.";

/// Shown below `chatctl destroy --help`.
const DESTROY_EXAMPLES: &str = "\
Examples:
  chatctl destroy                         type the stage's name to go on
  chatctl destroy --stage pr-128 --yes    without a question
  chatctl destroy --stage prod --keep-table
                                          a protected chat, but for its messages";

/// Shown below `chatctl plan --help`.
const PLAN_EXAMPLES: &str = "\
Examples:
  chatctl plan --connections 10000 --room-size 50 --rate 30
                                 as many people, who say 30 messages a second
  chatctl plan --connections 1000000 --room-size 50 --rate 3000 \\
               --region eu-south-1 --json | jq .quotas

AWS is not asked: these are its default quotas, and prices of us-east-1.";

/// Shown below `chatctl synth --help`.
const SYNTH_EXAMPLES: &str = "\
Examples:
  chatctl synth                  the template of the stage `dev`, as YAML
  chatctl synth --stage prod     the one of the stage `prod`
  chatctl synth --format json    as JSON, intrinsic functions in their long form
  chatctl synth > t.yaml && cfn-lint -- t.yaml
  chatctl synth --stage prod --deployer-policy > policy.json
                                 what whoever deploys has to be allowed
  chatctl synth --access-logs-role > role.yaml
                                 what `deploy --access-logs on` needs first";

/// How the variable of a flag is read: `1`, `yes` and `true` are all on; `0`, `no`, `false` and
/// nothing at all are off.
fn switch() -> FalseyValueParser {
    FalseyValueParser::new()
}

/// Which chat of the account is meant.
#[derive(Debug, Args)]
pub(crate) struct StageArgs {
    /// The stage: lower-case letters, digits and inner hyphens, at most 20
    #[arg(
        long,
        env = "CHATCTL_STAGE",
        default_value = StageName::DEFAULT,
        value_name = "NAME"
    )]
    pub(crate) stage: String,
}

/// Where in AWS, as whom, and for whom the output is.
#[derive(Debug, Args)]
pub(crate) struct CloudArgs {
    /// Which chat of the account.
    #[command(flatten)]
    pub(crate) stage: StageArgs,

    /// The AWS Region; by default that of the environment or the profile
    #[arg(long, env = "CHATCTL_REGION", value_name = "REGION")]
    pub(crate) region: Option<String>,

    /// The profile of AWS's configuration files
    #[arg(long, env = "CHATCTL_PROFILE", value_name = "NAME")]
    pub(crate) profile: Option<String>,

    /// Print JSON for programs
    #[arg(long, env = "CHATCTL_JSON", value_parser = switch())]
    pub(crate) json: bool,
}

/// The arguments of `deploy`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line, and any of them goes with any other"
)]
pub(crate) struct DeployArgs {
    /// Where to.
    #[command(flatten)]
    pub(crate) cloud: CloudArgs,

    /// What to deploy.
    #[command(flatten)]
    pub(crate) source: SourceArgs,

    /// What CloudFormation does it as.
    #[command(flatten)]
    pub(crate) role: RoleArgs,

    /// Try the page and the chat from outside even if nothing has changed
    #[arg(long, env = "CHATCTL_VERIFY", value_parser = switch())]
    pub(crate) verify: bool,

    /// How long that is tried.
    #[command(flatten)]
    pub(crate) limit: LimitArgs,

    /// CloudFormation's express mode: it does not wait for each resource to be ready. What has to be
    /// ready is waited for afterwards
    #[arg(long, env = "CHATCTL_EXPRESS", value_parser = switch())]
    pub(crate) express: bool,

    /// Do not ask. Data is not lost for that: see --allow-replacement
    #[arg(long, env = "CHATCTL_YES", value_parser = switch())]
    pub(crate) yes: bool,

    /// Swap the functions' code alone, in seconds, for development: neither stack nor page are
    /// looked at, and the next deploy without this brings all together
    #[arg(
        long,
        env = "CHATCTL_HOTSWAP",
        value_parser = switch(),
        conflicts_with_all = [
            "wwwroot", "cdn", "domain", "certificate_arn", "history_days", "messages_per_second", "protect", "tag", "express",
            "role_arn", "allow_replacement", "memory", "throttle_rate", "throttle_burst", "log_retention",
            "metrics", "dashboard", "alarms", "alarm_email", "alarm_topic", "access_logs", "allowed_origins", "auth", "issuer", "audience"
        ]
    )]
    pub(crate) hotswap: bool,

    /// Go on even if the table would be replaced or removed, with all rooms in it
    #[arg(long, env = "CHATCTL_ALLOW_REPLACEMENT", value_parser = switch())]
    pub(crate) allow_replacement: bool,
}

/// The arguments of `diff`.
#[derive(Debug, Args)]
pub(crate) struct DiffArgs {
    /// Of which chat.
    #[command(flatten)]
    pub(crate) cloud: CloudArgs,

    /// What would be deployed.
    #[command(flatten)]
    pub(crate) source: SourceArgs,
}

/// What CloudFormation works as.
#[derive(Debug, Args)]
pub(crate) struct RoleArgs {
    /// The role that CloudFormation works as; by default as you
    #[arg(long, env = "CHATCTL_ROLE_ARN", value_name = "ARN")]
    pub(crate) role_arn: Option<String>,
}

/// How long a chat is tried before it counts as broken.
#[derive(Debug, Args)]
pub(crate) struct LimitArgs {
    /// How long the page and the chat are tried until they work, at most 1h. A new distribution and a
    /// new API need some minutes until they are known everywhere
    #[arg(
        long,
        env = "CHATCTL_VERIFY_TIMEOUT",
        default_value = "10m",
        value_name = "DURATION"
    )]
    pub(crate) verify_timeout: String,
}

/// The arguments of `rollback`.
#[derive(Debug, Args)]
pub(crate) struct RollbackArgs {
    /// Which chat.
    #[command(flatten)]
    pub(crate) cloud: CloudArgs,

    /// What CloudFormation does it as.
    #[command(flatten)]
    pub(crate) role: RoleArgs,

    /// How long it is tried.
    #[command(flatten)]
    pub(crate) limit: LimitArgs,

    /// Which one, by its number in the list or the beginning of its name; by default the one that a
    /// rollback has not come to the end with, or else the last one that neither runs nor was gone back
    /// from
    #[arg(long, env = "CHATCTL_TO", value_name = "RELEASE", value_parser = releases::which)]
    pub(crate) to: Option<Which>,

    /// Show what there is to go back to, and change nothing
    #[arg(long, env = "CHATCTL_LIST", conflicts_with = "to", value_parser = switch())]
    pub(crate) list: bool,
}

/// What is deployed.
#[derive(Debug, Args)]
pub(crate) struct SourceArgs {
    /// The folder of the page; by default `wwwroot` of the sources
    #[arg(long, env = "CHATCTL_WWWROOT", value_name = "DIR")]
    pub(crate) wwwroot: Option<PathBuf>,

    /// Whether CloudFront serves the page. With `off` its bucket does, over HTTP: for an account that
    /// may not make distributions yet, or to be quick. Switching is an ordinary deploy
    #[arg(
        long,
        env = "CHATCTL_CDN",
        value_enum,
        default_value_t,
        value_name = "WHETHER"
    )]
    pub(crate) cdn: Cdn,

    /// A domain of one's own in front of it.
    #[command(flatten)]
    pub(crate) domain: DomainArgs,

    /// The days that messages are kept, and a room without members, up to 3650; 0 keeps them ten
    /// minutes, for clients that come back
    #[arg(
        long,
        env = "CHATCTL_HISTORY_DAYS",
        default_value_t = 7,
        value_parser = value_parser!(u16).range(0..=3650),
        value_name = "DAYS"
    )]
    pub(crate) history_days: u16,

    /// The messages a second that one connection may send, and four times as many at once, up to 1000; 0
    /// is no limit
    #[arg(
        long,
        env = "CHATCTL_MESSAGES_PER_SECOND",
        default_value_t = 5,
        value_parser = value_parser!(u16).range(0..=1000),
        value_name = "N"
    )]
    pub(crate) messages_per_second: u16,

    /// Whether the chat is protected: its stack cannot be deleted, its table can be had as it was at any
    /// moment of the last 35 days (so messages too, whatever `--history-days` says), and outlives the stack.
    /// By default as it is
    #[arg(long, env = "CHATCTL_PROTECT", value_enum, value_name = "WHETHER")]
    pub(crate) protect: Option<Protection>,

    /// Who is let in.
    #[command(flatten)]
    pub(crate) access: AccessArgs,

    /// Put this tag on the stack, and by that on what is in it; can be given several times, in the
    /// variable with commas
    #[arg(
        long,
        env = "CHATCTL_TAG",
        value_name = "KEY=VALUE",
        value_delimiter = ',',
        value_parser = tags::tag
    )]
    pub(crate) tag: Vec<Tag>,

    /// The processor that the functions run on
    #[arg(
        long,
        env = "CHATCTL_ARCH",
        value_enum,
        default_value_t,
        value_name = "ARCH"
    )]
    pub(crate) arch: Architecture,

    /// Where the sources are.
    #[command(flatten)]
    pub(crate) origin: OriginArgs,

    /// A `bootstrap` that was built elsewhere; by default it is built here, or the one that this program
    /// carries
    #[arg(long, env = "CHATCTL_BOOTSTRAP", value_name = "FILE")]
    pub(crate) bootstrap: Option<PathBuf>,

    /// How it is run.
    #[command(flatten)]
    pub(crate) operations: OperationsArgs,
}

/// Where the sources are.
#[derive(Debug, Args)]
pub(crate) struct OriginArgs {
    /// The folder of the sources; by default the checkout that the current folder is in, and else what
    /// this program carries or was built from
    #[arg(long, env = "CHATCTL_SOURCE", value_name = "DIR")]
    pub(crate) source: Option<PathBuf>,
}

/// A domain of one's own.
#[derive(Debug, Args)]
pub(crate) struct DomainArgs {
    /// The domain that page and socket answer at, such as chat.example.org; give it each time. The
    /// DNS record to make is printed. Without it they answer at CloudFront's name
    #[arg(long, env = "CHATCTL_DOMAIN", value_name = "NAME")]
    pub(crate) domain: Option<String>,

    /// The domain's certificate in ACM, in us-east-1 whatever the Region
    #[arg(long, env = "CHATCTL_CERTIFICATE_ARN", value_name = "ARN")]
    pub(crate) certificate_arn: Option<String>,
}

/// The arguments of `urls`.
#[derive(Debug, Args)]
pub(crate) struct UrlsArgs {
    /// Of which chat.
    #[command(flatten)]
    pub(crate) cloud: CloudArgs,
}

/// The arguments of `verify`.
#[derive(Debug, Args)]
pub(crate) struct VerifyArgs {
    /// Which chat, if it is not said by `--url`.
    #[command(flatten)]
    pub(crate) cloud: CloudArgs,

    /// The socket of a chat, wherever it is; then AWS is not asked
    #[arg(long, env = "CHATCTL_URL", value_name = "URL")]
    pub(crate) url: Option<String>,

    /// The page of that chat; without it no page is looked at
    #[arg(long, env = "CHATCTL_SITE", value_name = "URL", requires = "url")]
    pub(crate) site: Option<String>,

    /// How long each check may take, such as 10s; at most 10m
    #[arg(
        long,
        env = "CHATCTL_TIMEOUT",
        default_value = "30s",
        value_name = "DURATION"
    )]
    pub(crate) timeout: String,
}

/// The arguments of `destroy`.
#[derive(Debug, Args)]
pub(crate) struct DestroyArgs {
    /// Which chat.
    #[command(flatten)]
    pub(crate) cloud: CloudArgs,

    /// What CloudFormation does it as.
    #[command(flatten)]
    pub(crate) role: RoleArgs,

    /// Do not ask
    #[arg(long, env = "CHATCTL_YES", value_parser = switch())]
    pub(crate) yes: bool,

    /// Delete a protected chat all the same, but for its table with all messages
    #[arg(long, env = "CHATCTL_KEEP_TABLE", value_parser = switch())]
    pub(crate) keep_table: bool,

    /// Keep the bucket of packages, even if no chat is left that needs it
    #[arg(long, env = "CHATCTL_KEEP_ARTIFACTS", value_parser = switch())]
    pub(crate) keep_artifacts: bool,
}

/// The arguments of `dev`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a switch of the command line, and any of them goes with any other"
)]
pub(crate) struct DevArgs {
    /// Which stage the template is for.
    #[command(flatten)]
    pub(crate) stage: StageArgs,

    /// The port on 127.0.0.1; 0 takes a free one
    #[arg(
        long,
        env = "CHATCTL_PORT",
        default_value_t = 8765,
        value_parser = settings::port,
        value_name = "PORT"
    )]
    pub(crate) port: u16,

    /// A folder that keeps the table; without it everything is in memory
    #[arg(long, env = "CHATCTL_DATA", value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,

    /// The days that messages are kept, and a room without members, up to 3650; 0 keeps them ten
    /// minutes, for clients that come back
    #[arg(
        long,
        env = "CHATCTL_HISTORY_DAYS",
        default_value_t = 7,
        value_parser = value_parser!(u16).range(0..=3650),
        value_name = "DAYS"
    )]
    pub(crate) history_days: u16,

    /// The messages a second that one connection may send, and four times as many at once, up to 1000; 0
    /// is no limit
    #[arg(
        long,
        env = "CHATCTL_MESSAGES_PER_SECOND",
        default_value_t = 5,
        value_parser = value_parser!(u16).range(0..=1000),
        value_name = "N"
    )]
    pub(crate) messages_per_second: u16,
    /// Who is let in.
    #[command(flatten)]
    pub(crate) access: AccessArgs,

    /// Build the functions as they are packaged for Lambda: slower to build, faster to run
    #[arg(long, env = "CHATCTL_RELEASE", value_parser = switch())]
    pub(crate) release: bool,

    /// Build and swap the functions when their sources change, without closing a connection, and reload
    /// the page in browsers when it changes
    #[arg(long, env = "CHATCTL_WATCH", value_parser = switch())]
    pub(crate) watch: bool,

    /// Where the sources are.
    #[command(flatten)]
    pub(crate) origin: OriginArgs,

    /// Close connections that have been silent for this long, such as 10s; at most 10m, which is
    /// what AWS allows and the default
    #[arg(long, env = "CHATCTL_IDLE_TIMEOUT", value_name = "DURATION")]
    pub(crate) idle_timeout: Option<String>,

    /// Close connections that are this old, such as 1m; at most 2h, which is what AWS allows and the
    /// default
    #[arg(long, env = "CHATCTL_CONNECTION_LIFETIME", value_name = "DURATION")]
    pub(crate) connection_lifetime: Option<String>,

    /// Let this go wrong as it would in the cloud, such as gone=1% (all are listed below); can be
    /// given several times, in the variable with commas
    #[arg(long, env = "CHATCTL_FAULT", value_name = "FAULT=EXTENT")]
    pub(crate) fault: Vec<String>,

    /// Choose when faults strike: with the same number at the same moments; without one, at others
    /// each time
    #[arg(long, env = "CHATCTL_SEED", value_name = "NUMBER", requires = "fault")]
    pub(crate) seed: Option<u64>,

    /// Refuse invocations beyond this many at once, as Lambda does (10 in a new account, else 1000);
    /// without it they wait
    #[arg(long, env = "CHATCTL_ACCOUNT_CONCURRENCY", value_name = "NUMBER")]
    pub(crate) account_concurrency: Option<usize>,

    /// Show no line of an invocation that went well
    #[arg(long, env = "CHATCTL_QUIET", value_parser = switch())]
    pub(crate) quiet: bool,

    /// Show what Lambda reports of each invocation: duration, memory, cold start
    #[arg(long, env = "CHATCTL_REPORTS", value_parser = switch())]
    pub(crate) reports: bool,

    /// Print the URLs as one line of JSON
    #[arg(long, env = "CHATCTL_JSON", value_parser = switch())]
    pub(crate) json: bool,
}

/// The arguments of `plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// Connections that are open at the same time
    #[arg(long, env = "CHATCTL_CONNECTIONS", value_name = "NUMBER")]
    pub(crate) connections: u32,

    /// Members of a room; all rooms are taken to be alike
    #[arg(long, env = "CHATCTL_ROOM_SIZE", value_name = "NUMBER")]
    pub(crate) room_size: u32,

    /// Messages that are said in a second, in all rooms together, such as 0.5
    #[arg(
        long,
        env = "CHATCTL_RATE",
        allow_negative_numbers = true,
        value_name = "NUMBER"
    )]
    pub(crate) rate: f64,

    /// The AWS Region; by default that of the environment, or us-east-1
    #[arg(long, env = "CHATCTL_REGION", value_name = "REGION")]
    pub(crate) region: Option<String>,

    /// Print one JSON object, with all figures and their sources
    #[arg(long, env = "CHATCTL_JSON", value_parser = switch())]
    pub(crate) json: bool,
}

/// The arguments of `synth`.
#[derive(Debug, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each prints something else, and clap refuses two at once"
)]
pub(crate) struct SynthArgs {
    /// Which stage the template is for.
    #[command(flatten)]
    pub(crate) stage: StageArgs,

    /// How to write the template: yaml, for people, or json, for programs
    #[arg(
        long,
        env = "CHATCTL_FORMAT",
        value_enum,
        default_value_t,
        hide_possible_values = true,
        value_name = "FORMAT"
    )]
    pub(crate) format: TemplateFormat,

    /// Whether the table can be had as it was at any moment, and outlives the stack
    #[arg(
        long,
        env = "CHATCTL_PROTECT",
        value_enum,
        default_value_t,
        value_name = "WHETHER"
    )]
    pub(crate) protect: Protection,

    /// Who is let in.
    #[command(flatten)]
    pub(crate) access: AccessArgs,

    /// Where the sources are.
    #[command(flatten)]
    pub(crate) origin: OriginArgs,

    /// Print instead the least IAM policy that whoever deploys the stage needs
    #[arg(long, env = "CHATCTL_DEPLOYER_POLICY", value_parser = switch())]
    pub(crate) deployer_policy: bool,

    /// With `--deployer-policy`: for whoever hands CloudFormation this role, which then has to be
    /// allowed what CloudFormation does
    #[arg(long, env = "CHATCTL_ROLE_ARN", value_name = "ARN")]
    pub(crate) role_arn: Option<String>,

    /// Print instead the least IAM policy of such a role
    #[arg(
        long,
        env = "CHATCTL_SERVICE_ROLE_POLICY",
        conflicts_with = "deployer_policy",
        value_parser = switch()
    )]
    pub(crate) service_role_policy: bool,

    /// Print instead the least IAM policy of who may look at the stage, and change nothing
    #[arg(
        long,
        env = "CHATCTL_OPERATOR_POLICY",
        conflicts_with_all = ["deployer_policy", "service_role_policy"],
        value_parser = switch()
    )]
    pub(crate) operator_policy: bool,

    /// Print instead the template of the role that API Gateway needs for `--access-logs on`: once for
    /// an account and Region
    #[arg(
        long,
        env = "CHATCTL_ACCESS_LOGS_ROLE",
        conflicts_with_all = ["deployer_policy", "service_role_policy"],
        value_parser = switch()
    )]
    pub(crate) access_logs_role: bool,
}

/// How a template is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum TemplateFormat {
    /// For people: functions in their short form, `!Ref`
    #[default]
    Yaml,
    /// For programs: functions in their long form, `{"Ref": …}`
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_fits_a_terminal_of_80_columns() {
        for mut command in Cli::command().term_width(80).get_subcommands().cloned() {
            let before = command.render_long_help().to_string();
            let after = command.get_after_help().map(ToString::to_string);
            for line in after.iter().flat_map(|text| text.lines()) {
                assert!(line.chars().count() <= 80, "{line}");
                assert!(before.contains(line), "wrapped: {line}");
            }
        }
    }

    #[test]
    fn a_heading_is_above_its_own_flags_alone() {
        let names = |command: clap::Command| -> Vec<_> {
            command
                .get_arguments()
                .map(|it| it.get_id().clone())
                .collect()
        };
        let none = || clap::Command::new("none");
        let access = names(AccessArgs::augment_args(none()));
        let operations = names(OperationsArgs::augment_args(none()));
        assert!(access.len() > 3 && operations.len() > 9);
        for command in Cli::command().get_subcommands() {
            for flag in command.get_arguments() {
                let id = flag.get_id();
                let expected = match id {
                    _ if access.contains(id) => Some("Who is let in"),
                    _ if operations.contains(id) => Some("Running it"),
                    _ => None,
                };
                let name = command.get_name();
                assert_eq!(flag.get_help_heading(), expected, "{name} --{id}");
            }
        }
    }

    #[test]
    fn every_flag_has_its_variable() {
        let cli = Cli::command();
        let commands = cli.get_subcommands().chain([&cli]);
        let flags = commands.flat_map(clap::Command::get_arguments);
        // What has a place of its own on the command line has no other.
        let flags = flags.filter(|it| !it.is_positional());
        let mut count = 0;
        for flag in flags.filter(|it| !["help", "version"].contains(&it.get_id().as_str())) {
            let long = flag.get_long().unwrap();
            let variable = format!("CHATCTL_{}", long.to_uppercase().replace('-', "_"));
            let own = flag.get_env().and_then(std::ffi::OsStr::to_str);
            assert_eq!(own, Some(variable.as_str()), "--{long}");
            let document = include_str!("../../docs/options.md");
            assert!(document.contains(&format!("`{variable}`")), "{variable}");
            // clap's own takes nothing but `true` and `false`.
            let parser = format!("{:?}", flag.get_value_parser());
            assert_ne!(parser, "ValueParser::bool", "{variable}: take `switch`");
            count += 1;
        }
        assert!(count > 20, "{count}");
    }

    #[test]
    fn every_command_is_shown_in_the_documentation_within_80_columns() {
        let shown = include_str!("../../docs/commands.md");
        for name in Cli::commands() {
            assert!(shown.contains(&format!("$ chatctl {name}")), "{name}");
        }
        let mut is_output = false;
        for line in shown.lines() {
            if line.starts_with("```") {
                is_output = !is_output;
            }
            assert!(!is_output || line.chars().count() <= 80, "{line}");
        }
        assert!(!is_output);
    }

    #[test]
    fn every_command_has_examples() {
        for command in Cli::command().get_subcommands() {
            let examples = command.get_after_help().map(ToString::to_string);
            assert!(
                examples.is_some_and(|text| text.contains("chatctl ")),
                "{}",
                command.get_name()
            );
        }
    }
}
