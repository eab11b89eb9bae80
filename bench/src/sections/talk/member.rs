//! One member of a chat, on a socket of its own: the load generator's smallest part.
//!
//! All members live on one thread, so that the other processors are the server's, and what they hear
//! goes to one [`Ear`] without a lock.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::UrlError;
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::board::{Board, Ticket};
use crate::error::BenchError;

type Socket = WebSocketStream<TcpStream>;

/// How long a server may take to take a connection, or to answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two tries of a connection that a throttled stage refuses.
const THROTTLED_PAUSE: Duration = Duration::from_millis(50);
/// Bytes that each connection reads at once: enough for some frames, and little times ten thousand.
const READ_BYTES: usize = 8 * 1024;
/// Characters of a message's text.
const TEXT_LENGTH: usize = 100;
/// What comes before the number in a message's text.
const MARK: &str = r##""text":"#"##;
/// Complaints that are kept.
const COMPLAINTS_MAX: usize = 5;

/// Where all that a room's members hear comes together.
#[derive(Debug)]
pub(super) struct Ear {
    pub(super) board: RefCell<Board>,
    last: Cell<Instant>,
    complaints: RefCell<Vec<String>>,
}

impl Ear {
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self {
            board: RefCell::default(),
            last: Cell::new(Instant::now()),
            complaints: RefCell::default(),
        })
    }

    /// For how long nobody has heard anything.
    pub(super) fn silent_for(&self) -> Duration {
        self.last.get().elapsed()
    }

    /// What servers sent that nobody wants to hear: errors, and ends of connections.
    pub(super) fn complaints(&self) -> Vec<String> {
        self.complaints.borrow().clone()
    }

    fn complain(&self, complaint: String) {
        let mut complaints = self.complaints.borrow_mut();
        if complaints.len() < COMPLAINTS_MAX {
            complaints.push(complaint);
        }
    }

    /// A frame has come. An answer to a `create` or `join` is given back.
    fn hear(&self, member: usize, frame: &str) -> Option<Result<String, String>> {
        let now = Instant::now();
        self.last.set(now);
        match Heard::of(frame) {
            Heard::Message(number) => {
                self.board.borrow_mut().heard(now, number, member);
                None
            }
            Heard::Joined(room) => Some(Ok(room)),
            Heard::Refusal => {
                self.complain(frame.to_owned());
                Some(Err(frame.to_owned()))
            }
            Heard::Other => None,
        }
    }
}

/// What a frame is, as far as it matters here.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    /// A message of ours, with its number.
    Message(usize),
    /// The room that was joined.
    Joined(String),
    /// An error of the chat or of its gateway.
    Refusal,
    /// A list of members, say.
    Other,
}

impl Heard {
    /// Messages are told without reading the rest: they are most of what comes.
    fn of(frame: &str) -> Self {
        let is = |kind: &str| {
            let rest = frame.strip_prefix(r#"{"type":""#);
            rest.is_some_and(|rest| rest.starts_with(kind))
        };
        if is("message\"") {
            return number_in(frame).map_or(Self::Other, Self::Message);
        }
        if is("joined\"") {
            #[derive(Deserialize)]
            struct Joined {
                room: String,
            }
            let joined = serde_json::from_str(frame);
            return joined.map_or(Self::Refusal, |Joined { room }| Self::Joined(room));
        }
        // API Gateway's own frames have no type.
        if is("error\"") || !frame.starts_with(r#"{"type":"#) {
            return Self::Refusal;
        }
        Self::Other
    }
}

fn number_in(frame: &str) -> Option<usize> {
    let (_, rest) = frame.split_once(MARK)?;
    let digits = rest.bytes().take_while(u8::is_ascii_digit);
    digits.fold(None, |number, digit| {
        Some(number.unwrap_or(0) * 10 + usize::from(digit - b'0'))
    })
}

fn text_of(number: usize) -> String {
    format!("{:.<TEXT_LENGTH$}", format!("#{number} "))
}

/// A member, or a connection that may become one.
#[derive(Debug)]
pub(super) struct Member {
    /// Where it is, once it is in a room.
    room: Option<String>,
    sink: SplitSink<Socket, Message>,
    answers: mpsc::UnboundedReceiver<Result<String, String>>,
    reader: AbortHandle,
}

impl Member {
    /// Connects. `index` is its number on the board.
    ///
    /// # Errors
    /// If the server does not take it, or not in time.
    pub(super) async fn connect(
        url: &str,
        index: usize,
        ear: &Rc<Ear>,
    ) -> Result<Self, BenchError> {
        let failed = |why: &dyn std::fmt::Display| {
            BenchError::Measurement(format!("connection {index} to `{url}`: {why}"))
        };
        let socket = timeout(ANSWER_TIMEOUT, open(url)).await;
        let socket = socket
            .map_err(|late| failed(&late))?
            .map_err(|error| failed(&error))?;
        let (sink, stream) = socket.split();
        let (sender, answers) = mpsc::unbounded_channel();
        let reader = tokio::task::spawn_local(read(stream, index, Rc::clone(ear), sender));
        Ok(Self {
            room: None,
            sink,
            answers,
            reader: reader.abort_handle(),
        })
    }

