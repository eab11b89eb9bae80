//! How a deployed chat is watched and bounded, as flags. Each is a parameter of the template.

use clap::builder::TypedValueParser;
use clap::{ArgAction, Args, value_parser};

use crate::settings;

/// Of each flag by itself: one of the whole would go on to the flags behind it.
const HEADING: &str = "Running it";

/// How a chat is run.
#[derive(Debug, Clone, Args)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is on or off by itself, and any of them goes with any other"
)]
pub(crate) struct OperationsArgs {
    /// Memory of each function, which gets processor time in proportion to it
    #[arg(
        long,
        env = "CHATCTL_MEMORY",
        default_value_t = 256,
        value_parser = value_parser!(u16).range(128..=10_240),
        value_name = "MB",
        help_heading = HEADING
    )]
    pub(crate) memory: u16,

    /// Frames and new connections a second that are let through; who is beyond is told so
    #[arg(
        long,
        env = "CHATCTL_THROTTLE_RATE",
        default_value_t = 1000,
        value_parser = value_parser!(u32).range(1..=100_000),
        value_name = "NUMBER",
        help_heading = HEADING
    )]
    pub(crate) throttle_rate: u32,

    /// Frames and new connections at once that are let through
    #[arg(
        long,
        env = "CHATCTL_THROTTLE_BURST",
        default_value_t = 500,
        value_parser = value_parser!(u32).range(1..=100_000),
        value_name = "NUMBER",
        help_heading = HEADING
    )]
    pub(crate) throttle_burst: u32,

    /// How long logs are kept: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096,
    /// 1827, 2192, 2557, 2922, 3288 or 3653 days
    #[arg(
        long,
        env = "CHATCTL_LOG_RETENTION",
        default_value_t = 14,
        value_parser = settings::log_retention,
        value_name = "DAYS",
        help_heading = HEADING
    )]
    pub(crate) log_retention: u16,

    /// Whether API Gateway writes a line for each event of a connection, which the account needs a
    /// role for: see `chatctl synth --access-logs-role`
    #[arg(long, env = "CHATCTL_ACCESS_LOGS", default_value = "off", value_parser = on_off(), action = ArgAction::Set, value_name = "WHETHER", help_heading = HEADING)]
    pub(crate) access_logs: bool,

    /// Whether the functions' log lines are metrics of CloudWatch as well: nine, of which an account
    /// has ten for nothing and pays about $0.30 a month for each other one
    #[arg(long, env = "CHATCTL_METRICS", default_value = "on", value_parser = on_off(), action = ArgAction::Set, value_name = "WHETHER", help_heading = HEADING)]
    pub(crate) metrics: bool,

    /// Whether there is a dashboard, of which an account has three for nothing
    #[arg(long, env = "CHATCTL_DASHBOARD", default_value = "on", value_parser = on_off(), action = ArgAction::Set, value_name = "WHETHER", help_heading = HEADING)]
    pub(crate) dashboard: bool,

    /// Whether there are alarms; they are ten, as many as an account has for nothing, and two more where people sign in
    #[arg(long, env = "CHATCTL_ALARMS", default_value = "on", value_parser = on_off(), action = ArgAction::Set, value_name = "WHETHER", help_heading = HEADING)]
    pub(crate) alarms: bool,

    /// Who is told of alarms by mail, after confirming a mail of AWS's
    #[arg(
        long,
        env = "CHATCTL_ALARM_EMAIL",
        conflicts_with = "alarm_topic",
        value_name = "ADDRESS",
        help_heading = HEADING
    )]
    pub(crate) alarm_email: Option<String>,

    /// An SNS topic that is told of alarms, instead
    #[arg(long, env = "CHATCTL_ALARM_TOPIC", value_name = "ARN", help_heading = HEADING)]
    pub(crate) alarm_topic: Option<String>,
}

/// The words of the template's parameters.
fn on_off() -> impl TypedValueParser<Value = bool> {
    clap::builder::PossibleValuesParser::new(["on", "off"]).map(|value| value == "on")
}
