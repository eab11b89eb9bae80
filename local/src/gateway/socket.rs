//! One open connection: frames in, frames out, its end.

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::connections::{Closing, Connection, Ends};
use super::event::Kind;
use super::integration::{Failed, own_frame};
use super::{Gateway, bad_day, event, route};

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// How long a client is given to take our last frames and the close, and then again to close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// As much of that as a client gets while somebody waits for the stack to stop.
const STOP_CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Bytes of one connection's messages that functions work on at the same time. Beyond it the
/// connection is not read, so that a flood waits with its sender and not in our memory.
const IN_FLIGHT_BYTES_MAX: usize = 1024 * 1024;

/// What a message counts at least, so that there are at most 1,024 at the same time.
const IN_FLIGHT_BYTES_MIN: usize = 1024;

/// How long a connection is not read after the stage's throttle has refused a message of it.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);

/// Out of the 16 bits, what no frame carries: no status was given, or there was no close at all.
const NO_STATUS: u16 = 1005;
const ABNORMAL: u16 = 1006;

/// How a connection ended: the code and reason that `$disconnect` tells.
type End = (u16, String);

impl Gateway {
    /// Serves a connection to its end.
    pub(super) async fn serve(
        self: &Arc<Self>,
        socket: Socket,
        connection: Arc<Connection>,
        mut ends: Ends,
    ) {
        if self.dice.slow_client() {
            connection.make_slow();
        }
        let (mut sink, mut stream) = socket.split();
        let (code, reason) = tokio::select! {
            end = self.read(&mut stream, &connection) => end,
            closing = closed_here(&mut ends.close) => (closing.code, closing.reason.to_owned()),
            closing = self.outlived(&connection) => (closing.code, closing.reason.to_owned()),
            error = write(&mut sink, &connection, &mut ends.queue) => end_of(&error),
        };
        self.connections.remove(&connection.id);
        let goodbye = async {
            // A client that takes nothing any more is left to the operating system.
            if let Ok(Ok(())) =
                timeout(CLOSE_TIMEOUT, finish(&mut sink, &mut ends.queue, code)).await
                && let Ok(socket) = sink.reunite(stream)
            {
                drop(timeout(CLOSE_TIMEOUT, linger(socket)).await);
            }
        };
        let goodbye = async {
            tokio::select! {
                () = goodbye => {}
                () = self.hurried() => {}
            }
        };
        tokio::join!(goodbye, self.ended(&connection, code, &reason));
    }

