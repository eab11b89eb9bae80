//! `@connections`: how functions reach connections (AWS's Developer Guide, “Use @connections
//! commands in your backend service”).

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::HeaderValue;
use hyper::{Method, Request, Response, StatusCode};
use serde_json::json;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio_tungstenite::tungstenite::Message;

use super::connections::{Closing, Connection};
use super::{Gateway, MESSAGE_BYTES_MAX, bad_day, text_response};
use crate::door;
use crate::faults::PostFault;

/// How long a caller may take to send a message.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

impl Gateway {
    /// Answers a request for one connection.
    pub(super) async fn manage(
        &self,
        request: Request<Incoming>,
        id: &str,
    ) -> Response<Full<Bytes>> {
        if let Err(refusal) = door::check_program(request.uri(), request.headers()) {
            return failure(refusal.status(), "ForbiddenException", refusal.message());
        }
        let latency = self.dice.post_latency();
        if !latency.is_zero() {
            // Before anything is looked at: what becomes of the connection meanwhile counts.
            tokio::time::sleep(latency).await;
        }
        let connection = self.connections.get(id);
        let fault = self.dice.post(request.method() == Method::POST);
        if let Some(refusal) = bad_day::refusal(fault, connection.as_ref()) {
            // Read all the same: the next request comes on the same connection.
            let body = Limited::new(request.into_body(), MESSAGE_BYTES_MAX).collect();
            drop(tokio::time::timeout(BODY_TIMEOUT, body).await);
            return refusal;
        }
        match (request.method(), connection) {
            (&Method::POST, connection) => post(request, connection, fault).await,
            (&Method::GET, Some(connection)) => look_at(&connection),
            (&Method::DELETE, Some(connection)) => {
                connection.close(Closing {
                    code: 1000,
                    reason: "Connection Closed Normally",
                });
                empty(StatusCode::NO_CONTENT)
            }
            (&Method::GET | &Method::DELETE, None) => gone(),
            _ => failure(
                StatusCode::FORBIDDEN,
                "ForbiddenException",
                "Missing Authentication Token",
            ),
        }
    }
}

async fn post(
    request: Request<Incoming>,
    connection: Option<Arc<Connection>>,
    fault: Option<PostFault>,
) -> Response<Full<Bytes>> {
    let body = Limited::new(request.into_body(), MESSAGE_BYTES_MAX).collect();
    let body = match tokio::time::timeout(BODY_TIMEOUT, body).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            return failure(
                StatusCode::PAYLOAD_TOO_LARGE,
                "PayloadTooLargeException",
                "Message too long",
            );
        }
        Err(_) => return empty(StatusCode::REQUEST_TIMEOUT),
    };
    let Some(connection) = connection else {
        return gone();
    };
    // Like API Gateway: always text, with U+FFFD for what is not.
    let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    match bad_day::deliver(&connection, Message::text(text), fault) {
        Ok(()) => empty(StatusCode::OK),
        Err(_) => failure(
            StatusCode::TOO_MANY_REQUESTS,
            "LimitExceededException",
            "Too Many Requests",
        ),
    }
}

fn look_at(connection: &Connection) -> Response<Full<Bytes>> {
    let body = json!({
        "connectedAt": timestamp(connection.connected_at),
        "identity": {
            "sourceIp": connection.client.source_ip,
            "userAgent": connection.client.user_agent,
        },
        "lastActiveAt": timestamp(connection.connected_at + connection.last_active()),
    });
    text_response(StatusCode::OK, body.to_string())
}

fn timestamp(time: SystemTime) -> String {
    OffsetDateTime::from(time)
        .format(&Rfc3339)
        .unwrap_or_default()
}

pub(super) fn gone() -> Response<Full<Bytes>> {
    failure(StatusCode::GONE, "GoneException", "Gone")
}

fn empty(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}

/// An error as the SDKs read it: its name in a header.
pub(super) fn failure(
    status: StatusCode,
    kind: &'static str,
    message: &str,
) -> Response<Full<Bytes>> {
    let mut response = super::message_response(status, message);
    response
        .headers_mut()
        .insert("x-amzn-errortype", HeaderValue::from_static(kind));
    response
}
