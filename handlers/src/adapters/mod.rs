//! The ports, on AWS: DynamoDB, `@connections`, the operating system's clock and randomness. Nothing
//! else in this crate names an AWS SDK. Posts and errands are sent without one (`signed.rs`).

mod dynamodb;
mod http;
mod keys;
mod management;
mod signature;
mod signed;
#[cfg(test)]
mod tests;

use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{Credentials, Region, SharedHttpClient};
use aws_smithy_runtime_api::client::http::SharedHttpConnector;

pub use dynamodb::DynamoStore;
pub use http::AuthorityError;
pub use keys::HttpKeys;
pub use management::ManagementOutbox;

use crate::config::Settings;
use crate::ports::{Clock, PortError, Randomness, Timestamp};

/// One try of a call. Both services answer in milliseconds; a try that takes this long is lost.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// A call with the SDK's retries, well below the 29 s that API Gateway waits for an integration.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(8);

/// Looking at one connection, with all tries.
const LOOK_TIMEOUT: Duration = Duration::from_secs(3);

/// One post. The sender waits for its own message as long as the slowest receiver takes.
const POST_TIMEOUT: Duration = Duration::from_secs(1);

/// What the clients of both services have in common; they share one connection pool.
#[expect(missing_debug_implementations, reason = "holds credentials")]
pub struct AwsConfig {
    region: Region,
    credentials: Credentials,
    connector: SharedHttpConnector,
    http_client: SharedHttpClient,
}

/// Puts together what the clients share. `endpoints` are those that will be called beside DynamoDB.
///
/// # Errors
/// [`AuthorityError`], if the file of certificate authorities that the settings name is of no use.
pub fn aws_config(settings: &Settings, endpoints: &[&str]) -> Result<AwsConfig, AuthorityError> {
    let credentials = &settings.credentials;
    let dynamodb = settings.dynamodb_endpoint.as_deref();
    let security = http::Security::of(
        &settings.authorities,
        dynamodb.into_iter().chain(endpoints.iter().copied()),
        dynamodb.is_none().then_some(settings.region.as_str()),
    );
    let connector = http::connector(security)?;
    Ok(AwsConfig {
        region: Region::new(settings.region.clone()),
        credentials: Credentials::new(
            &credentials.access_key_id,
            &credentials.secret_access_key,
            credentials.session_token.clone(),
            None,
            "environment",
        ),
        http_client: http::client(&connector),
        connector,
    })
}

fn timeouts(operation: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(operation)
        .build()
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
