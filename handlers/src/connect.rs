//! Route `$connect`: the handshake waits for this function, and a status other than 2xx refuses it.

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;

use crate::event::{Outcome, connection_id, is, status};
use crate::origin::AllowedOrigins;
use crate::ports::{Clock, Store};
use crate::{chat, log};

/// Records the connection, if its page may be where it is.
///
/// # Errors
/// An error for an event of something else than a WebSocket API.
pub async fn handle(
    store: &impl Store,
    clock: &dyn Clock,
    origins: &AllowedOrigins,
    event: &ApiGatewayWebsocketProxyRequest,
) -> Outcome {
    let id = connection_id(event)?;
    log::connection(&id);
    if !is(event, "CONNECT") {
        return Ok(status(400));
    }
    log::event("connect");
    if !origins.admit(event) {
        return Ok(status(403));
    }
    Ok(match chat::arrive(store, clock, &id, None).await {
        Ok(()) => status(200),
        Err(error) => {
            log::error("a connection was refused", &error);
            status(503)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::memory::{MemoryStore, SetClock};
    use crate::event::tests::event;
    use crate::ports::ConnectionId;

    #[tokio::test]
    async fn a_connect_event_is_recorded_and_any_other_changes_nothing() {
        let (store, clock) = (MemoryStore::default(), SetClock::default());
        for (kind, status_code, traces) in [("MESSAGE", 400, 0), ("CONNECT", 200, 2)] {
            let response = handle(&store, &clock, &AllowedOrigins::Any, &event(kind))
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
        let origins = AllowedOrigins::parse("https://chat.example").expect("a list");
        let response = handle(&store, &clock, &origins, &event("CONNECT")).await;
        assert_eq!(response.expect("a response").status_code, 403);
        assert!(store.traces_of(&ConnectionId::new("a")).is_empty());
    }

    #[tokio::test]
    async fn what_cannot_be_recorded_is_refused() {
        let store = MemoryStore::default();
        store.fail(true);
        let response = handle(
            &store,
            &SetClock::default(),
            &AllowedOrigins::Any,
            &event("CONNECT"),
        )
        .await;
        assert_eq!(response.expect("a response").status_code, 503);
    }
}
