//! Route `$disconnect`: API Gateway tries to deliver it once, so everything here may also have to be
//! done later by whoever finds the connection gone.

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;

use crate::chat;
use crate::event::{Outcome, connection_id, is, status};
use crate::ports::Store;

/// Removes the connection and whatever it held.
///
/// # Errors
/// An error when it could not, so that it shows in the function's metrics.
pub async fn handle(store: &impl Store, event: &ApiGatewayWebsocketProxyRequest) -> Outcome {
    let id = connection_id(event)?;
    if !is(event, "DISCONNECT") {
        return Ok(status(400));
    }
    chat::depart(store, &id).await?;
    Ok(status(200))
}
