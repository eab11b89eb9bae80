//! A line of a function's log: what it says, and how it is shown. Pure.
//!
//! The functions write one JSON object a line for each invocation, and Lambda writes lines of its own
//! around it. Whatever else is written, a crash's last words above all, is text.

use anstyle::{AnsiColor, Style};
use clap::ValueEnum;
use serde_json::{Map, Value, json};

use super::words::{time_of_day, timestamp};
use crate::cloud::LogEvent;

const DIM: Style = Style::new().dimmed();
const GOOD: Style = AnsiColor::Green.on_default();
const WARNING: Style = AnsiColor::Yellow.on_default();
const BAD: Style = AnsiColor::Red.on_default().bold();

/// How Lambda's own lines begin. <https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html>
const PLATFORM: [&str; 8] = [
    "START RequestId:",
    "END RequestId:",
    "REPORT RequestId:",
    "INIT_START ",
    "INIT_REPORT ",
    "RESTORE_START ",
    "EXTENSION\t",
    "TELEMETRY\t",
];

/// What of a text, in lower case, tells that something went wrong.
const WORDS_OF_FAILURE: [&str; 6] = [
    "error",
    "panicked",
    "task timed out",
    "fatal",
    "runtime exited",
    "signal:",
];

/// The digits that a room is known by.
const ROOM: usize = 4;

/// Counts of a record that are shown where they are not nothing, each with its word: what became of the
/// posts to others.
pub(crate) const COUNTS: [(&str, &str); 6] = [
    ("deliveries", "delivered"),
    ("gone", "gone"),
    ("throttled", "throttled"),
    ("retries", "tried again"),
    ("unreached", "given up"),
    ("handed", "left to others"),
];

/// One of the chat's functions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub(crate) enum Function {
    /// Who comes
    Connect,
    /// Who goes
    Disconnect,
    /// What is said
    Action,
    /// Whose token it is, where people sign in
    Authorize,
}

impl Function {
    /// Those that every chat has.
    pub(crate) const ALL: [Self; 3] = [Self::Connect, Self::Disconnect, Self::Action];

    /// Its name in the logs and on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Disconnect => "disconnect",
            Self::Action => "action",
            Self::Authorize => "authorize",
        }
    }

    /// What its log group is called in the template.
    pub(crate) fn log_group(self) -> &'static str {
        match self {
            Self::Connect => "ConnectLogGroup",
            Self::Disconnect => "DisconnectLogGroup",
            Self::Action => "ActionLogGroup",
            Self::Authorize => "AuthorizeLogGroup",
        }
    }
}

/// How bad what a line tells is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    /// All is well.
    Info,
    /// A client is at fault, or it passed.
    Warning,
    /// It is not.
    Error,
}

impl Level {
    /// By the word that a function has for it.
    pub(crate) fn of(word: Option<&str>) -> Self {
        match word {
            Some("error") => Self::Error,
            Some("warn") => Self::Warning,
            _ => Self::Info,
        }
    }

    /// How what came of an invocation looks.
    pub(crate) fn style(self, outcome: &str) -> Style {
        if outcome == "ok" && self == Self::Info {
            GOOD
        } else {
            style_of(self)
        }
    }
}

/// A line of a function's log.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    at_ms: i64,
    function: Function,
    content: Content,
}

#[derive(Debug, Clone, PartialEq)]
enum Content {
    /// Of the functions' own.
    Record(Map<String, Value>),
    /// Of Lambda's.
    Platform(String),
    /// Of anybody's.
    Text(String),
}

impl Line {
    /// Reads an event.
    pub(crate) fn new(function: Function, event: &LogEvent) -> Self {
        let text = event.message.trim_end();
        let content = match serde_json::from_str(text) {
            Ok(Value::Object(mut record)) => {
                // What CloudWatch makes metrics of, and nobody reads.
                record.remove("_aws");
                Content::Record(record)
            }
            _ if PLATFORM.iter().any(|it| text.starts_with(it)) => {
                Content::Platform(printable(text))
            }
            _ => Content::Text(printable(text)),
        };
        Self {
            at_ms: event.at_ms,
            function,
            content,
        }
    }

    /// When it was written, in milliseconds since 1970.
    pub(crate) fn at_ms(&self) -> i64 {
        self.at_ms
    }

