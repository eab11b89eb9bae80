//! The provider's keys over HTTP, by the same connector as everything else.

use std::time::Duration;

use aws_smithy_runtime_api::client::http::{HttpConnector, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use http_body_util::{BodyExt, Limited};

use super::http::{self, AuthorityError, Security};
use crate::config::Authorities;
use crate::ports::PortError;
use crate::sign_in::KeySource;

/// For all of it: whoever connects waits for this at worst.
const TIMEOUT: Duration = Duration::from_secs(4);

/// Bytes of a key set at most. Those of large providers have less than a tenth of it.
const BYTES_MAX: usize = 128 * 1024;

/// Keys at a URL.
#[derive(Clone, Debug)]
pub struct HttpKeys {
    connector: SharedHttpConnector,
    uri: String,
    timeout: Duration,
}

/// Why they are not to be had.
#[derive(Debug, thiserror::Error)]
enum FetchError {
    #[error("no answer within {} ms", .0.as_millis())]
    TimedOut(Duration),
    #[error("`{0}` is no address")]
    Address(String),
    #[error("the request was not answered")]
    Connection(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A redirection as well: `jwks_uri` says where they are.
    #[error("answered {0}")]
    Status(u16),
    #[error("the answer broke off, or has more than {BYTES_MAX} bytes")]
    Body,
}

impl HttpKeys {
    /// Those at `uri`.
    ///
    /// # Errors
    /// [`AuthorityError`], if the file of certificate authorities is of no use.
    pub fn new(authorities: &Authorities, uri: String) -> Result<Self, AuthorityError> {
        let security = Security::of(authorities, std::iter::once(uri.as_str()), None);
        let connector = http::connector(security)?;
        Ok(Self {
            connector,
            uri,
            timeout: TIMEOUT,
        })
    }

    async fn get(&self) -> Result<Vec<u8>, FetchError> {
        let request = HttpRequest::get(self.uri.as_str());
        let mut request = request.map_err(|_| FetchError::Address(self.uri.clone()))?;
        request.headers_mut().insert("accept", "application/json");
        let response = self.connector.call(request).await;
        let mut response = response.map_err(|error| FetchError::Connection(error.into()))?;
        let status = response.status().as_u16();
        if status != 200 {
            return Err(FetchError::Status(status));
        }
        let body = std::mem::replace(response.body_mut(), SdkBody::empty());
        let body = Limited::new(body, BYTES_MAX).collect().await;
        Ok(body.map_err(|_| FetchError::Body)?.to_bytes().to_vec())
    }
}

impl KeySource for HttpKeys {
    async fn fetch(&self) -> Result<Vec<u8>, PortError> {
        let got = tokio::time::timeout(self.timeout, self.get()).await;
        got.unwrap_or(Err(FetchError::TimedOut(self.timeout)))
            .map_err(|error| PortError::new("fetch the provider's keys", error))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// Somebody who answers each request so; the connection stays open.
    async fn answering(answer: Vec<u8>) -> HttpKeys {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                drop(stream.read(&mut request).await);
                drop(stream.write_all(&answer).await);
                open.push(stream);
            }
        });
        let uri = format!("http://{address}/keys");
        HttpKeys::new(&Authorities::Amazon, uri).expect("no file is named")
    }

    fn response(head: &str, body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n", body.len());
        [head.as_bytes(), body].concat()
    }

    async fn problem(answer: Vec<u8>) -> String {
        // Ample for an answer, on any machine.
        problem_within(Duration::from_mins(1), answer).await
    }

    async fn problem_within(timeout: Duration, answer: Vec<u8>) -> String {
        let keys = HttpKeys {
            timeout,
            ..answering(answer).await
        };
        let refused = keys.fetch().await;
        format!("{:?}", refused.expect_err("no keys"))
    }

    #[tokio::test]
    async fn keys_are_what_the_address_answers() {
        let keys = answering(response("200 OK", b"{\"keys\":[]}")).await;
        assert_eq!(keys.fetch().await.expect("keys"), b"{\"keys\":[]}");
        let most = vec![b' '; BYTES_MAX];
        let keys = answering(response("200 OK", &most)).await;
        assert_eq!(keys.fetch().await.expect("keys"), most);
    }

    #[tokio::test]
    async fn nothing_else_is_taken_for_them() {
        let elsewhere = response("302 Found\r\nlocation: http://127.0.0.1/", b"");
        assert!(problem(elsewhere).await.contains("Status(302)"));
        assert!(
            problem(response("500 -", b"{}"))
                .await
                .contains("Status(500)")
        );
        let more = vec![b' '; BYTES_MAX + 1];
        assert!(problem(response("200 OK", &more)).await.contains("Body"));
    }

    #[tokio::test]
    async fn an_answer_that_does_not_end_is_given_up() {
        let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n{".to_vec();
        for answer in [cut, Vec::new()] {
            let problem = problem_within(Duration::from_millis(500), answer).await;
            assert!(problem.contains("TimedOut"), "{problem}");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_told_so() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        drop(listener);
        let uri = format!("http://{address}/keys");
        let keys = HttpKeys::new(&Authorities::Amazon, uri).expect("no file is named");
        let refused = keys.fetch().await.expect_err("nobody there");
        assert!(format!("{refused:?}").contains("Connection"), "{refused:?}");
    }
}