    /// Waits until whoever waits for the stack to stop should not have to wait any longer.
    async fn hurried(&self) {
        self.stopping().await;
        sleep(STOP_CLOSE_TIMEOUT).await;
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
            drop(self.integrate(route_key, route, connection, kind).await);
        }
    }

    async fn read(
        self: &Arc<Self>,
        stream: &mut SplitStream<Socket>,
        connection: &Arc<Connection>,
    ) -> End {
        let in_flight = Arc::new(Semaphore::new(IN_FLIGHT_BYTES_MAX));
        loop {
            let message = match stream.next().await {
                Some(Ok(message)) => message,
                Some(Err(error)) => return end_of(&error),
                None => return abnormal(),
            };
            connection.touch();
            match message {
                Message::Text(text) => self.accept(connection, &in_flight, text.as_str()).await,
                // AWS's Developer Guide, “Binary media types for WebSocket APIs”.
                Message::Binary(_) => return (1003, "Unsupported data".to_owned()),
                Message::Close(None) => {
                    let reason = "Client-side close frame status not set";
                    return (NO_STATUS, reason.to_owned());
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
    async fn accept(
        self: &Arc<Self>,
        connection: &Arc<Connection>,
        in_flight: &Arc<Semaphore>,
        body: &str,
    ) {
        if !self.throttle.take() {
            let frame = own_frame("Too Many Requests", connection, &event::request_id());
            drop(connection.send(frame));
            // All share the throttle: who floods must not take each token as it comes.
            sleep(REFUSED_PAUSE).await;
            return;
        }
        // A message is never longer than what may be in flight, so this is never waited for in vain.
        let bytes = body.len().clamp(IN_FLIGHT_BYTES_MIN, IN_FLIGHT_BYTES_MAX);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let Ok(permit) = Arc::clone(in_flight).acquire_many_owned(bytes).await else {
            return; // Never: nobody closes it.
        };
        let (gateway, connection) = (Arc::clone(self), Arc::clone(connection));
        let body = body.to_owned();
        tokio::spawn(async move {
            if let Some(frame) = gateway.handle(&connection, &body).await {
                // A client too slow for its own replies loses them, as it would those of others.
                drop(connection.send(frame));
            }
            drop(permit);
        });
    }

    async fn handle(&self, connection: &Connection, body: &str) -> Option<Message> {
        let routes = &self.api.routes;
        let chosen = route::key(&self.api.route_selection_expression, body);
        let chosen = chosen.and_then(|key| routes.get_key_value(&key));
        let Some((route_key, route)) = chosen.or_else(|| routes.get_key_value("$default")) else {
            return Some(own_frame("Forbidden", connection, &event::request_id()));
        };
        let kind = Kind::Message { body };
        match self.integrate(route_key, route, connection, kind).await {
            Ok(reply) => reply.body.filter(|_| route.replies),
            Err(Failed { request_id }) => {
                Some(own_frame("Internal server error", connection, &request_id))
            }
        }
    }

    /// Waits until the connection is too old, or silent for too long.
    async fn outlived(&self, connection: &Connection) -> Closing {
        let too_old = connection.opened + self.limits.connection_lifetime;
        loop {
            let silent_since = connection.opened + connection.last_active();
            let end = too_old.min(silent_since + self.limits.idle_timeout);
            if Instant::now() >= end {
                return Closing {
                    code: 1001,
                    reason: "Going away",
                };
            }
            sleep_until(end).await;
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

/// Writes what is queued, many messages a system call, until it fails. It may be cancelled at any
/// point: a message leaves the queue only when the socket has room for it.
async fn write(
    sink: &mut SplitSink<Socket, Message>,
    connection: &Connection,
    queue: &mut mpsc::UnboundedReceiver<Message>,
) -> Error {
    loop {
        bad_day::client_takes(connection).await;
        let Some(message) = queue.recv().await else {
            // Never: the sender lives in the connection, which the caller holds.
            return Error::ConnectionClosed;
        };
        if let Err(error) = write_all(sink, connection, queue, message).await {
            return error;
        }
        connection.touch();
    }
}

async fn write_all(
    sink: &mut SplitSink<Socket, Message>,
    connection: &Connection,
    queue: &mut mpsc::UnboundedReceiver<Message>,
    first: Message,
) -> Result<(), Error> {
    let mut next = Some(first);
    while let Some(message) = next {
        connection.sent(&message);
        sink.start_send_unpin(message)?;
        poll_fn(|context| sink.poll_ready_unpin(context)).await?;
        // A slow client takes one at a time.
        next = (!connection.is_slow())
            .then(|| queue.try_recv().ok())
            .flatten();
    }
    sink.flush().await
}

/// Writes what is still queued, and the close.
async fn finish(
    sink: &mut SplitSink<Socket, Message>,
    queue: &mut mpsc::UnboundedReceiver<Message>,
    code: u16,
) -> Result<(), Error> {
    while let Ok(message) = queue.try_recv() {
        if sink.feed(message).await.is_err() {
            break;
        }
    }
    let code = if [NO_STATUS, ABNORMAL].contains(&code) {
        1000
    } else {
        code
    };
    let frame = CloseFrame {
        code: CloseCode::from(code),
        reason: "".into(),
    };
    match sink.send(Message::Close(Some(frame))).await {
        // The client closed first: what answers its close only has to be written.
        Err(Error::Protocol(ProtocolError::SendAfterClosing)) => match sink.flush().await {
            Err(Error::ConnectionClosed) => Ok(()),
            flushed => flushed,
        },
        Err(Error::ConnectionClosed) => Ok(()),
        sent => sent,
    }
}

/// Waits until the client has closed as well. Closing while something of it is unread would make
/// the operating system reset the connection, and the client might never see our close.
async fn linger(socket: Socket) {
    let mut stream = socket.into_inner();
    let mut discarded = [0; 1024];
    drop(stream.shutdown().await);
    while stream
        .read(&mut discarded)
        .await
        .is_ok_and(|bytes| bytes > 0)
    {}
}

fn abnormal() -> End {
    (ABNORMAL, "Connection closed abnormally".to_owned())
}

/// What API Gateway closes with after an error.
fn end_of(error: &Error) -> End {
    match error {
        // AWS's quota page for WebSocket APIs.
        Error::Capacity(_) => (1009, "Message too long".to_owned()),
        Error::Utf8(_) => (1007, "Invalid UTF-8".to_owned()),
        Error::Protocol(
            ProtocolError::ResetWithoutClosingHandshake | ProtocolError::SendAfterClosing,
        ) => abnormal(),
        Error::Protocol(_) => (1002, "Protocol error".to_owned()),
        _ => abnormal(),
    }
}
