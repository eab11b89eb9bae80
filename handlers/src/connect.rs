//! Route `$connect`: the handshake waits for this function, and a status other than 2xx refuses it.

use aws_lambda_events::apigw::{ApiGatewayProxyResponse, ApiGatewayWebsocketProxyRequest};
use http::HeaderValue;
use http::header::SEC_WEBSOCKET_PROTOCOL;

use crate::authorize::{self, PROTOCOL};
use crate::config::ConnectSettings;
use crate::event::{Outcome, connection_id, is, status};
use crate::ports::{Clock, Store};
use crate::{chat, log};

/// Records the connection, if its page may be where it is, with who has signed in.
///
/// # Errors
/// An error for an event of something else than a WebSocket API.
pub async fn handle(
    store: &impl Store,
    clock: &dyn Clock,
    settings: &ConnectSettings,
    event: &ApiGatewayWebsocketProxyRequest,
) -> Outcome {
    let id = connection_id(event)?;
    log::connection(&id);
    if !is(event, "CONNECT") {
        return Ok(status(400));
    }
    log::event("connect");
    if !settings.origins.admit(event) {
        return Ok(status(403));
    }
    let identity = authorize::identity(&event.request_context.authorizer.fields);
    if settings.sign_in && identity.is_none() {
        return Ok(status(403));
    }
    Ok(
        match chat::arrive(store, clock, &id, identity.as_ref()).await {
            Ok(()) => accepted(event),
            Err(error) => {
                log::error("a connection was refused", &error);
                status(503)
            }
        },
    )
}

/// Whoever signs in offers two protocols, and a browser hangs up where none of them is chosen: one that has been
/// open since before signing in was switched off as well.
fn accepted(event: &ApiGatewayWebsocketProxyRequest) -> ApiGatewayProxyResponse {
    let mut response = status(200);
    let headers = [&event.headers, &event.multi_value_headers];
    if headers.into_iter().any(authorize::offers_protocol) {
        let protocol = HeaderValue::from_static(PROTOCOL);
        response.headers.insert(SEC_WEBSOCKET_PROTOCOL, protocol);
    }
    response
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::chat::memory::{MemoryStore, SetClock};
    use crate::event::tests::event;
    use crate::origin::AllowedOrigins;
    use crate::ports::{ConnectionId, Timestamp};

    const OPEN: ConnectSettings = ConnectSettings {
        origins: AllowedOrigins::Any,
        sign_in: false,
    };

    #[tokio::test]
    async fn a_connect_event_is_recorded_and_any_other_changes_nothing() {
        let (store, clock) = (MemoryStore::default(), SetClock::default());
        for (kind, status_code, traces) in [("MESSAGE", 400, 0), ("CONNECT", 200, 2)] {
            let response = handle(&store, &clock, &OPEN, &event(kind))
                .await
                .expect("a response");
            assert_eq!(response.status_code, status_code, "{kind}");
            assert_eq!(
                store.traces_of(&ConnectionId::new("a")).len(),
                traces,
                "{kind}"
            );
        }
    }

    #[tokio::test]
    async fn a_foreign_page_is_refused_before_anything_is_stored() {
        let (store, clock) = (MemoryStore::default(), SetClock::default());
        let settings = ConnectSettings {
            origins: AllowedOrigins::parse("https://chat.example").expect("a list"),
            ..OPEN
        };
        let response = handle(&store, &clock, &settings, &event("CONNECT")).await;
        assert_eq!(response.expect("a response").status_code, 403);
        assert!(store.traces_of(&ConnectionId::new("a")).is_empty());
    }

    fn offering(protocols: &'static str) -> ApiGatewayWebsocketProxyRequest {
        let mut event = event("CONNECT");
        let protocols = HeaderValue::from_static(protocols);
        event.headers.insert("Sec-WebSocket-Protocol", protocols);
        event
    }

    fn vouched_for(context: &serde_json::Value) -> ApiGatewayWebsocketProxyRequest {
        let mut event = offering("chatctl, bearer.x");
        let fields = context.as_object().expect("fields").clone();
        event.request_context.authorizer.fields = fields.into_iter().collect();
        event
    }

    #[tokio::test]
    async fn who_has_signed_in_is_in_the_record_and_is_answered_the_protocol() {
        let (store, clock) = (MemoryStore::default(), SetClock::default());
        let signed = ConnectSettings {
            sign_in: true,
            ..OPEN
        };
        let context = json!({"principalId": "signed-in", "subject": "s%251", "name": "Ann %C3%A9"});
        let response = handle(&store, &clock, &signed, &vouched_for(&context)).await;
        let response = response.expect("a response");
        assert_eq!(response.status_code, 200);
        assert_eq!(response.headers["sec-websocket-protocol"], "chatctl");
        let id = ConnectionId::new("a");
        let record = store.connection(&id, Timestamp::default());
        let record = record.await.expect("it works").expect("there");
        let identity = record.identity.expect("signed in");
        assert_eq!(identity.subject, "s%1");
        assert_eq!(identity.name.shown(), "Ann \u{e9}");
    }

    #[tokio::test]
    async fn where_people_sign_in_nobody_comes_in_whom_the_authorizer_does_not_name() {
        let (store, clock) = (MemoryStore::default(), SetClock::default());
        let signed = ConnectSettings {
            sign_in: true,
            ..OPEN
        };
        for context in [
            json!({}),
            json!({"principalId": "signed-in"}),
            json!({"subject": "1"}),
            json!({"name": "ann"}),
            json!({"subject": "", "name": "ann"}),
            json!({"subject": "1", "name": "\u{200b}"}),
            json!({"subject": 1, "name": "ann"}),
        ] {
            let response = handle(&store, &clock, &signed, &vouched_for(&context)).await;
            assert_eq!(response.expect("a response").status_code, 403, "{context}");
        }
        assert!(store.traces_of(&ConnectionId::new("a")).is_empty());
        let open = handle(&store, &clock, &OPEN, &event("CONNECT")).await;
        let open = open.expect("a response");
        assert_eq!((open.status_code, open.headers.len()), (200, 0));
    }

    #[tokio::test]
    async fn the_protocol_is_answered_to_whoever_offers_it_and_to_nobody_else() {
        let (store, clock) = (MemoryStore::default(), SetClock::default());
        let mut repeated = event("CONNECT");
        for line in ["bearer.x", "chatctl"] {
            let (headers, line) = (
                &mut repeated.multi_value_headers,
                HeaderValue::from_static(line),
            );
            headers.append("Sec-WebSocket-Protocol", line);
        }
        for (event, expected) in [
            (offering("chatctl, bearer.x"), true),
            (offering("bearer.x,chatctl"), true),
            (offering("chatctl"), true),
            (repeated, true),
            (event("CONNECT"), false),
            (offering("bearer.x"), false),
            (offering("chatctl2, mqtt"), false),
            (offering(""), false),
        ] {
            let response = handle(&store, &clock, &OPEN, &event).await;
            let response = response.expect("a response");
            assert_eq!(response.status_code, 200);
            let chosen = response.headers.get("sec-websocket-protocol");
            assert_eq!(chosen.is_some_and(|it| it == "chatctl"), expected);
            assert_eq!(response.headers.is_empty(), !expected);
        }
    }

    #[tokio::test]
    async fn what_cannot_be_recorded_is_refused() {
        let store = MemoryStore::default();
        store.fail(true);
        let response = handle(&store, &SetClock::default(), &OPEN, &event("CONNECT")).await;
        assert_eq!(response.expect("a response").status_code, 503);
    }
}
