//! What the targets in `fuzz/` call. Nothing else does.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::faults::{Dice, Faults};
use crate::gateway::connections::{Client, Connection};
use crate::gateway::event::{self, Handshake, Kind, Source};
use crate::gateway::{Gateway, Limits, integration, route};
use crate::head;
use crate::lambda::{Code, FunctionOptions, Functions, Setting};
use crate::observer::Observer;
use crate::server::Server;
use crate::template::{Api, Route, Throttle};

/// Longer than any input may take to be answered and closed.
const HANG: Duration = Duration::from_secs(10);

/// Chooses a route and builds an event from parts that a client controls.
///
/// # Panics
/// If an event is not JSON, or says something else than it was given.
pub fn event(expression: &str, text: &str, head_bytes: &[u8], query: &str) {
    let route_key = route::key(expression, text);
    assert!(!route_key.is_some_and(|key| key.starts_with('$')));
    drop(integration::read(text.as_bytes()));
    let (connection, _ends) = Connection::new(
        "AAAAAAAAAAAAAAA=".to_owned(),
        Client {
            source_ip: "127.0.0.1".to_owned(),
            user_agent: Some(text.to_owned()),
        },
    );
    let names = head::names(head_bytes);
    let mut headers = HeaderMap::new();
    for line in head_bytes.split(|byte| *byte == b'\n') {
        let (name, value) = line.split_at(line.len() / 2);
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    let source = Source {
        api_id: "local",
        stage: "dev",
        authority: "127.0.0.1:1",
    };
    let handshake = Handshake {
        headers: &headers,
        names: &names,
        query: Some(query),
    };
    // One of the three each time, so that an input is quick.
    let kind = match query.len() % 3 {
        0 => Kind::Connect(handshake),
        1 => Kind::Message { body: text },
        _ => Kind::Disconnect {
            code: 1000,
            reason: text,
        },
    };
    let event = event::build(source, &connection, text, "id", kind);
    let event: Value = serde_json::from_slice(&event).expect("an event is JSON");
    assert_eq!(event["requestContext"]["routeKey"], text);
    match kind {
        Kind::Connect(_) => assert!(event["headers"].is_object()),
        Kind::Message { .. } => assert_eq!(event["body"], text),
        Kind::Disconnect { .. } => {
            assert_eq!(event["requestContext"]["disconnectReason"], text);
        }
    }
}

/// A whole server, as far as bytes reach it.
pub struct Port {
    runtime: tokio::runtime::Runtime,
    server: Server,
}

impl Port {
    /// One with a `$default` route whose function always fails.
    ///
    /// # Panics
    /// If the operating system gives no runtime.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it is no plain value")]
    pub fn new() -> Self {
        let route = Route {
            authorizer: None,
            function: "None".to_owned(),
            replies: true,
            timeout: Duration::from_secs(1),
        };
        let api = Api {
            id: "local".to_owned(),
            stage: "dev".to_owned(),
            route_selection_expression: "$request.body.action".to_owned(),
            routes: BTreeMap::from([("$default".to_owned(), route)]),
            throttle: Throttle {
                rate: 1e12,
                burst: u32::MAX,
            },
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let entered = runtime.enter();
        let observer = Observer::default();
        let dice = Arc::new(Dice::new(Faults::default(), 0, &observer));
        let setting = Setting {
            code: &|_| Code::new("/nonexistent"),
            environment: &BTreeMap::new(),
            options: FunctionOptions::default(),
            dice: &dice,
            observer: &observer,
        };
        let functions = Functions::new(&BTreeMap::new(), &setting);
        drop(entered);
        let gateway = Gateway::new(
            api,
            "127.0.0.1:1".to_owned(),
            functions,
            Limits::default(),
            dice,
        );
        Self {
            runtime,
            server: Server {
                gateway: Arc::new(gateway),
                site: None,
            },
        }
    }

    /// Sends bytes as a client that then says no more, and waits until all is closed.
    ///
    /// # Panics
    /// If that does not happen soon.
    pub fn receive(&self, bytes: &[u8]) {
        let (client, served) = tokio::io::duplex(64 * 1024);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        let serving = self.server.clone().serve(served, address);
        let (mut read, mut write) = tokio::io::split(client);
        let sent = async {
            drop(write.write_all(bytes).await);
            drop(write.shutdown().await);
        };
        let answered = async {
            let mut answer = [0; 4096];
            while read.read(&mut answer).await.is_ok_and(|bytes| bytes > 0) {}
        };
        let all = async { tokio::join!(serving, sent, answered) };
        let ended = self
            .runtime
            .block_on(async { tokio::time::timeout(HANG, all).await });
        assert!(ended.is_ok(), "a connection that does not end");
    }
}
