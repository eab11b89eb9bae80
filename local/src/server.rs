//! The one port: accepts connections, and hands each request to the gateway or the site.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;

use crate::gateway::{Gateway, Peer};
use crate::head::Recorder;
use crate::site::Site;

/// How long a client may take to send a request's headers, and how long a connection without a
/// request is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// A pause after a failed accept: the likely reason, no free file descriptors, passes by itself.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bytes of a request's head at most. API Gateway takes 10,240 bytes of headers (AWS's quota page,
/// “Total combined size of request line and header values”) and a URL of 4,096.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// What is behind the port.
#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) site: Option<Arc<Site>>,
}

impl Server {
    /// Serves for as long as it is polled.
    pub(crate) async fn run(self, listener: TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, address)) => {
                    // Frames are small and people wait for them. It fails only on a closed stream.
                    drop(stream.set_nodelay(true));
                    tokio::spawn(self.clone().serve(stream, address));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    /// Serves one connection, until it ends or has become a WebSocket.
    pub(crate) async fn serve<S>(self, stream: S, address: SocketAddr)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let (stream, head) = Recorder::new(stream);
        let peer = Peer { address, head };
        let service = service_fn(|request| self.answer(request, &peer));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        // Errors here are the client's: it went away, or does not speak HTTP.
        drop(connection.await);
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: &Peer,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let request = match self.gateway.answer(request, peer).await {
            Ok(response) => return Ok(response),
            Err(request) => request,
        };
        if let Some(site) = &self.site {
            let (path, headers) = (request.uri().path(), request.headers());
            return Ok(site.answer(request.method(), path, headers).await);
        }
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::FORBIDDEN;
        Ok(response)
    }
}
