//! What the functions' log lines tell of a chat: a line for people of each invocation, and how much is
//! going on. Pure: lines and times in, lines out.

use std::collections::VecDeque;
use std::fmt::Write;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::telemetry::{COUNTS, Level};

/// Over so long messages are counted.
const WINDOW: Duration = Duration::from_secs(10);

/// Of so many invocations at most the times are told.
const TIMES_MAX: usize = 1000;

/// A function's own line about one invocation. Fields that are not known here are not shown.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Invocation {
    function: String,
    event: String,
    outcome: String,
    level: Option<String>,
    room: Option<String>,
    duration_ms: Option<f64>,
    error: Option<String>,
    #[serde(flatten)]
    others: Map<String, Value>,
}

/// A function's line about what is no invocation: that it does not start, say.
#[derive(Debug, Deserialize)]
pub(super) struct Complaint {
    message: String,
    error: Option<String>,
}

impl Complaint {
    /// From a line of a function, if it is such a one.
    pub(super) fn of(line: &str) -> Option<Self> {
        object(line)
    }

    /// For people.
    pub(super) fn line(&self) -> String {
        match &self.error {
            Some(error) => format!("{}: {error}", self.message),
            None => self.message.clone(),
        }
    }
}

fn object<'a, T: Deserialize<'a>>(line: &'a str) -> Option<T> {
    line.starts_with('{')
        .then(|| serde_json::from_str(line).ok())?
}

impl Invocation {
    /// From a line of a function, if it is such a one.
    pub(super) fn of(line: &str) -> Option<Self> {
        object(line)
    }

    /// Whether somebody should look at it.
    pub(super) fn is_remarkable(&self) -> bool {
        let level = self.level.as_deref();
        level.is_some_and(|it| it != "info")
    }

    /// For people: what, what came of it, how long it took, and what else is worth a word. With colours,
    /// those of `chatctl logs`.
    pub(super) fn line(&self) -> String {
        let took = self.duration_ms.map(|ms| format!("{ms:.1} ms"));
        let style = Level::of(self.level.as_deref()).style(&self.outcome);
        // Behind the colour: what is there for nothing is cut off.
        let padding = 12_usize.saturating_sub(self.outcome.chars().count());
        let mut line = format!(
            "{:<10}  {:<10}  {style}{}{style:#}{:padding$}  {:>9}",
            self.function,
            self.event,
            self.outcome,
            "",
            took.unwrap_or_default()
        );
        let mut add = |word: String| {
            // It cannot fail.
            let _ = write!(line, "  {word}");
        };
        if let Some(room) = &self.room {
            add(room.clone());
        }
        for (key, word) in COUNTS {
            let count = self.others.get(key).and_then(Value::as_u64);
            if let Some(count) = count.filter(|it| *it > 0) {
                add(format!("{count} {word}"));
            }
        }
        if let Some(error) = &self.error {
            add(error.clone());
        }
        line.trim_end().to_owned()
    }
}

/// How much is going on.
#[derive(Debug, Default)]
pub(super) struct Activity {
    connections: u64,
    /// When messages were said, within the window.
    messages: VecDeque<Instant>,
    /// What the last invocations took, in milliseconds.
    times: VecDeque<f64>,
    errors: u64,
}

impl Activity {
    /// Takes an invocation into account.
    pub(super) fn note(&mut self, invocation: &Invocation, now: Instant) {
        let is_good = invocation.outcome == "ok";
        match invocation.event.as_str() {
            "connect" if is_good => self.connections += 1,
            // One that was refused, or lost by a fault, is told of by nobody.
            "disconnect" => self.connections = self.connections.saturating_sub(1),
            "message" if is_good => self.messages.push_back(now),
            _ => {}
        }
        if invocation.level.as_deref() == Some("error") {
            self.errors += 1;
        }
        self.times.extend(invocation.duration_ms);
        if self.times.len() > TIMES_MAX {
            self.times.pop_front();
        }
        self.forget(now);
    }

    /// As it is now, in one line.
    pub(super) fn line(&mut self, now: Instant) -> String {
        self.forget(now);
        let mut times: Vec<_> = self.times.iter().copied().collect();
        times.sort_by(f64::total_cmp);
        let rate = u32::try_from(self.messages.len()).unwrap_or(u32::MAX);
        let times = match (quantile(&times, 50), quantile(&times, 99)) {
            (Some(half), Some(most)) => format!("p50 {half:.1} ms, p99 {most:.1} ms"),
            _ => "nothing yet".to_owned(),
        };
        format!(
            "{} connected | {:.1} messages/s | {times} | {} error{}",
            self.connections,
            f64::from(rate) / WINDOW.as_secs_f64(),
            self.errors,
            if self.errors == 1 { "" } else { "s" }
        )
    }

