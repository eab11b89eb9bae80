//! Somebody between a chat and its clients, who breaks what the chat promises.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{accept_async, connect_async};

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From a client.
    ToServer,
    /// To a client.
    ToClient,
}

/// What is passed on instead of a frame. The number is the connection's, in the order of their
/// beginnings.
pub type Meddle = fn(usize, Way, Value) -> Vec<Value>;

/// Passes frames on, changed; until it is dropped.
#[derive(Debug)]
pub struct Meddler {
    /// Where it takes connections.
    pub url: String,
    accepting: JoinHandle<()>,
}

/// What it does.
#[derive(Debug, Clone, Copy)]
pub struct Habits {
    /// What becomes of a frame.
    pub meddle: Meddle,
    /// Whether everybody hears every message of any room.
    pub leaks: bool,
}

impl Meddler {
    /// Stands before the chat at `upstream`.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(upstream: &str, habits: Habits) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let upstream: Arc<str> = upstream.into();
        let (leaked, _) = broadcast::channel(1024);
        let accepting = tokio::spawn(async move {
            let count = AtomicUsize::new(0);
            while let Ok((stream, _)) = listener.accept().await {
                let line = Line {
                    number: count.fetch_add(1, Ordering::Relaxed),
                    habits,
                    leaked: leaked.clone(),
                };
                let upstream = Arc::clone(&upstream);
                // Either end may break off; then so does the other.
                tokio::spawn(async move { drop(line.pass(stream, &upstream).await) });
            }
        });
        Self {
            url: format!("ws://127.0.0.1:{port}/dev"),
            accepting,
        }
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One client's connection.
struct Line {
    number: usize,
    habits: Habits,
    leaked: broadcast::Sender<(usize, Value)>,
}

impl Line {
    async fn pass(self, client: TcpStream, upstream: &str) -> Result<(), Error> {
        let mut client = accept_async(client).await?;
        let (mut server, _) = connect_async(upstream).await?;
        let mut overheard = self.leaked.subscribe();
        loop {
            tokio::select! {
                message = client.next() => match message.transpose()? {
                    Some(Message::Text(text)) => {
                        for frame in self.change(Way::ToServer, &text) {
                            server.send(frame).await?;
                        }
                    }
                    Some(Message::Close(_)) | None => return server.close(None).await,
                    Some(_) => {}
                },
                message = server.next() => match message.transpose()? {
                    Some(Message::Text(text)) => {
                        for frame in self.change(Way::ToClient, &text) {
                            client.send(frame).await?;
                        }
                    }
                    Some(Message::Close(_)) | None => return client.close(None).await,
                    Some(_) => {}
                },
                Ok((number, frame)) = overheard.recv() => {
                    if number != self.number {
                        client.send(Message::text(frame.to_string())).await?;
                    }
                }
            }
        }
    }

    fn change(&self, way: Way, text: &str) -> Vec<Message> {
        let Ok(frame @ Value::Object(_)) = serde_json::from_str(text) else {
            return vec![Message::text(text)];
        };
        let frame: Value = frame;
        if self.habits.leaks && way == Way::ToClient && frame["type"] == "message" {
            // Nobody may be there.
            let _ = self.leaked.send((self.number, frame.clone()));
        }
        let changed = (self.habits.meddle)(self.number, way, frame);
        let texts = changed.into_iter().map(|it| Message::text(it.to_string()));
        texts.collect()
    }
}
