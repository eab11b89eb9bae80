//! Requests that are signed and sent as they are, once.
//!
//! A message for a thousand is a thousand requests, and a Lambda function of 256 MB has a seventh of a
//! processor. What an SDK does around each request (endpoint, retries, plugins, a client's settings) costs
//! several times what the request itself does; of all that only the signature is needed here.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_smithy_runtime_api::client::connection::CaptureSmithyConnection;
use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_types::body::SdkBody;
use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use http_body_util::BodyExt;

use super::AwsConfig;
use super::signature::{Signable, Signatures};

const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// Bytes of an answer that are read: an error's are fewer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Sends requests in the function's name.
#[derive(Clone, Debug)]
pub(super) struct Signer {
    signatures: Arc<Signatures>,
    connector: SharedHttpConnector,
}

/// One request.
pub(super) struct Request<'a> {
    pub(super) method: &'static str,
    /// With everything in the path percent-encoded that has to be.
    pub(super) uri: &'a str,
    /// As a signature names it.
    pub(super) service: &'static str,
    pub(super) headers: &'a [(&'static str, &'static str)],
    pub(super) body: Bytes,
    /// The body's SHA-256 in hexadecimal digits.
    pub(super) digest: &'a str,
    /// For all of it.
    pub(super) timeout: Duration,
}

/// Why there is no answer, or none that helps.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("the request cannot be signed")]
    Signing(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error("the request was not answered")]
    Connection(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("answered {0}")]
    Status(Status),
}

/// An answer's status, and the error's name where it has one.
#[derive(Debug)]
pub(super) struct Status {
    pub(super) code: u16,
    error: Option<String>,
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.code)?;
        match &self.error {
            Some(error) => write!(formatter, " ({error})"),
            None => Ok(()),
        }
    }
}

impl SendError {
    /// The status that was answered, if anything was.
    pub(super) fn status(&self) -> Option<u16> {
        match self {
            Self::Status(status) => Some(status.code),
            Self::Signing(_) | Self::TimedOut(_) | Self::Connection(_) => None,
        }
    }
}

impl Signer {
    pub(super) fn new(config: &AwsConfig) -> Self {
        Self {
            signatures: Arc::new(Signatures::new(
                config.credentials.clone(),
                config.region.to_string(),
            )),
            connector: config.connector.clone(),
        }
    }

    /// Sends a request; any 2xx is a success.
    pub(super) async fn send(&self, request: Request<'_>) -> Result<(), SendError> {
        let timeout = request.timeout;
        let connection = CaptureSmithyConnection::new();
        let exchange = self.exchange(request, &connection);
        let outcome = match tokio::time::timeout(timeout, exchange).await {
            Ok(outcome) => outcome,
            Err(_) => Err(SendError::TimedOut(timeout)),
        };
        // With HTTP/2 a connection stays in the pool when a request on it is given up, and the next one
        // would go the same way, should it be dead.
        if let Err(SendError::TimedOut(_) | SendError::Connection(_)) = outcome
            && let Some(connection) = connection.get()
        {
            connection.poison();
        }
        outcome
    }

    async fn exchange(
        &self,
        request: Request<'_>,
        connection: &CaptureSmithyConnection,
    ) -> Result<(), SendError> {
        let mut request = self.signed(request).map_err(SendError::Signing)?;
        request.add_extension(connection.clone());
        let response = self.connector.call(request).await;
        let mut response = response.map_err(|error| SendError::Connection(error.into()))?;
        let code = response.status().as_u16();
        let error = response.headers().get("x-amzn-errortype");
        // Some services add an address after a colon.
        let error = error.and_then(|it| it.split(':').next()).map(str::to_owned);
        // Read to its end, so that the connection can be used again.
        let body = std::mem::replace(response.body_mut(), SdkBody::empty());
        drop(
            http_body_util::Limited::new(body, ANSWER_BYTES_MAX)
                .collect()
                .await,
        );
        match code {
            200..300 => Ok(()),
            _ => Err(SendError::Status(Status { code, error })),
        }
    }

