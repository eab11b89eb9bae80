//! Somebody at a socket. A task reads it all the time, so that the transcript has the times of
//! arrival; when its owner is gone, the task leaves the room and hangs up.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{self, Message};

use super::fault::{Fault, ensure};
use super::transcript::{Transcript, shown};
use crate::dial::Connection;

/// How long a socket's other end may take to agree to the end.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// The longest frame of the server, by the protocol.
const FRAME_BYTES_MAX: usize = 32 * 1024;

/// A connection to a chat.
pub(super) type Socket = WebSocketStream<Box<dyn Connection>>;

/// Somebody at a socket.
pub(crate) struct Peer {
    name: &'static str,
    commands: UnboundedSender<Command>,
    frames: UnboundedReceiver<Result<Value, Fault>>,
    /// What has come and nobody has asked for yet.
    inbox: Vec<Value>,
    deadline: Instant,
    limit: Duration,
}

/// What the task at the socket is to do.
enum Command {
    Say(String),
    /// Hang up in order.
    Close,
    /// Hang up without a word, as a phone in a tunnel does.
    Vanish,
}

/// Somebody at a socket, and the task that serves it.
pub(super) fn seated(
    name: &'static str,
    socket: Socket,
    transcript: Transcript,
    deadline: Instant,
    limit: Duration,
) -> (Peer, impl Future<Output = ()> + Send) {
    let (commands, to_do) = unbounded_channel();
    let (heard, frames) = unbounded_channel();
    let peer = Peer {
        name,
        commands,
        frames,
        inbox: Vec::new(),
        deadline,
        limit,
    };
    let seat = Seat {
        name,
        socket,
        transcript,
        heard,
    };
    (peer, seat.serve(to_do))
}

impl Peer {
    /// Sends a frame.
    ///
    /// # Errors
    /// [`Fault::Closed`], if the socket is.
    pub(super) fn send(&self, frame: &Value) -> Result<(), Fault> {
        self.send_text(frame.to_string())
    }

    /// Sends what may be no frame.
    ///
    /// # Errors
    /// As [`Peer::send`].
    pub(super) fn send_text(&self, text: String) -> Result<(), Fault> {
        let sent = self.commands.send(Command::Say(text));
        sent.map_err(|_| self.closed("been used"))
    }

    /// The next frame that is wanted. Others wait for whoever asks for them; a refusal is for whoever
    /// waits.
    ///
    /// # Errors
    /// [`Fault`], if it does not come before the check's deadline.
    pub(super) async fn wait(
        &mut self,
        expected: &str,
        is_wanted: impl FnMut(&Value) -> bool,
    ) -> Result<Value, Fault> {
        self.wait_until(self.deadline, expected, is_wanted).await
    }

    /// Likewise, until a moment before that.
    ///
    /// # Errors
    /// As [`Peer::wait`].
    pub(super) async fn wait_until(
        &mut self,
        until: Instant,
        expected: &str,
        mut is_wanted: impl FnMut(&Value) -> bool,
    ) -> Result<Value, Fault> {
        if let Some(place) = self.inbox.iter().position(&mut is_wanted) {
            return Ok(self.inbox.remove(place));
        }
        loop {
            let until = until.min(self.deadline);
            let frame = match timeout_at(until, self.frames.recv()).await {
                Ok(Some(frame)) => frame?,
                Ok(None) => return Err(self.closed(expected)),
                Err(_) => {
                    return Err(Fault::Silence {
                        who: self.name,
                        expected: expected.to_owned(),
                        limit: self.limit,
                    });
                }
            };
            if is_wanted(&frame) {
                return Ok(frame);
            }
            if frame["type"] == "error" || !frame["type"].is_string() {
                return Err(Fault::Refused {
                    frame: shown(&frame),
                });
            }
            self.inbox.push(frame);
        }
    }

    /// The next frame of a type.
    ///
    /// # Errors
    /// As [`Peer::wait`].
    pub(super) async fn next(&mut self, kind: &str) -> Result<Value, Fault> {
        let is_wanted = |frame: &Value| frame["type"] == kind;
        self.wait(&format!("`{kind}`"), is_wanted).await
    }

