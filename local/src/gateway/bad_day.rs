//! Faults of `@connections` and of clients, where they strike. When they strike is the business of
//! `crate::faults`.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Response, StatusCode};
use tokio_tungstenite::tungstenite::Message;

use super::connections::{Closing, Connection, QueueFull};
use super::management::{failure, gone};
use crate::faults::PostFault;

/// How often a slow client takes a message.
const SLOW_PAUSE: Duration = Duration::from_secs(1);

/// Bytes queued for a slow client at most: little enough for its buffer to fill within seconds in a
/// room where people talk.
pub(super) const SLOW_QUEUE_BYTES_MAX: usize = 32 * 1024;

/// The answer to a request that a fault refuses.
pub(super) fn refusal(
    fault: Option<PostFault>,
    connection: Option<&Arc<Connection>>,
) -> Option<Response<Full<Bytes>>> {
    match fault? {
        PostFault::Throttle => Some(failure(
            StatusCode::TOO_MANY_REQUESTS,
            "LimitExceededException",
            "Too Many Requests",
        )),
        PostFault::ServerError => Some(failure(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalServerErrorException",
            "Internal server error",
        )),
        PostFault::Gone => {
            if let Some(connection) = connection {
                connection.close(Closing {
                    code: 1001,
                    reason: "Going away",
                });
            }
            Some(gone())
        }
        PostFault::Lose | PostFault::Delay(_) => None,
    }
}

/// Queues a message for the client, unless a fault loses or delays it.
pub(super) fn deliver(
    connection: &Arc<Connection>,
    message: Message,
    fault: Option<PostFault>,
) -> Result<(), QueueFull> {
    match fault {
        Some(PostFault::Lose) => Ok(()),
        Some(PostFault::Delay(delay)) => {
            let connection = Arc::clone(connection);
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                // It was accepted: what does not fit now is lost.
                drop(connection.send(message));
            });
            Ok(())
        }
        _ => connection.send(message),
    }
}

/// Waits until the client takes its next message: not at all, unless it is a slow one.
pub(super) async fn client_takes(connection: &Connection) {
    if connection.is_slow() {
        tokio::time::sleep(SLOW_PAUSE).await;
    }
}