    fn forget(&mut self, now: Instant) {
        let is_old = |at: &Instant| now.duration_since(*at) >= WINDOW;
        while self.messages.front().is_some_and(is_old) {
            self.messages.pop_front();
        }
    }
}

/// The smallest of sorted values that so many percent are not greater than.
fn quantile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn invocation(event: &str, outcome: &str, level: &str, ms: f64) -> Invocation {
        let line = json!({
            "level": level, "function": "action", "requestId": "r", "connectionId": "c",
            "event": event, "outcome": outcome, "durationMs": ms, "_aws": {"Timestamp": 1},
        });
        Invocation::of(&line.to_string()).unwrap()
    }

    fn plain(invocation: &Invocation) -> String {
        anstream::adapter::strip_str(&invocation.line()).to_string()
    }

    #[test]
    fn what_came_of_it_has_the_colour_that_it_has_in_the_logs() {
        for (outcome, level, code) in [
            ("ok", "info", "\u{1b}[32m"),
            ("too-long", "warn", "\u{1b}[33m"),
            ("failed", "error", "\u{1b}[1m\u{1b}[31m"),
        ] {
            let line = invocation("ping", outcome, level, 1.0).line();
            let shown = format!("  {code}{outcome}\u{1b}[0m ");
            assert!(line.contains(&shown), "{line:?}");
        }
        // Nobody's fault, and nothing good either.
        let line = invocation("ping", "busy", "info", 1.0).line();
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }

    #[test]
    fn an_invocation_is_a_short_line() {
        let line = r#"{"level":"info","function":"action","requestId":"8f","connectionId":"c=",
            "event":"message","outcome":"ok","room":"1a2b","durationMs":12.345,
            "broadcastMs":3.1,"deliveries":4,"gone":1,"throttled":0,"retries":0,"unreached":2,"handed":9,"_aws":{}}"#;
        assert_eq!(
            plain(&Invocation::of(line).unwrap()),
            "action      message     ok              12.3 ms  1a2b  4 delivered  1 gone  2 given up  \
             9 left to others"
        );
        let failed = r#"{"level":"error","function":"connect","event":"connect","outcome":"failed",
            "error":"no table"}"#;
        let failed = Invocation::of(failed).unwrap();
        assert!(failed.is_remarkable());
        assert_eq!(
            plain(&failed),
            "connect     connect     failed                   no table"
        );
    }

    #[test]
    fn what_is_no_such_line_is_none() {
        for line in [
            "",
            "panicked at",
            "{",
            "{}",
            r#"{"level":"error","message":"no start"}"#,
            "[]",
        ] {
            assert!(Invocation::of(line).is_none(), "{line}");
        }
    }

    #[test]
    fn what_is_no_invocation_is_told_in_words() {
        let line = r#"{"level":"error","message":"it does not start","error":"no table"}"#;
        assert_eq!(
            Complaint::of(line).unwrap().line(),
            "it does not start: no table"
        );
        assert!(Complaint::of("it does not start").is_none());
        assert!(Complaint::of(r#"{"level":"error"}"#).is_none());
    }

    #[test]
    fn what_goes_on_is_told_of_the_last_seconds() {
        let mut activity = Activity::default();
        let begin = Instant::now();
        assert_eq!(
            activity.line(begin),
            "0 connected | 0.0 messages/s | nothing yet | 0 errors"
        );
        for event in ["connect", "connect", "connect", "disconnect"] {
            activity.note(&invocation(event, "ok", "info", 1.0), begin);
        }
        activity.note(&invocation("connect", "refused", "warn", 1.0), begin);
        for ms in 1..=95 {
            activity.note(&invocation("message", "ok", "info", f64::from(ms)), begin);
        }
        activity.note(&invocation("message", "too-long", "info", 1.0), begin);
        activity.note(&invocation("message", "failed", "error", 900.0), begin);
        assert_eq!(
            activity.line(begin),
            "2 connected | 9.5 messages/s | p50 45.0 ms, p99 95.0 ms | 1 error"
        );
        assert_eq!(
            activity.line(begin + WINDOW),
            "2 connected | 0.0 messages/s | p50 45.0 ms, p99 95.0 ms | 1 error"
        );
    }

    #[test]
    fn connections_that_nobody_counted_do_not_go_below_none() {
        let mut activity = Activity::default();
        activity.note(&invocation("disconnect", "ok", "info", 1.0), Instant::now());
        assert!(activity.line(Instant::now()).starts_with("0 connected"));
    }

    #[test]
    fn quantiles_are_values_that_occurred() {
        assert_eq!(quantile(&[], 50), None);
        assert_eq!(quantile(&[7.0], 99), Some(7.0));
        let hundred: Vec<_> = (1..=100).map(f64::from).collect();
        assert_eq!(quantile(&hundred, 50), Some(50.0));
        assert_eq!(quantile(&hundred, 99), Some(99.0));
    }
}
