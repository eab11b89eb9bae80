//! The outbox: API Gateway's `@connections`, and Lambda for what others are to post.

use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::signed::{Request, SendError, Signer};
use super::{AwsConfig, LOOK_TIMEOUT, POST_TIMEOUT};
use crate::chat::Errand;
use crate::config::Helper;
use crate::ports::{ConnectionId, Delivery, Frame, Outbox, PortError};

/// What a path segment has as it is (RFC 3986, “Unreserved Characters”).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// As a signature for `@connections` names the service.
const EXECUTE_API: &str = "execute-api";

/// Handing over an errand. Lambda puts it into a queue.
const HAND_OVER_TIMEOUT: Duration = Duration::from_secs(1);

/// The waits before further looks at one connection.
const LOOK_PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_millis(300)];

/// Posts frames through `@connections`, each once: whether to try again is decided receiver by receiver.
#[derive(Clone, Debug)]
pub struct ManagementOutbox {
    signer: Signer,
    /// `https://…/<stage>/@connections/`.
    connections: String,
    /// Where errands are handed over, if anywhere.
    invocations: Option<String>,
}

impl ManagementOutbox {
    /// `endpoint` is the stage's `https://` URL.
    #[must_use]
    pub fn new(config: &AwsConfig, endpoint: &str, helper: Option<&Helper>) -> Self {
        Self {
            signer: Signer::new(config),
            connections: format!("{}/@connections/", endpoint.trim_end_matches('/')),
            invocations: helper.map(|helper| {
                let name = utf8_percent_encode(&helper.function, SEGMENT);
                let endpoint = helper.endpoint.trim_end_matches('/');
                format!("{endpoint}/2015-03-31/functions/{name}/invocations")
            }),
        }
    }

    fn uri(&self, id: &ConnectionId) -> String {
        let id = utf8_percent_encode(id.as_str(), SEGMENT);
        format!("{}{id}", self.connections)
    }

    async fn look(&self, uri: &str) -> Result<(), SendError> {
        let nothing = Frame::new(String::new());
        let request = Request {
            method: "GET",
            uri,
            service: EXECUTE_API,
            headers: &[],
            body: nothing.text(),
            digest: nothing.digest(),
            timeout: POST_TIMEOUT,
        };
        self.signer.send(request).await
    }

    async fn look_again(&self, id: &ConnectionId) -> Result<(), SendError> {
        let uri = self.uri(id);
        let mut pauses = LOOK_PAUSES.into_iter();
        loop {
            match (self.look(&uri).await, pauses.next()) {
                (Err(error), Some(pause)) if is_passing(&error) => tokio::time::sleep(pause).await,
                (outcome, _) => return outcome,
            }
        }
    }
}

impl Outbox for ManagementOutbox {
    async fn post(&self, to: &ConnectionId, frame: &Frame) -> Delivery {
        let request = Request {
            method: "POST",
            uri: &self.uri(to),
            service: EXECUTE_API,
            headers: &[("content-type", "application/octet-stream")],
            body: frame.text(),
            digest: frame.digest(),
            timeout: POST_TIMEOUT,
        };
        let Err(error) = self.signer.send(request).await else {
            return Delivery::Delivered;
        };
        let status = error.status();
        let error = PortError::new("post to a connection", error);
        match status {
            Some(410) => Delivery::Gone,
            Some(429) => Delivery::Throttled(error),
            _ => Delivery::Failed(error),
        }
    }

    async fn hand_over(&self, errand: &Errand) -> Result<(), PortError> {
        const ATTEMPT: &str = "hand over an errand";
        let Some(uri) = &self.invocations else {
            return Err(PortError::new(ATTEMPT, "nobody is there to take it"));
        };
        let event = serde_json::json!({ "errand": errand }).to_string();
        let event = Frame::new(event);
        let request = Request {
            method: "POST",
            uri,
            service: "lambda",
            headers: &[("x-amz-invocation-type", "Event")],
            body: event.text(),
            digest: event.digest(),
            timeout: HAND_OVER_TIMEOUT,
        };
        let sent = self.signer.send(request).await;
        sent.map_err(|error| PortError::new(ATTEMPT, error))
    }

    async fn is_connected(&self, id: &ConnectionId) -> Result<bool, PortError> {
        let looked = tokio::time::timeout(LOOK_TIMEOUT, self.look_again(id)).await;
        match looked.unwrap_or(Err(SendError::TimedOut(LOOK_TIMEOUT))) {
            Ok(()) => Ok(true),
            Err(error) if error.status() == Some(410) => Ok(false),
            Err(error) => Err(PortError::new("look at a connection", error)),
        }
    }
}

/// Whether another try may help.
fn is_passing(error: &SendError) -> bool {
    error.status().is_none_or(|code| code == 429 || code >= 500)
}
