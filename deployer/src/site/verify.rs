//! Whether the page and the chat work where they are: seen from outside, as a person would.

use std::io;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::header::{HOST, HeaderValue, ORIGIN};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};

use super::dial::{Connection, Dialer};
use super::{CONFIG_KEY, SiteError, config};
use crate::output::Output;
use crate::wait::Patience;

/// A new distribution's name and a new API need some minutes until they are known everywhere.
const LIMIT: Duration = Duration::from_mins(10);

/// One try, with two cold functions.
const TRY_LIMIT: Duration = Duration::from_secs(30);

/// What is wrong with a chat.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// No connection.
    #[error("`{url}` cannot be reached: {source}")]
    Unreachable {
        /// Where to.
        url: String,
        /// Why not.
        source: io::Error,
    },
    /// The page's host does not speak HTTP.
    #[error("`{url}`: {source}")]
    Http {
        /// Where.
        url: String,
        /// What was wrong.
        source: hyper::Error,
    },
    /// An answer, and not the right one.
    #[error("`{url}` answers {answer}")]
    Answer {
        /// Where.
        url: String,
        /// What came.
        answer: String,
    },
    /// The socket is refused or broke off.
    #[error("the socket: {0}")]
    Socket(#[source] Box<tungstenite::Error>),
    /// The socket was closed.
    #[error("the socket was closed before it had a `{expected}`")]
    Closed {
        /// The frame that was waited for.
        expected: &'static str,
    },
    /// The chat refuses.
    #[error("the chat answers {frame}")]
    Refused {
        /// What came.
        frame: Value,
    },
    /// One try took too long.
    #[error("no answer within {}", humantime::format_duration(TRY_LIMIT))]
    Silence,
}

/// Fetches the page and its configuration, and passes a message both ways in a room of its own. Tried
/// until it works or the deadline has passed. Gives how long a message took.
///
/// # Errors
/// [`SiteError::NotWorking`], with what the last try said.
pub(crate) async fn verify(
    site_url: &str,
    websocket_url: &str,
    output: &mut Output,
) -> Result<Duration, SiteError> {
    output.step("verifying: the page, its configuration, two sockets and a message both ways")?;
    let mut patience = Patience::new(LIMIT, Duration::from_millis(500), Duration::from_secs(10));
    loop {
        let tried = tokio::time::timeout(TRY_LIMIT, look(site_url, websocket_url)).await;
        let last = match tried.unwrap_or(Err(Fault::Silence)) {
            Ok(round_trip) => return Ok(round_trip),
            Err(fault) => Box::new(fault),
        };
        if !patience.pause().await {
            return Err(SiteError::NotWorking { limit: LIMIT, last });
        }
    }
}

async fn look(site_url: &str, websocket_url: &str) -> Result<Duration, Fault> {
    let unreachable = |source| Fault::Unreachable {
        url: site_url.to_owned(),
        source,
    };
    let dialer = Dialer::new().map_err(unreachable)?;
    get(&dialer, site_url).await?;
    let config_url = format!("{site_url}{CONFIG_KEY}");
    let found = get(&dialer, &config_url).await?;
    if found != config(websocket_url).as_bytes() {
        return Err(Fault::Answer {
            url: config_url,
            answer: "with another chat's configuration".to_owned(),
        });
    }
    let origin = site_url.trim_end_matches('/');
    let mut ann = Socket::open(&dialer, websocket_url, origin).await?;
    let mut bob = Socket::open(&dialer, websocket_url, origin).await?;
    ann.send(json!({"type": "create", "name": "chatctl-1"}))
        .await?;
    let room = ann.next("joined").await?["room"].clone();
    bob.send(json!({"type": "join", "room": room, "name": "chatctl-2"}))
        .await?;
    bob.next("joined").await?;
    pass(&mut ann, &mut bob, "there").await?;
    pass(&mut bob, &mut ann, "back").await
}

/// Says something on one socket, hears it on the other.
async fn pass(from: &mut Socket, to: &mut Socket, text: &str) -> Result<Duration, Fault> {
    let since = Instant::now();
    from.send(json!({"type": "message", "text": text})).await?;
    while to.next("message").await?["text"] != text {}
    Ok(since.elapsed())
}

async fn get(dialer: &Dialer, url: &str) -> Result<Bytes, Fault> {
    let unreachable = |source| Fault::Unreachable {
        url: url.to_owned(),
        source,
    };
    let broken = |source| Fault::Http {
        url: url.to_owned(),
        source,
    };
    let uri: Uri = url.parse().map_err(io::Error::other).map_err(unreachable)?;
    let stream = dialer.connect(&uri).await.map_err(unreachable)?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(broken)?;
    // Whatever ends the connection ends the request as well.
    let connection = tokio::spawn(connection);
    let request = Request::get(uri.path())
        .header(HOST, uri.host().unwrap_or_default())
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)
        .map_err(unreachable)?;
    let response = sender.send_request(request).await.map_err(broken)?;
    let status = response.status();
    let body = response.into_body().collect().await.map_err(broken)?;
    connection.abort();
    if status.is_success() {
        Ok(body.to_bytes())
    } else {
        Err(Fault::Answer {
            url: url.to_owned(),
            answer: status.to_string(),
        })
    }
}

/// A socket that speaks frames of JSON.
struct Socket(WebSocketStream<Box<dyn Connection>>);

impl Socket {
    async fn open(dialer: &Dialer, url: &str, origin: &str) -> Result<Self, Fault> {
        let mut request = url.into_client_request().map_err(broken)?;
        let unreachable = |source| Fault::Unreachable {
            url: url.to_owned(),
            source,
        };
        let stream = dialer.connect(request.uri()).await.map_err(unreachable)?;
        let origin = HeaderValue::from_str(origin).map_err(io::Error::other);
        request
            .headers_mut()
            .insert(ORIGIN, origin.map_err(unreachable)?);
        let opened = tokio_tungstenite::client_async(request, stream).await;
        Ok(Self(opened.map_err(broken)?.0))
    }

    async fn send(&mut self, frame: Value) -> Result<(), Fault> {
        self.0
            .send(Message::text(frame.to_string()))
            .await
            .map_err(broken)
    }

    /// The next frame of a type.
    async fn next(&mut self, expected: &'static str) -> Result<Value, Fault> {
        while let Some(message) = self.0.next().await {
            let Message::Text(text) = message.map_err(broken)? else {
                continue;
            };
            let frame: Value = serde_json::from_str(&text).unwrap_or_default();
            match frame["type"].as_str() {
                Some(kind) if kind == expected => return Ok(frame),
                // Others tell of people who come and go. Without a type it is API Gateway's.
                Some(kind) if kind != "error" => {}
                _ => return Err(Fault::Refused { frame }),
            }
        }
        Err(Fault::Closed { expected })
    }
}

fn broken(error: tungstenite::Error) -> Fault {
    Fault::Socket(Box::new(error))
}
