//! What can go wrong, in AWS's words where it has them.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;

/// Why an invocation gave no response.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// The function said so.
    #[error("{kind}: {message}")]
    Function {
        /// The error's type, by the function.
        kind: String,
        /// The error's message, by the function.
        message: String,
    },
    /// It took longer than its timeout and was killed.
    #[error("{} {request_id} Task timed out after {:.2} seconds", timestamp(*.at), .timeout.as_secs_f64())]
    TimedOut {
        /// When.
        at: SystemTime,
        /// The invocation.
        request_id: String,
        /// The function's timeout.
        timeout: Duration,
    },
    /// Its process ended in the middle.
    #[error("RequestId: {request_id} Error: {}", exited(.status))]
    Exited {
        /// The invocation.
        request_id: String,
        /// How the process ended, in Lambda's words: `signal: killed`, `exit status 1`.
        status: String,
    },
    /// Its process did not get ready.
    #[error(transparent)]
    Init(#[from] InitError),
    /// As many invocations as the function reserves, or the account allows, are under way. Lambda
    /// refuses one more with status 429.
    #[error("TooManyRequestsException: Rate Exceeded.")]
    Throttled,
    /// There is no such function.
    #[error("ResourceNotFoundException: Function not found: `{function}`")]
    NotFound {
        /// The logical id asked for.
        function: String,
    },
    /// The stack is stopping.
    #[error("the local stack is stopping")]
    Stopping,
}

/// Why a process did not get ready.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InitError {
    /// It could not be started at all.
    #[error("the program of `{function}` could not be started: {reason}")]
    Start {
        /// The function's logical id.
        function: String,
        /// The operating system's reason.
        reason: String,
    },
    /// It ended, or said that it cannot start.
    #[error("the program of `{function}` stopped while starting ({status}){}", said(.output))]
    Ended {
        /// The function's logical id.
        function: String,
        /// How it ended, or the error that it reported.
        status: String,
        /// The last lines that it wrote.
        output: Vec<String>,
    },
    /// It never asked for an invocation.
    #[error("the program of `{function}` did not ask for its first invocation within {} s{}", .limit.as_secs_f64(), said(.output))]
    TimedOut {
        /// The function's logical id.
        function: String,
        /// How long it was waited for.
        limit: Duration,
        /// The last lines that it wrote.
        output: Vec<String>,
    },
}

fn exited(status: &str) -> String {
    if status == "exit status 0" {
        "Runtime exited without providing a reason".to_owned()
    } else {
        format!("Runtime exited with error: {status}")
    }
}

fn said(output: &[String]) -> String {
    if output.is_empty() {
        String::new()
    } else {
        format!("; it wrote: {}", output.join(" | "))
    }
}

/// As Lambda writes it: `2019-02-13T20:12:38.950Z`.
fn timestamp(at: SystemTime) -> String {
    let at = OffsetDateTime::from(at);
    let (year, month, day) = at.to_calendar_date();
    let (hour, minute, second, millisecond) = at.to_hms_milli();
    let month = u8::from(month);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millisecond:03}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_worded_as_lambda_words_them() {
        let request_id = "41a10717-e9af-11e7-892c-5bb1a4054ed6".to_owned();
        let timed_out = InvokeError::TimedOut {
            at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_550_088_758_950),
            request_id: request_id.clone(),
            timeout: Duration::from_secs(3),
        };
        assert_eq!(
            timed_out.to_string(),
            "2019-02-13T20:12:38.950Z 41a10717-e9af-11e7-892c-5bb1a4054ed6 Task timed out after 3.00 seconds"
        );
        let exited = |status: &str| {
            let status = status.to_owned();
            let request_id = request_id.clone();
            InvokeError::Exited { request_id, status }.to_string()
        };
        assert_eq!(
            exited("signal: killed"),
            "RequestId: 41a10717-e9af-11e7-892c-5bb1a4054ed6 Error: Runtime exited with error: signal: killed"
        );
        assert_eq!(
            exited("exit status 0"),
            "RequestId: 41a10717-e9af-11e7-892c-5bb1a4054ed6 Error: Runtime exited without providing a reason"
        );
    }
}
