//! The ceiling: rooms on a bare axum server, which stores nothing, numbers nothing, and keeps each
//! room's members in memory. What a chat in one process could do at most here.
//!
//! It speaks as much of the chat's protocol as the benchmark does: `create`, `join` and `message`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::extract::ws::{Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use axum::routing::any;
use futures_util::SinkExt;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::error::BenchError;

/// Frames that are written before they are flushed.
const BATCH: usize = 64;

type Queue = mpsc::UnboundedSender<Utf8Bytes>;

/// What all connections share.
#[derive(Debug, Default)]
struct Rooms {
    members: Mutex<HashMap<String, HashMap<u64, Queue>>>,
    connections: AtomicU64,
    frames: AtomicU64,
    /// Every so many frames one is not sent: for tests of who notices.
    forgets_every: Option<u64>,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Frame {
    Create { name: String },
    Join { name: String, room: String },
    Message { text: String },
}

/// Where a connection is, and under which name.
struct Place {
    room: String,
    name: String,
}

/// Serves on a free port, prints `{"websocket": URL}`, and ends with standard input.
///
/// # Errors
/// If it cannot listen.
pub(crate) fn run() -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let failed = |source| BenchError::Start {
        program: "the ceiling".to_owned(),
        source,
    };
    runtime.map_err(failed)?.block_on(async {
        let (url, serving) = serve(None).await.map_err(failed)?;
        crate::tell(&json!({"websocket": url}).to_string());
        tokio::select! {
            served = serving => served.map_err(failed),
            _ = tokio::task::spawn_blocking(|| std::io::read_to_string(std::io::stdin())) => {
                std::process::exit(0)
            }
        }
    })
}

/// The URL, and what has to run for it to answer.
pub(super) async fn serve(
    forgets_every: Option<u64>,
) -> std::io::Result<(String, impl Future<Output = std::io::Result<()>>)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("ws://{}/", listener.local_addr()?);
    let rooms = Arc::new(Rooms {
        forgets_every,
        ..Rooms::default()
    });
    let router = Router::new().route("/", any(upgrade)).with_state(rooms);
    let serving = async move {
        let listener = axum::serve::ListenerExt::tap_io(listener, |stream| {
            // Without it a small frame waits for the acknowledgement of the last one.
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, router).await
    };
    Ok((url, serving))
}

async fn upgrade(
    upgrade: WebSocketUpgrade,
    State(rooms): State<Arc<Rooms>>,
) -> axum::response::Response {
    upgrade
        .read_buffer_size(8 * 1024)
        .on_upgrade(|socket| converse(socket, rooms))
}

async fn converse(mut socket: WebSocket, rooms: Arc<Rooms>) {
    let id = rooms.connections.fetch_add(1, Ordering::Relaxed);
    let (queue, mut queued) = mpsc::unbounded_channel();
    let mut place = None;
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => rooms.take(id, &mut place, &queue, &text),
                Some(Ok(Message::Close(_)) | Err(_)) | None => break,
                Some(Ok(_)) => {}
            },
            _ = queued.recv_many(&mut batch, BATCH) => {
                if write(&mut socket, &mut batch).await.is_err() {
                    break;
                }
            }
        }
    }
    if let Some(Place { room, .. }) = place
        && let Some(members) = rooms.lock().get_mut(&room)
    {
        members.remove(&id);
    }
}

async fn write(socket: &mut WebSocket, batch: &mut Vec<Utf8Bytes>) -> Result<(), axum::Error> {
    for frame in batch.drain(..) {
        socket.feed(Message::Text(frame)).await?;
    }
    socket.flush().await
}

impl Rooms {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, HashMap<u64, Queue>>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, id: u64, place: &mut Option<Place>, queue: &Queue, text: &str) {
        match (serde_json::from_str(text), &place) {
            (Ok(Frame::Create { name }), _) => {
                let room = format!("room-{id}");
                self.enter(id, place, queue, Place { room, name });
            }
            (Ok(Frame::Join { name, room }), _) => {
                self.enter(id, place, queue, Place { room, name });
            }
            (Ok(Frame::Message { text }), Some(place)) => self.hand_out(id, place, &text),
            (Ok(Frame::Message { .. }) | Err(_), _) => {
                self.send(queue, &json!({"type": "error"}).to_string().into());
            }
        }
    }

    fn enter(&self, id: u64, place: &mut Option<Place>, queue: &Queue, to: Place) {
        let frame = json!({"type": "joined", "room": to.room}).to_string();
        let mut rooms = self.lock();
        let members = rooms.entry(to.room.clone()).or_default();
        members.insert(id, queue.clone());
        *place = Some(to);
        self.send(queue, &frame.into());
    }

    /// To everybody in the room but its sender, serialized once.
    fn hand_out(&self, id: u64, place: &Place, text: &str) {
        let frame = json!({"type": "message", "from": place.name, "text": text});
        let frame = Utf8Bytes::from(frame.to_string());
        if let Some(members) = self.lock().get(&place.room) {
            for queue in members.iter().filter(|it| *it.0 != id).map(|it| it.1) {
                self.send(queue, &frame);
            }
        }
    }

    fn send(&self, queue: &Queue, frame: &Utf8Bytes) {
        if let Some(every) = self.forgets_every {
            let nth = self.frames.fetch_add(1, Ordering::Relaxed) + 1;
            if nth.is_multiple_of(every) {
                return;
            }
        }
        // Whoever has gone gets nothing.
        let _ = queue.send(frame.clone());
    }
}
