//! The people of one check: who comes in is seen off in the end, whatever came of it.

use std::cell::RefCell;
use std::io;
use std::time::Duration;

use hyper::header::{HeaderValue, ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite;
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

/// Whether nobody comes in who has not signed in.
///
/// # Errors
/// [`Fault`], if somebody does, or nobody says no.
pub(crate) async fn refuses_strangers(server: Server<'_>) -> Result<(), Fault> {
    for (who, offered) in STRANGERS {
        match dial_offering(server, offered).await {
            Ok(_) => return Err(Fault::Broken(format!("`{}` lets in {who}", server.url))),
            Err(Fault::NotOpened { source, .. }) if is_refusal(&source) => {}
            Err(Fault::NotOpened { url, source })
                if offered == Some(OF_NO_KEY) && status(&source) == Some(500) =>
            {
                return Err(Fault::NoKeys { url });
            }
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

/// A token that is refused for nothing but its key, `nobody`: only who has the provider's keys can tell.
const OF_NO_KEY: &str =
    "chatctl, bearer.eyJhbGciOiJSUzI1NiIsImtpZCI6Im5vYm9keSJ9.eyJzdWIiOiJzdHJhbmdlciJ9.AAAA";

/// Who has not signed in, and what they offer: a token that says that nobody has signed it is the oldest trick.
const STRANGERS: [(&str, Option<&str>); 4] = [
    ("who has no token", None),
    ("who has no token, but the protocol", Some("chatctl")),
    (
        "whose token nobody has signed",
        Some("chatctl, bearer.eyJhbGciOiJub25lIn0.eyJzdWIiOiJzdHJhbmdlciJ9."),
    ),
    ("whose token is of a key that nobody has", Some(OF_NO_KEY)),
];

fn is_refusal(error: &tungstenite::Error) -> bool {
    matches!(status(error), Some(401 | 403))
}

fn status(error: &tungstenite::Error) -> Option<u16> {
    match error {
        tungstenite::Error::Http(response) => Some(response.status().as_u16()),
        _ => None,
    }
}

async fn dial(server: Server<'_>) -> Result<Socket, Fault> {
    dial_offering(server, None).await
}

async fn dial_offering(server: Server<'_>, offered: Option<&'static str>) -> Result<Socket, Fault> {
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

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    /// What is said of somebody who refuses strangers with these statuses, one after another.
    async fn said_of(statuses: &'static [u16]) -> Result<(), Fault> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let served = tokio::spawn(async move {
            let mut requests = Vec::new();
            for status in statuses {
                let (mut stream, _) = listener.accept().await.expect("a connection");
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    request.push(stream.read_u8().await.expect("a request"));
                }
                let head = format!("HTTP/1.1 {status} -\r\ncontent-length: 0\r\n\r\n");
                stream.write_all(head.as_bytes()).await.expect("it reads");
                requests.push(String::from_utf8(request).expect("text"));
            }
            requests
        });
        let url = &format!("ws://127.0.0.1:{port}/dev");
        let (dialer, origin) = (&Dialer::new(), None);
        let looked = refuses_strangers(Server {
            dialer,
            url,
            origin,
        })
        .await;
        if looked.is_ok() {
            let requests = served.await.expect("no panic");
            assert_eq!(requests.len(), STRANGERS.len());
            assert!(requests.last().expect("the last").contains(OF_NO_KEY));
        }
        looked
    }

    #[tokio::test]
    async fn strangers_are_refused_by_who_has_the_providers_keys() {
        let looked = said_of(&[401, 403, 403, 403]).await;
        assert!(looked.is_ok(), "{looked:?}");
    }

    #[tokio::test]
    async fn who_cannot_tell_a_key_that_is_not_there_has_no_keys() {
        let fault = said_of(&[401, 403, 403, 500]).await.expect_err("no keys");
        assert!(matches!(fault, Fault::NoKeys { .. }), "{fault}");
        let said = fault.to_string();
        assert!(said.contains("the provider's keys"), "{said}");
        assert!(fault.hint().is_some_and(|it| it.contains("`jwks_uri`")));
    }

    #[tokio::test]
    async fn whatever_else_fails_is_not_taken_for_missing_keys() {
        for statuses in [&[500][..], &[401, 403, 500], &[401, 403, 403, 502]] {
            let fault = said_of(statuses).await.expect_err("no refusal");
            assert!(matches!(fault, Fault::NotOpened { .. }), "{fault}");
            assert_eq!(fault.hint(), None);
        }
    }

    #[tokio::test]
    async fn the_token_is_refused_for_its_key_alone() {
        use base64::Engine;
        let token = OF_NO_KEY.strip_prefix("chatctl, bearer.").expect("a token");
        let parts: Vec<_> = token.split('.').collect();
        let decoded = |part: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part);
        let header: serde_json::Value =
            serde_json::from_slice(&decoded(parts[0]).expect("base64")).expect("JSON");
        assert_eq!(header, serde_json::json!({"alg": "RS256", "kid": "nobody"}));
        assert!(parts[1..].iter().all(|it| decoded(it).is_ok()));
        assert_eq!(parts.len(), 3);
    }
}
