//! From an HTTP request to an open connection. The handshake waits for the `$connect` route's
//! function, and a status other than 2xx refuses it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::header::{
    CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
};
use hyper::http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::connections::{Client, Connection, new_id};
use super::event::{Handshake, Kind};
use super::integration::{Failed, own_text};
use super::{FRAME_BYTES_MAX, Gateway, MESSAGE_BYTES_MAX, Peer, message_response};

impl Gateway {
    pub(super) async fn shake_hands(
        self: &Arc<Self>,
        mut request: Request<Incoming>,
        peer: &Peer,
    ) -> Response<Full<Bytes>> {
        if self.is_stopping() {
            return message_response(StatusCode::SERVICE_UNAVAILABLE, "Service Unavailable");
        }
        let Some(accept) = accept_key(&request) else {
            let mut response = message_response(StatusCode::UPGRADE_REQUIRED, "Upgrade Required");
            response
                .headers_mut()
                .insert(UPGRADE, HeaderValue::from_static("websocket"));
            return response;
        };
        // A body would have to be read before the connection can become a WebSocket.
        if !request.body().is_end_stream() {
            return message_response(StatusCode::BAD_REQUEST, "Bad Request");
        }
        if !self.throttle.take() {
            return message_response(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests");
        }
        let upgrade = hyper::upgrade::on(&mut request);
        let (request, _) = request.into_parts();
        let (answer, answered) = oneshot::channel();
        let (gateway, address) = (Arc::clone(self), peer.address);
        let names = peer.head.take_names();
        // A task of its own, because this request is dropped as soon as its client goes away, and
        // a function that has heard of a connection has to hear of its end.
        self.serve_client(async move {
            gateway
                .connect(&request, &names, address, answer, upgrade)
                .await;
        });
        match answered.await {
            Ok(Ok(protocol)) => switching(&accept, protocol.as_deref()),
            Ok(Err(refusal)) => refusal,
            // Only a panic gets here.
            Err(_) => message_response(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error"),
        }
    }

    /// Asks for admission, answers, and serves the connection to its end.
    async fn connect(
        self: Arc<Self>,
        request: &Parts,
        names: &HashMap<String, String>,
        address: SocketAddr,
        answer: oneshot::Sender<Admission>,
        upgrade: OnUpgrade,
    ) {
        let client = Client {
            source_ip: address.ip().to_string(),
            user_agent: header(&request.headers, &USER_AGENT).map(str::to_owned),
        };
        // Not among the open connections yet: a post to it from its own `$connect` is answered 410.
        let (connection, ends) = Connection::new(new_id(), client);
        let handshake = Handshake {
            headers: &request.headers,
            names,
            query: request.uri.query(),
        };
        let admission = self.admit(handshake, &connection).await;
        let admitted = admission.is_ok();
        if admitted {
            self.connections.insert(&connection);
            // Whoever stops the stack closes what is listed, and may just have done so.
            if self.is_stopping() {
                self.connections.close_all();
            }
        }
        let told = answer.send(admission).is_ok();
        if !admitted {
            return;
        }
        match timeout(UPGRADE_TIMEOUT, upgrade).await {
            Ok(Ok(upgraded)) if told => {
                let io = TokioIo::new(upgraded);
                let socket =
                    WebSocketStream::from_raw_socket(io, Role::Server, Some(config())).await;
                self.serve(socket, connection, ends).await;
            }
            // The client went away before its answer.
            _ => {
                self.ended(&connection, 1006, "Connection closed abnormally")
                    .await;
            }
        }
    }

    /// Asks the `$connect` function, if there is one, and gives the subprotocol that it chose.
    async fn admit(&self, handshake: Handshake<'_>, connection: &Connection) -> Admission {
        let route_key = "$connect";
        let Some(route) = self.api.routes.get(route_key) else {
            return Ok(None);
        };
        if let Some(context) = self.authorize(route, handshake, connection).await? {
            // Nobody else sets it.
            let _ = connection.authorizer.set(context);
        }
        let kind = Kind::Connect(handshake);
        match self.integrate(route_key, route, connection, kind).await {
            Ok(reply) if (200..300).contains(&reply.status) => Ok(reply.protocol),
            Ok(reply) => {
                // A status that HTTP does not have, or that would not end the handshake.
                let status = StatusCode::from_u16(reply.status)
                    .ok()
                    .filter(|status| !status.is_informational());
                let mut response = Response::new(Full::default());
                *response.status_mut() = status.unwrap_or(StatusCode::BAD_GATEWAY);
                Err(response)
            }
            Err(Failed { request_id }) => {
                let text = own_text("Internal server error", connection, &request_id);
                Err(super::text_response(StatusCode::BAD_GATEWAY, text))
            }
        }
    }
}

/// The chosen subprotocol, or the answer that refuses the connection.
type Admission = Result<Option<String>, Response<Full<Bytes>>>;

/// The limits on frames, and buffers that start small: most connections are idle most of the time.
fn config() -> WebSocketConfig {
    WebSocketConfig::default()
        .max_frame_size(Some(FRAME_BYTES_MAX))
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
}

/// How long a client may take to receive its answer.
const UPGRADE_TIMEOUT: Duration = Duration::from_secs(10);

/// Every open connection has one of these.
const READ_BUFFER_BYTES: usize = 2 * 1024;

/// How much is gathered before it is written: many small messages in one system call.
const WRITE_BUFFER_BYTES: usize = 16 * 1024;

/// What to answer a valid opening handshake with (RFC 6455, section 4.2.1); `None` for any other
/// request.
fn accept_key<B>(request: &Request<B>) -> Option<String> {
    let headers = request.headers();
    // Lists may be spread over several header lines.
    let has = |name: &HeaderName, token: &str| {
        let values = headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok());
        values
            .flat_map(|value| value.split(','))
            .any(|part| part.trim().eq_ignore_ascii_case(token))
    };
    let valid = request.method() == Method::GET
        && has(&CONNECTION, "upgrade")
        && has(&UPGRADE, "websocket")
        && has(&SEC_WEBSOCKET_VERSION, "13");
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|_| valid)?;
    Some(derive_accept_key(key.as_bytes()))
}

fn header<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn switching(accept: &str, protocol: Option<&str>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    for (name, value) in [
        (SEC_WEBSOCKET_ACCEPT, Some(accept)),
        (SEC_WEBSOCKET_PROTOCOL, protocol),
    ] {
        if let Some(value) = value.and_then(|value| HeaderValue::from_str(value).ok()) {
            headers.insert(name, value);
        }
    }
    response
}
