//! Heads of requests that never end. The HTTP library has one limit for them and for connections without a
//! request, which SDKs keep for minutes.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::tap::Tapped;

/// How long a caller may take for a head that has begun.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// What a connection is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Doing {
    /// Nothing was asked.
    Nothing,
    /// A head has begun to come.
    Head(Instant),
    /// A request is read further, and answered.
    Answering,
}

/// The heads of one connection.
#[derive(Clone, Debug)]
pub(super) struct Heads(Arc<watch::Sender<Doing>>);

impl Heads {
    /// A stream whose heads are watched.
    pub(super) fn of<S>(stream: S) -> (Tapped<S, impl FnMut(&[u8]) + Unpin>, Self) {
        let heads = Self(Arc::new(watch::Sender::new(Doing::Nothing)));
        let watched = heads.clone();
        (Tapped::new(stream, move |_: &[u8]| watched.came()), heads)
    }

    /// A head has come.
    pub(super) fn ended(&self) {
        self.0.send_replace(Doing::Answering);
    }

    /// Its request has its answer.
    pub(super) fn answered(&self) {
        self.0.send_replace(Doing::Nothing);
    }

    fn came(&self) {
        self.0.send_if_modified(|doing| {
            let is_new = *doing == Doing::Nothing;
            if is_new {
                *doing = Doing::Head(Instant::now());
            }
            is_new
        });
    }

    /// Waits for a head that takes too long.
    pub(super) async fn overdue(&self) {
        let mut doing = self.0.subscribe();
        loop {
            let now = *doing.borrow_and_update();
            let changed = match now {
                Doing::Head(since) => match timeout_at(since + HEAD_TIMEOUT, doing.changed()).await
                {
                    Ok(changed) => changed,
                    Err(_) => return,
                },
                Doing::Nothing | Doing::Answering => doing.changed().await,
            };
            if changed.is_err() {
                // Without a stream there are no heads.
                pending::<()>().await;
            }
        }
    }
}
