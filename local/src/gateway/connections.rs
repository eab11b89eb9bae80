//! The connections that are open, and what is queued for each.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::bad_day::SLOW_QUEUE_BYTES_MAX;

/// Bytes queued for one connection at most. AWS names no number, only that a full buffer is answered
/// with 429 (`LimitExceededException`).
const QUEUE_BYTES_MAX: usize = 1024 * 1024;

/// What a queued message costs besides its own bytes, so that empty ones are not free.
const MESSAGE_OVERHEAD_BYTES: usize = 64;

/// One open connection, as others see it.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) id: String,
    pub(super) client: Client,
    /// What the authorizer said of it, if there is one and it was asked.
    pub(super) authorizer: OnceLock<Map<String, Value>>,
    pub(super) connected_at: SystemTime,
    /// The same moment on the clock that never jumps.
    pub(super) opened: Instant,
    /// Milliseconds after `opened` when something last came or went.
    active_ms: AtomicU64,
    queue: mpsc::UnboundedSender<Message>,
    queued_bytes: AtomicUsize,
    close: watch::Sender<Option<Closing>>,
    slow: AtomicBool,
}

/// Who is at the other end.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) source_ip: String,
    pub(crate) user_agent: Option<String>,
}

/// Why and how a connection is to end from this side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Closing {
    pub(super) code: u16,
    pub(super) reason: &'static str,
}

/// The socket's own ends of a connection.
pub(crate) struct Ends {
    pub(super) queue: mpsc::UnboundedReceiver<Message>,
    pub(super) close: watch::Receiver<Option<Closing>>,
}

/// A connection's queue is full: its client reads too slowly.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct QueueFull;

impl Connection {
    pub(crate) fn new(id: String, client: Client) -> (Arc<Self>, Ends) {
        let (queue, queued) = mpsc::unbounded_channel();
        let (close, closing) = watch::channel(None);
        let connection = Self {
            id,
            client,
            authorizer: OnceLock::new(),
            connected_at: SystemTime::now(),
            opened: Instant::now(),
            active_ms: AtomicU64::new(0),
            queue,
            queued_bytes: AtomicUsize::new(0),
            close,
            slow: AtomicBool::new(false),
        };
        (
            Arc::new(connection),
            Ends {
                queue: queued,
                close: closing,
            },
        )
    }

    /// Queues a message for the client.
    pub(super) fn send(&self, message: Message) -> Result<(), QueueFull> {
        let bytes = message.len() + MESSAGE_OVERHEAD_BYTES;
        let queued = self.queued_bytes.fetch_add(bytes, Ordering::Relaxed);
        if queued + bytes > self.queue_bytes_max() {
            self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(QueueFull);
        }
        // The socket has ended meanwhile: as on AWS, what was accepted then is lost.
        drop(self.queue.send(message));
        Ok(())
    }

    /// Makes the client a slow one, on purpose.
    pub(super) fn make_slow(&self) {
        self.slow.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Relaxed)
    }

    fn queue_bytes_max(&self) -> usize {
        if self.is_slow() {
            SLOW_QUEUE_BYTES_MAX
        } else {
            QUEUE_BYTES_MAX
        }
    }

    /// A message has left the queue.
    pub(super) fn sent(&self, message: &Message) {
        let bytes = message.len() + MESSAGE_OVERHEAD_BYTES;
        self.queued_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Ends the connection from this side. The first call decides how.
    pub(super) fn close(&self, closing: Closing) {
        self.close.send_if_modified(|current| {
            let first = current.is_none();
            if first {
                *current = Some(closing);
            }
            first
        });
    }

    /// Something came or went.
    pub(super) fn touch(&self) {
        let age = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.active_ms.store(age, Ordering::Relaxed);
    }

    /// How long after the opening something last came or went.
    pub(super) fn last_active(&self) -> Duration {
        Duration::from_millis(self.active_ms.load(Ordering::Relaxed))
    }
}

/// All open connections by id.
#[derive(Debug, Default)]
pub(super) struct Connections(Mutex<HashMap<String, Arc<Connection>>>);

impl Connections {
    pub(super) fn insert(&self, connection: &Arc<Connection>) {
        self.lock()
            .insert(connection.id.clone(), Arc::clone(connection));
    }

    pub(super) fn get(&self, id: &str) -> Option<Arc<Connection>> {
        self.lock().get(id).cloned()
    }

    pub(super) fn remove(&self, id: &str) {
        self.lock().remove(id);
    }

    pub(super) fn close_all(&self) {
        for connection in self.lock().values() {
            connection.close(Closing {
                code: 1001,
                reason: "Going away",
            });
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Connection>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A new id in API Gateway's form: eleven random bytes in base64, such as `L0SM9cOFvHcCIhw=`.
pub(super) fn new_id() -> String {
    let bytes = *uuid::Uuid::new_v4().as_bytes();
    // Bytes 6 and 8 hold the version and variant of a UUID; the last eleven of sixteen would have
    // one of them, which costs two bits and no uniqueness that matters on one machine.
    STANDARD.encode(&bytes[5..])
}
