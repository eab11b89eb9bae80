//! In front of what the functions talk to: counts what each call of `DynamoDB` consumes, and the calls of
//! `@connections`. The functions are told to go through it by their variables alone.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as Lock, PoisonError};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_LENGTH, HOST, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;

use crate::error::BenchError;

/// The calls that write; all others read.
const WRITES: [&str; 4] = ["PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"];
/// No call of a function takes that long.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// What was counted.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Reading {
    pub(super) read_units: f64,
    pub(super) write_units: f64,
    pub(super) posts: f64,
    /// Calls of `DynamoDB` whose consumption is not known, for they failed.
    pub(super) unknown: u32,
}

/// A meter that runs for as long as its runtime does.
#[derive(Debug)]
pub(super) struct Meter {
    address: SocketAddr,
    reading: Arc<Lock<Reading>>,
}

/// To whom a connection has led so far, by port.
type Ways = Mutex<HashMap<u16, SendRequest<Full<Bytes>>>>;

impl Meter {
    /// # Errors
    /// If there is no port for it.
    pub(super) async fn start() -> Result<Self, BenchError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let bound = listener.and_then(|it| Ok((it.local_addr()?, it)));
        let (address, listener) =
            bound.map_err(|error| BenchError::Measurement(format!("no port: {error}")))?;
        let reading = Arc::<Lock<Reading>>::default();
        let shared = Arc::clone(&reading);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let reading = Arc::clone(&shared);
                tokio::spawn(async move {
                    // Small frames would wait for each other's receipts.
                    let _ = stream.set_nodelay(true);
                    let ways = Ways::default();
                    let service = service_fn(async |request| pass(&reading, &ways, request).await);
                    let server = hyper::server::conn::http1::Builder::new();
                    // Whoever is cut off notices by itself.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Ok(Self { address, reading })
    }

    /// A program that is the bootstrap with its ways led through this.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(super) fn wrapper(&self, bootstrap: &Path, folder: &Path) -> Result<PathBuf, BenchError> {
        use std::os::unix::fs::PermissionsExt as _;
        let address = self.address;
        let script = format!(
            "#!/bin/sh\n\
             # `http://127.0.0.1:PORT/REST` becomes `http://{address}/PORT/REST`.\n\
             led() {{ echo \"$1\" | sed 's,^http://127.0.0.1:\\([0-9]*\\),http://{address}/\\1,'; }}\n\
             AWS_ENDPOINT_URL_DYNAMODB=$(led \"$AWS_ENDPOINT_URL_DYNAMODB\")\n\
             export AWS_ENDPOINT_URL_DYNAMODB\n\
             if [ -n \"$MANAGEMENT_ENDPOINT\" ]; then\n\
             MANAGEMENT_ENDPOINT=$(led \"$MANAGEMENT_ENDPOINT\")\n\
             export MANAGEMENT_ENDPOINT\n\
             fi\n\
             exec '{}'\n",
            bootstrap.display()
        );
        let path = folder.join("metered-bootstrap");
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| std::fs::write(&path, script))
            .and_then(|()| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)));
        written.map_err(|source| BenchError::File {
            path: path.clone(),
            source,
        })?;
        Ok(path)
    }

    /// What was counted since the last time.
    pub(super) fn take(&self) -> Reading {
        std::mem::take(&mut self.reading.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Passes a request on, and counts it. Whoever cannot be reached answers 502.
async fn pass(
    reading: &Lock<Reading>,
    ways: &Ways,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let passed = tokio::time::timeout(CALL_TIMEOUT, forward(reading, ways, request)).await;
    let answer = passed.unwrap_or_else(|late| Err(io::Error::other(late)));
    Ok(answer.unwrap_or_else(|error| {
        let mut refusal = Response::new(Full::from(error.to_string()));
        *refusal.status_mut() = hyper::StatusCode::BAD_GATEWAY;
        refusal
    }))
}

async fn forward(
    reading: &Lock<Reading>,
    ways: &Ways,
    request: Request<Incoming>,
) -> io::Result<Response<Full<Bytes>>> {
    let (mut head, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let target = head.uri.to_string();
    let (port, rest) = led_to(&target).ok_or_else(|| io::Error::other("no port in the path"))?;
    head.uri = rest.parse().map_err(io::Error::other)?;
    let host = HeaderValue::from_str(&format!("127.0.0.1:{port}")).map_err(io::Error::other)?;
    head.headers.insert(HOST, host);
    let operation = head.headers.get("x-amz-target");
    let operation =
        operation.and_then(|it| it.to_str().ok()?.rsplit('.').next().map(str::to_owned));
    let is_post = head.method == hyper::Method::POST && rest.contains("/@connections/");
    let body = match &operation {
        Some(_) => asking(&body)?,
        None => body,
    };
    head.headers.insert(CONTENT_LENGTH, body.len().into());
    let mut sender = way(ways, port).await?;
    let answer = sender
        .send_request(Request::from_parts(head, Full::from(body)))
        .await
        .map_err(io::Error::other)?;
    let (head, body) = answer.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    ways.lock().await.insert(port, sender);
    let mut reading = reading.lock().unwrap_or_else(PoisonError::into_inner);
    match operation {
        Some(operation) => reading.count(&operation, &body),
        None if is_post => reading.posts += 1.0,
        None => {}
    }
    Ok(Response::from_parts(head, Full::from(body)))
}

/// A connection that is there and free, or a new one.
async fn way(ways: &Ways, port: u16) -> io::Result<SendRequest<Full<Bytes>>> {
    let kept = ways.lock().await.remove(&port);
    if let Some(mut kept) = kept
        && kept.ready().await.is_ok()
    {
        return Ok(kept);
    }
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = handshake(TokioIo::new(stream))
        .await
        .map_err(io::Error::other)?;
    tokio::spawn(connection);
    Ok(sender)
}

/// `/PORT/REST` as its port and `/REST`.
fn led_to(target: &str) -> Option<(u16, String)> {
    let (port, rest) = target.strip_prefix('/')?.split_once('/')?;
    Some((port.parse().ok()?, format!("/{rest}")))
}

/// The same request, which asks as well what it consumes.
fn asking(body: &[u8]) -> io::Result<Bytes> {
    let mut request: Value = serde_json::from_slice(body)?;
    request["ReturnConsumedCapacity"] = json!("TOTAL");
    Ok(request.to_string().into())
}

impl Reading {
    fn count(&mut self, operation: &str, answer: &[u8]) {
        let answer: Value = serde_json::from_slice(answer).unwrap_or_default();
        // A transaction tells it for each table.
        let consumed = &answer["ConsumedCapacity"];
        let of = |it: &Value| it["CapacityUnits"].as_f64();
        let units = match consumed.as_array() {
            Some(tables) => tables.iter().map(of).sum(),
            None => of(consumed),
        };
        match units {
            None => self.unknown += 1,
            Some(units) if WRITES.contains(&operation) => self.write_units += units,
            Some(units) => self.read_units += units,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_counted_by_what_the_call_does() {
        let mut reading = Reading::default();
        let one = br#"{"ConsumedCapacity": {"CapacityUnits": 1.5}}"#;
        let two = br#"{"ConsumedCapacity": [{"CapacityUnits": 2.0}, {"CapacityUnits": 4.0}]}"#;
        reading.count("Query", one);
        reading.count("PutItem", one);
        reading.count("TransactWriteItems", two);
        reading.count(
            "PutItem",
            br#"{"__type": "ConditionalCheckFailedException"}"#,
        );
        let expected = Reading {
            read_units: 1.5,
            write_units: 7.5,
            posts: 0.0,
            unknown: 1,
        };
        assert_eq!(reading, expected);
    }

    #[test]
    fn the_path_tells_whereto() {
        assert_eq!(led_to("/8000/"), Some((8000, "/".to_owned())));
        let post = led_to("/80/dev/@connections/a%3D");
        assert_eq!(post, Some((80, "/dev/@connections/a%3D".to_owned())));
        for nowhere in ["/", "/dev/x", "/99999/", ""] {
            assert_eq!(led_to(nowhere), None, "{nowhere}");
        }
    }
}
