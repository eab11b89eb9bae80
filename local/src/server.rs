//! The one port: accepts connections, and hands each request to the gateway or the site.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::timeout;

use crate::StartError;
use crate::door;
use crate::gateway::{Gateway, Peer};
use crate::head::recorded;
use crate::site::Site;

/// How long a client may take to send a request's headers, and how long a connection without a
/// request is kept.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);

/// A pause after a failed accept: the likely reason, no free file descriptors, passes by itself.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Bytes of a request's head at most. API Gateway takes 10,240 bytes of headers (AWS's quota page,
/// “Total combined size of request line and header values”) and a URL of 4,096.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// How long a request that is being answered is given to end when the stack stops.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections that wait to be accepted.
const BACKLOG: u32 = 1024;

/// A port of 127.0.0.1 that is a stack's to be: taken, but refusing connections until
/// [`Stack::start`] gets it by [`Options::listener`]. For who has to do something slow before that,
/// and wants to know at once whether the port can be used.
///
/// [`Stack::start`]: crate::Stack::start
/// [`Options::listener`]: crate::Options::listener
#[derive(Debug)]
pub struct Listener {
    port: u16,
    socket: TcpSocket,
}

impl Listener {
    /// Takes a port; 0 takes a free one. Has to be called within a tokio runtime.
    ///
    /// # Errors
    /// [`StartError::Port`], if somebody else listens on it, or this user may not.
    pub fn bind(port: u16) -> Result<Self, StartError> {
        let error = |source| StartError::Port { port, source };
        let socket = TcpSocket::new_v4().map_err(error)?;
        // Connections of an earlier run that have not timed out yet do not keep the port.
        socket.set_reuseaddr(true).map_err(error)?;
        let address = (Ipv4Addr::LOCALHOST, port).into();
        socket.bind(address).map_err(error)?;
        // But who does not listen yet does, or it would only be told after a build of minutes.
        socket.set_reuseaddr(false).map_err(error)?;
        Ok(Self { port, socket })
    }

    /// Lets connections in, and gives the address with the port that was taken.
    pub(crate) fn listen(self) -> Result<(TcpListener, SocketAddr), StartError> {
        let error = |source| StartError::Port {
            port: self.port,
            source,
        };
        // What is accepted has it from here, and is not in the way of the next run.
        self.socket.set_reuseaddr(true).map_err(error)?;
        let listener = self.socket.listen(BACKLOG).map_err(error)?;
        let address = listener.local_addr().map_err(error)?;
        Ok((listener, address))
    }
}

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
                    self.gateway
                        .serve_client(self.clone().serve(stream, address));
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
        let (stream, head) = recorded(stream);
        let peer = Peer { address, head };
        let is_answering = AtomicBool::new(false);
        let service = service_fn(async |request| {
            is_answering.store(true, Ordering::Relaxed);
            let response = self.answer(request, &peer).await;
            is_answering.store(false, Ordering::Relaxed);
            response
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_TIMEOUT)
            .max_buf_size(HEAD_BYTES_MAX)
            .serve_connection(TokioIo::new(stream), service)
            .with_upgrades();
        let mut connection = pin!(connection);
        tokio::select! {
            // Errors here are the client's: it went away, or does not speak HTTP.
            _ = connection.as_mut() => {}
            () = self.gateway.stopping() => {
                connection.as_mut().graceful_shutdown();
                // Browsers keep connections that they may never use: nobody waits for those.
                if is_answering.load(Ordering::Relaxed) {
                    drop(timeout(GOODBYE_TIMEOUT, connection).await);
                }
            }
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        peer: &Peer,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        // Before anything is looked at, the handshake of a socket as well.
        if let Err(refusal) = door::check_host(request.uri(), request.headers()) {
            let mut response = Response::new(Full::new(refusal.message().into()));
            *response.status_mut() = refusal.status();
            return Ok(response);
        }
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

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn a_port_is_taken_before_it_is_listened_on_and_free_again_right_after() {
        let first = Listener::bind(0).expect("a free port");
        let port = first.socket.local_addr().expect("bound").port();
        let second = Listener::bind(port).expect_err("somebody else's");
        assert!(matches!(second, StartError::Port { port: it, .. } if it == port));
        let (listener, address) = first.listen().expect("nobody else listens");
        let mut client = TcpStream::connect(address).await.expect("it listens");
        let (accepted, _) = listener.accept().await.expect("a client");
        // Whoever closes first keeps the connection for a minute.
        drop(accepted);
        assert_eq!(client.read(&mut [0]).await.expect("the end"), 0);
        drop((client, listener));
        Listener::bind(port).expect("the port of before");
    }
}
