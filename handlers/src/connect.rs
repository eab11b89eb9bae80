//! Route `$connect`: the handshake waits for this function, and a status other than 2xx refuses it.

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;

use crate::event::{Outcome, connection_id, is, status};
use crate::ports::{Clock, Store};
use crate::{chat, log};

/// Records the connection.
///
/// # Errors
/// An error for an event of something else than a WebSocket API.
pub async fn handle(
    store: &impl Store,
    clock: &dyn Clock,
    event: &ApiGatewayWebsocketProxyRequest,
) -> Outcome {
    let id = connection_id(event)?;
    if !is(event, "CONNECT") {
        return Ok(status(400));
    }
    Ok(match chat::arrive(store, clock, &id).await {
        Ok(()) => status(200),
        Err(error) => {
            log::error("a connection was refused", &error);
            status(503)
        }
    })
}
