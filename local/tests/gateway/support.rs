//! An app in Node on a stack of its own, a client that is a real WebSocket client over a handshake
//! written by hand, and plain HTTP. Every wait has a deadline.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use local::{Code, Event, Faults, Limits, Observer, Options, Stack};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};
use tokio_tungstenite::tungstenite::{Error, Message};

/// Ample on a slow and busy machine; nothing takes nearly as long unless it is broken.
pub(crate) const DEADLINE: Duration = Duration::from_mins(1);

/// Awaits with the deadline.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future)
        .await
        .unwrap_or_else(|_| panic!("{what} took longer than {DEADLINE:?}"))
}

/// A stack that runs `tests/app`.
pub(crate) struct App {
    stack: Stack,
    authority: String,
    lines: mpsc::UnboundedReceiver<String>,
}

/// How an app differs from `tests/app/template.json` and the defaults.
pub(crate) struct Setup {
    pub(crate) template: Value,
    pub(crate) limits: Limits,
    pub(crate) faults: Faults,
    /// What runs instead of the app in Node.
    pub(crate) code: Option<Code>,
}

impl Default for Setup {
    fn default() -> Self {
        let template = include_str!("../app/template.json");
        Self {
            template: serde_json::from_str(template).expect("a template"),
            limits: Limits::default(),
            faults: Faults::default(),
            code: None,
        }
    }
}

impl Setup {
    /// Takes resources out of the template: a route with all that leads to it.
    pub(crate) fn without(mut self, names: &[&str]) -> Self {
        let resources = self.template["Resources"]
            .as_object_mut()
            .expect("resources");
        for name in names {
            for kind in ["Route", "Response", "Integration", "Function"] {
                resources.remove(&format!("{name}{kind}"));
            }
        }
        self
    }

    pub(crate) async fn start(self) -> App {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/app");
        let code = |module: &str| Code {
            program: "node".into(),
            arguments: vec![
                folder.join("runtime.mjs").into(),
                folder.join(module).into(),
            ],
        };
        let resources = self.template["Resources"].as_object().expect("resources");
        let functions = resources.keys().filter(|id| id.ends_with("Function"));
        let function_code: BTreeMap<_, _> = functions
            .map(|id| {
                (
                    id.clone(),
                    self.code.clone().unwrap_or_else(|| code("app.mjs")),
                )
            })
            .collect();
        let (tell, lines) = mpsc::unbounded_channel();
        let options = Options {
            function_code,
            limits: self.limits,
            faults: self.faults,
            seed: 7,
            observer: Observer::new(move |event| {
                drop(tell.send(match event {
                    Event::Log { line, .. } | Event::Platform { line, .. } => line,
                    Event::Report { report, .. } => report.to_string(),
                    Event::Fault(fault) => format!("FAULT {fault}"),
                }));
            }),
            ..Options::new(&self.template, Code::new("/nonexistent"))
        };
        let stack = soon("the start", Stack::start(options))
            .await
            .expect("the stack starts");
        let authority = stack
            .site_url()
            .trim_start_matches("http://")
            .trim_end_matches('/')
            .to_owned();
        App {
            stack,
            authority,
            lines,
        }
    }
}

impl App {
    pub(crate) async fn start() -> Self {
        Setup::default().start().await
    }

    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    pub(crate) fn into_stack(self) -> Stack {
        self.stack
    }

    pub(crate) fn stack(&self) -> &Stack {
        &self.stack
    }

    pub(crate) async fn stop(self) {
        soon("the stop", self.stack.stop()).await;
    }

    /// The rest of the next line of the log that starts so.
    pub(crate) async fn line(&mut self, start: &str) -> String {
        let found = async {
            loop {
                let line = self.lines.recv().await.expect("the stack runs");
                if let Some(rest) = line.strip_prefix(start) {
                    return rest.to_owned();
                }
            }
        };
        soon(start, found).await
    }

    /// The next event of a kind that a function was given.
    pub(crate) async fn event(&mut self, kind: &str) -> Value {
        loop {
            let event: Value =
                serde_json::from_str(&self.line("EVENT ").await).expect("an event in JSON");
            if event["requestContext"]["eventType"] == kind {
                return event;
            }
        }
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> Client {
        self.try_connect("", "")
            .await
            .unwrap_or_else(|refusal| panic!("refused: {refusal:?}"))
    }

    /// Opens a connection, and tells its id.
    pub(crate) async fn connect_with_id(&mut self) -> (Client, String) {
        let client = self.connect().await;
        let event = self.event("CONNECT").await;
        let id = event["requestContext"]["connectionId"].as_str();
        (client, id.expect("an id").to_owned())
    }

    /// Opens a connection with a query string and further header lines, each with its line's end.
    pub(crate) async fn try_connect(&self, query: &str, headers: &str) -> Result<Client, Answer> {
        let request = format!(
            "GET /live{query} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Key: x3JJHMbDL1EzLkh9GBhXDw==\r\nSec-WebSocket-Version: 13\r\n{headers}\r\n",
            self.authority
        );
        let connected = async {
            let mut stream = self.tcp().await;
            stream.write_all(request.as_bytes()).await.expect("sent");
            let head = read_head(&mut stream).await;
            if !head.starts_with("HTTP/1.1 101 ") {
                return Err(Answer::read(head, stream).await);
            }
            let socket = WebSocketStream::from_raw_socket(stream, Role::Client, None).await;
            Ok(Client { socket, head })
        };
        soon("a handshake", connected).await
    }

    pub(crate) async fn tcp(&self) -> TcpStream {
        soon("a connection", TcpStream::connect(&self.authority))
            .await
            .expect("the port is open")
    }

    /// One HTTP request on a connection of its own.
    pub(crate) async fn http(&self, method: &str, path: &str, body: &[u8]) -> Answer {
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            self.authority,
            body.len()
        );
        let exchange = async {
            let mut stream = self.tcp().await;
            stream.write_all(head.as_bytes()).await.expect("sent");
            // A refusal may come before all of it is sent.
            drop(stream.write_all(body).await);
            let head = read_head(&mut stream).await;
            Answer::read(head, stream).await
        };
        soon("an HTTP request", exchange).await
    }

