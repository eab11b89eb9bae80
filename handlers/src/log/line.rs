//! The line of an invocation. Its members are read by `chatctl logs`, by the dashboard's query and by
//! people: `docs/watch.md` lists them.

use std::time::{Duration, SystemTime};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::Record;
use super::metrics::{Metadata, Values, counted};
use crate::config::LogSettings;
use crate::ports::ConnectionId;

/// What a line is made of.
pub(super) struct Line<'a> {
    pub(super) function: &'static str,
    pub(super) request_id: &'a str,
    pub(super) duration: Duration,
    pub(super) at: SystemTime,
    pub(super) record: &'a Record,
    pub(super) settings: &'a LogSettings,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Members<'a> {
    level: &'static str,
    function: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    connection_id: Option<&'a str>,
    event: &'static str,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<String>,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    connected_ms: Option<u128>,
    #[serde(flatten)]
    posts: Option<Posts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(rename = "_aws", skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
    #[serde(rename = "Stack", skip_serializing_if = "Option::is_none")]
    stack: Option<&'a str>,
    #[serde(flatten)]
    values: Values,
}

/// What was posted. What is 0 is not there, but for the deliveries.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Posts {
    broadcast_ms: f64,
    deliveries: usize,
    #[serde(skip_serializing_if = "is_none")]
    gone: usize,
    #[serde(skip_serializing_if = "is_none")]
    throttled: usize,
    #[serde(skip_serializing_if = "is_none")]
    retries: usize,
    #[serde(skip_serializing_if = "is_none")]
    unreached: usize,
    #[serde(skip_serializing_if = "is_none")]
    handed: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

impl Line<'_> {
    pub(super) fn to_json(&self) -> String {
        let (record, settings) = (self.record, self.settings);
        let stack = settings.metrics_of.as_deref();
        let counts = stack.map(|_| counted(self.function, record));
        let values = counts.unwrap_or_default();
        let metadata = Metadata::of(&values, self.at);
        let members = Members {
            level: level(record),
            function: self.function,
            request_id: self.request_id,
            connection_id: record.connection.as_ref().map(ConnectionId::as_str),
            event: record.event,
            outcome: record.outcome(),
            room: record.room.as_deref().and_then(|it| room(settings, it)),
            duration_ms: millis(self.duration),
            connected_ms: record.connected.map(|it| it.as_millis()),
            posts: record.tally.map(|tally| Posts {
                broadcast_ms: millis(tally.took),
                deliveries: tally.delivered,
                gone: tally.gone,
                throttled: tally.throttled,
                retries: tally.retried,
                unreached: tally.unreached,
                handed: tally.handed,
            }),
            error: errors(record),
            stack: stack.filter(|_| metadata.is_some()),
            metadata,
            values,
        };
        serde_json::to_string(&members).unwrap_or_default()
    }
}

/// What is told where there is no invocation.
pub(super) fn outside(what: &'static str, error: &str) -> String {
    serde_json::json!({"level": "error", "message": what, "error": error}).to_string()
}

fn level(record: &Record) -> &'static str {
    if record.is_error() {
        "error"
    } else if record.errors.is_empty() {
        "info"
    } else {
        "warn"
    }
}

fn errors(record: &Record) -> Option<String> {
    let mut text = record.errors.join("; ");
    if record.errors_left_out > 0 {
        text = format!("{text}; and {} more", record.errors_left_out);
    }
    (!text.is_empty()).then_some(text)
}

/// Bytes of the digest that are told. Operators may well read the stack's id beside the logs, and try all
/// codes with it: what shares two bytes are 2^34 codes of 2^50, too many to be tried out at the chat. Four
/// bytes would leave a quarter of a million, which takes minutes. Two still tell the rooms of one incident
/// apart, nearly always.
const DIGEST_BYTES: usize = 2;

/// The lobby is no secret; of another room the digest, if there is what it is made with: without, it could
/// be made by anybody.
fn room(settings: &LogSettings, room: &str) -> Option<String> {
    if room == "lobby" {
        return Some(room.to_owned());
    }
    let key = settings.room_key.as_deref()?;
    let digest = Sha256::new()
        .chain_update(key)
        .chain_update("\n")
        .chain_update(room)
        .finalize();
    let digits = digest.iter().take(DIGEST_BYTES);
    let digits = digits.map(|byte| format!("{byte:02x}"));
    Some(digits.collect())
}

/// Milliseconds, to the hundredth.
pub(super) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}
