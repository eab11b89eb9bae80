//! `chatctl logs`: what the functions log, all of them by time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::{CHAT_OWNER, no_stack, until_interrupted};
use crate::cloud::aws::Aws;
use crate::cloud::{Logs, StackResource, Stacks};
use crate::error::Error;
use crate::output::Output;
use crate::settings::{Lines, LogsSettings};
use crate::stack;
use crate::telemetry::{Function, Going, Level, Line, Source, Tail, TelemetryError, date};

/// How often whoever follows asks for more. AWS takes five such requests a second, of a whole account.
const POLL: Duration = Duration::from_secs(2);

/// Shows what the functions log, until there is no more, or whoever follows ends it.
///
/// # Errors
/// [`Error`], if there is no such chat, or AWS does not tell.
pub(crate) fn run(settings: &LogsSettings, output: &mut Output) -> Result<(), Error> {
    until_interrupted(async {
        let aws = Aws::connect(&settings.account).await?;
        show(&aws, &aws.region, settings, output).await
    })
}

async fn show(
    cloud: &(impl Stacks + Logs),
    region: &str,
    settings: &LogsSettings,
    output: &mut Output,
) -> Result<(), Error> {
    let sources = sources(cloud, region, settings).await?;
    let mut tail = Tail::new(sources, start_ms(settings.since));
    let mut shown = Shown::default();
    loop {
        let swept = tail.sweep(cloud, |lines| {
            let text = shown.text(&lines, settings);
            Ok(output.stream(&text)?)
        });
        match swept.await {
            Ok(Going::Ends) => return Ok(()),
            Ok(Going::On) if !settings.follow => break,
            Ok(Going::On) => tail.recovers(),
            Err(error) if settings.follow && tail.bears(&error) => {
                output.note(&format!("note: {error}; trying again"));
            }
            Err(error) => return Err(error.into()),
        }
        tokio::time::sleep(POLL).await;
    }
    if shown.count == 0 {
        let since = humantime::format_duration(settings.since);
        output.note(&format!("nothing{} in the last {since}", what(settings)));
    }
    Ok(())
}

/// The logs of the functions that are meant.
async fn sources(
    cloud: &impl Stacks,
    region: &str,
    settings: &LogsSettings,
) -> Result<Vec<Source>, Error> {
    let stage = &settings.stage;
    let name = stage.stack_name();
    let found = cloud.find(&name).await?.filter(|it| !it.status.is_gone());
    let stack = found.ok_or_else(|| no_stack(stage, region))?;
    stack::check_owner(&stack, &name, CHAT_OWNER)?;
    let resources = cloud.resources(&stack.id).await?;
    let group = |logical: &str| {
        let is_meant = |it: &&StackResource| it.resource == logical;
        resources.iter().find(is_meant)?.physical_id.clone()
    };
    // Where nobody says which, those that are there: not every chat has an authorizer.
    let more = [Function::Authorize];
    let is_there = |it: &&Function| group(it.log_group()).is_some();
    let more = more
        .iter()
        .filter(|it| settings.functions == Function::ALL && is_there(it));
    let sources = settings.functions.iter().chain(more).map(|&function| {
        let group = group(function.log_group()).ok_or_else(|| TelemetryError::NoLog {
            stack: name.clone(),
            function: function.name(),
        })?;
        Ok(Source { function, group })
    });
    sources.collect()
}

/// What was shown so far.
#[derive(Debug, Default)]
struct Shown {
    count: u64,
    /// The day of the last line.
    day: Option<String>,
}

impl Shown {
    fn text(&mut self, lines: &[Line], settings: &LogsSettings) -> String {
        let mut text = String::new();
        for line in lines.iter().filter(|it| is_asked_for(it, settings)) {
            self.count += 1;
            if settings.json {
                text += &line.json();
                continue;
            }
            let day = date(line.at_ms());
            if self.day.as_ref() != Some(&day) {
                text += &day;
                text += ", UTC\n";
                self.day = Some(day);
            }
            text += &line.text();
        }
        text
    }
}

fn is_asked_for(line: &Line, settings: &LogsSettings) -> bool {
    match settings.which {
        Lines::All => true,
        Lines::Told => !line.is_bookkeeping(),
        Lines::Errors => line.level() == Level::Error,
    }
}

fn what(settings: &LogsSettings) -> &'static str {
    match settings.which {
        Lines::Errors => " went wrong",
        Lines::All | Lines::Told => "",
    }
}

fn start_ms(since: Duration) -> i64 {
    let start = SystemTime::now().checked_sub(since).unwrap_or(UNIX_EPOCH);
    let start = start.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(start.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};
    use crate::cloud::LogEvent;

    const DAY_MS: i64 = 86_400_000;

    fn lines() -> Vec<Line> {
        let event = |(at_ms, message): (i64, &str)| {
            let event = LogEvent {
                id: at_ms.to_string(),
                at_ms,
                message: message.to_owned(),
            };
            Line::new(Function::Action, &event)
        };
        [
            (1, "START RequestId: 1"),
            (2, r#"{"level":"info","event":"ping","outcome":"ok"}"#),
            (3, "REPORT RequestId: 1\tStatus: timeout"),
            (
                DAY_MS,
                r#"{"level":"error","event":"join","outcome":"failed"}"#,
            ),
        ]
        .map(event)
        .into()
    }

    fn shown(arguments: &[&str]) -> (Vec<String>, u64) {
        let arguments = [&["chatctl", "logs"], arguments].concat();
        let Command::Logs(args) = Cli::try_parse_from(arguments).unwrap().command else {
            panic!("these are logs");
        };
        let settings = LogsSettings::new(&args).unwrap();
        let mut shown = Shown::default();
        let text = shown.text(&lines(), &settings);
        let text = anstream::adapter::strip_str(&text).to_string();
        (text.lines().map(str::to_owned).collect(), shown.count)
    }

    #[test]
    fn each_day_begins_with_its_date_and_bookkeeping_is_left_out() {
        let (lines, count) = shown(&[]);
        assert_eq!(lines[0], "1970-01-01, UTC");
        assert!(lines[1].contains("ping"), "{lines:?}");
        assert!(lines[2].contains("Status: timeout"), "{lines:?}");
        assert_eq!(lines[3], "1970-01-02, UTC");
        assert!(lines[4].contains("failed"), "{lines:?}");
        assert_eq!((lines.len(), count), (5, 3));
    }

    #[test]
    fn only_what_is_asked_for_is_shown() {
        for (arguments, count) in [
            (&["--all"][..], 4),
            (&["--errors"], 2),
            (&["--errors", "--all"], 2),
            (&["--json"], 3),
        ] {
            assert_eq!(shown(arguments).1, count, "{arguments:?}");
        }
        let (lines, _) = shown(&["--json"]);
        assert!(
            lines.iter().all(|it| it.starts_with("{\"time\":\"19")),
            "{lines:?}"
        );
    }
}
