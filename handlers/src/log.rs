//! The only place that prints: one JSON object a line on standard error, which Lambda sends to the
//! function's log group.

use std::error::Error;

/// Logs that something went wrong, with every cause.
///
/// `what` is a constant sentence, so that lines can be counted by it.
#[expect(
    clippy::print_stderr,
    reason = "standard error is a Lambda function's log"
)]
pub fn error(what: &'static str, error: &dyn Error) {
    let mut causes = vec![error.to_string()];
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    let line = serde_json::json!({ "level": "ERROR", "message": what, "causes": causes });
    eprintln!("{line}");
}
