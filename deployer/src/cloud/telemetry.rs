//! What a chat that runs tells of itself: logs, metrics, alarms and drift, and whom AWS takes the caller
//! for. Nothing here changes anything.

use std::time::Duration;

use super::CloudError;

/// Logs of functions.
pub(crate) trait Logs {
    /// A page of the events of a log group, the oldest first: those from `start_ms` (since 1970) on, and
    /// after `token` if that is the rest of an earlier page. A page may be empty and not the last one.
    async fn log_page(
        &self,
        group: &str,
        start_ms: i64,
        token: Option<String>,
    ) -> Result<LogPage, CloudError>;
}

/// A page of log events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LogPage {
    /// The oldest first.
    pub(crate) events: Vec<LogEvent>,
    /// What the next page is asked for with, if there is one.
    pub(crate) next: Option<String>,
}

/// A line of a function's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogEvent {
    /// Unique within its group.
    pub(crate) id: String,
    /// When it was written, in milliseconds since 1970.
    pub(crate) at_ms: i64,
    /// The line.
    pub(crate) message: String,
}

/// Measurements, and what watches them.
pub(crate) trait Metrics {
    /// The points of each query, the oldest first, between two times in seconds since 1970. Where
    /// nothing was measured there is no point.
    async fn series(
        &self,
        queries: &[MetricQuery],
        start_s: i64,
        end_s: i64,
    ) -> Result<Vec<Vec<Point>>, CloudError>;

    /// These alarms, by name.
    async fn alarms(&self, names: &[String]) -> Result<Vec<AlarmView>, CloudError>;
}

/// One statistic of one metric.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MetricQuery {
    /// Such as `AWS/Lambda`.
    pub(crate) namespace: &'static str,
    /// Such as `Invocations`.
    pub(crate) name: &'static str,
    /// Name and value of each dimension.
    pub(crate) dimensions: Vec<(&'static str, String)>,
    /// Such as `Sum` or `p99`.
    pub(crate) statistic: &'static str,
    /// How much time a point is for.
    pub(crate) period: Duration,
}

/// A measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Point {
    /// When its period begins, in seconds since 1970.
    pub(crate) at_s: i64,
    /// What was measured.
    pub(crate) value: f64,
}

/// An alarm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct AlarmView {
    /// Its name.
    pub(crate) name: String,
    /// `OK`, `ALARM` or `INSUFFICIENT_DATA`.
    pub(crate) state: String,
    /// Why, in AWS's words.
    pub(crate) reason: String,
}

/// What has become of a stack over time.
pub(crate) trait StackHistory {
    /// When it was made and changed, and what the last look for drift found.
    async fn history(&self, stack: &str) -> Result<History, CloudError>;

    /// Starts looking for drift; gives the request's id.
    async fn detect_drift(&self, stack: &str) -> Result<String, CloudError>;

    /// What has come of it.
    async fn detection(&self, id: &str) -> Result<Detection, CloudError>;

    /// The resources that were found changed or gone, by the last look.
    async fn drifted(&self, stack: &str) -> Result<Vec<Drifted>, CloudError>;
}

/// When things were done to a stack, in seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// When it was made, or last changed.
    pub(crate) changed_s: Option<i64>,
    /// What the last look for drift found, in AWS's words; `NOT_CHECKED` if there was none.
    pub(crate) drift: String,
    /// When that was.
    pub(crate) checked_s: Option<i64>,
}

/// A look for drift.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Detection {
    /// It is going on.
    InProgress,
    /// It is over, and found this, in AWS's words.
    Done(String),
    /// It failed, or could not look at everything, for a reason in AWS's words.
    Failed(String),
}

/// A resource that is not as the stack made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Drifted {
    /// Its name in the template.
    pub(crate) resource: String,
    /// Its type.
    pub(crate) kind: String,
    /// `MODIFIED` or `DELETED`.
    pub(crate) status: String,
    /// The properties that differ.
    pub(crate) properties: Vec<String>,
}

/// The account, as far as it limits a chat.
pub(crate) trait Caller {
    /// Whom AWS takes the caller for, and what time it is there, in seconds since 1970, which it tells
    /// even to whom it refuses.
    async fn identity(&self) -> (Result<Identity, CloudError>, Option<i64>);

    /// How many functions of the account may run at the same time.
    async fn concurrency(&self) -> Result<i32, CloudError>;

    /// Whether the account has any distribution of CloudFront's.
    async fn has_distribution(&self) -> Result<bool, CloudError>;
}

/// Whom AWS takes the caller for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Identity {
    /// The account's number.
    pub(crate) account: String,
    /// The user or role, an ARN.
    pub(crate) arn: String,
}
