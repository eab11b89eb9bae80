//! What the functions share about API Gateway's events and their responses.

use std::time::Duration;

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use aws_lambda_events::encodings::Body;
use serde::Deserialize;

use crate::chat::Errand;
use crate::ports::ConnectionId;

/// How a function ends: with a response, or with an error that Lambda counts and API Gateway answers
/// with `Internal server error`.
pub type Outcome = Result<ApiGatewayProxyResponse, Box<dyn std::error::Error + Send + Sync>>;

/// What the action function is invoked with.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum ActionEvent {
    /// By this stack's functions: a part of a fan-out.
    Errand(ErrandEvent),
    /// By API Gateway: a frame.
    Message(Box<ApiGatewayWebsocketProxyRequest>),
}

/// An errand, and nothing else: API Gateway's events always have a `requestContext`, and a client has
/// no part in the names of their fields, so no frame can pass for one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ErrandEvent {
    /// What is to be done.
    pub errand: Errand,
}

/// The connection that an event is about.
///
/// # Errors
/// An error for an event without a connection, which API Gateway never sends.
pub fn connection_id(
    event: &ApiGatewayWebsocketProxyRequest,
) -> Result<ConnectionId, NoConnection> {
    event
        .request_context
        .connection_id
        .as_deref()
        .map(ConnectionId::new)
        .ok_or(NoConnection)
}

/// The event is none of a WebSocket API.
#[derive(Debug, thiserror::Error)]
#[error(
    "the event has no `requestContext.connectionId`; hint: invoke this function from a WebSocket API"
)]
pub struct NoConnection;

/// For how long the connection was open when the event was sent; `None` where the event does not say.
#[must_use]
pub fn time_open(event: &ApiGatewayWebsocketProxyRequest) -> Option<Duration> {
    let context = &event.request_context;
    let open = context
        .request_time_epoch
        .checked_sub(context.connected_at)?;
    let is_known = context.connected_at > 0;
    let millis = u64::try_from(open).ok().filter(|_| is_known)?;
    Some(Duration::from_millis(millis))
}

/// Whether API Gateway sent the event for the given moment of a connection. A client could otherwise
/// name a route like `$disconnect` in a frame, should API Gateway ever let it.
#[must_use]
pub fn is(event: &ApiGatewayWebsocketProxyRequest, event_type: &str) -> bool {
    event.request_context.event_type.as_deref() == Some(event_type)
}

/// A response with a status alone.
#[must_use]
pub fn status(status_code: i64) -> ApiGatewayProxyResponse {
    let mut response = ApiGatewayProxyResponse::default();
    response.status_code = status_code;
    response
}

/// A response whose body API Gateway sends back to the client.
#[must_use]
pub fn reply(frame: String) -> ApiGatewayProxyResponse {
    let mut response = status(200);
    response.body = Some(Body::Text(frame));
    response
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An event of a kind, about the connection `a`.
    pub(crate) fn event(kind: &str) -> ApiGatewayWebsocketProxyRequest {
        let mut event = ApiGatewayWebsocketProxyRequest::default();
        event.request_context.connection_id = Some("a".to_owned());
        event.request_context.event_type = Some(kind.to_owned());
        event
    }

    const ERRAND: &str = r#"{"room":"lobby","frame":"{}","receivers":[["b=","b=",null,1]]}"#;

    #[test]
    fn an_errand_is_known_by_having_nothing_else() {
        let event = format!(r#"{{"errand":{ERRAND}}}"#);
        let read: ActionEvent = serde_json::from_str(&event).expect("an event");
        assert!(matches!(read, ActionEvent::Errand(_)), "{read:?}");
    }

    #[test]
    fn no_frame_passes_for_an_errand() {
        let context = r#""requestContext":{"connectionId":"a","eventType":"MESSAGE"}"#;
        let body = serde_json::Value::String(format!(r#"{{"errand":{ERRAND}}}"#));
        let of_api_gateway = format!(r#"{{{context},"body":{body},"isBase64Encoded":false}}"#);
        let both = format!(r#"{{{context},"errand":{ERRAND}}}"#);
        let bare = format!(r#"{{"body":{body}}}"#);
        for event in [of_api_gateway, both, bare] {
            let read = serde_json::from_str::<ActionEvent>(&event);
            assert!(!matches!(read, Ok(ActionEvent::Errand(_))), "{event}");
        }
    }

    #[test]
    fn an_event_without_a_connection_is_an_error() {
        let event = ApiGatewayWebsocketProxyRequest::default();
        assert!(connection_id(&event).is_err());
    }
}
