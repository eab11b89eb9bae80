//! How a deployed chat is watched and bounded.

use super::SettingsError;
use crate::cli::OperationsArgs;

/// Days that CloudWatch Logs can keep logs for.
/// <https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html>
const RETENTIONS: [u16; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];

/// Values of the template's parameters, of which each has its flag.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is on or off by itself, and any of them goes with any other"
)]
pub(crate) struct Operations {
    memory_mb: u16,
    throttle_rate: u32,
    throttle_burst: u32,
    log_retention_days: u16,
    access_logs: bool,
    metrics: bool,
    dashboard: bool,
    alarms: bool,
    /// Who has to confirm a mail before any alarm arrives.
    pub(crate) alarm_email: Option<String>,
    alarm_topic: Option<String>,
}

impl Operations {
    /// # Errors
    /// [`SettingsError`], if alarms could not go where they are to go.
    pub(crate) fn new(args: &OperationsArgs) -> Result<Self, SettingsError> {
        // A variable that is set to nothing is not set.
        let given = |value: &Option<String>| value.clone().filter(|it| !it.is_empty());
        let (alarm_email, alarm_topic) = (given(&args.alarm_email), given(&args.alarm_topic));
        if let Some(address) = alarm_email.as_ref().filter(|it| !is_address(it)) {
            return Err(SettingsError::AlarmEmail(address.clone()));
        }
        if let Some(arn) = alarm_topic.as_ref().filter(|it| !is_topic(it)) {
            return Err(SettingsError::AlarmTopic(arn.clone()));
        }
        if !args.alarms && (alarm_email.is_some() || alarm_topic.is_some()) {
            return Err(SettingsError::NoAlarms);
        }
        Ok(Self {
            memory_mb: args.memory,
            throttle_rate: args.throttle_rate,
            throttle_burst: args.throttle_burst,
            log_retention_days: args.log_retention,
            access_logs: args.access_logs,
            metrics: args.metrics,
            dashboard: args.dashboard,
            alarms: args.alarms,
            alarm_email,
            alarm_topic,
        })
    }

    /// The template's parameters.
    pub(crate) fn parameters(&self) -> [(&'static str, String); 10] {
        let word = |is_on| if is_on { "on" } else { "off" }.to_owned();
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        [
            ("Memory", self.memory_mb.to_string()),
            ("ThrottleRate", self.throttle_rate.to_string()),
            ("ThrottleBurst", self.throttle_burst.to_string()),
            ("LogRetention", self.log_retention_days.to_string()),
            ("AccessLogs", word(self.access_logs)),
            ("Metrics", word(self.metrics)),
            ("Dashboard", word(self.dashboard)),
            ("Alarms", word(self.alarms)),
            ("AlarmEmail", text(&self.alarm_email)),
            ("AlarmTopicArn", text(&self.alarm_topic)),
        ]
    }
}

/// Reads a number of days that logs can be kept for.
///
/// # Errors
/// The days that can be.
pub(crate) fn log_retention(text: &str) -> Result<u16, String> {
    let days = text.parse().ok().filter(|days| RETENTIONS.contains(days));
    days.ok_or_else(|| {
        let all: Vec<_> = RETENTIONS.iter().map(ToString::to_string).collect();
        format!("CloudWatch keeps logs for {} days", all.join(", "))
    })
}

/// As the template's pattern has it. Whether mail arrives there AWS finds out.
fn is_address(text: &str) -> bool {
    let parts = text.split_once('@');
    parts.is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'))
        && !text.contains(char::is_whitespace)
}

/// `arn:<partition>:sns:<Region>:<account>:<name>`, as the template's pattern has it.
fn is_topic(arn: &str) -> bool {
    let is_name = |it: &str, more: &[char]| {
        !it.is_empty()
            && it
                .chars()
                .all(|it| it.is_ascii_alphanumeric() || more.contains(&it))
    };
    let parts: Vec<_> = arn.split(':').collect();
    let [first, partition, service, region, account, name] = parts.as_slice() else {
        return false;
    };
    (*first, *service) == ("arn", "sns")
        && is_name(partition, &['-'])
        && is_name(region, &['-'])
        && account.len() == 12
        && account.chars().all(|it| it.is_ascii_digit())
        && is_name(name, &['-', '_'])
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::Parser;
    use serde_json::{Value, json};

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::template::{TemplateSettings, synthesize};

    const TOPIC: &str = "arn:aws:sns:eu-central-1:123456789012:on-call";

    fn parsed(flags: &[&str]) -> Result<OperationsArgs, clap::Error> {
        let arguments = [&["chatctl", "deploy"], flags].concat();
        match Cli::try_parse_from(arguments)?.command {
            Command::Deploy(args) => Ok(args.source.operations),
            _ => panic!("another command"),
        }
    }

    fn parameters(flags: &[&str]) -> BTreeMap<&'static str, String> {
        let operations = Operations::new(&parsed(flags).unwrap()).unwrap();
        operations.parameters().into()
    }

