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
use tokio::net::{TcpListener, TcpStream};

use crate::gateway::Gateway;
use crate::site::Site;

/// How long a client may take to send a request's headers.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// A pause after a failed accept: the likely reason, no free file descriptors, passes by itself.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
                    tokio::spawn(self.clone().serve(stream, address));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    async fn serve(self, stream: TcpStream, address: SocketAddr) {
        // Frames are small and people wait for them. It fails only on a closed stream.
        drop(stream.set_nodelay(true));
        let service = service_fn(|request| self.answer(request, address));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        // Errors here are the client's: it went away, or does not speak HTTP.
        drop(connection.await);
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        address: SocketAddr,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let request = match self.gateway.answer(request, address).await {
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
