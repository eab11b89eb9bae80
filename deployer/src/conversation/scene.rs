//! The people of one check: who comes in is seen off in the end, whatever came of it.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use hyper::header::{HeaderValue, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::fault::Fault;
use super::peer::{self, Peer, Socket};
use super::transcript::Transcript;
use crate::dial::Dialer;

/// How long it may take until all have left.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);

/// A chat's socket.
#[derive(Clone, Copy)]
pub(crate) struct Server<'a> {
    /// How to get there.
    pub(crate) dialer: &'a Dialer,
    /// Where it is.
    pub(crate) url: &'a str,
    /// The page that a browser would come from.
    pub(crate) origin: Option<&'a str>,
}

/// Where people meet for one check.
pub(crate) struct Scene<'a> {
    server: Server<'a>,
    limit: Duration,
    deadline: Instant,
    transcript: Transcript,
    sockets: RefCell<JoinSet<()>>,
}

impl<'a> Scene<'a> {
    /// All that happens there is over after `limit`, counted from `since`.
    pub(crate) fn new(server: Server<'a>, since: Instant, limit: Duration) -> Self {
        Self {
            server,
            limit,
            deadline: since + limit,
            transcript: Transcript::new(),
            sockets: RefCell::new(JoinSet::new()),
        }
    }

    /// What has happened there.
    pub(crate) fn transcript(&self) -> Transcript {
        self.transcript.clone()
    }

    /// Where people come in.
    pub(crate) fn url(&self) -> &'a str {
        self.server.url
    }

    /// Somebody comes in.
    ///
    /// # Errors
    /// [`Fault`], if the server does not let them.
    pub(crate) async fn open(&self, name: &'static str) -> Result<Peer, Fault> {
        self.open_at(name, self.server.url).await
    }

    /// Somebody comes in at another address of the same chat.
    ///
    /// # Errors
    /// As [`Scene::open`].
    pub(crate) async fn open_at(&self, name: &'static str, url: &str) -> Result<Peer, Fault> {
        let server = Server { url, ..self.server };
        let opened = timeout_at(self.deadline, dial(server)).await;
        let socket = opened.map_err(|_| Fault::Silence {
            who: name,
            expected: "connection".to_owned(),
            limit: self.limit,
        })??;
        self.transcript.happened(name, "connected");
        let (peer, serving) =
            peer::seated(name, socket, self.transcript(), self.deadline, self.limit);
        self.sockets.borrow_mut().spawn(serving);
        Ok(peer)
    }

    /// Sees everybody off: those who are still there leave their rooms and hang up.
    pub(crate) async fn end(self) {
        self.transcript.close();
        let mut sockets = self.sockets.into_inner();
        let left = async { while sockets.join_next().await.is_some() {} };
        // Whoever does not manage is hung up on.
        drop(timeout(LEAVE_LIMIT, left).await);
    }
}

async fn dial(server: Server<'_>) -> Result<Socket, Fault> {
    dial_offering(server, None).await
}

/// Opens a socket and offers these subprotocols.
///
/// # Errors
/// [`Fault`], if the server does not open it.
pub(super) async fn dial_offering(
    server: Server<'_>,
    offered: Option<&'static str>,
) -> Result<Socket, Fault> {
    let mut request = server.url.into_client_request().map_err(peer::broken)?;
    let unreachable = |source| Fault::Unreachable {
        url: server.url.to_owned(),
        source,
    };
    let connected = server.dialer.connect(request.uri()).await;
    let stream = connected.map_err(unreachable)?;
    if let Some(origin) = server.origin {
        let origin = HeaderValue::from_str(origin).map_err(io::Error::other);
        let headers = request.headers_mut();
        headers.insert(ORIGIN, origin.map_err(unreachable)?);
    }
    if let Some(offered) = offered {
        let offered = HeaderValue::from_static(offered);
        request
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, offered);
    }
    let opened = tokio_tungstenite::client_async(request, stream).await;
    let refused = |source| Fault::NotOpened {
        url: server.url.to_owned(),
        source: Box::new(source),
    };
    Ok(opened.map_err(refused)?.0)
}
