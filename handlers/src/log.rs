//! The only place that prints: one JSON object a line on standard output, which Lambda sends to the
//! function's log group. Each invocation is one line, at its end, with what the rules noted on the way.
//!
//! What people wrote, what they are called and the codes of their rooms are never in it: no function here
//! takes a text of a client's. A room is told by a digest that only this stack makes (see [`Journal`]).
//!
//! # Layout
//!
//! - `log.rs`: what is noted during an invocation, and by whom.
//! - `line.rs`: the line.
//! - `metrics.rs`: the metrics that CloudWatch reads from it.

mod line;
mod metrics;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::error::Error;
use std::fmt::Display;
use std::io::Write;
use std::time::{Duration, Instant, SystemTime};

use aws_lambda_events::apigw::ApiGatewayProxyResponse;

pub use metrics::{Metric, NAMESPACE};

use crate::chat::Tally;
use crate::config::{Function, LogSettings};
use crate::event::Outcome;
use crate::ports::ConnectionId;
use crate::protocol::ServerFrame;
use line::Line;

/// Inner errors that are told of one invocation, at most: of many, the first ones say what is wrong.
const ERRORS_MAX: usize = 4;

/// Characters of an inner error, at most.
const ERROR_CHARS_MAX: usize = 400;

tokio::task_local! {
    static RECORD: RefCell<Record>;
}

/// Writes the lines of a function.
///
/// A room is told by the first four digits of the SHA-256 of the stack's id and the room's code. The
/// stack's id holds random digits and is in no line, so the logs alone say nothing of a code. Whoever has
/// the id as well can try all codes, which have 50 bits, and is left with 2^34 of them.
#[expect(
    missing_debug_implementations,
    reason = "it holds what makes rooms' digests"
)]
pub struct Journal<W> {
    function: Function,
    settings: LogSettings,
    write: W,
}

impl<W: Fn(&str)> Journal<W> {
    /// `write` takes each line, without its end.
    pub fn new(function: Function, settings: LogSettings, write: W) -> Self {
        Self {
            function,
            settings,
            write,
        }
    }

    /// Does the work of one invocation and tells of it. `request_id` is Lambda's.
    ///
    /// # Errors
    /// Those of the work.
    pub async fn invocation(
        &self,
        request_id: &str,
        work: impl Future<Output = Outcome>,
    ) -> Outcome {
        let begun = Instant::now();
        // Boxed, for the rules' futures are as deep in one another as a compiler takes them.
        let work = Box::pin(work);
        let noting = RECORD.scope(RefCell::default(), async {
            let outcome = work.await;
            (outcome, RECORD.with(RefCell::take))
        });
        let (outcome, mut record) = noting.await;
        record.end(&outcome);
        let line = Line {
            function: self.function.handler(),
            request_id,
            duration: begun.elapsed(),
            at: SystemTime::now(),
            record: &record,
            settings: &self.settings,
        };
        (self.write)(&line.to_json());
        outcome
    }
}

/// Writes a line on standard output, in one go.
pub fn to_stdout(line: &str) {
    let line = format!("{line}\n");
    // Nobody can be told that nobody listens.
    drop(std::io::stdout().lock().write_all(line.as_bytes()));
}

/// What is noted of one invocation.
#[derive(Default)]
struct Record {
    connection: Option<ConnectionId>,
    event: &'static str,
    /// `ok`, unless it is something else.
    outcome: Option<String>,
    room: Option<String>,
    connected: Option<Duration>,
    said: bool,
    tally: Option<Tally>,
    errors: Vec<String>,
    /// Inner errors beyond those that are told.
    errors_left_out: usize,
}

impl Record {
    fn end(&mut self, outcome: &Outcome) {
        match outcome {
            Err(error) => {
                self.note_error(told(error.as_ref()));
                self.outcome = Some("failed".to_owned());
            }
            Ok(response) if self.outcome.is_none() => self.outcome = refusal(response),
            Ok(_) => {}
        }
    }

    fn note_error(&mut self, text: String) {
        if self.errors.len() < ERRORS_MAX {
            self.errors.push(text);
        } else {
            self.errors_left_out += 1;
        }
    }

    fn outcome(&self) -> &str {
        self.outcome.as_deref().unwrap_or("ok")
    }

    /// Whether somebody did not get what is promised.
    fn is_error(&self) -> bool {
        ["failed", "refused", "try-again"].contains(&self.outcome())
    }
}

/// What a response without a frame says by its status alone.
fn refusal(response: &ApiGatewayProxyResponse) -> Option<String> {
    match response.status_code {
        200..=299 => None,
        403 => Some("forbidden".to_owned()),
        400..=499 => Some("bad-event".to_owned()),
        _ => Some("refused".to_owned()),
    }
}

/// Notes something of the invocation under way; `false` when there is none.
fn note(change: impl FnOnce(&mut Record)) -> bool {
    RECORD
        .try_with(|record| change(&mut record.borrow_mut()))
        .is_ok()
}

/// Notes whose event it is.
pub fn connection(id: &ConnectionId) {
    note(|record| record.connection = Some(id.clone()));
}

/// Notes what kind of event it is: a constant word, never a client's.
pub fn event(kind: &'static str) {
    note(|record| record.event = kind);
}

/// Notes which room it is about, `lobby` or a code. The line has its digest.
pub fn room(room: &impl Display) {
    note(|record| record.room = Some(room.to_string()));
}

/// Notes for how long the connection was open, if that is known.
pub fn connected(time: Option<Duration>) {
    note(|record| record.connected = time);
}

/// Notes that a message got its place now, and not at an earlier try.
pub fn said() {
    note(|record| record.said = true);
}

/// Notes what the sender is told.
pub fn answered(frame: &ServerFrame) {
    if let Some(place) = frame.room() {
        room(&place);
    }
    if let ServerFrame::Error(refusal) = frame {
        note(|record| record.outcome = Some(refusal.code.to_string()));
    }
}

/// Notes that somebody is not let in, and the constant word for why.
pub fn forbidden(why: &'static str) {
    note(|record| record.outcome = Some(why.to_owned()));
}

/// Notes what was posted to others.
pub fn posted(tally: Tally) {
    if tally != Tally::default() {
        note(|record| record.tally = Some(tally));
    }
}

/// Notes that something went wrong, with every cause. Outside of an invocation it is a line of its own.
///
/// `what` is a constant sentence, so that lines can be counted by it.
pub fn error(what: &'static str, error: &dyn Error) {
    let text = told(error);
    if !note(|record| record.note_error(format!("{what}: {text}"))) {
        to_stdout(&line::outside(what, &text));
    }
}

/// An error with its causes, each once: some repeat those below.
fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    match text.char_indices().nth(ERROR_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
