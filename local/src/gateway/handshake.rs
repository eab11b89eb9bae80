//! From an HTTP request to an open connection. The handshake waits for the `$connect` route's
//! function, and a status other than 2xx refuses it.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE, USER_AGENT,
};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::connections::{Client, Connection, Ends, new_id};
use super::event::Kind;
use super::{FRAME_BYTES_MAX, Gateway, MESSAGE_BYTES_MAX, message_response};

impl Gateway {
    pub(super) async fn shake_hands(
        self: &Arc<Self>,
        request: Request<Incoming>,
        address: SocketAddr,
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
        if !self.throttle.take() {
            return message_response(StatusCode::TOO_MANY_REQUESTS, "Too Many Requests");
        }
        let client = Client {
            source_ip: address.ip().to_string(),
            user_agent: header(request.headers(), &USER_AGENT).map(str::to_owned),
        };
        // Not among the open connections yet: a post to it from its own `$connect` is answered 410.
        let (connection, ends) = Connection::new(new_id(), client);
        let protocol = match self.admit(&request, &connection).await {
            Ok(protocol) => protocol,
            Err(refusal) => return refusal,
        };
        self.open(request, connection, ends);
        switching(&accept, protocol.as_deref())
    }

    /// Asks the `$connect` function, if there is one, and gives the subprotocol that it chose.
    async fn admit(
        &self,
        request: &Request<Incoming>,
        connection: &Connection,
    ) -> Result<Option<String>, Response<Full<Bytes>>> {
        let route_key = "$connect";
        let Some(route) = self.api.routes.get(route_key) else {
            return Ok(None);
        };
        let kind = Kind::Connect {
            headers: request.headers(),
            query: request.uri().query(),
        };
        match self.integrate(route_key, route, connection, &kind).await {
            Ok(reply) if (200..300).contains(&reply.status) => Ok(reply.protocol),
            Ok(reply) => {
                let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::BAD_GATEWAY);
                let mut response = Response::new(Full::default());
                *response.status_mut() = status;
                Err(response)
            }
            Err(_) => Err(message_response(
                StatusCode::BAD_GATEWAY,
                "Internal server error",
            )),
        }
    }

    /// Lists the connection as open, and serves it once the client has its answer.
    fn open(self: &Arc<Self>, request: Request<Incoming>, connection: Arc<Connection>, ends: Ends) {
        self.connections.insert(&connection);
        let gateway = Arc::clone(self);
        tokio::spawn(async move {
            match hyper::upgrade::on(request).await {
                Ok(upgraded) => {
                    let config = WebSocketConfig::default()
                        .max_frame_size(Some(FRAME_BYTES_MAX))
                        .max_message_size(Some(MESSAGE_BYTES_MAX));
                    let io = TokioIo::new(upgraded);
                    let stream =
                        WebSocketStream::from_raw_socket(io, Role::Server, Some(config)).await;
                    gateway.serve(stream, connection, ends).await;
                }
                // The client went away before its answer.
                Err(_) => {
                    gateway
                        .ended(&connection, 1006, "Connection closed abnormally")
                        .await;
                }
            }
        });
    }
}

/// What to answer a valid opening handshake with (RFC 6455, section 4.2.1); `None` for any other
/// request.
fn accept_key(request: &Request<Incoming>) -> Option<String> {
    let headers = request.headers();
    let has = |name: &HeaderName, token: &str| {
        header(headers, name).is_some_and(|value| {
            value
                .split(',')
                .any(|part| part.trim().eq_ignore_ascii_case(token))
        })
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
