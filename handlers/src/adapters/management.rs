//! The outbox on API Gateway's `@connections`.

use aws_sdk_apigatewaymanagement::config::retry::RetryConfig;
use aws_sdk_apigatewaymanagement::config::timeout::TimeoutConfig;
use aws_sdk_apigatewaymanagement::config::{BehaviorVersion, Builder};
use aws_sdk_apigatewaymanagement::error::SdkError;
use aws_sdk_apigatewaymanagement::operation::get_connection::GetConnectionError;
use aws_sdk_apigatewaymanagement::operation::post_to_connection::PostToConnectionError;
use aws_sdk_apigatewaymanagement::primitives::Blob;
use aws_sdk_apigatewaymanagement::{Client, Config};

use super::{AwsConfig, LOOK_TIMEOUT, POST_TIMEOUT, timeouts};
use crate::ports::{ConnectionId, Delivery, Outbox, PortError};

/// Posts frames through `@connections`, each once. The SDK does not retry: its retries share one budget,
/// so that some receivers that are throttled would take it from all others.
#[derive(Clone, Debug)]
pub struct ManagementOutbox {
    client: Client,
}

impl ManagementOutbox {
    /// `endpoint` is the stage's `https://` URL.
    #[must_use]
    pub fn new(config: &AwsConfig, endpoint: &str) -> Self {
        let config = Builder::new()
            .behavior_version(BehaviorVersion::latest())
            .region(config.region.clone())
            .credentials_provider(config.credentials.clone())
            .http_client(config.http_client.clone())
            .timeout_config(timeouts(LOOK_TIMEOUT))
            .endpoint_url(endpoint)
            .build();
        Self {
            client: Client::from_conf(config),
        }
    }
}

impl Outbox for ManagementOutbox {
    async fn post(&self, to: &ConnectionId, frame: &str) -> Delivery {
        let data = Blob::new(frame.as_bytes());
        match self
            .client
            .post_to_connection()
            .connection_id(to.as_str())
            .data(data)
            .customize()
            .config_override(
                Config::builder()
                    .retry_config(RetryConfig::disabled())
                    .timeout_config(
                        TimeoutConfig::builder()
                            .operation_timeout(POST_TIMEOUT)
                            .build(),
                    ),
            )
            .send()
            .await
        {
            Ok(_) => Delivery::Delivered,
            Err(error) if is_gone(&error, PostToConnectionError::is_gone_exception) => {
                Delivery::Gone
            }
            Err(error) if status(&error) == Some(429) => {
                Delivery::Throttled(PortError::new("post to a connection", error))
            }
            Err(error) => Delivery::Failed(PortError::new("post to a connection", error)),
        }
    }

    async fn is_connected(&self, id: &ConnectionId) -> Result<bool, PortError> {
        match self
            .client
            .get_connection()
            .connection_id(id.as_str())
            .send()
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if is_gone(&error, GetConnectionError::is_gone_exception) => Ok(false),
            Err(error) => Err(PortError::new("look at a connection", error)),
        }
    }
}

/// `410 Gone`, by the error's name or, should a proxy have dropped that header, by the status.
fn is_gone<E>(error: &SdkError<E>, is_gone_exception: impl Fn(&E) -> bool) -> bool {
    error.as_service_error().is_some_and(is_gone_exception) || status(error) == Some(410)
}

fn status<E>(error: &SdkError<E>) -> Option<u16> {
    error
        .raw_response()
        .map(|response| response.status().as_u16())
}