    /// How bad it is.
    pub(crate) fn level(&self) -> Level {
        match &self.content {
            Content::Record(record) => Level::of(text_of(record, "level")),
            // `Status: success` is no news.
            Content::Platform(text)
                if ["Status: error", "Status: timeout"]
                    .iter()
                    .any(|it| text.contains(it)) =>
            {
                Level::Error
            }
            Content::Platform(_) => Level::Info,
            Content::Text(text) => {
                let text = text.to_lowercase();
                if WORDS_OF_FAILURE.iter().any(|it| text.contains(it)) {
                    Level::Error
                } else {
                    Level::Info
                }
            }
        }
    }

    /// Whether it only says that an invocation began, ended and was billed.
    pub(crate) fn is_bookkeeping(&self) -> bool {
        matches!(self.content, Content::Platform(_)) && self.level() == Level::Info
    }

    /// For people, with colours, each line with its end.
    pub(crate) fn text(&self) -> String {
        let time = time_of_day(self.at_ms);
        let function = self.function.name();
        let style = style_of(self.level());
        let head = format!("{DIM}{time}{DIM:#}  {function:<10}");
        match &self.content {
            Content::Record(record) => format!("{head}  {}", row(record, self.level())),
            Content::Platform(text) => {
                format!(
                    "{head}  {}\n",
                    styled(&text.replace('\t', "  "), style, DIM)
                )
            }
            Content::Text(text) => format!("{head}  {style}{text}{style:#}\n"),
        }
    }

    /// For programs, a line with its end: what the function wrote, with the time before it.
    pub(crate) fn json(&self) -> String {
        let mut line = json!({"time": timestamp(self.at_ms), "function": self.function.name()});
        match &self.content {
            Content::Record(record) => {
                for (key, value) in record {
                    // CloudWatch's own time is the one that lines are sorted by.
                    if key != "time" {
                        line[key] = value.clone();
                    }
                }
            }
            Content::Platform(text) | Content::Text(text) => line["text"] = text.clone().into(),
        }
        format!("{line}\n")
    }
}

/// What a record says, and below it what went wrong.
fn row(record: &Map<String, Value>, level: Level) -> String {
    let Some(event) = text_of(record, "event") else {
        // Written outside of an invocation, or by a version that this one does not know.
        return format!(
            "{}\n",
            styled(&loose(record), style_of(level), Style::new())
        );
    };
    let outcome = text_of(record, "outcome").unwrap_or("-");
    let style = level.style(outcome);
    let took = number(record, "durationMs").map_or(String::new(), |it| format!("{it:.0} ms"));
    let event = printable(event);
    let outcome = printable(outcome);
    let mut parts = vec![format!(
        "{event:<10}  {style}{outcome:<9}{style:#} {took:>8}"
    )];
    let room = text_of(record, "room");
    parts.extend(room.map(|it| format!("{:<ROOM$}", printable(it))));
    parts.extend(COUNTS.iter().filter_map(|(key, word)| {
        let count = number(record, key).filter(|it| *it > 0.0)?;
        Some(format!("{count:.0} {word}"))
    }));
    let mut lines = vec![parts.join("  ").trim_end().to_owned()];
    let indent = " ".repeat(26);
    let error = text_of(record, "error");
    lines.extend(error.map(|it| format!("{indent}{}", printable(it))));
    let request = text_of(record, "requestId").filter(|_| level == Level::Error);
    lines.extend(request.map(|it| format!("{indent}{DIM}request {}{DIM:#}", printable(it))));
    lines.join("\n") + "\n"
}

fn loose(record: &Map<String, Value>) -> String {
    let fields = record
        .iter()
        .filter(|(key, _)| *key != "level" && *key != "function");
    let fields = fields.map(|(key, value)| match value {
        Value::String(text) => format!("{key}: {text}"),
        other => format!("{key}: {other}"),
    });
    printable(&fields.collect::<Vec<_>>().join(", "))
}

fn style_of(level: Level) -> Style {
    match level {
        Level::Info => Style::new(),
        Level::Warning => WARNING,
        Level::Error => BAD,
    }
}

fn styled(text: &str, style: Style, otherwise: Style) -> String {
    let style = if style == Style::new() {
        otherwise
    } else {
        style
    };
    format!("{style}{text}{style:#}")
}

fn text_of<'a>(record: &'a Map<String, Value>, key: &str) -> Option<&'a str> {
    record.get(key)?.as_str()
}

fn number(record: &Map<String, Value>, key: &str) -> Option<f64> {
    record.get(key)?.as_f64()
}

