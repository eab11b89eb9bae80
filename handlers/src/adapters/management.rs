//! The outbox: API Gateway's `@connections`, and Lambda for what others are to post.

use std::sync::OnceLock;
use std::time::Duration;

use aws_sdk_apigatewaymanagement::Client;
use aws_sdk_apigatewaymanagement::config::{BehaviorVersion, Builder};
use aws_sdk_apigatewaymanagement::error::SdkError;
use aws_sdk_apigatewaymanagement::operation::get_connection::GetConnectionError;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::signed::{Request, Signer};
use super::{AwsConfig, LOOK_TIMEOUT, POST_TIMEOUT, timeouts};
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

/// Posts frames through `@connections`, each once: whether to try again is decided receiver by receiver.
#[derive(Clone, Debug)]
pub struct ManagementOutbox {
    signer: Signer,
    /// `https://…/<stage>/@connections/`.
    connections: String,
    /// Where errands are handed over, if anywhere.
    invocations: Option<String>,
    /// What looks at a connection is made of, and what looks, once it is needed: making it takes longer
    /// than all else in a start, and looks are rare.
    looks: Builder,
    looker: OnceLock<Client>,
}

impl ManagementOutbox {
    /// `endpoint` is the stage's `https://` URL.
    #[must_use]
    pub fn new(config: &AwsConfig, endpoint: &str, helper: Option<&Helper>) -> Self {
        let looks = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(config.region.clone())
            .credentials_provider(config.credentials.clone())
            .http_client(config.http_client.clone())
            .timeout_config(timeouts(LOOK_TIMEOUT))
            .endpoint_url(endpoint);
        Self {
            signer: Signer::new(config),
            connections: format!("{}/@connections/", endpoint.trim_end_matches('/')),
            invocations: helper.map(|helper| {
                let name = utf8_percent_encode(&helper.function, SEGMENT);
                let endpoint = helper.endpoint.trim_end_matches('/');
                format!("{endpoint}/2015-03-31/functions/{name}/invocations")
            }),
            looks,
            looker: OnceLock::new(),
        }
    }

    fn uri(&self, id: &ConnectionId) -> String {
        let id = utf8_percent_encode(id.as_str(), SEGMENT);
        format!("{}{id}", self.connections)
    }

    fn looker(&self) -> &Client {
        self.looker
            .get_or_init(|| Client::from_conf(self.looks.clone().build()))
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
        let look = self.looker().get_connection().connection_id(id.as_str());
        match look.send().await {
            Ok(_) => Ok(true),
            Err(error) if is_gone(&error) => Ok(false),
            Err(error) => Err(PortError::new("look at a connection", error)),
        }
    }
}

/// `410 Gone`, by the error's name or, should a proxy have dropped that header, by the status.
fn is_gone(error: &SdkError<GetConnectionError>) -> bool {
    error
        .as_service_error()
        .is_some_and(GetConnectionError::is_gone_exception)
        || error
            .raw_response()
            .is_some_and(|response| response.status().as_u16() == 410)
}
