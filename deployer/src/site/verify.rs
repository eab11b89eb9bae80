//! Whether the page and the chat work where they are: seen from outside, as a person would.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper::header::{HOST, HeaderValue, ORIGIN, PROXY_AUTHORIZATION};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};

use super::dial::{Connection, Dialer, Line};
use super::{CONFIG_KEY, SiteError, config};
use crate::output::Output;
use crate::wait::Patience;

/// A new distribution's name and a new API need some minutes until they are known everywhere.
const LIMIT: Duration = Duration::from_mins(10);

/// On this machine everything answers before it is looked at.
const LIMIT_HERE: Duration = Duration::from_secs(10);

/// One try, with two cold functions.
const TRY_LIMIT: Duration = Duration::from_secs(30);

/// How long a socket's other end may take to agree to the end.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// What is wrong with a chat.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    /// No connection.
    #[error("`{url}` cannot be reached")]
    Unreachable {
        /// Where to.
        url: String,
        /// Why not.
        source: io::Error,
    },
    /// The page's host does not speak HTTP.
    #[error("`{url}` does not speak HTTP")]
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
    #[error("the socket does not work")]
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
    #[error("{what} did not answer within {}", humantime::format_duration(*.limit))]
    Silence {
        /// What was waited for.
        what: &'static str,
        /// How long.
        limit: Duration,
    },
}

/// A chat to be looked at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Chat<'a> {
    /// Where its page is.
    pub(crate) site: &'a str,
    /// Where its socket is.
    pub(crate) websocket: &'a str,
}

/// How much of a chat is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// The page's configuration: enough to tell that what was there is there still.
    Configuration,
    /// The page as well.
    Page,
    /// Also two sockets, and a message both ways in a room of its own, which is left again.
    Whole,
}

/// Looks at a chat from outside until it works or the deadline has passed.
///
/// # Errors
/// [`SiteError::NotWorking`], with what the last try said.
pub(crate) async fn verify(
    chat: Chat<'_>,
    extent: Extent,
    output: &mut Output,
) -> Result<(), SiteError> {
    let since = Instant::now();
    output.step(match extent {
        Extent::Configuration => "verifying: the page's configuration",
        Extent::Page => "verifying: the page and its configuration",
        Extent::Whole => {
            "verifying: the page, its configuration, two sockets and a message both ways"
        }
    })?;
    let took = until_it_works(chat, extent, LIMIT).await;
    let took = took.map_err(|last| SiteError::NotWorking { limit: LIMIT, last })?;
    let took = took.map(|it| {
        format!(
            "; a message took {} ms from one socket to the other",
            it.as_millis()
        )
    });
    output.step(&format!(
        "verified in {:.1} s{}",
        since.elapsed().as_secs_f64(),
        took.unwrap_or_default()
    ))?;
    Ok(())
}

/// The same for a chat on this machine, without a word.
///
/// # Errors
/// [`SiteError::NotWorkingHere`], with what the last try said.
pub(crate) async fn verify_here(chat: Chat<'_>, extent: Extent) -> Result<(), SiteError> {
    let looked = until_it_works(chat, extent, LIMIT_HERE).await;
    looked
        .map(drop)
        .map_err(|last| SiteError::NotWorkingHere { last })
}

/// Gives how long a message took, if one was sent, or else what was wrong at last.
async fn until_it_works(
    chat: Chat<'_>,
    extent: Extent,
    limit: Duration,
) -> Result<Option<Duration>, Box<Fault>> {
    let dialer = Dialer::new();
    let mut patience = Patience::new(limit, Duration::from_millis(500), Duration::from_secs(10));
    let try_limit = limit.min(TRY_LIMIT);
    loop {
        let now = Cell::new("the page");
        let tried = tokio::time::timeout(try_limit, look(&dialer, chat, extent, &now)).await;
        let silence = Fault::Silence {
            what: now.get(),
            limit: try_limit,
        };
        let last = match tried.unwrap_or(Err(silence)) {
            Ok(took) => return Ok(took),
            Err(fault) => Box::new(fault),
        };
        if !patience.pause().await {
            return Err(last);
        }
    }
}

/// One try. `now` is what is looked at.
async fn look(
    dialer: &Dialer,
    chat: Chat<'_>,
    extent: Extent,
    now: &Cell<&'static str>,
) -> Result<Option<Duration>, Fault> {
    if extent != Extent::Configuration {
        get(dialer, chat.site).await?;
    }
    now.set("the page's configuration");
    let config_url = format!("{}{CONFIG_KEY}", chat.site);
    let found = get(dialer, &config_url).await?;
    if found != config(chat.websocket).as_bytes() {
        return Err(Fault::Answer {
            url: config_url,
            answer: "with another chat's configuration".to_owned(),
        });
    }
    if extent != Extent::Whole {
        return Ok(None);
    }
    now.set("the socket");
    let origin = chat.site.trim_end_matches('/');
    let mut ann = Socket::open(dialer, chat.websocket, origin).await?;
    let mut bob = Socket::open(dialer, chat.websocket, origin).await?;
    now.set("the chat");
    ann.send(json!({"type": "create", "name": "chatctl-1"}))
        .await?;
    let room = ann.next("joined").await?["room"].clone();
    bob.send(json!({"type": "join", "room": room, "name": "chatctl-2"}))
        .await?;
    bob.next("joined").await?;
    pass(&mut ann, &mut bob, "there").await?;
    let took = pass(&mut bob, &mut ann, "back").await?;
    // One after the other, so that neither makes the other's functions start once more.
    bob.leave().await?;
    ann.leave().await?;
    Ok(Some(took))
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
    let authority = uri
        .authority()
        .map_or("", hyper::http::uri::Authority::as_str);
    let request = Request::builder().header(HOST, authority);
    let (request, stream) = match dialer.line(&uri).await.map_err(unreachable)? {
        Line::ToHost(stream) => (request.uri(uri.path()), stream),
        Line::ToProxy(stream, None) => (request.uri(&uri), stream),
        Line::ToProxy(stream, Some(authorization)) => {
            let request = request.header(PROXY_AUTHORIZATION, authorization);
            (request.uri(&uri), stream)
        }
    };
    let request = request
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)
        .map_err(unreachable)?;
    let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(broken)?;
    // Whatever ends the connection ends the request as well.
    let connection = tokio::spawn(connection);
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

    /// Goes back to the lobby and hangs up, so that the server need not find out by itself.
    async fn leave(&mut self) -> Result<(), Fault> {
        self.send(json!({"type": "leave"})).await?;
        self.next("left").await?;
        let closing = async {
            self.0.close(None).await?;
            while let Some(message) = self.0.next().await {
                message?;
            }
            Ok::<_, tungstenite::Error>(())
        };
        // All is proven by now: an end that the other side does not agree to is an end as well.
        drop(tokio::time::timeout(CLOSE_LIMIT, closing).await);
        Ok(())
    }
}

fn broken(error: tungstenite::Error) -> Fault {
    Fault::Socket(Box::new(error))
}

#[cfg(test)]
mod tests;