    fn declared() -> Value {
        let stage = "dev".parse().unwrap();
        let document = synthesize(&TemplateSettings::embedded(stage)).unwrap();
        document.as_value()["Parameters"].clone()
    }

    #[test]
    fn without_flags_each_value_is_the_templates_own_default() {
        for (name, value) in parameters(&[]) {
            let default = match &declared()[name]["Default"] {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            assert_eq!(value, default, "{name}");
        }
    }

    #[test]
    fn each_flag_reaches_its_parameter() {
        for (flag, value, parameter) in [
            ("--memory", "512", "Memory"),
            ("--throttle-rate", "2000", "ThrottleRate"),
            ("--throttle-burst", "900", "ThrottleBurst"),
            ("--log-retention", "30", "LogRetention"),
            ("--access-logs", "on", "AccessLogs"),
            ("--metrics", "off", "Metrics"),
            ("--dashboard", "off", "Dashboard"),
            ("--alarms", "off", "Alarms"),
            ("--alarm-email", "me@example.org", "AlarmEmail"),
            ("--alarm-topic", TOPIC, "AlarmTopicArn"),
        ] {
            let (plain, given) = (parameters(&[]), parameters(&[flag, value]));
            assert_eq!(given[parameter], value, "{flag}");
            let changed = given.iter().filter(|(name, it)| plain[*name] != **it);
            assert_eq!(changed.count(), 1, "{flag}");
        }
    }

    #[test]
    fn the_templates_bounds_are_those_of_the_flags() {
        let declared = declared();
        assert_eq!(declared["LogRetention"]["AllowedValues"], json!(RETENTIONS));
        for (parameter, flag, bounds) in [
            ("Memory", "--memory", [128_u32, 10_240]),
            ("ThrottleRate", "--throttle-rate", [1, 100_000]),
            ("ThrottleBurst", "--throttle-burst", [1, 100_000]),
        ] {
            let [least, most] = bounds;
            assert_eq!(declared[parameter]["MinValue"], least);
            assert_eq!(declared[parameter]["MaxValue"], most);
            for (value, is_good) in [
                (least - 1, false),
                (least, true),
                (most, true),
                (most + 1, false),
            ] {
                let parsed = parsed(&[flag, &value.to_string()]);
                assert_eq!(parsed.is_ok(), is_good, "{flag} {value}");
            }
        }
    }

    #[test]
    fn days_that_cloudwatch_does_not_know_are_refused_with_those_it_knows() {
        assert_eq!(log_retention("3653"), Ok(3653));
        for wrong in ["0", "2", "15", "-1", "week", ""] {
            let refused = log_retention(wrong).unwrap_err();
            assert!(refused.contains(" 7, 14, 30, "), "{refused}");
        }
    }

    #[test]
    fn alarms_that_could_not_arrive_are_refused() {
        let refused = |flags: &[&str]| Operations::new(&parsed(flags).unwrap()).unwrap_err();
        for address in [
            "me",
            "@example.org",
            "me@",
            "me@here@there",
            "m e@example.org",
        ] {
            let expected = SettingsError::AlarmEmail(address.to_owned());
            assert_eq!(refused(&["--alarm-email", address]), expected);
        }
        for arn in [
            "on-call",
            "arn:aws:sqs:eu-central-1:123456789012:on-call",
            "arn:aws:sns:eu-central-1:1234:on-call",
            "arn:aws:sns:eu-central-1:123456789012:",
            "arn:aws:sns:eu-central-1:123456789012:on-call:subscription",
        ] {
            let expected = SettingsError::AlarmTopic(arn.to_owned());
            assert_eq!(refused(&["--alarm-topic", arn]), expected);
        }
        let pointless = ["--alarms", "off", "--alarm-topic", TOPIC];
        assert_eq!(refused(&pointless), SettingsError::NoAlarms);
        let both = ["--alarm-email", "me@example.org", "--alarm-topic", TOPIC];
        parsed(&both).expect_err("one of the two");
        let nothing = parameters(&["--alarm-email", ""]);
        assert_eq!(nothing["AlarmEmail"], "");
    }
}
