//! The settings of `dev`.

use std::path::PathBuf;
use std::time::Duration;

use local::{Faults, Limits};

use super::{Access, SettingsError, Where, origin, template_settings};
use crate::build::{Origin, Profile};
use crate::cli::DevArgs;
use crate::template::TemplateSettings;

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
    use super::super::tests::dev;
    use super::*;

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
}