    /// Sends a frame and gives the next one of a type.
    ///
    /// # Errors
    /// As [`Peer::wait`].
    pub(super) async fn ask(&mut self, frame: &Value, kind: &str) -> Result<Value, Fault> {
        self.send(frame)?;
        self.next(kind).await
    }

    /// Says something in a room and gives the reply.
    ///
    /// # Errors
    /// As [`Peer::wait`].
    pub(super) async fn say(&mut self, room: &str, text: &str) -> Result<Value, Fault> {
        self.send(&json!({"type": "message", "room": room, "text": text}))?;
        self.hear(text).await
    }

    /// The message with a text.
    ///
    /// # Errors
    /// As [`Peer::wait`].
    pub(super) async fn hear(&mut self, text: &str) -> Result<Value, Fault> {
        let short: String = text.chars().take(20).collect();
        let is_wanted = |frame: &Value| frame["type"] == "message" && frame["text"] == text;
        self.wait(&format!("`message` that says `{short}`"), is_wanted)
            .await
    }

    /// Sends a frame that is to be refused, and gives the refusal.
    ///
    /// # Errors
    /// [`Fault::Broken`], if it is carried out, or refused with another code.
    pub(super) async fn refused(&mut self, frame: &Value, code: &str) -> Result<Value, Fault> {
        let kind = frame["type"].as_str().unwrap_or_default().to_owned();
        let reply = match kind.as_str() {
            "create" | "join" => "joined",
            "rename" => "presence",
            "ping" => "pong",
            "leave" => "left",
            other => other,
        };
        self.refused_text(frame.to_string(), reply, code).await
    }

    /// Likewise for what may be no frame. `reply` is the type of what comes if it is carried out.
    ///
    /// # Errors
    /// As [`Peer::refused`].
    pub(super) async fn refused_text(
        &mut self,
        text: String,
        reply: &str,
        code: &str,
    ) -> Result<Value, Fault> {
        self.inbox.retain(|frame| frame["type"] != reply);
        let sent = shown_sent(&text);
        self.send_text(text)?;
        let expected = format!("`error` with the code `{code}`");
        let is_wanted = |frame: &Value| {
            let is_other = frame["type"] == "error" && frame["code"] != "try-again";
            is_other || frame["type"] == reply
        };
        let answer = self.wait(&expected, is_wanted).await?;
        ensure(answer["code"] == code, || {
            format!(
                "{} got {} instead of an {expected} for {sent}",
                self.name,
                shown(&answer)
            )
        })?;
        ensure(answer["message"].is_string(), || {
            format!("the refusal of {sent} has no `message`")
        })?;
        Ok(answer)
    }

    /// Waits until all has arrived that others had been answered before, and gives the `pong`.
    ///
    /// # Errors
    /// As [`Peer::wait`].
    pub(super) async fn settle(&mut self) -> Result<Value, Fault> {
        self.ask(&json!({"type": "ping"}), "pong").await
    }

    /// All frames of a type that have come and that nobody has asked for.
    pub(super) fn take(&mut self, kind: &str) -> Vec<Value> {
        let is_wanted = |frame: &mut Value| frame["type"] == kind;
        self.inbox.extract_if(.., is_wanted).collect()
    }

    /// When half of the time that is left will be over.
    pub(super) fn halfway(&self) -> Instant {
        let now = Instant::now();
        now + self.deadline.saturating_duration_since(now) / 2
    }

    /// Goes back to the lobby and hangs up, so that the server need not find out by itself.
    ///
    /// # Errors
    /// As [`Peer::wait`].
    pub(super) async fn leave(mut self) -> Result<(), Fault> {
        self.ask(&json!({"type": "leave"}), "left").await?;
        self.hang_up(Command::Close).await;
        Ok(())
    }

    /// Is gone without a word.
    pub(super) async fn vanish(self) {
        self.hang_up(Command::Vanish).await;
    }

