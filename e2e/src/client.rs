//! A WebSocket client that speaks frames of JSON and knows nothing of the chat.

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, client_async, connect_async};

use crate::within_deadline;

/// A connection to a chat.
#[derive(Debug)]
pub struct Client<S = MaybeTlsStream<TcpStream>>(WebSocketStream<S>);

impl Client {
    /// Connects.
    ///
    /// # Panics
    /// When the server refuses.
    pub async fn connect(url: &str) -> Self {
        Self::try_connect(url)
            .await
            .expect("the handshake succeeds")
    }

    /// Connects, or gives the refusal.
    ///
    /// # Errors
    /// What the WebSocket library makes of the refusal.
    pub async fn try_connect(request: impl IntoClientRequest + Unpin) -> Result<Self, Box<Error>> {
        let connected = within_deadline("handshake", connect_async(request)).await;
        connected.map(|(socket, _)| Self(socket)).map_err(Box::new)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Connects over a stream that is there already, or gives the refusal.
    ///
    /// # Errors
    /// What the WebSocket library makes of the refusal.
    pub async fn over(
        stream: S,
        request: impl IntoClientRequest + Unpin,
    ) -> Result<Self, Box<Error>> {
        let connected = within_deadline("handshake", client_async(request, stream)).await;
        connected.map(|(socket, _)| Self(socket)).map_err(Box::new)
    }

    /// Sends a frame.
    ///
    /// # Panics
    /// When the connection is closed.
    pub async fn send(&mut self, frame: Value) {
        self.send_text(&frame.to_string()).await;
    }

    /// Sends text that may be no JSON.
    ///
    /// # Panics
    /// When the connection is closed.
    pub async fn send_text(&mut self, text: &str) {
        self.0
            .send(Message::text(text))
            .await
            .expect("the connection is open");
    }

    /// The next frame.
    ///
    /// # Panics
    /// When none comes, or it is no JSON.
    pub async fn next(&mut self) -> Value {
        loop {
            let message = within_deadline("frame", self.0.next()).await;
            match message
                .expect("the connection is open")
                .expect("the connection works")
            {
                Message::Text(text) => return serde_json::from_str(&text).expect("JSON"),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("a frame of text, not {other:?}"),
            }
        }
    }

    /// Sends a frame and gives the next one that comes.
    pub async fn ask(&mut self, frame: Value) -> Value {
        self.send(frame).await;
        self.next().await
    }

    /// Sends a frame and gives the next one of a type that comes; what comes before is thrown away.
    pub async fn ask_for(&mut self, kind: &str, frame: Value) -> Value {
        self.send(frame).await;
        self.next_of(kind).await
    }

    /// The next frame of a type; what comes before is thrown away.
    pub async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// All frames up to the answer to a `ping` sent now. What was sent before that by others, and
    /// had been answered to them, is among them.
    pub async fn frames_until_pong(&mut self) -> Vec<Value> {
        self.send(serde_json::json!({"type": "ping"})).await;
        let mut frames = Vec::new();
        loop {
            let frame = self.next().await;
            if frame["type"] == "pong" {
                return frames;
            }
            frames.push(frame);
        }
    }

    /// All messages up to then.
    pub async fn messages_until_pong(&mut self) -> Vec<Value> {
        let mut frames = self.frames_until_pong().await;
        frames.retain(|frame| frame["type"] == "message");
        frames
    }

    /// Sends a frame, or tells that the connection has ended.
    pub async fn try_send(&mut self, frame: &Value) -> bool {
        let sent = self.0.send(Message::text(frame.to_string()));
        within_deadline("room for a frame", sent).await.is_ok()
    }

    /// The next frame, whenever it comes; `None` when the connection has ended. Nothing is lost when
    /// this is given up.
    ///
    /// # Panics
    /// When it is no JSON.
    pub async fn receive(&mut self) -> Option<Value> {
        loop {
            match self.0.next().await?.ok()? {
                Message::Text(text) => return Some(serde_json::from_str(&text).expect("JSON")),
                Message::Close(_) => return None,
                _ => {}
            }
        }
    }

    /// Closes the connection in order.
    pub async fn close(mut self) {
        // The server may have been faster.
        let _ = self.0.close(None).await;
        while let Some(Ok(_)) = within_deadline("close", self.0.next()).await {}
    }

    /// Goes away without a word, as a phone in a tunnel does.
    pub fn vanish(self) {
        drop(self);
    }
}
