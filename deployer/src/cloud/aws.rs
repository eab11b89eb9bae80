//! The cloud's traits on AWS. Nothing else in this program names an AWS SDK.
//!
//! # Layout
//! * `stacks`: CloudFormation.
//! * `buckets`: S3.
//! * `caller`: whom AWS takes the caller for, and what the account is allowed.
//! * `distributions`: CloudFront.
//! * `functions`: Lambda.
//! * `history`: CloudFormation, what has become of a stack, drift included.
//! * `logs`: CloudWatch Logs.
//! * `metrics`: CloudWatch's metrics and alarms.
//! * `presence`: what is there, of each service.
//! * `templates`: CloudFormation's copies of templates.

mod buckets;
mod caller;
mod distributions;
mod functions;
mod history;
mod logs;
mod metrics;
mod presence;
mod stacks;
mod templates;
#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_cloudformation::config::SharedHttpClient;
use aws_sdk_cloudformation::config::retry::RetryConfig;
use aws_sdk_cloudformation::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::{Builder, Connector};

use super::CloudError;

/// Tries of a call. Throttling is normal while a stack is followed, and each try waits longer.
const ATTEMPTS_MAX: u32 = 8;

/// One try. What is put has the time that its size needs.
const ATTEMPT_TIMEOUT: Duration = Duration::from_mins(2);

/// A call with its tries.
const OPERATION_TIMEOUT: Duration = Duration::from_mins(5);

/// What the SDK says first of any connection that fails, which tells nobody anything.
const LAYERS: &str = "dispatch failure: io error: client error (Connect): ";

/// Where in AWS, and as whom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Account {
    /// Otherwise that of the environment or the profile.
    pub(crate) region: Option<String>,
    /// Otherwise that of the environment.
    pub(crate) profile: Option<String>,
}

/// AWS, with the credentials and the Region that were found.
#[derive(Debug)]
pub(crate) struct Aws {
    stacks: aws_sdk_cloudformation::Client,
    buckets: aws_sdk_s3::Client,
    distributions: aws_sdk_cloudfront::Client,
    functions: aws_sdk_lambda::Client,
    tables: aws_sdk_dynamodb::Client,
    metrics: aws_sdk_cloudwatch::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    callers: aws_sdk_sts::Client,
    /// The Region.
    pub(crate) region: String,
}

impl Aws {
    /// Finds credentials and Region: environment, profiles, SSO, instance roles.
    ///
    /// # Errors
    /// [`CloudError`], if there are none, so that nothing is built in vain.
    pub(crate) async fn connect(account: &Account) -> Result<Self, CloudError> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http_client())
            .retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS_MAX))
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                    .operation_timeout(OPERATION_TIMEOUT)
                    .build(),
            );
        if let Some(region) = &account.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(profile) = &account.profile {
            // Named, it goes before credentials in the environment, as in AWS's own tools; the SDK's
            // default order is the other way round.
            let region = account.region.clone().map(Region::new);
            let settings = ProviderConfig::without_region()
                .with_http_client(http_client())
                .with_region(region);
            let credentials = ProfileFileCredentialsProvider::builder()
                .configure(&settings)
                .profile_name(profile)
                .build();
            loader = loader
                .profile_name(profile)
                .credentials_provider(credentials);
        }
        let config = loader.load().await;
        let provider = config
            .credentials_provider()
            .ok_or_else(|| CloudError::of_credentials("nothing provides credentials"))?;
        let found = provider.provide_credentials().await;
        found.map_err(|error| CloudError::of_credentials(&sentence(&error)))?;
        let region = config.region().ok_or(CloudError::NoRegion)?.to_string();
        Ok(Self::of(&config, region))
    }

    fn of(config: &SdkConfig, region: String) -> Self {
        // A bucket's own host name resolves anywhere but at another endpoint.
        let buckets = aws_sdk_s3::config::Builder::from(config)
            .force_path_style(config.endpoint_url().is_some())
            .build();
        Self {
            stacks: aws_sdk_cloudformation::Client::new(config),
            buckets: aws_sdk_s3::Client::from_conf(buckets),
            distributions: aws_sdk_cloudfront::Client::new(config),
            functions: aws_sdk_lambda::Client::new(config),
            tables: aws_sdk_dynamodb::Client::new(config),
            metrics: aws_sdk_cloudwatch::Client::new(config),
            logs: aws_sdk_cloudwatchlogs::Client::new(config),
            callers: aws_sdk_sts::Client::new(config),
            region,
        }
    }
}

/// The SDKs' own HTTP client, with the proxy of the environment, which they do not look at by
/// themselves, and the platform's root certificates.
fn http_client() -> SharedHttpClient {
    Builder::new().build_with_connector_fn(|settings, components| {
        let mut builder = Connector::builder().proxy_config(ProxyConfig::from_env());
        if let Some(settings) = settings {
            builder = builder.connector_settings(settings.clone());
        }
        if let Some(components) = components {
            builder.set_sleep_impl(components.sleep_impl());
        }
        builder
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build()
    })
}

/// Reads why a call failed.
fn failed<E, R>(call: &'static str) -> impl FnOnce(SdkError<E, R>) -> CloudError
where
    E: ProvideErrorMetadata + StdError + 'static,
    R: std::fmt::Debug + 'static,
{
    move |error| match error.as_service_error().map(ProvideErrorMetadata::meta) {
        Some(meta) => {
            let code = meta.code().unwrap_or("unknown");
            CloudError::of_answer(call, code, meta.message().unwrap_or(code))
        }
        None => CloudError::Unreachable {
            call,
            detail: sentence(&error).replacen(LAYERS, "", 1),
        },
    }
}

/// An answer that lacks what AWS always sends.
fn incomplete(call: &'static str, what: &str) -> CloudError {
    CloudError::Refused {
        call,
        code: "incomplete answer".to_owned(),
        detail: format!("AWS sent no {what}"),
    }
}

/// An error with its causes.
fn sentence(error: &(dyn StdError + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    let mut texts: Vec<_> = causes.map(ToString::to_string).collect();
    texts.dedup();
    texts.join(": ")
}