/// A log can hold what would command a terminal.
fn printable(text: &str) -> String {
    let shown = text.chars().map(|it| match it {
        '\t' => it,
        _ if it.is_control() => ' ',
        _ => it,
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_MS: i64 = 1_795_316_460_123;

    fn line(message: &str) -> Line {
        let event = LogEvent {
            id: "1".to_owned(),
            at_ms: AT_MS,
            message: message.to_owned(),
        };
        Line::new(Function::Action, &event)
    }

    fn plain(message: &str) -> String {
        anstream::adapter::strip_str(&line(message).text()).to_string()
    }

    #[test]
    fn an_invocation_is_a_row_of_80_columns_at_most() {
        let record = json!({
            "level": "info", "function": "action", "requestId": "r", "connectionId": "c",
            "event": "message", "outcome": "ok", "room": "1a2b", "durationMs": 1234.56,
            "broadcastMs": 3, "deliveries": 9, "gone": 0, "throttled": 0, "retries": 0,
            "_aws": {"CloudWatchMetrics": []}, "Stack": "chat-dev", "Messages": 1,
        });
        let row = plain(&format!("{record}\n"));
        assert_eq!(
            row,
            "03:01:00.123  action      message     ok         1235 ms  1a2b  9 delivered\n"
        );
        assert!(row.chars().count() <= 81);
    }

    #[test]
    fn what_went_wrong_is_below_its_row_with_the_request_to_look_for() {
        let record = json!({
            "level": "error", "requestId": "r-1", "event": "join", "outcome": "failed",
            "durationMs": 2, "deliveries": 3, "gone": 1, "throttled": 2, "retries": 4, "unreached": 1,
            "error": "the table \u{1b}[31mis away",
        });
        assert_eq!(
            plain(&record.to_string()),
            "03:01:00.123  action      join        failed        2 ms  3 delivered  1 gone  2 throttled  4 tried again  \
             1 given up\n\
             \x20                         the table  [31mis away\n\
             \x20                         request r-1\n"
        );
        assert_eq!(line(&record.to_string()).level(), Level::Error);
    }

    #[test]
    fn lambdas_own_lines_are_bookkeeping_unless_they_tell_of_a_failure() {
        for (message, is_bookkeeping, level) in [
            ("START RequestId: 1 Version: $LATEST", true, Level::Info),
            ("END RequestId: 1", true, Level::Info),
            ("REPORT RequestId: 1\tDuration: 1 ms", true, Level::Info),
            ("REPORT RequestId: 1\tStatus: timeout", false, Level::Error),
            (
                "INIT_REPORT Init Duration: 3 ms\tPhase: invoke\tStatus: error\tError Type: Runtime.Unknown",
                false,
                Level::Error,
            ),
            ("INIT_START Runtime Version: al2023", true, Level::Info),
            (
                "2026-11-22T03:01:00.123Z 1 Task timed out after 29.00 seconds",
                false,
                Level::Error,
            ),
            (
                "thread 'main' panicked at src/main.rs:1:1:",
                false,
                Level::Error,
            ),
            ("RequestId: 1 Error: Runtime exited", false, Level::Error),
            ("ready", false, Level::Info),
            (r#"{"level":"warn","event":"join"}"#, false, Level::Warning),
            (r#"{"level":"error"}"#, false, Level::Error),
            // No object is none of ours.
            ("42", false, Level::Info),
            ("{broken", false, Level::Info),
        ] {
            let line = line(message);
            assert_eq!(line.is_bookkeeping(), is_bookkeeping, "{message}");
            assert_eq!(line.level(), level, "{message}");
        }
    }

    #[test]
    fn a_text_is_shown_as_it_is_but_commands_no_terminal() {
        assert_eq!(
            plain("evil \u{1b}]0;title\u{7} text\n"),
            "03:01:00.123  action      evil  ]0;title  text\n"
        );
        assert_eq!(
            plain(r#"{"level":"error","message":"no table","error":"denied"}"#),
            "03:01:00.123  action      message: no table, error: denied\n"
        );
    }

    #[test]
    fn for_programs_a_line_is_what_was_written_with_its_time_and_without_the_metrics() {
        assert_eq!(
            line(r#"{"level":"info","function":"action","time":"x","_aws":{},"Messages":1}"#)
                .json(),
            "{\"time\":\"2026-11-22T03:01:00.123Z\",\"function\":\"action\",\"level\":\"info\",\"Messages\":1}\n"
        );
        assert_eq!(
            line("END RequestId: 1\n").json(),
            "{\"time\":\"2026-11-22T03:01:00.123Z\",\"function\":\"action\",\"text\":\"END RequestId: 1\"}\n"
        );
    }
}