    fn signed(
        &self,
        request: Request<'_>,
    ) -> Result<
        aws_smithy_runtime_api::client::orchestrator::HttpRequest,
        Box<dyn std::error::Error + Send + Sync>,
    > {
        let uri: http::Uri = request.uri.parse()?;
        let signable = Signable {
            method: request.method,
            uri: &uri,
            service: request.service,
            headers: request.headers,
            digest: request.digest,
        };
        let signature = self.signatures.sign(&signable, SystemTime::now())?;
        let mut builder = http::Request::builder().method(request.method).uri(uri);
        for (name, value) in request.headers {
            builder = builder.header(*name, HeaderValue::from_static(value));
        }
        builder = builder.header(X_AMZ_DATE, signature.time);
        if let Some(token) = signature.token {
            builder = builder.header(X_AMZ_SECURITY_TOKEN, token);
        }
        builder = builder.header(AUTHORIZATION, signature.authorization);
        Ok(builder.body(SdkBody::from(request.body))?.try_into()?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use aws_credential_types::Credentials;
    use aws_smithy_runtime_api::client::connection::ConnectionMetadata;
    use aws_smithy_runtime_api::client::http::HttpConnectorFuture;
    use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
    use aws_smithy_runtime_api::client::result::ConnectorError;

    use super::*;

    /// How a connection fares.
    #[derive(Clone, Copy, Debug)]
    enum Way {
        Silent,
        Broken,
        Answers(u16),
    }

    /// One connection, which counts how often it was given up.
    #[derive(Clone, Debug)]
    struct Connection {
        way: Way,
        given_up: Arc<AtomicUsize>,
    }

    impl HttpConnector for Connection {
        fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
            let request = request.try_into_http1x().expect("a request");
            let capture = request.extensions().get::<CaptureSmithyConnection>();
            let given_up = Arc::clone(&self.given_up);
            capture
                .expect("asked for")
                .set_connection_retriever(move || {
                    let given_up = Arc::clone(&given_up);
                    let poison = move || {
                        given_up.fetch_add(1, Ordering::Relaxed);
                    };
                    let builder = ConnectionMetadata::builder().proxied(false);
                    Some(builder.poison_fn(poison).build())
                });
            let way = self.way;
            HttpConnectorFuture::new(async move {
                match way {
                    Way::Silent => std::future::pending().await,
                    Way::Broken => Err(ConnectorError::io("broken".into())),
                    Way::Answers(code) => {
                        let status = code.try_into().expect("a status");
                        Ok(HttpResponse::new(status, SdkBody::empty()))
                    }
                }
            })
        }
    }

    async fn given_up_after(way: Way) -> usize {
        let given_up = Arc::new(AtomicUsize::new(0));
        let connection = Connection {
            way,
            given_up: Arc::clone(&given_up),
        };
        let signer = Signer {
            signatures: Arc::new(Signatures::new(
                Credentials::new("id", "key", None, None, "test"),
                "us-east-1".to_owned(),
            )),
            connector: SharedHttpConnector::new(connection),
        };
        let request = Request {
            method: "POST",
            uri: "https://chat.example/dev/@connections/a",
            service: "execute-api",
            headers: &[],
            body: Bytes::new(),
            digest: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
            timeout: Duration::from_millis(50),
        };
        drop(signer.send(request).await);
        given_up.load(Ordering::Relaxed)
    }

    #[tokio::test]
    async fn a_connection_that_does_not_answer_is_not_used_again_and_one_that_does_is() {
        for (way, expected) in [
            (Way::Silent, 1),
            (Way::Broken, 1),
            (Way::Answers(200), 0),
            (Way::Answers(410), 0),
            (Way::Answers(429), 0),
        ] {
            assert_eq!(given_up_after(way).await, expected, "{way:?}");
        }
    }
}
