//! Route `$disconnect`: API Gateway tries to deliver it once, so everything here may also have to be
//! done later by whoever finds the connection gone.

use aws_lambda_events::apigw::ApiGatewayWebsocketProxyRequest;

use crate::chat::Chat;
use crate::event::{Outcome, connection_id, is, status, time_open};
use crate::log;
use crate::ports::{Outbox, Store};

/// Removes the connection and whatever it held, and tells its room.
///
/// # Errors
/// An error when it could not, so that it shows in the function's metrics.
pub async fn handle(
    chat: &Chat<impl Store, impl Outbox>,
    event: &ApiGatewayWebsocketProxyRequest,
) -> Outcome {
    let id = connection_id(event)?;
    log::connection(&id);
    if !is(event, "DISCONNECT") {
        return Ok(status(400));
    }
    log::event("disconnect");
    log::connected(time_open(event));
    let departed = chat.depart(&id).await;
    log::posted(chat.take_tally());
    departed?;
    Ok(status(200))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    use crate::chat::memory::{MemoryOutbox, MemoryStore, SetClock, Stuttering};
    use crate::event::tests::event;
    use crate::ports::{ConnectionId, Timestamp};

    fn chat(store: &MemoryStore) -> Chat<MemoryStore, MemoryOutbox> {
        Chat::new(
            store.clone(),
            MemoryOutbox::default(),
            SetClock::default(),
            Stuttering::default(),
            Duration::from_hours(1),
        )
    }

    #[tokio::test]
    async fn a_disconnect_event_removes_the_connection_and_any_other_changes_nothing() {
        let (store, id) = (MemoryStore::default(), ConnectionId::new("a"));
        let chat = chat(&store);
        store
            .open(&id, Timestamp::from_seconds(1))
            .await
            .expect("opened");
        for (kind, status_code, traces) in [("MESSAGE", 400, 2), ("DISCONNECT", 200, 0)] {
            let response = handle(&chat, &event(kind)).await.expect("a response");
            assert_eq!(response.status_code, status_code, "{kind}");
            assert_eq!(store.traces_of(&id).len(), traces, "{kind}");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_removed_is_an_error() {
        let store = MemoryStore::default();
        store.fail(true);
        handle(&chat(&store), &event("DISCONNECT"))
            .await
            .expect_err("an error");
    }
}