    /// Joins a room, or makes one, and gives its code.
    ///
    /// # Errors
    /// If it is refused, or not answered in time.
    pub(super) async fn enter(
        &mut self,
        room: Option<&str>,
        name: &str,
    ) -> Result<String, BenchError> {
        let frame = match room {
            Some(room) => json!({"type": "join", "room": room, "name": name}),
            None => json!({"type": "create", "name": name}),
        };
        self.send(frame.to_string()).await?;
        let answer = timeout(ANSWER_TIMEOUT, self.answers.recv()).await;
        let why = match answer {
            Ok(Some(Ok(room))) => {
                self.room = Some(room.clone());
                return Ok(room);
            }
            Ok(Some(Err(refusal))) => refusal,
            Ok(None) => "the connection has ended".to_owned(),
            Err(late) => late.to_string(),
        };
        Err(BenchError::Measurement(format!(
            "`{name}` cannot join: {why}"
        )))
    }

    /// Says something, which is on the board already.
    ///
    /// # Errors
    /// If the connection has ended.
    pub(super) async fn say(&mut self, ticket: &Ticket) -> Result<(), BenchError> {
        let text = text_of(ticket.number);
        let frame = json!({"type": "message", "room": self.room, "text": text});
        self.send(frame.to_string()).await
    }

    async fn send(&mut self, frame: String) -> Result<(), BenchError> {
        let sent = self.sink.send(Message::text(frame)).await;
        sent.map_err(|error| BenchError::Measurement(format!("nothing can be sent: {error}")))
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

/// Again, where a stage is throttled as on AWS: until the caller has had enough.
async fn open(url: &str) -> Result<Socket, Error> {
    loop {
        let request = url.into_client_request()?;
        let no_host = || Error::Url(UrlError::NoHostName);
        let authority = request.uri().authority().ok_or_else(no_host)?;
        let stream = TcpStream::connect(authority.as_str()).await?;
        stream.set_nodelay(true)?;
        let config = WebSocketConfig::default().read_buffer_size(READ_BYTES);
        match client_async_with_config(request, stream, Some(config)).await {
            Ok((socket, _)) => return Ok(socket),
            Err(Error::Http(refusal)) if refusal.status() == StatusCode::TOO_MANY_REQUESTS => {
                sleep(THROTTLED_PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
}

async fn read(
    mut stream: SplitStream<Socket>,
    member: usize,
    ear: Rc<Ear>,
    answers: mpsc::UnboundedSender<Result<String, String>>,
) {
    loop {
        match stream.next().await {
            Some(Ok(Message::Text(text))) => {
                if let Some(answer) = ear.hear(member, text.as_str()) {
                    // Nobody asked if nobody takes it.
                    let _ = answers.send(answer);
                }
            }
            Some(Ok(Message::Close(why))) => {
                return ear.complain(format!("member {member} was closed: {why:?}"));
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                return ear.complain(format!("member {member} was cut off: {error}"));
            }
            None => return ear.complain(format!("member {member} was cut off")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_told_apart() {
        let message = |text: &str| json!({"type": "message", "room": "r", "seq": 1, "from": "m1", "text": text, "at": 7});
        let cases = [
            (message(&text_of(1234)), Heard::Message(1234)),
            (message(&text_of(0)), Heard::Message(0)),
            (message("# 12"), Heard::Other),
            (
                json!({"type": "joined", "room": "A-B"}),
                Heard::Joined("A-B".to_owned()),
            ),
            (json!({"type": "presence", "members": []}), Heard::Other),
            (
                json!({"type": "error", "code": "try-again"}),
                Heard::Refusal,
            ),
            (json!({"message": "Too Many Requests"}), Heard::Refusal),
        ];
        for (frame, expected) in cases {
            assert_eq!(Heard::of(&frame.to_string()), expected, "{frame}");
        }
    }

    #[test]
    fn texts_are_all_of_one_length() {
        for number in [0, 7, 123_456_789] {
            assert_eq!(text_of(number).len(), TEXT_LENGTH, "{number}");
        }
    }
}
