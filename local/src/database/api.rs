//! DynamoDB's HTTP interface. The embedded database has one of its own, which answers pages of any
//! origin that a browser has open (`Access-Control-Allow-Origin: *`): they could read and write all that
//! is said here. This one answers programs alone, and has what an SDK calls.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dynoxide::Database as Dynoxide;
use dynoxide::auth_material::{AuthMaterial, validate};
use dynoxide::errors::{DynoxideError, Result};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, DATE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::heads::Heads;
use super::throttle::Throttle;
use crate::door;

/// A request's body at most, as DynamoDB has it.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// How long a caller may take to send it.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a connection without a request is kept: longer than SDKs keep theirs, so that none is closed
/// under a request.
const IDLE_TIMEOUT: Duration = Duration::from_mins(10);

/// A pause after a failed accept: the likely reason, no free file descriptors, passes by itself.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What operations are called in `X-Amz-Target`.
const TARGET: &str = "DynamoDB_20120810.";

const UNKNOWN_OPERATION: &str =
    r#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#;
const SERIALIZATION: &str = r#"{"__type":"com.amazon.coral.service#SerializationException"}"#;

/// The tables, and what stands in front of them where they are to be throttled on purpose.
pub(super) struct Api {
    pub(super) tables: Dynoxide,
    pub(super) throttle: Option<Throttle>,
}

impl Api {
    /// Serves for as long as it is polled.
    pub(super) async fn serve(self, listener: TcpListener) {
        let api = Arc::new(self);
        loop {
            match listener.accept().await {
                Ok((client, _)) => {
                    // Answers are small and functions wait for them. It fails only on a closed stream.
                    drop(client.set_nodelay(true));
                    tokio::spawn(Arc::clone(&api).converse(client));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            }
        }
    }

    /// Serves one connection.
    pub(super) async fn converse<S>(self: Arc<Self>, client: S)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (client, heads) = Heads::of(client);
        let service = service_fn(async |request| {
            heads.ended();
            let response = self.answer(request).await;
            heads.answered();
            Ok::<_, std::convert::Infallible>(response)
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_TIMEOUT)
            .serve_connection(TokioIo::new(client), service);
        tokio::select! {
            // Errors here are the client's: it went away, or does not speak HTTP.
            _ = connection => {}
            () = heads.overdue() => {}
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        if let Err(refusal) = door::check_program(&head.uri, &head.headers) {
            return response(refusal.status(), refusal.message().to_owned());
        }
        if head.method != Method::POST || head.uri.path() != "/" {
            return response(StatusCode::NOT_FOUND, UNKNOWN_OPERATION.to_owned());
        }
        // Read in full before anything is refused: what follows on the connection is the next request.
        let body = Limited::new(body, BODY_BYTES_MAX).collect();
        let body = match timeout(BODY_TIMEOUT, body).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) => {
                return response(StatusCode::PAYLOAD_TOO_LARGE, SERIALIZATION.to_owned());
            }
            Err(_) => return response(StatusCode::REQUEST_TIMEOUT, SERIALIZATION.to_owned()),
        };
        if let Some(throttle) = &self.throttle
            && let Some(refusal) = throttle.strike()
        {
            return response(StatusCode::BAD_REQUEST, refusal);
        }
        let target = head.headers.get("x-amz-target");
        let target = target.and_then(|it| it.to_str().ok()).unwrap_or_default();
        let Some(operation) = target.strip_prefix(TARGET) else {
            return response(StatusCode::BAD_REQUEST, UNKNOWN_OPERATION.to_owned());
        };
        if let Some(refusal) = unsigned(&head.uri, &head.headers) {
            return response(StatusCode::BAD_REQUEST, refusal);
        }
        match call(&self.tables, operation, &body) {
            None => response(StatusCode::BAD_REQUEST, UNKNOWN_OPERATION.to_owned()),
            Some(Ok(answer)) => response(StatusCode::OK, answer),
            Some(Err(error)) => {
                let status = StatusCode::from_u16(error.status_code());
                response(status.unwrap_or(StatusCode::BAD_REQUEST), error.to_json())
            }
        }
    }
}

/// Carries out an operation; `None` for one that there is not, or that no SDK's caller here needs:
/// tables come of the template.
fn call(tables: &Dynoxide, operation: &str, body: &[u8]) -> Option<Result<String>> {
    Some(match operation {
        "BatchGetItem" => run(body, |it| tables.batch_get_item(it)),
        "BatchWriteItem" => run(body, |it| tables.batch_write_item(it)),
        "DeleteItem" => run(body, |it| tables.delete_item(it)),
        "DescribeTable" => run(body, |it| tables.describe_table(it)),
        "DescribeTimeToLive" => run(body, |it| tables.describe_time_to_live(it)),
        "GetItem" => run(body, |it| tables.get_item(it)),
        "ListTables" => run(body, |it| tables.list_tables(it)),
        "PutItem" => run(body, |it| tables.put_item(it)),
        "Query" => run(body, |it| tables.query(it)),
        "Scan" => run(body, |it| tables.scan(it)),
        "TransactGetItems" => run(body, |it| tables.transact_get_items(it)),
        "TransactWriteItems" => run(body, |it| tables.transact_write_items(it)),
        "UpdateItem" => run(body, |it| tables.update_item(it)),
        _ => return None,
    })
}

fn run<Q: DeserializeOwned, A: Serialize>(
    body: &[u8],
    operation: impl FnOnce(Q) -> Result<A>,
) -> Result<String> {
    let unreadable =
        |error: serde_json::Error| DynoxideError::SerializationException(error.to_string());
    let answer = operation(serde_json::from_slice(body).map_err(unreadable)?)?;
    serde_json::to_string(&answer)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

/// How DynamoDB refuses a request without a signature. Signatures themselves are not checked.
fn unsigned(uri: &Uri, headers: &HeaderMap) -> Option<String> {
    let authorization = headers.get(AUTHORIZATION);
    validate(AuthMaterial {
        authorization: authorization.and_then(|it| it.to_str().ok()),
        query: uri.query().unwrap_or_default(),
        has_date_header: headers.contains_key("x-amz-date") || headers.contains_key(DATE),
    })
}

fn response(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let kind = HeaderValue::from_static("application/x-amz-json-1.0");
    headers.insert(CONTENT_TYPE, kind);
    let id = uuid::Uuid::new_v4().simple().to_string().to_uppercase();
    if let Ok(id) = HeaderValue::from_str(&id) {
        headers.insert("x-amzn-requestid", id);
    }
    response
}
