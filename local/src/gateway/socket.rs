//! One open connection: frames in, frames out, its end.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::connections::{Closing, Connection, Ends};
use super::event::Kind;
use super::integration::{Failed, own_frame};
use super::{Gateway, bad_day, event, route};

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// How long a client is given to take our last frames and answer our close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// How a connection ended: the code and reason that `$disconnect` tells.
type End = (u16, String);

impl Gateway {
    /// Serves a connection to its end.
    pub(super) async fn serve(
        self: &Arc<Self>,
        socket: Socket,
        connection: Arc<Connection>,
        ends: Ends,
    ) {
        if self.dice.slow_client() {
            connection.make_slow();
        }
        let (sink, stream) = socket.split();
        let mut closing = ends.close.clone();
        let mut writer = tokio::spawn(write(sink, Arc::clone(&connection), ends));
        let (code, reason) = tokio::select! {
            end = self.read(stream, &connection) => end,
            closing = closed_here(&mut closing) => (closing.code, closing.reason.to_owned()),
            closing = self.outlived(&connection) => (closing.code, closing.reason.to_owned()),
        };
        // Whatever ended it, the writer says so to the client, if it still listens.
        let code_sent = if code == 1005 || code == 1006 {
            1000
        } else {
            code
        };
        connection.close(Closing {
            code: code_sent,
            reason: "",
        });
        if tokio::time::timeout(CLOSE_TIMEOUT, &mut writer)
            .await
            .is_err()
        {
            writer.abort();
        }
        self.ended(&connection, code, &reason).await;
    }

    /// Forgets a connection and tells the `$disconnect` function.
    pub(super) async fn ended(&self, connection: &Connection, code: u16, reason: &str) {
        self.connections.remove(&connection.id);
        if self.is_stopping() || self.dice.lose_disconnect() {
            return;
        }
        let route_key = "$disconnect";
        if let Some(route) = self.api.routes.get(route_key) {
            let kind = Kind::Disconnect { code, reason };
            // Nobody is left to hear of a failure; Lambda has logged it.
            drop(self.integrate(route_key, route, connection, &kind).await);
        }
    }

    async fn read(
        self: &Arc<Self>,
        mut stream: SplitStream<Socket>,
        connection: &Arc<Connection>,
    ) -> End {
        loop {
            let message = match stream.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return end_of(&error),
                None => return (1006, "Connection closed abnormally".to_owned()),
            };
            connection.touch();
            match message {
                Message::Text(text) => self.accept(connection, text.to_string(), false),
                Message::Binary(bytes) => self.accept(connection, STANDARD.encode(bytes), true),
                Message::Close(None) => {
                    return (1005, "Client-side close frame status not set".to_owned());
                }
                Message::Close(Some(frame)) => {
                    return (frame.code.into(), frame.reason.to_string());
                }
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
            }
        }
    }

    /// Takes a message. Each is handled in a task of its own: like API Gateway, the next one does
    /// not wait for this one's function.
    fn accept(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        body: String,
        is_base64_encoded: bool,
    ) {
        if !self.throttle.take() {
            let frame = own_frame("Too Many Requests", connection, &event::request_id());
            drop(connection.send(frame));
            return;
        }
        let (gateway, connection) = (Arc::clone(self), Arc::clone(connection));
        tokio::spawn(async move {
            if let Some(frame) = gateway.handle(&connection, &body, is_base64_encoded).await {
                // A client too slow for its own replies loses them, as it would those of others.
                drop(connection.send(frame));
            }
        });
    }

    async fn handle(
        &self,
        connection: &Connection,
        body: &str,
        is_base64_encoded: bool,
    ) -> Option<Message> {
        let chosen = if is_base64_encoded {
            None
        } else {
            route::key(&self.api.route_selection_expression, body)
        };
        let routes = &self.api.routes;
        let chosen = chosen.and_then(|key| routes.get_key_value(&key));
        let Some((route_key, route)) = chosen.or_else(|| routes.get_key_value("$default")) else {
            return Some(own_frame("Forbidden", connection, &event::request_id()));
        };
        let kind = Kind::Message {
            body,
            is_base64_encoded,
        };
        match self.integrate(route_key, route, connection, &kind).await {
            Ok(reply) => reply.body.filter(|_| route.replies),
            Err(Failed { request_id }) => {
                Some(own_frame("Internal server error", connection, &request_id))
            }
        }
    }

    /// Waits until the connection is too old, or silent for too long.
    async fn outlived(&self, connection: &Connection) -> Closing {
        let opened = Instant::now();
        let end = opened + self.limits.connection_lifetime;
        loop {
            let silent_since = connection
                .last_active_at()
                .duration_since(connection.connected_at);
            let idle_end = opened + silent_since.unwrap_or_default() + self.limits.idle_timeout;
            let now = Instant::now();
            if now >= end {
                return Closing {
                    code: 1001,
                    reason: "Going away",
                };
            }
            if now >= idle_end {
                return Closing {
                    code: 1001,
                    reason: "Going away",
                };
            }
            sleep_until(end.min(idle_end)).await;
        }
    }
}

async fn closed_here(closing: &mut watch::Receiver<Option<Closing>>) -> Closing {
    let asked = closing
        .wait_for(Option::is_some)
        .await
        .ok()
        .and_then(|closing| closing.clone());
    match asked {
        Some(closing) => closing,
        // Never: the sender lives in the connection, which the caller holds.
        None => std::future::pending().await,
    }
}

/// Writes what is queued, many messages a system call, until the connection is to be closed; then
/// what is still queued, and the close.
async fn write(
    mut sink: SplitSink<Socket, Message>,
    connection: Arc<Connection>,
    mut ends: Ends,
) -> Result<(), Error> {
    let closing = loop {
        tokio::select! {
            biased;
            closing = closed_here(&mut ends.close) => break closing,
            message = ends.queue.recv() => match message {
                Some(message) => {
                    feed(&mut sink, &connection, message).await?;
                    while let Ok(message) = ends.queue.try_recv() {
                        feed(&mut sink, &connection, message).await?;
                    }
                    sink.flush().await?;
                    connection.touch();
                }
                None => break Closing { code: 1000, reason: "" },
            }
        }
    };
    while let Ok(message) = ends.queue.try_recv() {
        feed(&mut sink, &connection, message).await?;
    }
    let frame = CloseFrame {
        code: CloseCode::from(closing.code),
        reason: closing.reason.into(),
    };
    sink.send(Message::Close(Some(frame))).await
}

async fn feed(
    sink: &mut SplitSink<Socket, Message>,
    connection: &Connection,
    message: Message,
) -> Result<(), Error> {
    bad_day::client_takes(connection).await;
    let bytes = message.len();
    let fed = sink.feed(message).await;
    connection.sent(bytes);
    fed
}

/// What API Gateway closes with after an error in reading.
fn end_of(error: &Error) -> End {
    match error {
        Error::Capacity(_) => (1009, "Message too long".to_owned()),
        Error::Utf8(_) => (1007, "Invalid UTF-8".to_owned()),
        Error::Protocol(_) => (1002, "Protocol error".to_owned()),
        _ => (1006, "Connection closed abnormally".to_owned()),
    }
}
