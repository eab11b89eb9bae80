//! Lambda's `Invoke` for the functions themselves (AWS's API reference of Lambda, “Invoke”), with the
//! invocation type `Event` alone: nothing here waits for another function.
//!
//! It is on each process's own listener and not on the stack's port, where any page that a browser on
//! this machine has open could reach it.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde_json::{Value, json};

use super::function::Function;
use super::{All, accept};

/// An asynchronous invocation's event at most (AWS's quota page, “Invocation payload”).
const EVENT_BYTES_MAX: usize = 1024 * 1024;

/// `POST /2015-03-31/functions/{name}/invocations`. The name may be an ARN.
pub(super) async fn invoke(
    State(all): State<All>,
    Path(name): Path<String>,
    headers: HeaderMap,
    event: Bytes,
) -> Response {
    let kind = headers.get("x-amz-invocation-type");
    if kind.and_then(|kind| kind.to_str().ok()) != Some("Event") {
        let message = "only the invocation type Event runs here";
        return refusal(400, "InvalidParameterValueException", message);
    }
    if event.len() > EVENT_BYTES_MAX {
        let message = format!("Request must be smaller than {EVENT_BYTES_MAX} bytes");
        return refusal(413, "RequestTooLargeException", &message);
    }
    if serde_json::from_slice::<Value>(&event).is_err() {
        let message = "Could not parse request body into json";
        return refusal(400, "InvalidRequestContentException", message);
    }
    let Some(function) = find(&all, &name) else {
        let message = format!("Function not found: {name}");
        return refusal(404, "ResourceNotFoundException", &message);
    };
    let request_id = accept(&function, event);
    let mut response = StatusCode::ACCEPTED.into_response();
    if let Ok(request_id) = HeaderValue::from_str(&request_id) {
        response
            .headers_mut()
            .insert("x-amzn-requestid", request_id);
    }
    response
}

fn find(all: &All, name: &str) -> Option<Arc<Function>> {
    let name = name.rsplit(':').next()?;
    let functions = all.get()?.iter().filter_map(std::sync::Weak::upgrade);
    functions.into_iter().find(|it| it.declared.name == name)
}

fn refusal(status: u16, kind: &'static str, message: &str) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_REQUEST);
    let error = HeaderValue::from_static(kind);
    let body = json!({"Type": "User", "Message": message});
    (status, [("x-amzn-errortype", error)], Json(body)).into_response()
}
