//! Route `$default`: every frame of every client. And errands of this stack's own functions.

use std::time::Duration;

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;

use crate::chat::{Chat, Errand};
use crate::event::{ActionEvent, ErrandEvent, Outcome, connection_id, reply, status};
use crate::log;
use crate::ports::{Outbox, Store};

/// How long a frame may take: less than the 29 s that API Gateway and the function's own timeout give,
/// so that running out of time is an error with a log line, and not a process that is killed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(25);

/// Answers one frame, or carries out an errand.
///
/// # Errors
/// An error when it took too long, and for an event of something else than a WebSocket API.
pub async fn handle(chat: &Chat<impl Store, impl Outbox>, event: ActionEvent) -> Outcome {
    match event {
        ActionEvent::Message(event) => answer(chat, &event).await,
        ActionEvent::Errand(ErrandEvent { errand }) => run_errand(chat, errand).await,
    }
}

/// Carries out an errand. Nobody waits for the response.
async fn run_errand(chat: &Chat<impl Store, impl Outbox>, errand: Errand) -> Outcome {
    log::event("errand");
    let run = tokio::time::timeout(ANSWER_TIMEOUT, chat.run_errand(errand)).await;
    log::posted(chat.take_tally());
    run?;
    Ok(status(200))
}

/// Answers one frame. The reply travels back as the integration's response.
async fn answer(
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
