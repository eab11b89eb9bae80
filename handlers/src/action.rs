//! Route `$default`: every frame of every client.

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::chat::Chat;
use crate::event::{Outcome, connection_id, reply};
use crate::ports::{Outbox, Store};

/// Answers one frame. The reply travels back as the integration's response.
///
/// # Errors
/// An error for an event of something else than a WebSocket API.
pub async fn handle(
    chat: &Chat<impl Store, impl Outbox>,
    event: &ApiGatewayWebsocketProxyRequest,
) -> Outcome {
    let id = connection_id(event)?;
    Ok(reply(chat.answer(&id, &text_of(event)).await.to_json()))
}

/// The frame as text. API Gateway hands over a binary frame in base64; what is not UTF-8 in it is no
/// JSON either, and is answered as such.
fn text_of(event: &ApiGatewayWebsocketProxyRequest) -> String {
    let body = event.body.clone().unwrap_or_default();
    if !event.is_base64_encoded {
        return body;
    }
    let bytes = STANDARD.decode(body).unwrap_or_default();
    String::from_utf8(bytes).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(body: &str, is_base64_encoded: bool) -> ApiGatewayWebsocketProxyRequest {
        let mut event = ApiGatewayWebsocketProxyRequest::default();
        event.body = Some(body.to_owned());
        event.is_base64_encoded = is_base64_encoded;
        event
    }

    #[test]
    fn a_binary_frame_is_read_as_the_text_it_holds() {
        assert_eq!(
            text_of(&event("eyJ0eXBlIjoicGluZyJ9", true)),
            r#"{"type":"ping"}"#
        );
        assert_eq!(text_of(&event("/w==", true)), "");
        assert_eq!(text_of(&event("/w==", false)), "/w==");
        assert_eq!(text_of(&ApiGatewayWebsocketProxyRequest::default()), "");
    }
}
