//! What Lambda would log about an invocation, and bill.

use std::fmt;
use std::time::Duration;

use super::InvokeError;

/// One invocation's end. Shown as Lambda's `REPORT` line, tabs between its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The invocation.
    pub request_id: String,
    /// How long it took, without what it waited for a process.
    pub duration: Duration,
    /// What the function may use, in MB. Nothing enforces it here.
    pub memory_size_mb: u64,
    /// The most that its process ever used, in MB; `None` where the system does not say.
    pub max_memory_used_mb: Option<u64>,
    /// How long the process took to start, where this was its first invocation.
    pub init_duration: Option<Duration>,
    /// How it ended.
    pub status: Status,
}

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Status {
    /// With a response.
    Success,
    /// With an error of this type.
    Error(String),
    /// Not in time.
    Timeout,
}

impl Report {
    /// What is billed: whole milliseconds, the start of a runtime of one's own included (AWS's
    /// pricing page, “Duration”).
    #[must_use]
    pub fn billed_duration(&self) -> Duration {
        let billed = self.duration + self.init_duration.unwrap_or_default();
        let ms = u64::try_from(billed.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX);
        Duration::from_millis(ms)
    }
}

impl Status {
    pub(super) fn of<T>(outcome: &Result<T, InvokeError>) -> Self {
        match outcome {
            Ok(_) => Self::Success,
            Err(InvokeError::TimedOut { .. }) => Self::Timeout,
            Err(InvokeError::Function { kind, .. }) => Self::Error(kind.clone()),
            Err(_) => Self::Error("Runtime.ExitError".to_owned()),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |duration: Duration| duration.as_secs_f64() * 1000.0;
        write!(
            formatter,
            "REPORT RequestId: {}\tDuration: {:.2} ms\tBilled Duration: {} ms\tMemory Size: {} MB",
            self.request_id,
            ms(self.duration),
            self.billed_duration().as_millis(),
            self.memory_size_mb,
        )?;
        if let Some(used) = self.max_memory_used_mb {
            write!(formatter, "\tMax Memory Used: {used} MB")?;
        }
        if let Some(init) = self.init_duration {
            write!(formatter, "\tInit Duration: {:.2} ms", ms(init))?;
        }
        match &self.status {
            Status::Success => Ok(()),
            Status::Error(kind) => write!(formatter, "\tStatus: error\tError Type: {kind}"),
            Status::Timeout => formatter.write_str("\tStatus: timeout"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_are_worded_as_lambda_words_them() {
        let mut report = Report {
            request_id: "8fc6f963-411b-58b5-8483-a32130c0f45d".to_owned(),
            duration: Duration::from_micros(1_230),
            memory_size_mb: 256,
            max_memory_used_mb: Some(12),
            init_duration: None,
            status: Status::Success,
        };
        assert_eq!(
            report.to_string(),
            "REPORT RequestId: 8fc6f963-411b-58b5-8483-a32130c0f45d\tDuration: 1.23 ms\t\
             Billed Duration: 2 ms\tMemory Size: 256 MB\tMax Memory Used: 12 MB"
        );
        report.init_duration = Some(Duration::from_micros(4_560));
        report.max_memory_used_mb = None;
        report.status = Status::Error("Runtime.ExitError".to_owned());
        assert_eq!(
            report.to_string(),
            "REPORT RequestId: 8fc6f963-411b-58b5-8483-a32130c0f45d\tDuration: 1.23 ms\t\
             Billed Duration: 6 ms\tMemory Size: 256 MB\tInit Duration: 4.56 ms\t\
             Status: error\tError Type: Runtime.ExitError"
        );
    }
}
