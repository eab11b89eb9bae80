//! Whether the function that answers frames runs, where nobody outside can send it one: people sign in
//! there. It is asked itself, as API Gateway would, for somebody whom it does not know. That takes its start,
//! its variables, the table and its role, and changes nothing.

use std::time::Duration;

use serde_json::{Value, json};

use super::SiteError;
use super::verify::Fault;
use crate::cloud::{CloudError, Functions, Invoked};
use crate::wait::Patience;

/// One try, with a cold function.
const TRY_LIMIT: Duration = Duration::from_secs(30);

/// Nobody's: API Gateway's own ids look different.
const CONNECTION: &str = "chatctl-verify";

/// The code of the answer to whoever is not connected.
const STRANGER: &str = "not-connected";

/// As much of an answer as is told.
const TOLD_MAX: usize = 400;

/// The function that answers frames.
#[derive(Debug)]
pub(crate) struct Action<'a, C> {
    /// What asks it.
    pub(crate) cloud: &'a C,
    /// Its name.
    pub(crate) function: &'a str,
}

impl<C: Functions> Action<'_, C> {
    /// Asks until it answers as it should or the deadline has passed.
    ///
    /// # Errors
    /// [`SiteError::NotWorking`], with what the last try said; [`SiteError::Cloud`], if it may not be asked.
    pub(super) async fn until_it_works(&self, limit: Duration) -> Result<(), SiteError> {
        let mut patience =
            Patience::new(limit, Duration::from_millis(500), Duration::from_secs(10));
        let try_limit = limit.min(TRY_LIMIT);
        loop {
            let asked = self.cloud.invoke(self.function, event());
            let last = match tokio::time::timeout(try_limit, asked).await {
                Ok(Ok(invoked)) => match judge(self.function, &invoked) {
                    Ok(()) => return Ok(()),
                    Err(fault) => fault,
                },
                // A function that has just been made may not take events yet.
                Ok(Err(error)) if error.is_passing() || is_refusal(&error) => Fault::Cloud(error),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => Fault::Silence {
                    what: "the action function",
                    limit: try_limit,
                },
            };
            if !patience.pause().await {
                let last = Box::new(last);
                return Err(SiteError::NotWorking { limit, last });
            }
        }
    }
}

fn is_refusal(error: &CloudError) -> bool {
    matches!(error, CloudError::Refused { .. })
}

/// A `ping`, as API Gateway hands it on.
fn event() -> String {
    let event = json!({
        "requestContext": {
            "routeKey": "$default",
            "eventType": "MESSAGE",
            "messageDirection": "IN",
            "messageId": CONNECTION,
            "requestId": CONNECTION,
            "connectionId": CONNECTION,
            // It was never opened, so no time that it was open counts.
            "connectedAt": 0,
            "requestTimeEpoch": 0,
        },
        "body": json!({"type": "ping"}).to_string(),
        "isBase64Encoded": false,
    });
    event.to_string()
}

/// Whether it is what a function says that has looked for the connection and found none.
fn judge(function: &str, invoked: &Invoked) -> Result<(), Fault> {
    match invoked {
        Invoked::Failed(reason) => Err(Fault::Failed {
            function: function.to_owned(),
            reason: shortened(reason),
        }),
        Invoked::Answered(answer) if is_of_stranger(answer) => Ok(()),
        Invoked::Answered(answer) => Err(Fault::OtherAnswer {
            function: function.to_owned(),
            expected: STRANGER,
            answer: shortened(answer),
        }),
    }
}

fn is_of_stranger(answer: &str) -> bool {
    let read = |text: &str| serde_json::from_str::<Value>(text).ok();
    let frame = |answer: Value| {
        let is_done = answer["statusCode"] == 200;
        read(answer["body"].as_str().filter(|_| is_done)?)
    };
    let frame = read(answer).and_then(frame);
    frame.is_some_and(|it| it["type"] == "error" && it["code"] == STRANGER)
}

fn shortened(text: &str) -> String {
    let mut told: String = text.chars().take(TOLD_MAX).collect();
    if told.len() < text.len() {
        told.push('…');
    }
    told
}

#[cfg(test)]
mod tests;
