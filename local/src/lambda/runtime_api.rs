//! The Runtime API that one process talks to (AWS's Developer Guide, “Using the Lambda runtime API
//! for custom runtimes”). Each process has a listener of its own, so that whoever asks for the next
//! invocation is known without asking, whatever runtime client it uses.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::Body;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, Request, State};
use axum::http::{HeaderMap, Response, StatusCode};
use axum::middleware::{self, Next};
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use axum::{Json, Router};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;

use super::{All, InvokeError, invoke_api};
use crate::door;

/// A synchronous invocation's response at most: 6 MB (AWS's quota page, “Invocation payload”) and
/// what Lambda itself wraps around, as its error message has it.
const RESPONSE_BYTES_MAX: usize = 6 * 1024 * 1024 + 100;

/// One invocation on its way to a process.
pub(super) struct Invocation {
    pub(super) request_id: String,
    pub(super) event: Bytes,
    pub(super) timeout: Duration,
    pub(super) reply: Reply,
}

/// Where an invocation's outcome goes.
pub(super) type Reply = oneshot::Sender<Result<Bytes, InvokeError>>;

/// The API of one process. It ends when this is dropped.
#[derive(Debug)]
pub(super) struct RuntimeApi {
    address: String,
    invocations: mpsc::Sender<Invocation>,
    state: watch::Receiver<InitState>,
    server: AbortHandle,
}

/// How far a process has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum InitState {
    Starting,
    /// It asked for its first invocation.
    Ready,
    /// It said that it cannot start.
    Failed(String),
}

struct Shared {
    function_arn: String,
    waiting: tokio::sync::Mutex<mpsc::Receiver<Invocation>>,
    current: Mutex<Option<(String, Reply)>>,
    state: watch::Sender<InitState>,
}

impl RuntimeApi {
    pub(super) async fn start(function_arn: String, all: All) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?.to_string();
        // A reply and the next invocation are small packets that somebody waits for.
        let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
        let (invocations, waiting) = mpsc::channel(1);
        let (announce, state) = watch::channel(InitState::Starting);
        let shared = Arc::new(Shared {
            function_arn,
            waiting: tokio::sync::Mutex::new(waiting),
            current: Mutex::default(),
            state: announce,
        });
        let invocations_of_others = Router::new()
            .route(
                "/2015-03-31/functions/{name}/invocations",
                post(invoke_api::invoke),
            )
            .with_state(all);
        let router = Router::new()
            .route("/2018-06-01/runtime/invocation/next", get(next))
            .route(
                "/2018-06-01/runtime/invocation/{id}/response",
                post(response),
            )
            .route("/2018-06-01/runtime/invocation/{id}/error", post(error))
            .route("/2018-06-01/runtime/init/error", post(init_error))
            .with_state(shared)
            .merge(invocations_of_others)
            .layer(DefaultBodyLimit::max(RESPONSE_BYTES_MAX))
            .layer(middleware::from_fn(for_programs));
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self {
            address,
            invocations,
            state,
            server: server.abort_handle(),
        })
    }

    /// `host:port`, the value of `AWS_LAMBDA_RUNTIME_API`.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// Hands over an invocation. One that cannot be is answered as stopping, by its dropped `reply`.
    pub(super) async fn send(&self, invocation: Invocation) {
        drop(self.invocations.send(invocation).await);
    }

    /// Waits until the process is ready or has said that it will not be.
    pub(super) async fn initialized(&self) -> InitState {
        let mut state = self.state.clone();
        match state.wait_for(|state| *state != InitState::Starting).await {
            Ok(state) => state.clone(),
            Err(_) => InitState::Starting,
        }
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Keeps pages out: one that asks for the next invocation would take it away from the function.
async fn for_programs(request: Request, next: Next) -> axum::response::Response {
    match door::check_program(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) => (refusal.status(), refusal.message()).into_response(),
    }
}

async fn next(State(shared): State<Arc<Shared>>) -> Result<Response<Body>, StatusCode> {
    shared.state.send_if_modified(|state| {
        let first = *state == InitState::Starting;
        if first {
            *state = InitState::Ready;
        }
        first
    });
    let invocation = shared
        .waiting
        .lock()
        .await
        .recv()
        .await
        .ok_or(StatusCode::GONE)?;
    let deadline = SystemTime::now() + invocation.timeout;
    let deadline = deadline
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let response = Response::builder()
        .header("content-type", "application/json")
        .header("lambda-runtime-aws-request-id", &invocation.request_id)
        .header(
            "lambda-runtime-deadline-ms",
            deadline.as_millis().to_string(),
        )
        .header("lambda-runtime-invoked-function-arn", &shared.function_arn)
        .body(Body::from(invocation.event));
    let mut current = shared
        .current
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    *current = Some((invocation.request_id, invocation.reply));
    response.map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

async fn response(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> (StatusCode, Json<Value>) {
    match body {
        Ok(body) => shared.complete(&id, Ok(body)),
        Err(rejection) if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let kind = "Function.ResponseSizeTooLarge".to_owned();
            let message = format!(
                "Response payload size exceeded maximum allowed payload size ({RESPONSE_BYTES_MAX} bytes)."
            );
            let body = json!({"errorType": "RequestEntityTooLarge", "errorMessage": message});
            let refused = shared.complete(&id, Err(InvokeError::Function { kind, message }));
            if refused.0 == StatusCode::ACCEPTED {
                return (StatusCode::PAYLOAD_TOO_LARGE, Json(body));
            }
            refused
        }
        // The process broke off: it is about to end, or to say it again.
        Err(_) => (StatusCode::BAD_REQUEST, Json(json!({}))),
    }
}

async fn error(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    shared.complete(&id, Err(function_error(&headers, &body)))
}

async fn init_error(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, Json<Value>) {
    let error = function_error(&headers, &body);
    shared
        .state
        .send_replace(InitState::Failed(error.to_string()));
    accepted()
}

impl Shared {
    /// Answers whoever invoked, unless it is another invocation by now.
    fn complete(&self, id: &str, outcome: Result<Bytes, InvokeError>) -> (StatusCode, Json<Value>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, reply)) = current.take_if(|(current, _)| current == id) {
            drop(reply.send(outcome));
            return accepted();
        }
        let message = format!("`{id}` is not the invocation under way");
        let body = json!({"errorType": "InvalidRequestID", "errorMessage": message});
        (StatusCode::BAD_REQUEST, Json(body))
    }
}

fn accepted() -> (StatusCode, Json<Value>) {
    (StatusCode::ACCEPTED, Json(json!({"status": "OK"})))
}

/// What a function says of its error, in the body or else in the header.
fn function_error(headers: &HeaderMap, body: &Bytes) -> InvokeError {
    let body: Value = serde_json::from_slice(body).unwrap_or_default();
    let header = headers.get("lambda-runtime-function-error-type");
    let header = header.and_then(|value| value.to_str().ok());
    let kind = body["errorType"]
        .as_str()
        .or(header)
        .unwrap_or("Unhandled")
        .to_owned();
    let message = body["errorMessage"].as_str().unwrap_or_default().to_owned();
    InvokeError::Function { kind, message }
}
