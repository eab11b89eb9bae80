//! What could not be found out about a chat.

use std::time::Duration;

use crate::cloud::CloudError;
use crate::output::OutputError;
use crate::sign_in::SignInError;

/// Why a chat does not tell of itself what was asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TelemetryError {
    /// A call failed.
    #[error(transparent)]
    Cloud(#[from] CloudError),
    /// What was found cannot be told.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// What the settings would come to is the provider's to say. Told in full where something is not known.
    #[error("the provider does not tell of itself: {0}")]
    Provider(SignInError),
    /// Some of it was told, and some is not known.
    #[error("could not be looked up: {}", .sections.join(", "))]
    NotKnown {
        /// What of it.
        sections: Vec<&'static str>,
        /// Why the first of them could not.
        #[source]
        first: Box<TelemetryError>,
    },
    /// AWS is at it for too long.
    #[error("AWS is still looking for drift after {}", humantime::format_duration(*.limit))]
    DriftDeadline {
        /// How long it was waited for.
        limit: Duration,
        /// The last call that failed while waiting.
        #[source]
        last: Option<Box<CloudError>>,
    },
    /// AWS could not look for drift.
    #[error("AWS could not look for drift: {reason}")]
    DriftFailed {
        /// In AWS's words.
        reason: String,
    },
    /// AWS searches the logs for too long.
    #[error("AWS has found nothing in the logs for {}", humantime::format_duration(*.limit))]
    SearchDeadline {
        /// How long it was waited for.
        limit: Duration,
    },
    /// The stack has no log of a function.
    #[error("the stack `{stack}` has no log group of the function `{function}`")]
    NoLog {
        /// The stack.
        stack: String,
        /// The function.
        function: &'static str,
    },
}

impl TelemetryError {
    /// What the user can do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Cloud(error) => return Some(error.hint()),
            Self::Provider(error) => return Some(error.hint()),
            Self::NotKnown { first, .. } => return first.hint(),
            Self::Output(_) => return None,
            Self::DriftDeadline { .. } => {
                "AWS goes on with it: `chatctl status` tells later what it has found"
            }
            Self::DriftFailed { .. } => {
                "to look for drift is to read every resource: `chatctl synth --operator-policy` \
                 prints what that takes"
            }
            Self::SearchDeadline { .. } => "give a shorter time with `--since`",
            Self::NoLog { .. } => "it is not finished: run `chatctl deploy` again",
        };
        Some(hint.to_owned())
    }
}
