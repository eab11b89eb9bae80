//! The metrics, in CloudWatch's embedded metric format: CloudWatch reads them from the log line, so they
//! cost no call.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::time::{Duration, SystemTime};

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::Record;
use super::line::millis;

/// Where CloudWatch keeps them.
pub const NAMESPACE: &str = "chatctl";

/// The only dimension, the stack's name. Each further set of dimensions would be as many metrics again,
/// and each metric costs.
const DIMENSION: &str = "Stack";

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metric {
    /// Connections that were opened.
    Connections,
    /// Connections that were closed, as far as API Gateway told of it.
    Disconnections,
    /// How long those were open. A sixtieth of the sum are the minutes that AWS bills.
    ConnectionTime,
    /// Messages that got their place.
    Messages,
    /// Posts that API Gateway took.
    Deliveries,
    /// Receivers that were found gone.
    Gone,
    /// Posts that were answered “too many requests”.
    Throttled,
    /// From a message's time until an invocation has made its last post of it: of each that posts a part
    /// one. The longest is when everybody was posted to.
    BroadcastTime,
    /// Invocations that did not do what is promised.
    Errors,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Connections,
        Self::Disconnections,
        Self::ConnectionTime,
        Self::Messages,
        Self::Deliveries,
        Self::Gone,
        Self::Throttled,
        Self::BroadcastTime,
        Self::Errors,
    ];

    /// Its name in CloudWatch.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connections => "Connections",
            Self::Disconnections => "Disconnections",
            Self::ConnectionTime => "ConnectionTime",
            Self::Messages => "Messages",
            Self::Deliveries => "Deliveries",
            Self::Gone => "Gone",
            Self::Throttled => "Throttled",
            Self::BroadcastTime => "BroadcastTime",
            Self::Errors => "Errors",
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::ConnectionTime => "Seconds",
            Self::BroadcastTime => "Milliseconds",
            _ => "Count",
        }
    }
}

/// How much of it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub(super) enum Amount {
    Count(u64),
    Time(f64),
}

/// What an invocation counts. What did not happen is not there, so most lines stay short.
pub(super) fn counted(function: &str, record: &Record) -> Values {
    let mut values = Vec::new();
    let mut count = |metric, number: usize| {
        if let Some(number) = u64::try_from(number).ok().filter(|it| *it > 0) {
            values.push((metric, Amount::Count(number)));
        }
    };
    let is_ok = record.outcome() == "ok";
    count(
        Metric::Connections,
        usize::from(function == "connect" && is_ok),
    );
    count(
        Metric::Disconnections,
        usize::from(record.event == "disconnect"),
    );
    count(Metric::Messages, usize::from(record.said));
    let tally = record.tally.unwrap_or_default();
    count(Metric::Deliveries, tally.delivered);
    count(Metric::Gone, tally.gone);
    count(Metric::Throttled, tally.throttled);
    count(Metric::Errors, usize::from(record.is_error()));
    if let Some(time) = record.connected {
        let seconds = Amount::Time(time.as_secs_f64());
        values.push((Metric::ConnectionTime, seconds));
    }
    // Announcements and “is writing” are quicker and many: they would hide how messages fare.
    if let Some(time) = tally.message {
        values.push((Metric::BroadcastTime, Amount::Time(millis(time))));
    }
    Values(values)
}

/// Metrics and their values: members of the line itself, as the format has it.
#[derive(Debug, Default)]
pub(super) struct Values(pub(super) Vec<(Metric, Amount)>);

impl Serialize for Values {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (metric, amount) in &self.0 {
            map.serialize_entry(metric.name(), amount)?;
        }
        map.end()
    }
}

/// The member `_aws`, which says what of the line is a metric.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Metadata {
    timestamp: u128,
    cloud_watch_metrics: [Directive; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Directive {
    namespace: &'static str,
    dimensions: [[&'static str; 1]; 1],
    metrics: Vec<Definition>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    name: &'static str,
    unit: &'static str,
}

impl Metadata {
    /// `None` when nothing is counted.
    pub(super) fn of(values: &Values, at: SystemTime) -> Option<Self> {
        let define = |(metric, _): &(Metric, Amount)| Definition {
            name: metric.name(),
            unit: metric.unit(),
        };
        let metrics: Vec<_> = values.0.iter().map(define).collect();
        let since = at.duration_since(SystemTime::UNIX_EPOCH);
        (!metrics.is_empty()).then(|| Self {
            timestamp: since.unwrap_or(Duration::ZERO).as_millis(),
            cloud_watch_metrics: [Directive {
                namespace: NAMESPACE,
                dimensions: [[DIMENSION]],
                metrics,
            }],
        })
    }
}
