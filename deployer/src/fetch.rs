//! One HTTP GET, over whatever proxy the environment names.

use std::io;

use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::header::{ACCEPT, HOST, PROXY_AUTHORIZATION};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;

use crate::dial::{Dialer, Line};

/// Why there is no body.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    /// No connection, or no address.
    #[error(transparent)]
    Unreachable(#[from] io::Error),
    /// Something else than HTTP, or an answer that breaks off.
    #[error(transparent)]
    Http(#[from] hyper::Error),
    /// Another status than success.
    #[error("{0}")]
    Status(StatusCode),
    /// A body of more bytes than that.
    #[error("more than {0} bytes")]
    TooLarge(usize),
}

/// The body at a URL, of so many bytes at most. Redirects are not followed.
///
/// # Errors
/// [`FetchError`], if there is none.
pub(crate) async fn fetch(
    dialer: &Dialer,
    url: &str,
    accept: &'static str,
    bytes_max: usize,
) -> Result<Bytes, FetchError> {
    let uri: Uri = url.parse().map_err(io::Error::other)?;
    let authority = uri.authority().map_or("", |it| it.as_str());
    let request = Request::builder()
        .header(HOST, authority)
        .header(ACCEPT, accept);
    let (request, stream) = match dialer.line(&uri).await? {
        Line::ToHost(stream) => {
            let path = uri.path_and_query().map_or("/", |it| it.as_str());
            (request.uri(path), stream)
        }
        Line::ToProxy(stream, None) => (request.uri(&uri), stream),
        Line::ToProxy(stream, Some(authorization)) => {
            let request = request.header(PROXY_AUTHORIZATION, authorization);
            (request.uri(&uri), stream)
        }
    };
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await?;
    // Whatever ends the connection ends the request as well.
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let status = response.status();
    if !status.is_success() {
        connection.abort();
        return Err(FetchError::Status(status));
    }
    let body = Limited::new(response.into_body(), bytes_max)
        .collect()
        .await;
    connection.abort();
    match body {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) => Err(match error.downcast() {
            Ok(broken) => FetchError::Http(*broken),
            Err(_) => FetchError::TooLarge(bytes_max),
        }),
    }
}
