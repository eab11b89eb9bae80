//! A room that grows, and what is said in it: everyone's copy is waited for.

use std::collections::HashSet;
use std::time::Duration;

use e2e::client::Client;
use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};

use crate::error::BenchError;

/// As long as what people say.
const TEXT: &str =
    "the same few words, of about the length that people write in a chat when they talk";
/// Who come in at the same time.
const AT_ONCE: usize = 20;
/// How long the last copy of a message may take.
const DEADLINE: Duration = Duration::from_secs(30);
/// In a large room, changes of the list of members are announced at most once a second: what comes
/// after that finds them all announced, or announces the rest itself.
const ANNOUNCED_AFTER: Duration = Duration::from_millis(1_200);

/// A room with everyone in it.
#[derive(Debug)]
pub(super) struct Crowd {
    url: String,
    room: Value,
    members: usize,
    first: mpsc::UnboundedSender<Value>,
    /// Copies of messages that arrived, all members together.
    heard: watch::Sender<u64>,
    expected: u64,
    said: u64,
    /// Copies that somebody should have had and did not.
    pub(super) losses: u64,
}

impl Crowd {
    /// One who makes a room.
    pub(super) async fn new(url: &str) -> Self {
        let mut client = Client::connect(url).await;
        let joined = client
            .ask_for("joined", json!({"type": "create", "name": "first"}))
            .await;
        let heard = watch::Sender::new(0);
        let first = live(client, heard.clone());
        Self {
            url: url.to_owned(),
            room: joined["room"].clone(),
            members: 1,
            first,
            heard,
            expected: 0,
            said: 0,
            losses: 0,
        }
    }

    /// Has others come in until there are so many, and the list of members be announced.
    ///
    /// # Errors
    /// If what is said then does not arrive.
    pub(super) async fn grow(&mut self, members: usize) -> Result<(), BenchError> {
        while self.members < members {
            let until = members.min(self.members + AT_ONCE);
            let coming = (self.members..until).map(async |number| {
                let mut client = Client::connect(&self.url).await;
                let name = format!("name{number:04}");
                let join = json!({"type": "join", "room": self.room, "name": name});
                client.ask_for("joined", join).await;
                // Nobody has this one's orders; it hears until the room ends.
                drop(live(client, self.heard.clone()));
            });
            join_all(coming).await;
            self.members = until;
        }
        for _ in 0..2 {
            tokio::time::sleep(ANNOUNCED_AFTER).await;
            self.say().await?;
        }
        Ok(())
    }

    /// The first one says something; done when everyone has heard it.
    ///
    /// # Errors
    /// If it cannot be said.
    pub(super) async fn say(&mut self) -> Result<(), BenchError> {
        self.said += 1;
        let id = format!("message-{:08}", self.said);
        let message = json!({"type": "message", "room": self.room, "id": id, "text": TEXT});
        let gone = || BenchError::Measurement("who talks has lost the connection".to_owned());
        self.first.send(message).map_err(|_| gone())?;
        self.expected += self.members as u64;
        let mut heard = self.heard.subscribe();
        let all = heard.wait_for(|it| *it >= self.expected);
        if tokio::time::timeout(DEADLINE, all).await.is_err() {
            let heard = *self.heard.borrow();
            self.losses += self.expected.saturating_sub(heard);
            self.expected = heard;
        }
        Ok(())
    }
}

/// Sends what it is given and counts the messages that come, each once.
fn live(mut client: Client, heard: watch::Sender<u64>) -> mpsc::UnboundedSender<Value> {
    let (sender, mut orders) = mpsc::unbounded_channel::<Value>();
    tokio::spawn(async move {
        let mut seen = HashSet::new();
        loop {
            tokio::select! {
                Some(order) = orders.recv() => {
                    if !client.try_send(&order).await {
                        return;
                    }
                }
                frame = client.receive() => {
                    let Some(frame) = frame else { return };
                    if frame["type"] == "message" && seen.insert(frame["seq"].as_u64()) {
                        heard.send_modify(|it| *it += 1);
                    }
                }
            }
        }
    });
    sender
}
