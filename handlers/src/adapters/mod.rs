//! The ports, on AWS: DynamoDB, `@connections`, the operating system's clock and randomness. Nothing
//! else in this crate names an AWS SDK.

mod dynamodb;
mod management;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{Credentials, Region, SharedHttpClient};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};

pub use dynamodb::DynamoStore;
pub use management::ManagementOutbox;

use crate::config::Settings;
use crate::ports::{Clock, PortError, Randomness, Timestamp};

/// One try of a call. Both services answer in milliseconds; a try that takes this long is lost.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// A call with the SDK's retries, well below the 29 s that API Gateway waits for an integration.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(8);

/// Looking at one connection, with the SDK's retries.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);

/// One post. The sender waits for its own message as long as the slowest receiver takes.
const POST_TIMEOUT: Duration = Duration::from_secs(1);

/// What the clients of both services have in common; they share one connection pool.
#[expect(missing_debug_implementations, reason = "holds credentials")]
pub struct AwsConfig {
    region: Region,
    credentials: Credentials,
    http_client: SharedHttpClient,
}

/// Puts together what the clients share. `endpoints` are those that will be called beside DynamoDB.
#[must_use]
pub fn aws_config(settings: &Settings, endpoints: &[&str]) -> AwsConfig {
    let credentials = &settings.credentials;
    let plain = |endpoint: &str| endpoint.starts_with("http://");
    let all_plain = settings.dynamodb_endpoint.as_deref().is_some_and(plain)
        && endpoints.iter().all(|endpoint| plain(endpoint));
    AwsConfig {
        region: Region::new(settings.region.clone()),
        credentials: Credentials::new(
            &credentials.access_key_id,
            &credentials.secret_access_key,
            credentials.session_token.clone(),
            None,
            "environment",
        ),
        http_client: http_client(all_plain),
    }
}

fn timeouts(operation: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(operation)
        .build()
}

/// The SDKs' own HTTP client, with the proxy of the environment, which they do not look at by
/// themselves. Without TLS (`plain`) the root certificates, a good part of a cold start, stay unread.
fn http_client(plain: bool) -> SharedHttpClient {
    Builder::new().build_with_connector_fn(move |settings, components| {
        let mut builder = Connector::builder().proxy_config(ProxyConfig::from_env());
        if let Some(settings) = settings {
            builder = builder.connector_settings(settings.clone());
        }
        if let Some(components) = components {
            builder.set_sleep_impl(components.sleep_impl());
        }
        if plain {
            builder.build_http()
        } else {
            builder
                .tls_provider(Provider::Rustls(CryptoMode::Ring))
                .build()
        }
    })
}

/// The operating system's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let since = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::from_millis(0).after(since)
    }
}

/// The operating system's randomness.
#[derive(Clone, Copy, Debug)]
pub struct OsRandomness;

impl Randomness for OsRandomness {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), PortError> {
        getrandom::fill(bytes).map_err(|error| PortError::new("get randomness", error))
    }
}
