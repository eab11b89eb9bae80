//! What can be wrong with a chat.

use std::io;
use std::time::Duration;

use serde_json::Value;
use tokio_tungstenite::tungstenite;

/// What is wrong with a chat.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// No connection.
    #[error("`{url}` cannot be reached")]
    Unreachable {
        /// Where to.
        url: String,
        /// Why not.
        source: io::Error,
    },
    /// Something answers, and does not open a socket.
    #[error("`{url}` opens no socket")]
    NotOpened {
        /// Where.
        url: String,
        /// Why not.
        #[source]
        source: Box<tungstenite::Error>,
    },
    /// Where people sign in nobody can tell whose token is good.
    #[error("the functions cannot read the provider's keys: `{url}` answers 500 to a token")]
    NoKeys {
        /// Where.
        url: String,
    },
    /// The socket broke off.
    #[error("the socket does not work")]
    Socket(#[source] Box<tungstenite::Error>),
    /// The socket was closed.
    #[error("{who}'s socket was closed before it had {expected}")]
    Closed {
        /// Whose.
        who: &'static str,
        /// What was waited for.
        expected: String,
    },
    /// The chat refuses.
    #[error("the chat answers {frame}")]
    Refused {
        /// What came.
        frame: Value,
    },
    /// What has to come does not.
    #[error("{who} got no {expected} within {}", humantime::format_duration(*.limit))]
    Silence {
        /// Who waited.
        who: &'static str,
        /// What for.
        expected: String,
        /// How long the whole check may take.
        limit: Duration,
    },
    /// Something came, and not what was promised.
    #[error("{0}")]
    Broken(String),
}

impl Fault {
    /// What the user can do about it, where that is not the same for all.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::NoKeys { .. } => Some(
                "the provider's `jwks_uri` has to answer with its keys, over TLS by an authority that \
                 everybody knows; the functions reach it directly, whatever proxy or `SSL_CERT_FILE` is \
                 set here, and their logs say what came instead",
            ),
            _ => None,
        }
    }

    /// Whether the protocol itself says that the same may go well the next time.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Refused { frame } => match frame["type"].as_str() {
                Some(_) => frame["code"] == "try-again" || frame["code"] == "too-fast",
                // API Gateway's own: a function failed, or too much was sent at once.
                None => frame["message"].is_string(),
            },
            _ => false,
        }
    }
}

/// Fails with `what` unless `holds`.
pub(super) fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), Fault> {
    if holds {
        Ok(())
    } else {
        Err(Fault::Broken(what()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_the_protocol_says_to_send_again_is_passing() {
        for (frame, expected) in [
            (json!({"type": "error", "code": "try-again"}), true),
            (json!({"type": "error", "code": "too-fast"}), true),
            (json!({"message": "Internal server error"}), true),
            (json!({"message": "Too Many Requests"}), true),
            (json!({"type": "error", "code": "name-taken"}), false),
            (json!("text"), false),
        ] {
            let fault = Fault::Refused { frame };
            assert_eq!(fault.is_passing(), expected, "{fault}");
        }
        assert!(!Fault::Broken(String::new()).is_passing());
    }
}