    /// `@connections` for one connection.
    pub(crate) async fn manage(&self, method: &str, id: &str, body: &[u8]) -> Answer {
        let path = format!(
            "/live/@connections/{}",
            id.replace('=', "%3D")
                .replace('+', "%2B")
                .replace('/', "%2F")
        );
        self.http(method, &path, body).await
    }
}

/// An HTTP response.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    async fn read(head: String, mut stream: TcpStream) -> Self {
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.trim().parse().ok())?
        });
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).await.expect("a body");
        Self {
            status: status.expect("a status"),
            head: head.to_lowercase(),
            body: String::from_utf8(body).expect("text"),
        }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }
}

async fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        // Byte by byte: what follows is for the WebSocket.
        head.push(stream.read_u8().await.expect("a response"));
    }
    String::from_utf8(head).expect("text")
}

/// A WebSocket client.
pub(crate) struct Client {
    pub(crate) socket: WebSocketStream<TcpStream>,
    /// The response's head.
    pub(crate) head: String,
}

impl Client {
    pub(crate) async fn send(&mut self, text: &str) {
        self.send_message(Message::text(text)).await;
    }

    pub(crate) async fn send_message(&mut self, message: Message) {
        soon("sending", self.socket.send(message))
            .await
            .expect("sent");
    }

    /// Sends a text message in frames of a size.
    pub(crate) async fn send_frames(
        &mut self,
        text: &str,
        frame_bytes: usize,
    ) -> Result<(), Error> {
        let chunks: Vec<_> = text.as_bytes().chunks(frame_bytes).collect();
        for (index, chunk) in chunks.iter().enumerate() {
            let kind = if index == 0 {
                Data::Text
            } else {
                Data::Continue
            };
            let is_last = index + 1 == chunks.len();
            let frame = Frame::message(chunk.to_vec(), OpCode::Data(kind), is_last);
            soon("sending", self.socket.send(Message::Frame(frame))).await?;
        }
        Ok(())
    }

    pub(crate) async fn next(&mut self) -> Message {
        soon("a frame", self.socket.next())
            .await
            .expect("still open")
            .expect("a frame")
    }

    pub(crate) async fn text(&mut self) -> String {
        match self.next().await {
            Message::Text(text) => text.to_string(),
            other => panic!("not a text: {other:?}"),
        }
    }

    /// Waits for the other side to close, and gives the code.
    pub(crate) async fn closed(&mut self) -> u16 {
        match self.next().await {
            Message::Close(Some(frame)) => frame.code.into(),
            other => panic!("not a close: {other:?}"),
        }
    }

    pub(crate) async fn close(mut self, code: u16, reason: &'static str) {
        let frame = CloseFrame {
            code: code.into(),
            reason: reason.into(),
        };
        self.send_message(Message::Close(Some(frame))).await;
        let ended = async {
            let mut answer = None;
            while let Some(Ok(message)) = self.socket.next().await {
                answer = Some(message);
            }
            answer
        };
        // RFC 6455, section 5.5.1: what was sent is sent back.
        let answer = soon("the end", ended).await;
        assert!(
            matches!(&answer, Some(Message::Close(Some(frame))) if u16::from(frame.code) == code),
            "{answer:?}"
        );
    }

    /// Says something and waits for the answer: how long a conversation's turn takes.
    pub(crate) async fn turn(&mut self, text: &str) -> Duration {
        let started = Instant::now();
        self.send(&format!(r#"{{"action":"say","text":"{text}"}}"#))
            .await;
        assert_eq!(self.text().await, format!("said {text}"));
        started.elapsed()
    }
}

/// A JSON message of exactly so many bytes that goes to `$default`.
pub(crate) fn message_of(bytes: usize) -> String {
    let frame = r#"{"pad":""}"#;
    let message = format!(r#"{{"pad":"{}"}}"#, "x".repeat(bytes - frame.len()));
    assert_eq!(message.len(), bytes);
    message
}
