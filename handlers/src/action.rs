//! Route `$default`: every frame of every client.

use std::time::Duration;

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;

use crate::chat::Chat;
use crate::event::{Outcome, connection_id, reply};
use crate::log;
use crate::ports::{Outbox, Store};

/// How long a frame may take: less than the 29 s that API Gateway and the function's own timeout give,
/// so that running out of time is an error with a log line, and not a process that is killed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(25);

/// Answers one frame. The reply travels back as the integration's response.
///
/// # Errors
/// An error when it took too long, and for an event of something else than a WebSocket API.
pub async fn handle(
    chat: &Chat<impl Store, impl Outbox>,
    event: &ApiGatewayWebsocketProxyRequest,
) -> Outcome {
    let id = connection_id(event)?;
    log::connection(&id);
    log::event("invalid");
    // Always text: API Gateway closes a connection that sends a binary frame, with code 1003.
    let frame = event.body.as_deref().unwrap_or_default();
    let answer = tokio::time::timeout(ANSWER_TIMEOUT, chat.answer(&id, frame));
    let answer = answer.await;
    log::posted(chat.take_tally());
    let frame = answer?;
    log::answered(&frame);
    Ok(reply(frame.to_json()))
}