    async fn hang_up(mut self, how: Command) {
        // One that is closed already is gone as well.
        drop(self.commands.send(how));
        let gone = async { while self.frames.recv().await.is_some() {} };
        drop(timeout(CLOSE_LIMIT, gone).await);
    }

    fn closed(&self, expected: &str) -> Fault {
        Fault::Closed {
            who: self.name,
            expected: expected.to_owned(),
        }
    }
}

fn shown_sent(text: &str) -> String {
    match serde_json::from_str(text) {
        Ok(frame) => shown(&frame).to_string(),
        Err(_) => format!("`{text}`"),
    }
}

/// The task at the socket.
struct Seat {
    name: &'static str,
    socket: Socket,
    transcript: Transcript,
    heard: UnboundedSender<Result<Value, Fault>>,
}

impl Seat {
    async fn serve(mut self, mut to_do: UnboundedReceiver<Command>) {
        loop {
            let goes_on = tokio::select! {
                command = to_do.recv() => self.follow(command).await,
                message = self.socket.next() => self.receive(message),
            };
            if !goes_on {
                return;
            }
        }
    }

    /// Whether there is more to be done.
    async fn follow(&mut self, command: Option<Command>) -> bool {
        match command {
            Some(Command::Say(text)) => {
                self.transcript.sent(self.name, &text);
                let sent = self.socket.send(Message::text(text)).await;
                if let Err(error) = sent {
                    self.tell(Err(broken(error)));
                    return false;
                }
                return true;
            }
            Some(Command::Close) => self.close().await,
            Some(Command::Vanish) => self
                .transcript
                .happened(self.name, "hung up without a word"),
            None => {
                drop(timeout(CLOSE_LIMIT, self.say_farewell()).await);
                self.close().await;
            }
        }
        false
    }

    fn receive(&mut self, message: Option<Result<Message, tungstenite::Error>>) -> bool {
        match message {
            Some(Ok(Message::Text(text))) => {
                self.transcript.received(self.name, &text);
                self.tell(frame(self.name, &text));
                true
            }
            Some(Ok(Message::Binary(_))) => {
                let what = format!("{} got a binary frame", self.name);
                self.tell(Err(Fault::Broken(what)));
                true
            }
            Some(Ok(Message::Close(_))) | None => {
                self.transcript.happened(self.name, "closed by the server");
                false
            }
            Some(Ok(_)) => true,
            Some(Err(error)) => {
                self.transcript.happened(self.name, &error.to_string());
                self.tell(Err(broken(error)));
                false
            }
        }
    }

    fn tell(&self, frame: Result<Value, Fault>) {
        // Whoever is gone does not want to know.
        drop(self.heard.send(frame));
    }

    async fn say_farewell(&mut self) -> Result<(), tungstenite::Error> {
        let leave = json!({"type": "leave"}).to_string();
        self.socket.send(Message::text(leave)).await?;
        while let Some(message) = self.socket.next().await {
            let Message::Text(text) = message? else {
                continue;
            };
            let frame: Value = serde_json::from_str(&text).unwrap_or_default();
            // One that another connection has resumed has nothing to leave.
            if frame["type"] == "left" || frame["type"] == "error" {
                break;
            }
        }
        Ok(())
    }

    async fn close(&mut self) {
        let closing = async {
            self.socket.close(None).await?;
            while let Some(message) = self.socket.next().await {
                message?;
            }
            Ok::<_, tungstenite::Error>(())
        };
        // An end that the other side does not agree to is an end as well.
        drop(timeout(CLOSE_LIMIT, closing).await);
        self.transcript.happened(self.name, "hung up");
    }
}

/// Reads a frame, which has to fit one of API Gateway's.
fn frame(who: &'static str, text: &str) -> Result<Value, Fault> {
    ensure(text.len() <= FRAME_BYTES_MAX, || {
        format!("{who} got a frame of {} bytes", text.len())
    })?;
    Ok(serde_json::from_str(text).unwrap_or_else(|_| text.into()))
}

pub(super) fn broken(error: tungstenite::Error) -> Fault {
    Fault::Socket(Box::new(error))
}
