//! API Gateway's WebSocket APIs on one machine.
//!
//! # Layout
//!
//! - `mod.rs`: the API as a whole, and which request is for what.
//! - `handshake.rs`: from an HTTP request to an open connection, by way of `$connect`.
//! - `authorize.rs`: who is asked before that.
//! - `socket.rs`: one open connection: frames in, frames out, its end.
//! - `connections.rs`: the connections that are open, and what is queued for them.
//! - `management.rs`: `@connections`.
//! - `event.rs`: what functions are given.
//! - `integration.rs`: what functions answer.
//! - `route.rs`: which route a frame takes.
//! - `throttle.rs`: the stage's token bucket.
//! - `bad_day.rs`: faults on purpose.

mod authorize;
mod bad_day;
pub(crate) mod connections;
pub(crate) mod event;
mod handshake;
pub(crate) mod integration;
mod management;
pub(crate) mod route;
mod socket;
mod throttle;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::connections::Connections;
use self::throttle::Bucket;
use crate::faults::Dice;
use crate::head::Head;
use crate::lambda::Functions;
use crate::template::Api;

/// When API Gateway ends a connection by itself (AWS's quota page for WebSocket APIs).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Silence in both directions. Default 10 minutes.
    pub idle_timeout: Duration,
    /// Age. Default 2 hours.
    pub connection_lifetime: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            idle_timeout: Duration::from_mins(10),
            connection_lifetime: Duration::from_hours(2),
        }
    }
}

/// Who sent a request.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    pub(crate) head: Head,
}

/// Bytes of one WebSocket frame at most (AWS's quota page, “WebSocket frame size”).
pub const FRAME_BYTES_MAX: usize = 32 * 1024;

/// Bytes of a message at most, over all its frames (AWS's quota page, “Message payload size”).
pub const MESSAGE_BYTES_MAX: usize = 128 * 1024;

/// The API of a stack.
pub(crate) struct Gateway {
    api: Api,
    authority: String,
    functions: Arc<Functions>,
    connections: Connections,
    limits: Limits,
    throttle: Bucket,
    dice: Arc<Dice>,
    /// Whoever serves a client, until it has left.
    tasks: TaskTracker,
    stopping: CancellationToken,
}

impl Gateway {
    pub(crate) fn new(
        api: Api,
        authority: String,
        functions: Arc<Functions>,
        limits: Limits,
        dice: Arc<Dice>,
    ) -> Self {
        let throttle = Bucket::new(api.throttle);
        Self {
            api,
            authority,
            functions,
            connections: Connections::default(),
            limits,
            throttle,
            dice,
            tasks: TaskTracker::new(),
            stopping: CancellationToken::new(),
        }
    }

    /// Answers a request below the stage's path; `None` for any other.
    pub(crate) async fn answer(
        self: &Arc<Self>,
        request: Request<Incoming>,
        peer: &Peer,
    ) -> Result<Response<Full<Bytes>>, Request<Incoming>> {
        let path = request.uri().path().trim_start_matches('/').to_owned();
        let below = match path.strip_prefix(&self.api.stage) {
            Some("" | "/") => return Ok(self.shake_hands(request, peer).await),
            Some(below) => below.strip_prefix("/@connections/"),
            None => None,
        };
        match below {
            Some(id) => {
                let id = percent_encoding::percent_decode_str(id)
                    .decode_utf8_lossy()
                    .into_owned();
                Ok(self.manage(request, &id).await)
            }
            None => Err(request),
        }
    }

    /// Closes every connection as “going away”, without telling the functions: they are stopping.
    pub(crate) fn stop(&self) {
        self.stopping.cancel();
        self.tasks.close();
        self.connections.close_all();
    }

    /// Waits, after [`Gateway::stop`], until every client has had its close frame or its answer.
    pub(crate) async fn stopped(&self) {
        self.tasks.wait().await;
    }

    /// Waits until the stack is to stop.
    pub(crate) async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    /// Runs what serves a client.
    pub(crate) fn serve_client(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(task);
    }

    fn is_stopping(&self) -> bool {
        self.stopping.is_cancelled()
    }
}

/// A response with a JSON body.
fn text_response(status: StatusCode, json: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(json)));
    *response.status_mut() = status;
    let content_type = hyper::header::HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, content_type);
    response
}

/// A response with `{"message": …}`, in API Gateway's way.
fn message_response(status: StatusCode, message: &str) -> Response<Full<Bytes>> {
    text_response(
        status,
        serde_json::json!({ "message": message }).to_string(),
    )
}
